"""Counters, histograms and gauges: plain numbers, and the Prometheus text they are read as.

A number is one element of a list, and adding to it is `numbers[i] += value`. Between the read and the write
of that statement CPython runs no other thread, so threads may count without a lock.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable
from math import isfinite
from typing import NamedTuple

from echelon.telemetry.names import REGISTRY, Name

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 1000
"""Series of one name in one process; the label sets that come later are counted as OTHER."""
MAX_LABEL = 200
"""Characters of a label's value; the rest is cut off."""
OTHER = "other"
MOST = 1e300
"""A number of this size or more is never added: it, NaN and infinity would spoil a sum for good."""

_log = logging.getLogger("echelon.telemetry")


Written = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """One series as it is stored and sent.

    `numbers` is the value of a counter or a gauge; for a histogram it is the count of each bucket, the
    last without an upper bound, and then the sum.
    """

    name: str
    labels: tuple[str, ...]
    numbers: list[float]


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self._series: dict[str, dict[tuple[str, ...], list[float]]] = {}
        # By the labels exactly as a caller writes them, whatever their order: one look-up finds the numbers.
        self.counters: dict[str, dict[Written, list[float]]] = {}
        self.histograms: dict[str, dict[Written, list[float]]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        for item in REGISTRY.values():
            if item.kind in ("counter", "histogram"):
                self._series[item.name] = {}
                self._written(item.kind)[item.name] = {}
                if not item.labels:
                    self.find(item.name, item.kind, {})

    def bind_count(self, name: str, labels: dict[str, str]) -> Callable[[float], None]:
        """Return a function that adds to one counter."""
        numbers = self.find(name, "counter", labels)

        def add(value: float) -> None:
            if not 0 <= value < MOST:
                raise ValueError(f"{name}: {value!r} cannot be added")
            numbers[0] += value

        return add

    def bind_observe(self, name: str, labels: dict[str, str]) -> Callable[[float], None]:
        """Return a function that adds to one histogram."""
        numbers = self.find(name, "histogram", labels)
        buckets = REGISTRY[name].buckets

        def add(value: float) -> None:
            if not 0 <= value < MOST:
                raise ValueError(f"{name}: {value!r} cannot be added")
            numbers[bisect_left(buckets, value)] += 1
            numbers[-1] += value

        return add

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Read a gauge by calling `read`, from any thread; a later call replaces an earlier one."""
        _registered(name, "gauge")
        self._gauges[name] = read

    def collect(self) -> list[Series]:
        """Return every series as it is now."""
        # list() of a dict or a list runs no Python code, so another thread cannot change it meanwhile.
        found = [
            Series(name, labels, list(numbers))
            for name, family in self._series.items()
            for labels, numbers in list(family.items())
        ]
        for name, read in list(self._gauges.items()):
            try:
                value = float(read())
            except Exception:
                _log.exception("the gauge %s cannot be read", name)
            else:
                found += [Series(name, (), [value])] if isfinite(value) else []
        return found

    def _written(self, kind: str) -> dict[str, dict[Written, list[float]]]:
        return self.counters if kind == "counter" else self.histograms

    def find(self, name: str, kind: str, labels: dict[str, str]) -> list[float]:
        """Return the numbers of a series, made if need be; raises ValueError for what is not registered."""
        item = _registered(name, kind)
        if labels.keys() != set(item.labels):
            expected = ", ".join(item.labels) or "none"
            raise ValueError(
                f"{name}: has the labels {', '.join(labels) or 'none'}; registered are {expected}"
            )
        family = self._series[name]
        key = tuple(_clean(labels[label]) for label in item.labels)
        numbers = family.get(key)
        if numbers is None:
            if len(family) >= MAX_SERIES:
                key = (OTHER,) * len(key)
                if key not in family:
                    _log.warning("%s has %d series; further ones count as %r", name, MAX_SERIES, OTHER)
                return family.setdefault(key, _zeros(item))
            numbers = family.setdefault(key, _zeros(item))
        written = self._written(kind)[name]
        if len(written) < 4 * MAX_SERIES:
            written[tuple(labels.items())] = numbers
        return numbers


def total(parts: Iterable[Series]) -> list[Series]:
    """Add up the series that have the same name and labels."""
    found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for name, labels, numbers in parts:
        known = found.setdefault((name, labels), [0.0] * len(numbers))
        if len(known) == len(numbers):
            known[:] = [one + other for one, other in zip(known, numbers, strict=True)]
    return [Series(name, labels, numbers) for (name, labels), numbers in found.items()]


def render(series: Iterable[Series]) -> str:
    """Write series as Prometheus text, format 0.0.4."""
    families: dict[str, list[Series]] = {item.name: [] for item in REGISTRY.values() if item.kind != "span"}
    for one in series:
        if one.name in families:
            families[one.name].append(one)
    lines: list[str] = []
    for name, members in families.items():
        item = REGISTRY[name]
        lines.append(f"# HELP {name} {_escape(item.description, quotes=False)}")
        lines.append(f"# TYPE {name} {item.kind}")
        for one in members:
            pairs = [
                f'{label}="{_escape(value)}"' for label, value in zip(item.labels, one.labels, strict=False)
            ]
            if item.kind == "histogram":
                lines += _histogram(item, pairs, one.numbers)
            else:
                lines.append(f"{name}{_braces(pairs)} {_number(one.numbers[0])}")
    return "\n".join(lines) + "\n"


def _histogram(item: Name, pairs: list[str], numbers: list[float]) -> list[str]:
    if len(numbers) != len(item.buckets) + 2:  # written by another version of Echelon
        return []
    lines, below = [], 0.0
    for bound, count in zip((*item.buckets, float("inf")), numbers[:-1], strict=True):
        below += count
        inside = _braces([*pairs, f'le="{_number(bound)}"'])
        lines.append(f"{item.name}_bucket{inside} {_number(below)}")
    lines.append(f"{item.name}_sum{_braces(pairs)} {_number(numbers[-1])}")
    lines.append(f"{item.name}_count{_braces(pairs)} {_number(below)}")
    return lines


def _registered(name: str, kind: str) -> Name:
    item = REGISTRY.get(name)
    if item is None or item.kind != kind:
        raise ValueError(f"{name} is not a registered {kind}; echelon/telemetry/names.py lists them all")
    return item


def _clean(value: str) -> str:
    """Cut a label's value to size and make it valid UTF-8."""
    return str(value)[:MAX_LABEL].encode("utf-8", "replace").decode()


def _zeros(item: Name) -> list[float]:
    return [0.0] * (len(item.buckets) + 2 if item.kind == "histogram" else 1)


def _braces(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escape(text: str, *, quotes: bool = True) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quotes else escaped


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
