"""The toolchain of C, C++ and Zig: the `ziglang` package, and the libraries of C and C++ built by it once.

Zig builds these libraries when they are first needed, into a cache that every later compile reads and writes. That is
no place to share with strangers, so they are built here by a program of our own, and compiles link the copies.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
from pathlib import Path
from typing import Final

from echelon.errors import EchelonError
from echelon.plugin.toolchain.recipe import Fetch, Progress, Recipe, run, wheel

PACKAGE: Final = "ziglang"
VERSION: Final = "0.17.1"
DIGESTS: Final = (
    "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",  # Linux, x86-64
    "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",  # Linux, aarch64
    "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",  # macOS, arm64
    "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",  # macOS, x86-64
)
LIBRARIES: Final = (
    "crt1-reactor.o",
    "libc.a",
    "libzigc.a",
    "libc++.a",
    "libc++abi.a",
    "libcompiler_rt.a",
)
SYSROOT: Final = "sysroot"
_UNUSED: Final = ("docs", "fuzzer", "libtsan", "libunwind", "libcxx/src", "libcxxabi/src")
_HEADERS: Final = ("wasm-wasi-musl", "generic-musl")
_PROGRAM: Final = '#include <string>\nextern "C" void echelon_seed(std::string &s) { s += "."; }\n'


def fetch(digests: tuple[str, ...] = DIGESTS) -> Fetch:
    """Return how to get the package, from this environment or the index, and to build what it lacks."""

    async def get(work: Path, say: Progress) -> Path:
        kept = work / "slim"
        package = installed_package()
        if package is None:
            await wheel(PACKAGE, VERSION, digests)(work, say)
        else:
            say(f"taking {PACKAGE} {VERSION} from this environment")
            await asyncio.to_thread(shutil.copytree, package, kept / PACKAGE, copy_function=_link)
        say("building the libraries of C and C++, which takes a minute or two")
        await _build(kept, work)
        await asyncio.to_thread(_slim, kept / PACKAGE / "lib")
        return kept

    return get


def installed_package() -> Path | None:
    """Return where the package is in this environment, in the version that is wanted."""
    try:
        found = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(PACKAGE)))
    return path if found.version == VERSION and (path / "zig").is_file() else None


def _link(source: str, target: str) -> None:
    """Share a file's room; nobody changes a package's files in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


async def _build(kept: Path, work: Path) -> None:
    """Compile a program that needs every library, and keep those out of its cache."""
    cache = work / "cache"
    (work / "seed.cpp").write_text(_PROGRAM)
    zig = kept / PACKAGE / "zig"
    options = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-s", "-fno-exceptions", "-fno-rtti"]
    environ = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache), "PATH": os.defpath}
    await run([str(zig), "c++", *options, "seed.cpp", "-o", "seed.wasm"], work, environ)
    (kept / SYSROOT).mkdir()
    for name in LIBRARIES:
        contents = {path.read_bytes() for path in cache.glob(f"o/*/{name}")}
        if len(contents) != 1:  # some lie there twice
            raise EchelonError(f"zig built {len(contents)} different files {name} instead of one")
        (kept / SYSROOT / name).write_bytes(contents.pop())


def _slim(library: Path) -> None:
    """Leave out what only other targets need."""
    for name in _UNUSED:
        shutil.rmtree(library / name, ignore_errors=True)
    for path in (library / "libc").iterdir():
        if path.name != "include":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (library / "libc" / "include").iterdir():
        if path.name not in _HEADERS:
            shutil.rmtree(path)


C: Final = Recipe(
    name="c", version=VERSION, size="250 MB", marker=f"{SYSROOT}/{LIBRARIES[-1]}", fetch=fetch()
)
