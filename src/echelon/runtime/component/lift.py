"""The engine's values to Python values: each WIT type is compiled to a function, once, when a component is loaded.

Values of a type are read from a copy of the 32 bytes that each takes. The engine has checked what the guest gave:
discriminants, UTF-8, characters and bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import GuestError
from echelon.runtime.component import lists
from echelon.runtime.component import types as wit
from echelon.runtime.component.arena import CONTENT, ENTRY, NAME, SLOT
from echelon.runtime.component.lower_plain import FORMATS
from echelon.runtime.component.values import Err, Ok, Some, Variant
from echelon.runtime.memory import Memory

if TYPE_CHECKING:
    from echelon.runtime.component.instance import ComponentInstance

Lift = Callable[["Reading", bytes, int], Any]

_pair: Final = struct.Struct("<8xQQ").unpack_from
_words: Final = struct.Struct("<QQ").unpack_from
_three: Final = struct.Struct("<8xQQQ").unpack_from
_one: Final = struct.Struct("<8xQ").unpack_from
_result_words: Final = struct.Struct("<8xB7xQ").unpack_from


class Reading:
    """Reads what the engine left in memory, for one instance; lists that the guest left in its own are in `memory`."""

    __slots__ = ("_buffer", "_cast", "_left", "_memory", "_unpack", "instance")

    def __init__(self, instance: ComponentInstance, memory: Memory | None = None) -> None:
        self.instance, self._memory, self._left = instance, memory, lists.MAX_READ
        ffi = instance.site.engine.native.ffi
        self._cast, self._buffer, self._unpack = ffi.cast, ffi.buffer, ffi.unpack

    def read(self, address: int, size: int) -> bytes:
        """Return a copy of `size` bytes at an address."""
        if not size:
            return b""
        content: bytes = self._unpack(self._cast("char *", address), size)
        return content

    def list_at(self, pointer: int, size: int, alignment: int) -> bytes:
        """Return a copy of what a list of the guest is made of; raises Trap or GuestError."""
        if self._memory is None:
            raise GuestError("the guest's memory cannot be reached")
        if pointer % alignment:
            raise lists.broken("list pointer is not aligned")
        if pointer + size > self._memory.size:
            raise lists.broken("list pointer/length out of bounds of memory")
        self._left -= size
        if self._left < 0:
            raise GuestError(lists.TOO_MUCH)
        return self._memory.read(pointer, size)

    def view(self, address: int, size: int) -> memoryview:
        """Return a view that is valid until the value is freed."""
        return memoryview(self._buffer(self._cast("char *", address), size)) if size else memoryview(b"")


def compile_lift(type_: wit.AnyType) -> Lift:
    """Return what reads a value of that type from 32 bytes."""
    return _COMPILERS[type(type_)](type_)


def _primitive(type_: wit.Primitive) -> Lift:
    name = type_.name
    if name == "string":
        return _string
    if name == "bool":
        return lambda _reading, slot, at: slot[at + CONTENT] != 0
    if name == "char":
        char = struct.Struct("<8xI").unpack_from
        return lambda _reading, slot, at: chr(char(slot, at)[0])
    unpack = struct.Struct(f"<8x{FORMATS[name]}").unpack_from
    return lambda _reading, slot, at: unpack(slot, at)[0]


def _string(reading: Reading, slot: bytes, at: int) -> str:
    size, address = _pair(slot, at)
    return reading.read(address, size).decode() if size else ""


def _list(type_: wit.ListType) -> Lift:
    item = type_.item
    if isinstance(item, wit.Primitive) and item.name in FORMATS:
        return _bytes if item.name == "u8" else _numbers(item)
    lift_item = compile_lift(item)

    def lift(reading: Reading, slot: bytes, at: int) -> list[Any]:
        size, address = _pair(slot, at)
        items = reading.read(address, size * SLOT)
        return [lift_item(reading, items, place) for place in range(0, size * SLOT, SLOT)]

    return lift


def _bytes(reading: Reading, slot: bytes, at: int) -> bytes:
    size, address = _pair(slot, at)
    return reading.view(address, size * SLOT)[CONTENT::SLOT].tobytes()


def _numbers(item: wit.Primitive) -> Lift:
    code = FORMATS[item.name]
    layout = struct.Struct(f"<8x{code}{SLOT - CONTENT - struct.calcsize('<' + code)}x")

    def lift(reading: Reading, slot: bytes, at: int) -> list[Any]:
        size, address = _pair(slot, at)
        return [number for (number,) in layout.iter_unpack(reading.view(address, size * SLOT))]

    return lift


def _map(type_: wit.MapType) -> Lift:
    lift_key, lift_value = compile_lift(type_.key), compile_lift(type_.value)

    def lift(reading: Reading, slot: bytes, at: int) -> dict[Any, Any]:
        size, address = _pair(slot, at)
        items = reading.read(address, size * 2 * SLOT)
        return {
            lift_key(reading, items, place): lift_value(reading, items, place + SLOT)
            for place in range(0, size * 2 * SLOT, 2 * SLOT)
        }

    return lift


def _record(type_: wit.RecordType) -> Lift:
    parts = [
        (name, compile_lift(item), ENTRY * position + NAME)
        for position, (name, item) in enumerate(type_.fields)
    ]
    size = ENTRY * len(parts)

    def lift(reading: Reading, slot: bytes, at: int) -> dict[str, Any]:
        entries = reading.read(_pair(slot, at)[1], size)
        return {name: lift_part(reading, entries, place) for name, lift_part, place in parts}

    return lift


def _tuple(type_: wit.TupleType) -> Lift:
    parts = [(compile_lift(item), SLOT * position) for position, item in enumerate(type_.items)]
    size = SLOT * len(parts)

    def lift(reading: Reading, slot: bytes, at: int) -> tuple[Any, ...]:
        items = reading.read(_pair(slot, at)[1], size)
        return tuple([lift_part(reading, items, place) for lift_part, place in parts])

    return lift


def _variant(type_: wit.VariantType) -> Lift:
    cases = {name.encode(): (name, None if t is None else compile_lift(t)) for name, t in type_.cases}

    def lift(reading: Reading, slot: bytes, at: int) -> Variant:
        size, address, payload = _three(slot, at)
        name, lift_payload = cases[reading.read(address, size)]
        if lift_payload is None:
            return Variant(name)
        return Variant(name, lift_payload(reading, reading.read(payload, SLOT), 0))

    return lift


def _flags(_type: wit.FlagsType) -> Lift:
    def lift(reading: Reading, slot: bytes, at: int) -> set[str]:
        size, address = _pair(slot, at)
        names = reading.read(address, size * NAME)
        found = (_words(names, place) for place in range(0, size * NAME, NAME))
        return {reading.read(text, length).decode() for length, text in found}

    return lift


def _option(type_: wit.OptionType) -> Lift:
    lift_item, nested = compile_lift(type_.item), isinstance(type_.item, wit.OptionType)

    def lift(reading: Reading, slot: bytes, at: int) -> Any:
        address = _one(slot, at)[0]
        if not address:
            return None
        value = lift_item(reading, reading.read(address, SLOT), 0)
        return Some(value) if nested else value

    return lift


def _result(type_: wit.ResultType) -> Lift:
    good = None if type_.ok is None else compile_lift(type_.ok)
    bad = None if type_.err is None else compile_lift(type_.err)

    def lift(reading: Reading, slot: bytes, at: int) -> Ok | Err:
        is_ok, address = _result_words(slot, at)
        lift_payload = good if is_ok else bad
        value = None if lift_payload is None else lift_payload(reading, reading.read(address, SLOT), 0)
        return Ok(value) if is_ok else Err(value)

    return lift


def _handle(type_: wit.HandleType) -> Lift:
    resource, own = type_.resource, type_.own

    def lift(reading: Reading, slot: bytes, at: int) -> Any:
        return reading.instance.take_in(resource, _one(slot, at)[0], own=own)

    return lift


_COMPILERS: Final[dict[type, Callable[[Any], Lift]]] = {
    wit.Primitive: _primitive,
    wit.ListType: _list,
    wit.ListInMemory: lists.compile_lift,
    wit.MapType: _map,
    wit.RecordType: _record,
    wit.TupleType: _tuple,
    wit.VariantType: _variant,
    wit.EnumType: lambda _type: _string,
    wit.OptionType: _option,
    wit.ResultType: _result,
    wit.FlagsType: _flags,
    wit.HandleType: _handle,
}
