"""Read the sections of a WebAssembly module, before the engine sees it.

The engine's C API aborts the process when it is asked for the kind of some types, and its compiler can be made to run
for minutes by a small file. So a module is read here first: what it imports and exports, with which types, and how
much of everything it holds, against fixed limits. Function bodies are only counted; the engine validates them.

Source: WebAssembly core specification 2.0, chapter 5 (binary format).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from echelon.errors import InvalidModule
from echelon.runtime import elements

if TYPE_CHECKING:
    from echelon.runtime.lines import Source

MAGIC: Final = b"\0asm\x01\0\0\0"
COMPONENT_MAGIC: Final = b"\0asm\x0d\0\x01\0"

MAX_MODULE: Final = 64 << 20
MAX_TYPES: Final = 20_000
MAX_IMPORTS: Final = 1_000
MAX_EXPORTS: Final = 10_000
MAX_FUNCTIONS: Final = 60_000
MAX_GLOBALS: Final = 10_000
MAX_TABLES: Final = 16
MAX_TABLE_ELEMENTS: Final = 1_000_000
MAX_ELEMENTS: Final = 500_000
MAX_DATA_SEGMENTS: Final = 50_000
MAX_CUSTOM: Final = 1_000
MAX_NAME: Final = 4_096
MAX_PARAMS: Final = 256
MAX_TYPE_VALUES: Final = 200_000
"""Parameters and results of all types together."""
MAX_BODY: Final = 8 << 20

_TYPES: Final = {
    0x7F: "i32",
    0x7E: "i64",
    0x7D: "f32",
    0x7C: "f64",
    0x7B: "v128",
    0x70: "funcref",
    0x6F: "externref",
}
_EXTERNAL: Final = ("func", "table", "memory", "global")
_SECTIONS: Final = {
    1: "type", 2: "import", 3: "function", 4: "table", 5: "memory", 6: "global", 7: "export", 8: "start",
    9: "element", 10: "code", 11: "data", 12: "data count",
}  # fmt: skip
_EXPORT: Final = 7
_ORDER: Final = {section: place for place, section in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11))}


@dataclass(frozen=True, slots=True)
class FuncType:
    """The core types a function takes and returns."""

    params: tuple[str, ...]
    results: tuple[str, ...]

    def __str__(self) -> str:
        return f"({', '.join(self.params)}) -> ({', '.join(self.results)})"


@dataclass(frozen=True, slots=True)
class Import:
    """One import; `type` is set for functions only."""

    module: str
    name: str
    kind: str
    type: FuncType | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The size a memory (in pages) or table (in elements) starts with, and may grow to."""

    minimum: int
    maximum: int | None


@dataclass
class ModuleInfo:
    """What a module declares."""

    size: int
    types: list[FuncType] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    exports: dict[str, tuple[str, int]] = field(default_factory=dict)
    memories: list[Bounds] = field(default_factory=list)
    tables: list[Bounds] = field(default_factory=list)
    start: int | None = None
    elements: int = 0
    custom: dict[str, tuple[int, int]] = field(default_factory=dict)
    custom_sections: int = 0
    bodies: list[tuple[int, int]] = field(default_factory=list)
    growing: dict[int, bool] = field(default_factory=dict)
    """What is known of functions that trapped: whether they grow the memory, by their place in `bodies`."""
    cores: list[tuple[int, int]] = field(default_factory=list)
    """Of a component: where its core modules begin and end."""
    names: dict[bytes, str] = field(default_factory=dict)
    """Names of functions that were in a trap's stack, made readable."""
    source: Source | None = None
    """What is known of places in the source, after a trap."""

    @cached_property
    def imported_functions(self) -> list[Import]:
        return [item for item in self.imports if item.kind == "func"]

    def function_type(self, index: int) -> FuncType:
        """Return the type of a function by its index (imports first)."""
        imported = self.imported_functions
        if index < len(imported):
            found = imported[index].type
            if found is not None:
                return found
        return self.types[self.functions[index - len(imported)]]

    @cached_property
    def exported_functions(self) -> dict[str, FuncType]:
        return {
            name: self.function_type(index) for name, (kind, index) in self.exports.items() if kind == "func"
        }

    def function_name(self, index: int) -> str:
        """Return the name a function is exported under, or its index where it is not exported."""
        exported = (name for name, item in self.exports.items() if item == ("func", index))
        return next(exported, f"function {index}")

    def exported_memory(self) -> str | None:
        """Return the name under which the module exports its memory."""
        return next((name for name, (kind, _) in self.exports.items() if kind == "memory"), None)


class Reader:
    """A cursor over the module's bytes that never reads past its end."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end = data, pos, end

    def byte(self) -> int:
        if self.pos >= self.end:
            raise InvalidModule(f"the module ends in the middle of something, at byte {self.pos}")
        value = self.data[self.pos]
        self.pos += 1
        return value

    def u32(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift == 28:
                byte = self.byte()
                if byte > 0x0F:
                    raise InvalidModule(f"a number at byte {self.pos} is longer than 32 bits")
                return value | byte << 28
        return value

    def skip(self, count: int) -> None:
        if count > self.end - self.pos:
            raise InvalidModule(f"something at byte {self.pos} is longer than its section")
        self.pos += count

    def name(self) -> str:
        size = self.u32()
        if size > MAX_NAME:
            raise InvalidModule(
                f"a name at byte {self.pos} has {size} bytes, at most {MAX_NAME} are accepted"
            )
        start = self.pos
        self.skip(size)
        try:
            return self.data[start : self.pos].decode()
        except UnicodeDecodeError as exc:
            raise InvalidModule(f"a name at byte {start} is not UTF-8") from exc

    def count(self, what: str, limit: int) -> int:
        count = self.u32()
        if count > limit:
            raise InvalidModule(f"the module has {count} {what}, at most {limit} are accepted")
        return count

    def value_type(self) -> str:
        code = self.byte()
        name = _TYPES.get(code)
        if name is None:
            raise InvalidModule(
                f"a type at byte {self.pos - 1} (0x{code:02x}) belongs to a proposal that is not enabled here"
                " (garbage collection, exceptions or typed function references)"
            )
        return name

    def value_types(self) -> tuple[str, ...]:
        return tuple(self.value_type() for _ in range(self.count("parameters or results", MAX_PARAMS)))

    def bounds(self, what: str) -> Bounds:
        flags = self.byte()
        if flags & ~1:
            raise InvalidModule(f"a shared, 64-bit or custom-page {what} is not accepted")
        minimum = self.u32()
        return Bounds(minimum, self.u32() if flags & 1 else None)


def parse(data: bytes) -> ModuleInfo:
    """Read a module's declarations; raises InvalidModule with the place and the reason."""
    if data[:8] != MAGIC:
        raise InvalidModule(_not_a_module(data))
    if len(data) > MAX_MODULE:
        raise InvalidModule(f"the module has {len(data)} bytes, at most {MAX_MODULE} are accepted")
    info = ModuleInfo(size=len(data))
    cursor, place = Reader(data, 8, len(data)), -1
    while cursor.pos < cursor.end:
        section, size = cursor.byte(), cursor.u32()
        start = cursor.pos
        cursor.skip(size)
        reader = Reader(data, start, cursor.pos)
        if section == 0:
            _custom(info, reader)
            continue
        if section not in _ORDER:
            raise InvalidModule(f"section {section} at byte {start} is unknown or not enabled here")
        if _ORDER[section] <= place:
            raise InvalidModule(f"the {_SECTIONS[section]} section at byte {start} is out of order")
        place = _ORDER[section]
        parse_section = _PARSERS.get(section)
        if parse_section is not None:
            parse_section(info, reader)
    _check(info)
    return info


def _not_a_module(data: bytes) -> str:
    if data[:8] == COMPONENT_MAGIC:
        return "this is a component, not a module"
    if data[:4] == b"\0asm":
        return f"the module has binary version {int.from_bytes(data[4:8], 'little')}, version 1 is accepted"
    if data.lstrip()[:1] == b"(":
        return "this is WebAssembly text, not a binary: load it as .wat, or build it first"
    return "this is not a WebAssembly module: it does not begin with \\0asm"


def _check(info: ModuleInfo) -> None:
    elements = sum(table.minimum for table in info.tables)
    if elements > MAX_TABLE_ELEMENTS:
        raise InvalidModule(
            f"the tables begin with {elements} elements together, at most {MAX_TABLE_ELEMENTS} are accepted"
        )
    if len(info.memories) > 1:
        raise InvalidModule(f"the module has {len(info.memories)} memories, one is accepted")
    total = len(info.imported_functions) + len(info.functions)
    for name, (kind, index) in info.exports.items():
        if kind == "func" and index >= total:
            raise InvalidModule(f'the export "{name}" names function {index}, the module has {total}')
    for index in info.functions:
        if index >= len(info.types):
            raise InvalidModule(f"a function has type {index}, the module has {len(info.types)} types")


def _custom(info: ModuleInfo, reader: Reader) -> None:
    name = reader.name()
    info.custom_sections += 1
    if info.custom_sections > MAX_CUSTOM:
        raise InvalidModule(f"the module has more than {MAX_CUSTOM} custom sections")
    info.custom.setdefault(name, (reader.pos, reader.end))


def _type_section(info: ModuleInfo, reader: Reader) -> None:
    values = 0
    for _ in range(reader.count("types", MAX_TYPES)):
        form = reader.byte()
        if form != 0x60:
            raise InvalidModule(
                f"type {len(info.types)} is not a function type (garbage collection is not enabled)"
            )
        info.types.append(FuncType(reader.value_types(), reader.value_types()))
        values += len(info.types[-1].params) + len(info.types[-1].results)
        if values > MAX_TYPE_VALUES:
            raise InvalidModule(
                f"the types have more than {MAX_TYPE_VALUES} parameters and results together, no more are accepted"
            )


def _import_section(info: ModuleInfo, reader: Reader) -> None:
    for _ in range(reader.count("imports", MAX_IMPORTS)):
        module, name, code = reader.name(), reader.name(), reader.byte()
        if code >= len(_EXTERNAL):
            raise InvalidModule(f'the import "{module}.{name}" has the unknown kind {code}')
        kind = _EXTERNAL[code]
        functype = None
        if kind == "func":
            index = reader.u32()
            if index >= len(info.types):
                raise InvalidModule(f'the import "{module}.{name}" has type {index}, which does not exist')
            functype = info.types[index]
        elif kind == "table":
            reader.value_type()
            info.tables.append(reader.bounds("table"))
        elif kind == "memory":
            info.memories.append(reader.bounds("memory"))
        else:
            reader.value_type()
            reader.byte()
        info.imports.append(Import(module, name, kind, functype))


def _function_section(info: ModuleInfo, reader: Reader) -> None:
    info.functions = [reader.u32() for _ in range(reader.count("functions", MAX_FUNCTIONS))]


def _table_section(info: ModuleInfo, reader: Reader) -> None:
    for _ in range(reader.count("tables", MAX_TABLES)):
        reader.value_type()
        info.tables.append(reader.bounds("table"))


def _memory_section(info: ModuleInfo, reader: Reader) -> None:
    for _ in range(reader.count("memories", 1)):
        info.memories.append(reader.bounds("memory"))


def _global_section(_info: ModuleInfo, reader: Reader) -> None:
    reader.count("globals", MAX_GLOBALS)


def _export_section(info: ModuleInfo, reader: Reader) -> None:
    for _ in range(reader.count("exports", MAX_EXPORTS)):
        name, code, index = reader.name(), reader.byte(), reader.u32()
        if code >= len(_EXTERNAL):
            raise InvalidModule(f'the export "{name}" has the unknown kind {code}')
        if name in info.exports:
            raise InvalidModule(f'two exports have the name "{name}"')
        info.exports[name] = (_EXTERNAL[code], index)


def _start_section(info: ModuleInfo, reader: Reader) -> None:
    info.start = reader.u32()


def _element_section(info: ModuleInfo, reader: Reader) -> None:
    count = reader.count("element segments", MAX_ELEMENTS)
    info.elements = reader.end - reader.pos
    if info.elements > MAX_ELEMENTS * 2:
        raise InvalidModule(
            f"the element section has {info.elements} bytes, at most {MAX_ELEMENTS * 2} are accepted"
        )
    imported = sum(item.kind == "table" for item in info.imports)
    elements.check(reader, count, info.tables, imported)


def _code_section(info: ModuleInfo, reader: Reader) -> None:
    for index in range(reader.count("function bodies", MAX_FUNCTIONS)):
        size = reader.u32()
        if size > MAX_BODY:
            raise InvalidModule(f"function body {index} has {size} bytes, at most {MAX_BODY} are accepted")
        start = reader.pos
        reader.skip(size)
        info.bodies.append((start, reader.pos))


def _data_section(_info: ModuleInfo, reader: Reader) -> None:
    reader.count("data segments", MAX_DATA_SEGMENTS)


_PARSERS: Final = {
    1: _type_section,
    2: _import_section,
    3: _function_section,
    4: _table_section,
    5: _memory_section,
    6: _global_section,
    7: _export_section,
    8: _start_section,
    9: _element_section,
    10: _code_section,
    11: _data_section,
}


def custom_section(data: bytes, info: ModuleInfo, name: str) -> bytes | None:
    """Return the content of the first custom section of that name."""
    place = info.custom.get(name)
    return None if place is None else data[place[0] : place[1]]


Edit = tuple[int, int, bytes]
"""What to put where: begin and end of what is replaced."""


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return bytes with some of them replaced; no two places overlap."""
    place = 0
    parts: list[bytes] = []
    for begin, end, content in sorted(edits):
        parts += (data[place:begin], content)
        place = end
    return b"".join((*parts, data[place:]))


def place_before(edits: Sequence[Edit], offset: int) -> int:
    """Return where a byte behind edits was before they were made."""
    shift = 0
    for begin, end, content in sorted(edits):
        if offset < begin + shift + len(content):
            break
        shift += len(content) - (end - begin)
    return offset - shift


def add_custom_section(data: bytes, name: str, content: bytes) -> bytes:
    """Return the module with one more custom section at its end."""
    label = name.encode()
    body = leb(len(label)) + label + content
    return data + b"\0" + leb(len(body)) + body


def rename_exports(data: bytes, names: Mapping[str, str | None]) -> bytes:
    """Return the module with these exports, {old: new}, under other names; without those whose new one is None."""
    cursor = Reader(data, 8, len(data))
    while cursor.pos < cursor.end:
        begin = cursor.pos
        section, size = cursor.byte(), cursor.u32()
        reader = Reader(data, cursor.pos, cursor.pos + size)
        cursor.skip(size)
        if section == _EXPORT:
            content = _renamed(reader, names)
            return data[:begin] + bytes([_EXPORT]) + leb(len(content)) + content + data[cursor.pos :]
    return data


def _renamed(reader: Reader, names: Mapping[str, str | None]) -> bytes:
    kept: list[bytes] = []
    for _ in range(reader.count("exports", MAX_EXPORTS)):
        name = reader.name()
        start = reader.pos
        reader.byte(), reader.u32()
        if (label := names.get(name, name)) is not None:
            encoded = label.encode()
            kept.append(leb(len(encoded)) + encoded + reader.data[start : reader.pos])
    return leb(len(kept)) + b"".join(kept)


def leb(value: int) -> bytes:
    """Return an unsigned number as the binary format writes it."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


_BR_TABLE: Final = 0x0E
_GROW: Final = b"\x40\x00"
_MAX_READ_BODY: Final = 64 << 10
_LEB = rb"[\x80-\xff]*[\x00-\x7f]"
_INSTRUCTION = re.compile(
    rb"[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]"  # no immediate
    rb"|[\x02-\x04]" + _LEB +  # block, loop, if: a block type
    rb"|[\x0c\x0d\x10\x12\x20-\x26\x41\x42\xd0\xd2]" + _LEB +  # one index or constant
    rb"|[\x11\x13\x28-\x3e]" + _LEB + _LEB +  # call_indirect, loads and stores
    rb"|\x3f\x00|(?P<grow>\x40\x00)"  # memory.size, memory.grow
    rb"|\x43[\x00-\xff]{4}|\x44[\x00-\xff]{8}"  # f32.const, f64.const
    rb"|\xfc(?:[\x00-\x07]|[\x08\x0a\x0c\x0e]" + _LEB + _LEB + rb"|[\x09\x0b\x0d\x0f-\x11]" + _LEB + rb")"
    rb"|\x1c" + _LEB + rb"[\x40-\x7f]"  # select with a type
    rb"|\xfd(?:[\x00-\x0b\x5c\x5d]" + _LEB + _LEB +  # vector loads and stores
    rb"|[\x0c\x0d][\x00-\xff]{16}|[\x15-\x22][\x00-\xff]|[\x54-\x5b]" + _LEB + _LEB + rb"[\x00-\xff]"
    rb"|[\x0e-\x14\x23-\x53\x5e-\x7f]|[\x80-\xff]" + _LEB + rb")",
    re.DOTALL,
)  # fmt: skip


def grows_memory(data: bytes, info: ModuleInfo, offset: int) -> bool:
    """Tell whether the function that holds the byte `offset` of the module grows its memory.

    Read as evidence after a trap, not for validation: the engine has validated the body long before. Each function
    is read once, and none that is very large: traps must stay cheap for the host.
    """
    place = bisect_right(info.bodies, (offset, len(data))) - 1
    if place < 0 or offset > info.bodies[place][1]:
        return False
    known = info.growing.get(place)
    if known is None:
        known = info.growing[place] = _body_grows(data, *info.bodies[place])
    return known


def _body_grows(data: bytes, start: int, end: int) -> bool:
    if end - start > _MAX_READ_BODY or data.find(_GROW, start, end) < 0:
        return False
    body = Reader(data, start, end)
    for _ in range(body.u32()):  # local declarations: count, type
        body.u32()
        body.byte()
    while body.pos < body.end:
        if data[body.pos] == _BR_TABLE:
            body.pos += 1
            for _ in range(body.u32() + 1):
                body.u32()
            continue
        found = _INSTRUCTION.match(data, body.pos, body.end)
        if found is None:
            return False
        if found["grow"]:
            return True
        body.pos = found.end()
    return False
