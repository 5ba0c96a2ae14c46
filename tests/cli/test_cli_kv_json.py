"""Keys and values of the store as JSON: nothing is lost on the way."""

from __future__ import annotations

import json
import math
from array import array
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echelon.cli import kv_json
from echelon.cli.parser import Usage
from echelon.kv import U64
from echelon.kv.codec import decode_value, encode_key, encode_value
from echelon.kv.v8 import JsError, JsRegExp


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("users", ("users",)),
        ("users/1", ("users", 1)),
        ("users/-5/x", ("users", -5, "x")),
        ("a/007", ("a", "007")),
        ("a/1.5", ("a", "1.5")),
        ("a/-0", ("a", 0)),
        ("", ()),
        ('["users", "1"]', ("users", "1")),
        ('["a/b", 1, 1.0, true]', ("a/b", 1, 1.0, True)),
        ('[{"$bytes": "AAE="}, {"$float": "nan"}]', (b"\0\1", math.nan)),
    ],
)
def test_keys(text: str, key: tuple[Any, ...]) -> None:
    """A path is short to write, a JSON array can say everything."""
    assert repr(kv_json.read_key(text)) == repr(key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users//1", "KEY: 'users//1' has an empty part"),
        ("/users", "has an empty part"),
        ("[1", "KEY: '[1' is not JSON"),
        ("[null]", "KEY: [null] is not a key"),
        ('[["a"]]', "is not a key"),
        ('[{"$set": [1]}]', "is not a key"),
        ('[{"$bytes": 1}]', "is not a $bytes"),
        ('[{"$what": 1}]', "$what is not a known tag"),
    ],
)
def test_keys_that_are_none(text: str, message: str) -> None:
    """A mistake in a key is one line."""
    with pytest.raises(Usage) as caught:
        kv_json.read_key(text)
    assert message in str(caught.value)


VALUES = [
    None,
    True,
    1 << 200,
    -1.5,
    math.inf,
    -math.inf,
    "text",
    "\ud800",
    b"\xff\0",
    bytearray(b"ab"),
    U64(18446744073709551615),
    [1, [2, {"a": U64(3)}]],
    {"plain": 1, "$odd": 2},
    {"$bytes": "not bytes, a dict"},
    {1: "one", (1, "a"): [b"x"], None: 2.5, b"k": {}},
    {1, 2, "three"},
    {(1, (2, b"x"))},
    frozenset({b"a"}),
    datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    datetime(2026, 1, 2),
    date(2026, 1, 2),
    time(3, 4, 5),
    timedelta(days=-1, microseconds=7),
    UUID(int=7),
    Decimal("1.10"),
    array("d", [1.5, math.inf]),
    JsError("RangeError", "no", None, {"code": U64(5)}),
    JsRegExp("a/b", "gi"),
    {},
    [],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_as_themselves(value: Any) -> None:
    """Value to JSON to value gives the same type and the same value."""
    text = kv_json.to_json(value)
    json.loads(text)
    assert "\n" not in text
    again = kv_json.read_value(text)
    assert type(again) is type(value)
    assert again == value


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.integers(0, (1 << 64) - 1).map(U64), st.dates(), st.uuids(), st.timedeltas(), st.sets(st.integers()),
)  # fmt: skip
_names = st.one_of(st.text(), st.sampled_from(["$bytes", "$dict", "$set"]))
_stored = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(_names, inner), max_leaves=12)


@given(_stored)
def test_what_the_store_keeps_json_keeps(value: Any) -> None:
    """Whatever comes out of the store goes through JSON unharmed, tags of users included."""
    try:
        stored = decode_value(*encode_value(value))
    except ValueError:  # half a surrogate pair, or too many digits: the store refuses it
        return
    again = kv_json.read_value(kv_json.to_json(stored))
    assert encode_value(again) == encode_value(stored) or again == stored


_parts = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(1 << 70), 1 << 70))
_parts = st.one_of(_parts, st.floats(), st.booleans(), st.binary())


@example((math.nan,))
@example((math.copysign(math.nan, -1),))
@given(st.lists(_parts, max_size=5).map(tuple))
def test_keys_come_back_as_themselves(key: tuple[Any, ...]) -> None:
    """A key printed by `kv list` means the same key again."""
    assert encode_key(kv_json.read_key(kv_json.to_json(key))) == encode_key(key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ada", "VALUE: 'Ada' is not JSON"),
        ("Ada", "a text is written in quotes: '\"Ada\"'"),
        ("{", "VALUE: '{' is not JSON"),
        ("NaN", '{"$float": "NaN"}'),
        ('{"$u64": 5}', "is not a $u64"),
        ('{"$u64": "-1"}', "is not a $u64"),
        ('{"$u64": "99999999999999999999"}', "is not a $u64"),
        ('{"$set": 1}', "is not a $set"),
        ('{"$set": [{"a": 1}]}', "is not a $set"),
        ('{"$dict": [[1]]}', "is not a $dict"),
        ('{"$datetime": "yesterday"}', "is not a $datetime"),
        ('{"$timedelta": "long"}', "is not a $timedelta"),
        ('{"$decimal": "x"}', "is not a $decimal"),
        ('{"$array": ["x", "AA=="]}', "is not a $array"),
        ('{"$array": ["d", "AA=="]}', "is not a $array"),
        ('{"$array": 5}', "is not a $array"),
        ('{"$error": "no"}', "is not a $error"),
        ('{"$error": {"name": "Wrong"}}', "is not a $error"),
        ('{"$regexp": "a+"}', "is not a $regexp"),
        ('{"$float": "1"}', "is not a $float"),
        ('{"$nope": 1}', "$nope is not a known tag"),
        ("[" * 100_000, "is not JSON"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
    ],
)
def test_values_that_are_none(text: str, message: str) -> None:
    """A mistake in a value is one line that says how to write it."""
    with pytest.raises(Usage) as caught:
        kv_json.read_value(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
