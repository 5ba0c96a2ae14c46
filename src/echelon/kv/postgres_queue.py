"""Handing out messages from PostgreSQL, each to one of all who ask, whichever machine they are on.

A message is due at `due`. Handing it out moves that to the end of the lease and gives it a `token`, so that a
lease that runs out needs nobody to notice it. Where it was before is in `was_due`.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

from echelon.kv.backend import Lease, Message
from echelon.kv.postgres_line import Call, Clock
from echelon.kv.postgres_schema import channel, fill

# Rows that others are just taking are passed over, not waited for.
_TAKE: Final = """
with picked as materialized (
    select id from {s}.queue where due <= (select {now}) order by due, id limit $1 for update skip locked
)
update {s}.queue q set token = $2, attempts = q.attempts + 1, was_due = q.due, due = (select {now}) + $3
from picked p where q.id = p.id
returning q.id, q.token, q.payload, q.encoding, q.backoff, q.undelivered, q.attempts - 1, q.was_due
"""
_TAKEN: Final = """
select id, token, payload, encoding, backoff, undelivered, attempts - 1, was_due from {s}.queue where token = $1
"""
_NEXT: Final = "select min(due) - {now} from {s}.queue"
_GIVE_BACK: Final = """
update {s}.queue set due = was_due, token = null, attempts = attempts - 1 where id = any($1::bigint[]) and token = $2
"""

decode_backoff: Final = msgspec.msgpack.Decoder(list[int]).decode
decode_undelivered: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Taker:
    """The statements of one request for messages, each to be run in a pool."""

    def __init__(self, schema: str, clock: Clock) -> None:
        self._clock = clock
        self._take_sql = fill(_TAKE, schema)
        self._taken_sql = fill(_TAKEN, schema)
        self._next_sql = fill(_NEXT, schema)
        self._give_back_sql = fill(_GIVE_BACK, schema)
        self._tell_sql = f"notify {channel(schema)}, 'queue'"

    def take(self, limit: int, lease: int) -> Call[tuple[list[Message], float | None]]:
        """Return a call for messages that are due, or none and in how many seconds the next one is.

        When the answer is lost, calling again finds what it had taken.
        """
        token = random.getrandbits(63)  # tells leases apart, keeps nobody out
        repeated = False

        async def call(connection: Any) -> tuple[list[Message], float | None]:
            nonlocal repeated
            rows = await connection.fetch(self._taken_sql, token) if repeated else []
            repeated = True
            rows = rows or await connection.fetch(self._take_sql, limit, token, lease)
            if rows:
                return sorted(map(self._load, rows), key=_order), None
            left = await connection.fetchval(self._next_sql)
            return [], None if left is None else left / 1000

        return call

    def give_back(self, messages: list[Message]) -> Call[None]:
        """Return a call that makes messages as if they had not been taken."""
        numbers = [int(message.lease.id) for message in messages]
        token = int(messages[0].lease.token)

        async def call(connection: Any) -> None:
            await connection.execute(self._give_back_sql, numbers, token)
            await connection.execute(self._tell_sql)

        return call

    def _load(self, row: Any) -> Message:
        number, token, payload, encoding, backoff, undelivered, attempts, due = row
        lease = Lease(str(number), str(token))
        keys = decode_undelivered(undelivered)
        return Message(
            lease, payload, encoding, due - self._clock.shift, decode_backoff(backoff), keys, attempts
        )


def _order(message: Message) -> tuple[int, int]:
    return message.due, int(message.lease.id)
