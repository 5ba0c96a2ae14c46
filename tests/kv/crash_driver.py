"""Kills a writing process at random moments, again and again, and checks what it left.

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
from typing import NoReturn

import apsw

from echelon.kv import Kv, open_kv
from echelon.kv.backend import Durability

ACK = struct.Struct(">Q")
TASKS = 8


async def write(kv: Kv, task: int, pipe: int, first: int) -> None:
    """Commit pairs for ever; report each number once its commit was acknowledged."""
    number = first * TASKS + task
    while True:
        size = random.choice([1, 10, 3000])
        commit = kv.atomic().set(("a", number), b"x" * size).set(("b", number), size).sum(("count",), 1)
        if number % 7 == 0:
            commit.delete(("a", number)).delete(("b", number)).set(("gone", number), None)
        if not await commit.commit():
            raise SystemExit("a commit without checks failed")
        os.write(pipe, ACK.pack(number))
        number += TASKS


async def run_writer(path: str, durability: Durability, pipe: int, first: int) -> None:
    async with open_kv(path, durability=durability) as kv:
        await asyncio.gather(*(write(kv, task, pipe, first) for task in range(TASKS)))


def crash(path: str, durability: Durability, first: int) -> list[int]:
    """Let a child write, kill it, and return the numbers it reported."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        asyncio.run(run_writer(path, durability, write_end, first))
        os._exit(9)
    os.close(write_end)
    time.sleep(random.choice([random.uniform(0, 0.01), random.uniform(0.01, 0.06)]))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        fail("the writer ended by itself")
    data = b""
    while chunk := os.read(read_end, 65536):
        data += chunk
    os.close(read_end)
    return [ACK.unpack_from(data, at)[0] for at in range(0, len(data) - len(data) % ACK.size, ACK.size)]


async def check(path: str, acknowledged: set[int]) -> int:
    """Compare the store with what was acknowledged; return the number of commits in it."""
    async with open_kv(path) as kv:
        left = {entry.key[1]: len(entry.value) async for entry in kv.list(prefix=("a",))}
        right = {entry.key[1]: entry.value async for entry in kv.list(prefix=("b",))}
        gone = {entry.key[1] async for entry in kv.list(prefix=("gone",))}
        count = (await kv.get(("count",))).value or 0
    if left != right:
        fail(f"pairs were split: {sorted(set(left.items()) ^ set(right.items()))[:5]}")
    if missing := acknowledged - set(left) - gone:
        fail(f"acknowledged commits are missing: {sorted(missing)[:5]}")
    if count != len(left) + len(gone):
        fail(f"the count is {count}, the commits are {len(left) + len(gone)}")
    return int(count)


def fail(message: str) -> NoReturn:
    print(message)
    sys.exit(1)


def main(path: str, rounds: int, durability: Durability) -> None:
    acknowledged: set[int] = set()
    commits = 0
    for round_ in range(rounds):
        acknowledged |= set(crash(path, durability, round_ * 1_000_000))
        commits = asyncio.run(check(path, acknowledged))
    file = apsw.Connection(path)
    if (verdict := file.pragma("integrity_check")) != "ok":
        fail(f"integrity check: {verdict}")
    file.close()
    print(json.dumps({"rounds": rounds, "acknowledged": len(acknowledged), "commits": commits}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "full" if sys.argv[3] == "full" else "normal")
