"""Commits: checks and changes that happen together or not at all."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NoReturn

from echelon.errors import KvKeyError, KvLimitError, KvUsageError, KvValueError
from echelon.kv import limits
from echelon.kv.backend import Action, Check, Commit, CommitResult, Mutation
from echelon.kv.codec import U64, Encoding, Key, encode_key, encode_value
from echelon.kv.entry import Entry

_STAMP_DIGITS: Final = 20
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_MILLISECOND: Final = timedelta(milliseconds=1)


class _Missing(Enum):
    MISSING = "missing"


def encode_for_write(key: Key) -> bytes:
    """Return the encoded key; raises KvKeyError when nothing can be stored under it."""
    encoded = encode_key(key)
    if not encoded:
        raise KvKeyError('a key cannot be empty; write ("name",)')
    if len(encoded) > limits.MAX_WRITE_KEY_BYTES:
        raise KvKeyError(
            f"the key is too large to write: {len(encoded)} bytes, at most {limits.MAX_WRITE_KEY_BYTES}"
        )
    return encoded


def check_expiry(expire_in: timedelta | None) -> timedelta | None:
    """Return `expire_in` if it is a time to live; raises KvUsageError."""
    if expire_in is None:
        return None
    if not isinstance(expire_in, timedelta):
        raise KvUsageError(f"expire_in is a timedelta, got {expire_in!r}; write timedelta(seconds=...)")
    if expire_in < timedelta(0):
        raise KvUsageError(f"expire_in cannot be negative, got {expire_in!r}")
    return expire_in


def expires_at(expire_in: timedelta | None) -> int | None:
    """Return when something that lives from now on ends, in milliseconds since 1970."""
    if expire_in is None:
        return None
    whole, rest = divmod(expire_in, _MILLISECOND)
    return int(time.time() * 1000) + whole + bool(rest)


class Atomic:
    """Collects checks and changes; `commit()` applies them all or, if a check does not hold, none.

    Values are encoded when they are given, so that changing them afterwards changes nothing here. Committing
    twice applies everything twice.
    """

    def __init__(
        self,
        write: Callable[[Commit], Awaitable[CommitResult]],
        max_value: int = limits.MAX_VALUE_BYTES,
    ) -> None:
        self._write = write
        self._max_value = max_value
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

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> Atomic:
        """Store a value; `expire_in` counts from the commit, and none means for ever."""
        data, encoding = encode_value(value, self._max_value)
        return self._add(Action.SET, key, data, encoding, check_expiry(expire_in))

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

    async def commit(self) -> CommitResult:
        """Apply everything, in the order it was given, or nothing.

        The result is false when checks failed; `.failed_checks` says which. Raises KvLimitError for too much
        in one commit and KvValueError when a sum, min or max meets something that is not a U64.
        """
        mutations = [
            mutation if expire_in is None else mutation._replace(expires_at=expires_at(expire_in))
            for mutation, expire_in in self._mutations
        ]
        size = self._measure()
        return await self._write(Commit(tuple(self._checks), mutations, size))

    def __await__(self) -> Generator[None, None, NoReturn]:
        raise KvUsageError("an atomic operation is not awaited itself: did you forget .commit()?")

    def _add_check(self, key: Key, versionstamp: str | None) -> None:
        if versionstamp is not None:
            valid = isinstance(versionstamp, str) and len(versionstamp) == _STAMP_DIGITS
            if not valid or not _HEXADECIMAL.issuperset(versionstamp.lower()):
                raise KvUsageError(
                    f"a versionstamp has {_STAMP_DIGITS} hexadecimal digits, got {versionstamp!r:.60}"
                )
            versionstamp = versionstamp.lower()
        if len(self._checks) >= limits.MAX_CHECKS:
            raise KvLimitError(f"too many checks in one commit: at most {limits.MAX_CHECKS}")
        self._checks.append(Check(encode_for_write(key), versionstamp))

    def _add(
        self,
        action: Action,
        key: Key,
        value: bytes = b"",
        encoding: int = 0,
        expire_in: timedelta | None = None,
    ) -> Atomic:
        if len(self._mutations) >= limits.MAX_MUTATIONS:
            raise KvLimitError(f"too many changes in one commit: at most {limits.MAX_MUTATIONS}")
        self._mutations.append((Mutation(action, encode_for_write(key), value, encoding), expire_in))
        return self

    def _measure(self) -> int:
        """Return the commit's size in bytes; raises KvLimitError when it is too large."""
        keys = sum(len(check.key) for check in self._checks)
        keys += sum(len(mutation.key) for mutation, _ in self._mutations)
        valued = [mutation for mutation, _ in self._mutations if mutation.action != Action.DELETE]
        valued_keys = sum(len(mutation.key) for mutation in valued)
        size = keys + valued_keys + sum(len(mutation.value) for mutation in valued)
        most = limits.MAX_COMMIT_BYTES + max(0, self._max_value - limits.MAX_VALUE_BYTES)
        if size > most:
            raise KvLimitError(f"the commit is too large: {size} bytes, at most {most}; split it")
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
