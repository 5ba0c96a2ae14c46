"""What scripts are told and say, as text: values, questions to the host, and what a script threw.

The first character says what follows: 0 a value as JSON; 1 one with bytes or large numbers, which are written as
objects of one key; 2 an error; 3 questions, one a line; 4 a text as it is; 6 and 7 a response, with a body of text or
of bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import Frame, GuestError, MemoryExceeded, Trap
from echelon.runtime import json_values
from echelon.runtime.script_map import ScriptMap, read_frames

if TYPE_CHECKING:
    from echelon.runtime.limits import Limits

WAITING: Final = "3"
TEXT: Final = "4"
_ERROR: Final = "2"
_RESPONSE: Final = "6"
_BINARY_RESPONSE: Final = "7"
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
    if isinstance(value, int) and not isinstance(value, bool):  # the store has a kind of int of its own
        return (True, {_INTEGER: str(int(value))}) if abs(value) > _SAFE else (False, int(value))
    if isinstance(value, list | tuple):
        pairs = [_lower(item) for item in value]
        return any(special for special, _ in pairs), [item for _, item in pairs]
    if isinstance(value, dict):
        named = {key: _lower(item) for key, item in value.items()}
        return any(special for special, _ in named.values()), {key: item for key, (_, item) in named.items()}
    return False, value


def decode_value(text: str) -> Any:
    """Read a value of the host script; raises GuestError."""
    if text[:1] == TEXT:
        return text[1:]
    value = json_values.decode(text[1:])
    return _lift(value) if text[:1] == "1" else value


def read_questions(text: str) -> list[tuple[int, str, str]]:
    """Return the number, the operation and the arguments of each question; raises GuestError."""
    try:
        found = [line.split(" ", 2) for line in text[1:].split("\n")[:-1]]
        return [(int(number), operation, values) for number, operation, values in found]
    except ValueError:
        raise GuestError("the script asks its host for what cannot be read") from None


def _lift(value: Any) -> Any:
    if isinstance(value, list):
        return [_lift(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get(_BYTES), str):
        return _bytes(value[_BYTES])
    if len(value) == 1 and isinstance(value.get(_INTEGER), str):
        return _integer(value[_INTEGER])
    return {key: _lift(item) for key, item in value.items()}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise GuestError(f"the script returned bytes that cannot be read: {exc}") from None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        raise GuestError(f"the script returned a number that cannot be read: {exc}") from None


class _Thrown(msgspec.Struct):
    name: str = ""
    message: str = ""
    stack: str = ""


def decode_answer(answer: str, limits: Limits, places: ScriptMap | None) -> Any:
    """Return what a script's function returned; raises the error for what it threw."""
    kind = answer[:1]
    if kind == _ERROR:
        found = msgspec.json.decode(answer[1:], type=_Thrown)
        raise thrown(found.name, found.message, read_frames(found.stack, places), limits)
    if kind in (_RESPONSE, _BINARY_RESPONSE):
        head, _, body = answer[1:].partition("\n")
        content = body.encode("utf-8", "replace") if kind == _RESPONSE else _bytes(body)
        return [*json_values.decode(head), content]
    return decode_value(answer)


def out_of_memory(limits: Limits) -> MemoryExceeded:
    text = f"the guest needs more than its limit of {limits.memory} bytes of memory"
    return MemoryExceeded(text, limit=limits.memory)


def thrown(name: str, message: str, frames: Sequence[Frame], limits: Limits) -> GuestError:
    """Return the error for what a script threw and did not catch."""
    if (name, message) == _NO_MEMORY:
        return out_of_memory(limits)
    text = f"{name}: {message}" if name else message or "an error without a message"
    place = f" (at {frames[0]})" if frames else ""
    return Trap(f"the script threw {text[:4096]}{place}", code="exception", frames=frames)
