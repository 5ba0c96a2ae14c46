"""Bytes that claim to be components: whatever they are, loading them ends in a LoadError or in a component."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from component_kit import MEMORY, WITH_MEMORY, echo, named

from echelon.errors import InvalidModule, LoadError
from echelon.runtime.binary import COMPONENT_MAGIC, leb
from echelon.runtime.component import layout
from echelon.runtime.core import Runtime

Wat = Callable[[str], bytes]

SAMPLE = echo("$r", "i32 i32 i32", types=named("r", '(record (field "a" string) (field "b" u8))'))


def test_outline(wat: Wat) -> None:
    """The memories of all instances are counted, also of nested components."""
    inner = "(component $c (core module $m (memory 3)) (core instance (instantiate $m)))"
    info = layout.read(wat(f"(component {inner} (instance (instantiate $c)) (instance (instantiate $c)))"), 4)
    assert len(info.memories) == 2
    assert info.memories[0].minimum == 3


def test_unused_module(wat: Wat) -> None:
    """A module that is never instantiated makes no memory."""
    assert not layout.read(wat("(component (core module $m (memory 3)))"), 4).memories


def test_unknown_module(wat: Wat) -> None:
    """A module that comes from elsewhere may make as many memories as there may be."""
    text = '(component (import "m" (core module $m)) (core instance (instantiate $m)))'
    assert len(layout.read(wat(text), 4).memories) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (COMPONENT_MAGIC + b"\x01\xff\xff\xff\xff\x0f", "longer than its section"),
        (COMPONENT_MAGIC + b"\x01\x04\0asm", "the module"),
        (COMPONENT_MAGIC + b"\x04\x08\0asm\x0e\0\x01\0", "known version"),
        (COMPONENT_MAGIC + b"\x02\x05\xff\xff\xff\xff\x0f", "sections and entries in them"),
        (COMPONENT_MAGIC + b"\x00\x02\x01a" * 200_000, "sections and entries in them"),
    ],
)
def test_broken_outline(data: bytes, message: str) -> None:
    """What is broken or too much is named."""
    with pytest.raises(InvalidModule, match=message):
        layout.read(data, 4)


def nested(depth: int) -> bytes:
    data = COMPONENT_MAGIC
    for _ in range(depth):
        size, length = len(data), bytearray()
        while True:
            size, low = size >> 7, size & 0x7F
            length.append(low | (0x80 if size else 0))
            if not size:
                break
        data = COMPONENT_MAGIC + b"\x04" + bytes(length) + data
    return data


def test_many_sections() -> None:
    """Sections are counted on every level, whatever they hold: millions fit into a file."""
    inner = COMPONENT_MAGIC + b"\x00\x01\x00" * 60_000
    one = b"\x04" + leb(len(inner)) + inner
    layout.read(COMPONENT_MAGIC + one, 4)
    with pytest.raises(InvalidModule, match="sections and entries"):
        layout.read(COMPONENT_MAGIC + one + one, 4)


def test_deep_nesting() -> None:
    """Components are nested to a bounded depth."""
    layout.read(nested(10), 4)
    with pytest.raises(InvalidModule, match="nested more than 16 levels"):
        layout.read(nested(40), 4)


def test_many_parts() -> None:
    """A component has a bounded number of modules and components inside."""
    part = b"\x01\x08\0asm\x01\0\0\0"
    layout.read(COMPONENT_MAGIC + part * 500, 4)
    with pytest.raises(InvalidModule, match="more than 500 modules"):
        layout.read(COMPONENT_MAGIC + part * 501, 4)


async def test_changed_bytes(runtime: Runtime, wat: Wat) -> None:
    """A component with a few bytes changed is refused, or is one; the process goes on."""
    runtime.component_imports.add("back", lambda value: value)
    sample, draw, loaded = wat(SAMPLE), random.Random(11), 0
    for _ in range(150):
        data = bytearray(sample)
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(8, len(data))] = draw.randrange(256)
        try:
            module = await runtime.load(bytes(data))
        except LoadError:
            continue
        module.close()
        loaded += 1
    assert loaded < 150
    module = await runtime.load(sample)
    assert await module.call("echo", {"a": "x", "b": 1}) == {"a": "x", "b": 1}


async def test_nothing_runs_while_loading(runtime: Runtime, wat: Wat) -> None:
    """A start function that traps runs with the first instance, not before."""
    text = f"""(component {MEMORY}
      (core module $m (func $s (unreachable)) (start $s) (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f") {WITH_MEMORY})))"""
    module = await runtime.load(wat(text))
    with pytest.raises(Exception, match="unreachable"):
        await module.call("f")


COMPOSED = """(component
  (component $A
    (core module $m (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
      (func (export "len") (param i32 i32) (result i32) local.get 1))
    (core instance $i (instantiate $m))
    (func (export "len") (param "s" string) (result u32)
      (canon lift (core func $i "len") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $B
    (import "len" (func $len (param "s" string) (result u32)))
    (core module $memory (memory (export "mem") 1) (data (i32.const 0) "hello"))
    (core instance $own (instantiate $memory))
    (core func $lowered (canon lower (func $len) (memory (core memory $own "mem"))))
    (core module $m (import "" "len" (func $len (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call $len (i32.const 0) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "len" (func $lowered))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "len" (func $a "len"))))
  (export "run" (func $b "run")))"""


async def test_a_component_made_of_components() -> None:
    """Text goes from one component's memory to another's by an adapter that the engine makes."""
    async with Runtime() as wasm:
        module = await wasm.load(COMPOSED, language="wat")
        assert await module.call("run") == 5
