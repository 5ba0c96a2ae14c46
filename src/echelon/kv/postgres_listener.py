"""Hearing of other machines' commits: one connection that listens, and everybody's alarm clocks.

The connection holds a shared lock for what somebody waits for here. A commit that finds such a lock taken sends a
notification, any other one does not: PostgreSQL sends them one transaction after another, so they are not
free. Whoever waits also looks once a second by itself, in case a notification was lost.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

from echelon.kv.postgres_errors import FAILURES, storage_error
from echelon.kv.postgres_line import Server, close_connection
from echelon.kv.postgres_schema import Lock, channel, locks

POLL_SECONDS: Final = 1.0

_PING_SECONDS: Final = 30.0
_PING_TIMEOUT: Final = 10.0
_KINDS: Final = {"watch": Lock.WATCH, "queue": Lock.QUEUE}

_log = logging.getLogger("echelon.kv")


class Bell:
    """Wakes one task when something may have changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, or who will wait next."""
        self._event.set()

    def clear(self) -> None:
        """Forget rings before now: call it before looking."""
        self._event.clear()

    async def wait(self, seconds: float | None) -> None:
        """Return when it rings, after `seconds`, or when it is time to look anyway."""
        delay = POLL_SECONDS if seconds is None else min(max(seconds, 0.0), POLL_SECONDS)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay, self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()


class Listener:
    """Rings bells. The connection is made with the first bell and made again whenever it is lost."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._bells: dict[Lock, set[Bell]] = {kind: set() for kind in _KINDS.values()}
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._taken: set[Lock] = set()

    def add(self, kind: Lock) -> Bell:
        """Return a bell that rings after commits of a kind, and once when these are sure to be heard."""
        bell = Bell()
        self._bells[kind].add(bell)
        if kind not in self._taken:
            self._work.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="echelon-kv-listener")
        return bell

    def remove(self, kind: Lock, bell: Bell) -> None:
        """Let a bell go; the lock stays taken for a while, in case there is another one soon."""
        self._bells[kind].discard(bell)

    async def close(self) -> None:
        """Ring everything for the last time and close the connection."""
        self._ring(*self._bells)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _ring(self, *kinds: Lock) -> None:
        for kind in kinds:
            for bell in self._bells[kind]:
                bell.ring()

    async def _run(self) -> None:
        attempts = 0
        while not self._server.closing.is_set():
            connection: Any = None
            try:
                connection = await self._server.connect()
                await connection.add_listener(channel(self._server.address.schema), self._hear)
                connection.add_termination_listener(lambda _: self._work.set())
                attempts = 0
                await self._listen(connection)
            except FAILURES as exc:
                attempts += 1
                if attempts == 1:
                    _log.warning(
                        "commits of others are noticed late: %s", storage_error(exc, self._server.address)
                    )
            finally:
                self._taken.clear()
                if connection is not None:
                    await close_connection(connection)
            await self._server.pause(attempts)

    async def _listen(self, connection: Any) -> None:
        """Take and leave locks as bells come and go, until the connection is lost."""
        while not connection.is_closed():
            self._work.clear()
            for kind, bells in self._bells.items():
                if bells and kind not in self._taken:
                    # Waits for a commit that has not seen the lock; the next one will.
                    await self._call(connection, "lock_shared", kind)
                    self._taken.add(kind)
                    self._ring(kind)
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await self._work.wait()
            except TimeoutError:
                unused = [kind for kind in self._taken if not self._bells[kind]]
                for kind in unused:
                    self._taken.discard(kind)
                    await self._call(connection, "unlock_shared", kind)
                await connection.execute("select 1", timeout=_PING_TIMEOUT)

    async def _call(self, connection: Any, name: str, kind: Lock) -> None:
        number = locks(self._server.address.schema)
        await connection.execute(f"select pg_advisory_{name}({number}, {kind:d})")

    def _hear(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        with suppress(KeyError):
            self._ring(_KINDS[str(payload)])
