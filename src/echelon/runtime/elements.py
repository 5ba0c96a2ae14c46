"""Read the element segments of a module: what would fill its tables, and at what cost.

The engine writes plain segments into an image of the table. All others become code, some ten thousandths of a second of
compiling for each element, and so does what comes after the first of them. So those are counted and bounded.

Source: WebAssembly core specification 2.0, section 5.5.12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from echelon.errors import InvalidModule

if TYPE_CHECKING:
    from echelon.runtime.binary import Bounds, Reader

MAX_COMPUTED: Final = 10_000
"""Elements that become code, in all segments together."""
REFERENCE_WEIGHT: Final = 8
"""A reference to something outside counts as so many: the collector has to hear of each."""

_PASSIVE, _EXPLICIT, _EXPRESSIONS = 1, 2, 4
_FUNCTION_KIND: Final = 0
_I32_CONST, _END = 0x41, 0x0B
_CHUNK: Final = 64
_INDICES: Final = re.compile(rb"(?:[\x80-\xff]{0,4}[\x00-\x7f]){%d}" % _CHUNK, re.DOTALL)
_WIDTHS: Final = {0x43: 4, 0x44: 8}
_WITH_NUMBER: Final = frozenset({0x23, 0x41, 0x42, 0xD0, 0xD2})
_PLAIN: Final = frozenset({0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E})
_VECTOR: Final = (0xFD, 0x0C)


def check(reader: Reader, count: int, tables: Sequence[Bounds], imported: int) -> None:
    """Read `count` segments; raises InvalidModule for one that does not fit its table, or too many that are code.

    The first `imported` tables may be larger than the module says, so what fits is known when it is instantiated.
    """
    computed, static = 0, True
    for number in range(count):
        flags = reader.byte()
        if flags > 7:
            raise InvalidModule(f"element segment {number} has the unknown form {flags}")
        active = not flags & _PASSIVE
        table = reader.u32() if active and flags & _EXPLICIT else 0
        offset = _constant(reader) if active else None
        weight = _weight(reader, flags, number)
        size = reader.u32()
        if active and table < imported:
            offset = None
        if active and offset is not None:
            _check_place(number, offset + size, table, tables)
        static &= not active or (offset is not None and not flags & _EXPRESSIONS)
        if flags & _EXPRESSIONS or (active and not static):
            computed += size * weight
            if computed > MAX_COMPUTED:
                raise InvalidModule(
                    f"the element segments have more than {MAX_COMPUTED} elements that have to be computed;"
                    " list functions by index, at a constant place"
                )
        _skip(reader, flags, size)


def _check_place(number: int, end: int, table: int, tables: Sequence[Bounds]) -> None:
    if table >= len(tables):
        raise InvalidModule(f"element segment {number} is for table {table}, which does not exist")
    if end > tables[table].minimum:
        raise InvalidModule(
            f"element segment {number} ends at element {end} of a table of {tables[table].minimum}"
        )


def _weight(reader: Reader, flags: int, number: int) -> int:
    """Read the kind of the elements, where it is written; a form without it has functions."""
    if not flags & (_PASSIVE | _EXPLICIT):
        return 1
    if flags & _EXPRESSIONS:
        return 1 if reader.value_type() == "funcref" else REFERENCE_WEIGHT
    if reader.byte() != _FUNCTION_KIND:
        raise InvalidModule(f"element segment {number} has elements of an unknown kind")
    return 1


def _skip(reader: Reader, flags: int, size: int) -> None:
    if flags & _EXPRESSIONS:
        for _ in range(size):
            _constant(reader)
        return
    for _ in range(size // _CHUNK):
        found = _INDICES.match(reader.data, reader.pos, reader.end)
        if found is None:
            raise InvalidModule(
                f"the functions of an element segment at byte {reader.pos} are not listed whole"
            )
        reader.pos = found.end()
    for _ in range(size % _CHUNK):
        reader.u32()


def _constant(reader: Reader) -> int | None:
    """Read a constant expression; return the number when it is one constant of 32 bits and nothing else."""
    first, value, count = reader.pos, 0, 0
    while (code := reader.byte()) != _END:
        count += 1
        if code in _WITH_NUMBER:
            value = _number(reader)
        elif code in _WIDTHS:
            reader.skip(_WIDTHS[code])
        elif code == _VECTOR[0] and reader.byte() == _VECTOR[1]:
            reader.skip(16)
        elif code not in _PLAIN:
            raise InvalidModule(f"byte {reader.pos - 1} (0x{code:02x}) has no place in a constant expression")
    plain = count == 1 and reader.data[first] == _I32_CONST
    return value & 0xFFFF_FFFF if plain else None


def _number(reader: Reader) -> int:
    """Read a signed number of up to 64 bits."""
    value = shift = 0
    while True:
        byte = reader.byte()
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value - (1 << shift) if byte & 0x40 else value
        if shift > 63:
            raise InvalidModule(f"a number at byte {reader.pos} is longer than 64 bits")
