"""What operators do with a store, where the engine can: back it up, check it, count what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, Protocol, runtime_checkable

import msgspec

from echelon.errors import KvError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import RESERVED, Backend
from echelon.kv.codec import decode_key, decode_value

MAX_FAULTS: Final = 100
"""How many faults a check lists."""

Progress = Callable[[int, int], object]
"""Told how many bytes are done, and of how many, on the event loop."""


class Stats(msgspec.Struct, frozen=True):
    """What a store holds. Sizes are in bytes; None where the engine cannot tell."""

    entries: int
    expired: int
    """Entries whose time has passed and which were not removed; not among `entries`."""

    bytes: int
    """Of the keys and values of `entries`, encoded."""

    messages: int
    due: int
    """Messages that a listener would be given now."""

    leased: int
    """Messages that a listener holds; the others are to come later."""

    versionstamp: str
    """Of the last commit."""

    file_bytes: int | None = None
    log_bytes: int | None = None
    """Of the write-ahead log, which is folded into the file now and then."""


@runtime_checkable
class Maintained(Protocol):
    """What some engines offer beside Backend."""

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """Copy the store, as it is at one moment, to a new file, while others go on writing.

        Raises KvUsageError when something is there already, and KvStorageError when it cannot be written; then,
        and when it is cancelled, nothing is left behind.
        """

    async def check(self) -> list[str]:
        """Return what is wrong with the store, a sentence for each fault; nothing when it is sound."""

    async def stats(self) -> Stats:
        """Return what the store holds, at one moment."""


def require_maintained(backend: Backend) -> Maintained:
    """Return the engine's operations; raises KvUsageError when it has none."""
    inner = getattr(backend, "inner", backend)  # what telemetry looks at
    if isinstance(inner, Maintained):
        return inner
    raise KvUsageError("this store can be backed up, checked and counted only by its server's own tools")


def find_faults_of_entry(key: bytes, value: bytes, encoding: int) -> Iterator[str]:
    """Yield a sentence for each reason why a stored entry cannot be read."""
    name = f"the entry {key.hex()[:80]}"
    try:
        if not key.startswith(RESERVED):
            decode_key(key)
    except KvError as exc:
        yield f"{name} has a damaged key: {exc}"
    if len(key) > limits.MAX_WRITE_KEY_BYTES:
        yield f"{name} has a key of {len(key)} bytes, at most {limits.MAX_WRITE_KEY_BYTES} can be written"
    try:
        decode_value(value, encoding)
    except KvError as exc:
        yield f"{name} cannot be read: {exc}"
