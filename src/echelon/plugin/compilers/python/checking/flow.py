"""Where execution goes: what never ends, what leaves a loop, what a loop may change."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.tree import (
    Break,
    Continue,
    ForRange,
    If,
    Raise,
    Return,
    Stmt,
    Try,
    While,
)


def leaves(body: Sequence[Stmt]) -> bool:
    """Tell whether execution never comes to the end of statements."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, Return | Raise | Break | Continue):
        return True
    if isinstance(last, If):
        return leaves(last.body) and leaves(last.orelse)
    if isinstance(last, While):
        return last.test.op == "bool" and last.test.data and not breaks(last.body)
    if isinstance(last, Try):
        if leaves(last.final):
            return True
        return leaves([*last.body, *last.orelse]) and all(leaves(handler.body) for handler in last.handlers)
    return False


def breaks(body: Sequence[Stmt]) -> bool:
    for statement in body:
        if isinstance(statement, Break):
            return True
        if isinstance(statement, If) and (breaks(statement.body) or breaks(statement.orelse)):
            return True
        if isinstance(statement, While | ForRange) and breaks(statement.orelse):
            return True
        if isinstance(statement, Try):
            parts = [statement.body, statement.orelse, statement.final, *(h.body for h in statement.handlers)]
            if any(breaks(part) for part in parts):
                return True
    return False


def assigned_in(body: Sequence[ast.AST]) -> set[str]:
    """Return every name that statements may give another value."""
    return {
        node.id
        for part in body
        for node in ast.walk(part)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def enter_loop(scope: Scope, body: Sequence[ast.stmt]) -> None:
    for name in assigned_in(body):
        scope.forget(name)
    scope.forget_paths()
