"""Bytes: they lie as strings of one byte for each character do."""

from __future__ import annotations

from echelon.plugin.compilers.python.exceptions import NUMBERS
from echelon.plugin.compilers.python.library.errors import INDEX, VALUE, fail, joined, said
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    load8,
    load32,
    load64,
    memory_copy,
    memory_fill,
    store8,
    text,
)
from echelon.plugin.compilers.python.library.slices import slice_size, slice_start, slice_stop
from echelon.plugin.compilers.python.library.strings import new, put, size
from echelon.plugin.compilers.python.library.text_layout import repeat as repeat
from echelon.plugin.compilers.python.library.text_values import compare as compare
from echelon.plugin.compilers.python.library.text_values import equal as equal
from echelon.plugin.compilers.python.library.text_values import from_int
from echelon.plugin.compilers.python.library.utf8 import (
    code_size,
    read_utf8,
    utf8_size,
    write_code,
    write_utf8,
)

UNICODE_DECODE = NUMBERS["UnicodeDecodeError"]
OUT_OF_RANGE = said(lambda: b""[1])
BYTE_RANGE = said(lambda: bytes([256]))
BYTE_SEARCHED = said(lambda: 256 in b"a")
NEGATIVE = said(lambda: bytes(-1))
ZERO_STEP = said(lambda: b""[::0])
NOTHING = text("")
DECODE_BYTE = text("'utf-8' codec can't decode byte 0x")
DECODE_BYTES = text("'utf-8' codec can't decode bytes in position ")
IN_POSITION = text(" in position ")
COLON = text(": ")
DASH = text("-")
INVALID_START = text("invalid start byte")
INVALID_CONTINUATION = text("invalid continuation byte")
UNEXPECTED_END = text("unexpected end of data")


def item(value: int, index: int) -> int:
    length = size(value)
    if index < 0:
        index += length
    if index < 0 or index >= length:
        fail(INDEX, OUT_OF_RANGE)
        return 0
    return load8(load32(value) + index)


def item_at(value: int, index: int) -> int:
    return load8(load32(value) + index)


def has(number: int, value: int) -> bool:
    if number < 0 or number > 255:
        fail(VALUE, BYTE_SEARCHED)
        return False
    index = 0
    while index < size(value):
        if load8(load32(value) + index) == number:
            return True
        index += 1
    return False


def concat(left: int, right: int) -> int:
    found = new(size(left) + size(right), 0)
    memory_copy(load32(found), load32(left), size(left))
    memory_copy(load32(found) + size(left), load32(right), size(right))
    return found


def slice(value: int, start: int, stop: int, flags: int) -> int:
    length = size(value)
    first = slice_start(length, start, 1, flags)
    last = slice_stop(length, stop, 1, flags)
    if last < first:
        last = first
    found = new(last - first, 0)
    memory_copy(load32(found), load32(value) + first, last - first)
    return found


def slice_step(value: int, start: int, stop: int, step: int, flags: int) -> int:
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return value
    first = slice_start(size(value), start, step, flags)
    length = slice_size(first, slice_stop(size(value), stop, step, flags), step)
    found = new(length, 0)
    index = 0
    while index < length:
        put(found, index, load8(load32(value) + first))
        first += step
        index += 1
    return found


def zeros(count: int) -> int:
    if count < 0:
        fail(VALUE, NEGATIVE)
        return NOTHING
    found = new(count, 0)
    memory_fill(load32(found), 0, count)
    return found


def from_list(items: int) -> int:
    found = new(size(items), 0)
    index = 0
    while index < size(items):
        number = load64(load32(items) + index * 8)
        if number < 0 or number > 255:
            fail(VALUE, BYTE_RANGE)
            return found
        store8(load32(found) + index, number)
        index += 1
    return found


def hex_digit(value: int) -> int:
    return 48 + value if value < 10 else 87 + value


def to_hex(value: int) -> int:
    found = new(size(value) * 2, 0)
    index = 0
    while index < size(value):
        byte = load8(load32(value) + index)
        put(found, index * 2, hex_digit(byte >> 4))
        put(found, index * 2 + 1, hex_digit(byte & 15))
        index += 1
    return found


def quote(value: int) -> int:
    """Return what repr() gives."""
    mark = 39
    total = 3
    index = 0
    while index < size(value):
        byte = load8(load32(value) + index)
        if byte == 39 and not _has_byte(value, 34):
            mark = 34
        index += 1
    index = 0
    while index < size(value):
        total += escaped_size(load8(load32(value) + index), mark)
        index += 1
    found = new(total, 0)
    put(found, 0, 98)
    put(found, 1, mark)
    place = 2
    index = 0
    while index < size(value):
        byte = load8(load32(value) + index)
        length = escaped_size(byte, mark)
        if length == 1:
            put(found, place, byte)
        else:
            put(found, place, 92)
            put(found, place + 1, letter_of(byte))
        if length == 4:
            put(found, place + 2, hex_digit(byte >> 4))
            put(found, place + 3, hex_digit(byte & 15))
        place += length
        index += 1
    put(found, place, mark)
    return found


def _has_byte(value: int, byte: int) -> bool:
    index = 0
    while index < size(value):
        if load8(load32(value) + index) == byte:
            return True
        index += 1
    return False


def escaped_size(byte: int, mark: int) -> int:
    if byte == mark or byte == 92 or byte == 9 or byte == 10 or byte == 13:
        return 2
    if 32 <= byte < 127:
        return 1
    return 4


def letter_of(byte: int) -> int:
    """Return what follows a backslash."""
    if byte == 9:
        return 116
    if byte == 10:
        return 110
    if byte == 13:
        return 114
    if byte == 92 or byte == 39 or byte == 34:
        return byte
    return 120


def encode(value: int) -> int:
    """Return a string as UTF-8."""
    found = new(utf8_size(value), 0)
    write_utf8(value, load32(found))
    return found


def decode(value: int) -> int:
    """Return bytes that are UTF-8 as a string."""
    length = size(value)
    data = load32(value)
    index = 0
    while index < length:
        bad = checked(data + index, length - index)
        if bad != 0:
            fail(UNICODE_DECODE, complaint(load8(data + index), index, bad))
            return NOTHING
        index += code_size(load8(data + index))
    return read_utf8(data, length)


def decode_replacing(value: int) -> int:
    """Return bytes as a string, with U+FFFD for each run of them that is not UTF-8."""
    length = size(value)
    data = load32(value)
    index = 0
    wrong = 0
    while index < length:
        bad = checked(data + index, length - index)
        if bad != 0:
            wrong += 1
            index += bad % 10
        else:
            index += code_size(load8(data + index))
    if wrong == 0:
        return read_utf8(data, length)
    mended = allocate(length + wrong * 3)
    place = mended
    index = 0
    while index < length:
        bad = checked(data + index, length - index)
        if bad != 0:
            place = write_code(0xFFFD, place)
            index += bad % 10
        else:
            count = code_size(load8(data + index))
            memory_copy(place, data + index, count)
            place += count
            index += count
    return read_utf8(mended, place - mended)


def checked(place: int, left: int) -> int:
    """Return 0 for a well-formed character, else 10 times the reason plus how many bytes are wrong.

    Reasons are 1 for a byte that begins none, 2 for one that continues none, 3 for an end.
    """
    first = load8(place)
    if first < 0x80:
        return 0
    if first < 0xC2 or first > 0xF4:
        return 11
    need = code_size(first)
    least = 0x80
    most = 0xBF
    if first == 0xE0:
        least = 0xA0
    elif first == 0xED:
        most = 0x9F
    elif first == 0xF0:
        least = 0x90
    elif first == 0xF4:
        most = 0x8F
    done = 1
    while done < need:
        if done >= left:
            return 30 + done
        byte = load8(place + done)
        if byte < least or byte > most:
            return 20 + done
        least = 0x80
        most = 0xBF
        done += 1
    return 0


def complaint(byte: int, index: int, bad: int) -> int:
    """Return what CPython says of bytes that are not UTF-8."""
    reason = INVALID_START
    if bad >= 30:
        reason = UNEXPECTED_END
    elif bad >= 20:
        reason = INVALID_CONTINUATION
    count = bad % 10
    position = from_int(index)
    if count > 1:
        position = joined(position, DASH, from_int(index + count - 1))
        return joined(DECODE_BYTES, position, joined(COLON, reason, NOTHING))
    digits = new(2, 0)
    put(digits, 0, hex_digit(byte >> 4))
    put(digits, 1, hex_digit(byte & 15))
    return joined(joined(DECODE_BYTE, digits, IN_POSITION), position, joined(COLON, reason, NOTHING))
