"""One compiler process: started under its runtime's own restrictions, asked one question at a time, killable.

The process has no network, no way to write or to start programs, an environment of its own, and may read
the toolchain only: so its runtime is told, and so the kernel holds it where it can. It runs a compiler, never the
source; the restrictions are for the day it has a hole.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import EchelonError
from echelon.plugin.sandbox import process as sandbox
from echelon.plugin.sandbox.process import Confinement, SandboxError
from echelon.plugin.toolchain import Javascript, version_tuple

HERE: Final = Path(__file__).resolve().parent
WORKER: Final = HERE / "worker.mjs"
KIT: Final = (HERE / "echelon.ts", HERE / "json.ts")

BOOT_SECONDS: Final = 60.0
_HEAP_MIB: Final = 512
_OUT_OF_MEMORY: Final = re.compile("JavaScript (heap )?out of memory")
_NURSERY_MIB: Final = 8  # a larger one makes the process 250 MB bigger and no faster
_POLL_SECONDS: Final = 0.1
_DATA: Final = 8 << 30  # V8 sets more aside than it uses, which is what `memory` bounds
_CACHE: Final = 64 << 20
_NODE_STABLE_PERMISSIONS: Final = (22, 13)


class Place(msgspec.Struct):
    """A position in a source file, from 1; 0 when unknown."""

    line: int
    column: int
    file: str | None


class Message(msgspec.Struct):
    """One diagnostic of the compiler; `related` is the other place it speaks of."""

    line: int
    column: int
    file: str | None
    severity: str
    message: str
    related: Place | None


class Type(msgspec.Struct):
    """A parameter or result, as in runtime/signature.py."""

    type: str
    wire: str | dict[str, object]
    name: str = ""


class Export(msgspec.Struct):
    """One exported function whose types can cross the boundary."""

    name: str
    params: list[Type]
    results: list[Type]


class Lines(msgspec.Struct):
    """Where code comes from; see runtime/lines.py."""

    files: list[str]
    places: list[int]


class Answer(msgspec.Struct):
    """What the process says to one request; see worker.mjs."""

    id: int
    wasm: bytes | None
    diagnostics: list[Message]
    exports: list[Export]
    lines: Lines | None = None
    failure: str | None = None
    fatal: bool = False


class _Ready(msgspec.Struct):
    ready: bool
    version: str


class WorkerFailed(EchelonError):
    """The compiler process died, hung or outgrew its memory; it is gone."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to start the process and what it may use."""

    javascript: Javascript
    toolchain: Path
    cache: Path
    seconds: float
    memory: int
    line: int

    def command(self) -> list[str]:
        """Return the command line, with every permission withheld but reading two folders."""
        heap = (f"--max-semi-space-size={_NURSERY_MIB}", f"--max-old-space-size={_HEAP_MIB}")
        tail = [str(WORKER), str(self.toolchain)]
        if self.javascript.kind == "deno":
            flags: tuple[str, ...] = (
                "--quiet", "--no-prompt", "--no-remote", "--no-config", "--no-lock", "--cached-only",
                "--node-modules-dir=manual", f"--v8-flags={','.join(heap)}",
                f"--allow-read={self.toolchain},{HERE}", "--allow-env=CI",
            )  # fmt: skip
            return [str(self.javascript.path), "run", *flags, *tail]
        stable = version_tuple(self.javascript.version) >= _NODE_STABLE_PERMISSIONS
        flags = (
            "--no-warnings", "--permission" if stable else "--experimental-permission",
            f"--allow-fs-read={self.toolchain}{os.sep}*", f"--allow-fs-read={HERE}{os.sep}*", *heap,
        )  # fmt: skip
        return [str(self.javascript.path), *flags, *tail]

    def confinement(self) -> Confinement:
        """Return what the kernel lets the process reach, should its runtime's own restrictions have a hole."""
        self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Confinement(
            self.cache,
            read=[self.javascript.path, self.toolchain, HERE, *sandbox.LIBRARIES],
            seconds=math.inf,
            memory=_DATA,
            disk=_CACHE,
            isolation="available",
        )

    def environ(self) -> dict[str, str]:
        """Return all the process sees of its surroundings: nothing of the application's own."""
        fixed = {"DENO_DIR": str(self.cache), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", "CI": "1"}
        fixed["OPENSSL_CONF"] = os.devnull  # the one of the system cannot be read
        if sys.platform == "win32":
            fixed["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")  # without it no process starts there
        return fixed


class Worker:
    """A running compiler. Ask it one thing at a time; after WorkerFailed it is of no more use."""

    def __init__(self, settings: Settings, process: asyncio.subprocess.Process) -> None:
        self.settings = settings
        self.version = ""
        self.rss = 0
        self.pid = sandbox.program(process.pid)
        self._process = process
        self._asked = 0
        self._errors: deque[bytes] = deque(maxlen=20)
        self._drain = asyncio.create_task(self._read_errors())

    @classmethod
    async def start(cls, settings: Settings) -> Worker:
        """Start a process and wait until it is ready; raises WorkerFailed."""
        try:
            process = await sandbox.start(
                settings.command(), settings.confinement(), settings.environ(), line=settings.line
            )
        except SandboxError as exc:
            raise WorkerFailed(str(exc)) from exc
        worker = cls(settings, process)
        try:
            line = await worker._line(BOOT_SECONDS)
            worker.version = msgspec.json.decode(line, type=_Ready).version
        except ValueError as exc:  # not JSON, not of the right shape, or no end of it
            await worker.stop()
            raise WorkerFailed("the compiler process answers nonsense") from exc
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: dict[str, object]) -> Answer:
        """Send a request and return the answer; raises WorkerFailed. Cancelling it ends the process."""
        self._asked += 1
        data = msgspec.json.encode({"id": self._asked, **request}) + b"\n"
        try:
            stdin = self._stdin()
            stdin.write(data)
            line = await self._line(self.settings.seconds, stdin)
            answer = msgspec.json.decode(line, type=Answer)
        except ValueError as exc:
            await self.stop()
            raise WorkerFailed("the compiler process answers nonsense") from exc
        except BaseException:
            await self.stop()
            raise
        if answer.id != self._asked:
            await self.stop()
            raise WorkerFailed("the compiler process answers another question")
        self.rss = sandbox.measure(self._process.pid)[1]
        return answer

    async def stop(self) -> None:
        """Kill the process with all it may have started, and wait until it is gone."""
        await sandbox.kill(self._process)
        await self._drain

    def _stdin(self) -> asyncio.StreamWriter:
        if self._process.stdin is None:
            raise WorkerFailed("the compiler process has no standard input")
        return self._process.stdin

    async def _line(self, seconds: float, stdin: asyncio.StreamWriter | None = None) -> bytes:
        """Wait for one line, watching time and memory; the request is still being written meanwhile."""
        reading = asyncio.create_task(self._read(stdin))
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            while not reading.done():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    raise WorkerFailed(f"it took longer than {seconds:g} s")
                await asyncio.wait((reading,), timeout=min(_POLL_SECONDS, left))
                if not reading.done() and sandbox.measure(self._process.pid)[1] > self.settings.memory:
                    raise WorkerFailed(f"it needed more than {self.settings.memory >> 20} MiB of memory")
            return reading.result()
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))

    async def _read(self, stdin: asyncio.StreamWriter | None) -> bytes:
        if self._process.stdout is None:
            raise WorkerFailed("the compiler process has no standard output")
        if stdin is not None:
            with suppress(ConnectionError):  # it died: reading says so
                await stdin.drain()
        line = await self._process.stdout.readline()
        if line.endswith(b"\n"):
            return line
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 1.0)
        await asyncio.wait((self._drain,), timeout=1.0)
        errors = b"".join(self._errors).decode("utf-8", "replace").strip()
        if _OUT_OF_MEMORY.search(errors):
            raise WorkerFailed(f"it needed more than {_HEAP_MIB} MiB of memory")
        said = errors.partition("\n")[0][:500]
        raise WorkerFailed(f"the compiler process ended ({self._process.returncode}) {said}".rstrip())

    async def _read_errors(self) -> None:
        if self._process.stderr is not None:
            while chunk := await self._process.stderr.read(4096):
                self._errors.append(chunk)
