"""What both directions of the V8 codec know: versions, tags, and the JavaScript values that Python lacks.

The format is V8's structured clone "for storage": the byte FF, the version, then one value. Every value begins
with a tag; integers are varints of 7 bits a byte, floats and 16-bit characters are little-endian.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

OLDEST_VERSION: Final = 13
WRITTEN_VERSION: Final = 15
"""Node 18 and later and every Deno read it; what Deno 2.9 writes itself, 16, Node 20 does not read."""

NEWEST_VERSION: Final = 16

FIRST_VERSION_WITH_FLAGS: Final = 14
"""Before it, a view had no flags behind its length."""

HEADER: Final = bytes((0xFF, WRITTEN_VERSION))

ARRAY_CODES: Final = {
    ord("b"): "b",
    ord("w"): "h",
    ord("W"): "H",
    ord("d"): "i",
    ord("D"): "I",
    ord("f"): "f",
    ord("F"): "d",
    ord("q"): "q",
    ord("Q"): "Q",
}
"""The typecode of `array.array` for the tag of each view of numbers that has one."""

BYTES_VIEWS: Final = frozenset(b"BC?")
"""The tags of Uint8Array, Uint8ClampedArray and DataView, which are bytes in Python."""

FLOAT16_VIEW: Final = ord("h")

NODE_VIEWS: Final = b"bBCwWdDfF?BqQh"
"""The tags of the views by the numbers that `v8.serialize` of Node writes, which passes them off as host objects."""

ERROR_TAGS: Final = {
    "EvalError": ord("E"),
    "RangeError": ord("R"),
    "ReferenceError": ord("F"),
    "SyntaxError": ord("S"),
    "TypeError": ord("T"),
    "URIError": ord("U"),
}
ERROR_MESSAGE, ERROR_CAUSE, ERROR_STACK, ERROR_END = b"mcs."

REGEXP_FLAGS: Final = {"d": 128, "g": 1, "i": 2, "m": 4, "s": 32, "u": 16, "v": 256, "y": 8}

ErrorName = Literal[
    "Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError"
]


class JsError(msgspec.Struct, frozen=True):
    """An Error of JavaScript, as a value: V8 stores nothing else of it."""

    name: ErrorName = "Error"
    message: str | None = None
    stack: str | None = None
    cause: Any = None


class JsRegExp(msgspec.Struct, frozen=True):
    """A RegExp of JavaScript, as a value; Python's `re` has another syntax."""

    source: str
    flags: str = ""
