"""The module parser: what it reads, and what it refuses before the engine sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.errors import InvalidModule
from echelon.runtime import binary
from echelon.runtime.binary import MAGIC, Bounds, FuncType

Wat = Callable[[str], bytes]


def leb(value: int) -> bytes:
    return binary.leb(value)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def test_reads_declarations(wat: Wat) -> None:
    """Types, imports, exports, memory, tables and the start function are read."""
    info = binary.parse(
        wat(
            """(module
              (import "env" "f" (func $f (param i32 i64) (result f32)))
              (import "env" "g" (global i32))
              (memory (export "memory") 2 7)
              (table (export "t") 3 funcref)
              (func $s)
              (func (export "v") (param v128) (result v128) local.get 0)
              (start $s))"""
        )
    )
    assert [(i.module, i.name, i.kind) for i in info.imports] == [
        ("env", "f", "func"),
        ("env", "g", "global"),
    ]
    assert info.imports[0].type == FuncType(("i32", "i64"), ("f32",))
    assert info.memories == [Bounds(2, 7)]
    assert info.tables == [Bounds(3, None)]
    assert info.start == 1
    assert info.exported_functions == {"v": FuncType(("v128",), ("v128",))}
    assert info.exported_memory() == "memory"


def test_custom_section_round_trip(wat: Wat) -> None:
    """A section that is added is found again, and the module stays valid."""
    wasm = binary.add_custom_section(wat("(module)"), "echelon:test", b"hello")
    info = binary.parse(wasm)
    assert binary.custom_section(wasm, info, "echelon:test") == b"hello"
    assert binary.custom_section(wasm, info, "other") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin"),
        (b"(module)", "WebAssembly text"),
        (b"\x7fELF....", "does not begin"),
        (b"\0asm\x02\0\0\0", "binary version 2"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (MAGIC + b"\x01", "ends in the middle"),
        (MAGIC + b"\x01\x05\x01", "longer than its section"),
        (MAGIC + b"\x63\x00", "section 99"),
        (MAGIC + section(3, b"\0") + section(1, b"\0"), "out of order"),
        (MAGIC + section(1, b"\0") + section(1, b"\0"), "out of order"),
        (MAGIC + section(1, b"\x01\x5f\x00"), "not a function type"),
        (MAGIC + section(1, b"\x01\x60\x01\x64\x00"), "not enabled"),
        (MAGIC + section(1, b"\xff\xff\xff\xff\x7f"), "longer than 32 bits"),
        (MAGIC + section(1, leb(1_000_000)), "1000000 types"),
        (MAGIC + section(3, leb(100_000)), "100000 functions"),
        (MAGIC + section(2, leb(5_000)), "5000 imports"),
        (MAGIC + section(7, leb(50_000)), "50000 exports"),
        (MAGIC + section(7, b"\x01" + leb(5_000) + b"a" * 5_000 + b"\0\0"), "has 5000 bytes"),
        (MAGIC + section(7, b"\x01\x01\xff\0\0"), "not UTF-8"),
        (MAGIC + section(7, b"\x02\x01a\0\0\x01a\0\0"), 'two exports have the name "a"'),
        (MAGIC + section(7, b"\x01\x01a\0\x05"), "names function 5"),
        (MAGIC + section(5, b"\x01\x03\x01\x01"), "shared, 64-bit"),
        (MAGIC + section(5, b"\x02\x00\x01\x00\x01"), "2 memories"),
        (MAGIC + section(3, b"\x01\x09"), "has type 9"),
        (MAGIC + section(10, b"\x01" + leb(9 << 20)), "has 9437184 bytes"),
        (MAGIC + section(9, b"\x01" + b"\0" * 2_000_000), "element section"),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    """What is malformed, too large, or of a proposal that is not enabled is refused with its reason."""
    with pytest.raises(InvalidModule, match=message):
        binary.parse(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input makes the parser fail in any other way."""
    with contextlib.suppress(InvalidModule):
        binary.parse(MAGIC + data)


def test_grows_memory_reads_instructions_not_bytes(wat: Wat) -> None:
    """Only a real `memory.grow` counts: a block type 0x40 before `unreachable` has the same bytes."""
    wasm = wat(
        """(module (memory 1)
          (func (result i32) (block unreachable) (drop (i64.const 0x40)) (memory.grow (i32.const 1)))
          (func (block unreachable) (drop (v128.const i32x4 0x40 0x40 0x40 0x40))
                (br_table 0 0 (i32.const 64))))"""
    )
    info = binary.parse(wasm)
    answers = [
        binary.grows_memory(wasm, info, offset) for offset in range(info.bodies[0][0], info.bodies[-1][1])
    ]
    assert True in answers
    assert answers.index(False, answers.index(True)) > 0  # the second function does not grow
    assert not answers[-1]


def test_edits() -> None:
    """Bytes are put where they belong, and what is behind them is found where it was."""
    data = bytes(range(10))
    edits = [(6, 8, b"\xfe"), (2, 2, b"\xff\xff"), (10, 10, b"\xfd")]
    changed = binary.edited(data, edits)
    assert changed == b"\0\1\xff\xff\2\3\4\5\xfe\x08\x09\xfd"
    for place, byte in enumerate(changed):
        if byte < 10:
            assert binary.place_before(edits, place) == byte
