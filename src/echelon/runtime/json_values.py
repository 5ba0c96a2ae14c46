"""Values of the type `json`: whatever JSON can say, as Python has it, and as the text that crosses the boundary."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from echelon.errors import GuestError

MAX_DEPTH: Final = 100
"""Levels of lists and objects that a guest may return: whoever walks the value must not run out of stack."""

_CONTAINERS: Final = (dict, list)


def encode(value: object) -> bytes:
    """Return the JSON text of a value; raises TypeError for what JSON cannot say, ValueError for NaN and infinities."""
    try:
        text = msgspec.json.encode(value)
        if b"null" in text:  # which msgspec also writes for numbers that JSON lacks
            json.dumps(msgspec.to_builtins(value), allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deeply, or contains itself") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair") from None
    except ValueError as exc:
        raise ValueError(f"it has a number that JSON lacks: {exc}") from None
    return text


def decode(text: bytes | str) -> Any:
    """Read what a guest returned as JSON; raises GuestError."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise GuestError(f"the guest returned what is not JSON: {exc}") from None
    opening = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, opening)) > MAX_DEPTH and _is_deep(value):  # type: ignore[arg-type]  # of text's own type
        raise GuestError(f"the guest returned JSON that is nested more than {MAX_DEPTH} levels deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, _CONTAINERS)
        ]
        if not level:
            return False
    return True
