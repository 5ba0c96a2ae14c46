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
import builtins
import os
import warnings
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from echelon.errors import KvClosed, KvError, KvKeyError, KvLimitError, KvUsageError
from echelon.kv import limits
from echelon.kv.atomic import Atomic, check_expiry, from_now
from echelon.kv.backend import (
    Action,
    Backend,
    Commit,
    CommitResult,
    KeyRange,
    Message,
    Mutation,
    Record,
    ValueFormat,
)
from echelon.kv.codec import Key, convert_value, decode_value, make_encoder
from echelon.kv.collection import Collection, Name
from echelon.kv.entry import Entry, load_entries, load_entry
from echelon.kv.keys import encode_for_read, encode_for_write
from echelon.kv.listing import Listing, check_count, resume, select
from echelon.kv.maintenance import Progress, Stats, require_maintained
from echelon.kv.queue import Handler, Listener, Load
from echelon.kv.sweeper import Sweeper

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

T = TypeVar("T")


class Kv:
    """An ordered, transactional store. `open_kv()` makes one.

    Any number of tasks of one event loop may share it, and any number of processes may open the same file.
    Every method raises KvClosed after `close()`, KvKeyError for a bad key, KvStorageError if the disk fails.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        max_value: int = limits.MAX_VALUE_BYTES,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Take ownership of a backend; needs a running event loop, where expired entries are swept."""
        self._backend = backend
        self._read = backend.read
        self._encode = make_encoder(backend.values, max_value)
        self._max_commit = limits.MAX_COMMIT_BYTES + max(0, max_value - limits.MAX_VALUE_BYTES)
        self._telemetry = telemetry
        self._listeners: set[Listener] = set()
        self._sweeper = Sweeper(backend)
        self._closing: asyncio.Task[None] | None = None

    @property
    def backend(self) -> Backend:
        """The engine below, for what serves a store to others; it goes with the store."""
        return self._backend

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closing is not None

    @property
    def values(self) -> ValueFormat:
        """How values are stored: "v8" where programs in JavaScript read them, too."""
        return self._backend.values

    @overload
    async def get(self, key: Key) -> Entry[Any]: ...
    @overload
    async def get(self, key: Key, *, type: type[T]) -> Entry[T]: ...
    async def get(self, key: Key, *, type: Any = None) -> Entry[Any]:
        """Read one entry; raises KvValueError when what is stored is not a `type`."""
        records = (await self._read((KeyRange(encode_for_read(key)),)))[0]
        return load_entry(records[0], tuple(key), type) if records else Entry(tuple(key), None, None)

    @overload
    async def get_many(self, keys: Iterable[Key]) -> list[Entry[Any]]: ...
    @overload
    async def get_many(self, keys: Iterable[Key], *, type: type[T]) -> list[Entry[T]]: ...
    async def get_many(self, keys: Iterable[Key], *, type: Any = None) -> list[Entry[Any]]:
        """Read up to 10 entries from one snapshot, in the order of `keys`."""
        wanted = _collect("get_many()", keys, limits.MAX_GET_MANY_KEYS)
        found = await self._read([KeyRange(encode_for_read(key)) for key in wanted])
        return [
            load_entry(records[0], tuple(key), type) if records else Entry(tuple(key), None, None)
            for key, records in zip(wanted, found, strict=True)
        ]

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

        common, size = ((), 0) if prefix is None else (tuple(prefix), len(bounds.common))

        def load(records: builtins.list[Record]) -> builtins.list[Entry[Any] | KvError]:
            return load_entries(records, type, common, size)

        return Listing(self._read, load, bounds, limit=limit, reverse=bool(reverse), batch_size=batch_size)

    async def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> CommitResult:
        """Store a value, for `expire_in` or for ever; the result has its versionstamp.

        Cancelling the caller does not cancel the write. Raises KvValueError for what cannot be stored.
        """
        encoded = encode_for_write(key)
        data, encoding = self._encode(value)
        expiry = None if expire_in is None else from_now(check_expiry(expire_in))
        mutation = Mutation(Action.SET, encoded, data, encoding, expiry)
        result = await self._backend.write(Commit((), (mutation,), len(encoded) + len(data)))
        if expiry is not None:
            self._sweeper.expect(expiry)
        return result

    async def delete(self, key: Key) -> CommitResult:
        """Remove what is stored under `key`, if anything is."""
        encoded = encode_for_write(key)
        return await self._backend.write(Commit((), (Mutation(Action.DELETE, encoded),), len(encoded)))

    def atomic(self) -> Atomic:
        """Begin a commit: `await kv.atomic().check(entry).set(key, value).commit()`."""
        self._require_open()
        return Atomic(self._write, self._encode, self._max_commit)

    @overload
    def watch(self, keys: Iterable[Key]) -> AsyncGenerator[builtins.list[Entry[Any]], None]: ...
    @overload
    def watch(
        self, keys: Iterable[Key], *, type: type[T]
    ) -> AsyncGenerator[builtins.list[Entry[T]], None]: ...
    def watch(
        self, keys: Iterable[Key], *, type: Any = None
    ) -> AsyncGenerator[builtins.list[Entry[Any]], None]:
        """Iterate over the states of up to 10 entries: first the current one, then one after each change.

        Each state is one snapshot with an entry for each key, in the order of `keys`. When changes come faster
        than they are taken, those in between are left out. Commits and expiries of other processes count, too.
        Ends when the store is closed, and at once when there is nothing to watch.
        """
        self._require_open()
        wanted = _collect("watch()", keys, limits.MAX_WATCH_KEYS)
        return self._watch(wanted, [encode_for_read(key) for key in wanted], type)

    async def enqueue(
        self,
        value: Any,
        *,
        delay: timedelta | None = None,
        backoff_schedule: Sequence[timedelta] | None = None,
        keys_if_undelivered: Iterable[Key] = (),
    ) -> CommitResult:
        """Send a message to the queue, to be delivered after `delay`, at most 30 days.

        A delivery that fails is repeated after the times in `backoff_schedule`, at most 5 of at most an hour;
        without it after 0.1, 1, 5, 30 and 60 seconds. When they are used up, `value` is stored under each of
        `keys_if_undelivered`. `kv.atomic().enqueue(…)` sends a message as part of a commit.
        """
        atomic = self.atomic().enqueue(
            value,
            delay=delay,
            backoff_schedule=backoff_schedule,
            keys_if_undelivered=keys_if_undelivered,
        )
        return await atomic.commit()

    async def listen_queue(
        self, handler: Handler, *, concurrency: int = limits.DEFAULT_CONCURRENCY, type: Any = None
    ) -> None:
        """Call `handler` with the value of each message, the first due first, until the store is closed.

        At most `concurrency` handlers run at once. A message is done when its handler returns, and comes again
        when it raises or when the process dies: at least once, never to two handlers at a time while their event
        loops run. Any number of listeners, in any number of processes, share the messages. Cancelling, and
        closing the store, cancels the handlers and gives their messages back at once.
        """

        def load(message: Message) -> Any:
            value = decode_value(message.payload, message.encoding)
            return value if type is None else convert_value(value, type, message.encoding)

        listener = self.listener(load, handler, concurrency)
        self._listeners.add(listener)
        try:
            await listener.run()
        finally:
            self._listeners.discard(listener)

    @overload
    def collection(
        self, prefix: str | Key, *, index: Iterable[Name] = (), unique: Iterable[Name] = ()
    ) -> Collection[Any]: ...
    @overload
    def collection(
        self, prefix: str | Key, *, type: type[T], index: Iterable[Name] = (), unique: Iterable[Name] = ()
    ) -> Collection[T]: ...
    def collection(
        self,
        prefix: str | Key,
        *,
        type: Any = None,
        index: Iterable[Name] = (),
        unique: Iterable[Name] = (),
    ) -> Collection[Any]:
        """Return the values below a prefix as a collection: items of one type, found by id and by indexes.

        An index is a field, or a tuple of fields; of a unique one, no two items have the same value. Raises
        KvUsageError for a field that the type has not.
        """
        return Collection(self, (prefix,) if isinstance(prefix, str) else tuple(prefix), type, index, unique)

    def listener(self, load: Load, handler: Handler, concurrency: int) -> Listener:
        """Return what takes messages and calls `handler` with what `load` makes of each, once it is run."""
        self._require_open()
        from echelon.telemetry import OFF  # only where there is a queue

        return Listener(self._backend, load, handler, concurrency, self._telemetry or OFF)

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """Copy the store, as it is at one moment, to a new file, while it goes on being written.

        `progress` is called with the bytes that are done and those there are. Raises KvUsageError when there is
        a file already or the engine cannot do it, KvStorageError when the copy cannot be written.
        """
        self._require_open()
        await require_maintained(self._backend).backup(path, progress)

    async def check(self) -> builtins.list[str]:
        """Return what is wrong with the store, a sentence for each fault; raises KvUsageError as `backup()`."""
        self._require_open()
        return await require_maintained(self._backend).check()

    async def stats(self) -> Stats:
        """Count entries and messages; reads the whole store. Raises KvUsageError as `backup()`."""
        self._require_open()
        return await require_maintained(self._backend).stats()

    async def close(self) -> None:
        """Give back what listeners handle, finish the writes that were accepted, then close.

        Watches and listeners end. Closing twice does nothing.
        """
        if self._closing is None:
            # A task of its own: a handler that closes the store is cancelled by that, the closing is not.
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="echelon-kv-close")
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Kv:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_closing", self) is None:
            message = "a Kv was not closed: use `async with open_kv(...)`"
            warnings.warn(message, ResourceWarning, stacklevel=1, source=self)

    @staticmethod
    def _load(key: Key, records: Iterable[Record], type_: Any) -> Entry[Any]:
        for record in records:
            return load_entry(record, tuple(key), type_)
        return Entry(tuple(key), None, None)

    def _require_open(self) -> None:
        if self._closing is not None:
            raise KvClosed("the store was closed")

    async def _write(self, commit: Commit) -> CommitResult:
        result = await self._backend.write(commit)
        expiries = [m.expires_at for m in commit.mutations if m.expires_at is not None]
        if expiries:
            self._sweeper.expect(min(expiries))
        return result

    async def _watch(
        self, keys: builtins.list[Key], encoded: builtins.list[bytes], type_: Any
    ) -> AsyncGenerator[builtins.list[Entry[Any]], None]:
        if not keys:
            return
        async with aclosing(self._backend.watch(encoded)) as states:
            async for records in states:
                found = zip(keys, records, strict=True)
                yield [self._load(key, () if record is None else (record,), type_) for key, record in found]

    async def _close(self) -> None:
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        await self._sweeper.close()
        await self._backend.close()


def _collect(what: str, keys: Iterable[Key], most: int) -> list[Key]:
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise KvKeyError(f"{what} takes a list of keys, got {keys!r:.60}")
    wanted = [*keys]
    if len(wanted) > most:
        raise KvLimitError(f"{what} takes at most {most} keys, got {len(wanted)}")
    return wanted
