"""Memory in which the arguments of one call are laid out as the engine's C API wants them.

Everything the engine reads lies in a few blocks that Python owns and that stay until the call is over: the engine
copies what it takes and frees nothing of it. So a value costs no allocation of its own.

A value is 32 bytes: its kind, then at offset 8 its content, or the size and address of where that stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from echelon.runtime.native import Native

if TYPE_CHECKING:
    from echelon.runtime.component.instance import ComponentInstance
    from echelon.runtime.component.values import Resource

SLOT: Final = 32
"""Bytes of a `wasmtime_component_val_t`."""

ENTRY: Final = 48
"""Bytes of a record's entry: a name, then a value."""

NAME: Final = 16
"""Bytes of a name: its size and address."""

CONTENT: Final = 8
"""Where a value's content stands."""

MAX_SLOTS: Final = 4 << 20
"""Values that may cross in one call; the engine's own bound in the other direction is the same."""

_FIRST_BLOCK: Final = 2048


class Arena:
    """Blocks of memory, handed out from the front.

    `given` are the handles that the call gives away, `arguments` points to the first argument. `lists` are those that
    go into the guest's memory: the content, its alignment, and where to write the place that it gets.
    """

    __slots__ = (
        "_address", "_block", "_native", "_size", "_used", "arguments", "given", "instance", "kept", "lists", "slots",
    )  # fmt: skip

    def __init__(self, native: Native, instance: ComponentInstance) -> None:
        self._native, self.instance = native, instance
        self.kept: list[Any] = []
        self.given: list[Resource] = []
        self.lists: list[tuple[bytes, int, bytearray, int]] = []
        self.arguments: Any = native.null
        self.slots = 0
        self._size = self._used = 0
        self._block = bytearray()
        self._address = 0

    def take(self, size: int) -> tuple[bytearray, int, int]:
        """Return a block, an offset in it and the address of that place, for `size` bytes, which are zero."""
        start = self._used
        if start + size > self._size:
            self._grow(size)
            start = 0
        self._used = start + (size + 7 & ~7)
        return self._block, start, self._address + start

    def take_slots(self, count: int) -> tuple[bytearray, int, int]:
        """Return room for values; raises ValueError when the call has too many."""
        self.slots += count
        if self.slots > MAX_SLOTS:
            raise ValueError(f"more than {MAX_SLOTS} values cannot be passed in one call")
        return self.take(count * SLOT)

    def take_arguments(self, count: int) -> tuple[bytearray, int]:
        """Return room for the values that stand at the top: the arguments of a call."""
        block, start, address = self.take_slots(count)
        self.arguments = self._native.ffi.cast("wasmtime_component_val_t *", address)
        return block, start

    def _grow(self, size: int) -> None:
        ffi = self._native.ffi
        self._size = max(size + 7 & ~7, _FIRST_BLOCK, min(2 * self._size, 1 << 20))
        self._block = bytearray(self._size)
        view = ffi.from_buffer(self._block)  # while it lives, the block cannot move
        self.kept.append(view)
        self._address = int(ffi.cast("uintptr_t", view))

    def pin(self, data: bytes) -> int:
        """Return the address of bytes, which are kept for the call."""
        view, address = self.locate(data)
        self.kept.append(view)
        return address

    def locate(self, data: bytes) -> tuple[Any, int]:
        """Return what keeps bytes in their place, and their address."""
        ffi = self._native.ffi
        view = ffi.from_buffer(data)
        return view, int(ffi.cast("uintptr_t", view))

    def address_of(self, pointer: Any) -> int:
        return int(self._native.ffi.cast("uintptr_t", pointer))


class Names:
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
