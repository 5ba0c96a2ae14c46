"""Compile untrusted modules to native code in child processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import echelon
from echelon.errors import InvalidModule
from echelon.runtime.binary import Edit
from echelon.runtime.engine import Profile

Forms = Sequence[Sequence[Edit]]
"""Ways to change a module before it is compiled."""

_SEARCH_PATH: Final = os.pathsep.join(
    [str(Path(echelon.__file__).parent.parent), *(entry for entry in sys.path if entry)]
)
_JOBS_PER_CHILD: Final = 100
_CHILDREN: Final = 2


class NativeCompiler:
    """Up to two warm child processes; a job that misbehaves costs its child, and nothing else.

    `seconds` bounds a job's CPU time per core and its wall time, `memory` the child's data in bytes.
    """

    def __init__(self, directory: Path, *, seconds: float = 60.0, memory: int = 4 << 30) -> None:
        self._directory = directory
        self._seconds = seconds
        self._memory = memory
        self._slots = asyncio.Semaphore(_CHILDREN)
        self._idle: list[_Child] = []

    async def compile(
        self, wasm: bytes, profile: Profile, forms: Forms = (), *, seconds: float = 0.0
    ) -> bytes:
        """Return native code; raises InvalidModule when the compiler refuses the module or gives up on it.

        The module is compiled in the first of these forms that the compiler accepts, or as it is. It may take
        `seconds` where that is more than usual.
        """
        seconds = max(seconds, self._seconds)
        async with self._slots:
            child = self._idle.pop() if self._idle else await _Child.start(self._memory)
            try:
                code = await self._run(child, wasm, profile, forms, seconds)
            except InvalidModule:
                if child.alive:
                    self._idle.append(child)
                else:
                    await child.close()
                raise
            except BaseException:
                await child.close()
                raise
            child.jobs += 1
            if child.jobs < _JOBS_PER_CHILD:
                self._idle.append(child)
            else:
                await child.close()
            return code

    async def _run(self, child: _Child, wasm: bytes, profile: Profile, forms: Forms, seconds: float) -> bytes:
        with tempfile.TemporaryDirectory(prefix="compile-", dir=self._directory) as folder:
            source, output = Path(folder, "module.wasm"), Path(folder, "module.cwasm")
            await asyncio.to_thread(source.write_bytes, wasm)
            child.bound_cpu(seconds)
            job = {
                "source": str(source),
                "output": str(output),
                "forms": [[(begin, end, content.hex()) for begin, end, content in edits] for edits in forms],
                "fuel": profile.fuel,
                "deterministic": profile.deterministic,
                "components": profile.components,
            }
            try:
                answer = await asyncio.wait_for(child.ask(job), seconds)
            except TimeoutError:
                child.kill()
                raise InvalidModule(
                    f"native compilation was stopped after {seconds:g} s (wasm.compile_time);"
                    " the module is too large or made to be slow to compile"
                ) from None
            if answer is None:
                child.kill()
                raise InvalidModule(
                    f"native compilation ran out of memory or time ({self._memory >> 20} MiB, {seconds:g} s:"
                    " wasm.compile_memory, wasm.compile_time); the module is too large or made to be so"
                )
            if answer["error"] is not None:
                raise InvalidModule(_first_lines(answer["error"]))
            return await asyncio.to_thread(output.read_bytes)

    async def close(self) -> None:
        """End the child processes."""
        while self._idle:
            await self._idle.pop().close()


def _first_lines(message: str) -> str:
    """Fold the engine's chain of causes into one line."""
    lines = [line.strip() for line in message.splitlines()]
    kept = [line.lstrip("0123456789: ") for line in lines if line and line != "Caused by:"]
    return ": ".join(kept[:3])


class _Child:
    """One compiler process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._killed = False
        self.jobs = 0

    @classmethod
    async def start(cls, memory: int) -> _Child:
        environment = {"PYTHONPATH": _SEARCH_PATH}
        if "LD_LIBRARY_PATH" in os.environ:  # some builds of Python need it to start
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "echelon.runtime.compile_child",
            str(memory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._killed

    def bound_cpu(self, seconds: float) -> None:
        """Let the child use `seconds` more of every core; the kernel kills it beyond that."""
        if not hasattr(resource, "prlimit"):
            return
        with contextlib.suppress(ProcessLookupError, OSError):
            used = _cpu_seconds(self._process.pid)
            limit = int(used + seconds * (os.cpu_count() or 1)) + 1
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))

    async def ask(self, job: dict[str, object]) -> dict[str, str | None] | None:
        """Send one job and return the answer, None when the child died."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return None
        try:
            stdin.write(json.dumps(job).encode() + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            return None
        answer: dict[str, str | None] | None = json.loads(line) if line.endswith(b"\n") else None
        return answer

    def kill(self) -> None:
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        self.kill()
        await self._process.wait()
        transport = getattr(self._process, "_transport", None)  # asyncio leaves its pipes open otherwise
        if transport is not None:
            transport.close()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
