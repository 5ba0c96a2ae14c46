"""Real processes that race, share a queue, wake each other, and die."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from worker import HANDLES, LEASE_SECONDS, SUMS

from echelon.kv import open_kv

WORKER = str(Path(__file__).with_name("worker.py"))
PIPE = asyncio.subprocess.PIPE


@asynccontextmanager
async def worker(task: str, path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that does a task; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, WORKER, task, str(path), stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finish(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Wait for a process; its status and what it printed."""
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_handles_that_race(path: Path) -> None:
    """Two processes with twenty handles each add to the same numbers and lose nothing."""
    async with worker("race", path) as one, worker("race", path) as other:
        assert await asyncio.gather(finish(one), finish(other)) == [(0, "")] * 2
    async with open_kv(path) as kv:
        assert (await kv.get(("sum",))).value == 2 * HANDLES * SUMS
        assert (await kv.get(("counter",))).value == 2 * HANDLES * SUMS


async def test_two_processes_drain_a_queue(path: Path) -> None:
    """Ten thousand messages are handled once each by two processes, which share them."""
    async with open_kv(path) as kv:
        for start in range(0, 10_000, 500):
            commit = kv.atomic()
            for number in range(start, start + 500):
                commit.enqueue(number)
            await commit.commit()
        async with worker("drain", path) as one, worker("drain", path) as other:
            assert await asyncio.gather(finish(one), finish(other)) == [(0, "")] * 2
        seen = {entry.key[1]: entry.value async for entry in kv.list(prefix=("seen",), batch_size=1000)}
        assert seen == dict.fromkeys(range(10_000), 1)
        shares = [entry.value async for entry in kv.list(prefix=("by",))]
        assert len(shares) == 2
        assert [entry async for entry in kv.list(prefix=("twice",))] == []


async def test_messages_of_a_killed_process(path: Path) -> None:
    """What a process held stays with it while it lives, longer than a lease, and comes again when it is killed."""
    async with open_kv(path) as kv:
        for number in range(10):
            await kv.enqueue(number)
        got: set[int] = set()
        all_here = asyncio.Event()

        async def handle(number: int) -> None:
            got.add(number)
            if len(got) == 10:
                all_here.set()

        async with worker("hold", path) as holder:
            assert holder.stdout is not None
            assert await holder.stdout.readline() == b"held\n"
            listening = asyncio.create_task(kv.listen_queue(handle))
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert got == set()
            holder.kill()
            await asyncio.wait_for(all_here.wait(), 20)
    await listening


async def test_message_that_kills(path: Path) -> None:
    """A message of which every process dies is given up after a few of them."""
    async with open_kv(path) as kv:
        await kv.enqueue(1, backoff_schedule=[], keys_if_undelivered=[("dead",)])
        statuses = []
        for _ in range(5):
            async with worker("die", path) as process:
                statuses.append(await finish(process))
        assert [status for status, _ in statuses] == [9, 9, 9, 9, 0]
        assert "the last time to a process that died" in statuses[-1][1]
        assert (await kv.get(("dead",))).value == 1


async def test_processes_wake_each_other(path: Path) -> None:
    """A change, a message and an expiry in one process wake those who wait for them in another."""
    async with open_kv(path) as kv, worker("answer", path) as process:
        watching = kv.watch([("answer", "watch"), ("answer", "message"), ("brief",)])

        async def until(*expected: Any) -> None:
            async for entries in watching:
                if [entry.value for entry in entries] == [*expected]:
                    return

        async with asyncio.timeout(20):
            for number in range(5):
                await kv.set(("question",), number)
                while (await kv.get(("answer", "watch"))).value != number:
                    await anext(watching)
                await kv.enqueue(number)
                await until(number, number, None)
            await kv.set(("question",), "brief")
            await until("brief", 4, 1)
            await until("brief", 4, None)
            await kv.set(("question",), "end")
            assert await finish(process) == (0, "")
