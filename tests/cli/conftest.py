"""The command line to test with: `main()` in this process, or the installed `echelon` in one of its own."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import ECHELON, Cli, Result

from echelon.cli import main
from echelon.plugin import toolchain

SHARED_HOME = Path(__file__).resolve().parents[2] / ".echelon" / "home"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Echelon's own directory: the real compilers, fetched once and kept, and an empty store of modules."""
    shared = Path(os.environ.get("ECHELON_HOME", SHARED_HOME))
    for name in ("typescript", "javascript"):
        asyncio.run(toolchain.install(name, base=shared))
    base = tmp_path_factory.mktemp("home")
    (base / "toolchains").symlink_to(shared.resolve() / "toolchains")
    return base


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with none of this machine's settings and nothing to read from."""
    for name in list(os.environ):
        if name.startswith(("ECHELON_", "NO_COLOR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ECHELON_HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process: `cli("call", "fib.ts", "fib", "30", stdin=b"")`."""

    def run(*argv: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        status = main(argv)
        captured = capfd.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def shell(place: Path) -> Cli:
    """Run the installed program in a process of its own."""

    def run(*argv: str, stdin: bytes = b"") -> Result:
        done = subprocess.run([ECHELON, *argv], input=stdin, capture_output=True, timeout=50, check=False)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def write(place: Path) -> Callable[[str, str], Path]:
    """Write a file into the working directory."""

    def make(name: str, text: str) -> Path:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return make
