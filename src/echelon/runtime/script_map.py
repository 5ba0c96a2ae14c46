"""Where in the author's files the places of a script are: its source map, and the frames of what it threw.

The section `echelon:script.map` is JSON, `{"files": ["main.ts"], "mappings": "AAAA;…"}`, with the mappings of a source
map (ECMA-426). It comes from an untrusted file: a lie in it makes an error message wrong and nothing else.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import msgspec

from echelon.errors import Frame

SECTION: Final = "echelon:script.map"
MAX_BYTES: Final = 2 << 20
"""Bytes of a map that are read; what a larger one says is not shown."""

MAX_FRAMES: Final = 32
MAX_STACK: Final = 16 << 10
FILE: Final = "script.js"
"""What the engine calls a script."""

HOST: Final = "echelon:host"
FIRST_LINE: Final = 2
"""The engine's line that is the script's first."""

_MAX_NUMBER: Final = 1 << 30
_MAX_FILES: Final = 4096
_DIGITS: Final = {
    c: n for n, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_LEVEL: Final = re.compile(r"^\s*at (?:(.*) \()?([^()\s]+?)(?::(\d+))?(?::(\d+))?\)?$")


class _Document(msgspec.Struct):
    files: list[str]
    mappings: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an author's file; lines and columns count from one."""

    file: str
    line: int
    column: int


def encode(files: list[str], mappings: str) -> bytes:
    """Return the content of the section."""
    return msgspec.json.encode(_Document(files, mappings))


@dataclass(slots=True)
class ScriptMap:
    """The map of one script, read when something is looked up first."""

    content: bytes
    _lines: list[tuple[list[int], list[tuple[int, int, int]]]] | None = None
    _files: list[str] = field(default_factory=list)

    def find(self, line: int, column: int) -> Place | None:
        """Return where a place of the script is from; lines and columns count from one."""
        if self._lines is None:
            self._lines = self._read()
        if not 0 < line <= len(self._lines):
            return None
        columns, places = self._lines[line - 1]
        position = bisect_right(columns, column - 1) - 1
        if position < 0:
            return None
        file, found, start = places[position]
        return Place(self._files[file], found + 1, start + 1) if 0 <= file < len(self._files) else None

    def _read(self) -> list[tuple[list[int], list[tuple[int, int, int]]]]:
        if len(self.content) > MAX_BYTES:
            return []
        try:
            document = msgspec.json.decode(self.content, type=_Document)
            self._files = document.files[:_MAX_FILES]
            return _lines(document.mappings)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return []


def _lines(mappings: str) -> list[tuple[list[int], list[tuple[int, int, int]]]]:
    """Return the columns of each line, with file, line and column of each; raises ValueError for what is no map."""
    file = line = column = 0
    lines = []
    for text in mappings.split(";"):
        start, columns, places = 0, list[int](), list[tuple[int, int, int]]()
        for segment in text.split(",") if text else ():
            found = numbers(segment)
            start += found[0]
            if len(found) < 4:
                continue
            file, line, column = file + found[1], line + found[2], column + found[3]
            if not (0 <= start < _MAX_NUMBER and 0 <= line < _MAX_NUMBER and 0 <= column < _MAX_NUMBER):
                raise ValueError("a place is out of range")
            columns.append(start)
            places.append((file, line, column))
        lines.append((columns, places))
    return lines


def numbers(segment: str) -> list[int]:
    """Return the numbers of a segment, at most five (base 64 VLQ); raises ValueError."""
    found: list[int] = []
    value = shift = 0
    for character in segment:
        digit = _DIGITS.get(character)
        if digit is None or shift > 30 or len(found) > 4:
            raise ValueError("a segment cannot be read")
        value |= (digit & 31) << shift
        shift += 5
        if digit < 32:
            found.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if shift or not found:
        raise ValueError("a segment ends in the middle")
    return found


def read_frames(stack: str, places: ScriptMap | None) -> tuple[Frame, ...]:
    """Return the levels of a stack as the engine writes it, without those of the host script, innermost first."""
    frames: list[Frame] = []
    own = 0  # up to the script's outermost; behind it is only how the host script called it
    for text in stack[:MAX_STACK].splitlines():
        match = _LEVEL.match(text)
        if match is None or match[2] == HOST:
            continue
        name = (match[1] or "<anonymous>")[:256]
        place = None
        if places is not None and match[2] == FILE and match[3] and match[4]:
            place = places.find(int(match[3]) - FIRST_LINE + 1, int(match[4]))
        if place is None:
            frames.append(Frame(name, -1, 0))
        else:
            frames.append(Frame(name, -1, 0, place.file, place.line, place.column))
        if match[2] == FILE:
            own = len(frames)
        if len(frames) == MAX_FRAMES:
            break
    return tuple(frames[:own])
