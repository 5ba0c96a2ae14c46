"""HTTP/2 for the stand-alone server; h2 reads and writes, each stream is a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from echelon.kv.connect.server import MAX_BODY, Answer, Head, Refused

if TYPE_CHECKING:
    from echelon.kv.connect.listener import Connection, Request

MAX_STREAMS: Final = 100
MAX_HEAD: Final = 16 << 10
MAX_RESETS: Final = 1000
"""How many more requests than were answered a client may take back on one connection."""

MAX_BODIES: Final = 8 << 20
"""Of all requests of one connection that are not complete."""

STALL_SECONDS: Final = 60.0
"""How long a client may leave an answer standing that it has no room for."""

_PREFACE_BYTES: Final = 24
_FRAME_HEAD_BYTES: Final = 9
_MAX_FRAME: Final = 16 << 10
_HEADERS, _CONTINUATION, _END_HEADERS = 1, 9, 4

_GOAWAY: Final = bytes((0, 0, 8, 7, 0, 0, 0, 0, 0))
"""The head of a frame GOAWAY (RFC 9113, 6.8), which has 8 bytes."""


class _Bounds:
    """Looks at the heads of frames as they come in: h2 would keep 16 MiB of one before it refuses its length."""

    def __init__(self) -> None:
        self._left = _PREFACE_BYTES
        self._head = bytearray()
        self._block = 0

    def allow(self, data: bytes) -> bool:
        """Return whether every frame that begins in `data` is within bounds."""
        at = 0
        while at < len(data):
            step = min(self._left or _FRAME_HEAD_BYTES - len(self._head), len(data) - at)
            if self._left:
                self._left -= step
            else:
                self._head += data[at : at + step]
            at += step
            if len(self._head) == _FRAME_HEAD_BYTES and not self._begin():
                return False
        return True

    def _begin(self) -> bool:
        length, kind, flags = int.from_bytes(self._head[:3], "big"), self._head[3], self._head[4]
        self._head.clear()
        self._left = length
        if kind in (_HEADERS, _CONTINUATION):
            whole = self._block + length
            self._block = 0 if flags & _END_HEADERS else whole
            return length <= _MAX_FRAME and whole <= 2 * MAX_HEAD
        return length <= _MAX_FRAME


class _Stream:
    """One request and its answer."""

    def __init__(self, request: Request, since: float) -> None:
        self.request = request
        self.since: float | None = since
        self.task: asyncio.Task[None] | None = None
        self.room = asyncio.Event()


class Http2:
    """One connection that speaks HTTP/2."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
                SettingCodes.INITIAL_WINDOW_SIZE: MAX_BODY,
                SettingCodes.ENABLE_CONNECT_PROTOCOL: 0,
            },
        )
        self._bounds = _Bounds()
        self._streams: dict[int, _Stream] = {}
        self._last = 0
        self._excess = 0
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(MAX_BODIES)
        self._flush()

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return not self._streams

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        if not self._bounds.allow(data):
            self._leave(ErrorCodes.FRAME_SIZE_ERROR)
            self._connection.close()
            return
        try:
            for event in self._h2.receive_data(data):
                self._react(event)
        except ProtocolError:  # h2 has written what is to be said about it
            self._flush()
            self._connection.close()
            return
        self._flush()
        if self._excess > MAX_RESETS:
            self._leave(ErrorCodes.ENHANCE_YOUR_CALM)
            self._connection.close()

    def ended(self) -> bool:
        """Tell whether the connection is still needed after the client has said that nothing more comes."""
        return False

    def overdue(self, before: float) -> bool:
        """Take back requests that began to arrive before that time and are not complete."""
        late = [
            n for n, stream in self._streams.items() if stream.since is not None and stream.since < before
        ]
        for number in late:
            self._reset(number, ErrorCodes.ENHANCE_YOUR_CALM)
        self._flush()
        return False

    def shut_down(self) -> None:
        """Take no more requests, and end the connection after the answers that are under way."""
        self._leave(ErrorCodes.NO_ERROR)
        if not self._streams:
            self._connection.close()

    def lost(self) -> None:
        """Let go of what is under way."""
        for stream in self._streams.values():
            if stream.task is not None:
                stream.task.cancel()
        self._streams.clear()

    def _react(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event.stream_id, event.headers)
        elif isinstance(event, DataReceived):
            self._collect(event)
        elif isinstance(event, StreamEnded):
            stream = self._streams.get(event.stream_id)
            if stream is not None and stream.task is None:
                stream.since = None
                stream.task = asyncio.ensure_future(self._answer(event.stream_id, stream))
        elif isinstance(event, StreamReset):
            self._excess += 1
            self._drop(event.stream_id)
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for stream in self._streams.values():
                stream.room.set()
        elif isinstance(event, ConnectionTerminated):
            self._connection.close()

    def _begin(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._last = number
        if self._connection.stopping:
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        path = fields.get(":path", "").partition("?")[0]
        origin = f"{self._connection.scheme}://{fields.get(':authority', '')}"
        head = Head(fields.get(":method", ""), path, fields.get, path, origin)
        self._streams[number] = _Stream(self._connection.begin(head), self._connection.now())

    def _collect(self, event: DataReceived) -> None:
        if event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.task is not None:
            return
        held = sum(len(other.request.body) for other in self._streams.values() if other.task is None)
        if held > MAX_BODIES:
            self._reset(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        elif not stream.request.take(event.data):
            stream.request.refuse(Refused(413, f"The body is larger than {MAX_BODY} bytes.").answer)
            stream.since = None
            stream.task = asyncio.ensure_future(self._answer(event.stream_id, stream))

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None and stream.task is not None:
            stream.task.cancel()
        self._rest()

    def _reset(self, number: int, code: ErrorCodes) -> None:
        self._h2.reset_stream(number, code)
        self._drop(number)

    def _rest(self) -> None:
        if not self._streams:
            if self._connection.stopping:
                self._connection.close()
            else:
                self._connection.rest()

    def _leave(self, code: ErrorCodes) -> None:
        """Say that no further request is taken; h2 itself could say it only by ending everything at once."""
        self._flush()
        frame = _GOAWAY + self._last.to_bytes(4, "big") + code.to_bytes(4, "big")
        self._connection.write(frame)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._connection.write(data)

    async def _answer(self, number: int, stream: _Stream) -> None:
        try:
            answer = await stream.request.answer()
            self._h2.send_headers(number, _headers(answer))
            if isinstance(answer.body, bytes):
                await self._send(number, stream, answer.body, end=True)
            else:
                self._flush()
                async for piece in answer.body:
                    await self._send(number, stream, piece)
                await self._send(number, stream, b"", end=True)
            if stream.request.unfinished:
                self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
        except (ProtocolError, TimeoutError):
            self._cut(number)  # the client took the request back, or leaves the answer standing
        except Exception as exc:
            self._connection.fail(exc)
        finally:
            await stream.request.close()
            if self._streams.get(number) is stream:
                del self._streams[number]
                self._excess = max(0, self._excess - 1)
                self._flush()
                self._rest()

    async def _send(self, number: int, stream: _Stream, data: bytes, *, end: bool = False) -> None:
        """Send a piece of an answer, as far as the client has room for it and then when it has."""
        at = 0
        while True:
            stream.room.clear()
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            size = min(len(data) - at, room)
            whole = at + size == len(data)
            if size or whole:
                self._h2.send_data(number, data[at : at + size], end_stream=end and whole)
                at += size
                self._flush()
                await self._connection.drain()
            if whole:
                return
            if not size:
                await asyncio.wait_for(stream.room.wait(), STALL_SECONDS)

    def _cut(self, number: int) -> None:
        try:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
        except ProtocolError:
            return  # it is gone already


def _headers(answer: Answer) -> list[tuple[str, str]]:
    headers = [(":status", str(answer.status)), ("content-type", answer.media_type), *answer.headers]
    if isinstance(answer.body, bytes):
        headers.append(("content-length", str(len(answer.body))))
    return headers
