"""The process that turns untrusted modules into native code: `python -m echelon.runtime.compile_child`.

It reads one JSON line per job from standard input,
`{"source": path, "output": path, "forms": [[[begin, end, hex]]], "fuel": bool, "deterministic": bool,
"components": bool}`, and answers `{"error": null | text}`. A form says which bytes to put where; the module is
compiled in the first that is valid, or as it is.
Its parent bounds its memory, its CPU time and its wall time, and kills it at will.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from echelon.runtime import native
from echelon.runtime.binary import edited
from echelon.runtime.engine import Engine, Profile


def compile_module(engine: Engine, wasm: bytes) -> bytes:
    """Return the native code of a module; raises ValueError with the compiler's message."""
    ffi, lib, null = engine.native.ffi, engine.native.lib, engine.native.null
    out = ffi.new("wasmtime_module_t **")
    error = lib.wasmtime_module_new(engine.handle, wasm, len(wasm), out)
    if error != null:
        raise ValueError(engine.native.take_error(error))
    code = ffi.new("wasm_byte_vec_t *")
    error = lib.wasmtime_module_serialize(out[0], code)
    lib.wasmtime_module_delete(out[0])
    if error != null:
        raise ValueError(engine.native.take_error(error))
    return engine.native.take_bytes(code)


def compile_component(engine: Engine, wasm: bytes) -> bytes:
    """Return the native code of a component; raises ValueError with the compiler's message."""
    ffi, lib, null = engine.native.ffi, engine.native.lib, engine.native.null
    out = ffi.new("wasmtime_component_t **")
    error = lib.wasmtime_component_new(engine.handle, wasm, len(wasm), out)
    if error != null:
        raise ValueError(engine.native.take_error(error))
    code = ffi.new("wasm_byte_vec_t *")
    error = lib.wasmtime_component_serialize(out[0], code)
    lib.wasmtime_component_delete(out[0])
    if error != null:
        raise ValueError(engine.native.take_error(error))
    return engine.native.take_bytes(code)


def compile_form(
    compile_wasm: Callable[[Engine, bytes], bytes], engine: Engine, wasm: bytes, forms: list[list[Any]]
) -> bytes:
    """Return the native code of a module in the first form that is accepted, or of the module as it is."""
    for edits in forms:
        with contextlib.suppress(ValueError):
            changes = [(begin, end, bytes.fromhex(content)) for begin, end, content in edits]
            return compile_wasm(engine, edited(wasm, changes))
    return compile_wasm(engine, wasm)


def main() -> None:
    memory = int(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    os.nice(5)
    native.load()
    engines: dict[Profile, Engine] = {}
    for line in sys.stdin:
        job = json.loads(line)
        profile = Profile(
            fuel=bool(job["fuel"]),
            deterministic=bool(job["deterministic"]),
            components=bool(job["components"]),
        )
        compile_wasm = compile_component if profile.components else compile_module
        if profile not in engines:
            engines[profile] = Engine(profile, pooling=False)
        try:
            wasm = Path(job["source"]).read_bytes()
            code = compile_form(compile_wasm, engines[profile], wasm, job["forms"])
            Path(job["output"]).write_bytes(code)
            answer: dict[str, str | None] = {"error": None}
        except ValueError as exc:
            answer = {"error": str(exc)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
