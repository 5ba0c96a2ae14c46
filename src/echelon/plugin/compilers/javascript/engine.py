"""Build the engine of scripts: QuickJS with our host script already run, as one module that begins from there.

The module of the package is started once, in our own runtime, with the host script in it. What is then in its memory
becomes its data, so that an instance needs no start of its own. The same package and host script give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from echelon.errors import EchelonError
from echelon.plugin.compilers.javascript import natives
from echelon.runtime import script_engine
from echelon.runtime.binary import Reader, add_custom_section, leb
from echelon.runtime.script_host import MAILBOX

if TYPE_CHECKING:
    from echelon.runtime.live_instance import LiveInstance

HOST_SCRIPT: Final = Path(__file__).with_name("host.js")
WEB_SCRIPTS: Final = tuple(Path(__file__).with_name(name) for name in ("url.js", "web.js"))
"""What scripts find besides, as browsers have it."""

_PAGE: Final = 64 << 10
_RUN: Final = 64
"""Zeros that are worth a new segment."""

_MAX_STACK: Final = 256 << 10
_PORT: Final = ("load", "call", "handle", "hold", "deliver", "resume", "poll")
_CELLS: Final = 24
_MEMORY, _EXPORT, _DATA, _DATA_COUNT = 5, 7, 11, 12


def scripts() -> list[str]:
    """Return what the engine has run before any script: the host script, then what else scripts find."""
    return [path.read_text("utf-8") for path in (HOST_SCRIPT, *WEB_SCRIPTS)]


async def build(package: bytes, scripts: Sequence[str]) -> bytes:
    """Return the engine with these scripts run, of which the first one is the host's.

    Raises EchelonError when the package's module does not do as expected.
    """
    from echelon.runtime.core import Runtime
    from echelon.runtime.limits import Limits

    package, functions = natives.add(package)
    async with Runtime() as runtime:
        module = await runtime.load(package, limits=Limits(time=60, memory=64 << 20))
        async with module.instance(seed=0) as live:
            places = await _prepare(live, scripts, functions)
            memory = live.memory.read(0, live.memory.size)
    wasm = _rewrite(package, memory)
    return add_custom_section(wasm, script_engine.SECTION, msgspec.json.encode(places))


async def _prepare(
    live: LiveInstance, scripts: Sequence[str], functions: Mapping[str, int]
) -> dict[str, int]:
    """Start the engine, run the host script, and return where in memory its parts are.

    `functions` are those of JavaScript that the module has of its own, by their places in its table.
    """

    async def keep(content: bytes) -> int:
        place: int = await live.call("wasm_malloc", len(content) + 1)
        live.memory.write(place, content + b"\0")
        return place

    if await live.call("qjs_init") != 0:
        raise EchelonError("the JavaScript engine did not start")
    await live.call("qjs_set_max_stack_size", _MAX_STACK)
    mailbox = await keep(bytes(MAILBOX))
    context = await live.call("qjs_get_context_ptr")
    host = await live.call("qjs_new_host_function", await keep(b"host"), 4, 0)
    given: list[int] = [await live.call("JS_NewArrayBuffer", context, mailbox, MAILBOX, 0, 0, 0, 0)]
    for place in functions.values():
        name = await keep(b"")
        given.append(await live.call("JS_NewCFunction2", context, place, name, 1, 0, 0))
    cells = [host, *[await keep(_value(value)) for value in given]]

    async def evaluate(text: str) -> int:  # JS_EVAL_FLAG_STRICT is part of the scripts themselves
        code = text.encode()
        found: int = await live.call("qjs_eval", await keep(code), len(code), await keep(b"echelon:host"), 0)
        return found

    script = await evaluate(scripts[0])
    places = {"mailbox": mailbox, "cells": await keep(bytes(_CELLS)), "filename": await keep(b"script.js")}
    places["nothing"] = await live.call("qjs_get_undefined")
    arguments = await keep(struct.pack(f"<{len(cells)}I", *cells))
    port = await live.call("qjs_call", script, places["nothing"], len(cells), arguments)
    for value in (port, *[await evaluate(text) for text in scripts[1:]]):
        if await live.call("qjs_is_exception", value):
            error = await live.call("qjs_get_exception")
            text = await live.call("qjs_get_string_len", error, places["cells"])
            size = live.memory.read_u32(places["cells"])
            raise EchelonError(f"the host script failed: {live.memory.read(text, size).decode()}")
    for item in _PORT:
        places[item] = await live.call("qjs_get_prop_string", port, await keep(item.encode()))
    await live.call("qjs_run_gc")
    poll = live.memory.read(places.pop("poll"), 8)
    live.memory.write(places["cells"], bytes(natives.POLL) + poll)
    if live.memory.read(0, 16).strip(b"\0"):
        raise EchelonError("the JavaScript engine keeps something where nothing may be")
    return places


def _value(value: int) -> bytes:
    """Return a value of the engine as its memory has it."""
    return (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")


def _rewrite(package: bytes, memory: bytes) -> bytes:
    """Return the module with other data, the memory it needs, and no more exports than are used."""
    replaced: dict[int, Callable[[Reader], bytes]] = {
        _MEMORY: lambda _old: leb(1) + b"\0" + leb(len(memory) // _PAGE),
        _EXPORT: _exports,
        _DATA: lambda _old: _data(memory),
    }
    parts = []
    for number, content in natives.sections(package):
        if number in (0, _DATA_COUNT):
            continue
        if number in replaced:
            content = replaced[number](Reader(content, 0, len(content)))
        parts.append((number, content))
    return natives.join(parts)


def _exports(old: Reader) -> bytes:
    kept = bytearray()
    count = 0
    for _ in range(old.u32()):
        name, start = old.name(), old.pos
        old.byte(), old.u32()
        if name in script_engine.EXPORTS:
            label = name.encode()
            kept += leb(len(label)) + label + old.data[start : old.pos]
            count += 1
    return leb(count) + bytes(kept)


def _data(memory: bytes) -> bytes:
    parts = [
        b"\0\x41" + natives.signed(start) + b"\x0b" + leb(len(content)) + content
        for start, content in _runs(memory)
    ]
    return leb(len(parts)) + b"".join(parts)


def _runs(memory: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each stretch of memory that is not zero, and where it begins."""
    import re

    for found in re.finditer(rb"[^\0](?:\0{0,%d}[^\0]+)*" % _RUN, memory):
        yield found.start(), found.group()
