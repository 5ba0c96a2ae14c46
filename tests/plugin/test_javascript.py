"""JavaScript: bundled in confinement, run by an engine that all scripts share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Limits, Runtime
from echelon.errors import CompileError, DeadlineExceeded, GuestError, PermissionDenied, Trap
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator
from echelon.runtime.module import Module

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = """
import { kv, env } from "echelon";
export function add(a, b) { return a + b }
export function echo(value) { return value }
export async function later(value) {
  await new Promise((done) => setTimeout(done, 1)); console.log("at", value); return value
}
export async function all(n) { return Promise.all(Array.from({ length: n }, async (_, i) => i * i)) }
export function bad() { throw new TypeError("no such thing") }
export function loop() { for (;;); }
export function deep() { return deep() + 1 }
export function greedy() { const kept = []; for (;;) kept.push(new Uint8Array(1 << 20)) }
export async function stuck() { await new Promise(() => {}) }
export async function spin() { for (;;) await null }
export async function count() { await kv.set(["js", "n"], 41); return (await kv.get(["js", "n"])).value + 1 }
export function variable() { return env.get("HOME") }
export function numbers() { return [Math.random(), Date.now()] }
export function pollute() {
  Object.prototype.then = 1; Array.prototype.push = null; JSON.stringify = () => "x"; globalThis.Promise = null;
  Map.prototype.get = () => null; String.prototype.charCodeAt = null;
  return { fine: true };
}
export function getter() { return { get x() { throw new Error("in a getter") } } }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A running runtime whose generator knows JavaScript."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator([JavaScript(home)], store) as generator, Runtime(generator=generator) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(runtime: Runtime) -> Module:
    """The script that most tests call."""
    return await runtime.load(SOURCE, language="javascript")


async def test_a_function_takes_and_returns_values(script: Module) -> None:
    """Values of JSON cross as they are, bytes and large whole numbers as themselves."""
    assert await script.call("add", 1, 2) == 3
    value = {"text": "é💥", "bytes": b"\0\xff", "large": 2**70, "list": [None, True, 1.5]}
    assert await script.call("echo", value) == value


async def test_promises_and_timers_are_waited_for(script: Module) -> None:
    """An async function settles before its value is returned; what it logged is kept."""
    outcome = await script.run("later", "x")
    assert (outcome.value, outcome.logs[0].message) == ("x", "at x")
    assert await script.call("all", 4) == [0, 1, 4, 9]


async def test_what_a_script_throws_is_an_error(script: Module) -> None:
    """An exception carries its name, its message and the functions it passed."""
    with pytest.raises(Trap, match=r"TypeError: no such thing \(at bad"):
        await script.call("bad")
    with pytest.raises(Trap, match="in a getter"):
        await script.call("getter")


@pytest.mark.parametrize("function", ["loop", "spin"])
async def test_an_endless_script_ends_at_its_deadline(script: Module, function: str) -> None:
    """Neither a loop nor an endless row of promises outlasts the time limit."""
    with pytest.raises(DeadlineExceeded):
        await script.call(function, limits=Limits(time=0.3))


@pytest.mark.parametrize("function", ["deep", "greedy", "stuck"])
async def test_a_hostile_script_fails_alone(script: Module, function: str) -> None:
    """Too deep a recursion, too much memory and a wait for nothing are errors of that call only."""
    with pytest.raises(GuestError):
        await script.call(function, limits=Limits(memory=16 << 20, time=5))
    assert await script.call("add", 1, 2) == 3


async def test_a_script_cannot_break_the_host_script(script: Module) -> None:
    """Changing the globals changes nothing of how the host is spoken to, in this instance or another."""
    async with script.instance() as live:
        assert await live.call("pollute") == {"fine": True}
        assert await live.call("add", 1, 2) == 3
    assert await script.call("all", 3) == [0, 1, 4]


async def test_a_seed_makes_a_call_repeatable(script: Module) -> None:
    """Random numbers and the clock follow from the seed."""
    assert await script.call("numbers", seed=7) == await script.call("numbers", seed=7)
    assert await script.call("numbers", seed=7) != await script.call("numbers", seed=8)


async def test_what_is_not_granted_is_denied(script: Module) -> None:
    """The store and the environment need a grant, as for every guest."""
    for function in ("count", "variable"):
        with pytest.raises(PermissionDenied):
            await script.call(function)


async def test_typescript_and_several_files_are_bundled(runtime: Runtime) -> None:
    """Types are left out, and files of the job import each other."""
    generator = await runtime.generator()
    files = {
        "main.tsx": "import { two } from './two'; export const f = (): number => two",
        "two.ts": "export const two = 2",
    }
    artifact = await generator.compile(files, "javascript")
    assert await (await runtime.load(artifact.wasm)).call("f") == 2


@pytest.mark.parametrize(
    "source", ['import "/etc/passwd"', 'import x from "react"; x()', 'import "../../../etc/hosts"']
)
async def test_nothing_outside_of_the_job_is_imported(runtime: Runtime, source: str) -> None:
    """An import that leaves the job's files is an error at its line."""
    with pytest.raises(CompileError) as failed:
        await runtime.load(source, language="javascript")
    assert failed.value.diagnostics[0].line == 1
    assert "root:" not in str(failed.value)


async def test_bad_source_is_a_diagnostic_at_its_place(runtime: Runtime) -> None:
    """A mistake in the syntax has the line and the column where it is."""
    with pytest.raises(CompileError) as failed:
        await runtime.load("export const a = 1\nexport const = 2", language="javascript")
    assert (failed.value.diagnostics[0].line, failed.value.diagnostics[0].column) == (2, 14)
