"""Real Deno beside the tests: runs JavaScript in it and takes its values apart, types and all."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import tempfile
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from echelon.kv import U64
from echelon.kv.v8 import JsError, JsRegExp
from echelon.plugin import toolchain

SCRIPT = Path(__file__).with_suffix(".mjs")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ARRAYS = {
    "Int8Array": "b",
    "Int16Array": "h",
    "Uint16Array": "H",
    "Int32Array": "i",
    "Uint32Array": "I",
    "Float32Array": "f",
    "Float64Array": "d",
    "BigInt64Array": "q",
    "BigUint64Array": "Q",
}


class DenoError(Exception):
    """What JavaScript threw."""


def describe(value: Any) -> Any:
    """Say a value of Python in JSON as the JavaScript value that it is to become."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, U64):
        return {"type": "u64", "value": str(int(value))}
    if isinstance(value, int):
        return {"type": "int", "value": str(value)}
    if isinstance(value, float):
        return {"type": "float", "value": struct.pack(">d", value).hex()}
    if isinstance(value, bytes | bytearray):
        return {"type": "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        kind = "dict" if all(isinstance(name, str) for name in value) else "map"
        pairs = [[name if kind == "dict" else describe(name), describe(item)] for name, item in value.items()]
        return {"type": kind, "value": pairs}
    if isinstance(value, set | frozenset):
        return {"type": "set", "value": [describe(item) for item in value]}
    if isinstance(value, datetime):
        return {"type": "date", "value": (value - EPOCH) // timedelta(milliseconds=1)}
    if isinstance(value, array):
        name = next(name for name, code in ARRAYS.items() if code == value.typecode)
        items = [describe(item if name.startswith("Big") else float(item)) for item in value]
        return {"type": name, "value": items}
    if isinstance(value, JsRegExp):
        return {"type": "regexp", "value": [value.source, value.flags]}
    if isinstance(value, JsError):
        return {"type": "error", "value": [value.name, value.message]}
    raise TypeError(type(value))


def build(description: Any) -> Any:
    """Return the value of Python that a JavaScript value is to become."""
    if isinstance(description, list):
        return [build(item) for item in description]
    if not isinstance(description, dict):
        return description
    kind, value = description["type"], description.get("value")
    simple: dict[str, Any] = {
        "undefined": lambda: None,
        "int": lambda: int(value),
        "float": lambda: struct.unpack(">d", bytes.fromhex(value))[0],
        "u64": lambda: U64(int(value)),
        "bytes": lambda: base64.b64decode(value),
        "date": lambda: None if value is None else EPOCH + timedelta(milliseconds=value),
        "dict": lambda: {name: build(item) for name, item in value},
        "map": lambda: {_freeze(build(name)): build(item) for name, item in value},
        "set": lambda: {_freeze(build(item)) for item in value},
        "regexp": lambda: JsRegExp(*value),
        "error": lambda: JsError(*value),
    }
    if kind in simple:
        return simple[kind]()
    items = [build(item) for item in value]
    return array(ARRAYS[kind], items if ARRAYS[kind] in "fd" else map(int, items))


def _freeze(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_freeze(item) for item in value)
    return frozenset(value) if isinstance(value, set) else value


class Deno:
    """A running Deno; `state` in the code that it runs is kept from call to call."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, code: str, argument: Any = None) -> Any:
        """Run the body of an async function of `state`, `argument` and `tools`; raises DenoError."""
        line = json.dumps({"code": code, "argument": describe(argument)}) + "\n"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        answer = json.loads(await self._process.stdout.readline())
        if "error" in answer:
            raise DenoError(answer["error"])
        return build(answer["result"])


@asynccontextmanager
async def start_deno() -> AsyncIterator[Deno]:
    """Start Deno with its key-value store, and end it."""
    found = toolchain.find_javascript("deno")
    assert found is not None, "tests need the package `deno`: pip install deno"
    with tempfile.TemporaryDirectory(prefix="deno-") as folder:
        process = await asyncio.create_subprocess_exec(
            str(found.path),
            "run",
            "--unstable-kv",
            "--no-prompt",
            "--allow-all",
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=64 << 20,
            env={**os.environ, "DENO_DIR": folder, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
        )
        try:
            yield Deno(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
