"""Backup, check and statistics of a SQLite file: in a thread, on a connection of their own."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

import apsw

from echelon.errors import KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.codec import format_stamp
from echelon.kv.maintenance import MAX_FAULTS, Progress, Stats, find_faults_of_entry
from echelon.kv.sqlite_file import MEMORY, storage_error
from echelon.kv.sqlite_layout import Execute, Layout

T = TypeVar("T")

_STEP_PAGES: Final = 256
_STEPS_BETWEEN_LOOKS: Final = 10_000
"""Of SQLite's machine, between two looks whether to stop."""


class Maintenance:
    """See Maintained. `memory` is the connection of a store without a file."""

    def __init__(self, path: str, layout: Layout, memory: apsw.Connection) -> None:
        self._path = path
        self._layout = layout
        self._memory = memory

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None) -> None:
        """See Maintained."""
        target = _check_target(path)
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            if progress is not None:
                loop.call_soon_threadsafe(progress, done, total)

        await self._run(lambda source, stopped: _copy(source, target, tell, stopped))

    async def check(self) -> list[str]:
        """See Maintained."""
        return await self._run(lambda source, stopped: _check(source, self._layout, stopped))

    async def stats(self) -> Stats:
        """See Maintained."""
        return await self._run(lambda source, stopped: self._count(source))

    async def _run(self, work: Callable[[apsw.Connection, Event], T]) -> T:
        """Call `work` with a connection; cancelling sets its event, and waits until it has ended."""
        stopped = Event()
        if self._path == MEMORY:
            return self._guard(lambda: work(self._memory, stopped))
        working = asyncio.ensure_future(asyncio.to_thread(self._with_connection, work, stopped))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            stopped.set()
            await asyncio.wait([working])
            working.exception()  # it was interrupted, of course
            raise

    def _with_connection(self, work: Callable[[apsw.Connection, Event], T], stopped: Event) -> T:
        def work_in_snapshot() -> T:
            source = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                source.execute("pragma trusted_schema = off; pragma query_only = on")
                source.set_busy_timeout(int(limits.MAX_LOCK_SECONDS * 1000))
                source.set_progress_handler(stopped.is_set, _STEPS_BETWEEN_LOOKS)
                source.execute("begin; select 1 from sqlite_schema").fetchall()
                return work(source, stopped)
            finally:
                source.close()

        return self._guard(work_in_snapshot)

    def _guard(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except apsw.Error as exc:
            raise storage_error(exc, self._path) from exc

    def _count(self, source: apsw.Connection) -> Stats:
        now = int(time.time() * 1000)
        execute: Execute = source.execute
        entries, expired, size = execute(self._layout.count_entries, (now,)).fetchall()[0]
        messages, due, leased = execute(self._layout.count_messages, (now,)).fetchall()[0]
        (version,) = execute(self._layout.read_version).fetchall()[0]
        return Stats(
            entries=entries,
            expired=expired,
            bytes=size,
            messages=messages,
            due=due,
            leased=leased,
            versionstamp=format_stamp(version),
            file_bytes=_size(self._path),
            log_bytes=_size(self._path + "-wal"),
        )


def _size(path: str) -> int | None:
    with suppress(OSError):
        return os.stat(path).st_size
    return None


def _check_target(path: str | os.PathLike[str]) -> Path:
    target = Path(os.path.abspath(os.fspath(path)))
    if os.path.lexists(target):
        raise _exists(target)
    return target


def _exists(target: Path) -> KvUsageError:
    return KvUsageError(f"{target}: exists already; choose another path for the backup")


def _copy(source: apsw.Connection, target: Path, tell: Progress, stopped: Event) -> None:
    """Copy to a file beside `target`, which appears there whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
        try:
            _copy_pages(source, name, tell, stopped)
            os.fsync(handle)
            if not stopped.is_set():
                _give_name(name, target)
        finally:
            os.close(handle)
            with suppress(FileNotFoundError):
                os.unlink(name)
    except FileExistsError as exc:
        raise _exists(target) from exc
    except OSError as exc:
        raise KvStorageError(f"{target}: the backup cannot be written: {exc.strerror}") from exc
    except apsw.Error as exc:
        raise storage_error(exc, str(target)) from exc


def _copy_pages(source: apsw.Connection, name: str, tell: Progress, stopped: Event) -> None:
    copy = apsw.Connection(name)
    try:
        copy.execute(
            "pragma synchronous = off"
        ).fetchall()  # it is synced as a whole before it is given its name
        page = int(source.pragma("page_size"))
        with copy.backup("main", source, "main") as backup:
            while not backup.done and not stopped.is_set():
                backup.step(_STEP_PAGES)
                tell((backup.page_count - backup.remaining) * page, backup.page_count * page)
    finally:
        copy.close()


def _give_name(name: str, target: Path) -> None:
    """Name a file, for good, but never over another one that came meanwhile."""
    try:
        os.link(name, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(name, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check(source: apsw.Connection, layout: Layout, stopped: Event) -> list[str]:
    """Return what is wrong with the file, with the entries in it, and with its queue."""
    found: list[str] = []
    for fault in _find_faults(source, layout):
        found.append(fault)
        if stopped.is_set():
            break
        if len(found) == MAX_FAULTS:
            found.append("there may be more")
            break
    return found


def _find_faults(source: apsw.Connection, layout: Layout) -> Iterator[str]:
    sound = True
    for (verdict,) in source.execute(f"pragma integrity_check({MAX_FAULTS})").fetchall():
        if verdict != "ok":
            sound = False
            yield f"the file is damaged: {verdict}"
    if not sound:  # reading on would find the same again, entry by entry
        return
    execute: Execute = source.cursor().execute
    (newest,) = execute(layout.read_version).fetchall()[0]
    for key, value, encoding, version in execute(layout.scan):
        yield from find_faults_of_entry(key, value, encoding)
        if not 0 < version <= newest:
            yield f"the entry {key.hex()[:80]} has version {version}, the last commit has {newest}"
    yield from layout.find_faults_of_queue(execute)
