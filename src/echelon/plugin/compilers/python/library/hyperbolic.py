"""`sinh`, `cosh`, `tanh` and what turns them round, to the bit what the GNU C library gives."""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.exponentials import exp, expm1
from echelon.plugin.compilers.python.library.intrinsics import absolute, copysign, fma, square_root
from echelon.plugin.compilers.python.library.logarithms import log, log1p

INFINITY = math.inf
NAN = math.nan
LN2 = 6.93147180559945286227e-01
LARGEST_LOG = 709.78271484375
"""From here on e**x does not fit, but half of it may."""


def sinh(x: float) -> float:
    """Return the hyperbolic sine, infinite where it does not fit."""
    size = absolute(x)
    if size < 2.0**-28 or not size < INFINITY:
        return x
    half = copysign(0.5, x)
    if size < 22.0:
        t = expm1(size)
        if size < 1.0:
            return half * fma(2.0, t, -(t * t / (t + 1.0)))
        return half * (t + t / (t + 1.0))
    return _large(size, half)


def _large(size: float, half: float) -> float:
    """Return half of e**size, times twice `half`."""
    if size < LARGEST_LOG:
        return half * exp(size)
    w = exp(0.5 * size)
    return half * w * w


def cosh(x: float) -> float:
    """Return the hyperbolic cosine, infinite where it does not fit."""
    size = absolute(x)
    if not size < INFINITY:
        return size
    if size < 22.0:
        if size < 0.34657368063926697:
            if size < 2.0**-55:
                return 1.0
            t = expm1(size)
            w = 1.0 + t
            return 1.0 + (t * t) / (w + w)
        t = exp(size)
        return 0.5 * t + 0.5 / t
    return _large(size, 0.5)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent."""
    size = absolute(x)
    if x != x or x == 0.0:
        return x
    if size >= 22.0:
        return copysign(1.0, x)
    if size < 2.0**-55:
        return x * (1.0 + x)
    if size >= 1.0:
        return copysign(1.0 - 2.0 / (expm1(2.0 * size) + 2.0), x)
    t = expm1(-2.0 * size)
    return copysign(-t / (t + 2.0), x)


def asinh(x: float) -> float:
    """Return the inverse of the hyperbolic sine."""
    size = absolute(x)
    if size < 2.0**-28 or not size < INFINITY:
        return x
    if size >= 2.0**28 * (1.0 + 2.0**-20):
        return copysign(log(size) + LN2, x)
    if size >= 2.0 * (1.0 + 2.0**-20):
        return copysign(log(2.0 * size + 1.0 / (square_root(size * size + 1.0) + size)), x)
    t = size * size
    return copysign(log1p(size + t / (1.0 + square_root(1.0 + t))), x)


def acosh(x: float) -> float:
    """Return the inverse of the hyperbolic cosine, NaN below 1."""
    if not x >= 1.0:
        return NAN
    if x >= 2.0**28:
        return log(x) + LN2 if x < INFINITY else x
    if x > 2.0:
        return log(2.0 * x - 1.0 / (x + square_root(x * x - 1.0)))
    t = x - 1.0
    return log1p(t + square_root(2.0 * t + t * t))


def atanh(x: float) -> float:
    """Return the inverse of the hyperbolic tangent: infinite at 1, NaN beyond."""
    size = absolute(x)
    if size < 2.0**-28 or x != x:
        return x
    if size < 0.5:
        t = size + size
        return copysign(0.5 * log1p(t + t * size / (1.0 - size)), x)
    if size < 1.0:
        return copysign(0.5 * log1p((size + size) / (1.0 - size)), x)
    return copysign(INFINITY, x) if size == 1.0 else NAN
