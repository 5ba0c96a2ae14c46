"""Jobs behind the real server: several workers, one store."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from echelon.http.testing import LiveServer
from echelon.kv import open_kv

APP = """
import asyncio, os
from datetime import datetime, timedelta
from echelon import Application, Kv

app = Application()

@app.cron(timedelta(seconds=1))
async def tick(slot: datetime, kv: Kv) -> None:
    await kv.atomic().set(("ran", slot.isoformat(), os.getpid()), None).commit()

@app.queue("work", backoff_schedule=[])
async def work(message: int, kv: Kv) -> None:
    await asyncio.sleep(0.01)
    await kv.atomic().sum(("handled", message), 1).sum(("by", os.getpid()), 1).commit()

@app.get("/send/{count:int}")
async def send(count: int) -> int:
    commit = app.kv.atomic()
    for number in range(count):
        await app.enqueue("work", number, into=commit)
    await commit.commit()
    return os.getpid()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def content(path: Path, prefix: str) -> dict[Any, Any]:
    """Return what a store has below a prefix."""

    async def read() -> dict[Any, Any]:
        async with open_kv(path) as kv:
            return {entry.key[1:]: entry.value async for entry in kv.list(prefix=(prefix,))}

    return asyncio.run(read())


@pytest.mark.timeout(60)
def test_four_workers(place: Path) -> None:
    """Each slot is run by one of four workers, each message handled once, by whoever is free."""
    store = place / ".echelon" / "kv.db"
    with LiveServer("main.py", cwd=place, workers=4) as server:
        with httpx.Client(base_url=server.url) as client:
            for _ in range(3):
                assert client.get("/send/100").status_code == 200
            text = client.get("/_echelon/metrics").text
            assert "echelon_queue_messages_total" in text
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            done = sum(content(store, "handled").values())
            if done == 300 and len(content(store, "ran")) >= 4:
                break
            time.sleep(0.2)
    assert content(store, "handled") == {(number,): 3 for number in range(100)}
    assert sum(content(store, "by").values()) == 300
    slots = [slot for slot, _ in content(store, "ran")]
    assert len(slots) >= 4
    assert len(slots) == len(set(slots))


RUN = """
import asyncio, sys
from datetime import timedelta
from echelon import Application, Config

app = Application(config=Config(state=sys.argv[1]).replace({"telemetry.logs": "none"}))

@app.queue("work")
async def work(message: int) -> None:
    print("got", message, flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    print("done", message, flush=True)

async def main() -> None:
    async with app:
        if sys.argv[2] != "0":
            await app.enqueue("work", 7)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start(state: Path, seconds: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(state), seconds, stdout=asyncio.subprocess.PIPE
    )


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


@pytest.mark.timeout(60)
async def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    """The message that a killed process was handling is handled by another one."""
    first = await start(tmp_path / "state", "600")
    assert await line(first) == "got 7"
    second = await start(tmp_path / "state", "0")
    try:
        first.kill()
        await first.wait()
        assert await line(second) == "got 7"
        assert await line(second) == "done 7"
    finally:
        second.kill()
        await second.wait()
