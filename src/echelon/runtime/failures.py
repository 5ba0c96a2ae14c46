"""Turn what the engine reports into Echelon's errors: the one place where foreign errors become ours."""

from __future__ import annotations

import re
from typing import Any, Final

from echelon.errors import (
    EchelonError,
    Frame,
    FuelExhausted,
    GuestError,
    HostError,
    LinkError,
    MemoryExceeded,
    Trap,
)
from echelon.runtime import binary, lines
from echelon.runtime.binary import ModuleInfo
from echelon.runtime.demangle import MAX_NAME, demangle
from echelon.runtime.limits import PAGE, Limits
from echelon.runtime.native import Native

TRAPS: Final = {
    0: ("stack-overflow", "the guest called too deeply and used up its stack"),
    1: ("memory-out-of-bounds", "the guest accessed memory outside its bounds"),
    2: ("heap-misaligned", "the guest made a misaligned atomic access"),
    3: ("table-out-of-bounds", "the guest accessed a table outside its bounds"),
    4: ("indirect-call-to-null", "the guest called a table entry that is empty"),
    5: ("bad-signature", "the guest called a function through a table with the wrong type"),
    6: ("integer-overflow", "the guest divided the smallest integer by -1"),
    7: ("integer-division-by-zero", "the guest divided an integer by zero"),
    8: ("bad-conversion-to-integer", "the guest converted a number that no integer can hold"),
    9: ("unreachable", "the guest executed an unreachable instruction"),
    10: ("interrupt", "the guest was interrupted"),
    11: ("out-of-fuel", "the guest used up its fuel"),
    13: ("null-reference", "the guest used a null reference"),
    15: ("allocation-too-large", "the guest asked for an allocation that is too large"),
    49: ("uncaught-exception", "the guest threw an exception that nothing caught"),
}
"""Code and meaning of each `wasmtime_trap_code_t` that a core module can cause."""

EXCEPTION: Final = "exception"
"""The code of a trap for an exception of the guest's language that nothing caught; its message is the exception's."""

_STACK_OVERFLOW: Final = 0
_UNREACHABLE: Final = 9
_OUT_OF_FUEL: Final = 11
_ALLOCATION_FAILED: Final = re.compile(r"rust_oom|handle_alloc_error|rg_oom|alloc_error_handler")
_MAX_FRAMES: Final = 32
_UNKNOWN_OFFSET: Final = (1 << 64) - 1
_MAX_NAME: Final = 256
"""Characters of a function's name that are shown; a module chooses its own names."""

_MAX_NAMES: Final = 2000
"""Names of one module that are made readable."""

_MEMORY_LIMIT: Final = re.compile(r"memory minimum|exceeds memory limits|exceeds table limits")


def read_frames(native: Native, fill: Any, source: Any, info: ModuleInfo) -> tuple[Frame, ...]:
    """Return the guest's stack from a trap or error, innermost first; a function without a name has its export's."""
    vector = native.ffi.new("wasm_frame_vec_t *")
    fill(source, vector)
    frames = []
    for position in range(min(vector.size, _MAX_FRAMES)):
        frame = vector.data[position]
        index = native.lib.wasm_frame_func_index(frame)
        name = native.lib.wasmtime_frame_func_name(frame)
        text = (
            _readable(bytes(native.ffi.buffer(name.data, min(name.size, MAX_NAME + 1))), info)
            if name != native.null
            else info.function_name(index)[:_MAX_NAME]
        )
        offset = int(native.lib.wasm_frame_module_offset(frame))
        frames.append(Frame(text, int(index), 0 if offset == _UNKNOWN_OFFSET else offset))
    native.lib.wasm_frame_vec_delete(vector)
    return tuple(frames)


def _readable(name: bytes, info: ModuleInfo) -> str:
    """Return a function's name as its author wrote it: once, and not any number, for it takes time."""
    known = info.names.get(name)
    if known is None:
        known = name.decode("utf-8", "replace")
        if len(info.names) < _MAX_NAMES:
            known = info.names[name] = demangle(known)[:_MAX_NAME]
    return known[:_MAX_NAME]


def from_trap(native: Native, trap: Any, wasm: bytes, info: ModuleInfo, limits: Limits) -> GuestError:
    """Return the error for a trap that we own, and free it."""
    code = native.ffi.new("uint8_t *")
    known = native.lib.wasmtime_trap_code(trap, code)
    frames = lines.locate(wasm, info, read_frames(native, native.lib.wasm_trap_trace, trap, info))
    native.lib.wasm_trap_delete(trap)
    if not known:
        return Trap("the guest was stopped", code="host", frames=frames)
    number = int(code[0])
    if number == _OUT_OF_FUEL and limits.fuel is not None:
        return FuelExhausted(f"the guest used up its {limits.fuel} units of fuel", limit=limits.fuel)
    if number == _UNREACHABLE and _ran_out_of_memory(wasm, info, frames):
        return memory_exceeded(info, limits)
    name, text = TRAPS.get(number, (f"trap-{number}", "the guest trapped"))
    where = f" in {frames[0]}" if frames else ""
    return Trap(text + where, code=name, frames=frames)


def _ran_out_of_memory(wasm: bytes, info: ModuleInfo, frames: tuple[Frame, ...]) -> bool:
    """Tell whether the guest gave up because its memory could not grow.

    The engine does not report a refused `memory.grow`. What gives it away is where the guest gave up:
    in the function that grows its memory, or in its language's handler for failed allocations.
    """
    if not frames or not info.memories:
        return False
    if any(_ALLOCATION_FAILED.search(frame.function) for frame in frames[:8]):
        return True
    return binary.grows_memory(wasm, info, frames[0].offset)


def memory_exceeded(info: ModuleInfo, limits: Limits) -> MemoryExceeded:
    """Return the error for a guest whose memory cannot grow further."""
    maximum = info.memories[0].maximum if info.memories else None
    if maximum is not None and maximum * PAGE < limits.memory:
        return MemoryExceeded(
            f"the guest needs more memory than the {maximum * PAGE} bytes its module declares as maximum",
            limit=maximum * PAGE,
        )
    return MemoryExceeded(
        f"the guest needs more memory than its limit of {limits.memory} bytes", limit=limits.memory
    )


def from_error(native: Native, error: Any, info: ModuleInfo, limits: Limits) -> EchelonError:
    """Return the error for an engine error that we own, and free it."""
    message = native.take_error(error)
    if _MEMORY_LIMIT.search(message):
        return memory_exceeded(info, limits)
    if "unknown import" in message or "incompatible import" in message:
        return LinkError(message.splitlines()[0])
    return GuestError(f"the engine could not run the guest: {message.splitlines()[0]}")


def discard(native: Native, trap: Any, error: Any, info: ModuleInfo) -> tuple[Frame, ...]:
    """Free a trap or error that we own, which a host function caused, and return the guest's stack."""
    if error != native.null:
        frames = read_frames(native, native.lib.wasmtime_error_wasm_trace, error, info)
        native.lib.wasmtime_error_delete(error)
        return frames
    frames = read_frames(native, native.lib.wasm_trap_trace, trap, info)
    native.lib.wasm_trap_delete(trap)
    return frames


def place(trap: Trap, frames: tuple[Frame, ...], wasm: bytes, info: ModuleInfo) -> None:
    """Give a trap that a host function raised the guest's stack, and say where in the user's source it was."""
    trap.frames = lines.locate(wasm, info, frames)
    origin = next((f"{frame.file}:{frame.line}" for frame in trap.frames if frame.file), None)
    if origin is not None and origin not in str(trap) and trap.code != EXCEPTION:
        trap.args = (f"{trap}, at {origin}",)


def from_host(failure: BaseException, function: str) -> BaseException:
    """Return what to raise for an exception that a host function left behind."""
    if isinstance(failure, EchelonError) or not isinstance(failure, Exception):
        return failure
    error = HostError(
        f"the host function {function} failed: {type(failure).__name__}: {failure}", function=function
    )
    error.__cause__ = failure
    return error
