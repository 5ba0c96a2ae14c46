"""Exports: functions whose arguments and results cross the boundary by the ABI `linear` (see docs/abi.md)."""

from __future__ import annotations

from typing import Final

from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Function,
    Let,
    Return,
    Stmt,
    Variable,
    library,
    local,
)
from echelon.plugin.compilers.python.types import NONE, Type, settle
from echelon.runtime.signature import Function as Signed
from echelon.runtime.signature import Value

ALLOCATE: Final = "memory.block"
_NUMBERS: Final = {"int": "i64", "float": "f64", "bool": "bool"}


def wire(kind: Type) -> str | None:
    """Return what a caller sees of a type, None for one that cannot cross."""
    return _NUMBERS.get(settle(kind).kind)


def signed(function: Function) -> Signed | None:
    """Return a function's signature for callers, None for one that cannot be called from outside."""
    params = []
    for param in function.params:
        kind = wire(param.type)
        if kind is None:
            return None
        params.append(Value(kind, param.name))
    if function.result == NONE:
        return Signed(function.name, tuple(params))
    result = wire(function.result)
    return None if result is None else Signed(function.name, tuple(params), (Value(result),))


def export(function: Function) -> Function:
    """Return the function that is exported: it begins a call, converts, and ends the call."""
    params = [Variable(param.name, param.type, parameter=True) for param in function.params]
    made = Function(f"{function.name} (export)", params, function.result, file=-1)
    called = Expr("call", function.result, tuple(local(param) for param in params), function, function.line)
    body: list[Stmt] = [Do(library("memory.begin", NONE))]
    if function.result == NONE:
        made.body = [*body, Do(called), Do(library("memory.end", NONE))]
        return made
    result = Variable("result", function.result)
    made.body = [*body, Let(result, called), Do(library("memory.end", NONE)), Return(local(result))]
    return made
