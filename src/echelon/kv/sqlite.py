"""The embedded engine: one SQLite file, shared by every process that opens it.

Reads run on the event loop, because one takes about ten microseconds and a thread's answer a hundred. Writes
go to one thread, which puts all that wait into one transaction. A lone small write can cost less than the way
to that thread and back: then it runs on the event loop too, if no other process holds the file.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

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
from echelon.kv.maintenance import Progress, Stats
from echelon.kv.sqlite_changes import Changes, Waiter
from echelon.kv.sqlite_commit import Applier, Dequeue, Operation, Outcome, Sweep
from echelon.kv.sqlite_file import MEMORY, Connections, check_path, open_connections, storage_error
from echelon.kv.sqlite_layout import Layout
from echelon.kv.sqlite_maintenance import Maintenance
from echelon.kv.sqlite_native import NATIVE
from echelon.kv.sqlite_pace import Pace
from echelon.kv.sqlite_reader import Reader, load_row
from echelon.kv.sqlite_writer import Writer

Taking = asyncio.Future[list[Message]]

_INLINE_BYTES: Final = 16 * 1024
"""A larger commit goes to the thread, so that the event loop is not held up."""


class SqliteBackend:
    """A Backend on a SQLite file; belongs to the event loop it was opened in."""

    def __init__(self, connections: Connections, durability: Durability, layout: Layout) -> None:
        """Take ownership of the connections; `open()` makes them."""
        self._layout = layout
        self._connections = connections
        self._path = connections.path
        self._applier = Applier(connections.writer, self._path, layout)
        in_memory = self._path == MEMORY
        self._reader = Reader(connections.reader, self._path, layout, has_others=not in_memory)
        self._changes = Changes(self._reader.read_change, None if in_memory else self._path + "-wal")
        self._writer = (
            None if in_memory else Writer(connections, self._applier, self._changes.tell, layout.breather)
        )
        self._maintenance = Maintenance(self._path, layout, connections.reader)
        self._takings: set[Taking] = set()
        self._hungry: dict[Waiter, Dequeue] = {}
        self._pace = Pace(syncs=durability == "full")
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
            return self._reader.read(ranges)
        except apsw.BusyError:
            return await self._reader.patiently(lambda: self._reader.read(ranges))
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc

    async def write(self, commit: Commit) -> CommitResult:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        if self._layout.fit is not None:
            commit = self._layout.fit(commit)
        may_inline = self._pace.begin(self._applier.seconds)
        try:
            writer = self._writer
            if may_inline and writer is not None and writer.idle and not self._wrote_inline:
                outcome = self._write_inline(commit, writer) if commit.size <= _INLINE_BYTES else None
                if outcome is not None:
                    # A turn for the others: those who write at the same time are then served as a group.
                    await asyncio.sleep(0)
                    return cast(CommitResult, _unwrap(outcome))
            committing = self._submit(commit)
            if commit.enqueues and self._hungry:
                self._feed(commit)
            return cast(CommitResult, await committing)
        finally:
            self._pace.end()

    async def watch(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        last: list[int | None] | None = None
        while not self._closed:
            seen = self._changes.count
            try:
                rows = await self._reader.patiently(lambda: self._reader.read_watched(keys))
            except KvClosed:
                return
            versions = [None if row is None else row[3] for row in rows]
            if versions != last:
                last = versions
                yield [None if row is None else load_row(row) for row in rows]
            expiries = [row[4] for row in rows if row is not None and row[4] is not None]
            seconds = min(map(_until, expiries), default=None)
            await self._changes.wait(seen, seconds, partial(self._reader.is_changed, keys, versions))

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """See Backend."""
        operation = Dequeue(limit, int(lease * 1000))
        while not self._closed:
            seen = self._changes.count
            due = await self._reader.patiently(self._reader.next_due)
            seconds = None if due is None else _until(due)
            taking: Taking | None
            if seconds is not None and seconds <= 0:
                taking = self._take(operation)
            else:
                taking = await self._wait_for_message(operation, seen, seconds)
            if taking is not None and (messages := await self._receive(taking)):
                return messages
        raise KvClosed("the store was closed")

    async def sweep(self) -> float:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        try:
            due = self._reader.next_expiry()
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

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """See Maintained."""
        await self._maintenance.backup(path, progress)

    async def check(self) -> list[str]:
        """See Maintained."""
        return await self._maintenance.check()

    async def stats(self) -> Stats:
        """See Maintained."""
        return await self._maintenance.stats()

    async def close(self) -> None:
        """See Backend."""
        self._closed = self._reader.closed = True
        self._changes.close()
        if self._takings:
            await asyncio.wait(self._takings)
        if self._writer is None:
            self._connections.close()
        else:
            await self._writer.close()

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

    def _take(self, operation: Dequeue) -> Taking:
        taking = self._submit(operation)
        self._takings.add(taking)
        taking.add_done_callback(self._takings.discard)
        return taking

    async def _receive(self, taking: Taking) -> list[Message]:
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back)
            raise

    async def _wait_for_message(self, operation: Dequeue, seen: int, seconds: float | None) -> Taking | None:
        """Wait until something may be due; whoever enqueues here in the meantime takes it for us."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._hungry[waiter] = operation
        try:
            return cast(Taking | None, await self._changes.wait(seen, seconds, waiter=waiter))
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result() is not None:
                waiter.result().add_done_callback(self._give_back)
            raise
        finally:
            self._hungry.pop(waiter, None)

    def _feed(self, commit: Commit) -> None:
        """Take what a commit enqueues in the same transaction, for one who waits."""
        now = time.time() * 1000
        waiter = next((waiter for waiter in self._hungry if not waiter.done()), None)
        if waiter is not None and any(message.due <= now for message in commit.enqueues):
            waiter.set_result(self._take(self._hungry.pop(waiter)))

    def _give_back(self, taking: Taking) -> None:
        """Release messages whose taker was cancelled."""
        if taking.exception() is None and taking.result():
            settlements = [Settlement(m.lease, Fate.RELEASE, m.due) for m in taking.result()]
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


def _until(milliseconds: int) -> float:
    """Return how many seconds from now a moment lies, given in milliseconds since 1970."""
    return milliseconds / 1000 - time.time()


def _unwrap(outcome: Outcome) -> object:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
