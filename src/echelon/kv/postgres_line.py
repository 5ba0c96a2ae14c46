"""Connections to PostgreSQL that are made again when they were lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncpg

from echelon.errors import KvUsageError
from echelon.kv import limits
from echelon.kv.postgres_errors import FAILURES, leaves_doubt, passes, storage_error
from echelon.kv.postgres_schema import fill
from echelon.kv.postgres_url import Address

T = TypeVar("T")
Call = Callable[[Any], Awaitable[T]]
"""Something to do with a connection, as often as it takes: it must bear being repeated after a loss."""

_log = logging.getLogger("echelon.kv")

_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 15.0
"""How much longer than any lock an answer may take before the connection counts as lost."""

_IDLE_SECONDS: Final = 30.0
"""A connection that rested longer is tried first: what lies between may have forgotten it without a word."""

_TRY_SECONDS: Final = 5.0
_MAX_PAUSE_SECONDS: Final = 1.0
_IGNORED_SKEW: Final = 250
_NOTABLE_SKEW: Final = 2000

# What a role or database may have set otherwise. Every statement is to find its rows by an index, also before
# the server has statistics, and once planned stays so; READ COMMITTED is what commits rely on. The server
# notices within a minute that this machine is gone.
_SESSION: Final = """
set search_path = pg_catalog;
set standard_conforming_strings = on;
set default_transaction_isolation = 'read committed';
set default_transaction_deferrable = off;
set lock_timeout = '{lock_milliseconds}ms';
set plan_cache_mode = force_generic_plan;
set jit = off;
set enable_seqscan = off;
set enable_bitmapscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set tcp_keepalives_idle = 30;
set tcp_keepalives_interval = 10;
set tcp_keepalives_count = 3;
"""
_DURABLE: Final = """
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';
"""
_CLOCK: Final = "select {now}"
_FAST: Final = "set synchronous_commit = off;"


class Clock:
    """Tells the server's time: that one counts, because several machines share the store."""

    def __init__(self) -> None:
        self.shift = 0
        """How many milliseconds the server's clock is ahead; 0 for what may be the network's doing."""

        self._warned = False

    def now(self) -> int:
        """Return the server's time in milliseconds since 1970."""
        return int(time.time() * 1000) + self.shift

    def compare(self, before: float, server: int, after: float) -> None:
        """Learn from what the server's clock showed between two moments of this machine's, in seconds."""
        skew = server - (before + after) * 500
        doubt = (after - before) * 500 + _IGNORED_SKEW
        self.shift = round(skew) if abs(skew) > doubt else 0
        if abs(self.shift) > _NOTABLE_SKEW and not self._warned:
            self._warned = True
            _log.warning("this machine's clock differs by %.1f s from the server's", self.shift / 1000)


class Server:
    """Makes connections to one server for one store."""

    def __init__(self, address: Address, *, durable: bool) -> None:
        self.address = address
        self.clock = Clock()
        self.reached = False
        self.closing = asyncio.Event()
        patience = int(limits.MAX_LOCK_SECONDS * 1000)
        self._session = _SESSION.format(lock_milliseconds=patience) + (_DURABLE if durable else _FAST)

    async def connect(self) -> Any:
        """Return a new connection; raises KvUsageError for a URL that the driver does not take."""
        patience = limits.MAX_LOCK_SECONDS + _GRACE_SECONDS
        try:
            connection = await asyncpg.connect(
                self.address.url, timeout=_CONNECT_SECONDS, command_timeout=patience
            )
        except ValueError as exc:  # of the URL, or of a variable like PGPORT
            reason = self.address.hide(str(exc))
            raise KvUsageError(f"{self.address.name}: the driver cannot use this: {reason}") from None
        try:
            await connection.execute(self._session)
            await self.compare_clocks(connection)
        except BaseException:
            connection.terminate()
            raise
        self.reached = True
        return connection

    async def compare_clocks(self, connection: Any) -> None:
        """Find out how far the server's clock is ahead."""
        before = time.time()
        server = await connection.fetchval(fill(_CLOCK, self.address.schema))
        self.clock.compare(before, server, time.time())

    async def pause(self, attempts: int) -> None:
        """Wait before the next attempt, the longer the more there were; less long when closing."""
        if attempts == 0:
            return
        longest = min(0.05 * 2**attempts, _MAX_PAUSE_SECONDS)
        seconds = random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for() may swallow that it is cancelled
                await self.closing.wait()


class Line:
    """One connection, for one task at a time, made when it is needed first."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._used = 0.0

    async def run(self, call: Call[T], doubt: str = "") -> T:
        """Return what `call` returns for a connection; when that is lost, connect and call again.

        Gives up after limits.MAX_RECONNECT_SECONDS, or when the store is closing, with a KvStorageError that
        ends with `doubt` if there was a call that may have had its effect.
        """
        server = self._server
        deadline = 0.0
        attempts = 0
        in_doubt = False
        while True:
            called = False
            try:
                connection = await self._connect()
                called = True
                result = await call(connection)
                self._used = time.monotonic()
                return result
            except FAILURES as exc:
                in_doubt = in_doubt or (called and leaves_doubt(exc))
                again = passes(exc, reached=server.reached)
                now = time.monotonic()
                deadline = deadline or now + limits.MAX_RECONNECT_SECONDS
                if again:
                    self._drop()
                if not again or now > deadline or server.closing.is_set():
                    raise storage_error(exc, server.address, doubt if in_doubt else "") from exc
            await server.pause(attempts)
            attempts += 1

    async def close(self) -> None:
        """Say goodbye to the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await close_connection(connection)

    async def _connect(self) -> Any:
        connection = self._connection
        if connection is not None and not connection.is_closed():
            if time.monotonic() - self._used < _IDLE_SECONDS:
                return connection
            with suppress(*FAILURES):
                await connection.execute("select 1", timeout=_TRY_SECONDS)
                return connection
        self._drop()
        self._connection = await self._server.connect()
        self._used = time.monotonic()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def close_connection(connection: Any) -> None:
    """Close a connection as politely as the server allows."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except FAILURES:
        connection.terminate()
