"""Values as text: `str`, `repr` and f-strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python.checking.conditions import is_some
from echelon.plugin.compilers.python.checking.scope import Scope, as_float, as_int, unbox
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.format_spec import FormatSpec, read_spec
from echelon.plugin.compilers.python.tree import Do, Expr, Let, integer, library, local, text, truth
from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, STR, Type, find


def shown(scope: Scope, node: ast.expr) -> Expr:
    """Return the typed expression of what is shown; a caught exception may be, and is no value elsewhere."""
    if isinstance(node, ast.Name) and node.id in scope.caught:
        return Expr("local", Type("exception"), (), scope.caught[node.id], node.lineno)
    return scope.check(node)


def to_text(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    """Return what `str` makes of a value."""
    kind = find(value.type)
    if kind == STR:
        return value
    if kind.kind == "exception":
        return Expr("local", STR, (), value.data[1], value.line)
    if kind.kind == "None":
        return Expr("block", STR, (text("None"),), [] if value.op == "none" else [Do(value)], value.line)
    if kind.kind == "optional":
        return _some_or_none(scope, value, node, to_text)
    if kind.kind == "struct" and kind.struct is not None:
        target = scope.program.methods.get((kind.struct.name, "__str__"))
        if target is not None:
            from echelon.plugin.compilers.python.checking import calls

            return calls.call_function(scope, node, target, [value], [], [])
    return to_repr(scope, value, node)


def to_repr(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    kind = find(value.type)
    if kind.kind == "None":
        return to_text(scope, value, node)
    if kind.kind == "exception":
        refuse(node, "repr() of an exception cannot be compiled", "use str()")
    if kind.kind == "optional":
        return _some_or_none(scope, value, node, to_repr)
    _require_shown(scope, value, node)
    if kind.kind == "struct" and kind.struct is not None:
        target = scope.program.methods.get((kind.struct.name, "__repr__"))
        if target is not None:
            from echelon.plugin.compilers.python.checking import calls

            return calls.call_function(scope, node, target, [value], [], [])
    return derived.representation(kind, value)


def _some_or_none(
    scope: Scope, value: Expr, node: ast.AST, show: Callable[[Scope, Expr, ast.AST], Expr]
) -> Expr:
    held, inner = scope.temporary(value.type), find(value.type).args[0]
    some = show(scope, unbox(local(held), inner), node)
    choice = Expr("if", STR, (is_some(local(held)), some, text("None")), None, value.line)
    return Expr("block", STR, (choice,), [Let(held, value)], value.line)


def _require_shown(scope: Scope, value: Expr, node: ast.AST) -> None:
    """Refuse what CPython shows with an address, or this compiler would show differently."""
    kinds = [find(value.type)]
    seen = set()
    while kinds:
        kind = find(kinds.pop())
        if kind.kind == "set":
            refuse(node, "a set is shown, whose order is CPython's own", "show sorted(…) of it")
        if kind.struct is not None and kind.struct.name not in seen:
            seen.add(kind.struct.name)
            own = (kind.struct.name, "__repr__") in scope.program.methods
            if not kind.struct.shown and not own:
                refuse(
                    node,
                    f"{kind.struct.name} would be shown with its address in memory",
                    "define __repr__, or use its fields",
                )
            if own and kind is not find(value.type):
                refuse(
                    node,
                    f"{kind.struct.name} within {value.type} is shown by its own __repr__",
                    "show the objects one by one",
                )
            kinds += [field.type for field in kind.struct.fields.values()]
        kinds += list(kind.args)


def joined(scope: Scope, node: ast.JoinedStr) -> Expr:
    """Return an f-string's text."""
    parts: list[Expr] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(text(str(part.value), node.lineno))
        elif isinstance(part, ast.FormattedValue):
            parts.append(formatted(scope, part))
    return derived.concatenate(parts)


def formatted(scope: Scope, part: ast.FormattedValue) -> Expr:
    """Return one value of an f-string as its text."""
    value = shown(scope, part.value)
    if part.conversion in (ord("r"), ord("a")):
        value = to_repr(scope, value, part.value)
        if part.conversion == ord("a"):
            refuse(part.value, "!a cannot be compiled", "use !r")
    elif part.conversion == ord("s"):
        value = to_text(scope, value, part.value)
    if part.format_spec is None or (
        isinstance(part.format_spec, ast.JoinedStr) and not part.format_spec.values
    ):
        return to_text(scope, value, part.value)
    if not isinstance(part.format_spec, ast.JoinedStr):
        refuse(part.value, "this format cannot be compiled")
    kind = find(value.type)
    if kind not in (INT, FLOAT, BOOL, STR):
        refuse(part.value, f"{kind} is formatted with a specification", "write !s or !r before the colon")
    return _with_spec(scope, part, as_int(value), part.format_spec)


_MARK: Final = 77000
"""Begins the numbers that stand for values while a specification is read."""


def _with_spec(scope: Scope, part: ast.FormattedValue, value: Expr, node: ast.JoinedStr) -> Expr:
    """Return a value formatted; width and precision of the specification may be values themselves.

    What is refused is told at the value, whose place all versions of Python agree on.
    """
    written = ""
    values: list[Expr] = []
    for piece in node.values:
        if isinstance(piece, ast.Constant):
            written += str(piece.value)
        elif isinstance(piece, ast.FormattedValue) and piece.format_spec is None and piece.conversion == -1:
            written += str(_MARK + len(values))
            values.append(scope.check_int(piece.value))
        else:
            refuse(
                part.value,
                "this format cannot be compiled",
                "put only integers into it, for width and precision",
            )
    kind = find(value.type)
    try:
        spec = read_spec(written, kind.kind)
    except ValueError as exc:
        refuse(part.value, str(exc), "write a format that Python has for such values")
    held = [scope.temporary(INT) for _ in values]
    kept = scope.temporary(value.type)

    def number(value: int) -> Expr:
        if _MARK <= value < _MARK + len(values):
            used.add(value - _MARK)
            return local(held[value - _MARK])
        return integer(value)

    used: set[int] = set()
    width, precision = number(spec.width), number(spec.precision)
    if precision.op != "int":
        precision = library("formatting.require_precision", INT, precision, line=part.lineno)
    if len(used) != len(values):
        refuse(
            part.value, "this format cannot be compiled", "put only integers into it, for width and precision"
        )
    if values and not _SIMPLE.fullmatch(written):
        refuse(
            part.value,
            "this format has values behind a sign, # or 0",
            "leave these out, or write the width as it is",
        )
    result = _formatted(local(kept), spec, width, precision, part.lineno)
    before = [Let(kept, value), *(Let(variable, given) for variable, given in zip(held, values, strict=True))]
    return Expr("block", STR, (result,), before, part.lineno)


_SIMPLE: Final = re.compile(r"(?:.?[<>=^])?(?:\d+)?[_,]?(?:\.\d+)?.?", re.DOTALL)


def _formatted(value: Expr, spec: FormatSpec, width: Expr, precision: Expr, line: int) -> Expr:
    letters = [integer(ord(letter) if letter else 0) for letter in (spec.fill, spec.align, spec.group)]
    filling, align, group = letters
    kind = find(value.type)
    if kind == STR:
        return library("formatting.format_text", STR, value, precision, width, filling, align, line=line)
    sign = integer(0 if spec.sign == "-" else ord(spec.sign))
    alternate, zeros = truth(spec.alternate), truth(spec.zero_width > 0)
    if kind == INT and spec.kind in ("", "b", "d", "o", "x", "X"):
        letter = integer(ord(spec.kind or "d"))
        return library(
            "formatting.format_int",
            STR,
            value,
            letter,
            sign,
            alternate,
            group,
            zeros,
            width,
            filling,
            align,
            line=line,
        )
    if kind == INT:
        value = as_float(value)
    return library(
        "formatting.format_float", STR, value, integer(ord(spec.kind) if spec.kind else 0), precision, sign,
        truth(spec.upper), alternate, group, zeros, width, filling, align, line=line,
    )  # fmt: skip
