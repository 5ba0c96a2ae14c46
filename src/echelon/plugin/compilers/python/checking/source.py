"""Source text: parsing within bounds, and saying where and why a program is refused."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Final, NoReturn

from echelon.errors import Diagnostic

MAX_SOURCE: Final = 512 << 10
MAX_BRACES: Final = 20_000
"""Left braces of a source: CPython 3.11 takes time that grows with the square of how many an f-string has."""

MAX_NESTING: Final = 120
"""Levels of brackets, blocks and operators within each other."""

_TRIES: Final = 3
_LINE_END: Final = re.compile("\r\n|\r|\n")
"""What ends a line for Python's parser: not all that ends one for `splitlines()`."""
_OWN_TRIES: Final = 20


class Refusal(Exception):
    """A program is refused; `node` is where, `hint` what to write instead."""

    def __init__(self, node: ast.AST | None, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


def refuse(node: ast.AST | None, message: str, hint: str = "") -> NoReturn:
    raise Refusal(node, message, hint)


def parse(text: str) -> ast.Module:
    """Return the tree of hostile text; raises SyntaxError, and Refusal for what is too large or too deep."""
    if len(text) > MAX_SOURCE:
        message = f"the source has {len(text)} characters"
        refuse(_at(text, MAX_SOURCE), message, f"split it: at most {MAX_SOURCE} are accepted")
    braces = text.count("{")
    if braces > MAX_BRACES:
        refuse(_at(text, 0), f"the source has {braces} left braces", f"at most {MAX_BRACES} are accepted")
    for attempt in range(_TRIES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text)
        except SyntaxError:
            raise
        except UnicodeEncodeError as exc:
            refuse(_at(text, exc.start), "half of a pair of surrogates is no character", "leave it out")
        except ValueError:  # of CPython 3.11; later ones raise SyntaxError
            refuse(_at(text, max(0, text.find("\0"))), "the source has a null character", "leave it out")
        except (RecursionError, MemoryError):
            refuse(
                _at(text, 0),
                "the source is nested too deeply",
                "split long expressions into several statements",
            )
        except SystemError:  # CPython 3.11 loses count of its depth now and then when several threads parse
            if attempt == _TRIES - 1:
                refuse(_at(text, 0), "the source is nested too deeply, or the parser is busy", "try again")
    raise AssertionError


def parse_own(text: str) -> ast.Module:
    """Return the tree of a file of Echelon's."""
    for attempt in range(_OWN_TRIES):
        try:
            return ast.parse(text)
        except SystemError:  # as above: other threads parse deep programs meanwhile
            if attempt == _OWN_TRIES - 1:
                raise
    raise AssertionError


def _at(text: str, index: int) -> ast.AST:
    """Return a node that stands for a place of the text."""
    before = _LINE_END.split(text[:index])
    return ast.Pass(lineno=len(before), col_offset=len(before[-1].encode("utf-8", "replace")))


def diagnose(problem: Refusal | SyntaxError, text: str, file: str) -> Diagnostic:
    """Return the diagnostic: what was found, what to write instead, and the line with a caret below it."""
    lines = _LINE_END.split(text)
    if isinstance(problem, SyntaxError):
        line, column = max(1, problem.lineno or 1), max(1, problem.offset or 1)
        message = f"invalid syntax: {problem.msg}"
    else:
        node = problem.node
        line = getattr(node, "lineno", 0)
        column = getattr(node, "col_offset", -1) + 1
        message = problem.message + (f"; {problem.hint}" if problem.hint else "")
    if 0 < line <= len(lines):
        shown = lines[line - 1]
        if isinstance(problem, Refusal) or column > len(shown) + 1:  # some of CPython's own count bytes, too
            column = len(shown.encode("utf-8", "replace")[: column - 1].decode("utf-8", "replace")) + 1
        start = max(0, column - 100)
        cut = "".join(c if c.isprintable() else " " for c in shown[start : start + 160])
        message += f"\n    {cut}\n    {' ' * (column - 1 - start)}^"
    return Diagnostic(line, max(column, 0), "error", message, file)
