"""The numbers of several worker processes as one, through one small file for each of them.

A worker writes its own file, and reads those of the others when it is asked for the sum. Only what stands in
a file is ever reported, so a counter does not go down when the worker that held it is killed. The files are
those of one *boot*, one run of a server: of the workers that the same `multiprocessing` parent started. What
a dead worker of this boot counted is folded into the file of totals; files of an earlier boot are deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from echelon.telemetry.metrics import Series, total
from echelon.telemetry.names import REGISTRY

INTERVAL = 1.0
"""Seconds between two looks at whether the numbers changed."""
FOREIGN_AGE = 86_400.0
"""Seconds after which a file is dropped whose process cannot be seen from here, such as another host's."""
REFRESH = 3600.0
"""Seconds after which a file is written again although nothing changed, so that it never looks that old."""
MAX_FILE = 64 << 20

_log = logging.getLogger("echelon.telemetry")


class Process(msgspec.Struct, frozen=True):
    """A process that can be recognised: its number alone may be given to another one."""

    host: str
    kernel: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        kernel = ""
        with contextlib.suppress(OSError):
            kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        return cls(socket.gethostname(), kernel, pid, _started(pid) or "")

    def alive(self) -> bool | None:
        """Tell whether it still runs, None when that cannot be known from here."""
        here = Process.of(os.getpid())
        if self.host != here.host:
            return None
        return self.kernel == here.kernel and _started(self.pid) == self.started

    def name(self) -> str:
        return re.sub(r"[^A-Za-z0-9-]", "_", f"{self.host}-{self.kernel}-{self.pid}-{self.started}")


class Snapshot(msgspec.Struct):
    """What one file holds; `folded` are the workers whose numbers are part of these totals."""

    boot: Process
    worker: Process
    closed: bool = False
    folded: list[str] = []
    series: list[Series] = []


_DECODER = msgspec.json.Decoder(Snapshot)


class Shared:
    """This worker's file, and the sum of all."""

    def __init__(self, folder: Path, collect: Callable[[], list[Series]]) -> None:
        self._collect = collect
        self._folder = folder
        self._worker = Process.of(os.getpid())
        parent = multiprocessing.parent_process()
        self._boot = Process.of(parent.pid) if parent is not None and parent.pid else self._worker
        self._id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._file = folder / f"{self._boot.name()}.{self._id}.json"
        self._totals = folder / f"{self._boot.name()}.totals.json"
        self._written = b""
        self._written_at = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tidy()
        self._write()
        self._thread = threading.Thread(target=self._run, name="echelon-metrics", daemon=True)
        self._thread.start()

    def collect(self) -> list[Series]:
        """Write this worker's numbers and return the sum over all workers."""
        try:
            mine = self._write()
        except OSError as exc:
            _log.warning("the metrics of this worker cannot be written to %s: %s", self._file, exc.strerror)
            mine = self._collect()
        return total([*mine, *self._others()])

    def close(self) -> None:
        """Write the last numbers and stop; the file stays, for the workers that go on."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(INTERVAL)
        try:
            self._write(closed=True)
        except OSError as exc:
            _log.warning("the last metrics of this worker are lost: %s", exc)

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(INTERVAL):
            try:
                self._write()
                failing = False
            except OSError as exc:
                if not failing:  # say it once, not every second
                    _log.warning("metrics cannot be written to %s: %s", self._folder, exc.strerror)
                failing = True

    def _write(self, closed: bool = False) -> list[Series]:
        with self._lock:
            series = self._collect()
            data = msgspec.json.encode(Snapshot(self._boot, self._worker, closed, [], series))
            now = time.monotonic()
            if data != self._written or now - self._written_at > REFRESH:
                _replace(self._file, data)
                self._written, self._written_at = data, now
            return series

    def _others(self) -> list[Series]:
        """Return the numbers of the other workers of this boot, and of those that are gone."""
        for _ in range(10):
            before = _version(self._totals)
            found = self._read_others()
            if _version(self._totals) == before:
                break  # nobody folded a file into the totals while we were reading both
        return found

    def _read_others(self) -> list[Series]:
        totals = _read(self._totals)
        folded = set(totals.folded) if totals else set()
        found = list(totals.series) if totals else []
        for file in self._folder.glob(f"{self._boot.name()}.*.json"):
            if file in (self._file, self._totals) or file.name in folded:
                continue
            snapshot = _read(file)
            if snapshot is not None:
                gone = snapshot.closed or snapshot.worker.alive() is False
                found += _without_gauges(snapshot.series) if gone else snapshot.series
        return found

    def _tidy(self) -> None:
        """Fold the dead workers of this boot into its totals and delete what other boots left behind."""
        with _exclusive(self._folder / "lock") as mine:
            if not mine:
                return  # another worker is doing it
            for file in self._folder.glob("*.tmp"):
                _drop_old(file)
            dead: list[tuple[Path, Snapshot]] = []
            for file in self._folder.glob("*.json"):
                snapshot = _read(file)
                if snapshot is None:
                    continue
                if snapshot.boot != self._boot:
                    _drop_foreign(file, snapshot)
                elif file != self._totals and (snapshot.closed or snapshot.worker.alive() is False):
                    dead.append((file, snapshot))
            if dead:
                self._fold(dead)

    def _fold(self, dead: list[tuple[Path, Snapshot]]) -> None:
        totals = _read(self._totals) or Snapshot(self._boot, self._boot)
        # A name that is listed already was folded before a crash kept its file from being deleted.
        fresh = [snapshot for file, snapshot in dead if file.name not in totals.folded]
        parts = [series for snapshot in fresh for series in _without_gauges(snapshot.series)]
        names = [file.name for file, _ in dead]
        series = total([*totals.series, *parts])
        _replace(self._totals, msgspec.json.encode(Snapshot(self._boot, self._boot, True, names, series)))
        for file, _ in dead:
            file.unlink(missing_ok=True)


def _without_gauges(series: list[Series]) -> list[Series]:
    return [one for one in series if one.name in REGISTRY and REGISTRY[one.name].kind != "gauge"]


def _drop_foreign(file: Path, snapshot: Snapshot) -> None:
    if snapshot.boot.alive() is False and snapshot.worker.alive() is False:
        file.unlink(missing_ok=True)
    else:
        _drop_old(file)


def _drop_old(file: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - file.stat().st_mtime > FOREIGN_AGE:
            file.unlink(missing_ok=True)


def _read(file: Path) -> Snapshot | None:
    try:
        if file.stat().st_size > MAX_FILE:
            raise ValueError(f"more than {MAX_FILE} bytes")
        return _DECODER.decode(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:  # msgspec's errors are ValueErrors
        _log.warning("metrics in %s are left out: %s", file, exc)
        return None


def _replace(file: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    temporary = file.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.replace(file)


def _version(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


@contextlib.contextmanager
def _exclusive(file: Path) -> Iterator[bool]:
    """Hold a lock between processes; gives False at once when another one holds it."""
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _started(pid: int) -> str | None:
    """Return when a process began, None when there is none; empty where the system does not tell."""
    try:
        # The second field is the program's name in parentheses, which may itself hold spaces.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it runs, as another user
    return ""
