"""Integers as text, and text as integers."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import (
    clz,
    divide_unsigned,
    less_unsigned,
    load8,
    load16,
    load64,
    octets,
    remainder_unsigned,
    shift_right_unsigned,
    store8,
    store16,
    store64,
    words,
    wrap,
)

PAIRS = octets(b"".join(b"%02d" % n for n in range(100)))
POWERS = words(10**n for n in range(20))
INT_ROOM = 24
"""Bytes that `write_int` may use."""


def count_digits(value: int) -> int:
    """Return how many decimal digits a number has, read without a sign; 1 for zero."""
    count = (64 - clz(value | 1)) * 1233 >> 12
    if less_unsigned(value, load64(POWERS + count * 8)) and count > 0:
        return count
    return count + 1


def write_digits(value: int, count: int, at: int) -> int:
    """Write that many digits, with zeros before them, of a number without a sign; returns where they end."""
    end = at + count
    place = end
    while place - at >= 2:
        place -= 2
        if value < 0:
            store16(place, load16(PAIRS + remainder_unsigned(value, 100) * 2))
            value = divide_unsigned(value, 100)
        else:
            store16(place, load16(PAIRS + value % 100 * 2))
            value = value // 100
    if place > at:
        store8(at, 48 + value % 10)
    return end


def write_int(value: int, at: int) -> int:
    """Write `str(value)` and return where it ends."""
    if value < 0:
        store8(at, 45)
        at += 1
        value = wrap(-value)
    return write_digits(value, count_digits(value), at)


def write_base(value: int, shift: int, letters: int, at: int) -> int:
    """Write a number without a sign in base 2, 8 or 16 (`shift` 1, 3, 4); `letters` is the first of a to f."""
    count = (63 - clz(value | 1)) // shift + 1
    place = at + count
    mask = (1 << shift) - 1
    while place > at:
        place -= 1
        digit = value & mask
        if digit < 10:
            store8(place, 48 + digit)
        else:
            store8(place, letters - 10 + digit)
        value = shift_right_unsigned(value, shift)
    return at + count


PARSE_OK = 0
PARSE_BAD = 1
PARSE_TOO_LARGE = 2


def parse_int(at: int, end: int, result: int) -> int:
    """Read a decimal integer as `int(text)` does, from ASCII without white space around it.

    The number goes to `result`. Returns PARSE_OK, PARSE_BAD, or PARSE_TOO_LARGE for one that 64 bits do not hold.
    """
    return parse_base(at, end, 10, result)


def parse_base(at: int, end: int, base: int, result: int) -> int:
    """Read an integer as `int(text, base)` does; base 0 goes by the prefix."""
    negative = False
    if at < end and (load8(at) == 43 or load8(at) == 45):
        negative = load8(at) == 45
        at += 1
    base_given = base
    if at + 1 < end and load8(at) == 48:
        named = _base_of(load8(at + 1) | 32)
        if named != 0 and (base == 0 or base == named):
            base = named
            at += 2
            if at < end and load8(at) == 95:
                at += 1
    if base == 0:
        base = 10
    return _parse_digits(at, end, base, negative, base_given == 0 and base == 10, result)


def _base_of(letter: int) -> int:
    if letter == 120:
        return 16
    if letter == 111:
        return 8
    if letter == 98:
        return 2
    return 0


def _parse_digits(at: int, end: int, base: int, negative: bool, no_zeros: bool, result: int) -> int:
    start = at
    value = 0
    too_large = False
    underscore = True
    most = divide_unsigned(-1, base)
    while at < end:
        byte = load8(at)
        if byte == 95:
            if underscore:
                return PARSE_BAD
            underscore = True
        else:
            underscore = False
            digit = digit_of(byte)
            if digit >= base:
                return PARSE_BAD
            if less_unsigned(most, value):
                too_large = True
            value = wrap(value * base)
            total = wrap(value + digit)
            if less_unsigned(total, value):
                too_large = True
            value = total
        at += 1
    if underscore:
        return PARSE_BAD
    if no_zeros and load8(start) == 48 and (value != 0 or too_large):
        return PARSE_BAD
    return _keep(value, negative, too_large, result)


def _keep(value: int, negative: bool, too_large: bool, result: int) -> int:
    if negative:
        value = wrap(-value)
        too_large = too_large or value > 0
    else:
        too_large = too_large or value < 0
    if too_large:
        return PARSE_TOO_LARGE
    store64(result, value)
    return PARSE_OK


def digit_of(byte: int) -> int:
    """Return the value of a digit or letter in bases up to 36, 99 for anything else."""
    if 48 <= byte <= 57:
        return byte - 48
    byte = byte | 32
    if 97 <= byte <= 122:
        return byte - 87
    return 99
