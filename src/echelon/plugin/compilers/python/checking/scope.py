"""One function while it is checked: its variables, what is known of them here, and what a value may become."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking.source import MAX_NESTING, refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Function,
    Let,
    Stmt,
    Variable,
    integer,
    local,
    real,
    wasm,
)
from echelon.plugin.compilers.python.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    NUMBERS,
    Type,
    find,
    unify,
)

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.checking.program import Program


class Checker(Protocol):
    """What checks expressions and statements in a scope."""

    def expression(self, scope: Scope, node: ast.expr, expected: Type | None) -> Expr: ...

    def body(self, scope: Scope, body: Sequence[ast.stmt]) -> list[Stmt]: ...


_MAX_VARIABLES: Final = 2000


class Scope:
    """What a function's statements and expressions are checked in."""

    def __init__(self, program: Program, function: Function, checker: Checker) -> None:
        self.program, self.function, self._checker = program, function, checker
        self.raw = function.raw
        self.variables: dict[str, Variable] = {param.name: param for param in function.params}
        self.assigned: set[str] = set(self.variables)
        """Names that have a value here, whichever way execution came."""

        self.narrowed: dict[str, Type] = {}
        """What a name or path is known to be here, where that is less than its type."""

        self.globals: set[str] = set()
        self.loops = 0
        self.tries = 0
        self.handling: tuple[Variable, Variable] | None = None
        self.caught: dict[str, tuple[Variable, Variable]] = {}
        self.result_known = True
        self.finals: list[Sequence[ast.stmt]] = []
        self._depth = 0
        self._temporaries = 0

    def check(self, node: ast.expr, expected: Type | None = None) -> Expr:
        """Return the typed expression; raises Refusal. `expected` is only what would fit."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            refuse(node, "this is nested too deeply", "split the expression into several statements")
        found = self._checker.expression(self, node, expected)
        self._depth -= 1
        return found

    def check_body(self, body: Sequence[ast.stmt]) -> list[Stmt]:
        """Return the typed statements; raises Refusal."""
        return self._checker.body(self, body)

    @contextmanager
    def nested(self, node: ast.AST) -> Iterator[None]:
        """Count a level of statements."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            refuse(node, "this is nested too deeply", "move the inner statements into a function")
        yield
        self._depth -= 1

    def check_as(self, node: ast.expr, kind: Type, what: str = "") -> Expr:
        """Return the expression as a value of a type; raises Refusal when it is not one."""
        return self.coerce(self.check(node, kind), kind, node, what)

    def check_int(self, node: ast.expr) -> Expr:
        """Return a whole number; a bool is one."""
        found = as_int(self.check(node))
        if found.type != INT:
            self.mismatch(node, found, INT)
        return found

    def coerce(self, value: Expr, kind: Type, node: ast.AST, what: str = "") -> Expr:
        """Return a value as one of a type, or as optional; raises Refusal. An int stays one, as it does in CPython."""
        kind, have = find(kind), find(value.type)
        if unify(have, kind):
            return value
        if kind.kind == "optional":
            inner = kind.args[0]
            if have == NONE:
                return (
                    Expr("none", kind, (), None, value.line)
                    if value.op == "none"
                    else Expr("block", kind, (Expr("none", kind),), [Do(value, value.line)])
                )
            if have.kind != "optional":
                value = self.coerce(value, inner, node, what)
                return box(value, kind)
        self.mismatch(node, value, kind, what)
        raise AssertionError

    def mismatch(self, node: ast.AST, value: Expr, wanted: Type, what: str = "") -> None:
        """Refuse a value of the wrong type."""
        hint = ""
        have = find(value.type)
        if wanted == FLOAT and value.op == "int":
            hint = f"write {value.data}.0"
        elif wanted == FLOAT and have in (INT, BOOL):
            hint = "write float(…) around it"
        elif wanted == INT and have == BOOL:
            hint = "write int(…) around it"
        elif have.kind == "optional" and have.args[0] == wanted:
            hint = "check `is not None` first"
        elif have.kind == "hole":
            hint = "annotate the variable that it comes from"
        refuse(node, f"{what or 'this'} is {have}, and {wanted} is needed", hint)

    # Variables

    def temporary(self, kind: Type, name: str = "") -> Variable:
        """Make a variable of the compiler's own."""
        self._temporaries += 1
        return Variable(f".{name}{self._temporaries}", kind)

    def look_up(self, node: ast.Name) -> Expr | None:
        """Return a local variable's value, checked at run time where it may have none; None for other names."""
        variable = self.variables.get(node.id)
        if variable is None:
            return None
        if node.id in self.assigned:
            found = local(variable, node.lineno)
        else:
            if variable.flag is None:
                variable.flag = self.temporary(BOOL, "has_")
            found = Expr("bound", variable.type, (), variable, node.lineno)
        narrow = self.narrowed.get(node.id)
        return found if narrow is None else unbox(found, narrow)

    def assign(self, name: str, value: Expr, node: ast.AST, declared: Type | None = None) -> Stmt:
        """Give a variable a value, which also makes it one of that type when it is new."""
        variable = self.variables.get(name)
        if variable is None:
            kind = declared or value.type
            if find(kind) == NONE:
                refuse(node, f"{name} would only ever be None", f"annotate it: {name}: int | None = None")
            if len(self.variables) >= _MAX_VARIABLES:
                refuse(node, f"the function has more than {_MAX_VARIABLES} variables", "split it")
            variable = self.variables[name] = Variable(name, kind)
        elif declared is not None and not unify(variable.type, declared):
            refuse(node, f"{name} is {variable.type} already", "give the other value another name")
        known = value.type
        value = self._fit(variable, value, node)
        self.forget(name)
        self.assigned.add(name)
        kind = find(variable.type)
        if kind.kind == "optional" and find(known).kind not in ("optional", "None"):
            self.narrowed[name] = kind.args[0]
        return Let(variable, value, getattr(node, "lineno", 0))

    def _fit(self, variable: Variable, value: Expr, node: ast.AST) -> Expr:
        name, have = variable.name, find(value.type)
        kind = find(variable.type)
        if not unify(have, kind) and kind.kind != "optional":
            refuse(
                node,
                f"{name} is {kind} and would become {have}",
                f"give the new value another name, or annotate it first: {name}: {kind} | {have}"
                if have == NONE
                else "a variable keeps its type: give the new value another name"
                + (", or begin with a float" if kind == INT and have == FLOAT else "")
                + (f", or write {value.data}.0" if kind == FLOAT and value.op == "int" else ""),
            )
        return self.coerce(value, kind, node, name)

    def forget(self, name: str) -> None:
        """Drop what was known of a name and of the paths below it."""
        for path in [path for path in self.narrowed if path == name or path.startswith(name + ".")]:
            del self.narrowed[path]

    def forget_paths(self) -> None:
        """Drop what was known of fields: something may have changed them."""
        for path in [path for path in self.narrowed if "." in path]:
            del self.narrowed[path]

    def known_at(self) -> tuple[set[str], dict[str, Type]]:
        return set(self.assigned), dict(self.narrowed)

    def restore(self, state: tuple[set[str], dict[str, Type]]) -> None:
        self.assigned, self.narrowed = set(state[0]), dict(state[1])

    def join(self, states: Sequence[tuple[set[str], dict[str, Type]]]) -> None:
        """Keep what holds after every one of several ways; of none, execution does not come here."""
        if not states:
            return
        self.assigned = set.intersection(*(state[0] for state in states))
        first = states[0][1]
        self.narrowed = {
            path: kind for path, kind in first.items() if all(state[1].get(path) == kind for state in states)
        }


def as_int(value: Expr) -> Expr:
    """Return a bool as the integer that it is."""
    if find(value.type) == BOOL:
        if value.op == "bool":
            return integer(int(value.data), value.line)
        found = wasm(op.I64_EXTEND_U, INT, value, line=value.line)
        found.range = (0, 1)
        return found
    return value


def as_float(value: Expr) -> Expr:
    """Return a number as float."""
    if find(value.type) == FLOAT:
        return value
    value = as_int(value)
    if value.op == "int":
        return real(float(value.data), value.line)
    return wasm(op.F64_FROM_S, FLOAT, value, line=value.line)


def box(value: Expr, kind: Type) -> Expr:
    """Return a value as optional: numbers lie in an object of their own."""
    if find(value.type).kind in NUMBERS:
        return Expr("new", kind, (value,), 8, value.line)
    return Expr("block", kind, (value,), [], value.line)


def unbox(value: Expr, kind: Type) -> Expr:
    """Return an optional value that is known not to be None."""
    if find(value.type).kind != "optional":
        return value
    if find(kind).kind in NUMBERS:
        opcode, alignment = op.LOADS[find(kind).core]
        return Expr("load", kind, (value,), (opcode, alignment, 0), value.line)
    return Expr("block", kind, (value,), [], value.line)


def bits(value: Expr) -> Expr:
    """Return any value as a word of 64 bits."""
    return Expr("bits", INT, (value,), None, value.line)


def from_bits(value: Expr, kind: Type) -> Expr:
    """Return what a word of 64 bits stands for."""
    return Expr("from_bits", kind, (value,), None, value.line)
