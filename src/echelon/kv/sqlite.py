"""The embedded engine: one SQLite file, shared by every process that opens it.

Reads run on the event loop, because one takes about ten microseconds and a thread's answer a hundred. Writes
go to one thread, which puts all that wait into one transaction. With durability "normal" a lone small write
costs less than the way to that thread and back, so it runs on the event loop too, if no other process holds
the file.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import apsw

from echelon.errors import KvClosed
from echelon.kv import limits
from echelon.kv.backend import (
    Commit,
    CommitResult,
    Durability,
    Fate,
    KeyRange,
    Message,
    Record,
    Settlement,
    ValueFormat,
)
from echelon.kv.sqlite_changes import Changes
from echelon.kv.sqlite_commit import Applier, Dequeue, Operation, Outcome, Sweep, format_stamp
from echelon.kv.sqlite_file import MEMORY, Connections, check_path, open_connections, pause, storage_error
from echelon.kv.sqlite_layout import Execute, Layout
from echelon.kv.sqlite_native import NATIVE
from echelon.kv.sqlite_writer import Writer

T = TypeVar("T")
Row = tuple[Any, ...]

_INLINE_BYTES: Final = 16 * 1024
"""A larger commit goes to the thread, so that the event loop is not held up."""


class SqliteBackend:
    """A Backend on a SQLite file; belongs to the event loop it was opened in."""

    def __init__(self, connections: Connections, durability: Durability, layout: Layout) -> None:
        """Take ownership of the connections; `open()` makes them."""
        self._layout = layout
        self._connections = connections
        self._path = connections.path
        self._read_rows: Execute = connections.reader.cursor().execute
        self._applier = Applier(connections.writer, self._path, layout)
        in_memory = self._path == MEMORY
        self._changes = Changes(self._read_change, None if in_memory else self._path + "-wal")
        self._writer = (
            None if in_memory else Writer(connections, self._applier, self._changes.tell, layout.breather)
        )
        self._dequeues: set[asyncio.Future[Any]] = set()
        self._inline = durability == "normal"
        self._wrote_inline = False
        self._closed = False

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], durability: Durability = "full", layout: Layout = NATIVE
    ) -> SqliteBackend:
        """Open or create a file; raises KvStorageError when it cannot hold a store."""
        connections = await asyncio.to_thread(lambda: open_connections(check_path(path), durability, layout))
        return cls(connections, durability, layout)

    @property
    def values(self) -> ValueFormat:
        """See Backend."""
        return self._layout.values

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        try:
            return self._read(ranges)
        except apsw.BusyError:
            return await self._patiently(lambda: self._read(ranges))
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc

    async def write(self, commit: Commit) -> CommitResult:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        if self._layout.fit is not None:
            commit = self._layout.fit(commit)
        writer = self._writer
        if (
            writer is not None
            and self._inline
            and writer.idle
            and not self._wrote_inline
            and commit.size <= _INLINE_BYTES
        ):
            outcome = self._write_inline(commit, writer)
            if outcome is not None:
                # A turn for the others: those who write at the same time are then served as a group.
                await asyncio.sleep(0)
                return cast(CommitResult, _unwrap(outcome))
        return cast(CommitResult, await self._submit(commit))

    async def watch(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        last: list[str | None] = []
        while not self._closed:
            seen = self._changes.count
            records, seconds = await self._patiently(lambda: self._read_watched(keys))
            stamps = [record and record.versionstamp for record in records]
            if stamps != last:
                last = stamps
                yield records
            await self._changes.wait(seen, seconds)

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """See Backend."""
        while not self._closed:
            seen = self._changes.count
            due = await self._patiently(lambda: self._read_rows(self._layout.next_due).fetchall()[0][0])
            seconds = None if due is None else _until(due)
            if seconds is not None and seconds <= 0:
                messages = await self._take(Dequeue(limit, int(lease * 1000)))
                if messages:
                    return messages
            await self._changes.wait(seen, seconds)
        raise KvClosed("the store was closed")

    async def sweep(self) -> float:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        try:
            due = self._read_rows(self._layout.next_expiry).fetchall()[0][0]
        except apsw.BusyError:
            return limits.MIN_SWEEP_SECONDS
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc
        if due is None:
            return limits.MAX_SWEEP_SECONDS
        wait: float = due / 1000 - time.time()
        if wait > 0:
            return min(max(wait, limits.MIN_SWEEP_SECONDS), limits.MAX_SWEEP_SECONDS)
        removed = await self._submit(Sweep())
        return 0.0 if removed == limits.MAX_SWEEP_ENTRIES else limits.MIN_SWEEP_SECONDS

    async def close(self) -> None:
        """See Backend."""
        self._closed = True
        self._changes.close()
        if self._dequeues:
            await asyncio.wait(self._dequeues)
        if self._writer is None:
            self._connections.close()
        else:
            await self._writer.close()

    def _read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        now = int(time.time() * 1000)
        if len(ranges) == 1:
            return [self._read_range(ranges[0], now)]
        execute = self._read_rows
        execute("begin")
        try:
            return [self._read_range(wanted, now) for wanted in ranges]
        finally:
            if self._connections.reader.in_transaction:  # a failing disk ends it by itself
                execute("rollback")

    def _read_range(self, wanted: KeyRange, now: int) -> list[Record]:
        # Every row is fetched at once: a statement left half read would keep its snapshot and the log alive.
        start, end, limit, reverse = wanted
        if end is None:
            rows = self._read_rows(self._layout.point, (start, now)).fetchall()
        else:
            statement = self._layout.reverse if reverse else self._layout.forward
            rows = self._read_rows(statement, (start, end, now, limit)).fetchall()
        return [Record(key, value, encoding, format_stamp(version)) for key, value, encoding, version in rows]

    async def _patiently(self, read: Callable[[], T]) -> T:
        """Read; while another process recovers or folds the log, wait without holding up the event loop."""
        deadline = time.monotonic() + limits.MAX_LOCK_SECONDS
        attempts = 0
        while True:
            try:
                return read()
            except apsw.BusyError as exc:
                attempts += 1
                if time.monotonic() > deadline:
                    raise storage_error(exc, self._path) from exc
            except apsw.Error as exc:
                raise storage_error(exc, self._path) from exc
            await asyncio.sleep(pause(attempts))
            if self._closed:
                raise KvClosed("the store was closed")

    def _read_change(self) -> int | None:
        """Return a number that is another one after each commit, or None while the file is locked."""
        if self._writer is None:
            return self._connections.reader.total_changes()
        try:
            return cast(int, self._read_rows("pragma data_version").fetchall()[0][0])
        except apsw.Error:  # whoever waits for the change will meet the error when it reads
            return None

    def _read_watched(self, keys: Sequence[bytes]) -> tuple[list[Record | None], float | None]:
        """Return the entries under `keys` and in how many seconds the first of them expires."""
        now = int(time.time() * 1000)
        execute = self._read_rows
        execute("begin")
        try:
            found = [execute(self._layout.watched, (key, now)).fetchall() for key in keys]
        finally:
            if self._connections.reader.in_transaction:
                execute("rollback")
        expiries = [rows[0][4] for rows in found if rows and rows[0][4] is not None]
        return [_load(rows[0]) if rows else None for rows in found], min(map(_until, expiries), default=None)

    def _submit(self, operation: Operation) -> asyncio.Future[Any]:
        if self._writer is not None:
            return self._writer.submit(operation)
        future = asyncio.get_running_loop().create_future()
        outcome = self._applier.apply([operation])[0]
        self._changes.tell()
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
        return future

    async def _take(self, operation: Dequeue) -> list[Message]:
        future = self._submit(operation)
        self._dequeues.add(future)
        future.add_done_callback(self._dequeues.discard)
        try:
            return cast(list[Message], await asyncio.shield(future))
        except asyncio.CancelledError:
            future.add_done_callback(self._give_back)
            raise

    def _give_back(self, future: asyncio.Future[list[Message]]) -> None:
        """Release messages whose taker was cancelled."""
        if future.exception() is None and future.result():
            settlements = [Settlement(m.lease, Fate.RELEASE, m.due) for m in future.result()]
            with suppress(KvClosed):
                self._submit(Commit((), (), 0, settlements=settlements))

    def _write_inline(self, commit: Commit, writer: Writer) -> Outcome | None:
        """Write on the event loop; None when another process holds the file."""
        self._wrote_inline = True
        asyncio.get_running_loop().call_soon(self._end_turn)
        patience = self._connections.patience
        patience.waits = False
        try:
            outcome = self._applier.apply([commit])[0]
        except apsw.BusyError:
            return None
        else:
            self._changes.tell()
            return outcome
        finally:
            patience.waits = True
            if writer.wal_is_long:
                writer.submit(None)

    def _end_turn(self) -> None:
        self._wrote_inline = False


def _load(row: Row) -> Record:
    key, value, encoding, version, *_ = row
    return Record(key, value, encoding, format_stamp(version))


def _until(milliseconds: int) -> float:
    """Return how many seconds from now a moment lies, given in milliseconds since 1970."""
    return milliseconds / 1000 - time.time()


def _unwrap(outcome: Outcome) -> object:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
