"""Where a collection keeps its items and the entries of its indexes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from echelon.errors import KvKeyError, KvUsageError, KvValueError
from echelon.kv import limits
from echelon.kv.codec import Key, encode_key
from echelon.kv.entry import Entry
from echelon.kv.indexes import Index, Parts, area
from echelon.kv.items import Id
from echelon.kv.keys import encode_for_read
from echelon.kv.listing import Bounds

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_DIGITS: Final = 26
_RANDOM_BITS: Final = 80


class IndexEntry(msgspec.Struct, frozen=True):
    """An entry of an index, which says that an item has this value."""

    key: Key
    index: Index
    item: Key


def new_id() -> str:
    """Return an id that nobody else makes: 26 letters and digits, which begin with the time in milliseconds."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(5 * (_ID_DIGITS - 1), -1, -5))


class Layout:
    """The keys of one collection."""

    def __init__(self, prefix: Key) -> None:
        if not prefix:
            raise KvKeyError('a collection has a prefix; write kv.collection("users")')
        encode_key(prefix)
        self.prefix = prefix
        self.area = area(prefix)

    def key(self, id: Id) -> Key:
        """Return the key of an item."""
        parts = id if isinstance(id, tuple) else (id,)
        if not parts:
            raise KvKeyError("an id cannot be an empty tuple")
        return (*self.prefix, *parts)

    def id(self, key: Key) -> Id:
        """Return the id of the item under a key: a part, or a tuple of several."""
        rest = key[len(self.prefix) :]
        return rest[0] if len(rest) == 1 else rest

    def entries(self, indexes: Iterable[Index], key: Key, stored: Any) -> dict[bytes, IndexEntry]:
        """Return the index entries that an item has which stores this value, by their encoded keys."""
        found = {}
        for index in indexes:
            owner = () if index.unique else key[len(self.prefix) :]
            for parts in index.parts(stored):
                entry = (*self.area, index.name, *parts, *owner)
                encoded = encode_key(entry)
                if len(encoded) > limits.MAX_WRITE_KEY_BYTES:
                    raise KvValueError(
                        f"a value of {len(encoded)} bytes, with the keys around it, is too large for the index "
                        f"{index.name!r}: at most {limits.MAX_WRITE_KEY_BYTES}"
                    )
                found[encoded] = IndexEntry(entry, index, key)
        return found

    def owner(self, index: Index, entry: Entry[Any]) -> Key | None:
        """Return the key of the item that an entry of an index is about; None for an entry of another form."""
        parts, size = entry.key[len(self.area) + 1 :], len(index.fields)
        if index.unique and len(parts) != size:
            return None
        id = entry.value if index.unique else parts[size:]
        return (*self.prefix, *id) if isinstance(id, list | tuple) and id else None

    def select(self, index: Index, value: Parts | None, start: Parts | None, end: Parts | None) -> Bounds:
        """Return where an index has the entries that are asked for; raises KvUsageError."""
        base = (*self.area, index.name)
        common = encode_key(base)
        if value is not None:
            lead = encode_for_read((*base, *value))
            return Bounds(lead, lead + b"\xff", common)
        low = common + b"\x00" if start is None else encode_for_read((*base, *start))
        high = common + b"\xff" if end is None else encode_for_read((*base, *end))
        if low > high:
            raise KvUsageError(f"the start lies after the end in the index {index.name!r}")
        return Bounds(low, high, common)
