"""A guest that calls any function of its host with any arguments, as a test tells it to."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from hostile_stage import TIGHT, Stage, wat

from echelon.runtime import assemblyscript_env, guest_kit, wasi
from echelon.runtime.guest_fetch import GuestFetch
from echelon.runtime.guest_kv import GuestKv
from echelon.runtime.host import CORE_OF, HostFunction
from echelon.runtime.limits import Limits
from echelon.runtime.live_instance import LiveInstance
from echelon.runtime.permissions import Permissions
from echelon.runtime.wasi_abi import FD_READ, INHERITED_RIGHTS, IOVEC

WASI = tuple(wasi.Wasi()._functions.values())
KIT = tuple(guest_kit._FUNCTIONS.values())
ENV = tuple(assemblyscript_env._FUNCTIONS.values())
KV = tuple(GuestKv(lambda: None)._functions.values())
NET = (GuestFetch(lambda: None)._function,)  # type: ignore[arg-type,return-value]
EVERY = (*WASI, *KIT, *ENV, *KV, *NET)

_SIGNED = {"i32": 1 << 31, "i64": 1 << 63}


def name_of(function: HostFunction) -> str:
    return f"{function.module}.{function.name}"


def forwarder(functions: Iterable[HostFunction]) -> str:
    """Return a module of one page of memory that exports each host function under its full name."""
    imports, exports = [], []
    for place, function in enumerate(functions):
        params = "".join(f" (param {CORE_OF[p]})" for p in function.params)
        types = params + "".join(f" (result {CORE_OF[r]})" for r in function.results)
        imports.append(f'(import "{function.module}" "{function.name}" (func $h{place}{types}))')
        values = "".join(f" (local.get {number})" for number in range(len(function.params)))
        exports.append(f'(func (export "{name_of(function)}"){types} (call $h{place}{values}))')
    return f'(module {" ".join(imports)} (memory (export "memory") 1) {" ".join(exports)})'


@functools.cache
def _puppet_wasm() -> bytes:
    return wat(forwarder(EVERY))


def fold(kind: str, value: float) -> float:
    """Return the signed number with the bits of an unsigned one, as a caller of a core function gives it."""
    half = _SIGNED.get(CORE_OF[kind])
    return float(value) if half is None else (int(value) + half) % (2 * half) - half


class Puppet:
    """A kept instance of the forwarder. Memory below 1024 is for whoever uses it."""

    def __init__(self, live: LiveInstance) -> None:
        self.live = live
        self._next = 1024

    @classmethod
    @contextlib.asynccontextmanager
    async def on(
        cls, stage: Stage, permissions: Permissions | None = None, limits: Limits = TIGHT
    ) -> AsyncIterator[Puppet]:
        wasm = _puppet_wasm()
        if stage.puppet is None:
            stage.puppet = await stage.runtime.load(wasm)  # keeps its native code in memory between guests
        module = await stage.runtime.load(wasm, name="puppet", permissions=permissions, limits=limits)
        try:
            async with module.instance() as live:
                yield cls(live)
        finally:
            module.close()

    async def call(self, function: HostFunction, *arguments: float) -> Any:
        """Let the guest call a host function; numbers may be unsigned, also the result is."""
        values = [fold(kind, value) for kind, value in zip(function.params, arguments, strict=True)]
        result = await self.live.call(name_of(function), *values)
        return result & 0xFFFF_FFFF if isinstance(result, int) else result

    async def do(self, name: str, *arguments: int) -> int:
        """Call a function of WASI by its name and return the error number."""
        function = next(function for function in WASI if function.name == name)
        answer: int = await self.call(function, *arguments)
        return answer

    def put(self, data: bytes) -> int:
        """Place bytes in the guest's memory, over old ones when it is full, and return where."""
        if self._next + len(data) > 65_000:
            self._next = 1024
        pointer = self._next
        self._next += (len(data) + 15) & ~7
        self.live.memory.write(pointer, data)
        return pointer

    def text(self, path: bytes | str) -> tuple[int, int]:
        data = path.encode() if isinstance(path, str) else path
        return self.put(data), len(data)

    async def open(
        self, path: bytes | str, *, fd: int = 3, rights: int = FD_READ, oflags: int = 0, follow: int = 1
    ) -> tuple[int, int]:
        """Open a path; returns the error number and the descriptor."""
        out = self.put(b"\xff" * 4)
        answer = await self.do(
            "path_open", fd, follow, *self.text(path), oflags, rights, INHERITED_RIGHTS, 0, out
        )
        return answer, self.live.memory.read_u32(out)

    async def read(self, fd: int, size: int = 4096) -> tuple[int, bytes]:
        """Read from a descriptor; returns the error number and what was read."""
        buffer, out = self.put(bytes(size)), self.put(bytes(4))
        answer = await self.do("fd_read", fd, self.put(IOVEC.pack(buffer, size)), 1, out)
        return answer, self.live.memory.read(buffer, self.live.memory.read_u32(out)) if answer == 0 else b""

    async def write(self, fd: int, data: bytes) -> int:
        return await self.do(
            "fd_write", fd, self.put(IOVEC.pack(self.put(data), len(data))), 1, self.put(bytes(4))
        )


def tree(root: Path) -> dict[str, bytes | str]:
    """Return everything below a directory: what files hold and where links lead."""
    found: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "directory" if path.is_dir() else "other"
    return found
