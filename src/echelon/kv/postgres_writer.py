"""Commits that wait together share a transaction, and so one way to the server and one sync of its disk."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import uuid4

import asyncpg

from echelon.errors import KvClosed, KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import Commit, CommitResult
from echelon.kv.postgres_errors import is_refusal
from echelon.kv.postgres_line import Line, Server
from echelon.kv.postgres_plan import Outcome, Plan, Snapshot, Stored, depends_on
from echelon.kv.postgres_schema import fill

_DOUBT: Final = "; it is not known whether the commit was applied: read before you write it again"

_PARAMETERS: Final = 34
_COMMIT: Final = "select {s}.commit_1(" + ", ".join(f"${n + 1}" for n in range(_PARAMETERS)) + ")"
_ENTRIES: Final = """
select key, version, encoding, case when key = any($2::bytea[]) then value end from {s}.kv
where key = any($1::bytea[]) and {fresh}
"""
_LEASES: Final = "select id, token from {s}.queue where id = any($1::bigint[]) and token is not null"


class _Job(NamedTuple):
    commit: Commit
    future: asyncio.Future[CommitResult]


class Writer:
    """Takes commits from one event loop and answers each when the server's disk has it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._line = Line(server)
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._id = uuid4()
        self._number = 0
        schema = server.address.schema
        self._commit_sql = fill(_COMMIT, schema)
        self._entries_sql = fill(_ENTRIES, schema)
        self._leases_sql = fill(_LEASES, schema)

    @property
    def line(self) -> Line:
        """The connection, to be used before anything is submitted."""
        return self._line

    def submit(self, commit: Commit) -> asyncio.Future[CommitResult]:
        """Queue a commit; cancelling the future does not cancel it."""
        if self._closed:
            raise KvClosed("the store was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise KvUsageError("a store is used from the event loop that opened it; open another one here")
        future: asyncio.Future[CommitResult] = self._loop.create_future()
        self._jobs.append(_Job(commit, future))
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name="echelon-kv-writer")
        return future

    async def close(self) -> None:
        """Finish what waits, then close the connection."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._line.close()

    async def _run(self) -> None:
        while group := self._gather():
            try:
                outcomes: Sequence[Outcome] = await self._apply([job.commit for job in group])
            except Exception as exc:  # whatever it was, nobody may wait for ever
                outcomes = [exc] * len(group)
            for job, outcome in zip(group, outcomes, strict=True):
                if job.future.done():
                    continue
                if isinstance(outcome, Exception):
                    job.future.set_exception(outcome)
                else:
                    job.future.set_result(outcome)
        self._task = None

    def _gather(self) -> list[_Job]:
        """Return all waiting commits that fit one transaction."""
        group: list[_Job] = []
        size = 0
        while self._jobs and len(group) < limits.MAX_GROUP_COMMITS and size < limits.MAX_GROUP_BYTES:
            group.append(self._jobs.popleft())
            size += group[-1].commit.size
        return group

    async def _apply(self, commits: Sequence[Commit]) -> list[Outcome]:
        """Return what became of each commit; what the server refuses fails only its commit."""
        try:
            return await self._commit(commits)
        except KvStorageError as exc:
            if len(commits) == 1 or not is_refusal(exc):
                return [exc] * len(commits)
        return [outcome for commit in commits for outcome in await self._apply([commit])]

    async def _commit(self, commits: Sequence[Commit]) -> list[Outcome]:
        clock = self._server.clock
        deadline = time.monotonic() + limits.MAX_LOCK_SECONDS
        snapshot: Snapshot | None = None
        plans: dict[int, Plan] = {}
        first = self._number + 1
        while True:
            plan = Plan(commits, snapshot, clock.now(), clock.shift)
            if snapshot is None and (plan.unsure or not plan.applied):
                snapshot = await self._look(commits)
                continue
            if not plan.applied:
                return plan.outcomes(0)
            self._number += 1
            plans[self._number] = plan
            answer = await self._call(first, plan)
            if answer is not None:
                base, number = answer
                return plans[number].outcomes(base)
            if time.monotonic() > deadline:
                raise KvStorageError(
                    f"{self._server.address.name}: others kept changing what the commit depends on for "
                    f"{limits.MAX_LOCK_SECONDS:.0f} s; nothing was written: try again"
                )
            snapshot = await self._look(commits)

    async def _call(self, first: int, plan: Plan) -> Any:
        arguments = (self._id, self._number, first, *plan.arguments())

        async def call(connection: asyncpg.Connection) -> Any:
            return await connection.fetchval(self._commit_sql, *arguments)

        return await self._line.run(call, _DOUBT)

    async def _look(self, commits: Sequence[Commit]) -> Snapshot:
        """Read what the commits depend on."""
        keys, valued, messages = depends_on(commits)

        async def look(connection: asyncpg.Connection) -> Snapshot:
            rows = await connection.fetch(self._entries_sql, keys, valued) if keys else []
            leases = await connection.fetch(self._leases_sql, messages) if messages else []
            return Snapshot({row[0]: Stored(*row[1:]) for row in rows}, {tuple(row) for row in leases})

        return await self._line.run(look)
