"""The stand-alone server of KV Connect: HTTP/1.1 and HTTP/2, and clients that mean it ill."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from connect_peers import TOKEN, serving, url_of

from echelon.errors import ConfigError
from echelon.kv import Kv, open_kv
from echelon.kv.backend import KeyRange
from echelon.kv.codec import encode_key
from echelon.kv.connect import http2 as http2_module
from echelon.kv.connect import listener as listener_module
from echelon.kv.connect import wire
from echelon.kv.connect.access import Access
from echelon.kv.connect.listener import Listener
from echelon.kv.connect.server import MAX_BODY, Service

ACCESS = Access(TOKEN)
READ = wire.encode_read([KeyRange(encode_key(("k",)))])
EMPTY = b"\x0a\0\x20\x01\x40\x01"
EXCHANGE = b'{"supportedVersions":[3]}'


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[Kv]:
    async with open_kv(tmp_path / "test.db") as store:
        yield store


@pytest.fixture
async def listener(kv: Kv) -> AsyncIterator[Listener]:
    """A server on a free port."""
    async with serving(kv.backend) as listening:
        yield listening


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that soon loses its patience."""
    monkeypatch.setattr(listener_module, "FIRST_SECONDS", 0.3)
    monkeypatch.setattr(listener_module, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(listener_module, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(listener_module, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(listener_module, "_LOOK_SECONDS", 0.05)


def headers() -> dict[str, str]:
    return {
        "authorization": f"Bearer {ACCESS.make_token()}",
        "x-denokv-version": "3",
        "x-denokv-database-id": ACCESS.database,
    }


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


class Plain:
    """A client of HTTP/1.1 that sends what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, listener: Listener) -> Plain:
        return cls(*await asyncio.open_connection("127.0.0.1", listener.port))

    @staticmethod
    def request(path: str, body: bytes, **more: str) -> bytes:
        fields = {"host": "x", "content-length": str(len(body)), **headers(), **more}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + body

    async def answer(self) -> tuple[int, bytes]:
        """The next answer: its status and body."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).lower()
        status = int(head.split(b" ")[1])
        if b"content-length" not in head:
            return status, b""
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return status, await self.reader.readexactly(length)

    async def post(self, path: str, body: bytes, **more: str) -> tuple[int, bytes]:
        self.writer.write(self.request(path, body, **more))
        return await self.answer()

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.transport.abort()


class Two:
    """A client of HTTP/2; answers are kept by stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.events: list[Any] = []
        self.bodies: dict[int, bytes] = {}
        self.statuses: dict[int, int] = {}
        self.ended: set[int] = set()
        self.gone: int | None = None
        self.resets: dict[int, int] = {}

    @classmethod
    async def open(cls, listener: Listener, **options: Any) -> Two:
        client = cls(*await asyncio.open_connection("127.0.0.1", listener.port, **options))
        client.h2.initiate_connection()
        client.flush()
        return client

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def begin(self, path: str, body: bytes | None, *, end: bool = True, **more: str) -> int:
        """Send a request, without a body if that is None."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = {":method": "POST", ":scheme": "http", ":authority": "x", ":path": path}
        self.h2.send_headers(stream, [*pseudo.items(), *headers().items(), *more.items()])
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    async def read(self) -> bool:
        """Take in what has come; return whether the connection is still there."""
        try:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
        except ConnectionError:
            return False
        for event in self.h2.receive_data(data) if data else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[event.stream_id] = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.gone = event.error_code
        self.flush()
        return bool(data)

    async def answer(self, stream: int) -> tuple[int, bytes]:
        while stream not in self.ended and stream not in self.resets:
            assert await self.read(), "the server closed the connection"
        return self.statuses.get(stream, 0), self.bodies.get(stream, b"")

    async def post(self, path: str, body: bytes, **more: str) -> tuple[int, bytes]:
        return await self.answer(self.begin(path, body, **more))

    async def until_closed(self) -> None:
        while await self.read():
            pass

    def close(self) -> None:
        self.writer.transport.abort()


# What is served ---------------------------------------------------------------------------------------------


async def test_both_versions_on_one_port(listener: Listener) -> None:
    """HTTP/1.1 and HTTP/2 with prior knowledge are told apart by how they begin."""
    for client in (await Plain.open(listener), await Two.open(listener)):
        status, body = await client.post("/", EXCHANGE, authorization=f"Bearer {TOKEN}")
        assert (status, json.loads(body)["version"]) == (200, 3)
        for _ in range(3):
            assert await client.post("/v2/snapshot_read", READ) == (200, EMPTY)
        assert (await client.post("/v2/nothing", b""))[0] == 404
        assert (await client.post("/v2/snapshot_read?x=1", READ))[0] == 200
        client.close()


async def test_tls_offers_both(kv: Kv, certificate: tuple[Path, Path]) -> None:
    """Over TLS the client chooses, and without a choice it is HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = await Listener.open(Service(lambda: kv.backend, ACCESS), "127.0.0.1", 0, tls=context)
    try:
        for offer in (["h2"], ["http/1.1"], ["http/1.1", "h2"], []):
            trusting = ssl.create_default_context(cafile=certificate[0])
            if offer:
                trusting.set_alpn_protocols(offer)
            options = {"ssl": trusting, "server_hostname": "localhost"}
            if "h2" in offer:
                client: Any = await Two.open(listener, **options)
            else:
                client = Plain(*await asyncio.open_connection("127.0.0.1", listener.port, **options))
            assert await client.post("/v2/snapshot_read", READ) == (200, EMPTY)
            client.close()
        plain = await Plain.open(listener)
        plain.writer.write(plain.request("/v2/snapshot_read", READ))
        assert await plain.is_closed()
        plain.close()
    finally:
        await listener.close()


async def test_many_requests_at_once(listener: Listener) -> None:
    """Streams of one connection are answered side by side, requests of HTTP/1.1 in their order."""
    two = await Two.open(listener)
    streams = [two.begin("/v2/snapshot_read", READ) for _ in range(100)]
    assert [await two.answer(stream) for stream in streams] == [(200, EMPTY)] * 100
    two.close()
    plain = await Plain.open(listener)
    bodies = [EXCHANGE, b"", b'{"supportedVersions":[2]}']
    for body in bodies:
        plain.writer.write(plain.request("/", body, authorization=f"Bearer {TOKEN}"))
    versions = [json.loads((await plain.answer())[1])["version"] for _ in bodies]
    assert versions == [3, 1, 2]
    plain.close()


async def test_large_answers(listener: Listener, kv: Kv) -> None:
    """An answer above every window is sent as the client makes room."""
    for n in range(100):
        await kv.set(("big", n), bytes([n]) * 60_000)
    ask = wire.encode_read([KeyRange(encode_key(("big",)) + b"\0", encode_key(("big",)) + b"\xff", 100)])
    for client in (await Plain.open(listener), await Two.open(listener)):
        status, body = await client.post("/v2/snapshot_read", ask)
        assert status == 200
        (records,) = wire.decode_read_output(body).ranges
        assert [record.value[:1] for record in records] == [bytes([n]) for n in range(100)]
        client.close()


async def test_bodies_in_pieces(listener: Listener) -> None:
    """A body may come in any pieces, chunked too, and after the server was asked whether to send it."""
    plain = await Plain.open(listener)
    whole = plain.request("/v2/snapshot_read", READ)
    for at in range(len(whole)):
        plain.writer.write(whole[at : at + 1])
        if at % 20 == 0:
            await asyncio.sleep(0)
    assert await plain.answer() == (200, EMPTY)
    head = plain.request("/v2/snapshot_read", b"").replace(
        b"content-length: 0", b"transfer-encoding: chunked"
    )
    plain.writer.write(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(READ), READ))
    assert await plain.answer() == (200, EMPTY)
    head = plain.request("/v2/snapshot_read", READ, expect="100-continue")[: -len(READ)]
    plain.writer.write(head)
    assert (await plain.answer())[0] == 100
    plain.writer.write(READ)
    assert await plain.answer() == (200, EMPTY)
    plain.close()
    two = await Two.open(listener)
    stream = two.begin("/v2/snapshot_read", None)
    for at in range(len(READ)):
        two.h2.send_data(stream, READ[at : at + 1], end_stream=at == len(READ) - 1)
        two.flush()
        await asyncio.sleep(0)
    assert await two.answer(stream) == (200, EMPTY)
    two.close()


async def test_watch_ends_with_its_client(listener: Listener, kv: Kv) -> None:
    """A watch is given up when its client resets the stream or goes away."""
    watch = wire.encode_watch([encode_key(("k",))])
    two = await Two.open(listener)
    stream = two.begin("/v2/watch", watch)
    while not two.bodies.get(stream):
        await two.read()
    two.h2.reset_stream(stream)
    two.flush()
    assert (await two.post("/v2/snapshot_read", READ))[0] == 200
    two.begin("/v2/watch", watch)
    plain = await Plain.open(listener)
    assert (await plain.post("/v2/watch", watch))[0] == 200
    half = await Plain.open(listener)
    assert (await half.post("/v2/watch", watch))[0] == 200
    half.writer.write_eof()
    for client in (two, plain):
        client.close()
    async with asyncio.timeout(10):
        while listener._connections or _answers():  # noqa: ASYNC110 - nothing tells that they have ended
            await asyncio.sleep(0.01)
    half.close()


def _answers() -> list[str]:
    """Tasks that are about an answer."""
    return [task.get_name() for task in asyncio.all_tasks() if "_answer" in repr(task.get_coro())]


def frames_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, stream and content of each frame of HTTP/2."""
    while data:
        length = int.from_bytes(data[:3], "big")
        yield data[3], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]
        data = data[9 + length :]


async def test_stopping(kv: Kv) -> None:
    """A server that stops ends its watches whole, finishes what was asked, and takes nothing more."""
    async with serving(kv.backend) as listener:
        port = listener.port
        watch = wire.encode_watch([encode_key(("k",))])
        two, plain, idle = await Two.open(listener), await Plain.open(listener), await Plain.open(listener)
        stream = two.begin("/v2/watch", watch)
        while not two.bodies.get(stream):
            await two.read()
        plain.writer.write(plain.request("/v2/watch", watch))
        assert (await plain.answer())[0] == 200
        assert (await idle.post("/v2/snapshot_read", READ))[0] == 200
        started = time.monotonic()
    assert time.monotonic() - started < 3
    frames = [*frames_of(await two.reader.read())]
    assert (7, 0, bytes((0, 0, 0, stream, 0, 0, 0, 0))) in frames
    assert (0, stream, b"") in frames
    assert (await plain.reader.read()).endswith(b"\r\n0\r\n\r\n")
    assert await idle.is_closed()
    for client in (two, plain, idle):
        client.close()
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", port)


async def test_requests_of_the_last_moment(listener: Listener) -> None:
    """A stream that begins after the server said goodbye is refused in the way that is safe to try again."""
    two = await Two.open(listener)
    watch = two.begin("/v2/watch", wire.encode_watch([encode_key(("k",))]))
    while not two.bodies.get(watch):
        await two.read()
    listener.stopping = True
    late = two.begin("/v2/snapshot_read", READ)
    await two.answer(late)
    assert two.resets == {late: 7}
    two.close()


# Who means it ill -------------------------------------------------------------------------------------------


async def test_strangers_cost_nothing(listener: Listener) -> None:
    """Without a token a body is read but not kept, and the connection goes on."""
    big = b"x" * (MAX_BODY - 1)
    plain = await Plain.open(listener)
    assert (await plain.post("/v2/atomic_write", big, authorization="Bearer no"))[0] == 401
    assert await plain.post("/v2/snapshot_read", READ) == (200, EMPTY)
    plain.close()
    two = await Two.open(listener)
    stream = two.begin("/v2/atomic_write", None, authorization="Bearer no")
    for at in range(0, len(big), 16384):
        while two.h2.local_flow_control_window(stream) < 16384:
            await two.read()
        two.h2.send_data(stream, big[at : at + 16384])
        two.flush()
    (connection,) = listener._connections
    (held,) = connection._codec._streams.values()  # type: ignore[union-attr]
    assert held.request.body == b""
    two.h2.end_stream(stream)
    two.flush()
    assert (await two.answer(stream))[0] == 401
    two.close()


async def test_bodies_that_are_too_large(listener: Listener) -> None:
    """A body above the limit is refused as soon as that is known."""
    plain = await Plain.open(listener)
    plain.writer.write(plain.request("/v2/atomic_write", b"x" * (MAX_BODY + 1)))
    assert (await plain.answer())[0] == 413
    assert await plain.is_closed()
    plain.close()
    two = await Two.open(listener)
    stream = two.begin("/v2/atomic_write", None)
    sent = 0
    while stream not in two.ended and stream not in two.resets:
        room = min(two.h2.local_flow_control_window(stream), 16384)
        if room and sent <= MAX_BODY:
            two.h2.send_data(stream, b"x" * room)
            two.flush()
            sent += room
        else:
            await two.read()
    assert two.statuses[stream] == 413
    assert await two.post("/v2/snapshot_read", READ) == (200, EMPTY)
    two.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,  # a handshake of TLS
        b"GET / HTTP/0.9\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nhost : a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100_000,
        b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
        b"\0" * 50_000,
        b"PRI * HTTP/2.0\r\n\r\nSX" + b"\0" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
        PREFACE + b"\0\0\x05\x09\x04\0\0\0\x01aaaaa",  # a continuation of nothing
        PREFACE + b"\xff\xff\xff\0\0\0\0\0\x01" + b"a" * 99_999,  # a frame of 16 MiB
        PREFACE + b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0" * 2000,  # windows that do not grow
    ],
    ids=lambda data: repr(data[:40]),
)
async def test_what_is_not_http(listener: Listener, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever comes in, the connection ends with a refusal at most; others are served, and nothing is logged."""
    plain = await Plain.open(listener)
    plain.writer.write(data)
    if not data.startswith(PREFACE[:24]):
        plain.writer.write_eof()
    with suppress(ConnectionError):
        await asyncio.wait_for(plain.reader.read(), 10)
    plain.close()
    other = await Plain.open(listener)
    assert await other.post("/v2/snapshot_read", READ) == (200, EMPTY)
    other.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_floods_of_headers(listener: Listener) -> None:
    """Headers above the limit end the connection of HTTP/2, in one frame or in endless ones."""
    two = await Two.open(listener)
    with pytest.raises(AssertionError, match="closed"):
        await two.answer(two.begin("/v2/snapshot_read", READ, **{f"x-{n}": "y" * 1000 for n in range(100)}))
    two.close()
    two = await Two.open(listener)
    await two.read()
    frame = b"\0\x40\0\x09\0\0\0\0\x01" + b"\x40\x01x\x01y" * 3276 + b"\x00\x01x\x00"
    two.writer.write(b"\0\0\x01\x01\0\0\0\0\x01\x83" + frame * 200)
    with pytest.raises((AssertionError, ConnectionError)):
        await two.answer(1)
    two.close()


async def test_too_many_streams(listener: Listener) -> None:
    """A client that opens more streams than it was told may lose its connection, and no other does."""
    two = await Two.open(listener)
    while two.h2.remote_settings.max_concurrent_streams != http2_module.MAX_STREAMS:
        await two.read()
    two.h2.remote_settings = h2.settings.Settings(client=False)
    for _ in range(http2_module.MAX_STREAMS + 1):
        two.begin("/v2/watch", None)
    await two.until_closed()
    two.close()
    other = await Two.open(listener)
    assert await other.post("/v2/snapshot_read", READ) == (200, EMPTY)
    other.close()


async def test_rapid_resets(listener: Listener) -> None:
    """A client that takes back one request after the other is told to calm down."""
    two = await Two.open(listener)
    reading = asyncio.create_task(two.until_closed())
    for n in range(3000):
        if two.gone is not None:
            break
        two.h2.reset_stream(two.begin("/v2/snapshot_read", None))
        two.flush()
        if n % 50 == 0:
            await asyncio.sleep(0)
    await reading
    assert two.gone in (None, 11)  # a reset of the connection may overtake the reason for it
    two.close()
    other = await Two.open(listener)
    assert await other.post("/v2/snapshot_read", READ) == (200, EMPTY)
    other.close()


async def test_bodies_side_by_side(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bodies of one connection together are bounded: a stream too many is reset, not buffered."""
    monkeypatch.setattr(http2_module, "MAX_BODIES", 100_000)
    two = await Two.open(listener)
    streams = [two.begin("/v2/atomic_write", None) for _ in range(5)]
    for stream in streams:
        for _ in range(3):
            while two.h2.local_flow_control_window(stream) < 10_000:
                await two.read()
            two.h2.send_data(stream, b"x" * 10_000)
            two.flush()
    while not two.resets:
        await two.read()
    assert set(two.resets.values()) == {11}
    two.close()


async def test_slow_clients(listener: Listener, quick: None) -> None:
    """Whoever says nothing, too little for too long, or nothing more for long, is disconnected."""
    silent, slow, idle = (await Plain.open(listener) for _ in range(3)), None, None
    clients = [client async for client in silent]
    clients[1].writer.write(clients[1].request("/v2/snapshot_read", READ)[:-1])
    assert (await clients[2].post("/v2/snapshot_read", READ))[0] == 200
    begun = await Plain.open(listener)
    begun.writer.write(b"PRI * HT")
    for client in (*clients, begun):
        assert await client.is_closed()
        client.close()
    assert (slow, idle) == (None, None)
    two = await Two.open(listener)
    stream = two.begin("/v2/snapshot_read", READ, end=False)
    await two.answer(stream)
    assert two.resets == {stream: 11}
    await two.until_closed()
    two.close()


async def test_trickling_client(listener: Listener, quick: None) -> None:
    """A byte now and then does not keep a request alive."""
    plain = await Plain.open(listener)
    started = time.monotonic()
    for byte in plain.request("/v2/snapshot_read", READ):
        plain.writer.write(bytes((byte,)))
        await asyncio.sleep(0.02)
        if plain.reader.at_eof():
            break
    assert await plain.is_closed()
    assert time.monotonic() - started < 5
    plain.close()


async def test_clients_that_do_not_read(listener: Listener, kv: Kv, quick: None) -> None:
    """A client that asks and asks but does not read is disconnected, and little is kept for it."""
    for n in range(100):
        await kv.set(("big", n), b"x" * 60_000)
    ask = wire.encode_read([KeyRange(encode_key(("big",)), encode_key(("big",)) + b"\xff", 100)])
    raw = socket.create_connection(("127.0.0.1", listener.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(Plain.request("/v2/snapshot_read", ask) * 5)
    async with asyncio.timeout(10):
        while listener._connections:  # noqa: ASYNC110 - nothing tells that they have ended
            await asyncio.sleep(0.05)
    raw.close()


async def test_streams_without_room(listener: Listener, kv: Kv, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose client makes no room for the answer is reset after a while."""
    monkeypatch.setattr(http2_module, "STALL_SECONDS", 0.3)
    await kv.set(("big",), b"x" * 60_000)
    two = await Two.open(listener)
    two.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    two.flush()
    while two.h2.local_settings.initial_window_size != 10:
        await two.read()
    stream = two.begin("/v2/snapshot_read", wire.encode_read([KeyRange(encode_key(("big",)))]))
    two.h2.acknowledge_received_data = lambda *_: None  # type: ignore[method-assign]
    await two.answer(stream)
    assert two.resets == {stream: 8}
    two.close()


async def test_too_many_connections(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections above the limit are closed at once; when there is room again new ones are served."""
    monkeypatch.setattr(listener_module, "MAX_CONNECTIONS", 2)
    first, second = await Plain.open(listener), await Plain.open(listener)
    third = await Plain.open(listener)
    assert await third.is_closed()
    assert (await first.post("/v2/snapshot_read", READ))[0] == 200
    second.close()
    async with asyncio.timeout(10):
        while len(listener._connections) > 1:  # noqa: ASYNC110 - nothing tells that it has ended
            await asyncio.sleep(0.01)
    fourth = await Plain.open(listener)
    assert (await fourth.post("/v2/snapshot_read", READ))[0] == 200
    for client in (first, third, fourth):
        client.close()


async def test_too_much_ahead(listener: Listener) -> None:
    """A client that sends on and on while it is being answered is disconnected."""
    plain = await Plain.open(listener)
    plain.writer.write(plain.request("/v2/watch", wire.encode_watch([encode_key(("k",))])))
    assert (await plain.answer())[0] == 200
    plain.writer.write(b"x" * 200_000)
    with suppress(ConnectionError):
        await asyncio.wait_for(plain.reader.read(), 10)
    plain.close()


async def test_ports_that_cannot_be_had(listener: Listener, kv: Kv) -> None:
    """A port that is taken, and an address of another machine, are refused in words."""
    service = Service(lambda: kv.backend, ACCESS)
    with pytest.raises(ConfigError, match="taken by another program"):
        await Listener.open(service, "127.0.0.1", listener.port)
    with pytest.raises(ConfigError, match="cannot listen on"):
        await Listener.open(service, "192.0.2.1", 0)
    assert url_of(listener).endswith(str(listener.port))
