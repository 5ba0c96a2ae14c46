"""The types of a function's second form, in which lists of numbers are places in the guest's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from echelon.runtime.component.lower_plain import FORMATS
from echelon.runtime.component.types import (
    AnyType,
    ComponentType,
    FunctionType,
    HandleType,
    ListInMemory,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
)

if TYPE_CHECKING:
    from echelon.runtime.component.import_types import Changed, ImportForm
    from echelon.runtime.component.type_nodes import Node

_NUMBERS: Final = {
    0x7E: "s8", 0x7D: "u8", 0x7C: "s16", 0x7B: "u16", 0x7A: "s32", 0x79: "u32", 0x78: "s64", 0x77: "u64",
    0x76: "f32", 0x75: "f64",
}  # fmt: skip
_PLACE: Final = TupleType((Primitive("u32"), Primitive("u32")))


def in_memory(type_: FunctionType, *, params: bool, result: bool = True) -> FunctionType:
    """Return the type by which values are passed: with lists in memory in its parameters, its result, or both."""
    return _function(type_, ListInMemory, params, result)


def as_places(type_: FunctionType, *, params: bool) -> FunctionType:
    """Return the type that the engine knows of the same function."""
    return _function(type_, lambda _item: _PLACE, params, True)


def as_imported(type_: ComponentType, changed: Changed) -> ComponentType:
    """Return the type of a component with its imports as they were before some were changed."""
    imports = tuple(
        replace(
            interface,
            functions=tuple(
                (name, _as_written(function, changed.get((interface.name, name))))
                for name, function in interface.functions
            ),
        )
        for interface in type_.imports
    )
    return replace(type_, imports=imports)


def _as_written(function: FunctionType, form: ImportForm | None) -> FunctionType:
    if form is None or len(form.type.params) != len(function.params):
        return function
    params = zip(function.params, form.type.params, strict=True)
    return replace(
        function, params=tuple((name, _with_lists(found, node)) for (name, found), (_, node) in params)
    )


def _with_lists(found: AnyType, node: Node) -> AnyType:
    """Return a type with the lists of numbers that it was written with."""
    if node.is_numbers and node.parts[0] is not None:
        return ListType(Primitive(_NUMBERS[node.parts[0].code]))
    if not node.holds_numbers:
        return found
    parts = iter(node.parts)

    def again(part: AnyType) -> AnyType:
        inner = next(parts)
        return part if inner is None else _with_lists(part, inner)

    match found:
        case ListType():
            return ListType(again(found.item))
        case OptionType():
            return OptionType(again(found.item))
        case MapType():
            return MapType(again(found.key), again(found.value))
        case TupleType():
            return TupleType(tuple(again(item) for item in found.items))
        case ResultType():
            ok, err = (None if part is None else again(part) for part in (found.ok, found.err))
            return ResultType(ok, err)
    return found


def takes_host_objects(type_: FunctionType) -> bool:
    """Tell whether a function takes handles of the host's objects."""
    found: list[HandleType] = []
    for _, item in type_.params:
        _rebuilt(item, ListInMemory, found.append)
    return any(handle.resource.host for handle in found)


def _function(
    type_: FunctionType, make: Callable[[Primitive], AnyType], params: bool, result: bool
) -> FunctionType:
    given, returned = type_.params, type_.result
    if params:
        given = tuple((name, _rebuilt(item, make)) for name, item in given)
    if result and returned is not None:
        returned = _rebuilt(returned, make)
    return FunctionType(given, returned)


def _rebuilt(
    type_: AnyType, make: Callable[[Primitive], AnyType], seen: Callable[[HandleType], None] | None = None
) -> AnyType:
    """Return a type with something else for each list of numbers in it; tell of the handles in it."""

    def again(part: AnyType) -> AnyType:
        return _rebuilt(part, make, seen)

    def maybe(part: AnyType | None) -> AnyType | None:
        return None if part is None else again(part)

    match type_:
        case ListType(item=Primitive() as item) if item.name in FORMATS:
            return make(item)
        case ListType():
            return ListType(again(type_.item))
        case OptionType():
            return OptionType(again(type_.item))
        case MapType():
            return MapType(again(type_.key), again(type_.value))
        case TupleType():
            return TupleType(tuple(again(item) for item in type_.items))
        case RecordType():
            return RecordType(tuple((name, again(item)) for name, item in type_.fields))
        case VariantType():
            return VariantType(tuple((name, maybe(item)) for name, item in type_.cases))
        case ResultType():
            return ResultType(maybe(type_.ok), maybe(type_.err))
        case HandleType() if seen is not None:
            seen(type_)
    return type_
