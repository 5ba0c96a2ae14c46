"""Integers of 64 bits with Python's rules: what does not fit raises, division rounds down."""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.errors import (
    OVERFLOW,
    VALUE,
    ZERO_DIVISION,
    fail,
    overflow,
    said,
)
from echelon.plugin.compilers.python.library.float_parsing import round_to_bits
from echelon.plugin.compilers.python.library.intrinsics import (
    bits_float,
    clz,
    divide_signed,
    divide_unsigned,
    less_unsigned,
    remainder_signed,
    shift_right_unsigned,
    square_root,
    text,
    to_float,
    to_int,
    wrap,
)
from echelon.plugin.compilers.python.library.rounding import round_int

_LEAST = -(1 << 63)
_ZERO = 0
FLOOR_DIVISION = said(lambda: 1 // _ZERO)
MODULO = said(lambda: 1 % _ZERO)
DIVISION = said(lambda: 1 / _ZERO)
DIVMOD = said(lambda: divmod(1, _ZERO))
NEGATIVE_SHIFT = said(lambda: 1 << (_ZERO - 1))
POWER_MODULO = said(lambda: pow(2, 3, _ZERO))
STEP = said(lambda: range(0, 1, _ZERO))
NEGATIVE_LENGTH = said(lambda: len(type("", (), {"__len__": lambda _: -1})()))
NEGATIVE_ROOT = said(lambda: math.isqrt(-1))
NEGATIVE_FACTORIAL = said(lambda: math.factorial(-1))
NEGATIVE_COUNT = said(lambda: math.comb(-1, 1))
NEGATIVE_CHOSEN = said(lambda: math.comb(1, -1))
ZERO_TO_NEGATIVE = said(lambda: _ZERO ** (_ZERO - 1))
NEGATIVE_POWER = text("the result is a float: write the exponent as a float")
"""What CPython answers with a float, which the type of an expression cannot tell."""


def high_product(left: int, right: int) -> int:
    """Return the upper 64 bits of the unsigned product."""
    low = (left & 0xFFFF_FFFF) * (right & 0xFFFF_FFFF)
    cross = shift_right_unsigned(left, 32) * (right & 0xFFFF_FFFF)
    other = (left & 0xFFFF_FFFF) * shift_right_unsigned(right, 32)
    middle = shift_right_unsigned(low, 32) + (cross & 0xFFFF_FFFF) + (other & 0xFFFF_FFFF)
    high = shift_right_unsigned(left, 32) * shift_right_unsigned(right, 32)
    high = high + shift_right_unsigned(cross, 32) + shift_right_unsigned(other, 32)
    return high + shift_right_unsigned(middle, 32)


def fits_product(left: int, right: int) -> bool:
    """Tell whether 64 bits hold a product."""
    if left == 0 or right == 0:
        return True
    product = wrap(left * right)
    if left == -1:
        return right != _LEAST
    if right == -1:
        return left != _LEAST
    return divide_signed(product, right) == left


def multiply(left: int, right: int) -> int:
    if not fits_product(left, right):
        overflow()
    return wrap(left * right)


def floor_divide(left: int, right: int) -> int:
    if right == 0:
        fail(ZERO_DIVISION, FLOOR_DIVISION)
        return 0
    if right == -1:
        if left == _LEAST:
            overflow()
            return 0
        return -left
    quotient = divide_signed(left, right)
    if (left ^ right) < 0 and quotient * right != left:
        return quotient - 1
    return quotient


def modulo(left: int, right: int) -> int:
    if right == 0:
        fail(ZERO_DIVISION, MODULO)
        return 0
    if right == -1:
        return 0
    rest = remainder_signed(left, right)
    if rest != 0 and (rest ^ right) < 0:
        return rest + right
    return rest


def require_divisor(right: int) -> None:
    if right == 0:
        fail(ZERO_DIVISION, DIVMOD)


def divide(left: int, right: int) -> float:
    """Return the float nearest to a quotient."""
    if right == 0:
        fail(ZERO_DIVISION, DIVISION)
        return 0.0
    return quotient(left, right)


def quotient(left: int, right: int) -> float:
    """Divide where the divisor is not zero; two numbers that are floats exactly divide as these."""
    if (
        -0x20_0000_0000_0000 <= left <= 0x20_0000_0000_0000
        and -0x20_0000_0000_0000 <= right <= 0x20_0000_0000_0000
    ):
        return to_float(left) / to_float(right)
    return long_quotient(left, right)


def shift_left(value: int, count: int) -> int:
    if count < 0:
        fail(VALUE, NEGATIVE_SHIFT)
        return 0
    if value == 0:
        return 0
    if count > 63:
        overflow()
        return 0
    found = wrap(value << count)
    if (found >> count) != value:
        overflow()
    return found


def shift_right(value: int, count: int) -> int:
    if count < 0:
        fail(VALUE, NEGATIVE_SHIFT)
        return 0
    if count > 63:
        count = 63
    return value >> count


def power(base: int, exponent: int) -> int:
    if exponent < 0:
        if base == 0:
            fail(ZERO_DIVISION, ZERO_TO_NEGATIVE)
        else:
            fail(OVERFLOW, NEGATIVE_POWER)
        return 0
    found = 1
    while exponent > 0:
        if exponent & 1 == 1:
            if not fits_product(found, base):
                overflow()
                return 0
            found = wrap(found * base)
        exponent = exponent >> 1
        if exponent > 0:
            if not fits_product(base, base):
                overflow()
                return 0
            base = wrap(base * base)
    return found


def power_modulo(base: int, exponent: int, divisor: int) -> int:
    """Return `pow(base, exponent, divisor)`."""
    if divisor == 0:
        fail(VALUE, POWER_MODULO)
        return 0
    if exponent < 0:
        base = inverse(base, divisor)
        exponent = -exponent
    found = modulo(1, divisor)
    base = modulo(base, divisor)
    while exponent != 0:
        if exponent & 1 == 1:
            found = multiply_modulo(found, base, divisor)
        base = multiply_modulo(base, base, divisor)
        exponent = shift_right_unsigned(exponent, 1)
    return found


def multiply_modulo(left: int, right: int, divisor: int) -> int:
    """Return a product modulo a number, both factors being so already."""
    if -0x8000_0000 < divisor < 0x8000_0000 or fits_product(left, right):
        return modulo(wrap(left * right), divisor)
    negative = divisor < 0
    if negative:
        left = -left
        right = -right
        divisor = wrap(-divisor)
    found = 0
    while right > 0:
        if right & 1 == 1:
            found = _sum_modulo(found, left, divisor)
        left = _sum_modulo(left, left, divisor)
        right = right >> 1
    if negative:
        return -found
    return found


def _sum_modulo(left: int, right: int, divisor: int) -> int:
    return left - (divisor - right) if left >= divisor - right else left + right


NOT_INVERTIBLE = said(lambda: pow(2, -1, 4))


def inverse(value: int, divisor: int) -> int:
    """Return what times a value is 1 modulo a number."""
    positive = divisor
    if divisor < 0:
        positive = wrap(-divisor)
    a = modulo(value, positive)
    b = positive
    x = 1
    y = 0
    while b != 0:
        count = divide_signed(a, b)
        rest = a - count * b
        a = b
        b = rest
        rest = x - count * y
        x = y
        y = rest
    if a != 1:
        fail(VALUE, NOT_INVERTIBLE)
        return 0
    return modulo(x, divisor)


def step(position: int, limit: int, by: int) -> int:
    """Return the next number of a range; behind the last one the limit, so that nothing overflows."""
    if by > 0:
        if limit - position > by or limit - position < 0:
            return position + by
        return limit
    if position - limit > -by or position - limit < 0:
        return position + by
    return limit


def before(position: int, limit: int, by: int) -> bool:
    """Tell whether a range goes on."""
    if by > 0:
        return position < limit
    return position > limit


def require_step(by: int) -> int:
    if by == 0:
        fail(VALUE, STEP)
    return by


def require_length(found: int) -> int:
    """Return what an object's `__len__` gives."""
    if found < 0:
        fail(VALUE, NEGATIVE_LENGTH)
    return found


def range_size(start: int, stop: int, by: int) -> int:
    """Return how many numbers a range has, without a sign."""
    if by > 0:
        if start >= stop:
            return 0
        return wrap(divide_unsigned(wrap(stop - 1 - start), by) + 1)
    if start <= stop:
        return 0
    return wrap(divide_unsigned(wrap(start - 1 - stop), wrap(-by)) + 1)


def round_to(value: int, places: int) -> int:
    found = round_int(value, places)
    if (found ^ value) < 0 and found != 0:
        overflow()
    return found


def bit_length(value: int) -> int:
    if value < 0:
        value = wrap(-value)
    return 64 - clz(value)


def long_quotient(left: int, right: int) -> float:
    """Divide numbers of more than 53 bits: the quotient is rounded once, from 64 bits and what is left over."""
    negative = (left ^ right) < 0
    if left < 0:
        left = wrap(-left)
    if right < 0:
        right = wrap(-right)
    if left == 0:
        return -0.0 if negative else 0.0
    above = clz(left)
    left = wrap(left << above)
    below = clz(right)
    right = wrap(right << below)
    exponent = below - above
    found = 0
    if not less_unsigned(left, right):
        found = 1
        left = left - right
    bits = 0
    while bits < 62:
        carry = left < 0
        left = wrap(left << 1)
        found = found << 1
        if carry or not less_unsigned(left, right):
            left = wrap(left - right)
            found += 1
        bits += 1
    value = bits_float(round_to_bits(found, exponent - 62, left != 0))
    if negative:
        return -value
    return value


def gcd(left: int, right: int) -> int:
    while right != 0:
        rest = remainder_signed(left, right) if right != -1 else 0
        left = right
        right = rest
    if left == _LEAST:
        overflow()
        return 0
    return -left if left < 0 else left


def lcm(left: int, right: int) -> int:
    if left == 0 or right == 0:
        return 0
    found = multiply(divide_signed(left, gcd(left, right)), right)
    if found == _LEAST:
        overflow()
        return 0
    return -found if found < 0 else found


def root(value: int) -> int:
    """Return the whole part of a square root."""
    if value < 0:
        fail(VALUE, NEGATIVE_ROOT)
        return 0
    found = to_int(square_root(to_float(value)))
    while found > 3037000499 or found * found > value:
        found -= 1
    while found < 3037000499 and (found + 1) * (found + 1) <= value:
        found += 1
    return found


def factorial(value: int) -> int:
    if value < 0:
        fail(VALUE, NEGATIVE_FACTORIAL)
        return 0
    if value > 20:
        overflow()
        return 0
    found = 1
    while value > 1:
        found = found * value
        value -= 1
    return found


def permutations(count: int, chosen: int) -> int:
    if count < 0:
        fail(VALUE, NEGATIVE_COUNT)
        return 0
    if chosen < 0:
        fail(VALUE, NEGATIVE_CHOSEN)
        return 0
    if chosen > count:
        return 0
    found = 1
    while chosen > 0:
        if not fits_product(found, count):
            overflow()
            return 0
        found = wrap(found * count)
        count -= 1
        chosen -= 1
    return found


def combinations(count: int, chosen: int) -> int:
    if count < 0:
        fail(VALUE, NEGATIVE_COUNT)
        return 0
    if chosen < 0:
        fail(VALUE, NEGATIVE_CHOSEN)
        return 0
    if chosen > count:
        return 0
    if count - chosen < chosen:
        chosen = count - chosen
    found = 1
    step = 0
    while step < chosen:
        # what factor and divisor share is taken out, so that a product that does not fit is no binomial that does
        factor = count - step
        divisor = step + 1
        shared = gcd(factor, divisor)
        factor = divide_signed(factor, shared)
        divisor = divide_signed(divisor, shared)
        found = divide_signed(found, divisor)
        if not fits_product(found, factor):
            overflow()
            return 0
        found = wrap(found * factor)
        step += 1
    return found


def last_of_range(start: int, stop: int, by: int) -> int:
    """Return the last number of a range, or the one before its first when it is empty."""
    return wrap(start + (range_size(start, stop, by) - 1) * by)


def before_start(start: int, by: int) -> int:
    """Return where a range that is counted backwards ends."""
    return wrap(start - by)
