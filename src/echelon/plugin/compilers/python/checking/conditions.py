"""Truth: conditions, `and`, `or`, `not`, and the lengths that decide it."""

from __future__ import annotations

import ast

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import narrowing
from echelon.plugin.compilers.python.checking.scope import Scope, unbox
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Let,
    integer,
    library,
    local,
    negate,
    real,
    truth,
    wasm,
)
from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, NONE, Type, find, unify


def condition(scope: Scope, node: ast.expr) -> Expr:
    """Return whether a value counts as true, as a bool."""
    if isinstance(node, ast.BoolOp):
        return _bool_chain(scope, node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return negate(condition(scope, node.operand))
    return truth_of(scope, scope.check(node), node)


def truth_of(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    kind, line = find(value.type), value.line
    if kind == BOOL:
        return value
    if kind == INT:
        return wasm(op.I64_NE, BOOL, value, integer(0), line=line)
    if kind == FLOAT:
        return wasm(op.F64_NE, BOOL, value, real(0.0), line=line)
    if kind.kind in ("str", "bytes", "list", "dict", "set"):
        return wasm(op.I64_NE, BOOL, length(value), integer(0), line=line)
    if kind.kind == "tuple":
        return Expr("block", BOOL, (truth(bool(kind.args)),), [Do(value)], line)
    if kind == NONE:
        return Expr("block", BOOL, (truth(False),), [Do(value)] if value.op != "none" else [], line)
    if kind.kind == "struct":
        return _truth_of_object(scope, value, node)
    if kind.kind == "optional":
        inner = find(kind.args[0])
        if inner.kind == "tuple":
            return is_some(value)
        held = scope.temporary(kind)
        test = Expr(
            "and", BOOL, (is_some(local(held)), truth_of(scope, unbox(local(held), inner), node)), None, line
        )
        return Expr("block", BOOL, (test,), [Let(held, value)], line)
    refuse(node, f"a value of type {kind} is no condition", "annotate the variable that it comes from")


def _truth_of_object(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    from echelon.plugin.compilers.python.checking import calls

    if calls.method_of(scope, value, "__bool__") is not None:
        found = calls.dunder(scope, node, value, "__bool__", [])
        if find(found.type) != BOOL:
            refuse(node, f"{value.type}.__bool__() is {find(found.type)}", "annotate its result: -> bool")
        return found
    if calls.method_of(scope, value, "__len__") is not None:
        return wasm(op.I64_NE, BOOL, length_of_object(scope, node, value), integer(0), line=value.line)
    return Expr("block", BOOL, (truth(True),), [Do(value)], value.line)


def length_of_object(scope: Scope, node: ast.AST, value: Expr) -> Expr:
    """Return what an object's `__len__` gives; raises Refusal when its class has none that gives an integer."""
    from echelon.plugin.compilers.python.checking import calls

    found = calls.dunder(scope, node, value, "__len__", [])
    if find(found.type) != INT:
        refuse(node, f"{value.type}.__len__() is {find(found.type)}", "annotate its result: -> int")
    return library("integers.require_length", INT, found, line=value.line)


def is_some(value: Expr) -> Expr:
    return wasm(op.I32_NE, BOOL, value, Expr("none", value.type), line=value.line)


def length(value: Expr) -> Expr:
    """Return how many items a string, list, dict, set or bytes has."""
    found = Expr("load", INT, (value,), (op.I64_LOAD32_U, 2, 4), value.line)
    found.range = (0, (1 << 31) - 1)
    return found


def _bool_chain(scope: Scope, node: ast.BoolOp) -> Expr:
    """Return `and`, `or` as a condition; what the left side says of names holds on the right."""
    is_and = isinstance(node.op, ast.And)
    tests = []
    state = scope.known_at()
    for value in node.values:
        tests.append(condition(scope, value))
        narrowing.apply(scope, value, holds=is_and)
    assigned_first = state
    scope.restore((assigned_first[0], assigned_first[1]))
    found = tests[-1]
    for test in reversed(tests[:-1]):
        found = Expr("and" if is_and else "or", BOOL, (test, found), None, test.line)
    return found


def bool_operation(scope: Scope, node: ast.BoolOp, expected: Type | None = None) -> Expr:
    """Return the value of `and`, `or`: of one type, as all its operands are."""
    is_and = isinstance(node.op, ast.And)
    state = scope.known_at()
    values: list[Expr] = []
    for operand in node.values:
        values.append(scope.check(operand, expected))
        narrowing.apply(scope, operand, holds=is_and)
    scope.restore(state)
    if all(find(value.type) == BOOL for value in values):
        found = values[-1]
        for value in reversed(values[:-1]):
            found = Expr("and" if is_and else "or", BOOL, (value, found), None, value.line)
        return found
    kind = values[-1].type
    if find(kind) == NONE and expected is not None:
        kind = expected
    found = scope.coerce(values[-1], kind, node)
    for value, source in zip(reversed(values[:-1]), reversed(node.values[:-1]), strict=True):
        have = find(value.type)
        if not is_and and have.kind == "optional" and have.args[0] == kind:
            held = scope.temporary(value.type)
            test = truth_of(scope, local(held), source)
            chosen: Expr = unbox(local(held), kind)
        else:
            if not unify(have, kind):
                refuse(
                    node,
                    f"the operands are {have} and {find(kind)}",
                    "write `if` … `else` with one type, or compare them",
                )
            held = scope.temporary(value.type)
            test, chosen = truth_of(scope, local(held), source), local(held)
        pair = (found, chosen) if is_and else (chosen, found)
        choice = Expr("if", kind, (test, *pair), None, value.line)
        found = Expr("block", kind, (choice,), [Let(held, value)], value.line)
    return found
