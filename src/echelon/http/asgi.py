"""The ASGI adapter: any ASGI server, and the in-process test client."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from echelon.errors import BadInput, ClientDisconnected
from echelon.http.body import discard, log_broken_stream, run_until_gone, too_large
from echelon.http.request import Request
from echelon.http.response import FileSlice, Response, check_status
from echelon.types import ASGIApp, Endpoint, Message, Receive, Scope, Send

log = logging.getLogger("echelon.http")

FILE_CHUNK = 1 << 18


class AsgiSource:
    """The rest of a request, read from the server when it is asked for."""

    __slots__ = ("_ended", "_gone", "_pending", "_receive", "_scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._pending: deque[bytes] = deque()
        self._ended = False
        self._gone = False

    @property
    def http_version(self) -> str:
        return str(self._scope.get("http_version", "1.1"))

    @property
    def query_string(self) -> str:
        raw: bytes = self._scope.get("query_string", b"")
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError as exc:
            raise BadInput("the query string holds bytes that are not ASCII", status=400) from exc

    @property
    def scheme(self) -> str:
        return str(self._scope.get("scheme", "http"))

    @property
    def raw_path(self) -> str | None:
        raw: bytes | None = self._scope.get("raw_path")
        return None if raw is None else raw.partition(b"?")[0].decode("latin-1")

    def headers(self) -> list[tuple[str, str]]:
        try:
            return [(n.decode("ascii").lower(), v.decode("ascii")) for n, v in self._scope["headers"]]
        except UnicodeDecodeError as exc:
            raise BadInput("a header holds bytes that are not ASCII text", status=400) from exc

    def peer(self) -> tuple[str, int] | None:
        client = self._scope.get("client")
        return None if client is None else (str(client[0]), int(client[1] or 0))

    async def read(self, limit: int) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(limit)])

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                raise too_large(limit)
        received = 0
        while self._pending or not self._ended:
            chunk = self._pending.popleft() if self._pending else await self._next()
            received += len(chunk)
            if received > limit:
                raise too_large(limit)
            yield chunk

    async def disconnected(self) -> None:
        held = 0
        while not self._gone:
            try:
                chunk = await self._next()
            except ClientDisconnected:
                return
            held += len(chunk)
            if chunk and held <= FILE_CHUNK * 64:  # a handler that also reads the body gets it from here
                self._pending.append(chunk)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
            raise ClientDisconnected("the client left before its request was complete")
        self._ended = not message.get("more_body", False)
        return message.get("body", b"")  # type: ignore[no-any-return]  # a message is untyped


def asgi_adapter(
    respond: Endpoint,
    bind: Callable[[Request], None],
    startup: Callable[[], Awaitable[None]],
    shutdown: Callable[[], Awaitable[None]],
) -> ASGIApp:
    """Return an ASGI application. `respond` must not raise; `bind` equips a request."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            request = asgi_request(scope, receive)
            bind(request)
            try:
                await send_response(request, await respond(request), send)
            finally:
                request.close()
        elif kind == "lifespan":
            await _lifespan(receive, send, startup, shutdown)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "WebSockets are not served"})
        else:
            raise ValueError(f"an ASGI scope of type {kind!r} is not served")

    return application


def asgi_request(scope: Scope, receive: Receive) -> Request:
    """Build the request for an ASGI scope."""
    request = Request(scope["method"], scope["path"], AsgiSource(scope, receive))
    root = scope.get("root_path", "")
    if root:
        request.root_path = root.rstrip("/")
    return request


async def send_response(request: Request, response: Response, send: Send) -> None:
    """Answer with any kind of body."""
    response = response.prepare(request)
    check_status(response.status)
    body = response.body
    data = body.encode() if isinstance(body, str) else body
    length = len(data) if isinstance(data, bytes) else data.length if isinstance(data, FileSlice) else None
    headers = [(name.encode("latin-1"), value.encode()) for name, value in response.headers.pairs()]
    bodiless = response.status in (204, 304)
    if body is None and not bodiless and request.method != "HEAD":
        length = 0
    if length is not None and not bodiless and "content-length" not in response.headers:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if request.method == "HEAD" or body is None or bodiless:
        await send({"type": "http.response.body", "body": b""})
        await discard(body)
    elif isinstance(data, bytes):
        await send({"type": "http.response.body", "body": data})
    else:
        chunks = _read_file(data) if isinstance(data, FileSlice) else _encoded(data)
        await _send_chunks(request, chunks, send)
        await discard(body)


async def _send_chunks(request: Request, chunks: AsyncIterator[bytes], send: Send) -> None:
    async def pump() -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    try:
        await run_until_gone(pump, request.source.disconnected)
    except OSError:
        log.debug("%s %s: the client left during the answer", request.method, request.path)
    except Exception as exc:
        log_broken_stream(exc, request.method, request.path)
        raise  # the server breaks the connection, so that the client can tell
    finally:
        await discard(chunks)


async def _encoded(body: Any) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk.encode() if isinstance(chunk, str) else bytes(chunk)


async def _read_file(part: FileSlice) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(open, part.path, "rb") as file:
        await asyncio.to_thread(file.seek, part.start)
        left = part.length
        while left and (chunk := await asyncio.to_thread(file.read, min(left, FILE_CHUNK))):
            left -= len(chunk)
            yield chunk


async def _lifespan(
    receive: Receive,
    send: Send,
    startup: Callable[[], Awaitable[None]],
    shutdown: Callable[[], Awaitable[None]],
) -> None:
    await receive()
    if not await _step("startup", startup, send):
        return
    await receive()
    await _step("shutdown", shutdown, send)


async def _step(name: str, action: Callable[[], Awaitable[None]], send: Send) -> bool:
    message: Message = {"type": f"lifespan.{name}.complete"}
    try:
        await action()
    except Exception as exc:
        log.debug("%s failed", name, exc_info=exc)
        message = {"type": f"lifespan.{name}.failed", "message": str(exc) or type(exc).__name__}
    await send(message)
    return str(message["type"]).endswith("complete")
