"""Values of a guest as JSON, and back."""

from __future__ import annotations

import base64
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.console.values import arguments_from_json, outcome_to_json, value_to_json
from echelon.runtime.result import Cost, LogEntry, Outcome
from echelon.runtime.signature import Function, Value


def function(*types: str) -> Function:
    return Function("f", tuple(Value(kind, f"p{place}") for place, kind in enumerate(types)))


def read(kind: str, value: Any) -> Any:
    """Read one argument of that type."""
    return arguments_from_json(function(kind), [value])[0]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (0.5, 0.5),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        ("NaN", "NaN"),
        ("é", "é"),
        (b"\x00\xff", "AP8="),
        (b"", ""),
        ((1, 2.0, b"a"), [1, 2.0, "YQ=="]),
        ([b"a", None], ["YQ==", None]),
        ([[1.0, math.nan], []], [[1.0, "NaN"], []]),
    ],
)
def test_results_become_json(value: Any, written: Any) -> None:
    """Each kind of result has one form, and what JSON lacks becomes text."""
    assert value_to_json(value) == written


def test_plain_lists_are_not_copied() -> None:
    """A list of numbers is JSON already."""
    for items in ([1, 2, 3], [0.5, 1.5], ["a"], [True, None]):
        assert value_to_json(items) is items


def test_large_integers_stay_integers() -> None:
    """A u64 above 2**53 is written with all of its digits."""
    assert msgspec.json.encode(value_to_json(2**64 - 1)) == b"18446744073709551615"


def test_what_no_guest_returns_is_refused() -> None:
    """An object that is no guest's value is an error, not a guess."""
    with pytest.raises(TypeError, match="object, which has no form in JSON"):
        value_to_json(object())


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("bytes", "AP8=", b"\x00\xff"),
        ("bytes", "", b""),
        ("v128", base64.b64encode(bytes(16)).decode(), bytes(16)),
        ("f64", "Infinity", math.inf),
        ("f32", "-Infinity", -math.inf),
        ("f64", 2, 2),
        ("str", "AP8=", "AP8="),
        ("str", "NaN", "NaN"),
        ("i64", 2**63 - 1, 2**63 - 1),
        ("option<bytes>", None, None),
        ("option<bytes>", "YQ==", b"a"),
        ("list<bytes>", ["YQ==", "Yg=="], [b"a", b"b"]),
        ("list<f64>", [1, "Infinity"], [1, math.inf]),
        ("list<option<list<bytes>>>", [None, ["YQ=="]], [None, [b"a"]]),
    ],
)
def test_arguments_are_read_by_their_type(kind: str, value: Any, result: Any) -> None:
    """The same text is bytes, a number or itself, as the signature says."""
    assert read(kind, value) == result


def test_nan_is_an_argument() -> None:
    """NaN is not equal to itself, so it is looked at alone."""
    assert math.isnan(read("f64", "NaN"))


@pytest.mark.parametrize("kind", ["bytes", "f64", "list<bytes>", "option<f32>", "i32", "list<i32>", "bool"])
@pytest.mark.parametrize("value", [True, {"a": 1}, [{}], 1.5])
def test_what_does_not_fit_is_left_for_the_runtime(kind: str, value: Any) -> None:
    """Only the form is read here; a value of the wrong type reaches the check that knows the types."""
    assert read(kind, value) == value


@pytest.mark.parametrize("text", ["a", "AP8", "A P8=", "é", "AP8=\n", "-_=="])
def test_bad_base64_names_the_argument(text: str) -> None:
    """Bytes that are not base64 are an error that says which argument and which form."""
    with pytest.raises(ValueError, match=r"^f\(\) argument 2 \(p1: bytes\): bytes are given as base64 text"):
        arguments_from_json(function("i32", "bytes"), [1, text])


def test_a_forged_type_ends_at_a_depth() -> None:
    """A module's type text may nest without end; its values are read to a fixed depth."""
    deep: Any = "YQ=="
    for _ in range(30):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        read("list<" * 30 + "bytes" + ">" * 30, deep)


def test_a_wrong_count_is_left_for_the_runtime() -> None:
    """Too many and too few arguments pass through, each read as far as there is a type."""
    assert arguments_from_json(function("bytes"), []) == []
    assert arguments_from_json(function("bytes"), ["YQ==", "YQ=="]) == [b"a", "YQ=="]


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bytes": st.binary(),
    "f64": st.floats(allow_nan=False),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "str": st.text(st.characters(exclude_categories=["Cs"])),
    "bool": st.booleans(),
}


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_values_survive_the_way_there_and_back(case: tuple[str, Any]) -> None:
    """What a guest returned can be given to it as an argument, and arrives as it was."""
    kind, value = case
    for wrapped, typed in ((value, kind), ([value, value], f"list<{kind}>"), (value, f"option<{kind}>")):
        travelled = msgspec.json.decode(msgspec.json.encode(value_to_json(wrapped)))
        assert read(typed, travelled) == wrapped


def test_an_outcome_has_every_part() -> None:
    """A call's answer holds its value as JSON, its output as text, its logs and its cost."""
    cost = Cost(wall=0.5, cpu=0.25, fuel=9, memory=65536, host_calls=2, wait=0.001)
    outcome = Outcome(b"\xff", b"out\xff", b"err", cost, (LogEntry("info", "hi"),))
    assert outcome_to_json(outcome) == {
        "value": "/w==",
        "stdout": "out\ufffd",
        "stderr": "err",
        "logs": [{"level": "info", "message": "hi"}],
        "cost": {
            "wall_ms": 500.0,
            "cpu_ms": 250.0,
            "wait_ms": 1.0,
            "fuel": 9,
            "memory_bytes": 65536,
            "host_calls": 2,
        },
    }
