"""Row 1: a call of an export on a live instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import guests
from benchmarks.peers import Wasmtime
from benchmarks.rounds import Work, compare
from benchmarks.row import CannotRun, Comparison, Row, Settings

TARGET = 10.0
_CALLS, _PEER_CALLS = 5000, 1000

Call = Callable[..., Awaitable[Any]]


async def run(settings: Settings) -> list[Comparison]:
    """Compare both ways that Echelon has with the package's; each has its export at hand before the clock starts."""
    async with guests.runtime() as wasm:
        code = await guests.compiled(wasm, "add.wat")
        module = await wasm.load(code)
        async with module.instance() as live:
            if await live.call("add", 20, 22) != 42:
                raise CannotRun("add(20, 22) is not 42")
            works = [_bound(live.function("add")), _named(live.call), _package(code)]
            bound, named, package = await compare(works, settings.pick(25, 9))
    return [
        Comparison("live.function, fetched once", TARGET, bound, [package]),
        Comparison("live.call, by name", TARGET, named, [package]),
    ]


def _bound(add: Call) -> Work:
    async def call(count: int) -> None:
        for _ in range(count):
            await add(20, 22)

    return Work("Echelon live.function(…)", _CALLS, call)


def _named(live_call: Call) -> Work:
    async def call(count: int) -> None:
        for _ in range(count):
            await live_call("add", 20, 22)

    return Work("Echelon live.call(…)", _CALLS, call)


def _package(code: bytes) -> Work:
    store, exports = Wasmtime(code).open()
    add = exports["add"]

    async def call(count: int) -> None:
        for _ in range(count):
            add(store, 20, 22)

    return Work("wasmtime package", _PEER_CALLS, call)


ROW = Row(1, "live-call", "Call of an export on a live instance: add(i32, i32)", run, ("wasmtime",))
