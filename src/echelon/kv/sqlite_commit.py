"""Applying commits to SQLite: many in one transaction, each of them whole or not at all."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from echelon.errors import KvError
from echelon.kv import limits
from echelon.kv.arithmetic import combine
from echelon.kv.backend import Action, Check, Commit, CommitResult, Message, Mutation
from echelon.kv.codec import encode_key, format_stamp
from echelon.kv.sqlite_file import storage_error
from echelon.kv.sqlite_layout import Execute, Layout

_ARITHMETIC: Final = frozenset({Action.SUM, Action.MIN, Action.MAX})


@dataclass(frozen=True, slots=True)
class Sweep:
    """Remove entries whose time has passed, at most `limit`; the outcome is how many were removed."""

    limit: int = limits.MAX_SWEEP_ENTRIES
    size: int = 0


@dataclass(frozen=True, slots=True)
class Dequeue:
    """Lease messages that are due, at most `limit`, for `lease` milliseconds; the outcome is those messages."""

    limit: int
    lease: int
    size: int = 0


Operation = Commit | Sweep | Dequeue
Outcome = CommitResult | int | list[Message] | Exception


class Applier:
    """Runs operations on the writing connection. Whoever calls it owns that connection for the time."""

    def __init__(self, connection: apsw.Connection, path: str, layout: Layout) -> None:
        self._layout = layout
        self._connection = connection
        self._execute: Execute = connection.cursor().execute
        self._messages = layout.messages(self._execute)
        self._path = path
        self.seconds = math.inf
        """How long the last transaction took, waiting for the file included."""

    def apply(self, group: Sequence[Operation]) -> list[Outcome]:
        """Run `group` in one transaction and return one outcome for each; an error fails only its operation.

        Raises apsw.BusyError when another process keeps the file locked; then nothing was done.
        """
        try:
            return self._transact(group)
        except apsw.BusyError:
            raise
        except apsw.Error as exc:
            if len(group) == 1:
                return [storage_error(exc, self._path)]
        # The disk refused the group, none of which was acknowledged: find out for whom there is room.
        return [outcome for operation in group for outcome in self.apply([operation])]

    def _transact(self, group: Sequence[Operation]) -> list[Outcome]:
        began = time.perf_counter()
        self._execute("begin immediate")
        try:
            first = version = self._execute(self._layout.read_version).fetchall()[0][0]
            now = int(time.time() * 1000)
            outcomes: list[Outcome] = []
            for operation in group:
                outcome = self._run(operation, version + 1, now)
                if (type(outcome) is CommitResult and outcome.ok) or (type(outcome) is int and outcome):
                    version += 1
                outcomes.append(outcome)
            if version != first:
                self._execute(self._layout.write_version, (version,))
            self._execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._execute("rollback")
            raise
        self.seconds = time.perf_counter() - began
        return outcomes

    def _run(self, operation: Operation, version: int, now: int) -> Outcome:
        if isinstance(operation, Sweep):
            self._execute(self._layout.sweep, (now, operation.limit))
            return self._connection.changes()
        if isinstance(operation, Dequeue):
            return self._messages.lease(operation.limit, now, operation.lease)
        failed = tuple(index for index, check in enumerate(operation.checks) if not self._holds(check, now))
        if failed or not all(self._messages.holds(settlement.lease) for settlement in operation.settlements):
            return CommitResult(None, failed)
        try:
            # Only arithmetic can fail after a change was made; everything else needs no way back.
            if len(operation.mutations) > 1 and any(m.action in _ARITHMETIC for m in operation.mutations):
                self._guard(operation.mutations, version, now)
            else:
                for mutation in operation.mutations:
                    self._mutate(mutation, version, now)
        except KvError as exc:
            return exc
        for message in operation.enqueues:
            self._messages.add(message)
        for settlement in operation.settlements:
            self._messages.settle(settlement)
        return CommitResult(format_stamp(version))

    def _guard(self, mutations: Sequence[Mutation], version: int, now: int) -> None:
        self._execute("savepoint one")
        try:
            for mutation in mutations:
                self._mutate(mutation, version, now)
        except KvError:
            self._execute("rollback to one")
            raise
        finally:
            if self._connection.in_transaction:
                self._execute("release one")

    def _holds(self, check: Check, now: int) -> bool:
        rows = self._execute(self._layout.read_stamp, (check.key, now)).fetchall()
        return check.versionstamp == (format_stamp(rows[0][0]) if rows else None)

    def _mutate(self, mutation: Mutation, version: int, now: int) -> None:
        action, key, value, encoding, expires, _ = mutation
        if action == Action.SET:
            self._execute(self._layout.set, (key, value, encoding, version, expires))
        elif action == Action.DELETE:
            self._execute(self._layout.delete, (key,))
        elif action == Action.SET_STAMPED:
            key += encode_key((format_stamp(version),))
            self._execute(self._layout.set, (key, value, encoding, version, expires))
        else:
            rows = self._execute(self._layout.read_value, (key, now)).fetchall()
            value, encoding = combine(mutation, rows[0] if rows else None)
            self._execute(self._layout.set, (key, value, encoding, version, None))
