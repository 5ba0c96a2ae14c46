"""The client of KV Connect: what it does when servers and networks misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from connect_peers import TOKEN, serving, url_of

from echelon.errors import KvClosed, KvLimitError, KvStorageError, KvUsageError, KvValueError
from echelon.kv import U64, Kv, open_kv
from echelon.kv.backend import Check, Commit, Fate, Lease, Settlement
from echelon.kv.connect import client as client_module
from echelon.kv.connect import metadata as metadata_module
from echelon.kv.connect.access import Access
from echelon.kv.connect.client import ConnectBackend
from echelon.kv.connect.listener import Listener
from echelon.kv.connect.pool import Reply, Url
from echelon.kv.connect.server import Service

Answering = Callable[[bytes], Awaitable[bytes]]


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[Kv]:
    """A store that is served."""
    async with open_kv(tmp_path / "test.db") as store:
        yield store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a server sooner than a user would."""
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 2.0)


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[str]:
    """Serve HTTP that `answer` makes up: it gets each request whole, and what it returns is sent."""

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[16:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                writer.write(await answer(head + await reader.readexactly(length)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*(task for task in tasks if task is not None))


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def metadata(**changes: object) -> bytes:
    document = {
        "version": 3,
        "databaseId": "00000000-0000-0000-0000-000000000000",
        "endpoints": [{"url": "/v2", "consistency": "strong"}],
        "token": "t",
        "expiresAt": "2100-01-01T00:00:00Z",
    }
    return http(200, json.dumps(document | changes).encode())


async def refusal(url: str, token: str = TOKEN) -> str:
    """The message with which a store is not opened."""
    with pytest.raises(KvStorageError) as caught:
        await ConnectBackend.open(url, token)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


# Opening ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://user:secret@host/", "no user name"),
        ("https://user:secret@host:port/", "no user name"),
        ("https://host/?token=x", "query"),
        ("https://host/#x", "fragment"),
        ("https:///path", "not the URL of a store"),
        ("https://host:port/", "not a URL"),
        ("https://host:99999/", "not a URL"),
        ("https://host/a b", "characters"),
        ("https://host/\n", "characters"),
        ("ftp://host/", "not the URL of a store"),
    ],
)
async def test_urls_that_cannot_be_right(url: str, reason: str) -> None:
    """A URL that is not one of a store is refused before anything is sent."""
    with pytest.raises(KvUsageError, match=reason):
        await ConnectBackend.open(url, TOKEN)


@pytest.mark.parametrize("token", [None, "", "a b", "line\nbreak", "é"])
async def test_tokens_that_cannot_be_right(token: str | None) -> None:
    """So is a token that no header can carry, or none."""
    with pytest.raises(KvUsageError, match="token"):
        await ConnectBackend.open("http://127.0.0.1:1", token)


async def test_opening_what_is_no_store(kv: Kv) -> None:
    """Each reason why a store cannot be opened is told apart, and says what to look at."""
    async with serving(kv.backend) as listener:
        url = url_of(listener)
        assert "refuses the token; check token=" in await refusal(url, "wrong-token-0123")
        assert "speaks KV Connect" in await refusal(f"{url}/elsewhere")
    assert "cannot be reached" in await refusal(url)
    assert "cannot be reached" in await refusal("http://nowhere.invalid")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (http(404, b"nothing here"), "answers 404: nothing here"),
        (http(200, b"<html>welcome</html>"), "speaks KV Connect"),
        (http(200, b"{}"), "missing required field"),
        (metadata(version=1000), "version 1000"),
        (metadata(version=1), "version 1 "),
        (metadata(endpoints=[]), "no endpoint"),
        (metadata(endpoints=[{"url": "/v2", "consistency": "eventual"}]), "no endpoint"),
        (metadata(endpoints=[{"url": "ftp://host/", "consistency": "strong"}]), "makes no sense"),
        (metadata(endpoints=[{"url": "http://[", "consistency": "strong"}]), "makes no sense"),
        (metadata(token="a\r\nb: c"), "cannot be sent"),
        (metadata(token=""), "cannot be sent"),
        (metadata(databaseId="\u2028"), "cannot be sent"),
        (metadata(expiresAt="tomorrow"), "speaks KV Connect"),
        (http(500, b"out of order"), "answers 500: out of order"),
        (http(302, b"", "location: http://other.example/"), "redirects to http://other.example/"),
        (http(302, b"", "location: "), "redirects more than"),
        (http(307), "redirects more than"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "not HTTP"),
        (http(418, b"\x1b[31m" + b"x" * 100_000), "answers 418: [31mxx"),
    ],
)
async def test_servers_that_are_something_else(reply: bytes, reason: str) -> None:
    """Whatever answers there, opening fails with one short line of plain text."""

    async def answer(_request: bytes) -> bytes:
        return reply

    async with answering(answer) as url:
        message = await refusal(url)
    assert reason in message
    assert len(message) < 800
    assert message.isprintable()


async def test_redirects() -> None:
    """A redirect on the same host is followed, and endpoints are relative to where it led."""
    asked: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        asked.append(request.split(b" ")[1])
        if asked[-1] == b"/":
            return http(308, b"", "location: /stores/shop/")
        if asked[-1] == b"/stores/shop/":
            return metadata(endpoints=[{"url": "./v2", "consistency": "strong"}])
        return http(200, b"\x0a\0\x20\x01\x40\x01")

    async with answering(answer) as url, open_kv(url, token=TOKEN) as kv:
        assert (await kv.get(("k",))).versionstamp is None
    assert asked == [b"/", b"/stores/shop/", b"/stores/shop/v2/snapshot_read"]


async def test_eventual_reads(kv: Kv) -> None:
    """With consistency "eventual" reads go to the endpoint that offers it, writes to the strong one."""
    asked: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        asked.append(request.split(b" ")[1])
        if asked[-1] == b"/":
            near = {"url": "/near", "consistency": "eventual"}
            return metadata(endpoints=[near, {"url": "/v2", "consistency": "strong"}])
        return http(200, b"\x08\x01\x12\x0a" + b"\0" * 10 if b"atomic" in asked[-1] else b"\x0a\0\x40\x01")

    async with answering(answer) as url:
        backend = await ConnectBackend.open(url, TOKEN, consistency="eventual")
        async with open_kv(url, token=TOKEN) as strong, _kv(backend) as near:
            await near.get(("k",))
            await near.set(("k",), 1)
            with pytest.raises(KvStorageError, match="does not serve reads now"):
                await strong.get(("k",))
    assert b"/near/snapshot_read" in asked
    assert b"/v2/atomic_write" in asked
    assert b"/near/atomic_write" not in asked
    with pytest.raises(KvUsageError, match="consistency"):
        await ConnectBackend.open(url, TOKEN, consistency="some")  # type: ignore[arg-type]


@asynccontextmanager
async def _kv(backend: ConnectBackend) -> AsyncIterator[Kv]:
    async with Kv(backend) as kv:
        yield kv


# Faults -----------------------------------------------------------------------------------------------------


class Fault:
    """A network between client and server, which breaks connections as it is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.swallow = b""
        """A request that has this in it reaches the server, and its answer gets lost."""
        self.refuse = b""
        """A request that has this in it does not reach the server."""
        self.times = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        lost = False

        async def back() -> None:
            while data := await inner_reader.read(65536):
                if lost:
                    return
                writer.write(data)

        backward = asyncio.create_task(back())
        try:
            while data := await reader.read(65536):
                if self.times and self.refuse and self.refuse in data:
                    self.times -= 1
                    break
                if self.times and self.swallow and self.swallow in data:
                    self.times -= 1
                    lost = True
                inner_writer.write(data)
                if lost:
                    await asyncio.wait({backward})
                    break
        finally:
            backward.cancel()
            writer.close()
            inner_writer.close()


@asynccontextmanager
async def faulty(kv: Kv, *, extensions: bool = True) -> AsyncIterator[tuple[str, Fault]]:
    """Serve a store behind a network that breaks."""
    async with serving(kv.backend, extensions=extensions) as listener:
        fault = Fault(listener.port)
        server = await asyncio.start_server(fault.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", fault
        finally:
            server.close()


async def test_lost_answer_of_a_write(kv: Kv) -> None:
    """Where the server remembers, a write whose answer got lost is sent again and applied once."""
    async with faulty(kv) as (url, fault), open_kv(url, token=TOKEN) as client:
        await client.atomic().sum(("n",), 1).commit()
        for _ in range(5):
            fault.swallow, fault.times = b"atomic_write", 2
            result = await client.atomic().sum(("n",), 1).commit()
            assert (await kv.get(("n",))).versionstamp == result.versionstamp
            assert fault.times == 0
    assert (await kv.get(("n",))).value == U64(6)


async def test_lost_answers_without_end(kv: Kv) -> None:
    """A write whose answers keep getting lost fails in the end, and says what is not known."""
    async with faulty(kv) as (url, fault), open_kv(url, token=TOKEN) as client:
        await client.set(("k",), 1)
        fault.swallow, fault.times = b"atomic_write", 1000
        with pytest.raises(KvStorageError, match="may or may not have been applied"):
            await client.atomic().sum(("n",), 1).commit()
    assert (await kv.get(("n",))).value == U64(1)


async def test_lost_answer_without_memory(kv: Kv) -> None:
    """With other servers the caller is told that the write may have been applied; it is not sent again."""
    async with faulty(kv, extensions=False) as (url, fault), open_kv(url, token=TOKEN) as client:
        await client.atomic().sum(("n",), 1).commit()
        fault.swallow, fault.times = b"atomic_write", 1
        with pytest.raises(KvStorageError, match="may or may not have been applied"):
            await client.atomic().sum(("n",), 1).commit()
        assert (await client.get(("n",))).value == U64(2)


async def test_lost_answer_of_a_read(kv: Kv) -> None:
    """A read whose answer got lost is made again."""
    await kv.set(("k",), "v")
    async with faulty(kv, extensions=False) as (url, fault), open_kv(url, token=TOKEN) as client:
        fault.swallow, fault.times = b"snapshot_read", 3
        assert (await client.get(("k",))).value == "v"
        assert fault.times == 0


async def test_server_that_is_away_for_a_moment(kv: Kv) -> None:
    """Reads and writes wait for a server that starts again; for one that does not they fail in the end."""
    async with serving(kv.backend, extensions=False) as listener:
        port = listener.port
        client = await open_kv(url_of(listener), token=TOKEN)
        await client.set(("k",), 1)
    calls = [asyncio.create_task(client.get(("k",))), asyncio.create_task(client.set(("l",), 2))]
    await asyncio.sleep(0.3)
    again = await Listener.open(Service(lambda: kv.backend, Access(TOKEN)), "127.0.0.1", port)
    entry, _ = await asyncio.gather(*calls)
    assert entry.value == 1  # type: ignore[union-attr]
    assert (await kv.get(("l",))).value == 2
    await again.close()
    for call in (client.get(("k",)), client.set(("k",), 1)):
        with pytest.raises(KvStorageError, match="does not answer: it cannot be reached"):
            await call
    await client.close()


async def test_tokens_are_renewed(kv: Kv, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that the server takes no more is exchanged for a new one, once for all who noticed."""
    exchanges = 0

    class Counting(Access):
        def check_access(self, authorization: str | None) -> bool:
            nonlocal exchanges
            exchanges += 1
            return super().check_access(authorization)

    access = Counting(TOKEN)
    listener = await Listener.open(Service(lambda: kv.backend, access), "127.0.0.1", 0)
    async with open_kv(url_of(listener), token=TOKEN) as client:
        await client.set(("k",), 1)
        assert exchanges == 1
        access._key = b"another"
        await asyncio.gather(*(client.get(("k",)) for _ in range(20)))
        assert exchanges == 2
        await client.set(("k",), 2)
        access._token = b"another-token-0123"
        access._key = b"a third"
        with pytest.raises(KvStorageError, match="refuses the token") as caught:
            await client.get(("k",))
        assert TOKEN not in str(caught.value)
    await listener.close()


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("snapshot_read", b"\xff", "makes no sense"),
        ("snapshot_read", b"\x20\x01\x40\x01", "does not say why"),
        ("snapshot_read", b"\x0a\0\x20\x01", "does not say why"),
        ("snapshot_read", b"\x0a\0\x20\x01\x40\x02", "does not serve reads now"),
        (
            "snapshot_read",
            b"\x0a\x13\x0a\x11\x0a\x01k\x18\x09\x22\x0a" + b"\0" * 10 + b"\x20\x01\x40\x01",
            "encoding",
        ),
        ("atomic_write", b"\xff", "makes no sense"),
        ("atomic_write", b"", "may or may not"),
        ("atomic_write", b"\x08\x01", "makes no sense"),
        ("atomic_write", b"\x08\x05", "does not serve writes now"),
    ],
)
async def test_answers_that_make_no_sense(name: str, body: bytes, reason: str) -> None:
    """An answer that is not what was asked for is a KvStorageError, whatever it is."""

    async def answer(request: bytes) -> bytes:
        return http(200, body) if name.encode() in request else metadata()

    async with answering(answer) as url, open_kv(url, token=TOKEN) as kv:
        with pytest.raises(KvStorageError, match=reason):
            await (kv.get(("k",)) if name == "snapshot_read" else kv.set(("k",), 1))


async def test_refusals_of_other_servers() -> None:
    """A refusal in words becomes the error that fits best; a server that is busy is asked again."""
    replies: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        return replies.pop(0) if b"atomic_write" in request else metadata()

    async with answering(answer) as url, open_kv(url, token=TOKEN) as kv:
        replies.append(http(400, b"Failed to perform 'sum' mutation on a non-U64 value in the database"))
        with pytest.raises(KvValueError, match="non-U64"):
            await kv.atomic().sum(("k",), 1).commit()
        replies.append(http(400, b"Too many checks included in atomic write."))
        with pytest.raises(KvLimitError, match="Too many checks"):
            await kv.set(("k",), 1)
        replies.append(http(403, b"not yours"))
        with pytest.raises(KvStorageError, match="answers 403: not yours"):
            await kv.set(("k",), 1)
        replies.append(http(503, b"try again later"))
        with pytest.raises(KvStorageError, match=r"may or may not have been applied.*503: try again"):
            await kv.set(("k",), 1)
        replies.append(http(200, b"\x08\x02"))
        result = await kv.atomic().check(key=("k",), versionstamp=None).commit()
        assert (result.ok, result.failed_checks) == (False, (0,))
        assert kv.backend.values == "v8"
        with pytest.raises(KvUsageError, match="does not hand them out"):
            await kv.backend.dequeue(1, 1)
        lease = Settlement(Lease("1", "2"), Fate.DONE)
        with pytest.raises(KvUsageError, match="does not hand them out"):
            await kv.backend.write(Commit((), (), 0, (), (lease,)))


async def test_lost_lease_beside_a_check(kv: Kv) -> None:
    """A commit that is refused because a lease is lost names no check, though it has one that holds."""
    async with serving(kv.backend) as listener, open_kv(url_of(listener), token=TOKEN) as client:
        lost = Settlement(Lease("1", "2"), Fate.DONE)
        result = await client.backend.write(Commit((Check(b"\x02k\0", None),), (), 1, (), (lost,)))
        assert (result.ok, result.failed_checks) == (False, ())


async def test_watch_of_a_server_that_restarts(kv: Kv) -> None:
    """A watch connects again, shows what it missed, and nothing twice."""
    async with serving(kv.backend) as listener:
        port = listener.port
        client = await open_kv(url_of(listener), token=TOKEN)
        watching = client.backend.watch([b"\x02k\0"])
        assert await anext(watching) == [None]
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0.1)
    again = await Listener.open(Service(lambda: kv.backend, Access(TOKEN)), "127.0.0.1", port)
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await kv.set(("k",), 1)
    (record,) = await asyncio.wait_for(waiting, 10)
    assert record is not None
    await client.close()
    assert await anext(watching, None) is None
    await again.close()


async def test_watch_without_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that hears nothing connects again."""
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.2)
    asked: list[bytes] = []
    thrice = asyncio.Event()

    async def answer(request: bytes) -> bytes:
        if b"/watch" not in request:
            return metadata()
        asked.append(request)
        if len(asked) == 3:
            thrice.set()
        body = b"\x06\0\0\0\x08\x01\x12\x02\x08\x01"
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n" + body + b"\r\n"

    async with answering(answer) as url, open_kv(url, token=TOKEN) as kv:
        watching = kv.backend.watch([b"\x02k\0"])
        assert await anext(watching) == [None]
        waiting = asyncio.ensure_future(anext(watching, None))
        await asyncio.wait_for(thrice.wait(), 10)
        assert not waiting.done()
        await kv.close()
        assert await waiting is None


async def test_version_two_has_no_watch() -> None:
    """A server of version 2 is read and written, but not watched."""

    async def answer(request: bytes) -> bytes:
        return http(200, b"\x0a\0\x20\x01") if b"snapshot_read" in request else metadata(version=2)

    async with answering(answer) as url, open_kv(url, token=TOKEN) as kv:
        assert (await kv.get(("k",))).versionstamp is None
        with pytest.raises(KvUsageError, match="version 2 of KV Connect, which has no watch"):
            await anext(kv.backend.watch([b"\x02k\0"]))


async def test_closing_while_busy(kv: Kv) -> None:
    """Closing finishes the writes that were begun, ends everything else with KvClosed, and is final."""
    async with serving(kv.backend) as listener:
        client = await open_kv(url_of(listener), token=TOKEN)
        backend = client.backend
        writes = [asyncio.ensure_future(client.set(("w", n), n)) for n in range(50)]
        waits = [asyncio.ensure_future(backend.dequeue(1, 1)) for _ in range(3)]
        await asyncio.sleep(0)
        await client.close()
        assert all(result.ok for result in await asyncio.gather(*writes))
        for wait in waits:
            with pytest.raises(KvClosed):
                await wait
        for call in (client.get(("k",)), client.set(("k",), 1), backend.dequeue(1, 1)):
            with pytest.raises(KvClosed):
                await call
    assert len([entry async for entry in kv.list(prefix=("w",))]) == 50


async def test_cancelled_write_is_applied(kv: Kv) -> None:
    """Cancelling the caller does not cancel its write."""
    async with serving(kv.backend) as listener, open_kv(url_of(listener), token=TOKEN) as client:
        write = asyncio.ensure_future(client.set(("k",), 1))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait({write})
        await client.close()
    assert (await kv.get(("k",))).value == 1


async def test_other_event_loop(kv: Kv) -> None:
    """A client is used from the event loop that it was opened in."""
    async with serving(kv.backend) as listener, open_kv(url_of(listener), token=TOKEN) as client:

        def elsewhere() -> None:
            with pytest.raises(KvUsageError, match="event loop"):
                asyncio.run(client.backend.read(()))

        await asyncio.to_thread(elsewhere)


async def test_maintenance_is_the_servers(kv: Kv) -> None:
    """What operators do with a store they do where it is."""
    async with serving(kv.backend) as listener, open_kv(url_of(listener), token=TOKEN) as client:
        with pytest.raises(KvUsageError, match="only by its server's own tools"):
            await client.stats()


async def test_connections_are_kept(kv: Kv) -> None:
    """Calls one after the other share one connection; calls at once share not more than a few."""
    async with faulty(kv) as (url, fault), open_kv(url, token=TOKEN) as client:
        for _ in range(50):
            await client.get(("k",))
        assert fault.connections == 1
        await asyncio.gather(*(client.set(("k", n), n) for n in range(300)))
        assert fault.connections <= 33


async def test_the_token_is_never_logged(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """No token is in a log or message, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    async with faulty(kv) as (url, fault), open_kv(url, token=TOKEN) as client:
        fault.refuse, fault.times = b"snapshot_read", 100
        with pytest.raises(KvStorageError) as caught:
            await client.get(("k",))
    data_token = client.backend._exchange.latest.headers[0][1].removeprefix("Bearer ")  # type: ignore[attr-defined]
    for text in (caplog.text, repr(caught.value), repr(caught.value.__cause__), repr(client.backend)):
        assert TOKEN not in text
        assert data_token not in text


async def test_tls(kv: Kv, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the certificate is checked; one that is not trusted is refused with the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = await Listener.open(Service(lambda: kv.backend, Access(TOKEN)), "localhost", 0, tls=context)
    try:
        url = f"https://localhost:{listener.port}"
        assert "certificate" in await refusal(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        async with open_kv(url, token=TOKEN) as client:
            await client.set(("k",), 1)
            assert (await client.get(("k",))).value == 1
            wait = asyncio.ensure_future(client.backend.dequeue(1, 60))
            await asyncio.sleep(0.05)
            wait.cancel()
            await asyncio.wait({wait})
            await client.enqueue("job")
            (message,) = await asyncio.wait_for(client.backend.dequeue(1, 60), 10)
            assert message.attempts == 0
    finally:
        await listener.close()


async def test_endpoints_without_tls() -> None:
    """A server behind TLS cannot send its clients to an endpoint without."""
    document = metadata(endpoints=[{"url": "http://host/v2", "consistency": "strong"}]).partition(
        b"\r\n\r\n"
    )[2]
    with pytest.raises(KvStorageError, match="without TLS"):
        metadata_module._read(Url.parse("https://host/"), Reply(200, {}, document))


def test_other_event_loops(tmp_path: Path) -> None:
    """Client and server work on uvloop, on which applications run."""
    uvloop = pytest.importorskip("uvloop")

    async def work() -> None:
        async with (
            open_kv(tmp_path / "test.db") as kv,
            serving(kv.backend) as listener,
            open_kv(url_of(listener), token=TOKEN) as client,
        ):
            await kv.set(("big",), b"x" * 60_000)
            watching = client.watch([("big",), ("k",)])
            assert [entry.versionstamp is None for entry in await anext(watching)] == [False, True]
            await client.set(("k",), 1)
            assert (await anext(watching))[1].value == 1
            await watching.aclose()
            waiting = asyncio.ensure_future(client.backend.dequeue(1, 60))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait({waiting})
            await client.enqueue("job")
            assert len(await asyncio.wait_for(client.backend.dequeue(1, 60), 10)) == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
