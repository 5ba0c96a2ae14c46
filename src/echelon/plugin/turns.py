"""Whose compile is next: clients take turns, however many compiles one of them asks for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from echelon.errors import Busy


class Turns:
    """A fixed number of `places`; who waits for one stands in a line of their own client.

    A place that gets free goes to the client who has waited longest since a turn. `waiting` bounds all lines together,
    and a single client may fill half of that. Belongs to one event loop.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self.places = places
        self.free = places
        self.waiting = waiting
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Hold a place; raises Busy when the line is too long."""
        await self._acquire(client)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, client: str) -> None:
        if self.free and not self._lines:
            self.free -= 1
            return
        line = self._lines.get(client, deque())
        if len(line) >= max(1, self.waiting // 2):
            raise Busy(
                f"{len(line)} compiles of this client are in line already (generator.queue); try again later"
            )
        if sum(map(len, self._lines.values())) >= self.waiting:
            raise Busy(f"{self.waiting} compiles are in line already (generator.queue); try again later")
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(client, line).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            else:
                self._leave(client, turn)
            raise

    def _release(self) -> None:
        """Give a place back: the first in the line of the next client has it at once."""
        while self._lines:
            client, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[client] = line  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    def _leave(self, client: str, turn: asyncio.Future[None]) -> None:
        line = self._lines.get(client)
        if line is not None:
            with suppress(ValueError):
                line.remove(turn)
            if not line:
                del self._lines[client]
