"""`echelon kv`: entries of a store, one at a time or all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

from echelon.cli import kv_json, kv_transfer, kv_upkeep
from echelon.cli.kv_store import open_store
from echelon.cli.kv_transfer import write_line
from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import FAILED, OK
from echelon.cli.terminal import Terminal
from echelon.errors import ConfigError
from echelon.kv import Entry, Key, Kv
from echelon.runtime.limits import parse_time


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    verb = command.name.removeprefix("kv ")
    status: int = asyncio.run(_VERBS[verb](arguments, terminal))
    return status


async def _get(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    async with open_store(arguments) as kv:
        entry = await kv.get(key)
        hint = await _as_javascript(kv, key) if entry.versionstamp is None else ""
    if entry.versionstamp is None:
        terminal.error(f"nothing is stored under {kv_json.to_json(key)}{hint}")
        return FAILED
    terminal.result(_document(entry) if arguments.json else kv_json.to_json(entry.value))
    return OK


async def _as_javascript(kv: Kv, key: Key) -> str:
    """Say whether there is an entry whose numbers are those of JavaScript, which are floats."""
    other = tuple(float(part) if type(part) is int else part for part in key)
    if kv.values != "v8" or not any(type(part) is int for part in key):
        return ""
    found = (await kv.get(other)).versionstamp is not None
    return f"; there is {kv_json.to_json(other)}, as JavaScript writes it" if found else ""


async def _set(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    value = kv_json.read_value(
        kv_transfer.read_input(arguments) if arguments.value == "-" else arguments.value
    )
    expire_in = None if arguments.expire_in is None else _time(arguments.expire_in)
    async with open_store(arguments, make=True) as kv:
        result = await kv.set(key, value, expire_in=expire_in)
    terminal.note(f"{kv_json.to_json(key)} is stored, versionstamp {result.versionstamp}")
    return OK


async def _delete(arguments: Arguments, terminal: Terminal) -> int:
    key = kv_json.read_key(arguments.key)
    async with open_store(arguments) as kv:
        found = (await kv.get(key)).versionstamp is not None
        await kv.delete(key)
    shown = kv_json.to_json(key)
    terminal.note(f"{shown} is deleted" if found else f"nothing was stored under {shown}")
    return OK


async def _list(arguments: Arguments, terminal: Terminal) -> int:
    selector = _selector(arguments)
    async with open_store(arguments) as kv:
        async for entry in kv.list(**selector, reverse=arguments.reverse):
            if arguments.json:
                terminal.result(_document(entry))
            else:
                terminal.result(kv_json.to_json(entry.key) if arguments.keys else _row(entry))
    return OK


async def _watch(arguments: Arguments, terminal: Terminal) -> int:
    keys = [kv_json.read_key(key) for key in arguments.key]
    if not keys:
        raise Usage("KEY is missing; name the keys to watch")
    left = _count(arguments.limit)
    seen: list[object] = [...] * len(keys)
    async with open_store(arguments) as kv, aclosing(kv.watch(keys)) as states:
        async for entries in states:
            for number, entry in enumerate(entries):
                if entry.versionstamp == seen[number]:
                    continue
                seen[number] = entry.versionstamp
                terminal.result(_document(entry) if arguments.json else _row(entry))
                left = None if left is None else left - 1
                if left == 0:
                    return OK
            terminal.flush()
    return OK


_VERBS: Final[dict[str, Callable[[Arguments, Terminal], Any]]] = {
    "get": _get,
    "set": _set,
    "delete": _delete,
    "list": _list,
    "watch": _watch,
    "export": kv_transfer.export_entries,
    "import": kv_transfer.import_entries,
    "backup": kv_upkeep.back_up,
    "check": kv_upkeep.check,
    "stats": kv_upkeep.show_stats,
}


def _document(entry: Entry[Any]) -> str:
    return write_line({"key": entry.key, "value": entry.value, "versionstamp": entry.versionstamp})


def _row(entry: Entry[Any]) -> str:
    """Return key, tab and value; only the key of what is not there."""
    key = kv_json.to_json(entry.key)
    return key if entry.versionstamp is None else f"{key}\t{kv_json.to_json(entry.value)}"


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
