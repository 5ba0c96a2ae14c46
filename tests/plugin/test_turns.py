"""Compiles take turns by client."""

from __future__ import annotations

import asyncio

import pytest

from echelon.errors import Busy
from echelon.plugin.turns import Turns


async def work(turns: Turns, client: str, done: list[str]) -> None:
    async with turns.take(client):
        await asyncio.sleep(0)
        done.append(client)


async def start(turns: Turns, *clients: str, done: list[str]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(work(turns, client, done)) for client in clients]
    await asyncio.sleep(0)
    return tasks


async def test_a_busy_client_does_not_hold_up_others() -> None:
    """One who comes with a single compile is served after one of the many, not after all."""
    turns, done = Turns(1, 100), list[str]()
    await asyncio.gather(*await start(turns, *["many"] * 10, "few", "other", "few", done=done))
    assert done[:6] == ["many", "many", "few", "other", "many", "few"]
    assert sorted(done) == ["few", "few", *["many"] * 10, "other"]
    assert turns.free == 1


async def test_bounds() -> None:
    """One client fills half of the line, all together fill it; then Busy."""
    turns, done = Turns(1, 4), list[str]()
    await turns._acquire("somebody")
    tasks = await start(turns, "a", "a", done=done)
    with pytest.raises(Busy, match="2 compiles of this client"):
        await work(turns, "a", done)
    tasks += await start(turns, "b", "c", done=done)
    with pytest.raises(Busy, match="4 compiles are in line"):
        await work(turns, "d", done)
    turns._release()
    await asyncio.gather(*tasks)
    assert sorted(done) == ["a", "a", "b", "c"]


async def test_those_who_leave() -> None:
    """A place is not lost with a task that was cancelled, in line or just served."""
    turns, done = Turns(1, 10), list[str]()
    first, second, third = await start(turns, "a", "a", "b", done=done)
    second.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert done == ["a", "b"]
    assert turns.free == 1
    holding = asyncio.create_task(turns._acquire("x"))
    await holding
    waiting = asyncio.create_task(work(turns, "y", done))
    await asyncio.sleep(0)
    turns._release()
    waiting.cancel()  # it was given the place in the same turn of the loop
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert turns.free == 1


async def test_two_places() -> None:
    """As many as there are places run at once."""
    turns, running, most = Turns(2, 100), 0, 0

    async def one() -> None:
        nonlocal running, most
        async with turns.take("a"):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert most == 2
