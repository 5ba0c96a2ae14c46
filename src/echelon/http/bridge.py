"""ASGI applications and ASGI middleware inside Echelon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from echelon.http.asgi import asgi_request, send_response
from echelon.http.lifespan import Lifespan
from echelon.http.request import Request
from echelon.http.response import Response, Stream
from echelon.types import ASGIApp, CallNext, Message, Middleware, Receive, Scope, Send

_QUEUED = 16
"""Messages an application may be ahead of the client."""


class ASGIMount:
    """An ASGI application as a mount; its lifespan runs with the application's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._lifespan = Lifespan(app)

    async def startup(self) -> None:
        """Start the application's lifespan; raises LifespanFailed when it refuses to start."""
        await self._lifespan.startup()

    async def shutdown(self) -> None:
        """End the application's lifespan."""
        await self._lifespan.shutdown()

    async def __echelon_handle__(self, request: Request) -> Response:
        """Let the application answer."""
        return await call_asgi(self.app, request, self._lifespan.state)


def asgi_middleware(factory: Callable[..., ASGIApp], **options: Any) -> Middleware:
    """Wrap ASGI middleware: `factory(app, **options)`, as Starlette's `Middleware` would."""

    async def layer(request: Request, call_next: CallNext) -> Response:
        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            below = asgi_request(scope, receive)
            below.__dict__.update(
                {k: v for k, v in request.__dict__.items() if k in ("app", "options", "root_path", "_state")}
            )
            await send_response(below, await call_next(below), send)

        return await call_asgi(factory(inner, **options), request, {})

    return layer


async def call_asgi(app: ASGIApp, request: Request, state: dict[str, Any]) -> Response:
    """Run an ASGI application on a request; what it sends becomes a response that streams when it has to."""
    call = _Call(request)
    call.task = asyncio.ensure_future(app(_scope(request, state), call.receive, call.send))
    try:
        start = await call.next()
        first = await call.next()
    except BaseException:
        await call.stop()
        raise
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"]]
    if not first.get("more_body", False):
        # the application may work on after its answer (background tasks); it does so on its own
        response = Response(first.get("body", b""), start["status"])
    else:
        response = Stream(call.rest(first), start["status"])
    response._pairs = [pair for pair in pairs if pair[0] not in ("transfer-encoding",)]
    return response


class _Call:
    """One run of an ASGI application."""

    task: asyncio.Future[None]

    def __init__(self, request: Request) -> None:
        self._request = request
        self._messages: asyncio.Queue[Message] = asyncio.Queue(_QUEUED)
        self._chunks = request.stream()
        self._received = False

    async def receive(self) -> Message:
        if not self._received:
            async for chunk in self._chunks:
                return {"type": "http.request", "body": chunk, "more_body": True}
            self._received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._request.disconnected()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self._messages.put(message)

    async def next(self) -> Message:
        """Return the next message; raises what the application raised when it ended without one."""
        waiting = asyncio.ensure_future(self._messages.get())
        try:
            both: set[asyncio.Future[Any]] = {waiting, self.task}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            if not self._messages.empty():
                return await waiting
            self.task.result()
            raise RuntimeError("the ASGI application ended without an answer")
        finally:
            waiting.cancel()

    async def rest(self, message: Message) -> AsyncIterator[bytes]:
        try:
            while True:
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    return
                message = await self.next()
        finally:
            await self.stop()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def _scope(request: Request, state: dict[str, Any]) -> Scope:
    server, _, port = request.host.rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.encode("ascii", "replace"),
        "query_string": request.query_string.encode(),
        "root_path": request.root_path,
        "headers": [(name.encode(), value.encode()) for name, value in request.headers.pairs()],
        "client": request.client,
        "server": (server, int(port)) if port.isdecimal() else (request.host, None),
        "state": dict(state),
    }
