"""`log`, `log2`, `log10`, `log1p`, to the bit what the GNU C library gives on a processor with fused multiply-add.

A logarithm is that of a power of two, that of a number close by from a table, and a polynomial of what is left.
"""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.intrinsics import (
    bits_float,
    float_bits,
    floats,
    fma,
    load_float,
    to_float,
)
from echelon.plugin.compilers.python.math_tables import binary_logarithms, natural_logarithms

NATURAL = floats(natural_logarithms())
BINARY = floats(binary_logarithms())

INFINITY = math.inf
NAN = math.nan
OCTAVE = 0x3FE6_0000_0000_0000
LN2_HIGH = float.fromhex("0x1.62e42fefa3800p-1")
LN2_LOW = float.fromhex("0x1.ef35793c76730p-45")
A0 = float.fromhex("-0x1.0000000000001p-1")
A1 = float.fromhex("0x1.555555551305bp-2")
A2 = float.fromhex("-0x1.fffffffeb459p-3")
A3 = float.fromhex("0x1.999b324f10111p-3")
A4 = float.fromhex("-0x1.55575e506c89fp-3")
B1 = float.fromhex("0x1.5555555555577p-2")
B2 = float.fromhex("-0x1.ffffffffffdcbp-3")
B3 = float.fromhex("0x1.999999995dd0cp-3")
B4 = float.fromhex("-0x1.55555556745a7p-3")
B5 = float.fromhex("0x1.24924a344de3p-3")
B6 = float.fromhex("-0x1.fffffa4423d65p-4")
B7 = float.fromhex("0x1.c7184282ad6cap-4")
B8 = float.fromhex("-0x1.999eb43b068ffp-4")
B9 = float.fromhex("0x1.78182f7afd085p-4")
B10 = float.fromhex("-0x1.5521375d145cdp-4")
INVERSE_HIGH = float.fromhex("0x1.7154765200000p+0")
INVERSE_LOW = float.fromhex("0x1.705fc2eefa200p-33")
C0 = float.fromhex("-0x1.71547652b8339p-1")
C1 = float.fromhex("0x1.ec709dc3a04bep-2")
C2 = float.fromhex("-0x1.7154764702ffbp-2")
C3 = float.fromhex("0x1.2776c50034c48p-2")
C4 = float.fromhex("-0x1.ec7b328ea92bcp-3")
C5 = float.fromhex("0x1.a6225e117f92ep-3")
D0 = float.fromhex("-0x1.71547652b82fep-1")
D1 = float.fromhex("0x1.ec709dc3a03f7p-2")
D2 = float.fromhex("-0x1.71547652b7c3fp-2")
D3 = float.fromhex("0x1.2776c50f05be4p-2")
D4 = float.fromhex("-0x1.ec709dd768fe5p-3")
D5 = float.fromhex("0x1.a61761ec4e736p-3")
D6 = float.fromhex("-0x1.7153fbc64a79bp-3")
D7 = float.fromhex("0x1.484d154f01b4ap-3")
D8 = float.fromhex("-0x1.289e4a72c383cp-3")
D9 = float.fromhex("0x1.0b32f285aee66p-3")
LN2_UPPER = 6.93147180369123816490e-01
LN2_LOWER = 1.90821492927058770002e-10
L1 = 6.666666666666735130e-01
L2 = 3.999999999940941908e-01
L3 = 2.857142874366239149e-01
L4 = 2.222219843214978396e-01
L5 = 1.818357216161805012e-01
L6 = 1.531383769920937332e-01
L7 = 1.479819860511658591e-01


def log(x: float) -> float:
    """Return the natural logarithm: NaN of a negative number, infinite of zero."""
    bits = float_bits(x)
    if 0x3FEE_0000_0000_0000 <= bits < 0x3FF1_0900_0000_0000:
        return _log_near_one(x - 1.0)
    if bits < 0x0010_0000_0000_0000 or bits >= 0x7FF0_0000_0000_0000:
        if not x > 0.0 or x == INFINITY:
            return _special(x)
        bits = float_bits(x * 4503599627370496.0) - (52 << 52)
    offset = bits - OCTAVE
    at = NATURAL + ((offset >> 45) & 127) * 16
    r = fma(bits_float(bits - (offset & -0x10_0000_0000_0000)), load_float(at), -1.0)
    k = to_float(offset >> 52)
    w = fma(k, LN2_HIGH, load_float(at + 8))
    high = w + r
    low = fma(k, LN2_LOW, w - high + r)
    square = r * r
    p = fma(square, fma(r, A4, A3), fma(r, A2, A1))
    return fma(r * square, p, fma(square, A0, low)) + high


def _log_near_one(r: float) -> float:
    """Return the logarithm of 1 + r."""
    if r == 0.0:
        return 0.0
    square = r * r
    cube = r * square
    p = fma(cube, B10, fma(square, B9, fma(r, B8, B7)))
    p = fma(cube, p, fma(square, B6, fma(r, B5, B4)))
    p = fma(cube, p, fma(square, B3, fma(r, B2, B1)))
    w = r * 134217728.0
    r_high = (r + w) - w
    r_low = r - r_high
    w = r_high * r_high * -0.5
    high = r + w
    low = fma(-0.5 * r_low, r_high + r, r - high + w)
    return fma(cube, p, low) + high


def _special(x: float) -> float:
    """Return the logarithm of what is no positive number, or of infinity."""
    if x == 0.0:
        return -INFINITY
    return NAN if x < 0.0 else x


def log2(x: float) -> float:
    """Return the binary logarithm: NaN of a negative number, infinite of zero."""
    bits = float_bits(x)
    if 0x3FEE_A4AF_0000_0000 <= bits < 0x3FF0_B559_0000_0000:
        return _log2_near_one(x - 1.0)
    if bits < 0x0010_0000_0000_0000 or bits >= 0x7FF0_0000_0000_0000:
        if not x > 0.0 or x == INFINITY:
            return _special(x)
        bits = float_bits(x * 4503599627370496.0) - (52 << 52)
    offset = bits - OCTAVE
    at = BINARY + ((offset >> 46) & 63) * 16
    r = fma(bits_float(bits - (offset & -0x10_0000_0000_0000)), load_float(at), -1.0)
    upper = r * INVERSE_HIGH
    lower = fma(r, INVERSE_LOW, fma(r, INVERSE_HIGH, -upper))
    whole = to_float(offset >> 52) + load_float(at + 8)
    high = whole + upper
    low = whole - high + upper + lower
    square = r * r
    p = fma(square * square, fma(r, C5, C4), fma(square, fma(r, C3, C2), fma(r, C1, C0)))
    return fma(square, p, low) + high


def _log2_near_one(r: float) -> float:
    """Return the binary logarithm of 1 + r."""
    if r == 0.0:
        return 0.0
    high = r * INVERSE_HIGH
    low = fma(r, INVERSE_LOW, fma(r, INVERSE_HIGH, -high))
    square = r * r
    fourth = square * square
    p = fma(r, D1, D0)
    y = fma(square, p, high)
    low = low + fma(square, p, high - y)
    p = fma(square, fma(r, D5, D4), fma(r, D3, D2))
    q = fma(square, fma(r, D9, D8), fma(r, D7, D6))
    return y + fma(fourth, fma(fourth, q, p), low)


def log10(x: float) -> float:
    """Return the decimal logarithm: NaN of a negative number, infinite of zero."""
    if not x > 0.0 or x == INFINITY:
        return _special(x)
    bits = float_bits(x)
    k = -1023
    if bits < 0x0010_0000_0000_0000:
        k = -1077
        bits = float_bits(x * 18014398509481984.0)
    k += bits >> 52
    below = 1 if k < 0 else 0
    y = to_float(k + below)
    part = bits_float((bits & 0xF_FFFF_FFFF_FFFF) | ((0x3FF - below) << 52))
    z = y * 3.69423907715893078616e-13 + 4.34294481903251816668e-01 * log(part)
    return z + y * 3.01029995663611771306e-01


def log1p(x: float) -> float:
    """Return the natural logarithm of 1 + x: NaN below -1, infinite at -1."""
    if not x > -1.0 or x == INFINITY:
        return _special(1.0 + x)
    word = float_bits(x) >> 32
    size = word & 0x7FFF_FFFF
    if size < 0x3E20_0000:
        return x if size < 0x3C90_0000 else fma(-(x * x), 0.5, x)
    if 0 < word < 0x3FDA_827A or (word < 0 and size <= 0x3FD2_BEC3):
        return _log1p_of(x, 1, 0.0, 0.0)
    rest = 0.0
    u = x
    if word < 0x4340_0000:
        u = 1.0 + x
    bits = float_bits(u)
    k = (bits >> 52) - 1023
    if word < 0x4340_0000:
        rest = (1.0 - (u - x) if k > 0 else x - (u - 1.0)) / u
    fraction = bits & 0xF_FFFF_FFFF_FFFF
    upper = fraction >> 32
    if upper < 0x6_A09E:
        u = bits_float(fraction | 0x3FF0_0000_0000_0000)
    else:
        k += 1
        u = bits_float(fraction | 0x3FE0_0000_0000_0000)
        upper = (0x10_0000 - upper) >> 2
    return _log1p_of(u - 1.0, upper, to_float(k), rest)


def _log1p_of(f: float, upper: int, k: float, rest: float) -> float:
    """Return the logarithm of (1 + f) * 2**k and what `rest` adds; `upper` is zero where f is tiny."""
    half = 0.5 * f * f
    if upper == 0:
        if f == 0.0:
            return 0.0 if k == 0.0 else fma(k, LN2_UPPER, fma(k, LN2_LOWER, rest))
        r = half * fma(-0.66666666666666666, f, 1.0)
        return f - r if k == 0.0 else fma(k, LN2_UPPER, -((r - fma(k, LN2_LOWER, rest)) - f))
    s = f / (2.0 + f)
    z = s * s
    square = z * z
    fourth = square * square
    r = fma(fourth, fma(z, L5, L4), fma(z, L1, square * fma(z, L3, L2)))
    r = fma(fourth * square, fma(z, L7, L6), r)
    product = s * (half + r)
    if k == 0.0:
        return f - (half - product)
    return fma(k, LN2_UPPER, -((half - (product + fma(k, LN2_LOWER, rest))) - f))
