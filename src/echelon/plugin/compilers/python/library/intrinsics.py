"""What the raw dialect has besides Python: memory, bits and instructions of WebAssembly.

Files of the library are ordinary Python with `int`, `float` and `bool` alone. Compiled, an `int` is 64 bits and wraps,
and each function below is an instruction or two. Run by CPython, they are these definitions on a memory of their own,
so that a function of the library can be tested before it is compiled. There an `int` does not wrap by itself: write
`wrap(a * b)` where it may. Shifts take counts from 0 to 63; `//` and `%` round down as Python's do and do not check
for zero.

Tables are module-level constants, made when the library is loaded, and are addresses:

    POWERS = words(10**n for n in range(19))

    def power_of_ten(n: int) -> int:
        return load64(POWERS + n * 8)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Final

_MASK: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63


class Memory:
    """What CPython has instead of a module's memory; nothing in it is ever freed."""

    def __init__(self) -> None:
        self.content = bytearray(1 << 16)
        self.top = 1024

    def allocate(self, size: int) -> int:
        at = self.top
        self.top = (at + size + 7) & -8
        if self.top > len(self.content):
            self.content += bytes(max(len(self.content), self.top))
        return at

    def read(self, layout: str, address: int) -> int:
        return int(struct.unpack_from(layout, self.content, address)[0])

    def write(self, layout: str, address: int, value: int) -> None:
        struct.pack_into(layout, self.content, address, value)


MEMORY: Final = Memory()


class Table(int):
    """The address of constants in memory; `content` is what lies there."""

    content: bytes


def octets(content: bytes) -> Table:
    """Put bytes where functions can read them."""
    table = Table(MEMORY.allocate(len(content)))
    table.content = content
    MEMORY.content[table : table + len(content)] = content
    return table


class Later:
    """Constants that take a while to compute, which is done when the first function that uses them is compiled."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._table: Table | None = None

    @property
    def content(self) -> bytes:
        return self.table.content

    @property
    def table(self) -> Table:
        if self._table is None:
            self._table = octets(self._make())
        return self._table

    def __add__(self, offset: int) -> int:
        return self.table + offset


def words(values: Iterable[int]) -> Table:
    """Put integers of 64 bits in a row; those from 2**63 on are read as negative."""
    return octets(b"".join(struct.pack("<Q", value & _MASK) for value in values))


def floats(values: Iterable[float]) -> Table:
    """Put floats in a row."""
    return octets(b"".join(struct.pack("<d", value) for value in values))


class Text(int):
    """The address of a constant string; `content` is what it says."""

    content: str


def text(content: str) -> Text:
    """Put a string where functions can read it, as layout.py describes it."""
    widest = max(map(ord, content), default=0)
    kind = 0 if widest < 0x100 else 1 if widest < 0x10000 else 2
    body = content.encode(("latin-1", "utf-16-le", "utf-32-le")[kind])
    at = MEMORY.allocate(16 + len(body))
    made = Text(at)
    made.content = content
    struct.pack_into("<IIII", MEMORY.content, at, at + 16, len(content), kind, 0)
    MEMORY.content[at + 16 : at + 16 + len(body)] = body
    return made


def wrap(value: int) -> int:
    """Cut to 64 bits with a sign."""
    return ((value + _SIGN) & _MASK) - _SIGN


def allocate(size: int) -> int:
    """Return the address of new memory, a multiple of 8; it lives as long as the call and is zero or old."""
    return MEMORY.allocate(size)


def load8(address: int) -> int:
    return MEMORY.content[address]


def load16(address: int) -> int:
    return MEMORY.read("<H", address)


def load32(address: int) -> int:
    return MEMORY.read("<I", address)


def load64(address: int) -> int:
    return MEMORY.read("<q", address)


def load_float(address: int) -> float:
    return float(struct.unpack_from("<d", MEMORY.content, address)[0])


def store8(address: int, value: int) -> None:
    MEMORY.content[address] = value & 0xFF


def store16(address: int, value: int) -> None:
    MEMORY.write("<H", address, value & 0xFFFF)


def store32(address: int, value: int) -> None:
    MEMORY.write("<I", address, value & 0xFFFF_FFFF)


def store64(address: int, value: int) -> None:
    MEMORY.write("<Q", address, value & _MASK)


def store_float(address: int, value: float) -> None:
    struct.pack_into("<d", MEMORY.content, address, value)


def memory_copy(to: int, origin: int, size: int) -> None:
    """Copy bytes; the two places may overlap."""
    MEMORY.content[to : to + size] = MEMORY.content[origin : origin + size]


def memory_fill(to: int, byte: int, size: int) -> None:
    MEMORY.content[to : to + size] = bytes([byte & 0xFF]) * size


def float_bits(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def bits_float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits & _MASK))[0])


def to_float(value: int) -> float:
    """Convert a signed integer, to the nearest float."""
    return float(value)


def to_float_unsigned(value: int) -> float:
    """Convert an unsigned integer, to the nearest float."""
    return float(value & _MASK)


def to_int(value: float) -> int:
    """Cut the fraction off; what does not fit is the nearest that does, and 0 for NaN."""
    if value != value:
        return 0
    if math.isinf(value):
        return _SIGN - 1 if value > 0 else -_SIGN
    return min(max(int(value), -_SIGN), _SIGN - 1)


def high_unsigned(left: int, right: int) -> int:
    """Return the upper 64 bits of the unsigned product."""
    return wrap(((left & _MASK) * (right & _MASK)) >> 64)


def divide_unsigned(left: int, right: int) -> int:
    return wrap((left & _MASK) // (right & _MASK))


def remainder_unsigned(left: int, right: int) -> int:
    return wrap((left & _MASK) % (right & _MASK))


def divide_signed(left: int, right: int) -> int:
    """Divide and cut the fraction off; the divisor is neither zero nor, for the least integer, -1."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def remainder_signed(left: int, right: int) -> int:
    """Return what a division that cuts the fraction off leaves over; the divisor is not zero."""
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def less_unsigned(left: int, right: int) -> bool:
    return (left & _MASK) < (right & _MASK)


def shift_right_unsigned(value: int, count: int) -> int:
    return wrap((value & _MASK) >> count)


def clz(value: int) -> int:
    """Count the zeros before the highest bit."""
    return 64 - (value & _MASK).bit_length()


def ctz(value: int) -> int:
    """Count the zeros after the lowest bit."""
    value &= _MASK
    return (value & -value).bit_length() - 1 if value else 64


def popcount(value: int) -> int:
    return (value & _MASK).bit_count()


def square_root(value: float) -> float:
    """Return the root, NaN for a negative number."""
    return math.sqrt(value) if value >= 0 else math.nan


def fma(left: float, right: float, more: float) -> float:
    """Return left * right + more, rounded once."""
    if not (math.isfinite(left) and math.isfinite(right) and math.isfinite(more)):
        return left * right + more
    a, b = left.as_integer_ratio()
    c, d = right.as_integer_ratio()
    e, f = more.as_integer_ratio()
    numerator = a * c * f + e * b * d
    if numerator == 0:
        return left * right + more
    try:
        return numerator / (b * d * f)
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def floor(value: float) -> float:
    return _whole(value, math.floor(value)) if math.isfinite(value) else value


def ceil(value: float) -> float:
    return _whole(value, math.ceil(value)) if math.isfinite(value) else value


def trunc(value: float) -> float:
    return _whole(value, math.trunc(value)) if math.isfinite(value) else value


def nearest(value: float) -> float:
    """Round to a whole number, halves to the even one."""
    return _whole(value, round(value)) if math.isfinite(value) else value


def absolute(value: float) -> float:
    return math.fabs(value)


def copysign(value: float, sign: float) -> float:
    return math.copysign(value, sign)


def _whole(value: float, rounded: int) -> float:
    """Return a rounded number as WebAssembly does: the sign of zero stays."""
    return math.copysign(float(rounded), value)


def memory_pages() -> int:
    """Return how many pages of 64 KiB the memory has."""
    return 1 << 16


def memory_grow(pages: int) -> int:
    """Add pages; returns how many there were, -1 when there is no room."""
    raise MemoryError(pages)


def stop() -> None:
    """Trap. The host reads it as a lack of memory in a function that has `memory_grow`."""
    raise MemoryError


def call_test(function: int, left: int, right: int) -> bool:
    """Call a function of the compiled program by its number: one that compares two words."""
    raise RuntimeError(function, left, right)


def call_word(function: int, word: int) -> int:
    """Call a function of the compiled program by its number: one that makes something of a word."""
    raise RuntimeError(function, word)


def character_table() -> int:
    """Return the address of the strings of one character up to U+00FF, 16 bytes each."""
    raise RuntimeError("CPython has no such table")


def size_of(table: Later) -> int:
    """Return how many bytes constants have."""
    return len(table.content)


def exception_names() -> int:
    """Return the address of the names of exceptions by number, from 1: for each its length, one byte, and the name."""
    raise RuntimeError("CPython has no such table")


def host_throw(text: int, size: int) -> None:
    """End the call with an uncaught exception."""
    raise RuntimeError(bytes(MEMORY.content[text : text + size]).decode())


def host_write(file: int, vectors: int, count: int, written: int) -> int:
    """Write to a file as WASI's fd_write does."""
    raise OSError(file, vectors, count, written)


def host_log(level: int, text: int, size: int) -> None:
    """Add to the log of the call."""
    raise OSError(level, text, size)


def host_env_get(name: int, size: int) -> int:
    """Look a variable up; returns the size of its value, -1 for none."""
    raise OSError(name, size)


def host_take(to: int) -> None:
    """Copy what the last call found."""
    raise OSError(to)


def host_kv_get(key: int, size: int) -> int:
    raise OSError(key, size)


def host_kv_set(key: int, size: int, kind: int, value: int, length: int, expire: int) -> int:
    raise OSError(key, size, kind, value, length, expire)


def host_kv_delete(key: int, size: int) -> None:
    raise OSError(key, size)


def host_kv_list(request: int, size: int) -> int:
    raise OSError(request, size)


def host_kv_atomic(request: int, size: int) -> int:
    raise OSError(request, size)


def host_fetch(request: int, size: int) -> int:
    raise OSError(request, size)
