"""Markers that say where a handler's parameter comes from: `token: Annotated[str, Header("x-token")]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])
BLOCKING = "__echelon_blocking__"


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter, by default with the parameter's own name."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """A request header, by default the parameter's name with dashes for underscores."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie, by default with the parameter's own name."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A form field or file; on a Struct, dataclass or dict: the whole form."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The body: bytes and str as they are, any other type decoded from JSON."""


Marker = Query | Header | Cookie | Form | Body


def blocking(handler: F) -> F:
    """Mark a plain function that waits or computes for long: it then runs in a worker thread."""
    setattr(handler, BLOCKING, True)
    return handler
