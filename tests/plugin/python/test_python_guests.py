"""HTTP guests in typed Python: what they read, answer and ask of the host, and what is refused."""

from __future__ import annotations

import asyncio
import http.server
import importlib.util
import json
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from echelon import Application, Limits, Permissions, Runtime, guest
from echelon.errors import CompileError, Trap
from echelon.http.testing import LiveServer, TestClient
from echelon.kv import U64
from echelon.plugin.compilers.python.compiler import translate

KIT = """
from dataclasses import dataclass
from echelon.guest import Answer, Entry, Headers, Request, Response, env, fetch, kv, log

@dataclass
class Point:
    x: int
    y: float | None
    tags: dict[str, bool]
    pair: tuple[str, int]

def shown(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    return f"{entry.key} {entry.value.kind} {entry.value.content!r}"

def handle(request: Request) -> Response:
    path = request.path
    if path == "/echo":
        headers = request.headers
        return Response(
            f"{request.method} {path} {request.query_string} {request.query} {headers.get('X-One')}"
            f" {'x-one' in headers} {'x-two' in headers} {request.text()}",
            201, {"X-Answer": "gr", "content-type": "text/x"},
        )
    if path == "/bytes":
        return Response(request.body)
    if path == "/html":
        return Response.html("<p>ö")
    if path == "/json":
        point = Point(2**60, None, {"a": True, 'q"': False}, ("x\\n\\x01", -1))
        return Response.json({"points": [point, Point(0, 1.5, {}, ("🦊", 0))], "none": []}, 200, {"x": "y"})
    if path == "/number-keys":
        return Response.json({1: [True], 2: []})
    if path == "/nan":
        return Response.json(float("nan"))
    if path == "/kv":
        kv.set(("s", "text"), "größer 🦊")
        kv.set(("s", "bytes"), b"\\xff")
        kv.set(("s", "json"), {"a": [1, 2]}, expire_in=60.0)
        kv.set(("s", "number"), 7)
        kv.set(("s", 1, -2.5, True, b"\\x01"), "parts")
        kv.set(["s", "list"], "")
        done = kv.atomic().check(("s", "absent")).sum(("n", 1), 5).max(("n", 2), 9).delete(("s", "text")).commit()
        failed = kv.atomic().check(("n", 1), "0" * 20).set(("n", 3), "never").commit()
        lines = [shown(entry) for entry in kv.list(("s",))]
        lines.append(shown(kv.get(("n", 1))))
        lines.append(shown(kv.get(("n", 3))))
        number = kv.get(("s", "number"))
        lines.append(f"{done.ok} {len(done.versionstamp) > 0} {failed.ok} {0 if number is None else number.number()}")
        lines += [entry.key[1] for entry in kv.list(("s",), start=("s", "bytes"), end=("s", "number"), reverse=True)]
        return Response("\\n".join(lines))
    if path == "/wrong":
        entry = kv.get(("s", "bytes"))
        return Response("" if entry is None else entry.text())
    if path == "/many":
        return Response(f"{len(kv.list(('many',), limit=1100))} {len(kv.list(('many',)))}")
    if path == "/env":
        return Response(f"{env('NAME')} {env('NAME', 'nobody')} {env('LANG')}")
    if path == "/fetch":
        try:
            answer = fetch(request.query["url"], method="PUT", headers={"x-in": "1"}, body="größer")
        except OSError as error:
            return Response(f"no answer: {error}")
        return Response(f"{answer.status} {answer.ok} {answer.headers.get('X-Out')} {answer.text()}")
    if path == "/raise":
        return Response(str([1, 2][len(path)]))
    log.warning("nothing here")
    log("really")
    return Response(b"", 404)
"""


class Echo(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])) + self.headers["x-in"].encode()
        self.send_response(418)
        self.send_header("x-out", "out")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications keep their stores below the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def other() -> Iterator[str]:
    """A server to make requests to."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def application(tmp_path: Path, permissions: Permissions) -> Application:
    (tmp_path / "guest.py").write_text(KIT)
    app = Application()
    app.mount("/g", app.wasm.module(tmp_path / "guest.py", permissions=permissions, limits=Limits(time="5s")))
    return app


async def test_requests_and_responses(tmp_path: Path) -> None:
    """A guest sees method, path, query, headers and body; texts, bytes and JSON arrive as they were meant."""
    async with TestClient(application(tmp_path, Permissions())) as client:
        echo = await client.post(
            "/g/echo?a=1&b=%C3%A9+x&a=2&%zz&=no", content=b"hi\xff", headers={"x-one": "1"}
        )
        assert echo.headers["x-answer"] == "gr"
        query = {"a": "1", "b": "é x", "%zz": ""}
        assert (echo.status_code, echo.headers["content-type"]) == (201, "text/x")
        assert echo.text == (
            f"POST /echo a=1&b=%C3%A9+x&a=2&%zz&=no {query} 1 True False hi\N{REPLACEMENT CHARACTER}"
        )
        raw = await client.post("/g/bytes", content=bytes(range(256)))
        assert (raw.content, raw.headers["content-type"]) == (bytes(range(256)), "application/octet-stream")
        page = await client.get("/g/html")
        assert (page.text, page.headers["content-type"]) == ("<p>ö", "text/html; charset=utf-8")
        given = await client.get("/g/json")
        assert given.headers["x"] == "y"
        assert given.json() == {
            "points": [
                {"x": 2**60, "y": None, "tags": {"a": True, 'q"': False}, "pair": ["x\n\x01", -1]},
                {"x": 0, "y": 1.5, "tags": {}, "pair": ["🦊", 0]},
            ],
            "none": [],
        }
        assert (await client.get("/g/number-keys")).text == json.dumps({1: [True], 2: []})
        assert (await client.get("/g/none")).status_code == 404


async def test_exceptions_end_the_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client of a guest that raises learns nothing; the log has the exception and the line."""
    async with TestClient(application(tmp_path, Permissions())) as client:
        for path, said in {
            "raise": "IndexError: list index out of range",
            "nan": "ValueError: Out of range",
        }.items():
            answer = await client.get(f"/g/{path}")
            assert answer.status_code == 502
            assert "Error" not in answer.text
            assert said in caplog.text


async def test_frames_are_those_of_the_file(tmp_path: Path) -> None:
    """The frames of a trap name the guest's functions and lines, not those of the kit."""
    (tmp_path / "guest.py").write_text(KIT)
    parts = [b"GET", b"/raise", b""]
    request = (
        struct.pack("<I", 1) + b"".join(struct.pack("<I", len(part)) + part for part in parts) + bytes(8)
    )
    async with Runtime() as wasm:
        module = await wasm.load(tmp_path / "guest.py")
        with pytest.raises(Trap) as caught:
            await module.handle(request)
    line = KIT.split("[1, 2][len")[0].count("\n") + 1
    frames = [(frame.function, frame.line) for frame in caught.value.frames if frame.file]
    assert frames == [("handle", line)]


async def test_the_store(tmp_path: Path) -> None:
    """Values of each kind, keys of each part, checks, changes, lists; Python reads what a guest wrote."""
    app = application(tmp_path, Permissions(kv=["s", "n", "many"]))
    async with TestClient(app) as client:
        lines = (await client.get("/g/kv")).text.splitlines()
        assert sorted(lines[:5]) == sorted([
            "['s', 'bytes'] 0 b'\\xff'",
            "['s', 'json'] 2 b'{\"a\":[1,2]}'",
            "['s', 'list'] 1 b''",
            "['s', 'number'] 2 b'7'",
            "['s', '1', '-2.5', 'True', '01'] 1 b'parts'",
        ])  # fmt: skip
        assert lines[5:] == [
            "['n', '1'] 3 b'\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00'",
            "nothing",
            "True True False 7",
            "list",
            "json",
            "bytes",
        ]
        assert (await app.kv.get(("s", "json"))).value == {"a": [1, 2]}
        assert (await app.kv.get(("s", 1, -2.5, True, b"\x01"))).value == "parts"
        assert (await app.kv.get(("n", 2))).value == U64(9)
        assert (await client.get("/g/wrong")).status_code == 502
        await asyncio.gather(*(app.kv.set(("many", number), "x") for number in range(1200)))
        assert (await client.get("/g/many")).text == "1100 100"


async def test_what_is_not_granted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each use of what was not granted ends the call, and the log says what to add."""
    async with TestClient(application(tmp_path, Permissions())) as client:
        for path, grant in {
            "kv": "--allow-kv=s",
            "env": "--allow-env=NAME",
            "fetch?url=http://example.com/": "--allow-net=example.com",
        }.items():
            assert (await client.get(f"/g/{path}")).status_code == 502
            assert f"(grant it with {grant})" in caplog.text


async def test_what_is_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    """A guest reads its variables, and makes requests to hosts that it may reach."""
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    app = application(tmp_path, Permissions(env=["NAME"], net=[other, "127.0.0.1:1"]))
    async with TestClient(app) as client:
        assert (await client.get("/g/env")).text.startswith("None nobody ")
        answer = await client.get("/g/fetch", params={"url": f"http://{other}/"})
        assert answer.text == "418 False out größer1"
        failed = await client.get("/g/fetch", params={"url": "http://127.0.0.1:1/"})
        assert failed.text.startswith("no answer: ")


MAIN = """
from echelon import Application, Permissions

app = Application()
app.mount("/", app.wasm.module("guest.py", permissions=Permissions(kv=["links", "followed"], env=["LINK_BASE"])))
"""
EXAMPLE = Path(__file__).parents[3] / "examples" / "guests" / "links.py"


def test_the_example_over_a_socket(tmp_path: Path) -> None:
    """The real server answers with the guest: links are numbered, followed, counted and listed."""
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "guest.py").write_text(EXAMPLE.read_text())
    with LiveServer("main.py", cwd=tmp_path) as server, httpx.Client(base_url=server.url) as client:
        added = [client.post("/", content=f"https://example.com/{name}") for name in "ab"]
        assert [(answer.status_code, answer.text) for answer in added] == [(201, "/1\n"), (201, "/2\n")]
        for _ in range(3):
            followed = client.get("/2")
            assert (followed.status_code, followed.headers["location"]) == (302, "https://example.com/b")
        assert client.get("/").json() == [
            {"number": 1, "url": "https://example.com/a", "followed": 0},
            {"number": 2, "url": "https://example.com/b", "followed": 3},
        ]
        assert client.get("/3").status_code == 404
        assert client.get("/²").status_code == 404
        assert client.post("/", content="ftp://x").status_code == 422
        assert client.put("/", content="x").headers["allow"] == "GET, POST"


def test_a_guest_is_a_module_of_python() -> None:
    """CPython imports the file, and handle() can be called; what needs the host says so."""
    spec = importlib.util.spec_from_file_location("links_guest", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["links_guest"] = module
    spec.loader.exec_module(module)
    refused = module.handle(guest.Request("PUT", "/"))
    assert (refused.status, refused.headers["Allow"], refused.body) == (
        405,
        "GET, POST",
        b"read with GET, add with POST",
    )
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    with pytest.raises(RuntimeError, match="load or mount this file"):
        module.handle(guest.Request("GET", "/1"))
    answer = guest.Response.json({"link": module.Link(1, "ü", 0)}, headers={"X-A": "b"})
    assert answer.body.decode() == '{"link": {"number": 1, "url": "ü", "followed": 0}}'
    assert ("x-a" in answer.headers, "x-b" in answer.headers) == (True, False)
    with pytest.raises(KeyError):
        answer.headers["x-b"]
    assert guest.Request("GET", "/", "a=%41&a=2").query == {"a": "A"}


REFUSED = {
    "from echelon.guest import Cookies\ndef f() -> int:\n    return 1": "has no Cookies; there are Answer, Atomic",
    "import echelon.guest\ndef f() -> int:\n    return 1": "write from echelon.guest import",
    "from echelon.guest import kv\ndef f() -> None:\n    kv.delete('key')": "a key is str; write it as a tuple",
    "from echelon.guest import kv\ndef f() -> None:\n    kv.delete(([1],))": "a part of a key is list[int]",
    "from echelon.guest import kv\ndef f() -> None:\n    kv.set(('a',), {1})": "set[int] is no value of JSON",
    "from echelon.guest import kv\ndef f() -> None:\n    kv(1)": "kv is called",
    "from echelon.guest import Response\ndef f() -> Response:\n    return Response(1)": "a body is int; pass a str",
    "from echelon.guest import Response as R\ndef f() -> R:\n    return R.json(b'')": "bytes is no value of JSON",
    "from echelon.guest import Request\ndef handle(r: Request) -> int:\n    return 1": "def handle(request: Request)",
    "from echelon.guest import log\ndef f() -> None:\n    log(1)": "is int, and str is needed",
    "from echelon.guest import log\ndef log() -> None:\n    pass": "log is defined twice",
    "def f() -> None:\n    _kv_delete(b'')": "_kv_delete is not known",
}


@pytest.mark.parametrize("source", REFUSED, ids=lambda source: source.splitlines()[-1].strip()[:40])
def test_refused(source: str) -> None:
    """What the kit cannot take is refused where it is written, with what to write."""
    made = translate(source, "guest.py")
    assert made.wasm is None
    assert REFUSED[source] in made.diagnostics[0].message
    assert 0 < made.diagnostics[0].line <= 3


async def test_a_guest_that_is_refused(tmp_path: Path) -> None:
    """Loading a file of Python says where the kit is used wrongly."""
    (tmp_path / "guest.py").write_text("from echelon.guest import kv\ndef f() -> None:\n    kv.delete(1)\n")
    async with Runtime() as wasm:
        with pytest.raises(CompileError, match=r"guest\.py:3:15: error: a key is int"):
            await wasm.load(tmp_path / "guest.py")
