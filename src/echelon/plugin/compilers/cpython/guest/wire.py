"""Values as they cross between a script and its host, and the calls of the host.

The first byte says how the rest is to be read: JSON, JSON in which some objects stand for something else, text, bytes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import fields, is_dataclass
from typing import Any

from wit_world.imports import host  # type: ignore[import-not-found]  # made when the engine is built

JSON, SPECIAL, TEXT, BYTES = b"0", b"1", b"4", b"5"
LOG, WRITE, SEED, ZONE = range(4)
_MARKS = ("$bytes", "$dict")
_DEEPEST = 200


class _Special(Exception):
    """There is something in a value that JSON has no way to write."""


def encode(value: Any) -> bytes:
    """Return a value for the host; raises TypeError or ValueError for what cannot cross."""
    kind = type(value)
    if kind is str:
        return TEXT + _utf8(value)
    if kind is bytes:
        return BYTES + bytes(value)
    try:
        return JSON + _utf8(json.dumps(value, ensure_ascii=False, default=_more))
    except _Special:
        return SPECIAL + _utf8(json.dumps(_lower(value, 0), ensure_ascii=False, default=_more))
    except RecursionError:
        raise ValueError("the value is nested too deeply") from None


def decode(data: bytes) -> Any:
    """Read a value of the host."""
    kind, rest = data[:1], data[1:]
    if kind == TEXT:
        return rest.decode()
    if kind == BYTES:
        return rest
    value = json.loads(rest)
    return _lift(value) if kind == SPECIAL else value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text in the value has half of a surrogate pair") from None


def _more(value: Any) -> Any:
    """Return what stands for a value that JSON lacks."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise _Special
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} cannot cross to the host; make it one of JSON's")


def _lower(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("the value is nested too deeply")
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [_lower(item, depth + 1) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        value = _more(value)
    if isinstance(value, dict):
        lowered = {key: _lower(item, depth + 1) for key, item in value.items()}
        return {"$dict": lowered} if len(value) == 1 and next(iter(value)) in _MARKS else lowered
    return value


def _lift(value: Any) -> Any:
    if isinstance(value, list):
        return [_lift(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, item = next(iter(value.items()))
        if name == "$bytes":
            return base64.b64decode(item)
        if name == "$dict":
            value = item
    return {key: _lift(item) for key, item in value.items()}


def ask(operation: str, *values: Any) -> Any:
    """Ask the host something that takes time, and return its answer; raises what `failure` makes of a refusal."""
    good, answer = decode(host.ask(operation, encode(list(values))))
    if not good:
        raise Failure(answer)
    return answer


def tell(operation: int, data: bytes, extra: int = 0) -> bytes:
    """Ask the host something that it answers at once."""
    answer: bytes = host.tell(operation, extra, data)
    return answer


def look(name: str) -> bytes:
    """Return what the host knows of a variable, of all of them for an empty name."""
    answer: bytes = host.look(name)
    return answer


class Failure(Exception):
    """The host could not do what it was asked: the store refused, or there was no answer from the network."""
