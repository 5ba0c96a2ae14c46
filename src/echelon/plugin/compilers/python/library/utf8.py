"""Strings to UTF-8 and back."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import (
    load8,
    load32,
    load64,
    memory_copy,
    store8,
)
from echelon.plugin.compilers.python.library.strings import at, new, put, size, width, width_of

_HIGH_BITS = -0x7F7F_7F7F_7F7F_7F80


def is_ascii(place: int, length: int) -> bool:
    """Tell whether all bytes are below 0x80."""
    end = place + length
    while place + 8 <= end:
        if load64(place) & _HIGH_BITS != 0:
            return False
        place += 8
    while place < end:
        if load8(place) >= 0x80:
            return False
        place += 1
    return True


def utf8_size(text: int) -> int:
    """Return how many bytes a string takes."""
    length = size(text)
    if width(text) == 0 and is_ascii(load32(text), length):
        return length
    total = 0
    index = 0
    while index < length:
        code = at(text, index)
        total += 1
        if code >= 0x80:
            total += 1
        if code >= 0x800:
            total += 1
        if code >= 0x10000:
            total += 1
        index += 1
    return total


def write_utf8(text: int, place: int) -> int:
    """Write a string and return where it ends."""
    length = size(text)
    if width(text) == 0 and is_ascii(load32(text), length):
        memory_copy(place, load32(text), length)
        return place + length
    index = 0
    while index < length:
        place = write_code(at(text, index), place)
        index += 1
    return place


def write_code(code: int, place: int) -> int:
    """Write one character and return where it ends."""
    if code < 0x80:
        store8(place, code)
        return place + 1
    if code < 0x800:
        store8(place, 0xC0 | (code >> 6))
        store8(place + 1, 0x80 | (code & 0x3F))
        return place + 2
    if code < 0x10000:
        store8(place, 0xE0 | (code >> 12))
        store8(place + 1, 0x80 | ((code >> 6) & 0x3F))
        store8(place + 2, 0x80 | (code & 0x3F))
        return place + 3
    store8(place, 0xF0 | (code >> 18))
    store8(place + 1, 0x80 | ((code >> 12) & 0x3F))
    store8(place + 2, 0x80 | ((code >> 6) & 0x3F))
    store8(place + 3, 0x80 | (code & 0x3F))
    return place + 4


def code_size(byte: int) -> int:
    """Return how many bytes the character takes that begins with a byte."""
    if byte < 0x80:
        return 1
    if byte < 0xE0:
        return 2
    if byte < 0xF0:
        return 3
    return 4


def read_code(place: int) -> int:
    """Return the character at a place; the bytes are UTF-8."""
    byte = load8(place)
    if byte < 0x80:
        return byte
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (load8(place + 1) & 0x3F)
    if byte < 0xF0:
        return ((byte & 0x0F) << 12) | ((load8(place + 1) & 0x3F) << 6) | (load8(place + 2) & 0x3F)
    high = ((byte & 0x07) << 18) | ((load8(place + 1) & 0x3F) << 12)
    return high | ((load8(place + 2) & 0x3F) << 6) | (load8(place + 3) & 0x3F)


def read_utf8(place: int, length: int) -> int:
    """Return the string of bytes that are UTF-8."""
    if is_ascii(place, length):
        found = new(length, 0)
        memory_copy(load32(found), place, length)
        return found
    end = place + length
    count = 0
    kind = 0
    origin = place
    while origin < end:
        need = width_of(read_code(origin))
        if need > kind:
            kind = need
        count += 1
        origin += code_size(load8(origin))
    found = new(count, kind)
    index = 0
    while index < count:
        put(found, index, read_code(place))
        place += code_size(load8(place))
        index += 1
    return found
