"""Other ways to run WebAssembly from Python, each used the way its documentation says is fastest."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Any

import wasmtime

from benchmarks.row import CannotRun

FAR = 1 << 40
"""An epoch deadline that is never reached: no epoch thread runs beside the peers, which is in their favour."""
MEMORY = 64 << 20
TABLE = 1_000_000
MILLISECONDS = 1000
"""Echelon's default limits, so that each guest runs under the same ones."""


class Wasmtime:
    """A module in the Python API of the `wasmtime` package, with epochs on and its imports resolved beforehand."""

    def __init__(self, wasm: bytes) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = True
        self._engine = wasmtime.Engine(config)
        module = wasmtime.Module(self._engine, wasm)
        linker = wasmtime.Linker(self._engine)
        for item in module.imports:
            if isinstance(item.type, wasmtime.FuncType):
                linker.define_func(item.module, item.name or "", item.type, _refuse)
        self._linker = linker  # owns the imports
        self._pre = linker.instantiate_pre(module)

    def open(self) -> tuple[wasmtime.Store, Any]:
        """Return a store with Echelon's default limits and a fresh instance in it; the caller closes the store."""
        store = wasmtime.Store(self._engine)
        store.set_limits(memory_size=MEMORY, table_elements=TABLE, instances=1, tables=16, memories=1)
        store.set_epoch_deadline(FAR)
        return store, self._pre.instantiate(store).exports(store)

    def fresh_add(self, a: int, b: int) -> int:
        """Call `add` in a fresh instance."""
        store, exports = self.open()
        total: int = exports["add"](store, a, b)
        store.close()
        return total

    def fresh_greet(self, name: str) -> str:
        """Call `greet` of an AssemblyScript module in a fresh instance: strings are UTF-16 behind their size."""
        store, exports = self.open()
        memory, new, greet = exports["memory"], exports["__new"], exports["greet"]
        data = name.encode("utf-16-le")
        pointer = new(store, len(data), 2)
        memory.write(store, data, pointer)
        found = greet(store, pointer)
        (size,) = struct.unpack("<I", memory.read(store, found - 4, found))
        text = bytes(memory.read(store, found, found + size)).decode("utf-16-le")
        store.close()
        return text


def _refuse(*_arguments: Any) -> None:
    raise RuntimeError("the guest called its host, which it has no reason to")


class WasmtimeComponent:
    """An instance of a component in the Python API of the `wasmtime` package, with epochs on."""

    def __init__(self, wasm: bytes) -> None:
        from wasmtime import component

        config = wasmtime.Config()
        config.epoch_interruption = True
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(FAR)
        linker = component.Linker(engine)
        instance = linker.instantiate(self._store, component.Component(engine, wasm))
        self._echo = instance.get_func(self._store, "echo")

    def echo(self, data: bytes) -> bytes:
        """Call `echo`; bytes are what a `list<u8>` is given as, and comes back as."""
        if self._echo is None:
            raise CannotRun("the component has no echo")
        found = bytes(self._echo(self._store, data))
        self._echo.post_return(self._store)
        return found


class Extism:
    """A compiled plug-in with Echelon's default limits; each call makes a plug-in of it."""

    def __init__(self, wasm: bytes) -> None:
        try:
            import extism  # type: ignore[import-untyped]
            from extism.extism import CompiledPlugin  # type: ignore[import-untyped]  # documented, not exported
        except ImportError as exc:
            raise CannotRun(f"{exc}: pip install -r benchmarks/requirements.txt") from exc
        declare = extism.host_fn(name="abort", namespace="env", signature=([extism.ValType.I32] * 4, []))
        manifest = {
            "wasm": [{"data": b64encode(wasm).decode()}],
            "memory": {"max_pages": MEMORY >> 16},
            "timeout_ms": MILLISECONDS,
        }
        self._plugin = extism.Plugin
        self._compiled = CompiledPlugin(manifest, functions=[declare(_refuse)])

    def fresh_add(self, a: int, b: int) -> int:
        """Call `add` in a fresh plug-in."""
        found: int = struct.unpack("<i", self._plugin(self._compiled).call("add", struct.pack("<ii", a, b)))[
            0
        ]
        return found

    def fresh_greet(self, name: str) -> str:
        """Call `greet` in a fresh plug-in."""
        found: bytes = self._plugin(self._compiled).call("greet", name)
        return found.decode()
