"""Short functions of the library are written out where they are called, and come to the same whatever was compiled."""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import suppress
from types import FunctionType

import pytest

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import library as package
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking.source import Refusal
from echelon.plugin.compilers.python.compiler import translate
from echelon.plugin.compilers.python.emitting import splicing
from echelon.plugin.compilers.python.encoding import Code
from echelon.plugin.compilers.python.library_code import Library
from echelon.plugin.compilers.python.types import I32, I64


def _functions() -> list[str]:
    """Return every function of the raw dialect; others make tables when the library is loaded."""
    library, found = Library(), []
    for module in pkgutil.iter_modules(package.__path__):
        for name, value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).items():
            key = f"{module.name}.{name}"
            if isinstance(value, FunctionType) and value.__module__.endswith(f".{module.name}"):
                with suppress(KeyError, Refusal):
                    library.cores(key)
                    found.append(key)
    return found


def test_the_order_makes_no_difference() -> None:
    """What one program compiled changes nothing in the module of the next one."""
    names = _functions()
    assert len(names) > 300
    forth, back = Library(), Library()
    for library, order in ((forth, names), (back, names[::-1])):
        for name in order:
            library.code(name)
    differing = [
        name
        for name in names
        if (forth.code(name).body, forth.code(name).relocations)
        != (back.code(name).body, back.code(name).relocations)
    ]
    assert differing == []


@pytest.mark.parametrize(
    ("test", "kept", "written"),
    [
        ("text[n] == 'x'", "", "text_values.code_at"),
        ("text == 'x'", "", "text_values.is_character"),
        ("text.isdigit()", "text_case.are_digits", "text_case.is_digit"),
    ],
)
def test_what_is_called(test: str, kept: str, written: str) -> None:
    made = translate(f"def f(text: str, n: int) -> bool:\n    return {test}\n", "f.py")
    shown = made.text_of("f")
    assert kept in shown
    assert f"call ${written}\n" not in shown


def test_a_function_with_returns() -> None:
    """A return leaves what was written out, from however deep."""
    code = Code("f", (I64,), (I64,), [I32])
    code.body += bytes([e.GET, 0, op.I64_EQZ, e.IF, e.EMPTY, e.I64_CONST, 7, e.RETURN, e.END])
    code.body += bytes([e.GET, 1, op.I64_EXTEND_U, e.RETURN, e.END])
    piece = splicing.piece(code)
    assert piece is not None
    assert piece.returns
    assert [stop.depth for stop in piece.stops] == [-1, 1, -1]
    assert code.body[piece.size :] == bytes([e.RETURN, e.END])


def test_what_is_long_is_called() -> None:
    code = Code("f", (), ())
    code.body += bytes([e.I32_CONST, 0, e.DROP]) * splicing.LONGEST + bytes([e.END])
    assert splicing.piece(code) is None
