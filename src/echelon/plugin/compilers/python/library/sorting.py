"""Sorting that keeps the order of what is equal: runs are merged, as a binary insertion sort made them."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    call_test,
    load32,
    load64,
    memory_copy,
    store64,
)

RUN = 16
"""Items that are sorted by insertion."""


def sort(items: int, order: int, descending: int) -> None:
    """Sort a list; `order` is the number of the function that tells whether one word is less than another."""
    count = load32(items + 4)
    keys = load32(items)
    sort_words(keys, 0, count, order, descending)


def sort_by(items: int, keys: int, order: int, descending: int) -> None:
    """Sort a list by a list of keys."""
    sort_words(load32(keys), load32(items), load32(items + 4), order, descending)


def sort_words(keys: int, values: int, count: int, order: int, descending: int) -> None:
    """Sort words, and others beside them where there are any."""
    start = 0
    while start < count:
        stop = start + RUN
        if stop > count:
            stop = count
        insert_all(keys, values, start, stop, order, descending)
        start = stop
    if count <= RUN:
        return
    spare = allocate(count * 8)
    spare_values = 0
    if values != 0:
        spare_values = allocate(count * 8)
    width = RUN
    while width < count:
        start = 0
        while start + width < count:
            stop = start + width * 2
            if stop > count:
                stop = count
            merge(keys, values, spare, spare_values, start, start + width, stop, order, descending)
            start = stop
        width = width * 2


def goes_before(left: int, right: int, order: int, descending: int) -> bool:
    """Tell whether a word has to come before another that is in front of it."""
    if descending != 0:
        return call_test(order, right, left)
    return call_test(order, left, right)


def insert_all(keys: int, values: int, start: int, stop: int, order: int, descending: int) -> None:
    at = start + 1
    while at < stop:
        key = load64(keys + at * 8)
        value = 0
        if values != 0:
            value = load64(values + at * 8)
        place = at
        while place > start and goes_before(key, load64(keys + place * 8 - 8), order, descending):
            store64(keys + place * 8, load64(keys + place * 8 - 8))
            if values != 0:
                store64(values + place * 8, load64(values + place * 8 - 8))
            place -= 1
        store64(keys + place * 8, key)
        if values != 0:
            store64(values + place * 8, value)
        at += 1


def merge(
    keys: int,
    values: int,
    spare: int,
    spare_values: int,
    start: int,
    middle: int,
    stop: int,
    order: int,
    descending: int,
) -> None:
    """Merge two sorted runs that lie side by side."""
    last = load64(keys + middle * 8 - 8)
    if not goes_before(load64(keys + middle * 8), last, order, descending):
        return
    length = middle - start
    memory_copy(spare, keys + start * 8, length * 8)
    if values != 0:
        memory_copy(spare_values, values + start * 8, length * 8)
    left = 0
    right = middle
    place = start
    while left < length:
        if right < stop and goes_before(
            load64(keys + right * 8), load64(spare + left * 8), order, descending
        ):
            store64(keys + place * 8, load64(keys + right * 8))
            if values != 0:
                store64(values + place * 8, load64(values + right * 8))
            right += 1
        else:
            store64(keys + place * 8, load64(spare + left * 8))
            if values != 0:
                store64(values + place * 8, load64(spare_values + left * 8))
            left += 1
        place += 1
