"""V8's structured clone: exact bytes both ways, what has no counterpart, and bytes nobody should write."""

from __future__ import annotations

import inspect
import math
import struct
import sys
from array import array
from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from echelon.errors import KvStorageError, KvValueError
from echelon.kv import U64, limits, v8
from echelon.kv.codec import Encoding, convert_value, decode_value, encode_value, to_v8
from echelon.kv.v8 import JsError, JsRegExp

NOW = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


def data(text: str, version: int = 16) -> bytes:
    """Bytes behind the header, as hexadecimal with spaces."""
    return bytes((0xFF, version)) + bytes.fromhex(text)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type, zeros also of one sign; NaN has one form in JavaScript."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[name]) for name, item in one.items())
    return bool(one == other)


BOTH_WAYS: list[tuple[Any, str]] = [
    (None, "30"),
    (True, "54"),
    (False, "46"),
    (1.0, "4902"),
    (-1.0, "4901"),
    (64.0, "498001"),
    (2.0**31 - 1, "49feffffff0f"),
    (-(2.0**31), "49ffffffff0f"),
    (2.0**31, "4e000000000000e041"),
    (0.0, "4900"),
    (-0.0, "4e0000000000000080"),
    (1.5, "4e000000000000f83f"),
    (math.inf, "4e000000000000f07f"),
    (math.nan, "4e000000000000f87f"),
    (0, "5a00"),
    (1, "5a100100000000000000"),
    (-1, "5a110100000000000000"),
    (2**64, "5a2000000000000000000100000000000000"),
    (-(2**70), "5a2100000000000000004000000000000000"),
    ("", "2200"),
    ("a", "220161"),
    ("é", "2201e9"),
    ("€", "6302ac20"),
    ("a\U0001f600", "630661003dd800de"),
    ("\ud800", "630200d8"),
    ({}, "6f7b00"),
    ({"a": 1.0}, "6f22016149027b01"),
    ({"€": None}, "6f006302ac20307b01"),
    ({"ab": None, "€": None}, "6f22026162306302ac20307b02"),
    ([], "4100240000"),
    ([1.0, 2.0], "410249024904240002"),
    ({1.0: 2.0, "a": {}}, "3b490249042201616f7b003a04"),
    ({1.0, "a"}, "2749022201612c02"),
    ([b"\x01\x02"], "410142020102564200020024 0001".replace(" ", "")),
    ([array("d", [0, 0])], "4101 4210 00000000000000000000000000000000 5646001000 240001".replace(" ", "")),
    (datetime(1970, 1, 1, 0, 0, 0, 5000, UTC), "440000000000001440"),
    (JsRegExp("a.b", "gi"), "522203612e6203"),
    (JsError("TypeError", "m", "s"), "72546d22016d7322017 32e".replace(" ", "")),
    (JsError(cause={"a": 1.0}), "72636f22016149027b012e"),
]


@pytest.mark.parametrize(("value", "text"), BOTH_WAYS, ids=lambda item: str(item)[:30])
def test_exact_bytes(value: Any, text: str) -> None:
    """A value has the bytes that V8 itself writes for it, and comes back with its type."""
    if not isinstance(value, set):  # of which the order is not fixed
        assert v8.encode(value).hex() == "ff0f" + text
    for version in (14, 15, 16):
        assert same(v8.decode(data(text, version)), value)


READ_ONLY: list[tuple[str, Any]] = [
    ("5f", None),
    ("55 ffffffff0f", 4294967295.0),
    ("53 03 e282ac", "€"),
    ("5a 03 02", -2),
    ("41 03 4902 5f 2d 24 00 03", [1.0, None, None]),
    ("61 03 4900 4902 4904 4906 40 02 03", [1.0, None, 3.0]),
    ("61 05 40 00 05", [None] * 5),
    ("61 03 2201 61 54 2202 3031 54 49 0a 54 40 03 03", [None] * 3),
    ("41 01 4902 2201 78 4904 24 01 01", [1.0]),
    ("6f 4902 4904 22 0a 34323934393637323935 4902 22 02 2d31 4906 7b 03", {"1": 2.0, "4294967295": 1.0, "-1": 3.0}),
    ("42 03 010203", b"\1\2\3"),
    ("7e 03 08 010203", b"\1\2\3"),
    ("42 04 00010203 56 3f 01 02 00", b"\1\2"),
    ("42 02 0102 56 43 00 02 00", b"\1\2"),
    ("7e 04 08 00010203 56 42 01 00 03", b"\1\2\3"),
    ("7e 04 08 00010203 56 42 00 02 02", b"\0\1"),
    ("42 04 003c00c0 56 68 00 04 00", [1.0, -2.0]),
    ("41 03 42 04 00010203 56 42 00 02 00 5e 01 56 42 02 02 00 5e 01 24 00 03", [b"\0\1", b"\2\3", b"\0\1\2\3"]),
    ("41 06 79 78 6e 000000000000f03f 73 2201 61 7a 10 0500000000000000 73 6302 ac20 24 00 06",
     [True, False, 1.0, "a", 5, "€"]),
    ("41 03 6f 7b 00 5e 01 5e 01 24 00 03", [{}, {}, {}]),
    ("41 04 78 44 0000000000000000 6f 7b00 5e 03 24 00 04", [False, datetime(1970, 1, 1, tzinfo=UTC), {}, {}]),
    ("44 000000000000f87f", None),
    ("72 6d 2201 6d 73 2201 73 63 30 2e", JsError("Error", "m", "s")),
    ("27 4902 5a100100000000000000 54 2c 03", [1.0, 1, True]),
    ("27 41 01 4902 24 00 01 2c 01", {(1.0,)}),
    ("27 27 4902 2c 01 2c 01", {frozenset({1.0})}),
    ("27 6f 7b 00 2c 01", [{}]),
    ("3b 6f 7b 00 4902 3a 02", [({}, 1.0)]),
    ("3b 30 4902 5f 4904 3a 04", [(None, 1.0), (None, 2.0)]),
    ("3b 41 01 4902 24 00 01 4904 3a 02", {(1.0,): 2.0}),
    ("6f 00 00 6302 ac20 54 7b 01", {"€": True}),
    ("5c 0a 02 0102", b"\1\2"),
    ("41 02 5c 07 08 0000803f00000040 5e 01 24 00 02", [array("f", [1, 2])] * 2),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ_ONLY, ids=lambda item: str(item)[:30])
def test_other_forms(text: str, value: Any) -> None:
    """Everything else that V8 writes comes as the nearest value of Python."""
    assert same(v8.decode(data(text)), value)


def test_views_of_version_13() -> None:
    """The oldest version has no flags behind a view; the ones before and after what is read are refused."""
    assert v8.decode(data("41 01 42 02 0102 56 42 00 02 24 00 01", 13)) == [b"\1\2"]
    for version in (0, 12, 17, 200):
        with pytest.raises(KvValueError, match="this Echelon reads 13 to 16"):
            v8.decode(data("30", version))


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Shape(Enum):
    ROUND = None
    BOX = [1.0]  # noqa: RUF012 - the value of a member, not shared state


class Point(NamedTuple):
    x: float
    y: float


@dataclass
class User:
    name: str
    tags: set[str]


class Tagged(msgspec.Struct, tag="t", rename={"a": "A"}):
    a: float
    b: Any = msgspec.UNSET


class Row(msgspec.Struct, array_like=True):
    a: float
    b: str


class Floating(float):
    pass


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Size.BIG, 3),
        (Shape.ROUND, None),
        (Shape.BOX, [1.0]),
        (Floating(1.5), 1.5),
        ((1.0, "a"), [1.0, "a"]),
        (Point(1.0, 2.0), [1.0, 2.0]),
        (frozenset({1}), {1}),
        ([bytearray(b"a"), memoryview(b"b")], [b"a", b"b"]),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        ({Colour.RED: 1}, {"red": 1}),
        ({Size.BIG: 1, "a": 2}, {3: 1, "a": 2}),
        ({(1, "a"): None}, {(1, "a"): None}),
        (User("Ada", {"x"}), {"name": "Ada", "tags": {"x"}}),
        (Tagged(1.0), {"type": "t", "A": 1.0}),
        (Row(1.0, "x"), [1.0, "x"]),
        (array("l", [1, -1]), array("q", [1, -1])),
        (array("B", b"ab"), b"ab"),
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 1, tzinfo=UTC)),
        (NOW.replace(microsecond=89_999), NOW),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
    ids=lambda item: repr(item)[:30],
)
def test_plain_forms(value: Any, plain: Any) -> None:
    """Enums, tuples, dataclasses and Structs are stored as plain data, moments to the millisecond."""
    wire, encoding = encode_value(value, form="v8")
    assert encoding in (Encoding.V8, Encoding.BYTES)
    assert same(decode_value(wire, encoding), plain)


def test_types_come_back() -> None:
    """`type=` makes dataclasses and Structs again of what V8 kept, numbers included."""

    @dataclass
    class Place:
        name: str
        floor: int
        at: datetime

    place = Place("tower", 3, NOW)
    assert convert_value(v8.decode(v8.encode(place)), Place) == place
    from_javascript = v8.decode(v8.encode({"name": "x", "floor": 3.0, "at": NOW}))
    assert same(convert_value(from_javascript, Place, Encoding.V8).floor, 3)
    with pytest.raises(KvValueError, match=r"Expected `int`, got `float` - at `\$\.floor`"):
        convert_value(from_javascript | {"floor": 3.5}, Place, Encoding.V8)
    with pytest.raises(KvValueError, match="Expected `int`"):
        convert_value(from_javascript, Place, Encoding.MSGPACK)
    numbers = {"a": [1.0, {2.0}, (3.0,)], "b": 0.5}
    assert same(convert_value(numbers, dict[str, float | list[Any]], Encoding.V8)["b"], 0.5)
    assert convert_value(v8.decode(v8.encode(Tagged(1.0))), Tagged) == Tagged(1.0)
    assert convert_value([[1.0, "a"]], list[Row]) == [Row(1.0, "a")]


def test_top_level_encodings() -> None:
    """Bytes and U64 have encodings of their own, whatever the format."""
    for value in (b"x", bytearray(b"x"), memoryview(b"x")):
        assert encode_value(value, form="v8") == (b"x", Encoding.BYTES)
    assert encode_value(U64(7), form="v8") == (b"\7\0\0\0\0\0\0\0", Encoding.U64)
    assert encode_value(7, form="v8")[1] == Encoding.V8
    with pytest.raises(KvValueError, match="too large"):
        encode_value("x" * limits.MAX_VALUE_BYTES, form="v8")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ({"a": U64(1)}, "use int"),
        (Decimal("1.5"), "no Decimal: store str"),
        (UUID(int=1), "no UUID: store str"),
        (date(2026, 1, 1), r"no date: store \.isoformat"),
        (time(1), r"no time: store \.isoformat"),
        ([timedelta(1)], r"store \.total_seconds"),
        (datetime(2026, 1, 1), "without tzinfo"),
        (array("u", "ab"), "store a str"),
        (object(), "type object cannot be stored"),
        (len, "cannot be stored"),
        (User, "cannot be stored"),
        (1j, "type complex cannot be stored"),
        (JsRegExp("a", "q"), "flags of a JsRegExp"),
    ],
    ids=lambda item: str(item)[:30],
)
def test_refused_values(value: Any, advice: str) -> None:
    """What V8 cannot hold is refused with what to store instead."""
    with pytest.raises(KvValueError, match=advice):
        v8.encode(value)


def nest(levels: int) -> Any:
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


def test_depth() -> None:
    """A hundred levels pass both ways; more, and values that contain themselves, are refused."""
    deepest = nest(limits.MAX_VALUE_DEPTH)
    assert v8.decode(v8.encode(deepest)) == deepest
    for value in (nest(limits.MAX_VALUE_DEPTH + 1), cycle := []):
        if value is cycle:
            cycle.append({"a": cycle})
        with pytest.raises(KvValueError, match="nested too deeply"):
            v8.encode(value)
    for opened, closed in (
        ("4101", "240001"),
        ("6f220161", "7b01"),
        ("27", "2c01"),
        ("3b30", "3a02"),
        ("7263", "2e"),
    ):
        inside = data(opened * 101 + "30" + closed * 101)
        with pytest.raises(KvValueError, match="nested too deeply"):
            v8.decode(inside)
        v8.decode(data(opened * 100 + "30" + closed * 100))


def test_a_stack_that_is_nearly_full() -> None:
    """Where a value does not fit on the stack it is refused, and not with an error of Python's."""
    deepest = nest(limits.MAX_VALUE_DEPTH)
    wire = v8.encode(deepest)

    def call(levels: int, work: Callable[[], object]) -> object:
        return call(levels - 1, work) if levels else work()

    levels = sys.getrecursionlimit() - len(inspect.stack(0)) - 80
    for work in (lambda: v8.encode(deepest), lambda: v8.decode(wire)):
        with pytest.raises(KvValueError, match="nested too deeply"):
            call(levels, work)


def test_references_count_as_depth() -> None:
    """A reference cannot take a value deeper than it may be written."""
    tower = "4101" * 60 + "30" + "240001" * 60
    inside = "4101" * 39 + "5e01" + "240001" * 39
    value = v8.decode(data(f"4102 {tower} {inside} 240002"))
    assert len(value) == 2
    for levels in (40, 99):
        inside = "4101" * levels + "5e01" + "240001" * levels
        with pytest.raises(KvValueError, match="nested too deeply"):
            v8.decode(data(f"4102 {tower} {inside} 240002"))
    beside = f"4102 {tower} 4100240000 240002"  # what lies beside the tower makes it no lower
    with pytest.raises(KvValueError, match="nested too deeply"):
        v8.decode(data(f"4102 {beside} {'4101' * 39} 5e01 {'240001' * 39} 240002"))
    twice = "4101" * 39 + "5e01" + "240001" * 39
    third = "4101" + "5e3d" + "240001"  # the number of the array that holds the first reference
    with pytest.raises(KvValueError, match="nested too deeply"):
        v8.decode(data(f"4103 {tower} {twice} {third} 240003"))


def test_references_cannot_multiply() -> None:
    """References that would make a value enormous are refused, by count, in any shape."""
    level, wire = 0, ["41 14", "42 01 00"]
    for level in range(19):
        wire.append(f"41 0a {f'5e {level + 1:02x}' * 10} 24 00 0a")
    with pytest.raises(KvValueError, match="shared too often"):
        v8.decode(data("".join(wire) + "24 00 14"))
    views = "42 e807" + "00" * 1000 + "5e 01 56 42 00 e807 00" * 2000
    with pytest.raises(KvValueError, match="shared too often"):
        v8.decode(data(f"41 d10f {views} 24 00 d10f"))
    thousand = "e807"
    for first in (
        f"73 22 {thousand}" + "61" * 1000,
        f"7a d00f {'01' * 1000}",
        f"61 {thousand} 40 00 {thousand}",
    ):
        many = f"41 d10f {first} {'5e 01' * 2000} 24 00 d10f"
        with pytest.raises(KvValueError, match="shared too often"):
            v8.decode(data(many))
    with pytest.raises(KvValueError, match="too large"):
        v8.decode(data("61 ffffffff0f 40 00 ffffffff0f"))


def test_cycles_are_refused() -> None:
    """A value that contains itself, which JavaScript allows, is refused clearly."""
    for text in (
        "41 01 5e 00 24 00 01",
        "6f 2201 61 41 01 5e 00 24 00 01 7b 01",
        "27 5e 00 2c 01",
        "72 63 5e 00 2e",
    ):
        with pytest.raises(KvValueError, match="contains itself"):
            v8.decode(data(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5c ffffffff0f 6f 7b 00", "object of its host"),
        ("75 00", "shares memory"),
        ("70 00", "shares memory"),
        ("77 00", "shares memory"),
        ("44 0000dcc208b23e43", "outside the years"),
    ],
)
def test_unreadable_values(text: str, reason: str) -> None:
    """What only its writer or no value of Python can hold is a KvValueError that says so."""
    with pytest.raises(KvValueError, match=reason):
        v8.decode(data(text))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\xff",
        b"\xff\x10",
        b"x",
        data("40"),
        data("3030"),
        data("2205 61"),
        data("22 ff"),
        data("63 04 6100"),
        data("63 03 610061"),
        data("4e 00"),
        data("49 ffffffffffffffffffffffff"),
        data("5a 10 01"),
        data("41 ffffffff0f"),
        data("41 05 30"),
        data("41 01 30 24 00 02"),
        data("41 01 30 24 01 01"),
        data("61 01 40 00 02"),
        data("6f 2201 61"),
        data("6f 2201 61 30 7b 02"),
        data("6f 2201 61 30 2201 61 30 7b 02"),
        data("6f 30 30 7b 01"),
        data("6f 4e 000000000000f83f 30 7b 01"),
        data("6f 4e 000000000000f87f 30 7b 01"),
        data("3b 30 3a 01"),
        data("27 30 2c 02"),
        data("5e 00"),
        data("41 01 5e 05 24 00 01"),
        data("42 05 00"),
        data("42 04 00000000 56 42 02 04 00"),
        data("42 04 00000000 56 42 05 00 00"),
        data("42 04 00000000 56 46 00 04 00"),
        data("42 03 000000 56 68 00 03 00"),
        data("42 04 00000000 56 7a 00 04 00"),
        data("7e 04 08 00000000 56 42 05 00 03"),
        data("5c 08 03 000000"),
        data("72 6d 30 2e"),
        data("72 7a"),
        data("52 30 00"),
        data("73 30"),
        data("00 00 00"),
    ],
    ids=bytes.hex,
)
def test_damaged_bytes(wire: bytes) -> None:
    """Bytes that V8 would not have written are a damaged value, whatever is wrong with them."""
    with pytest.raises(KvStorageError, match="a stored value is damaged"):
        v8.decode(wire)


def test_every_prefix_is_damaged() -> None:
    """A value that is cut off anywhere is refused."""
    whole = v8.encode([{"name": "Ada€", "n": 3, "x": 1.5}, {1: b"bytes"}, NOW, JsError("Error", "m"), {2.0}])
    for end in range(2, len(whole)):
        with pytest.raises(KvStorageError, match="damaged"):
            v8.decode(whole[:end])


def test_native_values_for_javascript() -> None:
    """A value stored in the native format can be handed out as V8's; the others are what they are."""
    value = {"a": [1, 2.5, {"x"}, b"raw", NOW]}
    wire, encoding = to_v8(*encode_value(value))
    assert encoding == Encoding.V8
    assert v8.decode(wire) == value
    for other in (b"raw", U64(3)):
        assert to_v8(*encode_value(other)) == encode_value(other)
    assert to_v8(v8.encode(1), Encoding.V8) == (v8.encode(1), Encoding.V8)
    with pytest.raises(KvValueError, match="no Decimal"):
        to_v8(*encode_value(Decimal(1)))
