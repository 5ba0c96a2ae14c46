"""CPython with integers of 64 bits, as compiled programs have them."""

from __future__ import annotations

import ast
import sys
import types
import warnings
from typing import Any


def names_of(source: str) -> dict[str, Any]:
    """Run a module's text with integers of 64 bits, and return its names.

    Every operator's and call's result passes through `bounded`, which raises what compiled Python raises.
    """
    tree = ast.fix_missing_locations(_Bounding().visit(ast.parse(source)))
    module = types.ModuleType("program")
    sys.modules["program"] = module  # where dataclasses look for what annotations name
    names = vars(module)
    names.update(bounded=bounded, sum=_sum)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of `"" is None`
        exec(compile(tree, "program.py", "exec"), names)
    return names


def bounded(value: Any) -> Any:
    """Return a value; raises OverflowError for an integer that needs more than 64 bits."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise OverflowError("the integer needs more than 64 bits")
    if type(value) is tuple:
        for item in value:
            bounded(item)
    return value


def _sum(items: Any, start: Any = 0) -> Any:
    values = list(items)
    if type(start) is float or any(type(value) is float for value in values):
        return sum(values, start)  # which compensates for what is lost, from Python 3.12
    for value in values:
        start = bounded(start + value)
    return start


class _Bounding(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._wrap(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        return self._wrap(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._wrap(node)

    def _wrap(self, node: ast.expr) -> ast.AST:
        self.generic_visit(node)
        return ast.Call(ast.Name("bounded", ast.Load()), [node], [])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """Make a plain assignment of it: what is too large is never assigned. A list is added to in place."""
        if isinstance(node.value, ast.List):
            self.generic_visit(node)
            return node
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        return self.visit(ast.Assign([node.target], ast.BinOp(read, node.op, node.value)))
