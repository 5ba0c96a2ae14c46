"""Reading ranges of keys from PostgreSQL, any number of them from one snapshot by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from echelon.kv.backend import KeyRange, Record
from echelon.kv.codec import format_stamp
from echelon.kv.postgres_line import Call
from echelon.kv.postgres_schema import fill

_FORWARD: Final = """
select key, value, encoding, version from {s}.kv
where key >= $1 and key < $2 and {fresh} order by key limit $3
"""
_REVERSE: Final = """
select key, value, encoding, version from {s}.kv
where key >= $1 and key < $2 and {fresh} order by key desc limit $3
"""
_SEVERAL: Final = """
select r.place, e.* from unnest($1::integer[], $2::bytea[], $3::bytea[], $4::integer[]) as r(place, low, high, most)
    cross join lateral (select key, value, encoding, version from {s}.kv
        where key >= r.low and key < r.high and {fresh} order by key limit r.most) e
union all
select r.place, e.* from unnest($5::integer[], $6::bytea[], $7::bytea[], $8::integer[]) as r(place, low, high, most)
    cross join lateral (select key, value, encoding, version from {s}.kv
        where key >= r.low and key < r.high and {fresh} order by key desc limit r.most) e
"""


class Ranges:
    """The statements that read ranges in one schema."""

    def __init__(self, schema: str) -> None:
        self._forward = fill(_FORWARD, schema)
        self._reverse = fill(_REVERSE, schema)
        self._several = fill(_SEVERAL, schema)

    def read(self, ranges: Sequence[KeyRange]) -> Call[list[list[Record]]]:
        """Return a call that reads what each range holds."""

        async def one(connection: Any) -> list[list[Record]]:
            wanted = ranges[0]
            statement = self._reverse if wanted.reverse else self._forward
            rows = await connection.fetch(statement, wanted.start, wanted.end, wanted.limit)
            return [
                [
                    Record(key, value, encoding, format_stamp(version))
                    for key, value, encoding, version in rows
                ]
            ]

        async def several(connection: Any) -> list[list[Record]]:
            rows = await connection.fetch(self._several, *_columns(ranges, False), *_columns(ranges, True))
            found: list[list[Record]] = [[] for _ in ranges]
            for place, key, value, encoding, version in rows:
                found[place].append(Record(key, value, encoding, format_stamp(version)))
            for records, wanted in zip(found, ranges, strict=True):
                # The server need not keep the order of a part.
                records.sort(key=attrgetter("key"), reverse=wanted.reverse)
            return found

        return one if len(ranges) == 1 else several


def _columns(ranges: Sequence[KeyRange], reverse: bool) -> list[list[Any]]:
    """Return places, bounds and limits of the ranges of one direction; a key alone is a range of one."""
    rows = [
        (place, one.start, one.start + b"\0", 1)
        if one.end is None
        else (place, one.start, one.end, one.limit)
        for place, one in enumerate(ranges)
        if one.reverse == reverse
    ]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
