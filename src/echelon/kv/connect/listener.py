"""The stand-alone server of KV Connect: HTTP/1.1 and HTTP/2 on one port, with TLS if wanted.

It exists beside the mount for what a general server does not let one do. Deno sends the head and the body of each
request in two segments and holds the second back until the first is acknowledged, which costs 40 ms where the
receiver waits with that; so here every read is acknowledged at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from contextlib import suppress
from typing import Final, Protocol, cast

from echelon.errors import ConfigError, MissingExtra
from echelon.kv.connect.server import MAX_BODY, Answer, Head, Refused, Service

try:
    from echelon.kv.connect.http1 import Http1
    from echelon.kv.connect.http2 import Http2
except ModuleNotFoundError as exc:
    raise MissingExtra(exc.name or "h2", "connect") from exc

MAX_CONNECTIONS: Final = 1000
FIRST_SECONDS: Final = 10.0
"""How long a new connection may say nothing."""

IDLE_SECONDS: Final = 600.0
"""How long a connection may be kept without a request."""

REQUEST_SECONDS: Final = 30.0
"""How long a request may take to arrive."""

STALL_SECONDS: Final = 60.0
"""How long a client may not read what was sent."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LOOK_SECONDS: Final = 1.0
_BACKLOG: Final = 1024
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)

_log = logging.getLogger("echelon.kv")


class Codec(Protocol):
    """What one version of HTTP does for a connection."""

    @property
    def idle(self) -> bool: ...
    def receive(self, data: bytes) -> None: ...
    def ended(self) -> bool: ...
    def overdue(self, before: float) -> bool: ...
    def shut_down(self) -> None: ...
    def lost(self) -> None: ...


class Request:
    """A request as it arrives: what answers it, and its body so far."""

    def __init__(self, service: Service, head: Head) -> None:
        self.body = bytearray()
        self.unfinished = False
        self._received = 0
        self._refusal: Answer | None = None
        self._stream: Answer | None = None
        try:
            self._operation = service.admit(head)
        except Refused as exc:
            self._refusal = exc.answer

    def hurry(self) -> bool:
        """Ask an answer that streams to end; return whether there will be an end."""
        if self._stream is None:
            return True
        if self._stream.hurry is not None:
            self._stream.hurry()
        return self._stream.hurry is not None

    def take(self, data: bytes) -> bool:
        """Add to the body, of a refused request nothing; return False when it has become too large."""
        self._received += len(data)
        if self._received > MAX_BODY:
            return False
        if self._refusal is None:
            self.body += data
        return True

    def refuse(self, answer: Answer) -> None:
        """Answer with a refusal before the body has ended."""
        self._refusal = answer
        self.unfinished = True

    async def answer(self) -> Answer:
        """Return the answer; never raises but for what the operation itself does not expect."""
        if self._refusal is not None:
            return self._refusal
        answer = await self._operation(bytes(self.body))
        self.body.clear()
        if not isinstance(answer.body, bytes):
            self._stream = answer
        return answer

    async def close(self) -> None:
        """End an answer that streams."""
        if self._stream is not None and not isinstance(self._stream.body, bytes):
            await self._stream.body.aclose()


class Connection(asyncio.Protocol):
    """One connection: finds out which version of HTTP it speaks, and bounds what it may cost."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._codec: Codec | None = None
        self._begun = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._stalled: float | None = None
        self._seen = self.now()
        self._socket: socket.socket | None = None

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""
        return self._listener.scheme

    @property
    def stopping(self) -> bool:
        """Whether the server takes no more requests."""
        return self._listener.stopping

    def now(self) -> float:
        """Return the time that time-outs are measured by."""
        return self._loop.time()

    # What asyncio calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._listener.add(self):
            self._transport.abort()
            return
        self._socket = transport.get_extra_info("socket")
        security = transport.get_extra_info("ssl_object")
        if security is not None and security.selected_alpn_protocol() == "h2":
            self._codec = Http2(self)

    def data_received(self, data: bytes) -> None:
        if self._socket is not None and _QUICKACK is not None:
            with suppress(OSError):  # the connection is gone, or is none of TCP
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._seen = self.now()
        if self._codec is None:
            self._begun += data
            if _PREFACE.startswith(self._begun[: len(_PREFACE)]):
                if len(self._begun) < len(_PREFACE):
                    return
                self._codec = Http2(self)
            else:
                self._codec = Http1(self)
            data = bytes(self._begun)
            self._begun.clear()
        self._codec.receive(data)

    def eof_received(self) -> bool:
        return self._codec is not None and self._listener.scheme == "http" and self._codec.ended()

    def pause_writing(self) -> None:
        self._stalled = self.now()
        self._writable.clear()
        self._transport.pause_reading()  # who does not read must not be answered any more

    def resume_writing(self) -> None:
        self._stalled = None
        self._writable.set()
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.remove(self)
        self._writable.set()
        if self._codec is not None:
            self._codec.lost()

    # What the versions of HTTP call ------------------------------------------------------------------------

    def begin(self, head: Head) -> Request:
        """Look at the head of a request."""
        return Request(self._listener.service, head)

    def write(self, data: bytes | None) -> None:
        """Send bytes, all of them in one segment if they fit."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent."""
        await self._writable.wait()

    def rest(self) -> None:
        """Note that nothing is under way."""
        self._seen = self.now()

    def fail(self, error: Exception) -> None:
        """Break the connection off after an answer that could not be sent."""
        _log.error("KV Connect: an answer was broken off", exc_info=error)
        self._transport.abort()

    def close(self) -> None:
        """Close after what was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # What the listener calls -------------------------------------------------------------------------------

    def check(self) -> None:
        """Close the connection if it has taken too long over something."""
        now = self.now()
        codec = self._codec
        if self._stalled is not None:
            late = now - self._stalled > STALL_SECONDS
        elif codec is None:
            late = now - self._seen > FIRST_SECONDS
        else:
            late = codec.overdue(now - REQUEST_SECONDS) or (codec.idle and now - self._seen > IDLE_SECONDS)
        if late:
            self._transport.abort()

    def shut_down(self) -> None:
        """End after what is under way."""
        if self._codec is None:
            self._transport.close()
        else:
            self._codec.shut_down()


class Listener:
    """Serves KV Connect on a port; `open()` makes one."""

    def __init__(self, service: Service, scheme: str) -> None:
        self.service = service
        self.scheme = scheme
        self.stopping = False
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, service: Service, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> Listener:
        """Listen, on a free port for 0; raises ConfigError when the address cannot be had."""
        listener = cls(service, "http" if tls is None else "https")
        if tls is not None:
            tls.set_alpn_protocols(["h2", "http/1.1"])
        loop = asyncio.get_running_loop()
        patience = None if tls is None else FIRST_SECONDS
        try:
            listener._server = await loop.create_server(
                lambda: Connection(listener),
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=patience,
                backlog=_BACKLOG,
            )
        except OSError as exc:
            raise ConfigError(_why_not(exc, host, port)) from exc
        listener._watching = loop.create_task(listener._watch(), name="echelon-kv-connect")
        return listener

    @property
    def port(self) -> int:
        """The port it listens on."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def add(self, connection: Connection) -> bool:
        """Take a connection in; return False when there are too many."""
        if self.stopping or len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections.add(connection)
        self._empty.clear()
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def close(self, grace: float = 5.0) -> None:
        """Take no more requests, let those under way end within `grace` seconds, then break off the rest."""
        server, watching = self._server, self._watching
        if server is None or watching is None:
            return
        self._server = None
        self.stopping = True
        server.close()
        watching.cancel()
        self.service.stop()
        for connection in [*self._connections]:
            connection.shut_down()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace)
        for connection in [*self._connections]:
            connection.abort()
        await self._empty.wait()
        await server.wait_closed()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for connection in [*self._connections]:
                connection.check()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this process has; choose one above 1023 with --port"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"
