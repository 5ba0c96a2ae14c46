"""Values that Python stored, as JavaScript reads them: always something, if not always the same."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from echelon.errors import KvValueError
from echelon.kv import v8
from echelon.kv.backend import Record
from echelon.kv.codec import Encoding, decode_value, to_v8
from echelon.kv.u64 import U64


def readable(data: bytes, encoding: int) -> tuple[bytes, int]:
    """Return a stored value in an encoding that every client of KV Connect knows.

    What JavaScript has no type for becomes text, a time span its seconds; raises KvStorageError for damaged bytes.
    """
    try:
        return to_v8(data, encoding)
    except KvValueError:
        return v8.encode(_soften(decode_value(data, encoding))), Encoding.V8


def readable_record(record: Record) -> Record:
    """Return an entry with its value as `readable()` gives it."""
    if record.encoding != Encoding.MSGPACK:
        return record
    value, encoding = readable(record.value, record.encoding)
    return Record(record.key, value, encoding, record.versionstamp)


def _soften(value: Any) -> Any:
    if isinstance(value, dict):
        return {_soften_name(name): _soften(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_soften(item) for item in value]
    if isinstance(value, set | frozenset):
        return [_soften(item) for item in value]
    if isinstance(value, U64):
        return int(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value  # a moment in time, which JavaScript has
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal | UUID) else value


def _soften_name(name: Any) -> Any:
    return tuple(_soften_name(item) for item in name) if isinstance(name, tuple) else _soften(name)
