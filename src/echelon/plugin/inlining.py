"""What wasm-opt may inline when a trap should still name the functions and lines of the user's source.

Of a module whose compiler says which code is the user's (see `runtime/lines.py`), the functions of the compiler's own
library may move into others; what is known of their place then is the line that called them. Of other modules nothing
may: their compilers inlined already, and the line tables of a library name its own lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from echelon.runtime import binary, lines
from echelon.runtime.binary import Reader

NOTHING: Final = ("--no-inline=*",)
MOST: Final = 500
"""Functions that are named one by one; each is a pass over the module."""

_FUNCTION_NAMES: Final = 1


def flags(wasm: bytes, content: bytes) -> tuple[str, ...]:
    """Return arguments that keep the functions with a place in `content` where they are, one for each or one for all.

    `content` is that of a section of lines. Raises InvalidModule and ValueError for what cannot be read.
    """
    beginnings = [offset for offset, file, _ in lines.decode(content)[1] if file >= 0]
    info = binary.parse(wasm)
    imported = len(info.imported_functions)
    users = {
        imported + index
        for index, (start, end) in enumerate(info.bodies)
        if bisect_left(beginnings, start) < bisect_left(beginnings, end)
    }
    names = [name for index, name in _names(wasm, info) if index in users]
    if len(names) < len(users) or len(users) > MOST:
        return NOTHING
    return tuple(f"--no-inline={name}" for name in names)


def filled(wasm: bytes, content: bytes) -> bytes:
    """Return a section of lines in which code of no place has the place before it in its function, or the next one."""
    files, places = lines.decode(content)
    offsets = [offset for offset, _, _ in places]
    made: list[tuple[int, int, int]] = [(0, 0, 0)]
    for start, end in binary.parse(wasm).bodies:
        inside = places[bisect_left(offsets, start) : bisect_left(offsets, end)]
        last = next(((file, line) for _, file, line in inside if file >= 0), (-1, 0))
        made.append((start, *last))
        for offset, file, line in inside:
            if file >= 0 and (file, line) != last:
                last = (file, line)
                made.append((offset, file, line))
    steps = [new - old for before, now in pairwise(made) for old, new in zip(before, now, strict=True)]
    return lines.encode(files, steps)


def _names(wasm: bytes, info: binary.ModuleInfo) -> Iterator[tuple[int, str]]:
    """Yield index and name of the functions that the custom section `name` names."""
    if "name" not in info.custom:
        return
    reader = Reader(wasm, *info.custom["name"])
    while reader.pos < reader.end:
        kind, size = reader.byte(), reader.u32()
        if kind != _FUNCTION_NAMES:
            reader.skip(size)
            continue
        for _ in range(reader.count("names of functions", binary.MAX_FUNCTIONS)):
            yield reader.u32(), reader.name()
