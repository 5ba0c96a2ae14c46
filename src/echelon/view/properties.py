"""What a page is given: the handler that loads its properties, and their check against the type that it names."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from echelon.errors import EchelonError, HTTPError, RouteError
from echelon.http.markers import BLOCKING
from echelon.http.paths import parse_path
from echelon.http.response import Response, encode_json

if TYPE_CHECKING:
    from echelon.types import Handler


class Loaded(Response):
    """Properties on their way from the handler to the page around it."""

    __slots__ = ("props",)

    def __init__(self, props: bytes) -> None:
        self._start(None, 200, None, None)
        self.props = props


def make_handler(props: Handler | None, path: str) -> Callable[..., Any]:
    """Return the route's handler: it loads the properties, or takes those that the path has."""
    types = parse_path(path).types
    if props is None:

        async def from_path(**values: Any) -> Response:
            return Loaded(encode_json({name: _plain(value) for name, value in values.items()}))

        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
            for name, kind in types.items()
        ]
        from_path.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it
        from_path.__annotations__ = dict(types)
        return from_path
    if not callable(props):
        raise RouteError(f"{path}: props is a function, not {type(props).__name__}")
    encode = _encoder(props)
    threaded, is_async = getattr(props, BLOCKING, False), inspect.iscoroutinefunction(props)

    @wraps(props)
    async def load(**values: Any) -> Response:
        if is_async:
            found = await props(**values)
        else:
            found = await asyncio.to_thread(props, **values) if threaded else props(**values)
        return found if isinstance(found, Response) else Loaded(encode(found))

    return load


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)


def _encoder(props: Handler) -> Callable[[Any], bytes]:
    """Return what turns a loader's result into JSON, checked against the type that the loader says it returns."""
    try:
        wanted = get_type_hints(props).get("return", Any)
    except (NameError, TypeError):
        wanted = Any
    name = getattr(props, "__qualname__", "props")
    decoder: msgspec.json.Decoder[Any] | None = None
    optional = wanted is None or type(None) in getattr(wanted, "__args__", ())
    if wanted is not Any and not (isinstance(wanted, type) and issubclass(wanted, Response)):
        with suppress(TypeError):
            decoder = msgspec.json.Decoder(wanted)

    def encode(value: Any) -> bytes:
        if value is None:
            if optional and wanted is not None and wanted is not type(None):
                raise HTTPError(404)
            return b"{}"
        content = encode_json(value)
        if decoder is not None:
            try:
                decoder.decode(content)
            except msgspec.ValidationError as exc:
                raise EchelonError(f"{name}() returned properties that are not what it says: {exc}") from exc
        if content[:1] != b"{":
            raise EchelonError(f"{name}() returned {type(value).__name__}; a page takes properties by name")
        return content

    return encode
