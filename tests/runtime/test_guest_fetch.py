"""Requests that a real guest makes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from origin_server import Origin, serve

from echelon.errors import DeadlineExceeded, GuestError, PermissionDenied
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime
from echelon.runtime.guest_fetch import read_request
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

SOURCE = """
import { net } from "echelon";
export function get(url: string): string {
  const answer = net.get(url);
  return answer.status.toString() + " " + answer.text();
}
export function post(url: string, body: string): string {
  return net.fetch(new net.Request(url).header("x-one", "1").text(body)).text();
}
export function header(url: string, name: string): string { return net.get(url).headers.get(name) }
export function manual(url: string): string {
  const request = new net.Request(url);
  request.follow = false;
  const answer = net.fetch(request);
  return answer.ok.toString() + answer.status.toString() + answer.headers.get("location") + answer.url;
}
"""


@pytest.fixture(scope="module")
def wasm(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    async def compile_it() -> bytes:
        async with Generator([AssemblyScript(home=home)], tmp_path_factory.mktemp("artifacts")) as generator:
            return (await generator.compile(SOURCE, "typescript")).wasm

    return asyncio.run(compile_it())


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with serve() as origin:
        yield origin


async def test_requests(runtime: Runtime, wasm: bytes, origin: Origin) -> None:
    """A guest sends a request and reads the answer; the host calls are counted."""
    module = await runtime.load(wasm, permissions=Permissions(net=["127.0.0.1"]))
    base = f"http://127.0.0.1:{origin.port}"
    outcome = await module.run("get", base + "/a?b=c")
    assert outcome.value.startswith("200 ")
    assert json.loads(outcome.value[4:])["target"] == "/a?b=c"
    assert outcome.cost.host_calls == 2
    seen = json.loads(await module.call("post", base + "/x", "héllo"))
    assert (seen["method"], seen["headers"]["x-one"]) == ("POST", "1")
    assert seen["body"].encode("latin-1").decode() == "héllo"
    assert await module.call("header", base + "/cookies", "set-cookie") == "a=1, b=2"
    assert await module.call("manual", base + "/to?url=/end") == f"false302/end{base}/to?url=/end"


async def test_many_guests_wait_at_once(runtime: Runtime, wasm: bytes, origin: Origin) -> None:
    """Guests that wait for the network hold no thread; one that waits too long is cut off alone."""
    module = await runtime.load(wasm, permissions=Permissions(net=["127.0.0.1"]))
    base, brief = f"http://127.0.0.1:{origin.port}", Limits(time=0.2)
    calls = [module.call("get", base + "/ok") for _ in range(8)]
    calls += [module.call("get", base + "/never", limits=brief) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, str) and result.startswith("200 ") for result in results[:8])
    assert all(isinstance(result, DeadlineExceeded) for result in results[8:])


async def test_denied(runtime: Runtime, wasm: bytes) -> None:
    """Without a grant the call ends with what to add."""
    module = await runtime.load(wasm)
    with pytest.raises(PermissionDenied) as caught:
        await module.call("get", "https://api.example.com/v1")
    assert str(caught.value) == 'net to "api.example.com:443" (grant it with --allow-net=api.example.com)'
    assert caught.value.outcome is not None
    everything = await runtime.load(wasm, permissions=Permissions(net=True))
    with pytest.raises(PermissionDenied, match=r'net to "127\.0\.0\.1:1"'):
        await everything.call("get", "http://127.0.0.1:1/")


async def test_a_network_that_fails_is_an_answer(runtime: Runtime, wasm: bytes, origin: Origin) -> None:
    """The guest learns why there is no answer and goes on; a bad URL stops it."""
    module = await runtime.load(
        wasm, permissions=Permissions(net=["127.0.0.1"]), limits=Limits(memory="1MiB")
    )
    base = f"http://127.0.0.1:{origin.port}"
    assert (await module.call("get", base + "/garbage")).startswith(
        f"0 the request to 127.0.0.1:{origin.port} failed"
    )
    assert await module.call("get", base + "/bytes?n=1048577") == (
        f"0 127.0.0.1:{origin.port} answers with more than 1048576 bytes"
    )
    with pytest.raises(GuestError, match="a request to 'nonsense'"):
        await module.call("get", "nonsense")


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"\1\0\0\0\3\0\0\0GET" + rest))
def test_broken_requests(data: bytes) -> None:
    """Bytes that are no request are an error of the guest, never another."""
    try:
        request = read_request(data)
    except GuestError:
        return
    assert request.target.scheme in ("http", "https")
