"""Commits: checks and changes that happen together or not at all."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NoReturn, cast

from echelon.errors import KvLimitError, KvUsageError, KvValueError
from echelon.kv import limits
from echelon.kv.backend import Action, Check, Commit, CommitResult, Enqueue, Mutation
from echelon.kv.codec import U64, Encode, Encoding, Key, StampedKey
from echelon.kv.entry import Entry
from echelon.kv.keys import STAMP_DIGITS, encode_for_write, encode_stamped, is_stamped
from echelon.kv.messages import check_delay, make_message, measure

_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_MILLISECOND: Final = timedelta(milliseconds=1)


class _Missing(Enum):
    MISSING = "missing"


def check_expiry(expire_in: timedelta) -> timedelta:
    """Return `expire_in` if it is a time to live; raises KvUsageError."""
    if not isinstance(expire_in, timedelta):
        raise KvUsageError(f"expire_in is a timedelta, got {expire_in!r}; write timedelta(seconds=...)")
    if expire_in < timedelta(0):
        raise KvUsageError(f"expire_in cannot be negative, got {expire_in!r}")
    return expire_in


def from_now(delay: timedelta, now: float | None = None) -> int:
    """Return when a time from now, in seconds since 1970, is over, in milliseconds."""
    whole, rest = divmod(delay, _MILLISECOND)
    return int((time.time() if now is None else now) * 1000) + whole + bool(rest)


class Atomic:
    """Collects checks and changes; `commit()` applies them all or, if a check does not hold, none.

    Values are encoded when they are given, so that changing them afterwards changes nothing here. Committing
    twice applies everything twice.
    """

    def __init__(
        self,
        write: Callable[[Commit], Awaitable[CommitResult]],
        encode: Encode,
        max_bytes: int = limits.MAX_COMMIT_BYTES,
    ) -> None:
        """`max_bytes` is the largest size of the commit."""
        self._write = write
        self._encode = encode
        self._max_bytes = max_bytes
        self._enqueues: list[tuple[Enqueue, timedelta]] = []
        self._checks: list[Check] = []
        self._mutations: list[tuple[Mutation, timedelta | None]] = []

    def check(
        self,
        *entries: Entry[Any],
        key: Key | None = None,
        versionstamp: str | _Missing | None = _Missing.MISSING,
    ) -> Atomic:
        """Require that entries are as they were read, or that `key` has `versionstamp`; None means absent."""
        if key is None and (not entries or not isinstance(versionstamp, _Missing)):
            raise KvUsageError("check() takes entries, or key= and versionstamp=")
        if key is not None and isinstance(versionstamp, _Missing):
            raise KvUsageError(
                "check(key=...) also needs versionstamp=; None requires that the key is absent"
            )
        for entry in entries:
            if not isinstance(entry, Entry):
                raise KvUsageError(f"check() takes entries that get() or list() gave, got {entry!r:.60}")
            self._add_check(entry.key, entry.versionstamp)
        if key is not None and not isinstance(versionstamp, _Missing):
            self._add_check(key, versionstamp)
        return self

    def set(self, key: Key | StampedKey, value: Any, *, expire_in: timedelta | None = None) -> Atomic:
        """Store a value; `expire_in` counts from the commit, and none means for ever.

        VERSIONSTAMP as the last part of the key becomes the versionstamp of the commit.
        """
        data, encoding = self._encode(value)
        expiry = None if expire_in is None else check_expiry(expire_in)
        return self._add(Action.SET, key, data, encoding, expiry)

    def delete(self, key: Key) -> Atomic:
        """Remove what is stored under `key`, if anything is."""
        return self._add(Action.DELETE, key)

    def sum(self, key: Key, operand: int) -> Atomic:
        """Add to the U64 under `key`, modulo 2**64; an absent one counts as 0. Ends its expiry."""
        return self._add(Action.SUM, key, _encode_operand("sum", operand), Encoding.U64)

    def min(self, key: Key, operand: int) -> Atomic:
        """Store the smaller of the U64 under `key` and the operand, or the operand. Ends its expiry."""
        return self._add(Action.MIN, key, _encode_operand("min", operand), Encoding.U64)

    def max(self, key: Key, operand: int) -> Atomic:
        """Store the larger of the U64 under `key` and the operand, or the operand. Ends its expiry."""
        return self._add(Action.MAX, key, _encode_operand("max", operand), Encoding.U64)

    def enqueue(
        self,
        value: Any,
        *,
        delay: timedelta | None = None,
        backoff_schedule: Sequence[timedelta] | None = None,
        keys_if_undelivered: Iterable[Key] = (),
    ) -> Atomic:
        """Send a message to the queue; see `Kv.enqueue()`. `delay` counts from the commit."""
        wait = check_delay(delay)
        message = make_message(self._encode, value, backoff_schedule, keys_if_undelivered)
        self._check_count()
        self._enqueues.append((message, wait))
        return self

    def touches(self, key: Key) -> bool:
        """Return whether a check or a change of this commit is about `key`."""
        encoded = encode_for_write(key)
        return any(check.key == encoded for check in self._checks) or any(
            mutation.key == encoded for mutation, _ in self._mutations
        )

    async def commit(self) -> CommitResult:
        """Apply everything, in the order it was given, or nothing.

        The result is false when checks failed; `.failed_checks` says which. Raises KvLimitError for too much
        in one commit and KvValueError when a sum, min or max meets something that is not a U64.
        """
        now = time.time()  # one moment for all: what expires together is not seen apart
        mutations = [
            mutation if expire_in is None else mutation._replace(expires_at=from_now(expire_in, now))
            for mutation, expire_in in self._mutations
        ]
        enqueues = [message._replace(due=from_now(delay, now)) for message, delay in self._enqueues]
        size = self._measure()
        return await self._write(Commit(tuple(self._checks), mutations, size, enqueues))

    def __await__(self) -> Generator[None, None, NoReturn]:
        raise KvUsageError("an atomic operation is not awaited itself: did you forget .commit()?")

    def _add_check(self, key: Key, versionstamp: str | None) -> None:
        if versionstamp is not None:
            valid = isinstance(versionstamp, str) and len(versionstamp) == STAMP_DIGITS
            if not valid or not _HEXADECIMAL.issuperset(versionstamp.lower()):
                raise KvUsageError(
                    f"a versionstamp has {STAMP_DIGITS} hexadecimal digits, got {versionstamp!r:.60}"
                )
            versionstamp = versionstamp.lower()
        if len(self._checks) >= limits.MAX_CHECKS:
            raise KvLimitError(f"too many checks in one commit: at most {limits.MAX_CHECKS}")
        self._checks.append(Check(encode_for_write(key), versionstamp))

    def _add(
        self,
        action: Action,
        key: Key | StampedKey,
        value: bytes = b"",
        encoding: int = 0,
        expire_in: timedelta | None = None,
    ) -> Atomic:
        self._check_count()
        if action == Action.SET and is_stamped(key):
            action, encoded = Action.SET_STAMPED, encode_stamped(cast(StampedKey, key))
        else:
            encoded = encode_for_write(cast(Key, key))
        self._mutations.append((Mutation(action, encoded, value, encoding), expire_in))
        return self

    def _check_count(self) -> None:
        if len(self._mutations) + len(self._enqueues) >= limits.MAX_MUTATIONS:
            raise KvLimitError(f"too many changes in one commit: at most {limits.MAX_MUTATIONS}")

    def _measure(self) -> int:
        """Return the commit's size in bytes; raises KvLimitError when it is too large."""
        keys = sum(len(check.key) for check in self._checks)
        keys += sum(len(mutation.key) for mutation, _ in self._mutations)
        valued = [mutation for mutation, _ in self._mutations if mutation.action != Action.DELETE]
        valued_keys = sum(len(mutation.key) for mutation in valued)
        size = keys + valued_keys + sum(len(mutation.value) for mutation in valued)
        size += sum(measure(message) for message, _ in self._enqueues)
        if size > self._max_bytes:
            raise KvLimitError(f"the commit is too large: {size} bytes, at most {self._max_bytes}; split it")
        if valued_keys > limits.MAX_COMMIT_KEY_BYTES:
            raise KvLimitError(
                f"the keys of the commit are too large: {valued_keys} bytes, "
                f"at most {limits.MAX_COMMIT_KEY_BYTES}; split it"
            )
        return size


def _encode_operand(name: str, operand: int) -> bytes:
    try:
        return U64(operand).to_bytes(8, "little")
    except KvValueError as exc:
        raise KvValueError(f"{name}() takes an int from 0 to 2**64-1: {exc}") from exc
