"""Checking and counting a store on PostgreSQL; backing it up is left to the server's own tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from echelon.errors import KvError
from echelon.kv.codec import decode_key, decode_value, format_stamp
from echelon.kv.maintenance import MAX_FAULTS, Stats, find_faults_of_entry
from echelon.kv.postgres_queue import decode_backoff, decode_undelivered
from echelon.kv.postgres_schema import fill

_PAGE: Final = 500
_LONG_SECONDS: Final = 3600.0

# What reads everything does so faster without the indices.
_SCAN_FREELY: Final = "set local enable_seqscan = on"
_STATS: Final = """
select * from
    (select count(*) filter (where {fresh}), count(*) filter (where not {fresh}),
        coalesce(sum(length(key) + length(value)) filter (where {fresh}), 0)::bigint from {s}.kv) k,
    (select count(*), count(*) filter (where due <= {now}),
        count(*) filter (where token is not null and due > {now}) from {s}.queue) q,
    (select version from {s}.meta where id = 1) m,
    (select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
        where c.relnamespace = '{s}'::regnamespace and c.relkind = 'r') f
"""
_VERSION: Final = "select version from {s}.meta where id = 1"
_ENTRIES: Final = "select key, value, encoding, version from {s}.kv where key > $1 order by key limit $2"
_MESSAGES: Final = """
select id, payload, encoding, backoff, undelivered, attempts, token from {s}.queue where id > $1 order by id limit $2
"""


class Check:
    """Looks at everything in a store, as it is at one moment, for what is wrong."""

    def __init__(self, schema: str) -> None:
        self._version_sql = fill(_VERSION, schema)
        self._entries_sql = fill(_ENTRIES, schema)
        self._messages_sql = fill(_MESSAGES, schema)
        self.stopped = False
        """Set it to end the check early."""

    async def __call__(self, connection: Any) -> list[str]:
        """Return a sentence for each fault; see Pool.run."""
        found: list[str] = []
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            newest = await connection.fetchval(self._version_sql)
            for sql, last, judge in (
                (self._entries_sql, b"", lambda row: _judge_entry(row, newest)),
                (self._messages_sql, -1, _judge_message),
            ):
                while not self.stopped and (rows := await connection.fetch(sql, last, _PAGE)):
                    last = rows[-1][0]
                    found += (fault for row in rows for fault in judge(row))
                    if len(found) >= MAX_FAULTS:
                        return [*found[:MAX_FAULTS], "there may be more"]
        return found


async def count(connection: Any, schema: str) -> Stats:
    """Return what a store holds, at one moment."""
    async with connection.transaction():
        await connection.execute(_SCAN_FREELY)
        row = await connection.fetchrow(fill(_STATS, schema), timeout=_LONG_SECONDS)
    entries, expired, size, messages, due, leased, version, file_bytes = row
    return Stats(entries, expired, size, messages, due, leased, format_stamp(version), file_bytes)


def _judge_entry(row: Sequence[Any], newest: int) -> Iterator[str]:
    key, value, encoding, version = row
    yield from find_faults_of_entry(key, value, encoding)
    if not 0 < version <= newest:
        yield f"the entry {key.hex()[:80]} has version {version}, the last commit has {newest}"


def _judge_message(row: Sequence[Any]) -> Iterator[str]:
    number, payload, encoding, backoff, undelivered, attempts, token = row
    try:
        decode_value(payload, encoding)
        decode_backoff(backoff)
        for key in decode_undelivered(undelivered):
            decode_key(key)
    except (KvError, msgspec.DecodeError) as exc:
        yield f"the message {number} cannot be read: {exc}"
    if attempts < (token is not None):
        yield f"the message {number} was delivered {attempts} times, and yet it is leased"
