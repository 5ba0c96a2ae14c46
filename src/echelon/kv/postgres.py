"""The engine for several machines: a schema of a PostgreSQL database, shared by every process that opens it.

Commits go through one connection, all that wait in one statement. Reads and messages go through a few others,
gets that wait in one statement too. One more listens for commits of other processes. The server's clock is
the one that counts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from echelon.errors import KvClosed, KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import Commit, CommitResult, Durability, KeyRange, Message, Record, ValueFormat
from echelon.kv.codec import format_stamp
from echelon.kv.maintenance import Progress, Stats
from echelon.kv.postgres_line import Server
from echelon.kv.postgres_listener import Listener
from echelon.kv.postgres_maintenance import Check, count
from echelon.kv.postgres_pool import Pool, Row
from echelon.kv.postgres_queue import Taker
from echelon.kv.postgres_ranges import Ranges
from echelon.kv.postgres_schema import Lock, fill, prepare
from echelon.kv.postgres_url import parse_url
from echelon.kv.postgres_writer import Writer

_SWEEP: Final = """
delete from {s}.kv where key in (
    select key from {s}.kv where expires <= (select {now}) order by expires limit $1 for update skip locked
)
"""
_NEXT_EXPIRY: Final = "select min(expires) - {now} from {s}.kv where expires is not null"
_FORGET_WRITERS: Final = "delete from {s}.writers where used < {now} - 86400000"

_MIN_WATCH_SECONDS: Final = 0.005
"""How long a watch rests after it has read, however many commits there are."""


class PostgresBackend:
    """A Backend on a PostgreSQL server; belongs to the event loop it was opened in."""

    def __init__(self, server: Server, writer: Writer) -> None:
        """Take ownership of a writer; `open()` makes it."""
        self._server = server
        self._writer = writer
        self._pool = Pool(server, server.address.connections)
        self._listener = Listener(server)
        schema = server.address.schema
        self._ranges = Ranges(schema)
        self._taker = Taker(schema, server.clock)
        self._sweep_sql = fill(_SWEEP, schema)
        self._next_expiry_sql = fill(_NEXT_EXPIRY, schema)
        self._forget_sql = fill(_FORGET_WRITERS, schema)
        self._takes: set[asyncio.Future[Any]] = set()
        self._closed = False
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, durability: Durability = "full") -> PostgresBackend:
        """Open a store or make one in an empty or missing schema.

        Raises KvUsageError for a bad URL and KvStorageError when the server cannot be reached or has no store
        that this version can use.
        """
        address = parse_url(url)
        server = Server(address, durable=durability == "full")
        writer = Writer(server)
        try:
            await writer.line.run(lambda connection: prepare(connection, address))
        except BaseException:
            await writer.close()
            raise
        return cls(server, writer)

    @property
    def values(self) -> ValueFormat:
        """See Backend."""
        return "native"

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """See Backend."""
        self._check_open()
        if not ranges:
            return []
        if any(wanted.end is not None for wanted in ranges):
            return await self._pool.run(self._ranges.read(ranges))
        rows = await self._pool.read_points([wanted.start for wanted in ranges])
        return [[_record(rows[wanted.start])] if wanted.start in rows else [] for wanted in ranges]

    async def write(self, commit: Commit) -> CommitResult:
        """See Backend."""
        self._check_open()
        return await self._writer.submit(commit)

    async def watch(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """See Backend."""
        self._check_open()
        bell = self._listener.add(Lock.WATCH)
        last: list[str | None] | None = None
        loop = asyncio.get_running_loop()
        try:
            while not self._closed:
                bell.clear()
                rows = await self._pool.read_points(keys)
                records = [_record(rows[key]) if key in rows else None for key in keys]
                stamps = [None if record is None else record.versionstamp for record in records]
                lefts = [rows[key][4] for key in keys if key in rows and rows[key][4] is not None]
                expiry = loop.time() + min(lefts) / 1000 if lefts else None
                if stamps != last:
                    last = stamps
                    yield records
                await asyncio.sleep(_MIN_WATCH_SECONDS)
                await bell.wait(None if expiry is None else expiry - loop.time())
        finally:
            self._listener.remove(Lock.WATCH, bell)

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """See Backend."""
        self._check_open()
        bell = self._listener.add(Lock.QUEUE)
        try:
            while not self._closed:
                bell.clear()
                messages, seconds = await self._take(limit, int(lease * 1000))
                if messages and not self._closed:
                    return messages
                await bell.wait(seconds)
        finally:
            self._listener.remove(Lock.QUEUE, bell)
        raise KvClosed("the store was closed")

    async def sweep(self) -> float:
        """See Backend."""
        self._check_open()
        return await self._pool.run(self._sweep)

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """Raise KvUsageError that names the server's tool for it."""
        self._check_open()
        schema = self._server.address.schema
        raise KvUsageError(
            f"a store on PostgreSQL is backed up by the server's own tool: pg_dump --schema={schema}"
        )

    async def check(self) -> list[str]:
        """See Maintained."""
        self._check_open()
        check = Check(self._server.address.schema)
        try:
            return await self._pool.run(check)
        finally:
            check.stopped = True

    async def stats(self) -> Stats:
        """See Maintained."""
        self._check_open()
        schema = self._server.address.schema
        return await self._pool.run(lambda connection: count(connection, schema))

    async def close(self) -> None:
        """See Backend."""
        self._closed = True
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._server.closing.set()
        await self._listener.close()
        await self._writer.close()
        for future in [*self._takes]:
            await asyncio.wait([future])
            self._give_back(future)
        await self._pool.close()

    def _check_open(self) -> None:
        if self._closed:
            raise KvClosed("the store was closed")

    async def _take(self, limit: int, lease: int) -> tuple[list[Message], float | None]:
        future = self._pool.start(self._taker.take(limit, lease))
        self._takes.add(future)
        try:
            answer = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(self._give_back)
            future.add_done_callback(self._takes.discard)
            raise
        except KvStorageError:
            self._takes.discard(future)
            raise
        if not self._closed:  # otherwise close() gives back what was taken
            self._takes.discard(future)
        return answer

    def _give_back(self, future: asyncio.Future[tuple[list[Message], float | None]]) -> None:
        """Make messages whose taker has gone as if they had not been taken."""
        if not future.cancelled() and future.exception() is None and future.result()[0]:
            self._pool.start(self._taker.give_back(future.result()[0]))

    async def _sweep(self, connection: Any) -> float:
        removed = await connection.execute(self._sweep_sql, limits.MAX_SWEEP_ENTRIES)
        if removed == f"DELETE {limits.MAX_SWEEP_ENTRIES}":
            return 0.0
        await connection.execute(self._forget_sql)
        await self._server.compare_clocks(connection)
        left = await connection.fetchval(self._next_expiry_sql)
        wait: float = limits.MAX_SWEEP_SECONDS if left is None else left / 1000
        return min(max(wait, limits.MIN_SWEEP_SECONDS), limits.MAX_SWEEP_SECONDS)


def _record(row: Row) -> Record:
    return Record(row[0], row[1], row[2], format_stamp(row[3]))
