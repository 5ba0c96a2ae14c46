"""Numbers as format specifications lay them out: sign, prefix, digits in groups, zeros up to a width.

What fills up to a width with another character than such zeros is the same for text and done there; a filling between
sign and digits (`=`) goes after the first `sign_width` characters.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.float_format import float_format_room, write_float_body
from echelon.plugin.compilers.python.library.int_text import count_digits, write_base, write_digits
from echelon.plugin.compilers.python.library.intrinsics import (
    float_bits,
    load8,
    memory_copy,
    store8,
    wrap,
)

SIGN_MINUS = 0
SIGN_PLUS = 43
SIGN_SPACE = 32


def number_format_room(precision: int, width: int) -> int:
    """Return how many bytes a formatted number may take."""
    return 2 * float_format_room(precision) + 2 * width


def format_int(
    value: int, kind: int, sign: int, alternate: bool, group: int, zero_width: int, at: int
) -> int:
    """Write an integer and return where it ends.

    `kind` is the letter b, d, o, x or X; `group` a comma, an underscore or 0; `zero_width` the width that zeros behind
    the sign fill, 0 for none.
    """
    start = at
    at = _write_sign(value < 0, sign, at)
    if value < 0:
        value = wrap(-value)
    if kind == 100:
        end = write_digits(value, count_digits(value), at)
        return _group(at, end, end, group, 3, zero_width - (at - start))
    if alternate:
        store8(at, 48)
        store8(at + 1, kind)
        at += 2
    end = write_base(value, _shift_of(kind), 65 if kind == 88 else 97, at)
    return _group(at, end, end, group, 4, zero_width - (at - start))


def _shift_of(kind: int) -> int:
    if kind == 98:
        return 1
    if kind == 111:
        return 3
    return 4


def format_float(
    value: float,
    kind: int,
    precision: int,
    sign: int,
    upper: bool,
    alternate: bool,
    group: int,
    zero_width: int,
    at: int,
) -> int:
    """Write a float and return where it ends; `kind` is 0 or the letter e, f, g or %, `precision` -1 for none."""
    start = at
    negative = float_bits(value) < 0 and value == value
    at = _write_sign(negative, sign, at)
    end = write_float_body(value, kind, precision, upper, alternate, at)
    whole = at
    while whole < end and 48 <= load8(whole) <= 57:
        whole += 1
    return _group(at, whole, end, group, 3, zero_width - (at - start))


def _write_sign(negative: bool, sign: int, at: int) -> int:
    if negative:
        store8(at, 45)
        return at + 1
    if sign != SIGN_MINUS:
        store8(at, sign)
        return at + 1
    return at


def _group(at: int, whole: int, end: int, group: int, size: int, width: int) -> int:
    """Put zeros before the digits from `at` up to a width and separators into those before `whole`.

    Without digits, as in inf, there is nothing to separate.
    """
    count = whole - at
    rest = end - whole
    digits = count
    if count == 0:
        group = 0
    if group == 0:
        if count + rest < width:
            digits = width - rest
    else:
        most = width - rest
        while digits + (digits - 1) // size < most:
            digits += 1
    separators = 0
    if group != 0 and digits > 0:
        separators = (digits - 1) // size
    moved = digits + separators
    memory_copy(at + moved, whole, rest)
    place = at + moved
    origin = at + count
    done = 0
    while done < digits:
        if group != 0 and done > 0 and done % size == 0:
            place -= 1
            store8(place, group)
        place -= 1
        if done < count:
            origin -= 1
            store8(place, load8(origin))
        else:
            store8(place, 48)
        done += 1
    return at + moved + rest


def sign_width(at: int, end: int) -> int:
    """Return how many characters of a formatted number are its sign and its prefix."""
    width = 0
    if at < end and (load8(at) == 45 or load8(at) == 43 or load8(at) == 32):
        width = 1
    if at + width + 1 < end and load8(at + width) == 48:
        letter = load8(at + width + 1) | 32
        if letter == 98 or letter == 111 or letter == 120:
            return width + 2
    return width
