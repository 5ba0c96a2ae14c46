"""Where slices begin and end, of lists, texts and bytes.

`flags` says which bounds are given, 1 the first, 2 the second.
"""

from __future__ import annotations


def slice_start(length: int, start: int, step: int, flags: int) -> int:
    """Return where a slice begins, as slice.indices() does."""
    if flags & 1 == 0:
        return 0 if step > 0 else length - 1
    return slice_bound(length, start, step)


def slice_stop(length: int, stop: int, step: int, flags: int) -> int:
    if flags & 2 == 0:
        return length if step > 0 else -1
    return slice_bound(length, stop, step)


def slice_bound(length: int, bound: int, step: int) -> int:
    least = 0
    most = length
    if step < 0:
        least = -1
        most = length - 1
    if bound < 0:
        bound += length
        if bound < least:
            return least
    if bound > most:
        return most
    return bound


def slice_size(start: int, stop: int, step: int) -> int:
    """Return how many items there are between two bounds."""
    if step > 0:
        return 0 if stop <= start else (stop - start - 1) // step + 1
    if step == -(1 << 63):
        return 0 if start <= stop else 1
    return 0 if start <= stop else (start - stop - 1) // -step + 1
