"""Words of a command line as values of a type, and back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.cli.parser import Usage
from echelon.cli.values import Unfit, read_arguments, read_word, show, to_json
from echelon.runtime.signature import Function, Value


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("i32", "30", 30),
        ("i64", "-9223372036854775808", -(1 << 63)),
        ("u8", "+7", 7),
        ("u32", "0xff", 255),
        ("i32", "-0x10", -16),
        ("i32", "007", 7),
        ("f64", "1.5", 1.5),
        ("f64", "-1e5", -1e5),
        ("f32", ".5", 0.5),
        ("f64", "inf", math.inf),
        ("bool", "true", True),
        ("bool", "false", False),
        ("str", "", ""),
        ("str", '"quoted"', '"quoted"'),
        ("str", "@file", "@file"),
        ("bytes", "AAEC", b"\0\1\2"),
        ("bytes", "", b""),
        ("v128", "AAAAAAAAAAAAAAAAAAAAAA==", bytes(16)),
        ("list<i32>", "[1, 2]", [1, 2]),
        ("list<f64>", '[1, 2.5, "NaN"]', [1.0, 2.5, math.nan]),
        ("list<list<str>>", '[["a"], []]', [["a"], []]),
        ("list<bytes>", '["AAE="]', [b"\0\1"]),
        ("option<str>", "null", None),
        ("option<str>", '"x"', "x"),
        ("list<option<bool>>", "[null, true]", [None, True]),
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
        ("list<json>", '["x", {}]', ["x", {}]),
        ("option<json>", "null", None),
    ],
)
def test_words_by_type(kind: str, word: str, value: Any) -> None:
    """Each type reads its own way of writing, and keeps the type of what it reads."""
    found = read_word(kind, word)
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("kind", "word", "message"),
    [
        ("i32", "x", "'x' is not a whole number"),
        ("i32", "1.5", "'1.5' is not a whole number"),
        ("i32", "1_000", "'1_000' is not a whole number"),
        ("i32", "٣", "is not a whole number"),
        ("i64", "9" * 5000, "is not a whole number"),
        ("f64", "one", "'one' is not a number"),
        ("bool", "True", "'True' is neither true nor false"),
        ("bool", "1", "'1' is neither true nor false"),
        ("bytes", "not base64!", "is not base64; write base64, or @FILE"),
        ("bytes", "@absent.bin", "absent.bin: No such file or directory"),
        ("bytes", "@a\0b", "is not a path"),
        ("list<i32>", "1,2", "'1,2' is not JSON; write list<i32> as [1]"),
        ("list<i32>", "3", "'3' is not a list"),
        ("list<i32>", "[1, true]", "'true' at [1] is not i32; write it as 1"),
        ("list<i32>", "[1.0]", "'1.0' at [0] is not i32"),
        ("list<str>", "[1]", "'1' at [0] is not str; write it as \"text\""),
        ("list<list<bool>>", "[[true], [0]]", "'0' at [1][0] is not bool"),
        ("list<bytes>", '["?"]', "is not base64"),
        ("list<f64>", "[1" + "0" * 400 + "]", "is larger than any number of 64 bits"),
        ("option<str>", "x", "'x' is not JSON; write option<str> as null or \"text\""),
        ("list<i32>", "[" * 100_000, "is not JSON"),
        ("json", "x", "'x' is not JSON; write json as {\"a\": 1}"),
        ("externref", "x", "a reference cannot be given"),
    ],
)
def test_words_that_do_not_fit(kind: str, word: str, message: str) -> None:
    """What does not fit is said with what would."""
    with pytest.raises(Unfit) as caught:
        read_word(kind, word)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_bytes_from_a_file(tmp_path: Path) -> None:
    """@FILE is the content of a file, byte for byte."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"\xff\0\r\n")
    assert read_word("bytes", f"@{path}") == b"\xff\0\r\n"


FUNCTION = Function("area", (Value("f64", "width"), Value("list<i32>")), (Value("f64"),))


def test_arguments_of_a_function() -> None:
    """Every word is read by the type at its place."""
    assert read_arguments(FUNCTION, ["2", "[3]"]) == [2.0, [3]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1"], "area(width: f64, list<i32>) -> f64 takes 2 arguments, 1 given"),
        (["x", "[]"], "area() argument 1 (width: f64): 'x' is not a number"),
        (["1", "x"], "area() argument 2 (list<i32>): 'x' is not JSON; write list<i32> as [1]"),
    ],
)
def test_arguments_that_do_not_fit(words: list[str], message: str) -> None:
    """A mistake names the function, the place, the parameter and its type."""
    with pytest.raises(Usage) as caught:
        read_arguments(FUNCTION, words)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (832040, "832040"),
        (True, "true"),
        (1.0, "1.0"),
        (math.nan, "nan"),
        ("text", "text"),
        (b"\0\1", "AAE="),
        (None, "null"),
        ([1, "a", None], '[1, "a", null]'),
        ((7, math.inf), '[7, "Infinity"]'),
        ([b"\0"], '["AA=="]'),
        (["é"], '["é"]'),
    ],
)
def test_results(value: Any, text: str) -> None:
    """Scalars are shown plainly, everything else as JSON."""
    assert show(value) == text


def test_half_a_surrogate_pair_is_escaped() -> None:
    """A guest's text need not be valid Unicode; JSON stays JSON."""
    text = to_json(["\ud800"])
    assert text == '["\\ud800"]'
    assert json.loads(text) == ["\ud800"]


@given(st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.booleans(), st.binary()))
def test_results_can_be_typed_again(value: Any) -> None:
    """What is printed for a value is what has to be written for it."""
    kind = {bool: "bool", int: "i64", float: "f64", bytes: "bytes"}[type(value)]
    again = read_word(kind, show(value))
    assert again == value or (again != again and value != value)


@given(st.lists(st.one_of(st.none(), st.text())))
def test_lists_can_be_typed_again(value: list[str | None]) -> None:
    """The same holds for JSON."""
    assert read_word("list<option<str>>", show(value)) == value
