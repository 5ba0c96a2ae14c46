"""Reading a SQLite file: each call is one snapshot, and takes microseconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from echelon.errors import KvClosed
from echelon.kv import limits
from echelon.kv.backend import KeyRange, Record
from echelon.kv.sqlite_file import pause, storage_error
from echelon.kv.sqlite_layout import Execute, Layout

T = TypeVar("T")
Row = tuple[Any, ...]
"""key, value, encoding, version and, where it was asked for, expiry."""

_MAX_POINTS: Final = 16
"""How many single entries one statement reads: each number is a statement of its own, which SQLite keeps."""


class Reader:
    """Reads on the event loop. Only `patiently()` waits, and only it turns SQLite's errors into ours."""

    def __init__(self, connection: apsw.Connection, path: str, layout: Layout, *, has_others: bool) -> None:
        """`has_others` tells whether other connections write to the file."""
        self.closed = False
        self._connection = connection
        self._execute: Execute = connection.cursor().execute
        self._path = path
        self._layout = layout
        self._point = layout.point
        self._points: dict[int, str] = {}
        self._has_others = has_others

    async def patiently(self, read: Callable[[], T]) -> T:
        """Return what `read` gives; while another process recovers or folds the log, others get their turn.

        Raises KvStorageError, and KvClosed when the store is closed meanwhile.
        """
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
            if self.closed:
                raise KvClosed("the store was closed")

    def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """Return what each range holds."""
        now = time.time() * 1000
        if len(ranges) == 1:
            wanted = ranges[0]
            if wanted.end is not None:
                return [self._read_range(wanted, now)]
            # The read of all others: what follows takes half the time of the general way.
            rows = self._execute(self._point, (wanted.start, now)).fetchall()
            return [[load_row(rows[0])]] if rows else [[]]
        if 0 < len(ranges) <= _MAX_POINTS and all(wanted.end is None for wanted in ranges):
            return self._read_points([wanted.start for wanted in ranges], now)
        return self._in_snapshot(lambda: [self._read_range(wanted, now) for wanted in ranges])

    def read_watched(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Return each entry with its expiry."""
        now = int(time.time() * 1000)
        statement = self._layout.watched
        return self._in_snapshot(
            lambda: [next(iter(self._execute(statement, (key, now)).fetchall()), None) for key in keys]
        )

    def is_changed(self, keys: Sequence[bytes], versions: Sequence[int | None]) -> bool:
        """Return whether one of the entries has another version by now, or cannot be read."""
        now = int(time.time() * 1000)
        try:
            for key, version in zip(keys, versions, strict=True):
                rows = self._execute(self._layout.read_stamp, (key, now)).fetchall()
                if (rows[0][0] if rows else None) != version:
                    return True
        except apsw.Error:  # who watches will meet the error when it reads
            return True
        return False

    def next_due(self) -> int | None:
        """Return when the first message is due, in milliseconds since 1970."""
        due: int | None = self._execute(self._layout.next_due).fetchall()[0][0]
        return due

    def next_expiry(self) -> int | None:
        """Return when the first entry expires, in milliseconds since 1970."""
        expiry: int | None = self._execute(self._layout.next_expiry).fetchall()[0][0]
        return expiry

    def read_change(self) -> int | None:
        """Return a number that is another one after each commit, or None while the file is locked."""
        if not self._has_others:
            return self._connection.total_changes()
        try:
            version: int = self._execute("pragma data_version").fetchall()[0][0]
        except apsw.Error:  # whoever waits for the change will meet the error when it reads
            return None
        return version

    def _read_range(self, wanted: KeyRange, now: float) -> list[Record]:
        # Every row is fetched at once: a statement left half read would keep its snapshot and the log alive.
        if wanted.end is None:
            rows = self._execute(self._point, (wanted.start, now)).fetchall()
        else:
            statement = self._layout.reverse if wanted.reverse else self._layout.forward
            rows = self._execute(statement, (wanted.start, wanted.end, now, wanted.limit)).fetchall()
        return [
            Record(
                key, value, encoding, (version << 16).to_bytes(10, "big").hex()
            )  # format_stamp(), without a call
            for key, value, encoding, version in rows
        ]

    def _read_points(self, keys: Sequence[bytes], now: float) -> list[list[Record]]:
        """Read single entries by one statement, which is a snapshot by itself."""
        statement = self._points.get(len(keys))
        if statement is None:
            places = ", ".join(f"(?{number})" for number in range(3, len(keys) + 3))
            statement = self._points[len(keys)] = self._layout.points.format(places)
        found = {
            key: [Record(key, value, encoding, (version << 16).to_bytes(10, "big").hex())]
            for key, value, encoding, version in self._execute(statement, (None, now, *keys)).fetchall()
        }
        return [found.get(key, []) for key in keys]

    def _in_snapshot(self, read: Callable[[], T]) -> T:
        self._execute("begin")
        try:
            return read()
        finally:
            if self._connection.in_transaction:  # a failing disk ends it by itself
                self._execute("rollback")


def load_row(row: Row) -> Record:
    """Return the record of a row."""
    return Record(row[0], row[1], row[2], (row[3] << 16).to_bytes(10, "big").hex())
