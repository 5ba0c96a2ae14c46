"""Headers that a loop does not change: where the items of a list lie, and how many there are, is read once before it.

A list's header changes when items are added or removed, not when one is assigned. Which lists that may be is told by
their type alone, in the loop and in all that it calls: a list of floats is never one of integers. Strings and bytes
never change. What is not known here may change every list. The variable itself gets no value in the loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting.regions import CHANGES_LISTS, KNOWN, leaves_as_is
from echelon.plugin.compilers.python.emitting.walks import Node, walk
from echelon.plugin.compilers.python.tree import Expr, ForRange, Function, Let, Try, Variable
from echelon.plugin.compilers.python.types import I32, I64, find, settle

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter

LENGTH: Final = (op.I64_LOAD32_U, 2, 4)
"""How the length of a list, string or bytes is loaded."""
_INDEXED: Final = frozenset({"item", "item_at", "set_item"})
_GROWS: Final = CHANGES_LISTS | {"lists.append", "lists.drop"}
"""Functions that change the header of their first argument and of no other."""
_ASSIGNS: Final = frozenset({"set_item", "set_word", "set_field"})
_ANY: Final = "any"
_MOST_CALLED: Final = 200
_MOST_HELD: Final = 8
"""Headers held at once, each in two locals."""


class Header(NamedTuple):
    """The locals that hold the address of the items and how many there are."""

    data: int
    length: int


class Headers:
    """What is held while one function is emitted; looks at loops for as long as that is a small part of compiling."""

    def __init__(self, out: Emitter) -> None:
        self._out = out
        self._held: dict[Variable, Header] = {}
        self._left = -1

    def of(self, node: Expr) -> Header | None:
        """Return where the header of a list is held, None when it has to be read."""
        return self._held.get(node.data) if node.op == "local" else None

    @contextmanager
    def around(self, *parts: Sequence[Node]) -> Iterator[None]:
        """Read headers before a loop of which these are the parts, and hold them until its end."""
        added = self._stable([node for part in parts for node in walk(part)]) if self._may_look() else []
        for variable in added:
            self._held[variable] = self._read(variable)
        yield
        for variable in added:
            header = self._held.pop(variable)
            self._out.release(I32, header.data)
            self._out.release(I64, header.length)

    def _may_look(self) -> bool:
        if self._out.function.raw:
            return False
        if self._left < 0:
            self._left = 20_000 + 20 * sum(1 for _ in walk(self._out.function.body))
        return self._left > 0

    def _stable(self, nodes: list[Node]) -> list[Variable]:
        """Return the variables whose headers are read in a loop and change nowhere in it."""
        self._left = max(0, self._left - len(nodes))
        used = {variable: kind for node in nodes for variable, kind in _read_by(node)}
        if not used:
            return []
        changed = _changed(nodes)
        given = {variable for node in nodes for variable in _given(node)}
        found = [
            variable
            for variable, kind in used.items()
            if variable not in given
            and variable not in self._held
            and (kind in ("str", "bytes") or not changed & {kind, _ANY})
        ]
        return found[: max(0, _MOST_HELD - len(self._held))]

    def _read(self, variable: Variable) -> Header:
        """Read a header; where the variable has no value yet, it is that of None, which is zero."""
        out = self._out
        header = Header(out.temp(I32), out.temp(I64))
        out.get_local(out.index(variable))
        out.load_word(I32, 0)
        out.set_local(header.data)
        out.get_local(out.index(variable))
        out.body += bytes([op.I64_LOAD32_U, 2, 4])
        out.set_local(header.length)
        return header


def _read_by(node: Node) -> Iterator[tuple[Variable, str]]:
    """Yield the variable whose header a node reads, and its type."""
    if not isinstance(node, Expr) or not node.args or node.args[0].op != "local":
        return
    if node.op in _INDEXED or (node.op == "load" and node.data == LENGTH):
        kind = _name(node.args[0])
        if kind.startswith("list[") or kind in ("str", "bytes"):
            yield node.args[0].data, kind


def _name(value: Expr) -> str:
    kind = find(value.type)
    return str(settle(kind.args[0] if kind.kind == "optional" else kind))


def _given(node: Node) -> Iterator[Variable]:
    if isinstance(node, Let):
        yield node.target
    elif isinstance(node, ForRange):
        yield from (node.target, node.counter, node.limit)
    elif isinstance(node, Try):
        yield from (node.kind, node.message)


def _changed(nodes: Sequence[Node]) -> set[str]:
    """Return the types of lists that code may make longer or shorter, with all that it calls."""
    own, waiting = _facts(nodes)
    seen = set(waiting)
    found = set(own)
    while waiting and _ANY not in found:
        function = waiting.pop()
        if function.headers is None:
            function.headers = _facts(list(walk(function.body)))
        changed, called = function.headers
        found |= changed
        waiting |= called - seen
        seen |= called
        if len(seen) > _MOST_CALLED:
            return {_ANY}
    return found


def _facts(nodes: Sequence[Node]) -> tuple[set[str], set[Function]]:
    """Return the types that code itself changes, and what it calls."""
    changed: set[str] = set()
    called: set[Function] = set()
    for node in nodes:
        if not isinstance(node, Expr):
            continue
        if isinstance(node.data, Function):
            called.add(node.data)
        if node.op == "append" or (node.op == "library" and node.data in _GROWS):
            kind = _name(node.args[0])
            changed.add(kind if kind.startswith("list[") else _ANY)
        elif not _is_harmless(node):
            changed.add(_ANY)
    return changed, called


def _is_harmless(node: Expr) -> bool:
    if node.op == "library":
        return str(node.data).startswith(("dicts.", "sets.")) or leaves_as_is(node.data)
    return node.op in KNOWN or node.op in _ASSIGNS
