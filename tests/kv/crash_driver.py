"""Kills a process that writes and listens, at random moments, again and again, and checks what it left.

usage: crash_driver.py PATH ROUNDS DURABILITY. Prints one JSON object of counts; exits 1 with the first loss.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import struct
import sys
import time
from typing import Any, NoReturn

import apsw

from echelon.kv import Kv, limits, open_kv
from echelon.kv.backend import Durability

ACK = struct.Struct(">Q")
TASKS = 8
PER_ROUND = 1_000_000
LEASE_SECONDS = 0.3
"""So that what a dead process held comes again within the test."""


async def write(kv: Kv, task: int, pipe: int, first: int) -> None:
    """Commit pairs with a message for ever; report each number once its commit was acknowledged."""
    number = first + task
    while True:
        size = random.choice([1, 10, 3000])
        commit = kv.atomic().set(("a", number), b"x" * size).set(("b", number), size).sum(("count",), 1)
        if number % 7 == 0:
            commit.delete(("a", number)).delete(("b", number)).set(("gone", number), None)
        if not await commit.enqueue(number, keys_if_undelivered=[("dead", number)]).commit():
            raise SystemExit("a commit without checks failed")
        os.write(pipe, ACK.pack(number))
        number += TASKS


async def listen(kv: Kv) -> None:
    async def handle(number: int) -> None:
        await kv.set(("done", number), None)

    await kv.listen_queue(handle, concurrency=10)


async def run_process(path: str, durability: Durability, pipe: int, first: int) -> None:
    async with open_kv(path, durability=durability) as kv:
        await asyncio.gather(*(write(kv, task, pipe, first) for task in range(TASKS)), listen(kv))


def crash(path: str, durability: Durability, first: int) -> set[int]:
    """Let a child write, kill it, and return the numbers it reported."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        asyncio.run(run_process(path, durability, write_end, first))
        os._exit(9)
    os.close(write_end)
    data = b""
    if random.random() < 0.3:
        time.sleep(random.uniform(0, 0.02))  # perhaps while it opens the store
    else:
        data = os.read(read_end, ACK.size)
        time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        fail("the writer ended by itself")
    while chunk := os.read(read_end, 65536):
        data += chunk
    os.close(read_end)
    return {ACK.unpack_from(data, at)[0] for at in range(0, len(data) - len(data) % ACK.size, ACK.size)}


async def collect(kv: Kv, name: str, first: int) -> dict[int, Any]:
    """Return what lies under a name, from a number on."""
    listing = kv.list(prefix=(name,), start=(name, first))
    return {int(entry.key[1]): entry.value async for entry in listing}


async def check(path: str, acknowledged: set[int], first: int = 0) -> int:
    """Compare the store, from a number on, with what was acknowledged; return the number of commits."""
    async with open_kv(path) as kv:
        left = {number: len(value) for number, value in (await collect(kv, "a", first)).items()}
        right = await collect(kv, "b", first)
        gone = await collect(kv, "gone", first)
        count = (await kv.get(("count",))).value or 0
    if left != right:
        fail(f"pairs were split: {sorted(set(left.items()) ^ set(right.items()))[:5]}")
    if missing := acknowledged - set(left) - set(gone):
        fail(f"acknowledged commits are missing: {sorted(missing)[:5]}")
    if first == 0 and count != len(left) + len(gone):
        fail(f"the count is {count}, the commits are {len(left) + len(gone)}")
    return int(count)


async def drain(path: str) -> int:
    """Handle the messages that are left; every commit has had its message handled then, or given up."""
    async with open_kv(path) as kv:
        listening = asyncio.create_task(listen(kv))
        async with asyncio.timeout(60):
            while (await kv.stats()).messages:  # noqa: ASYNC110 - nothing tells that the queue is empty
                await asyncio.sleep(0.05)
        commits = set(await collect(kv, "a", 0)) | set(await collect(kv, "gone", 0))
        done, dead = set(await collect(kv, "done", 0)), set(await collect(kv, "dead", 0))
        if commits != done | dead:
            fail(f"messages and commits differ: {sorted(commits ^ (done | dead))[:5]}")
        if faults := await kv.check():
            fail(f"the store has faults: {faults}")
    await listening
    return len(dead)


def fail(message: str) -> NoReturn:
    print(message)
    sys.exit(1)


def main(path: str, rounds: int, durability: Durability) -> None:
    limits.MAX_LEASE_SECONDS = LEASE_SECONDS  # type: ignore[misc]  # see above
    acknowledged: set[int] = set()
    for round_ in range(rounds):
        first = round_ * PER_ROUND
        new = crash(path, durability, first)
        asyncio.run(check(path, new, first))
        acknowledged |= new
    commits = asyncio.run(check(path, acknowledged))
    dead = asyncio.run(drain(path))
    file = apsw.Connection(path)
    if (verdict := file.pragma("integrity_check")) != "ok":
        fail(f"integrity check: {verdict}")
    file.close()
    counts = {"rounds": rounds, "acknowledged": len(acknowledged), "commits": commits, "undelivered": dead}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "full" if sys.argv[3] == "full" else "normal")
