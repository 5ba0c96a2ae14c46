"""Lists of numbers that a guest gives to imported functions are read where the guest has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from component_kit import LEDGER, WITH_LEDGER

from echelon.errors import Trap
from echelon.runtime.component import Err, Ok, appendix
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

Wat = Callable[[str], bytes]

ALL = bytes(range(256))
MANY = ALL * 40


def changed(module: Module) -> set[str]:
    """Return the imported functions of a component whose lists cross as memory."""
    loaded = module._ready
    accepted = loaded.appendix.imports_mark in module.component_type.reserved
    return {name for _, name in loaded.appendix.imports} if accepted else set()


def passer(type_: str, flat: int, *, start: str = "", instance: str = "", parts: str = "") -> str:
    """A component that passes what it is given on to the imported function "put"; it returns a number."""
    params = " ".join(["i32"] * flat)
    gets = " ".join(f"(local.get {n})" for n in range(flat))
    return f"""(component
      (import "acme:x/store@1.0.0" (instance $store
        {instance}
        (export "count" (func (result u32)))
        (export "put" (func (param "x" {type_}) (result u32)))))
      (alias export $store "put" (func $put))
      {LEDGER}
      (core func $put' (canon lower (func $put) {WITH_LEDGER}))
      (core module $n
        (import "l" "memory" (memory 1))
        (import "h" "put" (func $put (param {params}) (result i32)))
        {start}
        (func (export "go") (param {params}) (result i32) (call $put {gets})))
      (core instance $j (instantiate $n (with "l" (instance $i)) (with "h" (instance (export "put" (func $put'))))))
      {parts}
      (func (export "go") (param "x" {type_}) (result u32) (canon lift (core func $j "go") {WITH_LEDGER})))"""


SHAPES: dict[str, tuple[str, int, list[Any]]] = {
    "bytes": ("(list u8)", 2, [b"", b"\xff", ALL, MANY]),
    "numbers": ("(list f64)", 2, [[], [0.5, -1e300] * 99]),
    "option": ("(option (list u8))", 3, [None, b"", MANY]),
    "lists": ("(list (list u8))", 2, [[], [b""], [MANY, b"", ALL]]),
    "tuple": ("(tuple (list u8) string (list s16))", 6, [(MANY, "héllo", [-(2**15), 2**15 - 1])]),
    "pairs": ("(list (tuple string (list u8)))", 2, [[("a", MANY), ("b", b"")]]),
    "result": ("(result (list u8) (error (list u32)))", 3, [Ok(MANY), Err([0, 2**32 - 1])]),
    "map": ("(map string (list u8))", 2, [{"a": MANY, "b": b""}]),
}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("name", SHAPES)
async def test_shapes(name: str, waits: bool, runtime: Runtime, wat: Wat) -> None:
    """A list arrives as it was given in whatever it stands, at functions that wait and at those that do not."""
    type_, flat, values = SHAPES[name]
    seen = []

    def put(value: Any) -> int:
        seen.append(value)
        return len(seen)

    async def put_later(value: Any) -> int:
        return put(value)

    runtime.component_imports.add("acme:x/store@1.0.0#put", put_later if waits else put)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    module = await runtime.load(wat(passer(type_, flat)))
    assert changed(module) == {"put"}
    async with module.instance() as live:
        for count, value in enumerate(values, 1):
            assert await live.call("go", value) == count
    assert seen == values


async def test_types_are_shown_as_they_are(runtime: Runtime, wat: Wat) -> None:
    """The imports of a component are listed with the types that it was written with."""
    runtime.component_imports.add("acme:x/store@1.0.0#put", len)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    module = await runtime.load(wat(passer("(tuple (list u8) string (list s16))", 6)))
    assert [str(item.type) for item in module._ready.info.imports] == [
        "() -> (u32)",
        "(tuple<list<u8>, string, list<s16>>) -> (u32)",
    ]


START = """(data (i32.const 100) "while it starts")
  (func $s (drop (call $put (i32.const 100) (i32.const 15)))) (start $s)"""


async def test_while_it_starts(runtime: Runtime, wat: Wat) -> None:
    """A guest may give lists away while it starts, also in the very first instance."""
    seen: list[bytes] = []
    runtime.component_imports.add("acme:x/store@1.0.0#put", lambda value: seen.append(value) or 1)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    module = await runtime.load(wat(passer("(list u8)", 2, start=START)))
    assert changed(module) == {"put"}
    for number in (1, 2, 3):
        assert await module.call("go", MANY) == 1
        assert seen == [b"while it starts", MANY] * number
    async with module.instance() as live:
        assert (await live.run("go", MANY)).cost.memory >= 131072


async def test_method_of_a_host_resource(runtime: Runtime, wat: Wat) -> None:
    """A method gets its object and the list."""

    class Sink:
        data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    runtime.component_imports.add("acme:x/sinks@1.0.0#sink", Sink)
    text = f"""(component
      (import "acme:x/sinks@1.0.0" (instance $sinks
        (export "sink" (type $sink (sub resource)))
        (type $bytes (list u8))
        (export "[method]sink.write" (func (param "self" (borrow $sink)) (param "data" $bytes) (result u32)))))
      (alias export $sinks "sink" (type $sink))
      (alias export $sinks "[method]sink.write" (func $write))
      {LEDGER}
      (core func $write' (canon lower (func $write) {WITH_LEDGER}))
      (core func $drop (canon resource.drop $sink))
      (core module $n
        (import "h" "write" (func $write (param i32 i32 i32) (result i32)))
        (import "h" "drop" (func $drop (param i32)))
        (func (export "go") (param i32 i32 i32) (result i32) (local $n i32)
          (drop (call $write (local.get 0) (local.get 1) (local.get 2)))
          (local.set $n (call $write (local.get 0) (local.get 1) (i32.const 3)))
          (call $drop (local.get 0)) (local.get $n)))
      (core instance $j (instantiate $n (with "h" (instance
        (export "write" (func $write')) (export "drop" (func $drop))))))
      (func (export "go") (param "sink" (own $sink)) (param "data" (list u8)) (result u32)
        (canon lift (core func $j "go") {WITH_LEDGER})))"""
    module = await runtime.load(wat(text))
    assert changed(module) == {"[method]sink.write"}
    sink = Sink()
    assert await module.call("go", sink, MANY) == 3
    assert sink.data == MANY + MANY[:3]


@pytest.mark.parametrize(
    ("pointer", "length", "type_"),
    [
        ("131072", "1", "(list u8)"),
        ("-1", "2", "(list u8)"),
        ("0", "-1", "(list u8)"),
        ("2", "1", "(list u32)"),
        ("0", "0x40000000", "(list u64)"),
    ],
)
@pytest.mark.parametrize("starts", [False, True])
async def test_lying_guest(
    runtime: Runtime, wat: Wat, starts: bool, pointer: str, length: str, type_: str
) -> None:
    """A list that is not in the guest's memory, or not aligned, stops the guest, and the function is not called."""
    seen: list[object] = []
    runtime.component_imports.add("acme:x/store@1.0.0#put", lambda value: seen.append(value) or 1)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    lie = f"(call $put (i32.const {pointer}) (i32.const {length}))"
    text = passer(type_, 2, start=f"(func $s (drop {lie})) (start $s)" if starts else "")
    if not starts:
        text = text.replace("(call $put (local.get 0) (local.get 1))", lie)
    module = await runtime.load(wat(text))
    assert changed(module) == {"put"}
    for _ in range(2):
        with pytest.raises(Trap, match="list pointer") as caught:
            await module.call("go", [])
        assert caught.value.code == "component-model"
    assert not seen


async def test_places_of_frames(runtime: Runtime, wat: Wat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trap says where in the component's own file its functions are."""
    runtime.component_imports.add("acme:x/store@1.0.0#put", len)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    offsets = []
    for pages in (2, 3):  # two components, or the second would be there already
        wasm = wat(passer("(list u8)", 2).replace("(call $put (local.get 0) (local.get 1))", "(unreachable)"))
        wasm = wasm.replace(b"\x05\x03\x01\x00\x02", bytes([5, 3, 1, 0, pages]))
        module = await runtime.load(wasm)
        assert bool(changed(module)) is (pages == 2)
        with pytest.raises(Trap) as caught:
            await module.call("go", MANY)
        offsets.append([frame.offset for frame in caught.value.frames])
        assert all(wasm[offset] == 0 for offset in offsets[-1])  # unreachable
        monkeypatch.setattr(appendix, "write", lambda *_: appendix.Appendix())
    assert offsets[0] == offsets[1] != []


# --- what stays as it is ---

BLOB = '(type $blob\' (record (field "data" (list u8)))) (export "blob" (type $blob (eq $blob\')))'


async def test_named_type(runtime: Runtime, wat: Wat) -> None:
    """A list inside a type with a name crosses one by one."""
    seen = []
    runtime.component_imports.add("acme:x/store@1.0.0#put", lambda value: seen.append(value) or 1)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    text = passer("$blob", 2, instance=BLOB).replace(
        LEDGER, f'(alias export $store "blob" (type $blob)) {LEDGER}'
    )
    module = await runtime.load(wat(text))
    assert not changed(module)
    assert await module.call("go", {"data": MANY}) == 1
    assert seen == [{"data": MANY}]


OTHER_MEMORY = """
  (core module $other (memory (export "memory") 1) (data (i32.const 0) "other"))
  (core instance $o (instantiate $other))
  (core func $put'' (canon lower (func $put) (memory (core memory $o "memory"))))
  (core module $k (import "h" "put" (func $put (param i32 i32) (result i32)))
    (func (export "other") (result i32) (call $put (i32.const 0) (i32.const 5))))
  (core instance $k (instantiate $k (with "h" (instance (export "put" (func $put''))))))
  (func (export "other") (result u32) (canon lift (core func $k "other")))"""

PASSED_ON = """
  (component $inner (import "put" (func $put (param "x" (list u8)) (result u32))) (export "again" (func $put)))
  (instance $inner (instantiate $inner (with "put" (func $put))))"""

INSTANCE_PASSED_ON = """
  (component $inner (import "s" (instance (export "put" (func (param "x" (list u8)) (result u32))))))
  (instance $inner (instantiate $inner (with "s" (instance $store))))"""

MAKES_SOME = """
  (component $maker (core module $x) (core instance (instantiate $x)))
  (instance (instantiate $maker))"""

LOWERS_ITS_OWN = f"""
  (func $own (param "x" (list u8)) (result u32) (canon lift (core func $j "go") {WITH_LEDGER}))
  (core func $own' (canon lower (func $own) {WITH_LEDGER}))
  (core module $k (import "h" "own" (func (param i32 i32) (result i32))))
  (core instance (instantiate $k (with "h" (instance (export "own" (func $own'))))))"""


@pytest.mark.parametrize("parts", [OTHER_MEMORY, PASSED_ON, INSTANCE_PASSED_ON, MAKES_SOME, LOWERS_ITS_OWN])
async def test_other_uses(parts: str, runtime: Runtime, wat: Wat) -> None:
    """A function that is used with two memories, or by another component, is left as it is, and works."""
    seen = []
    runtime.component_imports.add("acme:x/store@1.0.0#put", lambda value: seen.append(value) or len(value))
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    module = await runtime.load(wat(passer("(list u8)", 2, parts=parts)))
    assert not changed(module)
    assert await module.call("go", MANY) == len(MANY)
    if parts is OTHER_MEMORY:
        assert await module.call("other") == 5
        assert seen == [MANY, b"other"]


async def test_shared_type(runtime: Runtime, wat: Wat) -> None:
    """Two instances that are imported with one type are left as they are."""
    text = f"""(component
      (type $store (instance (export "put" (func (param "x" (list u8)) (result u32)))))
      (import "acme:x/one@1.0.0" (instance $one (type $store)))
      (import "acme:x/two@1.0.0" (instance $two (type $store)))
      (alias export $one "put" (func $put))
      {LEDGER}
      (core func $put' (canon lower (func $put) {WITH_LEDGER}))
      (core module $n (import "h" "put" (func $put (param i32 i32) (result i32)))
        (func (export "go") (param i32 i32) (result i32) (call $put (local.get 0) (local.get 1))))
      (core instance $j (instantiate $n (with "h" (instance (export "put" (func $put'))))))
      (func (export "go") (param "x" (list u8)) (result u32) (canon lift (core func $j "go") {WITH_LEDGER})))"""
    runtime.component_imports.add("acme:x/one@1.0.0#put", len)
    runtime.component_imports.add("acme:x/two@1.0.0#put", len)
    module = await runtime.load(wat(text))
    assert not changed(module)
    assert await module.call("go", MANY) == len(MANY)


async def test_function_at_the_top_level(runtime: Runtime, wat: Wat) -> None:
    """A function that is imported by itself is left as it is."""
    text = f"""(component
      (import "put" (func $put (param "x" (list u8)) (result u32)))
      {LEDGER}
      (core func $put' (canon lower (func $put) {WITH_LEDGER}))
      (core module $n (import "h" "put" (func $put (param i32 i32) (result i32)))
        (func (export "go") (param i32 i32) (result i32) (call $put (local.get 0) (local.get 1))))
      (core instance $j (instantiate $n (with "h" (instance (export "put" (func $put'))))))
      (func (export "go") (param "x" (list u8)) (result u32) (canon lift (core func $j "go") {WITH_LEDGER})))"""
    runtime.component_imports.add("put", len)
    module = await runtime.load(wat(text))
    assert not changed(module)
    assert await module.call("go", MANY) == len(MANY)


async def test_several_changes(runtime: Runtime, wat: Wat) -> None:
    """Several instances of one section of types, and several functions of an instance, are changed at once."""
    kinds = '(export "a" (func (param "x" (list u8)) (param "y" (list u16)) (result (list u8))))'
    plain = '(export "b" (func (param "x" string)))'
    text = f"""(component
      (type $one (instance {kinds} {plain} (export "c" (func (param "x" (option (list u8)))))))
      (type $two (instance {plain} {kinds}))
      (import "acme:x/one@1.0.0" (instance $one (type $one)))
      (import "acme:x/two@1.0.0" (instance $two (type $two)))
      (alias export $one "a" (func $a)) (alias export $two "a" (func $b)) (alias export $one "c" (func $c))
      {LEDGER}
      (core func $a' (canon lower (func $a) {WITH_LEDGER}))
      (core func $b' (canon lower (func $b) {WITH_LEDGER}))
      (core func $c' (canon lower (func $c) {WITH_LEDGER}))
      (core module $n (import "l" "memory" (memory 1))
        (import "h" "a" (func $a (param i32 i32 i32 i32 i32))) (import "h" "b" (func $b (param i32 i32 i32 i32 i32)))
        (import "h" "c" (func $c (param i32 i32 i32)))
        (func (export "go") (param i32 i32) (result i32)
          (call $a (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 64))
          (call $b (i32.load (i32.const 64)) (i32.load (i32.const 68)) (i32.const 0) (i32.const 2) (i32.const 64))
          (call $c (i32.const 1) (i32.load (i32.const 64)) (i32.load (i32.const 68)))
          (i32.const 64)))
      (core instance $j (instantiate $n (with "l" (instance $i)) (with "h" (instance
        (export "a" (func $a')) (export "b" (func $b')) (export "c" (func $c'))))))
      (func (export "go") (param "x" (list u8)) (result (list u8)) (canon lift (core func $j "go") {WITH_LEDGER})))"""
    seen: list[object] = []
    for name in ("one", "two"):
        runtime.component_imports.add(
            f"acme:x/{name}@1.0.0#a", lambda x, y, name=name: seen.append(y) or x + name.encode()
        )
        runtime.component_imports.add(f"acme:x/{name}@1.0.0#b", print)
    runtime.component_imports.add("acme:x/one@1.0.0#c", seen.append)
    module = await runtime.load(wat(text))
    assert module._ready.appendix.imports.keys() == {
        ("acme:x/one@1.0.0", "a"), ("acme:x/two@1.0.0", "a"), ("acme:x/one@1.0.0", "c"),
    }  # fmt: skip
    assert changed(module)
    assert await module.call("go", MANY) == MANY + b"onetwo"
    assert seen == [[], [0, 0], MANY + b"onetwo"]


async def test_bound(runtime: Runtime, wat: Wat) -> None:
    """What a guest gives away in one call is bounded, also when it is the same memory again and again."""
    runtime.component_imports.add("acme:x/store@1.0.0#put", len)
    runtime.component_imports.add("acme:x/store@1.0.0#count", lambda: 0)
    body = """(local $n i32)
      (loop $l
        (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 8))) (i32.const 0))
        (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 8))) (i32.const 131072))
        (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000))))
      (call $put (i32.const 65536) (i32.const 2000))"""
    text = passer("(list (list u8))", 2).replace("(call $put (local.get 0) (local.get 1))", body)
    module = await runtime.load(wat(text), limits=Limits(time=10))
    with pytest.raises(Exception, match="more data in one call"):
        await module.call("go", [])
