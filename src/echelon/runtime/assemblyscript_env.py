"""The imports that AssemblyScript's compiler emits on its own: `env.abort`, `env.console.log`, `env.Date.now`, …

Source: AssemblyScript 0.28, std/assembly/bindings/dom.ts and the built-in `abort`, `trace` and `seed`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from echelon.errors import GuestExit
from echelon.runtime.binary import Import
from echelon.runtime.guest_kit import aborted
from echelon.runtime.host import Call, HostFunction

MODULE: Final = "env"
_MAX_TEXT: Final = 64 << 10


def _text(call: Call, pointer: int) -> str:
    """Read a string object: UTF-16LE, its size in bytes 4 bytes before it."""
    if pointer == 0:
        return ""
    memory = call.guest_memory()
    size = min(memory.read_u32(pointer - 4), _MAX_TEXT)
    return memory.read(pointer, size & ~1).decode("utf-16-le", "replace")


def _abort(call: Call, message: int, file: int, line: int, column: int) -> None:
    raise aborted(_text(call, message), _text(call, file), line, column)


def _trace(call: Call, message: int, count: int, *numbers: float) -> None:
    shown = " ".join(f"{n:g}" for n in numbers[: max(0, min(count, 5))])
    call.log("debug", f"{_text(call, message)} {shown}".rstrip())


def _seed(call: Call) -> float:
    return float(struct.unpack("<Q", call.environment.random(8))[0] >> 11)


def _date_now(call: Call) -> float:
    return float(call.environment.wall() // 1_000_000)


def _performance_now(call: Call) -> float:
    return float(call.environment.monotonic() / 1e6)


def _logger(level: str) -> HostFunction:
    def write(call: Call, message: int) -> None:
        call.log(_LEVELS[level], _text(call, message))

    return HostFunction(MODULE, f"console.{level}", ("u32",), (), write)


def _console_assert(call: Call, condition: int, message: int) -> None:
    if not condition:
        call.log("error", f"assertion failed: {_text(call, message)}")


def _exit(_call: Call, status: int) -> None:
    raise GuestExit(f"the guest exited with status {status}", code=status)


def _timer(action: str) -> HostFunction:
    """Return one of `console.time`, `timeLog` and `timeEnd`, which log how long ago a label was set."""

    def measure(call: Call, label: int) -> None:
        name, now = _text(call, label), call.environment.monotonic()
        timers: dict[str, int] = call.state.setdefault(_TIMERS, {})
        if action == "time":
            if len(timers) < _MAX_TIMERS:
                timers.setdefault(name, now)
            return
        began = timers.get(name) if action == "timeLog" else timers.pop(name, None)
        if began is not None:
            call.log("info", f"{name}: {(now - began) / 1e6:g}ms")

    return HostFunction(MODULE, f"console.{action}", ("u32",), (), measure)


_TIMERS: Final = "env.timers"
_MAX_TIMERS: Final = 64
_LEVELS: Final = {"log": "info", "info": "info", "warn": "warning", "error": "error", "debug": "debug"}
_FUNCTIONS: Final = {
    function.name: function
    for function in (
        HostFunction(MODULE, "abort", ("u32", "u32", "u32", "u32"), (), _abort),
        HostFunction(MODULE, "trace", ("u32", "i32", "f64", "f64", "f64", "f64", "f64"), (), _trace),
        HostFunction(MODULE, "seed", (), ("f64",), _seed),
        HostFunction(MODULE, "Date.now", (), ("f64",), _date_now),
        HostFunction(MODULE, "performance.now", (), ("f64",), _performance_now),
        HostFunction(MODULE, "console.assert", ("i32", "u32"), (), _console_assert),
        HostFunction(MODULE, "process.exit", ("i32",), (), _exit),
        *(_logger(level) for level in _LEVELS),
        *(_timer(action) for action in ("time", "timeLog", "timeEnd")),
    )
}


class AssemblyScriptEnv:
    """The namespace `env` of modules that AssemblyScript compiled."""

    def find(self, wanted: Import) -> HostFunction | None:
        return _FUNCTIONS.get(wanted.name) if wanted.module == MODULE and wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return (MODULE,)
