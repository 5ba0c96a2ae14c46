"""Records, tuples and maps of the ABI `linear`: values of several types in a row, like the fields of a struct in C."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import GuestError

if TYPE_CHECKING:
    from echelon.runtime.linear import Block, Layout, Place, Reading

Lower = Callable[["Block", Any], "Place"]
Read = Callable[["Reading", int, int], Any]

_BRACKETS: Final = {"<": 1, "{": 1, ">": -1, "}": -1}
MISFITS: Final = (TypeError, ValueError, OverflowError, struct.error)
"""What `lower` and `fill` of a layout raise."""


def split(text: str) -> list[str]:
    """Return the parts of a list of types between commas, not those within brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += _BRACKETS.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def named(text: str) -> tuple[list[str], list[str]]:
    """Return the names and types of a record's fields; raises ValueError."""
    names, kinds = [], []
    for part in split(text):
        name, colon, kind = part.partition(":")
        if not colon or not name.strip().isidentifier() or name.strip() in names:
            raise ValueError(f'"{part[:80]}" is no field of a record, or there twice; write name: type')
        names.append(name.strip())
        kinds.append(kind.strip())
    return names, kinds


class Row:
    """How values of several types lie in a row."""

    __slots__ = ("_fields", "align", "size")

    def __init__(self, layouts: Sequence[Layout]) -> None:
        size, self._fields = 0, []
        for layout in layouts:
            size += -size % layout.align
            self._fields.append((layout, size))
            size += layout.size
        self.align = max((layout.align for layout in layouts), default=1)
        self.size = max(1, size + -size % self.align)

    def fill(
        self, block: Block, values: Iterable[Any], names: Sequence[str]
    ) -> tuple[bytearray, list[tuple[int, int]]]:
        """Return a row and its pointers: the offset of each, and where in the block it points."""
        content, pointers = bytearray(self.size), []
        for (layout, at), value, name in zip(self._fields, values, names, strict=True):
            try:
                part, start = layout.fill(block, value)
            except MISFITS as exc:
                raise misfit(name, exc) from None
            content[at : at + len(part)] = part
            if start is not None:
                pointers.append((at, start))
        return content, pointers

    def pick(self, reading: Reading, content: bytes, start: int) -> list[Any]:
        """Return the values of a row that begins somewhere in a content."""
        return [layout.pick(reading, content, start + at) for layout, at in self._fields]


def misfit(name: str, error: Exception) -> TypeError | ValueError:
    """Return an error as one that names where in a value it is."""
    kind = ValueError if isinstance(error, ValueError | OverflowError) else TypeError
    text = str(error)
    return kind(f"{name}{text}" if text.startswith(("[", ".")) else f"{name}: {text}")


def record(names: Sequence[str], layouts: Sequence[Layout]) -> tuple[Lower, Read]:
    """Return how an object crosses: an instance of a class with these fields or a dict; a guest's is a dict."""
    row = Row(layouts)
    places = [f".{name}" for name in names]
    wanted = f"an object or a dict with {', '.join(names)}"

    def values(value: Any) -> list[Any]:
        if isinstance(value, dict):
            if value.keys() - set(names):
                raise TypeError(
                    f"there is no field {min(map(str, value.keys() - set(names)))}; it is {wanted}"
                )
            missing = [name for name in names if name not in value]
            if missing:
                raise TypeError(f"the field {missing[0]} is missing; it is {wanted}")
            return [value[name] for name in names]
        try:
            return [getattr(value, name) for name in names]
        except AttributeError:
            raise TypeError(f"expected {wanted}, got {type(value).__name__}") from None

    def lower(block: Block, value: Any) -> Place:
        return block.add_rows_of([row.fill(block, values(value), places)], row.align), row.size

    def read(reading: Reading, pointer: int, length: int) -> dict[str, Any]:
        return dict(zip(names, _one(row, reading, pointer, length), strict=True))

    return lower, read


def tuple_of(layouts: Sequence[Layout]) -> tuple[Lower, Read]:
    """Return how a tuple crosses; a list of as many items will do."""
    row = Row(layouts)
    places = [f"[{position}]" for position in range(len(layouts))]

    def lower(block: Block, value: Any) -> Place:
        if not isinstance(value, tuple | list):
            raise TypeError(f"expected tuple, got {type(value).__name__}")
        if len(value) != len(places):
            raise ValueError(f"expected {len(places)} items, got {len(value)}")
        return block.add_rows_of([row.fill(block, value, places)], row.align), row.size

    def read(reading: Reading, pointer: int, length: int) -> tuple[Any, ...]:
        return tuple(_one(row, reading, pointer, length))

    return lower, read


def map_of(key: Layout, value: Layout) -> tuple[Lower, Read]:
    """Return how a dict crosses: its entries in a row, in their order; a list of pairs will do, as JSON has it."""
    row = Row([key, value])

    def lower(block: Block, entries: Any) -> Place:
        if isinstance(entries, dict):
            pairs: list[Any] = list(entries.items())
        elif isinstance(entries, list) and all(isinstance(pair, list | tuple) for pair in entries):
            pairs = entries
        else:
            raise TypeError(f"expected dict, got {type(entries).__name__}")
        rows = []
        for pair in pairs:
            if len(pair) != 2:
                raise ValueError(f"expected pairs of a key and a value, got {len(pair)} items")
            shown = repr(pair[0])
            rows.append(row.fill(block, pair, (f"[the key {shown[:60]}]", f"[{shown[:60]}]")))
        return block.add_rows_of(rows, row.align), len(rows)

    def read(reading: Reading, pointer: int, count: int) -> dict[Any, Any]:
        content = reading.take(pointer, count * row.size)
        return dict(row.pick(reading, content, at) for at in range(0, len(content), row.size))

    return lower, read


def _one(row: Row, reading: Reading, pointer: int, length: int) -> list[Any]:
    if length != row.size:
        raise GuestError(
            f"the guest returned a record of {length} bytes, which its signature says has {row.size}"
        )
    return row.pick(reading, reading.take(pointer, length), 0)
