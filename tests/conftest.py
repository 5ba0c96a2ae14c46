"""What every folder of tests shares."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from echelon.plugin import toolchain
from echelon.plugin.compilers.rust import toolchains as rust_toolchains


@pytest.fixture(scope="session")
def tests_home() -> Path:
    """Echelon's own directory for tests, kept between runs."""
    kept = Path(__file__).resolve().parents[1] / ".echelon" / "home"
    return Path(os.environ["ECHELON_HOME"]) if "ECHELON_HOME" in os.environ else kept


@pytest.fixture(scope="session")
def home(tests_home: Path) -> Path:
    """The same with the toolchains in it that most tests need, fetched once."""
    for name in ("typescript", "javascript"):
        asyncio.run(toolchain.install(name, base=tests_home))
    return tests_home


@pytest.fixture(scope="module")
def toolchains(tests_home: Path) -> Iterator[None]:
    """Make Echelon's own directory the one that tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_HOME", str(tests_home))
        yield


@pytest.fixture(scope="session")
def c_home(tests_home: Path) -> Path:
    """The same with the toolchain of C, C++ and Zig in it, made once."""
    asyncio.run(toolchain.install("c", base=tests_home))
    return tests_home


@pytest.fixture(scope="session")
def go_home(tests_home: Path) -> Path:
    """The same with the toolchain of Go in it, built once."""
    asyncio.run(toolchain.install("go", base=tests_home))
    return tests_home


@pytest.fixture(scope="session")
def binaryen_home(tests_home: Path) -> Path:
    """The same with the optimiser in it."""
    asyncio.run(toolchain.install("binaryen", base=tests_home))
    return tests_home


@pytest.fixture(scope="session")
def rust_home(tests_home: Path) -> Path:
    """The same where the guest kit of Rust is kept; its compiler comes from the system's packages."""
    if isinstance(rust_toolchains.find(), str):
        script = Path(__file__).resolve().parents[1] / "scripts" / "rust"
        done = subprocess.run([script], capture_output=True, text=True, check=False)
        if done.returncode == 3:
            pytest.skip(done.stderr.strip())
        elif done.returncode:
            pytest.fail(done.stderr.strip())
    return tests_home


@pytest.fixture(scope="session")
def cpython_home(tests_home: Path) -> Path:
    """The same with the engine of Python scripts in it, built once and kept between runs."""
    asyncio.run(toolchain.install("cpython", base=tests_home))
    return tests_home


@pytest.fixture
def read_wit(tmp_path: Path) -> Callable[[str, str], str]:
    """Let componentize-py read WIT and make Python of it; gives what it made."""

    def parse(text: str, name: str) -> str:
        source, made = tmp_path / "world.wit", tmp_path / "made"
        source.write_text(text)
        program = Path(sys.executable).parent / "componentize-py"
        command = [program, "-d", source, "-w", name, "bindings", made]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"
        return "\n".join(path.read_text() for path in sorted(made.rglob("*.py")) if "wit_world" in str(path))

    return parse


@pytest.fixture(scope="session")
def clang(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Make a module of C or C++ sources with debug information; the first one includes the others.

    Options are Clang's. Names of functions stay mangled.
    """
    folder, numbers = tmp_path_factory.mktemp("clang"), itertools.count()
    caches = {name: str(folder / "cache") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}

    def compile_(sources: Mapping[str, str], *options: str) -> bytes:
        place = folder / str(next(numbers))
        for name, text in sources.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        main = next(iter(sources))
        command = ["c++", "-std=c++17", "-fno-exceptions", "-fno-rtti"] if main.endswith(".cpp") else ["cc"]
        target = ["-target", "wasm32-freestanding", "-g", "-fno-sanitize=all", "-nostdlib"]
        for arguments in (
            [*command, *target, *options, "-c", main, "-o", "main.o"],
            ["wasm-ld", "--no-entry", "--no-demangle", "main.o", "-o", "main.wasm"],
        ):
            subprocess.run(
                [sys.executable, "-m", "ziglang", *arguments],
                cwd=place,
                env={**os.environ, **caches},
                check=True,
            )
        return (place / "main.wasm").read_bytes()

    return compile_
