"""The connections that read: what waits for one is read together.

A get that comes while all of them are busy, or in the same turn of the event loop as others, shares a statement
with these: a hundred at once cost a few ways to the server and back, not a hundred.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from echelon.errors import KvClosed, KvUsageError
from echelon.kv.postgres_line import Call, Line, Server, T
from echelon.kv.postgres_schema import fill

_MAX_KEYS: Final = 500
"""How many keys one statement reads."""

_POINT: Final = "select key, value, encoding, version, expires - {now} from {s}.kv where key = $1 and {fresh}"
_POINTS: Final = """
select key, value, encoding, version, expires - {now} from {s}.kv where key = any($1::bytea[]) and {fresh}
"""

Row = Sequence[Any]
"""Key, value, encoding, version, and in how many milliseconds it expires or None."""


class _Job(NamedTuple):
    keys: Sequence[bytes]
    call: Call[Any] | None
    future: asyncio.Future[Any]


class Pool:
    """Some lines, each connected when there is work for it."""

    def __init__(self, server: Server, size: int) -> None:
        self._idle = [Line(server) for _ in range(size)]
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._point = fill(_POINT, server.address.schema)
        self._points = fill(_POINTS, server.address.schema)

    async def read_points(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """Return what is stored under `keys`, from one snapshot, and perhaps other entries too."""
        rows: dict[bytes, Row] = await self._submit(keys, None)
        return rows

    async def run(self, call: Call[T]) -> T:
        """Return what `call` returns for a connection of the pool; see Line.run. Cancelling does not stop it."""
        result: T = await self._submit((), call)
        return result

    def start(self, call: Call[T]) -> asyncio.Future[T]:
        """Do the same; return the future."""
        return self._submit((), call)

    async def close(self) -> None:
        """Finish what was accepted, then close the connections."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(line.close() for line in self._idle))

    def _submit(self, keys: Sequence[bytes], call: Call[Any] | None) -> asyncio.Future[Any]:
        if self._closed:
            raise KvClosed("the store was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise KvUsageError("a store is used from the event loop that opened it; open another one here")
        future = self._loop.create_future()
        self._jobs.append(_Job(keys, call, future))
        if self._idle:
            task = self._loop.create_task(self._serve(self._idle.pop()), name="echelon-kv-reader")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _serve(self, line: Line) -> None:
        try:
            while group := self._gather():
                try:
                    result = await line.run(group[0].call or self._read(group))
                except Exception as exc:  # whatever it was, nobody may wait for ever
                    for job in group:
                        if not job.future.done():
                            job.future.set_exception(exc)
                else:
                    for job in group:
                        if not job.future.done():
                            job.future.set_result(result)
        finally:
            self._idle.append(line)

    def _gather(self) -> list[_Job]:
        """Return the next job, with all point reads that wait directly behind if it is one."""
        group: list[_Job] = []
        amount = 0
        while self._jobs:
            job = self._jobs[0]
            if job.future.cancelled():
                self._jobs.popleft()
                continue
            if group and (job.call is not None or amount + len(job.keys) > _MAX_KEYS):
                break
            group.append(self._jobs.popleft())
            amount += len(job.keys)
            if job.call is not None:
                break
        return group

    def _read(self, group: list[_Job]) -> Call[dict[bytes, Row]]:
        keys = list({key for job in group for key in job.keys})

        async def read(connection: Any) -> dict[bytes, Row]:
            if len(keys) == 1:
                rows = await connection.fetch(self._point, keys[0])
            else:
                rows = await connection.fetch(self._points, keys)
            return {row[0]: row for row in rows}

        return read
