"""Exceptions: raise, assert, try."""

from __future__ import annotations

import ast
from typing import Any

from echelon.plugin.compilers.python.checking import conditions, formats, narrowing
from echelon.plugin.compilers.python.checking.flow import assigned_in, enter_loop, leaves
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.exceptions import NUMBERS, caught
from echelon.plugin.compilers.python.tree import (
    Expr,
    Handler,
    If,
    Raise,
    Stmt,
    Try,
    integer,
    local,
    negate,
    text,
)
from echelon.plugin.compilers.python.types import INT, STR


def _kind_of(scope: Scope, node: ast.expr) -> int:
    name = node.id if isinstance(node, ast.Name) else ""
    number = scope.program.exceptions.get(name) or NUMBERS.get(name)
    if not number:
        known = ", ".join([*NUMBERS][:12])
        refuse(
            node,
            f"{name or 'this'} is no exception known here",
            f"there are {known}, and classes that derive from them",
        )
    return number


def raise_statement(scope: Scope, node: ast.Raise) -> list[Stmt]:
    cause = node.cause
    if not (
        cause is None
        or (isinstance(cause, ast.Constant) and cause.value is None)
        or (isinstance(cause, ast.Name) and cause.id in scope.caught)
    ):
        refuse(cause, "the cause is no exception that is being handled", "write from error, or from None")
    if node.exc is None:
        if scope.handling is None:
            refuse(node, "nothing is being handled here", "name an exception")
        kind, message = scope.handling
        return [Raise(local(kind), local(message), node.lineno)]
    if isinstance(node.exc, ast.Name) and node.exc.id in scope.caught:
        kind, message = scope.caught[node.exc.id]
        return [Raise(local(kind), local(message), node.lineno)]
    call = node.exc
    args: list[ast.expr] = []
    if isinstance(call, ast.Call):
        if call.keywords or len(call.args) > 1:
            refuse(call, "an exception takes one message here", "write one f-string")
        args, call = call.args, call.func
    number = _kind_of(scope, call)
    if number in _of_unicode(scope):
        refuse(call, "this exception takes more than a message", "raise UnicodeError, or a ValueError")
    message_text: Expr = text("")
    if args:
        value = formats.shown(scope, args[0])
        is_key = number in caught(NUMBERS["KeyError"], scope.program.parents)
        message_text = (
            formats.to_repr(scope, value, args[0]) if is_key else formats.to_text(scope, value, args[0])
        )
    return [Raise(integer(number), message_text, node.lineno)]


def _of_unicode(scope: Scope) -> set[int]:
    """Return the numbers of exceptions that CPython makes of an encoding, an object and a place in it."""
    names = ("UnicodeDecodeError", "UnicodeEncodeError")
    return {number for name in names for number in caught(NUMBERS[name], scope.program.parents)}


def assert_statement(scope: Scope, node: ast.Assert) -> list[Stmt]:
    test = conditions.condition(scope, node.test)
    state = scope.known_at()
    narrowing.apply(scope, node.test, holds=False)
    message = (
        text("") if node.msg is None else formats.to_text(scope, formats.shown(scope, node.msg), node.msg)
    )
    scope.restore(state)
    narrowing.apply(scope, node.test, holds=True)
    return [
        If(negate(test), [Raise(integer(NUMBERS["AssertionError"]), message, node.lineno)], [], node.lineno)
    ]


def try_statement(scope: Scope, node: ast.Try) -> list[Stmt]:
    scope.function.tries = True
    kind, message = scope.temporary(INT, "kind"), scope.temporary(STR, "message")
    enter_loop(scope, node.body)
    before = scope.known_at()
    body = scope.check_body(node.body)
    orelse = scope.check_body(node.orelse)
    ways = [] if leaves([*body, *orelse]) else [scope.known_at()]
    handlers = []
    for handler in node.handlers:
        scope.restore(before)
        handlers.append(_handler(scope, handler, kind, message))
        if not leaves(handlers[-1].body):
            ways.append(scope.known_at())
    after = ways
    scope.restore(before)
    for name in assigned_in([*node.body, *node.handlers, *node.orelse]):
        scope.forget(name)
    if any(
        isinstance(part, ast.Return | ast.Break | ast.Continue)
        for stmt in node.finalbody
        for part in ast.walk(stmt)
    ):
        refuse(node.finalbody[0], "finally leaves the function or loop", "move the statement behind the try")
    final = scope.check_body(node.finalbody)
    in_final = scope.assigned - before[0]
    scope.join(after if after else [before])
    scope.assigned |= in_final
    return [Try(body, handlers, orelse, final, kind, message, node.lineno)]


def _handler(scope: Scope, node: ast.ExceptHandler, kind: Any, message: Any) -> Handler:
    kinds: tuple[int, ...] | None = None
    if node.type is not None:
        nodes = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        numbers = [
            number for one in nodes for number in (caught(_kind_of(scope, one), scope.program.parents))
        ]
        kinds = tuple(dict.fromkeys(numbers))
    previous, scope.handling = scope.handling, (kind, message)
    hidden = dict(scope.caught)
    if node.name:
        if node.name in scope.variables:
            refuse(
                node,
                f"{node.name} is a variable and the name of an exception",
                "give the exception another name",
            )
        scope.caught[node.name] = (kind, message)
    body = scope.check_body(node.body)
    scope.handling, scope.caught = previous, hidden
    return Handler(kinds, body)
