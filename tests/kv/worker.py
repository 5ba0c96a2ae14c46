"""A process of its own that uses a store. usage: worker.py TASK PATH; the tasks are the functions below."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from echelon.kv import Kv, limits, open_kv

HANDLES, SUMS = 20, 10
LEASE_SECONDS = 0.5


async def race(path: str) -> None:
    """Add to one number from twenty handles, by sum and by check and set."""

    async def work() -> None:
        async with open_kv(path) as kv:
            for _ in range(SUMS):
                await kv.atomic().sum(("sum",), 1).commit()
                while True:
                    entry = await kv.get(("counter",))
                    if await kv.atomic().check(entry).set(("counter",), (entry.value or 0) + 1).commit():
                        break

    await asyncio.gather(*(work() for _ in range(HANDLES)))


async def drain(path: str) -> None:
    """Count each message that comes, and how many this process has, until there are none."""
    async with open_kv(path, durability="normal") as kv:
        running: set[int] = set()

        async def handle(number: int) -> None:
            if number in running:
                await kv.set(("twice", number), None)
            running.add(number)
            await kv.atomic().sum(("seen", number), 1).sum(("by", os.getpid()), 1).commit()
            running.discard(number)

        listening = asyncio.create_task(kv.listen_queue(handle))
        while (await kv.stats()).messages:  # noqa: ASYNC110 - nothing tells that the queue is empty
            await asyncio.sleep(0.05)
    await listening


async def hold(path: str) -> None:
    """Take messages and keep them; say so once there are ten."""
    async with open_kv(path) as kv:
        held = 0

        async def handle(number: int) -> None:
            nonlocal held
            held += 1
            if held == 10:
                print("held", flush=True)
            await asyncio.sleep(3600)

        await kv.listen_queue(handle)


async def die(path: str) -> None:
    """Die of the first message that comes; end well when it was given up."""
    async with open_kv(path) as kv:

        async def handle(number: int) -> None:
            os._exit(9)

        await until_given_up(kv, asyncio.create_task(kv.listen_queue(handle)))


async def until_given_up(kv: Kv, listening: asyncio.Task[None]) -> None:
    async for (entry,) in kv.watch([("dead",)]):
        if entry.value is not None:
            break
    listening.cancel()
    await asyncio.wait([listening])


async def answer(path: str) -> None:
    """Answer each change of a key, each message, and each expiry, by a key of their own."""
    async with open_kv(path) as kv:

        async def handle(number: int) -> None:
            await kv.set(("answer", "message"), number)

        listening = asyncio.create_task(kv.listen_queue(handle))
        async for (entry,) in kv.watch([("question",)]):
            await kv.set(("answer", "watch"), entry.value)
            if entry.value == "end":
                break
            if entry.value == "brief":
                await kv.set(("brief",), 1, expire_in=timedelta(milliseconds=100))
    await listening


if __name__ == "__main__":
    limits.MAX_LEASE_SECONDS = LEASE_SECONDS  # type: ignore[misc]  # a test need not wait for longer ones
    tasks = {"race": race, "drain": drain, "hold": hold, "die": die, "answer": answer}
    asyncio.run(tasks[sys.argv[1]](sys.argv[2]))
