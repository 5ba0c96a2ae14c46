"""The functions of `math` as programs call them: with the exceptions that CPython raises.

What they compute is in the files that are imported here, where it is infinity or NaN instead of an exception.
"""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.angles import cos as c_cos
from echelon.plugin.compilers.python.library.angles import sin as c_sin
from echelon.plugin.compilers.python.library.angles import tan as c_tan
from echelon.plugin.compilers.python.library.errors import OVERFLOW, VALUE, fail, float_division, said
from echelon.plugin.compilers.python.library.exponentials import exp as c_exp
from echelon.plugin.compilers.python.library.exponentials import exp2 as c_exp2
from echelon.plugin.compilers.python.library.exponentials import expm1 as c_expm1
from echelon.plugin.compilers.python.library.exponentials import power as c_power
from echelon.plugin.compilers.python.library.float_parts import cbrt as c_cbrt
from echelon.plugin.compilers.python.library.float_parts import fmod as c_fmod
from echelon.plugin.compilers.python.library.float_parts import hypot as c_hypot
from echelon.plugin.compilers.python.library.float_parts import hypot_of_three, next_after, unit
from echelon.plugin.compilers.python.library.float_parts import ldexp as c_ldexp
from echelon.plugin.compilers.python.library.float_parts import remainder as c_remainder
from echelon.plugin.compilers.python.library.hyperbolic import acosh as c_acosh
from echelon.plugin.compilers.python.library.hyperbolic import asinh as c_asinh
from echelon.plugin.compilers.python.library.hyperbolic import atanh as c_atanh
from echelon.plugin.compilers.python.library.hyperbolic import cosh as c_cosh
from echelon.plugin.compilers.python.library.hyperbolic import sinh as c_sinh
from echelon.plugin.compilers.python.library.hyperbolic import tanh as c_tanh
from echelon.plugin.compilers.python.library.intrinsics import absolute
from echelon.plugin.compilers.python.library.intrinsics import floor as c_whole
from echelon.plugin.compilers.python.library.logarithms import log as c_log
from echelon.plugin.compilers.python.library.logarithms import log1p as c_log1p
from echelon.plugin.compilers.python.library.logarithms import log2 as c_log2
from echelon.plugin.compilers.python.library.logarithms import log10 as c_log10
from echelon.plugin.compilers.python.library.special_functions import erf as c_erf
from echelon.plugin.compilers.python.library.special_functions import erfc as c_erfc
from echelon.plugin.compilers.python.library.special_functions import gamma as c_gamma
from echelon.plugin.compilers.python.library.special_functions import lgamma as c_lgamma

INFINITY = math.inf
DOMAIN = said(lambda: math.acosh(0.0))
LOG_DOMAIN = said(lambda: math.log(0.0))
LOG2_DOMAIN = said(lambda: math.log2(0.0))
LOG10_DOMAIN = said(lambda: math.log10(0.0))
LOG1P_DOMAIN = said(lambda: math.log1p(-1.0))
ATANH_DOMAIN = said(lambda: math.atanh(1.0))
GAMMA_DOMAIN = said(lambda: math.gamma(-1.0))
INFINITE_ANGLE = said(lambda: math.sin(math.inf))
POWER_DOMAIN = said(lambda: math.pow(-1.0, 0.5))
FMOD_DOMAIN = said(lambda: math.fmod(1.0, 0.0))
REMAINDER_DOMAIN = said(lambda: math.remainder(1.0, 0.0))
RANGE = said(lambda: math.exp(1000.0))


def _ranged(found: float, x: float) -> float:
    """Return a result, which is too large where it is infinite and the argument is not."""
    if absolute(found) == INFINITY and absolute(x) < INFINITY:
        fail(OVERFLOW, RANGE)
    return found


def _angle(found: float, x: float) -> float:
    if absolute(x) == INFINITY:
        fail(VALUE, INFINITE_ANGLE)
    return found


def exp(x: float) -> float:
    return _ranged(c_exp(x), x)


def exp2(x: float) -> float:
    return _ranged(c_exp2(x), x)


def expm1(x: float) -> float:
    return _ranged(c_expm1(x), x)


def log_1(x: float) -> float:
    if x <= 0.0:
        fail(VALUE, LOG_DOMAIN)
        return 0.0
    return c_log(x)


def log_2(x: float, base: float) -> float:
    """Return the logarithm to a base, as one divided by another."""
    if x <= 0.0 or base <= 0.0:
        fail(VALUE, LOG_DOMAIN)
        return 0.0
    divisor = c_log(base)
    if divisor == 0.0:
        float_division()
        return 0.0
    return c_log(x) / divisor


def log2(x: float) -> float:
    if x <= 0.0:
        fail(VALUE, LOG2_DOMAIN)
        return 0.0
    return c_log2(x)


def log10(x: float) -> float:
    if x <= 0.0:
        fail(VALUE, LOG10_DOMAIN)
        return 0.0
    return c_log10(x)


def log1p(x: float) -> float:
    if x <= -1.0:
        fail(VALUE, LOG1P_DOMAIN)
        return 0.0
    return c_log1p(x)


def sin(x: float) -> float:
    return _angle(c_sin(x), x)


def cos(x: float) -> float:
    return _angle(c_cos(x), x)


def tan(x: float) -> float:
    return _angle(c_tan(x), x)


def sinh(x: float) -> float:
    return _ranged(c_sinh(x), x)


def cosh(x: float) -> float:
    return _ranged(c_cosh(x), x)


def tanh(x: float) -> float:
    return c_tanh(x)


def asinh(x: float) -> float:
    return c_asinh(x)


def acosh(x: float) -> float:
    if x < 1.0:
        fail(VALUE, DOMAIN)
        return 0.0
    return c_acosh(x)


def atanh(x: float) -> float:
    if absolute(x) >= 1.0:
        fail(VALUE, ATANH_DOMAIN)
        return 0.0
    return c_atanh(x)


def erf(x: float) -> float:
    return c_erf(x)


def erfc(x: float) -> float:
    return c_erfc(x)


def gamma(x: float) -> float:
    if x == -INFINITY or (x <= 0.0 and x == c_whole(x)):
        fail(VALUE, GAMMA_DOMAIN)
        return 0.0
    return _ranged(c_gamma(x), x)


def lgamma(x: float) -> float:
    if x > -INFINITY and x <= 0.0 and x == c_whole(x):
        fail(VALUE, GAMMA_DOMAIN)
        return 0.0
    return _ranged(c_lgamma(x), x)


def cbrt(x: float) -> float:
    return c_cbrt(x)


def pow(x: float, y: float) -> float:
    """Return x**y as C has it."""
    found = c_power(x, y)
    if absolute(x) < INFINITY and absolute(y) < INFINITY:
        if found != found or (x == 0.0 and y < 0.0):
            fail(VALUE, POWER_DOMAIN)
        elif absolute(found) == INFINITY:
            fail(OVERFLOW, RANGE)
    return found


def fmod(x: float, y: float) -> float:
    if x == x and y == y and (absolute(x) == INFINITY or y == 0.0):
        fail(VALUE, FMOD_DOMAIN)
        return 0.0
    return c_fmod(x, y)


def remainder(x: float, y: float) -> float:
    if x == x and y == y and (absolute(x) == INFINITY or y == 0.0):
        fail(VALUE, REMAINDER_DOMAIN)
        return 0.0
    return c_remainder(x, y)


def hypot_1(x: float) -> float:
    return absolute(x)


def hypot_2(x: float, y: float) -> float:
    return c_hypot(x, y)


def hypot_3(x: float, y: float, z: float) -> float:
    return hypot_of_three(x, y, z)


def ldexp(x: float, exponent: int) -> float:
    return _ranged(c_ldexp(x, exponent), x)


def nextafter(x: float, y: float) -> float:
    return next_after(x, y)


def ulp(x: float) -> float:
    return unit(x)
