"""Whole stores as lines of JSON, out and in."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from echelon.cli import kv_json
from echelon.cli.kv_store import configured, open_store
from echelon.cli.parser import Arguments, Usage
from echelon.cli.progress import Progress
from echelon.cli.status import OK
from echelon.cli.terminal import Terminal
from echelon.errors import KvError
from echelon.kv import Kv
from echelon.kv.codec import Key

_BATCH: Final = 256
_MAX_LINE: Final = 4 << 20
_MAX_VALUE: Final = 1 << 20


async def export_entries(arguments: Arguments, terminal: Terminal) -> int:
    prefix = kv_json.read_key(arguments.prefix or "", "PREFIX")
    count = size = 0
    async with open_store(arguments) as kv:
        with Progress(terminal, "exporting", output=True) as progress:
            async for entry in kv.list(prefix=prefix, batch_size=_BATCH):
                line = write_line({"key": entry.key, "value": entry.value}).encode() + b"\n"
                terminal.raw(line)
                count, size = count + 1, size + len(line)
                progress.show(size, f"{count_entries(count)}, {size >> 20} MiB")
    under = f" under {kv_json.to_json(prefix)}" if prefix else ""
    terminal.note(f"{count_entries(count)}{under} exported")
    return OK


async def import_entries(arguments: Arguments, terminal: Terminal) -> int:
    count = 0
    most = max(_MAX_LINE, 2 * configured(arguments).max_value)
    with _lines_of(arguments.file, most) as (lines, total):
        async with open_store(arguments, make=True) as kv:
            batch: list[tuple[Key, Any]] = []
            with Progress(terminal, "importing") as progress:
                try:
                    for number, (line, done) in enumerate(lines, 1):
                        if line.strip():
                            batch.append(_read_entry(line, number))
                        if len(batch) >= _BATCH:
                            count += await _flush(kv, batch)
                            progress.show(done, count_entries(count), total)
                    count += await _flush(kv, batch)
                except (Usage, KvError) as exc:
                    count += await _flush(kv, batch)
                    raise Usage(f"{exc}; {count_entries(count)} imported before it") from exc
    terminal.note(f"{count_entries(count)} imported")
    return OK


def write_line(document: dict[str, Any]) -> str:
    """Return an entry as a line of JSON; its own names are no tags."""
    parts = (f"{json.dumps(name)}: {kv_json.to_json(item)}" for name, item in document.items())
    return "{" + ", ".join(parts) + "}"


def count_entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def read_input(arguments: Arguments) -> str:
    """Return a value from standard input; raises Usage."""
    most = max(_MAX_VALUE, 2 * configured(arguments).max_value)
    data = _input().read(most + 1)
    if len(data) > most:
        raise Usage(f"the value on standard input has more than {most} bytes")
    return _text(data, "the value on standard input")


def _read_entry(line: str, number: int) -> tuple[Key, Any]:
    where = f"line {number}"
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise Usage(f"{where} is not JSON: {exc}") from None
    if not isinstance(document, dict) or not {"key", "value"} <= document.keys():
        raise Usage(f'{where} is not an entry; write {{"key": ["users", 1], "value": …}}')
    try:
        return kv_json.key_from_json(document["key"], where), kv_json.value_from_json(document["value"])
    except ValueError as exc:
        raise Usage(f"{where}: {exc}") from None


async def _flush(kv: Kv, batch: list[tuple[Key, Any]]) -> int:
    """Write a batch; returns how many were written, raises the first error after all had their turn."""
    entries, batch[:] = [*batch], []
    results = await asyncio.gather(*(kv.set(key, value) for key, value in entries), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return len(results)


_Lines = Iterator[tuple[str, int]]
"""Lines, each with how many bytes were read so far."""


@contextmanager
def _lines_of(name: str | None, most: int) -> Iterator[tuple[_Lines, int | None]]:
    """Open the lines to import, of a file or standard input, and their size if it is known; raises Usage."""
    if name is None or name == "-":
        stream = _input()
        yield _decoded(stream, most), _size(stream)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below, apart from the errors of opening it
    except OSError as exc:
        raise Usage(f"{name} cannot be read: {exc.strerror or exc}") from None
    with file:
        yield _decoded(file, most), _size(file)


def _size(stream: BinaryIO) -> int | None:
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # what a test, or an embedding program, reads from
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _decoded(stream: BinaryIO, most: int) -> _Lines:
    number = done = 0
    while line := stream.readline(most + 1):
        number += 1
        done += len(line)
        if len(line) > most:
            raise Usage(f"line {number} is longer than {most} bytes")
        yield _text(line, f"line {number}"), done


def _input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise Usage("there is no standard input to read")
    return sys.stdin.buffer


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Usage(f"{what} is not UTF-8") from None
