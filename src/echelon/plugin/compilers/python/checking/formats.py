"""Values as text: `str`, `repr` and f-strings."""

from __future__ import annotations

import ast
import re
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python.checking.scope import Scope, as_int
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Do, Expr, library, text
from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, STR, find

_SPEC: Final = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?\d*[_,]?(?:\.\d+)?[bcdeEfFgGnosxX%]?", re.DOTALL)


def to_text(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    """Return what `str` makes of a value."""
    kind = find(value.type)
    if kind == STR:
        return value
    if kind.kind == "exception":
        return Expr("local", STR, (), value.data[1], value.line)
    if kind.kind == "None":
        return Expr("block", STR, (text("None"),), [] if value.op == "none" else [Do(value)], value.line)
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
    _require_shown(scope, value, node)
    if kind.kind == "struct" and kind.struct is not None:
        target = scope.program.methods.get((kind.struct.name, "__repr__"))
        if target is not None:
            from echelon.plugin.compilers.python.checking import calls

            return calls.call_function(scope, node, target, [value], [], [])
    return derived.representation(kind, value)


def _require_shown(scope: Scope, value: Expr, node: ast.AST) -> None:
    """Refuse what CPython shows with an address, or this compiler would show differently."""
    kinds = [find(value.type)]
    seen = set()
    while kinds:
        kind = find(kinds.pop())
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
    value = scope.check(part.value)
    if part.conversion in (ord("r"), ord("a")):
        value = to_repr(scope, value, part.value)
        if part.conversion == ord("a"):
            refuse(part, "!a cannot be compiled", "use !r")
    elif part.conversion == ord("s"):
        value = to_text(scope, value, part.value)
    if part.format_spec is None or (
        isinstance(part.format_spec, ast.JoinedStr) and not part.format_spec.values
    ):
        return to_text(scope, value, part.value)
    if not isinstance(part.format_spec, ast.JoinedStr):
        refuse(part, "this format cannot be compiled")
    spec = joined(scope, part.format_spec)
    kind = find(value.type)
    if spec.op == "text" and not _SPEC.fullmatch(spec.data):
        refuse(part.format_spec, f"the format {spec.data!r} is not known")
    if kind == FLOAT:
        return library("formatting.format_float", STR, value, spec, line=part.lineno)
    if kind in (INT, BOOL):
        return library("formatting.format_int", STR, as_int(value), spec, line=part.lineno)
    if kind == STR:
        return library("formatting.format_text", STR, value, spec, line=part.lineno)
    if kind.kind == "exception":
        return library("formatting.format_text", STR, to_text(scope, value, part), spec, line=part.lineno)
    refuse(part, f"{kind} is formatted with a specification", "write !s or !r before the colon")
