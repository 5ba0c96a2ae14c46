"""The types of a function's second form, in which lists of numbers are places in the guest's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from echelon.runtime.component.lower_plain import FORMATS
from echelon.runtime.component.types import (
    AnyType,
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

_PLACE: Final = TupleType((Primitive("u32"), Primitive("u32")))


def in_memory(type_: FunctionType, *, params: bool) -> FunctionType:
    """Return the type by which values are passed: with lists in memory in its result and, if wanted, parameters."""
    return _function(type_, ListInMemory, params)


def as_places(type_: FunctionType, *, params: bool) -> FunctionType:
    """Return the type that the engine knows of the same function."""
    return _function(type_, lambda _item: _PLACE, params)


def takes_host_objects(type_: FunctionType) -> bool:
    """Tell whether a function takes handles of the host's objects."""
    found: list[HandleType] = []
    for _, item in type_.params:
        _rebuilt(item, ListInMemory, found.append)
    return any(handle.resource.host for handle in found)


def _function(type_: FunctionType, make: Callable[[Primitive], AnyType], params: bool) -> FunctionType:
    given = type_.params
    if params:
        given = tuple((name, _rebuilt(item, make)) for name, item in given)
    return FunctionType(given, None if type_.result is None else _rebuilt(type_.result, make))


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
