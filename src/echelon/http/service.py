"""The HTTP service: router, middleware, errors and telemetry folded into `respond`, behind both adapters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any

from echelon.errors import RouteError
from echelon.http.asgi import asgi_adapter
from echelon.http.bridge import ASGIMount
from echelon.http.request import Request, RequestOptions
from echelon.http.response import Response
from echelon.http.rsgi import rsgi_adapter
from echelon.middleware.errors import ErrorHandlers
from echelon.middleware.pipeline import compose
from echelon.routing import Router
from echelon.telemetry import HTTP_REQUEST_SECONDS, HTTP_REQUESTS, OFF, Telemetry
from echelon.types import ASGIApp, Components, Endpoint, Middleware

log = logging.getLogger("echelon.http")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods counted by name; clients can invent others, which count as "other"."""
UNMATCHED = "unmatched"
"""The route of requests that no route answered; their paths are the client's, so they are not kept."""

Hook = Callable[[], Awaitable[None]]
Handle = Callable[[], None]


async def _nothing() -> None:
    return None


class Service:
    """What serves HTTP for one application. Add routes, middleware and error handlers, then `freeze()`.

    `rsgi` and `asgi` are the functions that servers call; `startup` and `shutdown` are the application's
    own steps, run around those of mounted ASGI applications.
    """

    def __init__(
        self,
        router: Router,
        *,
        app: Any = None,
        errors: ErrorHandlers | None = None,
        middleware: Iterable[Middleware] = (),
        telemetry: Telemetry | None = None,
        options: RequestOptions | None = None,
        startup: Hook = _nothing,
        shutdown: Hook = _nothing,
    ) -> None:
        self.router = router
        self.errors = errors or ErrorHandlers()
        self._app = app
        self._middleware = list(middleware)
        self._telemetry = telemetry or OFF
        self._options = options or RequestOptions()
        self._startup = startup
        self._shutdown = shutdown
        self._started: list[ASGIMount] = []
        self._frozen = False
        self._respond: Endpoint = self._not_started
        self.rsgi = rsgi_adapter(self.respond, self._bind)
        self.asgi: ASGIApp = asgi_adapter(self.respond, self._bind, self.startup, self.shutdown)

    def add_middleware(self, layer: Middleware) -> Middleware:
        """Add middleware around everything, the first outermost; it sees unmatched requests too."""
        if self._frozen:
            raise RouteError("middleware: the application has started; add middleware before")
        self._middleware.append(layer)
        return layer

    def freeze(self, components: Components | None = None, telemetry: Telemetry | None = None) -> None:
        """Fold everything into one function; raises RouteError. Freezing twice is a no-op."""
        if self._frozen:
            return
        self._telemetry = telemetry or self._telemetry
        self.router.freeze(components, self.errors.guard)
        answer = self._layered() if self._middleware else self._bare()
        if self._telemetry.counting or self._telemetry.tracing:
            answer = self._observed(answer)
        self._respond = answer
        self.rsgi = rsgi_adapter(answer, self._bind)
        self._frozen = True

    async def respond(self, request: Request) -> Response:
        """Answer a request; every error becomes a response."""
        return await self._respond(request)

    async def startup(self) -> None:
        """Start the application, then freeze, then start mounted ASGI applications."""
        await self._startup()
        try:
            self.freeze()
            for route in self.router.routes:
                if isinstance(route.handler, ASGIMount):
                    await route.handler.startup()
                    self._started.append(route.handler)
        except BaseException:
            await self.shutdown()
            raise

    async def shutdown(self) -> None:
        """Stop mounted ASGI applications in reverse, then the application."""
        try:
            while self._started:
                await self._started.pop().shutdown()
        finally:
            await self._shutdown()

    def _bind(self, request: Request) -> None:
        request.app = self._app
        request.options = self._options

    async def _not_started(self, request: Request) -> Response:
        self.freeze()
        return await self._respond(request)

    def _bare(self) -> Endpoint:
        """Return the shortest way from request to response: no frame is spent on absent middleware."""
        find, recover = self.router.find, self.errors.respond

        async def answer(request: Request) -> Response:
            try:
                return await find(request)(request)
            except Exception as exc:
                return await recover(request, exc)

        return answer

    def _layered(self) -> Endpoint:
        find, recover = self.router.find, self.errors.respond

        async def dispatch(request: Request) -> Response:
            return await find(request)(request)

        inner = compose(self._middleware, self.errors.guard(dispatch))

        async def answer(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as exc:
                return await recover(request, exc)

        return answer

    def _observed(self, inner: Endpoint) -> Endpoint:
        """Record span and numbers for every request, here and nowhere else."""
        telemetry = self._telemetry
        handles: dict[tuple[str, str, int], tuple[Callable[[float], None], Callable[[float], None]]] = {}

        def record(request: Request, status: int, seconds: float) -> None:
            route = request.route.path if request.route is not None else UNMATCHED
            method = request.method if request.method in METHODS else "other"
            pair = handles.get((method, route, status))
            if pair is None:
                pair = handles[method, route, status] = (
                    telemetry.bind_count(HTTP_REQUESTS, method=method, route=route, status=str(status)),
                    telemetry.bind_observe(HTTP_REQUEST_SECONDS, method=method, route=route),
                )
            pair[0](1)
            pair[1](seconds)

        async def counted(request: Request) -> Response:
            began = perf_counter()
            response = await inner(request)
            record(request, response.status, perf_counter() - began)
            return response

        async def traced(request: Request) -> Response:
            began = perf_counter()
            with telemetry.request_span(_header_of(request), **{"http.request.method": request.method}) as span:
                response = await inner(request)
                route = request.route.path if request.route is not None else UNMATCHED
                span.set(**{"http.route": route, "http.response.status_code": response.status})
                record(request, response.status, perf_counter() - began)
            return response

        return traced if telemetry.tracing else counted


def _header_of(request: Request) -> Callable[[str], str | None]:
    def get(name: str) -> str | None:
        try:
            return request.headers.get(name)
        except Exception:  # a malformed header must not stop the request before the handler's own check
            return None

    return get


