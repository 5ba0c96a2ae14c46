"""Find the line of the source for an instruction, in the line tables that compilers of C, C++, Rust and Zig write.

A line table is a program whose run gives rows of address, file and line. None is run whole: the section is searched
once for the instruction that sets an address, which is how the rows of a function begin, and when a function is asked
about only its own part is run. This happens after a trap, on the event loop, and the bytes are a stranger's. So every
position is checked against the end of its section, and every step is taken from a budget for the trap, which comes out
of another for the life of the module. A lie in the tables makes an error message wrong and nothing else.

Source: DWARF 2 to 5, section 6.2; DWARF for WebAssembly, by which addresses count from the code section's content.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from echelon.errors import InvalidModule
from echelon.runtime.dwarf_unit import Budget, Sections, Spent, Unit, file_name, read_unit

SECTION: Final = ".debug_line"
MAX_SECTION: Final = 16 << 20
MAX_FUNCTIONS: Final = 100_000
MAX_UNITS: Final = 20_000
MAX_STEPS: Final = 50_000
"""Instructions of line programs and entries of their tables that are read for one trap."""

MAX_LIFE: Final = 40 * MAX_STEPS
"""The same for all traps of a module."""

_MAX_LINE: Final = 1 << 30
_MAX_BACK: Final = 256 << 10
"""Bytes between the beginning of a sequence of rows and an instruction that sets an address."""

_TRIES: Final = 4
"""Bytes that look like such an instruction, and are none, before the search is given up."""

_TOMBSTONES: Final = (0, 0xFFFF_FFFE, 0xFFFF_FFFF)
"""What linkers write for the address of a function that they left out."""

_SET_ADDRESS: Final = re.compile(rb"\x00\x05\x02(?=(.{4}))", re.DOTALL)
_END_SEQUENCE: Final = b"\x00\x01\x01"

# Instructions; see DWARF 5, 6.2.5.
_EXTENDED, _COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE = 0, 1, 2, 3, 4
_CONST_ADD_PC, _FIXED_ADVANCE_PC = 8, 9
_END, _ADDRESS = 1, 2

Place = tuple[str, int]
"""A file and a line of it."""


class LineTables:
    """The line tables of one module; `sections` says where its custom sections lie in `data`."""

    def __init__(self, data: bytes, sections: Sections) -> None:
        self._data, self._sections = data, sections
        start, end = sections.get(SECTION, (0, 0))
        self._end = min(end, start + MAX_SECTION)
        self._units = self._find_units(start)
        self._functions = self._find_functions(start)
        self._files: dict[tuple[int, int], str] = {}
        self._life = MAX_LIFE
        self._budget = Budget()

    def find(self, addresses: Iterable[int]) -> dict[int, Place]:
        """Return file and line of each address that has one, as far as the budget goes."""
        budget = self._budget
        allowed = budget.left = min(MAX_STEPS, self._life)
        found = {}
        try:
            for address in addresses:
                place = self._find(address)
                if place is not None:
                    found[address] = place
        except Spent:
            budget.left = 0
        self._life -= allowed - budget.left
        return found

    def rows(self, steps: int) -> list[tuple[int, int, Place]]:
        """Return every row, in order: its first address, the one behind it, file and line.

        At most `steps` instructions are run; what they did not reach is left out.
        """
        self._budget.left = steps
        found: dict[int, tuple[int, Place]] = {}
        with suppress(Spent):
            for function in self._functions:
                with suppress(InvalidModule, IndexError):  # not what it looked like
                    number, unit = self._unit_around(function & 0xFFFF_FFFF)
                    if unit is not None:
                        for start, end, file, line in self._rows(unit, function & 0xFFFF_FFFF):
                            name = self._file(number, unit, file)
                            if name and 0 < line < _MAX_LINE:
                                found[start] = (end, (name, line))
        return [(start, *found[start]) for start in sorted(found)]

    def _find_units(self, pos: int) -> array[int]:
        units = array("Q")
        while pos + 4 <= self._end and len(units) < MAX_UNITS:
            units.append(pos)
            pos += 4 + int.from_bytes(self._data[pos : pos + 4], "little")
        return units

    def _find_functions(self, start: int) -> array[int]:
        """Return address and position of each instruction that sets an address, as one number each, in order."""
        found = []
        for match in _SET_ADDRESS.finditer(self._data, start, self._end):
            address = int.from_bytes(match[1], "little")
            if address not in _TOMBSTONES:
                found.append(address << 32 | match.start())
                if len(found) == MAX_FUNCTIONS:
                    break
        return array("Q", sorted(found))

    def _find(self, address: int) -> Place | None:
        end = bisect_right(self._functions, (address + 1 << 32) - 1)
        for index in range(end - 1, max(end - 1 - _TRIES, -1), -1):
            position = self._functions[index] & 0xFFFF_FFFF
            try:
                number, unit = self._unit_around(position)
                row = None if unit is None else self._run(unit, position, address)
                if unit is not None and row is not None:
                    file, line = self._file(number, unit, row[0]), row[1]
                    return (file, line) if file and 0 < line < _MAX_LINE else None
            except (InvalidModule, IndexError):  # not what it looked like
                continue
        return None

    def _unit_around(self, position: int) -> tuple[int, Unit | None]:
        number = bisect_right(self._units, position) - 1
        return number, read_unit(self._data, self._units[number], self._end)

    def _file(self, number: int, unit: Unit, file: int) -> str:
        known = self._files.get((number, file))
        if known is None:
            known = file_name(self._data, self._sections, unit, file, self._budget)
            self._files[number, file] = known
        return known

    def _run(self, unit: Unit, near: int, wanted: int) -> tuple[int, int] | None:
        """Return file and line of the row that holds the wanted address, of those around a position."""
        for start, end, file, line in self._rows(unit, near):
            if start <= wanted < end:
                return file, line
        return None

    def _rows(self, unit: Unit, near: int) -> Iterator[tuple[int, int, int, int]]:
        """Run the sequence around a position; yield first address, the one behind it, file and line of each row."""
        data, end, step, operands = self._data, unit.end, unit.step, unit.operands
        first_special, line_base, line_range = len(operands) + 1, unit.line_base, unit.line_range
        pos = self._sequence(unit, near)
        address, file, line = 0, 1, 1
        row: tuple[int, int, int] | None = None
        while pos < end:
            opcode, pos, ends = data[pos], pos + 1, False
            self._budget.take(1)
            if opcode >= first_special:
                address += (opcode - first_special) // line_range * step
                line += line_base + (opcode - first_special) % line_range
            elif opcode == _EXTENDED:
                size, pos = _uleb(data, pos)
                kind, operand, pos = data[pos], pos + 1, pos + size
                if kind == _ADDRESS:
                    address = int.from_bytes(data[operand:pos][:4], "little")
                ends = kind == _END
                if not ends:
                    continue
            elif opcode != _COPY:
                if opcode == _CONST_ADD_PC:
                    address += (255 - first_special) // line_range * step
                elif opcode == _FIXED_ADVANCE_PC:
                    address, pos = address + int.from_bytes(data[pos : pos + 2], "little"), pos + 2
                elif opcode == _ADVANCE_LINE:
                    delta, pos = _sleb(data, pos)
                    line += delta
                else:
                    value, pos = self._last_of(operands[opcode - 1], pos)
                    if opcode == _ADVANCE_PC:
                        address += value * step
                    elif opcode == _SET_FILE:
                        file = value
                continue
            if row is not None and row[0] < address:
                yield row[0], address, row[1], row[2]
            if ends:
                return
            row = address, file, line

    def _sequence(self, unit: Unit, near: int) -> int:
        """Return where the sequence of rows begins in which a position lies."""
        earliest = max(unit.start, near - _MAX_BACK)
        found = self._data.rfind(_END_SEQUENCE, earliest, near)
        begin = earliest if found < 0 else found + len(_END_SEQUENCE)
        self._budget.take(max(0, near - begin) >> 6)
        if found < 0 and (earliest > unit.start or near < unit.start):
            raise InvalidModule(f"nothing begins before byte {near}")
        return begin

    def _last_of(self, count: int, pos: int) -> tuple[int, int]:
        """Pass over the operands of an instruction; return the last one's value."""
        value = 0
        self._budget.take(count)
        for _ in range(count):
            value, pos = _uleb(self._data, pos)
        return value, pos


def _uleb(data: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, pos = data[pos], pos + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7
        if shift > 63:
            raise InvalidModule(f"a number at byte {pos} is longer than 64 bits")


def _sleb(data: bytes, pos: int) -> tuple[int, int]:
    value, after = _uleb(data, pos)
    bits = 7 * (after - pos)
    return value - (1 << bits) if value >> bits - 1 else value, after
