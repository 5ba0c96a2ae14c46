"""Whole numbers of any size, for conversions between floats and text.

A number lies at an address: how many limbs it has, 8 bytes, and its limbs of 32 bits, the lowest first. There is no
limb of zero at the top. Who gives the address sees to it that there is room: `room(bits)` bytes.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.intrinsics import (
    clz,
    divide_unsigned,
    load32,
    load64,
    remainder_unsigned,
    shift_right_unsigned,
    store8,
    store32,
    store64,
)


def big_room(bits: int) -> int:
    """Return how many bytes a number of so many bits takes, with a few limbs to spare."""
    return 8 + (bits // 32 + 6) * 4 & -8


def big_set(at: int, value: int) -> None:
    """Set to a number of at most 64 bits, without a sign."""
    store32(at + 8, value)
    high = shift_right_unsigned(value, 32)
    store32(at + 12, high)
    if high != 0:
        store64(at, 2)
    elif value != 0:
        store64(at, 1)
    else:
        store64(at, 0)


def big_multiply(at: int, factor: int, more: int) -> None:
    """Multiply by a number of at most 31 bits and add one."""
    count = load64(at)
    place = at + 8
    end = place + count * 4
    carry = more
    while place < end:
        carry += load32(place) * factor
        store32(place, carry)
        carry = shift_right_unsigned(carry, 32)
        place += 4
    if carry != 0:
        store32(place, carry)
        store64(at, count + 1)


def big_divide(at: int, divisor: int) -> int:
    """Divide by a number of at most 31 bits and return what is left over."""
    count = load64(at)
    place = at + 4 + count * 4
    rest = 0
    while place > at + 4:
        rest = (rest << 32) + load32(place)
        store32(place, divide_unsigned(rest, divisor))
        rest = remainder_unsigned(rest, divisor)
        place -= 4
    _trim(at, count)
    return rest


def big_shift_left(at: int, bits: int) -> None:
    count = load64(at)
    if count == 0:
        return
    limbs = bits >> 5
    bits = bits & 31
    place = at + 8 + (count - 1) * 4
    carry = 0
    store32(place + 4, 0)
    while place > at + 4:
        value = load32(place) << bits
        store32(place + 4 + limbs * 4, carry + (value >> 32))
        carry = value & 0xFFFF_FFFF
        place -= 4
    store32(at + 8 + limbs * 4, carry)
    place = at + 8
    while place < at + 8 + limbs * 4:
        store32(place, 0)
        place += 4
    _trim(at, count + limbs + 1)


def big_shift_right(at: int, bits: int) -> bool:
    """Shift and tell whether a bit that was not zero fell off."""
    count = load64(at)
    limbs = bits >> 5
    bits = bits & 31
    if limbs >= count:
        store64(at, 0)
        return count != 0
    lost = 0
    place = at + 8
    origin = place + limbs * 4
    while place < origin:
        lost = lost | load32(place)
        place += 4
    place = at + 8
    end = place + count * 4
    lost = lost | (load32(origin) & ((1 << bits) - 1))
    while origin < end:
        value = load32(origin)
        if origin + 4 < end:
            value = value | (load32(origin + 4) << 32)
        store32(place, shift_right_unsigned(value, bits))
        place += 4
        origin += 4
    _trim(at, count - limbs)
    return lost != 0


def big_bits(at: int) -> int:
    """Return how many bits there are up to the highest that is not zero."""
    count = load64(at)
    if count == 0:
        return 0
    return count * 32 - clz(load32(at + 4 + count * 4)) + 32


def big_low(at: int) -> int:
    """Return the lowest 64 bits."""
    count = load64(at)
    if count == 0:
        return 0
    if count == 1:
        return load32(at + 8)
    return load32(at + 8) | (load32(at + 12) << 32)


def big_power_of_five(at: int, exponent: int) -> None:
    """Multiply by a power of five."""
    while exponent >= 13:
        big_multiply(at, 1220703125, 0)
        exponent -= 13
    while exponent > 0:
        big_multiply(at, 5, 0)
        exponent -= 1


def big_divide_power_of_five(at: int, exponent: int) -> bool:
    """Divide by a power of five and tell whether there was something left over."""
    rest = 0
    while exponent >= 13:
        rest = rest | big_divide(at, 1220703125)
        exponent -= 13
    while exponent > 0:
        rest = rest | big_divide(at, 5)
        exponent -= 1
    return rest != 0


def big_write(at: int, end: int) -> int:
    """Write the digits so that they end before `end`, which destroys the number; returns where they begin."""
    while load64(at) > 1:
        rest = big_divide(at, 1_000_000_000)
        for _ in range(9):
            end -= 1
            store8(end, 48 + rest % 10)
            rest = rest // 10
    rest = big_low(at)
    while rest > 0:
        end -= 1
        store8(end, 48 + rest % 10)
        rest = rest // 10
    return end


def _trim(at: int, count: int) -> None:
    while count > 0 and load32(at + 4 + count * 4) == 0:
        count -= 1
    store64(at, count)
