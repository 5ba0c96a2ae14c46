"""The types of compiled Python, and how each is carried: a number of WebAssembly or an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

I32: Final = 0x7F
I64: Final = 0x7E
F64: Final = 0x7C


class Type:
    """One type. `core` is what carries it; everything but numbers is the address of an object."""

    __slots__ = ("args", "core", "kind", "struct", "weight")

    def __init__(self, kind: str, args: tuple[Type, ...] = (), struct: Struct | None = None) -> None:
        self.kind, self.args, self.struct = kind, args, struct
        self.core = _CORES.get(kind, I32)
        weights = [arg.weight for arg in args]
        self.weight: int = 1 + sum(weights) if all(weights) else 0
        """How many types it consists of; 0 while something in it is not known."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Type):
            return NotImplemented
        left, right = find(self), find(other)
        return left is right or (
            left.kind == right.kind
            and left.kind != "hole"
            and left.struct is right.struct
            and left.args == right.args
        )

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        it = find(self)
        if it.kind == "hole":
            return "…"
        if it.kind == "struct" and it.struct is not None:
            return it.struct.name
        if it.kind == "optional":
            return f"{it.args[0]} | None"
        if it.kind == "tuple" and not it.args:
            return "tuple[()]"
        return f"{it.kind}[{', '.join(map(str, it.args))}]" if it.args else it.kind


class Hole(Type):
    """A type that is not known yet: what an empty list holds. `target` is set once, by what is done with it."""

    __slots__ = ("target",)

    def __init__(self) -> None:
        self.kind, self.args, self.struct, self.weight = "hole", (), None, 0
        self.target: Type | None = None

    @property
    def core(self) -> int:  # type: ignore[override]  # what fills it says
        return self.target.core if self.target is not None else I64


@dataclass(eq=False)
class Field:
    """One field of a class, 8 bytes each in an object."""

    name: str
    type: Type
    offset: int
    default: object = None


@dataclass(eq=False)
class Struct:
    """A class of the program: a dataclass, or one whose `__init__` assigns its fields."""

    name: str
    fields: dict[str, Field] = field(default_factory=dict)
    line: int = 0
    frozen: bool = False
    is_dataclass: bool = False
    ordered: bool = False
    compared: bool = True
    """Whether `==` compares fields; else only an object itself is equal to it."""
    shown: bool = True

    @property
    def size(self) -> int:
        return 8 * max(1, len(self.fields))


_CORES: Final = {"int": I64, "float": F64, "bool": I32, "hole": I64}

INT: Final = Type("int")
FLOAT: Final = Type("float")
BOOL: Final = Type("bool")
STR: Final = Type("str")
BYTES: Final = Type("bytes")
NONE: Final = Type("None")
MOST_TYPES: Final = 4096
"""Types that one type may consist of."""
MOST_STEPS: Final = 512
"""The same for one that is not known whole."""
NUMBERS: Final = frozenset({"int", "float", "bool"})


def find(kind: Type) -> Type:
    """Return what a type is known to be; a hole that nothing filled is itself."""
    while isinstance(kind, Hole) and kind.target is not None:
        kind = kind.target
    return kind


def settle(kind: Type) -> Type:
    """Return a type without holes; what nothing ever filled holds integers, of which there are none."""
    kind = find(kind)
    if isinstance(kind, Hole):
        kind.target = INT
        return INT
    if kind.args:
        return Type(kind.kind, tuple(settle(arg) for arg in kind.args), kind.struct)
    return kind


def unify(left: Type, right: Type) -> bool:
    """Make two types the same by filling holes; tells whether they are."""
    left, right = find(left), find(right)
    if left is right:
        return True
    if isinstance(left, Hole) or isinstance(right, Hole):
        hole, other = (left, right) if isinstance(left, Hole) else (right, left)
        if isinstance(hole, Hole) and not _occurs(hole, other):
            hole.target = other
            return True
        return False
    if left.kind != right.kind or left.struct is not right.struct or len(left.args) != len(right.args):
        return False
    return all(unify(a, b) for a, b in zip(left.args, right.args, strict=True))


def is_large(kind: Type) -> bool:
    """Tell whether a type consists of so many that working with it would take long: types can double at each step."""
    waiting, weight, steps = [kind], 0, 0
    while waiting and weight <= MOST_TYPES and steps <= MOST_STEPS:
        it = find(waiting.pop())
        weight += it.weight or 1
        if not it.weight:
            waiting += it.args
            steps += len(it.args)
    return bool(waiting) or weight > MOST_TYPES


def _occurs(hole: Type, kind: Type) -> bool:
    kind = find(kind)
    return kind is hole or any(_occurs(hole, arg) for arg in kind.args)


def list_of(item: Type) -> Type:
    return Type("list", (item,))


def set_of(item: Type) -> Type:
    return Type("set", (item,))


def dict_of(key: Type, value: Type) -> Type:
    return Type("dict", (key, value))


def tuple_of(*items: Type) -> Type:
    return Type("tuple", items)


def optional(item: Type) -> Type:
    item = find(item)
    return item if item.kind in ("optional", "None") else Type("optional", (item,))


def is_known(kind: Type) -> bool:
    kind = find(kind)
    return kind.kind != "hole" and all(is_known(arg) for arg in kind.args)
