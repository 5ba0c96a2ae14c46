"""The raw dialect's functions as CPython runs them."""

from __future__ import annotations

import math

from echelon.plugin.compilers.python.library import intrinsics as raw


def test_integers_wrap_and_divide_unsigned() -> None:
    """Integers are 64 bits with a sign; the unsigned functions read the same bits."""
    assert raw.wrap(1 << 63) == -(1 << 63)
    assert raw.wrap(-1 - (1 << 63)) == (1 << 63) - 1
    assert raw.divide_unsigned(-1, 10) == ((1 << 64) - 1) // 10
    assert raw.remainder_unsigned(-1, 10) == 5
    assert raw.high_unsigned(-1, -1) == -2
    assert raw.less_unsigned(1, -1)
    assert not raw.less_unsigned(-1, 1)
    assert raw.shift_right_unsigned(-1, 60) == 15


def test_bits_are_counted() -> None:
    """Zero has 64 zeros on either side."""
    assert (raw.clz(0), raw.ctz(0), raw.clz(1), raw.ctz(8), raw.popcount(-1)) == (64, 64, 63, 3, 64)


def test_memory_keeps_what_is_stored() -> None:
    """Each width is read back; tables are addresses of their content."""
    at = raw.allocate(32)
    raw.store64(at, -2)
    assert (raw.load64(at), raw.load32(at), raw.load16(at), raw.load8(at)) == (-2, 0xFFFF_FFFE, 0xFFFE, 0xFE)
    raw.store_float(at, 1.5)
    assert raw.bits_float(raw.load64(at)) == 1.5 == raw.load_float(at)
    raw.memory_copy(at + 8, at, 8)
    raw.memory_fill(at, 0, 8)
    assert (raw.load64(at), raw.load_float(at + 8)) == (0, 1.5)
    table = raw.words([7, 1 << 63])
    assert (raw.load64(table), raw.load64(table + 8)) == (7, -(1 << 63))
    assert raw.load_float(raw.floats([0.5]) + 0) == 0.5
    assert raw.allocate(1 << 20) % 8 == 0


def test_floats_round_as_instructions_do() -> None:
    """The sign of zero stays, halves go to the even number, conversions saturate."""
    assert math.copysign(1, raw.ceil(-0.5)) == -1
    assert (raw.nearest(2.5), raw.floor(-1.5), raw.trunc(-1.5)) == (2.0, -2.0, -1.0)
    assert (raw.to_int(math.nan), raw.to_int(math.inf), raw.to_int(-1e30)) == (0, (1 << 63) - 1, -(1 << 63))
    assert (raw.to_float_unsigned(-1), raw.to_float(-1)) == (2.0**64, -1.0)
    assert raw.copysign(raw.absolute(-3.0), -0.0) == -3.0
    assert math.isnan(raw.square_root(-1.0))
    assert math.isnan(raw.floor(math.nan))
