"""The guests that the benchmarks run, and how to get them as modules."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.row import CannotRun
from echelon.errors import EchelonError
from echelon.runtime.core import Runtime, RuntimeSettings

FOLDER = Path(__file__).parent


@asynccontextmanager
async def runtime(threads: int = 0) -> AsyncIterator[Runtime]:
    """Open a runtime with everyday settings and caches of its own; 0 threads means as many as usual."""
    with tempfile.TemporaryDirectory(prefix="echelon-bench-") as folder:
        try:
            async with Runtime(
                replace(RuntimeSettings(), cache=Path(folder, "native"), threads=threads)
            ) as wasm:
                yield wasm
        except EchelonError as exc:
            raise CannotRun(f"{type(exc).__name__}: {exc}") from exc


async def compiled(wasm: Runtime, name: str) -> bytes:
    """Return a guest of this folder as a WebAssembly module."""
    generator = await wasm.generator()
    return (await generator.compile(FOLDER / name)).wasm
