"""What a condition says of names and fields that may be None."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.types import Type, find


def path_of(node: ast.expr) -> str:
    """Return a name or a chain of fields as a path, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = path_of(node.value)
        return f"{above}.{node.attr}" if above else ""
    if isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
        return node.target.id
    return ""


def apply(scope: Scope, test: ast.expr, *, holds: bool) -> None:
    """Note what is known once a condition held, or failed."""
    for node, is_some in _facts(test, holds):
        path = path_of(node)
        kind = _declared(scope, path)
        if kind is not None and kind.kind == "optional" and is_some:
            scope.narrowed[path] = kind.args[0]


def _facts(test: ast.expr, holds: bool) -> Iterator[tuple[ast.expr, bool]]:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _facts(test.operand, not holds)
    elif isinstance(test, ast.BoolOp):
        if isinstance(test.op, ast.And) == holds:
            for value in test.values:
                yield from _facts(value, holds)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        other = test.comparators[0]
        if isinstance(other, ast.Constant) and other.value is None:
            if isinstance(test.ops[0], ast.IsNot | ast.NotEq):
                yield test.left, holds
            elif isinstance(test.ops[0], ast.Is | ast.Eq):
                yield test.left, not holds
    elif isinstance(test, ast.Name | ast.Attribute | ast.NamedExpr):
        yield test, holds


def _declared(scope: Scope, path: str) -> Type | None:
    """Return the type of a path as it is declared."""
    name, *fields = path.split(".")
    variable = scope.variables.get(name)
    if variable is None:
        return None
    kind = find(variable.type)
    for field in fields:
        if kind.kind == "optional":
            kind = find(kind.args[0])
        if kind.kind != "struct" or kind.struct is None or field not in kind.struct.fields:
            return None
        kind = find(kind.struct.fields[field].type)
    return kind
