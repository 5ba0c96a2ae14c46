"""WebAssembly text, through the assembler in libwasmtime.

Some texts take it time that grows with the square of their size, and nothing ends a call into a library. So a text that
is not small is assembled by a process that can be ended: `python -m echelon.plugin.compilers.wat`, the text on standard
input, the module on standard output.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement
from echelon.runtime import native

SMALL: Final = 64 << 10
"""Characters that are assembled in this process; the slowest text of that length known takes a fifth of a second."""
SECONDS: Final = 30.0
MEMORY: Final = 1 << 30
_PLACE = re.compile(r"(?:-->|at) <anon>:(\d+):(\d+)")


class Wat(Compiler):
    """Assembles one file of text. The assembler bounds its own nesting; the job bounds the size."""

    name = "wat"
    suffixes = (".wat",)

    def __init__(self, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self.seconds = seconds
        self.memory = memory

    def probe(self) -> Probe:
        return Probe(found=True, version=f"wasmtime {native.engine_version()}")

    async def compile(self, job: Job) -> Compiled:
        if len(job.files) > 1:
            return Compiled(None, (Diagnostic(0, 0, "error", "a module in text form is one file"),))
        try:
            if len(job.text) <= SMALL:
                return Compiled(await asyncio.to_thread(assemble, job.text))
            return Compiled(await self._assemble_apart(job))
        except ValueError as exc:
            return Compiled(None, (diagnose(str(exc), job.entry),))

    async def _assemble_apart(self, job: Job) -> bytes:
        """Do the same in a process of its own; raises ValueError."""
        with tempfile.TemporaryDirectory(prefix="echelon-assemble-") as folder:
            search = [entry for entry in sys.path if entry]
            confinement = Confinement(
                Path(folder),
                read=[sys.executable, sys.base_prefix, sys.prefix, *search, *process.LIBRARIES],
                seconds=self.seconds,
                memory=self.memory,
                output=job.max_output + 1,
                isolation="available",
            )
            command = [sys.executable, "-m", __name__]
            environ = process.launcher("", 0)[1] | {"PYTHONPATH": os.pathsep.join(search)}
            done = await process.run(command, confinement, environ, job.text.encode())
        if done.stopped:
            raise ValueError(f"the assembler was stopped: {done.stopped}")
        if done.status:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise ValueError(said or f"the assembler ended with status {done.status}")
        return done.stdout


def assemble(text: str) -> bytes:
    """Return the module; raises ValueError with the assembler's message."""
    return native.load().wat2wasm(text)


def diagnose(message: str, file: str) -> Diagnostic:
    """Read the assembler's message: what is wrong, and "--> <anon>:4:3" or "at <anon>:4:3"."""
    what = message.splitlines()[0].strip()
    place = _PLACE.search(message)
    if place is None:
        return Diagnostic(0, 0, "error", what, file)
    return Diagnostic(int(place[1]), int(place[2]), "error", _PLACE.sub("", what).strip(), file)


def main() -> int:
    try:
        sys.stdout.buffer.write(assemble(sys.stdin.buffer.read().decode()))
    except ValueError as exc:
        sys.stderr.write(str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
