"""The exceptions a program may raise and catch, by number."""

from __future__ import annotations

from typing import Final

BUILTIN: Final = (
    Exception, ArithmeticError, ZeroDivisionError, OverflowError, LookupError, IndexError, KeyError, ValueError,
    AssertionError, TypeError, RuntimeError, AttributeError, NameError, UnboundLocalError, NotImplementedError,
    StopIteration, RecursionError, UnicodeError, UnicodeEncodeError, UnicodeDecodeError, MemoryError, OSError,
    PermissionError, FileNotFoundError, TimeoutError, EOFError, BufferError, FloatingPointError,
)  # fmt: skip
NUMBERS: Final = {kind.__name__: number for number, kind in enumerate(BUILTIN, 1)}
PARENTS: Final = {NUMBERS[kind.__name__]: NUMBERS.get(kind.__bases__[0].__name__, 0) for kind in BUILTIN}
"""The number of what each derives from, 0 for BaseException."""


def caught(number: int, parents: dict[int, int]) -> tuple[int, ...]:
    """Return the numbers of an exception and of all that derive from it."""
    found = []
    for kind in parents:
        above = kind
        while above and above != number:
            above = parents[above]
        if above == number:
            found.append(kind)
    return tuple(found)
