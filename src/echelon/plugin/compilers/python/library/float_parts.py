"""Functions of `math` that are exact, or go by a float's mantissa and exponent."""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    bits_float,
    clz,
    copysign,
    float_bits,
    fma,
    remainder_unsigned,
    square_root,
    trunc,
    wrap,
)

INFINITY = math.inf
NAN = math.nan
FRACTION = 0xF_FFFF_FFFF_FFFF
HIDDEN = 0x10_0000_0000_0000


def fmod(x: float, y: float) -> float:
    """Return what is left of x when multiples of y are taken, with the sign of x; NaN where there is none."""
    if x != x or y != y:
        return x + y
    size, step = absolute(x), absolute(y)
    if size == INFINITY or step == 0.0:
        return NAN
    if size < step:
        return x
    left, right = float_bits(size), float_bits(step)
    exponent = left >> 52
    unit = right >> 52
    left = left & FRACTION
    right = right & FRACTION
    if exponent == 0:
        exponent = 1
    else:
        left = left | HIDDEN
    if unit == 0:
        unit = 1
    else:
        right = right | HIDDEN
    left = left % right
    count = exponent - unit
    while count > 0 and left != 0:
        shift = 11 if count > 11 else count
        left = remainder_unsigned(wrap(left << shift), right)
        count -= shift
    return copysign(assembled(left, unit), x)


def assembled(mantissa: int, exponent: int) -> float:
    """Return mantissa * 2**(exponent - 1075); it is below 2**53, and exact since `exponent` is at least 1."""
    if mantissa == 0:
        return 0.0
    shift = clz(mantissa) - 11
    if shift >= exponent:
        shift = exponent - 1
    mantissa = mantissa << shift
    exponent -= shift
    if mantissa < HIDDEN:
        return bits_float(mantissa)
    return bits_float((exponent << 52) | (mantissa & FRACTION))


def remainder(x: float, y: float) -> float:
    """Return x less the nearest multiple of y, the even one of two; NaN where there is none."""
    if x != x or y != y:
        return x + y
    size, step = absolute(x), absolute(y)
    if size == INFINITY or step == 0.0:
        return NAN
    if step == INFINITY:
        return x
    rest = fmod(size, step)
    other = step - rest
    if rest > other:
        rest = -other
    elif rest == other:
        rest = rest - 2.0 * fmod(0.5 * (size - rest), step)
    return copysign(1.0, x) * rest


def exponent_of(x: float) -> int:
    """Return the exponent that `frexp()` gives."""
    bits = float_bits(x) & 0x7FFF_FFFF_FFFF_FFFF
    exponent = bits >> 52
    if bits == 0 or exponent == 0x7FF:
        return 0
    if exponent == 0:
        return -1010 - clz(bits)
    return exponent - 1022


def mantissa_of(x: float) -> float:
    """Return the number between 0.5 and 1 that `frexp()` gives."""
    bits = float_bits(x)
    exponent = (bits >> 52) & 0x7FF
    if exponent == 0x7FF or x == 0.0:
        return x
    if exponent == 0:
        bits = float_bits(x * 18014398509481984.0)
    return bits_float((bits & wrap(0x800F_FFFF_FFFF_FFFF)) | 0x3FE0_0000_0000_0000)


def ldexp(x: float, exponent: int) -> float:
    """Return x * 2**exponent, rounded once; infinite where it does not fit."""
    if x == 0.0 or not absolute(x) < INFINITY:
        return x
    if exponent > 2200:
        return copysign(INFINITY, x)
    if exponent < -2200:
        return copysign(0.0, x)
    bits = float_bits(mantissa_of(x))
    exponent += exponent_of(x)
    if exponent > 1024:
        return copysign(INFINITY, x)
    if exponent > -1022:
        return bits_float(wrap(bits + wrap(exponent << 52)))
    if exponent < -1080:
        return copysign(0.0, x)
    return bits_float(wrap(bits + wrap((exponent + 200) << 52))) * 2.0**-200


def fraction_of(x: float) -> float:
    """Return the part after the point, with the sign of x."""
    if absolute(x) == INFINITY:
        return copysign(0.0, x)
    return copysign(x - trunc(x), x)


def next_after(x: float, y: float) -> float:
    """Return the float next to x towards y."""
    if x != x or y != y:
        return x + y
    if x == y:
        return y
    if x == 0.0:
        return copysign(5e-324, y)
    bits = float_bits(x)
    return bits_float(bits + 1 if (y > x) == (x > 0.0) else bits - 1)


def unit(x: float) -> float:
    """Return the value of the last bit: `ulp()`."""
    size = absolute(x)
    if not size < INFINITY:
        return size
    following = bits_float(float_bits(size) + 1)
    if following == INFINITY:
        return size - bits_float(float_bits(size) - 1)
    return following - size


def hypot(x: float, y: float) -> float:
    """Return the length of a vector of two."""
    return hypot_of_three(x, y, 0.0)


def hypot_of_three(x: float, y: float, z: float) -> float:
    """Return the length of a vector of three: the root of an exact sum, corrected once."""
    x, y, z = absolute(x), absolute(y), absolute(z)
    if x == INFINITY or y == INFINITY or z == INFINITY:
        return INFINITY
    if x != x or y != y or z != z:
        return NAN
    largest = x if x > y else y
    largest = z if z > largest else largest
    if largest == 0.0:
        return 0.0
    exponent = exponent_of(largest)
    if exponent < -1022:
        return length_below_normal(x, y, z, largest)
    scale = ldexp(1.0, -exponent)
    x, y, z = x * scale, y * scale, z * scale
    total = 1.0 + x * x
    rest = (1.0 - total) + x * x + fma(x, x, -(x * x))
    larger = total + y * y
    rest = rest + ((total - larger) + y * y + fma(y, y, -(y * y)))
    total = larger
    larger = total + z * z
    rest = rest + ((total - larger) + z * z + fma(z, z, -(z * z)))
    root = square_root(larger - 1.0 + rest)
    product = -root * root
    total = larger + product
    rest = rest + ((larger - total) + product + fma(-root, root, -product))
    return (root + (total - 1.0 + rest) / (2.0 * root)) / scale


def length_below_normal(x: float, y: float, z: float, largest: float) -> float:
    """Return the length of a vector of the smallest numbers."""
    total, rest = 1.0, 0.0
    for item in (x, y, z):
        square = (item / largest) * (item / largest)
        before = total
        total = total + square
        rest = rest + ((before - total) + square)
    return largest * square_root(total - 1.0 + rest)


def cbrt(x: float) -> float:
    """Return the cube root, to the bit what the GNU C library gives."""
    size = absolute(x)
    if size == 0.0 or not size < INFINITY:
        return x
    exponent = exponent_of(size)
    m = mantissa_of(size)
    u = 0.784932344976639262 - 0.145263899385486377 * m
    u = -1.83469277483613086 + u * m
    u = 2.44693122563534430 + u * m
    u = -2.11499494167371287 + u * m
    u = 1.50819193781584896 + u * m
    u = 0.354895765043919860 + u * m
    cube = u * u * u
    third = exponent // 3
    left = exponent - third * 3
    if exponent < 0 and left != 0:
        third += 1
        left -= 3
    factor = 1.0
    if left == 1:
        factor = 1.2599210498948731648
    elif left == 2:
        factor = 1.5874010519681994748
    elif left == -1:
        factor = 1.0 / 1.2599210498948731648
    elif left == -2:
        factor = 1.0 / 1.5874010519681994748
    root = u * (cube + 2.0 * m) / (2.0 * cube + m) * factor
    return copysign(ldexp(root, third), x)
