"""What a handler may return, and the response it becomes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from echelon.errors import HTTPError
from echelon.http.response import (
    BYTES_TYPE,
    HTML,
    JSON_TYPE,
    TEXT_TYPE,
    Empty,
    Response,
    check_status,
    encode_json,
)


def responder(annotation: Any, name: str) -> Callable[[Any], Response]:
    """Return the function that turns a handler's result into a response.

    What has `__html__()` is a page. None is 204, but 404 when the handler is annotated `T | None`: then None means
    "there is none". A tuple is `(body, status)` or `(body, status, headers)`. What msgspec can encode becomes JSON.
    """
    missing = get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)
    new, encode = Response.__new__, encode_json

    def respond(result: Any) -> Response:
        kind = type(result)
        if kind is dict or kind is list:
            response = new(Response)
            response.body = encode(result)
            response.status = 200
            response._pairs = [("content-type", JSON_TYPE)]
            return response
        if isinstance(result, Response):
            return result
        if kind is str:
            return Response(result, media_type=TEXT_TYPE)
        if kind is bytes:
            return Response(result, media_type=BYTES_TYPE)
        if result is None:
            if missing:
                raise HTTPError(404)
            return Empty()
        if hasattr(result, "__html__"):
            return HTML(str(result.__html__()))
        if kind is tuple:
            return from_tuple(result)
        return as_json(result)

    def from_tuple(result: tuple[Any, ...]) -> Response:
        if len(result) not in (2, 3) or type(result[1]) is not int:
            raise TypeError(f"{name} returned a tuple that is not (body, status) or (body, status, headers)")
        check_status(result[1])
        response = Empty(result[1]) if result[0] is None else respond(result[0])
        response.status = result[1]
        if len(result) == 3:
            response.headers.update(result[2])
        return response

    def as_json(result: Any) -> Response:
        try:
            body = encode(result)
        except (TypeError, ValueError) as exc:
            hint = " (missing await?)" if inspect.isawaitable(result) else ""
            raise TypeError(
                f"{name} returned {type(result).__name__}, which cannot become a response: {exc}{hint}"
            ) from exc
        return Response(body, media_type=JSON_TYPE)

    return respond
