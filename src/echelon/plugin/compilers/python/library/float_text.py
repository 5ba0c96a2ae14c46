"""A float as text: the shortest that reads back as the same float, as `repr()` gives it.

The exact value is scaled to 18 digits, with the two ends of the interval of numbers that read back as this float. The
shortest number within is a multiple of the largest power of ten that has one there.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.big_numbers import (
    big_divide_power_of_five,
    big_low,
    big_power_of_five,
    big_set,
    big_shift_left,
    big_shift_right,
)
from echelon.plugin.compilers.python.library.int_text import count_digits, write_digits
from echelon.plugin.compilers.python.library.intrinsics import (
    clz,
    float_bits,
    high_unsigned,
    load64,
    shift_right_unsigned,
    store8,
    store64,
    words,
    wrap,
)

FIVES = words(5**n for n in range(28))
TENS = words(10**n for n in range(19))
FLOAT_ROOM = 512
"""Bytes that `write_float` may use from where it writes; the text has at most 24."""


def write_float(value: float, at: int) -> int:
    """Write `repr(value)` and return where it ends."""
    bits = float_bits(value)
    if (bits >> 52) & 0x7FF == 0x7FF:
        return write_not_finite(bits, at)
    if bits < 0:
        store8(at, 45)
        at += 1
    if wrap(bits << 1) == 0:
        store8(at, 48)
        store8(at + 1, 46)
        store8(at + 2, 48)
        return at + 3
    power = shortest(bits, at)
    digits = load64(at)
    count = count_digits(digits)
    point = count + power
    if -4 < point <= 16:
        return write_plain(digits, count, point, at)
    return write_scientific(digits, count, point - 1, at, 101)


def write_not_finite(bits: int, at: int) -> int:
    """Write inf, -inf or nan and return where it ends."""
    if bits & 0xF_FFFF_FFFF_FFFF != 0:
        return _write_three(110, 97, 110, at)
    if bits < 0:
        store8(at, 45)
        at += 1
    return _write_three(105, 110, 102, at)


def _write_three(first: int, second: int, third: int, at: int) -> int:
    store8(at, first)
    store8(at + 1, second)
    store8(at + 2, third)
    return at + 3


def write_plain(digits: int, count: int, point: int, at: int) -> int:
    """Write digits with a point, and zeros where there are none: 0.001, 12.5, 3000.0."""
    if point <= 0:
        store8(at, 48)
        store8(at + 1, 46)
        at += 2
        while point < 0:
            store8(at, 48)
            at += 1
            point += 1
        return write_digits(digits, count, at)
    if point < count:
        split = load64(TENS + (count - point) * 8)
        write_digits(digits // split, point, at)
        store8(at + point, 46)
        return write_digits(digits % split, count - point, at + point + 1)
    at = write_digits(digits, count, at)
    while count < point:
        store8(at, 48)
        at += 1
        count += 1
    store8(at, 46)
    store8(at + 1, 48)
    return at + 2


def write_scientific(digits: int, count: int, exponent: int, at: int, letter: int) -> int:
    """Write digits with an exponent: 1e-07, 1.5e+300."""
    split = load64(TENS + (count - 1) * 8)
    store8(at, 48 + digits // split)
    at += 1
    if count > 1:
        store8(at, 46)
        at = write_digits(digits % split, count - 1, at + 1)
    return write_exponent(exponent, at, letter)


def write_exponent(exponent: int, at: int, letter: int) -> int:
    """Write an exponent of at least two digits and return where it ends."""
    store8(at, letter)
    if exponent < 0:
        store8(at + 1, 45)
        exponent = -exponent
    else:
        store8(at + 1, 43)
    if exponent >= 100:
        return write_digits(exponent, 3, at + 2)
    return write_digits(exponent, 2, at + 2)


def shortest(bits: int, at: int) -> int:
    """Put the digits of the shortest text at `at`, as a number without zeros at its end; returns its power of ten.

    The float is finite and not zero; its sign does not count.
    """
    exponent = (bits >> 52) & 0x7FF
    fraction = bits & 0xF_FFFF_FFFF_FFFF
    mantissa = fraction | 0x10_0000_0000_0000
    if exponent == 0:
        mantissa = fraction
        exponent = 1
    exponent -= 1077
    below = 2
    if fraction == 0 and exponent > -1076:
        below = 1
    power = 17 - decimal_exponent(mantissa, exponent + 2)
    middle = scale(mantissa * 4, exponent, power, at)
    if middle >= 1_000_000_000_000_000_000:
        power -= 1
        middle = scale(mantissa * 4, exponent, power, at)
    sticky = load64(at)
    low = scale(mantissa * 4 - below, exponent, power, at)
    low_sticky = load64(at)
    high = scale(mantissa * 4 + 2, exponent, power, at)
    high_sticky = load64(at)
    even = mantissa & 1 == 0
    unit = 1000
    if mantissa < 0x10_0000_0000_0000:
        unit = 100_000_000_000_000_000
    while unit > 1:
        rest = middle % unit
        under = middle - rest
        over = under + unit
        takes_under = under > low or (under == low and low_sticky == 0 and even)
        takes_over = over < high or (over == high and (high_sticky != 0 or even))
        if takes_under or takes_over:
            if takes_over and (not takes_under or _is_closer_above(rest, unit, sticky, under)):
                under = over
            store64(at, _strip(under, at))
            return load64(at + 8) - power
        unit = unit // 10
    if sticky != 0 and middle % 2 == 1:
        middle += 1
    store64(at, _strip(middle, at))
    return load64(at + 8) - power


def _is_closer_above(rest: int, unit: int, sticky: int, under: int) -> bool:
    if rest * 2 != unit:
        return rest * 2 > unit
    return sticky != 0 or under // unit % 2 == 1


def _strip(digits: int, at: int) -> int:
    """Return digits without the zeros at their end; how many there were goes to `at + 8`."""
    zeros = 0
    while digits % 10 == 0:
        digits = digits // 10
        zeros += 1
    store64(at + 8, zeros)
    return digits


def decimal_exponent(mantissa: int, exponent: int) -> int:
    """Return the exponent of the first decimal digit of mantissa * 2**exponent, or one less."""
    return (63 - clz(mantissa) + exponent) * 1_292_913_986 >> 32


def scale(mantissa: int, exponent: int, power: int, at: int) -> int:
    """Return the whole part of mantissa * 2**exponent * 10**power, which has to fit 62 bits.

    Whether there is more goes to `at` as 1 or 0; the room behind it is used.
    """
    shift = -(exponent + power)
    if 0 <= power < 28 and 0 <= shift < 64:
        five = load64(FIVES + power * 8)
        low = wrap(mantissa * five)
        high = high_unsigned(mantissa, five)
        if shift == 0:
            store64(at, 0)
            return low
        rest = low & ((1 << shift) - 1)
        store64(at, 1 if rest != 0 else 0)
        return wrap(shift_right_unsigned(low, shift) | (high << (64 - shift)))
    number = at + 8
    big_set(number, mantissa)
    more = scale_big(number, exponent, power)
    store64(at, 1 if more else 0)
    return big_low(number)


def scale_big(number: int, exponent: int, power: int) -> bool:
    """Multiply a number by 2**exponent * 10**power, cut the fraction off and tell whether there was one."""
    shift = exponent + power
    more = False
    if power >= 0:
        big_power_of_five(number, power)
    if shift > 0:
        big_shift_left(number, shift)
    if power < 0:
        more = big_divide_power_of_five(number, -power)
    if shift < 0:
        more = big_shift_right(number, -shift) or more
    return more
