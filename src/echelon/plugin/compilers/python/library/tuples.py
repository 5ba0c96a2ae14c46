"""Tuples whose items are of one type, by an index that is not constant."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import INDEX, fail, said

_EMPTY: tuple[int, ...] = ()
OUT_OF_RANGE = said(lambda: _EMPTY[1])


def place(count: int, index: int) -> int:
    """Return how far behind the beginning an item lies."""
    if index < 0:
        index += count
    if index < 0 or index >= count:
        fail(INDEX, OUT_OF_RANGE)
        return 0
    return index * 8
