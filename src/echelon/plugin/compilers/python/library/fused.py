"""Multiplication and addition with one rounding, which WebAssembly has no instruction for.

The product is split into two floats whose sum it is exactly (Dekker); the third number is added to the larger (Knuth),
and what is left is rounded to odd, so that the last addition rounds as if it were the only one. Boldo and Melquiond,
"Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.float_parts import exponent_of, ldexp, mantissa_of
from echelon.plugin.compilers.python.library.intrinsics import bits_float, copysign, float_bits

SPLITTER = 134217729.0  # 2**27 + 1
LEAST_NORMAL = 2.2250738585072014e-308
EXPONENT = 0x7FF


def multiply_add(left: float, right: float, more: float) -> float:
    """Return left * right + more, rounded once."""
    first = (float_bits(left) >> 52) & EXPONENT
    second = (float_bits(right) >> 52) & EXPONENT
    third = (float_bits(more) >> 52) & EXPONENT
    both = first + second
    if (
        first < 123
        or first > 1900
        or second < 123
        or second > 1900
        or third > 1900
        or both < 1100
        or both > 2900
    ):
        return _extreme(left, right, more)
    product = left * right
    total = product + more
    part = total - product
    rest = (product - (total - part)) + (more - part)
    return total + _odd_sum(rest, _product_rest(left, right, product))


def _product_rest(left: float, right: float, product: float) -> float:
    """Return what a product lost when it was rounded."""
    scaled = left * SPLITTER
    high = scaled - (scaled - left)
    low = left - high
    scaled = right * SPLITTER
    upper = scaled - (scaled - right)
    lower = right - upper
    return low * lower - (((product - high * upper) - low * upper) - high * lower)


def _odd_sum(left: float, right: float) -> float:
    """Return a sum, rounded to the neighbour whose last bit is set where it is not exact."""
    total = left + right
    part = total - left
    rest = (left - (total - part)) + (right - part)
    bits = float_bits(total)
    if rest == 0.0 or bits & 1 != 0:
        return total
    if (rest < 0.0) != (total < 0.0):
        return bits_float(bits - 1)
    return bits_float(bits + 1)


def _extreme(left: float, right: float, more: float) -> float:
    """Return it for zeros, infinities, NaN, and for numbers that are taken apart first so that nothing is lost."""
    if left == 0.0 or right == 0.0 or left - left != 0.0 or right - right != 0.0 or more - more != 0.0:
        return left * right + more
    scale = exponent_of(left) + exponent_of(right)
    exponent = exponent_of(more) if more != 0.0 else scale
    if exponent - scale > 110:
        return more
    x = mantissa_of(left)
    y = mantissa_of(right)
    z = ldexp(more, -scale) if scale - exponent <= 110 else copysign(LEAST_NORMAL, more)
    product = x * y
    total = product + z
    part = total - product
    rest = (product - (total - part)) + (z - part)
    rest = _odd_sum(rest, _product_rest(x, y, product))
    if total == 0.0:
        return ldexp(rest, scale)
    if scale + exponent_of(total) > -1022:
        return ldexp(total + rest, scale)
    return _denormal(total, rest, scale)


def _denormal(total: float, rest: float, scale: int) -> float:
    """Return (total + rest) * 2**scale where the bits below the least number are to be rounded away, once."""
    high = total + rest
    part = high - total
    low = (total - (high - part)) + (rest - part)
    bits = float_bits(high)
    if low != 0.0:
        lost = 1 - ((bits >> 52) & EXPONENT) - scale
        if (lost != 1) != (bits & 1 != 0):
            high = bits_float(bits - 1) if (low < 0.0) != (high < 0.0) else bits_float(bits + 1)
    return ldexp(high, scale)
