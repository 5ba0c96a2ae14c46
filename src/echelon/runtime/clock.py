"""Where a guest's time comes from: the host's clocks, or a clock that only moves when it is used."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
_STARTED: Final = time.monotonic_ns()
_LONGEST_SLEEP: Final = 3600 * SECOND
"""Event loops differ in the longest delay they take; longer sleeps are made of several."""


class Clock(Protocol):
    """Two clocks and a way to wait, in nanoseconds."""

    def wall(self) -> int:
        """Return the time since 1970-01-01T00:00:00Z."""

    def monotonic(self) -> int:
        """Return the time since some moment; it never goes back."""

    async def sleep(self, duration: int) -> None:
        """Wait without holding a thread."""

    def fresh(self) -> Clock:
        """Return the clock that the next call begins with."""


class SystemClock:
    """The host's clocks; the monotonic one counts from the start of the process, not of the machine."""

    def wall(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns() - _STARTED

    async def sleep(self, duration: int) -> None:
        end = time.monotonic_ns() + duration
        while True:
            await asyncio.sleep(min(max(duration, 0), _LONGEST_SLEEP) / SECOND)
            duration = end - time.monotonic_ns()
            if duration <= 0:
                return

    def fresh(self) -> SystemClock:
        return self


class VirtualClock:
    """A clock for calls that can be repeated: each reading moves it by `step`, each sleep by what was asked.

    A sleep takes no real time, so what a guest sees depends on what it does and on nothing else.
    """

    def __init__(self, start: int = 0, step: int = MILLISECOND) -> None:
        self._start, self._step, self._passed = start, step, 0

    def _read(self) -> int:
        self._passed += self._step
        return self._passed - self._step

    def wall(self) -> int:
        return self._start + self._read()

    def monotonic(self) -> int:
        return self._read()

    async def sleep(self, duration: int) -> None:
        self._passed += max(duration, 0)
        await asyncio.sleep(0)

    def fresh(self) -> VirtualClock:
        return VirtualClock(self._start, self._step)


SYSTEM: Final = SystemClock()
