"""Strings that are one character where only that is asked for: no string is made, and code points are compared."""

from __future__ import annotations

from typing import Final

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.tree import Expr, integer, library, wasm
from echelon.plugin.compilers.python.types import BOOL, INT

_CODES: Final = {"texts.item": "texts.code_at", "texts.item_at": "texts.at"}
"""Functions that give a string of one character, and those that give its code point."""

_TESTS: Final = {
    f"texts.{name}": f"texts.{name}_code"
    for name in ("is_alnum", "is_alpha", "is_decimal", "is_digit", "is_numeric", "is_printable", "is_space")
}


def code(value: Expr) -> Expr | None:
    """Return the code point of a string, None unless it is known to be one character."""
    if value.op == "text" and len(value.data) == 1:
        return integer(ord(value.data), value.line)
    if value.op == "library" and value.data in _CODES:
        return library(_CODES[value.data], INT, *value.args, line=value.line)
    return None


def equal(left: Expr, right: Expr) -> Expr:
    """Tell whether two strings are the same."""
    first, second = code(left), code(right)
    if first is not None and second is not None:
        return wasm(op.I64_EQ, BOOL, first, second, line=left.line)
    if first is not None and left.op == "text":
        first, second, left, right = second, first, right, left
    if second is not None and right.op == "text":
        return library("texts.is_character", BOOL, left, second)
    return library("texts.equal", BOOL, left, right)


def test(key: str, value: Expr, line: int) -> Expr | None:
    """Return what asks the code point of a string for its kind, None where the string itself has to be asked."""
    found = code(value) if key in _TESTS else None
    return None if found is None else library(_TESTS[key], BOOL, found, line=line)
