"""What a run found: a table for people, and JSON with the facts of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.row import Comparison, Row
from benchmarks.statistics import Series

FORMAT = 1
"""Raised when the form of the results changes."""

_OWN = ("echelon", "wasmtime", "granian", "uvloop", "msgspec")


@dataclass(slots=True)
class Report:
    """The results of one run; `failed` has what could not run, by name."""

    quick: bool
    rows: list[tuple[Row, list[Comparison], float]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def to_dict(self, began: str, seconds: float) -> dict[str, Any]:
        packages = {name for row, _, _ in self.rows for name in row.packages}
        return {
            "format": FORMAT,
            "began": began,
            "seconds": round(seconds, 1),
            "quick": self.quick,
            "machine": machine(),
            "versions": versions((*_OWN, *packages)),
            "rows": [
                {
                    "name": row.name,
                    "title": row.title,
                    "seconds": round(taken, 1),
                    "comparisons": [comparison.to_dict() for comparison in comparisons],
                }
                for row, comparisons, taken in self.rows
            ],
            "failed": self.failed,
        }


def machine() -> dict[str, Any]:
    """Return what the numbers depend on, and how busy the machine is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, "absent" for one that is not there."""
    found = {}
    for name in sorted(set(packages)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def lines(title: str, comparisons: Sequence[Comparison]) -> list[str]:
    """Return one row as lines of text."""
    out = [title]
    for comparison in comparisons:
        ratio, word = comparison.ratio, "reached" if comparison.reached else "MISSED"
        out.append(
            f"  {comparison.what}: {ratio_text(ratio.median)} of {comparison.against.name}"
            f" ({ratio_text(ratio.low)} to {ratio_text(ratio.high)}),"
            f" target {ratio_text(comparison.target)}: {word}"
        )
        out += [
            f"    {_line(series)}" for series in (comparison.subject, *comparison.peers, *comparison.others)
        ]
        out += [f"    note: {note}" for note in comparison.notes]
    return out


def ratio_text(ratio: float) -> str:
    """Write a ratio the way its target is written: a share below one, a multiple above."""
    return f"{ratio:.0%}" if ratio < 1 else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x"


def _line(series: Series) -> str:
    summary, form = series.summary, ",.2f" if series.unit == "µs" else ",.0f"
    text = (
        f"{series.name:<46} {summary.median:>10{form}} {series.unit:<6}"
        f" ({summary.low:{form}} to {summary.high:{form}}, {len(series.samples)} rounds)"
    )
    text += "".join(f"  p{percent} {value:,.1f} µs" for percent, value in series.latency)
    return text if series.share is None else f"{text}  core {series.share:.0%}"


def table(report: Report) -> list[str]:
    """Return the summary: one line for each comparison."""
    heads = ("row", "against", "ratio", "target", "")
    body = [
        (
            f"{row.name}: {comparison.what}",
            comparison.against.name,
            ratio_text(comparison.ratio.median),
            ratio_text(comparison.target),
            "reached" if comparison.reached else "MISSED",
        )
        for row, comparisons, _ in report.rows
        for comparison in comparisons
    ]
    body += [(name, "", "", "", "COULD NOT RUN") for name in report.failed]
    widths = [max(len(line[column]) for line in (heads, *body)) for column in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, tuple("-" * width for width in widths), *body)
    ]
