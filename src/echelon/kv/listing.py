"""Lists: which keys a selector means, and reading them batch by batch."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from echelon.errors import KvError, KvKeyError, KvLimitError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import KeyRange, Record
from echelon.kv.codec import Key, encode_key
from echelon.kv.entry import Entry
from echelon.kv.keys import encode_for_read

T = TypeVar("T")


class Bounds(NamedTuple):
    """The encoded keys from `start` up to and without `end`; `common` is what cursors leave out."""

    start: bytes
    end: bytes
    common: bytes


def select(prefix: Key | None, start: Key | None, end: Key | None) -> Bounds:
    """Return the keys a selector means; raises KvUsageError when it means none."""
    if prefix is None:
        return _select_between(start, end)
    if start is not None and end is not None:
        raise KvUsageError("a list takes prefix with start or end, not with both")
    common = encode_key(prefix)
    if len(common) >= limits.MAX_READ_KEY_BYTES:
        raise KvKeyError(
            f"the prefix is too large: {len(common)} bytes, at most {limits.MAX_READ_KEY_BYTES - 1}"
        )
    low, high = common + b"\x00", common + b"\xff"
    if start is not None:
        low = _inside(prefix, common, start, "start")
    if end is not None:
        high = _inside(prefix, common, end, "end")
    return Bounds(low, high, common)


def _select_between(start: Key | None, end: Key | None) -> Bounds:
    if start is None or end is None:
        raise KvUsageError("a list takes prefix=, or start= and end= together; prefix=() lists everything")
    low, high = encode_for_read(start), encode_for_read(end)
    if low > high:
        raise KvUsageError("the start key of a list lies after its end key; reverse=True keeps their order")
    differ = (at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
    shared = next(differ, min(len(low), len(high)))
    return Bounds(low, high, low[:shared])


def _inside(prefix: Key, common: bytes, bound: Key, name: str) -> bytes:
    encoded = encode_for_read(bound)
    # FF after the prefix goes on with its last bytes or str: ("a\0",) is not below ("a",).
    if not encoded.startswith(common) or encoded[len(common) :][:1] in (b"", b"\xff"):
        raise KvUsageError(f"the {name} key of a list must begin with its prefix and be longer: {prefix!r}")
    return encoded


def resume(bounds: Bounds, cursor: str, reverse: bool) -> Bounds:
    """Return what is left after `cursor`; raises KvUsageError when it is not one of this list."""
    if not isinstance(cursor, str):
        raise KvUsageError(f"a cursor is a str from .cursor of an earlier list, got {type(cursor).__name__}")
    try:
        tail = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        tail = b""
    if base64.urlsafe_b64encode(tail).decode() != cursor:
        raise KvUsageError("the cursor is not valid; pass one that .cursor of an earlier list gave")
    last = bounds.common + tail
    if not bounds.start <= last < bounds.end:
        raise KvUsageError("the cursor is out of bounds: it comes from a list with other keys")
    return bounds._replace(end=last) if reverse else bounds._replace(start=last + b"\0")


def check_count(name: str, value: int, most: int | None = None) -> int:
    """Return `value` if it is a positive int, at most `most`; raises KvUsageError or KvLimitError."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise KvUsageError(f"{name} of a list is a positive int, got {value!r}")
    if most is not None and value > most:
        raise KvLimitError(f"{name} of a list is at most {most}, got {value}")
    return value


class Listing(Generic[T]):
    """The entries of a list, in order of their keys: `async for entry in listing`.

    Each batch is read from its own snapshot; between two batches the event loop gets a turn.
    """

    def __init__(
        self,
        read: Callable[[Sequence[KeyRange]], Awaitable[list[list[Record]]]],
        load: Callable[[list[Record]], list[Entry[T] | KvError]],
        bounds: Bounds,
        *,
        limit: int | None,
        reverse: bool,
        batch_size: int,
    ) -> None:
        """`load` makes entries of records, and an error of each that cannot be read."""
        self._read = read
        self._load = load
        self._bounds = bounds
        self._left = limit
        self._reverse = reverse
        self._batch_size = batch_size
        self._records: list[Record] = []
        self._entries: list[
            Entry[T] | KvError
        ] = []  # of the records that were not given yet, the next one last
        self._exhausted = False
        self._is_last_batch = False

    @property
    def cursor(self) -> str:
        """Where to go on: pass it as `cursor=` to a list of the same keys. Empty when nothing is left.

        Raises KvUsageError before the first entry was asked for.
        """
        if self._exhausted:
            return ""
        given = len(self._records) - len(self._entries)
        if not given:
            raise KvUsageError("a list has a cursor only after its first entry was read")
        return base64.urlsafe_b64encode(self._records[given - 1].key[len(self._bounds.common) :]).decode()

    def __aiter__(self) -> Listing[T]:
        return self

    async def __anext__(self) -> Entry[T]:
        if not self._entries:
            await self._fill()
        entry = self._entries.pop()
        if isinstance(entry, KvError):
            raise entry
        return entry

    async def _fill(self) -> None:
        if self._left == 0:
            raise StopAsyncIteration
        if self._is_last_batch:
            self._exhausted = True
            raise StopAsyncIteration
        start, end = self._bounds.start, self._bounds.end
        if self._records:
            await asyncio.sleep(0)
            last = self._records[-1].key
            start, end = (start, last) if self._reverse else (last + b"\0", end)
        size = self._batch_size if self._left is None else min(self._batch_size, self._left)
        records = (await self._read([KeyRange(start, end, size, self._reverse)]))[0]
        self._is_last_batch = len(records) < size
        if not records:
            self._exhausted = True
            raise StopAsyncIteration
        if self._left is not None:
            self._left -= len(records)
        self._records, self._entries = records, self._load(records)
        self._entries.reverse()
