"""Turn what the engine reports of a component into Echelon's errors.

The C API gives a component's traps as texts only, so they are recognised by their wording, which a test pins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from echelon.errors import EchelonError, Frame, FuelExhausted, GuestError, Trap
from echelon.runtime import failures
from echelon.runtime.binary import Edit, ModuleInfo, place_before
from echelon.runtime.component.lists import TOO_MUCH
from echelon.runtime.limits import Limits
from echelon.runtime.native import Native

_TRAPS: Final = (
    ("call stack exhausted", 0),
    ("out of bounds memory access", 1),
    ("unaligned atomic", 2),
    ("out of bounds table access", 3),
    ("uninitialized element", 4),
    ("indirect call type mismatch", 5),
    ("integer overflow", 6),
    ("integer divide by zero", 7),
    ("invalid conversion to integer", 8),
    ("`unreachable` instruction executed", 9),
    ("all fuel consumed", 11),
)
_OUT_OF_FUEL: Final = 11
_UNREACHABLE: Final = 9
_ALLOCATION_FAILED: Final = re.compile(r"rust_oom|handle_alloc_error|rg_oom|alloc_error_handler")
_MEMORY_LIMIT: Final = re.compile(r"memory minimum size|exceeds memory limits")
_TOO_MUCH_DATA: Final = re.compile(r"fuel allocated for hostcalls has been exhausted")


def from_message(message: str, frames: tuple[Frame, ...], info: ModuleInfo, limits: Limits) -> EchelonError:
    """Return the error for what the engine says."""
    cause = _root_cause(message)
    if _MEMORY_LIMIT.search(message):
        return failures.memory_exceeded(info, limits)
    if _TOO_MUCH_DATA.search(message):
        return GuestError(TOO_MUCH)
    for text, number in _TRAPS:
        if text not in cause:
            continue
        if number == _OUT_OF_FUEL and limits.fuel is not None:
            return FuelExhausted(f"the guest used up its {limits.fuel} units of fuel", limit=limits.fuel)
        if number == _UNREACHABLE and any(_ALLOCATION_FAILED.search(frame.function) for frame in frames[:8]):
            return failures.memory_exceeded(info, limits)
        code, meaning = failures.TRAPS[number]
        where = f" in {frames[0]}" if frames else ""
        return Trap(meaning + where, code=code, frames=frames)
    return Trap(
        f"the guest broke the component model's rules: {cause}", code="component-model", frames=frames
    )


def take(
    native: Native, error: Any, info: ModuleInfo, edits: Sequence[Edit]
) -> tuple[str, tuple[Frame, ...]]:
    """Return the message and the guest's stack of an error that we own, and free it.

    `edits` are those with which the component was compiled: the frames say where it stands in the file.
    """
    frames = failures.read_frames(native, native.lib.wasmtime_error_wasm_trace, error, info)
    if edits:
        frames = tuple(replace(frame, offset=place_before(edits, frame.offset)) for frame in frames)
    return native.take_error(error), frames


def _root_cause(message: str) -> str:
    """Return the last of a chain of causes, on one line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1].lstrip("0123456789: ").removeprefix("wasm trap: ") if lines else "an unknown error"
