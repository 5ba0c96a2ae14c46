"""The engine: its settings, its instance pool, and the ticker that advances its epoch."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from echelon.errors import EchelonError
from echelon.runtime import native
from echelon.runtime.limits import GIB, KIB, MIB

TICK: Final = 0.001
"""Seconds between two epochs."""

HOST_STACK: Final = 1536 * KIB
"""Bytes of a fiber's stack that are left to host functions, which run Python on it."""

MAX_TABLE: Final = 1_000_000
"""Elements of all tables of one instance."""

MAX_TABLES: Final = 16
"""Tables of one instance; every slot has room for them, or a few guests could leave none for the others."""

COMPONENT_MODULES: Final = 64
"""Core modules that one instance of a component may be made of."""

COMPONENT_ADDED: Final = COMPONENT_MODULES + 8
"""Core instances of a component with those that are added to it, to reach its memories."""

COMPONENT_MEMORIES: Final = 4
"""Memories that one instance of a component may have."""

COMPONENT_TABLES: Final = 16
"""Tables that one instance of a component may have."""

_IDLE_TICKS: Final = 100
_RESERVATION: Final = 4 * GIB
_GUARD: Final = 32 * MIB
_REVISION: Final = 2
_APPENDIX_REVISION: Final = 2
"""Of how components are changed before they are compiled."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The settings that decide what native code looks like and how large a pool is.

    `fuel` adds instruction counting to every compiled module, `deterministic` gives every NaN one form; `stack` is in
    bytes; `instances` is the number of slots in the pool and `max_memory` the bytes one slot may grow to. `components`
    is for components, whose slots hold several core instances.
    """

    fuel: bool = False
    deterministic: bool = False
    stack: int = 512 * KIB
    instances: int = 256
    max_memory: int = 256 * MIB
    components: bool = False

    def code_key(self) -> str:
        """Return a name for everything that native code depends on."""
        variant = ("-fuel" if self.fuel else "") + ("-deterministic" if self.deterministic else "")
        variant += f"-component-a{_APPENDIX_REVISION}" if self.components else ""
        return f"wasmtime-{native.engine_version()}-r{_REVISION}{variant or '-plain'}"


class Engine:
    """One wasmtime engine with its pool; `close()` stops its ticker and frees it."""

    def __init__(self, profile: Profile, *, pooling: bool = True) -> None:
        self.profile = profile
        self.native = native.load_components() if profile.components else native.load()
        config = self._config()
        if pooling:
            self._add_pool(config)
        self.handle: Any = self.native.lib.wasm_engine_new_with_config(config)
        if self.handle == self.native.null:
            raise EchelonError(
                f"the instance pool of {profile.instances} slots does not fit into this process's address space:"
                " lower wasm.instances, or raise the limit on virtual memory (ulimit -v)"
            )
        self.ticker = Ticker(self)

    def _config(self) -> Any:
        lib, profile = self.native.lib, self.profile
        config = lib.wasm_config_new()
        lib.wasmtime_config_epoch_interruption_set(config, True)
        lib.wasmtime_config_consume_fuel_set(config, profile.fuel)
        lib.wasmtime_config_max_wasm_stack_set(config, profile.stack)
        lib.wasmtime_config_async_stack_size_set(config, profile.stack + HOST_STACK)
        lib.wasmtime_config_memory_reservation_set(config, _RESERVATION)
        lib.wasmtime_config_memory_guard_size_set(config, _GUARD)
        lib.wasmtime_config_memory_may_move_set(config, False)
        lib.wasmtime_config_wasm_relaxed_simd_deterministic_set(config, True)
        lib.wasmtime_config_cranelift_nan_canonicalization_set(config, profile.deterministic)
        for proposal in ("threads", "multi_memory", "memory64", "gc", "function_references", "exceptions"):
            getattr(lib, f"wasmtime_config_wasm_{proposal}_set")(config, False)
        if profile.components:
            lib.wasmtime_config_wasm_component_model_set(config, True)
            lib.wasmtime_config_wasm_component_model_map_set(config, True)
            # The engine's own adapters copy from one component's memory to another's. Modules still have one each.
            lib.wasmtime_config_wasm_multi_memory_set(config, True)
            # Without async components a call needs no scheduler of its own. Their values would abort the process.
            lib.wasmtime_config_wasm_component_model_async_set(config, False)
            lib.wasmtime_config_concurrency_support_set(config, False)
        return config

    def _add_pool(self, config: Any) -> None:
        lib, profile = self.native.lib, self.profile
        pool = lib.wasmtime_pooling_allocation_config_new()

        def put(name: str, value: int) -> None:
            getattr(lib, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)

        slots = profile.instances
        if profile.components:
            put("total_component_instances", slots)
            put("max_core_instances_per_component", COMPONENT_ADDED)
            put("max_memories_per_component", COMPONENT_MEMORIES)
            put("max_tables_per_component", COMPONENT_TABLES)
        put("total_stacks", slots)
        put("total_core_instances", slots * COMPONENT_ADDED if profile.components else slots)
        put("total_memories", slots * COMPONENT_MEMORIES if profile.components else slots)
        put("total_tables", slots * (COMPONENT_TABLES if profile.components else MAX_TABLES))
        put("max_memories_per_module", 1)
        put("max_tables_per_module", MAX_TABLES)
        put("table_elements", MAX_TABLE)
        put("max_memory_size", profile.max_memory)
        put("max_unused_warm_slots", min(profile.instances, 64))
        put("linear_memory_keep_resident", 64 * KIB)
        put("table_keep_resident", 64 * KIB)
        put("async_stack_keep_resident", 16 * KIB)
        lib.wasmtime_pooling_allocation_strategy_set(config, pool)
        lib.wasmtime_pooling_allocation_config_delete(pool)

    def close(self) -> None:
        """Stop the ticker and free the engine; every module and store of it must be gone."""
        self.ticker.stop()
        if self.handle is not None:
            self.native.lib.wasm_engine_delete(self.handle)
            self.handle = None


class Ticker:
    """A thread that advances the epoch every millisecond while guests run, and sleeps otherwise.

    Before each slice of a guest, set `used`, and call `wake()` unless it is `awake`. `count` is the number of ticks.
    A guest that yielded gets its next deadline when it goes on, which may be long after that where processors are
    scarce: for as long as its slice takes, `slices` has an item.
    """

    __slots__ = ("_engine", "_stopped", "_thread", "_wake", "awake", "count", "slices", "used")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.awake = False
        self.used = False
        self.count = 0
        self.slices: list[None] = []

    def wake(self) -> None:
        self.used = True
        if not self.awake:
            self.awake = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="echelon-ticker", daemon=True)
                self._thread.start()
            self._wake.set()

    def _run(self) -> None:
        increment = self._engine.native.lib.wasmtime_engine_increment_epoch
        handle, idle = self._engine.handle, 0
        while not self._stopped:
            time.sleep(TICK)
            self.count += 1
            increment(handle)
            if self.used or self.slices:
                self.used, idle = False, 0
                continue
            idle += 1
            if idle >= _IDLE_TICKS:
                self._wake.clear()
                self.awake = False
                if not (self.used or self.slices or self._stopped):  # set before the clear()
                    self._wake.wait()
                self.awake, idle = True, 0

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
