"""`sin`, `cos` and `tan`, to the bit what the GNU C library gives on a processor with fused multiply-add.

An angle is brought near zero by taking multiples of pi/2 away, as a sum of two floats. A table gives the sine and the
cosine, or the tangent, of a number close by; a polynomial and the addition theorem do the rest.
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
    load_float,
    octets,
    store_float,
    to_int,
    wrap,
)
from echelon.plugin.compilers.python.math_tables import sines, tangents, two_over_pi

SINES = floats(sines())
TANGENTS = floats(tangents())
TWO_OVER_PI = floats(two_over_pi())
REDUCED = octets(b"the angle in two floats")

INFINITY = math.inf
NAN = math.nan
BIG = 6755399441055744.0  # 1.5 * 2**52: added, it leaves whole numbers
BIG_PART = 52776558133248.0  # 1.5 * 2**45: added, it leaves multiples of 1/128
BIGGER = 27021597764222976.0  # 1.5 * 2**54: added, it leaves multiples of four
INVERSE = float.fromhex("0x1.45F306DC9C883p-1")
QUARTER_HIGH = float.fromhex("0x1.921FB54442D18p0")
QUARTER_LOW = float.fromhex("0x1.1A62633145C07p-54")
P1 = float.fromhex("0x1.921FB58000000p0")
P2 = float.fromhex("-0x1.DDE973C000000p-27")
P2_SHORT = float.fromhex("-0x1.DDE9740000000p-27")
P3 = float.fromhex("-0x1.CB3B398000000p-55")
P4 = float.fromhex("-0x1.d747f23e32ed7p-83")
P3_LONG = float.fromhex("-0x1.CB3B399D747F2p-55")
S1 = float.fromhex("-0x1.5555555555555p-3")
S2 = float.fromhex("0x1.1111111110ECEp-7")
S3 = float.fromhex("-0x1.A01A019DB08B8p-13")
S4 = float.fromhex("0x1.71DE27B9A7ED9p-19")
S5 = float.fromhex("-0x1.ADDFFC2FCDF59p-26")
N3 = -1.66666666666664880952546298448555e-01
N5 = 8.33333214285722277379541354343671e-03
C2 = 4.99999999999999999999950396842453e-01
C4 = -4.16666666666664434524222570944589e-02
C6 = 1.38888874007937613028114285595617e-03
T3 = bits_float(0x3FD5_5555_5555_5555)
T5 = bits_float(0x3FC1_1111_1111_07C6)
T7 = bits_float(0x3FAB_A1BA_1CDB_8745)
T9 = bits_float(0x3F96_64ED_49CF_C666)
T11 = bits_float(0x3F82_385A_3CF2_E4EA)
U3 = bits_float(0x3FD5_5555_5555_4DBD)
U5 = bits_float(0x3FC1_1112_E0A6_B45F)
TINY_TANGENT = bits_float(0x3E4B_096C_0000_0000)
SMALL_TANGENT = bits_float(0x3FAF_212D_0000_0000)
NO_QUARTER = bits_float(0x3FE9_2F1A_0000_0000)
LARGE = bits_float(0x4199_21FB_0000_0000)
SPLIT = 134217729.0


def sin(x: float) -> float:
    """Return the sine, NaN of infinity."""
    size = (float_bits(x) >> 32) & 0x7FFF_FFFF
    if size < 0x3E50_0000:
        return x
    if size < 0x3FEB_6000:
        return _sine(x, 0.0)
    if size < 0x4003_68FD:
        return copysign(_cosine(QUARTER_HIGH - absolute(x), QUARTER_LOW), x)
    if size >= 0x7FF0_0000:
        return NAN
    return _in_quadrant(_reduce(x))


def cos(x: float) -> float:
    """Return the cosine, NaN of infinity."""
    size = (float_bits(x) >> 32) & 0x7FFF_FFFF
    if size < 0x3E40_0000:
        return 1.0
    if size < 0x3FEB_6000:
        return _cosine(x, 0.0)
    if size < 0x4003_68FD:
        y = QUARTER_HIGH - absolute(x)
        angle = y + QUARTER_LOW
        return _sine(angle, (y - angle) + QUARTER_LOW)
    if size >= 0x7FF0_0000:
        return NAN
    return _in_quadrant(_reduce(x) + 1)


def _in_quadrant(quadrant: int) -> float:
    """Return the sine of the reduced angle and that many quarters of a turn."""
    angle = load_float(REDUCED)
    rest = load_float(REDUCED + 8)
    found = _cosine(angle, rest) if quadrant & 1 != 0 else _sine(angle, rest)
    return -found if quadrant & 2 != 0 else found


def _cosine(x: float, rest: float) -> float:
    """Return the cosine of x + rest, which is less than 0.86."""
    if x < 0.0:
        rest = -rest
    near = BIG_PART + absolute(x)
    x = absolute(x) - (near - BIG_PART) + rest
    square = x * x
    s = fma(x * square, fma(square, N5, N3), x)
    c = square * fma(square, fma(square, C6, C4), C2)
    at = SINES + (float_bits(near) & 127) * 32
    cosine = load_float(at + 16)
    more = fma(-cosine, c, fma(-s, load_float(at + 8), load_float(at + 24)))
    return cosine + fma(-load_float(at), s, more)


def _sine(x: float, rest: float) -> float:
    """Return the sine of x + rest, which is less than 0.86."""
    if absolute(x) < 0.126:
        square = x * x
        p = fma(fma(fma(fma(S5, square, S4), square, S3), square, S2), square, S1)
        return x + fma(fma(p, x, -(0.5 * rest)), square, rest)
    sign = x
    if x <= 0.0:
        rest = -rest
    near = BIG_PART + absolute(x)
    x = absolute(x) - (near - BIG_PART)
    square = x * x
    s = x + fma(x * square, fma(square, N5, N3), rest)
    c = fma(x, rest, square * fma(square, fma(square, C6, C4), C2))
    at = SINES + (float_bits(near) & 127) * 32
    sine = load_float(at)
    more = fma(-sine, c, fma(s, load_float(at + 24), load_float(at + 8)))
    return copysign(sine + fma(load_float(at + 16), s, more), sign)


def _reduce(x: float) -> int:
    """Store an angle below pi/4 in two floats; return how many quarters of a turn, modulo four, it is less than x."""
    if absolute(x) >= LARGE:
        return _reduce_large(x)
    shifted = fma(x, INVERSE, BIG)
    quarters = shifted - BIG
    y = fma(-quarters, P2, fma(-quarters, P1, x))
    middle = fma(-quarters, P3, y)
    rest = fma(-quarters, P3, y - middle)
    angle = fma(-quarters, P4, middle)
    store_float(REDUCED, angle)
    store_float(REDUCED + 8, rest + fma(-quarters, P4, middle - angle))
    return float_bits(shifted) & 3


def _reduce_large(x: float) -> int:
    """Do the same for an angle of any size: multiply by the digits of 2/pi that matter."""
    x = x * 2.0**-600
    t = x * SPLIT
    upper = t - (t - x)
    lower = x - upper
    first = _multiply(upper)
    b1 = load_float(REDUCED)
    bb1 = load_float(REDUCED + 8)
    total = first + _multiply(lower)
    b2 = load_float(REDUCED)
    bb2 = load_float(REDUCED + 8)
    b = b1 + b2
    bb = (b1 - b) + b2 if absolute(b1) > absolute(b2) else (b2 - b) + b1
    if b > 0.5:
        b = b - 1.0
        total = total + 1.0
    elif b < -0.5:
        b = b + 1.0
        total = total - 1.0
    s = b + (bb + bb1 + bb2)
    t = ((b - s) + bb) + (bb1 + bb2)
    b = s * SPLIT
    t1 = b - (b - s)
    t2 = s - t1
    b = s * QUARTER_HIGH
    bb = (((t1 * P1 - b) + t1 * P2_SHORT) + t2 * P1) + (t2 * P2_SHORT + s * QUARTER_LOW + t * QUARTER_HIGH)
    angle = b + bb
    store_float(REDUCED, angle)
    store_float(REDUCED + 8, (b - angle) + bb)
    return to_int(total) & 3


def _multiply(part: float) -> float:
    """Multiply by 2/pi: store the fraction in two floats and return the whole turns left when fours are taken away."""
    digit = ((float_bits(part) >> 52) & 0x7FF) - 450
    digit = digit // 24 if digit > 0 else 0
    unit = bits_float(wrap(0x63F0_0000_0000_0000 - (digit * 24 << 52)))
    at = TWO_OVER_PI + digit * 8
    total = 0.0
    r0 = part * load_float(at) * unit
    s = (r0 + BIG) - BIG
    total = total + s
    r0 = r0 - s
    unit = unit * 2.0**-24
    r1 = part * load_float(at + 8) * unit
    s = (r1 + BIG) - BIG
    total = total + s
    r1 = r1 - s
    unit = unit * 2.0**-24
    r2 = part * load_float(at + 16) * unit
    s = (r2 + BIG) - BIG
    total = total + s
    r2 = r2 - s
    unit = unit * 2.0**-24
    r3 = part * load_float(at + 24) * unit
    unit = unit * 2.0**-24
    r4 = part * load_float(at + 32) * unit
    unit = unit * 2.0**-24
    r5 = part * load_float(at + 40) * unit
    t = 0.0 + r5 + r4 + r3 + r2 + r1 + r0
    bb = (((((r0 - t) + r1) + r2) + r3) + r4) + r5
    s = (t + BIG) - BIG
    total = total + s
    t = t - s
    b = t + bb
    store_float(REDUCED, b)
    store_float(REDUCED + 8, (t - b) + bb)
    return total - ((total + BIGGER) - BIGGER)


def tan(x: float) -> float:
    """Return the tangent, NaN of infinity."""
    size = absolute(x)
    if not size < INFINITY:
        return NAN
    if size <= TINY_TANGENT:
        return x
    if size <= SMALL_TANGENT:
        square = x * x
        return fma(_tangent_series(square), x * square, x)
    if size <= NO_QUARTER:
        return copysign(_tangent_of(size, 0.0, False), x)
    odd = _reduce_for_tangent(x, size)
    angle = load_float(REDUCED)
    rest = load_float(REDUCED + 8)
    size = absolute(angle)
    if size > SMALL_TANGENT:
        if angle < 0.0:
            rest = -rest
        found = _tangent_of(size, rest, odd)
        return -found if (angle < 0.0) != odd else found
    square = angle * angle
    more = fma(angle * square, _tangent_series(square), rest)
    if not odd:
        return angle + more
    divisor = angle + more
    left = (angle - divisor) + more if size > absolute(more) else (more - divisor) + angle
    quotient = 1.0 / divisor
    product = quotient * divisor
    error = fma(-quotient, left, (1.0 - product) - fma(quotient, divisor, -product)) / divisor
    inverse = quotient + error
    return -(inverse + ((quotient - inverse) + error))


def _tangent_series(square: float) -> float:
    """Return what a small angle's cube is multiplied by."""
    return fma(square, fma(square, fma(square, fma(square, T11, T9), T7), T5), T3)


def _tangent_of(size: float, rest: float, inverse: bool) -> float:
    """Return the tangent, or the cotangent, of an angle between 0.06 and 0.79 and a rest."""
    at = TANGENTS + to_int(256.0 * size - 15.5) * 24
    z = (size - load_float(at)) + rest
    square = z * z
    p = fma(z * square, fma(square, U5, U3), z)
    tangent = load_float(at + 8)
    cotangent = load_float(at + 16)
    if inverse:
        return cotangent - p * (tangent + cotangent) / (tangent + p)
    return tangent + p * (cotangent + tangent) / (cotangent - p)


def _reduce_for_tangent(x: float, size: float) -> bool:
    """Store the angle in two floats and tell whether an odd number of quarters of a turn was taken away."""
    if size > 1e8:
        quarters = _reduce_large(x)
        _normalize(load_float(REDUCED), load_float(REDUCED + 8))
        return quarters & 1 != 0
    shifted = fma(x, INVERSE, BIG)
    count = shifted - BIG
    y = fma(-count, P2, fma(-count, P1, x))
    if size <= 25.0:
        angle = fma(-count, P3_LONG, y)
        store_float(REDUCED, angle)
        store_float(REDUCED + 8, fma(-count, P3_LONG, y - angle))
    else:
        middle = fma(-count, P3, y)
        rest = fma(-count, P3, y - middle)
        angle = fma(-count, P4, middle)
        _normalize(angle, fma(-count, P4, middle - angle) + rest)
    return float_bits(shifted) & 1 != 0


def _normalize(angle: float, rest: float) -> None:
    """Store two floats so that the first is their sum."""
    total = angle + rest
    store_float(REDUCED, total)
    if absolute(angle) > absolute(rest):
        store_float(REDUCED + 8, (angle - total) + rest)
    else:
        store_float(REDUCED + 8, (rest - total) + angle)
