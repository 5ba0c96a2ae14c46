"""Keys and values as bytes: exact encodings, order, and the way there and back."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import math
import struct
from array import array
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echelon.errors import KvKeyError, KvStorageError, KvUsageError, KvValueError
from echelon.kv import U64, limits
from echelon.kv.codec import (
    Encoding,
    convert_value,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)
from echelon.kv.v8 import JsError, JsRegExp

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
BIG = st.integers(-(256**255) + 1, 256**255 - 1)
PARTS = st.one_of(st.binary(), TEXT, st.integers(), BIG, st.floats(), st.booleans())
KEYS = st.lists(PARTS, max_size=5).map(tuple)

EXACT = [
    ((b"a\x00b",), "01 61 00ff 62 00"),
    (("a\0b",), "02 61 00ff 62 00"),
    (("é",), "02 c3a9 00"),
    ((b"",), "01 00"),
    (("",), "02 00"),
    ((0,), "14"),
    ((1,), "15 01"),
    ((-1,), "13 fe"),
    ((255,), "15 ff"),
    ((256,), "16 0100"),
    ((-256,), "12 feff"),
    ((2**64 - 1,), "1c ffffffffffffffff"),
    ((2**64,), "1d 09 010000000000000000"),
    ((-(2**64) + 1,), "0c 0000000000000000"),
    ((-(2**64),), "0b f6 feffffffffffffffff"),
    ((1.0,), "21 bff0000000000000"),
    ((-1.0,), "21 400fffffffffffff"),
    ((0.0,), "21 8000000000000000"),
    ((-0.0,), "21 7fffffffffffffff"),
    ((math.nan,), "21 fff8000000000000"),
    ((-math.nan,), "21 0007ffffffffffff"),
    ((False, True), "26 27"),
    (("users", 1, True), "02 7573657273 00 15 01 27"),
    ((), ""),
]


@pytest.mark.parametrize(("key", "encoded"), EXACT, ids=[repr(key) for key, _ in EXACT])
def test_exact_key_bytes(key: Any, encoded: str) -> None:
    """Every kind of part has the tuple encoding of FoundationDB, byte for byte, and decodes to itself."""
    data = bytes.fromhex(encoded.replace(" ", ""))
    assert encode_key(key) == data
    assert repr(decode_key(data)) == repr(key) or math.isnan(key[0])


def test_order_across_types() -> None:
    """bytes < str < int < float < False < True; numbers by value, NaN at both ends; strings by UTF-8."""
    ordered = [
        *[(), (b"",), (b"\0",), (b"\0\0",), (b"\x01",), (b"\xff",)],
        *[("",), ("\0",), ("a",), ("a", b""), ("a", 1), ("a\0",), ("aa",), ("\uffff",), ("😀",)],
        *[(-(256**255) + 1,), (-(2**64),), (-(2**64) + 1,), (-256,), (-255,), (-1,), (0,), (1,), (255,)],
        *[(256,), (2**64 - 1,), (2**64,), (256**255 - 1,)],
        *[(-math.nan,), (-math.inf,), (-1.5,), (-0.0,), (0.0,), (5e-324,), (1.5,), (math.inf,), (math.nan,)],
        *[(False,), (False, 0), (True,)],
    ]
    encoded = [encode_key(key) for key in ordered]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(encoded)


@given(KEYS)
@example((float("nan"), -float("nan")))
def test_key_roundtrip(key: Any) -> None:
    """A key comes back as it was, and encodes to the same bytes again."""
    data = encode_key(key)
    back = decode_key(data)
    assert encode_key(back) == data
    assert [type(part) for part in back] == [type(part) for part in key]
    assert all(a == b or (a != a and b != b) for a, b in zip(key, back, strict=True))


def _rank(part: Any) -> tuple[int, Any]:
    """How a part sorts, said without the encoding."""
    if isinstance(part, bool):
        return (5 if part else 4), 0
    if isinstance(part, float):
        sign = math.copysign(1, part)
        return 3, (sign * (2 if math.isnan(part) else 1), 0 if math.isnan(part) else part, sign)
    if isinstance(part, int):
        return 2, part
    return (1, part.encode()) if isinstance(part, str) else (0, part)


@given(KEYS, KEYS)
def test_key_order_is_part_order(one: Any, other: Any) -> None:
    """Comparing encoded keys compares the parts from left to right, a prefix before what it begins."""
    ranks = [[_rank(part) for part in key] for key in (one, other)]
    assert (encode_key(one) < encode_key(other)) == (ranks[0] < ranks[1])


@given(st.binary(max_size=40))
def test_decoding_any_bytes(data: bytes) -> None:
    """Bytes either are the one encoding of a key or are refused; nothing else is raised."""
    try:
        key = decode_key(data)
    except KvKeyError:
        return
    assert encode_key(key) == data


@pytest.mark.parametrize(
    "data",
    ["01", "0161", "02ff00", "15", "1500", "1d0101", "21", "2100", "fff8", "03", "30", "21fff8000000000001"],
)
def test_malformed_keys(data: str) -> None:
    """A part cut short, an int that is too long, a strange NaN, bad UTF-8 and unknown tags are refused."""
    with pytest.raises(KvKeyError, match="not an encoded key"):
        decode_key(bytes.fromhex(data))


@pytest.mark.parametrize("part", [None, {}, [], (), object(), datetime.now(UTC), Decimal(1), 1j])
def test_foreign_parts(part: Any) -> None:
    """A part of any other type is refused by name."""
    with pytest.raises(KvKeyError, match="a part of a key is bytes, str, int, float or bool, got"):
        encode_key(("a", part))


@pytest.mark.parametrize("key", ["users", b"users", 1, None, {"a"}, {"a": 1}])
def test_not_a_key(key: Any) -> None:
    """Something that is not a tuple is refused, with the tuple to write."""
    with pytest.raises(KvKeyError, match="a key is a tuple of parts"):
        encode_key(key)


def test_key_likes() -> None:
    """A list, bytearrays, memoryviews and subclasses of str and int encode as what they are."""

    class Name(enum.StrEnum):
        ADA = "ada"

    class Number(enum.IntEnum):
        ONE = 1

    key: Any = [bytearray(b"x"), memoryview(b"y"), Name.ADA, Number.ONE, U64(7)]
    assert encode_key(key) == encode_key((b"x", b"y", "ada", 1, 7))


def test_key_extremes() -> None:
    """An int of more than 255 bytes and a lone surrogate are refused."""
    with pytest.raises(KvKeyError, match="at most 255 bytes, got 256"):
        encode_key((256**255,))
    with pytest.raises(KvKeyError, match="at most 255 bytes"):
        encode_key((-(256**255),))
    with pytest.raises(KvKeyError, match="valid Unicode"):
        encode_key(("\ud800",))


# Values


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


class Person(msgspec.Struct, rename="camel"):
    first_name: str
    color: Color
    born: date
    points: set[Point]


def roundtrip(value: Any) -> Any:
    data, encoding = encode_value(value)
    return decode_value(data, encoding)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    TEXT,
    st.binary(max_size=50),
    st.integers(0, limits.MAX_U64).map(U64),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30)))),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.binary(max_size=20).map(bytearray),
    st.sampled_from("bBhHiIqQ").flatmap(lambda code: st.lists(st.integers(0, 127)).map(partial(array, code))),
    st.lists(st.floats(allow_nan=False, width=32)).map(partial(array, "f")),
    st.builds(JsRegExp, TEXT, st.just("gi")),
    st.builds(JsError, st.just("TypeError"), TEXT, st.none(), st.lists(st.integers(), max_size=3)),
)
HASHABLE = st.one_of(st.integers(), TEXT, st.binary(max_size=20), st.booleans(), st.dates())
VALUES = st.recursive(
    SCALARS | st.sets(HASHABLE, max_size=4) | st.frozensets(HASHABLE, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def _typed(value: Any) -> Any:
    """A value with its types, so that True is not 1 and U64(1) is not 1."""
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {name: _typed(item) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return type(value), frozenset((type(item), item) for item in value)
    return type(value), value


@given(VALUES)
def test_value_roundtrip(value: Any) -> None:
    """What is stored comes back equal and of the same type, at every depth."""
    assert _typed(roundtrip(value)) == _typed(value)


def test_arrays_are_the_same_everywhere() -> None:
    """A code whose size depends on the platform becomes the one that has that size."""
    stored = roundtrip(array("l", [1, -2]))
    assert (stored.typecode, stored.tolist()) == ("q", [1, -2])
    with pytest.raises(KvValueError, match="type array cannot be stored"):
        encode_value(array("u", "text"))


def test_datetimes_keep_their_offset() -> None:
    """A datetime comes back with its own offset, a naive one stays naive."""
    aware = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert roundtrip(aware).isoformat() == aware.isoformat()
    assert roundtrip(datetime(2026, 1, 2)).tzinfo is None


def test_value_encodings() -> None:
    """Bytes are stored raw, a U64 as eight bytes, low byte first, everything else as MessagePack."""
    assert encode_value(b"raw") == (b"raw", Encoding.BYTES)
    assert encode_value(U64(258)) == (b"\x02\x01\0\0\0\0\0\0", Encoding.U64)
    assert encode_value({"a": 1}) == (b"\x81\xa1a\x01", Encoding.MSGPACK)
    assert encode_value(True) == (b"\xc3", Encoding.MSGPACK)


def test_plain_forms() -> None:
    """Enums, dataclasses, Structs, tuples, mappings and subclasses are stored as plain data."""

    class Text(str):
        __slots__ = ()

    class Number(float):
        __slots__ = ()

    @dataclasses.dataclass
    class Point:
        x: int
        when: date

    class User(msgspec.Struct, rename="camel", tag="user"):
        first_name: str
        tags: set[str]
        nick: str | msgspec.UnsetType = msgspec.UNSET

    class Pair(msgspec.Struct, array_like=True, tag=True):
        one: int
        two: int

    place = namedtuple("place", "x y")
    assert roundtrip(Color.RED) == "red"
    assert roundtrip(Point(1, date(2026, 1, 1))) == {"x": 1, "when": date(2026, 1, 1)}
    assert roundtrip(User("Ada", {"a"})) == {"type": "user", "firstName": "Ada", "tags": {"a"}}
    assert roundtrip(Pair(1, 2)) == ["Pair", 1, 2]
    assert roundtrip((1, place(2, 3))) == [1, [2, 3]]
    assert roundtrip(OrderedDict(a=Text("b"))) == {"a": "b"}
    assert roundtrip([Number(1.5), memoryview(b"x")]) == [1.5, b"x"]
    names = [Color.RED, Text("t"), (1, "a"), None, b"b", 1.5, True]
    assert list(roundtrip(dict.fromkeys(names))) == ["red", "t", (1, "a"), None, b"b", 1.5, True]
    assert roundtrip({(1, (2, 3)), "a"}) == {(1, (2, 3)), "a"}
    assert roundtrip([{frozenset({1})}]) == [{frozenset({1})}]


def test_convert() -> None:
    """`type=` makes Structs, dataclasses, enums and sets of them again, and says what does not fit."""

    person = Person("Ada", Color.RED, date(1815, 12, 10), {Point(1), Point(2)})
    assert convert_value(roundtrip(person), Person) == person
    assert type(convert_value(U64(3), int)) is int
    assert type(convert_value(U64(3), U64)) is U64
    with pytest.raises(KvValueError, match=r"not a Person: .*`firstName`"):
        convert_value({}, Person)
    with pytest.raises(KvValueError, match=r"not a int: Expected `int`, got `str`"):
        convert_value("1", int)
    with pytest.raises(KvUsageError, match="no type that values can be read as"):
        convert_value("1", 5)  # type: ignore[type-var]  # the mistake is the point


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        int,
        (x for x in ()),
        1j,
        {"a": [object()]},
        {object(): 1},
        {(1, frozenset()): 1},
        {2**64: 1},
    ],
    ids=repr,
)
def test_values_that_cannot_be_stored(value: Any) -> None:
    """A value with no stored form is refused before anything is written."""
    with pytest.raises(KvValueError):
        encode_value(value)


def test_surrogates_in_values() -> None:
    """Text that is not Unicode is refused."""
    with pytest.raises(KvValueError, match="surrogates"):
        encode_value({"a": "\ud800"})
    with pytest.raises(KvValueError, match="surrogates"):
        encode_value({"a": {"\ud800"}})


def test_nesting() -> None:
    """A value nests up to the limit; deeper, or within itself, it is refused."""
    value: Any = 1
    for _ in range(limits.MAX_VALUE_DEPTH):
        value = [value]
    assert roundtrip(value) == value
    with pytest.raises(KvValueError, match="nested too deeply"):
        encode_value([value])
    value = {}
    value["self"] = value
    with pytest.raises(KvValueError, match="contains itself"):
        encode_value(value)


def test_value_size() -> None:
    """A value has at most 65536 bytes in its stored form."""
    assert len(encode_value(b"x" * limits.MAX_VALUE_BYTES)[0]) == limits.MAX_VALUE_BYTES
    with pytest.raises(KvValueError, match="too large: 65537 bytes, at most 65536"):
        encode_value(b"x" * (limits.MAX_VALUE_BYTES + 1))
    with pytest.raises(KvValueError, match="too large: 65541 bytes"):
        encode_value("x" * limits.MAX_VALUE_BYTES)


@given(st.binary(max_size=60), st.sampled_from([*Encoding, 0, 5, 99]))
@example(bytes([0xD7, 6]) + b"notadate", 4)
@example(bytes([0xD4, 99, 0]), 4)
@example(bytes([0xD4, 3, 0x81]), 4)
@example(bytes([0xC7, 3, 11]) + b"x.y", 4)
@example(bytes([0xC7, 2, 3, 0x91, 0x80]), 4)
@example(b"\x91" * 3000 + b"\x01", 4)
def test_damaged_values(data: bytes, encoding: int) -> None:
    """Any stored bytes are read or reported as damaged, or as what only JavaScript has; nothing else is raised."""
    with contextlib.suppress(KvStorageError, *[KvValueError] if encoding == Encoding.V8 else ()):
        decode_value(data, encoding)


def test_unknown_encoding() -> None:
    """A value in an encoding of another version is reported with its number."""
    with pytest.raises(KvStorageError, match="encoding 9"):
        decode_value(b"", 9)
    with pytest.raises(KvStorageError, match="3 bytes instead of 8"):
        decode_value(b"abc", Encoding.U64)


def test_u64() -> None:
    """A U64 is an int from 0 to 2**64-1 that shows what it is."""
    assert U64(5) == 5
    assert U64(5) + 1 == 6
    assert repr(U64(5)) == "U64(5)"
    assert U64(2**64 - 1).value == 2**64 - 1
    assert type(U64(1).value) is int
    for bad in (-1, 2**64, 1.0, "1", True, None):
        with pytest.raises(KvValueError, match="U64 takes"):
            U64(bad)  # type: ignore[arg-type]  # the mistake is the point


def test_float_bits() -> None:
    """Infinities, both zeros and subnormal numbers keep their bits in keys and values."""
    for number in (math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7976931348623157e308):
        bits = struct.pack(">d", number)
        assert struct.pack(">d", decode_key(encode_key((number,)))[0]) == bits
        assert struct.pack(">d", roundtrip(number)) == bits
    assert math.isnan(roundtrip(math.nan))


def test_scalars_come_back_alone() -> None:
    """The less usual scalars are values by themselves too."""
    for value in (time(1, 2, 3), timedelta.min, UUID(int=5), Decimal("1.50"), -(2**70), 2**64 - 1):
        assert _typed(roundtrip(value)) == _typed(value)
    assert str(roundtrip(Decimal("1.50"))) == "1.50"
