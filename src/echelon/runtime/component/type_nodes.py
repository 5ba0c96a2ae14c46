"""Read types from a component's binary: what is needed to write a function's type anew.

Every type becomes a node that knows the nodes it is made of, wherever they were defined; two places that mean one
type share a node, so a small component that describes a huge type stays small. What is not understood raises
`Unfamiliar`, and what is broken InvalidModule: the component is then used as it is, and the engine judges it.

Source: component model, design/mvp/Binary.md, "Type Definitions".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from echelon.runtime.binary import Reader

MAX_ENTRIES: Final = 100_000
"""Types, fields, cases and declarations that are read in one component."""

MAX_DEPTH: Final = 64

U32: Final = 0x79
STRING: Final = 0x73
RECORD, VARIANT, LIST, TUPLE, FLAGS, ENUM, OPTION, RESULT, OWN, BORROW, MAP = (
    0x72, 0x71, 0x70, 0x6F, 0x6E, 0x6D, 0x6B, 0x6A, 0x69, 0x68, 0x63,
)  # fmt: skip
RESOURCE: Final = 0x3F
UNKNOWN: Final = 0
"""What stands for a type that is defined somewhere that is not read."""

FUNCTION, _COMPONENT_TYPE, INSTANCE_TYPE = 0x40, 0x41, 0x42

NUMBERS: Final = frozenset(range(0x75, 0x7F))
"""s8, u8, s16, u16, s32, u32, s64, u64, f32 and f64."""

NAMED: Final = frozenset((RECORD, VARIANT, FLAGS, ENUM, RESOURCE))
"""What an exported function may only mention when it is exported itself, under a name."""

PRIMITIVES: Final = frozenset(range(0x73, 0x80))
TYPE, FUNC, INSTANCE = 0x03, 0x01, 0x05
"""Sorts."""


class Unfamiliar(Exception):
    """The component has something that is not understood here."""


@dataclass(eq=False, slots=True)
class Node:
    """One type by its opcode: labels of its parts, and the parts (None where a case or result has nothing).

    `index` is the place of a resource in the component's own types, -1 as long as it has none.
    """

    code: int
    labels: tuple[str, ...] = ()
    parts: tuple[Node | None, ...] = ()
    index: int = -1
    depth: int = field(init=False)
    is_numbers: bool = field(init=False)
    """Whether it is a list of numbers."""
    holds_numbers: bool = field(init=False)
    """Whether there is a list of numbers in it."""
    lends: bool = field(init=False)
    """Whether there is a borrowed handle in it."""
    is_known: bool = field(init=False)
    """Whether it can be written anew."""

    def __post_init__(self) -> None:
        parts = [part for part in self.parts if part is not None]
        self.depth = 1 + max((part.depth for part in parts), default=0)
        if self.depth > MAX_DEPTH:
            raise Unfamiliar("a very deep type")
        self.is_numbers = self.code == LIST and parts[0].code in NUMBERS
        self.holds_numbers = self.is_numbers or any(part.holds_numbers for part in parts)
        self.lends = self.code == BORROW or any(part.lends for part in parts)
        self.is_known = self.code != UNKNOWN and all(part.is_known for part in parts)


@dataclass(eq=False, slots=True)
class FunctionNode:
    """The type of a function."""

    params: tuple[tuple[str, Node], ...]
    result: Node | None


@dataclass(eq=False, slots=True)
class InstanceShape:
    """The type of an instance, by where it stands: each instance of it has resources of its own."""

    start: int
    end: int
    scope: Scope


Entry = Node | FunctionNode | InstanceShape | None
Exports = dict[str, tuple[int, "Entry | Exports"]]
"""What an instance exports: sort, and type."""


@dataclass(eq=False, slots=True)
class Scope:
    """Types and instances by index, of a component or of a type that has indexes of its own."""

    outer: Scope | None = None
    types: list[Entry] = field(default_factory=list)
    instances: list[Exports] = field(default_factory=list)

    def up(self, levels: int) -> Scope:
        """Return the scope so many levels outside."""
        scope = self
        while levels:
            if scope.outer is None:
                raise Unfamiliar("an alias of what is outside")
            scope, levels = scope.outer, levels - 1
        return scope

    def type_at(self, index: int) -> Entry:
        if index >= len(self.types):
            raise Unfamiliar("a type that does not exist")
        return self.types[index]

    def node_at(self, index: int) -> Node:
        found = self.type_at(index)
        if not isinstance(found, Node):
            raise Unfamiliar("a value of a type that has no values")
        return found


class TypeReader:
    """Reads the types of one component."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = MAX_ENTRIES
        self._primitives = {code: Node(code) for code in PRIMITIVES}

    def spend(self, count: int = 1) -> None:
        """Count what has been read."""
        self._left -= count
        if self._left < 0:
            raise Unfamiliar("very many types")

    def count(self, reader: Reader) -> int:
        """Read how many items follow, and count them."""
        count = reader.u32()
        self.spend(count)
        return count

    def definition(self, reader: Reader, scope: Scope) -> Entry:
        """Read one type of a type section, or of a type's declarations."""
        self.spend()
        code = reader.byte()
        if code == FUNCTION:
            return self._function(reader, scope)
        if code in (INSTANCE_TYPE, _COMPONENT_TYPE):
            start = reader.pos
            self._declarations(reader, Scope(scope))
            return InstanceShape(start, reader.pos, scope) if code == INSTANCE_TYPE else None
        if code == RESOURCE:
            reader.byte()
            if reader.byte():
                reader.u32()
            return Node(RESOURCE)
        return self._value(code, reader, scope)

    def instance(self, shape: InstanceShape) -> Exports:
        """Return what one more instance of a type exports."""
        return self._declarations(Reader(self.data, shape.start, shape.end), Scope(shape.scope))

    def bound(self, reader: Reader, scope: Scope) -> Entry:
        """Read what a type that is imported or exported is: one that is known, or a resource of its own."""
        return Node(RESOURCE) if reader.byte() else scope.type_at(reader.u32())

    def valtype(self, reader: Reader, scope: Scope) -> Node:
        first = reader.data[reader.pos] if reader.pos < reader.end else 0
        if not 0x40 <= first < 0x80:
            return scope.node_at(reader.u32())
        reader.byte()
        if first not in self._primitives:
            raise Unfamiliar("a primitive type of a later version")
        return self._primitives[first]

    def _optional(self, reader: Reader, scope: Scope) -> Node | None:
        return self.valtype(reader, scope) if reader.byte() else None

    def _labelled(self, reader: Reader, scope: Scope) -> tuple[tuple[str, Node], ...]:
        return tuple((reader.name(), self.valtype(reader, scope)) for _ in range(self.count(reader)))

    def _function(self, reader: Reader, scope: Scope) -> FunctionNode:
        params = self._labelled(reader, scope)
        if not reader.byte():
            return FunctionNode(params, self.valtype(reader, scope))
        if reader.byte():
            raise Unfamiliar("a function with named results")
        return FunctionNode(params, None)

    def _value(self, code: int, reader: Reader, scope: Scope) -> Node:
        labels: tuple[str, ...] = ()
        parts: tuple[Node | None, ...] = ()
        if code in self._primitives:
            return self._primitives[code]
        if code == RECORD:
            fields = self._labelled(reader, scope)
            labels, parts = tuple(label for label, _ in fields), tuple(part for _, part in fields)
        elif code == VARIANT:
            cases = [self._case(reader, scope) for _ in range(self.count(reader))]
            labels, parts = tuple(label for label, _ in cases), tuple(part for _, part in cases)
        elif code in (LIST, OPTION):
            parts = (self.valtype(reader, scope),)
        elif code == TUPLE:
            parts = tuple(self.valtype(reader, scope) for _ in range(self.count(reader)))
        elif code in (FLAGS, ENUM):
            labels = tuple(reader.name() for _ in range(self.count(reader)))
        elif code == RESULT:
            parts = (self._optional(reader, scope), self._optional(reader, scope))
        elif code in (OWN, BORROW):
            parts = (scope.node_at(reader.u32()),)
        elif code == MAP:
            parts = (self.valtype(reader, scope), self.valtype(reader, scope))
        else:
            raise Unfamiliar("a type of a later version")
        return Node(code, labels, parts)

    def _case(self, reader: Reader, scope: Scope) -> tuple[str, Node | None]:
        label, part = reader.name(), self._optional(reader, scope)
        if reader.byte():
            raise Unfamiliar("a case that refines another")
        return label, part

    def _declarations(self, reader: Reader, scope: Scope) -> Exports:
        """Read what an instance or a component of some type has, and return what it exports."""
        exports: Exports = {}
        for _ in range(self.count(reader)):
            name, found = self.declaration(reader, scope)
            if found is not None:
                exports[name] = found
        return exports

    def declaration(self, reader: Reader, scope: Scope) -> tuple[str, tuple[int, Entry | Exports] | None]:
        """Read one declaration, and return name, sort and type of what it exports, if anything."""
        kind = reader.byte()
        if kind == 0x01:
            scope.types.append(self.definition(reader, scope))
        elif kind == 0x02:
            self._alias(reader, scope)
        elif kind in (0x03, 0x04):
            name, found = external_name(reader), self.external(reader, scope)
            return name, found if kind == 0x04 else None
        else:
            raise Unfamiliar("a core type inside a type")
        return "", None

    def external(self, reader: Reader, scope: Scope) -> tuple[int, Entry | Exports] | None:
        """Read the type of an import or export, and add it to what the scope knows by index."""
        sort = reader.byte()
        if sort == TYPE:
            found = self.bound(reader, scope)
            scope.types.append(found)
            return sort, found
        if sort == 0x00:
            reader.byte()
        elif sort not in (FUNC, 0x04, INSTANCE):
            raise Unfamiliar("an import or export of a value")
        index = reader.u32()
        if sort != INSTANCE:
            return (sort, scope.type_at(index)) if sort == FUNC else None
        shape = scope.type_at(index)
        if not isinstance(shape, InstanceShape):
            raise Unfamiliar("an instance of no known type")
        exports = self.instance(shape)
        scope.instances.append(exports)
        return sort, exports

    def _alias(self, reader: Reader, scope: Scope) -> None:
        sort = reader.byte()
        if sort == 0x00:
            raise Unfamiliar("an alias of a core type inside a type")
        target = reader.byte()
        if target == 0x02:
            levels, index = reader.u32(), reader.u32()
            if sort == TYPE:
                scope.types.append(scope.up(levels).type_at(index))
            return
        if target != 0x00:
            raise Unfamiliar("an alias of something in a core instance inside a type")
        instance, name = reader.u32(), reader.name()
        if instance >= len(scope.instances):
            raise Unfamiliar("an instance that does not exist")
        _, found = scope.instances[instance].get(name, (sort, None))
        if sort == TYPE:
            scope.types.append(Node(UNKNOWN) if found is None or isinstance(found, dict) else found)
        elif sort == INSTANCE:
            scope.instances.append(found if isinstance(found, dict) else {})


def external_name(reader: Reader) -> str:
    """Read the name of an import or export, and pass over what is said about it."""
    form, name = reader.byte(), reader.name()
    if form > 0x02:
        raise Unfamiliar("a name of a later version")
    if form == 0x02:
        for _ in range(reader.u32()):
            reader.byte()
            reader.skip(reader.u32())
    return name
