"""Functions of the host that a guest calls: values, waiting, failures, counting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from echelon.errors import (
    DeadlineExceeded,
    GuestError,
    HostCallsExceeded,
    HostError,
    LinkError,
    OutputExceeded,
)
from echelon.runtime.binary import Import
from echelon.runtime.core import Runtime
from echelon.runtime.host import Call, HostFunction
from echelon.runtime.limits import Limits

Wat = Callable[[str], bytes]

GUEST = """(module
  (import "test" "add" (func $add (param i32 i64 f32 f64) (result f64)))
  (import "test" "big" (func $big (result i64)))
  (import "test" "fail" (func $fail))
  (import "test" "sleep" (func $sleep (param i32) (result i32)))
  (import "test" "print" (func $print (param i32)))
  (memory (export "memory") 1)
  (func (export "add") (result f64)
    (call $add (i32.const -1) (i64.const 2) (f32.const 0.5) (f64.const 0.25)))
  (func (export "big") (result i64) call $big)
  (func (export "fail") (call $fail) unreachable)
  (func (export "sleep") (param i32) (result i32) (i32.add (call $sleep (local.get 0)) (i32.const 1)))
  (func (export "print") (param i32 i32)
    (loop (call $print (local.get 1)) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))))"""


class Broken(Exception):
    """What a host function of an application might raise."""


async def sleep(_call: Call, milliseconds: int) -> int:
    if milliseconds < 0:
        raise Broken("asleep")
    await asyncio.sleep(milliseconds / 1000)
    return milliseconds


def fail(_call: Call) -> None:
    raise Broken("on purpose")


class TestModule:
    """The namespace `test`."""

    __test__ = False
    functions: Sequence[HostFunction] = (
        HostFunction("test", "add", ("u32", "i64", "f32", "f64"), ("f64",), lambda _c, *n: float(sum(n))),
        HostFunction("test", "big", (), ("u64",), lambda _c: 2**64 - 1),
        HostFunction("test", "fail", (), (), fail),
        HostFunction("test", "sleep", ("i32",), ("i32",), sleep, suspends=True),
        HostFunction("test", "print", ("i32",), (), lambda c, n: c.write(c.stdout, b"x" * n)),
    )

    def find(self, wanted: Import) -> HostFunction | None:
        return next((f for f in self.functions if (f.module, f.name) == (wanted.module, wanted.name)), None)

    def modules(self) -> Sequence[str]:
        return ("test",)


@pytest.fixture
async def module(runtime: Runtime, wat: Wat) -> Any:
    runtime.providers.append(TestModule())
    return await runtime.load(wat(GUEST))


async def test_values(module: Any) -> None:
    """Numbers of every type arrive as declared, and unsigned results keep their bits."""
    assert await module.call("add") == 2**32 - 1 + 2 + 0.5 + 0.25
    assert await module.call("big") == -1


async def test_a_failure_reaches_only_its_own_call(module: Any) -> None:
    """What a host function raises stops its guest and is chained; calls beside it are unharmed."""
    results = await asyncio.gather(
        *(module.call("fail") if n % 2 else module.call("add") for n in range(40)), return_exceptions=True
    )
    for n, result in enumerate(results):
        if n % 2:
            assert isinstance(result, HostError)
            assert result.function == "test.fail"
            assert isinstance(result.__cause__, Broken)
            assert str(result) == "the host function test.fail failed: Broken: on purpose"
        else:
            assert result == 2**32 + 1.75


async def test_a_waiting_guest_is_on_no_thread(module: Any) -> None:
    """More guests than threads wait for the host at once, and the loop goes on."""
    began = time.perf_counter()
    results = await asyncio.gather(*(module.call("sleep", 100) for _ in range(16)))
    assert results == [101] * 16
    assert time.perf_counter() - began < 1.0  # one after another on two threads it would be 800 ms more


async def test_a_waiting_function_may_fail(module: Any) -> None:
    """An error after waiting stops the guest like any other."""
    with pytest.raises(HostError, match="asleep"):
        await module.call("sleep", -1)


async def test_waiting_counts_against_the_deadline(module: Any) -> None:
    """A guest that waits too long for its host is cut off."""
    began = time.perf_counter()
    with pytest.raises(DeadlineExceeded) as caught:
        await module.call("sleep", 30_000, limits=Limits(time=0.1))
    assert time.perf_counter() - began < 5
    assert caught.value.outcome is not None
    assert caught.value.outcome.cost.cpu < 0.05 <= caught.value.outcome.cost.wall


async def test_cancelling_a_waiting_guest(runtime: Runtime, module: Any) -> None:
    """Cancelling the call cancels what the host is doing for it."""
    task = asyncio.create_task(module.call("sleep", 60_000, limits=Limits(time=1.0)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await runtime.drained()


async def test_host_calls_are_counted_and_bounded(module: Any) -> None:
    """The cost counts them, and one more than the limit stops the guest."""
    outcome = await module.run("print", 10, 1)
    assert outcome.cost.host_calls == 10
    assert outcome.stdout == b"x" * 10
    assert (await module.run("print", 10, 1, limits=Limits(host_calls=10))).cost.host_calls == 10
    with pytest.raises(HostCallsExceeded) as caught:
        await module.run("print", 10, 1, limits=Limits(host_calls=9))
    assert caught.value.limit == 9


async def test_output_is_bounded(module: Any) -> None:
    """A flood of output stops the guest; what came before is kept."""
    with pytest.raises(OutputExceeded) as caught:
        await module.run("print", 1_000, 100, limits=Limits(output=1_000))
    assert caught.value.outcome is not None
    assert caught.value.outcome.stdout == b"x" * 1_000


async def test_a_wrong_type_is_refused_at_load(runtime: Runtime, wat: Wat) -> None:
    """An import whose type differs from the host's says both."""
    runtime.providers.append(TestModule())
    with pytest.raises(LinkError, match=r"has type \(i32\) -> \(\), the host offers \(\) -> \(i64\)"):
        await runtime.load(wat('(module (import "test" "big" (func (param i32))))'))


async def test_a_guest_without_memory(runtime: Runtime, wat: Wat) -> None:
    """A host function that needs the guest's memory stops a guest that exports none."""
    module = await runtime.load(
        wat(
            '(module (import "echelon" "take" (func $t (param i32))) (func (export "f") (call $t (i32.const 0))))'
        )
    )
    with pytest.raises((GuestError, LinkError), match="no memory"):
        await module.call("f")
