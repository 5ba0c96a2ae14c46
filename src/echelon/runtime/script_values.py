"""Values of scripts: JSON, with what JSON lacks written as objects of one key, and what a script threw."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import GuestError, MemoryExceeded, Trap
from echelon.runtime import json_values

if TYPE_CHECKING:
    from echelon.runtime.limits import Limits

_BYTES: Final = "$bytes"
_INTEGER: Final = "$int"
_SAFE: Final = 1 << 53
_NO_MEMORY: Final = ("InternalError", "out of memory")
"""What the engine throws when its memory may not grow."""


def encode_value(value: Any, where: str) -> bytes:
    """Return a value as the host script reads it; raises TypeError or ValueError that says `where` it is."""
    try:
        special, plain = _lower(value)
        return (b"1" if special else b"0") + json_values.encode(plain)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"{where}: {exc}") from None


def _lower(value: Any) -> tuple[bool, Any]:
    """Write bytes and large numbers as JSON can, and tell whether there were any."""
    if isinstance(value, bytes | bytearray | memoryview):
        return True, {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return True, {_INTEGER: str(value)}
    if isinstance(value, list | tuple):
        pairs = [_lower(item) for item in value]
        return any(special for special, _ in pairs), [item for _, item in pairs]
    if isinstance(value, dict):
        named = {key: _lower(item) for key, item in value.items()}
        return any(special for special, _ in named.values()), {key: item for key, (_, item) in named.items()}
    return False, value


def decode_value(text: bytes) -> Any:
    """Read a value of the host script; raises GuestError."""
    value = json_values.decode(text[1:])
    return _lift(value) if text[:1] == b"1" else value


def _lift(value: Any) -> Any:
    if isinstance(value, list):
        return [_lift(item) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if len(value) == 1 and isinstance(value.get(_BYTES), str):
            return base64.b64decode(value[_BYTES], validate=True)
        if len(value) == 1 and isinstance(value.get(_INTEGER), str):
            return int(value[_INTEGER])
    except ValueError as exc:
        raise GuestError(f"the script returned a value that cannot be read: {exc}") from None
    return {key: _lift(item) for key, item in value.items()}


class _Thrown(msgspec.Struct):
    name: str = ""
    message: str = ""
    stack: str = ""


def decode_answer(answer: bytes, limits: Limits) -> Any:
    """Return what a script's function returned; raises the error for what it threw."""
    if answer[:1] != b"2":
        return decode_value(answer)
    found = msgspec.json.decode(answer[1:], type=_Thrown)
    raise thrown(found.name, found.message, found.stack, limits)


def thrown(name: str, message: str, stack: str, limits: Limits) -> GuestError:
    """Return the error for what a script threw and did not catch."""
    if (name, message) == _NO_MEMORY:
        text = f"the guest needs more than its limit of {limits.memory} bytes of memory"
        return MemoryExceeded(text, limit=limits.memory)
    text = f"{name}: {message}" if name else message or "an error without a message"
    lines = [line.strip() for line in stack.splitlines() if "echelon:host" not in line and line.strip()]
    place = f" ({'; '.join(lines[:8])})" if lines else ""
    return Trap(f"the script threw {text[:4096]}{place[:2048]}", code="exception")
