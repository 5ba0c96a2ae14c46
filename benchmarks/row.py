"""What a row of the table is, and what it finds: one subject beside one or more peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.statistics import Series, Summary, paired_ratios


class CannotRun(Exception):
    """A row cannot be measured; the message says why and what to do next."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How long to measure. `quick` trades certainty for time: for trying things, not for numbers to quote."""

    quick: bool = False

    def pick(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual


@dataclass(frozen=True, slots=True)
class Comparison:
    """A subject beside the fastest of some peers, with what it must reach.

    `target` is the ratio at least, 0.7 for "70 % of the peer". `others` were measured, too, and do not count.
    """

    what: str
    target: float
    subject: Series
    peers: Sequence[Series]
    others: Sequence[Series] = ()
    notes: Sequence[str] = ()

    @property
    def against(self) -> Series:
        """The fastest peer, by the median."""
        return min(self.peers, key=lambda peer: peer.cost)

    @property
    def ratio(self) -> Summary:
        """How many times as fast the subject is, round by round."""
        return Summary.of(paired_ratios(self.subject, self.against))

    @property
    def reached(self) -> bool:
        return self.ratio.median >= self.target

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "target": self.target,
            "ratio": self.ratio.to_dict(),
            "reached": self.reached,
            "subject": self.subject.to_dict(),
            "against": self.against.name,
            "peers": [peer.to_dict() for peer in self.peers],
            "others": [other.to_dict() for other in self.others],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a module in `benchmarks/rows` that has one as `ROW`. `packages` are the peers whose versions matter."""

    order: int
    name: str
    title: str
    run: Callable[[Settings], Awaitable[list[Comparison]]]
    packages: Sequence[str] = field(default=())
