"""What the machinery of SQLite works on: the tables of one kind of file, as the statements that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from echelon.kv.backend import Commit, Enqueue, Lease, Message, Settlement, ValueFormat

Execute = Callable[..., Any]
"""A cursor's execute. What a column holds needs no check: the tables are strict, or the statements cast."""


class Messages(Protocol):
    """The queue's tables; every method runs inside a transaction of the caller's."""

    def add(self, message: Enqueue) -> None:
        """Store a message."""

    def lease(self, limit: int, now: int, milliseconds: int) -> list[Message]:
        """Hand out at most `limit` messages that are due."""

    def holds(self, lease: Lease) -> bool:
        """Return whether nobody else was handed the message since."""

    def settle(self, settlement: Settlement) -> None:
        """Decide on a message whose lease holds."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of file. Statements take their parameters by position: ?1, ?2, …"""

    values: ValueFormat
    fit: Callable[[Commit], Commit] | None
    """Brings a commit into a form that the file can hold; raises KvValueError."""

    messages: Callable[[Execute], Messages]
    breather: float
    """For how many seconds the file is left to others between two groups of commits, while others write to it."""

    # Opening

    read_schema: Callable[[apsw.Connection, str], int]
    """Returns the schema version of a file, 0 if it is empty; raises KvStorageError when it is of another kind."""

    migrations: tuple[str, ...]
    """What makes each schema version from the one before; the first one from an empty file."""

    mark: str
    """Writes the newest schema version down."""

    probes: tuple[str, ...]
    """Fail when the tables are not what the other statements need."""

    # Reading; ?2 or ?3 is the time, in milliseconds since 1970, from which an entry must live on

    point: str
    """key, value, encoding, version of the entry under key ?1."""

    points: str
    """The same of the entries under several keys, which stand in the braces, each in parentheses."""

    forward: str
    """The same of at most ?4 entries from key ?1 up to and without ?2."""

    reverse: str
    watched: str
    """The same as `point`, and when the entry expires."""

    next_expiry: str
    next_due: str

    # Writing

    read_version: str
    write_version: str
    read_stamp: str
    read_value: str
    set: str
    """Stores under key ?1 the value ?2 of encoding ?3 with version ?4, until ?5."""

    delete: str
    sweep: str
    """Removes at most ?2 entries that expired before or at ?1."""

    # Maintenance; ?1 is the time

    count_entries: str
    """How many entries live, how many have expired, and the bytes of those that live."""

    count_messages: str
    """How many messages there are, how many are due, and how many are leased."""

    scan: str
    """key, value, encoding, version of every entry."""

    find_faults_of_queue: Callable[[Execute], Iterator[str]]
    """Yields a sentence for each message that is damaged."""
