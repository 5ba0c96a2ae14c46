"""Keys and values as bytes.

Keys use the tuple encoding of FoundationDB, so that comparing bytes compares keys:
bytes < str < int < float < False < True, strings by their UTF-8, numbers by value, a prefix before what it
begins.

Values are MessagePack. What MessagePack lacks (sets, dates, big integers, …) travels as an extension, so that
a value comes back with the type it had; enums, dataclasses and Structs are stored as plain data and come back
as themselves through `type=`. Tuples come back as lists. What JavaScript is to read is written as V8 does.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec.msgpack import Ext

from echelon.errors import KvKeyError, KvStorageError, KvUsageError, KvValueError
from echelon.kv import limits, v8
from echelon.kv.backend import ValueFormat
from echelon.kv.plain import fields_of, is_record, strip_enum
from echelon.kv.u64 import U64 as U64
from echelon.kv.u64 import shorten
from echelon.kv.v8_format import JsError, JsRegExp

T = TypeVar("T")

Part = bytes | bytearray | memoryview | str | int | float | bool
Key = tuple[Part, ...]


class Versionstamp(Enum):
    """The type of VERSIONSTAMP."""

    VERSIONSTAMP = "the versionstamp of the commit"


VERSIONSTAMP: Final = Versionstamp.VERSIONSTAMP
"""The last part of a key that `atomic().set()` writes: becomes the commit's versionstamp, as a str."""

StampedKey = tuple[*tuple[Part, ...], Versionstamp]

Encode = Callable[[Any], tuple[bytes, int]]
"""Makes the stored form of a value; raises KvValueError when it has none or is too large."""


class Encoding(IntEnum):
    """How the bytes of a stored value are to be read; the numbers are those of the KV Connect protocol."""

    V8 = 1
    U64 = 2
    BYTES = 3
    MSGPACK = 4


# Keys -------------------------------------------------------------------------------------------------------

_BYTES, _STR, _FLOAT, _FALSE, _TRUE = 0x01, 0x02, 0x21, 0x26, 0x27
_ZERO, _BIG_NEGATIVE, _BIG_POSITIVE = 0x14, 0x0B, 0x1D
_SHORT_INT: Final = 8
_NAN = 0x7FF8_0000_0000_0000
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_ESCAPED: Final = 0xFF
"""What follows a zero byte that belongs to a text, and does not end it."""

_HEADS: Final = tuple(bytes((_ZERO + size,)) for size in range(_SHORT_INT + 1))
"""The tag of a positive int by its size."""


def encode_key(key: Key) -> bytes:
    """Return the bytes of `key`, a tuple or list of parts, of any size; raises KvKeyError."""
    if type(key) is not tuple and not isinstance(key, tuple | list):
        raise KvKeyError(f"a key is a tuple of parts, got {shorten(key)}; write ({shorten(key)},)")
    encoded = b""
    for part in key:
        if type(part) is str and "\0" not in part:  # the two that most keys are made of come first
            encoded += _encode_text(f"\x02{part}\0")
        elif type(part) is int and 0 < part < _SIGN:
            size = (part.bit_length() + 7) >> 3
            encoded += _HEADS[size] + part.to_bytes(size, "big")
        else:
            encoded += _encode_part(part)
    return encoded


def _encode_part(part: Part) -> bytes:
    if isinstance(part, bool):
        return b"\x27" if part else b"\x26"
    if isinstance(part, int):
        return _encode_int(int(part))
    if isinstance(part, float):
        return _encode_float(part)
    if isinstance(part, str):
        return b"\x02" + _encode_text(str.__str__(part)).replace(b"\0", b"\0\xff") + b"\0"
    if isinstance(part, bytes | bytearray | memoryview):
        return b"\x01" + bytes(part).replace(b"\0", b"\0\xff") + b"\0"
    if part is VERSIONSTAMP:
        raise KvKeyError("VERSIONSTAMP can only be the last part of a key that atomic().set() writes")
    raise KvKeyError(f"a part of a key is bytes, str, int, float or bool, got {shorten(part)}")


def _encode_text(part: str) -> bytes:
    try:
        return part.encode()
    except UnicodeEncodeError as exc:
        raise KvKeyError(f"a str in a key must be valid Unicode: {exc}") from exc


def _encode_int(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    if size > limits.MAX_INTEGER_BYTES:
        raise KvKeyError(f"an int in a key has at most {limits.MAX_INTEGER_BYTES} bytes, got {size}")
    if number >= 0:
        head = bytes((_ZERO + size,)) if size <= _SHORT_INT else bytes((_BIG_POSITIVE, size))
        return head + number.to_bytes(size, "big")
    head = bytes((_ZERO - size,)) if size <= _SHORT_INT else bytes((_BIG_NEGATIVE, size ^ 0xFF))
    return head + ((1 << 8 * size) - 1 + number).to_bytes(size, "big")


def _encode_float(number: float) -> bytes:
    bits = int.from_bytes(struct.pack(">d", number), "big")
    if math.isnan(number):
        bits = _NAN | (bits & _SIGN)
    return bytes((_FLOAT,)) + (bits ^ (_ALL if bits & _SIGN else _SIGN)).to_bytes(8, "big")


def decode_key(data: bytes) -> Key:
    """Return the key that `data` encodes; raises KvKeyError for bytes that no key encodes to."""
    parts: list[Part] = []
    at, size = 0, len(data)
    try:
        while at < size:
            tag = data[at]
            if tag == _STR:  # the two that most keys are made of, without a call
                end = data.index(0, at)
                if end + 1 == size or data[end + 1] != _ESCAPED:
                    parts.append(data[at + 1 : end].decode())
                    at = end + 1
                    continue
            elif _ZERO < tag <= _ZERO + _SHORT_INT and data[at + 1]:
                end = at + 1 + tag - _ZERO
                if end <= size:
                    parts.append(int.from_bytes(data[at + 1 : end], "big"))
                    at = end
                    continue
            part, at = _decode_part(data, at)
            parts.append(part)
    except (ValueError, IndexError, struct.error) as exc:
        raise KvKeyError(f"these bytes are not an encoded key: {exc}") from exc
    return tuple(parts)


def _decode_part(data: bytes, at: int) -> tuple[Part, int]:
    tag = data[at]
    at += 1
    if tag in (_STR, _BYTES):
        raw, at = _decode_terminated(data, at)
        return (raw.decode() if tag == _STR else raw), at
    if tag in (_FALSE, _TRUE):
        return tag == _TRUE, at
    if tag == _FLOAT:
        bits = int.from_bytes(_take(data, at, 8), "big")
        number = struct.unpack(">d", (bits ^ (_SIGN if bits & _SIGN else _ALL)).to_bytes(8, "big"))[0]
        if _encode_float(number) != data[at - 1 : at + 8]:
            raise ValueError("a NaN that is not canonical")
        return number, at + 8
    return _decode_int(data, at, tag)


def _decode_terminated(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.index(b"\0", at)
    while data[end + 1 : end + 2] == b"\xff":
        end = data.index(b"\0", end + 2)
    return data[at:end].replace(b"\0\xff", b"\0"), end + 1


def _decode_int(data: bytes, at: int, tag: int) -> tuple[int, int]:
    negative = tag < _ZERO
    if tag in (_BIG_POSITIVE, _BIG_NEGATIVE):
        size = data[at] ^ (0xFF if negative else 0)
        start = at + 1
    elif _ZERO - _SHORT_INT <= tag <= _ZERO + _SHORT_INT:
        size = abs(tag - _ZERO)
        start = at
    else:
        raise ValueError(f"unknown tag {tag:#04x} at byte {at - 1}")
    number = int.from_bytes(_take(data, start, size), "big")
    if negative:
        number -= (1 << 8 * size) - 1
    end = start + size
    if _encode_int(number) != data[at - 1 : end]:
        raise ValueError(f"an int at byte {at - 1} is not in its shortest form")
    return number, end


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("they end in the middle of a part")
    return data[at : at + size]


def format_stamp(version: int) -> str:
    """Return the versionstamp of a commit number: 8 bytes and two zero bytes in hexadecimal."""
    return (version << 16).to_bytes(10, "big").hex()


# Values -----------------------------------------------------------------------------------------------------

_EXT_U64, _EXT_BIGINT, _EXT_SET, _EXT_FROZENSET, _EXT_BYTEARRAY = 1, 2, 3, 4, 5
_EXT_DATETIME, _EXT_DATE, _EXT_TIME, _EXT_TIMEDELTA, _EXT_UUID, _EXT_DECIMAL = 6, 7, 8, 9, 10, 11
_EXT_ARRAY, _EXT_REGEXP, _EXT_ERROR = 12, 13, 14

_MSGPACK: Final = int(
    Encoding.MSGPACK
)  # comparing with the member itself takes as long as decoding a small value

_SIZED: Final = {("l", 4): "i", ("l", 8): "q", ("L", 4): "I", ("L", 8): "Q"}
"""What the codes of `array` whose size depends on the platform are everywhere."""

_SCALARS: Final = frozenset({str, float, bool, bytes, type(None)})
_MICROSECOND = timedelta(microseconds=1)


def encode_value(
    value: Any, most: int = limits.MAX_VALUE_BYTES, form: ValueFormat = "native"
) -> tuple[bytes, Encoding]:
    """Return the stored form of `value`; raises KvValueError when it has none or more than `most` bytes."""
    kind = type(value)
    if kind is bytes:
        data, encoding = value, Encoding.BYTES
    elif kind is U64:
        data, encoding = value.to_bytes(8, "little"), Encoding.U64
    elif form == "native":
        data, encoding = _pack(value), Encoding.MSGPACK
    elif isinstance(value, bytes | bytearray | memoryview):
        data, encoding = bytes(value), Encoding.BYTES
    else:
        data, encoding = v8.encode(value), Encoding.V8
    if len(data) > most:
        raise KvValueError(f"the value is too large: {len(data)} bytes, at most {most}{_advise(most, form)}")
    return data, encoding


def _advise(most: int, form: ValueFormat) -> str:
    if most != limits.MAX_VALUE_BYTES or form != "native":  # what JavaScript shares holds no larger ones
        return ""
    return "; open the store with max_value= for larger ones"


def make_encoder(form: ValueFormat, most: int) -> Encode:
    """Return what encodes values of at most `most` bytes for an engine that wants `form`."""
    return partial(encode_value, most=most, form=form)


def decode_value(data: bytes, encoding: int) -> Any:
    """Return the value stored as `data`; raises KvStorageError when it cannot be read.

    Raises KvValueError for what JavaScript stored and Python has no value for.
    """
    if encoding == _MSGPACK:
        try:
            return _decoder.decode(data)
        except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError, TypeError) as exc:
            raise KvStorageError(f"a stored value is damaged: {exc}") from exc
    if encoding == Encoding.BYTES:
        return data
    if encoding == Encoding.U64:
        return decode_u64(data)
    if encoding == Encoding.V8:
        return v8.decode(data)
    raise KvStorageError(f"a stored value has the encoding {encoding}, which this Echelon does not read")


def to_v8(data: bytes, encoding: int) -> tuple[bytes, int]:
    """Return a stored value as JavaScript reads it: MessagePack becomes V8, the others stay as they are.

    The result may be larger than a value that can be stored. Raises KvValueError for what V8 cannot hold.
    """
    if encoding != Encoding.MSGPACK:
        return data, encoding
    return v8.encode(decode_value(data, encoding)), Encoding.V8


def decode_u64(data: bytes) -> U64:
    """Return the number stored as `data`; raises KvStorageError when it is not 8 bytes."""
    if len(data) != 8:
        raise KvStorageError(f"a stored U64 has {len(data)} bytes instead of 8: the file is damaged")
    return U64(int.from_bytes(data, "little"))


def convert_value(
    value: Any, type_: type[T], encoding: int = Encoding.MSGPACK, what: str = "the stored value"
) -> T:
    """Return `value` as `type_`; raises KvValueError that says where it does not fit.

    JavaScript has one type for the numbers that people write: where `type_` wants an int, a whole float of V8 is one.
    """
    plain = int(value) if type(value) is U64 and type_ is not U64 else value
    try:
        return _convert(plain, type_, what)
    except KvValueError:
        if encoding != Encoding.V8:
            raise
        with suppress(KvValueError):
            return _convert(_whole_numbers(plain), type_, what)
        raise


def _convert(value: Any, type_: type[T], what: str) -> T:
    name = getattr(type_, "__name__", str(type_))
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as exc:
        raise KvValueError(f"{what} is not a {name}: {exc}") from exc
    except (TypeError, NameError) as exc:
        raise KvUsageError(f"type={name} is no type that values can be read as: {exc}") from exc


def _whole_numbers(value: Any) -> Any:
    """Return `value` with an int in the place of each float that is whole."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {_whole_numbers(name): _whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(map(_whole_numbers, value))
    return value


def _pack(value: Any) -> bytes:
    try:
        return _encoder.encode(value if _is_plain(value, 0) else _lower(value, 0))
    except RecursionError as exc:
        raise KvValueError("the value is nested too deeply") from exc
    except (TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, KvValueError):
            raise
        raise KvValueError(f"the value cannot be stored: {exc}") from exc


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether MessagePack keeps every type in `value`: the quick way for nearly every value."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is int:
        fits: bool = -(1 << 63) <= value < 1 << 64
        return fits
    if depth >= limits.MAX_VALUE_DEPTH:
        return False
    if kind is list:
        items = value
    elif kind is dict:
        for name in value:
            if type(name) is not str:
                return False
        items = value.values()
    else:
        return False
    for item in items:  # noqa: SIM110 - generators would take twice the time
        if type(item) not in _SCALARS and not _is_plain(item, depth + 1):
            return False
    return True


def _lower(value: Any, depth: int) -> Any:
    """Return `value` made of what MessagePack keeps, and extensions for the rest."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, int) and not isinstance(value, Enum):
        return _lower_int(value)
    if depth >= limits.MAX_VALUE_DEPTH:
        raise KvValueError(
            f"the value is nested too deeply or contains itself: at most {limits.MAX_VALUE_DEPTH} levels"
        )
    if isinstance(value, Mapping):
        return {_lower_name(name): _lower(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lower(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return _lower_set(value, depth)
    if isinstance(value, Enum):
        return _lower(strip_enum(value), depth + 1)
    if isinstance(value, JsError):
        return Ext(
            _EXT_ERROR,
            _encoder.encode([value.name, value.message, value.stack, _lower(value.cause, depth + 1)]),
        )
    if isinstance(value, JsRegExp):
        return Ext(_EXT_REGEXP, _encoder.encode([value.source, value.flags]))
    if is_record(value):
        return _lower(fields_of(value), depth)
    return _lower_scalar(value)


def _lower_set(value: set[Any] | frozenset[Any], depth: int) -> Any:
    items = [_lower(item, depth + 1) for item in value]
    if any(isinstance(item, dict) for item in items):
        return items  # dataclasses became dicts, which no set can hold; `type=` makes them a set again
    return Ext(_EXT_FROZENSET if isinstance(value, frozenset) else _EXT_SET, _encoder.encode(items))


def _lower_int(value: int) -> Any:
    if type(value) is U64:
        return Ext(_EXT_U64, value.to_bytes(8, "little"))
    if -(1 << 63) <= value < 1 << 64:
        return int(value)
    return Ext(_EXT_BIGINT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _lower_name(name: Any) -> Any:
    if type(name) is str or name is None or type(name) in (bool, float, bytes):
        return name
    if isinstance(name, Enum):
        return _lower_name(strip_enum(name))
    if isinstance(name, str):
        return str.__str__(name)
    if isinstance(name, int) and not isinstance(name, bool) and -(1 << 63) <= name < 1 << 64:
        return int(name)
    if isinstance(name, tuple):
        return tuple(_lower_name(item) for item in name)
    raise KvValueError(f"a dict's key is a str, int, float, bool, bytes or None, got {shorten(name)}")


def _lower_scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    if isinstance(value, bytearray):
        return Ext(_EXT_BYTEARRAY, bytes(value))
    if isinstance(value, array) and value.typecode not in "uw":
        code = _SIZED.get((value.typecode, value.itemsize), value.typecode)
        return Ext(_EXT_ARRAY, code.encode() + value.tobytes())
    if isinstance(value, datetime):
        return Ext(_EXT_DATETIME, value.isoformat().encode())
    if isinstance(value, date):
        return Ext(_EXT_DATE, value.isoformat().encode())
    if isinstance(value, time):
        return Ext(_EXT_TIME, value.isoformat().encode())
    if isinstance(value, timedelta):
        return Ext(_EXT_TIMEDELTA, str(value // _MICROSECOND).encode())
    if isinstance(value, UUID):
        return Ext(_EXT_UUID, value.bytes)
    if isinstance(value, Decimal):
        return Ext(_EXT_DECIMAL, str(value).encode())
    raise KvValueError(f"a value of type {type(value).__name__} cannot be stored")


def _raise_extension(code: int, data: memoryview) -> Any:
    raw = bytes(data)
    if code in (_EXT_SET, _EXT_FROZENSET):
        # A list inside a set was a tuple: nothing else that becomes a list can be hashed.
        items = (_freeze(item) for item in _decoder.decode(raw))
        return set(items) if code == _EXT_SET else frozenset(items)
    if code == _EXT_U64:
        return decode_u64(raw)
    if code == _EXT_BIGINT:
        return int.from_bytes(raw, "big", signed=True)
    if code == _EXT_BYTEARRAY:
        return bytearray(raw)
    if code == _EXT_UUID:
        return UUID(bytes=raw)
    if code == _EXT_ARRAY:
        numbers = array(raw[:1].decode())
        numbers.frombytes(raw[1:])
        return numbers
    if code == _EXT_ERROR:
        return JsError(*_decoder.decode(raw))
    if code == _EXT_REGEXP:
        return JsRegExp(*_decoder.decode(raw))
    return _raise_text(code, raw.decode())


def _raise_text(code: int, text: str) -> Any:
    if code == _EXT_DATETIME:
        return datetime.fromisoformat(text)
    if code == _EXT_DATE:
        return date.fromisoformat(text)
    if code == _EXT_TIME:
        return time.fromisoformat(text)
    if code == _EXT_TIMEDELTA:
        return timedelta(microseconds=int(text))
    if code == _EXT_DECIMAL:
        return Decimal(text)
    raise ValueError(f"unknown extension {code}")


def _freeze(item: Any) -> Any:
    return tuple(_freeze(inner) for inner in item) if isinstance(item, list) else item


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ext_hook=_raise_extension)
