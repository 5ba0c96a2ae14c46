"""ASGI applications as mounts, and the lifespan of what is mounted."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from echelon.http.lifespan import LifespanFailed
from echelon.http.service import Service
from echelon.http.testing import LiveServer, TestClient
from echelon.routing import Router


class Inner:
    """An ASGI application that shows what it got, and does as it is told."""

    def __init__(self, events: list[str], fail: bool = False) -> None:
        self.events, self.fail = events, fail

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        what = scope["path"].rpartition("/")[2]
        if what == "raise":
            raise LookupError("inside")
        if what == "silent":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [(b"content-type", b"text/plain"), (b"x-state", scope["state"].get("made", "").encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        if what == "stream":
            try:
                for number in range(3):
                    await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                self.events.append("streamed")
            return
        if what == "endless":
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x", "more_body": True})
                    await asyncio.sleep(0)
            finally:
                self.events.append("cancelled")
        told = f"{scope['method']} {scope['root_path']} {scope['path']} {scope['query_string'].decode()} "
        await send({"type": "http.response.body", "body": told.encode() + body})
        self.events.append("after")

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if self.fail:
            await send({"type": "lifespan.startup.failed", "message": "inner cannot start"})
            return
        scope["state"]["made"] = "yes"
        self.events.append("up")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.events.append("down")
        await send({"type": "lifespan.shutdown.complete"})


def service(*inner: Any, events: list[str] | None = None) -> Service:
    router = Router()
    for number, app in enumerate(inner):
        router.mount(f"/in{number}", app)

    async def start() -> None:
        if events is not None:
            events.append("own up")

    async def stop() -> None:
        if events is not None:
            events.append("own down")

    return Service(router, startup=start, shutdown=stop)


async def test_a_mounted_application_gets_its_scope_and_body() -> None:
    """root_path is the prefix, path is whole, the body and the query come through, state is the lifespan's."""
    async with TestClient(service(Inner([]))) as client:
        answer = await client.post("/in0/x?q=1", content=b"body")
    assert (answer.status_code, answer.text) == (201, "POST /in0 /in0/x q=1 body")
    assert answer.headers["x-state"] == "yes"


async def test_a_mounted_application_may_stream() -> None:
    """Piece by piece, to the end."""
    seen: list[str] = []
    async with TestClient(service(Inner(seen))) as client:
        assert (await client.get("/in0/stream")).text == "012"
    assert "streamed" in seen


async def test_a_mounted_application_that_fails_is_a_500() -> None:
    """Whether it raises or just says nothing."""
    async with TestClient(service(Inner([]))) as client:
        for what in ("raise", "silent"):
            assert (await client.get(f"/in0/{what}")).status_code == 500


async def test_lifespans_run_inside_the_owners() -> None:
    """Up in order, down in reverse."""
    seen: list[str] = []
    async with TestClient(service(Inner(seen), Inner(seen), events=seen)):
        assert seen == ["own up", "up", "up"]
    assert seen == ["own up", "up", "up", "down", "down", "own down"]


async def test_a_mounted_application_that_cannot_start_stops_all() -> None:
    """What had started is stopped again, and the message is the application's."""
    seen: list[str] = []
    with pytest.raises(LifespanFailed, match="inner cannot start"):
        async with TestClient(service(Inner(seen), Inner(seen, fail=True), events=seen)):
            pass
    assert seen == ["own up", "up", "down", "own down"]


async def test_an_application_without_lifespan_is_mounted_all_the_same() -> None:
    """Many ASGI applications raise on a scope they do not know, or return."""

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    async with TestClient(service(plain)) as client:
        assert (await client.get("/in0/")).text == "plain"


async def test_an_echelon_application_is_an_asgi_mount() -> None:
    """One inside the other; routes below see the path without the prefix."""
    inner = Router()
    inner.get("/u/{id:int}")(lambda id: {"id": id})
    inner.get("/there/")(lambda: "")
    async with TestClient(service(Service(inner))) as client:
        assert (await client.get("/in0/u/5")).json() == {"id": 5}
        assert (await client.get("/in0/there")).headers["location"] == "/in0/there/"


def test_an_endless_stream_of_a_mount_ends_with_its_client(tmp_path: Any) -> None:
    """Over a real connection the application is cancelled when the client leaves."""
    source = __file__
    (tmp_path / "main.py").write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        f"exec(open({source!r}).read())\n"
        "class Printed(list):\n    def append(self, item): print(item, flush=True)\n"
        "app = service(Inner(Printed()))\n"
    )
    with LiveServer("main.py", cwd=tmp_path) as live:
        with httpx.stream("GET", f"{live.url}/in0/endless") as answer:
            next(answer.iter_bytes())
        for _ in range(200):
            if "cancelled" in live.output():
                break
            asyncio.run(asyncio.sleep(0.02))
        assert "cancelled" in live.output()
