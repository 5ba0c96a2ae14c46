"""Modules as text (WAT), to be read: the sections and instructions that the builder and the compilers here write.

What is printed can be assembled again to a module that does the same. Vectors of bits (SIMD) are not written here and
cannot be shown.

Source: WebAssembly core specification 2.0, chapters 5 and 6.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from echelon.errors import BuildError
from echelon.plugin.builder.instructions import F32, F64, I32, I64, Access, Plain
from echelon.runtime import binary
from echelon.runtime.binary import FuncType, Reader

_KINDS: Final = ("func", "table", "memory", "global")
_INDEXED: Final = {
    0x0C: "br", 0x0D: "br_if", 0x10: "call", 0x20: "local.get", 0x21: "local.set", 0x22: "local.tee",
    0x23: "global.get", 0x24: "global.set", 0x25: "table.get", 0x26: "table.set", 0xD2: "ref.func",
}  # fmt: skip
_ALONE: Final = {
    0x00: "unreachable", 0x01: "nop", 0x05: "else", 0x0B: "end", 0x0F: "return", 0x1A: "drop", 0x1B: "select",
    0xD1: "ref.is_null",
}  # fmt: skip
_BLOCKS: Final = {0x02: "block", 0x03: "loop", 0x04: "if"}
_LONG: Final = {
    8: ("memory.init", "ix"), 9: ("data.drop", "i"), 10: ("memory.copy", "xx"), 11: ("memory.fill", "x"),
    12: ("table.init", "ti"), 13: ("elem.drop", "i"), 14: ("table.copy", "ii"), 15: ("table.grow", "i"),
    16: ("table.size", "i"), 17: ("table.fill", "i"),
}  # fmt: skip
"""Behind 0xFC, with their immediates: `i` an index, `x` a byte for the memory, `t` what has its table first."""

_NOT_IN_NAMES: Final = re.compile(r"[^0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]")
_PLAIN: Final = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}
_INDENT: Final = "  "
_MOST_LOCALS: Final = 50_000


@lru_cache(1)
def _instructions() -> dict[bytes, Plain | Access]:
    """Return the instructions on numbers by their opcodes."""
    return {
        item.code: item
        for group in (I32, I64, F32, F64)
        for item in vars(group).values()
        if isinstance(item, Plain | Access)
    }


def module_text(wasm: bytes) -> str:
    """Return a module as text; raises InvalidModule, and BuildError for what cannot be shown."""
    return "\n".join(_Module(wasm).lines()) + "\n"


def function_text(wasm: bytes, name: str) -> str:
    """Return one function by its name in the module; raises BuildError when there is none."""
    module = _Module(wasm)
    for index, known in enumerate(module.names):
        if known == name and index >= module.imported:
            return "\n".join(module.function(index)) + "\n"
    raise BuildError(f"the module has no function {name!r}")


class _Module:
    """A module whose sections were found, and what its functions are called."""

    def __init__(self, wasm: bytes) -> None:
        self._info = binary.parse(wasm)
        self._sections: dict[int, Reader] = {}
        self._names: dict[int, str] = {}
        reader = Reader(wasm, 8, len(wasm))
        while reader.pos < reader.end:
            number, size = reader.byte(), reader.u32()
            start = reader.pos
            reader.skip(size)
            if number:
                self._sections[number] = Reader(wasm, start, reader.pos)
        self._types = self._read_types()
        self._imports = [item for item in self._info.imports if item.kind == "func"]
        self.imported = len(self._imports)
        self._type_of = self._read_function_types()
        self._read_names(binary.custom_section(wasm, self._info, "name"))
        self.names = [self._names.get(index, "") for index in range(len(self._type_of))]
        self._ids = self._identifiers()
        self._bodies = [(reader.pos, reader.end) for reader in self._read_bodies()]
        self._data = wasm

    # What is in the sections

    def _section(self, number: int) -> Reader:
        found = self._sections.get(number) or Reader(b"", 0, 0)
        return Reader(found.data, found.pos, found.end)

    def _items(self, number: int) -> Iterator[Reader]:
        """Yield the reader of a section at each of its items."""
        reader = self._section(number)
        if reader.pos < reader.end:
            for _ in range(reader.u32()):
                yield reader

    def _read_types(self) -> list[FuncType]:
        found = []
        for reader in self._items(1):
            reader.byte()
            found.append(FuncType(reader.value_types(), reader.value_types()))
        return found

    def _read_function_types(self) -> list[int]:
        found = []
        for reader in self._items(2):
            reader.name(), reader.name()
            kind = reader.byte()
            if kind == 0:
                found.append(reader.u32())
            else:
                self._declaration(kind, reader)
        return found + [reader.u32() for reader in self._items(3)]

    def _read_names(self, content: bytes | None) -> None:
        reader = Reader(content or b"", 0, len(content or b""))
        while reader.pos < reader.end:
            number, size = reader.byte(), reader.u32()
            end = reader.pos + size
            if number == 1:
                for _ in range(reader.u32()):
                    index = reader.u32()
                    self._names[index] = reader.name()
            reader.skip(end - reader.pos)

    def _identifiers(self) -> list[str]:
        """Return what to call each function in text: its name where it is one of its own, else its number."""
        found: list[str] = []
        taken: set[str] = set()
        for index, name in enumerate(self.names):
            text = _NOT_IN_NAMES.sub("_", name)
            if not text:
                found.append(str(index))
                continue
            if text in taken:
                text = f"{text}.{index}"
            taken.add(text)
            found.append(f"${text}")
        return found

    def _read_bodies(self) -> Iterator[Reader]:
        for reader in self._items(10):
            size = reader.u32()
            start = reader.pos
            reader.skip(size)
            yield Reader(reader.data, start, reader.pos)

    def _declaration(self, kind: int, reader: Reader) -> str:
        """Return the type of a table, memory or global."""
        if kind == 1:
            item = reader.value_type()
            return f"{_bounds(reader)} {item}"
        if kind == 2:
            return _bounds(reader)
        item = reader.value_type()
        return f"(mut {item})" if reader.byte() else item

    # As text

    def lines(self) -> Iterator[str]:
        yield "(module"
        for number, shape in enumerate(self._types):
            yield f"{_INDENT}(type (;{number};) (func{_shape(shape)}))"
        yield from self._import_lines()
        for index in range(self.imported, len(self._type_of)):
            for line in self.function(index):
                yield _INDENT + line
        for number, kind in ((4, 1), (5, 2)):
            for reader in self._items(number):
                yield f"{_INDENT}({_KINDS[kind]} {self._declaration(kind, reader)})"
        for reader in self._items(6):
            declared = self._declaration(3, reader)
            yield f"{_INDENT}(global {declared} {self._constant(reader)})"
        for reader in self._items(7):
            name, kind_of, target = reader.name(), reader.byte(), reader.u32()
            shown = self._ids[target] if kind_of == 0 else str(target)
            yield f"{_INDENT}(export {_quoted(name.encode())} ({_KINDS[kind_of]} {shown}))"
        if 8 in self._sections:
            yield f"{_INDENT}(start {self._ids[self._section(8).u32()]})"
        yield from self._element_lines()
        yield from self._data_lines()
        yield ")"

    def _import_lines(self) -> Iterator[str]:
        functions = iter(range(self.imported))
        for reader in self._items(2):
            module, name, kind = reader.name(), reader.name(), reader.byte()
            if kind == 0:
                shown = self._ids[next(functions)]
                what = f"func {shown if shown[0] == '$' else ''} (type {reader.u32()})"
            else:
                what = f"{_KINDS[kind]} {self._declaration(kind, reader)}"
            yield f"{_INDENT}(import {_quoted(module.encode())} {_quoted(name.encode())} ({what}))"

    def _element_lines(self) -> Iterator[str]:
        for reader in self._items(9):
            flags = reader.u32()
            if flags not in (0, 1):
                raise BuildError("an element segment of this kind cannot be shown")
            place = f"{self._constant(reader)} " if flags == 0 else ""
            if flags == 1:
                reader.byte()
            members = "".join(f" {self._ids[reader.u32()]}" for _ in range(reader.u32()))
            yield f"{_INDENT}(elem {place}func{members})"

    def _data_lines(self) -> Iterator[str]:
        for reader in self._items(11):
            flags = reader.u32()
            if flags == 2:
                reader.u32()
            place = "" if flags == 1 else f"{self._constant(reader)} "
            size = reader.u32()
            start = reader.pos
            reader.skip(size)
            yield f"{_INDENT}(data {place}{_quoted(reader.data[start : reader.pos])})"

    def _constant(self, reader: Reader) -> str:
        """Return an expression of constants, which ends where it does."""
        parts = []
        while (line := self._instruction(reader)) != "end":
            parts.append(f"({line})")
        return " ".join(parts)

    def function(self, index: int) -> Iterator[str]:
        """Yield the lines of a function of the module."""
        kind = self._types[self._type_of[index]]
        start, end = self._bodies[index - self.imported]
        reader = Reader(self._data, start, end)
        name = f" {self._ids[index]}" if self._ids[index][0] == "$" else ""
        yield f"(func{name} (type {self._type_of[index]}){_shape(kind)}"
        counted = [(reader.u32(), reader.value_type()) for _ in range(reader.u32())]
        if sum(count for count, _ in counted) > _MOST_LOCALS:
            raise BuildError("a function has more variables than can be shown")
        if counted:
            yield f"{_INDENT}(local {' '.join(' '.join([kind] * count) for count, kind in counted if count)})"
        depth = 1
        while reader.pos < reader.end:
            line = self._instruction(reader)
            depth -= line in ("end", "else")
            if depth == 0:
                break
            yield _INDENT * depth + line
            depth += line == "else" or line.partition(" ")[0] in _BLOCKS.values()
        yield ")"

    def _instruction(self, reader: Reader) -> str:
        """Return the next instruction."""
        code = reader.byte()
        if code in _ALONE:
            return _ALONE[code]
        if code in _INDEXED:
            target = reader.u32()
            return f"{_INDEXED[code]} {self._ids[target] if code in (0x10, 0xD2) else target}"
        if code in _BLOCKS:
            return _BLOCKS[code] + self._block_type(reader)
        if code == 0x0E:
            return "br_table " + " ".join(str(reader.u32()) for _ in range(reader.u32() + 1))
        if code == 0x11:
            kind, table = reader.u32(), reader.u32()
            return f"call_indirect {f'{table} ' if table else ''}(type {kind})"
        if code == 0x1C:
            return f"select (result {' '.join(reader.value_types())})"
        if code == 0xD0:
            return f"ref.null {reader.value_type().removesuffix('ref')}"
        if code in (0x3F, 0x40):
            reader.byte()
            return "memory.size" if code == 0x3F else "memory.grow"
        if 0x41 <= code <= 0x44:
            return _number(code, reader)
        return self._of_numbers(code, reader)

    def _of_numbers(self, code: int, reader: Reader) -> str:
        opcode = bytes([code])
        if code == 0xFC:
            second = reader.u32()
            if second in _LONG:
                name, immediates = _LONG[second]
                given = [str(reader.u32() if letter != "x" else reader.byte()) for letter in immediates]
                shown = [text for text, letter in zip(given, immediates, strict=True) if letter != "x"]
                return " ".join([name, *(reversed(shown) if "t" in immediates else shown)])
            opcode += bytes([second & 0xFF])
        found = _instructions().get(opcode)
        if found is None:
            raise BuildError(f"the instruction 0x{opcode.hex()} cannot be shown")
        if isinstance(found, Plain):
            return found.name
        align, offset = 1 << (reader.u32() & 31), reader.u32()
        name = found.name + (f" offset={offset}" if offset else "")
        return name if align == found.width else f"{name} align={align}"

    def _block_type(self, reader: Reader) -> str:
        kind = _signed(reader)
        if kind >= 0:
            return f" (type {kind})"
        if kind == -64:
            return ""
        return f" (result {Reader(bytes([kind & 0x7F]), 0, 1).value_type()})"


def _shape(kind: FuncType) -> str:
    params = f" (param {' '.join(kind.params)})" if kind.params else ""
    return params + (f" (result {' '.join(kind.results)})" if kind.results else "")


def _bounds(reader: Reader) -> str:
    bounds = reader.bounds("memory or table")
    return str(bounds.minimum) if bounds.maximum is None else f"{bounds.minimum} {bounds.maximum}"


def _signed(reader: Reader) -> int:
    value = shift = 0
    while shift < 70:
        byte = reader.byte()
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value - (1 << shift) if byte & 0x40 else value
    raise BuildError("a number is longer than 64 bits")


def _number(code: int, reader: Reader) -> str:
    if code in (0x41, 0x42):
        return f"{'i32' if code == 0x41 else 'i64'}.const {_signed(reader)}"
    size, name, layout, digits = (4, "f32", "<f", 23) if code == 0x43 else (8, "f64", "<d", 52)
    start = reader.pos
    reader.skip(size)
    content = reader.data[start : reader.pos]
    (value,) = struct.unpack(layout, content)
    if not math.isnan(value):
        return f"{name}.const {value}"
    bits = int.from_bytes(content, "little")
    sign = "-" if bits >> (8 * size - 1) else ""
    return f"{name}.const {sign}nan:0x{bits & ((1 << digits) - 1):x}"


def _quoted(content: bytes) -> str:
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:02x}" for byte in content) + '"'
