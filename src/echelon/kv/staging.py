"""What a change of an item means for the indexes of its collection, in the same commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from echelon.errors import KvUsageError
from echelon.kv import limits
from echelon.kv.atomic import Atomic
from echelon.kv.codec import Key, encode_key
from echelon.kv.entry import Entry
from echelon.kv.indexes import Index
from echelon.kv.items import Change
from echelon.kv.layout import IndexEntry, Layout

if TYPE_CHECKING:
    from echelon.kv.store import Kv


class Absent(NamedTuple):
    """Stands for the stored value of an item that is to be removed."""


ABSENT: Final = Absent()


async def read_all(kv: Kv, keys: Sequence[Key]) -> list[Entry[Any]]:
    """Read any number of entries; each ten are from one snapshot."""
    step = limits.MAX_GET_MANY_KEYS
    if len(keys) <= step:
        return await kv.get_many(keys) if keys else []
    parts = (kv.get_many(keys[at : at + step]) for at in range(0, len(keys), step))
    return [entry for part in await asyncio.gather(*parts) for entry in part]


class Stage:
    """Puts changes of one collection into commits."""

    def __init__(self, kv: Kv, layout: Layout) -> None:
        self._kv = kv
        self._layout = layout

    async def add(
        self,
        commit: Atomic,
        indexes: Sequence[Index],
        old: Entry[Any],
        stored: Any,
        expire_in: timedelta | None,
    ) -> Change | None:
        """Add the change of `old` to what is to be `stored`, or return why it cannot be; then nothing was added."""
        if commit.touches(old.key):
            raise KvUsageError(f"the commit changes {old.key!r} already; an item can change once in a commit")
        before = {} if old.versionstamp is None else self._layout.entries(indexes, old.key, old.value)
        after = {} if stored is ABSENT else self._layout.entries(indexes, old.key, stored)
        claims = [entry for entry in after.values() if entry.index.unique]
        owners = await read_all(self._kv, [entry.key for entry in claims])
        for claim, owner in zip(claims, owners, strict=True):
            taken = await self.taken_by(claim, owner)
            if taken is not None or commit.touches(claim.key):
                id = None if taken is None else self._layout.id(taken)
                return Change(self._layout.id(old.key), None, "taken", claim.index.name, id)
        commit.check(old, *owners)
        for encoded, entry in before.items():
            if encoded not in after:
                commit.delete(entry.key)
        if stored is ABSENT:
            commit.delete(old.key)
            return None
        commit.set(old.key, stored, expire_in=expire_in)
        owner_id = list(old.key[len(self._layout.prefix) :])
        for entry in after.values():
            commit.set(entry.key, owner_id if entry.index.unique else None, expire_in=expire_in)
        return None

    async def taken_by(self, claim: IndexEntry, owner: Entry[Any]) -> Key | None:
        """Return the key of the other item that a unique value belongs to.

        An entry whose item expired, or was changed behind the collection's back, belongs to nobody.
        """
        if owner.versionstamp is None:
            return None
        key = self._layout.owner(claim.index, owner)
        if key is None or encode_key(key) == encode_key(claim.item):
            return None
        item = await self._kv.get(key)
        if item.versionstamp is None:
            return None
        return key if encode_key(claim.key) in self._layout.entries((claim.index,), key, item.value) else None
