"""Guests that never end, wherever they can loop: each is cut off at its deadline, or at its other limits."""

from __future__ import annotations

import asyncio

import pytest
from hostile_stage import TIGHT, Case, Stage, signed, table, wat

from echelon.errors import DeadlineExceeded, FuelExhausted, HostCallsExceeded
from echelon.runtime.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRING = {"kind": "string", "id": 2}
TEXT = {"type": "str", "wire": STRING}

RUNTIME_FUNCTIONS = {
    "__new": "(param i32 i32) (result i32)",
    "__pin": "(param i32) (result i32)",
    "__unpin": "(param i32)",
    "__collect": "",
}


def _loops_in(name: str) -> bytes:
    """Return a typed module in which one function of the language's own runtime never ends."""
    functions = []
    for found, types in RUNTIME_FUNCTIONS.items():
        value = "(i32.const 64)" if "result" in types else ""
        body = "(loop br 0) unreachable" if found == name else value
        functions.append(f'(func (export "{found}") {types} {body})')
    return signed(
        f'(module (memory (export "memory") 1) {"".join(functions)} (func (export "f") (param i32)))',
        {"name": "f", "params": [TEXT]},
    )


CASES = (
    Case("plain", '(module (func (export "f") (loop br 0)))', DeadlineExceeded, "150 ms"),
    Case("empty body called again and again",
         '(module (func $n) (func (export "f") (loop (call $n) (br 0))))', DeadlineExceeded),
    Case("two functions in turn", """(module
         (func $a (param i32) (if (local.get 0) (then (call $b (i32.sub (local.get 0) (i32.const 1))))))
         (func $b (param i32) (if (local.get 0) (then (call $a (i32.sub (local.get 0) (i32.const 1))))))
         (func (export "f") (loop (call $a (i32.const 500)) (br 0))))""", DeadlineExceeded),
    Case("tail calls", """(module
         (func $a (export "f") (return_call $b)) (func $b (return_call $a)))""", DeadlineExceeded),
    Case("indirect tail calls", """(module (type $t (func)) (table 1 1 funcref) (elem (i32.const 0) $f)
         (func $f (export "f") (return_call_indirect (type $t) (i32.const 0))))""", DeadlineExceeded),
    Case("indirect calls", """(module (type $t (func)) (table 1 1 funcref) (elem (i32.const 0) $n) (func $n)
         (func (export "f") (loop (call_indirect (type $t) (i32.const 0)) (br 0))))""", DeadlineExceeded),
    Case("deep loops", '(module (func (export "f") (loop (loop (loop (loop (br 3)))))))', DeadlineExceeded),
    Case("counting to 2^64", """(module (func (export "f") (local i64) (loop
         (local.set 0 (i64.add (local.get 0) (i64.const 1))) (br_if 0 (i64.ne (local.get 0) (i64.const 0))))))""",
         DeadlineExceeded),
    Case("a jump table", '(module (func (export "f") (loop (br_table 0 0 0 (i32.const 7)))))', DeadlineExceeded),
    Case("square roots", """(module (func (export "f") (local f64) (loop
         (local.set 0 (f64.sqrt (f64.add (local.get 0) (f64.const 5e-324)))) (br 0))))""", DeadlineExceeded),
    Case("vectors", """(module (func (export "f") (local v128) (loop
         (local.set 0 (f64x2.div (local.get 0) (v128.const f64x2 3 7))) (br 0))))""", DeadlineExceeded),
    Case("filling its memory", """(module (memory (export "memory") 256) (func (export "f") (loop
         (memory.fill (i32.const 0) (i32.const 7) (i32.const 16777216)) (br 0))))""", DeadlineExceeded),
    Case("copying its memory onto itself", """(module (memory (export "memory") 256) (func (export "f") (loop
         (memory.copy (i32.const 1) (i32.const 0) (i32.const 16777215)) (br 0))))""", DeadlineExceeded),
    Case("copying a data segment", """(module (memory 1) (data $d "0123456789abcdef") (func (export "f") (loop
         (memory.init $d (i32.const 0) (i32.const 0) (i32.const 16)) (br 0))))""", DeadlineExceeded),
    Case("filling a table", """(module (table $t 100000 funcref) (func (export "f") (loop
         (table.fill $t (i32.const 0) (ref.null func) (i32.const 100000)) (br 0))))""", DeadlineExceeded),
    Case("copying a table", """(module (table $t 100000 funcref) (func (export "f") (loop
         (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 99999)) (br 0))))""", DeadlineExceeded),
    Case("growing by nothing", """(module (memory 1) (func (export "f") (loop
         (drop (memory.grow (i32.const 0))) (br 0))))""", DeadlineExceeded),
    Case("asking for too much again and again", """(module (memory 1) (table $t 1 funcref) (func (export "f") (loop
         (drop (memory.grow (i32.const 65535))) (drop (table.grow $t (ref.null func) (i32.const -1))) (br 0))))""",
         DeadlineExceeded),
    Case("in its start function", '(module (func $s (loop br 0)) (start $s) (func (export "f")))', DeadlineExceeded),
    Case("in _initialize", '(module (func (export "_initialize") (loop br 0)) (func (export "f")))',
         DeadlineExceeded),
    Case("in both", """(module (func $s (local i32) (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
         (br_if 0 (i32.lt_u (local.get 0) (i32.const 1000000))))) (start $s)
         (func (export "_initialize") (loop br 0)) (func (export "f")))""", DeadlineExceeded),
    Case("in __new", lambda: _loops_in("__new"), DeadlineExceeded, args=("x",)),
    Case("in __pin", lambda: _loops_in("__pin"), DeadlineExceeded, args=("x",)),
    Case("in __unpin of a kept instance", lambda: _loops_in("__unpin"), DeadlineExceeded, args=("x",), kept=True),
    Case("in __collect of a kept instance", lambda: _loops_in("__collect"), DeadlineExceeded, args=("x",), kept=True),
    Case("in a kept instance", '(module (func (export "f") (loop br 0)))', DeadlineExceeded, kept=True),
    Case("calls of the host", """(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
         (memory (export "memory") 1) (func (export "f") (loop (drop (call $y)) (br 0))))""", HostCallsExceeded,
         "1000 times"),
    Case("calls of the host that suspend", """(module
         (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
         (memory (export "memory") 1) (func (export "f") (loop
           (drop (call $p (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (br 0))))""", HostCallsExceeded),
    Case("costly calls of the host", """(module
         (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
         (memory (export "memory") 256) (func (export "f") (loop
           (drop (call $r (i32.const 0) (i32.const 16777216))) (br 0))))""", DeadlineExceeded),
    Case("with fuel", '(module (func (export "f") (loop br 0)))', FuelExhausted, "100000 units",
         limits=Limits(time=5, fuel=100_000)),
    Case("with more fuel than time", '(module (func (export "f") (loop br 0)))', DeadlineExceeded,
         limits=Limits(time=0.1, fuel=1 << 50)),
    Case("with hardly any time", '(module (func (export "f") (loop br 0)))', DeadlineExceeded,
         limits=Limits(time=0.0001)),
)  # fmt: skip


@table(CASES)
async def test_loops(stage: Stage, case: Case) -> None:
    """A guest that does not end is ended."""
    await stage.play(case)


async def test_more_loops_than_the_pool_holds(stage: Stage) -> None:
    """Endless guests in every slot but one, and more in line, do not keep a neighbour from being served."""
    module = await stage.runtime.load(wat('(module (func (export "f") (loop br 0)))'), limits=TIGHT)
    async with stage.guarded():
        results = await asyncio.gather(*(module.call("f") for _ in range(40)), return_exceptions=True)
    assert [type(result) for result in results] == [DeadlineExceeded] * 40
    module.close()


async def test_callers_who_leave(stage: Stage) -> None:
    """Endless guests whose callers are cancelled at once, soon or late leave nothing behind."""
    module = await stage.runtime.load(wat('(module (func (export "f") (loop br 0)))'), limits=Limits(time=5))
    async with stage.guarded():
        for delay in (0.0, 0.001, 0.01, 0.03):
            tasks = [asyncio.create_task(module.call("f")) for _ in range(10)]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
    module.close()
