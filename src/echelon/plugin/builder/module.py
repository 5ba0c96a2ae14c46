"""A module put together by a program: types, imports, functions, memories, tables, and what else is in it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from echelon.errors import BuildError, InvalidModule
from echelon.plugin.builder import encoding
from echelon.plugin.builder.encoding import Type, index, integer, section, signed, unsigned, vector
from echelon.plugin.builder.function import Callee, FunctionBuilder
from echelon.runtime import binary, declarations, exports, lines
from echelon.runtime import signature as signatures
from echelon.runtime.signature import Function, Signature

_PAGES: Final = (1 << 16) + 1
_ELEMENTS: Final = binary.MAX_TABLE_ELEMENTS + 1
_PAGE: Final = 1 << 16
_FUNCTION, _TABLE, _MEMORY, _GLOBAL = range(4)


@dataclass(frozen=True, eq=False, slots=True)
class ImportedFunction:
    """A function that the host or another module provides."""

    owner: ModuleBuilder
    index: int
    params: tuple[str, ...]
    results: tuple[str, ...]
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Memory:
    """The memory; sizes are pages of 64 KiB."""

    owner: ModuleBuilder
    index: int
    minimum: int
    imported: bool


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """A table of references."""

    owner: ModuleBuilder
    index: int
    kind: str
    minimum: int
    imported: bool


@dataclass(frozen=True, eq=False, slots=True)
class Global:
    """A variable of the module; one that is not mutable is a constant."""

    owner: ModuleBuilder
    index: int
    kind: str
    mutable: bool
    imported: bool


@dataclass(frozen=True, eq=False, slots=True)
class Data:
    """Bytes for the memory."""

    owner: ModuleBuilder
    index: int


@dataclass(frozen=True, eq=False, slots=True)
class Elements:
    """References for tables."""

    owner: ModuleBuilder
    index: int
    kind: str = "funcref"


Item = Callee | Memory | Table | Global
Initial = int | float | Global | ImportedFunction | FunctionBuilder | None


class ModuleBuilder:
    """Builds one module; what it returns is accepted by every engine, or BuildError says what is wrong.

    Imports come before everything that the module defines of the same kind, for they are numbered first. `names` keeps
    the names of functions and locals for errors and debuggers; `language` is what its signature says it comes from.
    """

    def __init__(self, name: str = "", *, language: str = "wasm", names: bool = True) -> None:
        self.name = name
        self.language = language
        self.names = names
        self.needs_data_count = False
        """Whether code uses data by its number."""
        self._types: dict[bytes, int] = {}
        self._imports: list[bytes] = []
        self._counts = [0, 0, 0, 0]
        self._imported = [0, 0, 0, 0]
        self._import_names: dict[int, str] = {}
        self._functions: list[FunctionBuilder] = []
        self._function_types: list[int] = []
        self._tables: list[bytes] = []
        self._memories: list[bytes] = []
        self._globals: list[bytes] = []
        self._exports: dict[str, bytes] = {}
        self._signatures: dict[str, Function] = {}
        self._start: int | None = None
        self._elements: list[bytes] = []
        self._declared: dict[int, None] = {}
        self._data: list[bytes] = []
        self._custom: list[bytes] = []

    @property
    def has_memory(self) -> bool:
        return self._counts[_MEMORY] > 0

    def type(self, params: Sequence[str], results: Sequence[str] = ()) -> int:
        """Return the number of a function type, the same for the same types."""
        takes, _ = encoding.types(params)
        gives, _ = encoding.types(results)
        return self._types.setdefault(b"\x60" + takes + gives, len(self._types))

    # --- imports ---

    def import_function(
        self, module: str, name: str, params: Sequence[Type] = (), results: Sequence[Type] = ()
    ) -> ImportedFunction:
        number = self._import(module, name, _FUNCTION, unsigned(self.type(params, results)))
        self._import_names[number] = name
        return ImportedFunction(self, number, tuple(params), tuple(results), name)

    def import_memory(self, module: str, name: str, minimum: int, maximum: int | None = None) -> Memory:
        self._require_no_memory()
        number = self._import(module, name, _MEMORY, _bounds(minimum, maximum, _PAGES, "memory"))
        return Memory(self, number, minimum, True)

    def import_table(
        self, module: str, name: str, minimum: int, maximum: int | None = None, kind: Type = "funcref"
    ) -> Table:
        shape = bytes([_reference(kind)]) + _bounds(minimum, maximum, 1 << 32, "table")
        return Table(self, self._import(module, name, _TABLE, shape), kind, minimum, True)

    def import_global(self, module: str, name: str, kind: Type, *, mutable: bool = False) -> Global:
        shape = bytes([encoding.code_of(kind), mutable])
        return Global(self, self._import(module, name, _GLOBAL, shape), kind, mutable, True)

    def _import(self, module: str, name: str, kind: int, shape: bytes) -> int:
        if self._counts[kind] != self._imported[kind]:
            raise BuildError(
                f"import {module}.{name}: imports are declared before what the module defines itself"
            )
        self._imports.append(encoding.name(module) + encoding.name(name) + bytes([kind]) + shape)
        self._imported[kind] += 1
        return self._number(kind)

    def _number(self, kind: int) -> int:
        self._counts[kind] += 1
        return self._counts[kind] - 1

    # --- definitions ---

    def function(
        self,
        name: str = "",
        params: Sequence[Type] = (),
        results: Sequence[Type] = (),
        *,
        export: str | None = None,
        signature: str | None = None,
    ) -> FunctionBuilder:
        """Begin a function, which others may call at once; its code is written by the methods of what is returned.

        `signature`, one line such as "greet(who: str) -> str", says what callers pass and get, and exports it.
        """
        number = self._number(_FUNCTION)
        made = FunctionBuilder(self, number, name or export or "", tuple(params), tuple(results))
        self._functions.append(made)
        self._function_types.append(self.type(params, results))
        if signature is not None:
            typed = _declaration(signature)
            export = export or typed.name
            made.name = name or export
            self._signatures[export] = typed
            if len(typed.params) == len(made.params):
                made.local_names |= {
                    place: value.name for place, value in enumerate(typed.params) if value.name
                }
        if export is not None:
            self.export(export, made)
        return made

    def memory(self, minimum: int, maximum: int | None = None, *, export: str | None = None) -> Memory:
        """Add the memory, of so many pages of 64 KiB; there is one."""
        self._require_no_memory()
        self._memories.append(_bounds(minimum, maximum, _PAGES, "memory"))
        made = Memory(self, self._number(_MEMORY), minimum, False)
        if export is not None:
            self.export(export, made)
        return made

    def _require_no_memory(self) -> None:
        if self.has_memory:
            raise BuildError("memory: the module has one already, one is accepted")

    def table(
        self, minimum: int, maximum: int | None = None, kind: Type = "funcref", *, export: str | None = None
    ) -> Table:
        """Add a table of references, which begin as null."""
        bounds = _bounds(minimum, maximum, 1 << 32, "table")
        index(minimum, _ELEMENTS, "table: minimum")
        self._tables.append(bytes([_reference(kind)]) + bounds)
        made = Table(self, self._number(_TABLE), kind, minimum, False)
        if export is not None:
            self.export(export, made)
        return made

    def global_(
        self, kind: Type, value: Initial, *, mutable: bool = False, export: str | None = None
    ) -> Global:
        """Add a variable with its first value: a number, None for null, a function, or an imported constant."""
        self._globals.append(bytes([encoding.code_of(kind), mutable]) + self._constant(kind, value, "global"))
        made = Global(self, self._number(_GLOBAL), kind, mutable, False)
        if export is not None:
            self.export(export, made)
        return made

    def data(self, content: bytes, at: int | Global | None = None) -> Data:
        """Add bytes that are in the memory from the beginning, `at` an address, or that code copies there."""
        self._require("data", self.has_memory or at is None, "the module has no memory; add one first")
        body = vector_of(content)
        self._data.append(
            b"\x01" + body if at is None else b"\x00" + self._constant("i32", at, "data") + body
        )
        return Data(self, len(self._data) - 1)

    def elements(
        self, functions: Iterable[Callee], table: Table | None = None, at: int | Global = 0
    ) -> Elements:
        """Add functions that are in a table from the beginning, from the place `at` on, or that code puts there."""
        numbers = []
        for function in functions:
            self._require("elements", function.owner is self, "a function belongs to another module")
            numbers.append(unsigned(function.index))
        listed = b"\x00" + vector(numbers)
        if table is None:
            self._elements.append(b"\x01" + listed)
            return Elements(self, len(self._elements) - 1)
        self._require("elements", table.owner is self, "the table belongs to another module")
        self._require("elements", table.kind == "funcref", f"the table holds {table.kind}, not functions")
        place = self._constant("i32", at, "elements")
        self._elements.append(b"\x02" + unsigned(table.index) + place + listed)
        return Elements(self, len(self._elements) - 1)

    def export(self, name: str, item: Item) -> None:
        """Let others use something by name; raises BuildError for a name that is taken."""
        kind = _kind(item)
        self._require(f"export {name!r}", item.owner is self, "this belongs to another module")
        self._require(f"export {name!r}", name not in self._exports, "something else has this name already")
        self._exports[name] = encoding.name(name) + bytes([kind]) + unsigned(item.index)

    def start(self, function: Callee) -> None:
        """Run a function without parameters and results whenever the module is instantiated."""
        self._require("start", function.owner is self, "this function belongs to another module")
        self._require(
            "start", not function.params and not function.results, "it takes nothing and returns nothing"
        )
        self._start = function.index

    def custom(self, name: str, content: bytes) -> None:
        """Add a section that engines do not read."""
        self._custom.append(encoding.custom(name, content))

    def declare(self, function: Callee) -> None:
        """Note that code takes a reference to a function."""
        self._declared[function.index] = None

    # --- the module's bytes ---

    def build(self) -> bytes:
        """Return the module; raises BuildError for functions that are not whole and for what is too much."""
        code = [function.encode() for function in self._functions]
        elements = list(self._elements)
        if self._declared:
            elements.append(b"\x03\x00" + vector([unsigned(number) for number in self._declared]))
        before = [
            (1, list(self._types)),
            (2, self._imports),
            (3, [unsigned(number) for number in self._function_types]),
            (4, self._tables),
            (5, self._memories),
            (6, self._globals),
            (7, list(self._exports.values())),
        ]
        head = binary.MAGIC + b"".join(section(number, vector(items)) for number, items in before if items)
        if self._start is not None:
            head += section(8, unsigned(self._start))
        if elements:
            head += section(9, vector(elements))
        if self.needs_data_count:
            head += section(12, unsigned(len(self._data)))
        body = section(10, vector(code)) if code else b""
        tail = section(11, vector(self._data)) if self._data else b""
        tail += b"".join(self._custom)
        if self.names:
            tail += self._name_section()
        tail += self._line_section(code, len(head) + len(body) - sum(map(len, code)))
        if self._signatures:
            tail += encoding.custom(signatures.SECTION, signatures.encode(self._signature()))
        return _checked(head + body + tail)

    def _signature(self) -> Signature:
        return Signature(declarations.ABI, self.language, dict(self._signatures))

    def _name_section(self) -> bytes:
        names = dict(self._import_names) | {f.index: f.name for f in self._functions if f.name}
        locals_ = {f.index: f.local_names for f in self._functions if f.local_names}
        parts = b""
        if self.name:
            parts += section(0, encoding.name(self.name))
        if names:
            parts += section(1, _name_map(names))
        if locals_:
            listed = [unsigned(number) + _name_map(named) for number, named in sorted(locals_.items())]
            parts += section(2, vector(listed))
        return encoding.custom("name", parts) if parts else b""

    def _line_section(self, code: Sequence[bytes], start: int) -> bytes:
        """Say where code comes from, in bytes from the start of the module; `start` is where the first function is."""
        if not any(function.places for function in self._functions):
            return b""
        files: dict[str, int] = {}
        last, numbers = (0, 0, 0), list[int]()
        for place in self._places(code, start, files):
            numbers += (new - old for new, old in zip(place, last, strict=True))
            last = place
        return encoding.custom(lines.SECTION, lines.encode(list(files), numbers))

    def _places(
        self, code: Sequence[bytes], at: int, files: dict[str, int]
    ) -> Iterator[tuple[int, int, int]]:
        for function, content in zip(self._functions, code, strict=True):
            yield at, -1, 0
            begin = at + len(content) - len(function.body)
            for offset, file, line in function.places:
                yield begin + offset, files.setdefault(file, len(files)) if line else -1, line
            at += len(content)

    def _constant(self, kind: str, value: Initial, what: str) -> bytes:
        """Return an expression that is one constant; raises BuildError."""
        if isinstance(value, Global):
            usable = value.owner is self and value.imported and not value.mutable and value.kind == kind
            self._require(what, usable, f"its value can be an imported constant of type {kind}")
            return b"\x23" + unsigned(value.index) + b"\x0b"
        if isinstance(value, ImportedFunction | FunctionBuilder):
            self._require(
                what, value.owner is self and kind == "funcref", f"a function is not of type {kind}"
            )
            self.declare(value)
            return b"\xd2" + unsigned(value.index) + b"\x0b"
        return _number(kind, value, what) + b"\x0b"

    def _require(self, what: str, holds: bool, otherwise: str) -> None:
        if not holds:
            raise BuildError(f"{what}: {otherwise}")


def vector_of(content: bytes) -> bytes:
    """Return bytes behind their number."""
    return unsigned(len(content)) + content


def _number(kind: str, value: float | None, what: str) -> bytes:
    if kind in encoding.REFERENCES:
        if value is not None:
            raise BuildError(f"{what}: {value!r} is not of type {kind}; null is None")
        return b"\xd0" + bytes([encoding.CODES[kind]])
    if kind in ("i32", "i64"):
        if not isinstance(value, int):
            raise BuildError(f"{what}: {value!r} is not of type {kind}")
        return (b"\x41" if kind == "i32" else b"\x42") + signed(integer(value, int(kind[1:]), what))
    if kind in ("f32", "f64") and isinstance(value, int | float):
        try:
            return b"\x43" + struct.pack("<f", value) if kind == "f32" else b"\x44" + struct.pack("<d", value)
        except OverflowError:
            raise BuildError(f"{what}: {value!r} is too large for {kind}") from None
    raise BuildError(f"{what}: {value!r} is not of type {kind}")


def _bounds(minimum: int, maximum: int | None, limit: int, what: str) -> bytes:
    low = unsigned(index(minimum, limit, f"{what}: minimum"))
    if maximum is None:
        return b"\x00" + low
    if index(maximum, limit, f"{what}: maximum") < minimum:
        raise BuildError(f"{what}: it cannot begin with {minimum} and have {maximum} at most")
    return b"\x01" + low + unsigned(maximum)


def _reference(kind: str) -> int:
    if kind not in encoding.REFERENCES:
        raise BuildError(f"table: {kind!r} is not a reference; there are {', '.join(encoding.REFERENCES)}")
    return encoding.CODES[kind]


def _kind(item: Item) -> int:
    if isinstance(item, Table):
        return _TABLE
    if isinstance(item, Memory):
        return _MEMORY
    return _GLOBAL if isinstance(item, Global) else _FUNCTION


def _declaration(line: str) -> Function:
    try:
        return declarations.parse(line)
    except ValueError as exc:
        raise BuildError(str(exc)) from exc


def _name_map(names: dict[int, str]) -> bytes:
    return vector([unsigned(number) + encoding.name(text) for number, text in sorted(names.items())])


def _checked(wasm: bytes) -> bytes:
    """Hold a module to the bounds that loading it would; raises BuildError."""
    try:
        exports.read(wasm, binary.parse(wasm))
    except InvalidModule as exc:
        raise BuildError(f"the module would not be accepted: {exc}") from exc
    return wasm
