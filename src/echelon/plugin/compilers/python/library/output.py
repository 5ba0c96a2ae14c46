"""What a program prints."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import RUNTIME, fail
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    host_write,
    load32,
    store32,
    text,
)
from echelon.plugin.compilers.python.library.utf8 import utf8_size, write_utf8

NOT_WRITTEN = text("what was printed could not be written")
_OUTPUT = 1


def write(value: int) -> None:
    """Write a string to standard output."""
    place = allocate(utf8_size(value))
    end = write_utf8(value, place)
    vector = allocate(16)
    while place < end:
        store32(vector, place)
        store32(vector + 4, end - place)
        if host_write(_OUTPUT, vector, 1, vector + 8) != 0:
            fail(RUNTIME, NOT_WRITTEN)
            return
        place += load32(vector + 8)
