"""Queue handlers and cron jobs of two servers, as on two machines, that share a store on PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from echelon.http.testing import LiveServer
from echelon.kv import open_kv

APP = """
import os
from datetime import datetime, timedelta
from echelon import Application, Kv

app = Application()

@app.cron(timedelta(seconds=1))
async def tick(slot: datetime, kv: Kv) -> None:
    await kv.set(("ran", slot.isoformat(), os.getpid()), None)

@app.queue("work")
async def work(message: int, kv: Kv) -> None:
    await kv.atomic().sum(("handled", message), 1).sum(("by", os.environ["MACHINE"]), 1).commit()

@app.get("/send/{count:int}")
async def send(count: int) -> None:
    commit = app.kv.atomic()
    for number in range(count):
        await app.enqueue("work", number, into=commit)
    await commit.commit()
"""


@pytest.mark.timeout(90)
async def test_two_machines(postgres_url: str, tmp_path: Path) -> None:
    """Each slot is run once, each message handled once, and both servers take part."""
    with ExitStack() as stack:
        servers = []
        for machine in ("one", "two"):
            folder = tmp_path / machine
            folder.mkdir()
            (folder / "main.py").write_text(APP)
            environment = {"ECHELON_KV_URL": postgres_url, "MACHINE": machine}
            live = LiveServer("main.py", cwd=folder, env=environment, workers=2)
            servers.append(stack.enter_context(live))
        async with httpx.AsyncClient() as client:
            for server in servers:
                assert (await client.get(f"{server.url}/send/100")).status_code in (200, 204)
        async with open_kv(postgres_url) as kv:
            deadline = time.monotonic() + 40
            handled: list[int] = []
            slots: list[str] = []
            while (sum(handled) < 200 or len(slots) < 4) and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                handled = [entry.value or 0 async for entry in kv.list(prefix=("handled",), type=int)]
                slots = [str(entry.key[1]) async for entry in kv.list(prefix=("ran",))]
            by = {entry.key[1] async for entry in kv.list(prefix=("by",))}
    assert handled == [2] * 100
    assert by == {"one", "two"}
    assert len(slots) >= 4
    assert len(slots) == len(set(slots))
