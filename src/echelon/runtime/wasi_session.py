"""One call's use of WASI: its descriptors, opened when they are first needed, and access to the guest's memory."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from echelon.runtime.host import Call
from echelon.runtime.memory import Memory, OutOfBounds
from echelon.runtime.wasi_abi import IOVEC, Errno, WasiError
from echelon.runtime.wasi_paths import Files
from echelon.runtime.wasi_table import FileBudget, Table

MAX_IOVECS: Final = 1024
MAX_TRANSFER: Final = 16 << 20
"""Bytes that one call moves at most; more is answered as a short read or write."""
MAX_PATH: Final = 4096


class Session:
    """What the functions of WASI work on; lives in the call's state and is closed with it."""

    def __init__(self, call: Call, budget: FileBudget, file_size: int) -> None:
        self.call, self.file_size = call, file_size
        self.environment = call.environment
        self.memory: Memory = call.guest_memory()
        self._budget = budget

    @cached_property
    def table(self) -> Table:
        return Table(self.call.permissions, self._budget)

    @cached_property
    def files(self) -> Files:
        return Files(self.table, self.call.permissions)

    def close(self) -> None:
        """Close every descriptor that was opened; closing twice does nothing."""
        table = self.__dict__.get("table")
        if table is not None:
            table.close()

    def require_range(self, pointer: int, length: int) -> None:
        """Raise OutOfBounds unless the bytes are the guest's; asked before something is done that cannot be undone."""
        if pointer + length > self.memory.size:
            raise OutOfBounds(f"{length} bytes at {pointer} are outside the guest's memory")

    def iovecs(self, pointer: int, count: int) -> list[tuple[int, int]]:
        """Return pointers and lengths of a list of buffers, all of them in memory, together at most MAX_TRANSFER."""
        if count > MAX_IOVECS:
            raise WasiError(Errno.INVAL)
        room, found = MAX_TRANSFER, []
        for start, length in IOVEC.iter_unpack(self.memory.read(pointer, count * IOVEC.size)):
            self.require_range(start, length)
            found.append((start, min(length, room)))
            room -= found[-1][1]
        return found

    def gather(self, pointer: int, count: int) -> bytes:
        """Return what a list of buffers holds."""
        read = self.memory.read
        return b"".join([read(start, length) for start, length in self.iovecs(pointer, count)])

    def scatter(self, buffers: list[tuple[int, int]], data: bytes) -> None:
        """Fill a list of buffers, one after the other."""
        position = 0
        for start, length in buffers:
            if position >= len(data):
                return
            self.memory.write(start, data[position : position + length])
            position += length

    def text(self, pointer: int, length: int) -> str:
        """Return a path of the guest; raises WasiError for one that is too long or is not UTF-8."""
        if length >= MAX_PATH:
            raise WasiError(Errno.NAMETOOLONG)
        try:
            return self.memory.read(pointer, length).decode()
        except UnicodeDecodeError as exc:
            raise WasiError(Errno.ILSEQ) from exc
