"""A compiler of one's own, and the generator without an application. Type-checked, never run."""

from pathlib import Path
from typing import assert_type

from echelon import Application
from echelon.errors import Diagnostic
from echelon.plugin.artifacts import Artifact
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.generator import Generator
from echelon.runtime.signature import Function, Signature, Value


class Upper(Compiler):
    name = "upper"
    suffixes = (".upper",)

    def probe(self) -> Probe:
        return Probe(found=True, version="1")

    async def compile(self, job: Job) -> Compiled:
        if not job.text:
            return Compiled(None, (Diagnostic(1, 1, "error", "nothing to compile", job.entry),))
        answer = Function("answer", (Value("i32", "n"),), (Value("i32"),))
        return Compiled(b"", (), Signature(exports={"answer": answer}))


class Plain:
    """Not derived from Compiler, and one all the same."""

    name = "plain"
    suffixes: tuple[str, ...] = ()

    def probe(self) -> Probe:
        return Probe(found=False, install="pip install plain")

    async def warm(self) -> None: ...

    async def compile(self, job: Job) -> Compiled:
        return Compiled(b"")

    async def close(self) -> None: ...


Application().generator.register(Upper())
Application().generator.register(Plain())


async def use() -> None:
    async with Generator(artifacts=Path("artifacts")) as generator:
        artifact = await generator.compile("x", language="upper", optimize="size", name="x.upper")
        assert_type(artifact, Artifact)
        assert_type(artifact.signature, Signature | None)
        await generator.compile({"main.ts": "", "other.ts": ""})
        await generator.compile("x", optimize="fastest")  # type: ignore[arg-type]  # there are three levels
        generator.register(object())  # type: ignore[arg-type]  # not a compiler
