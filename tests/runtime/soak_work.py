"""The mixed work of the soak test: run as a program, it is one of two worker processes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echelon.errors import DeadlineExceeded, GuestExit, HostError, MemoryExceeded, OutputExceeded, Trap
from echelon.runtime import native
from echelon.runtime.binary import Import
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.host import Call, HostFunction
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

GUEST = """(module
  (import "soak" "fail" (func $fail (param i32)))
  (import "soak" "wait" (func $wait (param i32) (result i32)))
  (import "soak" "twice" (func $twice (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "echelon" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1) (data (i32.const 0) "0123456789")
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "count") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1))
  (func (export "trap") (param i32) (drop (i32.div_u (local.get 0) (i32.const 0))))
  (func (export "exit") (param i32) (call $exit (local.get 0)))
  (func (export "fail") (param i32) (call $fail (local.get 0)))
  (func (export "wait") (param i32) (result i32) (call $wait (local.get 0)))
  (func (export "twice") (param i32) (result i32) (call $twice (call $twice (local.get 0))))
  (func (export "log") (param i32) (call $log (i32.const 1) (i32.const 0) (local.get 0)))
  (func (export "flood") (loop (call $log (i32.const 1) (i32.const 0) (i32.const 10)) (br 0)))
  (func (export "loop") (loop (br 0)))
  (func (export "grow") (loop
    (if (i32.eq (memory.grow (i32.const 8)) (i32.const -1)) (then unreachable)) (br 0)))
  (func (export "keep") (param i32) (result i32) (local i32)
    (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (local.get 0))) (i32.load (i32.const 64))))"""

MIX = {
    "add": 5000, "twice": 1500, "keep": 1000, "log": 600, "wait": 1000, "trap": 1200, "exit": 500, "fail": 500,
    "count": 500, "grow": 150, "flood": 150, "loop": 80, "cancel": 150,
}  # fmt: skip
"""How often each kind of call comes, in twelve thousand."""

USERS = 64
"""Calls that are made at once."""

LIMITS = Limits(memory="1MiB", time=20, output="2KiB")
SHORT = Limits(time=0.004)


class Failure(Exception):
    """What the host raises for one call; its number must come back to that call."""


class Soak:
    """The namespace `soak`."""

    def __init__(self) -> None:
        self.functions: Sequence[HostFunction] = (
            HostFunction("soak", "fail", ("i32",), (), self.fail),
            HostFunction("soak", "twice", ("i32",), ("i32",), lambda _call, number: 2 * number),
            HostFunction("soak", "wait", ("i32",), ("i32",), self.wait, suspends=True),
        )

    def fail(self, _call: Call, number: int) -> None:
        raise Failure(number)

    async def wait(self, _call: Call, number: int) -> int:
        await asyncio.sleep(0.0005)
        return number + 1

    def find(self, wanted: Import) -> HostFunction | None:
        return next((f for f in self.functions if (f.module, f.name) == (wanted.module, wanted.name)), None)

    def modules(self) -> Sequence[str]:
        return ("soak",)


def expect(condition: bool, *what: object) -> None:
    if not condition:
        raise AssertionError(f"a call got what was not its own: {what}")


async def one_call(module: Module, kind: str, number: int) -> None:
    """Make one call and check that its result, or each part of its error, is its own."""
    try:
        if kind == "add":
            expect(await module.call("add", number, 7) == number + 7, kind, number)
        elif kind == "count":
            turns = 100_000 + number % 50_000
            expect(await module.call("count", turns) == turns, kind, turns)
        elif kind == "twice":
            expect(await module.call("twice", number) == 4 * number, kind, number)
        elif kind == "wait":
            expect(await module.call("wait", number) == number + 1, kind, number)
        elif kind == "keep":
            async with module.instance() as live:
                expect(await live.call("keep", number) == number, kind, number)
                expect(await live.call("keep", 1) == number + 1, kind, number)
        elif kind == "log":
            outcome = await module.run("log", number % 11)
            expect(
                [e.message for e in outcome.logs] == ["0123456789"[: number % 11]], kind, number, outcome.logs
            )
        elif kind == "cancel":
            task = asyncio.create_task(module.call("loop"))
            await asyncio.sleep(0.0001 * (number % 20))
            task.cancel()
            expect(
                isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError),
                kind,
            )
        else:
            arguments = () if kind in ("loop", "grow", "flood") else (number,)
            await module.call(kind, *arguments, limits=SHORT if kind == "loop" else None)
            expect(False, kind, "came back")
    except Trap as exc:
        expect(kind == "trap" and exc.code == "integer-division-by-zero", kind, exc)
        expect(exc.frames[0].index == 7, kind, exc.frames)
    except GuestExit as exc:
        expect(kind == "exit" and exc.code == number, kind, exc, number)
    except HostError as exc:
        cause = exc.__cause__
        expect(kind == "fail" and isinstance(cause, Failure) and cause.args == (number,), kind, exc, number)
    except MemoryExceeded as exc:
        expect(kind == "grow" and exc.limit == LIMITS.memory, kind, exc)
    except OutputExceeded as exc:
        logs = exc.outcome.logs if exc.outcome else ()
        expect(kind == "flood" and {entry.message for entry in logs} == {"0123456789"}, kind, exc)
    except DeadlineExceeded as exc:
        expect(kind == "loop" and exc.limit == SHORT.time, kind, exc)


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def soak(cache: Path, calls: int, threads: int, seed: int) -> dict[str, Any]:
    """Make that many mixed calls, `USERS` at once; returns what was counted and what the process holds."""
    dice = random.Random(seed)
    counted: Counter[str] = Counter()
    kinds, weights = list(MIX), list(MIX.values())
    settings = RuntimeSettings(instances=48, queue=1000, threads=threads, cache=cache)
    held: list[tuple[int, int, int]] = []
    async with Runtime(settings) as runtime:
        runtime.providers.append(Soak())
        module = await runtime.load(native.load().wat2wasm(GUEST), limits=LIMITS)

        async def user(plan: list[tuple[str, int]]) -> None:
            while plan:
                kind, number = plan.pop()
                await one_call(module, kind, number)
                counted[kind] += 1

        for part in range(5):
            chosen = dice.choices(kinds, weights, k=calls // 5)
            plan = [(kind, 1 + place + part * calls) for place, kind in enumerate(chosen)]
            await asyncio.gather(*(user(plan) for _ in range(USERS)))
            expect(await runtime.drained(), "an instance is left")
            held.append((resident(), descriptors(), threading.active_count()))
    left = [t.name for t in threading.enumerate() if t.name.startswith("echelon-")]
    return {"counted": dict(counted), "held": held, "left": left}


if __name__ == "__main__":
    directory, number, workers, start = sys.argv[1:5]
    print(json.dumps(asyncio.run(soak(Path(directory), int(number), int(workers), int(start)))))
