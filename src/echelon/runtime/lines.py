"""Where in the source an instruction comes from, for modules whose compiler says so.

Compilers of C, C++, Rust and Zig write line tables (see `dwarf.py`). Echelon's own write the custom section
`echelon:lines`, which is JSON: `{"files": ["math.ts"], "places": [offset, file, line, …]}`. Each three
numbers are differences to the three before, which begin at zero; a place holds from its offset (bytes from the start of
the module) to the next one. File -1 is not the user's code. Either is data from an untrusted file: a lie in
it makes an error message wrong and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from echelon.errors import Frame
from echelon.runtime import dwarf
from echelon.runtime.binary import ModuleInfo, Reader
from echelon.runtime.dwarf import LineTables, Place

SECTION: Final = "echelon:lines"
MAX_BYTES: Final = 4 << 20
_MAX_READ: Final = 64 << 20
"""Bytes of the section that are read in the life of a module: each time that an unknown place is asked for."""

_MAX_LINE: Final = 1 << 30
_MAX_PATH: Final = 256
_MAX_KNOWN: Final = 10_000
"""Places of a module that are remembered."""

_CODE: Final = 10


class _Document(msgspec.Struct):
    files: list[str]
    places: list[int]


def encode(files: Sequence[str], places: Sequence[int]) -> bytes:
    """Return the content of the custom section."""
    return msgspec.json.encode(_Document(list(files), list(places)))


def decode(content: bytes) -> tuple[list[str], list[tuple[int, int, int]]]:
    """Return the files, and offset, file and line of each place; raises ValueError for what is no such section."""
    try:
        document = msgspec.json.decode(content, type=_Document)
    except RecursionError as exc:
        raise ValueError("it nests too deeply") from exc
    places = []
    offset = file = line = 0
    numbers = iter(document.places)
    for step, file_step, line_step in zip(numbers, numbers, numbers, strict=False):
        offset, file, line = offset + step, file + file_step, line + line_step
        places.append((offset, file, line))
    return document.files, places


def listed(wasm: bytes, steps: int) -> bytes | None:
    """Return what `encode` would write of all that a core module says of its lines, None when it says nothing.

    At most `steps` instructions of line tables are run.
    """
    return _Part(wasm, 0, len(wasm)).listed(steps)


def locate(wasm: bytes, info: ModuleInfo, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return the frames with file and line where the module says them; a malformed section says nothing."""
    if not frames:
        return frames
    if info.source is None:
        info.source = Source(wasm, info)
    places = info.source.find({frame.offset for frame in frames})
    return tuple(
        frame if place is None else replace(frame, file=place[0], line=place[1])
        for frame, place in ((frame, places.get(frame.offset)) for frame in frames)
    )


class Source:
    """What is known of the places in a module or component; made at its first trap, and kept with it."""

    def __init__(self, wasm: bytes, info: ModuleInfo) -> None:
        self._parts = [_Part(wasm, start, end) for start, end in info.cores or [(0, len(wasm))]]
        self._known: dict[int, Place | None] = {}

    def find(self, offsets: Iterable[int]) -> dict[int, Place | None]:
        """Return the place of each offset, None where none is known."""
        known = self._known
        if len(known) > _MAX_KNOWN:
            known = self._known = {}
        unknown = sorted(set(offsets) - known.keys())
        found: dict[int, Place | None] = dict.fromkeys(unknown)
        for part in self._parts:
            inside = [offset for offset in unknown if part.start <= offset < part.end]
            if inside:
                found |= part.find(inside)
        known |= found
        return {offset: known[offset] for offset in offsets}


class _Part:
    """One core module, between two bytes of what was loaded."""

    def __init__(self, wasm: bytes, start: int, end: int) -> None:
        self._wasm, self.start, self.end = wasm, start, end
        self._sections: dict[str, tuple[int, int]] | None = None
        self._code = 0
        self._tables: LineTables | None = None
        self._left = _MAX_READ

    def find(self, offsets: list[int]) -> dict[int, Place]:
        """Return the place of each offset that has one; they are in ascending order."""
        if self._sections is None:
            self._sections = self._read_sections()
        if SECTION in self._sections:
            return self._find_listed(*self._sections[SECTION], offsets)
        if dwarf.SECTION not in self._sections:
            return {}
        if self._tables is None:
            self._tables = LineTables(self._wasm, self._sections)
        found = self._tables.find(offset - self._code for offset in offsets)
        return {address + self._code: (_shown(file), line) for address, (file, line) in found.items()}

    def listed(self, steps: int) -> bytes | None:
        """Return the content of the section, or one that says what the line tables say."""
        sections = self._read_sections()
        if SECTION in sections:
            start, end = sections[SECTION]
            return self._wasm[start:end]
        if dwarf.SECTION not in sections:
            return None
        files: dict[str, int] = {}
        numbers: list[int] = []
        before = (0, 0, 0)
        behind = 0
        for start, end, (file, line) in LineTables(self._wasm, sections).rows(steps):
            gap = [(behind, -1, 0)] if behind and behind < start else []
            for place in (*gap, (start, files.setdefault(_shown(file), len(files)), line)):
                now = (place[0] + self._code, *place[1:])
                numbers += (new - old for new, old in zip(now, before, strict=True))
                before = now
            behind = max(behind, end)
        return encode(list(files), numbers)

    def _find_listed(self, start: int, end: int, offsets: list[int]) -> dict[int, Place]:
        self._left -= end - start
        if end - start > MAX_BYTES or self._left < 0:
            return {}
        try:
            files, places = decode(self._wasm[start:end])
        except ValueError:
            return {}
        beginnings = [offset for offset, _, _ in places]
        found = {}
        for wanted in offsets:
            index = bisect_right(beginnings, wanted) - 1
            _, file, line = places[index] if index >= 0 else (0, -1, 0)
            if 0 <= file < len(files) and 0 < line < _MAX_LINE:
                found[wanted] = (_shown(files[file]), line)
        return found

    def _read_sections(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        cursor = Reader(self._wasm, self.start + 8, self.end)
        while cursor.pos < cursor.end:
            section, size = cursor.byte(), cursor.u32()
            begin = cursor.pos
            cursor.skip(size)
            if section == _CODE:
                self._code = begin
            elif section == 0:
                reader = Reader(self._wasm, begin, cursor.pos)
                found.setdefault(reader.name(), (reader.pos, reader.end))
        return found


def _shown(path: str) -> str:
    """Return a path with nothing in it that could steer what it is shown on; of a long one, its end."""
    text = path if len(path) <= _MAX_PATH else "…" + path[1 - _MAX_PATH :]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
