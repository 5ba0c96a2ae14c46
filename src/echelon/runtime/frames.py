"""Buffers that cross to guests and back: numbers, texts and contents in a row (see docs/abi.md).

Numbers are little-endian, u32 unless said otherwise. A text or content is its length and its bytes; texts are UTF-8.
"""

from __future__ import annotations

import struct
from typing import Final

from echelon.errors import GuestError

_U32: Final = struct.Struct("<I")


class Writer:
    """Puts one value after another into a buffer."""

    __slots__ = ("buffer",)

    def __init__(self) -> None:
        self.buffer = bytearray()

    def number(self, value: int) -> None:
        self.buffer += _U32.pack(value)

    def content(self, data: bytes) -> None:
        self.buffer += _U32.pack(len(data))
        self.buffer += data

    def text(self, value: str) -> None:
        self.content(value.encode())

    def packed(self, layout: str, value: float) -> None:
        """Add a number of another layout, as `struct` names it."""
        self.buffer += struct.pack(layout, value)


class Reader:
    """Takes one value after another out of a buffer of a guest; raises GuestError that names `what` the buffer is."""

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise GuestError(
                f"the guest's {self._what} ends after {len(self._data)} bytes, in the middle of a value"
            )
        part, self._at = self._data[self._at : end], end
        return part

    def number(self, most: int = 0xFFFF_FFFF) -> int:
        value = int.from_bytes(self._take(4), "little")
        if value > most:
            raise GuestError(
                f"the guest's {self._what} has the number {value} where at most {most} makes sense"
            )
        return value

    def content(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            return self.content().decode()
        except UnicodeDecodeError as exc:
            raise GuestError(f"the guest's {self._what} has a text that is not UTF-8: {exc.reason}") from None

    def packed(self, layout: str) -> int | float:
        """Return a number of another layout, as `struct` names it."""
        value: int | float = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return value

    def end(self) -> None:
        """Raise GuestError when something is left over."""
        if self._at != len(self._data):
            raise GuestError(f"the guest's {self._what} has {len(self._data) - self._at} bytes too many")
