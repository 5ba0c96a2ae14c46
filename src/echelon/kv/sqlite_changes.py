"""Waiting until something in a file has changed, whichever process changed it.

SQLite tells nobody of a commit, but asking it whether there was one takes microseconds. So the file is asked again
and again while somebody waits and others write. Where the kernel tells when the log is written to, which is just
before the commit in it can be seen, nothing needs to be asked while it is quiet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from echelon.kv.bell import Bell

_FAST_SECONDS: Final = 0.004
"""How often the file is asked while others write."""

_FAST_POLLS: Final = 50
_SLOW_SECONDS: Final = 0.015
"""How often it is asked after so many polls without a change."""

_MAX_POLLS: Final = 180
"""Then the bell is waited for. Until then, two seconds, what rang it last has been seen or never will be."""

_DISTRUST_SECONDS: Final = 0.25
"""How often the file is asked nevertheless: on some file systems the kernel does not hear everybody's writes."""

_REST: Final = 4
"""After finding out whom a change concerns, that many times as long is left to others."""

_MAX_WAIT_SECONDS: Final = 1.0
"""The clock may be set forward: nobody relies on a timer for longer than this."""

Waiter = asyncio.Future[Any]
Concerns = Callable[[], bool]
"""Whether what changed is of interest to one who waits."""


class Changes:
    """Counts changes of a file. Who waits is woken at once by this process's commits, soon by others'.

    Nothing runs while nobody waits.
    """

    def __init__(self, read_version: Callable[[], int | None], log: str | None) -> None:
        """`read_version` gives another number after each change, or None when it cannot tell now.

        `log` is the path of the file that commits are written to, None where no other process can commit.
        """
        self.count = 0
        self.closed = False
        self._read_version = read_version
        self._log = log
        self._version: int | None = None
        self._waiters: dict[Waiter, Concerns] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = 0
        self._rested = 0.0
        self._catching_up: asyncio.TimerHandle | None = None
        self._bell: Bell | None = None
        self._is_deaf = False

    def look(self) -> bool:
        """Wake those whom a change concerns; return whether there was one."""
        version = self._read_version()
        if version is None or version == self._version:
            return False
        self._version = version
        self.count += 1
        self._quiet = 0
        started = self._loop.time()
        for waiter, concerns in self._waiters.items():
            if not waiter.done() and concerns():
                waiter.set_result(None)
        now = self._loop.time()
        self._rested = now + _REST * (now - started)
        return True

    def tell(self) -> None:
        """Note a commit of this process."""
        if not self._waiters or self._catching_up is not None:
            return
        if self._loop.time() >= self._rested:
            self.look()
        else:
            self._catching_up = self._loop.call_at(self._rested, self._catch_up)

    async def wait(
        self,
        seen: int,
        seconds: float | None = None,
        concerns: Concerns = lambda: True,
        waiter: Waiter | None = None,
    ) -> Any:
        """Return None when `count` is no longer `seen`, after `seconds`, sometimes sooner, or when closed.

        Later changes are those that `concerns` is true after. Whoever gives a future of its own may end the wait
        with a result, which is returned.
        """
        if self._timer is None:
            self.look()
        if self.count != seen or self.closed:
            return None
        waiter = waiter or self._loop.create_future()
        self._waiters[waiter] = concerns
        delay = _MAX_WAIT_SECONDS if seconds is None else min(seconds, _MAX_WAIT_SECONDS)
        timer = self._loop.call_later(delay, _release, waiter)
        if self._timer is None and self._log is not None:
            self._begin(self._log)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiters.pop(waiter, None)

    def close(self) -> None:
        """Wake everybody for good."""
        self.closed = True
        for waiter in self._waiters:
            _release(waiter)
        for timer in (self._timer, self._catching_up):
            if timer is not None:
                timer.cancel()
        if self._bell is not None:
            self._loop.remove_reader(self._bell.descriptor)
            self._bell.close()
            self._bell = None

    def _catch_up(self) -> None:
        self._catching_up = None
        self.look()

    def _begin(self, log: str) -> None:
        self._quiet = 0
        if self._bell is None and not self._is_deaf:
            try:
                self._bell = Bell(log)
            except OSError:
                self._is_deaf = True
        self._timer = self._loop.call_later(_FAST_SECONDS, self._poll)

    def _poll(self) -> None:
        self._timer = None
        if not self._waiters:
            return
        self._quiet += 1
        self.look()
        if self._quiet < _MAX_POLLS or self._bell is None:
            delay = _FAST_SECONDS if self._quiet < _FAST_POLLS else _SLOW_SECONDS
            self._timer = self._loop.call_later(delay, self._poll)
        else:
            self._loop.add_reader(self._bell.descriptor, self._ring, self._bell)
            self._timer = self._loop.call_later(_DISTRUST_SECONDS, self._doubt, self._bell)

    def _ring(self, bell: Bell) -> None:
        """Somebody writes, which can be seen soon."""
        bell.rang()
        self._loop.remove_reader(bell.descriptor)
        self._quiet = 0
        if self._timer is not None:
            self._timer.cancel()
        self._poll()

    def _doubt(self, bell: Bell) -> None:
        """See whether there was a change for which the bell did not ring; then it is of no use here."""
        is_changed = self.look()
        if bell.rang():
            self._ring(bell)
        elif is_changed:
            self._loop.remove_reader(bell.descriptor)
            bell.close()
            self._bell, self._is_deaf = None, True
            self._poll()
        elif self._waiters:
            self._timer = self._loop.call_later(_DISTRUST_SECONDS, self._doubt, bell)
        else:
            self._loop.remove_reader(bell.descriptor)
            self._timer = None


def _release(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
