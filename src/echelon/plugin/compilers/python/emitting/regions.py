"""Loops whose turns leave nothing behind: what a turn allocated is given back at its end.

That is so when no address of what a turn makes can be seen after it. Objects that are there before a turn are not
changed in it, nor by what it calls; what is changed are objects that the turn itself has made, and lists of numbers,
which hold no addresses. Such a list may get more room in a turn, and that turn gives nothing back. Variables that
hold addresses are given a value in every turn before they are read, and are mentioned nowhere else. What leaves the
loop (`return`, `break`, an exception) gives nothing back. Every operation has to be known here, or the loop keeps
what it allocates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from echelon.plugin.compilers.python.emitting.walks import Node, parts, walk
from echelon.plugin.compilers.python.tree import (
    Break,
    Continue,
    Do,
    Expr,
    ForRange,
    Function,
    If,
    Let,
    Raise,
    Return,
    Stmt,
    Try,
    Variable,
    While,
)
from echelon.plugin.compilers.python.types import NUMBERS, find

KNOWN: Final = frozenset({
    "int", "small", "float", "bool", "text", "octets", "static", "none", "local", "bound", "wasm", "load", "add",
    "sub", "mul", "neg", "shl", "floordiv", "mod", "and", "or", "if", "block", "call", "library", "item", "item_at",
    "table", "new", "object", "list", "derived", "bits", "from_bits", "divide",
})  # fmt: skip
"""Operations that change nothing."""
_CHANGES: Final = frozenset({"append", "set_item", "set_word", "set_field"})
"""Operations that change what their first argument is the address of."""

_MAKES: Final = frozenset({"new", "object", "list"})
_NEW: Final = frozenset(
    {"dicts.new", "dicts.copy", "lists.make", "lists.copy", "lists.concat", "lists.slice", "sets.to_list"}
)
CHANGES_LISTS: Final = frozenset({
    "lists.assign_back", "lists.assign_slice", "lists.clear", "lists.delete", "lists.delete_slice_step", "lists.extend",
    "lists.insert", "lists.pop", "lists.pop_last", "lists.remove", "lists.reverse", "lists.set_slice",
    "lists.set_slice_step",
})  # fmt: skip
"""Functions that change the items of their first argument, a list, and how many there are."""
_READS: Final = frozenset({
    "dicts.copy", "dicts.equal", "dicts.find", "dicts.get_item", "dicts.has", "dicts.hash_float", "dicts.mix",
    "dicts.new", "dicts.next", "dicts.next_entry", "dicts.key_at", "dicts.show", "dicts.size", "dicts.value_at",
    "lists.concat", "lists.copy", "lists.count", "lists.equal", "lists.holds", "lists.index", "lists.index_of",
    "lists.join", "lists.less", "lists.make", "lists.repeat", "lists.require_length", "lists.show", "lists.show_each",
    "lists.size", "lists.slice", "lists.slice_step", "sets.to_list", "sets.equal",
})  # fmt: skip
_IMMUTABLE: Final = ("texts", "octets", "integers", "floats", "mathematics", "formatting", "errors", "output")
"""Files of the library about values that never change."""

_NUMERIC: Final = ("integers", "floats", "mathematics", "errors")


_MOST_ALIASES: Final = 4
_MOST_CALLED: Final = 200
"""Functions that a loop may reach, for it to be looked at."""


class GivesBack(Enum):
    """When a turn of a loop gives back what it allocated: never, always, or if no list has got more room in it."""

    NEVER = 0
    ALWAYS = 1
    UNGROWN = 2


class Regions:
    """Looks at the loops of one function, for as long as that is a small part of compiling it."""

    def __init__(self, function: Function) -> None:
        self._counts = Counter(_mentioned(function.body))
        nodes = list(walk(function.body))
        self._known = all(map(_is_known, nodes))
        self._left = 20_000 + 20 * len(nodes)
        self._mentions: dict[int, frozenset[Variable]] = {}

    def gives_back(self, body: Sequence[Stmt]) -> GivesBack:
        """Tell whether the turns of a loop allocate, and leave nothing of it behind."""
        nodes = list(walk(body))
        held = {node.target for node in nodes if isinstance(node, Let) and _holds_address(node.target)}
        self._left -= len(nodes) * (10 + len(held)) // 10
        if not self._known or self._left < 0:
            return GivesBack.NEVER
        own = _Code(nodes)
        reached = _reached(own)
        if reached is None or not any(code.allocates for code in (own, *reached)):
            return GivesBack.NEVER
        within = Counter(_mentioned(body))
        gives = all(
            within[variable] == self._counts[variable]
            and not variable.parameter
            and variable.flag is None
            and self._comes_first(body, variable)
            for variable in held | own.changed
        )
        if not gives:
            return GivesBack.NEVER
        return GivesBack.UNGROWN if any(code.grows for code in (own, *reached)) else GivesBack.ALWAYS

    def _comes_first(self, nodes: Sequence[Node], variable: Variable) -> bool:
        """Tell whether a variable gets a value before all that mentions it, however often code is run."""
        for position, node in enumerate(nodes):
            if variable not in self._within(node):
                continue
            if isinstance(node, Let) and node.target is variable:
                return variable not in self._within(node.value)
            if any(variable in self._within(other) for other in nodes[position + 1 :]):
                return False
            within = [part for part in parts(node) if any(variable in self._within(one) for one in part)]
            is_own = isinstance(node, Expr) and node.data is variable
            return len(within) == 1 and not is_own and self._comes_first(within[0], variable)
        return True

    def _within(self, node: Node) -> frozenset[Variable]:
        """Return the variables that a node mentions; of a statement that is found once."""
        if isinstance(node, Expr):
            return frozenset(_mentioned([node]))
        found = self._mentions.get(id(node))
        if found is None:
            inner = (self._within(one) for part in parts(node) for one in part)
            found = frozenset(_named(node)).union(*inner)
            self._mentions[id(node)] = found
        return found


class _Code:
    """What statements do, without what they call."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.called = {
            node.data for node in nodes if isinstance(node, Expr) and isinstance(node.data, Function)
        }
        self.allocates = any(map(_allocates, nodes))
        self.grows = False
        self.changed: set[Variable] = set()
        self.is_harmless = not any(isinstance(node, Try) or not _is_known(node) for node in nodes)
        of_numbers: list[Expr] = []
        values: dict[Variable, list[Expr]] = {}
        for node in nodes:
            if isinstance(node, Let):
                values.setdefault(node.target, []).append(node.value)
            elif isinstance(node, Expr) and _changes_numbers(node):
                of_numbers.append(node)
            elif isinstance(node, Expr) and _changes(node):
                target = node.args[0] if node.args else None
                if target is None or target.op != "local":
                    self.is_harmless = False
                else:
                    self.changed.add(target.data)
        if not all(_is_always_new(variable, values) for variable in self.changed):
            self.is_harmless = False
        for node in of_numbers:
            target = node.args[0]
            if target.op == "local" and _is_always_new(target.data, values):
                self.changed.add(target.data)
            elif node.op != "set_item":
                self.grows = True


def _reached(code: _Code) -> list[_Code] | None:
    """Return the code of all that may be called, None when some of it changes what it has not made."""
    if not code.is_harmless:
        return None
    waiting, seen, found = list(code.called), set(code.called), []
    while waiting:
        function = waiting.pop()
        if function.facts is None:
            function.facts = _Code(list(walk(function.body)))
        facts: _Code = function.facts
        if not facts.is_harmless or len(seen) > _MOST_CALLED:
            return None
        found.append(facts)
        waiting += facts.called - seen
        seen |= facts.called
    return found


def _is_known(node: Node) -> bool:
    if isinstance(node, Expr):
        return node.op in KNOWN or node.op in _CHANGES
    return isinstance(node, Let | Do | If | While | ForRange | Return | Raise | Try | Break | Continue)


def _mentioned(nodes: Sequence[Node]) -> Iterator[Variable]:
    for node in walk(nodes):
        yield from _named(node)


def _named(node: Node) -> tuple[Variable, ...]:
    """Return what a node itself mentions."""
    if isinstance(node, Let):
        return (node.target,)
    if isinstance(node, ForRange):
        return (node.target, node.counter, node.limit)
    if isinstance(node, Try):
        return (node.kind, node.message)
    if isinstance(node, Expr) and isinstance(node.data, Variable):
        return (node.data,)
    return ()


def _holds_address(variable: Variable) -> bool:
    """Tell whether a variable may hold one: any but a number's, and the compiler's own words of 64 bits."""
    kind = find(variable.type).kind
    return kind not in NUMBERS or (kind == "int" and variable.name.startswith("."))


def _allocates(node: Node) -> bool:
    if not isinstance(node, Expr):
        return False
    if node.op == "library":
        return str(node.data).partition(".")[0] not in _NUMERIC
    return node.op in ("new", "object", "list", "append", "derived")


def _changes(node: Expr) -> bool:
    if node.op != "library":
        return node.op in _CHANGES
    return not leaves_as_is(str(node.data))


def _changes_numbers(node: Expr) -> bool:
    """Tell whether what is changed is a list of numbers, and nothing of it but those and its room."""
    if node.op not in ("append", "set_item") and not (node.op == "library" and node.data in CHANGES_LISTS):
        return False
    kind = find(node.args[0].type)
    return kind.kind == "list" and find(kind.args[0]).kind in NUMBERS


def leaves_as_is(name: str) -> bool:
    """Tell whether a function of the library changes no object that is there before."""
    return name in _READS or name.partition(".")[0] in _IMMUTABLE


def _is_always_new(variable: Variable, values: dict[Variable, list[Expr]], depth: int = 0) -> bool:
    """Tell whether a variable only ever holds what was made in the same code; `values` are all that it gets there."""
    given = values.get(variable)
    if variable.parameter or not given or depth > _MOST_ALIASES:
        return False
    return all(
        _is_new(value) or (value.op == "local" and _is_always_new(value.data, values, depth + 1))
        for value in given
    )


def _is_new(value: Expr) -> bool:
    """Tell whether a value is an object that is made where it is evaluated."""
    if value.op == "block" and value.args and value.args[0].op == "local":
        made = [
            node.value for node in value.data if isinstance(node, Let) and node.target is value.args[0].data
        ]
        return bool(made) and all(map(_is_new, made))
    return value.op in _MAKES or (value.op == "library" and value.data in _NEW)
