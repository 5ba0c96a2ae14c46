"""Strings as they lie in memory (see layout.py): what is in the header, one character, new strings."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    character_table,
    load8,
    load16,
    load32,
    load64,
    memory_copy,
    store8,
    store16,
    store32,
    store64,
)

GROWABLE = 4
"""Set in the width of a string in a buffer with room behind it; before the buffer is its size, and what is used."""

CHARACTER_TABLE = 256 * 16
"""Bytes of the headers of the strings of one character up to U+00FF, a power of two. Others may be the same."""


def size(text: int) -> int:
    return load32(text + 4)


def width(text: int) -> int:
    """Return how many bytes a character takes, as a power of two."""
    return load32(text + 8) & 3


def at(text: int, index: int) -> int:
    """Return the character at an index that is there."""
    kind = load32(text + 8) & 3
    if kind == 0:
        return load8(load32(text) + index)
    if kind == 1:
        return load16(load32(text) + index * 2)
    return load32(load32(text) + index * 4)


def put(text: int, index: int, code: int) -> None:
    """Set a character of a new string, which has the width for it."""
    kind = load32(text + 8)
    if kind == 0:
        store8(load32(text) + index, code)
    elif kind == 1:
        store16(load32(text) + index * 2, code)
    else:
        store32(load32(text) + index * 4, code)


def width_of(code: int) -> int:
    """Return the width that a character needs."""
    if code < 0x100:
        return 0
    if code < 0x10000:
        return 1
    return 2


def new(length: int, kind: int) -> int:
    """Return a string of a length and width whose characters are still to be set."""
    text = allocate(16 + (length << kind))
    store32(text, text + 16)
    store32(text + 4, length)
    store32(text + 8, kind)
    store32(text + 12, 0)
    return text


def of_code(code: int) -> int:
    """Return the string of one character."""
    if code < 0x100:
        return character_table() + code * 16
    return of_wide_code(code)


def of_wide_code(code: int) -> int:
    text = new(1, width_of(code))
    put(text, 0, code)
    return text


def view(text: int, start: int, length: int) -> int:
    """Return a part of a string that shares its characters; it is as wide as they lie there."""
    found = allocate(16)
    kind = width(text)
    store32(found, load32(text) + (start << kind))
    store32(found + 4, length)
    store32(found + 8, kind)
    store32(found + 12, 0)
    return found


def part(text: int, start: int, length: int) -> int:
    """Return a part of a string, as narrow as its characters allow."""
    if length == load32(text + 4):
        return text
    if length == 1:
        return of_code(at(text, start))
    kind = width(text)
    if kind == 0:
        return view(text, start, length)
    narrow = widest_of(text, start, length)
    if narrow == kind:
        return view(text, start, length)
    found = new(length, narrow)
    copy(found, 0, text, start, length)
    return found


def widest_of(text: int, start: int, length: int) -> int:
    """Return the width that a part of a string needs."""
    kind = width(text)
    index = start
    narrow = 0
    while index < start + length:
        need = width_of(at(text, index))
        if need == kind:
            return kind
        if need > narrow:
            narrow = need
        index += 1
    return narrow


def copy(target: int, to: int, text: int, start: int, length: int) -> None:
    """Copy characters into a new string, which is as wide as they need."""
    kind = load32(target + 8)
    if kind == width(text):
        move(load32(target) + (to << kind), load32(text) + (start << kind), length << kind)
        return
    index = 0
    while index < length:
        put(target, to + index, at(text, start + index))
        index += 1


def move(to: int, source: int, count: int) -> None:
    """Copy bytes to where none of them is; a few go without the engine's help, which is the fastest."""
    if count > 64:
        memory_copy(to, source, count)
        return
    while count >= 8:
        store64(to, load64(source))
        to += 8
        source += 8
        count -= 8
    while count > 0:
        store8(to, load8(source))
        to += 1
        source += 1
        count -= 1


def from_ascii(start: int, end: int) -> int:
    """Return the string of bytes below 0x80, which stay where they are."""
    found = allocate(16)
    store32(found, start)
    store32(found + 4, end - start)
    store32(found + 8, 0)
    store32(found + 12, 0)
    return found
