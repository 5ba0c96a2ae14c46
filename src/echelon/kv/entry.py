"""What a read gives: a key, its value and its versionstamp."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from echelon.errors import KvError, KvKeyError, KvStorageError
from echelon.kv.backend import Record
from echelon.kv.codec import Key, convert_value, decode_key, decode_value

T = TypeVar("T")


class Entry(msgspec.Struct, Generic[T], frozen=True):
    """One key, its value and its versionstamp; value and versionstamp are None when nothing is stored.

    A stored None has a versionstamp.
    """

    key: Key
    value: T | None
    versionstamp: str | None


def load_entry(record: Record, key: Key | None, type_: Any) -> Entry[Any]:
    """Return what `record` holds, converted to `type_` if that is given; decodes the key if it is not given.

    Raises KvStorageError for damaged bytes and KvValueError for a value that is not a `type_`.
    """
    if key is None:
        key = _decode_key(record.key)
    value = decode_value(record.value, record.encoding)
    if type_ is not None:
        value = convert_value(value, type_, record.encoding)
    return Entry(key, value, record.versionstamp)


def load_entries(
    records: Iterable[Record], type_: Any, prefix: Key = (), size: int = 0
) -> list[Entry[Any] | KvError]:
    """Return what each record holds, or the error of one that cannot be read: it does not hide the others.

    All keys begin with `prefix`, whose encoding has `size` bytes.
    """
    found: list[Entry[Any] | KvError] = []
    for record in records:
        try:
            found.append(load_entry(record, prefix + _decode_key(record.key[size:]), type_))
        except KvError as exc:
            found.append(exc)
    return found


def _decode_key(data: bytes) -> Key:
    try:
        return decode_key(data)
    except KvKeyError as exc:
        raise KvStorageError(f"a stored key is damaged: {exc}") from exc
