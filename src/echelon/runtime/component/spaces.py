"""What a component defines, by index: core instances, memories, functions, types, and what it exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from echelon.runtime.binary import ModuleInfo, Reader
from echelon.runtime.component.type_nodes import TYPE, FunctionNode, Scope, Unfamiliar


@dataclass(eq=False, slots=True)
class CoreInstance:
    """A core instance: of a module with its arguments, or made of exports that stand elsewhere."""

    module: ModuleInfo | None
    is_made: bool
    """Whether it is one of a module, known or not."""
    arguments: dict[str, int] = field(default_factory=dict)
    exports: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lift:
    """A core function that is made a function of the component; `encoding` is that of its strings."""

    core: int
    encoding: int
    memory: int | None
    realloc: int | None
    post_return: int | None
    type: FunctionNode


@dataclass(eq=False, slots=True)
class Imported:
    """A function that is imported; `memories` are those that it is lowered with, -1 for none.

    `spoiled` tells that it is used for something else than to be lowered. The instance is -1 if it comes without one.
    """

    instance: int
    name: str
    memories: set[int] = field(default_factory=set)
    spoiled: bool = False


@dataclass(eq=False, slots=True)
class Instance:
    """An instance: of a component inside, by where that stands, or made of exports that stand elsewhere."""

    component: tuple[int, int] | None = None
    arguments: dict[str, tuple[int, int]] = field(default_factory=dict)
    exports: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Spaces(Scope):
    """Everything a component defines, by index. `functions` holds None for what is neither lifted nor imported here."""

    modules: list[ModuleInfo | None] = field(default_factory=list)
    core_instances: list[CoreInstance] = field(default_factory=list)
    core_functions: int = 0
    memories: list[tuple[int, str]] = field(default_factory=list)
    """Core instance and name of each core memory."""
    functions: list[Lift | Imported | None] = field(default_factory=list)
    components: list[tuple[int, int] | None] = field(default_factory=list)
    own_instances: list[Instance | None] = field(default_factory=list)
    """The instances again, by how they are made; None for those that are imported."""
    exports: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, sort and index of each export."""
    imports: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Name and index of the type of each imported instance."""
    imported: dict[tuple[int, str], Imported] = field(default_factory=dict)
    """The functions of imported instances that are used, by instance and name."""
    spoiled: set[int] = field(default_factory=set)
    """Imported instances that are used as a whole."""
    lowers_own: bool = False
    """Whether a function that is not imported is lowered, for which the engine makes a core instance of its own."""
    definitions: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Where types are defined: the beginning of the section, and begin and end in it."""
    sections: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Begin and end of the content of each section of types, by the section's own beginning."""


def sections(data: bytes, start: int, end: int) -> Iterator[tuple[int, Reader]]:
    """Yield number and content of each section of a component."""
    cursor = Reader(data, start + 8, end)
    while cursor.pos < end:
        section, size = cursor.byte(), cursor.u32()
        begin = cursor.pos
        cursor.skip(size)
        yield section, Reader(data, begin, cursor.pos)


def pass_over_type(reader: Reader) -> None:
    """Read the type of an import, or one that an export was given besides its own."""
    kind = reader.byte()
    if kind == 0x00:
        reader.byte()
    elif kind == 0x02:
        raise Unfamiliar("a value")
    elif kind == TYPE and reader.byte():  # a resource without more
        return
    reader.u32()


def read_sort(reader: Reader) -> int:
    """Read of what sort something is; all core sorts are 0x00."""
    sort = reader.byte()
    if sort == 0x00:
        reader.byte()
    return sort
