"""`erf` and `erfc`, to the bit what the GNU C library gives; `gamma` and `lgamma` as CPython computes them."""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.angles import cos, sin
from echelon.plugin.compilers.python.library.exponentials import exp, power
from echelon.plugin.compilers.python.library.float_parts import fmod
from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    bits_float,
    copysign,
    float_bits,
    floats,
    floor,
    load_float,
    to_int,
)
from echelon.plugin.compilers.python.library.logarithms import log

INFINITY = math.inf
NAN = math.nan
PI = math.pi
LOG_PI = 1.144729885849400174143427351353058711647
LANCZOS = 6.024680040776729583740234375
LANCZOS_LESS_HALF = 5.524680040776729583740234375
NUMERATOR = floats(
    [
        23531376880.410759688572007674451636754734846804940,
        42919803642.649098768957899047001988850926355848959,
        35711959237.355668049440185451547166705960488635843,
        17921034426.037209699919755754458931112671403265390,
        6039542586.3520280050642916443072979210699388420708,
        1439720407.3117216736632230727949123939715485786772,
        248874557.86205415651146038641322942321632125127801,
        31426415.585400194380614231628318205362874684987640,
        2876370.6289353724412254090516208496135991145378768,
        186056.26539522349504029498971604569928220784236328,
        8071.6720023658162106380029022722506138218516325024,
        210.82427775157934587250973392071336271166969580291,
        2.5066282746310002701649081771338373386264310793408,
    ]
)
DENOMINATOR = floats(
    [
        0.0, 39916800.0, 120543840.0, 150917976.0, 105258076.0, 45995730.0, 13339535.0, 2637558.0, 357423.0, 32670.0,
        1925.0, 66.0, 1.0,
    ]
)  # fmt: skip
FACTORIALS = floats(float(math.factorial(n)) for n in range(23))
AT_ONE = 8.45062911510467529297e-01
EFX = 1.28379167095512586316e-01
NEAR_ZERO = floats(
    [
        1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
        -5.77027029648944159157e-03, -2.37630166566501626084e-05, 0.0,
        1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
        1.32494738004321644526e-04, -3.96022827877536812320e-06,
    ]
)  # fmt: skip
NEAR_ONE = floats(
    [
        -2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
        3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
        -2.16637559486879084300e-03, 0.0,
        1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
        1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02, 0.0,
    ]
)  # fmt: skip
MIDDLE = floats(
    [
        -9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01,
        -6.23753324503260060396e01, -1.62396669462573470355e02, -1.84605092906711035994e02,
        -8.12874355063065934246e01, -9.81432934416914548592e00,
        1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02,
        6.45387271733267880336e02, 4.29008140027567833386e02, 1.08635005541779435134e02,
        6.57024977031928170135e00, -6.04244152148580987438e-02,
    ]
)  # fmt: skip
FAR = floats(
    [
        -9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01,
        -1.60636384855821916062e02, -6.37566443368389627722e02, -1.02509513161107724954e03,
        -4.83519191608651397019e02, 0.0,
        1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03,
        3.19985821950859553908e03, 2.55305040643316442583e03, 4.74528541206955367215e02,
        -2.24409524465858183362e01,
    ]
)  # fmt: skip


def erf(x: float) -> float:
    """Return the error function."""
    if x != x:
        return x
    word = (float_bits(x) >> 32) & 0x7FFF_FFFF
    if word < 0x3FEB_0000:
        if word < 0x3E30_0000:
            if word < 0x0080_0000:
                return 0.0625 * (16.0 * x + (16.0 * EFX) * x)
            return x + EFX * x
        return x + x * _near_zero(x * x)
    if word < 0x3FF4_0000:
        found = AT_ONE + _near_one(absolute(x) - 1.0)
    elif word >= 0x4018_0000:
        found = 1.0
    else:
        size = absolute(x)
        found = 1.0 - _tail(size, word < 0x4006_DB6E) / size
    return copysign(found, x)


def erfc(x: float) -> float:
    """Return one less the error function."""
    if x != x:
        return x
    word = (float_bits(x) >> 32) & 0x7FFF_FFFF
    if word < 0x3FEB_0000:
        if word < 0x3C70_0000:
            return 1.0 - x
        y = _near_zero(x * x)
        if x < 0.25:
            return 1.0 - (x + x * y)
        return 0.5 - (x * y + (x - 0.5))
    if word < 0x3FF4_0000:
        found = _near_one(absolute(x) - 1.0)
        return (1.0 - AT_ONE) - found if x > 0.0 else 1.0 + (AT_ONE + found)
    if word >= 0x403C_0000:
        return 0.0 if x > 0.0 else 2.0
    near = word < 0x4006_DB6D
    if x < 0.0 and not near and word >= 0x4018_0000:
        return 2.0
    size = absolute(x)
    found = _tail(size, near) / size
    return found if x > 0.0 else 2.0 - found


def _pair(at: int, z: float) -> float:
    """Return two terms of a polynomial."""
    return load_float(at) + z * load_float(at + 8)


def _near_zero(z: float) -> float:
    square = z * z
    fourth = square * square
    r = _pair(NEAR_ZERO, z) + square * _pair(NEAR_ZERO + 16, z) + fourth * load_float(NEAR_ZERO + 32)
    s = _pair(NEAR_ZERO + 48, z) + square * _pair(NEAR_ZERO + 64, z) + fourth * _pair(NEAR_ZERO + 80, z)
    return r / s


def _near_one(s: float) -> float:
    return _six(NEAR_ONE, s, load_float(NEAR_ONE + 48)) / _six(NEAR_ONE + 64, s, load_float(NEAR_ONE + 112))


def _six(at: int, s: float, last: float) -> float:
    """Return a polynomial of three pairs of terms and what the sixth power is multiplied by."""
    square = s * s
    fourth = square * square
    found = _pair(at, s) + square * _pair(at + 16, s) + fourth * _pair(at + 32, s)
    return found + fourth * square * last


def _tail(size: float, near: bool) -> float:
    """Return the complement of the error function times its argument, which is at least 1.25."""
    s = 1.0 / (size * size)
    if near:
        r = _six(MIDDLE, s, _pair(MIDDLE + 48, s))
        fourth = s * s * (s * s)
        q = _six(MIDDLE + 64, s, _pair(MIDDLE + 112, s)) + fourth * fourth * load_float(MIDDLE + 128)
    else:
        r = _six(FAR, s, load_float(FAR + 48))
        q = _six(FAR + 64, s, _pair(FAR + 112, s))
    z = bits_float(float_bits(size) & -0x1_0000_0000)
    return exp(-z * z - 0.5625) * exp((z - size) * (z + size) + r / q)


def _sine_of_turns(x: float) -> float:
    """Return sin(pi * x) of a finite number."""
    y = fmod(absolute(x), 2.0)
    half = to_int(2.0 * y + 0.5)
    if half == 0:
        found = sin(PI * y)
    elif half == 1:
        found = cos(PI * (y - 0.5))
    elif half == 2:
        found = sin(PI * (1.0 - y))
    elif half == 3:
        found = -cos(PI * (y - 1.5))
    else:
        found = sin(PI * (y - 2.0))
    return copysign(1.0, x) * found


def _lanczos(x: float) -> float:
    upper = 0.0
    lower = 0.0
    if x < 5.0:
        for back in range(13):
            upper = upper * x + load_float(NUMERATOR + 96 - back * 8)
            lower = lower * x + load_float(DENOMINATOR + 96 - back * 8)
    else:
        for index in range(13):
            upper = upper / x + load_float(NUMERATOR + index * 8)
            lower = lower / x + load_float(DENOMINATOR + index * 8)
    return upper / lower


def gamma(x: float) -> float:
    """Return the gamma function: NaN where it has none, infinite where it does not fit."""
    size = absolute(x)
    if not size < INFINITY:
        return NAN if x < 0.0 else x
    if x == 0.0:
        return copysign(INFINITY, x)
    if x == floor(x):
        if x < 0.0:
            return NAN
        if x <= 23.0:
            return load_float(FACTORIALS + (to_int(x) - 1) * 8)
    if size < 1e-20:
        return 1.0 / x
    if size > 200.0:
        return 0.0 / _sine_of_turns(x) if x < 0.0 else INFINITY
    y = size + LANCZOS_LESS_HALF
    z = y - size - LANCZOS_LESS_HALF if size > LANCZOS_LESS_HALF else y - LANCZOS_LESS_HALF - size
    z = z * LANCZOS / y
    if x < 0.0:
        r = -PI / _sine_of_turns(size) / size * exp(y) / _lanczos(size)
        r = r - z * r
        if size < 140.0:
            return r / power(y, size - 0.5)
        root = power(y, size / 2.0 - 0.25)
        return r / root / root
    r = _lanczos(size) / exp(y)
    r = r + z * r
    if size < 140.0:
        return r * power(y, size - 0.5)
    root = power(y, size / 2.0 - 0.25)
    return r * root * root


def lgamma(x: float) -> float:
    """Return the logarithm of the gamma function's size, infinite where it has none."""
    size = absolute(x)
    if not size < INFINITY:
        return size
    if x == floor(x) and x <= 2.0:
        return INFINITY if x <= 0.0 else 0.0
    if size < 1e-20:
        return -log(size)
    r = log(_lanczos(size)) - LANCZOS
    r = r + (size - 0.5) * (log(size + LANCZOS - 0.5) - 1.0)
    if x < 0.0:
        r = LOG_PI - log(absolute(_sine_of_turns(size))) - log(size) - r
    return r
