"""Stores, each with the same operations, so that one can be measured beside the other."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, Protocol

from benchmarks.row import CannotRun
from echelon.kv import Kv

ENTRIES: Final = 1000
TOGETHER: Final = 64
"""How many sets are in flight at once where several are."""

_SCRIPT: Final = Path(__file__).with_name("deno.js")
_POSTGRES: Final = Path(__file__).parents[2] / "scripts" / "postgres"


class Store(Protocol):
    """A store with `ENTRIES` users in it; `measure` returns the microseconds of one operation."""

    async def measure(self, op: str, count: int) -> float: ...
    async def read(self, number: int) -> Any: ...
    async def close(self) -> None: ...


def user(number: int) -> dict[str, Any]:
    """Return what every store holds under ("users", number)."""
    return {
        "name": f"user {number}",
        "email": f"user{number}@example.com",
        "age": number % 90,
        "tags": ["a", "b"],
    }


class EchelonStore:
    """Echelon's store on any engine; closes what it was given."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv
        self._arrived: asyncio.Future[int] | None = None
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def fill(cls, kv: Kv) -> EchelonStore:
        """Store what is read."""
        for at in range(0, ENTRIES, 100):
            commit = kv.atomic()
            for number in range(at, at + 100):
                commit.set(("users", number), user(number))
            await commit.commit()
        return cls(kv)

    async def measure(self, op: str, count: int) -> float:
        """Do an operation `count` times."""
        work = getattr(self, f"_{op}")
        gc.collect()
        began = perf_counter_ns()
        await work(count)
        return (perf_counter_ns() - began) / count / 1000

    async def read(self, number: int) -> Any:
        """Return what is stored, to be compared."""
        return (await self._kv.get(("users", number))).value

    async def close(self) -> None:
        """Close the store."""
        await self._kv.close()
        if self._listening is not None:
            await self._listening

    async def _get(self, count: int) -> None:
        kv = self._kv
        for number in range(count):
            await kv.get(("users", number % ENTRIES))

    async def _get_many(self, count: int) -> None:
        kv = self._kv
        for number in range(count):
            await kv.get_many([("users", (number * 10 + at) % ENTRIES) for at in range(10)])

    async def _list(self, count: int) -> None:
        for _ in range(count):
            found = 0
            async for _ in self._kv.list(prefix=("users",)):
                found += 1
            if found != ENTRIES:
                raise CannotRun(f"{found} entries instead of {ENTRIES}")

    async def _set(self, count: int) -> None:
        kv = self._kv
        for number in range(count):
            await kv.set(("written", number % ENTRIES), user(number))

    async def _set_together(self, count: int) -> None:
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                await self._kv.set(("written", number % ENTRIES), user(number))

        await asyncio.gather(*(work() for _ in range(TOGETHER)))

    async def _queue(self, count: int) -> None:
        if self._listening is None:
            self._listening = asyncio.create_task(self._kv.listen_queue(self._handle))
        for number in range(count):
            self._arrived = asyncio.get_running_loop().create_future()
            await self._kv.enqueue(number)
            if await self._arrived != number:
                raise CannotRun("another message arrived")

    async def _handle(self, message: int) -> None:
        if self._arrived is not None:
            self._arrived.set_result(message)


class PostgresServer:
    """A PostgreSQL server with its own defaults, so that a commit waits for the disk; removed at the end."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    @classmethod
    async def start(cls, folder: Path) -> PostgresServer:
        """Start one with its files below `folder`; raises CannotRun where there is none."""
        process = await asyncio.create_subprocess_exec(
            _POSTGRES, env={**os.environ, "TMPDIR": str(folder)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        url = await process.stdout.readline() if process.stdout is not None else b""
        if not url:
            raise CannotRun("PostgreSQL did not start; what scripts/postgres said is above")
        return cls(process, url.decode().strip())

    async def close(self) -> None:
        """Stop the server and remove what it wrote."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


class DenoStore:
    """Deno KV in a process of its own, which measures itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, path: Path) -> DenoStore:
        """Start Deno on a file; raises CannotRun where there is none."""
        beside = Path(sys.executable).with_name("deno")
        deno = str(beside) if beside.exists() else shutil.which("deno")
        if deno is None:
            raise CannotRun("Deno is missing: pip install -r benchmarks/requirements.txt")
        process = await asyncio.create_subprocess_exec(
            deno, "run", "--quiet", "--unstable-kv", "--allow-read", "--allow-write", str(_SCRIPT), str(path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        store = cls(process)
        await store._ask("fill", ENTRIES)
        return store

    async def measure(self, op: str, count: int) -> float:
        """Let it do an operation `count` times."""
        return float(await self._ask(op, count))

    async def read(self, number: int) -> Any:
        """Return what is stored, to be compared."""
        return await self._ask("read", number)

    async def close(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _ask(self, op: str, count: int) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise CannotRun("Deno has no pipes")
        stdin.write(json.dumps({"op": op, "count": count}).encode() + b"\n")
        line = await stdout.readline()
        if not line:
            raise CannotRun(f"Deno ended while it was to {op}; what it said is above")
        return json.loads(line)
