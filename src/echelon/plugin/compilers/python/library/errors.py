"""Exceptions: pending in memory while a `try` may catch them, else the end of the call.

What raises gives the exception's number and its text, the address of a string. Code that is called in a `try` looks
after each call whether an exception is pending and leaves; where nothing is tried, `fail` does not come back.
"""

from __future__ import annotations

from collections.abc import Callable

from echelon.plugin.compilers.python.exceptions import NUMBERS
from echelon.plugin.compilers.python.layout import MESSAGE, PENDING, TRIES
from echelon.plugin.compilers.python.library.intrinsics import (
    Text,
    allocate,
    exception_names,
    host_throw,
    load8,
    load32,
    memory_copy,
    octets,
    stop,
    store32,
    text,
)
from echelon.plugin.compilers.python.library.strings import copy, new, size, width
from echelon.plugin.compilers.python.library.utf8 import utf8_size, write_utf8


def said(raises: Callable[[], object]) -> Text:
    """Return what this CPython says when something raises."""
    try:
        raises()
    except Exception as exc:
        return text(str(exc))
    raise AssertionError


ASSERTION = NUMBERS["AssertionError"]
ATTRIBUTE = NUMBERS["AttributeError"]
INDEX = NUMBERS["IndexError"]
KEY = NUMBERS["KeyError"]
OVERFLOW = NUMBERS["OverflowError"]
RUNTIME = NUMBERS["RuntimeError"]
TYPE = NUMBERS["TypeError"]
UNBOUND = NUMBERS["UnboundLocalError"]
VALUE = NUMBERS["ValueError"]
ZERO_DIVISION = NUMBERS["ZeroDivisionError"]

SEPARATOR = octets(b": ")
TOO_LARGE = text("the integer needs more than 64 bits")
UNBOUND_BEFORE = text("cannot access local variable '")
UNBOUND_AFTER = text("' where it is not associated with a value")
NO_ATTRIBUTE = text("'NoneType' object has no attribute '")
QUOTE = text("'")
EMPTY_MAX = said(lambda: max([]))
EMPTY_MIN = said(lambda: min([]))
FLOAT_DIVISION = said(lambda: 1.0 / 0.0)


def fail(kind: int, message: int) -> None:
    """Raise."""
    if load32(TRIES) == 0:
        _throw(kind, message)
    store32(PENDING, kind)
    store32(MESSAGE, message)


def _throw(kind: int, message: int) -> None:
    name = exception_names()
    while kind > 1:
        name += 1 + load8(name)
        kind -= 1
    size = load8(name)
    length = utf8_size(message)
    at = allocate(size + 2 + length)
    memory_copy(at, name + 1, size)
    if length > 0:
        memory_copy(at + size, SEPARATOR, 2)
        write_utf8(message, at + size + 2)
        size += 2 + length
    host_throw(at, size)
    stop()


def overflow() -> None:
    fail(OVERFLOW, TOO_LARGE)


def float_division() -> None:
    fail(ZERO_DIVISION, FLOAT_DIVISION)


def unbound(name: int) -> None:
    fail(UNBOUND, joined(UNBOUND_BEFORE, name, UNBOUND_AFTER))


def no_attribute(name: int) -> None:
    fail(ATTRIBUTE, joined(NO_ATTRIBUTE, name, QUOTE))


def empty(largest: int) -> None:
    """Say that min() or max() got nothing."""
    if largest != 0:
        fail(VALUE, EMPTY_MAX)
    else:
        fail(VALUE, EMPTY_MIN)


def joined(first: int, second: int, third: int) -> int:
    """Return three strings as one."""
    kind = width(first)
    if width(second) > kind:
        kind = width(second)
    if width(third) > kind:
        kind = width(third)
    found = new(size(first) + size(second) + size(third), kind)
    copy(found, 0, first, 0, size(first))
    copy(found, size(first), second, 0, size(second))
    copy(found, size(first) + size(second), third, 0, size(third))
    return found
