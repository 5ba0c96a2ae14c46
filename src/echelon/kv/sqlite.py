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
from collections.abc import Sequence
from typing import Final, Literal, cast, get_args

import apsw

from echelon.errors import KvClosed, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import Commit, CommitResult, KeyRange, Record
from echelon.kv.sqlite_commit import Applier, Execute, Operation, Outcome, Sweep, format_stamp
from echelon.kv.sqlite_file import MEMORY, Connections, check_path, open_connections, pause, storage_error
from echelon.kv.sqlite_writer import Writer

Durability = Literal["full", "normal"]

_COLUMNS: Final = "select key, value, encoding, version from kv where "
_POINT: Final = _COLUMNS + "key = ?1 and (expires is null or expires > ?2)"
# The plus keeps the planner from the index on `expires`: the keys' own order is always the better one.
_FORWARD: Final = (
    _COLUMNS + "key >= ?1 and key < ?2 and (+expires is null or +expires > ?3) order by key limit ?4"
)
_REVERSE: Final = (
    _COLUMNS + "key >= ?1 and key < ?2 and (+expires is null or +expires > ?3) order by key desc limit ?4"
)
_NEXT_EXPIRY: Final = "select min(expires) from kv where expires is not null"

_INLINE_BYTES: Final = 16 * 1024
"""A larger commit goes to the thread, so that the event loop is not held up."""

_MIN_SWEEP_SECONDS: Final = 1.0


class SqliteBackend:
    """A Backend on a SQLite file; belongs to the event loop it was opened in."""

    def __init__(self, connections: Connections, durability: Durability) -> None:
        """Take ownership of the connections; `open()` makes them."""
        self._connections = connections
        self._path = connections.path
        self._read_rows: Execute = connections.reader.cursor().execute
        self._applier = Applier(connections.writer, self._path)
        self._writer = None if self._path == MEMORY else Writer(connections, self._applier)
        self._inline = durability == "normal"
        self._wrote_inline = False
        self._closed = False

    @classmethod
    async def open(cls, path: str | os.PathLike[str], durability: Durability = "full") -> SqliteBackend:
        """Open or create a file; raises KvStorageError when it cannot hold a store."""
        if durability not in get_args(Durability):
            raise KvUsageError(f'durability is "full" or "normal", got {durability!r}')
        connections = await asyncio.to_thread(lambda: open_connections(check_path(path), durability))
        return cls(connections, durability)

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        try:
            return self._read(ranges)
        except apsw.BusyError:
            return await self._read_patiently(ranges)
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc

    async def write(self, commit: Commit) -> CommitResult:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        writer = self._writer
        if writer is None:
            return cast(CommitResult, _unwrap(self._applier.apply([commit])[0]))
        if self._inline and writer.idle and not self._wrote_inline and commit.size <= _INLINE_BYTES:
            outcome = self._write_inline(commit, writer)
            if outcome is not None:
                # A turn for the others: those who write at the same time are then served as a group.
                await asyncio.sleep(0)
                return cast(CommitResult, _unwrap(outcome))
        return cast(CommitResult, await writer.submit(commit))

    async def sweep(self) -> float:
        """See Backend."""
        if self._closed:
            raise KvClosed("the store was closed")
        try:
            due = self._read_rows(_NEXT_EXPIRY).fetchall()[0][0]
        except apsw.BusyError:
            return _MIN_SWEEP_SECONDS
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc
        if due is None:
            return limits.MAX_SWEEP_SECONDS
        wait: float = due / 1000 - time.time()
        if wait > 0:
            return min(max(wait, _MIN_SWEEP_SECONDS), limits.MAX_SWEEP_SECONDS)
        removed = await self._run(Sweep())
        return 0.0 if removed == limits.MAX_SWEEP_ENTRIES else _MIN_SWEEP_SECONDS

    async def close(self) -> None:
        """See Backend."""
        self._closed = True
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
            rows = self._read_rows(_POINT, (start, now)).fetchall()
        else:
            rows = self._read_rows(_REVERSE if reverse else _FORWARD, (start, end, now, limit)).fetchall()
        return [Record(key, value, encoding, format_stamp(version)) for key, value, encoding, version in rows]

    async def _read_patiently(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """Read while another process recovers or folds the log: wait without holding up the event loop."""
        deadline = time.monotonic() + limits.MAX_LOCK_SECONDS
        attempts = 0
        while True:
            await asyncio.sleep(pause(attempts))
            if self._closed:
                raise KvClosed("the store was closed")
            try:
                return self._read(ranges)
            except apsw.BusyError as exc:
                attempts += 1
                if time.monotonic() > deadline:
                    raise storage_error(exc, self._path) from exc
            except apsw.Error as exc:
                raise storage_error(exc, self._path) from exc

    async def _run(self, operation: Operation) -> object:
        if self._writer is None:
            return _unwrap(self._applier.apply([operation])[0])
        return await self._writer.submit(operation)

    def _write_inline(self, commit: Commit, writer: Writer) -> Outcome | None:
        """Write on the event loop; None when another process holds the file."""
        self._wrote_inline = True
        asyncio.get_running_loop().call_soon(self._end_turn)
        patience = self._connections.patience
        patience.waits = False
        try:
            return self._applier.apply([commit])[0]
        except apsw.BusyError:
            return None
        finally:
            patience.waits = True
            if writer.wal_is_long:
                writer.submit(None)

    def _end_turn(self) -> None:
        self._wrote_inline = False


def _unwrap(outcome: Outcome) -> CommitResult | int:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
