"""An instance that is kept: its state, its memory, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.errors import DeadlineExceeded, FuelExhausted, FunctionNotFound, GuestError, LoadError, Trap
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.limits import Limits
from echelon.runtime.memory import OutOfBounds

COUNTER = """(module
  (memory (export "memory") 1 4)
  (global $n (mut i32) (i32.const 0))
  (func (export "next") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "fail") unreachable)
  (func (export "spin") (param i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))))
  (func (export "loop") (loop br 0)))"""

Wat = Callable[[str], bytes]


async def test_state_lives_as_long_as_the_instance(runtime: Runtime, wat: Wat) -> None:
    """Calls of one instance see each other's state, other instances do not."""
    module = await runtime.load(wat(COUNTER))
    async with module.instance() as one, module.instance() as two:
        assert [await one.call("next", 1) for _ in range(3)] == [1, 2, 3]
        assert await two.call("next", 5) == 5
        add = one.function("next")
        assert await add(10) == 13
    assert await module.call("next", 1) == 1


async def test_memory_is_checked(runtime: Runtime, wat: Wat) -> None:
    """Reads and writes inside the memory work, the rest raises and changes nothing; growth is seen."""
    module = await runtime.load(wat(COUNTER))
    async with module.instance() as live:
        live.memory.write(65535, b"\x2a")
        assert await live.call("peek", 65535) == 42
        assert live.memory.read(65534, 2) == b"\0\x2a"
        for pointer, length in ((65535, 2), (-1, 1), (0, -1), (1 << 40, 1), (0, 65537)):
            with pytest.raises(OutOfBounds, match="outside the guest's memory of 65536 bytes"):
                live.memory.read(pointer, length)
        with pytest.raises(OutOfBounds):
            live.memory.write(65535, b"ab")
        assert live.memory.read(65535, 1) == b"\x2a"
        await live.call("grow")
        assert live.memory.size == 2 * 65536
        live.memory.write(65536, b"z")
        kept = live.memory
    with pytest.raises(GuestError, match="closed"):
        kept.read(0, 1)
    with pytest.raises(GuestError, match="closed"):
        live.memory  # noqa: B018 - reading it is the test


async def test_closing(runtime: Runtime, wat: Wat) -> None:
    """A closed instance refuses calls, closing twice is a no-op, one that was not opened says so."""
    module = await runtime.load(wat(COUNTER))
    live = module.instance()
    with pytest.raises(GuestError, match="async with"):
        await live.call("next", 1)
    async with live:
        live.close()
        live.close()
        with pytest.raises(GuestError, match="closed"):
            await live.call("next", 1)


@pytest.mark.parametrize(("function", "error"), [("fail", Trap), ("loop", DeadlineExceeded)])
async def test_a_failure_ends_it(runtime: Runtime, wat: Wat, function: str, error: type[Exception]) -> None:
    """After a trap or a deadline the instance is gone, and its slot is free."""
    module = await runtime.load(wat(COUNTER), limits=Limits(time=0.1))
    async with module.instance() as live:
        with pytest.raises(error):
            await live.call(function)
        with pytest.raises(GuestError, match="dropped after a failure"):
            await live.call("next", 1)
        assert await runtime.drained()


async def test_bad_arguments_do_not_end_it(runtime: Runtime, wat: Wat) -> None:
    """A TypeError is the caller's mistake; the instance goes on."""
    module = await runtime.load(wat(COUNTER))
    async with module.instance() as live:
        for arguments in ((), ("x",), (2**40,)):
            with pytest.raises((TypeError, ValueError)):
                await live.call("next", *arguments)
        with pytest.raises(FunctionNotFound):
            await live.call("nope")
        assert await live.call("next", 1) == 1


async def test_each_call_has_its_own_deadline(runtime: Runtime, wat: Wat) -> None:
    """Many calls, each within its limit, may take longer together; long ones leave the loop."""
    module = await runtime.load(wat(COUNTER), limits=Limits(time=0.5))
    async with module.instance() as live:
        for _ in range(6):
            await live.call("spin", 100_000_000)
        await asyncio.sleep(0.01)
        assert await live.call("next", 1) == 1


async def test_calls_take_turns(runtime: Runtime, wat: Wat) -> None:
    """Calls made at the same time run one after another."""
    module = await runtime.load(wat(COUNTER), limits=Limits(time=5))
    async with module.instance() as live:
        spins = [asyncio.create_task(live.call("spin", 30_000_000)) for _ in range(3)]
        counts = [asyncio.create_task(live.call("next", 1)) for _ in range(5)]
        assert await asyncio.gather(*counts) == [1, 2, 3, 4, 5]
        await asyncio.gather(*spins)


async def test_run_and_fuel(runtime: Runtime, wat: Wat) -> None:
    """`run` gives the cost of this call; fuel is filled up for each."""
    module = await runtime.load(wat(COUNTER))
    async with module.instance(limits=Limits(fuel=10_000)) as live:
        first, second = await live.run("next", 1), await live.run("next", 1)
        assert (first.value, second.value) == (1, 2)
        assert first.cost.fuel == second.cost.fuel
        with pytest.raises(FuelExhausted):
            await live.call("spin", 1_000_000)


async def test_closing_the_runtime_ends_everything(code_directory: Path, wat: Wat) -> None:
    """A runtime that closes under kept instances and running guests ends them; nothing hangs or crashes."""
    async with Runtime(RuntimeSettings(instances=8, cache=code_directory, drain_time=0.1)) as runtime:
        module = await runtime.load(wat(COUNTER), limits=Limits(time=60))
        live = module.instance()
        await live.__aenter__()
        assert await live.call("next", 1) == 1
        loops = [asyncio.create_task(module.call("loop")) for _ in range(5)]
        await asyncio.sleep(0.05)
        await runtime.close()
    for loop in loops:
        with pytest.raises(LoadError, match="closed while the guest ran"):
            await loop
    with pytest.raises(GuestError, match="closed"):
        await live.call("next", 1)
