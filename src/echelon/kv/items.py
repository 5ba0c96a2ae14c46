"""What reading a collection gives: one item, or an iteration over many that can go on later."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from echelon.errors import KvUsageError
from echelon.kv.backend import KeyRange, Record
from echelon.kv.codec import Part
from echelon.kv.listing import Bounds

T = TypeVar("T")

Id = Part | tuple[Part, ...]
"""What tells the items of a collection apart: a part of a key, or several of them."""


class Item(msgspec.Struct, Generic[T], frozen=True):
    """One value of a collection, with its id and its versionstamp."""

    id: Id
    value: T
    versionstamp: str


Reason = Literal["exists", "absent", "changed", "taken"]


class Change(msgspec.Struct, frozen=True):
    """What a write to a collection did; false when nothing was written, and then `reason` says why.

    "exists": the id is in use already. "absent": nothing has that id. "changed": the item has another versionstamp
    than the one asked for. "taken": the value of the unique `index` belongs to `owner`.
    """

    id: Id
    versionstamp: str | None = None
    reason: Reason | None = None
    index: str | None = None
    owner: Id | None = None

    @property
    def ok(self) -> bool:
        """Whether the change was made, or added to the commit it was meant for."""
        return self.reason is None

    def __bool__(self) -> bool:
        return self.reason is None


class Items(Generic[T]):
    """The items of a collection that were asked for: `async for item in users.list()`.

    Each batch is read by itself, so that a long iteration is no snapshot.
    """

    def __init__(
        self,
        read: Callable[[KeyRange], Awaitable[Sequence[Record]]],
        load: Callable[[Sequence[Record]], Awaitable[Sequence[Item[T] | None]]],
        bounds: Bounds,
        *,
        limit: int | None,
        reverse: bool,
        batch_size: int,
    ) -> None:
        """`load` makes items of records, None of one that is to be left out."""
        self._read = read
        self._load = load
        self._bounds = bounds
        self._left = limit
        self._reverse = reverse
        self._batch_size = batch_size
        self._batch: list[tuple[bytes, Item[T] | None]] = []
        self._last: bytes | None = None
        self._exhausted = False
        self._is_last_batch = False

    @property
    def cursor(self) -> str:
        """Where to go on: pass it as `cursor=` to the same call. Empty when nothing is left.

        Raises KvUsageError before the first item was asked for.
        """
        if self._exhausted:
            return ""
        if self._last is None:
            raise KvUsageError("an iteration has a cursor only after its first item was read")
        return base64.urlsafe_b64encode(self._last[len(self._bounds.common) :]).decode()

    def __aiter__(self) -> Items[T]:
        return self

    async def __anext__(self) -> Item[T]:
        if self._left == 0:
            raise StopAsyncIteration
        while True:
            if not self._batch:
                await self._fill()
            self._last, item = self._batch.pop()
            if item is not None:
                break
        if self._left is not None:
            self._left -= 1
        return item

    async def _fill(self) -> None:
        if self._is_last_batch:
            self._exhausted = True
            raise StopAsyncIteration
        start, end, _ = self._bounds
        if self._last is not None:
            await asyncio.sleep(0)
            start, end = (start, self._last) if self._reverse else (self._last + b"\0", end)
        size = self._batch_size if self._left is None else min(self._batch_size, self._left)
        records = await self._read(KeyRange(start, end, size, self._reverse))
        self._is_last_batch = len(records) < size
        items = await self._load(records)
        self._batch = [(record.key, item) for record, item in zip(records, items, strict=True)][::-1]
        if not self._batch:
            self._exhausted = True
            raise StopAsyncIteration
