"""A line for a fixed number of places."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from echelon.errors import Busy


class Slots:
    """Places of which there is a fixed number, handed out in order of arrival; belongs to one event loop.

    Without a `queue_limit` any number may wait.
    """

    def __init__(self, total: int, queue_limit: int | None = None) -> None:
        self.total = total
        self.free = total
        self._limit = queue_limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def acquire(self) -> None:
        """Take a slot, or wait in line for one; raises Busy when the line is full."""
        if self.free and not self._waiting:
            self.free -= 1
            return
        if self._limit is not None and len(self._waiting) >= self._limit:
            raise Busy(
                f"all {self.total} instances are in use and {self._limit} calls are waiting"
                " (wasm.instances, wasm.queue); try again later"
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give a slot back; the first in line has it at once."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
