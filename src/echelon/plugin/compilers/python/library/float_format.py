"""Floats with a format: the digits of `f"{x:.2f}"`, `f"{x:e}"`, `f"{x:g}"` and their kind, without sign and padding.

Every function writes at an address and returns where the text ends; `float_format_room` says how much room it needs.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.float_digits import write_rounded
from echelon.plugin.compilers.python.library.float_text import (
    decimal_exponent,
    write_exponent,
    write_float,
    write_not_finite,
)
from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    float_bits,
    load8,
    memory_copy,
    memory_fill,
    store8,
)

KIND_NONE = 0
KIND_FIXED = 102
KIND_EXPONENT = 101
KIND_GENERAL = 103
KIND_PERCENT = 37
MOST_PLACES = 1100
"""Places after the point that can be other than zero."""

_ZEROS = 48
_POINT = 46


def float_format_room(precision: int) -> int:
    """Return how many bytes the text of a finite float may have, with what is used on the way."""
    return 1024 + precision * 2


def write_float_body(value: float, kind: int, precision: int, upper: bool, alternate: bool, at: int) -> int:
    """Write a float without its sign; a precision of -1 is none given."""
    bits = float_bits(absolute(value))
    if bits >= 0x7FF0_0000_0000_0000:
        end = write_not_finite(bits, at)
        if kind == KIND_PERCENT:
            store8(end, 37)
            end += 1
        if upper:
            _raise_letters(at, end)
        return end
    if kind == KIND_PERCENT:
        bits = float_bits(absolute(value) * 100.0)
        if bits >= 0x7FF0_0000_0000_0000:
            end = write_not_finite(bits, at)
        else:
            end = write_fixed(bits, 6 if precision < 0 else precision, alternate, at)
        store8(end, 37)
        return end + 1
    if kind == KIND_NONE and precision < 0:
        return _with_point(write_float(absolute(value), at), alternate, at)
    if precision < 0:
        precision = 6
    if kind == KIND_FIXED:
        return write_fixed(bits, precision, alternate, at)
    letter = 69 if upper else 101
    if kind == KIND_EXPONENT:
        return write_exponential(bits, precision, letter, alternate, at)
    if precision == 0:
        precision = 1
    return write_general(bits, precision, letter, kind == KIND_NONE, alternate, at)


def _raise_letters(at: int, end: int) -> None:
    while at < end:
        if 97 <= load8(at) <= 122:
            store8(at, load8(at) - 32)
        at += 1


def _with_point(end: int, alternate: bool, at: int) -> int:
    """Give the shortest text a point when the alternate form wants one: 1e+16 becomes 1.e+16."""
    if not alternate:
        return end
    place = at
    while place < end and load8(place) != 101:
        if load8(place) == _POINT:
            return end
        place += 1
    memory_copy(place + 1, place, end - place)
    store8(place, _POINT)
    return end + 1


def write_fixed(bits: int, places: int, alternate: bool, at: int) -> int:
    """Write so many places after the point."""
    exact = places
    if exact > MOST_PLACES:
        exact = MOST_PLACES
    end = write_rounded(_mantissa(bits), _exponent(bits), exact, at)
    count = end - at
    if count <= exact:
        memory_copy(at + exact + 1 - count, at, count)
        memory_fill(at, _ZEROS, exact + 1 - count)
        end = at + exact + 1
    memory_fill(end, _ZEROS, places - exact)
    end += places - exact
    if places > 0 or alternate:
        memory_copy(end - places + 1, end - places, places)
        store8(end - places, _POINT)
        end += 1
    return end


def _mantissa(bits: int) -> int:
    if bits >> 52 == 0:
        return bits
    return (bits & 0xF_FFFF_FFFF_FFFF) | 0x10_0000_0000_0000


def _exponent(bits: int) -> int:
    if bits >> 52 == 0:
        return -1074
    return (bits >> 52) - 1075


def write_significant(bits: int, digits: int, at: int) -> int:
    """Write exactly so many digits, without a point, and return the exponent of the first."""
    exact = digits
    if exact > MOST_PLACES:
        exact = MOST_PLACES
    memory_fill(at, _ZEROS, digits)
    if bits == 0:
        return 0
    mantissa = _mantissa(bits)
    exponent = _exponent(bits)
    power = exact - 1 - decimal_exponent(mantissa, exponent)
    while write_rounded(mantissa, exponent, power, at) - at > exact:
        power -= 1
    store8(at + exact, _ZEROS)
    if digits > exact:
        memory_fill(at + exact, _ZEROS, digits - exact)
    return exact - 1 - power


def write_exponential(bits: int, places: int, letter: int, alternate: bool, at: int) -> int:
    """Write one digit, so many places after the point, and the exponent."""
    exponent = write_significant(bits, places + 1, at)
    return _layout_exponential(at, places + 1, exponent, letter, alternate)


def _layout_exponential(at: int, digits: int, exponent: int, letter: int, alternate: bool) -> int:
    end = at + digits
    if digits > 1 or alternate:
        memory_copy(at + 2, at + 1, digits - 1)
        store8(at + 1, _POINT)
        end += 1
    return write_exponent(exponent, end, letter)


def write_general(bits: int, digits: int, letter: int, plain: bool, alternate: bool, at: int) -> int:
    """Write so many digits in the form that suits the number; `plain` is what a format without a letter does."""
    exponent = write_significant(bits, digits, at)
    most = digits
    if plain:
        most = digits - 1
    scientific = exponent < -4 or exponent >= most
    if not alternate:
        while digits > 1 and load8(at + digits - 1) == _ZEROS:
            digits -= 1
    if scientific:
        return _layout_exponential(at, digits, exponent, letter, alternate)
    if exponent < 0:
        memory_copy(at + 1 - exponent, at, digits)
        memory_fill(at, _ZEROS, 1 - exponent)
        store8(at + 1, _POINT)
        return at + 1 - exponent + digits
    if digits <= exponent + 1:
        memory_fill(at + digits, _ZEROS, exponent + 1 - digits)
        end = at + exponent + 1
        if plain or alternate:
            store8(end, _POINT)
            end += 1
        if plain and not alternate:
            store8(end, _ZEROS)
            end += 1
        return end
    memory_copy(at + exponent + 2, at + exponent + 1, digits - exponent - 1)
    store8(at + exponent + 1, _POINT)
    return at + digits + 1
