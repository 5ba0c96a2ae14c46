"""The native KV API: what every engine below the store provides, on encoded keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

import msgspec


class KeyRange(NamedTuple):
    """What to read: the keys from `start` up to, without, `end`; if that is None, the key `start` alone."""

    start: bytes
    end: bytes | None = None
    limit: int = 1
    reverse: bool = False


class Record(NamedTuple):
    """One stored entry. The versionstamp is 20 lower-case hexadecimal digits."""

    key: bytes
    value: bytes
    encoding: int
    versionstamp: str


class Check(NamedTuple):
    """A condition: the entry under `key` still has this versionstamp; None for no entry."""

    key: bytes
    versionstamp: str | None


class Action(IntEnum):
    """What a mutation does; the numbers are those of the KV Connect protocol."""

    SET = 1
    DELETE = 2
    SUM = 3
    MAX = 4
    MIN = 5


class Mutation(NamedTuple):
    """One change. `expires_at` is in milliseconds since 1970, None for never."""

    action: Action
    key: bytes
    value: bytes = b""
    encoding: int = 0
    expires_at: int | None = None


class Commit(NamedTuple):
    """Checks and changes that happen together or not at all; `size` is their bytes."""

    checks: Sequence[Check]
    mutations: Sequence[Mutation]
    size: int


class CommitResult(msgspec.Struct, frozen=True):
    """What a commit did: `failed_checks` are the positions of the checks that did not hold, in call order.

    When any check failed, nothing was written and `versionstamp` is None.
    """

    versionstamp: str | None
    failed_checks: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the commit was applied."""
        return self.versionstamp is not None

    def __bool__(self) -> bool:
        return self.versionstamp is not None


class Backend(Protocol):
    """An engine. Every failure of the file or server below is a KvStorageError, use after close a KvClosed.

    Entries whose time has passed are absent for every method, whether or not they were swept.
    """

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """Return what each range holds, in order, all from one snapshot."""

    async def write(self, commit: Commit) -> CommitResult:
        """Apply a commit; it is durable when this returns.

        Raises KvValueError, and applies nothing, when a sum, min or max meets a value that is not a U64.
        Cancelling the caller does not cancel the commit: it is applied whole.
        """

    async def sweep(self) -> float:
        """Remove entries whose time has passed; return in how many seconds to call again."""

    async def close(self) -> None:
        """Finish what was accepted, then release the engine. Closing twice does nothing."""
