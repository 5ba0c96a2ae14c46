"""The same source is the same bytes: in another process, folder and place, at another time, for every language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from echelon.plugin.languages import compilers

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "conformance" / "programs"
GUESTS = ROOT / "examples" / "guests"
WAT = '(module (func $f (export "f") (param $n i32) (result i32) (i32.mul (local.get $n) (local.get $n))))'
HOMES = {
    "c": "c_home",
    "cpp": "c_home",
    "zig": "c_home",
    "rust": "rust_home",
    "go": "go_home",
    "cpython": "cpython_home",
}
"""The fixture that installs a language's toolchain, where it is not `home`."""
SOURCES = {
    "wat": WAT,
    "python": ROOT / "benchmarks" / "programs" / "python" / "tokenizer.py",
    "typescript": PROGRAMS / "conformance.ts",
    "javascript": PROGRAMS / "conformance.js",
    "c": PROGRAMS / "conformance.c",
    "cpp": PROGRAMS / "conformance.cpp",
    "zig": PROGRAMS / "conformance.zig",
    "go": GUESTS / "queue.go",
    "rust": GUESTS / "guestbook.rs",
    "cpython": "import json\n\ndef f(n: int) -> str:\n    return json.dumps([n])\n",
}
WAYS = (
    {"optimize": "none", "names": True, "debug": True},
    {"optimize": "size", "names": False, "debug": False},
)
COMPILE = """
import asyncio, json, pathlib, sys
from echelon.config import Config
from echelon.plugin.generator import Generator
from echelon.plugin.languages import compilers

language, source, ways = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

async def main():
    only = [compiler for compiler in compilers(Config.load()) if compiler.name == language]
    async with Generator(only, pathlib.Path("store").absolute()) as generator:
        for way in ways:
            optimize = way.pop("optimize")
            artifact = await generator.compile(source, language, optimize, name="main", **way)
            print(artifact.digest, artifact.cached, flush=True)

asyncio.run(main())
"""


def digests(language: str, home: Path, folder: Path, seed: str) -> list[str]:
    """Compile in a process of its own; returns a digest for each way."""
    folder.mkdir()
    source = SOURCES[language]
    text = source if isinstance(source, str) else source.read_text()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", str(folder)),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "ECHELON_HOME": str(home),
        "ECHELON_WASM_CACHE": str(folder.parent / "native"),
        "PYTHONHASHSEED": seed,
        "TMPDIR": str(folder),
        "TZ": f"UTC{seed}",
    }
    command = [sys.executable, "-c", COMPILE, language, text, json.dumps(WAYS)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [cached for _, cached in lines] == ["False"] * len(WAYS)
    return [digest for digest, _ in lines]


@pytest.mark.parametrize("language", SOURCES)
def test_the_same_source_is_the_same_bytes(
    language: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With names and debug data, and without: nothing of folder, process, hashes or time gets into a module."""
    home: Path = request.getfixturevalue(HOMES.get(language, "home"))
    first = digests(language, home, tmp_path / "one", "1")
    assert digests(language, home, tmp_path / "another place", "2") == first


def test_every_language_is_here() -> None:
    """A new language has to be reproducible as well."""
    assert set(SOURCES) == {compiler.name for compiler in compilers()}
