"""Lists of numbers that cross as their place in the guest's memory, which the host reads and writes itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import Trap
from echelon.runtime.component import types as wit
from echelon.runtime.component.arena import CONTENT, SLOT, Arena
from echelon.runtime.component.lower_plain import FORMATS, KINDS, PAIR, Lower, packer

if TYPE_CHECKING:
    from echelon.runtime.component.lift import Reading

MAX_READ: Final = 128 << 20
"""Bytes of lists that come out of one call: a guest may give the same memory many times over."""

TOO_MUCH: Final = "the guest gave the host more data in one call than the engine passes on (128 MiB)"

_U32: Final = struct.Struct("<B7xI")
_place: Final = struct.Struct(f"<8xI{SLOT - 4}xI").unpack_from


class OneByOne(Exception):
    """A list is not made of plain numbers, and has to be looked at one by one."""


def compile_lower(type_: wit.ListInMemory) -> Lower:
    """Return what notes a list in the arena, to be put into memory, and leaves room for its place."""
    pack, width = packer(type_.item), struct.calcsize("<" + FORMATS[type_.item.name])

    def lower(arena: Arena, value: Any, block: bytearray, at: int) -> None:
        data = pack(value)
        if data is None:
            raise OneByOne
        room, start, address = arena.take_slots(2)
        PAIR(block, at, KINDS["tuple"], 2, address)
        _U32.pack_into(room, start, KINDS["u32"], 0)
        _U32.pack_into(room, start + SLOT, KINDS["u32"], len(data) // width)
        arena.lists.append(
            (bytes(data), width, room, start + CONTENT)
        )  # it must not change while the guest runs

    return lower


def compile_lift(type_: wit.ListInMemory) -> Callable[[Reading, bytes, int], Any]:
    """Return what reads a list from memory."""
    code = FORMATS[type_.item.name]
    width = struct.calcsize("<" + code)
    pair = struct.Struct("<8xQQ").unpack_from

    def lift(reading: Reading, slot: bytes, at: int) -> Any:
        _, address = pair(slot, at)
        pointer, count = _place(reading.read(address, 2 * SLOT))
        data = reading.list_at(pointer, count * width, width)
        return data if code == "B" else list(struct.unpack(f"<{count}{code}", data))

    return lift


def broken(detail: str) -> Trap:
    """Return the error for a guest that breaks a rule which the engine would have watched over."""
    return Trap(f"the guest broke the component model's rules: {detail}", code="component-model")
