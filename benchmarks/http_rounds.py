"""Rounds of HTTP load: requests a second of several servers, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.rounds import Measure, interleave
from benchmarks.servers import Load, Server, cores
from benchmarks.statistics import Series


async def compare_servers(
    servers: Sequence[Server], seconds: int, rounds: int, *, batches: int = 1, warm: bool = False
) -> list[Series]:
    """Load each server in every round; the first is the subject. `warm` loads each for a second beforehand."""
    _, core = cores()
    loads: dict[str, list[Load]] = {server.name: [] for server in servers}

    def measuring(server: Server) -> Measure:
        async def measure() -> float:
            load = server.measure(seconds, core)
            loads[server.name].append(load)
            return load.full_rate

        return measure

    for server in servers if warm else ():
        server.measure(1, core)
    found = await interleave(
        {server.name: measuring(server) for server in servers}, "req/s", rounds, batches=batches
    )
    return [
        replace(
            series,
            latency=_middle(loads[series.name]),
            share=median(load.share for load in loads[series.name]),
        )
        for series in found
    ]


def _middle(loads: Sequence[Load]) -> tuple[tuple[int, float], ...]:
    """Return the median over the rounds of each percentile."""
    columns = zip(*(load.latency for load in loads), strict=True)
    return tuple((column[0][0], median(value for _, value in column)) for column in columns)
