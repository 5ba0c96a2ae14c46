"""How numbers, names and sections are written in the binary format.

Source: WebAssembly core specification 2.0, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from echelon.errors import BuildError
from echelon.runtime.binary import MAX_NAME, leb

Type = Literal["i32", "i64", "f32", "f64", "v128", "funcref", "externref"]

CODES: Final[dict[str, int]] = {
    "i32": 0x7F,
    "i64": 0x7E,
    "f32": 0x7D,
    "f64": 0x7C,
    "v128": 0x7B,
    "funcref": 0x70,
    "externref": 0x6F,
}
REFERENCES: Final = ("funcref", "externref")

_ONE: Final = [bytes([value]) for value in range(128)]


def unsigned(value: int) -> bytes:
    """Return a number in LEB128."""
    return _ONE[value] if value < 0x80 else leb(value)


def signed(value: int) -> bytes:
    """Return a number with its sign in LEB128."""
    if -64 <= value < 64:
        return _ONE[value & 0x7F]
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def name(text: str) -> bytes:
    """Return a name, which is UTF-8 with its length; raises BuildError for one that cannot be."""
    try:
        content = text.encode()
    except UnicodeEncodeError:
        raise BuildError(f"{text[:80]!r} is not a name: half of a surrogate pair is not text") from None
    if len(content) > MAX_NAME:
        raise BuildError(f"a name has {len(content)} bytes, at most {MAX_NAME} are accepted")
    return unsigned(len(content)) + content


def vector(items: Sequence[bytes]) -> bytes:
    """Return items behind their number."""
    return unsigned(len(items)) + b"".join(items)


def section(number: int, content: bytes) -> bytes:
    """Return a section."""
    return bytes([number]) + unsigned(len(content)) + content


def custom(label: str, content: bytes) -> bytes:
    """Return a custom section."""
    return section(0, name(label) + content)


def code_of(kind: str) -> int:
    """Return the byte of a value type; raises BuildError."""
    code = CODES.get(kind)
    if code is None:
        raise BuildError(f"{kind!r} is not a type; there are {', '.join(CODES)}")
    return code


def types(kinds: Iterable[str]) -> tuple[bytes, tuple[str, ...]]:
    """Return value types as bytes behind their number, and as a tuple."""
    found = tuple(kinds)
    return unsigned(len(found)) + bytes(code_of(kind) for kind in found), found


def integer(value: int, bits: int, what: str) -> int:
    """Return a number as a signed one of so many bits; it may be given with or without sign. Raises BuildError."""
    if not isinstance(value, int) or not -(1 << bits - 1) <= value < 1 << bits:
        raise BuildError(f"{what}: {value!r} is not a whole number of {bits} bits")
    return value - (1 << bits) if value >= 1 << bits - 1 else value


def index(value: int, limit: int, what: str) -> int:
    """Return a number from 0 to below `limit`; raises BuildError."""
    if not isinstance(value, int) or not 0 <= value < limit:
        raise BuildError(f"{what}: {value!r} is not a number from 0 to {limit - 1}")
    return value
