"""Functions added to the package's module: a whole turn of a script in one call, and text to bytes and back.

The package exports the engine's parts one by one; a call of each from outside costs more than most of them do. These
functions put them together inside the module. They are so short that they are written here instruction by instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from echelon.runtime import binary
from echelon.runtime.binary import MAGIC, Reader, leb

TURN: Final = "script_turn"
"""(function, text, size, cells) -> tag of the result: calls a function with a text, runs promises, calls `poll`."""

DECODE: Final = "script_decode"
"""A function of JavaScript: bytes to text."""

ENCODE: Final = "script_encode"
"""A function of JavaScript: text to bytes."""

POLL: Final = 16
"""Where in the cells `poll` is; the result is the first, the second is free for what is written meanwhile."""

_I32, _I64, _NONE = b"\x7f", b"\x7e", b"\x40"
_UNDEFINED: Final = 3 << 32
_EXCEPTION: Final = 6
_TYPE, _FUNCTION, _TABLE, _EXPORT, _ELEMENT, _CODE = 1, 3, 4, 7, 9, 10
_END, _RETURN, _BLOCK, _LOOP = b"\x0b", b"\x0f", b"\x02\x40", b"\x03\x40"
_SUBTRACT, _ADD, _EQUAL, _WRAP, _SHIFT = b"\x6b", b"\x6a", b"\x46", b"\xa7", b"\x88"


@dataclass(frozen=True, slots=True)
class _Function:
    """A function as the binary format has it: types of parameters and results, of locals, and instructions."""

    name: str
    params: bytes
    results: bytes
    local: bytes
    body: bytes


class _Writer:
    """Names of instructions; `calls` are the numbers of the module's functions."""

    def __init__(self, calls: Mapping[str, int]) -> None:
        self._calls = calls

    def call(self, name: str) -> bytes:
        return b"\x10" + leb(self._calls[name])

    def get(self, local: int) -> bytes:
        return b"\x20" + leb(local)

    def put(self, local: int) -> bytes:
        return b"\x21" + leb(local)

    def i32(self, value: int) -> bytes:
        return b"\x41" + signed(value)

    def i64(self, value: int) -> bytes:
        return b"\x42" + signed(value)

    def load32(self, offset: int = 0) -> bytes:
        return b"\x28\x02" + leb(offset)

    def load64(self, offset: int = 0) -> bytes:
        return b"\x29\x03" + leb(offset)

    def store64(self, offset: int = 0) -> bytes:
        return b"\x37\x03" + leb(offset)

    def stack(self, change: bytes) -> bytes:
        """Move the stack pointer, the first global, by 16 bytes."""
        return b"\x23\x00" + self.i32(16) + change + b"\x24\x00"

    @property
    def context(self) -> bytes:
        return self.call("qjs_get_context_ptr")


def signed(value: int) -> bytes:
    """Return a number that is not negative as the binary format writes signed ones."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        done = not value and not byte & 0x40
        out.append(byte | (0 if done else 0x80))
        if done:
            return bytes(out)


def _turn(w: _Writer) -> _Function:
    function, text, size, cells, value = range(5)
    tag = w.get(value) + w.i64(32) + _SHIFT + _WRAP
    body = (
        w.context + w.get(cells) + w.load64() + w.call("JS_FreeValue")  # the result of the turn before
        + w.get(cells) + w.context + w.get(text) + w.get(size) + w.call("JS_NewStringLen") + w.store64()
        + w.context + w.get(function) + w.load64() + w.i64(_UNDEFINED) + w.i32(1) + w.get(cells)
        + w.call("JS_Call") + w.put(value)
        + w.context + w.get(cells) + w.load64() + w.call("JS_FreeValue")
        + _BLOCK + tag + w.i32(_EXCEPTION) + _EQUAL + b"\x0d\x00"
        + _LOOP + w.call("qjs_get_runtime_ptr") + w.get(cells) + w.i32(8) + _ADD
        + w.call("JS_ExecutePendingJob") + b"\x0d\x00" + _END
        + w.context + w.get(cells) + w.load64(POLL) + w.i64(_UNDEFINED) + w.i32(0) + w.get(cells)
        + w.call("JS_Call") + w.put(value) + _END
        + w.get(cells) + w.get(value) + w.store64() + tag
    )  # fmt: skip
    return _Function(TURN, _I32 * 4, _I32, b"\x01\x01" + _I64, body)


def _decode(w: _Writer) -> _Function:
    context, _this, _count, values, place, value = range(6)
    body = (
        w.stack(_SUBTRACT)
        + w.get(context) + b"\x23\x00" + w.get(values) + w.load64() + w.call("JS_GetUint8Array") + w.put(place)
        + w.get(context) + w.get(place) + b"\x23\x00" + w.load32() + w.call("JS_NewStringLen") + w.put(value)
        + w.stack(_ADD) + w.get(value)
    )  # fmt: skip
    return _Function(DECODE, _I32 + _I64 + _I32 * 2, _I64, b"\x02\x01" + _I32 + b"\x01" + _I64, body)


def _encode(w: _Writer) -> _Function:
    context, _this, _count, values, place, value = range(6)
    body = (
        w.stack(_SUBTRACT)
        + w.get(context) + b"\x23\x00" + w.get(values) + w.load64() + w.i32(0)
        + w.call("JS_ToCStringLen2") + w.put(place)
        + w.get(place) + b"\x45\x04\x40" + w.stack(_ADD) + w.i64(_EXCEPTION << 32) + _RETURN + _END
        + w.get(context) + w.get(place) + b"\x23\x00" + w.load32() + w.call("JS_NewUint8ArrayCopy") + w.put(value)
        + w.get(context) + w.get(place) + w.call("JS_FreeCString")
        + w.stack(_ADD) + w.get(value)
    )  # fmt: skip
    return _Function(ENCODE, _I32 + _I64 + _I32 * 2, _I64, b"\x02\x01" + _I32 + b"\x01" + _I64, body)


def sections(wasm: bytes) -> list[tuple[int, bytes]]:
    """Return the number and the content of each section of a module."""
    found, cursor = [], Reader(wasm, len(MAGIC), len(wasm))
    while cursor.pos < cursor.end:
        number, size = cursor.byte(), cursor.u32()
        start = cursor.pos
        cursor.skip(size)
        found.append((number, wasm[start : cursor.pos]))
    return found


def join(parts: list[tuple[int, bytes]]) -> bytes:
    """Return the module of these sections."""
    return MAGIC + b"".join(bytes([number]) + leb(len(content)) + content for number, content in parts)


def add(package: bytes) -> tuple[bytes, dict[str, int]]:
    """Return the module with these functions, and where in its table those of JavaScript are."""
    info = binary.parse(package)
    calls = {name: index for name, (kind, index) in info.exports.items() if kind == "func"}
    functions = [make(_Writer(calls)) for make in (_turn, _decode, _encode)]
    first, table = len(info.imported_functions) + len(info.functions), info.tables[0].minimum
    callable_ones = functions[1:]
    added = {
        _TYPE: [b"\x60" + _vector(f.params) + _vector(f.results) for f in functions],
        _FUNCTION: [leb(len(info.types) + number) for number in range(len(functions))],
        _EXPORT: [_named(f.name) + b"\0" + leb(first + number) for number, f in enumerate(functions)],
        _ELEMENT: [
            b"\0" + b"\x41" + signed(table) + _END + leb(len(callable_ones))
            + b"".join(leb(first + 1 + number) for number in range(len(callable_ones)))
        ],
        _CODE: [_sized(f.local + f.body + _END) for f in functions],
    }  # fmt: skip
    parts = []
    for number, content in sections(package):
        if number == _TABLE:
            content = b"\x01\x70\x00" + leb(table + len(callable_ones))
        elif number in added:
            reader = Reader(content, 0, len(content))
            content = leb(reader.u32() + len(added[number])) + content[reader.pos :] + b"".join(added[number])
        parts.append((number, content))
    return join(parts), {f.name: table + number for number, f in enumerate(callable_ones)}


def _vector(types: bytes) -> bytes:
    return leb(len(types)) + types


def _named(name: str) -> bytes:
    return leb(len(name)) + name.encode()


def _sized(code: bytes) -> bytes:
    return leb(len(code)) + code
