"""Both adapters: the same application over ASGI, and over real sockets through Granian."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from echelon.http import Request, Stream
from echelon.http.service import Service
from echelon.http.testing import LiveServer, TestClient
from echelon.routing import Router
from echelon.types import Message

APP = """
import asyncio
from contextvars import ContextVar
from echelon.http import *
from echelon.http.service import Service
from echelon.middleware import Compression
from echelon.routing import Router

mark = ContextVar("mark", default="clean")
router = Router()


@router.get("/json")
async def as_json() -> dict[str, str]:
    return {"k": "é"}


@router.get("/text")
async def as_text() -> str:
    return "é"


@router.get("/empty")
async def empty() -> None: ...


@router.get("/file")
def file() -> File:
    return File(__file__)


@router.get("/stream")
async def stream(n: int, fail: bool = False) -> Stream:
    async def chunks():
        try:
            for number in range(n):
                yield f"{number}\\n" if number % 2 else f"{number}\\n".encode()
                await asyncio.sleep(0)
            if fail:
                raise ValueError("in the middle")
            if n == 0:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.01)
        finally:
            print("stream closed", flush=True)

    return Stream(chunks(), media_type="text/plain")


@router.post("/echo")
async def echo(request: Request) -> bytes:
    return await request.body()


@router.post("/count", max_body=5_000_000)
async def count(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.get("/inspect")
async def inspect(request: Request) -> dict[str, object]:
    return {
        "client": request.client[0], "version": request.http_version, "scheme": request.scheme,
        "host": request.host, "query": request.query.pairs(), "path": request.path, "url": request.url,
        "many": request.headers.get_all("x-many"), "cookies": request.cookies,
    }


@router.get("/seg/{name}")
async def segment(name: str) -> str:
    return name


@router.get("/context")
async def context() -> list[object]:
    before = mark.get()
    mark.set("dirty")
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)
    except TimeoutError:
        return [before, "timed out"]


@router.get("/gone")
async def gone(request: Request) -> None:
    print("gone", await request.disconnected(5), flush=True)


@router.get("/cookies")
async def cookies() -> Response:
    response = Empty(200)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@router.get("/badstatus")
async def bad_status() -> Response:
    response = Text("x")
    response.status = 99
    return response


app = Service(router)
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The application on the real server."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "main.py").write_text(APP)
    with LiveServer("main.py", cwd=folder) as server:
        yield server


def exchange(server: LiveServer, data: bytes, *, half_close: bool = False) -> bytes:
    """Send raw bytes, return all that comes until the connection is quiet or closed."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.3)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def eventually(server: LiveServer, text: str) -> bool:
    """Wait until the server has printed a text."""
    for _ in range(200):
        if text in server.output():
            return True
        time.sleep(0.02)
    return False


def test_each_kind_of_body_arrives(live: LiveServer) -> None:
    """JSON, text, nothing, files, ranges and streams over HTTP/1.1."""
    with httpx.Client(base_url=live.url) as http:
        assert http.get("/json").json() == {"k": "é"}
        text = http.get("/text")
        assert (text.text, text.headers["content-type"]) == ("é", "text/plain; charset=utf-8")
        empty = http.get("/empty")
        assert (empty.status_code, empty.content, "content-type" in empty.headers) == (204, b"", False)
        file = http.get("/file")
        assert (file.text, int(file.headers["content-length"])) == (APP, len(APP.encode()))
        part = http.get("/file", headers={"range": "bytes=1-5"})
        assert (part.status_code, part.content) == (206, APP.encode()[1:6])
        assert http.get("/file", headers={"if-none-match": file.headers["etag"]}).status_code == 304
        assert http.get("/stream?n=4").text == "0\n1\n2\n3\n"
        assert len(http.get("/cookies").headers.get_list("set-cookie")) == 2


def test_head_has_the_headers_of_get(live: LiveServer) -> None:
    """Content-Length included, where it is known."""
    with httpx.Client(base_url=live.url) as http:
        for path in ("/json", "/text", "/file"):
            get, head = http.get(path), http.head(path)
            assert head.content == b""
            assert dict(head.headers) | {"date": ""} == dict(get.headers) | {"date": ""}
        assert http.head("/stream?n=3").content == b""


def test_what_the_request_tells(live: LiveServer) -> None:
    """Path, query, headers and cookies, decoded once."""
    headers = [("X-Many", "1"), ("x-many", "2"), ("cookie", "a=b")]
    told = httpx.get(f"{live.url}/inspect?a=1&a=%C3%A9&b=%2525", headers=headers).json()
    assert told == {
        "client": "127.0.0.1",
        "version": "1.1",
        "scheme": "http",
        "host": f"127.0.0.1:{live.port}",
        "query": [["a", "1"], ["a", "é"], ["b", "%25"]],
        "path": "/inspect",
        "url": f"{live.url}/inspect?a=1&a=%C3%A9&b=%2525",
        "many": ["1", "2"],
        "cookies": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"/seg/a%20b", 200),
        (b"/seg/%252F", 200),
        (b"/seg/a%2Fb", 404),
        (b"/seg/%ff", 400),
        (b"/seg/a%00b", 400),
        (b"http://other/seg/x", 200),
    ],
)
def test_paths_are_decoded_once(live: LiveServer, raw: bytes, status: int) -> None:
    """An encoded slash separates like a plain one, so it never hides inside a parameter."""
    answer = exchange(live, b"GET " + raw + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if raw.endswith(b"%252F"):
        assert answer.endswith(b"%2F")


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Host: a\r\nHost: b\r\n",
        b"Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_framing_that_others_read_otherwise_is_refused(live: LiveServer, lines: bytes) -> None:
    """400, and the connection ends, so that nothing can be smuggled behind it."""
    answer = exchange(live, b"POST /echo HTTP/1.1\r\n" + lines + b"\r\n3\r\nabc\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


def test_http_1_0_needs_no_host(live: LiveServer) -> None:
    """It had none."""
    assert exchange(live, b"GET /text HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


def test_header_bytes_that_are_no_text_are_400(live: LiveServer) -> None:
    """Granian drops such headers silently; here their absence is noticed when headers are read."""
    answer = exchange(live, b"GET /inspect HTTP/1.1\r\nHost: h\r\nX-A: \xff\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_bodies_are_limited(live: LiveServer) -> None:
    """By declared length at once, by counted length on the way, and by the route's own limit."""
    declared = exchange(live, b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\nabc")
    assert declared.startswith(b"HTTP/1.1 413 ")
    with httpx.Client(base_url=live.url) as http:
        assert http.post("/echo", content=b"x" * 1_000_000).content == b"x" * 1_000_000
        assert http.post("/echo", content=iter([b"ab", b"cd"])).content == b"abcd"
        assert http.post("/count", content=b"x" * 5_000_000).json() == 5_000_000
        assert http.post("/count", content=b"x" * 5_000_001).status_code == 413
        assert http.post("/count", content=iter([b"x" * 3_000_000] * 2)).status_code == 413


def test_a_body_cut_short_is_not_taken_for_whole(live: LiveServer) -> None:
    """The client announced more than it sent: the handler never sees a result."""
    for path in (b"/echo", b"/count"):
        answer = exchange(
            live, b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", half_close=True
        )
        assert b" 200 " not in answer


def test_a_handler_learns_that_the_client_left(live: LiveServer) -> None:
    """Waiting for the departure ends when it happens."""
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{live.url}/gone", timeout=0.2)
    assert eventually(live, "gone True")


def test_a_stream_ends_when_the_client_leaves(live: LiveServer) -> None:
    """Its finally block runs, though the server would accept chunks for nobody for ever."""
    with httpx.stream("GET", f"{live.url}/stream?n=0") as answer:
        next(answer.iter_bytes())
    assert eventually(live, "stream closed")


def test_requests_have_contexts_and_cancellation_of_their_own(live: LiveServer) -> None:
    """Context variables do not leak from one request into the next, and timeouts work."""
    with httpx.Client(base_url=live.url) as http:
        assert [http.get("/context").json() for _ in range(2)] == [["clean", "timed out"]] * 2


def test_a_bad_status_is_a_500_and_the_worker_lives(live: LiveServer) -> None:
    """Granian would panic; here the number never reaches it."""
    with httpx.Client(base_url=live.url) as http:
        assert http.get("/badstatus").status_code == 500
        assert http.get("/text").status_code == 200


def test_a_websocket_handshake_is_refused(live: LiveServer) -> None:
    """403, as nothing here speaks it yet."""
    answer = exchange(
        live,
        b"GET /text HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 403 ")


def asgi_app() -> Service:
    router = Router()

    @router.get("/stream")
    async def stream(fail: bool = False) -> Stream:
        async def chunks() -> AsyncIterator[str]:
            yield "a"
            if fail:
                raise ValueError("in the middle")
            yield "b"

        return Stream(chunks())

    @router.post("/echo")
    async def echo(request: Request) -> bytes:
        return await request.body()

    return Service(router)


async def run(service: Service, messages: list[Message], **scope: Any) -> list[Message]:
    """Send raw ASGI messages, return what comes back."""
    sent: list[Message] = []
    waiting = asyncio.Event()

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await waiting.wait()
        raise AssertionError("not reached")

    async def send(message: Message) -> None:
        sent.append(message)

    await service({"type": "http", "headers": [], "query_string": b"", **scope}, receive, send)
    return sent


async def test_asgi_streams_in_pieces() -> None:
    """One message for each chunk, and a last one."""
    sent = await run(asgi_app(), [{"type": "http.request"}], method="GET", path="/stream")
    assert [message.get("body") for message in sent[1:]] == [b"a", b"b", b""]


async def test_asgi_breaks_the_connection_of_a_failed_stream() -> None:
    """The server sees the exception, so that the client does not take half an answer for a whole one."""
    with pytest.raises(ValueError, match="in the middle"):
        await run(
            asgi_app(), [{"type": "http.request"}], method="GET", path="/stream", query_string=b"fail=true"
        )


async def test_asgi_bodiless_answers_have_length_zero_or_none() -> None:
    """204 has no Content-Length, other empty answers have 0."""
    router = Router()
    router.get("/204")(lambda: None)
    router.get("/200")(lambda: (None, 200))
    for path, lengths in (("/204", []), ("/200", [b"0"])):
        sent = await run(Service(router), [], method="GET", path=path)
        assert [value for name, value in sent[0]["headers"] if name == b"content-length"] == lengths


async def test_asgi_websockets_are_closed() -> None:
    """Closing before accepting is how ASGI refuses a handshake."""
    sent = await run(asgi_app(), [{"type": "websocket.connect"}], type="websocket")
    assert (sent[0]["type"], sent[0]["code"]) == ("websocket.close", 1000)


async def test_asgi_refuses_scopes_it_does_not_know() -> None:
    """As the specification asks."""
    with pytest.raises(ValueError, match="odd"):
        await run(asgi_app(), [], type="odd")


async def test_asgi_lifespan_runs_startup_and_shutdown() -> None:
    """In order; a failure is reported with its message."""
    events: list[str] = []

    async def start() -> None:
        events.append("start")

    async def stop() -> None:
        events.append("stop")

    service = Service(Router(), startup=start, shutdown=stop)
    sent = await run(service, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], type="lifespan")
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert events == ["start", "stop"]

    async def fail() -> None:
        raise RuntimeError("no database")

    sent = await run(Service(Router(), startup=fail), [{"type": "lifespan.startup"}], type="lifespan")
    assert sent == [{"type": "lifespan.startup.failed", "message": "no database"}]


async def test_a_file_that_shrinks_while_it_is_sent_ends(tmp_path: Path) -> None:
    """Reading stops at the end of the file instead of waiting for bytes that are gone."""
    from echelon.http import File

    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    router = Router()

    def handler() -> File:
        file = File(path)
        os.truncate(path, 10)
        return file

    router.get("/")(handler)
    sent = await run(Service(router), [], method="GET", path="/")
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b"x" * 10


async def test_uploads_are_dropped_after_the_answer() -> None:
    """The temporary file is closed when the request ends."""
    kept: list[Any] = []
    router = Router()

    @router.post("/")
    async def handler(request: Request) -> None:
        kept.append((await request.form())["f"])

    async with TestClient(Service(router)) as client:
        await client.post("/", files={"f": ("a", b"x")})
    assert kept[0].file.closed
