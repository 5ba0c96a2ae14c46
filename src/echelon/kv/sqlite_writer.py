"""The one thread that writes: commits that wait together share a transaction, and so one fsync."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple

import apsw

from echelon.errors import KvClosed, KvUsageError
from echelon.kv import limits
from echelon.kv.sqlite_commit import Applier, Operation, Outcome
from echelon.kv.sqlite_file import Connections, storage_error

_log = logging.getLogger("echelon.kv")

_SHARED_SECONDS: Final = 1.0


class _Job(NamedTuple):
    operation: Operation | None  # None folds the write-ahead log into the file
    future: asyncio.Future[Any]


class Writer:
    """Takes operations from one event loop and answers each when the disk has it.

    While `idle`, the thread leaves the writing connection alone, so that the event loop may use it itself.
    """

    def __init__(
        self, connections: Connections, applier: Applier, notify: Callable[[], None], breather: float
    ) -> None:
        """`notify` is called on the event loop when something may have changed.

        `breather` is for how many seconds the file is left to other writers, if there are any, after each group.
        """
        self._notify = notify
        self._breather = breather
        self._data_version = 0
        self._shared_until = 0.0
        self._connections = connections
        self._applier = applier
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._pending = 0
        self._wal_pages = 0
        self._closed: asyncio.Future[None] | None = None
        connections.writer.set_wal_hook(self._note_wal)
        self._thread = Thread(target=self._run, name="echelon-kv-writer", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting and the thread is at rest."""
        return self._pending == 0

    @property
    def wal_is_long(self) -> bool:
        """Whether the write-ahead log should be folded into the file."""
        return self._wal_pages >= limits.MAX_WAL_PAGES

    def submit(self, operation: Operation | None) -> asyncio.Future[Any]:
        """Queue an operation; cancelling the future does not cancel the operation."""
        if self._closed is not None:
            raise KvClosed("the store was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise KvUsageError("a store is used from the event loop that opened it; open another one here")
        future = self._loop.create_future()
        self._pending += 1
        self._jobs.put(_Job(operation, future))
        return future

    async def close(self) -> None:
        """Finish what waits, close the connections, end the thread."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._jobs.put(None)
        await asyncio.shield(self._closed)

    def _run(self) -> None:
        while group := self._gather():
            operations = [job.operation for job in group if job.operation is not None]
            try:
                outcomes: Sequence[Outcome] = self._apply(operations)
            except Exception as exc:  # whatever it was, nobody may wait for ever
                outcomes = [exc] * len(operations)
            has_more = self.wal_is_long or bool(self._breather)
            if not self._post(self._deliver, group, outcomes, has_more):
                break
            if has_more:
                self._tidy()
                self._post(self._rest)
        try:
            self._connections.close()
        except apsw.Error as exc:  # every commit is in the log already; the next to open the file folds it
            _log.warning("closing: %s", storage_error(exc, self._connections.path))
        self._post(self._finish)

    def _gather(self) -> list[_Job]:
        """Wait for work and return all of it that fits one transaction; an empty list ends the thread."""
        job = self._jobs.get()
        group: list[_Job] = []
        size = 0
        while job is not None:
            group.append(job)
            if job.operation is None:
                return group
            size += job.operation.size
            if len(group) >= limits.MAX_GROUP_COMMITS or size >= limits.MAX_GROUP_BYTES:
                return group
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return group
        if group:
            self._jobs.put(None)  # the store is closing: serve these first, then see the end again
        return group

    def _apply(self, operations: list[Operation]) -> list[Outcome]:
        if not operations:
            return []
        try:
            return self._applier.apply(operations)
        except apsw.BusyError as exc:
            return [storage_error(exc, self._connections.path) for _ in operations]

    def _tidy(self) -> None:
        """Do what nobody waits for."""
        if self.wal_is_long:
            self._checkpoint()
        if self._breather and self._is_shared() and not self._jobs.empty():
            time.sleep(self._breather)

    def _is_shared(self) -> bool:
        """Return whether somebody else wrote to the file a moment ago."""
        try:
            version = self._connections.writer.pragma("data_version")
        except apsw.Error:  # the next group meets the error too, and has somebody to tell
            return False
        now = time.monotonic()
        if version != self._data_version:
            self._data_version = version
            self._shared_until = now + _SHARED_SECONDS
        return now < self._shared_until

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        self._wal_pages = 0
        try:
            self._connections.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            pass  # another process is at it
        except apsw.Error as exc:
            _log.warning("the write-ahead log grows: %s", storage_error(exc, self._connections.path))

    def _post(self, call: Any, *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the event loop ended without closing the store; what was written stays written
            return False
        return True

    def _deliver(self, group: list[_Job], outcomes: Sequence[Outcome], has_more: bool) -> None:
        self._pending -= len(group) - has_more  # one stands for what the thread does beside them
        self._notify()
        answers = iter(outcomes)
        for operation, future in group:
            outcome = None if operation is None else next(answers)
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _rest(self) -> None:
        self._pending -= 1

    def _finish(self) -> None:
        self._thread.join()
        if self._closed is not None:
            with contextlib.suppress(asyncio.InvalidStateError):
                self._closed.set_result(None)
