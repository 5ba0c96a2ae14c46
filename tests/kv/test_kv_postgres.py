"""Opening a store on PostgreSQL: its URL, its schema, what is refused, and what the errors say."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from postgres_server import PostgresServer, administer, schema_of, until

from echelon.errors import KvClosed, KvStorageError, KvUsageError
from echelon.kv import open_kv, postgres_schema
from echelon.kv.backend import Commit, Enqueue, KeyRange
from echelon.kv.postgres import PostgresBackend


@pytest.fixture
def other_server() -> Iterator[PostgresServer]:
    """A server that a test may spoil."""
    server = PostgresServer()
    yield server
    server.stop()


async def test_wrong_password(postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is named as the cause and shown nowhere."""
    good = urlsplit(postgres.tcp_url)
    url = postgres.tcp_url.replace(str(good.password), "letmein")
    with pytest.raises(KvStorageError, match="the password is wrong, or the role does not exist") as caught:
        await PostgresBackend.open(url)
    assert f"echelon@127.0.0.1:{good.port}/postgres?schema=echelon" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert "letmein" not in shown.replace(url, "")


async def test_right_password(postgres: PostgresServer) -> None:
    """A store is reached by TCP with a password like by a socket without."""
    schema = schema_of(postgres.new_url())
    async with open_kv(f"{postgres.tcp_url}?schema={schema}") as kv:
        await kv.set(("k",), 1)
    async with open_kv(f"{postgres.socket_url}&schema={schema}") as kv:
        assert (await kv.get(("k",))).value == 1


async def test_unreachable(postgres: PostgresServer) -> None:
    """A database or a server that is not there is a KvStorageError at once that says what to do."""
    with pytest.raises(KvStorageError, match="the database does not exist; make it with createdb"):
        await PostgresBackend.open(postgres.socket_url.replace("/postgres?", "/nowhere?"))
    with pytest.raises(KvStorageError, match="cannot be reached; is it running"):
        await PostgresBackend.open("postgresql://ada@127.0.0.1:1/shop")
    with pytest.raises(KvStorageError, match="cannot be reached"):
        await PostgresBackend.open("postgresql://ada@/shop?host=/nowhere&port=1")
    with pytest.raises(KvStorageError, match="does not let this role in"):
        await PostgresBackend.open(postgres.socket_url.replace("//echelon@", "//nobody@"))


async def test_options_of_the_driver(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that the driver does not take is a KvUsageError with what the driver says about it."""
    with pytest.raises(KvUsageError, match=r"the driver cannot use this: .*sslmode.* must be one of"):
        await PostgresBackend.open(f"{postgres_url}&sslmode=maybe")
    monkeypatch.setenv("PGPORT", "none")
    with pytest.raises(KvUsageError, match="the driver cannot use this: invalid literal"):
        await PostgresBackend.open("postgresql://ada@localhost/shop")


async def test_options_of_the_server(postgres_url: str) -> None:
    """An option that the server does not know fails with what the server says about it."""
    with pytest.raises(KvStorageError, match='unrecognized configuration parameter "nonsense"'):
        await PostgresBackend.open(f"{postgres_url}&options=-c%20nonsense%3D1")


async def test_read_only(postgres_url: str) -> None:
    """A role that may only read is told how to change that."""
    with pytest.raises(
        KvStorageError, match=r"this role or database is read-only; .* default_transaction_read_only"
    ):
        await PostgresBackend.open(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don")


async def test_standby(other_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby is refused; when the server becomes one, writes wait, fail, and go on when it is one no longer."""
    monkeypatch.setattr("echelon.kv.limits.MAX_RECONNECT_SECONDS", 0.5)
    url = other_server.new_url()
    marker = other_server.folder / "data" / "standby.signal"
    async with open_kv(url) as kv:
        await kv.set(("k",), 1)
        marker.touch()
        marker.chmod(0o666)
        await asyncio.to_thread(other_server.restart)
        with pytest.raises(KvStorageError, match="does not accept writes, it is a standby; name the primary"):
            await kv.set(("k",), 2)
        assert (await kv.get(("k",))).value == 1
        with pytest.raises(KvStorageError, match="the server is a read-only standby; name the primary"):
            await PostgresBackend.open(url)
        marker.unlink()
        await asyncio.to_thread(other_server.restart)
        await kv.set(("k",), 3)
        assert (await kv.get(("k",))).value == 3


async def test_starting_server(other_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is just starting is waited for, and named as the cause when it does not come to its end."""
    monkeypatch.setattr("echelon.kv.limits.MAX_RECONNECT_SECONDS", 0.5)
    async with administer(other_server.socket_url) as connection:
        await connection.execute("alter system set hot_standby = off")
    marker = other_server.folder / "data" / "standby.signal"
    marker.touch()
    marker.chmod(0o666)
    await asyncio.to_thread(other_server.restart)  # it recovers for ever
    opening = asyncio.create_task(PostgresBackend.open(other_server.new_url()))
    await asyncio.sleep(0.2)
    assert not opening.done()
    with pytest.raises(KvStorageError, match="the server is shutting down or starting"):
        await opening


async def test_rights(postgres: PostgresServer) -> None:
    """A role needs CREATE on the database, or a schema of its own; the error says so."""
    url = postgres.new_url()
    schema = schema_of(url)
    async with administer(postgres.socket_url) as connection:
        await connection.execute("create role guest login")
        await connection.execute(f"create schema {schema}x authorization guest")
    guest = url.replace("//echelon@", "//guest@")
    with pytest.raises(KvStorageError, match="the role lacks a right; grant it CREATE on the database"):
        await PostgresBackend.open(guest)
    async with open_kv(f"{guest}x") as kv:
        assert (await kv.set(("k",), 1)).ok
    async with open_kv(url) as kv:
        assert (await kv.set(("k",), 1)).ok
    with pytest.raises(KvStorageError, match="the role lacks a right"):
        await PostgresBackend.open(guest)


async def test_schemas_are_apart(postgres: PostgresServer) -> None:
    """Two schemas of one database are two stores, with queues and watches of their own."""
    async with open_kv(postgres.new_url()) as one, open_kv(postgres.new_url()) as other:
        await one.set(("k",), 1)
        await one._backend.write(Commit((), (), 0, enqueues=(Enqueue(b"m", 3, 0, ()),)))
        assert (await other.get(("k",))).value is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other._backend.dequeue(1, 1), 0.1)
        assert [m.payload for m in await one._backend.dequeue(1, 1)] == [b"m"]


async def test_foreign_tables(postgres_url: str) -> None:
    """A schema with tables of another program is refused and left alone."""
    schema = schema_of(postgres_url)
    async with administer(postgres_url) as connection:
        for definition in (
            "other(a int)",
            "meta(a int)",
            "meta(id int, application text, schema_version int, version int)",
        ):
            await connection.execute(f"create schema {schema}; create table {schema}.{definition}")
            if "application" in definition:
                await connection.execute(f"insert into {schema}.meta values (1, 'shop', 1, 1)")
            with pytest.raises(
                KvStorageError, match="holds the tables of another program; name another with"
            ):
                await PostgresBackend.open(postgres_url)
            assert (
                await connection.fetchval(
                    f"select count(*) from pg_class where relnamespace = '{schema}'::regnamespace"
                )
                == 1
            )
            await connection.execute(f"drop schema {schema} cascade")


async def test_newer_store(postgres_url: str) -> None:
    """A store that a newer Echelon has made is refused."""
    async with open_kv(postgres_url) as kv:
        await kv.set(("k",), 1)
    async with administer(postgres_url) as connection:
        await connection.execute(f"update {schema_of(postgres_url)}.meta set schema_version = 99")
    with pytest.raises(
        KvStorageError, match="the store has schema version 99, this Echelon reads 1; upgrade"
    ):
        await PostgresBackend.open(postgres_url)


async def test_damaged_store(postgres_url: str) -> None:
    """A store whose commit number is gone is refused, and fails every write that meets it."""
    schema = schema_of(postgres_url)
    async with administer(postgres_url) as connection, open_kv(postgres_url) as kv:
        await connection.execute(f"delete from {schema}.meta")
        with pytest.raises(KvStorageError, match=r"the server's data is damaged.*the commit number is gone"):
            await kv.set(("k",), 1)
        with pytest.raises(KvStorageError, match="the store is damaged, its commit number is gone"):
            await PostgresBackend.open(postgres_url)
        await connection.execute(f"drop table {schema}.kv")
        with pytest.raises(KvStorageError, match="its tables are not those of a store"):
            await kv.get(("k",))


async def test_old_server(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is too old is refused."""
    monkeypatch.setattr(postgres_schema, "MIN_SERVER", 99)
    with pytest.raises(KvStorageError, match=r"PostgreSQL \d+ is too old; a store needs version 99"):
        await PostgresBackend.open(postgres_url)


async def test_upgrade(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older store is upgraded when it is opened, once, whole or not at all."""
    async with open_kv(postgres_url) as kv:
        await kv.set(("k",), 1)
        broken = (*postgres_schema.MIGRATIONS, "create table {s}.more(a int)", "create table {s}.more(a int)")
        monkeypatch.setattr(postgres_schema, "MIGRATIONS", broken)
        with pytest.raises(KvStorageError, match="already exists"):
            await PostgresBackend.open(postgres_url)
        monkeypatch.setattr(postgres_schema, "MIGRATIONS", broken[:2])
        stores = await asyncio.gather(*(PostgresBackend.open(postgres_url) for _ in range(5)))
        for store in stores:
            await store.close()
        assert (await kv.get(("k",))).value == 1
        await kv.set(("k",), 2)  # this one was open all the time
    async with administer(postgres_url) as connection:
        assert await connection.fetchval(f"select schema_version from {schema_of(postgres_url)}.meta") == 2


async def test_many_make_it_at_once(postgres_url: str) -> None:
    """Any number of processes may open a store that does not exist yet; one of them makes it."""
    stores = await asyncio.gather(*(PostgresBackend.open(postgres_url) for _ in range(8)))
    for store in stores:
        await store.close()


async def test_close_leaves_no_connection(postgres_url: str) -> None:
    """A store has up to six connections, made when they are needed, and none after it was closed."""
    async with administer(postgres_url) as connection:
        count = "select count(*) from pg_stat_activity where application_name = $1"
        name = schema_of(postgres_url)
        kv = await open_kv(f"{postgres_url}&application_name={name}")
        await kv.get(("k",))
        assert 1 <= await connection.fetchval(count, name) <= 3
        await asyncio.gather(
            *(kv.get(("k", n)) for n in range(1000)), *(kv.set(("k", n), n) for n in range(100))
        )
        taking = asyncio.create_task(kv._backend.dequeue(1, 1))
        await until(lambda: connection.fetchval(count, name), lambda amount: 3 <= amount <= 6)
        await kv.close()
        with pytest.raises(KvClosed):
            await taking
        await until(lambda: connection.fetchval(count, name), lambda amount: amount == 0)


@pytest.mark.parametrize(
    ("default", "durability", "level"),
    [("on", "full", "on"), ("off", "full", "on"), ("local", "full", "local"), ("on", "normal", "off")],
)
async def test_durability(postgres_url: str, default: str, durability: Any, level: str) -> None:
    """ "full" waits for the server's disk whatever the server's default is, "normal" does not."""
    url = f"{postgres_url}&options=-c%20synchronous_commit%3D{default}"
    backend = await PostgresBackend.open(url, durability)
    assert await backend._pool.run(lambda connection: connection.fetchval("show synchronous_commit")) == level
    await backend.close()


async def test_defaults_of_the_server_do_not_matter(postgres_url: str) -> None:
    """Commits are in one order also where transactions are serializable by default, or need no lock."""
    url = f"{postgres_url}&options=-c%20default_transaction_isolation%3Dserializable%20-c%20search_path%3Dnowhere"
    async with open_kv(url) as one, open_kv(url) as other:
        for _ in range(10):
            await asyncio.gather(*(kv.atomic().max(("k",), 0).sum(("k",), 1).commit() for kv in (one, other)))
        assert (await one.get(("k",))).value == 20


async def test_large_values(postgres_url: str) -> None:
    """Values of many megabytes are stored whole when the store was opened for them."""
    value = os.urandom(1024) * 20_000
    async with open_kv(postgres_url, max_value="32MiB") as kv:
        await kv.set(("big",), value)
        assert (await kv.get(("big",))).value == value
        await kv.atomic().check(await kv.get(("big",))).set(("big",), b"").commit()
        assert (await kv.get(("big",))).value == b""


async def test_one_bad_commit_of_a_group(postgres_url: str) -> None:
    """What the server refuses, as with a full disk, fails its own commit and none that waits with it."""
    schema = schema_of(postgres_url)
    async with open_kv(postgres_url) as kv, administer(postgres_url) as connection:
        await connection.execute(
            f"create function {schema}.refuse() returns trigger language plpgsql as "
            "$$ begin raise 'no space left' using errcode = '53100'; end $$;"
            f"create trigger refuse before insert on {schema}.kv for each row "
            "when (length(new.value) > 1000) execute function "
            f"{schema}.refuse()"
        )
        sets = [kv.set(("k", n), b"x" * (2000 if n == 5 else 10)) for n in range(10)]
        outcomes = await asyncio.gather(*sets, return_exceptions=True)
        assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [5]
        with pytest.raises(KvStorageError, match="the server's disk is full; nothing was written"):
            raise outcomes[5]  # type: ignore[misc]  # it is an exception
        assert [entry.key[1] async for entry in kv.list(prefix=("k",))] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


async def test_locked_store(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes wait for a session that holds the store, and fail when it holds it too long; reads do not wait."""
    monkeypatch.setattr("echelon.kv.limits.MAX_LOCK_SECONDS", 0.3)
    async with open_kv(postgres_url) as kv, administer(postgres_url) as connection:
        await kv.set(("k",), 1)
        lock = (postgres_schema.locks(schema_of(postgres_url)), postgres_schema.Lock.COMMIT)
        await connection.execute(f"select pg_advisory_lock({lock[0]}, {lock[1]:d})")
        waiting = asyncio.create_task(kv.set(("k",), 2))
        await asyncio.sleep(0.1)
        assert (await kv.get(("k",))).value == 1
        assert not waiting.done()
        with pytest.raises(KvStorageError, match="another session held the store locked"):
            await waiting
        await connection.execute(f"select pg_advisory_unlock({lock[0]}, {lock[1]:d})")
        await kv.set(("k",), 3)


async def test_contention_that_never_ends(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit whose base changes under it each time gives up with an error instead of trying for ever."""
    monkeypatch.setattr("echelon.kv.limits.MAX_LOCK_SECONDS", 0.2)
    async with open_kv(postgres_url) as kv, open_kv(postgres_url) as other:
        writer = kv._backend._writer  # type: ignore[attr-defined]  # to get between look and commit
        look = writer._look

        async def look_then_lose(commits: Any) -> Any:
            seen = await look(commits)
            await other.atomic().sum(("k",), 1).commit()
            return seen

        monkeypatch.setattr(writer, "_look", look_then_lose)
        with pytest.raises(KvStorageError, match="others kept changing what the commit depends on"):
            await kv.atomic().max(("k",), 5).commit()


async def test_clocks_that_differ(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine whose clock is an hour wrong still writes entries that live as long as they should."""
    real = time.time
    for error in (-3600, 3600):
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda error=error: real() + error)
            async with open_kv(postgres_url) as wrong:
                await wrong.set(("long", error), 1, expire_in=timedelta(seconds=60))
                await wrong.set(("short", error), 1, expire_in=timedelta(seconds=0.2))
        async with open_kv(postgres_url) as kv:
            assert (await kv.get(("long", error))).value == 1
            await asyncio.sleep(0.3)
            assert (await kv.get(("short", error))).value is None
    assert "clock differs by 3600.0 s from the server's" in caplog.text.replace("-", "")


async def test_another_loop(postgres_url: str) -> None:
    """A store is used from the event loop that opened it."""
    backend = await PostgresBackend.open(postgres_url)

    async def use() -> None:
        for call in (backend.read([KeyRange(b"k")]), backend.write(Commit((), (), 0))):
            with pytest.raises(KvUsageError, match="used from the event loop that opened it"):
                await call

    await asyncio.to_thread(asyncio.run, use())
    await backend.close()


async def test_maintenance(postgres_url: str) -> None:
    """A check finds what cannot be read, up to a hundred faults; a backup names the server's tool."""
    schema = schema_of(postgres_url)
    async with open_kv(postgres_url) as kv, administer(postgres_url) as connection:
        for n in range(3):
            await kv.set(("k", n), n)
        await kv.enqueue("m", keys_if_undelivered=[("dead",)])
        with pytest.raises(KvUsageError, match=f"pg_dump --schema={schema}"):
            await kv.backup("copy.db")
        assert await kv.check() == []
        await connection.execute(
            f"update {schema}.kv set version = 99 where key = (select key from {schema}.kv order by key desc limit 1)"
        )
        await connection.execute(
            f"update {schema}.kv set encoding = 77 where key = (select key from {schema}.kv order by key limit 1)"
        )
        await connection.execute(f"insert into {schema}.kv values ('\\x026b', '\\x05', 4, 1, null)")
        await connection.execute(f"update {schema}.queue set backoff = '\\xc1', token = 5")
        found = await kv.check()
        expected = [
            "has the encoding 77",
            "has version 99",
            "a damaged key",
            "cannot be read",
            "yet it is leased",
        ]
        assert len(found) == len(expected)
        assert all(any(part in fault for fault in found) for part in expected), found
        await connection.execute(
            f"insert into {schema}.kv select '\\xff'::bytea || int4send(n), '', 77, 1, null "
            "from generate_series(1, 2000) n"
        )
        assert len(found := await kv.check()) == 101
        assert found[-1] == "there may be more"
        checking = asyncio.create_task(kv.check())
        await asyncio.sleep(0)
        checking.cancel()
        await asyncio.wait([checking])
        assert checking.cancelled()
