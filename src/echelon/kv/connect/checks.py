"""The limits of the store for requests that come over the network, where no store of ours has applied them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from echelon.errors import KvKeyError, KvLimitError, KvValueError
from echelon.kv import limits
from echelon.kv.backend import RESERVED, Action, Commit, Enqueue, KeyRange, Mutation
from echelon.kv.codec import Encoding
from echelon.kv.connect.wire import Dequeue

MAX_BACKOFF_STEPS: Final = 10
"""Twice what the store's own API takes: other clients may send as many."""

MAX_BACKOFF: Final = limits.MAX_BACKOFF // timedelta(milliseconds=1)
MAX_LEASE: Final = 3_600_000
MAX_WAIT: Final = 20_000
"""How long a wish for messages waits for one, in milliseconds."""

MARK: Final = RESERVED + b"once\0"
"""Where the server remembers commits."""

_PER_BACKOFF: Final = 4


def check_ranges(ranges: Sequence[KeyRange]) -> None:
    """Raise KvLimitError or KvKeyError for a read that asks for too much."""
    if len(ranges) > limits.MAX_GET_MANY_KEYS:
        raise KvLimitError(f"a read has at most {limits.MAX_GET_MANY_KEYS} ranges, got {len(ranges)}")
    if any(one.limit <= 0 for one in ranges):
        raise KvLimitError("the limit of a range is a positive number")
    if sum(one.limit for one in ranges) > limits.MAX_BATCH_ENTRIES:
        raise KvLimitError(f"a read gives at most {limits.MAX_BATCH_ENTRIES} entries")
    for one in ranges:
        _check_read_key(one.start)
        _check_read_key(one.end or b"")


def check_watch(keys: Sequence[bytes]) -> None:
    """Raise KvLimitError or KvKeyError for a watch of too many keys."""
    if not 0 < len(keys) <= limits.MAX_WATCH_KEYS:
        raise KvLimitError(f"a watch has 1 to {limits.MAX_WATCH_KEYS} keys, got {len(keys)}")
    for key in keys:
        _check_read_key(key)


def check_dequeue(wish: Dequeue) -> None:
    """Raise KvLimitError for a wish for messages that asks for too much."""
    if (
        not 0 < wish.limit <= limits.MAX_DEQUEUE_MESSAGES
        or not 0 < wish.lease <= MAX_LEASE
        or wish.wait > MAX_WAIT
    ):
        raise KvLimitError(
            f"at most {limits.MAX_DEQUEUE_MESSAGES} messages are handed out at once, for at most {MAX_LEASE} ms, "
            f"after at most {MAX_WAIT} ms"
        )


def check_commit(commit: Commit, encodings: frozenset[int]) -> Commit:
    """Return the commit with its size; raises the store's errors for what no store of ours would have sent."""
    if len(commit.checks) > limits.MAX_CHECKS:
        raise KvLimitError(f"a commit has at most {limits.MAX_CHECKS} checks, got {len(commit.checks)}")
    changes = len(commit.mutations) + len(commit.enqueues) + len(commit.settlements)
    if changes > limits.MAX_MUTATIONS:
        raise KvLimitError(f"a commit has at most {limits.MAX_MUTATIONS} changes, got {changes}")
    for check in commit.checks:
        _check_write_key(check.key)
    size = sum(len(check.key) for check in commit.checks)
    size += sum(_check_mutation(mutation, encodings) for mutation in commit.mutations)
    size += sum(_check_enqueue(enqueue, encodings) for enqueue in commit.enqueues)
    if size > limits.MAX_COMMIT_BYTES:
        raise KvLimitError(f"a commit has at most {limits.MAX_COMMIT_BYTES} bytes, got {size}")
    return commit._replace(size=size)


def _check_mutation(mutation: Mutation, encodings: frozenset[int]) -> int:
    """Return the bytes a change counts."""
    _check_write_key(mutation.key)
    if mutation.action == Action.DELETE:
        return len(mutation.key)
    _check_value(mutation.value, mutation.encoding, encodings)
    if mutation.action in (Action.MIN, Action.MAX) and mutation.encoding != Encoding.U64:
        raise KvValueError(f"{mutation.action.name.lower()} takes a U64")
    if mutation.action == Action.SUM and mutation.encoding == Encoding.BYTES:
        raise KvValueError("sum takes a number, not bytes")
    return 2 * len(mutation.key) + len(mutation.value)


def _check_enqueue(enqueue: Enqueue, encodings: frozenset[int]) -> int:
    """Return the bytes a message counts."""
    _check_value(enqueue.payload, enqueue.encoding, encodings)
    if enqueue.due < 0:
        raise KvLimitError("a message is not due before 1970")
    if len(enqueue.undelivered) > limits.MAX_UNDELIVERED_KEYS:
        raise KvLimitError(
            f"a message has at most {limits.MAX_UNDELIVERED_KEYS} keys for when it is not delivered"
        )
    for key in enqueue.undelivered:
        _check_write_key(key)
    if len(enqueue.backoff) > MAX_BACKOFF_STEPS or any(wait > MAX_BACKOFF for wait in enqueue.backoff):
        raise KvLimitError(f"a backoff schedule has at most {MAX_BACKOFF_STEPS} steps of at most an hour")
    keys = sum(map(len, enqueue.undelivered))
    return len(enqueue.payload) + keys + _PER_BACKOFF * len(enqueue.backoff)


def _check_value(value: bytes, encoding: int, encodings: frozenset[int]) -> None:
    if encoding not in encodings:
        raise KvValueError(f"a value has the encoding {encoding}, which is not known")
    if len(value) > limits.MAX_VALUE_BYTES:
        raise KvValueError(f"the value is too large: {len(value)} bytes, at most {limits.MAX_VALUE_BYTES}")
    if encoding == Encoding.U64 and len(value) != 8:
        raise KvValueError(f"a U64 has 8 bytes, got {len(value)}")


def _check_write_key(key: bytes) -> None:
    if len(key) > limits.MAX_WRITE_KEY_BYTES:
        raise KvKeyError(
            f"the key is too large to write: {len(key)} bytes, at most {limits.MAX_WRITE_KEY_BYTES}"
        )
    if not key:
        raise KvKeyError("a key cannot be empty")
    if key.startswith(MARK):
        raise KvKeyError("these bytes are not an encoded key")


def _check_read_key(key: bytes) -> None:
    if len(key) > limits.MAX_READ_KEY_BYTES:
        raise KvKeyError(
            f"the key is too large to read: {len(key)} bytes, at most {limits.MAX_READ_KEY_BYTES}"
        )
