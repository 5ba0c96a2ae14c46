"""Waiting until something in the file has changed, whichever process changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.004
"""How often the file is asked for commits of other processes, while somebody waits for them."""

_MAX_WAIT_SECONDS: Final = 1.0
"""The clock may be set forward: nobody relies on a timer for longer than this."""


class Changes:
    """Counts changes of a file. Who waits is woken at once by this process's commits, soon by others'.

    Nothing runs while nobody waits.
    """

    def __init__(self, read_version: Callable[[], int | None]) -> None:
        """`read_version` gives another number after each change, or None when it cannot tell now."""
        self.count = 0
        self._read_version = read_version
        self._version: int | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def look(self) -> None:
        """Wake those who wait if there was a change."""
        version = self._read_version()
        if version is not None and version != self._version:
            self._version = version
            self.count += 1
            self._wake()

    def tell(self) -> None:
        """Note a commit of this process."""
        if self._waiters:
            self.look()

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return when `count` is no longer `seen`, after `seconds`, sometimes sooner, or when closed."""
        if self._timer is None:
            self.look()
        if self.count != seen or self.closed:
            return
        waiter = self._loop.create_future()
        self._waiters.add(waiter)
        delay = _MAX_WAIT_SECONDS if seconds is None else min(seconds, _MAX_WAIT_SECONDS)
        timer = self._loop.call_later(delay, _release, waiter)
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_SECONDS, self._poll)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)

    def close(self) -> None:
        """Wake everybody for good."""
        self.closed = True
        self._wake()
        if self._timer is not None:
            self._timer.cancel()

    def _poll(self) -> None:
        self._timer = None
        if self._waiters and not self.closed:
            self.look()
            self._timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def _wake(self) -> None:
        for waiter in self._waiters:
            _release(waiter)


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
