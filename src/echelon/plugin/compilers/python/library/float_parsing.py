"""Text as a float: the nearest float to what is written, however many digits there are."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.big_numbers import (
    big_bits,
    big_divide_power_of_five,
    big_low,
    big_multiply,
    big_power_of_five,
    big_set,
    big_shift_left,
    big_shift_right,
)
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    bits_float,
    clz,
    float_bits,
    floats,
    load8,
    load_float,
    shift_right_unsigned,
    store_float,
    to_float,
    wrap,
)

TENS = floats(10.0**n for n in range(23))
MOST_DIGITS = 800
"""Digits that can decide how a float is rounded; of more it only matters whether one is not zero."""

_PARSE_ROOM = 8192
_INFINITY = 0x7FF0_0000_0000_0000


def parse_float(at: int, end: int, result: int) -> bool:
    """Read a number as `float(text)` does, from ASCII without white space around it; it goes to `result`."""
    negative = False
    if at < end and (load8(at) == 43 or load8(at) == 45):
        negative = load8(at) == 45
        at += 1
    bits = _parse_word(at, end)
    if bits == 0:
        bits = _parse_number(at, end)
        if bits < 0:
            return False
    value = bits_float(bits)
    store_float(result, -value if negative else value)
    return True


def _parse_word(at: int, end: int) -> int:
    """Return the bits of inf, infinity or nan, 0 for anything else."""
    size = end - at
    if size == 3 and _is(at, 110, 97, 110):
        return 0x7FF8_0000_0000_0000
    if size == 3 and _is(at, 105, 110, 102):
        return _INFINITY
    if size == 8 and _is(at, 105, 110, 102) and _is(at + 3, 105, 110, 105) and _is(at + 5, 105, 116, 121):
        return _INFINITY
    return 0


def _is(at: int, first: int, second: int, third: int) -> bool:
    return load8(at) | 32 == first and load8(at + 1) | 32 == second and load8(at + 2) | 32 == third


def _is_digit(at: int, end: int) -> bool:
    return at < end and 48 <= load8(at) <= 57


def _parse_number(at: int, end: int) -> int:
    """Return the bits of a number without a sign, -1 for what is none."""
    start = at
    digits = 0
    kept = 0
    power = 0
    seen = False
    after_point = False
    while at < end:
        byte = load8(at)
        if 48 <= byte <= 57:
            seen = True
            if kept < 19:
                digits = wrap(digits * 10 + byte - 48)
                if digits != 0:
                    kept += 1
                if after_point:
                    power -= 1
            else:
                kept += 1
                if not after_point:
                    power += 1
        elif byte == 46 and not after_point:
            after_point = True
        elif byte != 95 or not _is_digit(at - 1, end) or at == start or not _is_digit(at + 1, end):
            break
        at += 1
    if not seen:
        return -1
    last = at
    if at < end:
        if load8(at) | 32 != 101 or not (_is_digit(at - 1, end) or load8(at - 1) == 46):
            return -1
        exponent = _parse_exponent(at + 1, end)
        if exponent == _NO_EXPONENT:
            return -1
        power += exponent
    if kept > 19:
        return _from_long(start, last, power - (kept - 19), kept)
    return _from_digits(digits, power)


_NO_EXPONENT = 1 << 40


def _parse_exponent(at: int, end: int) -> int:
    """Return an exponent, cut to where every number is zero or infinite."""
    negative = False
    if at < end and (load8(at) == 43 or load8(at) == 45):
        negative = load8(at) == 45
        at += 1
    if not _is_digit(at, end):
        return _NO_EXPONENT
    value = 0
    while at < end:
        if _is_digit(at, end):
            if value < 10_000_000:
                value = value * 10 + load8(at) - 48
        elif load8(at) != 95 or not _is_digit(at - 1, end) or not _is_digit(at + 1, end):
            return _NO_EXPONENT
        at += 1
    return -value if negative else value


def _from_digits(digits: int, power: int) -> int:
    """Return the bits of digits * 10**power; the digits have no sign."""
    if digits == 0:
        return 0
    if 0 < digits < 0x20_0000_0000_0000 and -22 <= power <= 22:
        value = to_float(digits)
        if power < 0:
            return float_bits(value / load_float(TENS - power * 8))
        return float_bits(value * load_float(TENS + power * 8))
    if power > 310:
        return _INFINITY
    if power < -350:
        return 0
    number = allocate(_PARSE_ROOM)
    big_set(number, digits)
    return big_to_float(number, power, False)


def _from_long(at: int, end: int, power: int, kept: int) -> int:
    """Read more digits than 64 bits hold."""
    number = allocate(_PARSE_ROOM)
    big_set(number, 0)
    count = 0
    more = False
    while at < end:
        if _is_digit(at, end):
            digit = load8(at) - 48
            if count > 0 or digit != 0:
                if count < MOST_DIGITS:
                    big_multiply(number, 10, digit)
                elif digit != 0:
                    more = True
                count += 1
        at += 1
    if count > MOST_DIGITS:
        power += count - MOST_DIGITS
    size = kept + power
    if count > MOST_DIGITS:
        size = MOST_DIGITS + power
    if size > 310:
        return _INFINITY
    if size < -330:
        return 0
    return big_to_float(number, power, more)


def big_to_float(number: int, power: int, more: bool) -> int:
    """Return the bits of the float nearest to number * 10**power, which is destroyed.

    `more` says that it is a little larger. There has to be room for it.
    """
    exponent = power
    if power >= 0:
        big_power_of_five(number, power)
    else:
        shift = 68 + (-power * 2378 >> 10) - big_bits(number)
        if shift > 0:
            big_shift_left(number, shift)
            exponent -= shift
        more = big_divide_power_of_five(number, -power) or more
    bits = big_bits(number)
    if bits == 0:
        return 0
    if bits > 64:
        more = big_shift_right(number, bits - 64) or more
        exponent += bits - 64
    return round_to_bits(big_low(number), exponent, more)


def round_to_bits(value: int, exponent: int, more: bool) -> int:
    """Return the bits of the float nearest to value * 2**exponent; the value has no sign and is not zero."""
    zeros = clz(value)
    value = wrap(value << zeros)
    exponent += 63 - zeros
    if exponent > 1023:
        return _INFINITY
    drop = 11
    if exponent < -1022:
        drop = 11 - 1022 - exponent
        if drop > 64:
            return 0
        exponent = -1023
    if drop == 64:
        kept = 0
        half = True
        rest = wrap(value << 1)
    else:
        kept = shift_right_unsigned(value, drop)
        half = shift_right_unsigned(value, drop - 1) & 1 == 1
        rest = value & ((1 << (drop - 1)) - 1)
    if half and (rest != 0 or more or kept & 1 == 1):
        kept += 1
    if exponent == -1023:
        return kept
    return kept + ((exponent + 1022) << 52)
