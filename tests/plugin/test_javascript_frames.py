"""Errors of scripts name the places in the author's files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Runtime
from echelon.errors import CompileError, Trap
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator
from echelon.runtime.module import Module
from echelon.runtime.script_map import MAX_BYTES, MAX_FRAMES, Place, ScriptMap, encode, read_frames

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = {
    "main.ts": """import { check } from "./lib/check";
interface Order { total: number }

export function order(value: Order): number {
  return check(value.total);
}
export async function later(value: Order) {
  await null;
  return [1].map(() => check(value.total));
}
export const reject = () => Promise.reject(new RangeError("rejected"));
export const text = () => { throw "only text" };
export const deep = (n: number): number => n ? deep(n - 1) + 1 : check(-1);
""",
    "lib/check.ts": """// A comment.
export function check(total: number): number {
  const é = "💥"; if (total < 0) { throw new RangeError(`negative: ${total}`) }
  return total;
}
""",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A running runtime whose generator knows JavaScript."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator([JavaScript(home)], store) as generator, Runtime(generator=generator) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(runtime: Runtime) -> Module:
    generator = await runtime.generator()
    return await runtime.load((await generator.compile(FILES, "javascript")).wasm)


async def failure(module: Module, function: str, *arguments: object) -> Trap:
    with pytest.raises(Trap) as failed:
        await module.call(function, *arguments)
    return failed.value


async def test_frames_are_at_the_lines_of_the_files(script: Module) -> None:
    """Function, file, line and column of every level, innermost first, through an imported file."""
    error = await failure(script, "order", {"total": -5})
    assert [(f.function, f.file, f.line) for f in error.frames] == [
        ("check", "lib/check.ts", 3),
        ("order", "main.ts", 5),
    ]
    text = FILES["lib/check.ts"].splitlines()[2].encode("utf-16-le")
    column = error.frames[0].column
    assert column is not None
    assert "throw new RangeError(`negative: ${total}`)" in text[: 2 * column + 20].decode("utf-16-le")
    assert b"t\0h\0r\0o\0w" not in text[2 * column :]
    assert str(error).startswith("the script threw RangeError: negative: -5 (at check (lib/check.ts:3:")


async def test_frames_of_asynchronous_functions(script: Module) -> None:
    """What is thrown in a continuation has the frames from there."""
    error = await failure(script, "later", {"total": -1})
    assert [(f.file, f.line) for f in error.frames if f.file] == [
        ("lib/check.ts", 3),
        ("main.ts", 9),
        ("main.ts", 9),
    ]
    error = await failure(script, "reject")
    assert (error.frames[0].file, error.frames[0].line) == ("main.ts", 11)


async def test_what_is_no_error_has_no_frames(script: Module) -> None:
    """A thrown text says itself and no place."""
    error = await failure(script, "text")
    assert (str(error), error.frames) == ("the script threw only text", ())


async def test_frames_are_bounded(script: Module) -> None:
    """A deep recursion shows its innermost levels."""
    error = await failure(script, "deep", 400)
    assert 5 <= len(error.frames) <= MAX_FRAMES
    assert error.frames[0].file == "lib/check.ts"


async def test_code_at_the_top_has_its_place(runtime: Runtime) -> None:
    """So has the first line, which the engine sees behind a wrapper."""
    module = await runtime.load(
        "throw new Error('first'); export const f = 1", language="javascript", name="a.js"
    )
    generator = await runtime.generator()
    artifact = await generator.compile({"top.js": "export const f = () => 1;\n\n  null.x"}, "javascript")
    module = await runtime.load(artifact.wasm)
    error = await failure(module, "f")
    assert (error.frames[0].file, error.frames[0].line) == ("top.js", 3)


async def test_a_module_without_names_has_no_places(runtime: Runtime) -> None:
    """Names and lines are left out when that is asked for."""
    generator = await runtime.generator()
    artifact = await generator.compile(FILES, "javascript", names=False)
    error = await failure(await runtime.load(artifact.wasm), "order", {"total": -1})
    assert [frame.file for frame in error.frames] == [None, None]


async def test_a_mistake_names_the_file_that_has_it(runtime: Runtime) -> None:
    """A syntax error in an imported file is at its line and column there."""
    generator = await runtime.generator()
    files = {"main.js": 'import "./lib/b.js"', "lib/b.js": "const a = 1;\nconst = 2"}
    with pytest.raises(CompileError) as failed:
        await generator.compile(files, "javascript")
    found = failed.value.diagnostics[0]
    assert (found.file, found.line, found.column) == ("lib/b.js", 2, 7)


async def test_a_map_says_where_a_place_is_from() -> None:
    """The nearest place before a column holds for it; a line has the places of its own only."""
    places = ScriptMap(encode(["a.js", "b.js"], "AAAA,SAAS;;ACEG;AAAA,C"))
    assert places.find(1, 1) == Place("a.js", 1, 1)
    assert places.find(1, 9) == places.find(1, 10) == Place("a.js", 1, 1) or places.find(1, 10) == Place(
        "a.js", 1, 10
    )
    assert places.find(2, 1) is None
    assert places.find(3, 5) == Place("b.js", 3, 13)
    assert places.find(9, 1) is places.find(0, 1) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        encode(["a"], "!"),
        encode(["a"], "g"),
        encode(["a"], "AAAAAAAA"),
        encode(["a"], "gggggggggggggggC"),
        encode(["a"], "D"),
        encode(["a"], "AADA"),
        encode([], "ACAA"),
        encode(["a"], "A" * MAX_BYTES),
    ],
    ids=range(11),
)
async def test_a_map_that_lies_says_nothing(content: bytes) -> None:
    """Whatever the section holds, no place is found and nothing is raised."""
    assert ScriptMap(content).find(1, 1) is None


async def test_a_stack_that_lies_is_read_as_text() -> None:
    """A script may write what it likes into the stack of an error."""
    stack = (
        "at f (script.js:1:1)\n  at x (script.js:99999999999999:5)\nat\nat (\n at y (a b c)\nat z\n" * 1000
    )
    frames = read_frames(stack, ScriptMap(encode(["a.js"], "AAAA")))
    assert 0 < len(frames) <= MAX_FRAMES
    assert all(frame.file is None for frame in frames)
