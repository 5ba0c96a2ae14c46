"""Hostile sources of WebAssembly text: each is an error, or ends within its limits, and nothing stays of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hostile_source_kit import watched

from echelon.errors import CompileError
from echelon.plugin.compiler import Job
from echelon.plugin.compilers import apart, wat
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

SOURCE = 1 << 20
DEEP = 100_000


def filled(begin: str, unit: str, end: str) -> str:
    """Return the longest accepted text that repeats a unit."""
    return begin + unit * ((SOURCE - len(begin) - len(end)) // len(unit)) + end


def far(depth: int, size: int = SOURCE) -> str:
    """Return blocks and branches to the outermost of them, which is looked for block by block."""
    begin, nested, end = "(module (func (block $b ", "(block $c " * depth, ")" * depth + ")))"
    return begin + nested + "br $b " * ((size - len(begin + nested + end)) // 6) + end


HOSTILE = {
    "open lists": ("(" * DEEP, "expected valid module field"),
    "open lists in a module": ("(module " + "(" * DEEP, "expected"),
    "open comments": ("(;" * DEEP, "comment"),
    "open text": ('(module (memory 1) (data (i32.const 0) "' + "\\00" * DEEP, "end-of-file"),
    "deep components": ("(component " * 50_000, "too deep"),
    "deep types": ("(module (rec " + "(type " * DEEP, "expected"),
    "deep expressions": ("(module (func (drop " + "(i32.eqz " * DEEP + "(i32.const 1)" + ")" * DEEP + ")", "expected"),
    "deep labels that are not there": ("(module (func " + "(block " * 50_000 + "br $b " * 50_000, "expected"),
    "no text": ("\0" * 1000, "unexpected character"),
    "no module": ('(module binary "not a module at all")', "not accepted"),
    "unfinished module": ('(module binary "\\00asm\\01\\00\\00\\00' + "\\01" * DEEP + '")', "not accepted"),
    "component of nothing": ('(component (core module (import "m" "f" (func (param)', "expected"),
    "number out of range": (filled("(module (func f64.const 0x", "f", "p0 drop))"), "out of range"),
    "name that is not there": (filled("(module ", "(func call $a)", ")"), "failed to find name"),
    "functions": (filled("(module ", "(func)", ")"), "functions, at most 60000"),
    "types": (filled("(module ", "(type (func))", ")"), "types, at most 20000"),
    "parameters": (filled("(module (type (func (param ", "i32 ", "))))"), "at most 256"),
    "globals": (filled("(module ", "(global i32 (i32.const 0))", ")"), "globals, at most 10000"),
    "exports": ("(module (func)" + "".join(f'(export "{n}" (func 0))' for n in range(20_000)) + ")", "at most 10000"),
    "imports": (filled("(module ", '(import "" "" (func))', ")"), "imports, at most 1000"),
    "memories": ("(module " + "(memory 1)" * 1000 + ")", "memories, at most 1"),
    "huge memory": ("(module (memory i64 0xffffffffffff))", "64-bit"),
    "huge table": ("(module (table 0xffffffff funcref))", "at most 1000000"),
    "tables": ("(module " + "(table 1000000 funcref)" * 100 + ")", "tables, at most 16"),
    "data segments": (filled("(module (memory 1) ", '(data "")', ")"), "data segments, at most 50000"),
    "elements beyond the table": (
        filled("(module (table 1 funcref) (func) (elem (i32.const 0) func ", "0 ", "))"), "of a table of 1",
    ),
    "elements that are computed": (
        filled("(module (table 200000 funcref) (elem (i32.const 0) funcref ", "(ref.null func)", "))"),
        "more than 10000 elements",
    ),
    "element segments at computed places": (
        filled("(module (global $g i32 (i32.const 0)) (table 9 funcref) (func) ", "(elem (global.get $g) 0)", ")"),
        "more than 10000 elements",
    ),
    "custom sections": (filled("(module ", '(@custom "a" "")', ")"), "custom sections"),
    "long name of an export": (filled('(module (func (export "', "\\u{10ffff}", '")))'), "at most 4096"),
    "structs": (filled("(module (type (struct ", "(field i32)", ")))"), "garbage collection"),
    "supertypes": (
        "(module (type $t0 (sub (func)))"
        + "".join(f"(type $t{n} (sub $t{n - 1} (func)))" for n in range(1, 20_000)) + ")",
        "garbage collection",
    ),
    "handlers": ("(module (tag) (func " + "(try_table (catch 0 0) " * 20_000 + ")" * 20_000 + "))", "not enabled"),
    "half of a module": ("(module (func", "expected"),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    async with Generator([Wat()], tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_is_an_error(generator: Generator, name: str) -> None:
    """Nothing that a stranger writes crashes the process or becomes a module that is not accepted."""
    source, expected = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(CompileError) as caught:
        await generator.compile(source, "wat")
    assert time.monotonic() - began < 20
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(caught.value.diagnostics) <= 1


BOMBS = {
    "far labels": far(60_000),
    "imports of a component": "(component " + "".join(f'(import "a{n}" (func))' for n in range(42_000)) + ")",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_text_that_takes_long_is_stopped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes time by the square of its size is ended, the loop goes on, and no file stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    compiled, longest = await watched(Wat(seconds=2).compile(Job({"a.wat": BOMBS[name]}, "a.wat")))
    assert compiled.wasm is None
    assert compiled.diagnostics[0].message == "the compiler was stopped: it took longer than 2 s"
    assert longest < 1
    assert list(tmp_path.iterdir()) == []


async def test_text_that_is_assembled_here_is_quick() -> None:
    """The longest text that no other process assembles takes a moment, whatever it says."""
    text = far(4_000, apart.SMALL)
    assert len(text) <= apart.SMALL
    began = time.process_time()
    assert wat.assemble(text)
    assert time.process_time() - began < 2


async def test_cancelling_ends_the_assembler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on burning for an answer nobody wants."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    compiling = asyncio.create_task(Wat().compile(Job({"a.wat": far(60_000)}, "a.wat")))
    before = _children()
    await asyncio.sleep(1)
    assert len(_children() - before) == 1
    compiling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await compiling
    assert list(tmp_path.iterdir()) == []
    assert _children() == before


def _children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for path in tasks for pid in path.read_text().split()}


async def test_a_module_that_is_too_large_is_not_handed_over() -> None:
    """The bound of the job holds while it is made."""
    source = '(module (memory 10) (data (i32.const 0) "' + "a" * 500_000 + '"))'
    compiled = await Wat().compile(Job({"a.wat": source}, "a.wat", max_output=1 << 16))
    assert compiled.wasm is None
    assert "it printed more than" in compiled.diagnostics[0].message


async def test_large_text_is_assembled_like_small(generator: Generator) -> None:
    """Module and messages do not depend on which process made them."""
    small = '(module (func (export "a") (result i32) i32.const 7))'
    large = small + " " * 2 * apart.SMALL
    assert (await generator.compile(large, "wat")).wasm == (await generator.compile(small, "wat")).wasm
    with pytest.raises(CompileError) as caught:
        await generator.compile("(module\n  (fnuc))" + " " * 2 * apart.SMALL, "wat")
    (problem,) = caught.value.diagnostics
    assert (problem.line, problem.column, problem.severity) == (2, 4, "error")
