"""The toolchain of Python scripts: CPython with our host script already run, as one component that is built here.

The package brings CPython as WebAssembly. It runs the host script, which imports what scripts use most, and writes
what is then in memory into the component, so that no script waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from echelon.plugin.toolchain.recipe import Progress, Recipe, run, wheel
from echelon.runtime.cpython_host import marked

PACKAGE: Final = "componentize-py"
VERSION: Final = "0.25.1"
PYTHON: Final = "3.14.0"
DIGESTS: Final = (
    "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f",  # Linux, x86-64
    "7b6a87c520358166843af0daa86d2312d7af4cbcbbf1e598951085cf7f2991ca",  # Linux, aarch64
    "a556991534cc496207a9d2ca733c4b0f17ed38ef56a8d6b5f1847fdf1225dd1b",  # macOS, arm64
    "65fbc4a94df1de8acf7da50a1f5ed1711230188844e53e6332d99029be4e0afa",  # macOS, x86-64
)
ENGINE: Final = "engine.wasm"
_GUEST: Final = Path(__file__).parents[1] / "compilers" / "cpython" / "guest"
_FILES: Final = {
    "host": "app",
    "kit": "echelon",
    "wire": "echelon_wire",
    "library": "echelon_library",
    "surroundings": "echelon_surroundings",
    "checking": "echelon_checking",
}
"""The files of the guest, and the modules that they are in the engine."""

_WORLD: Final = """
package echelon:cpython@1.0.0;

interface host {
  tell: func(operation: u32, extra: u32, content: list<u8>) -> list<u8>;
  look: func(name: string) -> list<u8>;
  ask: func(operation: string, content: list<u8>) -> list<u8>;
}

world script {
  import host;
  export open-script: func(content: list<u8>);
  export check-script: func(content: list<u8>) -> list<u8>;
  export run-script: func() -> list<u8>;
  export call-script: func(content: list<u8>) -> list<u8>;
}
"""
_BUILD: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from componentize_py import script; sys.exit(script())"
)


def revision() -> str:
    """Return what tells engines of different host scripts apart."""
    total = hashlib.sha256(_WORLD.encode())
    for name in sorted(_FILES):
        total.update((_GUEST / f"{name}.py").read_bytes())
    return total.hexdigest()[:8]


async def fetch(work: Path, say: Progress) -> Path:
    """Get the package, from this environment or the index, and build the engine."""
    package = _installed()
    if package is None:
        fetched = work / "package"
        fetched.mkdir()
        package = await wheel(PACKAGE, VERSION, DIGESTS)(fetched, say)
    else:
        say(f"taking {PACKAGE} {VERSION} from this environment")
    say("building the engine, which takes half a minute")
    kept, place = work / "slim", work / "build"
    await asyncio.to_thread(_write_sources, place)
    target = kept / ENGINE
    kept.mkdir()
    options = ["-d", "host.wit", "-w", "script", "componentize", "app", "-o", str(target)]
    # No environment: the builder would bring the packages of whatever Python it finds.
    environ = {"PATH": os.devnull, "HOME": str(place)}
    await run([sys.executable, "-I", "-c", _BUILD, str(package), *options], place, environ)
    target.write_bytes(marked(target.read_bytes()))
    say("compiling the engine to native code, which takes up to a minute")
    await _compile(target)
    return kept


def _installed() -> Path | None:
    """Return where the package is in this environment, in the version that is wanted."""
    try:
        found = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(found.locate_file(""))) if found.version == VERSION else None


def _write_sources(place: Path) -> None:
    place.mkdir()
    for name, module in _FILES.items():
        shutil.copy(_GUEST / f"{name}.py", place / f"{module}.py")
    (place / "host.wit").write_text(_WORLD)


async def _compile(engine: Path) -> None:
    """Leave the engine's native code where runtimes look for it, so that the first call need not wait for it."""
    from echelon.runtime.core import Runtime, RuntimeSettings  # which needs the engine of WebAssembly
    from echelon.runtime.native_code import INSTALLED_SECONDS

    async with Runtime(RuntimeSettings(compile_time=INSTALLED_SECONDS)) as runtime:
        await runtime.load(engine)


CPYTHON: Final = Recipe(
    name="cpython", version=f"{PYTHON}-{revision()}", size="32 MB", marker=ENGINE, fetch=fetch
)
