"""One program in every language: the same functions, called with the same values, answer the same.

Expected values stand here once. What a language lacks is a row of `languages.LACKS`.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from languages import LACKS, LANGUAGES, Language

from echelon import Application, Config, Limits, Permissions
from echelon.errors import DeadlineExceeded, OutputExceeded, PermissionDenied, Trap
from echelon.http.testing import TestClient
from echelon.plugin import toolchain
from echelon.plugin.artifacts import Artifact
from echelon.plugin.interface import wit
from echelon.plugin.interface.world import of_module
from echelon.runtime.module import Module
from echelon.runtime.types import U32

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

MIB = 1 << 20
PRICES = {"tea": 450, "grüner Tee 🍵": 520}
TEXTS = ["", "plain", "Zoë", "日本語", "🦊🚀", "e\u0301", "a\0b", "x" * 70_000, "🦊" * 20_000]
WIDTHS = (8, 16, 32, 64)
SIGNATURES = {
    "echo_u8(n: u8) -> u8",
    "echo_i64(n: i64) -> i64",
    "echo_f32(n: f32) -> f32",
    "negate(on: bool) -> bool",
    "greet(who: str) -> str",
    "reverse(data: bytes) -> bytes",
    "sorted(numbers: list<i32>) -> list<i32>",
    "split(text: str, by: str) -> list<str>",
    "first(text: option<str>) -> option<str>",
    "wrap(value: json) -> json",
    "spin()",
}


class Guest(NamedTuple):
    """The program of one language, loaded without any grant, and the application that runs it."""

    language: Language
    artifact: Artifact
    app: Application
    module: Module
    client: TestClient

    async def granted(self, *, limits: Limits | None = None, **permissions: Any) -> Module:
        """Load the program again, with grants and other limits."""
        return await self.app.wasm.load(
            self.artifact.wasm, name=self.module.name, permissions=Permissions(**permissions), limits=limits
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=LANGUAGES, ids=str)
async def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, toolchains: None
) -> AsyncIterator[Guest]:
    """An application with the program mounted, and a shop that guests may ask."""
    language: Language = request.param
    if language.toolchain:
        await toolchain.install(language.toolchain)
    if language.fixture:
        request.getfixturevalue(language.fixture)
    if language.optimize != "none":
        await toolchain.install("binaryen")
    state = tmp_path_factory.mktemp(language.name)
    app = Application(config=Config(state=state).replace({"telemetry.logs": "none"}))

    @app.wasm.host("shop")
    def price(article: str) -> U32:
        return PRICES[article]

    app.mount("/guest", app.wasm.module(language.path, language=language.name, optimize=language.optimize))
    async with TestClient(app) as client:
        name = language.path.stem
        artifact = await app.generator.compile(language.path, language.name, language.optimize, name=name)
        assert language.optimize == "none" or artifact.optimizer.startswith("binaryen")
        module = await app.wasm.load(artifact.wasm, name=name)
        yield Guest(language, artifact, app, module, client)


@pytest.fixture
def guest(request: pytest.FixtureRequest, served: Guest) -> Guest:
    """The program; what its language lacks is expected to fail, and why is told."""
    marker = request.node.get_closest_marker("feature")
    reason = LACKS.get((served.language.name, marker.args[0])) if marker else None
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return served


# --- numbers ---


@pytest.mark.parametrize("bits", WIDTHS)
async def test_whole_numbers_reach_their_ends(guest: Guest, bits: int) -> None:
    """The smallest and the largest number of each width go in and come out."""
    for number in (-(1 << bits - 1), -1, 0, 1, (1 << bits - 1) - 1):
        assert await guest.module.call(f"echo_i{bits}", number) == number
    for number in (0, 1, *((1 << bits - 1, (1 << bits) - 1) if bits < 64 else ())):
        assert await guest.module.call(f"echo_u{bits}", number) == number


@pytest.mark.feature("u64")
@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
async def test_the_largest_whole_numbers(guest: Guest, number: int) -> None:
    """All 64 bits may count."""
    assert await guest.module.call("echo_u64", number) == number


@pytest.mark.feature("range")
@pytest.mark.parametrize("bits", WIDTHS)
async def test_whole_numbers_out_of_range_are_refused(guest: Guest, bits: int) -> None:
    """What does not fit is an error before the guest runs."""
    for name, number in (
        (f"echo_i{bits}", 1 << bits - 1),
        (f"echo_u{bits}", -1),
        (f"echo_u{bits}", 1 << bits),
    ):
        with pytest.raises((ValueError, TypeError), match=name):
            await guest.module.call(name, number)


async def test_floats(guest: Guest) -> None:
    """Double precision keeps every digit, single precision what it can hold."""
    for number in (0.1, -1.5, 1e308, 5e-324, math.pi):
        assert await guest.module.call("echo_f64", number) == number
    assert await guest.module.call("echo_f32", 0.5) == 0.5


@pytest.mark.feature("single precision")
async def test_single_precision_rounds(guest: Guest) -> None:
    """A number that has more digits is rounded to the nearest."""
    assert await guest.module.call("echo_f32", 0.1) == struct.unpack("f", struct.pack("f", 0.1))[0]


@pytest.mark.feature("special floats")
@pytest.mark.parametrize("name", ["echo_f32", "echo_f64"])
async def test_special_floats(guest: Guest, name: str) -> None:
    """Infinities, the negative zero and what is no number cross as they are."""
    for number in (math.inf, -math.inf):
        assert await guest.module.call(name, number) == number
    assert math.isnan(await guest.module.call(name, math.nan))
    assert math.copysign(1, await guest.module.call(name, -0.0)) == -1


async def test_bool(guest: Guest) -> None:
    """A truth value comes back as one, not as a number."""
    assert await guest.module.call("negate", True) is False
    assert await guest.module.call("negate", False) is True


async def test_division(guest: Guest) -> None:
    """Whole numbers are divided towards zero."""
    assert await guest.module.call("divide", 7, 2) == 3
    assert await guest.module.call("divide", -7, 2) == -3


# --- text, bytes, lists, options, JSON ---


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{len(text)}-{text[:5]!a}")
async def test_text(guest: Guest, text: str) -> None:
    """Text of any length and plane arrives whole; a character is a code point."""
    assert await guest.module.call("greet", text) == f"Hello, {text}!"
    assert await guest.module.call("characters", text) == len(text)


async def test_bytes(guest: Guest) -> None:
    """Every byte arrives, also none and zeros."""
    for data in (b"", b"\0", b"\0\xff\x80", bytes(range(256)) * 300):
        assert await guest.module.call("reverse", data) == data[::-1]


async def test_lists_of_numbers(guest: Guest) -> None:
    """Lists go in and come out, the empty one, too."""
    for numbers in ([], [3], [3, -1, 2], list(range(5000, 0, -1))):
        assert await guest.module.call("sorted", numbers) == sorted(numbers)
    assert await guest.module.call("total", [0.5, -2.0, 4.0]) == 2.5
    assert await guest.module.call("total", []) == 0


async def test_lists_of_texts(guest: Guest) -> None:
    """Texts in lists may be empty and of any plane."""
    words = ["", "größer", "🦊", "c" * 1000]
    assert await guest.module.call("join", words, "|") == "|".join(words)
    assert await guest.module.call("join", [], "|") == ""
    assert await guest.module.call("split", "a,🦊,,b", ",") == ["a", "🦊", "", "b"]
    assert await guest.module.call("split", "", ",") == [""]


async def test_a_text_or_none(guest: Guest) -> None:
    """None is not the empty text."""
    assert await guest.module.call("first", "größer") == "g"
    assert await guest.module.call("first", "") == ""
    assert await guest.module.call("first", None) is None


@pytest.mark.feature("number or none")
async def test_a_number_or_none(guest: Guest) -> None:
    """None is not zero."""
    assert await guest.module.call("half", 3.0) == 1.5
    assert await guest.module.call("half", 0.0) == 0.0
    assert await guest.module.call("half", None) is None


@pytest.mark.feature("json")
async def test_json(guest: Guest) -> None:
    """Any value of JSON crosses, and the guest makes JSON of its own of it."""
    for value in (None, True, 1.5, 'ü🦊\n"', [], {}, {"a": [1, {"b": None}], "": "x"}):
        assert await guest.module.call("wrap", value) == {"value": value, "ok": True}


async def test_large_values(guest: Guest) -> None:
    """A mebibyte goes in and comes out."""
    module = await guest.granted(limits=Limits(output=4 * MIB))
    data, text = bytes(range(256)) * (MIB // 256), "größer🦊" * 80_000
    assert await module.call("checksum", data) == sum(data) & 0xFFFF_FFFF
    assert await module.call("reverse", data) == data[::-1]
    assert await module.call("repeat", "größer🦊", 80_000) == text
    assert await module.call("characters", text) == len(text)


@pytest.mark.feature("signature")
async def test_the_signature(guest: Guest) -> None:
    """Callers see the types of what the source exports, and nothing else."""
    found = {str(function) for function in guest.module.exports()}
    assert found >= SIGNATURES


async def test_the_signature_as_wit(guest: Guest, read_wit: Callable[[str, str], str]) -> None:
    """What a language exports can be written as WIT, all of it, and another program reads that."""
    exports = guest.module.exports()
    text = wit.text(of_module("guest", exports, ()), "a guest")
    assert "there is no WIT" not in text
    assert read_wit(text, "guest").count("\n    def ") == len(exports)


# --- failures and limits ---


async def test_an_error_has_its_message(guest: Guest) -> None:
    """What the guest says when it gives up is what its caller reads."""
    for why in ("no bread today", "🦊 größer"):
        with pytest.raises(Trap, match=why):
            await guest.module.call("refuse", why)


async def test_a_division_by_zero_ends_the_call(guest: Guest) -> None:
    """It is an error of that call, and the next one is well."""
    with pytest.raises(Trap):
        await guest.module.call("divide", 1, 0)
    assert await guest.module.call("divide", 6, 3) == 2


async def test_an_endless_loop_ends_at_its_deadline(guest: Guest) -> None:
    """Neither the language nor its library can hold the deadline off."""
    with pytest.raises(DeadlineExceeded):
        await guest.module.call("spin", limits=Limits(time="200ms"))


async def test_a_result_is_bounded(guest: Guest) -> None:
    """More than the output limit is not read."""
    with pytest.raises(OutputExceeded):
        await guest.module.call("repeat", "0123456789", 10_000, limits=Limits(output=50_000))


@pytest.mark.feature("state")
async def test_calls_share_nothing_but_a_kept_instance_does(guest: Guest) -> None:
    """A variable of the module is new for each call; an instance that is kept keeps it."""
    assert [await guest.module.call("count_up") for _ in range(3)] == [1, 1, 1]
    async with guest.module.instance() as live:
        assert [await live.call("count_up") for _ in range(3)] == [1, 2, 3]


async def test_calls_at_once_do_not_mix(guest: Guest) -> None:
    """Twenty calls in flight each have their own answer."""
    names = [f"guest {number} 🦊" for number in range(20)]
    greetings = await asyncio.gather(*(guest.module.call("greet", name) for name in names))
    assert greetings == [f"Hello, {name}!" for name in names]


# --- the host ---


async def test_the_environment(guest: Guest) -> None:
    """A variable is read where it is granted, is none where it is not set, and refused otherwise."""
    module = await guest.granted(env=["COLOUR"])
    assert (await module.run("variable", "COLOUR", env={"COLOUR": "größer 🦊"})).value == "größer 🦊"
    assert (await module.run("variable", "COLOUR", env={})).value is None
    with pytest.raises(PermissionDenied, match="--allow-env=SECRET"):
        await module.call("variable", "SECRET")


async def test_the_log(guest: Guest) -> None:
    """What a guest logs is part of the outcome."""
    outcome = await guest.module.run("note", "größer 🦊")
    assert [(entry.level, entry.message) for entry in outcome.logs] == [("info", "größer 🦊")]


async def test_the_store(guest: Guest) -> None:
    """Texts are stored, read and deleted below the granted keys, and nowhere else."""
    module = await guest.granted(kv=["conformance"])
    assert await module.call("load", "größer") is None
    await module.call("store", "größer", "🦊")
    await module.call("store", "a", "")
    assert await module.call("load", "größer") == "🦊"
    assert (await guest.app.kv.get(("conformance", "größer"))).value == "🦊"
    await module.call("forget", "größer")
    assert await module.call("load", "größer") is None
    assert await module.call("load", "a") == ""
    with pytest.raises(PermissionDenied, match="--allow-kv"):
        await guest.module.call("store", "a", "b")


async def test_keys_of_every_part(guest: Guest) -> None:
    """A key has texts, whole numbers, floating-point numbers, truth values and bytes; a list gives them back."""
    module = await guest.granted(kv=["conformance"])
    assert await module.call("parts", "größer") == "-7 0.5 true 2 found"
    stored = await guest.app.kv.get(("conformance", "größer", -7, 0.5, True, b"\0\xff"))
    assert stored.value == "found"


async def test_commits(guest: Guest) -> None:
    """A check that fails changes nothing, and sums of calls at once are all counted."""
    module = await guest.granted(kv=["conformance"])
    assert await module.call("claim", "once", "mine") is True
    assert await module.call("claim", "once", "yours") is False
    assert await module.call("load", "once") == "mine"
    await asyncio.gather(*(module.call("tally", "sum 🦊", 3) for _ in range(10)))
    assert await module.call("tally", "sum 🦊", 0) == 30


async def test_lists_of_the_store(guest: Guest) -> None:
    """A list comes in pages, each with the cursor of the next one."""
    module = await guest.granted(kv=["conformance"])
    for name in ("a", "ü", "🦊"):
        await guest.app.kv.set(("conformance", "page", name), "x")
    *first, cursor = await module.call("names", 2, "")
    assert (first, bool(cursor)) == (["a", "ü"], True)
    assert await module.call("names", 2, cursor) == ["🦊", ""]


async def test_requests(guest: Guest) -> None:
    """A guest asks an HTTP server that is granted; another one is refused before it is asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        body = "größer 🦊".encode()
        writer.write(
            b"HTTP/1.1 203 Well\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/menu?day=1"
        module = await guest.granted(net=["127.0.0.1"])
        assert await module.call("ask", url) == "203 größer 🦊"
        assert asked[0].startswith(b"GET /menu?day=1 HTTP/1.1\r\n")
        with pytest.raises(PermissionDenied, match="--allow-net"):
            await guest.module.call("ask", url)
    assert len(asked) == 1


@pytest.mark.feature("host function")
async def test_a_function_of_the_application(guest: Guest) -> None:
    """A Python function that the application shares is called with a text and gives a number."""
    for article, cents in PRICES.items():
        assert await guest.module.call("price", article) == cents


async def test_http(guest: Guest) -> None:
    """Mounted, the program reads method, path, query, a header and the body, and answers with all of them."""
    response = await guest.client.post(
        "/guest/a/b?q=1&r=%20", content="größer 🦊", headers={"X-Say": "hello"}
    )
    assert response.status_code == 201
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-heard"] == "hello"
    assert response.text == "POST /a/b q=1&r=%20 größer 🦊"
    response = await guest.client.get("/guest/")
    assert (response.status_code, response.text) == (201, "GET /  ")
    assert response.headers["x-heard"] == "nothing"


@pytest.mark.parametrize("row", LACKS, ids=" ".join)
async def test_every_lack_is_of_a_language_and_a_feature(row: tuple[str, str]) -> None:
    """No row is left behind when a language or a test gets another name."""
    features = {
        mark.args[0]
        for test in globals().values()
        for mark in getattr(test, "pytestmark", ())
        if mark.name == "feature"
    }
    assert row[0] in {language.name for language in LANGUAGES}
    assert row[1] in features
