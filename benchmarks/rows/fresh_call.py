"""Row 2: a call in a fresh sandbox: instance, limits, permissions, result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import guests
from benchmarks.peers import Extism, Wasmtime
from benchmarks.rounds import Work, compare
from benchmarks.row import CannotRun, Comparison, Row, Settings
from echelon.runtime.core import Runtime
from echelon.runtime.module import Module

WASMTIME_TARGET, EXTISM_TARGET = 3.0, 4.0
_CALLS, _WASMTIME_CALLS, _EXTISM_CALLS = 1000, 300, 50


@dataclass(frozen=True, slots=True)
class Case:
    """One function in two forms: for Echelon and the wasmtime package, and for extism."""

    what: str
    function: str
    guest: str
    extism_guest: str
    arguments: tuple[Any, ...]
    answer: Any


CASES = (
    Case("add(i32, i32)", "add", "add.wat", "add_extism.wat", (20, 22), 42),
    Case(
        "greet(string), TypeScript",
        "greet",
        "greet.ts",
        "greet_extism.ts",
        ("Ada Lovelace",),
        "Hello, Ada Lovelace!",
    ),
)
"""Numbers only, and strings, which also cross the guest's memory."""


async def run(settings: Settings) -> list[Comparison]:
    async with guests.runtime() as wasm:
        found = [await _compare(wasm, case, settings) for case in CASES]
    return [comparison for comparisons in found for comparison in comparisons]


async def _compare(wasm: Runtime, case: Case, settings: Settings) -> list[Comparison]:
    code = await guests.compiled(wasm, case.guest)
    module = await wasm.load(code)
    package = getattr(Wasmtime(code), f"fresh_{case.function}")
    plugin = getattr(Extism(await guests.compiled(wasm, case.extism_guest)), f"fresh_{case.function}")
    for name, answer in (
        ("Echelon", await module.call(case.function, *case.arguments)),
        ("the wasmtime package", package(*case.arguments)),
        ("extism", plugin(*case.arguments)),
    ):
        if answer != case.answer:
            raise CannotRun(f"{case.function} answers {answer!r} in {name}, not {case.answer!r}")
    works = [
        _module(module, case),
        _plain("wasmtime package", _WASMTIME_CALLS, package, case),
        _plain("extism, compiled plug-in", _EXTISM_CALLS, plugin, case),
    ]
    ours, of_package, of_plugin = await compare(works, settings.pick(15, 7), settings.pick(3000, 300))
    return [
        Comparison(case.what, WASMTIME_TARGET, ours, [of_package]),
        Comparison(case.what, EXTISM_TARGET, ours, [of_plugin]),
    ]


def _module(module: Module, case: Case) -> Work:
    function, arguments = case.function, case.arguments

    async def call(count: int) -> None:
        for _ in range(count):
            await module.call(function, *arguments)

    return Work("Echelon module.call(…)", _CALLS, call)


def _plain(name: str, count: int, function: Callable[..., Any], case: Case) -> Work:
    arguments = case.arguments

    async def call(count: int) -> None:
        for _ in range(count):
            function(*arguments)

    return Work(name, count, call)


ROW = Row(
    2, "fresh-call", "Fresh sandboxed call: instance, limits, permissions, result", run,
    ("wasmtime", "extism", "extism-sys"),
)  # fmt: skip
