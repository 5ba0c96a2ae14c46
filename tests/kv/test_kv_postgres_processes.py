"""Several processes on one PostgreSQL store: races, work shared by them, and processes that are killed."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from typing import Any

import pytest

from echelon.errors import KvValueError
from echelon.kv import open_kv
from echelon.kv.backend import Action, Backend, Check, Commit, CommitResult, Enqueue, KeyRange, Mutation
from echelon.kv.codec import Encoding
from echelon.kv.postgres import PostgresBackend

RACER = """
import asyncio, sys
from echelon.kv import open_kv

async def work(url):
    async with open_kv(url) as kv:
        for n in range(20):
            await kv.atomic().sum(("sum",), 1).max(("max",), n).commit()
            while True:
                entry = await kv.get(("counter",))
                if await kv.atomic().check(entry).set(("counter",), (entry.value or 0) + 1).commit():
                    break

async def main(url):
    await asyncio.gather(*(work(url) for _ in range(10)))

asyncio.run(main(sys.argv[1]))
"""

DRAINER = """
import asyncio, sys
from echelon.kv.backend import Commit, Fate, Settlement
from echelon.kv.postgres import PostgresBackend

async def drain(backend):
    while True:
        messages = await backend.dequeue(32, 60)
        sys.stdout.write("".join(message.payload.decode() + "\\n" for message in messages))
        sys.stdout.flush()
        done = tuple(Settlement(message.lease, Fate.DONE) for message in messages)
        if not await backend.write(Commit((), (), 0, settlements=done)):
            raise SystemExit("a lease was lost")

async def main(url):
    backend = await PostgresBackend.open(url)
    await asyncio.gather(*(drain(backend) for _ in range(3)))

asyncio.run(main(sys.argv[1]))
"""

HOLDER = """
import asyncio, sys
from echelon.kv.postgres import PostgresBackend

async def main(url):
    backend = await PostgresBackend.open(url)
    messages = []
    while len(messages) < 5:
        messages += await backend.dequeue(10, 1)
    print(len(messages), flush=True)
    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""

WRITER = """
import asyncio, sys
from echelon.kv import open_kv

async def write(kv, task, first):
    number = first + task
    while True:
        commit = kv.atomic().set(("a", number), b"x" * 3000).set(("b", number), number).sum(("count",), 1)
        await commit.commit()
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
        number += 8

async def main(url, first):
    async with open_kv(url) as kv:
        await asyncio.gather(*(write(kv, task, first) for task in range(8)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def start(program: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments, stdout=pipe)


async def enqueue(backend: Backend, *payloads: bytes) -> None:
    messages = tuple(Enqueue(payload, Encoding.BYTES, 0, ()) for payload in payloads)
    await backend.write(Commit((), (), 10, enqueues=messages))


async def test_twenty_handles_race(postgres_url: str) -> None:
    """Two processes with ten handles each lose no sum and no commit with a check."""
    racers = [await start(RACER, postgres_url) for _ in range(2)]
    assert [await racer.wait() for racer in racers] == [0, 0]
    async with open_kv(postgres_url) as kv:
        assert (await kv.get(("sum",))).value == 2 * 10 * 20
        assert (await kv.get(("counter",))).value == 2 * 10 * 20
        assert (await kv.get(("max",))).value == 19


async def test_two_processes_drain_the_queue(postgres_url: str) -> None:
    """10 000 messages are handled once each by two processes that share the work."""
    backend = await PostgresBackend.open(postgres_url)
    for first in range(0, 10_000, 1000):
        await enqueue(backend, *(str(n).encode() for n in range(first, first + 1000)))
    drainers = [await start(DRAINER, postgres_url) for _ in range(2)]
    seen: list[list[int]] = [[], []]

    async def collect(process: asyncio.subprocess.Process, numbers: list[int]) -> None:
        while line := await process.stdout.readline():  # type: ignore[union-attr]  # it is a pipe
            numbers.append(int(line))
            if len(seen[0]) + len(seen[1]) == 10_000:
                finished.set()

    finished = asyncio.Event()
    collecting = [asyncio.create_task(collect(*pair)) for pair in zip(drainers, seen, strict=True)]
    await asyncio.wait_for(finished.wait(), 40)
    await asyncio.sleep(0.3)
    for process in drainers:
        process.kill()
        await process.wait()
    await asyncio.gather(*collecting)
    assert sorted(seen[0] + seen[1]) == list(range(10_000))
    assert min(map(len, seen)) > 500
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backend.dequeue(1, 1), 0.2)
    await backend.close()


async def test_killed_holder(postgres_url: str) -> None:
    """The messages that a killed process held come to others when their lease ends, counted as delivered."""
    backend = await PostgresBackend.open(postgres_url)
    await enqueue(backend, *(bytes([n]) for n in range(5)))
    holder = await start(HOLDER, postgres_url)
    assert await holder.stdout.readline() == b"5\n"  # type: ignore[union-attr]  # it is a pipe
    started = time.monotonic()
    holder.kill()
    await holder.wait()
    messages = []
    while len(messages) < 5:
        messages += await asyncio.wait_for(backend.dequeue(10, 30), 10)
    assert time.monotonic() - started > 0.3
    assert sorted(message.payload for message in messages) == [bytes([n]) for n in range(5)]
    assert {message.attempts for message in messages} == {1}
    await backend.close()


async def test_killed_writers(postgres_url: str) -> None:
    """After a kill -9 at any moment every acknowledged commit is there, and every commit is whole."""
    acknowledged: set[int] = set()
    async with open_kv(postgres_url) as kv:
        for round_ in range(6):
            writer = await start(WRITER, postgres_url, str(round_ * 1_000_000))
            assert await writer.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
            await asyncio.sleep(random.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            output, _ = await writer.communicate()
            acknowledged |= {int(line) for line in output.decode().split("\n")[:-1]}
            left = {entry.key[1] async for entry in kv.list(prefix=("a",))}
            assert left == {entry.value async for entry in kv.list(prefix=("b",))}
            assert acknowledged <= left
            count = (await kv.get(("count",))).value
            assert count == len(left)
    assert len(acknowledged) > 50


NAMES = [b"a", b"b", b"c"]


def random_commit(chance: random.Random, stamps: dict[bytes, str | None]) -> Commit:
    """A commit that checks what was seen last, changes what it likes, and may fail."""
    checks = [Check(key, stamps.get(key)) for key in NAMES if chance.random() < 0.2]
    mutations = []
    for _ in range(chance.randrange(4)):
        key = chance.choice(NAMES)
        operand = chance.choice([1, 2, 2**64 - 1]).to_bytes(8, "little")
        kind = chance.choice([Action.SET, Action.DELETE, Action.SUM, Action.SUM, Action.MIN, Action.MAX])
        encoding = Encoding.BYTES if kind == Action.SET and chance.random() < 0.1 else Encoding.U64
        mutations.append(Mutation(kind, key, b"" if kind == Action.DELETE else operand, encoding))
    return Commit(checks, mutations, 100)


Model = dict[bytes, tuple[bytes, int, str]]


def replay(model: Model, commit: Commit, stamp: str) -> None:
    """Apply a commit that succeeded with `stamp`; raises AssertionError when it should not have."""
    for key, expected in commit.checks:
        assert expected == (model[key][2] if key in model else None)
    for mutation in commit.mutations:
        key = mutation.key
        if mutation.action == Action.SET:
            model[key] = (mutation.value, mutation.encoding, stamp)
        elif mutation.action == Action.DELETE:
            model.pop(key, None)
        else:
            before, encoding, _ = model.get(key, (mutation.value, Encoding.U64, ""))
            assert encoding == Encoding.U64
            right = int.from_bytes(mutation.value, "little")
            left = int.from_bytes(before, "little") if key in model else None
            if left is None:
                result = right
            elif mutation.action == Action.SUM:
                result = (left + right) % 2**64
            else:
                result = min(left, right) if mutation.action == Action.MIN else max(left, right)
            model[key] = (result.to_bytes(8, "little"), Encoding.U64, stamp)


@pytest.mark.parametrize("seed", range(4))
async def test_commits_are_in_one_order(postgres_url: str, seed: int) -> None:
    """Commits of four handles at once, replayed in the order of their stamps, explain what each of them found."""
    chance = random.Random(seed)
    backends = [await PostgresBackend.open(postgres_url) for _ in range(4)]
    done: list[tuple[str, Commit]] = []

    async def work(backend: Backend) -> None:
        for _ in range(40):
            stamps = {
                record.key: record.versionstamp
                for records in await backend.read([KeyRange(key) for key in NAMES])
                for record in records
            }
            try:
                commit = random_commit(chance, stamps)
                result: CommitResult = await backend.write(commit)
            except KvValueError:
                continue
            if result.versionstamp is not None:
                done.append((result.versionstamp, commit))
            else:
                assert result.failed_checks

    await asyncio.gather(*(work(backend) for backend in backends for _ in range(3)))
    model: Model = {}
    assert len({stamp for stamp, _ in done}) == len(done) > 100
    for stamp, commit in sorted(done, key=lambda pair: pair[0]):
        replay(model, commit, stamp)
    found = await backends[0].read([KeyRange(key) for key in NAMES])
    stored: Any = {r.key: (r.value, r.encoding, r.versionstamp) for records in found for r in records}
    assert stored == model
    for backend in backends:
        await backend.close()
