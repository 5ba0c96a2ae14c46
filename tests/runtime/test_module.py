"""Calls of a module: values, errors, limits, concurrency, cancellation."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.errors import (
    Busy,
    ConfigError,
    DeadlineExceeded,
    FuelExhausted,
    FunctionNotFound,
    InvalidModule,
    LinkError,
    LoadError,
    MemoryExceeded,
    Trap,
)
from echelon.runtime import executor
from echelon.runtime.abi import Reference
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.limits import Limits
from echelon.runtime.module import State

Wat = Callable[[str], bytes]

NUMBERS = """(module
  (func (export "i32") (param i32) (result i32) local.get 0)
  (func (export "i64") (param i64) (result i64) local.get 0)
  (func (export "f32") (param f32) (result f32) local.get 0)
  (func (export "f64") (param f64) (result f64) local.get 0)
  (func (export "v128") (param v128) (result v128) local.get 0)
  (func (export "three") (param i32 i64 f64) (result f64 i64 i32) local.get 2 local.get 1 local.get 0)
  (func (export "nothing"))
  (func (export "reference") (param externref)))"""

TROUBLE = """(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func $loop (export "loop") (loop br 0))
  (func (export "divide") (param i32) (result i32) i32.const 1 local.get 0 i32.div_s)
  (func (export "unreachable") unreachable)
  (func $deep (export "deep") call $deep)
  (func (export "load") (param i32) (result i32) local.get 0 i32.load)
  (func (export "grow") (loop (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (br 0)))
  (func (export "try_grow") (result i32) (memory.grow (i32.const 60000)))
  (func (export "inner") call $loop))"""

COUNTING = """(module (func (export "count") (param i32) (result i32) (local i32)
  (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
  local.get 1))"""


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("i32", 0), ("i32", -(2**31)), ("i32", 2**31 - 1), ("i64", -(2**63)), ("i64", 2**63 - 1),
        ("f32", 0.5), ("f32", -math.inf), ("f64", 1.1), ("f64", math.inf), ("f64", 5e-324),
        ("v128", bytes(range(16))),
    ],
)  # fmt: skip
async def test_values_pass_through_exactly(
    runtime: Runtime, wat: Wat, function: str, value: int | float | bytes
) -> None:
    """Each core type crosses the boundary and back unchanged, at its extremes too."""
    module = await runtime.load(wat(NUMBERS))
    result = await module.call(function, value)
    assert result == value
    assert type(result) is type(value)


async def test_nan_and_integers_for_floats(runtime: Runtime, wat: Wat) -> None:
    """NaN stays NaN, and an int is welcome where a float is."""
    module = await runtime.load(wat(NUMBERS))
    assert math.isnan(await module.call("f64", math.nan))
    assert await module.call("f64", 3) == 3.0


async def test_several_results_are_a_tuple(runtime: Runtime, wat: Wat) -> None:
    """Several results come as a tuple, none as None."""
    module = await runtime.load(wat(NUMBERS))
    assert await module.call("three", 1, 2, 3.5) == (3.5, 2, 1)
    assert await module.call("nothing") is None
    assert await module.three(1, 2, 3.5) == (3.5, 2, 1)


async def test_references(runtime: Runtime, wat: Wat) -> None:
    """None is the null reference both ways; a reference to something of the guest is opaque."""
    module = await runtime.load(
        wat(
            """(module
              (elem declare func $f)
              (func $f (export "same") (param externref funcref) (result externref funcref)
                local.get 0 local.get 1)
              (func (export "own") (result funcref) ref.func $f))"""
        )
    )
    assert await module.call("same", None, None) == (None, None)
    assert await module.call("own") == Reference("funcref")


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        ("i32", (), TypeError, r"i32\(i32\) -> i32 takes 1 argument, 0 given"),
        ("i32", (1, 2), TypeError, "takes 1 argument, 2 given"),
        ("i32", ("1",), TypeError, r"argument 1 \(i32\): expected int, got str"),
        ("i32", (1.0,), TypeError, "expected int, got float"),
        ("i32", (None,), TypeError, "expected int, got NoneType"),
        ("i32", (2**31,), ValueError, "2147483648 is out of range"),
        ("i32", (-(2**31) - 1,), ValueError, "out of range"),
        ("i64", (2**63,), ValueError, "out of range"),
        ("f32", (1e39,), ValueError, "argument 1"),
        ("f64", ("x",), TypeError, "expected float, got str"),
        ("f64", (10**400,), ValueError, "argument 1"),
        ("three", (1, 2, "x"), TypeError, "argument 3"),
        ("v128", (b"short",), TypeError, "argument 1"),
        ("reference", (1,), TypeError, r"argument 1 \(externref\): expected None, got int"),
    ],
)
async def test_bad_arguments(
    runtime: Runtime,
    wat: Wat,
    function: str,
    arguments: tuple[object, ...],
    error: type[Exception],
    message: str,
) -> None:
    """A wrong count, type or range is a clear error before anything runs, and the pool is unharmed."""
    module = await runtime.load(wat(NUMBERS))
    with pytest.raises(error, match=message):
        await module.call(function, *arguments)


async def test_an_unknown_function(runtime: Runtime, wat: Wat) -> None:
    """The error names the functions there are."""
    module = await runtime.load(wat(TROUBLE))
    with pytest.raises(FunctionNotFound, match='no function "ad"; it exports add,'):
        await module.call("ad", 1, 2)
    with pytest.raises(AttributeError):
        module.ad  # noqa: B018 - reading it is the test


@pytest.mark.parametrize(
    ("function", "arguments", "code"),
    [
        ("divide", (0,), "integer-division-by-zero"),
        ("unreachable", (), "unreachable"),
        ("deep", (), "stack-overflow"),
        ("load", (-1,), "memory-out-of-bounds"),
    ],
)
async def test_traps(
    runtime: Runtime, wat: Wat, function: str, arguments: tuple[int, ...], code: str
) -> None:
    """A trap has its code, the guest's stack and the cost, and harms no other call."""
    module = await runtime.load(wat(TROUBLE))
    with pytest.raises(Trap) as caught:
        await module.call(function, *arguments)
    assert caught.value.code == code
    assert caught.value.frames[0].function == function
    assert caught.value.outcome is not None
    assert caught.value.outcome.cost.memory == 65536
    assert await module.call("add", 1, 2) == 3


async def test_frames_are_named(runtime: Runtime, wat: Wat) -> None:
    """Frames carry the names of the name section, innermost first."""
    module = await runtime.load(wat('(module (func $in unreachable) (func $out (export "f") call $in))'))
    with pytest.raises(Trap, match="in in") as caught:
        await module.call("f")
    assert [frame.function for frame in caught.value.frames] == ["in", "out"]


async def test_the_deadline_cuts_a_loop(runtime: Runtime, wat: Wat) -> None:
    """An endless loop ends with DeadlineExceeded, and its time is that of the limit."""
    module = await runtime.load(wat(TROUBLE))
    with pytest.raises(DeadlineExceeded, match="100 ms") as caught:
        await module.call("inner", limits=Limits(time=0.1))
    assert caught.value.limit == 0.1
    assert caught.value.outcome is not None
    assert caught.value.outcome.cost.wall >= 0.1


async def test_the_deadline_holds_where_processors_are_scarce(
    runtime: Runtime, wat: Wat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that gets no processor for long, just before it lets a guest go on, does not make that guest endless."""

    def held_up() -> float:
        time.sleep(0.25)
        return time.thread_time()

    module = await runtime.load(wat(TROUBLE))
    monkeypatch.setattr(executor, "thread_time", held_up)
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(module.call("loop", limits=Limits(time="1s")), 30)


async def test_the_loop_goes_on_while_guests_run(runtime: Runtime, wat: Wat) -> None:
    """Other tasks are served while more guests than threads run endless loops."""
    module = await runtime.load(wat(TROUBLE))
    guests = [asyncio.create_task(module.call("loop", limits=Limits(time=0.3))) for _ in range(6)]
    turns = 0
    while not all(guest.done() for guest in guests):
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 20
    for guest in guests:
        with pytest.raises(DeadlineExceeded):
            await guest


async def test_a_start_function_is_under_the_deadline(runtime: Runtime, wat: Wat) -> None:
    """A loop in the start function does not run when the module is loaded, and is cut when it is called."""
    module = await runtime.load(wat('(module (func $s (loop br 0)) (start $s) (func (export "f")))'))
    with pytest.raises(DeadlineExceeded):
        await module.call("f", limits=Limits(time=0.05))


async def test_memory_limit(runtime: Runtime, wat: Wat) -> None:
    """A guest that gives up because its memory cannot grow is MemoryExceeded; one that copes goes on."""
    module = await runtime.load(wat(TROUBLE))
    with pytest.raises(MemoryExceeded, match="16777216 bytes") as caught:
        await module.call("grow", limits=Limits(memory="16MiB"))
    assert caught.value.limit == 16 << 20
    assert caught.value.outcome is not None
    assert 15 << 20 < caught.value.outcome.cost.memory <= 16 << 20
    assert await module.call("try_grow") == -1


async def test_more_memory_at_start_than_allowed(runtime: Runtime, wat: Wat) -> None:
    """A module that begins with more memory than its limit is MemoryExceeded, not an engine error."""
    module = await runtime.load(
        wat('(module (memory 100) (func (export "f")))'), limits=Limits(memory="1MiB")
    )
    with pytest.raises(MemoryExceeded):
        await module.call("f")


async def test_its_own_maximum(runtime: Runtime, wat: Wat) -> None:
    """When the module's own maximum is what stops it, the message says so."""
    module = await runtime.load(
        wat(
            '(module (memory 1 2) (func (export "f")'
            " (if (i32.eq (memory.grow (i32.const 5)) (i32.const -1)) (then unreachable))))"
        )
    )
    with pytest.raises(MemoryExceeded, match="declares as maximum"):
        await module.call("f")


async def test_fuel_is_exact(runtime: Runtime, wat: Wat) -> None:
    """The same call always uses the same fuel, less does not suffice, and without a limit none is counted."""
    module = await runtime.load(wat(COUNTING))
    used = (await module.run("count", 1000, limits=Limits(fuel=100_000))).cost.fuel
    assert used is not None
    assert used > 1000
    for _ in range(3):
        outcome = await module.run("count", 1000, limits=Limits(fuel=used))
        assert (outcome.value, outcome.cost.fuel) == (1000, used)
    with pytest.raises(FuelExhausted, match=f"its {used // 2} units") as caught:
        await module.call("count", 1000, limits=Limits(fuel=used // 2))
    assert caught.value.limit == used // 2
    assert (await module.run("count", 1000)).cost.fuel is None


async def test_stack_limit(runtime: Runtime, wat: Wat) -> None:
    """A smaller stack overflows earlier."""
    depth = """(module (global $n (mut i32) (i32.const 0))
      (func $f (export "f") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7)))))"""
    module = await runtime.load(wat(depth))
    assert await module.call("f", 3000) == 7
    with pytest.raises(Trap, match="stack"):
        await module.call("f", 3000, limits=Limits(stack="64KiB"))


async def test_limits_only_narrow(runtime: Runtime, wat: Wat) -> None:
    """A call cannot have more than its module, and no module more than the runtime."""
    module = await runtime.load(wat(TROUBLE), limits=Limits(time=0.05))
    with pytest.raises(DeadlineExceeded) as caught:
        await module.call("loop", limits=Limits(time=30))
    assert caught.value.limit == 0.05
    with pytest.raises(ConfigError, match=r"limits\.memory.*wasm\.max_memory"):
        await runtime.load(wat(TROUBLE), limits=Limits(memory="2GiB"))


async def test_many_calls_wait_in_line(runtime: Runtime, wat: Wat) -> None:
    """More calls than slots are all answered, each with its own result."""
    module = await runtime.load(wat(TROUBLE))
    results = await asyncio.gather(*(module.call("add", n, n) for n in range(100)))
    assert results == [2 * n for n in range(100)]


async def test_two_thousand_calls_on_a_small_pool(code_directory: Path, wat: Wat) -> None:
    """Two thousand calls that suspend, loop and trap on a pool of 200: all answered as they should."""
    async with Runtime(RuntimeSettings(instances=200, cache=code_directory)) as runtime:
        module = await runtime.load(wat(TROUBLE))
        busy = await runtime.load(wat(COUNTING), limits=Limits(time=10))

        async def one(n: int) -> object:
            if n % 10 == 0:
                return await busy.call("count", 500_000)
            if n % 10 == 1:
                with pytest.raises(Trap):
                    await module.call("divide", 0)
                return None
            return await module.call("add", n, 1)

        results = await asyncio.gather(*(one(n) for n in range(2000)))
        for n, result in enumerate(results):
            assert result == (500_000 if n % 10 == 0 else None if n % 10 == 1 else n + 1)
        assert await runtime.drained()


async def test_a_full_line_is_busy(code_directory: Path, wat: Wat) -> None:
    """Beyond the pool and its line calls are refused at once, and those in line are answered."""
    async with Runtime(RuntimeSettings(instances=2, queue=3, cache=code_directory)) as runtime:
        module = await runtime.load(wat(TROUBLE), limits=Limits(time=0.2))
        results = await asyncio.gather(*(module.call("loop") for _ in range(9)), return_exceptions=True)
        kinds = [type(result) for result in results]
        assert kinds.count(Busy) == 4
        assert kinds.count(DeadlineExceeded) == 5
        assert await runtime.drained()


async def test_cancelling_a_call_stops_its_guest(runtime: Runtime, wat: Wat) -> None:
    """A cancelled call frees its slot, whether it waits, runs or is in line for a thread."""
    module = await runtime.load(wat(TROUBLE), limits=Limits(time=30))
    tasks = [asyncio.create_task(module.call("loop")) for _ in range(30)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert await runtime.drained()
    assert await module.call("add", 1, 2) == 3


async def test_cost(runtime: Runtime, wat: Wat) -> None:
    """The cost says how long a call ran, on how much processor and memory, and how long it waited before."""
    module = await runtime.load(wat(TROUBLE), limits=Limits(time=0.1))
    outcome = await module.run("add", 20, 22)
    assert outcome.value == 42
    assert 0 < outcome.cost.wall < 1
    assert outcome.cost.memory == 65536
    assert outcome.cost.host_calls == 0
    loops = [asyncio.create_task(module.call("loop")) for _ in range(16)]
    await asyncio.sleep(0)
    waited = (await module.run("add", 1, 1)).cost
    assert waited.wait > waited.wall
    await asyncio.gather(*loops, return_exceptions=True)


@pytest.mark.parametrize("source", [b"", b"not wasm", b"(module)"])
async def test_bytes_must_be_a_module(runtime: Runtime, source: bytes) -> None:
    """Bytes are a module, never text that happens to be accepted."""
    with pytest.raises(LoadError, match="not a WebAssembly module"):
        await runtime.load(source)


async def test_unknown_imports_are_named(runtime: Runtime, wat: Wat) -> None:
    """A module that imports what nothing provides says so when it is loaded."""
    with pytest.raises(LinkError, match='func "nobody" "knows"'):
        await runtime.load(wat('(module (import "nobody" "knows" (func)))'))
    with pytest.raises(LinkError, match='memory "env" "memory"'):
        await runtime.load(wat('(module (import "env" "memory" (memory 1)))'))


async def test_files_and_digests(runtime: Runtime, wat: Wat, tmp_path: Path) -> None:
    """A file is loaded by its suffix; a wrong digest, a missing file and a broken file are clear errors."""
    path = tmp_path / "add.wasm"
    path.write_bytes(wat(TROUBLE))
    module = await runtime.load(path)
    assert module.name == "add"
    assert await (await runtime.load(str(path), sha256=module.digest)).call("add", 1, 1) == 2
    with pytest.raises(LoadError, match="as required"):
        await runtime.load(path, sha256="sha256:" + "0" * 64)
    with pytest.raises(LoadError, match="there is no file"):
        await runtime.load(tmp_path / "missing.wasm")
    with pytest.raises(LoadError, match="there is no file"):
        await runtime.load(tmp_path / "missing.ts")
    path.write_bytes(b"\0asm\x01\0\0\0\x01")
    with pytest.raises(InvalidModule):
        await runtime.load(path)


async def test_declared_modules_are_loaded_at_start(code_directory: Path, wat: Wat) -> None:
    """A declared module can be called once the runtime has started, and not before."""
    runtime = Runtime(RuntimeSettings(instances=4, cache=code_directory))
    module = runtime.module(wat(TROUBLE), name="math")
    assert module.state is State.DECLARED
    with pytest.raises(LoadError, match='"math" is declared: start'):
        await module.call("add", 1, 2)
    async with runtime:
        assert module.state is State.READY
        assert await module.add(1, 2) == 3
        with pytest.raises(ConfigError, match="has started"):
            runtime.module(wat(TROUBLE))


async def test_closing_a_module_frees_it(runtime: Runtime, wat: Wat) -> None:
    """The last user of a module frees its native code; calls afterwards say that it is gone."""
    wasm = wat('(module (func (export "f") (result i32) i32.const 9))')
    one, two = await runtime.load(wasm), await runtime.load(wasm)
    one.close()
    one.close()
    assert await two.call("f") == 9
    two.close()
    assert runtime.modules == 0
    with pytest.raises(LoadError, match="is gone"):
        await two.call("f")


async def test_nothing_is_left_behind(code_directory: Path, wat: Wat) -> None:
    """A closed runtime leaves no thread, and closing twice is a no-op."""
    before = set(threading.enumerate())
    runtime = Runtime(RuntimeSettings(instances=4, cache=code_directory))
    async with runtime:
        module = await runtime.load(wat(TROUBLE))
        with pytest.raises(DeadlineExceeded):
            await module.call("loop", limits=Limits(time=0.05))
    await runtime.close()
    for _ in range(100):
        left = {t for t in threading.enumerate() if t.name.startswith("echelon")} - before
        if not left:
            break
        await asyncio.sleep(0.01)
    assert not left
    with pytest.raises(LoadError):
        await module.call("add", 1, 2)


async def test_refused_arguments_take_no_slot(code_directory: Path, wat: Wat) -> None:
    """A call that is refused before its instance is made leaves the pool as it was."""
    command = """(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
      (memory (export "memory") 1) (func (export "_start")))"""
    async with Runtime(RuntimeSettings(instances=2, queue=0, cache=code_directory)) as runtime:
        module = await runtime.load(wat(command))
        for _ in range(5):
            with pytest.raises(ConfigError, match="zero byte"):
                await module.run(args=["\0"])
        assert runtime.idle()
        await module.run()


async def test_a_module_may_be_closed_while_its_calls_wait(code_directory: Path, wat: Wat) -> None:
    """Calls in line for a slot are answered although their module was closed meanwhile, and it is freed then."""
    async with Runtime(RuntimeSettings(instances=1, cache=code_directory)) as runtime:
        slow = await runtime.load(wat(COUNTING), limits=Limits(time=20))
        module = await runtime.load(wat(TROUBLE))
        running = asyncio.create_task(slow.call("count", 100_000_000))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(module.call("add", n, 1)) for n in range(3)]
        await asyncio.sleep(0)
        module.close()
        assert await asyncio.gather(*waiting) == [1, 2, 3]
        await running
        assert await runtime.drained()
        assert runtime.modules == 1


async def test_limits_of_a_call_are_checked(runtime: Runtime, wat: Wat) -> None:
    """A stack too small to call anything is refused, not given to the engine."""
    module = await runtime.load(wat(TROUBLE))
    with pytest.raises(ConfigError, match=r"limits\.stack"):
        await module.call("add", 1, 2, limits=Limits(stack=1))
