"""Values as they cross between a Python script and its host.

The first byte says how the rest is to be read: `0` JSON, `1` JSON in which an object with the one key `$bytes` stands
for bytes and `$dict` for an object that would be mistaken for one of these, `4` a text, `5` bytes. Python's own JSON is
used, so whole numbers have any size and NaN and infinities exist.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

import msgspec

from echelon.errors import GuestError
from echelon.runtime.json_values import MAX_DEPTH

JSON, SPECIAL, ERROR, TEXT, BYTES, FRAMED = b"0", b"1", b"2", b"4", b"5", b"6"
_MARKS: Final = ("$bytes", "$dict")
_LONG_NUMBER: Final = re.compile(rb"\d{18}")
"""What may be a whole number beyond 64 bits, which the faster reader would round."""


class _Special(Exception):
    """There is something in a value that JSON has no way to write."""


def encode(value: Any) -> bytes:
    """Return a value for a script; raises TypeError or ValueError for what cannot cross."""
    if isinstance(value, bytes):
        return BYTES + value
    try:
        if isinstance(value, str):
            return TEXT + value.encode()
        try:
            return JSON + json.dumps(value, ensure_ascii=False, default=_more).encode()
        except _Special:
            return SPECIAL + json.dumps(_lower(value, 0), ensure_ascii=False, default=_more).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair") from None


def _more(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raise _Special
    return msgspec.to_builtins(value)


def _lower(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deeply, or contains itself")
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [_lower(item, depth + 1) for item in value]
    if isinstance(value, dict):
        lowered = {key: _lower(item, depth + 1) for key, item in value.items()}
        return {"$dict": lowered} if len(value) == 1 and next(iter(value)) in _MARKS else lowered
    return value


def decode(data: bytes) -> Any:
    """Read a value of a script; raises GuestError."""
    kind, rest = data[:1], data[1:]
    if kind == BYTES:
        return rest
    try:
        if kind == TEXT:
            return rest.decode()
        if kind not in (JSON, SPECIAL):
            raise GuestError("the script returned what is no value")
        value = _read(rest)
        return _lift(value) if kind == SPECIAL else value
    except (ValueError, TypeError, RecursionError) as exc:
        raise GuestError(f"the script returned what is not JSON: {exc}") from None


def _read(text: bytes) -> Any:
    value: Any
    try:
        value = json.loads(text) if _LONG_NUMBER.search(text) else msgspec.json.decode(text)
    except msgspec.DecodeError:  # NaN and infinities are no JSON; the slower reader knows them
        value = json.loads(text)
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth(value, 0) > MAX_DEPTH:
        raise GuestError(f"the script returned a value that is nested more than {MAX_DEPTH} levels deep")
    return value


def _depth(value: Any, level: int) -> int:
    if level > MAX_DEPTH or not isinstance(value, list | dict):
        return level
    items = value.values() if isinstance(value, dict) else value
    return max(
        (_depth(item, level + 1) for item in items if isinstance(item, list | dict)), default=level + 1
    )


def _lift(value: Any) -> Any:
    if isinstance(value, list):
        return [_lift(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, item = next(iter(value.items()))
        if name == "$bytes":
            return base64.b64decode(item, validate=True)
        if name == "$dict" and isinstance(item, dict):
            value = item
    return {key: _lift(item) for key, item in value.items()}
