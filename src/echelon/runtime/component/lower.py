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

from echelon.runtime.component import types as wit
from echelon.runtime.component.arena import CONTENT, ENTRY, NAME, SLOT, Arena
from echelon.runtime.component.values import Err, Ok, Resource, Some, Variant

Lower = Callable[[Arena, Any, bytearray, int], None]

KINDS: Final = {
    "bool": 0, "s8": 1, "u8": 2, "s16": 3, "u16": 4, "s32": 5, "u32": 6, "s64": 7, "u64": 8, "f32": 9, "f64": 10,
    "char": 11, "string": 12, "list": 13, "record": 14, "tuple": 15, "variant": 16, "enum": 17, "option": 18,
    "result": 19, "flags": 20, "resource": 21, "map": 22,
}  # fmt: skip
FORMATS: Final = {
    "s8": "b", "u8": "B", "s16": "h", "u16": "H", "s32": "i", "u32": "I", "s64": "q", "u64": "Q", "f32": "f", "f64": "d",
}  # fmt: skip
_BUFFERS: Final = (bytes, bytearray, memoryview)
_PAIR: Final = struct.Struct("<B7xQQ").pack_into
_WORDS: Final = struct.Struct("<QQ").pack_into
_VARIANT: Final = struct.Struct("<B7xQQQ").pack_into
_ONE: Final = struct.Struct("<B7xQ").pack_into
_CHAR: Final = struct.Struct("<B7xI").pack_into
_RESULT: Final = struct.Struct("<B7xB7xQ").pack_into
_LONGEST: Final = 60


class Mismatch(Exception):
    """A value does not fit its type; `wrong_type` tells TypeError from ValueError, `path` is filled from inside out."""

    def __init__(self, message: str, *, wrong_type: bool = False) -> None:
        super().__init__(message)
        self.wrong_type = wrong_type
        self.path: list[str] = []

    def within(self, step: str) -> Mismatch:
        self.path.append(step)
        return self

    def error(self, where: str) -> TypeError | ValueError:
        """Return what the caller gets to see."""
        text = f"{where}{''.join(reversed(self.path))}: {self}"
        return TypeError(text) if self.wrong_type else ValueError(text)


def _expected(type_: wit.AnyType, value: Any, python: str = "") -> Mismatch:
    wanted = str(type_)
    wanted = wanted if len(wanted) <= _LONGEST else wanted[:_LONGEST] + "…"
    hint = f" ({python})" if python else ""
    return Mismatch(f"expected {wanted}{hint}, got {type(value).__name__}", wrong_type=True)


def compile_lower(type_: wit.AnyType) -> Lower:
    """Return what writes a Python value of that type into 32 bytes of an arena."""
    return _COMPILERS[type(type_)](type_)


def _primitive(type_: wit.Primitive) -> Lower:
    name = type_.name
    if name == "bool":
        return _bool(type_)
    if name == "char":
        return _char(type_)
    if name == "string":
        return _string(type_)
    return _float(type_) if name in ("f32", "f64") else _integer(type_)


def _bool(type_: wit.Primitive) -> Lower:
    pack = struct.Struct("<B7x?").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if value is not True and value is not False:
            raise _expected(type_, value)
        pack(block, at, 0, value)

    return lower


def _integer(type_: wit.Primitive) -> Lower:
    kind, pack = KINDS[type_.name], struct.Struct(f"<B7x{FORMATS[type_.name]}").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _expected(type_, value)
        try:
            pack(block, at, kind, value)
        except struct.error:
            raise Mismatch(f"{_brief(value)} is out of range for {type_}") from None

    return lower


def _brief(value: int) -> str:
    return str(value) if value.bit_length() < 100 else f"a number of {value.bit_length()} bits"


def _float(type_: wit.Primitive) -> Lower:
    kind, pack = KINDS[type_.name], struct.Struct(f"<B7x{FORMATS[type_.name]}").pack_into

    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, float | int) or isinstance(value, bool):
            raise _expected(type_, value)
        try:
            pack(block, at, kind, value)
        except (OverflowError, struct.error):
            text = _brief(value) if isinstance(value, int) else repr(value)
            raise Mismatch(f"{text} is out of range for {type_}") from None

    return lower


def _char(type_: wit.Primitive) -> Lower:
    def lower(_arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise _expected(type_, value, "one character")
        if len(value) != 1:
            raise Mismatch(f"expected one character, got {len(value)}")
        code = ord(value)
        if 0xD800 <= code <= 0xDFFF:  # the engine would abort the process
            raise Mismatch(f"U+{code:04X} is half of a surrogate pair, not a character")
        _CHAR(block, at, 11, code)

    return lower


def _string(type_: wit.Primitive) -> Lower:
    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise _expected(type_, value)
        try:
            data = value.encode()
        except UnicodeEncodeError as exc:
            raise Mismatch(f"character {exc.start} is half of a surrogate pair, not a character") from None
        size = len(data)
        if size > 512:
            _PAIR(block, at, 12, size, arena.pin(data))
            return
        room, start, address = arena.take(size)
        room[start : start + size] = data
        _PAIR(block, at, 12, size, address)

    return lower


def _list(type_: wit.ListType) -> Lower:
    item, lower_item = type_.item, compile_lower(type_.item)
    bulk = _bulk(item) if isinstance(item, wit.Primitive) and item.name in FORMATS else None

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if bulk is not None and bulk(arena, value, block, at):
            return
        if not isinstance(value, list | tuple):
            raise _expected(type_, value)
        room, start, address = arena.take_slots(len(value))
        _PAIR(block, at, 13, len(value), address)
        for position, element in enumerate(value):
            try:
                lower_item(arena, element, room, start + SLOT * position)
            except Mismatch as exc:
                raise exc.within(f"[{position}]") from None

    return lower


def _bulk(item: wit.Primitive) -> Callable[[Arena, Any, bytearray, int], bool]:
    """Return what lays out a whole list of numbers at once, or answers False when it has to be looked at one by one."""
    code = FORMATS[item.name]
    kind, width = bytes([KINDS[item.name]]), struct.calcsize(f"<{code}")
    whole = code not in "fd"

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> bool:
        if width == 1 and code == "B" and isinstance(value, _BUFFERS):
            data = bytes(value) if isinstance(value, memoryview) else value
        elif type(value) is list or type(value) is tuple:
            kinds = set(map(type, value))
            if not (kinds <= {int} or (not whole and kinds <= {int, float})):
                return False
            try:
                data = struct.pack(f"<{len(value)}{code}", *value)
            except (struct.error, OverflowError):
                return False
        else:
            return False
        count = len(data) // width
        room, start, address = arena.take_slots(count)
        end = start + count * SLOT
        room[start:end:SLOT] = kind * count
        for byte in range(width):
            room[start + CONTENT + byte : end : SLOT] = data[byte::width]
        _PAIR(block, at, 13, count, address)
        return True

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


class _Names:
    """The UTF-8 of the names of a type, at addresses that stay as long as the type is used."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._kept: list[Any] = []

    def place(self, arena: Arena, name: str) -> tuple[int, int]:
        """Return size and address of a name of the type."""
        found = self._places.get(name)
        if found is None:
            text = name.encode()
            view, address = arena.locate(text)
            self._kept += (text, view)
            found = self._places[name] = (len(text), address)
        return found


def _record(type_: wit.RecordType) -> Lower:
    names = _Names()
    parts = [(name, name.replace("-", "_"), compile_lower(item)) for name, item in type_.fields]
    known = {name for name, _, _ in parts} | {attribute for _, attribute, _ in parts}

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        found = _mapping(value)
        if found is None:
            raise _expected(type_, value, "a dict, dataclass or struct")
        room, start, address = arena.take(ENTRY * len(parts))
        _PAIR(block, at, 14, len(parts), address)
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
            raise _expected(type_, value)
        if len(value) != len(parts):
            raise Mismatch(f"expected {len(parts)} items, got {len(value)}")
        room, start, address = arena.take_slots(len(parts))
        _PAIR(block, at, 15, len(parts), address)
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
    names = _Names()
    cases = {name: None if item is None else compile_lower(item) for name, item in type_.cases}

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        found = _as_variant(value)
        if found is None:
            raise _expected(type_, value, "a Variant")
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
    names = _Names()
    known = frozenset(type_.names)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, str):
            raise _expected(type_, value, "str")
        if value not in known:
            raise Mismatch(f"there is no case {str(value)!r}; there are {', '.join(type_.names)}")
        _PAIR(block, at, 17, *names.place(arena, str(value)))

    return lower


def _flags(type_: wit.FlagsType) -> Lower:
    names = _Names()
    known = frozenset(type_.names)

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        if not isinstance(value, set | frozenset | list | tuple):
            raise _expected(type_, value, "a set of str")
        for name in value:
            if name not in known:
                raise Mismatch(f"there is no flag {name!r}; there are {', '.join(type_.names)}")
        room, start, address = arena.take(NAME * len(value))
        _PAIR(block, at, 20, len(value), address)
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
            raise _expected(type_, value, "Ok or Err")
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
            raise _expected(type_, value, "a dict")
        room, start, address = arena.take_slots(2 * len(value))
        _PAIR(block, at, 22, len(value), address)
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
            raise _expected(type_, value, "a handle that this component returned")
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
    wit.Primitive: _primitive,
    wit.ListType: _list,
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
