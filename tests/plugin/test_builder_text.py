"""Modules as text: what is printed can be assembled again, to the same bytes or to what runs the same."""

from __future__ import annotations

import pytest

from echelon import Runtime
from echelon.errors import BuildError, InvalidModule
from echelon.plugin.builder import ModuleBuilder
from echelon.plugin.builder.instructions import F32, F64, I32, I64, Access, Group, Plain
from echelon.plugin.builder.text import function_text, module_text
from echelon.plugin.compilers.python.compiler import translate
from echelon.runtime import binary, native, signature

EVERYTHING = r"""(module
  (type (func (param i32) (result i32)))
  (import "echelon" "log" (func (param i32 i32 i32)))
  (table 3 8 funcref)
  (table 1 externref)
  (memory 1 3)
  (global (mut i32) (i32.const -7))
  (global f64 (f64.const 1.5))
  (export "f" (func 1))
  (export "memory" (memory 0))
  (start 2)
  (elem (i32.const 1) func 1 2)
  (elem func 1)
  (data (i32.const 8) "a\"\\\00\ff")
  (data "passive")
  (func (param i32) (result i32) (local i64 i64 f32 f64 v128)
    block (result i32)
      local.get 0
      if (result i32)
        i32.const 1
      else
        i32.const -2147483648
      end
      br_if 0 (i32.const 0)
      loop (param i32) (result i32)
        br 0
      end
    end
    block block block (br_table 0 1 2 (local.get 0)) end end end
    i64.const -9223372036854775808 drop
    f32.const 0x1.fffffep+127 drop f32.const -0 drop f32.const nan:0x200001 drop f32.const -inf drop
    f64.const 0x1.999999999999ap-4 drop f64.const 5e-324 drop f64.const -nan drop f64.const inf drop
    (call_indirect (type 0) (i32.const 1) (i32.const 0)) drop
    (select (i32.const 1) (i32.const 2) (i32.const 0)) drop
    (select (result i64) (i64.const 1) (i64.const 2) (i32.const 0)) drop
    (ref.is_null (ref.null func)) drop (ref.func 1) drop (ref.null extern) drop
    (global.set 0 (i32.add (global.get 0) (i32.const 1)))
    (i32.store8 offset=3 (i32.const 0) (i32.load16_u offset=65536 align=1 (i32.const 0)))
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))
    (memory.init 1 (i32.const 0) (i32.const 1) (i32.const 2)) data.drop 1
    (table.init 0 1 (i32.const 0) (i32.const 0) (i32.const 0)) elem.drop 1
    (table.set 0 (i32.const 0) (table.get 0 (i32.const 1)))
    (drop (memory.grow (memory.size))) (drop (table.size 1)) nop
    i64.trunc_sat_f64_u
    unreachable)
  (func return))"""


def bytes_again(wasm: bytes) -> bytes:
    return native.load().wat2wasm(module_text(wasm))


def test_every_section_and_instruction_of_the_text() -> None:
    """A module with something of everything is assembled to the same bytes again."""
    text = EVERYTHING.replace("    i64.trunc_sat_f64_u\n", "    (drop (i64.trunc_sat_f64_u (f64.const 1)))\n")
    text = text.replace("    unreachable)", "    i32.const 1 unreachable)")
    wasm = native.load().wat2wasm(text)
    assert bytes_again(wasm) == wasm
    assert "(local i64 i64 f32 f64 v128)" in module_text(wasm)


def instructions() -> list[tuple[type[Group], str]]:
    found = []
    for group in (I32, I64, F32, F64):
        found += [(group, name) for name, item in vars(group).items() if isinstance(item, Plain | Access)]
    return found


def test_every_instruction_of_the_builder() -> None:
    """What the builder can write can be shown, and is the same bytes when it is assembled."""
    module = ModuleBuilder()
    module.memory(1)
    for group, name in instructions():
        item = vars(group)[name]
        with module.function(params=item.params, results=item.results, export=f"{group.prefix}.{name}") as f:
            for position in range(len(item.params)):
                f.local_get(position)
            write = getattr(getattr(f, group.prefix), name)
            if isinstance(item, Access):
                write(offset=12, align=1)
            else:
                write()
    wasm = module.build()
    text = module_text(wasm)
    assert len(instructions()) > 150
    for group, name in instructions():
        assert f"    {group.prefix}.{name.rstrip('_')}" in text
    assert code_of(native.load().wat2wasm(text)) == code_of(wasm)


def code_of(wasm: bytes) -> bytes:
    """Return the section of code."""
    at = 8
    while True:
        reader = binary.Reader(wasm, at, len(wasm))
        number, size = reader.byte(), reader.u32()
        if number == 10:
            return wasm[reader.pos : reader.pos + size]
        at = reader.pos + size


PYTHON = """
from dataclasses import dataclass

@dataclass
class Word:
    text: str
    count: int

def words(text: str) -> list[str]:
    found: dict[str, Word] = {}
    for part in text.split():
        if part in found:
            found[part].count += 1
        else:
            found[part] = Word(part, 1)
    ordered = sorted(found.values(), key=lambda word: -word.count)
    return [f"{word.text} {word.count} {word.count / len(found):.3f}" for word in ordered]

def fib(n: int) -> int:
    if n < 0:
        raise ValueError(f"no {n}")
    return n if n < 2 else fib(n - 1) + fib(n - 2)
"""


async def test_compiled_programs_run_the_same() -> None:
    """What typed Python becomes is text that assembles to a module with the same results."""
    made = translate(PYTHON, "words.py")
    assert made.wasm is not None
    assert made.signature is not None
    again = bytes_again(made.wasm)
    assert module_text(again) == module_text(made.wasm)
    section = signature.encode(made.signature)
    async with Runtime() as wasm:
        for data in (made.wasm, again):
            module = await wasm.load(binary.add_custom_section(data, signature.SECTION, section))
            assert await module.words("b a ü a 🦊 a b") == [
                "a 3 0.750",
                "b 2 0.500",
                "ü 1 0.250",
                "🦊 1 0.250",
            ]
            assert await module.fib(20) == 6765


def test_one_function() -> None:
    """A function is found by its name, with those that it calls by theirs."""
    made = translate(PYTHON, "words.py")
    text = made.text_of("fib")
    assert text.startswith("(func $fib (type ")
    assert "(param i64) (result i64)" in text.splitlines()[0]
    assert text.count("call $fib") == 2
    assert text.endswith("\n)\n")
    assert made.wasm is not None
    with pytest.raises(BuildError, match="no function 'fob'"):
        function_text(made.wasm, "fob")
    assert translate("def f(: int", "f.py").text_of("f") == ""


def test_what_cannot_be_shown() -> None:
    """An instruction of another kind, and bytes that are no module, are errors."""
    simd = native.load().wat2wasm("(module (func (drop (v128.const i64x2 1 2))))")
    with pytest.raises(BuildError, match="the instruction 0xfd cannot be shown"):
        module_text(simd)
    for cut in range(8, len(simd)):
        with pytest.raises((BuildError, InvalidModule)):
            module_text(simd[:cut] + b"\xff")
