"""A compiler of Echelon's own in a confined process of Python that can be ended: for sources that are not small."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement

SMALL: Final = 64 << 10
"""Characters of a source that is compiled in this process."""

SECONDS: Final = 30.0
MEMORY: Final = 1 << 30


async def run(
    module: str, stdin: bytes, *, seconds: float = SECONDS, memory: int = MEMORY, output: int
) -> bytes:
    """Run a module of Echelon's and return what it writes, at most `output` bytes, within `memory` bytes.

    Raises ValueError with what it wrote to standard error when it ends with another status than 0 or is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="echelon-apart-") as folder:
        search = [entry for entry in sys.path if entry]
        confinement = Confinement(
            Path(folder),
            read=[sys.executable, sys.base_prefix, sys.prefix, *search, *process.LIBRARIES],
            seconds=seconds,
            memory=memory,
            output=output,
            isolation="available",
        )
        environ = process.launcher("", 0)[1] | {"PYTHONPATH": os.pathsep.join(search)}
        done = await process.run([sys.executable, "-m", module], confinement, environ, stdin)
    if done.stopped:
        raise ValueError(f"the compiler was stopped: {done.stopped}")
    if done.status:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ValueError(said or f"the compiler ended with status {done.status}")
    return done.stdout
