"""`exp`, `exp2`, `expm1` and `pow`, to the bit what the GNU C library gives on a processor with fused multiply-add.

The exponential is 2**(k/128) from a table times a polynomial of what is left. A power multiplies a logarithm of 68
bits; what both round, and where they round once instead of twice, decides the last bit.
"""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    bits_float,
    copysign,
    float_bits,
    floats,
    fma,
    load64,
    load_float,
    to_float,
    to_int,
    trunc,
    words,
    wrap,
)
from echelon.plugin.compilers.python.math_tables import exponentials, power_logarithms

POWERS = words(exponentials())
LOGARITHMS = floats(power_logarithms())

INFINITY = math.inf
NAN = math.nan
BIG = 6755399441055744.0  # 1.5 * 2**52: added, it leaves whole numbers
BIG_PART = 52776558133248.0  # 1.5 * 2**45: added, it leaves multiples of 1/128
TINY = 2.0**-1022
ROOMY = 2.0**1009
PARTS = float.fromhex("0x1.71547652b82fep+7")
PART_HIGH = float.fromhex("-0x1.62e42fefa0000p-8")
PART_LOW = float.fromhex("-0x1.cf79abc9e3b3ap-47")
E2 = float.fromhex("0x1.ffffffffffdbdp-2")
E3 = float.fromhex("0x1.555555555543cp-3")
E4 = float.fromhex("0x1.55555cf172b91p-5")
E5 = float.fromhex("0x1.1111167a4d017p-7")
T1 = float.fromhex("0x1.62e42fefa39efp-1")
T2 = float.fromhex("0x1.ebfbdff82c424p-3")
T3 = float.fromhex("0x1.c6b08d70cf4b5p-5")
T4 = float.fromhex("0x1.3b2abd24650ccp-7")
T5 = float.fromhex("0x1.5d7e09b4e3a84p-10")
Q1 = -3.33333333333331316428e-02
LN2_HIGH = float.fromhex("0x1.62e42fefa3800p-1")
LN2_LOW = float.fromhex("0x1.ef35793c76730p-45")
L1 = float.fromhex("0x1.555555555556p-2") * -2.0
L2 = float.fromhex("-0x1.0000000000006p-2") * -2.0
L3 = float.fromhex("0x1.999999959554ep-3") * 4.0
L4 = float.fromhex("-0x1.555555529a47ap-3") * 4.0
L5 = float.fromhex("0x1.2495b9b4845e9p-3") * -8.0
L6 = float.fromhex("-0x1.0002b8b263fc3p-3") * -8.0
OCTAVE = 0x3FE6_9555_0000_0000


def exp(x: float) -> float:
    """Return e**x; infinite or zero where that does not fit."""
    size = (float_bits(x) >> 52) & 0x7FF
    if size < 0x3C9:
        return 1.0 + x
    if size >= 0x409:
        if x != x or x == INFINITY:
            return x
        if x >= 1024.0:
            return INFINITY
        if x <= -1024.0:
            return 0.0
    return exponential(x, 0.0, 0, size >= 0x408)


def exponential(x: float, rest: float, sign: int, careful: bool) -> float:
    """Return e**(x + rest), negative if `sign` is 1 << 18; `careful` where the result may not be a normal number."""
    shifted = fma(PARTS, x, BIG)
    index = float_bits(shifted)
    parts = shifted - BIG
    r = fma(parts, PART_LOW, fma(parts, PART_HIGH, x)) + rest
    at = POWERS + (index & 127) * 16
    scale = wrap(load64(at + 8) + wrap((index + sign) << 45))
    square = r * r
    low = fma(square, fma(r, E3, E2), load_float(at) + r)
    more = fma(square * square, fma(r, E5, E4), low)
    if careful:
        return extreme(more, scale, index & 0x8000_0000 != 0, 1009)
    factor = bits_float(scale)
    return fma(factor, more, factor)


def extreme(more: float, scale: int, small: bool, room: int) -> float:
    """Return scale * (1 + more) where the exponent of `scale` has overflowed, rounded once also if it is subnormal."""
    if not small:
        factor = bits_float(wrap(scale - (room << 52)))
        return fma(factor, more, factor) * ROOMY
    factor = bits_float(wrap(scale + (1022 << 52)))
    product = factor * more
    y = factor + product
    if absolute(y) < 1.0:
        one = 1.0
        if y < 0.0:
            one = -1.0
        low = factor - y + product
        high = one + y
        low = (one - high) + y + low
        y = (high + low) - one
        if y == 0.0:
            y = bits_float((scale + (1022 << 52)) & -0x8000_0000_0000_0000)
    return TINY * y


def exp2(x: float) -> float:
    """Return 2**x; infinite or zero where that does not fit."""
    size = (float_bits(x) >> 52) & 0x7FF
    if size < 0x3C9:
        return 1.0 + x
    if size >= 0x409:
        if x != x or x == INFINITY:
            return x
        if x >= 1024.0:
            return INFINITY
        if x <= -1075.0:
            return 0.0
    shifted = x + BIG_PART
    index = float_bits(shifted)
    r = x - (shifted - BIG_PART)
    at = POWERS + (index & 127) * 16
    scale = wrap(load64(at + 8) + wrap(index << 45))
    square = r * r
    more = load_float(at) + r * T1 + square * (T2 + r * T3) + square * square * (T4 + r * T5)
    if absolute(x) > 928.0:
        return extreme_power_of_two(more, scale, index & 0x8000_0000 != 0)
    factor = bits_float(scale)
    return factor + factor * more


def extreme_power_of_two(more: float, scale: int, small: bool) -> float:
    """Return scale * (1 + more) where the exponent of `scale` has overflowed, each step rounded."""
    if not small:
        factor = bits_float(wrap(scale - (1 << 52)))
        return 2.0 * (factor + factor * more)
    factor = bits_float(wrap(scale + (1022 << 52)))
    y = factor + factor * more
    if y < 1.0:
        low = factor - y + factor * more
        high = 1.0 + y
        low = (1.0 - high) + y + low
        y = (high + low) - 1.0
    return TINY * y


def expm1(x: float) -> float:
    """Return e**x - 1; infinite where that does not fit."""
    size = absolute(x)
    if x != x or size == INFINITY:
        return -1.0 if x < 0.0 else x
    if x > 709.782712893383973096:
        return INFINITY
    if x < 0.0 and float_bits(size) >> 32 >= 0x4043_687A:
        return -1.0
    high_word = float_bits(size) >> 32
    k = 0
    rest = 0.0
    if high_word > 0x3FD6_2E42:
        k = 1 if x > 0.0 else -1
        if high_word >= 0x3FF0_A2B2:
            k = to_int(fma(1.44269504088896338700, x, copysign(0.5, x)))
        low = to_float(k) * 1.90821492927058770002e-10
        high = fma(-to_float(k), 6.93147180369123816490e-01, x)
        x = high - low
        rest = (high - x) - low
    elif high_word < 0x3C90_0000:
        return x
    half = 0.5 * x
    square = x * half
    fourth = square * square
    r = fma(
        fourth, fma(square, -7.93650757867487942473e-05, 1.58730158725481460165e-03), fma(square, Q1, 1.0)
    )
    r = fma(fourth * fourth, fma(square, -2.01099218183624371326e-07, 4.00821782732936239552e-06), r)
    t = fma(-r, half, 3.0)
    e = square * ((r - t) / fma(-x, t, 6.0))
    if k == 0:
        return x - fma(x, e, -square)
    e = fma(x, e - rest, -rest) - square
    if k == -1:
        return 0.5 * (x - e) - 0.5
    if k == 1:
        return -2.0 * (e - (x + 0.5)) if x < -0.25 else 1.0 + 2.0 * (x - e)
    if k <= -2 or k > 56:
        return scaled(1.0 - (e - x), k) - 1.0
    if k < 20:
        return scaled((1.0 - bits_float((1023 - k) << 52)) - (e - x), k)
    return scaled((x - (e + bits_float((1023 - k) << 52))) + 1.0, k)


def scaled(value: float, k: int) -> float:
    """Add to a float's exponent, which has room for it; the largest power of two becomes infinite."""
    return bits_float(wrap(float_bits(value) + wrap(k << 52)))


def power(x: float, y: float) -> float:
    """Return x**y as C does: infinite, zero or NaN where Python raises."""
    x_bits = float_bits(x)
    y_size = (float_bits(y) >> 52) & 0x7FF
    sign = 0
    if not 0x0010_0000_0000_0000 <= x_bits < 0x7FF0_0000_0000_0000 or not 0x3BE <= y_size < 0x43E:
        if y == 0.0 or x == 1.0:
            return 1.0
        if x != x or y != y:
            return x + y
        if y_size == 0x7FF:
            if x == -1.0:
                return 1.0
            return INFINITY if (absolute(x) > 1.0) == (y > 0.0) else 0.0
        odd = is_odd(y)
        if x == 0.0 or absolute(x) == INFINITY:
            found = 0.0 if (x == 0.0) == (y > 0.0) else INFINITY
            return -found if odd and x_bits < 0 else found
        if x_bits < 0:
            if trunc(y) != y:
                return NAN
            if odd:
                sign = 1 << 18
            x_bits &= 0x7FFF_FFFF_FFFF_FFFF
        if y_size < 0x3BE:
            return 1.0
        if y_size >= 0x43E:
            if x_bits == 0x3FF0_0000_0000_0000:
                return 1.0
            return INFINITY if (x_bits > 0x3FF0_0000_0000_0000) == (y > 0.0) else 0.0
        if x_bits < 0x0010_0000_0000_0000:
            x_bits = (float_bits(x * 4503599627370496.0) & 0x7FFF_FFFF_FFFF_FFFF) - (52 << 52)
    return raised(x_bits, y, sign)


def is_odd(y: float) -> bool:
    """Tell whether a finite number is an odd integer."""
    half = y * 0.5
    return trunc(y) == y and trunc(half) != half


def raised(x_bits: int, y: float, sign: int) -> float:
    """Return the power of a positive number; `x_bits` has a negative exponent where that is below the normal ones."""
    offset = x_bits - OCTAVE
    at = LOGARITHMS + ((offset >> 45) & 127) * 24
    z = bits_float(x_bits - (offset & -0x10_0000_0000_0000))
    k = to_float(offset >> 52)
    r = fma(z, load_float(at), -1.0)
    t = fma(k, LN2_HIGH, load_float(at + 8))
    u = t + r
    low = fma(k, LN2_LOW, load_float(at + 16)) + (t - u + r)
    half = -0.5 * r
    square = r * half
    high = u + square
    low = low + fma(half, r, -square) + (u - high + square)
    inner = fma(square, fma(r, L6, L5), fma(r, L4, L3))
    low = fma(r * square, fma(square, inner, fma(r, L2, L1)), low)
    logarithm = high + low
    tail = high - logarithm + low
    product = y * logarithm
    rest = fma(y, tail, fma(y, logarithm, -product))
    size = (float_bits(product) >> 52) & 0x7FF
    if size < 0x3C9:
        return -(1.0 + product) if sign != 0 else 1.0 + product
    if size >= 0x409:
        found = INFINITY if product > 0.0 else 0.0
        return -found if sign != 0 else found
    return exponential(product, rest, sign, size >= 0x408)
