"""The functions of WASI that have nothing to do with files: arguments, environment, time, randomness, waiting, exit."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from typing import Final

from echelon.errors import GuestExit
from echelon.runtime import wasi_abi as abi
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_session import MAX_TRANSFER, Session
from echelon.runtime.wasi_table import Directory, File, Output, Stdin

MAX_SUBSCRIPTIONS: Final = 256
_MAX_SIGNAL: Final = 30
_IGNORED_SIGNALS: Final = (0, 16, 17, 22, 27)
"""none, chld, cont, urg and winch: whoever does not handle them is not ended by them."""


# Arguments and environment ------------------------------------------------------------------------------


def _write_sizes(s: Session, texts: Sequence[bytes], count: int, size: int) -> None:
    s.require_range(size, 4)
    s.memory.write_u32(count, len(texts))
    s.memory.write_u32(size, sum(map(len, texts)))


def _write_texts(s: Session, texts: Sequence[bytes], pointers: int, buffer: int) -> None:
    """Write the texts one after the other, and where each begins."""
    starts, position = [], buffer
    for text in texts:
        starts.append(position)
        position += len(text)
    s.require_range(buffer, position - buffer)
    s.memory.write(pointers, struct.pack(f"<{len(starts)}I", *starts))
    s.memory.write(buffer, b"".join(texts))


def _args(s: Session) -> list[bytes]:
    return [os.fsencode(text) + b"\0" for text in s.environment.args]


def _variables(s: Session) -> list[bytes]:
    variables = s.environment.variables
    s.call.permissions.require_environment(given=variables is not None)
    return [os.fsencode(f"{name}={text}") + b"\0" for name, text in (variables or {}).items()]


def args_sizes_get(s: Session, count: int, size: int) -> None:
    _write_sizes(s, _args(s), count, size)


def args_get(s: Session, pointers: int, buffer: int) -> None:
    _write_texts(s, _args(s), pointers, buffer)


def environ_sizes_get(s: Session, count: int, size: int) -> None:
    _write_sizes(s, _variables(s), count, size)


def environ_get(s: Session, pointers: int, buffer: int) -> None:
    _write_texts(s, _variables(s), pointers, buffer)


# Time and randomness ------------------------------------------------------------------------------------


def _require_clock(clock: int) -> None:
    if clock in (abi.PROCESS_CPUTIME, abi.THREAD_CPUTIME):
        raise WasiError(Errno.NOTSUP)
    if clock > abi.THREAD_CPUTIME:
        raise WasiError(Errno.INVAL)


def _now(s: Session, clock: int) -> int:
    _require_clock(clock)
    return s.environment.wall() if clock == abi.REALTIME else s.environment.monotonic()


def clock_res_get(s: Session, clock: int, out: int) -> None:
    _require_clock(clock)
    s.memory.write_u64(out, s.environment.resolution)


def clock_time_get(s: Session, clock: int, precision: int, out: int) -> None:
    s.require_range(out, 8)
    s.memory.write_u64(out, _now(s, clock))


def random_get(s: Session, buffer: int, length: int) -> None:
    s.require_range(buffer, length)
    if length > MAX_TRANSFER:
        raise WasiError(Errno.INVAL)
    s.memory.write(buffer, s.environment.random(length))


# The end ------------------------------------------------------------------------------------------------


def proc_exit(s: Session, code: int) -> None:
    """End the guest, always by GuestExit; 0 is a success to the executor."""
    raise GuestExit(f"the guest exited with status {code}", code=code)


def proc_raise(s: Session, signal: int) -> None:
    """End the guest as a shell would report it, unless the signal is one that ends nothing."""
    if signal > _MAX_SIGNAL:
        raise WasiError(Errno.INVAL)
    if signal not in _IGNORED_SIGNALS:
        raise GuestExit(f"the guest ended itself with signal {signal}", code=128 + signal)


def sched_yield(s: Session) -> None:
    """Go on: the executor interrupts guests by itself."""


# Waiting ------------------------------------------------------------------------------------------------


async def poll_oneoff(s: Session, subscriptions: int, events: int, count: int, out: int) -> None:
    """Wait until a clock has reached its time or a descriptor is ready; all are, but standard input may not be."""
    if not 0 < count <= MAX_SUBSCRIPTIONS:
        raise WasiError(Errno.INVAL)
    s.require_range(out, 4)
    s.require_range(events, count * abi.EVENT.size)
    raw = s.memory.read(subscriptions, count * abi.SUBSCRIPTION.size)
    ready: list[bytes] = []
    waits: list[tuple[int, int]] = []
    reads: list[tuple[int, int]] = []
    for userdata, tag, subject, timeout, _, flags in abi.SUBSCRIPTION.iter_unpack(raw):
        if tag == abi.EVENT_CLOCK:
            wait = _wait(s, subject, timeout, flags)
            if isinstance(wait, Errno):
                ready.append(abi.EVENT.pack(userdata, wait, tag, 0, 0))
            else:
                waits.append((wait, userdata))
        elif tag == abi.EVENT_READ and s.call.stdin.must_wait and _is_stdin(s, subject):
            reads.append((userdata, subject))
        elif tag in (abi.EVENT_READ, abi.EVENT_WRITE):
            ready.append(_descriptor_event(s, userdata, tag, subject))
        else:
            raise WasiError(Errno.INVAL)
    passed = 0
    if not ready:
        passed = await _first(s, min((wait for wait, _ in waits), default=None), reading=bool(reads))
    if reads and not s.call.stdin.must_wait:
        ready += [_descriptor_event(s, userdata, abi.EVENT_READ, fd) for userdata, fd in reads]
    ready += [abi.EVENT.pack(data, 0, abi.EVENT_CLOCK, 0, 0) for wait, data in waits if wait <= passed]
    s.memory.write(events, b"".join(ready))
    s.memory.write_u32(out, len(ready))


async def _first(s: Session, wait: int | None, *, reading: bool) -> int:
    """Wait for the time or for standard input, whichever is first; return how much of the time has passed."""
    if not reading:
        await s.environment.clock.sleep(wait or 0)
        return wait or 0
    if wait is None:
        await s.call.stdin.fill()
        return 0
    sleep = asyncio.ensure_future(s.environment.clock.sleep(wait))
    fill = asyncio.ensure_future(s.call.stdin.fill())
    try:
        await asyncio.wait((sleep, fill), return_when=asyncio.FIRST_COMPLETED)
    finally:
        slept = sleep.done()
        sleep.cancel()
        fill.cancel()
    return wait if slept else -1


def _is_stdin(s: Session, fd: int) -> bool:
    try:
        return isinstance(s.table.get(fd), Stdin)
    except WasiError:
        return False


def _wait(s: Session, clock: int, timeout: int, flags: int) -> int | Errno:
    """Return how long a subscription to a clock has to wait, or why it cannot."""
    try:
        now = _now(s, clock)
    except WasiError as exc:
        return exc.errno
    return max(0, timeout - now) if flags & abi.ABSTIME else timeout


def _descriptor_event(s: Session, userdata: int, tag: int, fd: int) -> bytes:
    """Return the event of a descriptor that is ready."""
    size = flags = 0
    try:
        found = s.table.get(fd)
        if isinstance(found, Stdin) and tag == abi.EVENT_READ:
            size = s.call.stdin.available
            flags = abi.HANGUP if s.call.stdin.ended else 0
        elif isinstance(found, File):
            if tag == abi.EVENT_READ:
                size = max(0, os.fstat(found.number).st_size - os.lseek(found.number, 0, os.SEEK_CUR))
        elif isinstance(found, Directory) or isinstance(found, Output) != (tag == abi.EVENT_WRITE):
            raise WasiError(Errno.BADF)
    except WasiError as exc:
        return abi.EVENT.pack(userdata, exc.errno, tag, 0, 0)
    return abi.EVENT.pack(userdata, 0, tag, size, flags)


# Sockets ------------------------------------------------------------------------------------------------


def no_socket(s: Session, fd: int, *arguments: int) -> None:
    """Refuse: no descriptor is ever a socket, a guest reaches the network through the host's own functions."""
    s.table.get(fd)
    raise WasiError(Errno.NOTSOCK)
