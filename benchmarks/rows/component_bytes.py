"""Row 6: a megabyte of bytes to a component and back."""

from __future__ import annotations

from benchmarks import guests
from benchmarks.peers import WasmtimeComponent
from benchmarks.rounds import Work, compare
from benchmarks.row import CannotRun, Comparison, Row, Settings
from echelon.runtime.live_instance import LiveInstance

TARGET = 100.0
_CALLS, _PEER_CALLS = 200, 1
_DATA = bytes(range(256)) * 4096


async def run(settings: Settings) -> list[Comparison]:
    """Compare a live instance with the package's."""
    async with guests.runtime() as wasm:
        code = await guests.compiled(wasm, "echo_bytes.wat")
        module = await wasm.load(code)
        async with module.instance() as live:
            if await live.call("echo", _DATA) != _DATA:
                raise CannotRun("the bytes do not come back")
            found, package = await compare([_echelon(live), _package(code)], settings.pick(3, 2))
    return [Comparison("live.call of list<u8>, 1 MiB both ways", TARGET, found, [package])]


def _echelon(live: LiveInstance) -> Work:
    async def call(count: int) -> None:
        for _ in range(count):
            await live.call("echo", _DATA)

    return Work("Echelon live.call(…)", _CALLS, call)


def _package(code: bytes) -> Work:
    component = WasmtimeComponent(code)

    async def call(count: int) -> None:
        for _ in range(count):
            component.echo(_DATA)

    return Work("wasmtime package", _PEER_CALLS, call)


ROW = Row(6, "component-bytes", "A list<u8> of 1 MiB to a component and back", run, ("wasmtime",))
