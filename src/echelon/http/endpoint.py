"""A handler and its plan folded into one coroutine function: request in, response out."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import Any

from echelon.errors import RouteError
from echelon.http.markers import BLOCKING
from echelon.http.parameters import Plan, describe
from echelon.http.request import Request
from echelon.http.response import Response
from echelon.http.results import responder
from echelon.types import Endpoint, Handler


def is_async(handler: Handler) -> bool:
    """Return whether calling the handler gives a coroutine."""
    inner: Any = handler
    while isinstance(inner, partial):
        inner = inner.func
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004 - the method itself is examined


def build_endpoint(handler: Handler, plan: Plan, *, blocking: bool | None = None) -> Endpoint:
    """Return the coroutine function that fills, calls and answers, in the shortest shape that fits."""
    respond = responder(plan.returns, describe(handler))
    if is_async(handler):
        if blocking:
            raise RouteError(f"{describe(handler)}() is async: only plain functions can be blocking")
        return _async_endpoint(handler, plan, respond)
    threaded = bool(getattr(handler, BLOCKING, False)) if blocking is None else blocking
    return _sync_endpoint(handler, plan, respond, threaded)


def _async_endpoint(handler: Handler, plan: Plan, respond: Any) -> Endpoint:
    direct, awaited = plan.direct, plan.awaited

    async def no_parameters(request: Request) -> Response:
        return respond(await handler())  # type: ignore[no-any-return]

    async def direct_parameters(request: Request) -> Response:
        return respond(await handler(**{name: fill(request) for name, fill in direct}))  # type: ignore[no-any-return]

    async def all_parameters(request: Request) -> Response:
        values = {name: fill(request) for name, fill in direct}
        for name, read in awaited:
            values[name] = await read(request)
        return respond(await handler(**values))  # type: ignore[no-any-return]

    return all_parameters if awaited else direct_parameters if direct else no_parameters


def _sync_endpoint(handler: Handler, plan: Plan, respond: Any, threaded: bool) -> Endpoint:
    direct, awaited = plan.direct, plan.awaited

    async def endpoint(request: Request) -> Response:
        values = {name: fill(request) for name, fill in direct}
        for name, read in awaited:
            values[name] = await read(request)
        if threaded:
            result = await asyncio.to_thread(handler, **values)
        else:
            result = handler(**values)
        if inspect.isawaitable(result):  # a plain wrapper around an async function
            result = await result
        return respond(result)  # type: ignore[no-any-return]

    return endpoint
