"""Row 10: ten small programs in typed Python, beside CPython, C at -O2 on the same engine, and Numba."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Final

from benchmarks import guests
from benchmarks.programs import PROGRAMS, Program, paths
from benchmarks.rounds import Measure, interleave
from benchmarks.row import CannotRun, Comparison, Row, Settings
from benchmarks.statistics import Series
from echelon.plugin.compilers.python.compiler import translate
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module

TEXT: Final = ("levenshtein", "tokenizer", "histogram")
TIMES_CPYTHON, TIMES_CPYTHON_TEXT, SHARE_OF_C = 30.0, 3.0, 0.5
PAGE, PAGE_MICROSECONDS = "spectral_norm", 10_000.0
"""A program of about fifty lines, and what its compilation may take."""
_LIMITS: Final = Limits(time="60s", memory="256MiB")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program in each of its forms; `numba` is None where Numba does not apply, and `notes` says why."""

    name: str
    ours: Module
    c: Module
    python: Callable[[int], float]
    numba: Callable[[int], float] | None
    notes: list[str] = field(default_factory=list)


async def run(settings: Settings) -> list[Comparison]:
    """Measure each program on the work of its table, in turns, after all gave the same number."""
    found = []
    async with guests.runtime() as wasm:
        generator = await wasm.generator()
        for name, program in PROGRAMS.items():
            candidate = await _prepare(wasm, generator, name)
            await _check(candidate, program)
            found += await _compare(candidate, program, settings)
    return [*found, await _compile_time(settings)]


async def _prepare(wasm: Runtime, generator: Generator, name: str) -> Candidate:
    files = paths(name)
    modules, sizes = [], []
    for language in ("python", "c"):
        artifact = await generator.compile(files[language], language=language, optimize="speed")
        modules.append(await wasm.load(artifact.wasm, limits=_LIMITS, name=f"{name} in {language}"))
        sizes.append(len(artifact.wasm))
    text = files["python"].read_text(encoding="utf-8")
    python = _by_python(text)
    numba, why = _by_numba(text)
    notes = [f"bytes: typed Python {sizes[0]}, C {sizes[1]}", *([f"Numba: {why}"] if why else [])]
    return Candidate(name, modules[0], modules[1], python["run"], numba, notes)


def _by_python(text: str) -> dict[str, Any]:
    module = types.ModuleType("program")
    sys.modules["program"] = module  # where dataclasses look
    exec(compile(text, "program.py", "exec"), vars(module))
    return vars(module)


def _by_numba(text: str) -> tuple[Callable[[int], float] | None, str]:
    """Compile every function of a program with Numba; returns None and the reason where that fails."""
    try:
        import numba
    except ImportError:
        return None, "not installed: pip install numba"
    names = _by_python(text)
    for name, value in list(names.items()):
        if isinstance(value, types.FunctionType):
            names[name] = numba.njit(value)
    try:
        names["run"](4)
    except Exception as exc:  # whatever it does not know
        return None, f"does not compile it ({type(exc).__name__})"
    return names["run"], ""


async def _check(candidate: Candidate, program: Program) -> None:
    forms = {"typed Python": await candidate.ours.call("run", program.small)}
    forms["C"] = await candidate.c.call("run", program.small)
    forms["CPython"] = candidate.python(program.small)
    if candidate.numba is not None:
        forms["Numba"] = candidate.numba(program.small)
    for form, value in forms.items():
        if not math.isclose(value, program.expected, rel_tol=1e-9):
            raise CannotRun(f"{candidate.name} gives {value} in {form}, not {program.expected}")


async def _compare(candidate: Candidate, program: Program, settings: Settings) -> list[Comparison]:
    size = program.large
    measures: dict[str, Measure] = {
        "typed Python": _calls(candidate.ours, size),
        "CPython": _plain(candidate.python, size),
        "C -O2, same engine": _calls(candidate.c, size),
    }
    if candidate.numba is not None:
        measures["Numba"] = _plain(candidate.numba, size)
    ours, python, c, *others = await interleave(measures, "µs", settings.pick(5, 2), batches=1)
    target = TIMES_CPYTHON_TEXT if candidate.name in TEXT else TIMES_CPYTHON
    found = [
        Comparison(f"{candidate.name}, beside CPython", target, ours, [python], [c, *others], candidate.notes)
    ]
    if candidate.name not in TEXT:
        found.append(Comparison(f"{candidate.name}, beside C", SHARE_OF_C, ours, [c]))
    return found


def _calls(module: Module, size: int) -> Measure:
    async def measure() -> float:
        best = []
        for _ in range(3):
            began = perf_counter_ns()
            await module.call("run", size)
            best.append((perf_counter_ns() - began) / 1000)
        return min(best)

    return measure


def _plain(function: Callable[[int], float], size: int) -> Measure:
    async def measure() -> float:
        began = perf_counter_ns()
        function(size)
        return (perf_counter_ns() - began) / 1000

    return measure


async def _compile_time(settings: Settings) -> Comparison:
    """Compile a page of code, from text to a module, beside the time that it may take."""
    text = paths(PAGE)["python"].read_text(encoding="utf-8")
    translate(text, "page.py")

    async def measure() -> float:
        began = perf_counter_ns()
        translate(text, "page.py")
        return (perf_counter_ns() - began) / 1000

    (ours,) = await interleave({"typed Python": measure}, "µs", settings.pick(50, 20), batches=1)
    aim = Series("at most 10 ms", "µs", (PAGE_MICROSECONDS,) * len(ours.samples))
    return Comparison(f"a page compiled ({len(text.splitlines())} lines)", 1.0, ours, [aim])


ROW = Row(10, "typed-python", "Typed Python", run, packages=("numba",))
