"""The lines of a module as the source map of a WebAssembly module, which other tools read and write, and back.

A source map (ECMA-426) of a module has one line, whose columns are offsets of bytes from the module's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import msgspec

from echelon.runtime import lines, script_map

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class _Map(msgspec.Struct):
    version: int
    sources: list[str]
    mappings: str
    names: list[str] = []


def write(content: bytes) -> bytes:
    """Return the source map that says what the section `echelon:lines` says; raises ValueError for what is none."""
    files, places = lines.decode(content)
    segments: list[str] = []
    before = (0, 0, 0)
    for offset, file, line in places:
        step = _number(offset - before[0])
        if 0 <= file < len(files) and line > 0:
            step += _number(file - before[1]) + _number(line - 1 - before[2]) + _number(0)
            before = (offset, file, line - 1)
        else:
            before = (offset, before[1], before[2])
        segments.append(step)
    return msgspec.json.encode(_Map(3, files, ",".join(segments)))


def read(content: bytes) -> bytes:
    """Return the section `echelon:lines` that says what a source map says; raises ValueError for what is none."""
    found = msgspec.json.decode(content, type=_Map)
    return lines.encode(found.sources, list(_steps(_places(found.mappings))))


def _places(mappings: str) -> Iterator[tuple[int, int, int]]:
    """Yield offset, file and line of each segment; file -1 where none is named. One that repeats is left out."""
    yield (0, 0, 0)  # what the first difference is taken from
    offset = file = line = 0
    last = (-1, 0)
    for segment in mappings.split(",") if mappings else ():
        numbers = script_map.numbers(segment)
        offset += numbers[0]
        if len(numbers) >= 4:
            file, line = file + numbers[1], line + numbers[2]
        place = (file, line + 1) if len(numbers) >= 4 else (-1, 0)
        if place != last:
            yield (offset, *place)
            last = place


def _steps(places: Iterable[tuple[int, int, int]]) -> Iterator[int]:
    for before, now in pairwise(places):
        yield from (new - old for old, new in zip(before, now, strict=True))


def _number(value: int) -> str:
    """Return a number in base 64 VLQ."""
    rest = -value << 1 | 1 if value < 0 else value << 1
    digits = ""
    while True:
        digit, rest = rest & 31, rest >> 5
        digits += _ALPHABET[digit | (32 if rest else 0)]
        if not rest:
            return digits
