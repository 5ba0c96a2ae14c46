"""The RSGI adapter: Granian's scope in, the one response method that fits out."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, cast

from echelon.errors import BadInput, ClientDisconnected
from echelon.http.body import discard, log_broken_stream, run_until_gone, too_large
from echelon.http.request import Request
from echelon.http.response import FileSlice, Problem, Response, check_status
from echelon.types import Endpoint


class RsgiHeaders(Protocol):
    """What Granian gives as headers; names are lower case."""

    def __contains__(self, name: str) -> bool: ...
    def __len__(self) -> int: ...
    def get(self, name: str, default: str | None = None) -> str | None: ...
    def get_all(self, name: str) -> list[str]: ...
    def items(self) -> list[tuple[str, str]]: ...


class RsgiScope(Protocol):
    """What Granian tells about a request."""

    proto: str
    http_version: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None

    @property
    def headers(self) -> RsgiHeaders: ...


class RsgiSource:
    """The rest of a request, read from Granian when it is asked for."""

    __slots__ = ("_fields", "_proto", "_scope")

    def __init__(self, scope: RsgiScope, fields: RsgiHeaders, proto: Any) -> None:
        self._scope = scope
        self._fields = fields
        self._proto = proto

    @property
    def raw_path(self) -> str | None:
        return None  # Granian gives the decoded path only

    @property
    def http_version(self) -> str:
        version = self._scope.http_version
        return "1.0" if version == "1" else version

    @property
    def query_string(self) -> str:
        return self._scope.query_string

    @property
    def scheme(self) -> str:
        return self._scope.scheme

    def headers(self) -> list[tuple[str, str]]:
        pairs = self._fields.items()
        if len({name for name, _ in pairs}) != len(self._fields):
            raise BadInput("a header holds bytes that are not ASCII text", status=400)
        if "host" not in self._fields and self._scope.authority:
            pairs.append(("host", self._scope.authority))
        return pairs

    def peer(self) -> tuple[str, int] | None:
        host, _, port = self._scope.client.rpartition(":")
        return (host.strip("[]"), int(port)) if port.isdecimal() else None

    async def read(self, limit: int) -> bytes:
        length = self._declared(limit)
        if length is None:
            return b"".join([chunk async for chunk in self.chunks(limit)])
        try:
            return cast(bytes, await self._proto())
        except RuntimeError as exc:
            raise ClientDisconnected("the client left before its request was complete") from exc

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        length = self._declared(limit)
        received = 0
        async for chunk in self._proto:
            received += len(chunk)
            if received > limit:
                raise too_large(limit)
            yield chunk
        if length is not None and received < length:
            raise ClientDisconnected("the client left before its request was complete")

    async def disconnected(self) -> None:
        await self._proto.client_disconnect()

    def _declared(self, limit: int) -> int | None:
        text = self._fields.get("content-length")
        if text is None:
            return None if "transfer-encoding" in self._fields else 0
        length = int(text)
        if length > limit:
            raise too_large(limit)
        return length


def check_framing(scope: RsgiScope, fields: RsgiHeaders) -> str:
    """Return why a request is refused, or nothing: framing that Granian lets through and others read otherwise."""
    hosts = fields.get_all("host")
    if len(hosts) > 1 or (not hosts and scope.http_version == "1.1"):
        return "send exactly one Host header"
    if "transfer-encoding" in fields:
        codings = fields.get_all("transfer-encoding")
        if len(codings) > 1 or codings[0].lower() != "chunked" or scope.http_version == "1":
            return 'send at most one Transfer-Encoding, "chunked", and only with HTTP/1.1'
    return ""


def rsgi_adapter(respond: Endpoint, bind: Callable[[Request], None]) -> Callable[[Any, Any], Awaitable[None]]:
    """Return the function Granian calls. `respond` must not raise; `bind` equips a request."""

    async def handle(scope: RsgiScope, proto: Any) -> None:
        if scope.proto != "http":
            proto.close(403)  # WebSockets are not served
            return
        fields = scope.headers
        request = Request(scope.method, scope.path, RsgiSource(scope, fields, proto))
        bind(request)
        try:
            if len(fields.get_all("host")) != 1 or "transfer-encoding" in fields:
                refusal = check_framing(scope, fields)
                if refusal:
                    response: Response = Problem(400, refusal, headers={"connection": "close"})
                    proto.response_bytes(response.status, response._pairs, response.body)
                    return
            response = await respond(request)
            body = response.body
            if type(body) is bytes and scope.method != "HEAD" and 200 <= response.status <= 599:
                proto.response_bytes(response.status, response._pairs, body)
            else:
                await send(request, response.prepare(request), proto)
        except CancelledError:  # only the server's own shutdown cancels a request
            refused = Problem(503, "the server is stopping", headers={"connection": "close"})
            proto.response_bytes(refused.status, refused._pairs, refused.body)
        finally:
            if request._form is not None:
                request.close()

    return handle


async def send(request: Request, response: Response, proto: Any) -> None:
    """Answer with any kind of body."""
    status, pairs, body = response.status, response._pairs, response.body
    check_status(status)
    if request.method == "HEAD" or body is None or status in (204, 304):
        if isinstance(body, str):
            body = body.encode()
        length = (
            len(body) if isinstance(body, bytes) else body.length if isinstance(body, FileSlice) else None
        )
        if length is not None and status not in (204, 304) and "content-length" not in response.headers:
            pairs.append(("content-length", str(length)))
        proto.response_empty(status, pairs)
        await discard(body)
    elif isinstance(body, str):
        proto.response_str(status, pairs, body)
    elif isinstance(body, bytes):
        proto.response_bytes(status, pairs, body)
    elif isinstance(body, FileSlice):
        pairs.append(("content-length", str(body.length)))
        if body.whole:
            proto.response_file(status, pairs, body.path)
        else:
            proto.response_file_range(status, pairs, body.path, body.start, body.start + body.length)
    else:
        await _send_stream(request, response, body, proto)


async def _send_stream(
    request: Request, response: Response, body: AsyncIterable[bytes | str], proto: Any
) -> None:
    transport = proto.response_stream(response.status, response._pairs)

    async def pump() -> None:
        async for chunk in body:
            if isinstance(chunk, str):
                await transport.send_str(chunk)
            else:
                await transport.send_bytes(bytes(chunk))

    try:
        # Granian accepts chunks for a client that is gone, so its absence must be watched for.
        await run_until_gone(pump, request.source.disconnected)
    except Exception as exc:
        # Granian offers no way to break the connection here: the client sees a regular end.
        log_broken_stream(exc, request.method, request.path)
    finally:
        await discard(body)
