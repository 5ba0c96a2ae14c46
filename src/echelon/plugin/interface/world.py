"""What a module offers and wants, in the same form for modules, scripts and components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from echelon.runtime.binary import Import
from echelon.runtime.component.types import ComponentType, FunctionType, Interface
from echelon.runtime.signature import Function, Value


@dataclass(frozen=True, slots=True)
class Part:
    """Functions that belong together, and the resources they are about; the name is "" for what stands by itself."""

    name: str
    functions: tuple[Function, ...]
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """An interface: its name, what it imports and what it exports. The types of a component are those of WIT.

    Of functions in `required` only so many parameters have to be given; those in `more` take any number.
    """

    name: str
    imports: tuple[Part, ...]
    exports: tuple[Part, ...]
    is_component: bool = False
    required: Mapping[str, int] = field(default_factory=dict)
    more: frozenset[str] = frozenset()


def of_module(name: str, exports: Sequence[Function], imports: Iterable[Import]) -> World:
    """Return the world of a module; imports other than functions have no types here and are left out."""
    wanted: dict[str, dict[str, Function]] = {}
    for item in imports:
        if item.type is not None:
            params, results = (tuple(map(Value, types)) for types in (item.type.params, item.type.results))
            wanted.setdefault(item.module, {})[item.name] = Function(item.name, params, results)
    parts = tuple(Part(module, tuple(functions.values())) for module, functions in wanted.items())
    return World(name, parts, (Part("", tuple(exports)),))


def of_component(name: str, found: ComponentType) -> World:
    """Return the world of a component."""
    imports, exports = (tuple(map(_part, parts)) for parts in (found.imports, found.exports))
    return World(name, imports, exports, is_component=True)


def _part(interface: Interface) -> Part:
    functions = tuple(_function(name, type_) for name, type_ in interface.functions)
    return Part(interface.name, functions, tuple(name for name, _ in interface.resources))


def _function(name: str, type_: FunctionType) -> Function:
    params = tuple(Value(str(item), param) for param, item in type_.params)
    return Function(name, params, () if type_.result is None else (Value(str(type_.result)),))


def one_line(text: str) -> str:
    """Return a text from a module as one line of characters that can be shown, of a long one its beginning."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:200])
