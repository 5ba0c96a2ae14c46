"""Building the indexes of a collection anew, while others read and write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.kv.codec import Key, encode_key
from echelon.kv.entry import Entry
from echelon.kv.items import Change
from echelon.kv.layout import Layout
from echelon.kv.schema import Schema, Schemas
from echelon.kv.staging import Stage, read_all

if TYPE_CHECKING:
    from echelon.kv.store import Kv

_BATCH: Final = 100
_MAX_CONFLICTS: Final = 100


class Rebuilt(msgspec.Struct, frozen=True):
    """What building the indexes did; false when unique values of several items stand against it.

    `conflicts` names at most 100 of these items; their indexes are not ready.
    """

    items: int
    added: int
    removed: int
    conflicts: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return not self.conflicts


class Rebuilder:
    """One building of the indexes of one collection."""

    def __init__(self, kv: Kv, layout: Layout, stage: Stage, schema: Schema) -> None:
        self._kv = kv
        self._layout = layout
        self._stage = stage
        self._schema = schema
        self._added = self._removed = self._items = 0
        self._conflicts: list[Change] = []
        self._incomplete: set[str] = set()

    @classmethod
    async def run(cls, kv: Kv, layout: Layout, stage: Stage, schemas: Schemas) -> Rebuilt:
        """Remove wrong entries, add missing ones, and say which indexes are ready."""
        while True:
            one = cls(kv, layout, stage, await schemas.declare())
            await one._prune()
            await one._fill()
            if await schemas.finish(one._schema, one._incomplete):
                return Rebuilt(one._items, one._added, one._removed, tuple(one._conflicts))

    async def _prune(self) -> None:
        """Remove entries that no item has, and those of indexes that are kept no longer."""
        async for batch in _batches(self._kv, self._layout.area):
            await asyncio.gather(*(self._check(entry) for entry in batch))

    async def _check(self, entry: Entry[Any]) -> None:
        name = entry.key[len(self._layout.area)]
        index = next((index for index in self._schema.indexes if index.name == name), None)
        commit = self._kv.atomic().check(entry).delete(entry.key)
        key = None if index is None else self._layout.owner(index, entry)
        if index is None:
            commit.check(self._schema.entry)
        elif key is not None:
            item = await self._kv.get(key)
            held = {} if item.versionstamp is None else self._layout.entries((index,), key, item.value)
            if encode_key(entry.key) in held:
                return
            commit.check(item)
        self._removed += bool(await commit.commit())

    async def _fill(self) -> None:
        """Add the entries that are missing; what changes meanwhile gets them from whoever changes it."""
        async for batch in _batches(self._kv, self._layout.prefix):
            self._items += len(batch)
            await asyncio.gather(*(self._complete(item) for item in batch))

    async def _complete(self, item: Entry[Any]) -> None:
        wanted = [*self._layout.entries(self._schema.indexes, item.key, item.value).values()]
        found = await read_all(self._kv, [entry.key for entry in wanted])
        owner = [*item.key[len(self._layout.prefix) :]]
        commit = self._kv.atomic().check(item)
        missing = 0
        for entry, present in zip(wanted, found, strict=True):
            taken = await self._stage.taken_by(entry, present) if entry.index.unique else None
            if taken is not None:
                self._report(
                    Change(self._layout.id(item.key), None, "taken", entry.index.name, self._layout.id(taken))
                )
                continue
            value = owner if entry.index.unique else None
            if present.versionstamp is None or present.value != value:
                commit.check(present).set(entry.key, value)
                missing += 1
        if missing and (await commit.commit()).ok:
            self._added += missing

    def _report(self, conflict: Change) -> None:
        self._incomplete.add(str(conflict.index))
        if len(self._conflicts) < _MAX_CONFLICTS:
            self._conflicts.append(conflict)


async def _batches(kv: Kv, prefix: Key) -> AsyncIterator[list[Entry[Any]]]:
    batch = []
    async for entry in kv.list(prefix=prefix, batch_size=_BATCH):
        batch.append(entry)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch
