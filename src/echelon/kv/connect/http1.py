"""HTTP/1.1 for the stand-alone server; h11 reads and writes, one request after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import h11

from echelon.kv.connect.server import MAX_BODY, TEXT, Answer, Head, Refused

if TYPE_CHECKING:
    from echelon.kv.connect.listener import Connection, Request

MAX_HEAD: Final = 16 << 10
_MAX_AHEAD: Final = 64 << 10
"""How much a client may send on before it has its answer."""


class Http1:
    """One connection that speaks HTTP/1.1."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._ahead = 0

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._task is None and self._since is None

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        if self._task is not None:
            self._ahead += len(data)
            if self._ahead > _MAX_AHEAD:
                self._connection.abort()
                return
        elif self._since is None:
            self._since = self._connection.now()
        self._h11.receive_data(data)
        if self._task is None:
            self._advance()

    def ended(self) -> bool:
        """Tell whether the connection is still needed after the client has said that nothing more comes."""
        return self._task is not None and self._request is not None and self._request.hurry()

    def overdue(self, before: float) -> bool:
        """Tell whether a request began to arrive before that time and is not complete."""
        return self._task is None and self._since is not None and self._since < before

    def shut_down(self) -> None:
        """End the connection after the answer that is under way."""
        if self._task is None:
            self._connection.close()

    def lost(self) -> None:
        """Let go of what is under way."""
        if self._task is not None:
            self._task.cancel()

    def _advance(self) -> None:
        """Act on what was read so far."""
        try:
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    if self._h11.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                        self._connection.write(self._h11.send(go_on))
                    return
                if isinstance(event, h11.Request):
                    self._request = self._connection.begin(self._head(event))
                elif isinstance(event, h11.Data) and self._request is not None:
                    if not self._request.take(event.data):
                        self._give_up(Refused(413, f"The body is larger than {MAX_BODY} bytes.").answer)
                        return
                elif isinstance(event, h11.EndOfMessage):
                    self._ahead = 0
                    self._task = asyncio.ensure_future(self._answer())
                    return
                else:  # the client has closed, or goes on after it said that it would
                    self._connection.close()
                    return
        except h11.RemoteProtocolError as exc:
            self._give_up(Answer(exc.error_status_hint, TEXT, f"The request is malformed: {exc}.".encode()))

    def _head(self, event: h11.Request) -> Head:
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        path = event.target.decode("latin-1").partition("?")[0]
        origin = f"{self._connection.scheme}://{fields.get('host', '')}"
        return Head(event.method.decode(), path, fields.get, path, origin)

    def _give_up(self, answer: Answer) -> None:
        """Answer a request that was not read to its end; what follows cannot be told from its rest."""
        body = answer.body if isinstance(answer.body, bytes) else b""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._connection.write(self._encode(answer, body, ("connection", "close")))
        self._connection.close()

    def _encode(self, answer: Answer, body: bytes, *extra: tuple[str, str]) -> bytes:
        headers = [("content-type", answer.media_type), ("content-length", str(len(body)))]
        response = h11.Response(status_code=answer.status, headers=[*headers, *answer.headers, *extra])
        parts = (self._h11.send(response), self._h11.send(h11.Data(data=body)), self._h11.send(_END))
        return b"".join([part or b"" for part in parts])

    async def _answer(self) -> None:
        request, connection = self._request, self._connection
        if request is None:
            return
        try:
            answer = await request.answer()
            extra = [("connection", "close")] if connection.stopping else []
            if isinstance(answer.body, bytes):
                connection.write(self._encode(answer, answer.body, *extra))
            else:
                headers = [("content-type", answer.media_type), *answer.headers, *extra]
                connection.write(self._h11.send(h11.Response(status_code=answer.status, headers=headers)))
                async for piece in answer.body:
                    connection.write(self._h11.send(h11.Data(data=piece)))
                    await connection.drain()
                connection.write(self._h11.send(_END))
            await connection.drain()
        except Exception as exc:
            connection.fail(exc)
            return
        finally:
            await request.close()
        self._next()

    def _next(self) -> None:
        """Go on to the next request, of which something may be here already."""
        self._task = self._request = self._since = None
        if self._connection.stopping or self._h11.our_state is not h11.DONE:
            self._connection.close()
            return
        self._h11.start_next_cycle()
        self._connection.rest()
        if self._h11.trailing_data[0]:
            self._since = self._connection.now()
            self._advance()


_END: Final = h11.EndOfMessage()
