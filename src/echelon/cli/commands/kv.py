"""`echelon kv`: entries of a store, one at a time or all of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from echelon.cli import kv_json
from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import FAILED, OK
from echelon.cli.terminal import Terminal
from echelon.config import Config
from echelon.errors import ConfigError, KvError
from echelon.kv import Kv, open_kv
from echelon.kv.codec import Key
from echelon.runtime.limits import parse_time

_BATCH: Final = 256
_MAX_LINE: Final = 4 << 20
_MAX_VALUE: Final = 1 << 20


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    verb = command.name.removeprefix("kv ")
    status: int = asyncio.run(_VERBS[verb](arguments, terminal))
    return status


async def _get(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    async with _store(arguments) as kv:
        entry = await kv.get(key)
    if entry.versionstamp is None:
        terminal.error(f"nothing is stored under {kv_json.to_json(key)}")
        return FAILED
    terminal.result(kv_json.to_json(entry.value))
    return OK


async def _set(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    value = kv_json.read_value(_standard_input() if arguments.value == "-" else arguments.value)
    expire_in = None if arguments.expire_in is None else _time(arguments.expire_in)
    async with _store(arguments, make=True) as kv:
        result = await kv.set(key, value, expire_in=expire_in)
    terminal.note(f"{kv_json.to_json(key)} is stored, versionstamp {result.versionstamp}")
    return OK


async def _delete(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    async with _store(arguments) as kv:
        found = (await kv.get(key)).versionstamp is not None
        await kv.delete(key)
    shown = kv_json.to_json(key)
    terminal.note(f"{shown} is deleted" if found else f"nothing was stored under {shown}")
    return OK


async def _list(arguments: Arguments, terminal: Terminal) -> int:
    selector = _selector(arguments)
    async with _store(arguments) as kv:
        async for entry in kv.list(**selector, reverse=arguments.reverse):
            key = kv_json.to_json(entry.key)
            if arguments.json:
                document = {"key": entry.key, "value": entry.value}
                terminal.result(_line(document | {"versionstamp": entry.versionstamp}))
            else:
                terminal.result(key if arguments.keys else f"{key}\t{kv_json.to_json(entry.value)}")
    return OK


async def _export(arguments: Arguments, terminal: Terminal) -> int:
    prefix = kv_json.read_key(arguments.prefix or "", "PREFIX")
    count = 0
    async with _store(arguments) as kv:
        async for entry in kv.list(prefix=prefix, batch_size=_BATCH):
            terminal.raw(_line({"key": entry.key, "value": entry.value}).encode() + b"\n")
            count += 1
    terminal.note(f"{_entries(count)} exported")
    return OK


async def _import(arguments: Arguments, terminal: Terminal) -> int:
    count = 0
    with _lines_of(arguments.file) as lines:
        async with _store(arguments, make=True) as kv:
            batch: list[tuple[Key, Any]] = []
            try:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        batch.append(_read_entry(line, number))
                    if len(batch) >= _BATCH:
                        count += await _flush(kv, batch)
                count += await _flush(kv, batch)
            except (Usage, KvError) as exc:
                count += await _flush(kv, batch)
                raise Usage(f"{exc}; {_entries(count)} imported before it") from exc
    terminal.note(f"{_entries(count)} imported")
    return OK


_VERBS: Final[dict[str, Callable[[Arguments, Terminal], Any]]] = {
    "get": _get,
    "set": _set,
    "delete": _delete,
    "list": _list,
    "export": _export,
    "import": _import,
}


@asynccontextmanager
async def _store(arguments: Arguments, *, make: bool = False) -> AsyncIterator[Kv]:
    """Open the store that is meant; only a command that writes makes a new one. Raises Usage."""
    config = Config.load() if arguments.store is None else None
    path = Path(arguments.store) if config is None else config.kv.path
    if not path.exists():
        if not make:
            hint = "" if config is None else "; name another with --store FILE"
            raise Usage(f"there is no store {path}{hint}")
        if config is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            raise Usage(f"there is no folder {path.parent} to make the store {path.name} in")
    async with open_kv(path) as kv:
        yield kv


def _selector(arguments: Arguments) -> dict[str, Any]:
    """Return what `Kv.list` is to list; raises Usage."""
    prefix = None if arguments.prefix is None else kv_json.read_key(arguments.prefix, "PREFIX")
    start = None if arguments.start is None else kv_json.read_key(arguments.start, "--start")
    end = None if arguments.end is None else kv_json.read_key(arguments.end, "--end")
    if prefix is None and (start is None or end is None):
        prefix = ()
    return {"prefix": prefix, "start": start, "end": end, "limit": _count(arguments.limit)}


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 15 or int(text) < 1:
        raise Usage(f"--limit: {text!r} is not a whole number greater than zero")
    return int(text)


def _time(text: str) -> timedelta:
    try:
        return timedelta(seconds=parse_time(text, key="--expire-in"))
    except (ConfigError, OverflowError) as exc:
        raise Usage(str(exc) if isinstance(exc, ConfigError) else f"--expire-in: {text} is too long") from exc


def _line(document: dict[str, Any]) -> str:
    """Return an entry as a line of JSON; its own names are no tags."""
    parts = (f"{json.dumps(name)}: {kv_json.to_json(item)}" for name, item in document.items())
    return "{" + ", ".join(parts) + "}"


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


@contextmanager
def _lines_of(name: str | None) -> Iterator[Iterator[str]]:
    """Open the lines to import, of a file or standard input; raises Usage."""
    if name is None or name == "-":
        yield _decoded(_input())
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below, apart from the errors of opening it
    except OSError as exc:
        raise Usage(f"{name} cannot be read: {exc.strerror or exc}") from None
    with file:
        yield _decoded(file)


def _decoded(stream: BinaryIO) -> Iterator[str]:
    number = 0
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise Usage(f"line {number} is longer than {_MAX_LINE} bytes")
        yield _text(line, f"line {number}")


def _standard_input() -> str:
    data = _input().read(_MAX_VALUE + 1)
    if len(data) > _MAX_VALUE:
        raise Usage(f"the value on standard input has more than {_MAX_VALUE} bytes")
    return _text(data, "the value on standard input")


def _input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise Usage("there is no standard input to read")
    return sys.stdin.buffer


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Usage(f"{what} is not UTF-8") from None


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
