"""The module `math`."""

from __future__ import annotations

import ast
import math
from typing import Final

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking.scope import Scope, as_float, as_int
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Expr, library, wasm
from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, Type, find

CONSTANTS: Final = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}
_INSTRUCTIONS: Final = {"fabs": op.F64_ABS, "copysign": op.F64_COPYSIGN}
_TO_INT: Final = {"floor": "floats.floor", "ceil": "floats.ceil", "trunc": "floats.to_whole"}
_PLAIN: Final[dict[str, tuple[str, int, Type]]] = {
    "sqrt": ("floats.root", 1, FLOAT),
    "isnan": ("floats.is_nan", 1, BOOL),
    "isinf": ("floats.is_inf", 1, BOOL),
    "isfinite": ("floats.is_finite", 1, BOOL),
    "degrees": ("floats.degrees", 1, FLOAT),
    "radians": ("floats.radians", 1, FLOAT),
}
_INTEGERS: Final[dict[str, tuple[str, int]]] = {
    "gcd": ("integers.gcd", 2),
    "lcm": ("integers.lcm", 2),
    "isqrt": ("integers.root", 1),
    "factorial": ("integers.factorial", 1),
    "comb": ("integers.combinations", 2),
    "perm": ("integers.permutations", 2),
}


NAMES: Final = [name for name in dir(math) if not name.startswith("_")]


def exists(name: str) -> bool:
    """Tell whether `math` has a name in every version of Python that there may be."""
    return name in NAMES


def call(scope: Scope, node: ast.Call, name: str) -> Expr:
    """Return a call of a function of `math`."""
    if node.keywords:
        refuse(node.keywords[0], f"math.{name}() gets an argument by name", "give it by place")
    values = [scope.check(arg) for arg in node.args]
    for value, arg in zip(values, node.args, strict=True):
        if find(value.type) not in (INT, FLOAT, BOOL):
            refuse(
                arg,
                f"math.{name}() does not take {value.type}",
                "check `is not None` first" if find(value.type).kind == "optional" else "",
            )
    line = node.lineno
    if name in _TO_INT and len(values) == 1:
        if find(values[0].type) != FLOAT:
            return as_int(values[0])
        return library(_TO_INT[name], INT, values[0], line=line)
    if name in _INSTRUCTIONS:
        _count(node, name, values, 2 if name == "copysign" else 1)
        return wasm(_INSTRUCTIONS[name], FLOAT, *(as_float(value) for value in values), line=line)
    if name in _PLAIN:
        key, count, kind = _PLAIN[name]
        _count(node, name, values, count)
        return library(key, kind, *(as_float(value) for value in values), line=line)
    if name in _INTEGERS:
        key, count = _INTEGERS[name]
        _count(node, name, values, count)
        if any(find(value.type) == FLOAT for value in values):
            refuse(node, f"math.{name}() takes integers")
        return library(key, INT, *(as_int(value) for value in values), line=line)
    found = scope.program.library_math(name, len(values))
    if not found:
        refuse(
            node.func,
            f"math.{name}() with {len(values)} arguments cannot be compiled exactly",
            "the page docs/python-library.md lists those that can",
        )
    params = scope.program.library_params(found)
    for value, arg, kind in zip(values, node.args, params, strict=True):
        if kind == INT and find(value.type) == FLOAT:
            refuse(arg, f"math.{name}() takes an integer here")
    given = (
        as_int(value) if kind == INT else as_float(value) for value, kind in zip(values, params, strict=True)
    )
    return library(found, scope.program.library_result(found, node), *given, line=line)


def _count(node: ast.Call, name: str, values: list[Expr], count: int) -> None:
    if len(values) != count:
        refuse(node, f"math.{name}() takes {count} arguments here and gets {len(values)}")
