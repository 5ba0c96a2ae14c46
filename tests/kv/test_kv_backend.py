"""The conformance suite of the native KV API: every engine behaves like this on encoded keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from connect_peers import Served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.errors import KvClosed, KvValueError
from echelon.kv.backend import (
    Action,
    Backend,
    Check,
    Commit,
    CommitResult,
    Enqueue,
    Fate,
    KeyRange,
    Lease,
    Message,
    Mutation,
    Record,
    Settlement,
)
from echelon.kv.codec import Encoding, encode_key
from echelon.kv.deno_file import DenoFileBackend
from echelon.kv.postgres import PostgresBackend
from echelon.kv.sqlite import SqliteBackend

Engine = Callable[[Any], Awaitable[Backend]]

ENGINES: dict[str, Engine] = {
    "sqlite-full": lambda folder: SqliteBackend.open(folder / "test.db"),
    "sqlite-normal": lambda folder: SqliteBackend.open(folder / "test.db", "normal"),
    "sqlite-memory": lambda folder: SqliteBackend.open(":memory:"),
    "deno-full": lambda folder: DenoFileBackend.open(folder / "deno.db"),
    "deno-normal": lambda folder: DenoFileBackend.open(folder / "deno.db", "normal"),
    "postgres": PostgresBackend.open,
    "connect": lambda folder: Served.open(folder / "test.db"),
}


ALONE = {"sqlite-memory"}
"""Engines whose store only one handle reaches."""

SWEPT_BY_SERVER = {"connect"}
"""Engines that leave the removal of expired entries to the server they talk to."""


def place(request: pytest.FixtureRequest) -> Any:
    """Where an engine is opened: at a URL on a server, in a folder otherwise."""
    return request.getfixturevalue("postgres_url" if request.param == "postgres" else "tmp_path")


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """An empty engine of each kind."""
    engine = await ENGINES[request.param](place(request))
    yield engine
    await engine.close()


@pytest.fixture(params=[name for name in ENGINES if name not in ALONE])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Backend, Backend]]:
    """Two engines on one store, as two processes have them."""
    where = place(request)
    one = await ENGINES[request.param](where)
    other = await ENGINES[request.param](where)
    yield one, other
    await one.close()
    await other.close()


def put(key: bytes, value: bytes = b"", expires_at: int | None = None) -> Mutation:
    return Mutation(Action.SET, key, value, Encoding.BYTES, expires_at)


def number(action: Action, key: bytes, operand: int) -> Mutation:
    return Mutation(action, key, operand.to_bytes(8, "little"), Encoding.U64)


async def commit(backend: Backend, *mutations: Mutation, checks: tuple[Check, ...] = ()) -> CommitResult:
    return await backend.write(Commit(checks, mutations, 100))


def message(payload: bytes, due: int = 0, backoff: tuple[int, ...] = (), *keys: bytes) -> Enqueue:
    return Enqueue(payload, Encoding.BYTES, due, backoff, keys)


async def enqueue(backend: Backend, *messages: Enqueue) -> CommitResult:
    return await backend.write(Commit((), (), 100, enqueues=messages))


async def settle(backend: Backend, lease: Lease, fate: Fate, at: int = 0, *changes: Mutation) -> CommitResult:
    return await backend.write(Commit((), changes, 100, settlements=(Settlement(lease, fate, at),)))


async def take(backend: Backend, limit: int = 10, lease: float = 60) -> list[Message]:
    """Dequeue, giving up after a while."""
    return await asyncio.wait_for(backend.dequeue(limit, lease), 10)


async def is_empty(backend: Backend) -> bool:
    """Whether no message is due now."""
    with suppress(TimeoutError):
        await asyncio.wait_for(backend.dequeue(1, 0.05), 0.06)
        return False
    return True


def milliseconds(seconds: float = 0) -> int:
    """The time `seconds` from now, in milliseconds since 1970."""
    return int((time.time() + seconds) * 1000)


Watching = AsyncIterator[list[Record | None]]


async def following(watching: Watching) -> list[bytes | None]:
    """The values that a watch yields next."""
    records = await asyncio.wait_for(anext(watching), 10)
    return [record and record.value for record in records]


async def everything(backend: Backend) -> dict[bytes, bytes]:
    (records,) = await backend.read([KeyRange(b"", b"\xff", 1000)])
    return {record.key: record.value for record in records}


async def test_point_and_range(backend: Backend) -> None:
    """A range is read from start to end in byte order, a point alone; missing ones are empty."""
    await commit(backend, *[put(bytes([n]), bytes([n])) for n in (3, 1, 2, 255)])
    await commit(backend, put(b"\x01\x00", b"below"))
    found = await backend.read(
        [
            KeyRange(b"\x02"),
            KeyRange(b"\x09"),
            KeyRange(b"\x01", b"\x03", 10),
            KeyRange(b"\x01", b"\xff", 2, True),
            KeyRange(b"\x01", b"\x01", 5),
        ]
    )
    keys = [[record.key for record in records] for records in found]
    assert keys == [[b"\x02"], [], [b"\x01", b"\x01\x00", b"\x02"], [b"\x03", b"\x02"], []]
    assert found[0][0].value == b"\x02"
    assert found[0][0].encoding == Encoding.BYTES
    assert await backend.read([]) == []


async def test_stamps_grow(backend: Backend) -> None:
    """Each commit has a greater stamp than all before it; its entries carry it."""
    results = [await commit(backend, put(b"k", bytes([n]))) for n in range(20)]
    stamps = [str(result.versionstamp) for result in results]
    assert stamps == sorted(set(stamps))
    ((record,),) = await backend.read([KeyRange(b"k")])
    assert record.versionstamp == stamps[-1]


async def test_checks(backend: Backend) -> None:
    """All checks are made before any change; those that fail are listed."""
    first = await commit(backend, put(b"a"))
    checks = (Check(b"a", first.versionstamp), Check(b"b", None))
    assert await commit(backend, put(b"b"), checks=checks)
    assert (await commit(backend, put(b"c"), checks=checks)).failed_checks == (1,)
    both = (Check(b"a", None), Check(b"b", None), Check(b"c", None))
    assert (await commit(backend, checks=both)).failed_checks == (0, 1)
    assert set(await everything(backend)) == {b"a", b"b"}


async def test_failure_undoes_the_commit(backend: Backend) -> None:
    """A sum that meets another encoding raises and leaves nothing of its commit."""
    await commit(backend, put(b"a", b"x"))
    with pytest.raises(KvValueError, match="sum works on a U64 only"):
        await commit(backend, put(b"b"), put(b"a", b"y"), number(Action.SUM, b"a", 1))
    assert await everything(backend) == {b"a": b"x"}


async def test_expiry(backend: Backend) -> None:
    """Expired entries are absent for reads, checks and arithmetic; sweeping says when to come again."""
    now = int(time.time() * 1000)
    await commit(backend, put(b"old", b"", now - 1), put(b"young", b"", now + 3_600_000))
    assert set(await everything(backend)) == {b"young"}
    assert await backend.read([KeyRange(b"old")]) == [[]]
    assert await commit(backend, checks=(Check(b"old", None),))
    assert 0 <= await backend.sweep() <= 60
    assert 0 < await backend.sweep() <= 60
    assert set(await everything(backend)) == {b"young"}


async def test_sweeps_in_portions(backend: Backend, request: pytest.FixtureRequest) -> None:
    """A sweep with more to do asks to be called again at once, until all is gone."""
    if request.node.callspec.params["backend"] in SWEPT_BY_SERVER:
        pytest.skip("the server removes expired entries, not its client")
    for _ in range(3):
        await commit(backend, *[put(f"{_}{n}".encode(), b"", 1) for n in range(500)])
    assert await backend.sweep() == 0
    assert await backend.sweep() > 0
    assert await everything(backend) == {}


async def test_close_is_final(backend: Backend) -> None:
    """Closing twice is a no-op, and nothing works afterwards."""
    await backend.close()
    await backend.close()
    for call in (backend.read([KeyRange(b"k")]), commit(backend), backend.sweep()):
        with pytest.raises(KvClosed):
            await call


async def test_snapshot(backend: Backend) -> None:
    """All ranges of one read are from one snapshot while others write."""

    async def write() -> None:
        for n in range(300):
            await commit(backend, put(b"a", bytes([n % 256])), put(b"b", bytes([n % 256])))

    writing = [asyncio.create_task(write()) for _ in range(3)]
    while not all(task.done() for task in writing):
        (one, other) = await backend.read([KeyRange(b"a"), KeyRange(b"b", b"c", 5)])
        assert [record.versionstamp for record in one] == [record.versionstamp for record in other]
        await asyncio.sleep(0)
    await asyncio.gather(*writing)


async def test_stamped_key(backend: Backend) -> None:
    """A stamped set stores its value under the key followed by the stamp of its commit, in order of commits."""
    stamped = Mutation(Action.SET_STAMPED, encode_key(("log",)), b"x", Encoding.BYTES)
    results = [await commit(backend, stamped, put(b"other")) for _ in range(3)]
    expected = [encode_key(("log", str(result.versionstamp))) for result in results]
    (records,) = await backend.read([KeyRange(encode_key(("log",)), b"\x03", 10)])
    assert [record.key for record in records] == expected
    assert [record.versionstamp for record in records] == [result.versionstamp for result in results]


async def test_operand_that_is_no_number(backend: Backend) -> None:
    """Arithmetic with an operand of another kind raises, also where nothing is stored."""
    for operand in (
        Mutation(Action.SUM, b"k", b"1234567"),
        Mutation(Action.MIN, b"k", b"x" * 8, Encoding.BYTES),
    ):
        with pytest.raises(KvValueError):
            await commit(backend, put(b"other"), operand)
    assert await everything(backend) == {}


async def test_watch(backend: Backend) -> None:
    """A watch begins with the current state and goes on with each change of its keys, and with no other."""
    await commit(backend, put(b"a", b"1"))
    watching = backend.watch([b"b", b"a", b"a"])
    assert await following(watching) == [None, b"1", b"1"]
    waiting = asyncio.ensure_future(anext(watching))
    await commit(backend, put(b"c", b"other"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await commit(backend, put(b"a", b"2"), put(b"b", b"2"))
    assert [record and record.value for record in await asyncio.wait_for(waiting, 10)] == [b"2", b"2", b"2"]
    await commit(backend, put(b"a", b"2"))
    assert await following(watching) == [b"2", b"2", b"2"]
    await commit(backend, Mutation(Action.DELETE, b"a"))
    assert await following(watching) == [b"2", None, None]
    await commit(backend, number(Action.SUM, b"a", 7))
    assert await following(watching) == [b"2", (7).to_bytes(8, "little"), (7).to_bytes(8, "little")]


async def test_watch_sees_what_a_stamped_set_wrote(backend: Backend) -> None:
    """A key that a stamped set made is watched like any other; what was missed in between is left out."""
    stamped = Mutation(Action.SET_STAMPED, encode_key(("log",)), b"x", Encoding.BYTES)
    result = await commit(backend, stamped)
    watching = backend.watch([encode_key(("log", str(result.versionstamp))), b"n"])
    assert await following(watching) == [b"x", None]
    for n in range(50):
        await commit(backend, put(b"n", bytes([n])))
    assert await following(watching) == [b"x", bytes([49])]


async def test_watch_sees_expiry(backend: Backend) -> None:
    """A watch is woken when one of its entries expires, without a sweep."""
    await commit(backend, put(b"k", b"1", milliseconds(0.2)))
    watching = backend.watch([b"k"])
    assert await following(watching) == [b"1"]
    assert await following(watching) == [None]
    await backend.sweep()
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await commit(backend, put(b"k", b"2", milliseconds(0.1)))
    assert await waiting
    assert await following(watching) == [None]


async def test_watch_is_one_snapshot(backend: Backend) -> None:
    """What a watch yields are states that were committed, in their order."""

    async def write() -> None:
        for n in range(200):
            await commit(backend, put(b"a", n.to_bytes(2, "big")), put(b"b", n.to_bytes(2, "big")))

    writing = asyncio.create_task(write())
    seen = []
    async for one, other in backend.watch([b"a", b"b"]):
        assert (one and one.versionstamp) == (other and other.versionstamp)
        seen.append(one and one.value)
        if one and one.value == (199).to_bytes(2, "big"):
            break
    await writing
    assert seen[1:] == sorted(set(seen[1:]), key=bytes)


async def test_watch_from_elsewhere(pair: tuple[Backend, Backend]) -> None:
    """A watch is woken by commits and expiries that come from another handle."""
    one, other = pair
    watching = one.watch([b"k"])
    assert await following(watching) == [None]
    for value in (b"1", b"2"):
        waiting = asyncio.ensure_future(following(watching))
        await asyncio.sleep(0.05)
        await commit(other, put(b"k", value, milliseconds(0.3) if value == b"2" else None))
        assert await waiting == [value]
    assert await following(watching) == [None]


async def test_queue_order(backend: Backend) -> None:
    """Messages come by due time, then in the order they were enqueued, each with what it was enqueued with."""
    await enqueue(
        backend, message(b"late", 30), message(b"early", 10), message(b"middle", 20, (5, 6), b"k", b"l")
    )
    await enqueue(backend, message(b"also early", 10), message(b"not yet", milliseconds(60)))
    (first,) = await take(backend, 1)
    assert (first.payload, first.due, first.attempts, first.encoding) == (b"early", 10, 0, Encoding.BYTES)
    second, third, fourth = await take(backend)
    assert [m.payload for m in (second, third, fourth)] == [b"also early", b"middle", b"late"]
    assert (list(third.backoff), list(third.undelivered)) == ([5, 6], [b"k", b"l"])
    assert (list(fourth.backoff), list(fourth.undelivered)) == ([], [])
    assert await is_empty(backend)


async def test_dequeue_waits(backend: Backend) -> None:
    """Dequeue waits for an enqueue, or until a message is due, and does not hand it out before."""
    waiting = asyncio.create_task(take(backend))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    result = await enqueue(backend, message(b"now"))
    assert result.versionstamp is not None
    assert [m.payload for m in await waiting] == [b"now"]
    due = milliseconds(0.2)
    await enqueue(backend, message(b"later", due))
    assert [m.payload for m in await take(backend)] == [b"later"]
    assert milliseconds() >= due


async def test_enqueue_is_part_of_its_commit(backend: Backend) -> None:
    """A commit that is refused or fails enqueues nothing; one that is applied enqueues all."""
    await commit(backend, put(b"text", b"x"))
    refused = Commit((Check(b"text", None),), (), 10, enqueues=(message(b"refused"),))
    assert (await backend.write(refused)).failed_checks == (0,)
    with pytest.raises(KvValueError):
        await backend.write(Commit((), (number(Action.SUM, b"text", 1),), 10, enqueues=(message(b"failed"),)))
    assert await is_empty(backend)
    assert await backend.write(Commit((), (put(b"k"),), 10, enqueues=(message(b"1"), message(b"2"))))
    assert [m.payload for m in await take(backend)] == [b"1", b"2"]


async def test_done_is_final(backend: Backend) -> None:
    """A message that is done never comes again, and its lease settles nothing more."""
    await enqueue(backend, message(b"m"))
    (held,) = await take(backend, lease=0.1)
    assert await settle(backend, held.lease, Fate.DONE, 0, put(b"done"))
    await asyncio.sleep(0.15)
    assert await is_empty(backend)
    for fate in Fate:
        result = await settle(backend, held.lease, fate, 0, put(b"again"))
        assert (result.ok, result.failed_checks, result.versionstamp) == (False, (), None)
    assert set(await everything(backend)) == {b"done"}


async def test_lease_runs_out(backend: Backend) -> None:
    """A message that is not settled comes again after its lease; then the first lease settles nothing."""
    await enqueue(backend, message(b"m"))
    (first,) = await take(backend, lease=0.2)
    started = time.monotonic()
    (second,) = await take(backend)
    assert time.monotonic() - started > 0.1
    assert (second.payload, second.attempts, second.lease.id) == (b"m", 1, first.lease.id)
    assert second.lease.token != first.lease.token
    for fate in Fate:
        assert not await settle(backend, first.lease, fate, 0, put(b"lost"))
    assert await everything(backend) == {}
    assert await settle(backend, second.lease, Fate.DONE)


async def test_late_settlement(backend: Backend) -> None:
    """A lease that ran out still settles its message if nobody else got it."""
    await enqueue(backend, message(b"m"))
    (held,) = await take(backend, lease=0.02)
    await asyncio.sleep(0.1)
    assert await settle(backend, held.lease, Fate.DONE)
    assert await is_empty(backend)


async def test_extend(backend: Backend) -> None:
    """Extending keeps a message with its holder for longer than its lease, under the same lease."""
    await enqueue(backend, message(b"m"))
    (held,) = await take(backend, lease=0.2)
    for _ in range(3):
        assert await settle(backend, held.lease, Fate.EXTEND, milliseconds(0.3))
        await asyncio.sleep(0.05)
        assert await is_empty(backend)
    assert await settle(backend, held.lease, Fate.DONE)


async def test_retry_and_release(backend: Backend) -> None:
    """A retry makes a message due at a time and counts the delivery; a release does not count it."""
    await enqueue(backend, message(b"m", 5, (1, 2), b"k"))
    (held,) = await take(backend)
    at = milliseconds(0.2)
    assert await settle(backend, held.lease, Fate.RETRY, at)
    assert await is_empty(backend)
    (second,) = await take(backend)
    assert milliseconds() >= at
    assert (second.attempts, second.due, second.payload) == (1, at, b"m")
    assert (list(second.backoff), list(second.undelivered)) == ([1, 2], [b"k"])
    assert await settle(backend, second.lease, Fate.RELEASE, second.due)
    (third,) = await take(backend)
    assert (third.attempts, third.due) == (1, at)
    assert third.lease.token != second.lease.token
    assert not await settle(backend, second.lease, Fate.DONE)


async def test_settling_is_part_of_its_commit(backend: Backend) -> None:
    """One lost lease, failed check or failing sum refuses all settlements and changes of a commit."""
    await commit(backend, put(b"text", b"x"))
    await enqueue(backend, message(b"1"), message(b"2"))
    one, two = await take(backend)
    both = (Settlement(one.lease, Fate.DONE), Settlement(two.lease, Fate.DONE))
    lost = Settlement(Lease(two.lease.id, "0"), Fate.DONE)
    assert not await backend.write(Commit((), (put(b"k"),), 1, (message(b"3"),), (both[0], lost)))
    assert not await backend.write(Commit((Check(b"text", None),), (), 1, (), both))
    with pytest.raises(KvValueError):
        await backend.write(Commit((), (number(Action.SUM, b"text", 1),), 1, (), both))
    unknown = Settlement(Lease("999999", one.lease.token), Fate.DONE)
    assert not await backend.write(Commit((), (), 1, (), (both[0], unknown)))
    assert not await backend.write(Commit((), (), 1, (), (both[0], Settlement(Lease("x", "y"), Fate.DONE))))
    assert set(await everything(backend)) == {b"text"}
    assert await backend.write(Commit((), (put(b"undelivered", b"2"),), 1, (), both))
    assert await everything(backend) == {b"text": b"x", b"undelivered": b"2"}
    assert await is_empty(backend)


async def test_takers_compete(backend: Backend) -> None:
    """Any number of takers get each message once while it is leased."""
    taken: list[bytes] = []
    finished = asyncio.Event()

    async def work() -> None:
        while True:
            for held in await backend.dequeue(3, 60):
                taken.append(held.payload)
                await settle(backend, held.lease, Fate.DONE)
            if len(taken) >= 100:
                finished.set()

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for n in range(100):
        await enqueue(backend, message(bytes([n])))
    await asyncio.wait_for(finished.wait(), 10)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    assert sorted(taken) == [bytes([n]) for n in range(100)]


async def test_cancelled_dequeue(backend: Backend) -> None:
    """Cancelling a dequeue at any moment loses no message: it soon comes to the next taker, uncounted."""
    for n in range(20):
        waiting = asyncio.create_task(backend.dequeue(1, 60))
        await asyncio.sleep(0)
        await enqueue(backend, message(bytes([n])))
        for _ in range(n % 5):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        held = [] if waiting.cancelled() else waiting.result()
        (got,) = held or await take(backend)
        assert (got.payload, got.attempts) == (bytes([n]), 0)
        assert await settle(backend, got.lease, Fate.DONE)


async def test_dequeue_from_elsewhere(pair: tuple[Backend, Backend]) -> None:
    """A message that one handle enqueues wakes a taker on another; a lease holds on both."""
    one, other = pair
    waiting = asyncio.create_task(take(one, lease=0.3))
    await asyncio.sleep(0.05)
    await enqueue(other, message(b"m"))
    (held,) = await waiting
    assert held.payload == b"m"
    assert await is_empty(other)
    (again,) = await take(other)
    assert (again.payload, again.attempts) == (b"m", 1)
    assert not await settle(one, held.lease, Fate.DONE)
    assert await settle(one, again.lease, Fate.DONE)


async def test_close_ends_waiting(backend: Backend) -> None:
    """Closing ends a watch, and a waiting dequeue with KvClosed; afterwards both refuse to begin."""
    watching = backend.watch([b"k"])
    assert await following(watching) == [None]
    waits = [asyncio.ensure_future(anext(watching, None)), asyncio.ensure_future(backend.dequeue(1, 1))]
    await asyncio.sleep(0.02)
    await backend.close()
    end, refusal = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 10)
    assert end is None
    assert isinstance(refusal, KvClosed)
    with pytest.raises(KvClosed):
        await backend.dequeue(1, 1)
    with pytest.raises(KvClosed):
        await anext(backend.watch([b"k"]))


NAMES = st.sampled_from([b"a", b"b", b"b\0", b"c"])
NUMBERS = st.integers(0, 3) | st.sampled_from([2**64 - 1, 2**63])
CHANGES = st.one_of(
    st.builds(put, NAMES, st.binary(max_size=3)),
    st.builds(lambda key: Mutation(Action.DELETE, key), NAMES),
    st.builds(number, st.sampled_from([Action.SUM, Action.MIN, Action.MAX]), NAMES, NUMBERS),
)
COMMITS = st.tuples(st.lists(st.tuples(NAMES, st.booleans()), max_size=2), st.lists(CHANGES, max_size=4))


def apply_to_model(model: dict[bytes, tuple[bytes, int]], changes: list[Mutation]) -> None:
    """What a commit does, said without a database; raises ArithmeticError for what is no number."""
    for change in changes:
        if change.action == Action.SET:
            model[change.key] = (change.value, change.encoding)
        elif change.action == Action.DELETE:
            model.pop(change.key, None)
        else:
            stored, encoding = model.get(change.key, (None, Encoding.U64))
            if encoding != Encoding.U64:
                raise ArithmeticError
            right = int.from_bytes(change.value, "little")
            left = None if stored is None else int.from_bytes(stored, "little")
            if left is None:
                result = right
            elif change.action == Action.SUM:
                result = (left + right) % 2**64
            else:
                result = min(left, right) if change.action == Action.MIN else max(left, right)
            model[change.key] = (result.to_bytes(8, "little"), Encoding.U64)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMITS, max_size=12), st.booleans())
async def test_histories(backend: Backend, history: list[Any], together: bool) -> None:
    """Any history of commits, one by one or waiting together, ends as it does in a dictionary."""
    found = await everything(backend)
    await commit(backend, *[Mutation(Action.DELETE, key) for key in found])
    model: dict[bytes, tuple[bytes, int]] = {}
    expected: list[str] = []
    calls = []
    stamps = {key: str((await commit(backend, put(key))).versionstamp) for key in (b"a", b"c")}
    await commit(backend, *[Mutation(Action.DELETE, key) for key in stamps])
    for wanted, changes in history:
        checks = tuple(Check(key, None if absent else "0" * 20) for key, absent in wanted)
        calls.append((checks, changes))
        failed = [not absent or key in model for key, absent in wanted]
        after = dict(model)
        try:
            if any(failed):
                expected.append("refused")
                continue
            apply_to_model(after, changes)
        except ArithmeticError:
            expected.append("failed")
            continue
        model = after
        expected.append("done")
    writes = [commit(backend, *changes, checks=checks) for checks, changes in calls]
    outcomes: list[Any]
    if together:
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
    else:
        outcomes = [(await asyncio.gather(write, return_exceptions=True))[0] for write in writes]
    names = ["failed" if isinstance(o, KvValueError) else "done" if o else "refused" for o in outcomes]
    assert names == expected
    assert await everything(backend) == {key: value for key, (value, _) in sorted(model.items())}
