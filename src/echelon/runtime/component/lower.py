"""Python values to the engine's values: each WIT type is compiled to a function, once, when a component is loaded.

A value that does not fit raises `Mismatch`, which collects where it stands on its way out; nothing runs then.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Any, Final

import msgspec

from echelon.runtime.component import lists
from echelon.runtime.component import types as wit
from echelon.runtime.component.arena import ENTRY, NAME, SLOT, Arena, Names
from echelon.runtime.component.lower_plain import (
    FORMATS,
    PAIR,
    Lower,
    Mismatch,
    compile_bulk,
    compile_primitive,
    expected,
)
from echelon.runtime.component.values import Err, Ok, Resource, Some, Variant

_WORDS: Final = struct.Struct("<QQ").pack_into
_VARIANT: Final = struct.Struct("<B7xQQQ").pack_into
_ONE: Final = struct.Struct("<B7xQ").pack_into
_RESULT: Final = struct.Struct("<B7xB7xQ").pack_into


def compile_lower(type_: wit.AnyType) -> Lower:
    """Return what writes a Python value of that type into 32 bytes of an arena."""
    return _COMPILERS[type(type_)](type_)


def _list(type_: wit.ListType) -> Lower:
    item, lower_item = type_.item, compile_lower(type_.item)
    bulk = compile_bulk(item) if isinstance(item, wit.Primitive) and item.name in FORMATS else None

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if bulk is not None and bulk(arena, value, block, at):
            return
        if not isinstance(value, list | tuple):
            raise expected(type_, value)
        room, start, address = arena.take_slots(len(value))
        PAIR(block, at, 13, len(value), address)
        for position, element in enumerate(value):
            try:
                lower_item(arena, element, room, start + SLOT * position)
            except Mismatch as exc:
                raise exc.within(f"[{position}]") from None

    return lower


def _mapping(value: Any) -> Mapping[str, Any] | None:
    """Return a record's fields by name, from a mapping, a dataclass or a msgspec struct."""
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclass_fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return None


def _record(type_: wit.RecordType) -> Lower:
    names = Names()
    parts = [(name, name.replace("-", "_"), compile_lower(item)) for name, item in type_.fields]
    known = {name for name, _, _ in parts} | {attribute for _, attribute, _ in parts}

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        found = _mapping(value)
        if found is None:
            raise expected(type_, value, "a dict, dataclass or struct")
        room, start, address = arena.take(ENTRY * len(parts))
        PAIR(block, at, 14, len(parts), address)
        for name, attribute, lower_part in parts:
            try:
                part = found[name] if name in found else found[attribute]
            except KeyError:
                raise Mismatch(f'the field "{name}" is missing') from None
            _WORDS(room, start, *names.place(arena, name))
            try:
                lower_part(arena, part, room, start + NAME)
            except Mismatch as exc:
                raise exc.within(f".{name}") from None
            start += ENTRY
        if len(found) > len(parts):
            extra = next((str(key) for key in found if key not in known), "twice the same")
            raise Mismatch(f'there is no field "{extra}"; there are {", ".join(n for n, _, _ in parts)}')

    return lower


def _tuple(type_: wit.TupleType) -> Lower:
    parts = [compile_lower(item) for item in type_.items]

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, tuple | list):
            raise expected(type_, value)
        if len(value) != len(parts):
            raise Mismatch(f"expected {len(parts)} items, got {len(value)}")
        room, start, address = arena.take_slots(len(parts))
        PAIR(block, at, 15, len(parts), address)
        for position, (lower_part, item) in enumerate(zip(parts, value, strict=True)):
            try:
                lower_part(arena, item, room, start + SLOT * position)
            except Mismatch as exc:
                raise exc.within(f"[{position}]") from None

    return lower


def _as_variant(value: Any) -> Variant | None:
    """Accept a case without payload by its name, and the form that a variant has in JSON."""
    if isinstance(value, Variant):
        return value
    if isinstance(value, str):
        return Variant(value)
    if isinstance(value, Mapping) and "case" in value and value.keys() <= {"case", "value"}:
        return Variant(value["case"], value.get("value"))
    return None


def _variant(type_: wit.VariantType) -> Lower:
    names = Names()
    cases = {name: None if item is None else compile_lower(item) for name, item in type_.cases}

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        found = _as_variant(value)
        if found is None or not isinstance(found.case, str):
            raise expected(type_, value, "a Variant")
        if found.case not in cases:
            raise Mismatch(f"there is no case {found.case!r}; there are {', '.join(cases)}")
        lower_payload, size_address = cases[found.case], names.place(arena, found.case)
        if lower_payload is None:
            if found.value is not None:
                raise Mismatch(f'the case "{found.case}" has no payload, got {type(found.value).__name__}')
            _VARIANT(block, at, 16, *size_address, 0)
            return
        room, start, address = arena.take_slots(1)
        _VARIANT(block, at, 16, *size_address, address)
        try:
            lower_payload(arena, found.value, room, start)
        except Mismatch as exc:
            raise exc.within(f".{found.case}") from None

    return lower


def _enum(type_: wit.EnumType) -> Lower:
    names = Names()
    known = frozenset(type_.names)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise expected(type_, value, "str")
        if value not in known:
            raise Mismatch(f"there is no case {str(value)!r}; there are {', '.join(type_.names)}")
        PAIR(block, at, 17, *names.place(arena, str(value)))

    return lower


def _flags(type_: wit.FlagsType) -> Lower:
    names = Names()
    known = frozenset(type_.names)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, set | frozenset | list | tuple):
            raise expected(type_, value, "a set of str")
        for name in value:
            if not isinstance(name, str):
                raise expected(type_, name, "each flag by its name")
            if name not in known:
                raise Mismatch(f"there is no flag {name!r}; there are {', '.join(type_.names)}")
        room, start, address = arena.take(NAME * len(value))
        PAIR(block, at, 20, len(value), address)
        for name in value:
            _WORDS(room, start, *names.place(arena, name))
            start += NAME

    return lower


def _option(type_: wit.OptionType) -> Lower:
    lower_item = compile_lower(type_.item)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if value is None:
            _ONE(block, at, 18, 0)
            return
        room, start, address = arena.take_slots(1)
        _ONE(block, at, 18, address)
        lower_item(arena, value.value if isinstance(value, Some) else value, room, start)

    return lower


def _as_result(value: Any) -> Ok | Err | None:
    if isinstance(value, Ok | Err):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        if "value" in value:
            return Ok(value["value"])
        if "error" in value:
            return Err(value["error"])
    return None


def _result(type_: wit.ResultType) -> Lower:
    good = None if type_.ok is None else compile_lower(type_.ok)
    bad = None if type_.err is None else compile_lower(type_.err)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        found = _as_result(value)
        if found is None:
            raise expected(type_, value, "Ok or Err")
        is_ok = isinstance(found, Ok)
        payload = found.value if isinstance(found, Ok) else found.error
        lower_payload, step = (good, "ok") if is_ok else (bad, "err")
        if lower_payload is None:
            if payload is not None:
                raise Mismatch(f"its {step} has no payload, got {type(payload).__name__}")
            _RESULT(block, at, 19, is_ok, 0)
            return
        room, start, address = arena.take_slots(1)
        _RESULT(block, at, 19, is_ok, address)
        try:
            lower_payload(arena, payload, room, start)
        except Mismatch as exc:
            raise exc.within(f".{step}") from None

    return lower


def _map(type_: wit.MapType) -> Lower:
    lower_key, lower_value = compile_lower(type_.key), compile_lower(type_.value)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, Mapping):
            raise expected(type_, value, "a dict")
        room, start, address = arena.take_slots(2 * len(value))
        PAIR(block, at, 22, len(value), address)
        for key, item in value.items():
            try:
                lower_key(arena, key, room, start)
                lower_value(arena, item, room, start + SLOT)
            except Mismatch as exc:
                raise exc.within(f"[{key!r:.40}]") from None
            start += 2 * SLOT

    return lower


def _handle(type_: wit.HandleType) -> Lower:
    resource, own = type_.resource, type_.own

    def lower_guest(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, Resource) or value.type != resource:
            raise expected(type_, value, "a handle that this component returned")
        try:
            value.require(arena.instance)
        except ValueError as exc:
            raise Mismatch(str(exc)) from None
        if own:
            if not value.owned:
                raise Mismatch("the handle is borrowed and cannot be given away")
            if value in arena.given:
                raise Mismatch("the handle is given away twice in this call")
            arena.given.append(value)
        _ONE(block, at, 21, arena.address_of(value.pointer))

    def lower_host(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        pointer = arena.instance.hand_out(resource, value, own=own)
        arena.kept.append(pointer)
        _ONE(block, at, 21, arena.address_of(pointer))

    return lower_host if resource.host else lower_guest


_COMPILERS: Final[dict[type, Callable[[Any], Lower]]] = {
    wit.Primitive: compile_primitive,
    wit.ListType: _list,
    wit.ListInMemory: lists.compile_lower,
    wit.MapType: _map,
    wit.RecordType: _record,
    wit.TupleType: _tuple,
    wit.VariantType: _variant,
    wit.EnumType: _enum,
    wit.OptionType: _option,
    wit.ResultType: _result,
    wit.FlagsType: _flags,
    wit.HandleType: _handle,
}
