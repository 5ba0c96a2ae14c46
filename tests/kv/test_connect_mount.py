"""KV Connect as a mount of an application."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from connect_peers import TOKEN

from echelon import Application, Config
from echelon.errors import ConfigError
from echelon.http.testing import LiveServer, TestClient
from echelon.kv import open_kv
from echelon.kv.backend import Action, Commit, KeyRange, Mutation
from echelon.kv.codec import Encoding, encode_key
from echelon.kv.connect import KvConnect, wire
from echelon.kv.connect.server import MAX_BODY


def application(folder: Path, **options: Any) -> Application:
    app = Application(config=Config(state=folder))
    app.mount("/kv", KvConnect(**{"token": TOKEN, **options}))
    return app


async def exchange(client: TestClient, path: str = "/kv") -> tuple[dict[str, str], str]:
    """Exchange metadata; return the headers and the endpoint of requests for data."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = await client.post(path, headers=headers, content=b'{"supportedVersions":[3]}')
    assert answer.status_code == 200, answer.text
    document = answer.json()
    endpoint = str(httpx.URL(f"http://testserver{path}").join(document["endpoints"][0]["url"]).path)
    return {
        "authorization": f"Bearer {document['token']}",
        "x-denokv-version": "3",
        "x-denokv-database-id": document["databaseId"],
    }, endpoint


async def test_the_store_of_the_application(tmp_path: Path) -> None:
    """What is written over KV Connect is in `app.kv`, also when the application starts again."""
    app = application(tmp_path)
    for number in range(2):
        async with TestClient(app) as client:
            headers, endpoint = await exchange(client)
            assert endpoint == "/kv/v2"
            put = Mutation(Action.SET, encode_key(("n",)), bytes([number]), Encoding.BYTES)
            body = wire.encode_write(Commit((), [put], 0))
            answer = await client.post(f"{endpoint}/atomic_write", headers=headers, content=body)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
            assert (await app.kv.get(("n",))).value == bytes([number])
            answer = await client.post(
                f"{endpoint}/snapshot_read",
                headers=headers,
                content=wire.encode_read([KeyRange(encode_key(("n",)))]),
            )
            ((record,),) = wire.decode_read_output(answer.content).ranges
            assert record.value == bytes([number])
            assert (await exchange(client, "/kv/"))[1] == "/kv/v2"


async def test_refusals_are_text(tmp_path: Path) -> None:
    """Whatever is refused is answered in plain text, which other clients show as it is."""
    async with TestClient(application(tmp_path)) as client:
        headers, endpoint = await exchange(client)
        answers = [
            await client.post("/kv"),
            await client.post("/kv/elsewhere", headers=headers),
            await client.get("/kv", headers=headers),
            await client.post(f"{endpoint}/snapshot_read"),
            await client.post(f"{endpoint}/atomic_write", headers=headers, content=b"x" * (MAX_BODY + 1)),
            await client.post(f"{endpoint}/atomic_write", headers=headers, content=b"\xff"),
        ]
        assert [answer.status_code for answer in answers] == [401, 404, 405, 401, 413, 400]
        for answer in answers:
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.text
        assert answers[2].headers["allow"] == "POST"


async def test_another_store(tmp_path: Path) -> None:
    """A mount may serve a store of its own, under an id of one's own, and nothing but the protocol."""
    async with open_kv(":memory:") as kv:
        identity = UUID(int=5)
        app = application(tmp_path, kv=kv, database=identity, extensions=False)
        async with TestClient(app) as client:
            await kv.set(("where",), "here")
            headers, endpoint = await exchange(client)
            assert headers["x-denokv-database-id"] == str(identity)
            content = wire.encode_read([KeyRange(encode_key(("where",)))])
            answer = await client.post(f"{endpoint}/snapshot_read", headers=headers, content=content)
            assert wire.decode_read_output(answer.content).ranges[0]
            assert (await client.post(f"{endpoint}/dequeue", headers=headers)).status_code == 404
            assert (await app.kv.get(("where",))).versionstamp is None


async def test_echelon_as_a_client(tmp_path: Path) -> None:
    """Another Echelon uses the store of a running application: all types, watches and the queue."""
    (tmp_path / "main.py").write_text(
        "from echelon import Application\nfrom echelon.kv.connect import KvConnect\n\n"
        f'app = Application()\napp.mount("/kv", KvConnect(token="{TOKEN}"))\n'
    )
    with LiveServer("main.py", cwd=tmp_path) as server:
        async with open_kv(f"{server.url}/kv", token=TOKEN) as kv:
            await kv.set(("price",), Decimal("1.10"))
            assert (await kv.get(("price",))).value == Decimal("1.10")
            watching = kv.watch([("w",)])
            assert (await anext(watching))[0].versionstamp is None
            await kv.set(("w",), "news")
            assert (await asyncio.wait_for(anext(watching), 10))[0].value == "news"
            await watching.aclose()
            waiting = asyncio.ensure_future(kv.backend.dequeue(1, 60))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.wait({waiting})
            await kv.enqueue({"mail": 1})
            (message,) = await asyncio.wait_for(kv.backend.dequeue(1, 60), 10)
            assert message.attempts == 0


def test_setup_mistakes() -> None:
    """A token that is too short is refused when the mount is made."""
    with pytest.raises(ConfigError, match="at least 12 characters"):
        KvConnect(token="short")
