"""Servers in processes of their own, and the load generator: each on a core of its own, one server awake at a time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from benchmarks.row import CannotRun

ITEM: Final = {"id": 42, "name": "Ada", "tags": ["first", "second"], "active": True}
PATH: Final = "/items/42"
CONNECTIONS: Final = 64

_ROOT = Path(__file__).resolve().parents[1]
_START_TIME, _STOP_TIME = 30.0, 5.0
_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^\s*(50|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_FAILED = re.compile(r"^\s*(Non-2xx.*|Socket errors.*)$", re.MULTILINE)
_GROUP, _USER, _SYSTEM = 2, 11, 12  # proc(5), counted from the field behind the name
_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6}

Command = Callable[[int], list[str]]
"""From a port to the arguments of Python that start a server there."""


def echelon(target: str) -> Command:
    """Return the command for Echelon's own server, which a bare RSGI application can use, too."""
    return lambda port: ["-m", "benchmarks.apps.serve", target, str(port)]


def uvicorn(target: str) -> Command:
    """Return the command for uvicorn with its C parts."""
    return lambda port: [
        "-m", "uvicorn", target, "--port", str(port), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip


def granian(target: str) -> Command:
    """Return the command for Granian as an ASGI server."""
    return lambda port: [
        "-m", "granian", target, "--port", str(port), "--interface", "asgi", "--loop", "uvloop",
        "--http", "1", "--no-ws", "--workers", "1", "--log-level", "warning",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """What one load did: requests a second, percentiles of the latency in microseconds, the server's share of its core.

    `full_rate` is the rate that the server would have had with a core of its own. The core is always busy under this
    load, so on a quiet machine the share is all but 1; what is missing went to other programs.
    """

    rate: float
    latency: tuple[tuple[int, float], ...]
    share: float = 1.0

    @property
    def full_rate(self) -> float:
        return self.rate / self.share


class Server:
    """One running server, paused but for the time it is measured."""

    def __init__(self, name: str, command: Command, core: int, home: Path) -> None:
        self.name = name
        self._port = free_port()
        self._log: IO[bytes] = tempfile.TemporaryFile(dir=home)  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, *command(self._port)],
            cwd=home,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{PATH}"

    def wait(self) -> None:
        """Wait until it gives the right answer, then pause it; raises CannotRun."""
        deadline = time.monotonic() + _START_TIME
        while True:
            try:
                with urllib.request.urlopen(self.url, timeout=2) as answer:
                    found = json.load(answer)
                break
            except urllib.error.HTTPError as exc:
                exc.close()
                raise CannotRun(f"{self.name} answers {exc.code}: {self._said()}") from None
            except (OSError, ValueError):
                if self._process.poll() is not None:
                    raise CannotRun(f"{self.name} did not start: {self._said()}") from None
                if time.monotonic() > deadline:
                    raise CannotRun(f"{self.name} does not answer after {_START_TIME:g} s") from None
                time.sleep(0.05)
        if found != ITEM:
            raise CannotRun(f"{self.name} answers {found!r:.80}, not {ITEM}")
        self._signal(signal.SIGSTOP)

    def measure(self, seconds: int, core: int) -> Load:
        """Load it for some seconds."""
        self._signal(signal.SIGCONT)
        began, used = time.perf_counter(), self._processor_time()
        try:
            load = wrk(self.url, seconds, core, self.name)
            share = (self._processor_time() - used) / (time.perf_counter() - began)
        finally:
            self._signal(signal.SIGSTOP)
        if share <= 0:
            raise CannotRun(f"{self.name}: its processes have ended: {self._said()}")
        return replace(load, share=share)

    def _processor_time(self) -> float:
        """Return the seconds of processor time that its processes have used."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # ended meanwhile
                continue
            if int(fields[_GROUP]) == self._process.pid:
                ticks += int(fields[_USER]) + int(fields[_SYSTEM])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it and its workers."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIME)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _said(self) -> str:
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing"


def wrk(url: str, seconds: int, core: int, name: str) -> Load:
    """Run the load generator; raises CannotRun for an answer that is no success."""
    done = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url],
        capture_output=True, text=True, timeout=seconds + 30, check=False,
    )  # fmt: skip
    return read_wrk(done.stdout, done.returncode, name)


def read_wrk(text: str, status: int, name: str) -> Load:
    """Read what wrk printed."""
    rate, failed = _RATE.search(text), _FAILED.search(text)
    if status or rate is None or failed:
        raise CannotRun(f"{name}: wrk says {failed[1] if failed else text.strip()[-200:]}")
    latency = tuple((int(p), float(n) * _MICROSECONDS[unit]) for p, n, unit in _LATENCY.findall(text))
    return Load(float(rate[1]), latency)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cores() -> tuple[int, int]:
    """Return a core for the servers and one for the load generator; raises CannotRun when there is only one."""
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise CannotRun(f"{tool} is not installed: run benchmarks/setup")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise CannotRun("two processor cores are needed, one for the server and one for the load")
    return allowed[0], allowed[1]


@contextlib.contextmanager
def running(commands: Sequence[tuple[str, Command]]) -> Iterator[Mapping[str, Server]]:
    """Start servers one after another, each paused once it answers, and stop them all at the end."""
    core, _ = cores()
    with tempfile.TemporaryDirectory(prefix="echelon-bench-") as folder, contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, command in commands:
            home = Path(folder, str(len(servers)))
            home.mkdir()
            servers[name] = Server(name, command, core, home)
            stack.callback(servers[name].stop)
            servers[name].wait()
        yield MappingProxyType(servers)
