"""Read the head of one unit of a line table: how its instructions are coded, and the names of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from echelon.errors import InvalidModule
from echelon.runtime.binary import Reader

_PATH, _DIRECTORY = 1, 2
_STRING, _BLOCK, _STRP, _UDATA, _LINE_STRP = 0x08, 0x09, 0x0E, 0x0F, 0x1F
_FIXED: Final = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}
"""Sizes of the forms data1, data2, data4, data8 and data16."""

_MAX_TEXT: Final = 1024
"""Bytes of one path, or of one directory, that are read."""

Sections = Mapping[str, tuple[int, int]]
"""Where the custom sections of a module begin and end."""


class Spent(Exception):
    """The budget of steps is used up."""


@dataclass(slots=True)
class Budget:
    """Steps that may still be taken."""

    left: int = 0

    def take(self, steps: int) -> None:
        """Count steps; raises Spent."""
        self.left -= steps
        if self.left < 0:
            raise Spent


@dataclass(frozen=True, slots=True)
class Unit:
    """One line program: its instructions lie from `start` to `end`, the names of its files before them at `tables`."""

    version: int
    step: int
    line_base: int
    line_range: int
    operands: bytes
    tables: int
    start: int
    end: int


def read_unit(data: bytes, pos: int, limit: int) -> Unit | None:
    """Return the unit that begins at a position, None for one of an unknown form; raises InvalidModule."""
    end = pos + 4 + int.from_bytes(data[pos : pos + 4], "little")
    version = int.from_bytes(data[pos + 4 : pos + 6], "little")
    if end > limit or not 2 <= version <= 5:
        return None
    head = Reader(data, pos + (8 if version == 5 else 6), end)
    start = head.pos + 4 + int.from_bytes(data[head.pos : head.pos + 4], "little")
    head.skip(4)
    step = head.byte()
    head.skip(1 if version < 4 else 2)
    line_base, line_range, first_special = head.byte(), head.byte(), head.byte()
    operands = data[head.pos : head.pos + first_special - 1]
    tables = head.pos + len(operands)
    if not line_range or len(operands) != first_special - 1 or not tables <= start <= end:
        return None
    return Unit(version, step, (line_base ^ 0x80) - 0x80, line_range, operands, tables, start, end)


def file_name(data: bytes, sections: Sections, unit: Unit, number: int, budget: Budget) -> str:
    """Return the path of one of a unit's files, "" for one that is not there; raises InvalidModule and Spent.

    It is the path that the compiler was given. What lies below the directory that the compiler ran in is relative to
    that directory, where the tables name it.
    """
    tables = _Tables(data, sections, unit, budget)
    base, directory, name = tables.modern(number) if unit.version == 5 else tables.classic(number)
    path = name if name.startswith("/") or not directory else f"{directory.rstrip('/')}/{name}"
    if base and path.startswith(f"{base}/"):
        path = path[len(base) + 1 :]
    return "/".join(part for part in path.split("/") if part != ".")


class _Tables:
    """A cursor over the directories and files in front of a line program."""

    def __init__(self, data: bytes, sections: Sections, unit: Unit, budget: Budget) -> None:
        self._reader = Reader(data, unit.tables, unit.start)
        self._data, self._sections, self._budget = data, sections, budget

    def classic(self, number: int) -> tuple[str, str, str]:
        """Return base, directory and name of a file as DWARF 2 to 4 have them: the base is not in the tables."""
        reader = self._reader
        directories = []
        while (place := self._skip_text()) is not None:
            directories.append(place)
        while (place := self._skip_text()) is not None:
            directory, _time, _length = reader.u32(), reader.u32(), reader.u32()
            number -= 1
            if not number:
                parent = self._text(directories[directory - 1]) if 0 < directory <= len(directories) else ""
                return "", parent, self._text(place)
        return "", "", ""

    def modern(self, number: int) -> tuple[str, str, str]:
        """Return base, directory and name of a file as DWARF 5 has them: the first directory is the base."""
        formats, count = self._formats(), self._reader.u32()
        directories = self._reader.pos
        self._skip(formats, count)
        of_files, files = self._formats(), self._reader.u32()
        if number >= files or not count:
            return "", "", ""
        self._skip(of_files, number)
        place, directory = self._entry(of_files)
        self._reader.pos = directories
        base = self._text(self._entry(formats)[0])
        if not 0 < directory < count:
            return base, "", self._text(place)
        self._skip(formats, directory - 1)
        return base, self._text(self._entry(formats)[0]), self._text(place)

    def _formats(self) -> list[tuple[int, int]]:
        return [(self._reader.u32(), self._reader.u32()) for _ in range(self._reader.byte())]

    def _skip(self, formats: list[tuple[int, int]], count: int) -> None:
        for _ in range(count):
            self._entry(formats)

    def _entry(self, formats: list[tuple[int, int]]) -> tuple[tuple[int, int], int]:
        """Pass over an entry; return where its path lies and the number of its directory."""
        self._budget.take(1 + len(formats))
        path, directory = (0, 0), 0
        for content, form in formats:
            value, place = self._field(form)
            if content == _PATH:
                path = place
            elif content == _DIRECTORY:
                directory = value
        return path, directory

    def _field(self, form: int) -> tuple[int, tuple[int, int]]:
        """Pass over a field; return its value, or where its text lies."""
        reader = self._reader
        if form == _STRING:
            return 0, self._skip_text() or (0, 0)
        if form in (_LINE_STRP, _STRP):
            reader.skip(4)
            start, end = self._sections.get(".debug_line_str" if form == _LINE_STRP else ".debug_str", (0, 0))
            return 0, (start + int.from_bytes(self._data[reader.pos - 4 : reader.pos], "little"), end)
        if form == _UDATA:
            return reader.u32(), (0, 0)
        if form == _BLOCK:
            reader.skip(reader.u32())
        elif form in _FIXED:
            reader.skip(_FIXED[form])
            return int.from_bytes(self._data[reader.pos - _FIXED[form] : reader.pos], "little"), (0, 0)
        else:
            raise InvalidModule(f"a field of a line table has the unknown form {form}")
        return 0, (0, 0)

    def _skip_text(self) -> tuple[int, int] | None:
        """Pass over a text that ends with a zero byte; return where it lies, None for an empty one."""
        reader = self._reader
        start, end = reader.pos, self._data.find(b"\0", reader.pos, reader.end)
        if end < 0:
            raise InvalidModule(f"a text at byte {start} has no end")
        self._budget.take(1 + (end - start >> 8))
        reader.pos = end + 1
        return (start, end) if end > start else None

    def _text(self, place: tuple[int, int]) -> str:
        start, end = place[0], min(place[1], place[0] + _MAX_TEXT)
        return self._data[start:end].partition(b"\0")[0].decode("utf-8", "replace")
