"""The stage of the hostile tests: a runtime, a neighbour who keeps calling, and a count of what is held."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import EchelonError, Trap
from echelon.plugin.generator import Generator
from echelon.runtime import binary, native
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.limits import MIB, Limits
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions

TIGHT = Limits(memory="16MiB", time=0.15, output="64KiB", host_calls=1000)
"""What hostile guests get unless their case says otherwise."""

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'


def wat(text: str) -> bytes:
    """Assemble WebAssembly text."""
    return native.load().wat2wasm(text)


def leb(value: int) -> bytes:
    return binary.leb(value)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def one_function(body: bytes, *, before: bytes = b"", results: bytes = b"") -> bytes:
    """Return a module whose only function, `f`, has these instructions; `before` are local declarations."""
    code = (before or b"\0") + body + b"\x0b"
    return (
        binary.MAGIC
        + section(1, b"\x01\x60\x00" + leb(len(results)) + results)
        + section(3, b"\x01\x00")
        + section(7, b"\x01\x01f\x00\x00")
        + section(10, b"\x01" + leb(len(code)) + code)
    )


def signed(text: str | bytes, *exports: dict[str, Any], **changes: Any) -> bytes:
    """Return a module that claims these typed exports."""
    document = {
        "version": 1,
        "language": "typescript",
        "abi": "assemblyscript",
        "exports": list(exports),
    } | changes
    wasm = wat(text) if isinstance(text, str) else text
    return binary.add_custom_section(wasm, "echelon:signature", json.dumps(document).encode())


@dataclass(frozen=True)
class Case:
    """One hostile module, what is called, and how it must end; no error means the call must just come back.

    `code` is the trap's. `make` builds the module when the test runs, because some take a while.
    """

    name: str
    make: Callable[[], bytes] | str
    error: type[BaseException] | tuple[type[BaseException], ...] | None
    match: str = ""
    code: str = ""
    function: str = "f"
    args: tuple[Any, ...] = ()
    limits: Limits = TIGHT
    permissions: Permissions | None = None
    kept: bool = False

    def wasm(self) -> bytes:
        return wat(self.make) if isinstance(self.make, str) else self.make()


def table(cases: tuple[Case, ...]) -> Any:
    """Parametrize a test over cases, by their names."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have one name"
    return pytest.mark.parametrize("case", cases, ids=names)


@dataclass(frozen=True)
class Footprint:
    """What this process holds: threads and descriptors by name, without those that asyncio keeps for itself."""

    threads: frozenset[str]
    files: tuple[str, ...]

    @classmethod
    def take(cls) -> Footprint:
        threads = frozenset(t.name for t in threading.enumerate() if not t.name.startswith("asyncio"))
        return cls(threads, tuple(sorted(_open_files())))

    def opened_since(self, before: Footprint) -> list[str]:
        """Return what is open that was not; what an earlier test closes late is no fault of this one."""
        return sorted((Counter(self.files) - Counter(before.files)).elements())


def _open_files() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{number}")
            # Pipes belong to the compiler's processes, sockets and polls to the loop: the whole test counts those.
            if not target.startswith(("pipe:", "socket:", "anon_inode:")):
                found.append(target)
    return found


def resident() -> int:
    """Return the bytes of memory this process really holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition; tell whether it came true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


@dataclass
class Stage:
    """A runtime and a neighbour's module on it."""

    runtime: Runtime
    neighbour: Module
    puppet: Module | None = None
    calls: int = 0
    wrong: list[object] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, cache: Path, generator: Generator | None = None, **settings: Any
    ) -> AsyncIterator[Stage]:
        """Start a small runtime; fails when threads or descriptors are left after it has been closed."""
        before = Footprint.take()
        size: dict[str, Any] = {
            "instances": 16, "queue": 100, "threads": 2, "compile_time": 3.0, "compile_memory": 1024 * MIB,
        }  # fmt: skip
        options = RuntimeSettings(cache=cache, **(size | settings))
        async with Runtime(options, generator=generator) as runtime:
            yield cls(runtime, await runtime.load(wat(ADD), name="neighbour"))
        gc.collect()
        back = await until(lambda: Footprint.take().threads <= before.threads)
        closed = await until(lambda: not Footprint.take().opened_since(before))
        assert back, f"threads before {before.threads}, afterwards {Footprint.take().threads}"
        assert closed, f"left open: {Footprint.take().opened_since(before)}"

    async def _call_neighbour(self) -> None:
        number = 0
        while True:
            number += 1
            try:
                result = await self.neighbour.call("add", number, 1)
            except EchelonError as exc:
                self.wrong.append(exc)
            else:
                if result != number + 1:
                    self.wrong.append(result)
            self.calls += 1
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Run a neighbour beside the block: every call of it must succeed, also afterwards, and nothing may be left."""
        before = Footprint.take()
        task = asyncio.create_task(self._call_neighbour())
        try:
            assert await until(lambda: self.calls > 0 or task.done())
            yield
            reached = self.calls + 3
            assert await until(lambda: self.calls >= reached or task.done()), (
                "the neighbour is no longer served"
            )
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert not self.wrong, f"the neighbour saw {self.wrong[:3]}"
        assert await self.runtime.drained(), "an instance is left"
        threads = Footprint.take().threads - before.threads
        assert all(name.startswith("echelon-") for name in threads), threads
        closed = await until(lambda: not Footprint.take().opened_since(before))
        assert closed, f"left open: {Footprint.take().opened_since(before)}"

    async def attempt(self, case: Case) -> Any:
        """Load a case's module and call it, as a caller would."""
        module = await self.runtime.load(
            case.wasm(), name=case.name, limits=case.limits, permissions=case.permissions
        )
        try:
            if case.kept:
                async with module.instance() as live:
                    return await live.call(case.function, *case.args)
            return await module.call(case.function, *case.args)
        finally:
            module.close()

    async def play(self, case: Case) -> None:
        """Attempt a case beside the neighbour; it must end as it says."""
        async with self.guarded():
            if case.error is None:
                await self.attempt(case)
                return
            with pytest.raises(case.error, match=case.match or None) as caught:
                await self.attempt(case)
            if case.code:
                assert isinstance(caught.value, Trap)
                assert caught.value.code == case.code


def named_after(value: Any) -> str:
    """Name a parameter after the function it is."""
    return str(value.__name__).replace("_", " ")
