"""A PostgreSQL server that restarts, connections that are cut, answers and notifications that are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from postgres_server import PostgresServer, administer, schema_of

from echelon.errors import KvClosed, KvStorageError
from echelon.kv import Kv, open_kv
from echelon.kv.backend import Commit, Enqueue, Fate, KeyRange, Message, Settlement
from echelon.kv.codec import Encoding, encode_key
from echelon.kv.postgres import PostgresBackend
from echelon.kv.postgres_schema import Lock, locks

KEY = encode_key(("k",))


class Proxy:
    """Stands between a store and the server, and cuts connections where a test wants it."""

    def __init__(self, url: str) -> None:
        options = parse_qs(urlsplit(url).query)
        self._socket = f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}"
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.swallow = 0
        """How many answers, the next ones, are lost with their connection."""

        self.swallowed = asyncio.Event()
        self.silent = False
        """Whether what comes from the store vanishes."""

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Cut everything and refuse to connect."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        self._writers |= {writer, server_writer}
        for source, target, answers in ((reader, server_writer, False), (server_reader, writer, True)):
            task = asyncio.create_task(self._copy(source, target, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(65536):
                # A data row that begins an answer to a statement that was prepared before: 2 is BindComplete.
                if answers and self.swallow and data[:1] == b"2":
                    self.swallow -= 1
                    self.swallowed.set()
                    break
                if answers or not self.silent:
                    target.write(data)
                    await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy and the URL of a new store behind it."""
    between = Proxy(postgres_url)
    port = await between.start()
    schema = schema_of(postgres_url)
    yield between, f"postgresql://echelon@127.0.0.1:{port}/postgres?schema={schema}&connections=2"
    await between.stop()


@pytest.fixture
async def admin(postgres: PostgresServer) -> AsyncIterator[Any]:
    """A connection for what an administrator does."""
    async with administer(postgres.socket_url) as connection:
        yield connection


async def work(kv: Kv, counts: dict[str, int], finished: asyncio.Event) -> None:
    """Sum, set and read until told to stop; count what was acknowledged."""
    while not finished.is_set():
        await kv.atomic().sum(("sum",), 1).commit()
        counts["sum"] += 1
        entry = await kv.get(("counter",))
        if await kv.atomic().check(entry).set(("counter",), (entry.value or 0) + 1).commit():
            counts["counter"] += 1
        assert len([e async for e in kv.list(prefix=("pair",))]) in (0, 2)
        await kv.atomic().set(("pair", 1), 1).set(("pair", 2), 2).commit()


async def load(url: str, disturb: Callable[[], Awaitable[None]]) -> None:
    """Let two stores with four tasks each work while something happens; nothing may be lost or done twice."""
    counts = {"sum": 0, "counter": 0}
    finished = asyncio.Event()
    async with open_kv(url) as one, open_kv(url) as other:
        workers = [asyncio.create_task(work(kv, counts, finished)) for kv in (one, other) * 4]
        await disturb()
        finished.set()
        await asyncio.gather(*workers)
        assert (await one.get(("sum",))).value == counts["sum"] > 0
        assert (await other.get(("counter",))).value == counts["counter"] > 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_restart_in_mid_load(postgres: PostgresServer, postgres_url: str, mode: str) -> None:
    """Restarts and crashes of the server are waited out: every commit is applied once, no error is seen."""

    async def disturb() -> None:
        for _ in range(2):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(postgres.restart, mode)
        await asyncio.sleep(0.2)

    await load(postgres_url, disturb)


async def test_terminated_connections(postgres_url: str, admin: Any) -> None:
    """Connections that an administrator ends, again and again, are made again: every commit is applied once."""

    async def disturb() -> None:
        for _ in range(15):
            await asyncio.sleep(0.05)
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            )

    await load(postgres_url, disturb)


async def test_cut_connections(proxy: tuple[Proxy, str]) -> None:
    """Cables that are pulled at any moment change nothing either."""
    between, url = proxy

    async def disturb() -> None:
        for _ in range(25):
            await asyncio.sleep(0.04)
            between.cut()

    await load(url, disturb)


async def test_lost_answers(proxy: tuple[Proxy, str]) -> None:
    """A commit whose answer was lost is not applied again; its result is that of the first time."""
    between, url = proxy
    async with open_kv(url) as kv:
        for n in range(1, 10):
            await kv.atomic().sum(("sum",), 1).commit()  # now the statement is prepared
            between.swallow = n % 3
            result = (
                await kv.atomic()
                .sum(("sum",), 1)
                .check(key=("new", n), versionstamp=None)
                .set(("new", n), n)
                .commit()
            )
            assert between.swallow == 0
            assert (await kv.get(("new", n))).versionstamp == result.versionstamp
            assert (await kv.get(("sum",))).value == 2 * n


async def test_connection_that_was_forgotten(
    proxy: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that rested for long is tried before it is used, and made again if nothing answers."""
    monkeypatch.setattr("echelon.kv.postgres_line._IDLE_SECONDS", 0.0)
    monkeypatch.setattr("echelon.kv.postgres_line._TRY_SECONDS", 0.1)
    between, url = proxy
    backend = await PostgresBackend.open(url)
    await backend.read([KeyRange(KEY)])
    between.silent = True
    reading = asyncio.create_task(backend.read([KeyRange(KEY)]))
    await asyncio.sleep(0.05)
    between.silent = False
    assert await asyncio.wait_for(reading, 5) == [[]]
    await backend.close()


async def test_commit_that_lingers(proxy: tuple[Proxy, str], admin: Any) -> None:
    """A statement that waits on the server after its connection was cut does nothing when its turn comes."""
    between, url = proxy
    async with open_kv(url) as kv:
        await kv.set(("k",), 0)
        lock = f"{locks(schema_of(url))}, {Lock.COMMIT:d}"
        await admin.execute(f"select pg_advisory_lock({lock})")
        adding = asyncio.create_task(kv.atomic().sum(("sum",), 1).commit())
        for _ in range(4):
            await asyncio.sleep(0.1)
            between.cut()
        await admin.execute(f"select pg_advisory_unlock({lock})")
        assert (await adding).ok
        for _ in range(50):
            await kv.atomic().sum(("sum",), 1).commit()
        assert (await kv.get(("sum",))).value == 51


async def test_server_that_stays_away(proxy: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server does not come back, reads say so, and a write says that it may have been applied."""
    monkeypatch.setattr("echelon.kv.limits.MAX_RECONNECT_SECONDS", 0.3)
    between, url = proxy
    port = int(urlsplit(url).port or 0)
    async with open_kv(url) as kv:
        await kv.set(("k",), 1)
        between.swallow = 1
        writing = asyncio.create_task(kv.set(("k",), 2))
        await asyncio.wait_for(between.swallowed.wait(), 5)
        await between.stop()
        with pytest.raises(
            KvStorageError, match="it is not known whether the commit was applied: read before"
        ):
            await writing
        with pytest.raises(KvStorageError, match="the server cannot be reached") as caught:
            await kv.set(("k",), 3)
        assert "not known" not in str(caught.value)
        with pytest.raises(KvStorageError, match="the server cannot be reached"):
            await kv.get(("k",))
        await between.start(port)
        assert (await kv.get(("k",))).value == 2
        await kv.set(("k",), 4)
        await between.stop()
        started = time.monotonic()
        waiting = asyncio.create_task(kv.get(("k",)))
        await asyncio.sleep(0.05)
    assert time.monotonic() - started < 10
    with pytest.raises(KvStorageError):
        await waiting


async def test_interrupted_watch_and_dequeue(postgres_url: str, admin: Any) -> None:
    """A watch and a taker go on when their connections are ended, and hear what happens afterwards."""
    async with open_kv(postgres_url) as kv, open_kv(postgres_url) as other:
        watching = kv._backend.watch([KEY])
        assert await anext(watching) == [None]
        for n in range(5):
            change = asyncio.ensure_future(anext(watching))
            message = asyncio.create_task(kv._backend.dequeue(1, 30))
            await asyncio.sleep(0.1)
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            )
            await other.set(("k",), n)
            await enqueue(other._backend, b"m")
            (record,) = await asyncio.wait_for(change, 10)
            assert record is not None
            (taken,) = await asyncio.wait_for(message, 10)
            assert await settle(other._backend, taken)


@pytest.mark.parametrize("disease", ["deaf", "cut off"])
async def test_lost_notifications(
    postgres_url: str, admin: Any, monkeypatch: pytest.MonkeyPatch, disease: str
) -> None:
    """Without notifications a watch and a taker notice what happened about a second later."""
    if disease == "deaf":
        monkeypatch.setattr("echelon.kv.postgres_listener.Listener._hear", lambda *_: None)
    async with open_kv(postgres_url) as kv, open_kv(postgres_url) as other:
        watching = kv._backend.watch([KEY])
        assert await anext(watching) == [None]
        await asyncio.sleep(0.2)
        if disease == "cut off":
            monkeypatch.setattr("echelon.kv.postgres_line.Server.pause", lambda *_: asyncio.sleep(60))
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"
            )
        change = asyncio.ensure_future(anext(watching))
        message = asyncio.create_task(kv._backend.dequeue(1, 30))
        await asyncio.sleep(0.1)
        await other.set(("k",), 1)
        await enqueue(other._backend, b"m")
        for waiting in (change, message):
            await asyncio.wait_for(waiting, 5)


async def test_nobody_is_told_without_need(postgres_url: str, admin: Any) -> None:
    """Commits notify only while somebody watches or waits for messages, and settling notifies nobody."""
    heard: list[object] = []
    schema = schema_of(postgres_url)
    await admin.add_listener(f"echelon_kv_{schema}", lambda *arguments: heard.append(arguments[3]))

    async def told() -> list[object]:
        await admin.execute("select 1")
        await asyncio.sleep(0.05)
        found, heard[:] = [*heard], []
        return found

    async with open_kv(postgres_url) as kv:
        await kv.set(("k",), 1)
        await enqueue(kv._backend, b"m")
        assert await told() == []
        watching = kv._backend.watch([KEY])
        await anext(watching)
        await asyncio.sleep(0.2)
        await kv.set(("k",), 2)
        await enqueue(kv._backend, b"m")
        assert await told() == ["watch"]
        taken = [*await kv._backend.dequeue(1, 30), *await kv._backend.dequeue(1, 30)]
        await asyncio.sleep(0.2)
        for message in taken:
            await settle(kv._backend, message)
        await enqueue(kv._backend, b"m", int(time.time() * 1000) + 5000)
        assert await told() == []
        await enqueue(kv._backend, b"m")
        assert await told() == ["queue"]


async def test_lost_messages_are_found(proxy: tuple[Proxy, str]) -> None:
    """Messages that were handed out with an answer that was lost come with the next one, as the first time."""
    between, url = proxy
    backend = await PostgresBackend.open(url)
    for n in range(3):
        await enqueue(backend, b"warm")
        (warm,) = await backend.dequeue(1, 30)
        await settle(backend, warm)
        await enqueue(backend, b"m", 1000 + n)
        between.swallow = 1
        (message,) = await asyncio.wait_for(backend.dequeue(1, 30), 5)
        assert (between.swallow, message.attempts, message.due) == (0, 0, 1000 + n)
        assert await settle(backend, message)
    await backend.close()


async def test_close_while_taking(postgres_url: str) -> None:
    """A message that arrives while a store closes is given back, not lost until its lease ends."""
    for delay in (0, 0.0005, 0.001, 0.002):
        one, other = [await PostgresBackend.open(postgres_url) for _ in range(2)]
        taking = asyncio.create_task(one.dequeue(1, 60))
        await asyncio.sleep(0.05)
        await enqueue(other, b"m")
        await asyncio.sleep(delay)
        await one.close()
        outcome = (await asyncio.gather(taking, return_exceptions=True))[0]
        if isinstance(outcome, KvClosed):
            (message,) = await asyncio.wait_for(other.dequeue(1, 60), 5)
            assert message.attempts == 0
        else:
            (message,) = outcome  # type: ignore[misc]  # then it is a list
        assert await settle(other, message)
        await other.close()


async def test_no_connection_left(
    postgres: PostgresServer, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has no connection left is named as the cause, for what needs one more."""
    monkeypatch.setattr("echelon.kv.limits.MAX_RECONNECT_SECONDS", 0.2)
    await admin.execute("create role narrow login superuser connection limit 1")
    await admin.execute("alter role narrow nosuperuser; grant create on database postgres to narrow")
    url = postgres.new_url().replace("//echelon@", "//narrow@")
    backend = await PostgresBackend.open(url)
    with pytest.raises(
        KvStorageError, match="no connection left; raise max_connections or lower connections="
    ):
        await backend.sweep()
    with pytest.raises(KvStorageError, match="no connection left"):
        await PostgresBackend.open(url)
    await backend.close()


async def enqueue(backend: Any, payload: bytes, due: int = 0) -> None:
    await backend.write(Commit((), (), 10, enqueues=(Enqueue(payload, Encoding.BYTES, due, ()),)))


async def settle(backend: Any, message: Message) -> bool:
    return bool(await backend.write(Commit((), (), 0, settlements=(Settlement(message.lease, Fate.DONE),))))
