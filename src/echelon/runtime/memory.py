"""A guest's linear memory, seen from the host: every pointer and length is checked, nothing is truncated."""

from __future__ import annotations

from typing import Any

from echelon.errors import GuestError
from echelon.runtime.native import Native


class OutOfBounds(GuestError):
    """A pointer and length that the guest gave, or was given, lie outside its memory."""


class Memory:
    """The linear memory of one instance; raises after the instance is closed.

    Pointers and lengths are bytes. Views are never handed out: the guest may grow its memory at any time, and a
    closed instance's memory belongs to the next one.
    """

    __slots__ = ("_base", "_context", "_handle", "_native", "_size")

    def __init__(self, native: Native, context: Any, handle: Any) -> None:
        self._native, self._context, self._handle = native, context, handle
        self._base = native.lib.wasmtime_memory_data(context, handle)
        self._size = 0

    @property
    def size(self) -> int:
        """Return the current size in bytes; memory never shrinks, so this is also the peak."""
        if self._context is None:
            raise GuestError("the instance is closed, its memory is gone")
        self._size = size = self._native.lib.wasmtime_memory_data_size(self._context, self._handle)
        return int(size)

    def check(self, pointer: int, length: int) -> None:
        """Raise OutOfBounds unless `length` bytes at `pointer` lie inside."""
        if self._context is None:
            raise GuestError("the instance is closed, its memory is gone")
        # The size is asked for only when the last known one does not suffice: it can only have grown.
        if pointer < 0 or length < 0 or (pointer + length > self._size and pointer + length > self.size):
            raise OutOfBounds(
                f"{length} bytes at {pointer} are outside the guest's memory of {self._size} bytes"
            )

    def read(self, pointer: int, length: int) -> bytes:
        """Return a copy of `length` bytes at `pointer`; raises OutOfBounds."""
        self.check(pointer, length)
        return bytes(self._native.ffi.buffer(self._base + pointer, length)) if length else b""

    def write(self, pointer: int, data: bytes | bytearray | memoryview) -> None:
        """Copy `data` to `pointer`; raises OutOfBounds before anything is written."""
        length = memoryview(data).nbytes
        self.check(pointer, length)
        if length:
            self._native.ffi.memmove(self._base + pointer, data, length)

    def read_u32(self, pointer: int) -> int:
        """Return the little-endian 32-bit number at `pointer`."""
        return int.from_bytes(self.read(pointer, 4), "little")

    def write_u32(self, pointer: int, value: int) -> None:
        self.write(pointer, value.to_bytes(4, "little"))

    def write_u64(self, pointer: int, value: int) -> None:
        self.write(pointer, value.to_bytes(8, "little"))

    def grow(self, pages: int) -> None:
        """Add pages of 64 KiB, all zero; raises GuestError where the instance may not have them."""
        self.check(0, 0)
        before = self._native.ffi.new("uint64_t *")
        error = self._native.lib.wasmtime_memory_grow(self._context, self._handle, pages, before)
        if error != self._native.null:
            raise GuestError(f"the memory cannot grow: {self._native.take_error(error)}")

    def detach(self) -> None:
        """Make every later access raise."""
        self._context = None
