"""Row 9: a page of Preact components, small and of a hundred rows, beside Deno and Jinja2."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import guests
from benchmarks.rounds import Work, interleave, timed
from benchmarks.row import CannotRun, Comparison, Row, Settings
from benchmarks.statistics import Series
from benchmarks.views.renderers import DenoPage, EchelonPage, JinjaPage, properties

Render = Callable[[dict[str, Any]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """One page: how many rows it has, the microseconds it may take, and how many of them a sample renders."""

    what: str
    rows: int
    aim: float
    count: int
    peers_count: int


CASES: Final = (
    Case("a small page, 3 rows", 3, 700.0, 200, 2000),
    Case("a page of 100 rows", 100, 6000.0, 30, 300),
)


async def run(settings: Settings) -> list[Comparison]:
    """Render the same pages everywhere, in turns; what counts is the time that Echelon may take."""
    with tempfile.TemporaryDirectory(prefix="echelon-bench-") as folder:
        deno = await DenoPage.start(Path(folder))
        try:
            async with guests.runtime() as wasm:
                ours = await EchelonPage.load(wasm)
                return [await _compare(ours, deno, JinjaPage(), case, settings) for case in CASES]
        finally:
            await deno.close()


async def _compare(
    ours: EchelonPage, deno: DenoPage, jinja: JinjaPage, case: Case, settings: Settings
) -> Comparison:
    props = properties(case.rows)
    await _check({"Echelon": ours.render, "Deno": deno.render, "Jinja2": jinja.render}, props)
    works = [
        _work("Echelon", case.count, ours.render, props),
        _work("Jinja2", case.peers_count, jinja.render, props),
    ]
    measures = {work.name: timed(work) for work in works}
    measures["Deno, preact-render-to-string"] = partial(deno.measure, case.peers_count, props)
    for measure in measures.values():
        await measure()
    subject, *others = await interleave(measures, "µs", settings.pick(15, 7))
    aim = Series(f"at most {case.aim / 1000:g} ms", "µs", (case.aim,) * len(subject.samples))
    rates = ", ".join(f"{series.name} {1e6 / series.summary.median:,.0f}" for series in (subject, *others))
    return Comparison(case.what, 1.0, subject, [aim], others, [f"renders a second: {rates}"])


async def _check(renders: Mapping[str, Render], props: dict[str, Any]) -> None:
    pages = {name: await render(props) for name, render in renders.items()}
    for name, page in pages.items():
        if page != pages["Echelon"]:
            raise CannotRun(f"the page of {name} is not that of Echelon")


def _work(name: str, count: int, render: Render, props: dict[str, Any]) -> Work:
    async def run(count: int) -> None:
        for _ in range(count):
            await render(props)

    return Work(name, count, run)


ROW = Row(9, "views", "A page rendered on the server", run, packages=("deno", "jinja2"))
