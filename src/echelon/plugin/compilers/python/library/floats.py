"""Floats with Python's rules."""

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
from echelon.plugin.compilers.python.library.exponentials import power as c_power
from echelon.plugin.compilers.python.library.float_parts import fmod
from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    copysign,
    nearest,
    square_root,
    text,
    to_int,
    trunc,
)
from echelon.plugin.compilers.python.library.intrinsics import ceil as whole_above
from echelon.plugin.compilers.python.library.intrinsics import floor as whole_below
from echelon.plugin.compilers.python.library.rounding import round_float

_ZERO = 0.0
FLOOR_DIVISION = said(lambda: 1.0 // _ZERO)
MODULO = said(lambda: 1.0 % _ZERO)
DIVMOD = said(lambda: divmod(1.0, _ZERO))
NAN_TO_INT = said(lambda: int(math.nan))
INFINITY_TO_INT = said(lambda: int(math.inf))
ROOT_DOMAIN = said(lambda: math.sqrt(-1.0))
NEGATIVE_POWER = said(lambda: _ZERO**-1.0)
POWER_RANGE = said(lambda: 1e300**2.0)
ROUND_RANGE = said(lambda: round(1.7e308, -308))
COMPLEX = text("a negative number to the power of a fraction is complex")
INFINITY = math.inf
TO_DEGREES = 180.0 / math.pi
TO_RADIANS = math.pi / 180.0
_LIMIT = 9223372036854775808.0


def floor_divide(left: float, right: float) -> float:
    if right == 0.0:
        fail(ZERO_DIVISION, FLOOR_DIVISION)
        return 0.0
    return quotient(left, right)


def divmod_quotient(left: float, right: float) -> float:
    if right == 0.0:
        fail(ZERO_DIVISION, DIVMOD)
        return 0.0
    return quotient(left, right)


def quotient(left: float, right: float) -> float:
    rest = fmod(left, right)
    found = (left - rest) / right
    if rest != 0.0 and (right < 0.0) != (rest < 0.0):
        found -= 1.0
    if found == 0.0:
        return copysign(0.0, left / right)
    whole = whole_below(found)
    if found - whole > 0.5:
        whole += 1.0
    return whole


def modulo(left: float, right: float) -> float:
    if right == 0.0:
        fail(ZERO_DIVISION, MODULO)
        return 0.0
    rest = fmod(left, right)
    if rest == 0.0:
        return copysign(0.0, right)
    if (right < 0.0) != (rest < 0.0):
        rest += right
    return rest


def power(base: float, exponent: float) -> float:
    if exponent == 0.0 or base == 1.0:
        return 1.0
    if base == 0.0 and exponent < 0.0:
        fail(ZERO_DIVISION, NEGATIVE_POWER)
        return 0.0
    if base < 0.0 and absolute(base) < INFINITY and exponent != whole_below(exponent):
        fail(VALUE, COMPLEX)
        return 0.0
    found = c_power(base, exponent)
    if absolute(found) == INFINITY and absolute(base) < INFINITY and absolute(exponent) < INFINITY:
        fail(OVERFLOW, POWER_RANGE)
    return found


def square(base: float) -> float:
    return power(base, 2.0)


def root(value: float) -> float:
    if value < 0.0:
        fail(VALUE, ROOT_DOMAIN)
        return 0.0
    return square_root(value)


def whole(value: float) -> int:
    """Return a float without fraction as an integer; raises for what is none."""
    if -_LIMIT <= value < _LIMIT:
        return to_int(value)
    if value != value:
        fail(VALUE, NAN_TO_INT)
    elif absolute(value) == INFINITY:
        fail(OVERFLOW, INFINITY_TO_INT)
    else:
        overflow()
    return 0


def to_whole(value: float) -> int:
    return whole(trunc(value))


def floor(value: float) -> int:
    return whole(whole_below(value))


def ceil(value: float) -> int:
    return whole(whole_above(value))


def round(value: float) -> int:
    return whole(nearest(value))


def round_to(value: float, places: int) -> float:
    found = round_float(value, places)
    if absolute(found) == INFINITY and absolute(value) < INFINITY:
        fail(OVERFLOW, ROUND_RANGE)
    return found


def is_nan(value: float) -> bool:
    return value != value


def is_inf(value: float) -> bool:
    return absolute(value) == INFINITY


def is_finite(value: float) -> bool:
    return absolute(value) < INFINITY


def degrees(value: float) -> float:
    return value * TO_DEGREES


def radians(value: float) -> float:
    return value * TO_RADIANS


def compare_with_int(value: float, other: int) -> int:
    """Return -1, 0 or 1 as a float is to an integer, 2 for NaN; exact where the integer is no float."""
    if value != value:
        return 2
    if value >= _LIMIT:
        return 1
    if value < -_LIMIT:
        return -1
    below = whole_below(value)
    number = to_int(below)
    if number != other:
        return -1 if number < other else 1
    return 1 if value > below else 0


def lost(total: float, value: float, new: float) -> float:
    """Return what rounding loses of a sum."""
    if absolute(total) >= absolute(value):
        return (total - new) + value
    return (value - new) + total


def finish_sum(total: float, rest: float) -> float:
    if rest != 0.0 and absolute(rest) < INFINITY:
        return total + rest
    return total
