"""Change the types of imported functions so that the lists of numbers that they take are places in memory.

A function's type stands in the type of the instance that it is imported with. There, the function is taken out and put
in again at the end, behind the types that it needs now: no index changes, in this type or outside, and neither does
what the guest passes, which is the place of a list and its length anyway. Only a function whose every use is to be
lowered with one and the same memory is changed, so that the host knows where to look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from echelon.runtime.binary import Edit, Reader, edited, leb
from echelon.runtime.component.sections import section, text, vector
from echelon.runtime.component.spaces import Imported, Spaces
from echelon.runtime.component.type_nodes import (
    FUNC,
    INSTANCE_TYPE,
    FunctionNode,
    InstanceShape,
    Node,
    Scope,
    TypeReader,
    Unfamiliar,
)
from echelon.runtime.component.type_writer import TypeWriter


@dataclass(frozen=True, slots=True)
class ImportForm:
    """An imported function whose lists are in the memory of that number, and its type as it was."""

    memory: int
    type: FunctionNode


Changed = dict[tuple[str, str], ImportForm]
"""Changed functions by interface and name."""


def change(data: bytes, spaces: Spaces, memories: Mapping[int, int]) -> tuple[list[Edit], Changed]:
    """Return edits of a component, and what they change; `memories` gives the number of each core memory."""
    edits: dict[int, list[Edit]] = {}
    changed: Changed = {}
    users = Counter(type_ for _, type_ in spaces.imports.values())
    reader = TypeReader(data)
    for index, wanted in _wanted(spaces, memories).items():
        interface, type_ = spaces.imports[index]
        shape = spaces.type_at(type_)
        if users[type_] > 1 or type_ not in spaces.definitions or not isinstance(shape, InstanceShape):
            continue
        try:
            definition, done = _again(reader, shape, wanted)
        except Unfamiliar:
            continue
        if done:
            begin, start, end = spaces.definitions[type_]
            edits.setdefault(begin, []).append((start, end, definition))
            changed.update({(interface, name): form for name, form in done.items()})
    return [_section(data, spaces, begin, inside) for begin, inside in edits.items()], changed


def _wanted(spaces: Spaces, memories: Mapping[int, int]) -> dict[int, dict[str, int]]:
    """Return which functions of each imported instance are to be changed, with the memory that their lists are in."""
    wanted: dict[int, dict[str, int]] = {}
    for (instance, name), function in spaces.imported.items():
        sort, type_ = spaces.instances[instance].get(name, (-1, None))
        if instance in spaces.spoiled or sort != FUNC or not isinstance(type_, FunctionNode):
            continue
        memory = _memory_of(function, memories)
        if memory is not None and any(node.holds_numbers for _, node in type_.params):
            wanted.setdefault(instance, {})[name] = memory
    return wanted


def _memory_of(function: Imported, memories: Mapping[int, int]) -> int | None:
    numbers = {memories.get(memory) for memory in function.memories}
    return numbers.pop() if len(numbers) == 1 and not function.spoiled else None


@dataclass(slots=True)
class _LocalTypes:
    """Types that are added at the end of an instance's type."""

    count: int
    added: list[bytes] = field(default_factory=list)

    def add_type(self, definition: bytes) -> int:
        self.added.append(b"\x01" + definition)
        self.count += 1
        return self.count - 1

    def name_type(self, index: int) -> int:
        raise Unfamiliar("a type that would need a name")


def _again(
    types: TypeReader, shape: InstanceShape, wanted: Mapping[str, int]
) -> tuple[bytes, dict[str, ImportForm]]:
    """Return the type of an instance with the types of some functions changed."""
    data = types.data
    scope, reader = Scope(shape.scope), Reader(data, shape.start, shape.end)
    kept: list[bytes] = []
    functions: dict[str, tuple[FunctionNode, bytes]] = {}
    for _ in range(types.count(reader)):
        start = reader.pos
        name, found = types.declaration(reader, scope)
        if name in wanted and found is not None and isinstance(found[1], FunctionNode):
            functions[name] = (found[1], data[start : reader.pos])
        else:
            kept.append(data[start : reader.pos])
    local = _LocalTypes(len(scope.types))
    known: dict[Node, int] = {}
    for index, entry in enumerate(scope.types):
        if isinstance(entry, Node):
            known.setdefault(entry, index)
    writer, done = TypeWriter(local, known), {}
    for name, (type_, before) in functions.items():
        try:
            index = writer.function(type_, params=True, result=False)
        except Unfamiliar:
            kept.append(before)
            continue
        local.added.append(b"\x04\0" + text(name) + bytes([FUNC]) + leb(index))
        done[name] = ImportForm(wanted[name], type_)
    return bytes([INSTANCE_TYPE]) + vector([*kept, *local.added]), done


def _section(data: bytes, spaces: Spaces, begin: int, inside: list[Edit]) -> Edit:
    """Return a whole section of types with some of them changed."""
    start, end = spaces.sections[begin]
    shifted = [(first - start, last - start, definition) for first, last, definition in inside]
    return begin, end, section(7, edited(data[start:end], shifted))
