"""A guest without an engine: its memory is a bytearray, and it calls the functions of WASI directly."""

from __future__ import annotations

import asyncio
import inspect
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from echelon.runtime import wasi_abi as abi
from echelon.runtime.binary import FuncType, Import
from echelon.runtime.environment import Environment
from echelon.runtime.host import CORE_OF, Call
from echelon.runtime.limits import Limits
from echelon.runtime.memory import OutOfBounds
from echelon.runtime.permissions import NONE, Permissions
from echelon.runtime.streams import Input
from echelon.runtime.wasi import _FUNCTIONS, _TYPES, MODULE, Wasi
from echelon.runtime.wasi_abi import Errno

RW = abi.FD_READ | abi.FD_WRITE
BEYOND = 0xFFFF_FFF0


class ByteMemory:
    """The same methods and errors as a real guest's memory."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.bytes = bytearray(size)

    @property
    def size(self) -> int:
        return len(self.bytes)

    def _check(self, pointer: int, length: int) -> None:
        if pointer < 0 or length < 0 or pointer + length > len(self.bytes):
            raise OutOfBounds(f"{length} bytes at {pointer}")

    def read(self, pointer: int, length: int) -> bytes:
        self._check(pointer, length)
        return bytes(self.bytes[pointer : pointer + length])

    def write(self, pointer: int, data: bytes | bytearray | memoryview) -> None:
        self._check(pointer, len(data))
        self.bytes[pointer : pointer + len(data)] = data

    def read_u32(self, pointer: int) -> int:
        return int.from_bytes(self.read(pointer, 4), "little")

    def write_u32(self, pointer: int, value: int) -> None:
        self.write(pointer, value.to_bytes(4, "little"))

    def write_u64(self, pointer: int, value: int) -> None:
        self.write(pointer, value.to_bytes(8, "little"))


def import_of(name: str) -> Import:
    """Return the import a correct module makes of a WASI function."""
    types = next(types for found, types, _ in _FUNCTIONS if found == name)
    params = tuple(CORE_OF[_TYPES[letter]] for letter in types)
    return Import(MODULE, name, "func", FuncType(params, () if name == "proc_exit" else ("i32",)))


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Guest:
    """One call. Leaving the `with` block checks that no descriptor of the host is left open."""

    def __init__(
        self,
        permissions: Permissions = NONE,
        environment: Environment | None = None,
        wasi: Wasi | None = None,
        limits: Limits | None = None,
        stdin: bytes = b"",
    ) -> None:
        self.wasi = wasi or Wasi()
        self.memory = ByteMemory()
        environment = environment or Environment.build(permissions)
        memory: Any = self.memory
        self.call = Call(limits or Limits(), permissions, environment, memory=memory, stdin=Input(stdin))
        self._next = 1024

    def __enter__(self) -> Guest:
        self._before = open_descriptors()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call.close()
        if error is None:
            assert open_descriptors() == self._before, "a descriptor of the host is still open"
            assert self.wasi._budget.used == 0, "a descriptor is still counted"

    def put(self, data: bytes) -> int:
        """Place bytes in memory and return where."""
        pointer = self._next
        self._next += (len(data) + 15) & ~7
        self.memory.write(pointer, data)
        return pointer

    def room(self, size: int) -> int:
        return self.put(b"\xaa" * size)

    def do(self, name: str, *arguments: int) -> Errno:
        """Call a function and return the error it answers."""
        found = self.wasi.find(import_of(name))
        assert found is not None
        assert len(arguments) == len(found.params)
        answer = (found.at_once or found.implementation)(self.call, *arguments)
        if inspect.isawaitable(answer):
            answer = asyncio.run(answer)  # type: ignore[arg-type]
        return Errno(answer)

    def text(self, path: str | bytes) -> tuple[int, int]:
        data = path.encode() if isinstance(path, str) else path
        return self.put(data), len(data)

    def open(
        self,
        path: str | bytes,
        rights: int = abi.FD_READ,
        *,
        fd: int = 3,
        oflags: int = 0,
        fdflags: int = 0,
        follow: bool = True,
    ) -> int:
        """Open a path and return its descriptor; raises the error as WasiError."""
        out = self.room(4)
        self.ok(
            self.do(
                "path_open",
                fd,
                int(follow),
                *self.text(path),
                oflags,
                rights,
                abi.INHERITED_RIGHTS,
                fdflags,
                out,
            )
        )
        return self.memory.read_u32(out)

    @staticmethod
    def ok(answer: Errno) -> None:
        if answer is not Errno.SUCCESS:
            raise abi.WasiError(answer)

    def on(self, name: str, fd: int, path: str | bytes, *more: int) -> Errno:
        """Call a path function whose arguments are a directory, a path and others."""
        return self.do(name, fd, *self.text(path), *more)

    def iovecs(self, *lengths: int) -> tuple[int, int, list[int]]:
        starts = [self.room(length) for length in lengths]
        pairs = b"".join(abi.IOVEC.pack(s, n) for s, n in zip(starts, lengths, strict=True))
        return self.put(pairs), len(lengths), starts

    def read(self, fd: int, *lengths: int) -> bytes:
        """Read into buffers of these lengths and return what arrived."""
        lengths = lengths or (4096,)
        iovs, count, starts = self.iovecs(*lengths)
        out = self.room(4)
        self.ok(self.do("fd_read", fd, iovs, count, out))
        held = b"".join(self.memory.read(s, n) for s, n in zip(starts, lengths, strict=True))
        return held[: self.memory.read_u32(out)]

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        iovs, count, starts = self.iovecs(length)
        out = self.room(4)
        self.ok(self.do("fd_pread", fd, iovs, count, offset, out))
        return self.memory.read(starts[0], self.memory.read_u32(out))

    def write(self, fd: int, *parts: bytes) -> int:
        """Write buffers and return how many bytes were taken."""
        pairs = b"".join(abi.IOVEC.pack(self.put(part), len(part)) for part in parts)
        out = self.room(4)
        self.ok(self.do("fd_write", fd, self.put(pairs), len(parts), out))
        return self.memory.read_u32(out)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        out = self.room(4)
        pair = self.put(abi.IOVEC.pack(self.put(data), len(data)))
        self.ok(self.do("fd_pwrite", fd, pair, 1, offset, out))
        return self.memory.read_u32(out)

    def stat(self, path: str, *, fd: int = 3, follow: bool = True) -> dict[str, int]:
        """Return what path_filestat_get says."""
        out = self.room(abi.FILESTAT.size)
        self.ok(self.do("path_filestat_get", fd, int(follow), *self.text(path), out))
        names = ("dev", "ino", "type", "nlink", "size", "atim", "mtim", "ctim")
        return dict(zip(names, abi.FILESTAT.unpack(self.memory.read(out, abi.FILESTAT.size)), strict=True))

    def fdstat(self, fd: int) -> tuple[int, int, int, int]:
        out = self.room(abi.FDSTAT.size)
        self.ok(self.do("fd_fdstat_get", fd, out))
        kind, flags, base, inheriting = abi.FDSTAT.unpack(self.memory.read(out, abi.FDSTAT.size))
        return kind, flags, base, inheriting

    def preopens(self) -> list[str]:
        """Return the names of the directories the guest begins with, as a C library reads them."""
        names = []
        for fd in range(3, 300):
            out = self.room(8)
            if self.do("fd_prestat_get", fd, out) is not Errno.SUCCESS:
                break
            length = self.memory.read_u32(out + 4)
            buffer = self.room(length)
            self.ok(self.do("fd_prestat_dir_name", fd, buffer, length))
            names.append(self.memory.read(buffer, length).decode())
        return names

    def list(self, fd: int, room: int = 4096) -> list[tuple[str, int]]:
        """Return names and types in a directory, read with a buffer of `room` bytes as a C library does."""
        found, cookie = [], 0
        buffer, out = self.room(room), self.room(4)
        while True:
            self.ok(self.do("fd_readdir", fd, buffer, room, cookie, out))
            used = self.memory.read_u32(out)
            data, position = self.memory.read(buffer, used), 0
            while position + abi.DIRENT.size <= used:
                following, _, length, kind = abi.DIRENT.unpack_from(data, position)
                end = position + abi.DIRENT.size + length
                if end > used:
                    break
                found.append((data[position + abi.DIRENT.size : end].decode(), kind))
                position, cookie = end, following
            if used < room:
                return found


def granted(*paths: Path, write: bool = True) -> Permissions:
    """Grant directories for reading, and for writing unless told otherwise."""
    return Permissions(read=list(paths), write=list(paths) if write else None)
