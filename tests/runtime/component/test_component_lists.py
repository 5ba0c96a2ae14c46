"""Lists of numbers cross as memory: just what the guest would have seen otherwise, in every shape and at any size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from component_kit import LEDGER, MEMORY, WITH_LEDGER, WITH_MEMORY, bytes_kit, keeper, named

from echelon.errors import ComponentError, DeadlineExceeded, FunctionNotFound, GuestError, Trap
from echelon.runtime.component import Err, Ok, Some, Variant, appendix
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

Wat = Callable[[str], bytes]

ALL = bytes(range(256))
MANY = ALL * 40
PADDING = (0,) * 16

BLOB = named("blob", '(record (field "name" string) (field "data" (list u8)) (field "sizes" (list u32)))')
PART = named(
    "part",
    '(variant (case "none") (case "raw" (list u8)) (case "many" (list (list u8))) (case "text" string))',
)
COLOR = named("color", '(enum "red" "light-blue")')
MODES = named("modes", '(flags "read" "write")')

SHAPES: dict[str, tuple[str, str, list[Any]]] = {
    "bytes": ("(list u8)", "", [b"", b"\xff", ALL, MANY, MANY[1:]]),
    "option": ("(option (list u8))", "", [None, b"", MANY]),
    "option-option": ("(option (option (list u8)))", "", [None, Some(None), Some(MANY)]),
    "lists": ("(list (list u8))", "", [[], [b""], [MANY, b"", ALL], [ALL] * 200]),
    "record": ("$blob", BLOB, [{"name": "héllo", "data": MANY, "sizes": [1, 2**32 - 1] * 500}]),
    "records": ("(list $blob)", BLOB, [[{"name": str(n), "data": MANY[n:], "sizes": [n] * 99} for n in range(9)]]),
    "variant": ("$part", PART,
                [Variant("none"), Variant("raw", MANY), Variant("many", [ALL, MANY]), Variant("text", "x")]),
    "result": ("(list (result (list u8) (error (list u16))))", "", [[Ok(MANY), Err([0, 65535] * 200)]]),
    "tuple": ("(tuple (list u8) string (list s8))", "", [(MANY, "text", [-128, 127] * 200)]),
    "map": ("(map string (list u8))", "", [{"a": MANY, "b": b"", "c": ALL}]),
    "names": ("(tuple $color $modes (list u8))", COLOR + MODES, [("light-blue", {"write"}, MANY)]),
    "s16": ("(list s16)", "", [[-(2**15), 0, 2**15 - 1] * 100]),
    "u64": ("(list u64)", "", [[0, 2**64 - 1] * 100]),
    "s64": ("(list s64)", "", [[-(2**63), 2**63 - 1] * 100]),
    "f32": ("(list f32)", "", [[0.5, -math.inf, -0.0] * 100]),
    "f64": ("(list f64)", "", [[0.1, math.inf, 1e308] * 100]),
}  # fmt: skip


def second_forms(module: Module) -> set[str]:
    """Return the functions of a component whose lists can cross as memory."""
    return {name for name, plan in module._ready.own_plans.items() if plan.second is not None}


@pytest.mark.parametrize("name", SHAPES)
async def test_shapes(name: str, runtime: Runtime, wat: Wat) -> None:
    """A list of numbers crosses unchanged in whatever it stands, in a fresh instance and in a kept one."""
    type_, types, values = SHAPES[name]
    module = await runtime.load(wat(keeper(type_, types)))
    assert second_forms(module) == {"same"}
    async with module.instance() as live:
        for value in values:
            assert await module.call("same", (value, PADDING)) == (value, PADDING)
            assert await live.call("same", (value, PADDING)) == (value, PADDING)


@pytest.mark.parametrize("interface", [False, True])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 4096, 100_001])
async def test_what_the_guest_sees(runtime: Runtime, wat: Wat, size: int, interface: bool) -> None:
    """The guest is asked once for a place of the list's size, at an odd one if it likes, and cleans up once."""
    module = await runtime.load(wat(bytes_kit(interface=interface)))
    data = (ALL * 400)[:size]
    async with module.instance() as live:
        assert await live.call("go", data) == data
        assert await live.call("ledger") == (1, 1, size, 1)
        assert await live.call("go", data) == data
        assert await live.call("ledger") == (2, 1, size, 2)


async def test_alignment(runtime: Runtime, wat: Wat) -> None:
    """The place of a list is asked for with the alignment of its numbers."""
    module = await runtime.load(wat(bytes_kit("(list f64)", param="(list f64)")))
    async with module.instance() as live:
        assert await live.call("go", [0.5] * 100) == [0.5] * 100
        assert await live.call("ledger") == (1, 8, 800, 1)


async def test_more_than_the_engine_passes(runtime: Runtime, wat: Wat) -> None:
    """Bytes are not values of the engine: more of them can be passed than of those."""
    module = await runtime.load(wat(bytes_kit()))
    data = ALL * (20 << 12)
    assert await module.call("go", data, limits=Limits(memory="64MiB", time=10)) == data


async def test_other_forms(runtime: Runtime, wat: Wat) -> None:
    """Bytes may be given as any buffer or as a list of numbers; what does not fit is refused as ever."""
    module = await runtime.load(wat(bytes_kit()))
    for given in (bytearray(MANY), memoryview(MANY * 2)[::2], list(MANY), tuple(MANY)):
        assert await module.call("go", given) == bytes(given)
    with pytest.raises(ValueError, match=r"go\(\) argument 1 \(data\)\[500\]: 256 is out of range for u8"):
        await module.call("go", [0] * 500 + [256])
    with pytest.raises(TypeError, match=r"expected list<u8>, got str"):
        await module.call("go", "text")
    with pytest.raises(TypeError, match=r"takes 1 argument, 2 given"):
        await module.call("go", MANY, MANY)


async def test_list_in_only(runtime: Runtime, wat: Wat) -> None:
    """A function that only takes a list has a second form, too."""
    module = await runtime.load(wat(bytes_kit("u32", "length")))
    assert await module.call("go", MANY) == len(MANY)
    assert await module.call("go", b"abc") == 3


async def test_error_case(runtime: Runtime, wat: Wat) -> None:
    """The error case of a result is raised with its list, after which a kept instance goes on."""
    text = f"""(component {LEDGER}
      (core module $n (import "l" "memory" (memory 1))
        (func (export "f") (param i32 i32) (result i32)
          (i32.store (i32.const 16) (i32.eqz (i32.load8_u (local.get 0))))
          (i32.store (i32.const 20) (local.get 0)) (i32.store (i32.const 24) (local.get 1)) (i32.const 16)))
      (core instance $j (instantiate $n (with "l" (instance $i))))
      (func (export "check") (param "x" (list u8)) (result (result (list u8) (error (list u8))))
        (canon lift (core func $j "f") {WITH_LEDGER})))"""
    module = await runtime.load(wat(text))
    async with module.instance() as live:
        with pytest.raises(ComponentError) as caught:
            await live.call("check", MANY)
        assert caught.value.payload == MANY
        assert await live.call("check", MANY[1:]) == MANY[1:]


BUFFERS = f"""(component {LEDGER}
  (core module $dtor (func (export "dtor") (param i32)))
  (core instance $d (instantiate $dtor))
  (type $b (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $b))
  (core func $rep (canon resource.rep $b))
  (core func $drop (canon resource.drop $b))
  (core module $n
    (import "l" "memory" (memory 1))
    (import "r" "new" (func $new (param i32) (result i32)))
    (import "r" "rep" (func $rep (param i32) (result i32)))
    (import "r" "drop" (func $drop (param i32)))
    (func $box (param i32 i32) (result i32)
      (i32.store (i32.const 64) (local.get 0)) (i32.store (i32.const 68) (local.get 1)) (i32.const 64))
    (func (export "make") (param i32 i32) (result i32) (call $new (call $box (local.get 0) (local.get 1))))
    (func (export "get") (param i32) (result i32) (local.get 0))
    (func (export "put") (param i32 i32 i32) (drop (call $box (local.get 1) (local.get 2))))
    (func (export "eat") (param i32 i32 i32) (result i32)
      (call $drop (local.get 0)) (call $box (local.get 1) (local.get 2))))
  (core instance $j (instantiate $n (with "l" (instance $i)) (with "r" (instance
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
  (func $make (param "data" (list u8)) (result (own $b)) (canon lift (core func $j "make") {WITH_LEDGER}))
  (func $get (param "self" (borrow $b)) (result (list u8)) (canon lift (core func $j "get") {WITH_LEDGER}))
  (func $put (param "self" (borrow $b)) (param "data" (list u8)) (canon lift (core func $j "put") {WITH_LEDGER}))
  (func $eat (param "b" (own $b)) (param "data" (list u8)) (result (list u8))
    (canon lift (core func $j "eat") {WITH_LEDGER}))
  (component $names
    (import "import-type-buffer" (type $r (sub resource)))
    (import "import-constructor-buffer" (func $make (param "data" (list u8)) (result (own $r))))
    (import "import-method-buffer-get" (func $get (param "self" (borrow $r)) (result (list u8))))
    (import "import-method-buffer-put" (func $put (param "self" (borrow $r)) (param "data" (list u8))))
    (import "import-func-eat" (func $eat (param "b" (own $r)) (param "data" (list u8)) (result (list u8))))
    (export $e "buffer" (type $r))
    (export "[constructor]buffer" (func $make)
      (func (param "data" (list u8)) (result (own $e))))
    (export "[method]buffer.get" (func $get)
      (func (param "self" (borrow $e)) (result (list u8))))
    (export "[method]buffer.put" (func $put)
      (func (param "self" (borrow $e)) (param "data" (list u8))))
    (export "eat" (func $eat) (func (param "b" (own $e)) (param "data" (list u8)) (result (list u8)))))
  (instance $named (instantiate $names
    (with "import-type-buffer" (type $b))
    (with "import-constructor-buffer" (func $make))
    (with "import-method-buffer-get" (func $get))
    (with "import-method-buffer-put" (func $put))
    (with "import-func-eat" (func $eat))))
  (export "acme:bytes/buffers@1.0.0" (instance $named)))"""


async def test_resources(runtime: Runtime, wat: Wat) -> None:
    """Functions with handles of the guest have a second form, in which handles are what they were."""
    module = await runtime.load(wat(BUFFERS))
    assert len(second_forms(module)) == 4
    assert "acme:bytes/buffers@1.0.0#[method]buffer.get(self: borrow<buffer>) -> list<u8>" in map(
        str, module.exports()
    )
    async with module.instance() as live:
        buffer = await live.call("buffer", MANY)
        assert await live.call("buffer.get", buffer) == MANY
        await live.call("buffer.put", buffer, ALL * 5)
        assert await live.call("buffer.get", buffer) == ALL * 5
        assert await live.call("eat", buffer, MANY) == MANY
        with pytest.raises(ValueError, match="given away"):
            await live.call("eat", buffer, MANY)


async def test_host_resource(runtime: Runtime, wat: Wat) -> None:
    """A function that takes an object of the host makes one handle of it, not two."""
    text = f"""(component
      (import "acme:disk/files@1.0.0" (instance $files (export "file" (type $file (sub resource)))))
      (alias export $files "file" (type $file))
      {LEDGER}
      (core func $drop (canon resource.drop $file))
      (core module $n
        (import "l" "memory" (memory 1)) (import "r" "drop" (func $drop (param i32)))
        (func (export "f") (param i32 i32 i32) (result i32) (call $drop (local.get 0))
          (i32.store (i32.const 16) (local.get 1)) (i32.store (i32.const 20) (local.get 2)) (i32.const 16)))
      (core instance $j (instantiate $n (with "l" (instance $i))
        (with "r" (instance (export "drop" (func $drop))))))
      (func (export "f") (param "file" (own $file)) (param "x" (list u8)) (result (list u8))
        (canon lift (core func $j "f") {WITH_LEDGER})))"""
    closed = []

    class File:
        def close(self) -> None:
            closed.append(self)

    runtime.component_imports.add("acme:disk/files@1.0.0#file", File)
    module = await runtime.load(wat(text))
    files = [File(), File()]
    async with module.instance() as live:
        for file, data in zip(files, (b"few", MANY), strict=True):
            assert await live.call("f", file, data) == data
        assert not live._instance._objects
    assert closed == files


# --- hostile guests ---


def liar(pointer: int, length: int, type_: str = "(list u8)") -> str:
    """A component that returns this place of a list, whatever is there."""
    return f"""(component {MEMORY}
      (core module $m (import "m" "memory" (memory 1))
        (func (export "get") (result i32)
          (i32.store (i32.const 16) (i32.const {pointer})) (i32.store (i32.const 20) (i32.const {length}))
          (i32.const 16)))
      (core instance $i (instantiate $m (with "m" (instance $mem))))
      (func (export "get") (result {type_}) (canon lift (core func $i "get") {WITH_MEMORY})))"""


@pytest.mark.parametrize(
    ("pointer", "length", "type_"),
    [
        (0, 131073, "(list u8)"),
        (131072, 1, "(list u8)"),
        (-1, 1, "(list u8)"),
        (-8, 100, "(list u8)"),
        (0, -1, "(list u8)"),
        (1 << 31, 1 << 31, "(list u8)"),
        (0, 1 << 31, "(list u64)"),
        (2, 4, "(list u32)"),
        (4, 0, "(list f64)"),
    ],
)
async def test_lying_guest(runtime: Runtime, wat: Wat, pointer: int, length: int, type_: str) -> None:
    """A list that is not in the guest's memory, or not aligned, stops the guest, and ends a kept instance."""
    module = await runtime.load(wat(liar(pointer, length, type_)))
    assert second_forms(module) == {"get"}
    async with module.instance() as live:
        with pytest.raises(Trap, match="list pointer") as caught:
            await live.call("get")
        assert caught.value.code == "component-model"
        with pytest.raises(GuestError, match="dropped after a failure"):
            await live.call("get")


async def test_end_of_memory(runtime: Runtime, wat: Wat) -> None:
    """A list may reach to the very end of the memory, and be empty there."""
    assert len(await (await runtime.load(wat(liar(0, 131072)))).call("get")) == 131072
    assert await (await runtime.load(wat(liar(131072, 0)))).call("get") == b""


async def test_same_memory_many_times(runtime: Runtime, wat: Wat) -> None:
    """What comes out of one call is bounded, also when it is the same memory again and again."""
    text = f"""(component {MEMORY}
      (core module $m (import "m" "memory" (memory 1))
        (func (export "get") (result i32) (local $n i32)
          (loop $l
            (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 8))) (i32.const 0))
            (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 8))) (i32.const 131072))
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000))))
          (i32.store (i32.const 16) (i32.const 65536)) (i32.store (i32.const 20) (i32.const 2000)) (i32.const 16)))
      (core instance $i (instantiate $m (with "m" (instance $mem))))
      (func (export "get") (result (list (list u8))) (canon lift (core func $i "get") {WITH_MEMORY})))"""
    module = await runtime.load(wat(text))
    with pytest.raises(GuestError, match="more data in one call"):
        await module.call("get", limits=Limits(time=10))


def allocator(body: str) -> str:
    """A component whose allocator does this."""
    return f"""(component
      (core module $m (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {body})
        (func (export "go") (param i32 i32 i32 i32) (result i32) (local.get 1)))
      (core instance $i (instantiate $m))
      (func (export "go") (param "x" (list u8)) (param "y" (list u32)) (result u32)
        (canon lift (core func $i "go") {WITH_LEDGER})))"""


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("(i32.const 65535)", Trap, "realloc return: beyond end of memory"),
        ("(i32.const -1)", Trap, "realloc return: beyond end of memory"),
        ("(select (i32.const 8) (i32.const 9) (i32.eq (local.get 2) (i32.const 1)))", Trap, "result not aligned"),
        ("(unreachable)", Trap, "unreachable"),
        ("(loop $l (br $l)) (i32.const 0)", DeadlineExceeded, "longer than its limit"),
    ],
)  # fmt: skip
async def test_hostile_allocator(
    runtime: Runtime, wat: Wat, body: str, error: type[GuestError], message: str
) -> None:
    """A place that an allocator does not have, or that it never gives, stops the guest."""
    module = await runtime.load(wat(allocator(body)), limits=Limits(time=0.2))
    assert second_forms(module) == {"go"}
    with pytest.raises(error, match=message):
        await module.call("go", MANY, [1] * 100)


async def test_many_lists_leave_the_loop_free(runtime: Runtime, wat: Wat) -> None:
    """Places for very many lists are asked for under the deadline."""
    text = f"""(component
      (core module $m (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $n i32)
          (loop $l
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 30000))))
          (i32.const 8))
        (func (export "go") (param i32 i32)))
      (core instance $i (instantiate $m))
      (func (export "go") (param "x" (list (list u8))) (canon lift (core func $i "go") {WITH_LEDGER})))"""
    module = await runtime.load(wat(text))
    with pytest.raises(DeadlineExceeded):
        await module.call("go", [MANY] * 5_000, limits=Limits(time=0.05))


# --- what stays as it is ---


async def test_function_of_an_inner_component(runtime: Runtime, wat: Wat) -> None:
    """A function that a component inside lifts cannot be reached: its lists cross one by one, and are the same."""
    inner = bytes_kit().replace("(component", "(component $inner", 1)
    module = await runtime.load(
        wat(f'(component {inner} (instance $x (instantiate $inner)) (export "acme:x/y@1.0.0" (instance $x)))')
    )
    assert not second_forms(module)
    assert await module.call("go", MANY) == MANY
    assert (await module.run("go", MANY)).cost.memory == 0


async def test_reserved_names(runtime: Runtime, wat: Wat) -> None:
    """What is appended to a component is not to be seen, called, or counted."""
    wasm = wat(bytes_kit(interface=True))
    module = await runtime.load(wasm)
    assert [function.name for function in module.exports()] == ["ledger", "acme:bytes/ops@1.0.0#go"]
    assert "echelon" not in str(module.to_dict()["exports"])
    appendix = module._ready.appendix
    for name in (appendix.mark, *(form.whole for form in appendix.functions.values())):
        with pytest.raises(FunctionNotFound):
            await module.call(name)
    assert module.digest == "sha256:" + hashlib.sha256(wasm).hexdigest()


async def test_refused_appendix(runtime: Runtime, wat: Wat, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine refuses to have appended is left out; lists cross one by one then."""
    write = appendix.write

    def broken(*arguments: Any) -> appendix.Appendix:
        made = write(*arguments)
        [(begin, end, added)] = made.forms[0]
        forms = (((begin, end, added + b"\x0b\x01\xff"),), *made.forms[kept:])
        return replace(made, forms=forms)

    monkeypatch.setattr(appendix, "write", broken)
    for kept, memory in ((1, 131072), (2, 0)):
        module = await runtime.load(wat(bytes_kit().replace("4096", str(4096 + kept))))
        assert not second_forms(module)
        outcome = await module.run("go", MANY)
        assert (outcome.value, outcome.cost.memory) == (MANY, memory)


async def test_fuel(runtime: Runtime, wat: Wat) -> None:
    """Fuel is counted over all that a call of the second form runs, and does not depend on the content."""
    module = await runtime.load(wat(bytes_kit()))
    limits = Limits(fuel=100_000)
    first, second = [await module.run("go", data, limits=limits) for data in (MANY, MANY[::-1])]
    assert (first.value, second.value) == (MANY, MANY[::-1])
    assert first.cost.fuel == second.cost.fuel
    assert first.cost.fuel
