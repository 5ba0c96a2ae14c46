"""Run the benchmarks: `python -m benchmarks [--only ROW] [--quick] [--output FILE]`.

A missed target is a result, and the exit status 0; it is 1 when a row could not run, 2 for a usage mistake.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from benchmarks import rows
from benchmarks.report import Report, lines, table
from benchmarks.row import CannotRun, Row, Settings

RESULTS = Path(__file__).parent / "results.json"


def find_rows() -> list[Row]:
    """Return the row of each module in `benchmarks/rows`, in order."""
    names = [module.name for module in pkgutil.iter_modules(rows.__path__)]
    found = [importlib.import_module(f"{rows.__name__}.{name}").ROW for name in names]
    return sorted(found, key=lambda row: row.order)


async def measure(chosen: Sequence[Row], settings: Settings) -> Report:
    """Measure rows one after another; one that cannot run does not stop the others."""
    report = Report(settings.quick)
    for row in chosen:
        began = monotonic()
        try:
            comparisons = await row.run(settings)
        except Exception as exc:  # whatever a peer raises
            why = str(exc) if isinstance(exc, CannotRun) else f"{type(exc).__name__}: {exc}"
            report.failed[row.name] = why
            print(f"{row.title}\n  could not run: {why}\n", flush=True)
            continue
        report.rows.append((row, comparisons, monotonic() - began))
        print("\n".join(lines(row.title, comparisons)), end="\n\n", flush=True)
    return report


def run_in_loop(chosen: Sequence[Row], settings: Settings) -> Report:
    """Measure on the event loop that Echelon's own server uses."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(measure(chosen, settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(chosen, settings))


def main(arguments: Sequence[str] | None = None) -> int:
    known = {row.name: row for row in find_rows()}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Echelon beside its peers."
    )
    parser.add_argument(
        "--only",
        metavar="ROW",
        action="append",
        choices=known,
        help=f"a row, again for more: {', '.join(known)}",
    )
    parser.add_argument("--quick", action="store_true", help="measure less; to try things, not to quote")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    options = parser.parse_args(arguments)
    chosen = [row for row in known.values() if not options.only or row.name in options.only]
    if not os.access(options.output.parent, os.W_OK) or options.output.is_dir():
        print(f"benchmarks: {options.output} cannot be written", file=sys.stderr)
        return 2
    began, start = datetime.now(UTC).isoformat(timespec="seconds"), monotonic()
    report = run_in_loop(chosen, Settings(options.quick))
    found = report.to_dict(began, monotonic() - start)
    print("\n".join(table(report)))
    options.output.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{found['seconds']:.0f} s, written to {options.output}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
