"""Memory: a call's objects lie one after another and are dropped together when the next call begins."""

from __future__ import annotations

from echelon.plugin.compilers.python.layout import BASE, ENDED, LIMIT, TOP, TRIES
from echelon.plugin.compilers.python.library.intrinsics import (
    less_unsigned,
    load32,
    memory_grow,
    stop,
    store32,
)

_MOST = 1 << 31
_STEP = 16
"""Pages that memory grows by at least, where there is room for them."""


def allocate(size: int) -> int:
    """Return the address of new memory, a multiple of 8."""
    at = load32(TOP)
    end = (at + size + 7) & -8
    if end > load32(LIMIT) or less_unsigned(_MOST, size):
        grow(end, size)
    store32(TOP, end)
    return at


def grow(end: int, size: int) -> None:
    """Make memory reach up to `end`; without room the call ends here, which its host knows by `memory_grow`."""
    if less_unsigned(_MOST, size):
        stop()
    pages = (end - load32(LIMIT) + 65535) >> 16
    if pages < _STEP and memory_grow(_STEP) >= 0:
        store32(LIMIT, load32(LIMIT) + (_STEP << 16))
        return
    if memory_grow(pages) < 0:
        stop()
    store32(LIMIT, load32(LIMIT) + (pages << 16))


def begin() -> None:
    """Begin a call: of what the last one left nothing is needed."""
    if load32(ENDED) != 0:
        store32(TOP, load32(BASE))
        store32(ENDED, 0)
    store32(TRIES, 0)


def end() -> None:
    """End a call; its result stays until the next one begins."""
    store32(ENDED, 1)


def block(size: int) -> int:
    """Return where the arguments of the next call go."""
    if load32(ENDED) != 0:
        store32(TOP, load32(BASE))
        store32(ENDED, 0)
    return allocate(size)
