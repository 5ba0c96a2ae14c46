"""Plain values to the engine's values: numbers, booleans, characters, strings, and whole lists of numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from echelon.runtime.component import types as wit
from echelon.runtime.component.arena import CONTENT, SLOT, Arena

Lower = Callable[[Arena, Any, bytearray, int], None]

KINDS: Final = {
    "bool": 0, "s8": 1, "u8": 2, "s16": 3, "u16": 4, "s32": 5, "u32": 6, "s64": 7, "u64": 8, "f32": 9, "f64": 10,
    "char": 11, "string": 12, "list": 13, "record": 14, "tuple": 15, "variant": 16, "enum": 17, "option": 18,
    "result": 19, "flags": 20, "resource": 21, "map": 22,
}  # fmt: skip
FORMATS: Final = {
    "s8": "b", "u8": "B", "s16": "h", "u16": "H", "s32": "i", "u32": "I", "s64": "q", "u64": "Q",
    "f32": "f", "f64": "d",
}  # fmt: skip
_BUFFERS: Final = (bytes, bytearray, memoryview)
PAIR: Final = struct.Struct("<B7xQQ").pack_into
_CHAR: Final = struct.Struct("<B7xI").pack_into
_LONGEST: Final = 60


class Mismatch(Exception):
    """A value does not fit its type; `wrong_type` tells TypeError from ValueError, `path` is filled from inside out."""

    def __init__(self, message: str, *, wrong_type: bool = False) -> None:
        super().__init__(message)
        self.wrong_type = wrong_type
        self.path: list[str] = []

    def within(self, step: str) -> Mismatch:
        self.path.append(step)
        return self

    def error(self, where: str) -> TypeError | ValueError:
        """Return what the caller gets to see."""
        text = f"{where}{''.join(reversed(self.path))}: {self}"
        return TypeError(text) if self.wrong_type else ValueError(text)


def expected(type_: wit.AnyType, value: Any, python: str = "") -> Mismatch:
    wanted = str(type_)
    wanted = wanted if len(wanted) <= _LONGEST else wanted[:_LONGEST] + "…"
    hint = f" ({python})" if python else ""
    return Mismatch(f"expected {wanted}{hint}, got {type(value).__name__}", wrong_type=True)


def compile_primitive(type_: wit.Primitive) -> Lower:
    name = type_.name
    if name == "bool":
        return _bool(type_)
    if name == "char":
        return _char(type_)
    if name == "string":
        return _string(type_)
    return _float(type_) if name in ("f32", "f64") else _integer(type_)


def _bool(type_: wit.Primitive) -> Lower:
    pack = struct.Struct("<B7x?").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if value is not True and value is not False:
            raise expected(type_, value)
        pack(block, at, 0, value)

    return lower


def _integer(type_: wit.Primitive) -> Lower:
    kind, pack = KINDS[type_.name], struct.Struct(f"<B7x{FORMATS[type_.name]}").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise expected(type_, value)
        try:
            pack(block, at, kind, value)
        except struct.error:
            raise Mismatch(f"{_brief(value)} is out of range for {type_}") from None

    return lower


def _brief(value: int) -> str:
    return str(value) if value.bit_length() < 100 else f"a number of {value.bit_length()} bits"


def _float(type_: wit.Primitive) -> Lower:
    kind, pack = KINDS[type_.name], struct.Struct(f"<B7x{FORMATS[type_.name]}").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, float | int) or isinstance(value, bool):
            raise expected(type_, value)
        try:
            pack(block, at, kind, value)
        except (OverflowError, struct.error):
            text = _brief(value) if isinstance(value, int) else repr(value)
            raise Mismatch(f"{text} is out of range for {type_}") from None

    return lower


def _char(type_: wit.Primitive) -> Lower:
    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise expected(type_, value, "one character")
        if len(value) != 1:
            raise Mismatch(f"expected one character, got {len(value)}")
        code = ord(value)
        if 0xD800 <= code <= 0xDFFF:  # the engine would abort the process
            raise Mismatch(f"U+{code:04X} is half of a surrogate pair, not a character")
        _CHAR(block, at, 11, code)

    return lower


def _string(type_: wit.Primitive) -> Lower:
    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise expected(type_, value)
        try:
            data = value.encode()
        except UnicodeEncodeError as exc:
            raise Mismatch(f"character {exc.start} is half of a surrogate pair, not a character") from None
        size = len(data)
        if size > 512:
            PAIR(block, at, 12, size, arena.pin(data))
            return
        room, start, address = arena.take(size)
        room[start : start + size] = data
        PAIR(block, at, 12, size, address)

    return lower


def packer(item: wit.Primitive) -> Callable[[Any], bytes | bytearray | None]:
    """Return what packs a list of numbers as it lies in memory, or answers None: look at them one by one."""
    code = FORMATS[item.name]
    whole = code not in "fd"

    def pack(value: Any) -> bytes | bytearray | None:
        if code == "B" and isinstance(value, _BUFFERS):
            return bytes(value) if isinstance(value, memoryview) else value
        if type(value) is not list and type(value) is not tuple:
            return None
        kinds = set(map(type, value))
        if not (kinds <= {int} or (not whole and kinds <= {int, float})):
            return None
        try:
            return struct.pack(f"<{len(value)}{code}", *value)
        except (struct.error, OverflowError):
            return None

    return pack


def compile_bulk(item: wit.Primitive) -> Callable[[Arena, Any, bytearray, int], bool]:
    """Return what lays out a whole list of numbers at once, or answers False when it has to be looked at one by one."""
    pack = packer(item)
    kind, width = bytes([KINDS[item.name]]), struct.calcsize("<" + FORMATS[item.name])

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> bool:
        data = pack(value)
        if data is None:
            return False
        count = len(data) // width
        room, start, address = arena.take_slots(count)
        end = start + count * SLOT
        if count:  # a block with a view on it takes no empty slice
            room[start:end:SLOT] = kind * count
        for byte in range(width if count else 0):
            room[start + CONTENT + byte : end : SLOT] = data[byte::width]
        PAIR(block, at, 13, count, address)
        return True

    return lower
