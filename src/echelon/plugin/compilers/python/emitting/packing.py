"""Lists of bools whose items take one byte each, as in a sieve: an eighth of the memory that others need.

A module has them packed where all that it does with them is known here. One operation that is not, anywhere in the
program, and their items are words as those of every other list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from echelon.plugin.compilers.python.emitting.headers import LENGTH
from echelon.plugin.compilers.python.emitting.walks import walk
from echelon.plugin.compilers.python.tree import Expr, Function
from echelon.plugin.compilers.python.types import BOOL, Type, find

FUNCTIONS: Final = {
    f"lists.{name}": f"flags.{name}"
    for name in (
        "append", "concat", "copy", "count", "drop", "extend", "make", "pop_last", "repeat", "reverse", "set_slice",
        "set_slice_step", "slice", "slice_step",
    )
} | {f"lists.{name}": f"lists.{name}" for name in ("clear", "require_length")}  # fmt: skip
"""Functions of the library, and those that do the same with packed lists."""

_OPERATIONS: Final = frozenset({
    "local", "bound", "if", "block", "call", "through", "bits", "from_bits", "none",
    "item", "item_at", "set_item", "set_word", "append", "list", "new", "set_field",
})  # fmt: skip
"""Operations that take or give packed lists, or pass their addresses on."""


def packs(functions: Iterable[Function]) -> bool:
    """Tell whether a program has lists of bools, and does nothing with them that is not known here."""
    found = False
    for function in functions:
        for node in walk(function.body):
            if not isinstance(node, Expr):
                continue
            if node.op == "derived" and _holds(node.data[1]):
                return False
            if is_packable(node.type) or any(is_packable(arg.type) for arg in node.args):
                found = True
                if not _is_known(node):
                    return False
    return found


def is_packable(kind: Type) -> bool:
    """Tell whether a type is that of a list of bools, or of such a list or None."""
    kind = find(kind)
    if kind.kind == "optional":
        kind = find(kind.args[0])
    return kind.kind == "list" and find(kind.args[0]) == BOOL


def _is_known(node: Expr) -> bool:
    if node.op == "library":
        return node.data in FUNCTIONS
    if node.op == "load":
        return node.data == LENGTH or is_packable(node.type)
    if node.op == "wasm":
        return node.type.kind == "bool" and len(node.args) <= 2
    return node.op in _OPERATIONS


def _holds(kind: Type) -> bool:
    """Tell whether values of a type may have a list of bools in them."""
    waiting, seen = [kind], set()
    while waiting:
        kind = find(waiting.pop())
        if is_packable(kind):
            return True
        if kind.struct is not None and kind.struct not in seen:
            seen.add(kind.struct)
            waiting += [field.type for field in kind.struct.fields.values()]
        waiting += kind.args
    return False
