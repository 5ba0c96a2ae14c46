"""Sorting, and the least and greatest of several values, with and without keys."""

from __future__ import annotations

import ast

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import conditions, loops
from echelon.plugin.compilers.python.checking.scope import Scope, as_int, bits
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    If,
    Let,
    Stmt,
    Variable,
    While,
    integer,
    library,
    local,
    negate,
    truth,
    wasm,
)
from echelon.plugin.compilers.python.types import BOOL, INT, NONE, STR, Hole, Type, find, list_of, unify


def key_of(scope: Scope, key: ast.expr, item: Expr, node: ast.AST) -> tuple[list[Stmt], Expr]:
    """Return what `key=` makes of an item: statements, and the value."""
    if isinstance(key, ast.Lambda):
        params = key.args.args
        if len(params) != 1 or key.args.defaults or key.args.vararg or key.args.kwarg or key.args.kwonlyargs:
            refuse(key, "the lambda of key= takes one parameter")
        name = params[0].arg
        hidden = scope.variables.pop(name, None)
        was_assigned = name in scope.assigned
        statement = scope.assign(name, item, key)
        value = scope.check(key.body)
        scope.variables.pop(name, None)
        if hidden is not None:
            scope.variables[name] = hidden
        if not was_assigned:
            scope.assigned.discard(name)
        return [statement], value
    called = ast.Call(func=key, args=[ast.Name(".item", ast.Load())], keywords=[])
    ast.copy_location(called, key)
    ast.copy_location(called.args[0], key)
    if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name) and key.value.id == "str":
        called = ast.Call(
            func=ast.Attribute(ast.Name(".item", ast.Load()), key.attr, ast.Load()), args=[], keywords=[]
        )
        ast.copy_location(called, key)
        for part in ast.walk(called.func):
            ast.copy_location(part, key)
    elif not isinstance(key, ast.Name):
        refuse(key, "key= takes a lambda or the name of a function")
    held = scope.temporary(item.type)
    scope.variables[".item"] = held
    scope.assigned.add(".item")
    value = scope.check(called)
    del scope.variables[".item"]
    return [Let(held, item)], value


def sort(scope: Scope, node: ast.Call, items: Expr, keywords: dict[str, ast.expr]) -> list[Stmt]:
    """Return the statements that sort a list in place, keeping the order of what is equal."""
    if set(keywords) - {"key", "reverse"}:
        refuse(node, "sorting takes key and reverse")
    kind = find(items.type).args[0]
    descending = conditions.condition(scope, keywords["reverse"]) if "reverse" in keywords else truth(False)
    key = keywords.get("key")
    if key is None or (isinstance(key, ast.Constant) and key.value is None):
        _require_order(kind, node)
        return [
            Do(
                library(
                    "sorting.sort", NONE, items, derived.ordering(kind), as_int(descending), line=node.lineno
                )
            )
        ]
    key_kind: Type = Hole()
    keys = scope.temporary(list_of(key_kind))
    at = scope.temporary(INT)
    body, value = key_of(scope, key, Expr("item_at", kind, (items, local(at))), node)
    unify(key_kind, value.type)
    _require_order(value.type, key)
    body.append(Do(library("lists.append", NONE, local(keys), bits(value))))
    step: list[Stmt] = [Let(at, Expr("add", INT, (local(at), integer(1)), "fits"))]
    test = wasm(op.I64_LT_S, BOOL, local(at), conditions.length(items))
    return [
        Let(keys, Expr("list", list_of(key_kind))),
        Let(at, integer(0)),
        While(test, body, [], step, node.lineno),
        Do(
            library(
                "sorting.sort_by",
                NONE,
                items,
                local(keys),
                derived.ordering(value.type),
                as_int(descending),
                line=node.lineno,
            )
        ),
    ]


def _require_order(kind: Type, node: ast.AST) -> None:
    if not derived.is_ordered(kind):
        refuse(node, f"values of type {find(kind)} have no order", "give a key=")


def extreme_of(
    scope: Scope, node: ast.Call, largest: bool, key: ast.expr | None, default: ast.expr | None
) -> Expr:
    """Return the least or greatest item of something that is iterated."""
    name = "max" if largest else "min"
    found = scope.temporary(BOOL, "found")
    state: dict[str, Variable] = {}

    def step(value: Expr, at: ast.AST) -> list[Stmt]:
        kind = value.type
        state["best"] = best = scope.temporary(kind, "best")
        item = scope.temporary(kind)
        body: list[Stmt] = [Let(item, value)]
        if key is None:
            _require_order(kind, at)
            other, best_key, kept = local(item), local(best), kind
        else:
            more, made = key_of(scope, key, local(item), node)
            _require_order(made.type, key)
            kept = made.type
            state["key"], new = scope.temporary(kept, "key"), scope.temporary(kept)
            body += [*more, Let(new, made)]
            other, best_key = local(new), local(state["key"])
        pair = (best_key, other) if largest else (other, best_key)
        better = Expr("or", BOOL, (negate(local(found)), derived.less(kept, *pair)))
        update: list[Stmt] = [Let(best, local(item)), Let(found, truth(True))]
        if key is not None:
            update.append(Let(state["key"], other))
        return [*body, If(better, update)]

    loop = loops.fold(scope, node.args[0], step, unordered=key is None)
    best = state["best"]
    if default is not None:
        value = scope.check_as(default, best.type, "the default")
        result = Expr("if", best.type, (local(found), local(best), value))
        return Expr("block", best.type, (result,), [Let(found, truth(False)), *loop], node.lineno)
    empty = Do(library("errors.empty", NONE, integer(int(largest)), line=node.lineno), node.lineno)
    return (
        Expr(
            "block",
            best.type,
            (local(best),),
            [Let(found, truth(False)), *loop, If(negate(local(found)), [empty])],
            node.lineno,
        )
        if name
        else local(best)
    )


def extreme_of_values(scope: Scope, node: ast.Call, values: list[Expr], largest: bool, key: ast.expr) -> Expr:
    """Return which of several values has the least or greatest key."""
    kind = values[0].type
    best = scope.temporary(kind, "best")
    body: list[Stmt] = []
    best_key: Variable | None = None
    for value in values:
        more, made = key_of(scope, key, value, node)
        item = more[0]
        if not isinstance(item, Let):
            raise AssertionError
        new = scope.temporary(made.type)
        body += [*more, Let(new, made)]
        if best_key is None:
            best_key = scope.temporary(made.type, "key")
            body += [Let(best, local(item.target)), Let(best_key, local(new))]
            continue
        pair = (local(best_key), local(new)) if largest else (local(new), local(best_key))
        body.append(
            If(derived.less(made.type, *pair), [Let(best, local(item.target)), Let(best_key, local(new))])
        )
    return Expr("block", kind, (local(best),), body, node.lineno)


TEXT = STR
