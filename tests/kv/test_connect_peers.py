"""Other people's clients of KV Connect: real Deno, and npm's @deno/kv on Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from connect_peers import TOKEN, serving, url_of
from deno_peer import Deno, DenoError

from echelon.http.testing import LiveServer
from echelon.kv import U64, Kv, open_kv
from echelon.kv.connect.access import Access
from echelon.kv.connect.listener import Listener
from echelon.kv.connect.server import Service

APP = f"""
from echelon import Application
from echelon.kv.connect import KvConnect

app = Application()
app.mount("/shop/kv", KvConnect(token="{TOKEN}"))
"""

OPEN = """
Deno.env.set("DENO_KV_ACCESS_TOKEN", argument.token);
state.kv?.close();
state.kv = undefined;
state.kv = await Deno.openKv(argument.url);
"""


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[Kv]:
    async with open_kv(tmp_path / "test.db") as store:
        yield store


@asynccontextmanager
async def served(how: str, folder: Path, kv: Kv) -> AsyncIterator[str]:
    """Serve the store that `kv` has open, and give the URL."""
    if how == "alone":
        async with serving(kv.backend) as listener:
            yield url_of(listener)
        return
    (folder / "main.py").write_text(APP)
    environment = {"ECHELON_KV_PATH": str(folder / "test.db")}
    with LiveServer("main.py", cwd=folder, env=environment) as server:
        yield f"{server.url}/shop/kv"


@pytest.mark.parametrize("how", ["alone", "mounted"])
async def test_deno(how: str, kv: Kv, deno: Deno, tmp_path: Path) -> None:
    """Deno reads, writes, lists, commits, counts and watches, and shares the store with Python."""
    async with served(how, tmp_path, kv) as url:
        await deno.run(OPEN, {"url": url, "token": TOKEN})
        await check_entries(kv, deno)
        await check_lists(deno)
        await check_commits(kv, deno)
        await check_watch(kv, deno)
        await deno.run("state.kv.close()")


async def check_entries(kv: Kv, deno: Deno) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    values = ["text", 1.5, 2**70, True, None, b"\0\xff", U64(7), [1, [2.5]], {"a": {"b": 1}}, {1, 2}, moment]
    for number, value in enumerate(values):
        await deno.run(
            "await state.kv.set(['js', BigInt(argument.n)], argument.v)", {"n": number, "v": value}
        )
        await kv.set(("py", number), value)
        assert (await kv.get(("js", number))).value == value
        got = await deno.run("return (await state.kv.get(['py', argument])).value", number)
        assert (got, type(got)) == (value, type(value))
    await kv.set(("money",), {"sum": Decimal("1.10")})
    assert await deno.run("return (await state.kv.get(['money'])).value") == {"sum": "1.10"}
    absent = await deno.run("return await state.kv.get(['absent'])")
    assert (absent["value"], absent["versionstamp"]) == (None, None)
    stamps = await deno.run(
        "return (await state.kv.getMany([['js', 0n], ['absent'], ['js', 1n]])).map((e) => e.versionstamp)"
    )
    assert stamps == [(await kv.get(("js", 0))).versionstamp, None, (await kv.get(("js", 1))).versionstamp]
    await deno.run("await state.kv.delete(['js', 0n])")
    assert (await kv.get(("js", 0))).versionstamp is None
    await deno.run("await state.kv.set(['brief'], 1, { expireIn: 300 })")
    assert await deno.run("return (await state.kv.get(['brief'])).value") == 1
    await asyncio.sleep(0.35)
    assert await deno.run("return (await state.kv.get(['brief'])).versionstamp") is None


async def check_lists(deno: Deno) -> None:
    await deno.run("for (let i = 0; i < 30; i++) await state.kv.set(['list', i], i)")
    collect = """
      const found = [], list = state.kv.list(...argument);
      for await (const entry of list) found.push(entry.value);
      return found;
    """
    prefix = {"prefix": ["list"]}
    assert await deno.run(collect, [prefix, {"batchSize": 7.0}]) == [*range(30)]
    assert await deno.run(collect, [prefix, {"reverse": True, "limit": 3.0}]) == [29, 28, 27]
    assert await deno.run(collect, [{"start": ["list", 3.0], "end": ["list", 6.0]}]) == [3, 4, 5]
    rest = await deno.run(
        """
        const first = state.kv.list(argument, { limit: 10 });
        for await (const _ of first);
        const found = [];
        for await (const entry of state.kv.list(argument, { cursor: first.cursor })) found.push(entry.value);
        return found;
        """,
        prefix,
    )
    assert rest == [*range(10, 30)]


async def check_commits(kv: Kv, deno: Deno) -> None:
    lost = await deno.run(
        "return await state.kv.atomic().check({ key: ['list', 0], versionstamp: null }).set(['no'], 1).commit()"
    )
    assert lost == {"ok": False}
    won = await deno.run(
        """
        const entry = await state.kv.get(["list", 0]);
        return await state.kv.atomic().check(entry).sum(["n"], 5n).sum(["n"], 6n).max(["most"], 9n).max(["most"], 3n)
          .min(["least"], 9n).min(["least"], 3n).delete(["list", 1]).set(["yes"], "set").commit();
        """
    )
    assert won["ok"] is True
    entries = await kv.get_many([("n",), ("most",), ("least",), ("yes",), ("list", 1.0), ("no",)])
    assert [entry.value for entry in entries] == [U64(11), U64(9), U64(3), "set", None, None]
    assert entries[0].versionstamp == won["versionstamp"]
    stamped = await deno.run(
        "return await state.kv.atomic().set(['log', state.kv.commitVersionstamp()], 'x').commit()"
    )
    assert [entry.key async for entry in kv.list(prefix=("log",))] == [("log", stamped["versionstamp"])]
    with pytest.raises(DenoError, match=r"status=400 Bad Request\): sum works on a"):
        await deno.run("await state.kv.atomic().set(['partly'], 1).sum(['yes'], 1n).commit()")
    assert (await kv.get(("partly",))).versionstamp is None


async def check_watch(kv: Kv, deno: Deno) -> None:
    await deno.run("state.reader = state.kv.watch([['w', 1n], ['w', 2n]]).getReader()")
    following = "return (await state.reader.read()).value.map((entry) => entry.value)"
    assert await deno.run(following) == [None, None]
    await kv.set(("w", 2), "from Python")
    assert await deno.run(following) == [None, "from Python"]
    await deno.run("await state.kv.set(['w', 1n], 'from Deno')")
    assert await deno.run(following) == ["from Deno", "from Python"]
    await deno.run("await state.reader.cancel()")


async def test_deno_is_told_what_is_wrong(kv: Kv, deno: Deno) -> None:
    """A wrong token and a wrong place are refused when Deno opens the store, with our words."""
    async with serving(kv.backend) as listener:
        with pytest.raises(DenoError, match=r"401 Unauthorized: The access token is missing or wrong\."):
            await deno.run(OPEN, {"url": url_of(listener), "token": "wrong-token-0123"})
        with pytest.raises(DenoError, match=r"404 Not Found: There is nothing here\."):
            await deno.run(OPEN, {"url": f"{url_of(listener)}/elsewhere", "token": TOKEN})


async def test_deno_keeps_one_connection(kv: Kv, deno: Deno) -> None:
    """Thousands of requests, one after the other and at once, are served on a connection that never ends."""
    async with serving(kv.backend) as listener:
        await deno.run(OPEN, {"url": url_of(listener), "token": TOKEN})
        count = await deno.run(
            """
            for (let i = 0; i < 1200; i++) await state.kv.get(["absent"]);
            const found = await Promise.all(Array.from({ length: 1200 }, (_, i) => state.kv.set(["many", i], i)));
            return found.filter((result) => result.ok).length;
            """
        )
        assert count == 1200
        assert len(listener._connections) == 1
        values = [entry.value async for entry in kv.list(prefix=("many",))]
        assert values == [*range(1200)]


async def test_deno_survives_a_restart(kv: Kv, deno: Deno) -> None:
    """A server that stops says so to Deno, which goes on with the next one, its watch included."""
    async with serving(kv.backend) as listener:
        port = listener.port
        await deno.run(OPEN, {"url": url_of(listener), "token": TOKEN})
        await deno.run("state.reader = state.kv.watch([['w']]).getReader(); await state.reader.read()")
        await deno.run("await state.kv.set(['a'], 1)")
    again = await Listener.open(Service(lambda: kv.backend, Access(TOKEN)), "127.0.0.1", port)
    try:
        assert await deno.run("return (await state.kv.get(['a'])).value") == 1
        await kv.set(("w",), "news")
        following = asyncio.create_task(deno.run("return (await state.reader.read()).value[0].value"))
        assert await asyncio.wait_for(following, 20) == "news"
    finally:
        await deno.run("state.kv.close()")
        await again.close()


@pytest.fixture(scope="session")
def npm_client() -> Path:
    """The folder with npm's client in it, fetched by npm once and kept between runs."""
    folder = Path(__file__).resolve().parents[2] / ".echelon" / "npm"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    if not (folder / "node_modules" / "@deno" / "kv").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        asyncio.run(_run([npm, "install", *options, "@deno/kv@0.14.0"]))
    return folder


async def _run(command: list[str], **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


NODE = """
import { openKv } from "@deno/kv";

const results = {};
const kv = await openKv(process.argv[2], { accessToken: process.argv[3], implementation: "remote" });
results.python = (await kv.get(["py"])).value;
results.set = (await kv.set(["js"], { text: "x", list: [1, 2.5], big: 5n })).ok;
results.lost = (await kv.atomic().check({ key: ["js"], versionstamp: null }).set(["no"], 1).commit()).ok;
results.won = (await kv.atomic().sum(["n"], 5n).sum(["n"], 6n).max(["m"], 3n).commit()).ok;
results.list = [];
for await (const entry of kv.list({ prefix: ["list"] }, { batchSize: 3 })) results.list.push(entry.value);
try {
  await kv.atomic().sum(["js"], 1n).commit();
} catch (error) {
  results.error = error.message;
}
const reader = kv.watch([["w"]]).getReader();
await kv.set(["w"], 1);
const seen = [(await reader.read()).value[0].value];
await kv.set(["w"], 2);
while (seen.at(-1) !== 2) seen.push((await reader.read()).value[0].value);
results.seen = seen.at(-1);
await reader.cancel();
results.queued = (await kv.enqueue({ job: "from Node" })).ok;
await kv.set(["brief"], 1, { expireIn: 1 });
await new Promise((resolve) => setTimeout(resolve, 50));
results.expired = (await kv.get(["brief"])).versionstamp;
kv.close();
console.log(JSON.stringify(results, (_, value) => (typeof value === "bigint" ? `${value}n` : value)));
process.exit(0);
"""


@pytest.mark.parametrize("how", ["alone", "mounted"])
async def test_node(how: str, kv: Kv, npm_client: Path, tmp_path: Path) -> None:
    """npm's client, over HTTP/1.1, reads and writes, commits, watches, and enqueues for Python."""
    script = npm_client / "peer.mjs"
    script.write_text(NODE)
    await kv.set(("py",), {"name": "Ada", "n": 2**40, "f": 0.5})
    for number in range(10):
        await kv.set(("list", number), number)
    async with served(how, tmp_path, kv) as url:
        results: dict[str, Any] = json.loads(await _run(["node", str(script), url, TOKEN]))
    assert "sum works on a" in results.pop("error")
    assert results == {
        "python": {"name": "Ada", "n": f"{2**40}n", "f": 0.5},
        "set": True,
        "lost": False,
        "won": True,
        "list": [f"{number}n" for number in range(10)],
        "seen": 2,
        "queued": True,
        "expired": None,
    }
    assert (await kv.get(("js",))).value == {"text": "x", "list": [1.0, 2.5], "big": 5}
    assert (await kv.get(("n",))).value == U64(11)
    (message,) = await asyncio.wait_for(kv.backend.dequeue(1, 10), 10)
    assert message.due <= datetime.now(UTC).timestamp() * 1000 + timedelta(seconds=1).total_seconds()
