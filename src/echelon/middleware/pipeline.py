"""The middleware pipeline: functions `async (request, call_next) -> response`, folded once at start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from echelon.types import CallNext, Endpoint, Middleware

if TYPE_CHECKING:
    from echelon.http.request import Request
    from echelon.http.response import Response


def compose(middleware: Iterable[Middleware], endpoint: Endpoint) -> Endpoint:
    """Fold middleware around an endpoint, the first outermost; without middleware the endpoint itself."""
    for layer in reversed(list(middleware)):
        endpoint = _wrap(layer, endpoint)
    return endpoint


def _wrap(layer: Middleware, inner: Endpoint) -> Endpoint:
    async def run(request: Request) -> Response:
        response = await layer(request, _once(layer, inner))
        if response is None:
            raise TypeError(f"middleware {_name(layer)} returned nothing; return the response of call_next")
        return response

    return run


def _once(layer: Middleware, inner: Endpoint) -> CallNext:
    called = False

    async def call_next(request: Request) -> Response:
        nonlocal called
        if called:
            raise RuntimeError(
                f"middleware {_name(layer)} called call_next twice; a request is answered once"
            )
        called = True
        return await inner(request)

    return call_next


def _name(layer: Middleware) -> str:
    return getattr(layer, "__qualname__", None) or type(layer).__qualname__
