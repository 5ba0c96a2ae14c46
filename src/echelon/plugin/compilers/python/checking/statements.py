"""Statements: assignments, branches, loops, exceptions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, Final

from echelon.plugin.compilers.python.checking import (
    assignments,
    conditions,
    loops,
    narrowing,
    raising,
)
from echelon.plugin.compilers.python.checking.flow import assigned_in, breaks, enter_loop, leaves
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Break, Continue, Do, Expr, If, Return, Stmt, While, nothing
from echelon.plugin.compilers.python.types import BOOL, NONE, find


def check_body(scope: Scope, body: Sequence[ast.stmt]) -> list[Stmt]:
    """Return the typed statements; what cannot be reached is checked all the same."""
    found: list[Stmt] = []
    for node in body:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            refuse(
                node,
                f"{_NAMES.get(type(node), 'this statement')} cannot be compiled",
                _HINTS.get(type(node), ""),
            )
        with scope.nested(node):
            made = handler(scope, node)
        for statement in made:
            if not getattr(statement, "line", 0):
                statement.line = node.lineno
        found += made
    return found


def _expression(scope: Scope, node: ast.Expr) -> list[Stmt]:
    if isinstance(node.value, ast.Constant):
        return []
    return [Do(scope.check(node.value), node.lineno)]


def _if(scope: Scope, node: ast.If) -> list[Stmt]:
    test = conditions.condition(scope, node.test)
    state = scope.known_at()
    narrowing.apply(scope, node.test, holds=True)
    body = check_body(scope, node.body)
    ways = [] if leaves(body) else [scope.known_at()]
    scope.restore(state)
    narrowing.apply(scope, node.test, holds=False)
    orelse = check_body(scope, node.orelse)
    if not leaves(orelse):
        ways.append(scope.known_at())
    scope.join(ways)
    return [If(test, body, orelse, node.lineno)]


def _while(scope: Scope, node: ast.While) -> list[Stmt]:
    enter_loop(scope, node.body)
    if isinstance(node.test, ast.Constant) and node.test.value:
        test = Expr("bool", BOOL, (), True, node.lineno)
    else:
        test = conditions.condition(scope, node.test)
    state = scope.known_at()
    narrowing.apply(scope, node.test, holds=True)
    scope.loops += 1
    body = check_body(scope, node.body)
    scope.loops -= 1
    after = scope.known_at()
    always = test.op == "bool"
    scope.restore(state)
    if always:
        # the loop is left by break alone; what every turn assigned before the first break has a value
        scope.assigned = state[0] | (_certain(node.body, state[0]) & after[0])
    elif not breaks(body):
        narrowing.apply(scope, node.test, holds=False)
    orelse = check_body(scope, node.orelse)
    if node.orelse:
        scope.restore(state)
    return [While(test, body, orelse, [], node.lineno)]


def _certain(body: Sequence[ast.stmt], known: set[str]) -> set[str]:
    """Return the names that a body assigns before anything in it can leave the loop."""
    found = set(known)
    for node in body:
        if any(isinstance(part, ast.Break | ast.Continue) for part in ast.walk(node)):
            break
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            found |= assigned_in([node])
    return found


def _for(scope: Scope, node: ast.For) -> list[Stmt]:
    found = loops.iteration(scope, node.iter)
    enter_loop(scope, [node])
    state = scope.known_at()

    def body() -> list[Stmt]:
        scope.loops += 1
        made = check_body(scope, node.body)
        scope.loops -= 1
        return made

    orelse: list[Stmt] = []
    made = loops.loop(scope, found, node.target, body, orelse, node.lineno)
    scope.restore(state)
    orelse += check_body(scope, node.orelse)
    scope.restore(state)
    return made


def _leave(scope: Scope, node: ast.Break | ast.Continue) -> list[Stmt]:
    if not scope.loops:
        refuse(node, "this is outside of a loop")
    return [Break(node.lineno) if isinstance(node, ast.Break) else Continue(node.lineno)]


def _return(scope: Scope, node: ast.Return) -> list[Stmt]:
    kind = scope.function.result
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
        if kind == NONE:
            return [Return(None, node.lineno)]
        return [Return(scope.coerce(nothing(node.lineno), kind, node, "the result"), node.lineno)]
    value = scope.check(node.value, kind)
    if kind == NONE:
        if find(value.type) != NONE:
            refuse(node, f"a value of type {value.type} is returned", "annotate the result: -> …")
        return [Do(value, node.lineno), Return(None, node.lineno)]
    return [Return(scope.coerce(value, kind, node.value, "the result"), node.lineno)]


def _global(scope: Scope, node: ast.Global) -> list[Stmt]:
    refuse(node, "a global is changed", "pass it as a parameter and return it")


def _nothing(_scope: Scope, _node: ast.AST) -> list[Stmt]:
    return []


_HANDLERS: Final[dict[type, Callable[[Scope, Any], list[Stmt]]]] = {
    ast.Assign: assignments.assign,
    ast.AnnAssign: assignments.annotated,
    ast.AugAssign: assignments.augmented,
    ast.Delete: assignments.delete,
    ast.Expr: _expression,
    ast.If: _if,
    ast.While: _while,
    ast.For: _for,
    ast.Break: _leave,
    ast.Continue: _leave,
    ast.Return: _return,
    ast.Raise: raising.raise_statement,
    ast.Assert: raising.assert_statement,
    ast.Try: raising.try_statement,
    ast.Global: _global,
    ast.Pass: _nothing,
}
_NAMES: Final[dict[type, str]] = {
    ast.FunctionDef: "a function within a function",
    ast.AsyncFunctionDef: "an async function",
    ast.ClassDef: "a class within a function",
    ast.With: "with",
    ast.AsyncFor: "async for",
    ast.Match: "match",
    ast.Import: "an import within a function",
    ast.ImportFrom: "an import within a function",
    ast.Nonlocal: "nonlocal",
    ast.TryStar: "except*",
}
_HINTS: Final[dict[type, str]] = {
    ast.FunctionDef: "define it beside the others and pass what it needs",
    ast.AsyncFunctionDef: "a call runs to its end without waiting; leave async out",
    ast.ClassDef: "define it at the top of the file",
    ast.With: "write try and finally",
    ast.AsyncFor: "a call runs to its end without waiting; leave async out",
    ast.Match: "write if and elif",
    ast.TryStar: "write except",
    ast.Nonlocal: "pass the value and return it",
    ast.Import: "import at the top of the file",
    ast.ImportFrom: "import at the top of the file",
}
