"""Sets: what two of them have in common. How a set is ordered is never seen."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.dicts import (
    add,
    copy,
    entry,
    find,
    has,
    new,
    next_entry,
    remove_entry,
    size,
)
from echelon.plugin.compilers.python.library.intrinsics import load32, load64
from echelon.plugin.compilers.python.library.lists import make, put


def equal(left: int, right: int, equality: int) -> bool:
    return size(left) == size(right) and at_most(left, right, equality)


def at_most(left: int, right: int, equality: int) -> bool:
    """Tell whether all of one set is in another."""
    if size(left) > size(right):
        return False
    number = next_entry(left, -1)
    while number >= 0:
        place = entry(left, number)
        if not has(right, load64(place), load32(place + 16), equality):
            return False
        number = next_entry(left, number)
    return True


def at_least(left: int, right: int, equality: int) -> bool:
    return at_most(right, left, equality)


def below(left: int, right: int, equality: int) -> bool:
    return size(left) < size(right) and at_most(left, right, equality)


def above(left: int, right: int, equality: int) -> bool:
    return below(right, left, equality)


def is_disjoint(left: int, right: int, equality: int) -> bool:
    number = next_entry(left, -1)
    while number >= 0:
        place = entry(left, number)
        if has(right, load64(place), load32(place + 16), equality):
            return False
        number = next_entry(left, number)
    return True


def union(left: int, right: int, equality: int) -> int:
    found = copy(left)
    number = next_entry(right, -1)
    while number >= 0:
        place = entry(right, number)
        if not has(found, load64(place), load32(place + 16), equality):
            add(found, load64(place), load32(place + 16), 0)
        number = next_entry(right, number)
    return found


def intersection(left: int, right: int, equality: int) -> int:
    return chosen(left, right, equality, True)


def difference(left: int, right: int, equality: int) -> int:
    return chosen(left, right, equality, False)


def chosen(left: int, right: int, equality: int, wanted: bool) -> int:
    """Return what of one set is, or is not, in another."""
    found = new(0)
    number = next_entry(left, -1)
    while number >= 0:
        place = entry(left, number)
        if has(right, load64(place), load32(place + 16), equality) == wanted:
            add(found, load64(place), load32(place + 16), 0)
        number = next_entry(left, number)
    return found


def symmetric_difference(left: int, right: int, equality: int) -> int:
    found = copy(left)
    number = next_entry(right, -1)
    while number >= 0:
        place = entry(right, number)
        known = find(found, load64(place), load32(place + 16), equality)
        if known >= 0:
            remove_entry(found, known)
        else:
            add(found, load64(place), load32(place + 16), 0)
        number = next_entry(right, number)
    return found


def to_list(items: int) -> int:
    found = make(size(items))
    at = 0
    number = next_entry(items, -1)
    while number >= 0:
        put(found, at, load64(entry(items, number)))
        at += 1
        number = next_entry(items, number)
    return found
