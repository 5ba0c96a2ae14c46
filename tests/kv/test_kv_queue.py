"""The queue as an application uses it: enqueue, listen, retries, leases, and how a listener ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import KvClosed, KvKeyError, KvLimitError, KvStorageError, KvUsageError, KvValueError
from echelon.kv import VERSIONSTAMP, Kv, open_kv
from echelon.kv.backend import Fate
from echelon.kv.postgres import PostgresBackend

MS = timedelta(milliseconds=1)


@dataclass
class Job:
    name: str


class Inbox:
    """A handler that keeps what it is given and can be waited for; `work` is what it does with each value."""

    def __init__(self, work: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self.values: list[Any] = []
        self._work = work
        self._changed = asyncio.Event()

    async def __call__(self, value: Any) -> None:
        self.values.append(value)
        self._changed.set()
        if self._work is not None:
            await self._work(value)

    async def wait_for(self, count: int) -> list[Any]:
        async with asyncio.timeout(20):
            while len(self.values) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.values


async def fail(value: Any) -> None:
    raise ZeroDivisionError("a handler's own mistake")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short leases, so that a test need not wait seconds."""
    monkeypatch.setattr("echelon.kv.limits.MAX_LEASE_SECONDS", 0.6)


async def counts(kv: Kv) -> tuple[int, int]:
    """Messages that are in the store, and those of them that are leased."""
    question = "select count(*), count(token) from queue"
    if isinstance(kv._backend, PostgresBackend):
        return tuple(await on_server(kv._backend, question))
    rows = kv._backend._connections.reader  # type: ignore[attr-defined]  # what is in the file
    if kv._backend.values == "v8":  # the tables of Deno
        question = (
            "select count(*), count(deadline) from "
            "(select null as deadline from queue union all select deadline from queue_running)"
        )
    (found,) = rows.execute(question).fetchall()
    return found  # type: ignore[no-any-return]


async def on_server(backend: PostgresBackend, statement: str) -> Any:
    """The row that a statement about the queue's table gives on the server, if any."""
    table = f"{backend._server.address.schema}.queue"
    return await backend._pool.run(lambda line: line.fetchrow(statement.replace("queue", table, 1)))


async def take_away(kv: Kv) -> None:
    """Lease every message to somebody else, as another process would."""
    statement = "update queue set token = token + 1, due = due + 100000"
    if isinstance(kv._backend, PostgresBackend):
        await on_server(kv._backend, statement)
        return
    if kv._backend.values == "v8":
        statement = "update queue_running set id = id || 'x', deadline = deadline + 100000"
    kv._backend._connections.writer.execute(statement)  # type: ignore[attr-defined]  # to stand for the other


async def settled(kv: Kv, count: int = 0) -> None:
    """Wait until that many messages are left."""
    async with asyncio.timeout(20):
        while (await counts(kv))[0] != count:  # noqa: ASYNC110 - nothing tells that a settlement was committed
            await asyncio.sleep(0.005)


async def test_values(kv: Kv) -> None:
    """A handler gets the value that was enqueued, of whatever type; each message once."""
    values = [None, 5, "text", b"bytes", {"a": [1, {2}]}, 2**70]
    inbox = Inbox()
    listening = asyncio.create_task(kv.listen_queue(inbox))
    for value in values:
        assert (await kv.enqueue(value)).versionstamp is not None
    await inbox.wait_for(len(values))
    await settled(kv)
    assert inbox.values == values
    await kv.close()
    await asyncio.wait_for(listening, 10)


async def test_type(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """`type=` converts values; one that does not fit is a failed delivery, and its value is not in the log."""
    inbox = Inbox()
    listening = asyncio.create_task(kv.listen_queue(inbox, type=Job))
    await kv.enqueue({"name": 12345}, backoff_schedule=[], keys_if_undelivered=[("dead",)])
    await kv.enqueue(Job("x"))
    assert await inbox.wait_for(1) == [Job("x")]
    await settled(kv)
    assert (await kv.get(("dead",))).value == {"name": 12345}
    assert "a queue handler failed" in caplog.text
    assert "12345" not in caplog.text
    listening.cancel()
    await asyncio.wait([listening])


async def test_enqueue_in_a_commit(kv: Kv) -> None:
    """A message is sent when its commit is applied, and not when it is refused."""
    inbox = Inbox()
    listening = asyncio.create_task(kv.listen_queue(inbox))
    assert not await kv.atomic().check(key=("k",), versionstamp="0" * 20).enqueue("refused").commit()
    result = await kv.atomic().set(("k",), 1).enqueue("sent", delay=MS).enqueue("too").commit()
    assert result.ok
    assert sorted(await inbox.wait_for(2)) == ["sent", "too"]
    await settled(kv)
    listening.cancel()
    await asyncio.wait([listening])


async def test_delay_and_order(kv: Kv) -> None:
    """Messages come by due time, not before it."""
    inbox = Inbox()
    started = time.time()
    for number in (3, 1, 2):
        await kv.enqueue(number, delay=number * 100 * MS)
    listening = asyncio.create_task(kv.listen_queue(inbox, concurrency=1))
    await inbox.wait_for(3)
    assert time.time() - started >= 0.3
    assert inbox.values == [1, 2, 3]
    listening.cancel()
    await asyncio.wait([listening])


async def test_retries_and_undelivered_keys(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A failing handler is called again after each step of the schedule, then its value goes to the keys."""
    inbox = Inbox(fail)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    keys = [("dead", n) for n in range(10)]
    watching = kv.watch([("dead", 0)])
    await anext(watching)
    result = await kv.enqueue({"secret": 1}, backoff_schedule=[0 * MS, 30 * MS, MS], keys_if_undelivered=keys)
    (entry,) = await asyncio.wait_for(anext(watching), 20)
    assert entry.value == {"secret": 1}
    assert str(entry.versionstamp) > str(result.versionstamp)
    found = [item async for item in kv.list(prefix=("dead",))]
    assert [item.key for item in found] == keys
    assert {(item.versionstamp, str(item.value)) for item in found} == {(entry.versionstamp, "{'secret': 1}")}
    assert inbox.values == [{"secret": 1}] * 4
    assert (await counts(kv)) == (0, 0)
    assert caplog.text.count("the message comes again in") == 3
    assert caplog.text.count("the message was given up") == 1
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
    listening.cancel()
    await asyncio.wait([listening])


async def test_no_retry(kv: Kv) -> None:
    """An empty schedule means one delivery; without keys the message is gone."""
    inbox = Inbox(fail)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1, backoff_schedule=[])
    await inbox.wait_for(1)
    await settled(kv)
    assert inbox.values == [1]
    listening.cancel()
    await asyncio.wait([listening])


async def test_default_schedule(kv: Kv) -> None:
    """Without a schedule a failed message comes again after 100 ms, and would four times more."""
    times: list[float] = []

    async def note(value: Any) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise ValueError

    inbox = Inbox(note)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1)
    await inbox.wait_for(2)
    await settled(kv)
    assert 0.09 < times[1] - times[0] < 10
    listening.cancel()
    await asyncio.wait([listening])


async def test_concurrency(kv: Kv) -> None:
    """No more handlers run at once than allowed, and so many do; what has no room stays for others."""
    running, most = 0, 0
    go = asyncio.Event()

    async def work(value: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1

    inbox, helper = Inbox(work), Inbox()
    for number in range(30):
        await kv.enqueue(number)
    listening = asyncio.create_task(kv.listen_queue(inbox, concurrency=7))
    await inbox.wait_for(7)
    await asyncio.sleep(0.05)
    assert (most, len(inbox.values)) == (7, 7)
    assert await counts(kv) == (30, 7)
    helping = asyncio.create_task(kv.listen_queue(helper, concurrency=3))
    await helper.wait_for(23)
    go.set()
    await settled(kv)
    assert most == 7
    assert sorted(inbox.values + helper.values) == [*range(30)]
    await kv.close()
    await asyncio.gather(listening, helping)


async def test_long_handlers_keep_their_messages(kv: Kv, quick: None) -> None:
    """While a handler runs, for longer than a lease, nobody else gets its message."""
    finished = asyncio.Event()

    async def work(value: Any) -> None:
        await asyncio.sleep(1.5)
        finished.set()

    inbox = Inbox(work)
    listening = [asyncio.create_task(kv.listen_queue(inbox)) for _ in range(2)]
    await kv.enqueue("long")
    await finished.wait()
    await settled(kv)
    assert inbox.values == ["long"]
    await kv.close()
    await asyncio.gather(*listening)


async def test_event_loop_that_stands_still(kv: Kv, quick: None, caplog: pytest.LogCaptureFixture) -> None:
    """A message that went to somebody else, because this process stood still, has its handler cancelled here."""
    cancelled = asyncio.Event()

    async def work(value: Any) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    inbox = Inbox(work)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue("m", keys_if_undelivered=[("dead",)])
    await inbox.wait_for(1)
    await take_away(kv)
    await asyncio.wait_for(cancelled.wait(), 10)
    assert "is handled elsewhere by now" in caplog.text
    assert await counts(kv) == (1, 1)
    await kv.close()
    await listening


async def test_lost_lease_at_the_end(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that fails for good after its lease was lost writes nothing under the keys."""

    async def work(value: Any) -> None:
        await take_away(kv)
        raise ValueError

    inbox = Inbox(work)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue("m", backoff_schedule=[], keys_if_undelivered=[("dead",)])
    await inbox.wait_for(1)
    async with asyncio.timeout(10):
        while "its lease had run out" not in caplog.text:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.005)
    assert (await kv.get(("dead",))).versionstamp is None
    assert await counts(kv) == (1, 1)
    await kv.close()
    await listening


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_ending_gives_messages_back(path: Path, how: str) -> None:
    """Cancelling listen_queue() or closing cancels handlers; their messages are due at once, in order, uncounted."""
    cancelled: list[Any] = []

    async def work(value: Any) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.append(value)
            raise

    async with open_kv(path) as other:
        kv = await open_kv(path)
        for number in range(5):
            await kv.enqueue(number, backoff_schedule=[])
        inbox = Inbox(work)
        listening = asyncio.create_task(kv.listen_queue(inbox))
        await inbox.wait_for(5)
        if how == "cancel":
            listening.cancel()
            await asyncio.wait([listening])
            assert listening.cancelled()
        else:
            await kv.close()
            await asyncio.wait_for(listening, 10)
        assert sorted(cancelled) == [0, 1, 2, 3, 4]
        assert await counts(other) == (5, 0)
        messages = await other._backend.dequeue(10, 1)
        assert [(message.attempts, message.payload) for message in messages] == [
            (0, bytes([n])) for n in range(5)
        ]
        await kv.close()


async def test_handlers_that_finish_while_it_ends(path: Path) -> None:
    """A handler that goes on in spite of being cancelled keeps its message until it is through, then it is done."""

    async def work(value: Any) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            await kv.set(("cleaned",), 1)

    async with open_kv(path) as other:
        kv = await open_kv(path)
        await kv.enqueue("m")
        inbox = Inbox(work)
        listening = asyncio.create_task(kv.listen_queue(inbox))
        await inbox.wait_for(1)
        await kv.close()
        await listening
        assert await counts(other) == (0, 0)
        assert (await other.get(("cleaned",))).value == 1


async def test_handler_that_cancels_itself(kv: Kv) -> None:
    """A CancelledError that the handler raised by itself is a failure like any other."""

    async def work(value: Any) -> None:
        raise asyncio.CancelledError

    inbox = Inbox(work)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1, backoff_schedule=[MS], keys_if_undelivered=[("dead",)])
    await inbox.wait_for(2)
    await settled(kv)
    assert (await kv.get(("dead",))).value == 1
    await kv.close()
    await listening


async def test_handler_that_closes_the_store(path: Path) -> None:
    """A handler may close the store it was called from; the closing goes on when that cancels the handler."""
    kv = await open_kv(path)

    async def work(value: Any) -> None:
        await kv.close()

    inbox = Inbox(work)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1)
    await asyncio.wait_for(listening, 10)
    await kv.close()
    async with open_kv(path) as again:
        assert await counts(again) == (1, 0)


async def test_handler_that_is_not_async(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A plain function is a failed delivery with a clear reason."""
    listening = asyncio.create_task(kv.listen_queue(lambda value: None))  # type: ignore[arg-type, return-value]
    await kv.enqueue(1, backoff_schedule=[])
    await settled(kv)
    assert "a queue handler is an async function" in caplog.text
    await kv.close()
    await listening


async def test_poison_message(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A message whose processes died again and again is given up without being handled once more."""
    backend = kv._backend
    for schedule, most in (([], 3), ([MS] * 5, 5)):
        await kv.enqueue("poison", backoff_schedule=schedule, keys_if_undelivered=[("dead", most)])
        for attempts in range(most + 1):
            (message,) = await asyncio.wait_for(backend.dequeue(1, 0.001), 10)  # and dies
            assert message.attempts == attempts
        inbox = Inbox()
        listening = asyncio.create_task(kv.listen_queue(inbox))
        await settled(kv)
        assert inbox.values == []
        assert (await kv.get(("dead", most))).value == "poison"
        listening.cancel()
        await asyncio.wait([listening])
    assert f"it was delivered {most + 1} times, the last time to a process that died" in caplog.text


async def test_message_of_a_dead_process_is_handled(kv: Kv) -> None:
    """A message without retries whose process died is delivered again."""
    await kv.enqueue("m", backoff_schedule=[])
    await kv._backend.dequeue(1, 0.05)
    inbox = Inbox()
    listening = asyncio.create_task(kv.listen_queue(inbox))
    assert await inbox.wait_for(1) == ["m"]
    await settled(kv)
    await kv.close()
    await listening


async def test_failing_disk(
    kv: Kv, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the engine fails, the listener says so, and goes on when it works again."""
    monkeypatch.setattr("echelon.kv.queue._PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("echelon.kv.limits.MAX_LEASE_SECONDS", 0.6)
    backend: Any = kv._backend
    dequeue, write = backend.dequeue, backend.write
    failures = [KvStorageError("the disk failed")] * 2

    async def fail_dequeue(limit: int, lease: float) -> Any:
        if failures:
            raise failures.pop()
        return await dequeue(limit, lease)

    async def fail_write(commit: Any) -> Any:
        if failures:
            raise failures.pop()
        return await write(commit)

    monkeypatch.setattr(backend, "dequeue", fail_dequeue)
    inbox = Inbox()
    await kv.enqueue(1)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await inbox.wait_for(1)
    assert caplog.text.count("no messages could be taken from the queue: the disk failed") == 2
    await settled(kv)
    monkeypatch.setattr(backend, "dequeue", dequeue)
    monkeypatch.setattr(backend, "write", fail_write)
    await kv.enqueue(2)
    failures.append(KvStorageError("the disk failed"))
    assert await inbox.wait_for(3) == [1, 2, 2]
    assert "which could not be noted; it comes again: the disk failed" in caplog.text
    await settled(kv)
    await kv.close()
    await listening


async def test_failing_heartbeat(
    kv: Kv, quick: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat that fails is logged and tried again; the handler goes on."""
    backend: Any = kv._backend
    write, failed = backend.write, 0

    async def fail_once(commit: Any) -> Any:
        nonlocal failed
        if not failed and commit.settlements and commit.settlements[0].fate == Fate.EXTEND:
            failed += 1
            raise KvStorageError("the disk failed")
        return await write(commit)

    monkeypatch.setattr(backend, "write", fail_once)

    async def work(value: Any) -> None:
        await asyncio.sleep(1.2)

    inbox = Inbox(work)
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1)
    await inbox.wait_for(1)
    await settled(kv)
    assert (failed, inbox.values) == (1, [1])
    assert "the lease of a message could not be renewed: the disk failed" in caplog.text
    await kv.close()
    await listening


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"delay": 5}, KvUsageError, "delay is a timedelta, got 5"),
        ({"delay": -MS}, KvUsageError, "cannot be negative or more than 30 days"),
        ({"delay": timedelta(days=30) + MS}, KvUsageError, "cannot be negative or more than 30 days"),
        ({"backoff_schedule": [MS] * 6}, KvLimitError, "has 6 steps, at most 5"),
        ({"backoff_schedule": [MS, -MS]}, KvUsageError, r"backoff_schedule\[1\]"),
        ({"backoff_schedule": [timedelta(hours=1) + MS]}, KvUsageError, "from 0 to 1:00:00"),
        ({"backoff_schedule": [5]}, KvUsageError, r"backoff_schedule\[0\] is 5"),
        ({"backoff_schedule": MS}, KvUsageError, "a list of timedelta"),
        ({"keys_if_undelivered": [(n,) for n in range(11)]}, KvLimitError, "has 11 keys, at most 10"),
        ({"keys_if_undelivered": [()]}, KvKeyError, "cannot be empty"),
        ({"keys_if_undelivered": [("x" * 2047,)]}, KvKeyError, "too large to write"),
        ({"keys_if_undelivered": "abc"}, KvKeyError, "a list of keys"),
        ({"keys_if_undelivered": [("a", VERSIONSTAMP)]}, KvKeyError, "VERSIONSTAMP can only be"),
    ],
)
async def test_what_cannot_be_enqueued(
    kv: Kv, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each mistake is its own error, and nothing is sent."""
    with pytest.raises(error, match=message):
        await kv.enqueue(1, **options)
    with pytest.raises(error, match=message):
        kv.atomic().enqueue(1, **options)
    assert await counts(kv) == (0, 0)


async def test_limits_of_payloads(kv: Kv) -> None:
    """A payload is as large as a value may be; payloads count in the size and the number of a commit."""
    await kv.enqueue(b"x" * 65_536, delay=timedelta(days=30), backoff_schedule=[timedelta(hours=1)] * 5)
    with pytest.raises(KvValueError, match="cannot be enqueued: the value is too large: 65537 bytes"):
        await kv.enqueue(b"x" * 65_537)
    with pytest.raises(KvValueError, match="cannot be enqueued"):
        await kv.enqueue(object())
    large = kv.atomic()
    for _ in range(13):
        large.enqueue(b"x" * 65_000)
    with pytest.raises(KvLimitError, match="the commit is too large: 845260 bytes"):
        await large.commit()
    many = kv.atomic().set(("k",), 1)
    for n in range(999):
        many.enqueue(n, delay=timedelta(days=1))
    with pytest.raises(KvLimitError, match="at most 1000"):
        many.enqueue(1)
    assert await many.commit()
    assert (await counts(kv))[0] == 1000


@pytest.mark.parametrize(
    ("handler", "concurrency", "message"),
    [
        (5, 1, "an async function, got 5"),
        (fail, 0, "a positive int, got 0"),
        (fail, True, "got True"),
        (fail, 1.5, "1.5"),
    ],
)
async def test_what_cannot_listen(kv: Kv, handler: Any, concurrency: Any, message: str) -> None:
    """What is no handler, and no number of handlers, is refused at once."""
    with pytest.raises(KvUsageError, match=message):
        await kv.listen_queue(handler, concurrency=concurrency)


async def test_closed_store(path: Path) -> None:
    """A closed store neither takes messages nor delivers them, and leaves no task and no thread."""
    before = asyncio.all_tasks()
    kv = await open_kv(path)
    listening = [asyncio.create_task(kv.listen_queue(Inbox())) for _ in range(3)]
    await asyncio.sleep(0.02)
    thread = kv._backend._writer._thread  # type: ignore[attr-defined]  # to see it end
    await asyncio.gather(kv.close(), kv.close())
    await asyncio.gather(*listening)
    assert not thread.is_alive()
    assert asyncio.all_tasks() == before
    for call in (kv.enqueue(1), kv.listen_queue(Inbox())):
        with pytest.raises(KvClosed):
            await call


async def test_many_messages(path: Path) -> None:
    """A thousand messages are handled once each, by several listeners, while more are sent."""
    async with open_kv(path, durability="normal") as kv:
        inbox = Inbox()
        listening = [asyncio.create_task(kv.listen_queue(inbox, concurrency=20)) for _ in range(3)]
        await asyncio.gather(*(kv.enqueue(n) for n in range(1000)))
        await inbox.wait_for(1000)
        await settled(kv)
        assert sorted(inbox.values) == [*range(1000)]
    await asyncio.gather(*listening)


async def test_nothing_is_logged_when_all_is_well(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """Deliveries that succeed are silent."""
    caplog.set_level(logging.DEBUG, "echelon.kv")
    inbox = Inbox()
    listening = asyncio.create_task(kv.listen_queue(inbox))
    await kv.enqueue(1)
    await inbox.wait_for(1)
    await kv.close()
    await listening
    assert caplog.text == ""
