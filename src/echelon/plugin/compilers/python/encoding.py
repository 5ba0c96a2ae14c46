"""Bytes of a WebAssembly module: numbers, sections, and code whose addresses are filled in when it is linked.

Source: WebAssembly core specification 2.0, chapter 5 (binary format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MAGIC: Final = b"\0asm\x01\0\0\0"
EMPTY: Final = 0x40
END, ELSE = 0x0B, 0x05
BLOCK, LOOP, IF, BR, BR_IF, RETURN, CALL, CALL_INDIRECT, DROP, SELECT = (
    0x02, 0x03, 0x04, 0x0C, 0x0D, 0x0F, 0x10, 0x11, 0x1A, 0x1B,
)  # fmt: skip
UNREACHABLE: Final = 0x00
GET, SET, TEE = 0x20, 0x21, 0x22
I32_CONST, I64_CONST, F64_CONST = 0x41, 0x42, 0x44
_PADDED: Final = 5


def unsigned(value: int) -> bytes:
    """Encode a number in LEB128."""
    if value < 0x80:
        return _ONE[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """Encode a number with a sign in LEB128."""
    if -64 <= value < 64:
        return _ONE[value & 0x7F]
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


_ONE: Final = [bytes([value]) for value in range(128)]


def padded(value: int) -> bytes:
    """Encode a number below 2**31 in five bytes, which read as either kind of LEB128."""
    return bytes(
        [
            value & 0x7F | 0x80,
            value >> 7 & 0x7F | 0x80,
            value >> 14 & 0x7F | 0x80,
            value >> 21 & 0x7F | 0x80,
            value >> 28,
        ]
    )


def name(text: str) -> bytes:
    content = text.encode()
    return unsigned(len(content)) + content


def vector(items: Sequence[bytes]) -> bytes:
    return unsigned(len(items)) + b"".join(items)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + unsigned(len(content)) + content


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place of five bytes in code that stands for a function, an address or a number in the table."""

    at: int
    kind: str
    key: object


@dataclass(slots=True)
class Code:
    """One function's code before it is linked; `places` are offsets in `body` and lines of the source."""

    name: str
    params: tuple[int, ...]
    results: tuple[int, ...]
    locals: list[int] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    relocations: list[Relocation] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    file: int = -1

    def header(self) -> bytes:
        """Return the declaration of the locals."""
        runs: list[list[int]] = []
        for core in self.locals:
            if runs and runs[-1][1] == core:
                runs[-1][0] += 1
            else:
                runs.append([1, core])
        return vector([unsigned(count) + bytes([core]) for count, core in runs])


def function_type(params: Iterable[int], results: Iterable[int]) -> bytes:
    params, results = bytes(params), bytes(results)
    return b"\x60" + unsigned(len(params)) + params + unsigned(len(results)) + results


def real(value: float) -> bytes:
    return struct.pack("<d", value)
