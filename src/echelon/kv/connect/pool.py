"""The HTTP client of KV Connect: kept connections, one segment for each request, answers whole or as they come.

h11 does the framing. A request that cannot have reached the server raises NotSent, one that may have raises Lost:
that is the difference between what may be sent again and what may not.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urljoin, urlsplit

from echelon.errors import KvUsageError, MissingExtra

try:
    import h11
except ModuleNotFoundError as exc:
    raise MissingExtra("h11", "connect") from exc

MAX_CONNECTIONS: Final = 32
"""Requests at once; more wait for their turn. Watches and waits for messages do not count."""

MAX_REPLY: Final = 96 << 20
"""The largest answer: a thousand entries of the largest size, and their framing."""

CONNECT_SECONDS: Final = 10.0
KEEP_SECONDS: Final = 60.0
"""How long a connection is kept without a request: less than servers do."""

_MAX_AHEAD: Final = 1 << 20
_PORTS: Final = {"http": 80, "https": 443}

Headers = Sequence[tuple[str, str]]


class NotSent(Exception):
    """The request did not reach the server."""


class Lost(Exception):
    """The answer did not come: whether the server acted is not known."""


class Url(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read an absolute URL; raises KvUsageError that says what is wrong with it."""
        if "@" in text.partition("://")[2].partition("/")[0]:
            raise KvUsageError("the URL of a store has no user name and password; use token=")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as exc:
            raise KvUsageError(f"{text!r:.200} is not a URL: {exc}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise KvUsageError(f"{text!r:.200} is not the URL of a store; write https://host/path")
        if parts.query or parts.fragment:
            raise KvUsageError("the URL of a store has no query and no fragment; use token=")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise KvUsageError(f"{text!r:.200} holds characters that a URL does not; encode them")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path or "/")

    def join(self, other: str) -> Url:
        """Return what `other`, which may be relative, means here."""
        try:
            return Url.parse(urljoin(str(self), other))
        except ValueError as exc:
            raise KvUsageError(f"{other!r:.200} is not a URL: {exc}") from None

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


class Reply(NamedTuple):
    """An answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._h11 = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[tuple[int, dict[str, str]]] | None = None
        self._news = asyncio.Event()
        self._body = bytearray()
        self._most: int | None = MAX_REPLY
        self._paused = False
        self._whole = False
        self._error: Exception | None = None
        self.kept_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._h11.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError as exc:
            self._break(Lost(f"its answer is not HTTP: {exc}"))

    def eof_received(self) -> None:
        try:
            self._h11.receive_data(b"")
            self._advance()
        except h11.RemoteProtocolError:
            self._break(Lost("it closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(Lost(f"the connection broke: {exc}" if exc else "it closed the connection"))

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        unasked = self._h11.trailing_data[0]
        return (
            self._error is None and self._h11.our_state is h11.IDLE and not unasked and not self._is_stale()
        )

    def _is_stale(self) -> bool:
        return self._loop.time() - self.kept_since > KEEP_SECONDS

    async def send(
        self, url: Url, headers: Headers, body: bytes, most: int | None
    ) -> tuple[int, dict[str, str]]:
        """Send a request; return the status and headers of its answer.

        An answer with a body above `most` bytes is an error; with None it is read no faster than it is taken.
        """
        if self._error is not None or self._transport is None:
            raise NotSent("it closed the connection")
        fields = [("host", url.authority), *headers, ("content-length", str(len(body)))]
        request = h11.Request(method="POST", target=url.path, headers=fields)
        parts = [self._h11.send(request), self._h11.send(h11.Data(data=body)), self._h11.send(_END)]
        self._body.clear()
        self._whole = False
        self._most = most
        self._head = self._loop.create_future()
        self._transport.write(b"".join([part or b"" for part in parts]))
        return await self._head

    async def whole(self) -> bytes:
        """Return the body of the answer when all of it is there."""
        self._most = MAX_REPLY
        self._resume()
        while not self._whole:
            await self._wait()
        return bytes(self._body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body of the answer as it comes."""
        while True:
            if self._body:
                piece = bytes(self._body)
                self._body.clear()
                self._resume()
                yield piece
            elif self._whole:
                return
            else:
                await self._wait()

    def rest(self) -> bool:
        """Make ready for another request; return False when there can be none."""
        if not self._whole or self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self.kept_since = self._loop.time()
        return self._error is None

    def hurry(self) -> bool:
        """Tell the server that nothing more will be asked for; return whether that can be told."""
        if self._transport is None or not self._transport.can_write_eof():
            return False  # TLS has no half-closed connections
        self._transport.write_eof()
        return True

    def close(self) -> None:
        """Close at once."""
        self._break(Lost("the store was closed"))

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._news.clear()
        await self._news.wait()

    def _advance(self) -> None:
        while self._error is None:
            event = self._h11.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Response):
                fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
                if self._head is not None and not self._head.done():
                    self._head.set_result((event.status_code, fields))
            elif isinstance(event, h11.Data):
                self._collect(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._whole = True
                self._news.set()
                return
            elif isinstance(event, h11.ConnectionClosed):
                self._break(Lost("it closed the connection"))

    def _collect(self, data: bytes) -> None:
        self._body += data
        self._news.set()
        if self._most is None:
            if len(self._body) > _MAX_AHEAD and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        elif len(self._body) > self._most:
            self._break(Lost(f"its answer is larger than {self._most} bytes"))

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _break(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self._news.set()
        if self._head is not None and not self._head.done():
            self._head.set_exception(self._error)
            self._head.exception()  # nobody may be waiting any more
        if self._transport is not None:
            self._transport.abort()


_END: Final = h11.EndOfMessage()


class Stream:
    """An answer that comes in pieces; `close()` ends its connection."""

    def __init__(self, pool: Pool, connection: _Connection, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self._pool = pool
        self._connection = connection

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield what comes; raises Lost when it breaks off."""
        return self._connection.pieces()

    def hurry(self) -> bool:
        """Ask the server to come to an end; return whether it was asked."""
        return self._connection.hurry()

    async def whole(self) -> bytes:
        """Return all of it."""
        return await self._connection.whole()

    def close(self) -> None:
        """Let go of the connection."""
        self._pool.drop(self._connection)


class Pool:
    """Makes requests, over connections that it keeps."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Check certificates with `tls`, by default with what the system trusts."""
        self._tls = tls
        self._turn = asyncio.Semaphore(MAX_CONNECTIONS)
        self._kept: dict[tuple[str, str, int], list[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._closed = False

    async def post(self, url: Url, headers: Headers, body: bytes, seconds: float) -> Reply:
        """Send a request and return its answer; raises NotSent or Lost, the latter also after `seconds`."""
        async with self._turn:
            connection = await self._take(url)
            kept = False
            try:
                async with asyncio.timeout(seconds):
                    status, fields = await connection.send(url, headers, body, MAX_REPLY)
                    content = await connection.whole()
                kept = self._keep(url, connection)
                return Reply(status, fields, content)
            except TimeoutError:
                raise Lost(f"it did not answer within {seconds:g} s") from None
            finally:
                if not kept:
                    self.drop(connection)

    async def open(self, url: Url, headers: Headers, body: bytes, seconds: float) -> Stream:
        """Send a request and return its answer as it comes, on a connection of its own."""
        connection = await self._take(url)
        try:
            async with asyncio.timeout(seconds):
                status, fields = await connection.send(url, headers, body, None)
        except BaseException as exc:
            self.drop(connection)
            if isinstance(exc, TimeoutError):
                raise Lost(f"it did not answer within {seconds:g} s") from None
            raise
        return Stream(self, connection, status, fields)

    async def close(self) -> None:
        """Close every connection; who waits for an answer gets Lost."""
        self._closed = True
        for connection in [*self._all]:
            self.drop(connection)

    def drop(self, connection: _Connection) -> None:
        """Close a connection."""
        self._all.discard(connection)
        connection.close()

    def _keep(self, url: Url, connection: _Connection) -> bool:
        if self._closed or not connection.rest():
            return False
        self._kept.setdefault(url[:3], []).append(connection)
        return True

    async def _take(self, url: Url) -> _Connection:
        """Return a connection that is kept, the one used last, or a new one."""
        kept = self._kept.get(url[:3], [])
        while kept:
            connection = kept.pop()
            if connection.usable:
                return connection
            self.drop(connection)
        if self._closed:
            raise NotSent("the store was closed")
        return await self._connect(url)

    async def _connect(self, url: Url) -> _Connection:
        options: dict[str, Any] = {}
        if url.scheme == "https":
            if self._tls is None:
                self._tls = await asyncio.to_thread(ssl.create_default_context)
            options = {"ssl": self._tls, "server_hostname": url.host}
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(_Connection, url.host, url.port, **options)
        except TimeoutError:
            raise NotSent(f"it cannot be reached within {CONNECT_SECONDS:g} s") from None
        except ssl.SSLError as exc:
            raise NotSent(f"its certificate or TLS is refused: {exc.reason or exc}") from exc
        except (OSError, UnicodeError) as exc:
            raise NotSent(f"it cannot be reached: {getattr(exc, 'strerror', None) or exc}") from exc
        self._all.add(connection)
        return connection
