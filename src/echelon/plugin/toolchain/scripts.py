"""The toolchain of JavaScript: esbuild for this machine, and the engine, built here from the package of QuickJS."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from echelon.errors import EchelonError, ToolchainMissing
from echelon.plugin.toolchain.recipe import Progress, npm_install, npm_package

ESBUILD: Final = "0.28.2"
QUICKJS: Final = "3.6.2"
_QUICKJS_SHA256: Final = "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9"
_ESBUILD_SHA256: Final = "e1698a3d5c6c0798fee4fd3b5cc816651f460c63d390a7a26ea4beb0b1884100"
_BUILDS: Final = {("linux", "x86_64"): ("@esbuild/linux-x64", _ESBUILD_SHA256)}
"""The package of esbuild for a system, and the SHA-256 of its program."""


async def fetch(work: Path, say: Progress) -> Path:
    """Fetch both packages, compare them with their digests, and build the engine."""
    from echelon.plugin.compilers.javascript import engine  # which needs the runtime

    build = _BUILDS.get((sys.platform, platform.machine()))
    if build is None:
        system = f"{sys.platform} on {platform.machine()}"
        raise ToolchainMissing(f"JavaScript: there is no build of esbuild here for {system}", install="")
    package, digest = build
    say(f"fetching esbuild {ESBUILD}, quickjs-wasi {QUICKJS}")
    await npm_install({package: ESBUILD, "quickjs-wasi": QUICKJS}, work)
    slim = work / "slim"
    slim.mkdir()
    program = npm_package(work, package) / "bin" / "esbuild"
    module = npm_package(work, "quickjs-wasi") / "quickjs.wasm"
    for path, expected in ((program, digest), (module, _QUICKJS_SHA256)):
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise EchelonError(f"{path.name} is not the expected one (SHA-256 {found}, not {expected})")
    await asyncio.to_thread(shutil.copy, program, slim / "esbuild")
    (slim / "esbuild").chmod(0o755)
    say("building the engine")
    scripts = await asyncio.to_thread(engine.scripts)
    (slim / "engine.wasm").write_bytes(await engine.build(module.read_bytes(), scripts))
    return slim
