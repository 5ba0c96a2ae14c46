"""wasi:clocks: the time, and waiting for it."""

from __future__ import annotations

from typing import Final

from echelon.runtime.clock import SECOND
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.wasi.state import WasiCall
from echelon.runtime.component.wasi.streams import Pollable

_MAX_TIME: Final = (1 << 64) - 1


class Timer(Pollable):
    """A moment of the monotonic clock, in nanoseconds."""

    def __init__(self, state: WasiCall, when: int) -> None:
        self._environment, self._when = state.environment, when

    def ready(self) -> bool:
        return self._environment.monotonic() >= self._when

    async def block(self) -> None:
        environment = self._environment
        while (left := self._when - environment.monotonic()) > 0:
            await environment.clock.sleep(max(left, environment.resolution))


def datetime(nanoseconds: int) -> dict[str, int]:
    """Return a moment since 1970 as WASI writes it; what was before becomes 1970."""
    seconds, rest = divmod(max(0, nanoseconds), SECOND)
    return {"seconds": seconds, "nanoseconds": rest}


FUNCTIONS: Final = {
    "wasi:clocks/wall-clock#now": HostImport(lambda state: datetime(state.environment.wall())),
    "wasi:clocks/wall-clock#resolution": HostImport(lambda state: datetime(state.environment.resolution)),
    "wasi:clocks/monotonic-clock#now": HostImport(lambda state: state.environment.monotonic()),
    "wasi:clocks/monotonic-clock#resolution": HostImport(lambda state: state.environment.resolution),
    "wasi:clocks/monotonic-clock#subscribe-instant": HostImport(Timer),
    "wasi:clocks/monotonic-clock#subscribe-duration": HostImport(
        lambda state, duration: Timer(state, min(state.environment.monotonic() + duration, _MAX_TIME))
    ),
}
