"""Where commits run: a lone one on the event loop when the disk is quick, many at once in the thread."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echelon.kv import Kv, open_kv
from echelon.kv.sqlite_pace import LONE_COMMITS, QUICK_SECONDS, Pace


def lone(pace: Pace, count: int) -> None:
    for _ in range(count):
        pace.begin(0)
        pace.end()


def test_lone_commits() -> None:
    """After a few commits without company the next one may run on the loop, until one is not alone."""
    pace = Pace(syncs=True)
    lone(pace, LONE_COMMITS - 1)
    assert not pace.begin(0)
    pace.end()
    assert pace.begin(0)
    assert not pace.begin(0)
    pace.end()
    pace.end()
    assert not pace.begin(0)
    pace.end()
    lone(pace, LONE_COMMITS)
    assert pace.begin(0)


def test_slow_disks() -> None:
    """The loop is not held up by a disk that took long the last time, or that was not tried yet."""
    pace = Pace(syncs=True)
    lone(pace, LONE_COMMITS)
    for seconds, may in ((QUICK_SECONDS, False), (math.inf, False), (QUICK_SECONDS / 2, True)):
        assert pace.begin(seconds) is may
        pace.end()


def test_without_syncs() -> None:
    """Where nobody waits for the disk every commit may run on the loop."""
    assert Pace(syncs=False).begin(math.inf)


@contextmanager
def submitted(kv: Kv) -> Iterator[list[Any]]:
    """Note what goes to the writing thread."""
    backend: Any = kv._backend
    seen: list[Any] = []
    submit = backend._writer.submit

    def note(operation: Any) -> Any:
        seen.append(operation)
        return submit(operation)

    backend._writer.submit = note
    yield seen
    backend._writer.submit = submit


async def test_one_after_the_other(path: Path) -> None:
    """Sequential writes of one task leave the thread alone after the first ones, and are all there."""
    async with open_kv(path) as kv:
        backend: Any = kv._backend
        for number in range(LONE_COMMITS + 1):
            await kv.set(("n", number), number)
        with submitted(kv) as seen:
            for number in range(20):
                backend._applier.seconds = 0.0  # whatever the disk of the tests does
                await kv.set(("m", number), number)
        assert seen == []
    async with open_kv(path) as kv:
        assert [entry.value async for entry in kv.list(prefix=("m",))] == list(range(20))


async def test_many_at_once(path: Path) -> None:
    """Writes of several tasks go to the thread, as one group, however quick the disk."""
    async with open_kv(path) as kv:
        backend: Any = kv._backend
        for number in range(LONE_COMMITS + 1):
            await kv.set(("n", number), number)
        with submitted(kv) as seen:
            for _ in range(3):
                backend._applier.seconds = 0.0
                await asyncio.gather(*(kv.set(("m", number), number) for number in range(30)))
        assert len(seen) >= 3 * 30 - 1


async def test_large_commits(path: Path) -> None:
    """A large commit goes to the thread."""
    async with open_kv(path) as kv:
        backend: Any = kv._backend
        for number in range(LONE_COMMITS + 1):
            await kv.set(("n", number), number)
        with submitted(kv) as seen:
            backend._applier.seconds = 0.0
            await kv.set(("large",), "x" * 20_000)
        assert len(seen) == 1
