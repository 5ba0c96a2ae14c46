"""JSON in TypeScript guests: the type `Json` of the guest kit is any value to the caller."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.errors import GuestError, InvalidModule, OutputExceeded, Trap
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime import binary, signature, stripping
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits

SOURCE = """
import { Json } from "echelon";
export function same(value: Json): Json { return value }
export function again(value: Json): Json { return Json.parse(value.toString()) }
export function parsed(text: string): Json { return Json.parse(text) }
export function kind(value: Json): string { return value.kind }
export function get(value: Json, name: string): Json { return value.get(name) }
export function names(value: Json): string[] { return value.names() }
export function items(value: Json): Json[] { return value.items() }
export function count(value: Json): i32 { return value.length }
export function at(value: Json, index: i32): Json { return value.at(index) }
export function characters(value: Json): string { return value.toText() }
export function number(value: Json): f64 { return value.toNumber() }
export function whole(value: Json): i64 { return value.toInt() }
export function truth(value: Json): bool { return value.toBool() }
export function quoted(text: string): Json { return Json.of(text) }
export function float(value: f64): Json { return Json.of(value) }
export function maybe(value: Json | null): Json | null { return value }
export function built(name: string, text: string | null): Json {
  return Json.object().with(name, text).with("n", 1).with("f", 0.5).with("b", true).with("list", ["a", "b"])
    .with("nested", [[1], [2, 3]]).with("of", Json.parse(' { "x" : [ ] } ').with("y", <u64>u64.MAX_VALUE))
}
let kept = Json.object();
export function keep(value: Json): i32 { kept = kept.with("v", value); return kept.length }
export function forged(depth: i32): Json { return Json.parse("[".repeat(depth) + "]".repeat(depth)) }
"""


@pytest.fixture(scope="module")
def wasm(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The module, compiled once."""

    async def compile_source() -> bytes:
        async with Generator([AssemblyScript(home=home)], tmp_path_factory.mktemp("artifacts")) as generator:
            return (await generator.compile(SOURCE, "typescript", name="values.ts")).wasm

    return asyncio.run(compile_source())


@pytest.fixture
async def ts(runtime: Runtime, wasm: bytes) -> Any:
    return await runtime.load(wasm, name="values.ts")


async def test_the_signature(ts: Any) -> None:
    """The class is the type `json`, also in arrays and where it may be null."""
    shown = {function.name: str(function) for function in ts.exports()}
    assert shown["same"] == "same(value: json) -> json"
    assert shown["items"] == "items(value: json) -> list<json>"
    assert shown["maybe"] == "maybe(value: option<json>) -> option<json>"


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1.5,
        2**70,
        1e300,
        "",
        'ü😀"\\\n\x01\b/\u2028',
        [],
        {},
        [1, [2, []]],
        {"a": {"b": [1]}, "": None},
    ],
)
async def test_round_trip(ts: Any, value: object) -> None:
    """Any JSON comes back equal, and the kit's own parser accepts what the host wrote."""
    assert await ts.same(value) == value
    assert await ts.again(value) == value
    assert await ts.maybe(value) == value


async def test_looking_things_up(ts: Any) -> None:
    """Fields, items and plain values are found in the text, of the right kind or not at all."""
    assert [await ts.kind(v) for v in (None, True, 1, "", [], {})] == [
        "null", "bool", "number", "string", "array", "object",
    ]  # fmt: skip
    value = {"a": [1, {"b": "x"}], "q\n": None, "c": 'd"'}
    assert await ts.names(value) == ["a", "q\n", "c"]
    assert await ts.items(value) == [[1, {"b": "x"}], None, 'd"']
    assert (await ts.get(value, "a"), await ts.get(value, "q\n"), await ts.get(value, "no")) == (
        value["a"],
        None,
        None,
    )
    assert (await ts.count(value), await ts.count([1, 2]), await ts.count([])) == (3, 2, 0)
    assert await ts.at(["x", "y"], 1) == "y"
    assert await ts.characters('ü😀"\\\n\x01\b\f\t/') == 'ü😀"\\\n\x01\b\f\t/'
    assert (await ts.number(-0.25), await ts.whole(-(2**63)), await ts.truth(False)) == (
        -0.25,
        -(2**63),
        False,
    )
    assert await ts.parsed('{"a":1,"a":2}') == {"a": 2}
    assert await ts.get({"a": 1}, "a") == 1


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        ("names", [], "this JSON is of kind array, not object"),
        ("items", "x", "of kind string, not array"),
        ("characters", 1, "of kind number, not string"),
        ("number", "1", "of kind string, not number"),
        ("truth", None, "of kind null, not bool"),
        ("whole", 1.5, r"1\.5 is no whole number of 64 bits"),
        ("whole", 2**63, "is no whole number of 64 bits"),
    ],
)
async def test_values_of_another_kind(ts: Any, function: str, value: object, message: str) -> None:
    """What is asked for as something else says what it is."""
    with pytest.raises(Trap, match=message):
        await ts.call(function, value)


async def test_building(ts: Any) -> None:
    """Objects are built field by field, of numbers, texts, arrays and JSON, white space or not."""
    assert await ts.built('a"', None) == {
        'a"': None, "n": 1, "f": 0.5, "b": True, "list": ["a", "b"], "nested": [[1], [2, 3]],
        "of": {"x": [], "y": 2**64 - 1},
    }  # fmt: skip
    assert (await ts.built("a", "\x00\x1f\\"))["a"] == "\x00\x1f\\"
    assert await ts.quoted('"\\\n😀') == '"\\\n😀'
    assert await ts.float(1.5e300) == 1.5e300
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(Trap, match="JSON has no"):
            await ts.float(number)


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[1,]", "nul", "01", "1.", "-", '"\x01"', '"\\x"', '"\\u12g4"', '"\\u12', "[1 2]", '{"a" 1}',
     "{a:1}", "1 2", "+1", ".5", "1e", "tru", '{"a":1,}', "NaN", "'a'", '"abc', "[[]", "]", ",", '{"a":}', "1e+",
     "--1", "\u00a01"],
)  # fmt: skip
async def test_what_is_no_json(ts: Any, text: str) -> None:
    """A text that is no JSON is an error of the guest that says where."""
    with pytest.raises(Trap, match=r"this is no JSON from character \d+ on|this JSON ends too early"):
        await ts.parsed(text)


async def test_depth(ts: Any) -> None:
    """Neither side runs out of stack: the guest's parser has a bound, and so has what it returns."""
    with pytest.raises(Trap, match="this JSON nests too deeply"):
        await ts.forged(502)
    with pytest.raises(GuestError, match="more than 100 levels deep"):
        await ts.forged(400)
    assert await ts.forged(100) is not None


async def test_bad_arguments(ts: Any) -> None:
    """What JSON cannot say is refused by name before anything runs."""
    with pytest.raises(
        ValueError, match=r"same\(\) argument 1 \(value: json\): it has a number that JSON lacks"
    ):
        await ts.same([math.nan])
    with pytest.raises(TypeError, match=r"argument 1 \(value: json\)"):
        await ts.same(object())


async def test_limits_and_kept_instances(ts: Any) -> None:
    """The text counts towards the output limit; values that an instance keeps outlive their call."""
    with pytest.raises(OutputExceeded):
        await ts.call("same", "x" * 3000, limits=Limits(output="4KiB"))
    async with ts.instance() as live:
        for number in range(300):
            assert await live.call("keep", {"n": [number] * 20}) == number + 1


async def test_forged_layouts(runtime: Runtime, wasm: bytes) -> None:
    """A section that calls something else JSON is an error of that guest."""
    for item in ({"kind": "buffer", "id": 1}, {"kind": "array", "id": 3, "item": "i32"}, None, "u8"):
        wire = {"kind": "json", "id": 3, "item": item}
        document = {
            "version": 1, "language": "typescript", "abi": "assemblyscript",
            "exports": [{"name": "float", "params": [{"type": "f64"}], "results": [{"type": "json", "wire": wire}]}],
        }  # fmt: skip
        bare = stripping.without(wasm, signature.SECTION.__eq__)
        forged = binary.add_custom_section(bare, signature.SECTION, json.dumps(document).encode())
        module = await runtime.load(forged)
        with pytest.raises((InvalidModule, GuestError)):
            await module.call("float", 1.5)
        module.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
async def test_any_json(ts: Any, value: Any) -> None:
    """Whatever JSON can say survives the way in, the guest's parser, and the way out."""
    assert await ts.again(value) == value
    if isinstance(value, dict):
        assert await ts.names(value) == list(value)
        assert await ts.items(value) == list(value.values())
