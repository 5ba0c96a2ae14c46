"""Keys and values of the store as JSON, without loss.

What JSON has is written as it is. Everything else is an object with one name that begins with "$":
{"$bytes": "AAE="}, {"$u64": "5"}, {"$set": [1, 2]}, {"$datetime": "2026-01-02T03:04:05+00:00"}, {"$float": "NaN"},
{"$dict": [[1, "one"]]} (a dict whose names are not all text, or whose only name begins with "$"). Values of
JavaScript that Python lacks are {"$error": …}, {"$regexp": ["a+", "g"]} and {"$array": ["d", "AAA="]}.
"""

from __future__ import annotations

import base64
import json
import math
import re
from array import array
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from echelon.cli.parser import Usage
from echelon.kv import U64
from echelon.kv.codec import Key
from echelon.kv.v8_format import ARRAY_CODES, JsError, JsRegExp

_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_DIGITS: Final = 600  # more than the largest int of a key has


def read_key(text: str, what: str = "KEY") -> Key:
    """Return the key that a word means: `users/1`, or a JSON array; raises Usage."""
    if text.startswith("["):
        value = _loads(text, what)
        return key_from_json(value, what)
    if not text:
        return ()
    parts = text.split("/")
    if "" in parts:
        raise Usage(
            f'{what}: {text!r} has an empty part; write "users/1", or a JSON array such as ["users", 1]'
        )
    return tuple(int(part) if _WHOLE.fullmatch(part) and len(part) < _MAX_DIGITS else part for part in parts)


def key_from_json(value: Any, what: str) -> Key:
    """Return the key that a JSON array means; raises Usage."""
    if not isinstance(value, list):
        raise Usage(f'{what}: a key is a JSON array such as ["users", 1]')
    try:
        parts = tuple(value_from_json(value))
    except ValueError as exc:
        raise Usage(f"{what}: {exc}") from None
    for part in parts:
        if not isinstance(part, str | int | float | bytes):
            raise Usage(
                f"{what}: {json.dumps(value)[:60]} is not a key; its parts are texts, numbers, booleans and"
                ' {"$bytes": …}'
            )
    return parts


def read_value(text: str, what: str = "VALUE") -> Any:
    """Return the value that a JSON text means; raises Usage."""
    try:
        return value_from_json(_loads(text, what))
    except ValueError as exc:
        raise Usage(f"{what}: {exc}") from None


def value_from_json(value: Any) -> Any:
    """Return the value that JSON means; raises ValueError for a tag that is unknown or wrongly used."""
    try:
        return _raise(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def to_json(value: Any) -> str:
    """Return a stored value, or a key, as one line of JSON."""
    text = json.dumps(_lower(value), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _loads(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        hint = "" if text[:1] in '[{"' else f"; a text is written in quotes: {json.dumps(text)!r}"
        raise Usage(f"{what}: {text[:60]!r} is not JSON ({exc}){hint}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f'{name} is not JSON; write {{"$float": "{name}"}}')


def _lower(value: Any) -> Any:
    """Return a value made of what JSON has."""
    if isinstance(value, U64):
        return {"$u64": str(int(value))}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _special(value)}
    if isinstance(value, list | tuple):
        return [_lower(item) for item in value]
    if isinstance(value, dict):
        return _lower_dict(value)
    for tag, (kind, lower, _) in _TAGS.items():
        if type(value) is kind:
            return {tag: lower(value)}
    raise ValueError(f"a value of type {type(value).__name__} cannot be written as JSON")


def _lower_dict(value: dict[Any, Any]) -> Any:
    names = list(value)
    looks_like_tag = len(names) == 1 and isinstance(names[0], str) and names[0].startswith("$")
    if looks_like_tag or not all(isinstance(name, str) for name in names):
        return {"$dict": [[_lower(name), _lower(item)] for name, item in value.items()]}
    return {name: _lower(item) for name, item in value.items()}


def _raise(value: Any) -> Any:
    """Return what JSON stands for; raises ValueError."""
    if isinstance(value, list):
        return [_raise(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    if len(value) != 1 or not name.startswith("$"):
        return {key: _raise(item) for key, item in value.items()}
    if name not in _TAGS:
        raise ValueError(f"{name} is not a known tag; known are {', '.join(_TAGS)}")
    try:
        return _TAGS[name][2](value[name])
    except (ValueError, TypeError, ArithmeticError, AttributeError) as exc:
        raise ValueError(f"{json.dumps(value)[:60]} is not a {name}: {exc}") from None


def _freeze(value: Any) -> Any:
    """Return a list as the tuple that a set, or the names of a dict, can hold."""
    return tuple(_freeze(item) for item in value) if isinstance(value, list) else value


def _raise_items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is needed")
    return [_freeze(_raise(item)) for item in value]


def _raise_dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise ValueError("a list of pairs is needed")
    return {_freeze(_raise(name)): _raise(item) for name, item in value}


def _special(value: float) -> str:
    """Write a float that JSON lacks; the two signs of NaN are two keys."""
    return "-nan" if math.isnan(value) and math.copysign(1, value) < 0 else repr(value)


def _raise_float(value: Any) -> float:
    if value not in ("nan", "-nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"):
        raise ValueError('"nan", "-nan", "inf" or "-inf" is needed')
    return float(value)


def _raise_bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("a base64 text is needed")
    return base64.b64decode(value, validate=True)


def _lower_bytes(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def _raise_u64(value: Any) -> U64:
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()) or len(value) > 20:
        raise ValueError('a text such as "5" is needed')
    return U64(int(value))


def _raise_array(value: Any) -> array[Any]:
    if not isinstance(value, list) or len(value) != 2 or value[0] not in ARRAY_CODES.values():
        raise ValueError(f"a list of one of {', '.join(ARRAY_CODES.values())} and a base64 text is needed")
    numbers: array[Any] = array(value[0])
    numbers.frombytes(_raise_bytes(value[1]))
    return numbers


def _raise_error(value: Any) -> JsError:
    if not isinstance(value, dict):
        raise ValueError("an object is needed")
    return msgspec.convert({name: _raise(item) for name, item in value.items()}, JsError)


def _raise_regexp(value: Any) -> JsRegExp:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of source and flags is needed")
    return JsRegExp(*value)


_Tag = tuple[type, Callable[[Any], Any], Callable[[Any], Any]]
_TAGS: Final[dict[str, _Tag]] = {
    "$bytes": (bytes, _lower_bytes, _raise_bytes),
    "$bytearray": (bytearray, _lower_bytes, lambda value: bytearray(_raise_bytes(value))),
    "$u64": (U64, str, _raise_u64),
    "$float": (float, _special, _raise_float),
    "$set": (set, lambda v: [_lower(item) for item in v], lambda v: set(_raise_items(v))),
    "$frozenset": (frozenset, lambda v: [_lower(item) for item in v], lambda v: frozenset(_raise_items(v))),
    "$dict": (dict, _lower_dict, _raise_dict),
    "$datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "$date": (date, date.isoformat, date.fromisoformat),
    "$time": (time, time.isoformat, time.fromisoformat),
    "$timedelta": (timedelta, lambda v: v // _MICROSECOND, lambda v: timedelta(microseconds=int(v))),
    "$uuid": (UUID, str, UUID),
    "$decimal": (Decimal, str, Decimal),
    "$array": (array, lambda v: [v.typecode, _lower_bytes(v.tobytes())], _raise_array),
    "$error": (JsError, lambda v: _lower(msgspec.structs.asdict(v)), _raise_error),
    "$regexp": (JsRegExp, lambda v: [v.source, v.flags], _raise_regexp),
}
"""For each tag its type, what writes it, and what reads it; a timedelta counts microseconds."""
