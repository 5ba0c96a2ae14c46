"""The decimal digits of a float, rounded exactly at a given place, halves to the even digit."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.big_numbers import (
    big_low,
    big_multiply,
    big_room,
    big_set,
    big_shift_right,
    big_write,
)
from echelon.plugin.compilers.python.library.float_text import scale, scale_big
from echelon.plugin.compilers.python.library.int_text import count_digits, write_digits
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    clz,
    load64,
    memory_copy,
)

_ROUNDED_ROOM = 512


def fits(mantissa: int, exponent: int, power: int) -> bool:
    """Tell whether mantissa * 2**exponent * 10**power is surely below 2**60."""
    return 64 - clz(mantissa) + exponent + ((power * 3402 >> 10) + 1) <= 60


def rounded(mantissa: int, exponent: int, power: int) -> int:
    """Return mantissa * 2**exponent * 10**power, rounded to a whole number; it has to fit."""
    place = allocate(_ROUNDED_ROOM)
    if power > 400 or exponent + power < -1500:
        place = allocate(big_room(128 + power * 3))
    twice = scale(mantissa * 2, exponent, power, place)
    value = twice >> 1
    if twice & 1 == 1 and (load64(place) != 0 or value & 1 == 1):
        value += 1
    return value


def big_rounded(number: int, mantissa: int, exponent: int, power: int) -> None:
    """Set a number of any size to mantissa * 2**exponent * 10**power, rounded to a whole number."""
    big_set(number, mantissa * 2)
    more = scale_big(number, exponent, power)
    half = big_low(number) & 1 == 1
    big_shift_right(number, 1)
    if half and (more or big_low(number) & 1 == 1):
        big_multiply(number, 1, 1)


def big_size(mantissa: int, exponent: int, power: int) -> int:
    """Return how much room `big_rounded` needs."""
    bits = 128
    if exponent > 0:
        bits += exponent
    if power > 0:
        bits += power * 4
    return big_room(bits)


def write_rounded(mantissa: int, exponent: int, power: int, at: int) -> int:
    """Write the digits of mantissa * 2**exponent * 10**power, rounded, and return where they end."""
    if fits(mantissa, exponent, power):
        value = rounded(mantissa, exponent, power)
        return write_digits(value, count_digits(value), at)
    size = big_size(mantissa, exponent, power)
    number = allocate(size)
    big_rounded(number, mantissa, exponent, power)
    text = allocate(size * 3)
    start = big_write(number, text + size * 3)
    memory_copy(at, start, text + size * 3 - start)
    return at + text + size * 3 - start
