"""Typed Python: the compiler of Echelon's own, from Python's syntax tree to a module.

A program that is not small is compiled by a process that can be ended: `python -m` and the name of this module, the
program on standard input, what came of it on standard output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from echelon.errors import Diagnostic
from echelon.plugin.builder.text import function_text
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers import apart
from echelon.plugin.compilers.python import crossing
from echelon.plugin.compilers.python.checking import kit, source
from echelon.plugin.compilers.python.checking.program import Program
from echelon.plugin.compilers.python.checking.source import Refusal
from echelon.plugin.compilers.python.derived import Derivation
from echelon.plugin.compilers.python.emitting import packing
from echelon.plugin.compilers.python.emitting.emitter import Emitter
from echelon.plugin.compilers.python.encoding import Code
from echelon.plugin.compilers.python.exceptions import BUILTIN
from echelon.plugin.compilers.python.library_code import Library, library
from echelon.plugin.compilers.python.linking import Linker
from echelon.plugin.compilers.python.tree import Expr, Function
from echelon.plugin.compilers.python.types import settle
from echelon.runtime.linear import ALLOCATE
from echelon.runtime.signature import Function as Signed
from echelon.runtime.signature import Signature, decode, encode

NAME: Final = "python"
VERSION: Final = "17"


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of a program: a module, or diagnostics that say why not.

    `functions` are the types of every function, "name(parameters) -> result" by name, as far as they are known.
    """

    wasm: bytes | None
    diagnostics: tuple[Diagnostic, ...] = ()
    signature: Signature | None = None
    lines: bytes | None = None
    functions: Mapping[str, str] = field(default_factory=dict)

    def text_of(self, function: str) -> str:
        """Return a function of the program as WebAssembly's text, "" when nothing was compiled."""
        return "" if self.wasm is None else function_text(self.wasm, function)


class TypedPython(Compiler):
    """Compiles one file, and never runs any of it; one that is not small in a process that can be ended."""

    name = NAME
    suffixes = (".py",)

    def __init__(self, *, seconds: float = apart.SECONDS, memory: int = apart.MEMORY) -> None:
        self.seconds = seconds
        self.memory = memory

    def probe(self) -> Probe:
        version = ".".join(map(str, sys.version_info[:2]))
        return Probe(found=True, version=VERSION, revision=f"python {version}", detail="built in")

    async def warm(self) -> None:
        await asyncio.to_thread(translate, _WARM, "warm.py")

    async def compile(self, job: Job) -> Compiled:
        if len(job.files) > 1:
            return Compiled(None, (Diagnostic(1, 1, "error", "a program is one file"),))
        if len(job.text) > apart.SMALL:
            return await self._compile_apart(job)
        made = await asyncio.to_thread(translate, job.text, job.entry)
        return Compiled(made.wasm, made.diagnostics, made.signature, made.lines)

    async def _compile_apart(self, job: Job) -> Compiled:
        most = 2 * job.max_output + 1  # the module, and where its lines are
        stdin = f"{job.entry}\0{job.text}".encode("utf-8", "surrogatepass")
        try:
            said = await apart.run(__name__, stdin, seconds=self.seconds, memory=self.memory, output=most)
        except ValueError as exc:
            return Compiled(None, (Diagnostic(0, 0, "error", str(exc), job.entry),))
        found = msgspec.msgpack.decode(said, type=_Answer)
        signature = None if found.signature is None else decode(found.signature)
        return Compiled(found.wasm, found.diagnostics, signature, found.lines)


class _Answer(msgspec.Struct):
    """What the process says."""

    wasm: bytes | None
    diagnostics: tuple[Diagnostic, ...]
    signature: bytes | None
    lines: bytes | None


_WARM: Final = "def warm(n: int) -> int:\n    return n * n\n"


def translate(text: str, name: str, *, constants: Mapping[str, Any] | None = None) -> Translation:
    """Compile a program; what it raises is a mistake of the compiler. `constants` are names it may use besides."""
    program: Program | None = None
    try:
        program = Program(source.parse(text), constants or {}, library())
        program.check()
        return _Build(program, library()).build(name)
    except (Refusal, SyntaxError) as problem:
        found = source.diagnose(problem, text, name)
    except RecursionError:
        found = Diagnostic(
            1, 1, "error", "the program is nested too deeply; split long expressions into statements", name
        )
    return Translation(None, (found,), functions={} if program is None else _shown(program))


class _Build:
    """One module while it is made: what functions are emitted into."""

    def __init__(self, program: Program, library: Library) -> None:
        self._program, self._library = program, library
        self._derivation = Derivation()
        self.packs = False
        self.raises, self.cores, self.piece = library.raises, library.cores, library.piece

    def build(self, name: str) -> Translation:
        program = self._program
        _mark_catchable(program.order)
        self.packs = packing.packs(program.order)
        signatures: dict[str, Signed] = {}
        exports: dict[str, Function | str] = {}
        warnings = []
        made = crossing.Crossing()
        for function in program.functions.values():
            if function.name.startswith("_") or function.file == kit.FILE:
                continue
            if program.answers and function.name == "handle":
                function = kit.handler(program, function)
            signed = crossing.signed(function)
            if isinstance(signed, str):
                message = f"{function.name}() is not exported: {signed}, which cannot cross the boundary"
                warnings.append(Diagnostic(function.line, 1, "warning", message, name))
                continue
            signatures[function.name] = signed
            exports[function.name] = made.export(function)
        if any(map(crossing.needs_memory, signatures.values())):
            exports[ALLOCATE] = crossing.export_allocate()
        kinds = [*(kind.__name__ for kind in BUILTIN), *program.exceptions]
        linked = Linker(self._emit, self._library.code, kinds).link(exports, name)
        signature = Signature("linear", NAME, signatures)
        return Translation(linked.wasm, tuple(warnings), signature, linked.lines, _shown(program))

    def expand(self, node: Expr) -> Expr:
        return self._derivation.expand(node)

    def _emit(self, function: Function) -> Code:
        return Emitter(function, self).emit()


def _mark_catchable(functions: list[Function]) -> None:
    """Mark what may be called, by however many steps, from a function that has a `try`."""
    waiting = [function for function in functions if function.tries]
    for function in waiting:
        function.catchable = True
    while waiting:
        for called in waiting.pop().calls:
            if not called.catchable:
                called.catchable = True
                waiting.append(called)


def _shown(program: Program) -> dict[str, str]:
    found = {}
    for function in program.order:
        if function.file == kit.FILE:
            continue
        params = ", ".join(f"{param.name}: {settle(param.type)}" for param in function.params)
        found[function.name] = f"{function.name}({params}) -> {settle(function.result)}"
    return found


def main() -> None:
    name, _, text = sys.stdin.buffer.read().decode("utf-8", "surrogatepass").partition("\0")
    made = translate(text, name)
    signature = None if made.signature is None else encode(made.signature)
    answer = _Answer(made.wasm, made.diagnostics, signature, made.lines)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
