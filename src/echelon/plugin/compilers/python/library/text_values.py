"""Strings as values: equality, order, hashes, characters, joining two, and numbers as strings."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import (
    INDEX,
    OVERFLOW,
    TYPE,
    VALUE,
    fail,
    joined,
    said,
)
from echelon.plugin.compilers.python.library.float_text import FLOAT_ROOM, write_float
from echelon.plugin.compilers.python.library.int_text import INT_ROOM, write_base, write_int
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    character_table,
    clz,
    less_unsigned,
    load8,
    load32,
    load64,
    shift_right_unsigned,
    store8,
    store16,
    store32,
    text,
    wrap,
)
from echelon.plugin.compilers.python.library.strings import (
    CHARACTER_TABLE,
    GROWABLE,
    at,
    copy,
    from_ascii,
    move,
    new,
    of_code,
    size,
    width,
)

_EMPTY = ""
ITEM_OUT_OF_RANGE = said(lambda: _EMPTY[1])
CHR_RANGE = said(lambda: chr(-1))
CHR_OVERFLOW = said(lambda: chr(1 << 40))
ORD_BEFORE = text("ord() expected a character, but string of length ")
ORD_AFTER = text(" found")
NOTHING = text("")
SURROGATE = text("a string cannot have half of a surrogate pair in it")
_ROOM = 8
"""Bytes before a buffer that grows: its size, and what is used of it."""


def equal(left: int, right: int) -> bool:
    if left == right:
        return True
    table = character_table()
    if less_unsigned((left - table) | (right - table), CHARACTER_TABLE):
        return False
    return same_characters(left, right)


def is_character(value: int, code: int) -> bool:
    """Tell whether a string is one character."""
    place = value - character_table()
    if less_unsigned(place, CHARACTER_TABLE):
        return place == code * 16
    return is_other_character(value, code)


def is_other_character(value: int, code: int) -> bool:
    return size(value) == 1 and at(value, 0) == code


def same_characters(left: int, right: int) -> bool:
    length = size(left)
    if length != size(right):
        return False
    kind = width(left)
    if kind != width(right):
        return False
    length = length << kind
    first = load32(left)
    second = load32(right)
    if length >= 8 and load64(first) != load64(second):  # most differ at once
        return False
    return same_bytes(first, second, length)


def same_bytes(left: int, right: int, length: int) -> bool:
    end = left + length
    while left + 8 <= end:
        if load64(left) != load64(right):
            return False
        left += 8
        right += 8
    while left < end:
        if load8(left) != load8(right):
            return False
        left += 1
        right += 1
    return True


def compare(left: int, right: int) -> int:
    """Return -1, 0 or 1, by code points."""
    length = size(left)
    if size(right) < length:
        length = size(right)
    index = 0
    while index < length:
        a = at(left, index)
        b = at(right, index)
        if a != b:
            return -1 if a < b else 1
        index += 1
    if size(left) == size(right):
        return 0
    return -1 if size(left) < size(right) else 1


def hash_of(value: int) -> int:
    """Return a hash of a string's or bytes' content, kept in its header."""
    found = load32(value + 12)
    if found != 0:
        return found
    place = load32(value)
    length = size(value) << width(value)
    end = place + length
    found = wrap(length * -0x61C8_8646_80B5_83EB)
    while place + 8 <= end:
        found = mixed(found ^ load64(place))
        place += 8
    while place < end:
        found = mixed(found ^ load8(place))
        place += 1
    found = (found ^ shift_right_unsigned(found, 32)) & 0xFFFF_FFFF
    if found == 0:
        found = 1
    store32(value + 12, found)
    return found


def mixed(value: int) -> int:
    value = wrap(value * -0x61C8_8646_80B5_83EB)
    return value ^ shift_right_unsigned(value, 29)


def concat(left: int, right: int) -> int:
    """Return two strings as one; one that was made so before grows in place, so that adding in a loop is cheap."""
    first = size(left)
    second = size(right)
    if second == 0:
        return left
    if first == 0:
        return right
    kind = width(left)
    if load32(left + 8) & GROWABLE != 0 and width(right) <= kind:
        data = load32(left)
        start = data + (first << kind)
        if load32(data - 4) == start and start + (second << kind) <= load32(data - 8):
            store32(data - 4, start + (second << kind))
            copy_wide(start, kind, right)
            return header(data, first + second, kind)
    if width(right) > kind:
        kind = width(right)
    if first < 64 or second > first:
        found = new(first + second, kind)
        if kind == 0:
            move(found + 16, load32(left), first)
            move(found + 16 + first, load32(right), second)
            return found
        copy(found, 0, left, 0, first)
        copy(found, first, right, 0, second)
        return found
    data = allocate(_ROOM + ((first + second) << (kind + 1))) + _ROOM
    store32(data - 8, data + ((first + second) << (kind + 1)))
    store32(data - 4, data + ((first + second) << kind))
    copy_wide(data, kind, left)
    copy_wide(data + (first << kind), kind, right)
    return header(data, first + second, kind)


def header(data: int, length: int, kind: int) -> int:
    found = allocate(16)
    store32(found, data)
    store32(found + 4, length)
    store32(found + 8, kind | GROWABLE)
    store32(found + 12, 0)
    return found


def copy_wide(place: int, kind: int, value: int) -> None:
    """Write a string's characters with a width of at least its own."""
    if width(value) == kind:
        move(place, load32(value), size(value) << kind)
        return
    index = 0
    while index < size(value):
        code = at(value, index)
        if kind == 1:
            store16(place, code)
        else:
            store32(place, code)
        place += 1 << kind
        index += 1


def concat_four(first: int, second: int, third: int, fourth: int) -> int:
    kind = width(first)
    if width(second) > kind:
        kind = width(second)
    if width(third) > kind:
        kind = width(third)
    if width(fourth) > kind:
        kind = width(fourth)
    if kind > 0:
        return concat(joined(first, second, third), fourth)
    a = size(first)
    b = a + size(second)
    c = b + size(third)
    found = new(c + size(fourth), 0)
    data = found + 16
    move(data, load32(first), a)
    move(data + a, load32(second), b - a)
    move(data + b, load32(third), c - b)
    move(data + c, load32(fourth), size(fourth))
    return found


def item(value: int, index: int) -> int:
    if less_unsigned(index, load32(value + 4)) and load32(value + 8) & 3 == 0:
        return character_table() + load8(load32(value) + index) * 16
    return any_item(value, index)


def any_item(value: int, index: int) -> int:
    """Return the character at any index, of a string of any width."""
    return of_code(code_of_any(value, index))


def item_at(value: int, index: int) -> int:
    """Return the character at an index that is there."""
    return of_code(at(value, index))


def code_at(value: int, index: int) -> int:
    if less_unsigned(index, load32(value + 4)) and load32(value + 8) & 3 == 0:
        return load8(load32(value) + index)
    return code_of_any(value, index)


def code_of_any(value: int, index: int) -> int:
    """Return the code point at any index, of a string of any width."""
    length = load32(value + 4)
    if index < 0:
        index += length
    if index < 0 or index >= length:
        fail(INDEX, ITEM_OUT_OF_RANGE)
        return 0
    return at(value, index)


def code(value: int) -> int:
    if size(value) != 1:
        fail(TYPE, joined(ORD_BEFORE, from_int(size(value)), ORD_AFTER))
        return 0
    return at(value, 0)


def from_code(number: int) -> int:
    if less_unsigned(number, 0x100):
        return character_table() + number * 16
    return from_any_code(number)


def from_any_code(number: int) -> int:
    if number < -0x8000_0000 or number > 0x7FFF_FFFF:
        fail(OVERFLOW, CHR_OVERFLOW)
        return NOTHING
    if number < 0 or number > 0x10FFFF:
        fail(VALUE, CHR_RANGE)
        return NOTHING
    if 0xD800 <= number <= 0xDFFF:
        fail(VALUE, SURROGATE)
        return NOTHING
    return of_code(number)


def from_int(value: int) -> int:
    if 0 <= value <= 9:
        return of_code(48 + value)
    found = allocate(16 + INT_ROOM)
    return _finish(found, write_int(value, found + 16))


def from_float(value: float) -> int:
    place = allocate(FLOAT_ROOM)
    end = write_float(value, place)
    found = new(end - place, 0)
    move(found + 16, place, end - place)
    return found


def _finish(found: int, end: int) -> int:
    store32(found, found + 16)
    store32(found + 4, end - found - 16)
    store32(found + 8, 0)
    store32(found + 12, 0)
    return found


def in_base(value: int, base: int) -> int:
    """Return what bin(), oct() and hex() give."""
    shift = 63 - clz(base)
    letter = 98
    if shift == 3:
        letter = 111
    if shift == 4:
        letter = 120
    place = allocate(72)
    end = place
    if value < 0:
        store8(end, 45)
        end += 1
        value = wrap(-value)
    store8(end, 48)
    store8(end + 1, letter)
    return from_ascii(place, write_base(value, shift, 97, end + 2))
