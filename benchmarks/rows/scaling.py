"""Row 5: guests on two worker threads beside the same guests on one."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from time import perf_counter_ns

from benchmarks import guests
from benchmarks.rounds import Measure, interleave
from benchmarks.row import CannotRun, Comparison, Row, Settings
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

TARGET = 1.6
_STEPS = 20_000_000
"""Turns of the guest's loop: long enough that it runs on worker threads."""
_GUESTS = 8


async def run(settings: Settings) -> list[Comparison]:
    """Time a batch of long guests, all at once; the samples are microseconds for one of them."""
    async with AsyncExitStack() as stack:
        modules = {}
        for threads in (2, 1):
            wasm = await stack.enter_async_context(guests.runtime(threads=threads))
            code = await guests.compiled(wasm, "count.wat")
            modules[threads] = await wasm.load(code, limits=Limits(time="30s"))
            if await modules[threads].call("count", _STEPS) != _STEPS:
                raise CannotRun(f"count({_STEPS}) is not {_STEPS}")
        measures = {f"Echelon, threads = {n}": _batch(module) for n, module in modules.items()}
        two, one = await interleave(measures, "µs", settings.pick(15, 5))
    return [Comparison(f"{_GUESTS} long guests at once", TARGET, two, [one])]


def _batch(module: Module) -> Measure:
    async def measure() -> float:
        gc.collect()
        began = perf_counter_ns()
        await asyncio.gather(*(module.call("count", _STEPS) for _ in range(_GUESTS)))
        return (perf_counter_ns() - began) / 1000 / _GUESTS

    return measure


ROW = Row(5, "scaling", "Long guests on two worker threads against one, on two cores", run, ("wasmtime",))
