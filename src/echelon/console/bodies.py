"""What clients of the control API send, checked strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

from echelon.console.problems import bad_request
from echelon.errors import HTTPError
from echelon.http.body import too_large
from echelon.http.request import Request
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

T = TypeVar("T")

WASM_TYPE: Final = "application/wasm"
PAGE: Final = 50
MAX_PAGE: Final = 200
"""Modules on one page of the list."""

Source = str | dict[str, str]
Optimize = Literal["none", "speed", "size"]


class ModuleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A module to store; `source` is one text, or files by relative path, the first being the entry."""

    source: Source
    language: str | None = None
    name: str | None = None
    permissions: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None
    optimize: Optimize = "none"
    names: bool | None = None
    debug: bool = False
    options: dict[str, str] = {}


class CallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call; without a function the main program of a WASI command runs, with `args` as its arguments."""

    function: str | None = None
    args: list[Any] = []
    stdin: str = ""
    env: dict[str, str] = {}
    permissions: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None


class RunBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source and a call of what it becomes."""

    source: Source
    language: str | None = None
    function: str | None = None
    args: list[Any] = []
    stdin: str = ""
    env: dict[str, str] = {}
    permissions: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None
    optimize: Optimize = "none"
    names: bool | None = None
    debug: bool = False
    options: dict[str, str] = {}


async def read_json(request: Request, kind: type[T]) -> T:
    """Read the body; raises HTTPError 400 that names what is wrong, 413 or 415."""
    media = request.content_type
    if media != "application/json" and not media.endswith("+json"):
        raise HTTPError(415, "send the body as JSON, with Content-Type: application/json")
    return decode(await request.body(), kind)


def decode(content: bytes, kind: type[T]) -> T:
    """Decode JSON into a Struct; raises HTTPError 400 that names each unknown key, or what is wrong where."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as exc:
        known = kind.__struct_fields__  # type: ignore[attr-defined]  # only Structs are decoded here
        unknown = _unknown_keys(content, known)
        if unknown:
            errors = [{"in": "body", "name": key, "message": "is not known"} for key in unknown]
            listed = ", ".join(f'"{key}"' for key in unknown)
            raise bad_request(f"unknown keys: {listed}; known are {', '.join(known)}", errors=errors) from exc
        message, _, where = str(exc).partition(" - at ")
        place = where.strip("`").removeprefix("$").removeprefix(".")
        raise bad_request(
            f"{place}: {message}" if place else message,
            errors=[{"in": "body", "name": place, "message": message}],
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise bad_request(f"the body is not JSON: {exc}") from exc


def read_query(request: Request, known: Sequence[str]) -> dict[str, str]:
    """Return the query parameters, each given once; raises HTTPError 400 for one that is not known."""
    query = request.query
    for key in query:
        if key not in known:
            listed = ", ".join(known)
            raise bad_request(f'unknown query parameter "{key[:80]}"; known are {listed}')
        if len(query.get_all(key)) > 1:
            raise bad_request(f"{key}: given more than once")
    return {key: query[key] for key in query}


def read_page(request: Request) -> tuple[int, str | None]:
    """Return how many items a page of a list has, and the cursor it begins at."""
    values = read_query(request, ("limit", "cursor"))
    text = values.get("limit", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) <= MAX_PAGE):
        raise bad_request(f"limit: {text[:20]!r} is not a number from 1 to {MAX_PAGE}")
    return int(text), values.get("cursor")


def check_source(source: Source, limit: int) -> None:
    """Raise HTTPError 413 when a source has more than `limit` bytes."""
    texts = [source] if isinstance(source, str) else source.values()
    if sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) > limit:
        raise HTTPError(413, f"the source is larger than {limit} bytes (generator.max_source)")


def check_wasm(content: bytes, limit: int) -> None:
    """Raise HTTPError 413 when a module has more than `limit` bytes."""
    if len(content) > limit:
        raise too_large(limit)


def permissions_of(values: dict[str, Any] | None) -> Permissions:
    """Return the permissions that a body grants; raises ConfigError. None grants nothing."""
    return Permissions() if values is None else Permissions.parse(values)


def limits_of(values: dict[str, Any] | None, base: Limits) -> Limits:
    """Return the limits of a body on top of `base`; raises ConfigError."""
    return base if values is None else Limits.parse(values, base)


def _unknown_keys(content: bytes, known: tuple[str, ...]) -> list[str]:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):  # it was only read up to its first mistake before
        return []
    return [key[:80] for key in found if key not in known][:20] if isinstance(found, dict) else []
