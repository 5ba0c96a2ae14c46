"""WebAssembly text, through the assembler in libwasmtime.

Some texts take it time that grows with the square of their size, and nothing ends a call into a library. So a text that
is not small is assembled by a process that can be ended: `python -m echelon.plugin.compilers.wat`, the text on standard
input, the module on standard output.
"""

from __future__ import annotations

import asyncio
import re
import sys

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers import apart
from echelon.runtime import native

_PLACE = re.compile(r"(?:-->|at) <anon>:(\d+):(\d+)")


class Wat(Compiler):
    """Assembles one file of text. The assembler bounds its own nesting; the job bounds the size."""

    name = "wat"
    suffixes = (".wat",)

    def __init__(self, *, seconds: float = apart.SECONDS, memory: int = apart.MEMORY) -> None:
        self.seconds = seconds
        self.memory = memory

    def probe(self) -> Probe:
        return Probe(found=True, version=f"wasmtime {native.engine_version()}")

    async def compile(self, job: Job) -> Compiled:
        if len(job.files) > 1:
            return Compiled(None, (Diagnostic(0, 0, "error", "a module in text form is one file"),))
        try:
            if len(job.text) <= apart.SMALL:
                return Compiled(await asyncio.to_thread(assemble, job.text))
            bounds = {"memory": self.memory, "output": job.max_output + 1}
            return Compiled(await apart.run(__name__, job.text.encode(), seconds=self.seconds, **bounds))
        except ValueError as exc:
            return Compiled(None, (diagnose(str(exc), job.entry),))


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
