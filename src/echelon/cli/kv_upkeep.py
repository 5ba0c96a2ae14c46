"""What operators do with a whole store: copy it, check it, count what is in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, TypeVar

import msgspec

from echelon.cli.kv_store import open_store
from echelon.cli.parser import Arguments
from echelon.cli.progress import Progress
from echelon.cli.status import FAILED, OK
from echelon.cli.terminal import Terminal, table

T = TypeVar("T")

_TICK: Final = 0.2


async def back_up(arguments: Arguments, terminal: Terminal) -> int:
    async with open_store(arguments) as kv:
        with Progress(terminal, "copying") as progress:
            await kv.backup(arguments.file, lambda done, total: progress.show(done, _size(done), total))
    terminal.note(f"the store is copied to {arguments.file}")
    return OK


async def check(arguments: Arguments, terminal: Terminal) -> int:
    async with open_store(arguments) as kv:
        faults = await _patiently(kv.check(), Progress(terminal, "checking"))
    for fault in faults:
        terminal.result(fault)
    if not faults:
        terminal.note("the store is sound")
    return FAILED if faults else OK


async def show_stats(arguments: Arguments, terminal: Terminal) -> int:
    async with open_store(arguments) as kv:
        stats = await _patiently(kv.stats(), Progress(terminal, "counting"))
    if arguments.json:
        terminal.result(msgspec.json.encode(stats).decode())
        return OK
    rows = [
        ("entries", f"{stats.entries}, {_size(stats.bytes)}"),
        ("expired", f"{stats.expired} that were not removed yet"),
        ("messages", f"{stats.messages}: {stats.due} due, {stats.leased} being handled"),
        ("last commit", stats.versionstamp),
    ]
    if stats.file_bytes is not None:
        rows.append(("file", _size(stats.file_bytes)))
    if stats.log_bytes is not None:
        rows.append(("log", _size(stats.log_bytes)))
    for line in table(rows):
        terminal.result(line)
    return OK


async def _patiently(work: Awaitable[T], progress: Progress) -> T:
    """Wait for something that does not say how far it is, and say how long it takes."""
    began, running = time.monotonic(), asyncio.ensure_future(work)
    try:
        with progress:
            while not (await asyncio.wait([running], timeout=_TICK))[0]:
                progress.show(0, f"for {time.monotonic() - began:.0f} s")
    finally:
        running.cancel()
    return running.result()


def _size(count: int) -> str:
    amount, units = float(count), iter(("bytes", "KiB", "MiB", "GiB"))
    unit = next(units)
    while amount >= 1024 and unit != "GiB":
        amount, unit = amount / 1024, next(units)
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
