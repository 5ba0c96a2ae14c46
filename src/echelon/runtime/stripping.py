"""Leave custom sections out of a module: what only debuggers read, or what has been read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from echelon.runtime.binary import COMPONENT_MAGIC, Reader, leb

NAMES: Final = frozenset({"name", "component-name"})
PLACES: Final = frozenset({".debug_line", ".debug_line_str", ".debug_str"})
"""What the frames of a trap are read from."""

_MAX_DEPTH: Final = 8
_CODE: Final = 10
_NESTED: Final = (1, 4)  # a core module or a component in a component


def without(data: bytes, drop: Callable[[str], bool], *, in_place: bool = False) -> bytes:
    """Return a module or component without the custom sections whose name `drop` is true of.

    It is the same object when there are none. With `in_place` those before the code stay, so that places in the code
    stay what they are. Raises InvalidModule where the sections do not add up.
    """
    return _without(data, drop, 0, in_place)


def _without(data: bytes, drop: Callable[[str], bool], depth: int, fixed: bool) -> bytes:
    parts: list[bytes] = []
    kept = 0
    cursor = Reader(data, min(8, len(data)), len(data))
    while cursor.pos < cursor.end:
        begin = cursor.pos
        section, size = cursor.byte(), cursor.u32()
        start = cursor.pos
        cursor.skip(size)
        if section == 0:
            if fixed or not drop(Reader(data, start, cursor.pos).name()):
                continue
            content = b""
        elif section in _NESTED and data[:8] == COMPONENT_MAGIC and depth < _MAX_DEPTH:
            inner = data[start : cursor.pos]
            stripped = _without(inner, drop, depth + 1, fixed)
            if stripped is inner:
                continue
            content = bytes([section]) + leb(len(stripped)) + stripped
        else:
            fixed &= section != _CODE
            continue
        parts += (data[kept:begin], content)
        kept = cursor.pos
    return b"".join((*parts, data[kept:])) if parts else data


def unwanted(name: str, *, names: bool, debug: bool) -> bool:
    """Tell whether a section goes: the names of functions, and what debuggers read, unless they are wanted.

    With names but not for a debugger, the lines stay that the frames of a trap show.
    """
    if name in NAMES:
        return not names
    if name.startswith(".debug_"):
        return not debug and not (names and name in PLACES)
    return name == "sourceMappingURL" and not debug
