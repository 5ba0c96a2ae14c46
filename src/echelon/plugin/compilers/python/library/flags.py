"""Lists of bools whose items are bytes; the header is that of other lists."""

from __future__ import annotations

from echelon.plugin.compilers.python.layout import GROWN, TOP
from echelon.plugin.compilers.python.library.errors import INDEX, VALUE, fail
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    load8,
    load32,
    memory_copy,
    memory_fill,
    store8,
    store32,
)
from echelon.plugin.compilers.python.library.lists import (
    MOST,
    POP_EMPTY,
    ZERO_STEP,
    can_be_set,
    size,
)
from echelon.plugin.compilers.python.library.slices import slice_size, slice_start, slice_stop


def make(count: int) -> int:
    """Return a list of so many items, which are still to be set."""
    found = allocate(16 + count)
    store32(found, found + 16)
    store32(found + 4, count)
    store32(found + 8, count)
    return found


def grow(items: int) -> None:
    """Make room for more."""
    reserve(items, load32(items + 4) + 1)


def reserve(items: int, count: int) -> None:
    """Make room for so many items at least, and for more when they do not fit: appending is cheap."""
    room = load32(items + 8)
    if count <= room:
        return
    store32(GROWN, load32(GROWN) + 1)
    more = room * 2 + 16
    if more < count:
        more = count
    moved = allocate(more)
    memory_copy(moved, load32(items), load32(items + 4))
    store32(items, moved)
    store32(items + 8, more)


def append(items: int, word: int) -> None:
    at = size(items)
    reserve(items, at + 1)
    store8(load32(items) + at, word)
    store32(items + 4, at + 1)


def pop_last(items: int) -> int:
    last = size(items) - 1
    if last < 0:
        fail(INDEX, POP_EMPTY)
        return 0
    store32(items + 4, last)
    return load8(load32(items) + last)


def count(items: int, word: int, _equality: int) -> int:
    found = 0
    at = load32(items)
    end = at + size(items)
    while at < end:
        if load8(at) == word:
            found += 1
        at += 1
    return found


def reverse(items: int) -> None:
    low = load32(items)
    high = low + size(items) - 1
    while low < high:
        word = load8(low)
        store8(low, load8(high))
        store8(high, word)
        low += 1
        high -= 1


def copy(items: int) -> int:
    return part(items, 0, size(items))


def part(items: int, start: int, length: int) -> int:
    found = make(length)
    memory_copy(load32(found), load32(items) + start, length)
    return found


def concat(left: int, right: int) -> int:
    found = make(size(left) + size(right))
    memory_copy(load32(found), load32(left), size(left))
    memory_copy(load32(found) + size(left), load32(right), size(right))
    return found


def extend(items: int, more: int) -> None:
    length = size(items)
    second = size(more)
    reserve(items, length + second)
    memory_copy(load32(items) + length, load32(more), second)
    store32(items + 4, length + second)


def repeat(items: int, times: int) -> int:
    length = size(items)
    if times <= 0 or length == 0:
        return make(0)
    if times > MOST or length * times > MOST:
        allocate(1 << 40)
    found = make(length * times)
    data = load32(found)
    if length == 1:
        memory_fill(data, load8(load32(items)), times)
        return found
    end = data + length * times
    while data < end:
        memory_copy(data, load32(items), length)
        data += length
    return found


def slice(items: int, start: int, stop: int, flags: int) -> int:
    first = slice_start(size(items), start, 1, flags)
    last = slice_stop(size(items), stop, 1, flags)
    if last <= first:
        return make(0)
    return part(items, first, last - first)


def slice_step(items: int, start: int, stop: int, step: int, flags: int) -> int:
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return items
    first = slice_start(size(items), start, step, flags)
    length = slice_size(first, slice_stop(size(items), stop, step, flags), step)
    found = make(length)
    at = 0
    while at < length:
        store8(load32(found) + at, load8(load32(items) + first))
        first += step
        at += 1
    return found


def drop(items: int) -> None:
    """Give the memory of a list back that nothing refers to, when it is the newest."""
    if load32(items) == items + 16 and (items + 16 + load32(items + 8) + 7) & -8 == load32(TOP):
        store32(TOP, items)


def set_slice(items: int, start: int, stop: int, flags: int, more: int) -> None:
    length = size(items)
    first = slice_start(length, start, 1, flags)
    last = slice_stop(length, stop, 1, flags)
    if last < first:
        last = first
    second = size(more)
    if more == items:
        more = copy(more)
    if first + second != last:
        reserve(items, length - (last - first) + second)
        memory_copy(load32(items) + first + second, load32(items) + last, length - last)
        store32(items + 4, length - (last - first) + second)
    memory_copy(load32(items) + first, load32(more), second)


def set_slice_step(items: int, start: int, stop: int, step: int, flags: int, more: int) -> None:
    if step == 1:
        set_slice(items, start, stop, flags, more)
        return
    if not can_be_set(items, start, stop, step, flags, more):
        return
    first = slice_start(size(items), start, step, flags)
    if more == items:
        more = copy(more)
    at = 0
    while at < size(more):
        store8(load32(items) + first, load8(load32(more) + at))
        first += step
        at += 1
