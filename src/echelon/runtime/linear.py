"""The `linear` ABI: text, bytes and lists in plain memory, for any language without objects of its own (docs/abi.md).

    type                      as a parameter               in memory
    numbers, bool             its core type                itself; bool is a byte
    str, bytes, json          pointer, length (i32 each)   pointer, length (u32 each)
    list<T>                   pointer, how many items      the same; the items lie in a row
    record{name: T, …}        pointer, how many bytes      the same; the fields lie like those of a C struct
    tuple<T, …>               the same                     the same
    map<K, V>                 pointer, how many entries    the same; keys and values lie in a row like C structs
    option<T> of these        the same, pointer 0 is none  the same
    option<number or bool>    is there one (i32), value    a byte and the value, like a C struct

All arguments of a call lie in one block, which the guest's `echelon_alloc(size) -> pointer` gives: one call in. A
result that is a number comes as such; text, bytes, JSON and lists come as an i64, `pointer << 32 | length`; everything
else, and several results, as a pointer to where they lie in a row like the fields of a C struct: one buffer out.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from echelon.errors import GuestError, OutputExceeded
from echelon.runtime import json_values, records
from echelon.runtime.abi import CORE, ITEMS, pack_item, pack_items, unpack_items
from echelon.runtime.signature import MAX_DEPTH, Value

if TYPE_CHECKING:
    from echelon.runtime.memory import Memory

ALLOCATE: Final = "echelon_alloc"
ALIGNMENT: Final = 8
"""What the address of a block is a multiple of."""

_ROW: Final = 8
"""Bytes of a pointer and a length."""

Place = tuple[int | None, int]
"""Where something lies in a block, None for nothing, and its length."""


class Block:
    """The arguments of a call as they will lie in the guest's memory, before it is known where."""

    __slots__ = ("_parts", "_rows", "_structs", "size")

    def __init__(self) -> None:
        self._parts: list[bytes | bytearray] = []
        self._rows: list[tuple[int, list[Place]]] = []
        self._structs: list[tuple[int, bytearray, list[tuple[int, int]]]] = []
        self.size = 0

    def _align(self, align: int) -> int:
        gap = -self.size % align
        if gap:
            self._parts.append(bytes(gap))
            self.size += gap
        return self.size

    def add(self, content: bytes, align: int = 1) -> int:
        """Add content and return where it lies."""
        start = self.size if align == 1 else self._align(align)
        self._parts.append(content)
        self.size = start + len(content)
        return start

    def add_rows(self, rows: list[Place]) -> int:
        """Add pointers into the block with their lengths and return where these lie."""
        start = self._align(4)
        self._rows.append((len(self._parts), rows))
        self._parts.append(b"")
        self.size += _ROW * len(rows)
        return start

    def add_rows_of(self, rows: list[tuple[bytearray, list[tuple[int, int]]]], align: int) -> int:
        """Add rows of several types one after another; each has pointers at offsets, to places in the block."""
        start = self._align(align)
        for content, pointers in rows:
            if pointers:
                self._structs.append((len(self._parts), content, pointers))
            self._parts.append(content)
            self.size += len(content)
        return start

    def content(self, base: int) -> bytes:
        """Return the bytes of a block that lies at `base`."""
        for position, content, pointers in self._structs:
            for at, start in pointers:
                struct.pack_into("<I", content, at, base + start)
            self._parts[position] = content
        for position, rows in self._rows:
            words = [
                word for start, length in rows for word in (0 if start is None else base + start, length)
            ]
            self._parts[position] = struct.pack(f"<{len(words)}I", *words)
        return b"".join(self._parts)


class Reading:
    """What a guest returned: its memory, and how many bytes of that may still be read."""

    __slots__ = ("_limit", "_memory", "_room")

    def __init__(self, memory: Memory, limit: int) -> None:
        self._memory, self._limit, self._room = memory, limit, limit

    def take(self, pointer: int, size: int) -> bytes:
        """Return a copy of memory; raises OutputExceeded past the limit, and OutOfBounds."""
        self._room -= size
        if self._room < 0:
            raise OutputExceeded(
                f"the guest returned more than {self._limit} bytes (its output limit)", limit=self._limit
            )
        return self._memory.read(pointer, size)


# A layout is how values of one type cross. `core` are the core types of a parameter (u32 and u64 are those, unsigned);
# the first is a pointer where it `points`. `size` and `align` are those in memory. `lower()` gives the core values of
# an argument and `store()` puts values in a row into a block; both raise TypeError, ValueError, OverflowError or
# struct.error. `load()` reads values that lie in a row and raises GuestError. `fill()` and `pick()` do the same for one
# value among others: its bytes, with a pointer in the first four where it has one, and where in the block that leads.


class _Number:
    """A number, or bool."""

    __slots__ = ("_pack", "align", "core", "kind", "size")
    points = False

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.core: tuple[str, ...] = (kind if kind in ("u32", "u64") else CORE[kind],)
        layout = struct.Struct("<" + ITEMS[kind])
        self._pack = layout.pack
        self.size = self.align = layout.size

    def lower(self, _block: Block, value: Any) -> tuple[Any, ...]:
        if self.kind == "bool" and not isinstance(value, bool):
            raise TypeError("not a bool")
        self._pack(value)
        return (value,)

    def store(self, block: Block, values: Sequence[Any]) -> int:
        return block.add(pack_items(self.kind, values), self.align)

    def load(self, reading: Reading, pointer: int, count: int) -> list[Any]:
        return unpack_items(self.kind, reading.take(pointer, count * self.size))

    def fill(self, _block: Block, value: Any) -> tuple[bytes, int | None]:
        return pack_item(self.kind, value), None

    def pick(self, _reading: Reading, content: bytes, at: int) -> Any:
        return unpack_items(self.kind, content[at : at + self.size])[0]


class _OptionalNumber:
    """A number or bool, or None."""

    __slots__ = ("_item", "_row", "align", "core", "size")
    points = False

    def __init__(self, item: _Number) -> None:
        self._item, self.align, self.size = item, item.align, 2 * item.size
        self.core = ("i32", *item.core)
        self._row = struct.Struct(f"<B{item.size - 1}x{ITEMS[item.kind]}")

    def lower(self, block: Block, value: Any) -> tuple[Any, ...]:
        return (0, 0) if value is None else (1, *self._item.lower(block, value))

    def store(self, block: Block, values: Sequence[Any]) -> int:
        rows = [self._row.pack(*self.lower(block, value)) for value in values]
        return block.add(b"".join(rows), self.align)

    def load(self, reading: Reading, pointer: int, count: int) -> list[Any]:
        rows = self._row.iter_unpack(reading.take(pointer, count * self.size))
        return [value if there else None for there, value in rows]

    def fill(self, block: Block, value: Any) -> tuple[bytes, int | None]:
        if value is None:
            return bytes(self.size), None
        return b"\1" + bytes(self._item.size - 1) + self._item.fill(block, value)[0], None

    def pick(self, _reading: Reading, content: bytes, at: int) -> Any:
        there, value = self._row.unpack_from(content, at)
        return value if there else None


@dataclass(frozen=True, slots=True)
class _Pointed:
    """What lies somewhere in memory, by its pointer and length; `lower` and `read` know what lies there."""

    lower: Callable[[Block, Any], Place]
    read: Callable[[Reading, int, int], Any]
    core: tuple[str, ...] = ("u32", "u32")
    size: int = _ROW
    align: int = 4
    points: bool = True
    optional: bool = False

    def store(self, block: Block, values: Sequence[Any]) -> int:
        lower, rows = self.lower, []
        try:
            for value in values:
                rows.append(lower(block, value))
        except records.MISFITS as exc:
            raise records.misfit(f"[{len(rows)}]", exc) from None
        return block.add_rows(rows)

    def load(self, reading: Reading, pointer: int, count: int) -> list[Any]:
        rows = struct.iter_unpack("<II", reading.take(pointer, count * _ROW))
        return [self.read(reading, start, length) for start, length in rows]

    def fill(self, block: Block, value: Any) -> tuple[bytes, int | None]:
        start, length = self.lower(block, value)
        return struct.pack("<II", 0, length), start

    def pick(self, reading: Reading, content: bytes, at: int) -> Any:
        return self.read(reading, *struct.unpack_from("<II", content, at))


def _lower_text(block: Block, value: Any) -> Place:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    content = value.encode()
    return block.add(content), len(content)


def _read_text(reading: Reading, pointer: int, length: int) -> str:
    try:
        return reading.take(pointer, length).decode()
    except UnicodeDecodeError as exc:
        raise GuestError(f"the guest returned a text that is not UTF-8: {exc.reason}") from None


def _lower_bytes(block: Block, value: Any) -> Place:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"expected bytes, got {type(value).__name__}")
    content = bytes(value)
    return block.add(content, ALIGNMENT), len(content)


def _lower_json(block: Block, value: Any) -> Place:
    content = json_values.encode(value)
    return block.add(content), len(content)


def _read_json(reading: Reading, pointer: int, length: int) -> Any:
    return json_values.decode(reading.take(pointer, length))


def _list_of(item: Layout) -> _Pointed:
    def lower(block: Block, value: Any) -> Place:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected list, got {type(value).__name__}")
        return item.store(block, value), len(value)

    return _Pointed(lower, item.load)


def _option_of(item: _Pointed) -> _Pointed:
    def lower(block: Block, value: Any) -> Place:
        return (None, 0) if value is None else item.lower(block, value)

    def read(reading: Reading, pointer: int, length: int) -> Any:
        return None if pointer == 0 else item.read(reading, pointer, length)

    return _Pointed(lower, read, optional=True)


Layout: TypeAlias = _Number | _OptionalNumber | _Pointed

_POINTED: Final = {
    "str": _Pointed(_lower_text, _read_text),
    "bytes": _Pointed(_lower_bytes, Reading.take),
    "json": _Pointed(_lower_json, _read_json),
}
KINDS: Final = (*ITEMS, *_POINTED)
_KEY: Final = re.compile(r"([iu](8|16|32|64)|f32|f64|bool|str|bytes|[, ]|tuple<|>)+")
"""Types that can be the keys of a map: what Python can look up."""


def layout_of(kind: str, depth: int = MAX_DEPTH) -> Layout:
    """Return how values of a type cross; raises ValueError for a type there is not."""
    base, bracket, inner = kind.partition("<")
    if kind.startswith("record{") and kind.endswith("}") and len(kind) > len("record{}") and depth:
        names, kinds = records.named(kind[len("record{") : -1])
        return _Pointed(*records.record(names, [layout_of(each, depth - 1) for each in kinds]))
    if not bracket:
        if base in ITEMS:
            return _Number(base)
        if base in _POINTED:
            return _POINTED[base]
    elif depth and inner.endswith(">") and base in ("tuple", "map"):
        kinds = records.split(inner[:-1])
        layouts = [layout_of(each, depth - 1) for each in kinds]
        if base == "tuple" and layouts:
            return _Pointed(*records.tuple_of(layouts))
        if base == "map" and len(layouts) == 2 and _KEY.fullmatch(kinds[0]):
            return _Pointed(*records.map_of(*layouts))
    elif depth and inner.endswith(">") and base in ("list", "option"):
        item = layout_of(inner[:-1], depth - 1)
        if base == "list":
            return _list_of(item)
        if isinstance(item, _Number):
            return _OptionalNumber(item)
        if isinstance(item, _Pointed) and not item.optional:
            return _option_of(item)
    raise ValueError(
        f'the type "{kind[:80]}" cannot cross in the ABI "linear"; there are {", ".join(KINDS)}, list<type>,'
        f" option<type>, record{{name: type}}, tuple<type, …> and map<key, type>, {MAX_DEPTH} levels deep, no option"
        " of an option, and keys are numbers, str, bytes and tuples of them"
    )


class Answer:
    """How the results of a function cross: `core` is the type of what it returns, None for nothing."""

    __slots__ = ("_fields", "_item", "core", "in_memory")

    def __init__(self, results: Sequence[Value]) -> None:
        """Raises ValueError for a type there is not."""
        layouts = [layout_of(result.type) for result in results]
        self._item = layouts[0] if len(layouts) == 1 else None
        self._fields: list[tuple[Layout, int]] = []
        size = 0
        for layout in layouts:
            start = size + -size % layout.align
            self._fields.append((layout, start))
            size = start + layout.size
        self.core: str | None = None
        if isinstance(self._item, _Number):
            self.core = self._item.kind
        elif isinstance(self._item, _Pointed):
            self.core = "u64"
        elif layouts:
            self.core = "u32"
        self.in_memory = bool(layouts) and not isinstance(self._item, _Number)

    def read(self, reading: Reading, raw: int) -> Any:
        """Return the value, or the tuple of values, that a guest returned in its memory; raises GuestError."""
        if isinstance(self._item, _Pointed):
            return self._item.read(reading, raw >> 32, raw & 0xFFFF_FFFF)
        values = tuple(layout.load(reading, raw + start, 1)[0] for layout, start in self._fields)
        return values if self._item is None else values[0]
