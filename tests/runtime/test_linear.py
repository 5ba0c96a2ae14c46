"""Typed calls of guests that lay their values out in plain memory: the `linear` ABI."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echelon.errors import GuestError, InvalidModule, MemoryExceeded, Trap
from echelon.runtime import linear
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.linear import Block, Reading, layout_of
from echelon.runtime.memory import OutOfBounds
from echelon.runtime.module import Module

Wat = Callable[[str], bytes]

ALLOCATOR = """
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 4096))
  (func $alloc (export "echelon_alloc") (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16))) (then
      (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
    (local.get $at))
  (func $pair (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))"""

SAME = (
    "str", "bytes", "json", "list<i8>", "list<u8>", "list<i16>", "list<u16>", "list<i32>", "list<u32>", "list<i64>",
    "list<u64>", "list<f32>", "list<f64>", "list<bool>", "list<str>", "list<bytes>", "list<json>", "list<list<i32>>",
    "list<list<str>>", "list<option<str>>", "list<option<u8>>", "list<option<f64>>", "list<option<bool>>",
    "list<option<list<i16>>>", "option<str>", "option<bytes>", "option<json>", "option<list<f64>>",
    "option<list<option<i64>>>",
)  # fmt: skip
"""Types that come back as they went in: a pointer and a length, together in one i64."""

ECHO = (
    "(module"
    + ALLOCATOR
    + "".join(
        f'(func (export "same{n}(it: {kind}) -> {kind}") (param i32 i32) (result i64)'
        " (call $pair (local.get 0) (local.get 1)))"
        for n, kind in enumerate(SAME)
    )
    + ")"
)

GUEST = f"""(module (import "echelon" "abort" (func $abort (param i32 i32 i32 i32 i32 i32))) {ALLOCATOR}
  (data (i32.const 16) "no bread today") (data (i32.const 32) "shop.c")
  (func (export "length(text: str) -> u32") (param i32 i32) (result i32) (local.get 1))
  (func (export "count(items: list<str>) -> u32") (param i32 i32) (result i32) (local.get 1))
  (func (export "both(a: str, b: u8, c: bytes, d: bool) -> str") (param i32 i32 i32 i32 i32 i32) (result i64)
    ;; the arguments lie in one block, so all from a to the end of c is one text
    (call $pair (local.get 0) (i32.sub (i32.add (local.get 3) (local.get 4)) (local.get 0))))
  (func (export "half(n: option<i64>) -> option<i64>") (param i32 i64) (result i32)
    (i32.store8 (i32.const 256) (local.get 0))
    (i64.store (i32.const 264) (i64.div_s (local.get 1) (i64.const 2)))
    (i32.const 256))
  (func (export "parts() -> i8, f64, str, option<u16>, list<u16>, bool") (result i32)
    (i32.store8 (i32.const 256) (i32.const -3))
    (f64.store (i32.const 264) (f64.const 2.5))
    (i32.store (i32.const 272) (i32.const 19)) (i32.store (i32.const 276) (i32.const 5))
    (i32.store8 (i32.const 280) (i32.const 1)) (i32.store16 (i32.const 282) (i32.const 65535))
    (i32.store (i32.const 284) (i32.const 16)) (i32.store (i32.const 288) (i32.const 2))
    (i32.store8 (i32.const 292) (i32.const 2))
    (i32.const 256))
  (func (export "nothing(text: str)") (param i32 i32))
  (func (export "fail(line: u32, column: u32)") (param i32 i32)
    (call $abort (i32.const 16) (i32.const 14) (i32.const 32) (i32.const 6) (local.get 0) (local.get 1)))
  (func (export "panic()")
    (call $abort (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
  (func (export "add(a: i32, b: i32) -> i32") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "sum(ns: list<i64>) -> i64") (param $at i32) (param $count i32) (result i64) (local $sum i64)
    (block (loop
      (br_if 1 (i32.eqz (local.get $count)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br 0)))
    (local.get $sum)))"""


@pytest.fixture
async def echo(runtime: Runtime, wat: Wat) -> Module:
    return await runtime.load(wat(ECHO))


@pytest.fixture
async def guest(runtime: Runtime, wat: Wat) -> Module:
    return await runtime.load(wat(GUEST), name="guest")


async def there_and_back(echo: Module, kind: str, value: object) -> object:
    return await echo.call(f"same{SAME.index(kind)}", value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("str", ""), ("str", "héllo 😀\0"), ("str", "x" * 300_000), ("bytes", b""), ("bytes", bytes(range(256))),
        ("json", None), ("json", {"a": [1, 2.5, "ü", True, None, {}]}), ("json", 2**80), ("json", []),
        ("list<i8>", [-128, 127]), ("list<u8>", [0, 255]), ("list<i16>", [-32768]), ("list<u16>", [65535]),
        ("list<i32>", [-(2**31), 2**31 - 1]), ("list<u32>", [2**32 - 1]), ("list<i64>", [-(2**63), 2**63 - 1]),
        ("list<u64>", [2**64 - 1]), ("list<f32>", [0.5, -math.inf]), ("list<f64>", [0.1, 5e-324]),
        ("list<bool>", [True, False]), ("list<str>", ["", "a", "ü😀", ""]), ("list<bytes>", [b"\0", b""]),
        ("list<json>", [{}, None, 1.5]), ("list<list<i32>>", [[], [1, 2], [3]]),
        ("list<list<str>>", [["a"], [], ["", "b"]]), ("list<option<str>>", [None, "", "x"]),
        ("list<option<u8>>", [None, 0, 255]), ("list<option<f64>>", [None, 0.1]),
        ("list<option<bool>>", [True, None, False]), ("list<option<list<i16>>>", [None, [], [-1]]),
        ("option<str>", None), ("option<str>", ""), ("option<bytes>", b"x"), ("option<json>", {"a": 1}),
        ("option<list<f64>>", None), ("option<list<f64>>", []), ("option<list<option<i64>>>", [None, -1]),
        ("list<str>", []),
    ],
)  # fmt: skip
async def test_round_trip(echo: Module, kind: str, value: object) -> None:
    """Every type comes back equal and of its own type, empty ones too."""
    result = await there_and_back(echo, kind, value)
    assert result == value
    assert type(result) is type(value)


async def test_what_else_is_accepted(echo: Module) -> None:
    """Tuples are lists, any buffer is bytes, an int is a float where one is wanted."""
    assert await there_and_back(echo, "list<str>", ("a", "b")) == ["a", "b"]
    assert await there_and_back(echo, "bytes", bytearray(b"ab")) == b"ab"
    assert await there_and_back(echo, "bytes", memoryview(b"abcd")[::2]) == b"ac"
    assert await there_and_back(echo, "list<f64>", [1, 2]) == [1.0, 2.0]
    assert await there_and_back(echo, "json", {"at": (1, 2), 3: "x"}) == {"at": [1, 2], "3": "x"}


async def test_signatures(guest: Module) -> None:
    """An export whose name is a signature is one by its plain name; the guest's own functions are not shown."""
    shown = [str(function) for function in guest.exports()]
    assert "both(a: str, b: u8, c: bytes, d: bool) -> str" in shown
    assert "parts() -> i8, f64, str, option<u16>, list<u16>, bool" in shown
    assert not any("echelon_alloc" in text for text in shown)
    assert guest.to_dict()["exports"][0] == {
        "name": "length",
        "params": [{"name": "text", "type": "str"}],
        "results": ["u32"],
    }


async def test_several_arguments_and_results(guest: Module) -> None:
    """Arguments of every kind mix; several results are a tuple; a result without memory is a number."""
    assert await guest.both("abc", 255, b"12345678", True) == "abc\0\0\0\0\x0012345678"
    assert await guest.parts() == (-3, 2.5, "bread", 65535, [28526, 25120], True)
    assert await guest.length("ü") == 2
    assert await guest.count(["a"] * 1000) == 1000
    assert await guest.sum([1, -2, 2**40]) == 2**40 - 1
    assert await guest.nothing("x") is None
    assert await guest.add(2, 3) == 5
    assert (await guest.half(None), await guest.half(7)) == (None, 3)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        ("length", (1,), TypeError, r"length\(\) argument 1 \(text: str\): expected str, got int"),
        ("length", (None,), TypeError, "expected str, got NoneType"),
        ("length", ("\ud800",), ValueError, "surrogates not allowed"),
        ("length", (), TypeError, "takes 1 argument, 0 given"),
        ("both", ("a", 256, b"", True), ValueError, r"argument 2 \(b: u8\): 256 is out of range"),
        ("both", ("a", 1, "b", True), TypeError, r"argument 3 \(c: bytes\): expected bytes, got str"),
        ("both", ("a", 1, b"", 1), TypeError, r"argument 4 \(d: bool\): expected bool, got int"),
        ("count", ("abc",), TypeError, "expected list, got str"),
        ("count", (["a", 1],), ValueError, "expected str, got int"),
        ("sum", ([1, 2.5],), ValueError, "item 1: expected int, got float"),
        ("sum", ([2**63],), ValueError, "does not fit i64"),
        ("half", ("x",), TypeError, r"argument 1 \(n: option<i64>\): expected int or None, got str"),
        ("half", (2**63,), ValueError, "9223372036854775808 is out of range"),
    ],
)
async def test_bad_values(
    guest: Module, function: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    """What does not fit is refused by name before anything of the guest runs."""
    with pytest.raises(error, match=message):
        await guest.call(function, *arguments)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, r"argument 1 \(it: json\): it has a number that JSON lacks"),
        ([{"a": [None, math.inf]}], ValueError, "a number that JSON lacks"),
        ({None: 1}, TypeError, "argument 1"),
        (object(), TypeError, "object is unsupported"),
        (["\ud800"], ValueError, "half of a surrogate pair"),
    ],
)
async def test_what_json_cannot_say(
    echo: Module, value: object, error: type[Exception], message: str
) -> None:
    """NaN, infinities, foreign objects and half characters are no JSON."""
    with pytest.raises(error, match=message):
        await there_and_back(echo, "json", value)


async def test_json_within_itself(echo: Module) -> None:
    """A value that contains itself is refused; one that is nested too deeply does not come back."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested too deeply, or contains itself"):
        await there_and_back(echo, "json", loop)
    deep: Any = []
    for _ in range(99):
        deep = [deep]
    assert await there_and_back(echo, "json", deep) == deep
    with pytest.raises(GuestError, match="nested more than 100 levels deep"):
        await there_and_back(echo, "json", [deep])
    wide = [{"text": "[[["} for _ in range(200)]
    assert await there_and_back(echo, "json", wide) == wide
    brackets = "[" * 500
    assert await there_and_back(echo, "json", brackets) == brackets


async def test_abort(guest: Module) -> None:
    """A guest that gives up says why, and where in its source as far as it knows."""
    for arguments, place in (((7, 3), "shop.c:7:3"), ((7, 0), "shop.c:7"), ((0, 0), "shop.c")):
        with pytest.raises(Trap) as caught:
            await guest.fail(*arguments)
        assert (str(caught.value), caught.value.code) == (
            f"the guest aborted: no bread today ({place})",
            "abort",
        )
    with pytest.raises(Trap, match=r"the guest aborted: no message$"):
        await guest.panic()


async def test_a_kept_instance(guest: Module) -> None:
    """A kept instance takes texts call after call; a bad argument does not end it."""
    async with guest.instance() as live:
        for number in range(50):
            assert await live.call("length", "x" * number) == number
        with pytest.raises(TypeError):
            await live.call("length", 1)
        assert await live.call("sum", [1, 2]) == 3


async def test_arguments_that_do_not_fit_the_memory(guest: Module) -> None:
    """What is larger than the memory limit is refused before the guest is asked; a full guest is out of memory."""
    with pytest.raises(
        MemoryExceeded, match="the arguments have 200000 bytes, the guest's memory at most 131072"
    ):
        await guest.call("length", "x" * 200_000, limits=Limits(memory="128KiB"))
    with pytest.raises(OutOfBounds):
        await guest.call("length", "x" * 130_000, limits=Limits(memory="128KiB"))


async def test_host_calls_of_typed_guests(runtime: Runtime, wat: Wat) -> None:
    """Arguments arrive also where the guest imports from its host and is suspended meanwhile."""
    text = f"""(module (import "echelon" "log" (func $log (param i32 i32 i32))) {ALLOCATOR}
      (func (export "shout(text: str) -> str") (param i32 i32) (result i64)
        (call $log (i32.const 1) (local.get 0) (local.get 1)) (call $pair (local.get 0) (local.get 1))))"""
    module = await runtime.load(wat(text))
    outcome = await module.run("shout", "hé")
    assert outcome.value == "hé"
    assert [entry.message for entry in outcome.logs] == ["hé"]
    assert outcome.cost.memory >= 2 << 16


# Any value of any type -----------------------------------------------------------------------------------

NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    **{f"i{n}": st.integers(-(1 << n - 1), (1 << n - 1) - 1) for n in (8, 16, 32, 64)},
    **{f"u{n}": st.integers(0, (1 << n) - 1) for n in (8, 16, 32, 64)},
    "f32": st.floats(width=32, allow_nan=False), "f64": st.floats(allow_nan=False), "bool": st.booleans(),
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
LEAVES = {**NUMBERS, "str": st.text(), "bytes": st.binary(), "json": JSON}


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw a type and a value of it."""
    kind = draw(st.sampled_from(sorted(LEAVES)))
    values = LEAVES[kind]
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()) and not kind.startswith("option<"):
            kind, values = f"option<{kind}>", st.none() | values
        else:
            kind, values = f"list<{kind}>", st.lists(values, max_size=4)
    return kind, draw(values)


class Bytes:
    """A guest's memory that holds one block."""

    def __init__(self, base: int, content: bytes) -> None:
        self.base, self.content = base, content

    def read(self, pointer: int, length: int) -> bytes:
        if length and not self.base <= pointer <= pointer + length <= self.base + len(self.content):
            raise OutOfBounds(f"{length} bytes at {pointer}")
        return self.content[pointer - self.base : pointer - self.base + length] if length else b""


@settings(max_examples=400, deadline=None)
@given(typed_values(), st.integers(1, 1000))
def test_any_value_of_any_type(typed: tuple[str, Any], place: int) -> None:
    """Whatever is put into a block is read out of it again, and nothing lies outside."""
    kind, value = typed
    layout, block = layout_of(f"list<{kind}>"), Block()
    start, count = layout.lower(block, [value, value])
    content = block.content(8 * place)
    assert len(content) == block.size
    reading = Reading(Bytes(8 * place, content), 1 << 20)  # type: ignore[arg-type]  # only `read` is used
    assert isinstance(start, int)
    assert layout.read(reading, 8 * place + start, count) == [value, value]  # type: ignore[union-attr]  # a list


@pytest.mark.parametrize(
    "kind",
    ["", "int", "v128", "externref", "list", "list<", "list<>", "list<i32", "option<option<i32>>",
     "option<option<str>>", "set<i32>", "list<v128>", "list<" * 9 + "i32" + ">" * 9, "list<" * 50_000, "str<i32>",
     " str", "list<i32>>"],
)  # fmt: skip
def test_types_there_are_not(kind: str) -> None:
    """A type that cannot cross is refused with those that can."""
    with pytest.raises(ValueError, match=r"there are i8, .*, str, bytes, json, list<type>"):
        layout_of(kind)


async def test_the_allocator_is_checked_when_the_module_is_loaded(runtime: Runtime, wat: Wat) -> None:
    """A signature that takes text needs a memory and an allocator; one that gives text needs the memory."""
    takes = '(func (export "f(a: str)") (param i32 i32))'
    with pytest.raises(InvalidModule, match="exports no memory"):
        await runtime.load(wat(f"(module {takes})"))
    with pytest.raises(InvalidModule, match=r"does not export echelon_alloc\(i32\) -> i32"):
        await runtime.load(wat(f'(module (memory (export "memory") 1) {takes})'))
    gives = '(func (export "f() -> str") (result i64) (i64.const 0))'
    assert await (await runtime.load(wat(f'(module (memory (export "memory") 1) {gives})'))).f() == ""
    with pytest.raises(
        InvalidModule, match=r"does not fit the function's type \(i32\) -> \(\); it takes \(i32, i32\)"
    ):
        await runtime.load(wat(f'(module {ALLOCATOR} (func (export "f(a: str)") (param i32)))'))


def test_no_size_is_larger_than_its_alignment_says() -> None:
    """Each layout is a multiple of its alignment, as fields of a C struct are."""
    for kind in linear.KINDS:
        for text in (kind, f"option<{kind}>", f"list<{kind}>"):
            layout = layout_of(text)
            assert layout.size % layout.align == 0
