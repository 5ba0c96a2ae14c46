"""The layout of AssemblyScript's managed objects (strings, arrays, buffers) in linear memory.

An object is a pointer to its content; 4 bytes before it stands its size in bytes, 8 bytes before it the class id.
The guest's own `__new(size, id)` makes objects, `__pin(pointer)` keeps one alive while others are made, `__unpin`
lets it go.

    ArrayBuffer     the bytes                            StaticArray<T>  the items
    string          UTF-16LE                             Array<T>        buffer, start, bytes, length   (u32 each)
                                                         typed array     buffer, start, bytes           (u32 each)
                                                         Json of the kit a string with its text         (u32)

Source: AssemblyScript's runtime documentation, "Memory layout" and "Calling convention".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from echelon.errors import InvalidModule
from echelon.runtime import json_values
from echelon.runtime.abi import ITEMS, Guest, pack_items, unpack_items
from echelon.runtime.signature import MAX_DEPTH, Wire

_BUFFER_ID: Final = 1
_SIZE_OFFSET: Final = 4
_POINTER: Final = "I"
_ARRAY_HEADER: Final = 16
_VIEW_HEADER: Final = 12
_MAX_ITEMS: Final = 1 << 24


class AssemblyScript:
    """Put Python values into an AssemblyScript guest's memory and read them back."""

    async def lower(self, guest: Guest, wire: Wire, value: Any) -> int:
        """Return a pointer to a new object with that value; raises TypeError or ValueError for a bad one."""
        return await _lower(guest, wire, value, MAX_DEPTH)

    async def lift(self, guest: Guest, wire: Wire, pointer: int) -> Any:
        """Return the object at a pointer as a Python value, within the call's output limit."""
        return _lift(guest, wire, pointer, MAX_DEPTH)

    async def release(self, guest: Guest) -> None:
        """Unpin what was lowered, so that the guest's collector may reclaim it."""
        while guest.pinned:
            await guest.call("__unpin", guest.pinned.pop())
        if guest.has("__collect"):
            await guest.call("__collect")


def _node(wire: Wire, depth: int) -> tuple[str, int, Wire]:
    """Return kind, class id and item of a wire; raises InvalidModule for one that is malformed."""
    if depth <= 0 or not isinstance(wire, dict):
        raise InvalidModule("the module's signature has a value whose layout is missing or nested too deeply")
    kind, number = wire.get("kind"), wire.get("id", 0)
    if not isinstance(kind, str) or not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise InvalidModule("the module's signature has a value whose layout is malformed")
    return kind, number, wire.get("item")


async def _lower(guest: Guest, wire: Wire, value: Any, depth: int) -> int:
    kind, number, item = _node(wire, depth)
    if kind == "nullable":
        return 0 if value is None else await _lower(guest, item, value, depth - 1)
    if kind == "string":
        if not isinstance(value, str):
            raise TypeError(f"expected str, got {type(value).__name__}")
        return await _new(guest, number, value.encode("utf-16-le", "surrogatepass"))
    if kind == "json":
        text = await _lower(guest, item, json_values.encode(value).decode(), depth - 1)
        return await _new(guest, number, struct.pack("<I", text))
    if kind == "buffer" or (kind == "view" and item == "u8"):
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"expected bytes, got {type(value).__name__}")
        content = bytes(value)
        if kind == "buffer":
            return await _new(guest, number or _BUFFER_ID, content)
        return await _with_header(guest, kind, number, content, len(content))
    if kind not in ("array", "view", "static"):
        raise InvalidModule(f'the module\'s signature has the unknown layout "{kind}"')
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected list, got {type(value).__name__}")
    content = await _items(guest, item, value, depth)
    if kind == "static":
        return await _new(guest, number, content)
    return await _with_header(guest, kind, number, content, len(value))


async def _items(guest: Guest, item: Wire, values: Sequence[Any], depth: int) -> bytes:
    if not isinstance(item, str):
        return struct.pack(f"<{len(values)}I", *[await _lower(guest, item, v, depth - 1) for v in values])
    if item not in ITEMS:
        raise InvalidModule(f'the module\'s signature has the unknown item type "{item}"')
    return pack_items(item, values)


async def _new(guest: Guest, number: int, content: bytes) -> int:
    pointer = await guest.call("__new", len(content), number)
    await guest.call("__pin", pointer)
    guest.pinned.append(pointer)
    guest.memory.write(pointer, content)
    return pointer


async def _with_header(guest: Guest, kind: str, number: int, content: bytes, length: int) -> int:
    data = await _new(guest, _BUFFER_ID, content)
    header = struct.pack("<III", data, data, len(content))
    return await _new(guest, number, header + struct.pack("<I", length) if kind == "array" else header)


def _lift(guest: Guest, wire: Wire, pointer: int, depth: int) -> Any:
    kind, _number, item = _node(wire, depth)
    if kind == "nullable":
        return None if pointer == 0 else _lift(guest, item, pointer, depth - 1)
    memory = guest.memory
    if kind == "json":
        text = _lift(guest, item, memory.read_u32(pointer), depth - 1)
        if not isinstance(text, str):
            raise InvalidModule("the module's signature has JSON that is no text")
        return json_values.decode(text)
    if kind in ("string", "buffer", "static"):
        size = memory.read_u32(pointer - _SIZE_OFFSET)
        guest.take_room(size)
        content = memory.read(pointer, size)
        if kind == "string":
            return content.decode("utf-16-le", "replace")
        return content if kind == "buffer" else _lift_items(guest, item, content, depth)
    if kind == "array":
        _, start, _, length = struct.unpack("<IIII", memory.read(pointer, _ARRAY_HEADER))
        size = length * struct.calcsize(
            f"<{ITEMS.get(item, _POINTER) if isinstance(item, str) else _POINTER}"
        )
    elif kind == "view":
        _, start, size = struct.unpack("<III", memory.read(pointer, _VIEW_HEADER))
    else:
        raise InvalidModule(f'the module\'s signature has the unknown layout "{kind}"')
    guest.take_room(size)
    content = memory.read(start, size)
    return content if kind == "view" and item == "u8" else _lift_items(guest, item, content, depth)


def _lift_items(guest: Guest, item: Wire, content: bytes, depth: int) -> list[Any]:
    if isinstance(item, str):
        if item not in ITEMS:
            raise InvalidModule(f'the module\'s signature has the unknown item type "{item}"')
        return unpack_items(item, content)
    pointers = struct.unpack_from(f"<{len(content) // 4}I", content)
    return [_lift(guest, item, pointer, depth - 1) for pointer in pointers]
