"""`round()` with a number of digits: exact, halves to the even digit."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.big_numbers import big_set
from echelon.plugin.compilers.python.library.float_digits import big_rounded, fits, rounded
from echelon.plugin.compilers.python.library.float_parsing import TENS, big_to_float
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    bits_float,
    copysign,
    float_bits,
    load64,
    load_float,
    to_float,
    words,
    wrap,
)

POWERS = words(10**n for n in range(19))
_ROUND_ROOM = 8192


def round_float(value: float, places: int) -> float:
    """Return `round(value, places)`; infinite where CPython raises OverflowError for a finite value."""
    bits = float_bits(value)
    exponent = (bits >> 52) & 0x7FF
    if exponent == 0x7FF or places > 323 or value == 0.0:
        return value
    if places < -308:
        return 0.0 * value
    mantissa = bits & 0xF_FFFF_FFFF_FFFF
    if exponent == 0:
        exponent = 1
    else:
        mantissa = mantissa | 0x10_0000_0000_0000
    exponent -= 1075
    if fits(mantissa, exponent, places):
        digits = rounded(mantissa, exponent, places)
        if digits == 0:
            return copysign(0.0, value)
        if 0 <= places <= 22 and digits < 0x20_0000_0000_0000:
            return copysign(to_float(digits) / load_float(TENS + places * 8), value)
        number = allocate(_ROUND_ROOM)
        big_set(number, digits)
    else:
        number = allocate(_ROUND_ROOM)
        big_rounded(number, mantissa, exponent, places)
    return copysign(bits_float(big_to_float(number, -places, False)), value)


def round_int(value: int, places: int) -> int:
    """Return `round(value, places)`; one that 64 bits do not hold has the other sign than `value`."""
    if places >= 0 or value == 0:
        return value
    if places < -19:
        return 0
    if places == -19:
        if -5_000_000_000_000_000_000 <= value <= 5_000_000_000_000_000_000:
            return 0
        return wrap(~value)
    unit = load64(POWERS - places * 8)
    count = value // unit
    rest = value - count * unit
    if rest * 2 < 0 or rest * 2 > unit or (rest * 2 == unit and count % 2 == 1):
        count += 1
    return wrap(count * unit)
