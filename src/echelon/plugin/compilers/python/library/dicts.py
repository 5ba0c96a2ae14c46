"""Dicts and sets: entries in the order in which they came, found by a table of their numbers.

The header has the address of the entries, how many there are, the address of the table, how many places that has, how
many entries were made, and for how many there is room. An entry is a key, a value, a hash, and whether it is still
there; a place in the table is the number of an entry plus one, 0 for none. Sets are dicts without values.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import KEY, RUNTIME, fail, said
from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    allocate,
    call_word,
    float_bits,
    load32,
    load64,
    memory_copy,
    memory_fill,
    shift_right_unsigned,
    store32,
    store64,
    text,
    wrap,
)
from echelon.plugin.compilers.python.library.lists import join, make, put, same

ENTRY = 24
HEADER = 32
DELETED = 0xFFFF_FFFF
_EMPTY: dict[int, int] = {}
CHANGED = text("dictionary changed size during iteration")
POP_EMPTY = said(lambda: _EMPTY.popitem())
COMMA = text(", ")
COLON = text(": ")
EMPTY = text("{}")
EMPTY_TEXT = text("")
OPEN = text("{")
CLOSE = text("}")


def new(room: int) -> int:
    found = allocate(HEADER)
    memory_fill(found, 0, HEADER)
    if room > 0:
        rebuild(found, room)
    return found


def mix(word: int) -> int:
    """Return the hash of a word."""
    word = wrap(word * -0x61C8_8646_80B5_83EB)
    return (word ^ shift_right_unsigned(word, 32)) & 0xFFFF_FFFF


def hash_float(value: float) -> int:
    if value == 0.0:
        value = absolute(value)
    return mix(float_bits(value))


def size(entries: int) -> int:
    return load32(entries + 4)


def entry(target: int, number: int) -> int:
    """Return the address of an entry."""
    return load32(target) + number * ENTRY


def find(target: int, key: int, hashed: int, equality: int) -> int:
    """Return the number of a key's entry, -1 when there is none."""
    places = load32(target + 12)
    if places == 0:
        return -1
    table = load32(target + 8)
    hashed = hashed & 0xFFFF_FFFF
    at = hashed & (places - 1)
    while True:
        number = load32(table + at * 4)
        if number == 0:
            return -1
        if number != DELETED:
            place = load32(target) + (number - 1) * ENTRY
            if load32(place + 16) == hashed:
                there = load64(place)
                if there == key or same(there, key, equality):
                    return number - 1
        at = (at + 1) & (places - 1)


def has(target: int, key: int, hashed: int, equality: int) -> bool:
    return find(target, key, hashed, equality) >= 0


def rebuild(target: int, room: int) -> None:
    """Give a dict room for so many entries, and a new table; drops what was deleted."""
    entries = allocate(room * ENTRY)
    old = load32(target)
    used = load32(target + 16)
    number = 0
    kept = 0
    while number < used:
        place = old + number * ENTRY
        if load32(place + 20) != 0:
            memory_copy(entries + kept * ENTRY, place, ENTRY)
            kept += 1
        number += 1
    places = 8
    while places < room + (room >> 1):
        places = places << 1
    table = allocate(places * 4)
    memory_fill(table, 0, places * 4)
    number = 0
    while number < kept:
        at = load32(entries + number * ENTRY + 16) & (places - 1)
        while load32(table + at * 4) != 0:
            at = (at + 1) & (places - 1)
        number += 1
        store32(table + at * 4, number)
    store32(target, entries)
    store32(target + 8, table)
    store32(target + 12, places)
    store32(target + 16, kept)
    store32(target + 20, room)


def set_item(target: int, key: int, hashed: int, equality: int, value: int) -> None:
    number = find(target, key, hashed, equality)
    if number >= 0:
        store64(entry(target, number) + 8, value)
        return
    add(target, key, hashed, value)


def add(target: int, key: int, hashed: int, value: int) -> None:
    """Add an entry for a key that is not there."""
    if load32(target + 16) == load32(target + 20):
        rebuild(target, load32(target + 4) * 2 + 5)
    number = load32(target + 16)
    place = entry(target, number)
    hashed = hashed & 0xFFFF_FFFF
    store64(place, key)
    store64(place + 8, value)
    store32(place + 16, hashed)
    store32(place + 20, 1)
    table = load32(target + 8)
    places = load32(target + 12)
    at = hashed & (places - 1)
    while load32(table + at * 4) != 0:
        at = (at + 1) & (places - 1)
    store32(table + at * 4, number + 1)
    store32(target + 16, number + 1)
    store32(target + 4, load32(target + 4) + 1)


def get_item(target: int, key: int, hashed: int, equality: int, show: int) -> int:
    number = find(target, key, hashed, equality)
    if number < 0:
        fail(KEY, call_word(show, key))
        return 0
    return load64(entry(target, number) + 8)


def key_at(target: int, number: int) -> int:
    return load64(entry(target, number))


def value_at(target: int, number: int) -> int:
    return load64(entry(target, number) + 8)


def next_entry(target: int, number: int) -> int:
    """Return the number of the next entry that is there, -1 at the end."""
    number += 1
    while number < load32(target + 16):
        if load32(entry(target, number) + 20) != 0:
            return number
        number += 1
    return -1


def next(target: int, number: int, count: int) -> int:
    """Return the number of the next entry; raises RuntimeError when entries came or went meanwhile."""
    if load32(target + 4) != count:
        fail(RUNTIME, CHANGED)
        return -1
    return next_entry(target, number)


def remove_entry(target: int, number: int) -> None:
    place = entry(target, number)
    table = load32(target + 8)
    places = load32(target + 12)
    at = load32(place + 16) & (places - 1)
    while load32(table + at * 4) != number + 1:
        at = (at + 1) & (places - 1)
    store32(table + at * 4, DELETED)
    store32(place + 20, 0)
    store32(target + 4, load32(target + 4) - 1)


def delete(target: int, key: int, hashed: int, equality: int, show: int) -> None:
    number = find(target, key, hashed, equality)
    if number < 0:
        fail(KEY, call_word(show, key))
        return
    remove_entry(target, number)


def discard(target: int, key: int, hashed: int, equality: int) -> None:
    number = find(target, key, hashed, equality)
    if number >= 0:
        remove_entry(target, number)


def pop(target: int, key: int, hashed: int, equality: int, show: int) -> int:
    number = find(target, key, hashed, equality)
    if number < 0:
        fail(KEY, call_word(show, key))
        return 0
    remove_entry(target, number)
    return value_at(target, number)


def pop_or(target: int, key: int, hashed: int, equality: int, default: int) -> int:
    number = find(target, key, hashed, equality)
    if number < 0:
        return default
    remove_entry(target, number)
    return value_at(target, number)


def pop_last(target: int) -> int:
    """Take the last entry out and return its number; raises KeyError."""
    number = load32(target + 16) - 1
    while number >= 0 and load32(entry(target, number) + 20) == 0:
        number -= 1
    if number < 0:
        fail(KEY, POP_EMPTY)
        return 0
    remove_entry(target, number)
    return number


def set_default(target: int, key: int, hashed: int, equality: int, default: int) -> int:
    number = find(target, key, hashed, equality)
    if number >= 0:
        return value_at(target, number)
    add(target, key, hashed, default)
    return default


def clear(target: int) -> None:
    memory_fill(target, 0, HEADER)


def copy(target: int) -> int:
    found = new(load32(target + 4))
    number = next_entry(target, -1)
    while number >= 0:
        place = entry(target, number)
        add(found, load64(place), load32(place + 16), load64(place + 8))
        number = next_entry(target, number)
    return found


def update(target: int, other: int, equality: int) -> None:
    number = next_entry(other, -1)
    while number >= 0:
        place = entry(other, number)
        set_item(target, load64(place), load32(place + 16), equality, load64(place + 8))
        number = next_entry(other, number)


def equal(left: int, right: int, keys: int, values: int) -> bool:
    if size(left) != size(right):
        return False
    number = next_entry(left, -1)
    while number >= 0:
        place = entry(left, number)
        other = find(right, load64(place), load32(place + 16), keys)
        if other < 0 or not same(load64(place + 8), value_at(right, other), values):
            return False
        number = next_entry(left, number)
    return True


def show(target: int, show_key: int, show_value: int) -> int:
    """Return what repr() gives."""
    count = size(target)
    if count == 0:
        return EMPTY
    parts = make(count * 4 + 1)
    put(parts, 0, OPEN)
    at = 1
    number = next_entry(target, -1)
    while number >= 0:
        put(parts, at, call_word(show_key, key_at(target, number)))
        put(parts, at + 1, COLON)
        put(parts, at + 2, call_word(show_value, value_at(target, number)))
        put(parts, at + 3, COMMA)
        at += 4
        number = next_entry(target, number)
    put(parts, at - 1, CLOSE)
    store32(parts + 4, at)
    return join(EMPTY_TEXT, parts)
