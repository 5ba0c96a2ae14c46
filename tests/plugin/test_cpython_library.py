"""The standard library of Python scripts where it needs what a guest has not got: loops, sockets, time zones, files."""

from __future__ import annotations

import asyncio
import zoneinfo
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Permissions, Runtime
from echelon.errors import PermissionDenied, Trap
from echelon.runtime.module import Module
from echelon.runtime.script_image import Image

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SOURCE = """
import argparse, asyncio, collections, datetime, inspect, mimetypes, pathlib, socket, sqlite3, sys, threading, time
import typing, unittest, urllib.error, urllib.request, uuid
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")

async def doubled(n: int):
    await asyncio.sleep(0.01)
    return n * 2

async def together(count: int):
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(doubled(n)) for n in range(count)]
    return [[task.result() for task in tasks], time.monotonic() - start < 0.01 * count]

def inside(n: int): return asyncio.run(doubled(n))
async def elsewhere(n: int): return await asyncio.to_thread(lambda: n + 1)
async def never(): await asyncio.Event().wait()
async def late(): return await asyncio.wait_for(asyncio.sleep(10), 0.01)
async def failing(): raise KeyError("k")

background = []
async def begin():
    async def work(): background.append(1); await asyncio.sleep(0.01); background.append(2)
    begin.task = asyncio.create_task(work())
    await asyncio.sleep(0)
    return background
async def look():
    await asyncio.sleep(0.02)
    return background

def local(stamp: int): return datetime.datetime.fromtimestamp(stamp, BERLIN).isoformat()
def zone(name: str): return str(ZoneInfo(name).utcoffset(datetime.datetime(2026, 7, 1)))
def attempt(text: str):
    try:
        return repr(eval(text))
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
def get(url: str):
    with urllib.request.urlopen(url) as answer:
        return [answer.status, answer.headers["X-Kind"], answer.url, answer.read().decode()]
def post(url: str, body: bytes):
    with urllib.request.urlopen(urllib.request.Request(url, body, {"X-Mine": "1"})) as answer:
        return answer.read().decode()
def error(url: str):
    try:
        urllib.request.urlopen(url)
    except urllib.error.HTTPError as exc:
        return [exc.code, exc.reason]
    except urllib.error.URLError as exc:
        return str(exc)
def table():
    with sqlite3.connect(":memory:") as db:
        db.execute("create table t (n)")
        db.executemany("insert into t values (?)", [(n,) for n in range(10)])
        return db.execute("select sum(n) from t").fetchone()[0]
def files(folder: str):
    place = pathlib.Path(folder)
    (place / "b.txt").write_text("größer")
    return [sorted(p.name for p in place.iterdir()), (place / "b.txt").read_text()]
def words(): return argparse.ArgumentParser(description="d").format_usage(), sys.argv
def kind(name: str): return mimetypes.guess_type(name)[0]
def source(): return inspect.getsource(zone), list(typing.get_type_hints(zone))
def identity(): return [str(uuid.uuid4()), str(uuid.uuid1())]
class Tested(unittest.TestCase):
    def test_good(self): self.assertEqual(1, 1)
    def test_bad(self): self.assertEqual(1, 2)
def run_tests():
    result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Tested))
    return [result.testsRun, len(result.failures)]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(cpython: Runtime) -> Module:
    """The script that these tests call, granted a server on this machine."""
    return await cpython.load(SOURCE, language="cpython", permissions=Permissions(net=["127.0.0.1"]))


async def test_asyncio_has_a_loop_of_tasks_and_timers(script: Module) -> None:
    """Tasks wait at once; `asyncio.run` works inside a function; what would take a thread runs in its place."""
    assert await script.call("together", 20) == [[n * 2 for n in range(20)], True]
    assert await script.call("inside", 4) == 8
    assert await script.call("elsewhere", 4) == 5
    with pytest.raises(Trap, match="TimeoutError"):
        await script.call("late")
    with pytest.raises(Trap, match=r"KeyError: 'k' \(module:\d+, in failing\)"):
        await script.call("failing")


async def test_waiting_for_nothing_is_an_error(script: Module) -> None:
    """Nothing comes from outside of a loop, so that an event nobody sets would be waited for until the deadline."""
    with pytest.raises(Trap, match="nothing is left that could wake it"):
        await script.call("never")


async def test_tasks_go_on_with_the_next_call(script: Module) -> None:
    """A kept instance has one loop, and its tasks stay."""
    async with script.instance() as live:
        assert await live.call("begin") == [1]
        assert await live.call("look") == [1, 2]
    assert await script.call("look") == []


async def test_time_zones_are_those_of_the_host(script: Module) -> None:
    """Their names are IANA's; what tells of the machine itself is no zone. They do not keep a script from an image."""
    stamp = 1_790_000_000
    expected = datetime.fromtimestamp(stamp, zoneinfo.ZoneInfo("Europe/Berlin")).isoformat()
    assert await script.call("local", stamp) == expected
    assert await script.call("zone", "America/Argentina/Buenos_Aires") == "-1 day, 21:00:00"
    assert await script.call("zone", "Etc/GMT+5") == "-1 day, 19:00:00"
    for name in (
        "localtime",
        "posixrules",
        "Europe/Atlantis",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe",
        "",
    ):
        with pytest.raises(Trap, match=r"ZoneInfoNotFoundError|ValueError"):
            await script.call("zone", name)
    image = script._ready.image  # type: ignore[attr-defined]
    assert isinstance(image, Image)
    assert image.function == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("socket.socket()", "use echelon.fetch()"),
        ("socket.create_connection(('127.0.0.1', 80))", "use echelon.fetch()"),
        ("__import__('http.client').client.HTTPConnection('127.0.0.1').request('GET', '/')", "echelon.fetch()"),
        ("threading.Thread(target=print).start()", "can't start new thread"),
        ("__import__('subprocess').run(['ls'])", "wasi does not support processes"),
        ("__import__('os').system", "AttributeError"),
        ("__import__('ctypes')", "ModuleNotFoundError"),
        ("__import__('ssl')", "ModuleNotFoundError"),
        ("__import__('requests')", "ModuleNotFoundError"),
        ("input()", "EOFError"),
    ],
)  # fmt: skip
async def test_what_a_guest_has_not_got_can_be_caught(script: Module, text: str, message: str) -> None:
    """It is an exception that says so, and does not end the call."""
    assert message in await script.call("attempt", text)


async def test_the_library_asks_for_requests_as_the_kit_does(script: Module) -> None:
    """`urllib.request` reads, posts, follows redirects and raises for statuses; only granted hosts are asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        body, more = b"hello", b""
        status = b"200 OK"
        if b"POST" in head:
            body = await reader.readexactly(4)
        elif b"/moved" in head:
            status, more = b"302 Found", b"Location: /new\r\n"
        elif b"/none" in head:
            status = b"404 Not Found"
        writer.write(b"HTTP/1.1 %b\r\nX-Kind: k\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), more))
        writer.write(body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await script.call("get", f"{url}/moved") == [200, "k", f"{url}/new", "hello"]
        assert await script.call("post", f"{url}/", b"data") == "data"
        assert b"x-mine: 1" in asked[-1].lower()
        assert await script.call("error", f"{url}/none") == [404, "Not Found"]
    assert "urlopen error" in await script.call("error", f"{url}/")
    with pytest.raises(PermissionDenied, match=r"--allow-net=example\.com"):
        await script.call("get", "https://example.com/")


async def test_files_are_those_that_were_granted(cpython: Runtime, script: Module, tmp_path: Path) -> None:
    """Reading and writing work in a granted folder; anything else ends the call."""
    with pytest.raises(PermissionDenied, match="--allow-write"):
        await script.call("files", str(tmp_path))
    granted = await cpython.load(
        SOURCE, language="cpython", permissions=Permissions(read=[tmp_path], write=[tmp_path])
    )
    (tmp_path / "a").touch()
    assert await granted.call("files", str(tmp_path)) == [["a", "b.txt"], "größer"]


async def test_more_of_the_library(script: Module) -> None:
    """What looks for files of the system finds none, without ending the call."""
    assert await script.call("table") == 45
    assert await script.call("words") == ["usage: module [-h]\n", ["module"]]
    assert await script.call("kind", "a.html") == "text/html"
    text, hints = await script.call("source")
    assert (text.partition("(")[0], hints) == ("def zone", ["name"])
    assert len(set(await script.call("identity"))) == 2
    outcome = await script.run("run_tests")
    assert outcome.value == [2, 1]
    assert b"    def test_bad(self): self.assertEqual(1, 2)" in outcome.stderr
