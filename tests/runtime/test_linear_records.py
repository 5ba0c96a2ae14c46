"""Records, tuples and maps in plain memory: what comes back as it went in, what does not fit, guests that lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from echelon.errors import CompileError, GuestError, OutputExceeded
from echelon.runtime import declarations, records
from echelon.runtime.core import Runtime
from echelon.runtime.linear import Block, Reading, layout_of
from echelon.runtime.memory import OutOfBounds

POINT = "record{x: f64, label: str, on: bool, z: option<i16>}"
VALUES: list[tuple[str, Any]] = [
    (POINT, {"x": 1.5, "label": "ö🦊", "on": True, "z": -3}),
    (POINT, {"x": -0.0, "label": "", "on": False, "z": None}),
    (f"list<{POINT}>", [{"x": 0.5, "label": str(n), "on": n > 1, "z": n} for n in range(3)]),
    (f"option<{POINT}>", None),
    (
        "record{a: u8, b: i64, c: record{d: tuple<bool, bytes>}}",
        {"a": 255, "b": -(2**63), "c": {"d": (True, b"\xff")}},
    ),
    ("tuple<i8, str, list<u32>>", (-1, "text", [1, 2])),
    ("list<tuple<u8, f32>>", [(1, 0.5), (2, 0.25)]),
    ("map<str, i64>", {"b": 1, "a": 2}),
    ("map<i32, map<str, list<bool>>>", {1: {"x": [True]}, -1: {}}),
    ("map<tuple<u16, str>, option<f64>>", {(1, "a"): None, (2, ""): 1.5}),
    ("map<bool, str>", {}),
]


class Memory:
    """A guest's memory: a block that lies at an address, within bytes."""

    def __init__(self, content: bytes, base: int) -> None:
        self.content = bytes(base) + content

    def read(self, pointer: int, size: int) -> bytes:
        if pointer + size > len(self.content):
            raise OutOfBounds(f"{pointer}")
        return self.content[pointer : pointer + size]


@pytest.mark.parametrize("base", [8, 4096])
@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_there_and_back(kind: str, value: Any, base: int) -> None:
    """What is put into a block is read from it again, wherever the block lies."""
    block, layout = Block(), layout_of(kind)
    start, length = layout.lower(block, value)
    content = block.content(base)
    assert len(content) == block.size
    reading = Reading(Memory(content, base), 1 << 20)  # type: ignore[arg-type]  # what reading uses of one
    found = layout.read(reading, 0 if start is None else base + start, length)  # type: ignore[union-attr]  # no number
    assert found == value
    assert repr(found) == repr(value)


def test_the_layout_is_that_of_c() -> None:
    """Fields lie at their alignment, and the whole is a multiple of the largest."""
    block = Block()
    start, length = layout_of("record{a: u8, b: u32, c: u8, d: str, e: option<u16>}").lower(
        block, {"a": 1, "b": 2, "c": 3, "d": "hi", "e": 4}
    )
    assert (start, length) == (4, 24)
    assert block.content(64) == (
        b"hi\0\0" + b"\x01\0\0\0" + b"\x02\0\0\0" + b"\x03\0\0\0" + b"\x40\0\0\0\x02\0\0\0" + b"\x01\0\x04\0"
    )


@dataclass
class Point:
    x: float
    label: str
    on: bool = True
    z: int | None = None


def test_objects_and_what_json_has_instead() -> None:
    """An object with the fields is as good as a dict, a list as a tuple, a list of pairs as a dict."""

    def lowered(kind: str, value: Any) -> bytes:
        block = Block()
        layout_of(kind).lower(block, value)
        return block.content(8)

    assert lowered(POINT, Point(1.5, "a")) == lowered(POINT, {"x": 1.5, "label": "a", "on": True, "z": None})
    assert lowered("tuple<i64, str>", [1, "a"]) == lowered("tuple<i64, str>", (1, "a"))
    assert lowered("map<i64, str>", [[1, "a"]]) == lowered("map<i64, str>", {1: "a"})


GOOD = {"x": 1.5, "label": "a", "on": True, "z": None}
WRONG: list[tuple[str, Any, str]] = [
    (POINT, {**GOOD, "x": "1"}, "p.x: expected float, got str"),
    (POINT, {**GOOD, "label": 1}, "p.label: expected str, got int"),
    (POINT, {**GOOD, "on": 1}, "p.on: expected bool, got int"),
    (POINT, {**GOOD, "z": 40000}, "p.z: 40000 is out of range of i16"),
    (POINT, {"x": 1.5}, "p: the field label is missing; it is an object or a dict with x, label, on, z"),
    (POINT, {**GOOD, "y": 1}, "p: there is no field y; it is"),
    (POINT, 5, "p: expected an object or a dict with x, label, on, z, got int"),
    (f"list<{POINT}>", [GOOD, {**GOOD, "x": None}], r"p\[1\].x: expected float, got NoneType"),
    ("tuple<i64, str>", (1,), "p: expected 2 items, got 1"),
    ("tuple<i64, str>", "ab", "p: expected tuple, got str"),
    ("tuple<i64, list<str>>", (1, ["a", 2]), r"p\[1\]\[1\]: expected str, got int"),
    ("map<str, i64>", {1: 1}, r"p\[the key 1\]: expected str, got int"),
    ("map<str, i64>", {"a": "b"}, r"p\['a'\]: expected int, got str"),
    ("map<str, i64>", {"a": 1 << 63}, r"p\['a'\]: 9223372036854775808 is out of range of i64"),
    ("map<str, i64>", ["a"], "p: expected dict, got list"),
    ("map<str, i64>", [["a"]], "p: expected pairs of a key and a value, got 1 items"),
]

GUEST = """(module
  (memory (export "memory") 1)
  (data (i32.const 8) "\\01\\00\\00\\00\\02\\00\\00\\00")
  (func (export "echelon_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "short() -> record{a: i64}") (result i64) (i64.const 0x0000_0008_0000_0004))
  (func (export "outside() -> record{a: i64}") (result i64) (i64.const 0x0001_0000_0000_0008))
  (func (export "endless() -> map<u8, u8>") (result i64) (i64.const 0x0000_0008_7fff_ffff))
  (func (export "twice() -> map<u8, u8>") (result i64) (i64.const 0x0000_0010_0000_0003))
  FUNCTIONS)"""


async def load(wasm: Runtime, functions: str = "") -> Any:
    return await wasm.load(GUEST.replace("FUNCTIONS", functions), language="wat")


async def test_values_that_do_not_fit() -> None:
    """The error names the parameter and where in it, before anything runs."""
    async with Runtime() as wasm:
        kinds = {
            kind: f"f{number}" for number, kind in enumerate(dict.fromkeys(kind for kind, _, _ in WRONG))
        }
        functions = "".join(
            f'(func (export "{name}(p: {kind})") (param i32 i32))' for kind, name in kinds.items()
        )
        module = await load(wasm, functions)
        for kind, value, message in WRONG:
            with pytest.raises((TypeError, ValueError), match=message) as caught:
                await module.call(kinds[kind], value)
            assert str(caught.value).startswith(f"{kinds[kind]}() argument 1 (p: ")
            assert len(str(caught.value)) < 250
        assert await module.call(kinds[POINT], GOOD) is None


async def test_guests_that_lie() -> None:
    """A record of another size, one outside the memory, a map without an end: an error, and little is read."""
    async with Runtime() as wasm:
        module = await load(wasm)
        with pytest.raises(GuestError, match="a record of 4 bytes, which its signature says has 8"):
            await module.short()
        with pytest.raises(GuestError):
            await module.outside()
        with pytest.raises(OutputExceeded):
            await module.endless()
        assert await module.twice() == {0: 0}


def test_lines_of_text() -> None:
    """A signature in one line may have all of these types, with commas and colons of their own."""
    line = "f(p: record{x: f64, y: tuple<i8, str>}, map<str, i64>) -> list<record{a: bool}>, u8"
    function = declarations.parse(line)
    assert str(function) == line
    assert [value.name for value in function.params] == ["p", ""]
    for wrong in ("f(p: a b)", "f(p: record {x: i8})", "f(: i8)", "f(x: y: i8)", "f(i8,,i8)"):
        with pytest.raises(ValueError, match="neither a type"):
            declarations.parse(wrong)
    assert records.split("a<b, c>, d{e, f<g, h>}, i") == ["a<b, c>", "d{e, f<g, h>}", "i"]


@pytest.mark.parametrize(
    "kind",
    ["record{}", "record{x}", "record{x: f64, x: f64}", "record{1: i8}", "record{x: y}", "tuple<>", "map<str>",
     "map<list<u8>, u8>", "map<option<u8>, u8>", "map<str, i8, i8>", "record<x: i8>", "tuple<i8", "record{x: i8",
     "option<option<tuple<i8>>>", "tuple<" * 9 + "i8" + ">" * 9],
)  # fmt: skip
async def test_types_there_are_not(kind: str) -> None:
    """A type that cannot be is refused when the module is loaded."""
    with pytest.raises(ValueError, match=r"cannot cross|no field"):
        layout_of(kind)
    if kind.endswith((">", "}")):
        async with Runtime() as wasm:
            with pytest.raises(CompileError, match="not accepted"):
                await load(wasm, f'(func (export "f(p: {kind})") (param i32 i32))')
