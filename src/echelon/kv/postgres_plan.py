"""What a group of commits comes to, before the server is asked: who succeeds, and what is left under each key.

A commit that checks an entry is taken to be right about it, and a sum to meet a U64: then nothing has to be read
first. The server compares all that was supposed with what is there, and refuses the whole if any of it is wrong.
Then what the commits depend on is read, and the plan made anew with that; so on until it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

import msgspec

from echelon.errors import KvValueError
from echelon.kv.arithmetic import combine
from echelon.kv.backend import Action, Check, Commit, CommitResult, Enqueue, Fate, Lease, Mutation, Settlement
from echelon.kv.codec import Encoding, format_stamp
from echelon.kv.postgres_schema import ABSENT, COUNTER

SOON: Final = 1000
"""In milliseconds. What is due later is found in time by those who look once a second."""

_STAMP_END: Final = "0000"
_MAX_BIGINT: Final = 2**63 - 1

_encode: Final = msgspec.msgpack.encode

Outcome = CommitResult | Exception


class Stored(NamedTuple):
    """What is under a key; the value only for those that arithmetic needs."""

    version: int
    encoding: int
    value: bytes | None


class Snapshot(NamedTuple):
    """What all commits of a group depend on, as it was at one moment."""

    entries: Mapping[bytes, Stored]
    leases: Set[tuple[int, int]]


class _Change(NamedTuple):
    """What a commit of the group leaves under a key; `value` is None for nothing.

    With `adds` the value is a U64 to be added to the one on the server.
    """

    value: bytes | None
    encoding: int
    expires: int | None
    place: int
    adds: bool = False


_Changes = dict[bytes, _Change]
_Stamped = dict[tuple[bytes, int], _Change]


class Plan:
    """The plan for `commits`, which are applied in their order; `now` is the server's time in milliseconds."""

    def __init__(self, commits: Sequence[Commit], snapshot: Snapshot | None, now: int, shift: int) -> None:
        self.applied = 0
        """How many of the commits succeed, if everything is as expected."""

        self.unsure = False
        """Whether too much had to be supposed: make another plan with a snapshot."""

        self._snapshot = snapshot
        self._now = now
        self._shift = shift
        self._expected: dict[bytes, int] = {}
        self._held: set[tuple[int, int]] = set()
        self._changes: _Changes = {}
        self._stamped: _Stamped = {}
        self._settled: dict[tuple[int, int], Settlement] = {}
        self._enqueues: list[Enqueue] = []
        self._outcomes: list[Outcome | int] = []
        for commit in commits:
            self._outcomes.append(self._apply(commit))

    def outcomes(self, base: int) -> list[Outcome]:
        """Return what became of each commit when the version was `base` before the first."""
        return [
            CommitResult(format_stamp(base + outcome)) if isinstance(outcome, int) else outcome
            for outcome in self._outcomes
        ]

    def arguments(self) -> tuple[Any, ...]:
        """Return what the server's function is given: all but the writer and the numbers of the batch."""
        kept = [(key, c) for key, c in self._changes.items() if c.value is not None and not c.adds]
        added = [(key, c) for key, c in self._changes.items() if c.adds]
        gone = [key for key, c in self._changes.items() if c.value is None]
        return (
            self.applied,
            *(list(self._expected), list(self._expected.values())),
            *_columns(list(self._held), 2),
            *_columns([(key, c.value, c.encoding, c.place, c.expires) for key, c in kept], 5),
            *_columns(
                [(k, c.value, c.encoding, c.place, c.expires) for (k, _), c in self._stamped.items()], 5
            ),
            *_columns([(key, c.value, c.place) for key, c in added], 3),
            gone,
            *_columns([self._row_of(message) for message in self._enqueues], 5),
            [lease[0] for lease, settlement in self._settled.items() if settlement.fate == Fate.DONE],
            *_columns([self._move(lease, s) for lease, s in self._settled.items() if s.fate != Fate.DONE], 4),
            bool(self._changes or self._stamped),
            any(due <= self._now + SOON for due in self._dues()),
        )

    def _apply(self, commit: Commit) -> Outcome | int:
        """Return why the commit fails, or its place among those that succeed."""
        failed = tuple([i for i, check in enumerate(commit.checks) if not self._holds(check)])
        leases = [parse_lease(settlement.lease) for settlement in commit.settlements]
        if failed or not all(self._is_held(lease) for lease in leases):
            return CommitResult(None, failed)
        place = self.applied + 1
        changes: _Changes = {}
        stamped: _Stamped = {}
        try:
            for mutation in commit.mutations:
                self._mutate(mutation, changes, stamped, place)
        except KvValueError as exc:
            return exc
        self.applied = place
        self._changes |= changes
        self._stamped |= stamped
        self._enqueues += commit.enqueues
        for lease, settlement in zip(leases, commit.settlements, strict=True):
            if lease is not None and not self._is_ended(lease):
                self._settled[lease] = settlement
        return place

    def _holds(self, check: Check) -> bool:
        key, stamp = check
        change = self._changes.get(key)
        if change is not None:
            # Nobody can know the stamp of a commit that is only being made.
            return stamp is None and self._is_absent(change)
        if self._snapshot is not None:
            version = self._expect_stored(key)
            return stamp == (None if version == ABSENT else format_stamp(version))
        supposed = parse_stamp(stamp)
        if supposed is None or self._expected.setdefault(key, supposed) != supposed:
            self.unsure = True
        return True

    def _expect_stored(self, key: bytes) -> int:
        """Require that under `key` is what the snapshot has, and return its version."""
        entry = self._snapshot.entries.get(key) if self._snapshot is not None else None
        self._expected[key] = ABSENT if entry is None else entry.version
        return self._expected[key]

    def _is_held(self, lease: tuple[int, int] | None) -> bool:
        if lease is None or self._is_ended(lease):
            return False
        if self._snapshot is not None and lease not in self._snapshot.leases:
            return False
        self._held.add(lease)
        return True

    def _is_ended(self, lease: tuple[int, int]) -> bool:
        return lease in self._settled and self._settled[lease].fate != Fate.EXTEND

    def _is_absent(self, change: _Change) -> bool:
        return change.value is None or (change.expires is not None and change.expires <= self._now)

    def _mutate(self, mutation: Mutation, changes: _Changes, stamped: _Stamped, place: int) -> None:
        action, key, value, encoding, expires, _ = mutation
        if expires is not None:
            expires += self._shift
        if action == Action.SET:
            changes[key] = _Change(value, encoding, expires, place)
        elif action == Action.DELETE:
            changes[key] = _Change(None, 0, None, place)
        elif action == Action.SET_STAMPED:
            stamped[key, place] = _Change(value, encoding, expires, place)
        else:
            changes[key] = self._calculate(mutation, changes.get(key) or self._changes.get(key), place)

    def _calculate(self, mutation: Mutation, change: _Change | None, place: int) -> _Change:
        """Return what a sum, min or max leaves where the group has left `change`, or nothing yet."""
        key = mutation.key
        adds = mutation.action == Action.SUM and mutation.encoding == Encoding.U64
        before: tuple[bytes, int] | None
        if change is not None and not change.adds:
            before = None if self._is_absent(change) else (change.value or b"", change.encoding)
        elif change is not None and adds:
            return _Change(*combine(mutation, (change.value or b"", change.encoding)), None, place, True)
        elif adds and self._may_count(key):
            self._expected[key] = COUNTER
            return _Change(*combine(mutation, None), None, place, True)
        elif self._snapshot is None:
            self.unsure = True
            return _Change(mutation.value, mutation.encoding, None, place)
        else:
            entry = self._snapshot.entries.get(key)
            before = None if entry is None else (entry.value or b"", entry.encoding)
            self._expect_stored(key)
            if change is not None:
                before = combine(Mutation(Action.SUM, key, change.value or b"", change.encoding), before)
        return _Change(*combine(mutation, before), None, place)

    def _may_count(self, key: bytes) -> bool:
        """Return whether it may be left to the server to add to what is under `key`."""
        if self._expected.get(key, COUNTER) != COUNTER:
            return False
        entry = self._snapshot.entries.get(key) if self._snapshot is not None else None
        return entry is None or entry.encoding == Encoding.U64

    def _row_of(self, message: Enqueue) -> tuple[Any, ...]:
        payload, encoding, due, backoff, undelivered = message
        return due + self._shift, payload, encoding, _encode(list(backoff)), _encode(list(undelivered))

    def _move(self, lease: tuple[int, int], settlement: Settlement) -> tuple[Any, ...]:
        fate = settlement.fate
        return lease[0], settlement.at + self._shift, fate == Fate.EXTEND, int(fate == Fate.RELEASE)

    def _dues(self) -> list[int]:
        given_back = [s.at for s in self._settled.values() if s.fate in (Fate.RETRY, Fate.RELEASE)]
        return [due + self._shift for due in [*given_back, *(message.due for message in self._enqueues)]]


def depends_on(commits: Sequence[Commit]) -> tuple[list[bytes], list[bytes], list[int]]:
    """Return what commits depend on: all keys, those of them whose value counts, and the numbers of messages."""
    valued = {m.key for c in commits for m in c.mutations if m.action in (Action.SUM, Action.MIN, Action.MAX)}
    keys = {check.key for commit in commits for check in commit.checks} | valued
    leases = (parse_lease(settlement.lease) for commit in commits for settlement in commit.settlements)
    return list(keys), list(valued), [lease[0] for lease in leases if lease is not None]


def parse_stamp(stamp: str | None) -> int | None:
    """Return the version of a versionstamp, ABSENT for None; None for a stamp that no commit can have."""
    if stamp is None:
        return ABSENT
    version = int(stamp[: -len(_STAMP_END)], 16)
    return version if 0 < version <= _MAX_BIGINT and stamp.endswith(_STAMP_END) else None


def parse_lease(lease: Lease) -> tuple[int, int] | None:
    """Return number and token of a lease; None for what this engine did not hand out."""
    try:
        number, token = int(lease.id), int(lease.token)
    except ValueError:
        return None
    return (number, token) if 0 <= number <= _MAX_BIGINT and 0 <= token <= _MAX_BIGINT else None


def _columns(rows: Sequence[Sequence[Any]], amount: int) -> list[list[Any]]:
    """Return rows as columns, empty ones if there are none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(amount)]
