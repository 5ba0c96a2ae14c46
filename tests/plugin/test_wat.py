"""WebAssembly text through the real assembler."""

from __future__ import annotations

import pytest

from echelon.errors import CompileError
from echelon.plugin.compilers.wat import diagnose
from echelon.plugin.generator import Generator
from echelon.runtime import binary

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADD = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'


async def test_text_becomes_a_module(generator: Generator) -> None:
    """The export is there with its type, and nothing was added to the bytes."""
    artifact = await generator.compile(ADD, "wat")
    info = binary.parse(artifact.wasm)
    assert str(info.exported_functions["add"]) == "(i32, i32) -> (i32)"
    assert (artifact.language, artifact.signature, info.custom) == ("wat", None, {})


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ('(module\n (func (export "a") (result i32)\n  i32.foo 1))', 3, 3, "unknown operator"),
        ("(module\n\n   (fnuc))", 3, 5, "expected valid module field"),
        ("(module (func call $nope))", 1, 20, "unknown func"),
        ('(module (memory 1) (data (i32.const 0) "\\zz"))', 1, 42, "invalid string escape"),
        ("", 1, 1, "expected at least one module field"),
    ],
)
async def test_errors_have_line_and_column(
    generator: Generator, source: str, line: int, column: int, message: str
) -> None:
    """The place is where the assembler stopped."""
    with pytest.raises(CompileError) as caught:
        await generator.compile(source, "wat")
    (problem,) = caught.value.diagnostics
    assert (problem.line, problem.column, problem.severity) == (line, column, "error")
    assert message in problem.message
    assert "\n" not in str(caught.value)


async def test_both_forms_of_the_assemblers_message_are_read() -> None:
    """Long lines are reported without a picture of the line."""
    problem = diagnose("item nesting too deep at <anon>:1:1102", "a.wat")
    assert (problem.line, problem.column, problem.message) == (1, 1102, "item nesting too deep")
    problem = diagnose("no place", "a.wat")
    assert (problem.line, problem.column, problem.message) == (0, 0, "no place")


DEEP = 100_000


async def test_deep_blocks_are_assembled(generator: Generator) -> None:
    """The assembler keeps its own stack: deep nesting of instructions is no danger here."""
    artifact = await generator.compile("(module (func " + "(block " * DEEP + ")" * DEEP + "))", "wat")
    assert len(artifact.wasm) > 3 * DEEP


async def test_a_text_module_is_one_file(generator: Generator) -> None:
    """Several files have no meaning here."""
    with pytest.raises(CompileError, match="one file"):
        await generator.compile({"a.wat": ADD, "b.wat": ADD}, "wat")
