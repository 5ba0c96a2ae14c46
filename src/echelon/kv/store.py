"""The key-value store as an application sees it.

async with open_kv("app.db") as kv:
    await kv.set(("users", 1), {"name": "Ada"})
    entry = await kv.get(("users", 1))
    await kv.atomic().check(entry).set(("users", 1), {"name": "Ada L."}).sum(("edits",), 1).commit()
    async for entry in kv.list(prefix=("users",)):
        ...
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, overload

from echelon.errors import KvClosed, KvKeyError, KvLimitError, KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.atomic import Atomic, check_expiry, encode_for_write, expires_at
from echelon.kv.backend import Action, Backend, Commit, CommitResult, KeyRange, Mutation, Record
from echelon.kv.codec import Key, encode_value
from echelon.kv.entry import Entry, load_entry
from echelon.kv.listing import Listing, check_count, encode_for_read, resume, select

T = TypeVar("T")

_log = logging.getLogger("echelon.kv")


class Kv:
    """An ordered, transactional store. `open_kv()` makes one.

    Any number of tasks of one event loop may share it, and any number of processes may open the same file.
    Every method raises KvClosed after `close()`, KvKeyError for a bad key, KvStorageError if the disk fails.
    """

    def __init__(self, backend: Backend, *, max_value: int = limits.MAX_VALUE_BYTES) -> None:
        """Take ownership of a backend; needs a running event loop, where expired entries are swept."""
        self._backend = backend
        self._max_value = max_value
        self._read = backend.read
        self._closed = False
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="echelon-kv-sweeper")

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    @overload
    async def get(self, key: Key) -> Entry[Any]: ...
    @overload
    async def get(self, key: Key, *, type: type[T]) -> Entry[T]: ...
    async def get(self, key: Key, *, type: Any = None) -> Entry[Any]:
        """Read one entry; raises KvValueError when what is stored is not a `type`."""
        records = await self._read((KeyRange(encode_for_read(key)),))
        return self._load(key, records[0], type)

    @overload
    async def get_many(self, keys: Iterable[Key]) -> list[Entry[Any]]: ...
    @overload
    async def get_many(self, keys: Iterable[Key], *, type: type[T]) -> list[Entry[T]]: ...
    async def get_many(self, keys: Iterable[Key], *, type: Any = None) -> list[Entry[Any]]:
        """Read up to 10 entries from one snapshot, in the order of `keys`."""
        if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
            raise KvKeyError(f"get_many() takes a list of keys, got {keys!r:.60}")
        wanted = [*keys]
        if len(wanted) > limits.MAX_GET_MANY_KEYS:
            raise KvLimitError(f"get_many() reads at most {limits.MAX_GET_MANY_KEYS} keys, got {len(wanted)}")
        found = await self._read([KeyRange(encode_for_read(key)) for key in wanted])
        return [self._load(key, records, type) for key, records in zip(wanted, found, strict=True)]

    @overload
    def list(
        self,
        *,
        prefix: Key | None = None,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
        cursor: str | None = None,
        batch_size: int | None = None,
    ) -> Listing[Any]: ...
    @overload
    def list(
        self,
        *,
        prefix: Key | None = None,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
        cursor: str | None = None,
        batch_size: int | None = None,
        type: type[T],
    ) -> Listing[T]: ...
    def list(
        self,
        *,
        prefix: Key | None = None,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
        cursor: str | None = None,
        batch_size: int | None = None,
        type: Any = None,
    ) -> Listing[Any]:
        """Iterate over entries in the order of their keys.

        The selector is `prefix` (without the prefix itself as a key), `prefix` with `start` or `end`, or
        `start` and `end`. `start` is included and `end` is not, also in reverse. Raises KvUsageError for any
        other combination or a bad cursor. Each batch of `batch_size` is a snapshot of its own.
        """
        bounds = select(prefix, start, end)
        if cursor:
            bounds = resume(bounds, cursor, reverse)
        elif cursor is not None and not isinstance(cursor, str):
            raise KvUsageError(f"a cursor is a str from .cursor of an earlier list, got {cursor!r}")
        if limit is not None:
            check_count("limit", limit)
        if batch_size is None:
            batch_size = min(limit or limits.DEFAULT_BATCH_ENTRIES, limits.MAX_DEFAULT_BATCH_ENTRIES)
        else:
            check_count("batch_size", batch_size, limits.MAX_BATCH_ENTRIES)

        def load(record: Record) -> Entry[Any]:
            return load_entry(record, None, type)

        return Listing(self._read, load, bounds, limit=limit, reverse=bool(reverse), batch_size=batch_size)

    async def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> CommitResult:
        """Store a value, for `expire_in` or for ever; the result has its versionstamp.

        Cancelling the caller does not cancel the write. Raises KvValueError for what cannot be stored.
        """
        encoded = encode_for_write(key)
        data, encoding = encode_value(value, self._max_value)
        expiry = None if expire_in is None else expires_at(check_expiry(expire_in))
        mutation = Mutation(Action.SET, encoded, data, encoding, expiry)
        return await self._backend.write(Commit((), (mutation,), len(encoded) + len(data)))

    async def delete(self, key: Key) -> CommitResult:
        """Remove what is stored under `key`, if anything is."""
        encoded = encode_for_write(key)
        return await self._backend.write(Commit((), (Mutation(Action.DELETE, encoded),), len(encoded)))

    def atomic(self) -> Atomic:
        """Begin a commit: `await kv.atomic().check(entry).set(key, value).commit()`."""
        if self._closed:
            raise KvClosed("the store was closed")
        return Atomic(self._backend.write, self._max_value)

    async def close(self) -> None:
        """Finish the writes that were accepted, then close. Closing twice does nothing."""
        self._closed = True
        self._sweeper.cancel()
        await asyncio.wait([self._sweeper])
        await self._backend.close()

    async def __aenter__(self) -> Kv:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            message = "a Kv was not closed: use `async with open_kv(...)`"
            warnings.warn(message, ResourceWarning, stacklevel=1, source=self)

    @staticmethod
    def _load(key: Key, records: Iterable[Record], type_: Any) -> Entry[Any]:
        for record in records:
            return load_entry(record, tuple(key), type_)
        return Entry(tuple(key), None, None)

    async def _sweep(self) -> None:
        """Remove expired entries for ever; they are absent for readers long before."""
        while True:
            try:
                delay = await self._backend.sweep()
            except KvClosed:
                return
            except KvStorageError as exc:
                _log.warning("expired entries were not removed: %s", exc)
                delay = limits.MAX_SWEEP_SECONDS
            await asyncio.sleep(delay)
