"""Interleaved rounds: A B C, C B A, A B C …, and more of them while the machine is restless."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Final

from benchmarks.statistics import Series, Summary, Unit, paired_ratios, percentiles

RESTLESS: Final = 0.10
"""Spread of a ratio above which another batch of rounds is measured."""
BATCHES: Final = 2
_UNDISTURBED: Final = 0.95
"""Share of a processor that a sample must have had; one that had less is taken again, up to a limit."""
_TRIES: Final = 5

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do `count` times in a round: `await run(count)` does it and nothing else."""

    name: str
    count: int
    run: Callable[[int], Awaitable[None]]


async def interleave(
    measures: Mapping[str, Measure], unit: Unit, rounds: int, *, batches: int = BATCHES
) -> list[Series]:
    """Take one sample of each in every round; the first is the subject that the others are compared with.

    A batch of `rounds` is repeated, at most `batches` times, while any ratio is restless.
    """
    samples: dict[str, list[float]] = {name: [] for name in measures}
    order = list(measures)
    for _ in range(batches):
        for _ in range(rounds):
            for name in order:
                samples[name].append(await measures[name]())
            order.reverse()
        series = [Series(name, unit, tuple(values)) for name, values in samples.items()]
        if settled(series):
            break
    return series


def settled(series: Sequence[Series]) -> bool:
    """Tell whether the ratio of the first to each of the others is steady."""
    subject, *peers = series
    return all(Summary.of(paired_ratios(subject, peer)).spread <= RESTLESS for peer in peers)


async def compare(works: Sequence[Work], rounds: int, singles: int = 0) -> list[Series]:
    """Time pieces of work side by side; `singles` more operations are timed one by one for percentiles.

    The works compute and never wait, so a sample that had no whole processor was disturbed by another program.
    """
    for work in works:
        await work.run(max(1, work.count // 4))
    found = await interleave({work.name: timed(work) for work in works}, "µs", rounds)
    if not singles:
        return found
    return [
        Series(series.name, series.unit, series.samples, await _latency(work, singles))
        for series, work in zip(found, works, strict=True)
    ]


def timed(work: Work) -> Measure:
    async def measure() -> float:
        tries = []
        for _ in range(_TRIES):
            gc.collect()
            began, used = perf_counter_ns(), process_time_ns()
            await work.run(work.count)
            elapsed = perf_counter_ns() - began
            share = (process_time_ns() - used) / elapsed
            tries.append((share, elapsed))
            if share >= _UNDISTURBED:
                break
        return max(tries)[1] / work.count / 1000

    return measure


async def _latency(work: Work, count: int) -> tuple[tuple[int, float], ...]:
    run, taken = work.run, []
    gc.collect()
    for _ in range(count):
        began = perf_counter_ns()
        await run(1)
        taken.append((perf_counter_ns() - began) / 1000)
    return percentiles(taken, (50, 99))
