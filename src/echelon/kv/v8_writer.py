"""Values of Python as V8's structured clone."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import copysign
from typing import Any, Final
from uuid import UUID

from echelon.errors import KvValueError
from echelon.kv import limits
from echelon.kv.plain import fields_of, is_record, strip_enum
from echelon.kv.u64 import U64
from echelon.kv.v8_format import (
    ARRAY_CODES,
    ERROR_CAUSE,
    ERROR_END,
    ERROR_MESSAGE,
    ERROR_STACK,
    ERROR_TAGS,
    HEADER,
    REGEXP_FLAGS,
    JsError,
    JsRegExp,
)

_STR_ONLY: Final = frozenset({str})
_MIN_SMALL, _MAX_SMALL = -(1 << 31), (1 << 31) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_VIEWS: Final = {
    (code in "fd", code.islower(), array(code).itemsize): tag
    for tag, code in {**ARRAY_CODES, ord("B"): "B"}.items()
}
"""The tag by what the numbers are: float or not, signed or not, how many bytes."""

_INSTEAD: Final[tuple[tuple[type, str], ...]] = (
    (U64, "a U64 is stored as a value of its own only; use int(...) inside another value"),
    (Decimal, "V8 has no Decimal: store str(...) and read it back with Decimal(...)"),
    (UUID, "V8 has no UUID: store str(...) or .bytes"),
    (date, "V8 has no date: store .isoformat(), or a datetime with tzinfo"),
    (time, "V8 has no time: store .isoformat()"),
    (timedelta, "V8 has no timedelta: store .total_seconds()"),
    (array, "V8 has no arrays of characters: store a str"),
)


def encode(value: Any) -> bytes:
    """Return `value` in wire version 15; raises KvValueError for what V8 cannot hold."""
    writer = _Writer()
    try:
        writer.write(value, 0)
    except RecursionError as exc:
        raise KvValueError("the value is nested too deeply") from exc
    return bytes(writer.out)


class _Writer:
    __slots__ = ("out",)

    def __init__(self) -> None:
        self.out = bytearray(HEADER)

    def write(self, value: Any, depth: int) -> None:
        """Append a value that lies inside `depth` others; the common types first, since this is hot."""
        kind = type(value)
        if kind is str:
            self._str(value)
        elif kind is float:
            self._float(value)
        elif value is None:
            self.out += b"0"
        elif kind is bool:
            self.out += b"T" if value else b"F"
        elif kind is int:
            self._int(value)
        elif depth >= limits.MAX_VALUE_DEPTH:
            raise KvValueError(
                f"the value is nested too deeply or contains itself: at most {limits.MAX_VALUE_DEPTH} levels"
            )
        elif kind is dict:
            self._dict(value, depth + 1)
        elif kind is list:
            self._list(value, depth + 1)
        else:
            self._other(value, depth)

    def _other(self, value: Any, depth: int) -> None:
        value = strip_enum(value)
        if isinstance(value, bool | str | float | int) and type(value) is not U64:
            self.write(_plain_scalar(value), depth)
        elif isinstance(value, Mapping):
            self._dict(value, depth + 1)
        elif isinstance(value, list | tuple):
            self._list(value, depth + 1)
        elif isinstance(value, set | frozenset):
            self._set(value, depth + 1)
        elif isinstance(value, bytes | bytearray | memoryview):
            self._view(bytes(value), ord("B"))
        elif isinstance(value, datetime):
            self._date(value)
        elif isinstance(value, array) and value.typecode not in "uw":
            code = value.typecode
            self._view(value.tobytes(), _VIEWS[code in "fd", code.islower(), value.itemsize])
        elif isinstance(value, JsError):
            self._error(value, depth + 1)
        elif isinstance(value, JsRegExp):
            self._regexp(value)
        elif is_record(value):
            self.write(fields_of(value), depth)
        elif value is None:
            self.out += b"0"
        else:
            raise KvValueError(_refusal(value))

    def _str(self, value: str) -> None:
        try:
            raw = value.encode("latin-1")
        except UnicodeEncodeError:
            raw = value.encode("utf-16-le", "surrogatepass")
            size = _varint(len(raw))
            if (len(self.out) + 1 + len(size)) & 1:
                self.out.append(0)  # V8 wants the characters at an even place
            self.out += b"c" + size + raw
        else:
            self.out += b'"' + _varint(len(raw)) + raw

    def _float(self, value: float) -> None:
        # The other form is read as the same number; V8 itself takes the short one where it can.
        if (
            _MIN_SMALL <= value <= _MAX_SMALL
            and value == (whole := int(value))
            and (whole or copysign(1, value) > 0)
        ):
            zigzag = whole << 1 if whole >= 0 else (-whole << 1) - 1
            self.out += b"I%c" % zigzag if zigzag < 0x80 else b"I" + _varint(zigzag)
        else:
            self.out += struct.pack("<cd", b"N", value)

    def _int(self, value: int) -> None:
        magnitude = abs(value)
        size = (magnitude.bit_length() + 63) // 64 * 8
        self.out += b"Z" + _varint(size << 1 | (value < 0)) + magnitude.to_bytes(size, "little")

    def _dict(self, value: Mapping[Any, Any], depth: int) -> None:
        out, write = self.out, self.write
        names = {*map(type, value)}
        if names and names != _STR_ONLY and not all(isinstance(strip_enum(name), str) for name in value):
            out += b";"
            for name, item in value.items():
                write(name, depth)
                write(item, depth)
            out += b":" + _varint(2 * len(value))
            return
        out += b"o"
        for name, item in value.items():
            self._str(name if type(name) is str else str.__str__(strip_enum(name)))
            write(item, depth)
        out += b"{" + _varint(len(value))

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> None:
        size = _varint(len(value))
        self.out += b"A" + size
        for item in value:
            self.write(item, depth)
        self.out += b"$\0" + size

    def _set(self, value: set[Any] | frozenset[Any], depth: int) -> None:
        self.out += b"'"
        for item in value:
            self.write(item, depth)
        self.out += b"," + _varint(len(value))

    def _view(self, raw: bytes, tag: int) -> None:
        size = _varint(len(raw))
        self.out += b"B" + size + raw + b"V%c\0" % tag + size + b"\0"

    def _date(self, value: datetime) -> None:
        if value.utcoffset() is None:
            raise KvValueError(
                "a datetime without tzinfo is no moment in time, which a Date of V8 is: "
                "write datetime.now(UTC) or .replace(tzinfo=...)"
            )
        self.out += struct.pack("<cd", b"D", (value - _EPOCH) // _MILLISECOND)

    def _error(self, value: JsError, depth: int) -> None:
        self.out += b"r"
        if value.name in ERROR_TAGS:
            self.out.append(ERROR_TAGS[value.name])
        for tag, text in ((ERROR_MESSAGE, value.message), (ERROR_STACK, value.stack)):
            if text is not None:
                self.out.append(tag)
                self._str(text)
        if value.cause is not None:
            self.out.append(ERROR_CAUSE)
            self.write(value.cause, depth)
        self.out.append(ERROR_END)

    def _regexp(self, value: JsRegExp) -> None:
        if not set(value.flags) <= set(REGEXP_FLAGS):
            raise KvValueError(
                f'the flags of a JsRegExp are among "{"".join(REGEXP_FLAGS)}", got {value.flags!r}'
            )
        self.out += b"R"
        self._str(value.source)
        self.out += _varint(sum(REGEXP_FLAGS[flag] for flag in set(value.flags)))


def _varint(number: int) -> bytes:
    if number < 0x80:
        return b"%c" % number
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _plain_scalar(value: Any) -> Any:
    """Return a value of a subclass as one of the class itself."""
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) else float(value)


def _refusal(value: object) -> str:
    for kind, text in _INSTEAD:
        if isinstance(value, kind):
            return text
    return f"a value of type {type(value).__name__} cannot be stored"
