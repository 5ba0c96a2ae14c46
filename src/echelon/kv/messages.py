"""Messages for the queue: what enqueue takes, checked and encoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from echelon.errors import KvKeyError, KvLimitError, KvUsageError, KvValueError
from echelon.kv import limits
from echelon.kv.backend import Enqueue
from echelon.kv.codec import Encode, Key
from echelon.kv.keys import encode_for_write

_MILLISECOND = timedelta(milliseconds=1)


def make_message(
    encode: Encode,
    value: Any,
    backoff_schedule: Sequence[timedelta] | None,
    keys_if_undelivered: Iterable[Key],
) -> Enqueue:
    """Return a message that is due at 0; raises KvValueError, KvUsageError, KvKeyError or KvLimitError."""
    try:
        payload, encoding = encode(value)
    except KvValueError as exc:
        raise KvValueError(f"the message cannot be enqueued: {exc}") from exc
    return Enqueue(payload, encoding, 0, _backoff(backoff_schedule), _keys(keys_if_undelivered))


def measure(message: Enqueue) -> int:
    """Return the bytes that a message adds to its commit."""
    return len(message.payload) + 4 * len(message.backoff) + sum(map(len, message.undelivered))


def check_delay(delay: timedelta | None) -> timedelta:
    """Return how long a message is to wait; raises KvUsageError."""
    if delay is None:
        return timedelta(0)
    if not isinstance(delay, timedelta):
        raise KvUsageError(f"delay is a timedelta, got {delay!r:.60}; write timedelta(seconds=...)")
    if not timedelta(0) <= delay <= limits.MAX_QUEUE_DELAY:
        most = limits.MAX_QUEUE_DELAY.days
        raise KvUsageError(f"delay cannot be negative or more than {most} days, got {delay}")
    return delay


def _backoff(schedule: Sequence[timedelta] | None) -> tuple[int, ...]:
    if schedule is None:
        return limits.DEFAULT_BACKOFF
    if isinstance(schedule, str | bytes) or not isinstance(schedule, Sequence):
        raise KvUsageError(f"backoff_schedule is a list of timedelta, got {schedule!r:.60}")
    if len(schedule) > limits.MAX_BACKOFF_STEPS:
        raise KvLimitError(
            f"backoff_schedule has {len(schedule)} steps, at most {limits.MAX_BACKOFF_STEPS} are allowed"
        )
    for index, step in enumerate(schedule):
        if not isinstance(step, timedelta) or not timedelta(0) <= step <= limits.MAX_BACKOFF:
            raise KvUsageError(
                f"backoff_schedule[{index}] is {step!r:.60}; write a timedelta from 0 to {limits.MAX_BACKOFF}"
            )
    return tuple(step // _MILLISECOND for step in schedule)


def _keys(keys: Iterable[Key]) -> tuple[bytes, ...]:
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise KvKeyError(f"keys_if_undelivered is a list of keys, got {keys!r:.60}")
    encoded = tuple(encode_for_write(key) for key in keys)
    if len(encoded) > limits.MAX_UNDELIVERED_KEYS:
        raise KvLimitError(
            f"keys_if_undelivered has {len(encoded)} keys, at most {limits.MAX_UNDELIVERED_KEYS} are allowed"
        )
    return encoded
