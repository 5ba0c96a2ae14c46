"""The queue's table in SQLite: messages, and who holds which until when.

A message is due at `due`. Handing it out moves that to the end of the lease and gives it a `token`, so that a
lease that runs out needs nobody to notice it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from echelon.errors import KvError
from echelon.kv.backend import Enqueue, Fate, Lease, Message, Settlement
from echelon.kv.codec import decode_key, decode_value

NEXT_DUE: Final = "select min(due) from queue"

_ADD: Final = "insert into queue(due, payload, encoding, backoff, undelivered) values (?, ?, ?, ?, ?)"
_DUE: Final = """
select id, due, payload, encoding, backoff, undelivered, attempts from queue
where due <= ? order by due, id limit ?
"""
_SCAN: Final = "select id, payload, encoding, backoff, undelivered, attempts, token from queue"
_LEASE: Final = "update queue set due = ?, token = ?, attempts = attempts + 1 where id = ?"
_HOLDS: Final = "select 1 from queue where id = ? and token = ?"
_SETTLE: Final[dict[Fate, str]] = {
    Fate.DONE: "delete from queue where id = ?2",
    Fate.RETRY: "update queue set due = ?1, token = null where id = ?2",
    Fate.RELEASE: "update queue set due = ?1, token = null, attempts = attempts - 1 where id = ?2",
    Fate.EXTEND: "update queue set due = ?1 where id = ?2",
}

_encode: Final = msgspec.msgpack.encode
_decode_backoff: Final = msgspec.msgpack.Decoder(list[int]).decode
_decode_keys: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Queue:
    """What the applier does with messages, each inside a transaction of its."""

    def __init__(self, execute: Callable[..., Any]) -> None:
        self._execute = execute

    def add(self, message: Enqueue) -> None:
        """Store a message."""
        payload, encoding, due, backoff, undelivered = message
        self._execute(_ADD, (due, payload, encoding, _encode(backoff), _encode(undelivered)))

    def lease(self, limit: int, now: int, milliseconds: int) -> list[Message]:
        """Hand out at most `limit` messages that are due."""
        messages = []
        for number, due, payload, encoding, backoff, keys, attempts in self._execute(
            _DUE, (now, limit)
        ).fetchall():
            token = random.getrandbits(63)  # tells leases apart, keeps nobody out
            self._execute(_LEASE, (now + milliseconds, token, number))
            lease = Lease(str(number), str(token))
            messages.append(
                Message(lease, payload, encoding, due, _decode_backoff(backoff), _decode_keys(keys), attempts)
            )
        return messages

    def holds(self, lease: Lease) -> bool:
        """Return whether nobody else was handed the message since."""
        # As text, which SQLite compares as the number it is, if it is one.
        return bool(self._execute(_HOLDS, (lease.id, lease.token)).fetchall())

    def settle(self, settlement: Settlement) -> None:
        """Decide on a message whose lease holds."""
        lease, fate, at = settlement
        self._execute(_SETTLE[fate], (at, lease.id))


def find_faults(execute: Callable[..., Any]) -> Iterator[str]:
    """Yield a sentence for each message that cannot be read."""
    for number, payload, encoding, backoff, undelivered, attempts, token in execute(_SCAN):
        name = f"the message {number}"
        try:
            decode_value(payload, encoding)
            _decode_backoff(backoff)
            for key in _decode_keys(undelivered):
                decode_key(key)
        except (KvError, msgspec.DecodeError) as exc:
            yield f"{name} cannot be read: {exc}"
        if attempts < (token is not None):
            yield f"{name} was delivered {attempts} times, and yet it is leased"
