"""Samples and what is said of them: medians with their range, and ratios of samples that were taken side by side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["µs", "req/s"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A median with its range; `spread` is the distance of the quartiles as a share of the median."""

    median: float
    low: float
    high: float
    spread: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        middle = statistics.median(values)
        if len(values) < 2:
            return cls(middle, middle, middle, 0.0)
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, min(values), max(values), (third - first) / middle)

    def to_dict(self) -> dict[str, float]:
        return {
            "median": round(self.median, 4),
            "min": round(self.low, 4),
            "max": round(self.high, 4),
            "spread": round(self.spread, 4),
        }


@dataclass(frozen=True, slots=True)
class Series:
    """One sample for each round: microseconds for one operation, or operations a second.

    `latency` maps percentiles such as 99 to microseconds, where single operations were timed. `share` is the share of
    a processor core that a server had, where the samples are what it would have done with all of it.
    """

    name: str
    unit: Unit
    samples: tuple[float, ...]
    latency: tuple[tuple[int, float], ...] = ()
    share: float | None = None

    @property
    def summary(self) -> Summary:
        return Summary.of(self.samples)

    @property
    def cost(self) -> float:
        """Something that is less for what is faster."""
        return self.summary.median if self.unit == "µs" else -self.summary.median

    def to_dict(self) -> dict[str, Any]:
        latency = {f"p{percent}": round(value, 2) for percent, value in self.latency}
        return {
            "name": self.name,
            "unit": self.unit,
            **self.summary.to_dict(),
            "rounds": len(self.samples),
            **({"latency_us": latency} if latency else {}),
            **({"core_share": round(self.share, 3)} if self.share is not None else {}),
        }


def paired_ratios(subject: Series, peer: Series) -> list[float]:
    """Return how many times as fast the subject was in each round.

    Both samples of a round are neighbours in time, so what slows the whole machine for a while cancels out.
    """
    if subject.unit != peer.unit:
        raise ValueError(f"{subject.name} is in {subject.unit}, {peer.name} in {peer.unit}")
    pairs = zip(subject.samples, peer.samples, strict=True)
    return [b / a if subject.unit == "µs" else a / b for a, b in pairs]


def percentiles(values: Sequence[float], wanted: Sequence[int]) -> tuple[tuple[int, float], ...]:
    """Return percentiles by nearest rank."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return tuple((percent, ordered[min(last, len(ordered) * percent // 100)]) for percent in wanted)
