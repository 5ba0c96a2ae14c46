"""The life of the runtime and of its modules: states, events, draining, replacement, repeatable calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.errors import EchelonError, InvalidModule, LoadError
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.lifecycle import Events, Phase, StateChange
from echelon.runtime.limits import Limits
from echelon.runtime.module import State

Wat = Callable[[str], bytes]


def version(number: int) -> str:
    """Return a module whose `version` answers a number at once, and whose `slow` does so after some work."""
    return f"""(module
      (func (export "version") (result i32) i32.const {number})
      (func (export "slow") (param i32) (result i32) (local i32)
        (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
        i32.const {number}))"""


async def test_events_of_a_module(code_directory: Path, wat: Wat, tmp_path: Path) -> None:
    """Every step of the runtime and its modules is told, in order, with the failure that caused it."""
    (tmp_path / "bad.wasm").write_bytes(b"\0asm\x01\0\0\0\xff\0")
    runtime = Runtime(RuntimeSettings(instances=4, cache=code_directory))
    seen: list[StateChange] = []
    runtime.events.subscribe(seen.append)
    module = runtime.module(wat(version(1)), name="good")
    async with runtime:
        with pytest.raises(InvalidModule):
            await runtime.load(tmp_path / "bad.wasm")
        module.close()
    assert [(c.kind, c.name, c.after) for c in seen] == [
        ("runtime", "runtime", "running"),
        ("module", "good", "compiling"),
        ("module", "good", "ready"),
        ("module", "bad", "compiling"),
        ("module", "bad", "failed"),
        ("module", "good", "gone"),
        ("runtime", "runtime", "stopping"),
        ("runtime", "runtime", "stopped"),
    ]
    assert isinstance(seen[4].error, InvalidModule)


def test_a_listener_that_fails() -> None:
    """It disturbs neither the others nor what it is told of; one that left hears nothing."""
    events, heard = Events(), list[str]()

    def broken(change: StateChange) -> None:
        raise ValueError(change.name)

    events.subscribe(broken)
    listener = events.subscribe(lambda change: heard.append(change.after))
    events.tell("module", "m", "a", "b")
    events.unsubscribe(listener)
    events.unsubscribe(listener)
    events.tell("module", "m", "b", "c")
    assert heard == ["b"]


async def test_hot_replacement(runtime: Runtime, wat: Wat) -> None:
    """New calls take the new code at once, running ones and kept instances end on the old, which is then freed."""
    module = await runtime.load(wat(version(1)), limits=Limits(time=20))
    old = module.digest
    running = [asyncio.create_task(module.call("slow", 200_000_000)) for _ in range(3)]
    async with module.instance() as kept:
        await asyncio.sleep(0.02)
        await module.replace(wat(version(2)))
        assert await module.call("version") == 2
        assert await kept.call("version") == 1
        assert module.digest != old
        assert runtime.modules == 2
        assert await asyncio.gather(*running) == [1, 1, 1]
    assert await runtime.drained()
    assert runtime.modules == 1


async def test_a_failed_replacement_changes_nothing(runtime: Runtime, wat: Wat) -> None:
    """Bad code in a replacement leaves the module as it was."""
    module = await runtime.load(wat(version(1)))
    with pytest.raises(EchelonError):
        await module.replace(b"\0asm\x01\0\0\0\xff\0")
    assert (module.state, await module.call("version")) == (State.READY, 1)


async def test_replacement_under_load(runtime: Runtime, wat: Wat) -> None:
    """Calls all the while are answered by one version or the next, none fails."""
    module = await runtime.load(wat(version(1)))
    answers: list[int] = []

    async def caller() -> None:
        while len(answers) < 600:
            answers.append(await module.call("version"))
            await asyncio.sleep(0)

    callers = [asyncio.create_task(caller()) for _ in range(4)]
    for number in range(2, 6):
        await module.replace(wat(version(number)))
    await asyncio.gather(*callers)
    assert answers == sorted(answers)
    assert set(answers) <= {1, 2, 3, 4, 5}


async def test_draining_a_module(runtime: Runtime, wat: Wat) -> None:
    """A draining module refuses new calls, and those that run end."""
    module = await runtime.load(wat(version(1)), limits=Limits(time=20))
    running = asyncio.create_task(module.call("slow", 100_000_000))
    await asyncio.sleep(0.02)
    drained = asyncio.create_task(module.drain())
    await asyncio.sleep(0)
    assert module.state is State.DRAINING
    with pytest.raises(LoadError, match="takes no more calls"):
        await module.call("version")
    assert await drained
    assert await running == 1
    assert module.state is State.GONE


async def test_the_runtime_drains_when_it_closes(code_directory: Path, wat: Wat) -> None:
    """Calls that run when a runtime closes end with their result; new ones are refused."""
    runtime = Runtime(RuntimeSettings(instances=4, cache=code_directory))
    async with runtime:
        module = await runtime.load(wat(version(7)), limits=Limits(time=20))
        running = asyncio.create_task(module.call("slow", 100_000_000))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(runtime.close())
        await asyncio.sleep(0)
        assert runtime.phase is Phase.STOPPING
        with pytest.raises(LoadError, match="stopping"):
            await module.call("version")
        await closing
        assert await running == 7


RANDOM = """(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "random") (result i64) (drop (call $random (i32.const 0) (i32.const 8))) (i64.load (i32.const 0)))
  (func (export "now") (result i64)
    (drop (call $time (i32.const 0) (i64.const 1) (i32.const 0))) (i64.load (i32.const 0)))
  (func (export "nan") (param f64 f64) (result i64)
    (i64.reinterpret_f64 (f64.div (local.get 0) (local.get 1)))))"""


async def test_deterministic_calls(runtime: Runtime, wat: Wat) -> None:
    """With a seed the same call gives the same result, bit for bit; without one it does not."""
    module = await runtime.load(wat(RANDOM))
    for function in ("random", "now"):
        assert len({await module.call(function, seed=7) for _ in range(5)}) == 1
    assert await module.call("random", seed=7) != await module.call("random", seed=8)
    assert len({await module.call("random") for _ in range(5)}) == 5
    assert await module.call("nan", 0.0, 0.0, seed=1) == 0x7FF8000000000000
    async with module.instance(seed=7) as one, module.instance(seed=7) as two:
        assert [await one.call("random") for _ in range(4)] == [await two.call("random") for _ in range(4)]


async def test_a_failed_start_leaves_nothing(code_directory: Path, tmp_path: Path) -> None:
    """A runtime whose module cannot be loaded stops again, with the reason."""
    runtime = Runtime(RuntimeSettings(instances=4, cache=code_directory))
    runtime.module(tmp_path / "missing.wasm")
    with pytest.raises(LoadError, match="missing"):
        await runtime.start()
    assert not runtime.running
    assert runtime.phase is Phase.STOPPED
