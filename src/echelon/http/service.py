"""The HTTP service: router, middleware, errors and telemetry folded into `respond`, behind both adapters."""

from __future__ import annotations

from asyncio import AbstractEventLoop
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
from echelon.routing import Route, Router
from echelon.telemetry import HTTP_REQUEST_SECONDS, HTTP_REQUESTS, OFF, Telemetry
from echelon.types import ASGIApp, Components, Endpoint, Middleware, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods counted by name; clients can invent others, which count as "other"."""
UNMATCHED = "unmatched"
"""The route of requests that no route answered; their paths are the client's, so they are not kept."""

Hook = Callable[[], Awaitable[None]]
Add = Callable[[float], None]


async def _nothing() -> None:
    return None


class Service:
    """What serves HTTP for one application. Add routes, middleware and error handlers, then `freeze()`.

    It is an RSGI and an ASGI application by itself, lifespan included; `startup` and `shutdown` are the
    owner's steps, run around those of mounted ASGI applications.
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
        self.__rsgi__ = rsgi_adapter(self.respond, self._bind)
        self._asgi: ASGIApp = asgi_adapter(self.respond, self._bind, self.startup, self.shutdown)

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
        answer = self._answering()
        self._respond = answer
        self._frozen = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application."""
        await self._asgi(scope, receive, send)

    def respond(self, request: Request) -> Awaitable[Response]:
        """Answer a request; every error becomes a response."""
        return self._respond(request)  # no coroutine of its own: this runs for every request

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

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        """Start before the first request of a worker; the loop does not run yet."""
        loop.run_until_complete(self.startup())

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        """Stop after the last request of a worker."""
        loop.run_until_complete(self.shutdown())

    def _bind(self, request: Request) -> None:
        request.app = self._app
        request.options = self._options

    async def _not_started(self, request: Request) -> Response:
        self.freeze()
        return await self._respond(request)

    def _answering(self) -> Endpoint:
        """Fold routing, middleware, errors and telemetry; what is absent costs no frame."""
        find, recover = self.router.find, self.errors.respond

        def go(request: Request) -> Awaitable[Response]:
            return find(request)(request)

        async def dispatch(request: Request) -> Response:
            return await find(request)(request)

        inner = compose(self._middleware, self.errors.guard(dispatch)) if self._middleware else go
        record = self._recorder()

        async def answer(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as exc:
                return request.mark(await recover(request, exc))

        async def counted(request: Request) -> Response:
            began = perf_counter()
            try:
                response = await inner(request)
            except Exception as exc:
                response = request.mark(await recover(request, exc))
            record(request, response.status, perf_counter() - began)
            return response

        if self._telemetry.tracing:
            return self._traced(counted)
        return counted if self._telemetry.counting else answer

    def _recorder(self) -> Callable[[Request, int, float], None]:
        """Return the function that counts a request; this is the only place that does."""
        telemetry = self._telemetry
        handles: dict[tuple[Route | None, str, int], tuple[Add, Add]] = {}

        def record(request: Request, status: int, seconds: float) -> None:
            key = (request.route, request.method, status)
            try:
                count, observe = handles[key]
            except KeyError:
                route, method = UNMATCHED if key[0] is None else key[0].path, key[1]
                if method not in METHODS:
                    key, method = (key[0], "other", status), "other"  # so the table stays bounded
                count, observe = handles[key] = (
                    telemetry.bind_count(HTTP_REQUESTS, method=method, route=route, status=str(status)),
                    telemetry.bind_observe(HTTP_REQUEST_SECONDS, method=method, route=route),
                )
            count(1)
            observe(seconds)

        return record

    def _traced(self, inner: Endpoint) -> Endpoint:
        telemetry = self._telemetry

        async def traced(request: Request) -> Response:
            method = request.method if request.method in METHODS else "other"
            with telemetry.request_span(_header_of(request), **{"http.request.method": method}) as span:
                response = await inner(request)
                route = request.route.path if request.route is not None else UNMATCHED
                answered: dict[str, str | int] = {
                    "http.route": route,
                    "http.response.status_code": response.status,
                }
                span.set(**answered)
            return response

        return traced


def _header_of(request: Request) -> Callable[[str], str | None]:
    def get(name: str) -> str | None:
        try:
            return request.headers.get(name)
        except Exception:  # a malformed header must not stop the request before the handler's own check
            return None

    return get
