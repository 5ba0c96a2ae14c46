"""Values of a guest as JSON, and back.

`bytes` (and v128) travel as base64, floats that JSON lacks as "NaN", "Infinity" and "-Infinity", integers of
any size as JSON integers, several results as a list. Arguments are read by the types of the function's
signature; results are written by what they are, for the types of a signature are only the module's claim.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from math import isfinite, isnan
from types import NoneType
from typing import Any, Final

from echelon.runtime.component.values import Err, Ok, Some, Variant
from echelon.runtime.result import Outcome
from echelon.runtime.signature import MAX_DEPTH, Function, Value

_SPECIAL: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_AS_IS: Final = frozenset({int, bool, str, NoneType})
_TEXTS: Final = ("bytes", "v128", "f32", "f64")
"""Types whose values may come as text without being text."""


def arguments_from_json(function: Function, arguments: Sequence[Any]) -> list[Any]:
    """Return the arguments of a call; raises ValueError that names the one that is malformed.

    Only the form is checked here: whether a value fits its type is for the runtime to say.
    """
    read = list(arguments)
    for position, (param, argument) in enumerate(zip(function.params, arguments, strict=False)):
        if any(kind in param.type for kind in _TEXTS):
            try:
                read[position] = _read(param.type, argument, MAX_DEPTH)
            except ValueError as exc:
                raise ValueError(
                    f"{function.name}() argument {position + 1} ({_label(param)}): {exc}"
                ) from None
    return read


def value_to_json(value: Any) -> Any:
    """Return a result as JSON has it."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is float:
        return value if isfinite(value) else _name_of(value)
    if isinstance(value, list | tuple):
        return _list_to_json(value)
    if isinstance(value, dict):
        return {str(key): value_to_json(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Variant):
        return {"case": value.case, "value": value_to_json(value.value)}
    if isinstance(value, Ok | Some):
        return {"value": value_to_json(value.value)}
    if isinstance(value, Err):
        return {"error": value_to_json(value.error)}
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError(f"a guest's value is {kind.__name__}, which has no form in JSON")


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return what a call left, in the form the control API answers with."""
    return {**outcome.to_dict(), "value": value_to_json(outcome.value)}


def _list_to_json(items: Sequence[Any]) -> Sequence[Any]:
    kinds = set(map(type, items))
    if kinds <= _AS_IS or (kinds == {float} and all(map(isfinite, items))):
        return items
    return [value_to_json(item) for item in items]


def _read(kind: str, value: Any, depth: int) -> Any:
    if kind in ("f32", "f64"):
        return _SPECIAL.get(value, value) if isinstance(value, str) else value
    if kind in ("bytes", "v128"):
        return _bytes(value) if isinstance(value, str) else value
    outer, _, inner = kind.removesuffix(">").partition("<")
    if depth == 0:
        raise ValueError("its type is nested too deeply")
    if outer == "option":
        return None if value is None else _read(inner, value, depth - 1)
    if outer == "list" and isinstance(value, list):
        return [_read(inner, item, depth - 1) for item in value]
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError(f"bytes are given as base64 text: {exc}") from None


def _name_of(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _label(param: Value) -> str:
    return f"{param.name}: {param.type}" if param.name else param.type
