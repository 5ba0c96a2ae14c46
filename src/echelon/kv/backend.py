"""The native KV API: what every engine below the store provides, on encoded keys and values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from enum import Enum, IntEnum
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

RESERVED: Final = b"\xff"
"""What no key of a user begins with, and no list reaches: room for what servers remember in a store."""


class KeyRange(msgspec.Struct, frozen=True, gc=False):
    """What to read: the keys from `start` up to, without, `end`; if that is None, the key `start` alone."""

    start: bytes
    end: bytes | None = None
    limit: int = 1
    reverse: bool = False


class Record(msgspec.Struct, frozen=True, gc=False):
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
    SET_STAMPED = 9


class Bounds(NamedTuple):
    """What a sum of two V8 numbers may not leave; outside it fails, or is brought to the nearer one by `clamp`."""

    low: bytes | None
    high: bytes | None
    clamp: bool = False


class Mutation(NamedTuple):
    """One change. `expires_at` is in milliseconds since 1970, None for never.

    SET_STAMPED sets `key` followed by one more part, the versionstamp of its commit as a str.
    """

    action: Action
    key: bytes
    value: bytes = b""
    encoding: int = 0
    expires_at: int | None = None
    bounds: Bounds | None = None


class Enqueue(NamedTuple):
    """A message for the queue; times are in milliseconds, `due` since 1970.

    `backoff` has the wait after each failed delivery; when they are used up, the payload is stored under the
    encoded keys of `undelivered`, by whoever gave it up.
    """

    payload: bytes
    encoding: int
    due: int
    backoff: Sequence[int]
    undelivered: Sequence[bytes] = ()


class Lease(NamedTuple):
    """The right to settle a message: `token` is another one each time that message is handed out."""

    id: str
    token: str


class Message(NamedTuple):
    """A message that was handed out; `attempts` counts the deliveries before this one, whatever ended them.

    `due` is when it became due: after a lease that ran out, the end of that lease.
    """

    lease: Lease
    payload: bytes
    encoding: int
    due: int
    backoff: Sequence[int]
    undelivered: Sequence[bytes]
    attempts: int


class Fate(Enum):
    """What becomes of a message that is leased.

    RETRY and RELEASE give it back; what was released counts as never delivered. EXTEND keeps it longer.
    """

    DONE = "done"
    RETRY = "retry"
    RELEASE = "release"
    EXTEND = "extend"


class Settlement(NamedTuple):
    """The fate of a leased message; `at` is when it is due again (RETRY, RELEASE) or until when it is held (EXTEND).

    `at` is in milliseconds since 1970. A lease that ran out holds until the message was handed out again.
    """

    lease: Lease
    fate: Fate
    at: int = 0


class Commit(NamedTuple):
    """Checks and changes that happen together or not at all; `size` is their bytes."""

    checks: Sequence[Check]
    mutations: Sequence[Mutation]
    size: int
    enqueues: Sequence[Enqueue] = ()
    settlements: Sequence[Settlement] = ()


class CommitResult(msgspec.Struct, frozen=True):
    """What a commit did: `failed_checks` are the positions of the checks that did not hold, in call order.

    When any check failed, nothing was written and `versionstamp` is None. So it is, without a failed check, when
    a message that the commit settles is no longer leased to whoever settles it.
    """

    versionstamp: str | None
    failed_checks: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the commit was applied."""
        return self.versionstamp is not None

    def __bool__(self) -> bool:
        return self.versionstamp is not None


ValueFormat = Literal["native", "v8"]
Durability = Literal["full", "normal"]
"""What a commit that returned survives: a loss of power, or the death of the process only."""


class Backend(Protocol):
    """An engine. Every failure of the file or server below is a KvStorageError, use after close a KvClosed.

    Entries whose time has passed are absent for every method, whether or not they were swept. Whatever another
    process commits to the same store is seen here too, by `watch` and `dequeue` within 20 ms.
    """

    @property
    def values(self) -> ValueFormat:
        """How values of Python are to be encoded: "v8" where programs in JavaScript read them too."""

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """Return what each range holds, in order, all from one snapshot."""

    async def write(self, commit: Commit) -> CommitResult:
        """Apply a commit; it is durable when this returns.

        Raises KvValueError, and applies nothing, when a sum, min or max meets a value it does not work on.
        Cancelling the caller does not cancel the commit: it is applied whole.
        """

    def watch(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """Yield the entries under `keys`, then again after a commit or an expiry that changed one of them.

        What is yielded is one snapshot; those between two may be left out. Ends when the engine is closed;
        raises KvClosed when it was closed before.
        """

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """Wait until a message is due, then hand out at most `limit`, the first due first.

        Each is kept from everybody else for `lease` seconds; if it was not settled by then it is due again.
        Cancelling loses no message. Raises KvClosed when the engine is closed, also while it waits.
        """

    async def sweep(self) -> float:
        """Remove entries whose time has passed; return in how many seconds to call again."""

    async def close(self) -> None:
        """Finish what was accepted, then release the engine. Closing twice does nothing."""
