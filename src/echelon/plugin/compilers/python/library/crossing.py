"""Values that cross the boundary: strings from and to UTF-8."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import allocate, load32, store32
from echelon.plugin.compilers.python.library.strings import from_ascii, size, width
from echelon.plugin.compilers.python.library.utf8 import is_ascii, read_utf8, utf8_size, write_utf8


def text_from(place: int, length: int) -> int:
    """Return the string of UTF-8 at an address, which keeps lying there."""
    if is_ascii(place, length):
        return from_ascii(place, place + length)
    return read_utf8(place, length)


def octets_from(place: int, length: int) -> int:
    return from_ascii(place, place + length)


def put_text(text: int, place: int) -> None:
    """Write where a string lies as UTF-8, and how many bytes it has."""
    length = size(text)
    if width(text) == 0 and is_ascii(load32(text), length):
        store32(place, load32(text))
        store32(place + 4, length)
        return
    length = utf8_size(text)
    made = allocate(length)
    write_utf8(text, made)
    store32(place, made)
    store32(place + 4, length)


def pair(place: int) -> int:
    """Return an address and a length that lie at an address, as the result of a function."""
    return (load32(place) << 32) | load32(place + 4)


def list_from(place: int, count: int) -> int:
    """Return a list whose items lie at an address."""
    found = allocate(16)
    store32(found, place)
    store32(found + 4, count)
    store32(found + 8, count)
    return found
