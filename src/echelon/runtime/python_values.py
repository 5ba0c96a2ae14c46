"""Results of decorated functions as their annotations say: a guest's records are dicts, here they are objects again."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

Restore = Callable[[Any], Any]


def restorer(function: Callable[..., Any]) -> Restore | None:
    """Return what makes a result of the type that a function says it returns, None where it is that already."""
    try:
        hint = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # a name that only a type checker knows
        return None
    return _of(hint)


def _of(hint: Any) -> Restore | None:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _of_class(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = _of(next(arg for arg in args if arg is not type(None)))
        return None if inner is None else lambda value: None if value is None else inner(value)
    parts = [_of(arg) for arg in args]
    if not any(parts):
        return None
    if origin is list:
        return lambda value: list(map(parts[0], value))  # type: ignore[arg-type]  # there is one, or it had returned
    if origin is dict:
        key, item = (part or _same for part in parts)
        return lambda value: {key(name): item(found) for name, found in value.items()}
    if origin is tuple:
        each = [part or _same for part in parts]
        return lambda value: tuple(part(found) for part, found in zip(each, value, strict=True))
    return None


def _same(value: Any) -> Any:
    return value


def _of_class(kind: type) -> Restore:
    """Return what makes an object of a dataclass as it was in the guest; its `__init__` does not run."""
    hints = typing.get_type_hints(kind)
    parts = {field.name: _of(hints[field.name]) for field in dataclasses.fields(kind)}

    def restore(value: dict[str, Any]) -> Any:
        made: Any = object.__new__(kind)
        for name, part in parts.items():
            object.__setattr__(made, name, value[name] if part is None else part(value[name]))
        return made

    return restore
