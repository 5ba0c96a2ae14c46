"""Values between Python and scripts: every way that a text, bytes or a number may take, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from echelon import Application, Limits, Runtime
from echelon.errors import GuestError, OutputExceeded
from echelon.http.testing import TestClient
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator
from echelon.runtime.module import Module

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = """
export const echo = (...values) => values.length === 1 ? values[0] : values
export const later = async (value) => value
export const size = (...texts) => texts.map((text) => text.length)
export const pieces = (n) => { let text = ""; for (let i = 0; i < n; i++) text += "ab\\u20ac"; return text }
export const part = () => "xyz".repeat(5000).slice(7, 14000)
export const half = () => "a\\ud800b" + "c".repeat(3)
export const decode = (bytes) => new TextDecoder().decode(bytes)
export const encode = (text) => new TextEncoder().encode(text)
export const big = (n) => "x".repeat(n)
export const nothing = () => undefined
export const order = async () => {
  const seen = []
  queueMicrotask(() => seen.push("micro")); Promise.resolve().then(() => seen.push("then")); seen.push("now")
  await null
  return seen
}
export const left = () => { Promise.resolve().then(() => console.log("after")); return 1 }
export default async (request) => new Response(await request.text(), { headers: { "x-length": "1" } })
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Module]:
    """The script that all tests call."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator([JavaScript(home)], store) as generator, Runtime(generator=generator) as running:
        yield await running.load(SOURCE, language="javascript")


TEXTS = ["", "a", "é" * 10, "日本💥", "a\0b", "\ufeffmark", "x" * 5000, "é" * 5000, "💥" * 40000, "\ufffd"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:4]) + str(len(text)))
@pytest.mark.parametrize("function", ["echo", "later"])
async def test_texts_come_back_as_they_are(script: Module, text: str, function: str) -> None:
    """Alone, among others, inside of a value, short or long, narrow or wide."""
    assert await script.call(function, text) == text
    assert await script.call("echo", text, 1, {"in": [text]}, text) == [text, 1, {"in": [text]}, text]
    utf16 = len(text.encode("utf-16-le")) // 2
    assert await script.call("size", text, text) == [utf16, utf16]


@pytest.mark.parametrize(
    "value", [b"", b"\0\xff", b"x" * 100_000, 2**53, 2**64, -(2**200), 1.5, True, None, [], {"": {}}]
)
async def test_values_come_back_as_they_are(script: Module, value: Any) -> None:
    """Bytes, whole numbers of any size, and what JSON has."""
    assert await script.call("echo", value) == value
    assert await script.call("echo", value, "x" * 2000) == [value, "x" * 2000]


async def test_texts_that_the_engine_has_in_pieces_are_put_together(script: Module) -> None:
    """A text made of many, and a part of another, arrive whole."""
    assert await script.call("pieces", 9000) == "ab€" * 9000
    assert await script.call("part") == ("xyz" * 5000)[7:14000]


async def test_half_of_a_surrogate_pair_becomes_a_replacement(script: Module) -> None:
    """A script's text that is no Unicode arrives with U+FFFD; one of the caller's is refused."""
    assert await script.call("half") == "a\ufffdbccc"
    for text in ("\ud800", "\ud800" * 5000):
        with pytest.raises(ValueError, match="half of a surrogate pair"):
            await script.call("echo", text)


@pytest.mark.parametrize(
    "content",
    [
        b"plain",
        "é💥".encode(),
        b"\xff",
        b"a\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x92",
        b"\xc0\xaf",
        b"\xef\xbf\xbd\xff",
        bytes(range(256)) * 3,
        b"\xf0\x80\x80\x80\xf4\x90\x80\x80\xe0\x9f\xbf\xe1\x80a",
    ],
)
async def test_bytes_become_text_as_the_standard_has_it(script: Module, content: bytes) -> None:
    """Python and the Encoding Standard replace the same bytes."""
    assert await script.call("decode", content) == content.decode("utf-8", "replace")


async def test_text_becomes_bytes(script: Module) -> None:
    """UTF-8, whatever the text."""
    for text in TEXTS:
        assert await script.call("encode", text) == text.encode()


async def test_a_result_is_bounded(script: Module) -> None:
    """More than the output limit is an error, whichever way it would have come."""
    assert len(await script.call("big", 100_000)) == 100_000
    with pytest.raises(OutputExceeded):
        await script.call("big", 100_000, limits=Limits(output=50_000))
    with pytest.raises(GuestError):
        await script.call("big", 1 << 29)


async def test_promises_run_in_order_before_the_call_returns(script: Module) -> None:
    """Microtasks run in the order they were queued, those that nobody waits for as well."""
    assert await script.call("order") == ["now", "micro", "then"]
    assert [entry.message for entry in (await script.run("left")).logs] == ["after"]


async def test_nothing_piles_up_in_a_kept_instance(script: Module) -> None:
    """Ten thousand long texts in and out need no more memory than a hundred."""
    async with script.instance() as live:
        text = "z" * 20_000
        for _ in range(100):
            assert await live.call("echo", text) == text
        before = live.memory.size
        for _ in range(2000):
            await live.call("echo", text)
        assert live.memory.size == before


@pytest.mark.parametrize("body", [b"", b"text", "é💥".encode() * 9000, b"\xff\0" * 4000])
async def test_bodies_of_requests_and_responses(script: Module, body: bytes) -> None:
    """A body that is text crosses as text, any other as bytes."""
    app = Application()
    app.mount("/js", script)
    async with TestClient(app) as client:
        answered = await client.post("/js/x", content=body)
    assert answered.content == body.decode("utf-8", "replace").encode()
    assert answered.headers["x-length"] == "1"
