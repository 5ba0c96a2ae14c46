"""Python functions shared with guests: types, texts, waiting, threads, failures, registration."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from echelon.errors import ConfigError, DeadlineExceeded, GuestError, HostCallsExceeded, HostError, LinkError
from echelon.runtime import host_functions
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.host import Call
from echelon.runtime.host_functions import host_function
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module
from echelon.runtime.types import F32, F64, I32, I64, U32, U64

Wat = Callable[[str], bytes]
Load = Callable[[str], Awaitable[Module]]

TAKE = """
  (import "echelon" "take" (func $take (param i32)))
  (memory (export "memory") 2)"""


class Point(msgspec.Struct):
    """What a guest passes as JSON."""

    x: int
    y: int = 0


@pytest.fixture
async def unstarted(code_directory: Path) -> AsyncIterator[Runtime]:
    """A runtime that host functions can be added to; whoever starts it need not stop it."""
    runtime = Runtime(RuntimeSettings(instances=16, queue=100, threads=2, cache=code_directory))
    yield runtime
    await runtime.close()


@pytest.fixture
def load(unstarted: Runtime, wat: Wat) -> Load:
    """Start the runtime and load a module of WebAssembly text."""

    async def start_and_load(text: str) -> Module:
        await unstarted.start()
        return await unstarted.load(wat(text))

    return start_and_load


async def test_numbers(unstarted: Runtime, load: Load) -> None:
    """Each annotation is one core type, and every value arrives as it was sent, signed or unsigned."""
    seen: list[tuple[Any, ...]] = []

    @unstarted.host("numbers")
    def all(a: I32, b: U32, c: I64, d: U64, e: F32, f: F64, g: int, h: float, i: bool) -> int:
        seen.append((a, b, c, d, e, f, g, h, i))
        return -5

    module = await load(
        """(module (import "numbers" "all"
             (func $all (param i32 i32 i64 i64 f32 f64 i64 f64 i32) (result i64)))
           (func (export "f") (result i64)
             (call $all (i32.const -1) (i32.const -1) (i64.const -1) (i64.const -1) (f32.const 0.5)
               (f64.const 0.25) (i64.const -9) (f64.const 1.5) (i32.const 7))))"""
    )
    assert await module.call("f") == -5
    assert seen == [(-1, 2**32 - 1, -1, 2**64 - 1, 0.5, 0.25, -9, 1.5, True)]
    assert seen[0][8] is True


@pytest.mark.parametrize(
    ("annotation", "core", "value", "lowered"),
    [
        (I32, "i32", -(2**31), -(2**31)),
        (U32, "u32", 2**32 - 1, 2**32 - 1),
        (I64, "i64", 2**63 - 1, 2**63 - 1),
        (U64, "u64", 2**64 - 1, 2**64 - 1),
        (int, "i64", True, 1),
        (F32, "f32", 1, 1.0),
        (float, "f64", 0.5, 0.5),
        (bool, "i32", True, 1),
    ],
)
async def test_results(annotation: Any, core: str, value: Any, lowered: Any) -> None:
    """A result is lowered as its annotation says."""

    def give() -> Any:
        return value

    give.__annotations__["return"] = annotation
    made = host_function("x", give, "give")
    assert made.results == (core,)
    assert made.at_once is not None
    assert made.at_once(None) == lowered
    assert await made.implementation(None) == lowered


@pytest.mark.parametrize(
    ("annotation", "value", "error"),
    [
        (I32, 2**31, OverflowError),
        (U32, -1, OverflowError),
        (int, 2**63, OverflowError),
        (U64, 2**64, OverflowError),
        (int, "1", TypeError),
        (float, "1", TypeError),
        (bool, 1, TypeError),
        (str, b"", TypeError),
        (bytes, "", TypeError),
        (str, None, TypeError),
        (None, 0, TypeError),
    ],
)
def test_wrong_results(annotation: Any, value: Any, error: type[Exception]) -> None:
    """A result that is not what was declared is refused, never cut to size."""

    def give() -> Any:
        return value

    give.__annotations__["return"] = annotation
    made = host_function("x", give, "give")
    assert made.at_once is not None
    with pytest.raises(error, match=r"its result|it is declared"):
        made.at_once(None)


ECHO = (
    """(module
  (import "text" "shout" (func $shout (param i32 i32) (result i32)))"""
    + TAKE
    + """
  (data (i32.const 16) "h\\c3\\a9llo")
  (func (export "length") (result i32) (call $shout (i32.const 16) (i32.const 6)))
  (func (export "byte") (param i32) (result i32)
    (drop (call $shout (i32.const 16) (i32.const 6)))
    (call $take (i32.const 1024))
    (i32.load8_u (i32.add (i32.const 1024) (local.get 0))))
  (func (export "outside") (result i32) (call $shout (i32.const 131071) (i32.const 2)))
  (func (export "negative") (result i32) (call $shout (i32.const -8) (i32.const 4)))
  (func (export "huge") (result i32) (call $shout (i32.const 0) (i32.const -1)))
  (func (export "bad") (result i32) (call $shout (i32.const 17) (i32.const 1)))
)"""
)


@pytest.mark.parametrize("waits", [False, True])
async def test_texts(unstarted: Runtime, load: Load, waits: bool) -> None:
    """A text arrives as str; a text that is returned is taken by the guest, byte for byte."""
    if waits:

        @unstarted.host("text")
        async def shout(text: str) -> str:
            await asyncio.sleep(0)
            return text.upper()

    else:

        @unstarted.host("text", name="shout")
        def loud(text: str) -> str:
            return text.upper()

    module = await load(ECHO)
    assert await module.call("length") == len("HÉLLO".encode())
    taken = bytes([await module.call("byte", n) for n in range(6)])
    assert taken.decode() == "HÉLLO"
    for name in ("outside", "negative"):
        with pytest.raises(GuestError, match="outside the guest's memory"):
            await module.call(name)
    with pytest.raises(GuestError, match="at most 16777216 are accepted"):
        await module.call("huge")
    with pytest.raises(GuestError, match="not UTF-8"):
        await module.call("bad")


JSON = (
    """(module
  (import "geo" "norm" (func $norm (param i32 i32) (result i32)))"""
    + TAKE
    + """
  (data (i32.const 0) "{\\"x\\":3,\\"y\\":4}")
  (data (i32.const 32) "{\\"x\\":\\"3\\"}")
  (data (i32.const 64) "null")
  (func (export "good") (result i32) (call $norm (i32.const 0) (i32.const 13)))
  (func (export "wrong") (result i32) (call $norm (i32.const 32) (i32.const 9)))
  (func (export "none") (result i32) (call $norm (i32.const 64) (i32.const 4)))
  (func (export "byte") (param i32) (result i32)
    (call $take (i32.const 1024)) (i32.load8_u (i32.add (i32.const 1024) (local.get 0))))
)"""
)


async def test_json(unstarted: Runtime, load: Load) -> None:
    """Any other type crosses as JSON that is checked against it; None is -1 and keeps nothing."""

    @unstarted.host("geo")
    def norm(point: Point | None) -> dict[str, int] | None:
        return None if point is None else {"squared": point.x**2 + point.y**2}

    module = await load(JSON)
    async with module.instance() as live:
        length = await live.call("good")
        text = (
            bytes([live.memory.read(1024, length)[n] for n in range(length)])
            if await live.call("byte", 0)
            else b""
        )
        assert text == b'{"squared":25}'
    assert await module.call("none") == -1
    with pytest.raises(
        GuestError, match=r"JSON to its host that does not fit: Expected `int`, got `str` - at `\$.x`"
    ):
        await module.call("wrong")


DEEP = """(module
  (import "deep" "parse" (func $parse (param i32 i32) (result i64)))
  (import "deep" "decode" (func $decode (param i32 i32) (result i64)))
  (memory (export "memory") 32)
  (func $fill (memory.fill (i32.const 0) (i32.const 91) (i32.const 2000000)))
  (func (export "parse") (result i64) call $fill (call $parse (i32.const 0) (i32.const 2000000)))
  (func (export "decode") (result i64) call $fill (call $decode (i32.const 0) (i32.const 2000000))))"""


async def test_deep_json(unstarted: Runtime, load: Load) -> None:
    """JSON that is nested as deep as it goes ends the call, in our parser and in one that a function calls."""

    @unstarted.host("deep")
    def decode(value: list[Any]) -> int:
        return len(value)

    @unstarted.host("deep")
    def parse(text: str) -> int:
        return len(json.loads(text))

    module = await load(DEEP)
    with pytest.raises(GuestError, match="JSON to its host that does not fit"):
        await module.call("decode")
    with pytest.raises(HostError, match="RecursionError"):
        await module.call("parse")


def test_only_numbers_are_taken_at_once() -> None:
    """What a guest can make as deep as it likes is not read on the guest's small stack."""

    def numbers(a: I32, b: bool) -> str:
        return "x"

    def text(a: I32, b: str) -> None: ...

    async def waits(a: I32) -> None: ...

    assert host_function("x", numbers, "numbers").at_once is not None
    assert host_function("x", text, "text").at_once is None
    assert host_function("x", waits, "waits").at_once is None


async def test_the_call_comes_first(unstarted: Runtime, load: Load) -> None:
    """A first parameter of type Call is given the call; the guest does not see it."""

    @unstarted.host("log")
    def note(call: Call, number: I32) -> None:
        call.log("info", f"number {number}, call {call.host_calls}")

    module = await load(
        """(module (import "log" "note" (func $note (param i32)))
           (func (export "f") (call $note (i32.const 7)) (call $note (i32.const 8))))"""
    )
    outcome = await module.run("f")
    assert [entry.message for entry in outcome.logs] == ["number 7, call 1", "number 8, call 2"]
    assert outcome.cost.host_calls == 2
    with pytest.raises(HostCallsExceeded):
        await module.run("f", limits=Limits(host_calls=1))


async def test_functions_run_on_the_loops_thread(unstarted: Runtime, load: Load) -> None:
    """Whether the guest is on the loop or on a worker, a host function runs on the loop's thread."""
    threads: set[int] = set()
    calls = 0

    @unstarted.host("app")
    def touch() -> None:
        nonlocal calls
        calls += 1
        threads.add(threading.get_ident())

    module = await load(
        """(module (import "app" "touch" (func $touch))
           (func (export "f") (param i32) (local $i i32)
             (loop $outer
               (local.set $i (i32.const 3000000))
               (loop $spin (br_if $spin (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
               (call $touch)
               (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    )
    await asyncio.gather(*(module.call("f", 6) for _ in range(4)))
    assert calls == 24
    assert threads == {threading.get_ident()}


async def test_a_failure_reaches_only_its_own_call(unstarted: Runtime, load: Load) -> None:
    """What one function raises, waiting or not, ends one call; it names the function and chains the cause."""

    @unstarted.host("risky")
    def divide(a: I32, b: I32) -> I32:
        return a // b

    @unstarted.host("risky")
    async def divide_later(a: I32, b: I32) -> I32:
        await asyncio.sleep(0.001)
        return a // b

    module = await load(
        """(module (import "risky" "divide" (func $d (param i32 i32) (result i32)))
                   (import "risky" "divide_later" (func $l (param i32 i32) (result i32)))
           (func (export "divide") (param i32 i32) (result i32) (call $d (local.get 0) (local.get 1)))
           (func (export "divide_later") (param i32 i32) (result i32) (call $l (local.get 0) (local.get 1))))"""
    )
    for name in ("divide", "divide_later"):
        calls = [module.call(name, 100, n % 2) for n in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for n, result in enumerate(results):
            if n % 2:
                assert result == 100
            else:
                assert isinstance(result, HostError)
                assert result.function == f"risky.{name}"
                assert isinstance(result.__cause__, ZeroDivisionError)


async def test_waiting_is_bounded_by_the_deadline(unstarted: Runtime, load: Load) -> None:
    """A function that waits too long is cancelled, and its guest with it."""
    cancelled = asyncio.Event()

    @unstarted.host("slow")
    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    module = await load('(module (import "slow" "forever" (func $f)) (func (export "f") call $f))')
    with pytest.raises(DeadlineExceeded):
        await module.call("f", limits=Limits(time=0.05))
    assert cancelled.is_set()


async def test_results_are_bounded(unstarted: Runtime, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that is too large stops the call instead of filling the guest's memory."""
    monkeypatch.setattr(host_functions, "MAX_RESULT", 10)

    @unstarted.host("text")
    def shout(text: str) -> str:
        return text * 2

    module = await load(ECHO)
    with pytest.raises(HostError, match="its result has 12 bytes, at most 10"):
        await module.call("length")


async def test_unknown_functions_are_listed(unstarted: Runtime, load: Load) -> None:
    """A module that imports what there is not is refused, and told what there is."""

    @unstarted.host("shop")
    def price(article: str) -> I32:
        return 1

    @unstarted.host("shop")
    def stock(article: str) -> I32:
        return 1

    with pytest.raises(LinkError) as caught:
        await load('(module (import "shop" "prize" (func)))')
    assert 'nothing provides func "shop" "prize"' in str(caught.value)
    assert "shop (price, stock)" in str(caught.value)
    with pytest.raises(LinkError, match=r"has type \(i64\) -> \(\), the host offers \(i32, i32\) -> \(i32\)"):
        await load('(module (import "shop" "price" (func (param i64))))')


async def test_registration(unstarted: Runtime) -> None:
    """A name is given once, Echelon's own namespaces are kept, and after the start it is too late."""
    shop = unstarted.host("shop")

    @shop
    def price() -> None: ...

    with pytest.raises(ConfigError, match='there is a host function "shop" "price" already'):
        shop(price)
    with pytest.raises(ConfigError, match="Echelon's own"):
        unstarted.host("echelon")(price)
    with pytest.raises(ConfigError, match="Echelon's own"):
        unstarted.host("wasi_snapshot_preview1")(price)
    with pytest.raises(ConfigError, match='"env" "abort" already'):
        unstarted.host("env", name="abort")(price)
    with pytest.raises(ConfigError, match="not a namespace"):
        unstarted.host("")(price)
    with pytest.raises(ConfigError, match="not a name"):
        unstarted.host("x", name="a\nb")(price)
    await unstarted.start()
    with pytest.raises(ConfigError, match="has started"):
        shop(price)


def missing_annotation(a) -> None: ...  # type: ignore[no-untyped-def]  # what is tested
def missing_result(a: int): ...  # type: ignore[no-untyped-def]  # what is tested
def keyword_only(*, a: int) -> None: ...
def variadic(*a: int) -> None: ...
def impossible(a: Callable[[], int]) -> None: ...
def impossible_result() -> Callable[[], int]: ...
def generator() -> Any:
    yield 1


def unknown(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037 - what is tested


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (missing_annotation, "annotate the parameter 'a'"),
        (missing_result, 'annotate what it returns; "-> None" for nothing'),
        (keyword_only, "by position"),
        (variadic, "by position"),
        (impossible, "its parameter 'a' has a type that cannot cross"),
        (impossible_result, "its result has a type"),
        (generator, "a generator cannot be called"),
        (unknown, "its annotations cannot be read: name 'Nowhere' is not defined"),
    ],
)
def test_bad_signatures(function: Any, message: str) -> None:
    """A function that no guest could call is refused when it is registered, by name."""
    with pytest.raises(ConfigError, match=r"the host function shop\.thing: ") as caught:
        host_function("shop", function, "thing")
    assert message in str(caught.value)
