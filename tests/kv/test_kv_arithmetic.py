"""Arithmetic on stored bytes: U64, and the numbers of JavaScript with their bounds."""

from __future__ import annotations

from typing import Any

import pytest

from echelon.errors import KvValueError
from echelon.kv import U64, v8
from echelon.kv.arithmetic import combine
from echelon.kv.backend import Action, Bounds, Mutation
from echelon.kv.codec import Encoding, decode_value, encode_value

NOTHING = object()


def run(stored: Any, operand: Any, bounds: Bounds | None = None, action: Action = Action.SUM) -> Any:
    """What `operand` makes of `stored`, both as values; stored in V8 where the operand is."""
    value, encoding = encode_value(operand, form="v8")
    before = None if stored is NOTHING else encode_value(stored, form="v8")
    result = decode_value(*combine(Mutation(action, b"k", value, encoding, None, bounds), before))
    return type(result), result


def within(low: Any = None, high: Any = None, clamp: bool = False) -> Bounds:
    return Bounds(*(None if bound is None else v8.encode(bound) for bound in (low, high)), clamp)


@pytest.mark.parametrize(
    ("stored", "operand", "result"),
    [
        (NOTHING, 1, 1),
        (NOTHING, 1.5, 1.5),
        (NOTHING, U64(1), U64(1)),
        (5, -7, -2),
        (2**70, 2**70, 2**71),
        (1.0, 2.5, 3.5),
        (3.0, 1.0, 4.0),
        (U64(5), U64(2**64 - 1), U64(4)),
        (U64(5), 7, U64(12)),
        (U64(5), 2**64 - 1, U64(4)),
    ],
)
def test_sums(stored: Any, operand: Any, result: Any) -> None:
    """int and int, float and float, U64 and U64 or an int that fits it; an absent entry takes the operand."""
    assert run(stored, operand) == (type(result), result)


@pytest.mark.parametrize(
    ("stored", "operand", "reason"),
    [
        (1.0, 1, r"stored is a float \(Number\), the operand an int \(BigInt\)"),
        (1, 1.0, "stored is an int"),
        (U64(1), 1.0, "stored is a U64, the operand a float"),
        (U64(1), -1, "the operand an int"),
        (U64(1), 2**64, "the operand an int"),
        (1.0, U64(1), "sum works on a U64 only: what is stored is not one"),
        ("1", 1, "what is stored is none of them"),
        (b"12345678", 1, "what is stored is none of them"),
        (True, 1, "what is stored is none of them"),
        ([1], 1, "what is stored is none of them"),
        (NOTHING, "1", "its operand is none of them"),
        (NOTHING, b"12345678", "its operand is none of them"),
        (NOTHING, None, "its operand is none of them"),
        (NOTHING, True, "its operand is none of them"),
    ],
)
def test_what_does_not_add_up(stored: Any, operand: Any, reason: str) -> None:
    """Numbers of two types, and what is no number, are refused with what each of them is."""
    with pytest.raises(KvValueError, match=reason):
        run(stored, operand)


def test_bounds() -> None:
    """A sum outside its bounds is refused, or brought to the nearer one; an absent entry has none."""
    assert run(5, 5, within(0, 10)) == (int, 10)
    assert run(5.0, 5.5, within(None, 10.0, True)) == (float, 10.0)
    assert run(5, -9, within(0, 10, True)) == (int, 0)
    assert run(NOTHING, 99, within(0, 10)) == (int, 99)
    assert run(5, 1, Bounds(b"", b"", True)) == (int, 6)
    for operand in (6, -6):
        with pytest.raises(KvValueError, match="leaves its bounds"):
            run(5, operand, within(0, 10))
    for bounds in (within(0.0), within(None, "x"), Bounds(b"damaged", None)):
        with pytest.raises(KvValueError, match="of the type of its operand"):
            run(NOTHING, 1, bounds)
    with pytest.raises(KvValueError, match="stored is a U64"):
        run(U64(5), 1, within(0))


def test_min_and_max_take_u64_only() -> None:
    """min and max refuse the numbers of JavaScript, as Deno does."""
    for action in (Action.MIN, Action.MAX):
        assert run(NOTHING, U64(3), action=action) == (U64, 3)
        with pytest.raises(KvValueError, match=f"{action.name.lower()} works on a U64 only: its operand"):
            run(NOTHING, 3, action=action)


def test_native_numbers_add_up() -> None:
    """A sum of JavaScript's also works on a number that Python stored, and leaves one that both read."""
    for stored, operand in ((5, 2), (0.5, 1.0)):
        mutation = Mutation(Action.SUM, b"k", v8.encode(operand), Encoding.V8)
        value, encoding = combine(mutation, encode_value(stored))
        assert (decode_value(value, encoding), encoding) == (stored + operand, Encoding.V8)


def test_damaged_numbers() -> None:
    """Bytes that are no number of V8 are refused, wherever they come from; a Number object is no number either."""
    good = v8.encode(1)
    boxed = b"\xff\x0fz\x10\x01\0\0\0\0\0\0\0"
    for bad in (b"", b"\xff", b"\xff\x0fZ\x10", good[:3], good + b"x", boxed):
        with pytest.raises(KvValueError, match="its operand is none of them"):
            combine(Mutation(Action.SUM, b"k", bad, Encoding.V8), None)
        with pytest.raises(KvValueError, match="what is stored is none of them"):
            combine(Mutation(Action.SUM, b"k", good, Encoding.V8), (bad, Encoding.V8))
