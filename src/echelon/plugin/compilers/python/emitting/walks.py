"""What is within the statements and expressions of the typed tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    ForRange,
    If,
    Let,
    Raise,
    Return,
    Stmt,
    Try,
    While,
)

Node = Stmt | Expr


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield statements and expressions, and all within them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for part in parts(node):
            waiting += part


def parts(node: Node) -> list[Sequence[Node]]:
    """Return what is within a node, as sequences of which each is evaluated in its order."""
    if isinstance(node, Expr):
        return [[*node.data, *node.args]] if node.op == "block" else [[arg] for arg in node.args]
    if isinstance(node, Let | Do):
        return [[node.value]]
    if isinstance(node, If):
        return [[node.test], node.body, node.orelse]
    if isinstance(node, While):
        return [[node.test], node.body, node.orelse, node.step]
    if isinstance(node, ForRange):
        return [[node.start], [node.stop], node.body, node.orelse]
    if isinstance(node, Return):
        return [[node.value]] if node.value is not None else []
    if isinstance(node, Raise):
        return [[node.kind], [node.message]]
    if isinstance(node, Try):
        return [node.body, node.orelse, node.final, *(handler.body for handler in node.handlers)]
    return []
