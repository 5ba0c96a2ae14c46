"""Guests behind the real server: clients that leave, other requests meanwhile, restarts."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest

from echelon.http.testing import LiveServer

APP = r'''
from pathlib import Path
from echelon import Application, Limits
from echelon.runtime import native

LOOP = """(module (memory (export "memory") 1)
  (func (export "echelon_alloc") (param i32) (result i32) i32.const 1024)
  (func (export "handle") (param i32 i32) (result i64) (loop br 0) i64.const 0))"""
FIXED = r"""(module (memory (export "memory") 1)
  (data (i32.const 0) "\01\00\00\00\c8\00\00\00\00\00\00\00\02\00\00\00hi")
  (func (export "echelon_alloc") (param i32) (result i32) i32.const 1024)
  (func (export "handle") (param i32 i32) (result i64) i64.const 18))"""

app = Application()
app.mount("/loop", app.wasm.module(native.load().wat2wasm(LOOP), name="loop", limits=Limits(time="30s")))
app.mount("/fixed", app.wasm.module(native.load().wat2wasm(FIXED), name="fixed"))

@app.get("/compiled")
async def compiled() -> int:
    return app.wasm.compiled
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def live_instances(client: httpx.Client) -> float:
    lines = client.get("/_echelon/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith("echelon_instances_live")))


def test_a_client_that_leaves_stops_its_guest(place: Path) -> None:
    """The guest of a closed connection stops long before its limit; other requests are answered meanwhile."""
    with LiveServer("main.py", cwd=place) as server, httpx.Client(base_url=server.url) as client:
        address = (httpx.URL(server.url).host, httpx.URL(server.url).port or 80)
        connection = socket.create_connection(address)
        connection.sendall(b"GET /loop HTTP/1.1\r\nhost: x\r\n\r\n")
        deadline = time.monotonic() + 10
        while live_instances(client) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert live_instances(client) == 1
        assert client.get("/fixed").text == "hi"
        connection.close()
        while live_instances(client) > 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert live_instances(client) == 0


def test_the_second_start_compiles_nothing(place: Path) -> None:
    """What the first start compiled to native code, the second takes from disk."""
    for expected in ("2", "0"):
        with LiveServer("main.py", cwd=place) as server:
            assert httpx.get(f"{server.url}/compiled").text == expected
            assert httpx.get(f"{server.url}/fixed").text == "hi"
