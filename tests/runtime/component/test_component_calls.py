"""Calling components: names, results, arguments that do not fit, limits, traps, instances."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from component_kit import MEMORY, WITH_MEMORY, echo, named

from echelon.errors import (
    ComponentError,
    DeadlineExceeded,
    FuelExhausted,
    FunctionNotFound,
    GuestError,
    InvalidModule,
    LinkError,
    MemoryExceeded,
    Trap,
)
from echelon.runtime.component import Err, Ok, Some, Variant
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

Wat = Callable[[str], bytes]

CALCULATOR = """(component
  (core module $m
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
    (func (export "divide") (param i32 i32) (result i32)
      (if (result i32) (i32.eqz (local.get 1))
        (then (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 7)) (i32.const 16))
        (else (i32.store (i32.const 16) (i32.const 0))
              (i32.store (i32.const 20) (i32.div_s (local.get 0) (local.get 1))) (i32.const 16))))
    (func (export "loop") (loop $l (br $l)))
    (func $deep (export "deep") (call $deep))
    (func (export "fail") (unreachable))
    (func (export "load") (result i32) (i32.load (i32.const -1)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
  (core instance $i (instantiate $m))
  (func $add (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $i "add")))
  (instance $ops
    (export "add" (func $add)))
  (export "acme:calc/ops@1.2.0" (instance $ops))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "divide") (param "a" s32) (param "b" s32) (result (result s32 (error u32)))
    (canon lift (core func $i "divide") (memory (core memory $i "memory"))))
  (func (export "run-on") (canon lift (core func $i "loop")))
  (func (export "deep") (canon lift (core func $i "deep")))
  (func (export "fail") (canon lift (core func $i "fail")))
  (func (export "load") (result u32) (canon lift (core func $i "load")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow"))))"""


@pytest.fixture
async def calculator(runtime: Runtime, wat: Wat) -> Module:
    return await runtime.load(wat(CALCULATOR), name="calculator")


async def test_signatures(calculator: Module) -> None:
    """Exports are listed under their full names with WIT types as text."""
    assert [str(function) for function in calculator.exports()][:3] == [
        "count() -> u32",
        "divide(a: s32, b: s32) -> result<s32, u32>",
        "run-on()",
    ]
    assert "acme:calc/ops@1.2.0#add(a: s32, b: s32) -> s32" in map(str, calculator.exports())
    assert calculator.language == "component"
    described = calculator.to_dict()
    assert described["exports"][0] == {"name": "count", "params": [], "results": ["u32"]}


@pytest.mark.parametrize("name", ["acme:calc/ops@1.2.0#add", "acme:calc/ops#add", "ops#add", "add"], ids=str)
async def test_names(calculator: Module, name: str) -> None:
    """A function of an interface is found by its full name and by every shorter one that means it alone."""
    assert await calculator.call(name, 40, 2) == 42


async def test_python_names(calculator: Module) -> None:
    """A name with dashes is an attribute with underscores."""
    with pytest.raises(DeadlineExceeded):
        await calculator.call("run_on", limits=Limits(time=0.05))
    assert await calculator.add(1, 2) == 3


async def test_ambiguous_name(runtime: Runtime, wat: Wat) -> None:
    """A short name that two interfaces have is none; the full ones still work."""
    text = """(component
      (core module $m (func (export "one") (result i32) (i32.const 1)) (func (export "two") (result i32) (i32.const 2)))
      (core instance $i (instantiate $m))
      (func $one (result u32) (canon lift (core func $i "one")))
      (func $two (result u32) (canon lift (core func $i "two")))
      (instance $a (export "get" (func $one))) (instance $b (export "get" (func $two)))
      (export "acme:x/a@1.0.0" (instance $a)) (export "acme:x/b@1.0.0" (instance $b)))"""
    module = await runtime.load(wat(text))
    with pytest.raises(FunctionNotFound, match=r"acme:x/a@1\.0\.0#get, acme:x/b@1\.0\.0#get"):
        await module.call("get")
    assert (await module.call("a#get"), await module.call("b#get")) == (1, 2)


async def test_result_is_value_or_error(calculator: Module) -> None:
    """A result's good case is the value; its bad case is raised with its payload, and with what the call cost."""
    assert await calculator.call("divide", 7, 2) == 3
    with pytest.raises(ComponentError) as caught:
        await calculator.call("divide", 1, 0)
    assert caught.value.payload == 7
    assert caught.value.outcome is not None


async def test_instance_survives_an_error_case(calculator: Module) -> None:
    """An error case is a result: the kept instance goes on; a trap ends it."""
    async with calculator.instance() as live:
        assert await live.call("count") == 1
        with pytest.raises(ComponentError):
            await live.call("divide", 1, 0)
        with pytest.raises(TypeError):
            await live.call("divide", 1, "0")
        assert await live.call("count") == 2
        with pytest.raises(Trap):
            await live.call("fail")
        with pytest.raises(GuestError, match="dropped after a failure"):
            await live.call("count")


async def test_fresh_state(calculator: Module) -> None:
    """Every call has an instance of its own."""
    assert [await calculator.call("count") for _ in range(3)] == [1, 1, 1]


async def test_concurrent_calls(calculator: Module) -> None:
    """More calls at once than there are slots: all are answered, each with its own result."""
    results = await asyncio.gather(*(calculator.call("add", n, n) for n in range(100)))
    assert results == [2 * n for n in range(100)]


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("fail", "unreachable"),
        ("deep", "stack-overflow"),
        ("load", "memory-out-of-bounds"),
    ],
)
async def test_traps(calculator: Module, function: str, code: str) -> None:
    """A trap has the same code as that of a module, and the guest's stack."""
    with pytest.raises(Trap) as caught:
        await calculator.call(function)
    assert caught.value.code == code
    assert caught.value.frames


async def test_deadline_leaves_the_loop_free(calculator: Module) -> None:
    """An endless guest is stopped at its deadline, while others are served."""
    endless = asyncio.create_task(calculator.call("run-on", limits=Limits(time=0.3)))
    answered = 0
    while not endless.done():
        assert await calculator.call("add", 1, 1) == 2
        answered += 1
        await asyncio.sleep(0)
    assert answered > 20
    with pytest.raises(DeadlineExceeded):
        await endless


async def test_cancel(calculator: Module) -> None:
    """A cancelled call stops its guest and frees its slot."""
    task = asyncio.create_task(calculator.call("run-on", limits=Limits(time=5)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await calculator.runtime.drained(2)


async def test_fuel(calculator: Module) -> None:
    """Fuel is counted and bounds a call."""
    outcome = await calculator.run("add", 1, 2, limits=Limits(fuel=10_000))
    assert outcome.value == 3
    assert outcome.cost.fuel is not None
    assert 0 < outcome.cost.fuel < 100
    with pytest.raises(FuelExhausted):
        await calculator.call("run-on", limits=Limits(fuel=10_000))


async def test_memory_limit(calculator: Module) -> None:
    """Memory cannot grow past the limit."""
    assert await calculator.call("grow", 10, limits=Limits(memory=1 << 20)) == 1
    assert await calculator.call("grow", 16, limits=Limits(memory=1 << 20)) == -1


def hoarder(memories: int) -> str:
    """A component of several modules that each grow a memory as far as they can."""
    grow = """(func (export "grow") (result i32) (local $n i32)
        (loop $l (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
          (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $l)))) (local.get $n))"""
    parts = "".join(
        f"""(core instance $i{n} (instantiate $m))
        (func (export "grow{n}") (result u32) (canon lift (core func $i{n} "grow")))"""
        for n in range(memories)
    )
    return f"(component (core module $m (memory 1) {grow}) {parts})"


@pytest.mark.parametrize("memories", [1, 2, 4])
async def test_memory_limit_is_for_all_memories(runtime: Runtime, wat: Wat, memories: int) -> None:
    """All memories of a component together stay within the limit."""
    module = await runtime.load(wat(hoarder(memories)))
    async with module.instance(limits=Limits(memory="8MiB")) as live:
        grown = [await live.call(f"grow{n}") for n in range(memories)]
    assert sum(pages + 1 for pages in grown) * 65536 <= 8 << 20
    assert sum(grown) > 100


async def test_too_many_memories(runtime: Runtime, wat: Wat) -> None:
    """A component with more memories than a slot has room for is refused when it is loaded."""
    with pytest.raises(InvalidModule, match="makes 5 memories, at most 4"):
        await runtime.load(wat(hoarder(5)))


async def test_memory_to_begin_with(runtime: Runtime, wat: Wat) -> None:
    """A component whose memory is larger from the start than the limit is refused with both numbers."""
    module = await runtime.load(
        wat("(component (core module $m (memory 100)) (core instance (instantiate $m)))")
    )
    with pytest.raises(MemoryExceeded):
        async with module.instance(limits=Limits(memory="1MiB")):
            pass


async def test_cache(wat: Wat, tmp_path: Path) -> None:
    """Native code is kept on disk under a key of its own and used by the next process."""
    for compiled in (1, 0):
        async with Runtime(RuntimeSettings(cache=tmp_path / "native")) as runtime:
            module = await runtime.load(wat(CALCULATOR))
            assert await module.call("add", 2, 2) == 4
            assert runtime.compiled == compiled
    assert any("component" in folder.name for folder in (tmp_path / "native").iterdir())


async def test_component_text(runtime: Runtime) -> None:
    """The text of a component is loaded like that of a module."""
    module = await runtime.load(CALCULATOR, language="wat")
    assert await module.call("add", 1, 2) == 3


async def test_component_file(runtime: Runtime, wat: Wat, tmp_path: Path) -> None:
    """A component is loaded from its file."""
    path = tmp_path / "calculator.wasm"
    path.write_bytes(wat(CALCULATOR))
    assert await (await runtime.load(path)).call("add", 1, 2) == 3


# --- arguments that do not fit ---

POINT = named("point", '(record (field "x" s32) (field "y-axis" f64))')
SHAPE = named("shape", '(variant (case "circle" f32) (case "nothing"))')
COLOR = named("color", '(enum "red" "blue")')
MODES = named("modes", '(flags "read" "write")')

MISFITS = {
    "bool-int": ("bool", "i32", "", 1, TypeError, r"echo\(\) argument 1 \(x\): expected bool, got int"),
    "int-bool": ("u8", "i32", "", True, TypeError, "expected u8, got bool"),
    "int-float": ("s32", "i32", "", 1.0, TypeError, "expected s32, got float"),
    "u8-256": ("u8", "i32", "", 256, ValueError, "256 is out of range for u8"),
    "s8--129": ("s8", "i32", "", -129, ValueError, "-129 is out of range for s8"),
    "u16--1": ("u16", "i32", "", -1, ValueError, "out of range for u16"),
    "s16": ("s16", "i32", "", 2**15, ValueError, "out of range for s16"),
    "u32": ("u32", "i32", "", 2**32, ValueError, "out of range for u32"),
    "u64": ("u64", "i64", "", 2**64, ValueError, "out of range for u64"),
    "s64": ("s64", "i64", "", -(2**63) - 1, ValueError, "out of range for s64"),
    "huge": ("s64", "i64", "", 1 << 100_000, ValueError, "a number of 100001 bits is out of range"),
    "f32": ("f32", "f32", "", 1e39, ValueError, r"1e\+39 is out of range for f32"),
    "f64": ("f64", "f64", "", 10**400, ValueError, "out of range for f64"),
    "f64-str": ("f64", "f64", "", "1", TypeError, "expected f64, got str"),
    "char-two": ("char", "i32", "", "ab", ValueError, "expected one character, got 2"),
    "char-surrogate": ("char", "i32", "", "\ud800", ValueError, r"U\+D800 is half of a surrogate pair"),
    "char-int": ("char", "i32", "", 65, TypeError, "expected char"),
    "string-surrogate": ("string", "i32 i32", "", "ab\udfff", ValueError, "character 2 is half of"),
    "string-bytes": ("string", "i32 i32", "", b"x", TypeError, "expected string, got bytes"),
    "list-str": ("(list u8)", "i32 i32", "", "abc", TypeError, "expected list<u8>, got str"),
    "list-item": ("(list u8)", "i32 i32", "", [1, 2, 300], ValueError, r"\(x\)\[2\]: 300 is out of range"),
    "list-bool-item": ("(list s32)", "i32 i32", "", [1, True], TypeError, r"\[1\]: expected s32, got bool"),
    "list-float": ("(list f32)", "i32 i32", "", [0.5, 1e39], ValueError, r"\[1\]: 1e\+39 is out of range"),
    "list-nested": ("(list (list string))", "i32 i32", "", [["a"], ["b", 3]], TypeError, r"\[1\]\[1\]: expected"),
    "tuple-short": ("(tuple u8 u8)", "i32 i32", "", (1,), ValueError, "expected 2 items, got 1"),
    "tuple-type": ("(tuple u8 u8)", "i32 i32", "", {1, 2}, TypeError, "expected tuple<u8, u8>, got set"),
    "record-missing": ("$point", "i32 f64", POINT, {"x": 1}, ValueError, 'the field "y-axis" is missing'),
    "record-extra": (
        "$point", "i32 f64", POINT, {"x": 1, "y-axis": 2, "z": 3}, ValueError, 'no field "z"; there are x',
    ),
    "record-field": ("$point", "i32 f64", POINT, {"x": "1", "y-axis": 2}, TypeError, r"\(x\)\.x: expected s32"),
    "record-type": ("$point", "i32 f64", POINT, [1, 2], TypeError, "expected record"),
    "variant-case": ("$shape", "i32 f32", SHAPE, Variant("square"), ValueError, "no case 'square'; there are circle"),
    "variant-payload": ("$shape", "i32 f32", SHAPE, Variant("circle", "1"), TypeError, r"\.circle: expected f32"),
    "variant-none": ("$shape", "i32 f32", SHAPE, Variant("nothing", 1), ValueError, "has no payload, got int"),
    "variant-type": ("$shape", "i32 f32", SHAPE, 5, TypeError, "a Variant"),
    "variant-unhashable": ("$shape", "i32 f32", SHAPE, {"case": ["x"]}, TypeError, "a Variant"),
    "enum": ("$color", "i32", COLOR, "green", ValueError, "no case 'green'; there are red, blue"),
    "enum-type": ("$color", "i32", COLOR, 0, TypeError, "expected enum"),
    "flags": ("$modes", "i32", MODES, {"execute"}, ValueError, "no flag 'execute'; there are read, write"),
    "flags-str": ("$modes", "i32", MODES, "read", TypeError, "a set of str"),
    "flags-unhashable": ("$modes", "i32", MODES, [["read"]], TypeError, "each flag by its name"),
    "option": ("(option u8)", "i32 i32", "", "x", TypeError, "expected u8"),
    "result": ("(list (result u8 (error string)))", "i32 i32", "", [5], TypeError, r"\[0\]: .*Ok or Err"),
    "result-ok": ("(list (result u8))", "i32 i32", "", [Ok("x")], TypeError, r"\[0\]\.ok: expected u8"),
    "result-err": ("(list (result u8))", "i32 i32", "", [Err("x")], ValueError, "its err has no payload"),
    "map": ("(map string u32)", "i32 i32", "", {"a": -1}, ValueError, r"\['a'\]: -1 is out of range"),
    "map-type": ("(map string u32)", "i32 i32", "", [("a", 1)], TypeError, "a dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
async def test_misfit(name: str, runtime: Runtime, wat: Wat) -> None:
    """A value that does not fit raises an error that names the place, before anything runs."""
    type_, flat, types, value, error, message = MISFITS[name]
    ran = []
    runtime.component_imports.add("back", lambda given: ran.append(given) or given)
    module = await runtime.load(wat(echo(type_, flat, types=types)))
    with pytest.raises(error, match=message):
        await module.call("echo", value)
    assert not ran


async def test_wrong_count(calculator: Module) -> None:
    """Too few and too many arguments are refused with the function's signature."""
    for arguments in ((), (1,), (1, 2, 3)):
        with pytest.raises(TypeError, match=r"takes 2 arguments, \d given"):
            await calculator.call("add", *arguments)


@dataclass
class PointData:
    x: int
    y_axis: float


class PointStruct(msgspec.Struct):
    x: int
    y_axis: float


@pytest.mark.parametrize(
    "value",
    [{"x": 1, "y-axis": 2.0}, {"x": 1, "y_axis": 2.0}, PointData(1, 2.0), PointStruct(1, 2.0)],
    ids=repr,
)
async def test_records_from_objects(runtime: Runtime, wat: Wat, value: object) -> None:
    """A record is given as a dict, a dataclass or a struct; underscores stand for dashes."""
    runtime.component_imports.add("back", lambda given: given)
    module = await runtime.load(wat(echo("$point", "i32 f64", types=POINT)))
    assert await module.call("echo", value) == {"x": 1, "y-axis": 2.0}


@pytest.mark.parametrize(
    ("type_", "flat", "types", "given", "back"),
    [
        ("$shape", "i32 f32", SHAPE, "nothing", Variant("nothing")),
        ("$shape", "i32 f32", SHAPE, {"case": "circle", "value": 1}, Variant("circle", 1.0)),
        ("(list (result u8 (error string)))", "i32 i32", "", [{"value": 1}, {"error": "x"}], [Ok(1), Err("x")]),
        ("(option (option u8))", "i32 i32 i32", "", 7, Some(7)),
        ("(list u8)", "i32 i32", "", [1, 2], b"\1\2"),
        ("(list u8)", "i32 i32", "", memoryview(b"abcd")[::2], b"ac"),
        ("$modes", "i32", MODES, ["read", "read"], {"read"}),
    ],
)  # fmt: skip
async def test_other_forms(
    runtime: Runtime, wat: Wat, type_: str, flat: str, types: str, given: object, back: object
) -> None:
    """Values may also be given in the form that JSON has for them."""
    runtime.component_imports.add("back", lambda value: value)
    module = await runtime.load(wat(echo(type_, flat, types=types)))
    assert await module.call("echo", given) == back


async def test_values_as_json(runtime: Runtime, wat: Wat) -> None:
    """What comes back can be written as JSON, and given again in that form."""
    runtime.component_imports.add("back", lambda value: value)
    module = await runtime.load(wat(echo("(list $shape)", "i32 i32", types=SHAPE)))
    value = await module.call("echo", [Variant("circle", 0.5), Variant("nothing")])
    assert await module.call("echo", msgspec.json.decode(msgspec.json.encode(value))) == value


# --- what cannot be loaded ---


async def test_missing_import(runtime: Runtime, wat: Wat) -> None:
    """A component that imports what nothing provides is refused with all names and what there is."""
    text = '(component (import "acme:shop/prices@1.0.0" (instance (export "lookup" (func (result u32))))))'
    with pytest.raises(LinkError, match=r'"acme:shop/prices@1\.0\.0#lookup".*may import from.*wasi:cli'):
        await runtime.load(wat(text))


@pytest.mark.parametrize("cut", [9, 20, 60, 200])
async def test_truncated(runtime: Runtime, wat: Wat, cut: int) -> None:
    """A component that ends too early is refused."""
    with pytest.raises(InvalidModule):
        await runtime.load(wat(CALCULATOR)[:cut])


async def test_nested_module_is_held_to_the_limits(runtime: Runtime) -> None:
    """A core module inside a component is checked like any other."""
    inner = b"\0asm\x01\0\0\0" + b"\x03\xff\xff\xff\x7f" + b"\0" * 10
    outer = b"\0asm\x0d\0\x01\0" + b"\x01" + bytes([len(inner)]) + inner
    with pytest.raises(InvalidModule):
        await runtime.load(outer)


async def test_async_types_are_refused(runtime: Runtime, wat: Wat) -> None:
    """Futures and streams, which would abort the process, do not get in."""
    for text in (
        '(component (type $f (future u8)) (import "f" (func (param "x" $f))))',
        '(component (type $s (stream u8)) (import "f" (func (param "x" $s))))',
    ):
        with pytest.raises(InvalidModule):
            await runtime.load(wat(text))


async def test_type_bomb(runtime: Runtime, wat: Wat) -> None:
    """A small component that describes a huge type is refused."""
    types = "(type $t0 (tuple u8 u8 u8 u8))" + "".join(
        f"(type $t{n} (tuple {' '.join([f'$t{n - 1}'] * 4)}))" for n in range(1, 9)
    )
    with pytest.raises(InvalidModule, match=r"types|type"):
        await runtime.load(wat(f'(component {types} (import "f" (func (param "x" $t8))))'))


async def test_deep_type(runtime: Runtime, wat: Wat) -> None:
    """A type nested very deep is refused."""
    types = "(type $t0 (list u8))" + "".join(f"(type $t{n} (list $t{n - 1}))" for n in range(1, 90))
    with pytest.raises(InvalidModule):
        await runtime.load(wat(f'(component {types} (import "f" (func (param "x" $t89))))'))


# --- hostile values ---


def liar(body: str, result: str) -> str:
    """A component whose function returns whatever its body leaves at address 16."""
    return f"""(component {MEMORY}
      (core module $m (import "m" "memory" (memory 1))
        (func (export "get") (result i32) {body} (i32.const 16)))
      (core instance $i (instantiate $m (with "m" (instance $mem))))
      (func (export "get") (result {result}) (canon lift (core func $i "get") {WITH_MEMORY})))"""


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("(i32.store (i32.const 16) (i32.const -8)) (i32.store (i32.const 20) (i32.const 100))", "string"),
        ("(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const -1))", "string"),
        ("(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const -1))", "(list u64)"),
        ("(i32.store (i32.const 16) (i32.const 3)) (i32.store (i32.const 20) (i32.const 2))", "(list u64)"),
        ("(i32.store (i32.const 16) (i32.const 9))", "(option u32)"),
        ("(i32.store (i32.const 16) (i32.const 77))", "(result u32)"),
        ("(i32.store (i32.const 0) (i32.const -1)) (i32.store (i32.const 16) (i32.const 0))"
         " (i32.store (i32.const 20) (i32.const 4))", "string"),
        ("(i32.store (i32.const 0) (i32.const 0xD800)) (i32.store (i32.const 16) (i32.const 0))"
         " (i32.store (i32.const 20) (i32.const 1))", "(list char)"),
    ],
)  # fmt: skip
async def test_lying_guest(runtime: Runtime, wat: Wat, body: str, result: str) -> None:
    """Bad pointers, lengths, discriminants, UTF-8 and characters stop the guest with its own error."""
    module = await runtime.load(wat(liar(body, result)))
    with pytest.raises(Trap) as caught:
        await module.call("get")
    assert caught.value.code == "component-model"


async def test_huge_result(runtime: Runtime, wat: Wat) -> None:
    """A guest that hands over its memory many times over is stopped by a bound on what crosses in one call."""
    body = """(local $n i32) (drop (memory.grow (i32.const 200)))
      (loop $l
        (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 8))) (i32.const 0))
        (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 8))) (i32.const 1000000))
        (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
      (i32.store (i32.const 16) (i32.const 65536)) (i32.store (i32.const 20) (i32.const 1000))"""
    module = await runtime.load(wat(liar(body, "(list (list u8))")))
    with pytest.raises(GuestError, match="more data in one call"):
        await module.call("get", limits=Limits(time=10))


async def test_huge_argument(runtime: Runtime, wat: Wat) -> None:
    """More values than may cross in one call are refused before anything runs."""
    runtime.component_imports.add("back", lambda value: value)
    module = await runtime.load(wat(echo("(list bool)", "i32 i32")))
    with pytest.raises(ValueError, match=r"argument 1 \(x\): more than 4194304 values"):
        await module.call("echo", [True] * ((4 << 20) + 1))


async def test_argument_larger_than_memory(runtime: Runtime, wat: Wat) -> None:
    """A text that the guest has no room for is the guest's failure, not the process's."""
    runtime.component_imports.add("back", lambda value: value)
    module = await runtime.load(wat(echo("string", "i32 i32")))
    with pytest.raises(Trap):
        await module.call("echo", "x" * (2 << 20), limits=Limits(memory="1MiB"))


async def test_megabyte_both_ways(runtime: Runtime, wat: Wat) -> None:
    """A megabyte of bytes arrives whole, and does not hold the event loop up while it crosses."""
    runtime.component_imports.add("back", lambda value: value)
    module = await runtime.load(wat(echo("(list u8)", "i32 i32")))
    data = bytes(range(256)) * 4096
    assert await module.call("echo", data, limits=Limits(time=30)) == data
