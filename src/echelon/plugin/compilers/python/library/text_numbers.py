"""Strings read as numbers: `int(text)` and `float(text)`."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import VALUE, fail, joined, overflow, said
from echelon.plugin.compilers.python.library.float_parsing import parse_float
from echelon.plugin.compilers.python.library.int_text import PARSE_TOO_LARGE, parse_base
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    load64,
    load_float,
    store8,
    text,
)
from echelon.plugin.compilers.python.library.strings import at, size
from echelon.plugin.compilers.python.library.text_case import is_decimal_code, is_space_code
from echelon.plugin.compilers.python.library.text_layout import quote
from echelon.plugin.compilers.python.library.text_values import from_int

NOT_INT = text("invalid literal for int() with base ")
COLON = text(": ")
NOTHING = text("")
NOT_FLOAT = text("could not convert string to float: ")
BASE = said(lambda: int("1", 1))


def trimmed_ascii(value: int, place: int) -> int:
    """Write a string without white space around it as ASCII; returns where it ends, 0 for one that is none.

    Digits of every script become those of ASCII.
    """
    start = 0
    end = size(value)
    while start < end and is_space_code(at(value, start)):
        start += 1
    while start < end and is_space_code(at(value, end - 1)):
        end -= 1
    while start < end:
        code = at(value, start)
        if code >= 0x80:
            if not is_decimal_code(code):
                return 0
            code = 48 + decimal_value(code)
        store8(place, code)
        place += 1
        start += 1
    return place


def decimal_value(code: int) -> int:
    """Return the value of a digit of any script: these are ten in a row, in ranges that begin with a zero."""
    low = 0
    while not starts_digits(code - low):
        low += 1
    return low


def starts_digits(code: int) -> bool:
    """Tell whether a digit is the first of its range, or ten behind it."""
    before = code
    while is_decimal_code(before - 1) and before > 0x80:
        before -= 1
    return (code - before) % 10 == 0


def to_int(value: int, base: int) -> int:
    if base != 0 and (base < 2 or base > 36):
        fail(VALUE, BASE)
        return 0
    result = allocate(size(value) + 16)
    place = result + 8
    end = trimmed_ascii(value, place)
    outcome = 1
    if end > place:
        outcome = parse_base(place, end, base, result)
    if outcome == PARSE_TOO_LARGE:
        overflow()
        return 0
    if outcome != 0:
        fail(VALUE, joined(NOT_INT, joined(from_int(base), COLON, quote(value)), NOTHING))
        return 0
    return load64(result)


def to_float(value: int) -> float:
    result = allocate(size(value) + 16)
    place = result + 8
    end = trimmed_ascii(value, place)
    if end <= place or not parse_float(place, end, result):
        fail(VALUE, joined(NOT_FLOAT, quote(value), NOTHING))
        return 0.0
    return load_float(result)
