"""Collections: values of one type below a prefix, with indexes that are kept in the same commit.

users = kv.collection("users", type=User, index=["city", "age"], unique=["email"])
added = await users.add(User("Ada", "ada@example.com"))
async for item in users.find("age", start=18, limit=10):
    ...
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from echelon.errors import KvUsageError
from echelon.kv import limits
from echelon.kv.atomic import Atomic
from echelon.kv.backend import KeyRange, Record
from echelon.kv.codec import Encoding, Key, convert_value, decode_value
from echelon.kv.entry import Entry, load_entry
from echelon.kv.indexes import Index, declare
from echelon.kv.items import Change, Id, Item, Items
from echelon.kv.keys import encode_for_read
from echelon.kv.layout import Layout, new_id
from echelon.kv.listing import Bounds, check_count, resume, select
from echelon.kv.rebuild import Rebuilder, Rebuilt
from echelon.kv.schema import Schemas
from echelon.kv.staging import ABSENT, Stage, read_all

if TYPE_CHECKING:
    from echelon.kv.store import Kv

T = TypeVar("T")

_MAX_BATCH: Final = limits.MAX_BATCH_ENTRIES - 1
"""How many entries one read gives: one less than it may, since what is known of the indexes is read with them."""

Name = str | Sequence[str]
"""An index: its field, or its fields."""


class _Any(Enum):
    ANY = "any"


ANY: Final = _Any.ANY


class Collection(Generic[T]):
    """Values of one type, each with an id; `kv.collection()` makes one, and it needs no closing.

    Whatever else writes below its prefix leaves the indexes wrong until `reindex()`.
    """

    def __init__(
        self, kv: Kv, prefix: Key, type_: Any, index: Iterable[Name], unique: Iterable[Name]
    ) -> None:
        declared = [*declare(type_, index, unique=False), *declare(type_, unique, unique=True)]
        names = [one.name for one in declared]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise KvUsageError(f"the index {twice!r} is declared twice")
        self._kv = kv
        self._type = type_
        self._encoding = Encoding.V8 if kv.values == "v8" else Encoding.MSGPACK
        self._layout = Layout(prefix)
        self._stage = Stage(kv, self._layout)
        self._schemas = Schemas(kv, prefix, declared)

    def key(self, id: Id) -> Key:
        """Return the key under which the item with this id is stored."""
        return self._layout.key(id)

    # --- reading ---

    async def get(self, id: Id) -> Item[T] | None:
        """Read one item, None if there is none; raises KvValueError when what is stored is not of the type."""
        return self._item(await self._kv.get(self._layout.key(id)))

    async def get_many(self, ids: Iterable[Id]) -> list[Item[T] | None]:
        """Read items in the order of `ids`; each ten are from one snapshot."""
        return [self._item(entry) for entry in await read_all(self._kv, [self._layout.key(id) for id in ids])]

    def list(
        self,
        *,
        prefix: Id | None = None,
        start: Id | None = None,
        end: Id | None = None,
        limit: int | None = None,
        reverse: bool = False,
        cursor: str | None = None,
        batch_size: int | None = None,
    ) -> Items[T]:
        """Iterate over items in the order of their ids: all, those from `start` up to `end`, or below `prefix`."""
        if prefix is not None and (start is not None or end is not None):
            raise KvUsageError("list() takes a prefix of ids, or start= and end=, not both")
        key = self._layout.key
        bounds = select(self._layout.prefix if prefix is None else key(prefix), None, None)
        if start is not None:
            bounds = bounds._replace(start=encode_for_read(key(start)))
        if end is not None:
            bounds = bounds._replace(end=encode_for_read(key(end)))

        async def load(records: Sequence[Record]) -> Sequence[Item[T] | None]:
            return [self._item(load_entry(record, None, None)) for record in records]

        return self._iterate(load, bounds, None, limit, reverse, cursor, batch_size)

    def find(
        self,
        index: Name,
        value: Any = ANY,
        *,
        start: Any = ANY,
        end: Any = ANY,
        limit: int | None = None,
        reverse: bool = False,
        cursor: str | None = None,
        batch_size: int | None = None,
    ) -> Items[T]:
        """Iterate over items by an index: those with `value`, or in its order from `start` up to `end`.

        Of an index of several fields, a tuple of the first few is a value as well. The first item raises
        KvUsageError when the index was declared later than items were stored and was not built since.
        """
        found, bounds = self._select(index, value, start, end)

        async def load(records: Sequence[Record]) -> Sequence[Item[T] | None]:
            return await self._look_up(found, records)

        return self._iterate(load, bounds, found.name, limit, reverse, cursor, batch_size)

    async def get_by(self, index: Name, value: Any) -> Item[T] | None:
        """Read the first item that has a value in an index, None if there is none."""
        async for item in self.find(index, value, limit=1):
            return item
        return None

    async def count(
        self, index: Name | None = None, value: Any = ANY, *, start: Any = ANY, end: Any = ANY
    ) -> int:
        """Count all items, or the entries of an index that `find()` would follow; reads each of them."""
        if index is None:
            name, bounds = None, select(self._layout.prefix, None, None)
        else:
            found, bounds = self._select(index, value, start, end)
            name = found.name
        total, low = 0, bounds.start
        while True:
            records = await self._read(KeyRange(low, bounds.end, _MAX_BATCH), name)
            total += len(records)
            if len(records) < _MAX_BATCH:
                return total
            low = records[-1].key + b"\0"
            await asyncio.sleep(0)

    # --- writing ---

    async def add(
        self,
        value: T,
        *,
        id: Id | None = None,
        expire_in: timedelta | None = None,
        into: Atomic | None = None,
    ) -> Change:
        """Store a value under a new id; without one, a text is made that sorts by the time it was made."""
        chosen = new_id() if id is None else id

        def decide(old: Entry[Any]) -> Any:
            return value if old.versionstamp is None else Change(chosen, reason="exists")

        return await self._write(chosen, decide, expire_in, into)

    async def put(
        self,
        id: Id,
        value: T,
        *,
        versionstamp: str | _Any | None = ANY,
        expire_in: timedelta | None = None,
        into: Atomic | None = None,
    ) -> Change:
        """Store a value over whatever was there; with `versionstamp` only over what has it, None for nothing."""

        def decide(old: Entry[Any]) -> Any:
            return value if versionstamp in (ANY, old.versionstamp) else Change(id, reason="changed")

        return await self._write(id, decide, expire_in, into)

    async def update(
        self,
        id: Id,
        change: Callable[[T], T],
        *,
        expire_in: timedelta | None = None,
        into: Atomic | None = None,
    ) -> Change:
        """Store what `change` makes of the value; it is called again when somebody else was faster."""

        def decide(old: Entry[Any]) -> Any:
            item = self._item(old)
            return Change(id, reason="absent") if item is None else change(item.value)

        return await self._write(id, decide, expire_in, into)

    async def delete(self, id: Id, *, versionstamp: str | _Any = ANY, into: Atomic | None = None) -> Change:
        """Remove an item; with `versionstamp` only if it has it."""

        def decide(old: Entry[Any]) -> Any:
            if old.versionstamp is None:
                return Change(id, reason="absent")
            return ABSENT if versionstamp in (ANY, old.versionstamp) else Change(id, reason="changed")

        return await self._write(id, decide, None, into)

    async def reindex(self) -> Rebuilt:
        """Make the stored indexes those that are declared, with exactly the right entries, while others write.

        An index that is no longer declared is dropped.
        """
        return await Rebuilder.run(self._kv, self._layout, self._stage, self._schemas)

    # --- how it works ---

    async def _write(
        self, id: Id, decide: Callable[[Entry[Any]], Any], expire_in: timedelta | None, into: Atomic | None
    ) -> Change:
        """Commit what `decide` makes of the present entry, again until nobody came between."""
        key = self._layout.key(id)
        lost = 0
        while True:
            if into is not None:
                self._schemas.forget()  # nobody says here why an earlier commit of that kind failed
            schema = await self._schemas.load()
            old = await self._kv.get(key)
            wanted = decide(old)
            if isinstance(wanted, Change):
                return wanted
            commit = self._kv.atomic().check(schema.entry) if into is None else into
            stored = ABSENT if wanted is ABSENT else self._stored(wanted)
            refused = await self._stage.add(commit, schema.indexes, old, stored, expire_in)
            if refused is not None:
                return refused
            if into is not None:
                into.check(schema.entry)
                return Change(id)
            result = await commit.commit()
            if result.ok:
                return Change(id, result.versionstamp)
            if 0 in result.failed_checks:
                self._schemas.forget()
            lost += 1
            await asyncio.sleep(random.uniform(0, min(lost - 1, 10) / 1000))  # noqa: S311 - jitter, not a secret

    def _stored(self, value: T) -> Any:
        """Return a value as reading it will give it, whatever the type; raises KvValueError."""
        data, encoding = self._kv._encode(value)
        stored = decode_value(data, encoding)
        if self._type is not None:
            convert_value(stored, self._type, encoding, "the value")
        return stored

    def _item(self, entry: Entry[Any]) -> Item[T] | None:
        if entry.versionstamp is None:
            return None
        value: Any = entry.value
        if self._type is not None:
            value = convert_value(value, self._type, self._encoding)
        return Item(self._layout.id(entry.key), value, entry.versionstamp)

    def _select(self, name: Name, value: Any, start: Any, end: Any) -> tuple[Index, Bounds]:
        index = self._schemas.declared(name if isinstance(name, str) else ",".join(name))
        if value is not ANY and (start is not ANY or end is not ANY):
            raise KvUsageError("an index is searched for a value, or from start= to end=, not both")
        given = [None if one is ANY else index.lead(one) for one in (value, start, end)]
        return index, self._layout.select(index, *given)

    async def _look_up(self, index: Index, records: Sequence[Record]) -> Sequence[Item[T] | None]:
        """Return the items that entries of an index are about, None for one that changed since."""
        keys = [self._layout.owner(index, load_entry(record, None, None)) for record in records]
        entries = iter(await read_all(self._kv, [key for key in keys if key is not None]))
        items: list[Item[T] | None] = []
        for key, record in zip(keys, records, strict=True):
            entry = None if key is None else next(entries)
            if entry is None or entry.versionstamp is None:
                items.append(None)
                continue
            fits = record.key in self._layout.entries((index,), entry.key, entry.value)
            items.append(self._item(entry) if fits else None)
        return items

    async def _read(self, wanted: KeyRange, index: str | None) -> Sequence[Record]:
        """Read a range of items, or of an index that is ready in the same snapshot."""
        if index is None:
            return (await self._kv._read([wanted]))[0]
        while True:
            stamp = (await self._schemas.require(index)).entry.versionstamp
            marks, records = await self._kv._read([self._schemas.place, wanted])
            if [mark.versionstamp for mark in marks] == [stamp]:
                return records
            self._schemas.forget()

    def _iterate(
        self,
        load: Callable[[Sequence[Record]], Awaitable[Sequence[Item[T] | None]]],
        bounds: Bounds,
        index: str | None,
        limit: int | None,
        reverse: bool,
        cursor: str | None,
        batch_size: int | None,
    ) -> Items[T]:
        if limit is not None:
            check_count("limit", limit)
        if batch_size is None:
            batch_size = min(limit or limits.DEFAULT_BATCH_ENTRIES, limits.MAX_DEFAULT_BATCH_ENTRIES)
        batch_size = min(check_count("batch_size", batch_size, limits.MAX_BATCH_ENTRIES), _MAX_BATCH)
        if cursor:
            bounds = resume(bounds, cursor, reverse)

        async def read(wanted: KeyRange) -> Sequence[Record]:
            return await self._read(wanted, index)

        return Items(read, load, bounds, limit=limit, reverse=bool(reverse), batch_size=batch_size)
