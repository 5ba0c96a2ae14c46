"""Run a program that is not trusted with what it reads, and end it when it takes more than it may."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import echelon
from echelon.errors import EchelonError
from echelon.plugin.sandbox import confine

Isolation = Literal["required", "available"]
"""Whether a compile without the protections of `REQUIRED` is refused, or made with what there is."""

REQUIRED: Final = (confine.NO_NEW_PRIVILEGES, confine.FILES, confine.SYSTEM_CALLS)
"""Without these a compiler could read the machine's files, or reach its network."""

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom")
LIBRARIES: Final = (
    "/lib",
    "/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/etc/ld.so.cache",
)
"""What a dynamically linked program needs to start."""

CONFINERS: Final = 3
"""Processes that start and confine the program, and wait for it; they count as well."""

_ROOT: Final = str(Path(echelon.__file__).parent.parent)
_LAUNCH_SECONDS: Final = 20.0
_TICK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 1.0
_BURIALS: Final = 100
_BURIAL_SECONDS: Final = 0.005
_MAX_STATUS: Final = 64 << 10
_CHUNK: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a process may reach and use. Sizes are bytes.

    `read` may be read and executed, and nothing else but `folder`, its working folder, which it may change.
    `seconds` bounds the wall time, and twice that on each processor its processor time; infinite for a process that
    stays, whose owner watches it. `memory` bounds the sum of
    all its processes, `disk` what lies in its folder, `output` what it prints. With `processes` of 1 it has threads
    but no children.
    """

    folder: Path
    read: Sequence[str | Path] = ()
    write: Sequence[str | Path] = ()
    seconds: float = 30.0
    memory: int = 2 << 30
    disk: int = 256 << 20
    output: int = 1 << 20
    processes: int = 1
    isolation: Isolation = "required"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a process ended: `stopped` says which limit ended it, "" when it ended by itself."""

    status: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    stopped: str = ""


class SandboxError(EchelonError):
    """A process could not be confined or started; it did not run."""


def launch_plan(argv: Sequence[str], confinement: Confinement, env: Mapping[str, str]) -> str:
    """Return what `confine.py` is told."""
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": confinement.memory,
        "RLIMIT_FSIZE": confinement.disk,
        "RLIMIT_NOFILE": 1024,
    }
    if math.isfinite(confinement.seconds):
        limits["RLIMIT_CPU"] = max(1, int(confinement.seconds * 2 * (os.cpu_count() or 1)))
    if confinement.processes > 1:
        limits["RLIMIT_NPROC"] = confinement.processes + CONFINERS
    required = REQUIRED if confinement.isolation == "required" else ()
    return json.dumps(
        {
            "argv": list(argv),
            "env": dict(env),
            "directory": str(confinement.folder),
            "read": [*map(str, confinement.read)],
            "write": [str(confinement.folder), *map(str, confinement.write), *DEVICES],
            "limits": limits,
            "processes": confinement.processes > 1,
            "required": required,
        }
    )


def launcher(plan: str, status: int) -> tuple[list[str], dict[str, str]]:
    """Return command line and environment of the process that confines itself."""
    environment = {"PYTHONPATH": _ROOT, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if "LD_LIBRARY_PATH" in os.environ:  # some builds of Python need it to start
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return [sys.executable, "-S", "-s", "-m", confine.__name__, plan, str(status)], environment


async def start(
    argv: Sequence[str], confinement: Confinement, env: Mapping[str, str], *, line: int = 1 << 16
) -> asyncio.subprocess.Process:
    """Start a confined process with pipes on its standard streams; `argv[0]` is an absolute path.

    It leads a group of its own: `kill()` ends all of it. Raises SandboxError when it cannot be confined or started.
    """
    reading, writing = os.pipe()
    command, environment = launcher(launch_plan(argv, confinement, env), writing)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            pass_fds=(writing,),
            start_new_session=True,  # Ctrl-C reaches the application alone
            limit=line,
        )
    except OSError as exc:
        os.close(reading)
        raise SandboxError(f"{command[0]}: cannot start: {exc.strerror}") from exc
    finally:
        os.close(writing)
    try:
        problem = await asyncio.wait_for(_read_status(reading), _LAUNCH_SECONDS)
    except BaseException as exc:
        await kill(process)
        if isinstance(exc, TimeoutError):
            raise SandboxError(f"{argv[0]}: it could not be started in {_LAUNCH_SECONDS:.0f} s") from None
        raise
    if problem:
        await kill(process)
        raise SandboxError(f"{argv[0]}: it was not run: {problem}")
    return process


async def _read_status(descriptor: int) -> str:
    """Wait until the other end is closed; returns what was written there."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        return (await reader.read(_MAX_STATUS)).decode("utf-8", "replace")
    finally:
        transport.close()


async def kill(process: asyncio.subprocess.Process) -> None:
    """End a process with all that it started, and wait until it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport: Any = getattr(process, "_transport", None)
    for stream in (0, 1, 2):
        pipe = transport.get_pipe_transport(stream)
        if pipe is not None:
            pipe.close()  # asyncio waits until each is read to its end otherwise
    await process.wait()
    transport.close()
    for _ in range(_BURIALS):
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        await asyncio.sleep(_BURIAL_SECONDS)  # what it started is dead, but perhaps not buried yet


async def run(
    argv: Sequence[str], confinement: Confinement, env: Mapping[str, str], stdin: bytes = b""
) -> Finished:
    """Run a program to its end, or to the end of what it may use; raises SandboxError when it cannot start."""
    process = await start(argv, confinement, env)
    outputs = (bytearray(), bytearray())
    reading = [
        asyncio.create_task(_collect(process.stdout, outputs[0], confinement.output)),
        asyncio.create_task(_collect(process.stderr, outputs[1], confinement.output)),
    ]
    feeding = asyncio.create_task(_feed(process.stdin, stdin))
    try:
        stopped = await _watch(process, confinement, reading)
        if not stopped:
            await asyncio.wait((asyncio.create_task(process.wait()),), timeout=_GRACE_SECONDS)
    finally:
        await kill(process)
        for task in (*reading, feeding):
            task.cancel()
        await asyncio.gather(*reading, feeding, return_exceptions=True)
    status = process.returncode if process.returncode is not None else -signal.SIGKILL
    return Finished(status, bytes(outputs[0]), bytes(outputs[1]), stopped)


async def _collect(stream: asyncio.StreamReader | None, into: bytearray, limit: int) -> bool:
    """Read all that is printed; returns True when that is more than the limit."""
    if stream is None:
        return False
    while chunk := await stream.read(_CHUNK):
        into += chunk[: limit - len(into)]
        if len(into) >= limit:
            return True
    return False


async def _feed(stream: asyncio.StreamWriter | None, content: bytes) -> None:
    if stream is None:
        return
    with suppress(ConnectionError):  # it does not want it
        stream.write(content)
        await stream.drain()
    stream.close()
    with suppress(ConnectionError):
        await stream.wait_closed()


async def _watch(
    process: asyncio.subprocess.Process, allowed: Confinement, reading: Sequence[asyncio.Task[bool]]
) -> str:
    """Wait until the program has closed its streams; returns which limit it passed, if any.

    Where it has ended, and another process still holds its streams, they are read for a little longer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + allowed.seconds
    ended = math.inf
    pending: set[asyncio.Task[bool]] = set(reading)
    tick = 0.01  # most programs are done soon; those that are not are looked at less often
    while pending:
        now = loop.time()
        if process.returncode is not None:
            ended = min(ended, now)
        if now >= ended + _GRACE_SECONDS:
            break
        left = deadline - now
        if left <= 0:
            return f"it took longer than {allowed.seconds:g} s"
        done, pending = await asyncio.wait(
            pending, timeout=min(tick, left), return_when=asyncio.FIRST_COMPLETED
        )
        if any(task.result() for task in done):
            return f"it printed more than {allowed.output} bytes"
        if not done:
            tick = min(tick * 2, _TICK_SECONDS)
            count, memory = measure(process.pid)
            if count > allowed.processes + CONFINERS:  # the kernel's own limit does not hold for root
                return f"it started more than {allowed.processes} processes"
            if memory > allowed.memory:
                return f"it needed more than {allowed.memory >> 20} MiB of memory"
            if occupied(allowed.folder, allowed.disk) > allowed.disk:
                return f"it wrote more than {allowed.disk >> 20} MiB of files"
    return ""


def program(pid: int) -> int:
    """Return the process that runs the program, below those that confine it."""
    for _ in range(CONFINERS):
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_bytes().split()
            if (
                len(children) != 1
                or confine.__name__.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            ):
                break
        except OSError:
            break
        pid = int(children[0])
    return pid


def measure(group: int) -> tuple[int, int]:
    """Return how many processes a group has, and their resident bytes; zeroes where the system does not tell."""
    count = total = 0
    with suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                    if int(fields[2]) == group:
                        count += 1
                        total += int(fields[21])
    return count, total * os.sysconf("SC_PAGE_SIZE")


def occupied(folder: Path, limit: int, most: int = 20_000) -> int:
    """Return the bytes of all files below a folder; more than the limit as soon as that, or too many, is certain."""
    total = seen = 0
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_size
                if total > limit or seen > most:
                    return limit + 1
    return total


@cache
def protections() -> dict[str, str]:
    """Return every protection, and why it is not active here ("" when it is); starts a process the first time."""
    everything = (confine.NAMESPACES, confine.NO_NEW_PRIVILEGES, confine.FILES, confine.SYSTEM_CALLS)
    if sys.platform != "linux":
        return dict.fromkeys(everything, f"not known for {sys.platform}")
    reading, writing = os.pipe()
    command, environment = launcher(confine.PROBE, writing)
    try:
        with os.fdopen(reading, "rb") as answer:
            try:
                subprocess.run(
                    command,
                    env=environment,
                    pass_fds=(writing,),
                    check=False,
                    timeout=_LAUNCH_SECONDS,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            finally:
                os.close(writing)
            return {str(name): str(why) for name, why in json.loads(answer.read()).items()}
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        return dict.fromkeys(everything, f"{exc}")
