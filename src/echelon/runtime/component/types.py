"""WIT types as data: what a component's functions take and return.

Names of types are not kept in a compiled component's functions, so a record is shown with its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Primitive:
    """bool, s8 … u64, f32, f64, char or string."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListType:
    item: AnyType

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True, slots=True)
class ListInMemory:
    """A list of numbers that crosses as its place in the guest's memory."""

    item: Primitive

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True, slots=True)
class MapType:
    key: AnyType
    value: AnyType

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class RecordType:
    fields: tuple[tuple[str, AnyType], ...]

    def __str__(self) -> str:
        return "record{" + ", ".join(f"{name}: {type_}" for name, type_ in self.fields) + "}"


@dataclass(frozen=True, slots=True)
class TupleType:
    items: tuple[AnyType, ...]

    def __str__(self) -> str:
        return f"tuple<{', '.join(map(str, self.items))}>"


@dataclass(frozen=True, slots=True)
class VariantType:
    cases: tuple[tuple[str, AnyType | None], ...]

    def __str__(self) -> str:
        return "variant{" + ", ".join(n if t is None else f"{n}({t})" for n, t in self.cases) + "}"


@dataclass(frozen=True, slots=True)
class EnumType:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "enum{" + ", ".join(self.names) + "}"


@dataclass(frozen=True, slots=True)
class FlagsType:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "flags{" + ", ".join(self.names) + "}"


@dataclass(frozen=True, slots=True)
class OptionType:
    item: AnyType

    def __str__(self) -> str:
        return f"option<{self.item}>"


@dataclass(frozen=True, slots=True)
class ResultType:
    ok: AnyType | None
    err: AnyType | None

    def __str__(self) -> str:
        if self.err is None:
            return "result" if self.ok is None else f"result<{self.ok}>"
        return f"result<{'_' if self.ok is None else self.ok}, {self.err}>"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource; `number` is what tells it from the others of its component, `host` that it is the host's."""

    number: int
    name: str
    host: bool


@dataclass(frozen=True, slots=True)
class HandleType:
    resource: ResourceType
    own: bool

    def __str__(self) -> str:
        return f"{'own' if self.own else 'borrow'}<{self.resource.name}>"


AnyType = (
    Primitive | ListType | ListInMemory | MapType | RecordType | TupleType | VariantType | EnumType | OptionType
    | ResultType | FlagsType | HandleType
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FunctionType:
    """The parameters of a function with their names, and its result if it has one."""

    params: tuple[tuple[str, AnyType], ...]
    result: AnyType | None


@dataclass(frozen=True, slots=True)
class Interface:
    """What an import or export named `name` holds; the name is empty for what stands at the top level.

    A resource may have several names.
    """

    name: str
    functions: tuple[tuple[str, FunctionType], ...]
    resources: tuple[tuple[str, ResourceType], ...] = ()
    others: tuple[str, ...] = ()
    """Names of what only a component could provide: modules, components and nested instances."""


@dataclass(frozen=True, slots=True)
class ComponentType:
    """Everything a component imports and exports; `reserved` is what was appended to it."""

    imports: tuple[Interface, ...]
    exports: tuple[Interface, ...]
    reserved: Mapping[str, FunctionType]
