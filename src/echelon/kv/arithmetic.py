"""What sum, min and max do to stored bytes: the same in every engine.

All three work on U64. A sum that comes from JavaScript may also add Number to Number or BigInt to BigInt, which
are float and int here; it may then have bounds, which count only where something is stored already.
"""

from __future__ import annotations

from typing import Final

from echelon.errors import KvError, KvValueError
from echelon.kv import limits, v8
from echelon.kv.backend import Action, Bounds, Mutation
from echelon.kv.codec import Encoding, decode_u64, decode_value
from echelon.kv.u64 import U64

_NUMBER_TAGS: Final = frozenset(b"INUZ")
"""What a V8 value that is a number begins with, behind its header; a Number object is none."""

_NO_BOUNDS: Final = Bounds(None, None)


def combine(mutation: Mutation, stored: tuple[bytes, int] | None) -> tuple[bytes, int]:
    """Return what a SUM, MIN or MAX leaves, as value and encoding, where `stored` was, or nothing.

    Raises KvValueError when the operation does not work on what is stored, or not with its operand.
    """
    if mutation.action == Action.SUM and mutation.encoding != Encoding.U64:
        return _add(mutation, stored)
    name = mutation.action.name.lower()
    if mutation.encoding != Encoding.U64 or len(mutation.value) != 8:
        raise KvValueError(f"{name} works on a U64 only: its operand is not one")
    if stored is None:
        return mutation.value, Encoding.U64
    value, encoding = stored
    if encoding != Encoding.U64:
        raise KvValueError(f"{name} works on a U64 only: what is stored is not one; set it to U64(...) first")
    left, right = int(decode_u64(value)), int.from_bytes(mutation.value, "little")
    if mutation.action == Action.SUM:
        result = (left + right) & limits.MAX_U64
    else:
        result = min(left, right) if mutation.action == Action.MIN else max(left, right)
    return result.to_bytes(8, "little"), Encoding.U64


def _add(mutation: Mutation, stored: tuple[bytes, int] | None) -> tuple[bytes, int]:
    """Add numbers of JavaScript."""
    operand = _load(mutation.value, mutation.encoding)
    if operand is None:
        raise KvValueError("sum adds a U64, an int or a float: its operand is none of them")
    bounds = mutation.bounds or _NO_BOUNDS
    low, high = (_load_bound(bound, type(operand)) for bound in (bounds.low, bounds.high))
    if stored is None:
        return _store(operand)
    current = _load(*stored)
    if current is None:
        raise KvValueError("sum works on a U64, an int or a float: what is stored is none of them")
    if type(current) is U64 and not any(bounds) and type(operand) is int and 0 <= operand <= limits.MAX_U64:
        return _store(U64((current + operand) & limits.MAX_U64))
    if type(current) is not type(operand):
        raise KvValueError(
            f"sum adds numbers of one type: what is stored is {_name(current)}, the operand {_name(operand)}"
        )
    return _store(_bind(current + operand, low, high, clamp=bounds.clamp))


def _bind(total: float, low: float | None, high: float | None, *, clamp: bool) -> float:
    if low is not None and total < low:
        total = _reach(low, clamp=clamp)
    if high is not None and total > high:
        total = _reach(high, clamp=clamp)
    return total


def _reach(bound: float, *, clamp: bool) -> float:
    if not clamp:
        raise KvValueError("the sum leaves its bounds; nothing was changed")
    return bound


def _load(data: bytes, encoding: int) -> U64 | int | float | None:
    """Return a stored number, None for anything else."""
    if encoding == Encoding.V8 and data[2:3] and data[2] not in _NUMBER_TAGS:
        return None
    if encoding == Encoding.BYTES:
        return None
    try:
        value = decode_value(data, encoding)
    except KvError:
        return None
    return value if type(value) in (U64, int, float) else None


def _load_bound(data: bytes | None, kind: type) -> int | float | None:
    if not data:
        return None
    bound = _load(data, Encoding.V8)
    if type(bound) is not kind:
        raise KvValueError("the bounds of a sum are numbers of the type of its operand")
    return bound


def _store(value: U64 | int | float) -> tuple[bytes, int]:
    if type(value) is U64:
        return value.to_bytes(8, "little"), Encoding.U64
    return v8.encode(value), Encoding.V8


def _name(value: object) -> str:
    return {U64: "a U64", int: "an int (BigInt)", float: "a float (Number)"}[type(value)]
