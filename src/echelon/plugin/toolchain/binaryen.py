"""The toolchain of the optimiser: Binaryen's wasm-opt, the build for JavaScript runtimes, and nothing else of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from echelon.plugin.toolchain.recipe import Progress, Recipe, npm_install, npm_package

VERSION: Final = "132.0.0"
SCRIPT: Final = "wasm-opt.cjs"


async def _fetch(work: Path, say: Progress) -> Path:
    say(f"fetching binaryen {VERSION}")
    await npm_install({"binaryen": VERSION}, work)
    package = npm_package(work, "binaryen")
    slim = work / "slim"
    slim.mkdir()
    await asyncio.to_thread(shutil.copyfile, package / "bin" / "wasm-opt", slim / SCRIPT)
    await asyncio.to_thread(shutil.copyfile, package / "LICENSE", slim / "LICENSE")
    return slim


BINARYEN: Final = Recipe(
    name="binaryen",
    version=VERSION,
    size="11 MB",
    marker=SCRIPT,
    fetch=_fetch,
    digest="5a4ffddbb81f03164108a18cd4e474fd397ce729047c0181d1182065ad348d56",
)
