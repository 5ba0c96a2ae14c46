"""Which commits run on the event loop: those for which the way to a thread and back would take longer."""

from __future__ import annotations

from typing import Final

LONE_COMMITS: Final = 4
"""After so many commits of which none had company, the next one is expected to have none either."""

QUICK_SECONDS: Final = 0.001
"""For how long a commit may be expected to hold up the event loop: as long as a slice of a guest."""


class Pace:
    """Watches commits begin and end. One that syncs the disk runs on the loop if it is alone and the disk quick."""

    def __init__(self, *, syncs: bool) -> None:
        self._syncs = syncs
        self._under_way = 0
        self._lone = 0

    def begin(self, last_seconds: float) -> bool:
        """Note that a commit begins; return whether it may run on the loop, if the last one took so long."""
        if self._under_way:
            self._lone = 0
        self._under_way += 1
        return not self._syncs or (self._lone >= LONE_COMMITS and last_seconds < QUICK_SECONDS)

    def end(self) -> None:
        """Note that a commit ended."""
        self._under_way -= 1
        if not self._under_way:
            self._lone += 1
