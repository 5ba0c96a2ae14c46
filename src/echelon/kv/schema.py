"""What is known of a collection's indexes: stored beside them, so that every process keeps the same ones.

Every commit of a collection checks that this record is as its process read it. So an index that one process
adds is kept by all others from that commit on, also by those whose program does not declare it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from echelon.errors import KvUsageError
from echelon.kv.backend import KeyRange
from echelon.kv.codec import Key, encode_key
from echelon.kv.entry import Entry
from echelon.kv.indexes import Index, area

if TYPE_CHECKING:
    from echelon.kv.store import Kv


class Kept(msgspec.Struct, frozen=True):
    """An index that is kept; until it is `ready`, items from before `token` was made are missing in it."""

    index: Index
    token: str
    ready: bool = False


class Schema(NamedTuple):
    """The indexes of a collection, as they were read from `entry`."""

    entry: Entry[Any]
    kept: tuple[Kept, ...]

    @property
    def indexes(self) -> tuple[Index, ...]:
        return tuple(kept.index for kept in self.kept)


class Schemas:
    """Reads and changes the record of one collection."""

    def __init__(self, kv: Kv, prefix: Key, declared: Sequence[Index]) -> None:
        self._kv = kv
        self._prefix = prefix
        self._declared = {index.name: index for index in declared}
        self._known: Schema | None = None
        self.place = KeyRange(encode_key(area(prefix)))

    def declared(self, name: str) -> Index:
        """Return the index of that name; raises KvUsageError."""
        try:
            return self._declared[name]
        except KeyError:
            known = ", ".join(self._declared) or "none"
            raise KvUsageError(f"{self._prefix!r} has no index {name!r}; it declares {known}") from None

    def forget(self) -> None:
        """Read the record again the next time: a commit found that it was changed."""
        self._known = None

    async def load(self) -> Schema:
        """Return the indexes to keep; those that are declared and new are added."""
        while self._known is None:
            schema = await self._read()
            added = self._declared.keys() - {kept.index.name for kept in schema.kept}
            if added:
                new = [_new(index) for name, index in self._declared.items() if name in added]
                await self._store(schema, [*schema.kept, *new])
            elif not all(kept.ready for kept in schema.kept) and await self._is_empty():
                await self._store(schema, [Kept(kept.index, kept.token, ready=True) for kept in schema.kept])
            else:
                self._known = schema
        return self._known

    async def require(self, name: str) -> Schema:
        """Return the indexes if that one has an entry of every item; raises KvUsageError."""
        index = self._declared[name]
        for _ in range(2):
            schema = await self.load()
            if any(kept.ready and kept.index == index for kept in schema.kept):
                return schema
            self.forget()  # another process may have built it meanwhile
        raise KvUsageError(
            f"the index {name!r} of {self._prefix!r} was declared, or changed, after items were stored: "
            "build it once with `await collection.reindex()`"
        )

    async def declare(self) -> Schema:
        """Keep exactly what is declared, until `finish` without what is new."""
        while True:
            schema = await self._read()
            same = {kept.index.name: kept for kept in schema.kept if kept.index in self._declared.values()}
            kept = [same.get(name) or _new(index) for name, index in self._declared.items()]
            if [*schema.kept] == kept or await self._store(schema, kept):
                return await self._read()

    async def finish(self, begun: Schema, incomplete: set[str]) -> bool:
        """Mark indexes ready that were kept since they were declared, but for incomplete ones.

        Returns False when another process dropped one of them meanwhile.
        """
        tokens = {kept.token for kept in begun.kept}
        while True:
            schema = await self._read()
            kept = [
                Kept(one.index, one.token, ready=one.index.name not in incomplete)
                if one.token in tokens
                else one
                for one in schema.kept
            ]
            if [*schema.kept] == kept or await self._store(schema, kept):
                return tokens <= {one.token for one in schema.kept}

    async def _store(self, schema: Schema, kept: Sequence[Kept]) -> bool:
        """Replace the record if it is as it was read."""
        self.forget()
        value = msgspec.to_builtins(kept)
        return bool(await self._kv.atomic().check(schema.entry).set(area(self._prefix), value).commit())

    async def _read(self) -> Schema:
        entry = await self._kv.get(area(self._prefix), type=tuple[Kept, ...])
        return Schema(entry, entry.value or ())

    async def _is_empty(self) -> bool:
        async for _ in self._kv.list(prefix=self._prefix, limit=1):
            return False
        return True


def _new(index: Index) -> Kept:
    return Kept(index, secrets.token_hex(8))
