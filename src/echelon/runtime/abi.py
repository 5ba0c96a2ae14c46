"""How values cross the boundary: numbers in the call itself, everything larger in the guest's memory.

An `Abi` knows how one language lays strings, bytes and lists out in its memory (`assemblyscript` today); what lies in
plain memory is the affair of linear.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from echelon.errors import InvalidModule, OutputExceeded
from echelon.runtime.signature import Wire

if TYPE_CHECKING:
    from echelon.runtime.instance import Instance
    from echelon.runtime.memory import Memory
    from echelon.runtime.plans import FunctionPlan

Pack = Callable[[Any, int, Any], None]
Unpack = Callable[[Any, int], Any]

CORE: Final = {
    "i8": "i32", "u8": "i32", "i16": "i32", "u16": "i32", "i32": "i32", "u32": "i32", "bool": "i32",
    "i64": "i64", "u64": "i64", "f32": "f32", "f64": "f64", "v128": "v128",
    "funcref": "funcref", "externref": "externref",
}  # fmt: skip
"""The core type that carries each number; everything else is carried by a pointer, an i32."""


REFERENCES: Final = frozenset({"funcref", "externref"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that a guest returned and that means nothing outside its instance; a null one is None."""

    type: str


_RANGES: Final = {
    "i8": (-(1 << 7), 1 << 7),
    "u8": (0, 1 << 8),
    "i16": (-(1 << 15), 1 << 15),
    "u16": (0, 1 << 16),
}
FORMATS: Final = {
    "i32": "<i",
    "u32": "<I",
    "i64": "<q",
    "u64": "<Q",
    "f32": "<f",
    "f64": "<d",
    "v128": "<16s",
}


ITEMS: Final = {
    "i8": "b", "u8": "B", "bool": "?", "i16": "h", "u16": "H", "i32": "i", "u32": "I",
    "i64": "q", "u64": "Q", "f32": "f", "f64": "d",
}  # fmt: skip
"""How `struct` packs each number that can be an item of a list."""

_STRICT: Final = {"bool": frozenset({bool}), "f32": frozenset({float, int}), "f64": frozenset({float, int})}
_INTEGER: Final = frozenset({int})


class Abi(Protocol):
    """How a language lays values out in its memory."""

    async def lower(self, guest: Guest, wire: Wire, value: Any) -> int:
        """Put a value into the guest's memory and return the pointer; raises TypeError or ValueError."""

    async def lift(self, guest: Guest, wire: Wire, pointer: int) -> Any:
        """Read the value at a pointer."""

    async def release(self, guest: Guest) -> None:
        """Let the guest reclaim what was lowered; called after each call of an instance that is kept."""


class Guest:
    """An instance as an ABI sees it: its memory, its exports, and what this call has put there."""

    __slots__ = ("_plans", "instance", "pinned", "room")

    def __init__(self, instance: Instance, plans: Mapping[str, FunctionPlan]) -> None:
        self.instance, self._plans = instance, plans
        self.pinned: list[int] = []
        self.room = instance.limits.output

    def has(self, export: str) -> bool:
        return export in self._plans

    async def call(self, export: str, *arguments: int) -> int:
        """Call an export of the language's own runtime with unsigned numbers."""
        plan = self._plans.get(export)
        if plan is None:
            raise InvalidModule(f'the module does not export "{export}", which its signature relies on')
        if not plan.takes_pointers(len(arguments)):
            raise InvalidModule(
                f'the export "{export}", which the module\'s signature relies on, has another type:'
                f" {len(arguments)} parameters and at most one result are expected, all of them i32"
            )
        plan.put_pointers(self.instance, arguments)
        await self.instance.invoke(plan)
        return plan.get_pointer(self.instance) if plan.returns else 0

    def take_room(self, size: int) -> None:
        """Count `size` bytes of results against the output limit; raises OutputExceeded past it."""
        self.room -= size
        if self.room < 0:
            limit = self.instance.limits.output
            raise OutputExceeded(
                f"the guest returned more than {limit} bytes (its output limit)", limit=limit
            )

    @property
    def memory(self) -> Memory:
        if self.instance.memory is None:
            raise InvalidModule("the module exports no memory, which its signature relies on")
        return self.instance.memory


def pack_items(kind: str, values: Sequence[Any]) -> bytes:
    """Return numbers in a row; raises TypeError or ValueError that names the first bad one."""
    strict = _STRICT.get(kind, _INTEGER)
    if not strict.issuperset(map(type, values)):
        wanted = tuple(strict)
        for position, value in enumerate(values):
            if not isinstance(value, wanted):
                name = "bool" if kind == "bool" else "float" if kind[0] == "f" else "int"
                raise TypeError(f"item {position}: expected {name}, got {type(value).__name__}")
    try:
        return struct.pack(f"<{len(values)}{ITEMS[kind]}", *values)
    except (struct.error, OverflowError) as exc:
        raise ValueError(f"an item does not fit {kind}: {exc}") from None


def pack_item(kind: str, value: Any) -> bytes:
    """Return one number as it lies among other values; raises TypeError or ValueError."""
    if not isinstance(value, tuple(_STRICT.get(kind, _INTEGER))):
        name = "bool" if kind == "bool" else "float" if kind[0] == "f" else "int"
        raise TypeError(f"expected {name}, got {type(value).__name__}")
    try:
        return struct.pack(f"<{ITEMS[kind]}", value)
    except (struct.error, OverflowError):
        raise ValueError(f"{value} is out of range of {kind}") from None


def unpack_items(kind: str, content: bytes) -> list[Any]:
    """Return the numbers that lie in a row; what is left over is no number."""
    layout = ITEMS[kind]
    return list(struct.unpack_from(f"<{len(content) // struct.calcsize('<' + layout)}{layout}", content))


def _make_packer(kind: str) -> Pack:
    if kind == "bool":
        return _pack_bool
    if kind in _RANGES:
        return _ranged_pack(*_RANGES[kind])
    if kind == "v128":
        return _pack_v128
    if kind in REFERENCES:
        return _pack_null
    return struct.Struct(FORMATS[kind]).pack_into


def _pack_bool(buffer: Any, offset: int, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError("not a bool")
    pack_pointer(buffer, offset, int(value))


def _pack_null(buffer: Any, offset: int, value: Any) -> None:
    if value is not None:
        raise TypeError("not None")
    buffer[offset : offset + 8] = bytes(8)


def _pack_v128(buffer: Any, offset: int, value: Any) -> None:
    if not isinstance(value, bytes) or len(value) != 16:
        raise TypeError("not 16 bytes")
    buffer[offset : offset + 16] = value


def _ranged_pack(low: int, high: int) -> Pack:
    pack = struct.Struct("<i").pack_into

    def pack_ranged(buffer: Any, offset: int, value: Any) -> None:
        if not isinstance(value, int):
            raise TypeError("not an int")
        if not low <= value < high:
            raise ValueError(f"{value} is not in {low}..{high - 1}")
        pack(buffer, offset, value)

    return pack_ranged


def _make_unpacker(kind: str) -> Unpack:
    if kind == "bool":
        return lambda buffer, offset: buffer[offset : offset + 4] != b"\0\0\0\0"
    if kind in _RANGES:
        size, signed = (1 if kind.endswith("8") else 2), kind.startswith("i")
        return lambda buffer, offset: int.from_bytes(buffer[offset : offset + size], "little", signed=signed)
    if kind in REFERENCES:
        reference = Reference(kind)
        return lambda buffer, offset: reference if any(buffer[offset : offset + 8]) else None
    unpack = struct.Struct(FORMATS[kind]).unpack_from
    return lambda buffer, offset: unpack(buffer, offset)[0]


pack_pointer: Final = struct.Struct("<I").pack_into
_unpack_pointer: Final = struct.Struct("<I").unpack_from


_PACKERS: Final = {kind: _make_packer(kind) for kind in CORE}
_UNPACKERS: Final = {kind: _make_unpacker(kind) for kind in CORE}


def packer(kind: str) -> Pack | None:
    """Return what writes a number of that type, checking it, or None for a type that is no number."""
    return _PACKERS.get(kind)


def unpacker(kind: str) -> Unpack | None:
    """Return what reads a number of that type, or None for a type that is no number."""
    return _UNPACKERS.get(kind)


def unpack_pointer(buffer: Any, offset: int) -> int:
    """Read a pointer, an unsigned i32."""
    return int(_unpack_pointer(buffer, offset)[0])
