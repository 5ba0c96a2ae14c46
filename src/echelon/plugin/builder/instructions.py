"""The instructions on numbers, by the type they belong to: `code.i32.add()`, `code.f64.load(offset=8)`.

What each takes from the stack and leaves there is in the table, so that it can be checked where it is written.

Source: WebAssembly core specification 2.0, section 5.4.
"""

from __future__ import annotations

import math
import struct
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from echelon.errors import BuildError
from echelon.plugin.builder.encoding import index, integer, signed, unsigned

if TYPE_CHECKING:
    from echelon.plugin.builder.function import FunctionBuilder

_OFFSETS: Final = 1 << 32


class Emit(Protocol):
    """Writes an instruction without immediates and returns the function."""

    def __call__(self) -> FunctionBuilder: ...


class EmitAccess(Protocol):
    """Writes a load or store at an address plus `offset`; `align` in bytes, 0 means that of the value."""

    def __call__(self, offset: int = 0, align: int = 0) -> FunctionBuilder: ...


class Group:
    """The instructions of one type in one function."""

    prefix = ""

    def __init__(self, function: FunctionBuilder) -> None:
        self._function = function


class Plain:
    """An instruction that is its opcode."""

    def __init__(self, code: int | bytes, params: tuple[str, ...], results: tuple[str, ...]) -> None:
        self.code = bytes([code]) if isinstance(code, int) else code
        self.params = params
        self.results = results
        self.name = ""

    def __set_name__(self, owner: type[Group], name: str) -> None:
        self.name = f"{owner.prefix}.{name.rstrip('_')}"

    def __get__(self, group: Group, owner: type[Group]) -> Emit:
        return partial(group._function.plain, self)


class Access:
    """A load or store of `width` bytes."""

    def __init__(self, code: int, width: int, params: tuple[str, ...], results: tuple[str, ...]) -> None:
        self.code = bytes([code])
        self.width = width
        self.params = params
        self.results = results
        self.name = ""

    def __set_name__(self, owner: type[Group], name: str) -> None:
        self.name = f"{owner.prefix}.{name}"

    def __get__(self, group: Group, owner: type[Group]) -> EmitAccess:
        return partial(self._emit, group._function)

    def _emit(self, function: FunctionBuilder, offset: int = 0, align: int = 0) -> FunctionBuilder:
        align = align or self.width
        if align not in (1, 2, 4, 8) or align > self.width:
            raise BuildError(
                f"{self.name}: an alignment of {align} bytes is not 1, 2, 4 or 8, up to {self.width}"
            )
        place = unsigned(index(offset, _OFFSETS, f"{self.name}: offset"))
        return function.access(self, unsigned(align.bit_length() - 1) + place)


def _load(code: int, width: int, kind: str) -> Access:
    return Access(code, width, ("i32",), (kind,))


def _store(code: int, width: int, kind: str) -> Access:
    return Access(code, width, ("i32", kind), ())


_I, _L, _F, _D = ("i32",), ("i64",), ("f32",), ("f64",)


class I32(Group):
    """Whole numbers of 32 bits."""

    prefix = "i32"

    def const(self, value: int) -> FunctionBuilder:
        """Push a number, given with or without sign."""
        return self._function.constant("i32", 0x41, signed(integer(value, 32, "i32.const")))

    eqz = Plain(0x45, _I, _I)
    eq, ne = Plain(0x46, _I * 2, _I), Plain(0x47, _I * 2, _I)
    lt_s, lt_u = Plain(0x48, _I * 2, _I), Plain(0x49, _I * 2, _I)
    gt_s, gt_u = Plain(0x4A, _I * 2, _I), Plain(0x4B, _I * 2, _I)
    le_s, le_u = Plain(0x4C, _I * 2, _I), Plain(0x4D, _I * 2, _I)
    ge_s, ge_u = Plain(0x4E, _I * 2, _I), Plain(0x4F, _I * 2, _I)
    clz, ctz, popcnt = Plain(0x67, _I, _I), Plain(0x68, _I, _I), Plain(0x69, _I, _I)
    add, sub, mul = Plain(0x6A, _I * 2, _I), Plain(0x6B, _I * 2, _I), Plain(0x6C, _I * 2, _I)
    div_s, div_u = Plain(0x6D, _I * 2, _I), Plain(0x6E, _I * 2, _I)
    rem_s, rem_u = Plain(0x6F, _I * 2, _I), Plain(0x70, _I * 2, _I)
    and_, or_, xor = Plain(0x71, _I * 2, _I), Plain(0x72, _I * 2, _I), Plain(0x73, _I * 2, _I)
    shl, shr_s, shr_u = Plain(0x74, _I * 2, _I), Plain(0x75, _I * 2, _I), Plain(0x76, _I * 2, _I)
    rotl, rotr = Plain(0x77, _I * 2, _I), Plain(0x78, _I * 2, _I)
    wrap_i64, reinterpret_f32 = Plain(0xA7, _L, _I), Plain(0xBC, _F, _I)
    trunc_f32_s, trunc_f32_u = Plain(0xA8, _F, _I), Plain(0xA9, _F, _I)
    trunc_f64_s, trunc_f64_u = Plain(0xAA, _D, _I), Plain(0xAB, _D, _I)
    extend8_s, extend16_s = Plain(0xC0, _I, _I), Plain(0xC1, _I, _I)
    trunc_sat_f32_s, trunc_sat_f32_u = Plain(b"\xfc\0", _F, _I), Plain(b"\xfc\1", _F, _I)
    trunc_sat_f64_s, trunc_sat_f64_u = Plain(b"\xfc\2", _D, _I), Plain(b"\xfc\3", _D, _I)
    load, store = _load(0x28, 4, "i32"), _store(0x36, 4, "i32")
    load8_s, load8_u = _load(0x2C, 1, "i32"), _load(0x2D, 1, "i32")
    load16_s, load16_u = _load(0x2E, 2, "i32"), _load(0x2F, 2, "i32")
    store8, store16 = _store(0x3A, 1, "i32"), _store(0x3B, 2, "i32")


class I64(Group):
    """Whole numbers of 64 bits."""

    prefix = "i64"

    def const(self, value: int) -> FunctionBuilder:
        """Push a number, given with or without sign."""
        return self._function.constant("i64", 0x42, signed(integer(value, 64, "i64.const")))

    eqz = Plain(0x50, _L, _I)
    eq, ne = Plain(0x51, _L * 2, _I), Plain(0x52, _L * 2, _I)
    lt_s, lt_u = Plain(0x53, _L * 2, _I), Plain(0x54, _L * 2, _I)
    gt_s, gt_u = Plain(0x55, _L * 2, _I), Plain(0x56, _L * 2, _I)
    le_s, le_u = Plain(0x57, _L * 2, _I), Plain(0x58, _L * 2, _I)
    ge_s, ge_u = Plain(0x59, _L * 2, _I), Plain(0x5A, _L * 2, _I)
    clz, ctz, popcnt = Plain(0x79, _L, _L), Plain(0x7A, _L, _L), Plain(0x7B, _L, _L)
    add, sub, mul = Plain(0x7C, _L * 2, _L), Plain(0x7D, _L * 2, _L), Plain(0x7E, _L * 2, _L)
    div_s, div_u = Plain(0x7F, _L * 2, _L), Plain(0x80, _L * 2, _L)
    rem_s, rem_u = Plain(0x81, _L * 2, _L), Plain(0x82, _L * 2, _L)
    and_, or_, xor = Plain(0x83, _L * 2, _L), Plain(0x84, _L * 2, _L), Plain(0x85, _L * 2, _L)
    shl, shr_s, shr_u = Plain(0x86, _L * 2, _L), Plain(0x87, _L * 2, _L), Plain(0x88, _L * 2, _L)
    rotl, rotr = Plain(0x89, _L * 2, _L), Plain(0x8A, _L * 2, _L)
    extend_i32_s, extend_i32_u = Plain(0xAC, _I, _L), Plain(0xAD, _I, _L)
    reinterpret_f64 = Plain(0xBD, _D, _L)
    trunc_f32_s, trunc_f32_u = Plain(0xAE, _F, _L), Plain(0xAF, _F, _L)
    trunc_f64_s, trunc_f64_u = Plain(0xB0, _D, _L), Plain(0xB1, _D, _L)
    extend8_s, extend16_s, extend32_s = Plain(0xC2, _L, _L), Plain(0xC3, _L, _L), Plain(0xC4, _L, _L)
    trunc_sat_f32_s, trunc_sat_f32_u = Plain(b"\xfc\4", _F, _L), Plain(b"\xfc\5", _F, _L)
    trunc_sat_f64_s, trunc_sat_f64_u = Plain(b"\xfc\6", _D, _L), Plain(b"\xfc\7", _D, _L)
    load, store = _load(0x29, 8, "i64"), _store(0x37, 8, "i64")
    load8_s, load8_u = _load(0x30, 1, "i64"), _load(0x31, 1, "i64")
    load16_s, load16_u = _load(0x32, 2, "i64"), _load(0x33, 2, "i64")
    load32_s, load32_u = _load(0x34, 4, "i64"), _load(0x35, 4, "i64")
    store8, store16, store32 = _store(0x3C, 1, "i64"), _store(0x3D, 2, "i64"), _store(0x3E, 4, "i64")


class F32(Group):
    """Floating-point numbers of 32 bits."""

    prefix = "f32"

    def const(self, value: float) -> FunctionBuilder:
        """Push a number, rounded to 32 bits; one that is too large for them is infinite."""
        try:
            content = struct.pack("<f", value)
        except OverflowError:
            content = struct.pack("<f", math.copysign(math.inf, value))
        return self._function.constant("f32", 0x43, content)

    def bits(self, value: int) -> FunctionBuilder:
        """Push a number by its bits."""
        return self._function.constant("f32", 0x43, index(value, 1 << 32, "f32.bits").to_bytes(4, "little"))

    eq, ne = Plain(0x5B, _F * 2, _I), Plain(0x5C, _F * 2, _I)
    lt, gt = Plain(0x5D, _F * 2, _I), Plain(0x5E, _F * 2, _I)
    le, ge = Plain(0x5F, _F * 2, _I), Plain(0x60, _F * 2, _I)
    abs, neg, sqrt = Plain(0x8B, _F, _F), Plain(0x8C, _F, _F), Plain(0x91, _F, _F)
    ceil, floor, trunc, nearest = (
        Plain(0x8D, _F, _F), Plain(0x8E, _F, _F), Plain(0x8F, _F, _F), Plain(0x90, _F, _F),
    )  # fmt: skip
    add, sub, mul, div = (
        Plain(0x92, _F * 2, _F), Plain(0x93, _F * 2, _F), Plain(0x94, _F * 2, _F), Plain(0x95, _F * 2, _F),
    )  # fmt: skip
    min, max, copysign = Plain(0x96, _F * 2, _F), Plain(0x97, _F * 2, _F), Plain(0x98, _F * 2, _F)
    convert_i32_s, convert_i32_u = Plain(0xB2, _I, _F), Plain(0xB3, _I, _F)
    convert_i64_s, convert_i64_u = Plain(0xB4, _L, _F), Plain(0xB5, _L, _F)
    demote_f64, reinterpret_i32 = Plain(0xB6, _D, _F), Plain(0xBE, _I, _F)
    load, store = _load(0x2A, 4, "f32"), _store(0x38, 4, "f32")


class F64(Group):
    """Floating-point numbers of 64 bits."""

    prefix = "f64"

    def const(self, value: float) -> FunctionBuilder:
        """Push a number."""
        return self._function.constant("f64", 0x44, struct.pack("<d", value))

    def bits(self, value: int) -> FunctionBuilder:
        """Push a number by its bits."""
        return self._function.constant("f64", 0x44, index(value, 1 << 64, "f64.bits").to_bytes(8, "little"))

    eq, ne = Plain(0x61, _D * 2, _I), Plain(0x62, _D * 2, _I)
    lt, gt = Plain(0x63, _D * 2, _I), Plain(0x64, _D * 2, _I)
    le, ge = Plain(0x65, _D * 2, _I), Plain(0x66, _D * 2, _I)
    abs, neg, sqrt = Plain(0x99, _D, _D), Plain(0x9A, _D, _D), Plain(0x9F, _D, _D)
    ceil, floor, trunc, nearest = (
        Plain(0x9B, _D, _D), Plain(0x9C, _D, _D), Plain(0x9D, _D, _D), Plain(0x9E, _D, _D),
    )  # fmt: skip
    add, sub, mul, div = (
        Plain(0xA0, _D * 2, _D), Plain(0xA1, _D * 2, _D), Plain(0xA2, _D * 2, _D), Plain(0xA3, _D * 2, _D),
    )  # fmt: skip
    min, max, copysign = Plain(0xA4, _D * 2, _D), Plain(0xA5, _D * 2, _D), Plain(0xA6, _D * 2, _D)
    convert_i32_s, convert_i32_u = Plain(0xB7, _I, _D), Plain(0xB8, _I, _D)
    convert_i64_s, convert_i64_u = Plain(0xB9, _L, _D), Plain(0xBA, _L, _D)
    promote_f32, reinterpret_i64 = Plain(0xBB, _F, _D), Plain(0xBF, _L, _D)
    load, store = _load(0x2B, 8, "f64"), _store(0x39, 8, "f64")
