"""Write the types of functions once more, with places in memory for lists of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from echelon.runtime.binary import leb
from echelon.runtime.component.sections import text, type_index, vector
from echelon.runtime.component.type_nodes import (
    BORROW,
    ENUM,
    FLAGS,
    FUNCTION,
    LIST,
    MAP,
    NAMED,
    OPTION,
    OWN,
    PRIMITIVES,
    RECORD,
    RESULT,
    TUPLE,
    U32,
    VARIANT,
    FunctionNode,
    Node,
    Unfamiliar,
)


class Types(Protocol):
    """Where types are added; each gets the next index."""

    def add_type(self, definition: bytes) -> int: ...

    def name_type(self, index: int) -> int:
        """Give a type a name, and return the index that stands for it; raises Unfamiliar where that cannot be done."""


class TypeWriter:
    """Adds types, each once. `known` are those that have an index already, and need not be written as they are.

    The type of a function that is exported may mention some types only by a name, so these get one.
    """

    def __init__(self, types: Types, known: Mapping[Node, int]) -> None:
        self._types, self._known = types, known
        self._written: dict[tuple[Node, bool], bytes] = {}
        self._resources: dict[Node, int] = {}
        self._place = b""

    def function(self, type_: FunctionNode, *, params: bool, result: bool) -> int:
        """Add the type of a function with places for lists, in its parameters, its result, or both.

        Raises Unfamiliar when that cannot be written.
        """
        given = [text(label) + self._valtype(node, params) for label, node in type_.params]
        returned = b"\x01\0" if type_.result is None else b"\0" + self._valtype(type_.result, result)
        return self._types.add_type(bytes([FUNCTION]) + vector(given) + returned)

    def _valtype(self, node: Node, places: bool) -> bytes:
        if node.code in PRIMITIVES:
            return bytes([node.code])
        if places and node.is_numbers:
            if not self._place:
                self._place = type_index(self._types.add_type(bytes([TUPLE, 2, U32, U32])))
            return self._place
        if node in self._known and not (places and node.holds_numbers):
            return type_index(self._known[node])
        key = (node, places and node.holds_numbers)
        found = self._written.get(key)
        if found is None:
            index = self._types.add_type(self._definition(node, places))
            found = self._written[key] = type_index(
                self._types.name_type(index) if node.code in NAMED else index
            )
        return found

    def _resource(self, node: Node | None) -> int:
        if node is None or node.index < 0:
            raise Unfamiliar("a resource that has no index")
        if node not in self._resources:
            self._resources[node] = self._types.name_type(node.index)
        return self._resources[node]

    def _optional(self, node: Node | None, places: bool) -> bytes:
        return b"\0" if node is None else b"\x01" + self._valtype(node, places)

    def _definition(self, node: Node, places: bool) -> bytes:
        code, labels = node.code, node.labels
        if not node.is_known or (node.lends and code in NAMED):
            raise Unfamiliar("a type that cannot be written anew")
        if code in (OWN, BORROW):
            return bytes([code]) + leb(self._resource(node.parts[0]))
        if code in (FLAGS, ENUM):
            return bytes([code]) + vector([text(label) for label in labels])
        if code == VARIANT:
            cases = zip(labels, node.parts, strict=True)
            return bytes([code]) + vector(
                [text(label) + self._optional(part, places) + b"\0" for label, part in cases]
            )
        if code == RESULT:
            return bytes([code]) + b"".join(self._optional(part, places) for part in node.parts)
        parts = [self._valtype(part, places) for part in node.parts if part is not None]
        if code == RECORD:
            fields = zip(labels, parts, strict=True)
            return bytes([code]) + vector([text(label) + part for label, part in fields])
        if code == TUPLE:
            return bytes([code]) + vector(parts)
        if code in (LIST, OPTION, MAP):
            return bytes([code]) + b"".join(parts)
        raise Unfamiliar("a type that has no values")
