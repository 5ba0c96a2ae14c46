"""Source text: parsing within bounds, and saying where and why a program is refused."""

from __future__ import annotations

import ast
import warnings
from typing import Final, NoReturn

from echelon.errors import Diagnostic

MAX_SOURCE: Final = 512 << 10
MAX_NESTING: Final = 120
"""Levels of brackets, blocks and operators within each other."""

_TRIES: Final = 3
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
        refuse(None, f"the source has {len(text)} characters", f"split it: at most {MAX_SOURCE} are accepted")
    for attempt in range(_TRIES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text)
        except SyntaxError:
            raise
        except ValueError as exc:
            refuse(None, f"the source cannot be read: {exc}")
        except (RecursionError, MemoryError):
            refuse(None, "the source is nested too deeply", "split long expressions into several statements")
        except SystemError:  # CPython 3.11 loses count of its depth now and then when several threads parse
            if attempt == _TRIES - 1:
                refuse(None, "the source is nested too deeply, or the parser is busy", "try again")
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


def diagnose(problem: Refusal | SyntaxError, lines: list[str], file: str) -> Diagnostic:
    """Return the diagnostic: what was found, what to write instead, and the line with a caret below it."""
    if isinstance(problem, SyntaxError):
        line, column = problem.lineno or 1, problem.offset or 1
        message = f"invalid syntax: {problem.msg}"
    else:
        node = problem.node
        line = getattr(node, "lineno", 0)
        column = getattr(node, "col_offset", -1) + 1
        message = problem.message + (f"; {problem.hint}" if problem.hint else "")
    if 0 < line <= len(lines):
        shown = lines[line - 1]
        if isinstance(problem, Refusal):
            column = len(shown.encode()[: column - 1].decode("utf-8", "replace")) + 1
        start = max(0, column - 100)
        cut = shown[start : start + 160].replace("\t", " ")
        message += f"\n    {cut}\n    {' ' * (column - 1 - start)}^"
    return Diagnostic(line, max(column, 0), "error", message, file)
