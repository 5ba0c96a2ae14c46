"""Constants of the module: expressions of literals, computed when the program is compiled."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Expr, integer, nothing, real, text, truth
from echelon.plugin.compilers.python.types import BYTES, NONE, tuple_of

_MOST: Final = 1 << 63
MOST_ITEMS: Final = 1 << 18
"""Items of tuples that are written out in all of a program, at every use of a constant."""
_LONGEST: Final = 1 << 16
"""Items and characters that a computed constant may have."""

_BINARY: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.Pow: operator.pow,
}  # fmt: skip
_UNARY: Final[dict[type, Callable[[Any], Any]]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip
_NUMBERS: Final = (int, float)


class NotConstant(Exception):
    """An expression has no value before the program runs."""


def evaluate(node: ast.expr, known: Mapping[str, Any], math_names: Mapping[str, str]) -> Any:
    """Return the value of a constant expression; raises NotConstant, and Refusal for one that raises.

    `known` are constants by name, `math_names` what names of the program stand for in `math`, "" for the module.
    """
    if isinstance(node, ast.Constant) and node.value is not ...:
        return node.value
    if isinstance(node, ast.Name):
        if node.id in known:
            return known[node.id]
        return _of_math(math_names.get(node.id) or "")
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and math_names.get(node.value.id) == ""
    ):
        return _of_math(node.attr)
    if isinstance(node, ast.Tuple):
        return tuple(evaluate(item, known, math_names) for item in node.elts)
    if isinstance(node, ast.UnaryOp):
        return _compute(node, _UNARY[type(node.op)], evaluate(node.operand, known, math_names))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = (evaluate(part, known, math_names) for part in (node.left, node.right))
        return _compute(node, _BINARY[type(node.op)], left, right)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
        and len(node.args) == 1
    ):
        return _compute(node, float, evaluate(node.args[0], known, math_names))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in known:
        at = evaluate(node.slice, known, math_names) if not isinstance(node.slice, ast.Slice) else None
        if isinstance(at, int):
            return _compute(node, operator.getitem, known[node.value.id], at)
    raise NotConstant


def _of_math(name: str) -> float:
    value = getattr(math, name, None) if name else None
    if not isinstance(value, float):
        raise NotConstant
    return value


def _compute(node: ast.AST, function: Callable[..., Any], *values: Any) -> Any:
    """Apply an operation to values for which it is quick."""
    if any(isinstance(value, int) and abs(value) >= 1 << 64 for value in values):
        refuse(node, "this integer needs more than 64 bits", "integers reach from -2**63 to 2**63 - 1")
    if function in (operator.pow, operator.lshift) and not (
        all(isinstance(value, _NUMBERS) for value in values)
        and abs(values[1]) < 1024
        and abs(values[0]) < 1 << 64
    ):
        raise NotConstant
    if function is operator.mul and not all(isinstance(value, _NUMBERS) for value in values):
        size = max(len(value) for value in values if not isinstance(value, _NUMBERS))
        if any(isinstance(value, int) and value * size > _LONGEST for value in values):
            raise NotConstant
    if function is operator.mod and not isinstance(values[0], _NUMBERS):
        raise NotConstant
    if not all(isinstance(value, (*_NUMBERS, str, bytes, tuple)) for value in values):
        raise NotConstant
    try:
        found = function(*values)
    except (ArithmeticError, TypeError, ValueError, LookupError) as exc:
        refuse(node, f"this raises {type(exc).__name__}: {exc}")
    if isinstance(found, complex) or (isinstance(found, (str, bytes, tuple)) and len(found) > _LONGEST):
        raise NotConstant
    return found


def items(value: Any) -> int:
    """Return how many items of tuples a constant is written out as, or more than there may be."""
    waiting, count = [value], 0
    while waiting and count <= MOST_ITEMS:
        one = waiting.pop()
        if isinstance(one, tuple):
            waiting += one
            count += len(one)
    return count


def constant(value: Any, node: ast.AST) -> Expr:
    """Return a value as an expression; raises Refusal for what is no constant of a program."""
    line = getattr(node, "lineno", 0)
    if isinstance(value, bool):
        return truth(value, line)
    if isinstance(value, int):
        if not -_MOST <= value < _MOST:
            refuse(node, "this integer needs more than 64 bits", "integers reach from -2**63 to 2**63 - 1")
        return integer(value, line)
    if isinstance(value, float):
        return real(value, line)
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            refuse(
                node, "the text has half of a surrogate pair in it", "texts are Unicode without surrogates"
            )
        return text(value, line)
    if isinstance(value, bytes):
        return Expr("octets", BYTES, (), value, line)
    if value is None:
        return nothing(line)
    if isinstance(value, tuple):
        items = tuple(constant(item, node) for item in value)
        if any(item.type == NONE for item in items):
            refuse(node, "a tuple of constants holds None")
        return Expr("new", tuple_of(*(item.type for item in items)), items, 8 * max(1, len(items)), line)
    refuse(node, f"a constant of type {type(value).__name__} cannot be compiled")
