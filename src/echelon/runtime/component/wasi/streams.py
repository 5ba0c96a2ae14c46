"""wasi:io: streams, what can be waited for, and errors."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from echelon.errors import ComponentError, GuestError
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.values import Variant
from echelon.runtime.component.wasi.state import MAX_CHUNK, WasiCall

MAX_POLLABLES: Final = 256


class IoError:
    """What went wrong with a stream; `code` is the error-code of the file system."""

    def __init__(self, code: str) -> None:
        self.code = code


def closed() -> ComponentError:
    """Return the error of a stream that has ended."""
    return ComponentError(Variant("closed"))


def failed(code: str) -> ComponentError:
    """Return the error of a stream whose last operation failed."""
    return ComponentError(Variant("last-operation-failed", IoError(code)))


class Pollable:
    """Something that is always ready."""

    def ready(self) -> bool:
        return True

    async def block(self) -> None:
        """Wait until it is ready; may be cancelled at any time."""


class InputReady(Pollable):
    """Standard input that has something to read, or has ended."""

    def __init__(self, state: WasiCall) -> None:
        self._input = state.call.stdin

    def ready(self) -> bool:
        return not self._input.must_wait

    async def block(self) -> None:
        await self._input.fill()


class InputStream(Protocol):
    """Where a guest reads from."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes that are there; raises ComponentError at the end."""

    def pollable(self) -> Pollable: ...


class OutputStream(Protocol):
    """Where a guest writes to."""

    def write(self, data: bytes) -> None: ...


class StandardInput:
    def __init__(self, state: WasiCall) -> None:
        self._state = state

    def read(self, size: int) -> bytes:
        source = self._state.call.stdin
        if source.ended:
            raise closed()
        return source.take(size)

    def pollable(self) -> Pollable:
        return InputReady(self._state)


class StandardOutput:
    def __init__(self, state: WasiCall, *, is_error: bool) -> None:
        self._state, self._is_error = state, is_error

    def write(self, data: bytes) -> None:
        call = self._state.call
        call.write(call.stderr if self._is_error else call.stdout, data)


# The functions of wasi:io ----------------------------------------------------------------------------------


def _read(_state: WasiCall, stream: InputStream, size: int) -> bytes:
    return stream.read(min(size, MAX_CHUNK)) if size else b""


async def _blocking_read(_state: WasiCall, stream: InputStream, size: int) -> bytes:
    if not size:
        return b""
    await stream.pollable().block()
    return stream.read(min(size, MAX_CHUNK))


def _skip(state: WasiCall, stream: InputStream, size: int) -> int:
    return len(_read(state, stream, size))


async def _blocking_skip(state: WasiCall, stream: InputStream, size: int) -> int:
    return len(await _blocking_read(state, stream, size))


def _write(_state: WasiCall, stream: OutputStream, data: bytes) -> None:
    if len(data) > MAX_CHUNK:
        raise GuestError(f"the guest wrote {len(data)} bytes to a stream that takes {MAX_CHUNK} at once")
    stream.write(data)


def _write_zeroes(state: WasiCall, stream: OutputStream, size: int) -> None:
    _write(state, stream, bytes(min(size, MAX_CHUNK + 1)))


def _splice(state: WasiCall, stream: OutputStream, source: InputStream, size: int) -> int:
    data = _read(state, source, size)
    stream.write(data)
    return len(data)


async def _blocking_splice(state: WasiCall, stream: OutputStream, source: InputStream, size: int) -> int:
    data = await _blocking_read(state, source, size)
    stream.write(data)
    return len(data)


async def _poll(_state: WasiCall, pollables: list[Pollable]) -> list[int]:
    """Wait for the first of some; a guest that waits for nothing, or for too much, is stopped."""
    if not 0 < len(pollables) <= MAX_POLLABLES:
        raise GuestError(
            f"the guest waits for {len(pollables)} things at once, 1 to {MAX_POLLABLES} are accepted"
        )
    ready = [place for place, item in enumerate(pollables) if item.ready()]
    if ready:
        return ready
    waiting = {asyncio.ensure_future(item.block()): place for place, item in enumerate(pollables)}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return sorted(waiting[task] for task in done)


async def _block(_state: WasiCall, pollable: Pollable) -> None:
    if not pollable.ready():
        await pollable.block()


FUNCTIONS: Final = {
    "wasi:io/error#[method]error.to-debug-string": HostImport(lambda _state, error: error.code),
    "wasi:io/poll#[method]pollable.ready": HostImport(lambda _state, pollable: pollable.ready()),
    "wasi:io/poll#[method]pollable.block": HostImport(_block, suspends=True),
    "wasi:io/poll#poll": HostImport(_poll, suspends=True),
} | {
    f"wasi:io/streams#[method]{name}": found
    for name, found in {
        "input-stream.read": HostImport(_read),
        "input-stream.blocking-read": HostImport(_blocking_read, suspends=True),
        "input-stream.skip": HostImport(_skip),
        "input-stream.blocking-skip": HostImport(_blocking_skip, suspends=True),
        "input-stream.subscribe": HostImport(lambda _state, stream: stream.pollable()),
        "output-stream.check-write": HostImport(lambda _state, _stream: MAX_CHUNK),
        "output-stream.write": HostImport(_write),
        "output-stream.blocking-write-and-flush": HostImport(_write),
        "output-stream.flush": HostImport(lambda _state, _stream: None),
        "output-stream.blocking-flush": HostImport(lambda _state, _stream: None),
        "output-stream.subscribe": HostImport(lambda _state, _stream: Pollable()),
        "output-stream.write-zeroes": HostImport(_write_zeroes),
        "output-stream.blocking-write-zeroes-and-flush": HostImport(_write_zeroes),
        "output-stream.splice": HostImport(_splice),
        "output-stream.blocking-splice": HostImport(_blocking_splice, suspends=True),
    }.items()
}
