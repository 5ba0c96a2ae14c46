"""Removing what has expired. Readers do not see it long before; this gives its space back."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress

from echelon.errors import KvClosed, KvStorageError
from echelon.kv import limits
from echelon.kv.backend import Backend

_log = logging.getLogger("echelon.kv")


class Sweeper:
    """Calls a backend's `sweep` for ever: when it asked for it, or sooner if something expires sooner."""

    def __init__(self, backend: Backend) -> None:
        """Begin at once; needs a running event loop."""
        self._backend = backend
        self._due = math.inf
        self._hastened = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="echelon-kv-sweeper")

    def expect(self, expires_at: int) -> None:
        """Come when this moment is over, in milliseconds since 1970: for what was just committed."""
        wait = max(expires_at / 1000 - time.time(), limits.MIN_SWEEP_SECONDS)
        due = time.monotonic() + wait
        if due < self._due:
            self._due = due
            self._hastened.set()

    async def close(self) -> None:
        """End; what is not swept now is swept by whoever opens the store next."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self._due = math.inf  # what is expected from now on may be missed by this sweep
            try:
                delay = await self._backend.sweep()
            except KvClosed:
                return
            except KvStorageError as exc:
                _log.warning("expired entries were not removed: %s", exc)
                delay = limits.MAX_SWEEP_SECONDS
            self._due = min(self._due, time.monotonic() + delay)
            await self._rest()

    async def _rest(self) -> None:
        while (left := self._due - time.monotonic()) > 0:
            self._hastened.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):  # wait_for() may swallow that it is cancelled
                    await self._hastened.wait()
