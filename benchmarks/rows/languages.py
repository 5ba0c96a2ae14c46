"""Row 11: every language whose compiler is here: how long a compile takes, and how fast the same ten programs run."""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import Final, NamedTuple

from benchmarks import guests
from benchmarks.programs import PROGRAMS, paths
from benchmarks.rounds import Measure, interleave
from benchmarks.row import CannotRun, Comparison, Row, Settings
from benchmarks.statistics import Series
from echelon.plugin.generator import Generator
from echelon.plugin.languages import compilers
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

PEER: Final = "c"
COMPILED: Final = "spectral_norm"
"""The program that is compiled; a comment with a number makes it another source."""

TIMES_CACHED: Final = 5.0
WARMING: Final = 3
PAUSE_SECONDS: Final = 0.5
TYPESCRIPT_MICROSECONDS: Final = 100_000.0
_LIMITS: Final = Limits(time="60s", memory="256MiB")


class Language(NamedTuple):
    """A language: the folder of its programs, and the share of C's speed that it should reach."""

    name: str
    folder: str
    share: float
    options: Mapping[str, str] = {}
    comment: str = "//"


LANGUAGES: Final = {
    "C": Language("c", "c", 1.0),
    "Rust": Language("rust", "rust", 0.7),
    "Zig": Language("zig", "zig", 0.7),
    "TypeScript": Language("typescript", "typescript", 0.25),
    "typed Python": Language("python", "python", 0.3, comment="#"),
    "Go": Language("go", "go", 0.3),
    "JavaScript": Language("typescript", "typescript", 0.005, {"semantics": "javascript"}),
    "Python scripts": Language("cpython", "python", 0.005, comment="#"),
}


async def run(settings: Settings) -> list[Comparison]:
    """Measure what is installed; the notes of the last comparison name what is not."""
    found: list[Comparison] = []
    async with guests.runtime() as wasm:
        generator = await wasm.generator()
        here = {language.name for language in await generator.languages() if language.probe.found}
        if PEER not in here:
            raise CannotRun("C is what the others are compared with: echelon toolchain install c")
        chosen = {title: one for title, one in LANGUAGES.items() if one.name in here and _programs(one)}
        for title, language in chosen.items():
            found += await _compile_times(title, language, settings)
        modules = {title: await _modules(wasm, generator, one) for title, one in chosen.items()}
        found += await _run_times(modules, settings)
    absent = ", ".join(title for title in LANGUAGES if title not in chosen)
    if absent:
        last = found[-1]
        notes = [*last.notes, f"not here: {absent}"]
        found[-1] = Comparison(last.what, last.target, last.subject, last.peers, last.others, notes)
    return found


def _programs(language: Language) -> dict[str, Path]:
    found = {name: paths(name).get(language.folder) for name in PROGRAMS}
    return {name: path for name, path in found.items() if path is not None}


async def _compile_times(title: str, language: Language, settings: Settings) -> list[Comparison]:
    """Compile one program in a new generator: the first (cold), one after a few others (warm), that again (cached)."""
    text = _programs(language)[COMPILED].read_text(encoding="utf-8")
    rounds = settings.pick(5, 2)
    samples: dict[str, list[float]] = {"cold": [], "warm": [], "cached": []}
    marks = itertools.count()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="echelon-bench-") as folder:
            async with Generator(compilers(), Path(folder, "store")) as generator:

                async def compile_(mark: int, generator: Generator = generator) -> float:
                    source = f"{text}\n{language.comment} {mark}\n"
                    began = perf_counter_ns()
                    await generator.compile(source, language=language.name, options=dict(language.options))
                    return (perf_counter_ns() - began) / 1000

                samples["cold"].append(await compile_(next(marks)))
                for _ in range(WARMING):
                    await compile_(next(marks))
                await asyncio.sleep(PAUSE_SECONDS)  # a compiler that stays gets ready for the next one
                mark = next(marks)
                samples["warm"].append(await compile_(mark))
                samples["cached"].append(await compile_(mark))
    cold, warm, cached = (Series(name, "µs", tuple(values)) for name, values in samples.items())
    found = [Comparison(f"{title}: a compile, cached beside warm", TIMES_CACHED, cached, [warm], [cold])]
    if title == "TypeScript":
        aim = Series("at most 100 ms", "µs", (TYPESCRIPT_MICROSECONDS,) * rounds)
        found.append(Comparison(f"{title}: a small module once warm", 1.0, warm, [aim]))
    return found


async def _modules(wasm: Runtime, generator: Generator, language: Language) -> dict[str, Module]:
    """Compile and load each program; raises CannotRun when one gives another number."""
    found = {}
    for name, path in _programs(language).items():
        artifact = await generator.compile(
            path, language=language.name, optimize="speed", options=dict(language.options)
        )
        found[name] = await wasm.load(artifact.wasm, limits=_LIMITS, name=f"{name} in {language.name}")
        program = PROGRAMS[name]
        value = await found[name].call("run", program.small)
        if not math.isclose(value, program.expected, rel_tol=1e-9):
            raise CannotRun(f"{name} gives {value} in {language.name}, not {program.expected}")
    return found


async def _run_times(modules: dict[str, dict[str, Module]], settings: Settings) -> list[Comparison]:
    """Compare the geometric mean of all ten; the notes have each program's share of C's speed."""
    series: dict[str, dict[str, Series]] = {title: {} for title in modules}
    for name, program in PROGRAMS.items():
        measures = {title: _call(found[name], program.large) for title, found in modules.items()}
        for taken in await interleave(measures, "µs", settings.pick(3, 1), batches=1):
            series[taken.name][name] = taken
    means = {title: _mean(title, list(found.values())) for title, found in series.items()}
    peer, found = means.pop("C"), []
    for title, mean in means.items():
        notes = [
            f"{name} {100 * series['C'][name].summary.median / one.summary.median:.3g} %"
            for name, one in series[title].items()
        ]
        found.append(
            Comparison(f"{title}: ten programs, beside C", LANGUAGES[title].share, mean, [peer], notes=notes)
        )
    return found


def _call(module: Module, size: int) -> Measure:
    async def measure() -> float:
        began = perf_counter_ns()
        await module.call("run", size)
        return (perf_counter_ns() - began) / 1000

    return measure


def _mean(title: str, programs: list[Series]) -> Series:
    rounds = zip(*(one.samples for one in programs), strict=True)
    return Series(title, "µs", tuple(math.exp(sum(map(math.log, taken)) / len(taken)) for taken in rounds))


ROW = Row(11, "languages", "Every language", run)
