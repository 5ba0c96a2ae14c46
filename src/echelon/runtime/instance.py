"""One instance of a module in a store of its own: made for a call, or kept for several."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import GuestError, Trap
from echelon.runtime import failures
from echelon.runtime.engine import MAX_TABLE, MAX_TABLES, TICK, Engine
from echelon.runtime.executor import LOOP_BUDGET, LOOP_TICKS, WORKER_TICKS, Executor
from echelon.runtime.limits import Limits
from echelon.runtime.memory import Memory
from echelon.runtime.native import KIND_FUNC, KIND_MEMORY

if TYPE_CHECKING:
    from asyncio import Timeout

    from echelon.runtime.binary import ModuleInfo
    from echelon.runtime.host import Call
    from echelon.runtime.linking import Linked, Pending
    from echelon.runtime.plans import FunctionPlan

MAX_VALUES: Final = 64
"""Parameters, or results, of a function that can be called from the host."""

VALUE_SIZE: Final = 32
"""Bytes of a `wasmtime_val_t`."""

VALUE_OFFSET: Final = 8
"""Where the value stands in it; the kind is its first byte."""

_TABLE_ELEMENT: Final = 8
"""Bytes of one element of a table."""

UNFINISHED: Final = object()
"""What a quick call gives that was not done after its first slice."""

_NO_FAILURE: Final = bytes(16)
_numbers = itertools.count(1)


class Scratch:
    """The C memory that one call needs; kept and used again, because making it costs more than the call.

    `status` holds a trap and an error, in this order; both are null unless a call has just failed.
    """

    __slots__ = ("args", "args_buffer", "error", "export", "fuel", "function", "instance", "memory",
                 "memory_handle", "results", "results_buffer", "status", "trap", "words")  # fmt: skip

    def __init__(self, ffi: Any) -> None:
        self.instance = ffi.new("wasmtime_instance_t *")
        self.words = ffi.new("void *[2]")
        self.trap = ffi.cast("wasm_trap_t **", self.words)
        self.error = ffi.cast("wasmtime_error_t **", self.words + 1)
        self.status = ffi.buffer(self.words)
        self.fuel = ffi.new("uint64_t *")
        self.export = ffi.new("wasmtime_extern_t *")
        self.function = ffi.addressof(self.export.of, "func")
        self.memory = ffi.new("wasmtime_extern_t *")
        self.memory_handle = ffi.addressof(self.memory.of, "memory")
        self.args = ffi.new(f"wasmtime_val_t[{MAX_VALUES}]")
        self.results = ffi.new(f"wasmtime_val_t[{MAX_VALUES}]")
        self.args_buffer = ffi.buffer(self.args)
        self.results_buffer = ffi.buffer(self.results)


@dataclass(slots=True)
class Site:
    """What all instances of a module in one pool share. `release` gives a slot back; it runs on the loop."""

    linked: Linked
    info: ModuleInfo
    wasm: bytes
    engine: Engine
    executor: Executor
    calls: dict[int, Instance]
    scratches: list[Scratch]
    release: Callable[[], None]
    lib: Any = field(init=False)
    null: Any = field(init=False)
    memory_name: bytes | None = field(init=False)
    table_elements: int = field(init=False)
    """Elements each table may have: the engine bounds one table, so all of them share what an instance may have."""

    def __post_init__(self) -> None:
        self.lib, self.null = self.engine.native.lib, self.engine.native.null
        name = self.info.exported_memory()
        self.memory_name = None if name is None else name.encode()
        self.table_elements = MAX_TABLE // max(1, len(self.info.tables))


class Instance:
    """A store with one instance of a module.

    `spent` is the seconds the current call has taken, `idle` those of them without a processor;
    `waited` those it stood in line for a turn on a thread, which `spent` leaves out. `peak`, the bytes of
    its memory, and `fuel` are known after `measure()`. `ticks` is the epoch until which a kept instance needs no
    `begin_call()`. Not for two calls at once. `close()` gives everything back to the pool.
    """

    __slots__ = (
        "_exports",
        "_functions",
        "_memory",
        "_number",
        "bound",
        "call",
        "context",
        "failure",
        "fuel",
        "idle",
        "kept",
        "limits",
        "peak",
        "pending",
        "scratch",
        "site",
        "spent",
        "store",
        "ticks",
        "unfinished",
        "waited",
    )  # fmt: skip

    def __init__(self, site: Site, call: Call | None, limits: Limits, *, kept: bool = False) -> None:
        lib, null, engine = site.lib, site.null, site.engine
        self.site, self.call, self.limits, self.kept = site, call, limits, kept
        self.spent = self.idle = self.waited = 0.0
        self.ticks = -1
        self.unfinished: Any = None
        self.peak = 0
        self.fuel: int | None = None
        self.pending: Pending | None = None
        self.failure: BaseException | None = None
        self.bound: Timeout | None = None
        self._memory: Memory | None = None
        self._functions: dict[FunctionPlan, Any] | None = {} if kept else None
        self._exports: list[Any] | None = [] if kept else None
        self.scratch = site.scratches.pop() if site.scratches else Scratch(engine.native.ffi)
        if call is not None:
            if call.permissions.may_grow:
                call.permissions = call.permissions.during(self.forgive)
            self._number = next(_numbers)
            site.calls[self._number] = self
            number = engine.native.ffi.cast("void *", self._number)
        else:
            self._number = 0
            number = null
        self.store = store = lib.wasmtime_store_new(engine.handle, number, null)
        self.context = context = lib.wasmtime_store_context(store)
        tables = min(site.table_elements, limits.memory // _TABLE_ELEMENT)
        lib.wasmtime_store_limiter(store, limits.memory, tables, 1, MAX_TABLES, 1)
        ticks = min(WORKER_TICKS, max(1, int(limits.time / TICK / 50)))
        lib.wasmtime_context_epoch_deadline_async_yield_and_update(context, ticks)
        lib.wasmtime_context_set_epoch_deadline(context, LOOP_TICKS)
        if limits.fuel is not None:
            lib.wasmtime_context_set_fuel(context, limits.fuel)

    def forgive(self, seconds: float) -> None:
        """Take time that somebody needed to answer a question off what the call has spent."""
        self.spent -= seconds
        when = None if self.bound is None else self.bound.when()
        if self.bound is not None and when is not None:
            self.bound.reschedule(when + seconds)

    def begin_start(self) -> Any:
        """Instantiate, which runs the module's start function; returns None when done, or what to `finish()`."""
        scratch, site = self.scratch, self.site
        future = site.lib.wasmtime_instance_pre_instantiate_async(
            site.linked.pre, self.context, scratch.instance, scratch.trap, scratch.error
        )
        if site.executor.inline > LOOP_BUDGET and site.info.start is not None:
            return future
        site.engine.ticker.used = True
        if not site.engine.ticker.awake:
            site.engine.ticker.wake()
        started = perf_counter()
        done = site.lib.wasmtime_call_future_poll(future)
        self.spent += perf_counter() - started
        if not done:
            site.executor.account(self.spent)
            return future
        site.lib.wasmtime_call_future_delete(future)
        if scratch.status[:] != _NO_FAILURE:
            raise self._take_failure()
        if self.call is not None:
            self.call.memory = self.memory
        return None

    @property
    def memory(self) -> Memory | None:
        """The memory of an instance that has started, None when it exports none."""
        if self._memory is None and self.site.memory_name is not None and self.context is not None:
            site, scratch, name = self.site, self.scratch, self.site.memory_name
            found = site.lib.wasmtime_instance_export_get(
                self.context, scratch.instance, name, len(name), scratch.memory
            )
            if found and scratch.memory.kind == KIND_MEMORY:
                self._memory = Memory(site.engine.native, self.context, scratch.memory_handle)
        return self._memory

    def begin(self, plan: FunctionPlan) -> Any:
        """Call an export whose arguments are in the scratch, for one slice.

        Returns None when the call is done and its results are in the scratch, or what to `finish()`. Raises what
        the guest's failure is.
        """
        scratch = self.scratch
        function = self._functions.get(plan) if self._functions is not None else None
        if function is None:
            function = self._find_function(plan)
        site = self.site
        lib, executor = site.lib, site.executor
        future = lib.wasmtime_func_call_async(
            self.context,
            function,
            scratch.args,
            plan.slots,
            scratch.results,
            plan.returns,
            scratch.trap,
            scratch.error,
        )
        if plan.slow or executor.inline > LOOP_BUDGET:
            return future
        ticker = site.engine.ticker
        ticker.used = True
        if not ticker.awake:
            ticker.wake()
        started = perf_counter()
        done = lib.wasmtime_call_future_poll(future)
        elapsed = perf_counter() - started
        if not done:
            self._outlasted(plan, elapsed)
            return future
        self.spent += elapsed
        lib.wasmtime_call_future_delete(future)
        if scratch.status[:] != _NO_FAILURE:
            raise self._take_failure()
        return None

    def bind(self, plan: FunctionPlan) -> Callable[[Sequence[Any]], Any]:
        """Return what makes one quick call of a simple export of a kept instance.

        It gives the value, or UNFINISHED and leaves what to `finish()` in `unfinished`. The same as `begin()` with all
        it looks up looked up before, since this is the path of every call of a kept instance.
        """
        site, scratch, ticker = self.site, self.scratch, self.site.engine.ticker
        lib, status, trap, error = site.lib, scratch.status, scratch.trap, scratch.error
        start, poll, delete = (
            lib.wasmtime_func_call_async,
            lib.wasmtime_call_future_poll,
            lib.wasmtime_call_future_delete,
        )
        context, function, executor = self.context, self._find_function(plan), site.executor
        # Only simple exports come here, whose slots are their arguments.
        args, results, arity, returns = scratch.args, scratch.results, plan.arity, plan.returns
        put_all, get_one, buffer, answer = (
            plan.put_all,
            plan.get_one,
            scratch.args_buffer,
            scratch.results_buffer,
        )

        def call(arguments: Sequence[Any]) -> Any:
            if len(arguments) != arity:
                plan.check_count(arguments)
            try:
                put_all(buffer, arguments)
            except (struct.error, OverflowError, TypeError, ValueError):
                plan.put_each(buffer, arguments)
            if self.ticks != ticker.count:
                self.begin_call()
            future = start(context, function, args, arity, results, returns, trap, error)
            if not (plan.slow or executor.inline > LOOP_BUDGET):
                ticker.used = True
                if not ticker.awake:
                    ticker.wake()
                started = perf_counter()
                if poll(future):
                    delete(future)
                    if status[:] != _NO_FAILURE:
                        raise self._take_failure()
                    return get_one(answer, VALUE_OFFSET) if get_one is not None else plan.get(self)
                self._outlasted(plan, perf_counter() - started)
            self.unfinished = future
            return UNFINISHED

        return call

    def _outlasted(self, plan: FunctionPlan, elapsed: float) -> None:
        """Note that a call was not done after its first slice on the event loop."""
        self.spent += elapsed
        self.site.executor.account(elapsed)
        if self.pending is None:
            plan.slow = True

    def _find_function(self, plan: FunctionPlan) -> Any:
        ffi, scratch = self.site.engine.native.ffi, self.scratch
        export = ffi.new("wasmtime_extern_t *") if self.kept else scratch.export
        found = self.site.lib.wasmtime_instance_export_get(
            self.context, scratch.instance, plan.encoded, len(plan.encoded), export
        )
        if not found or export.kind != KIND_FUNC:
            raise GuestError(f'the export "{plan.name}" is gone')
        if self._functions is None or self._exports is None:
            return scratch.function
        function = ffi.addressof(export.of, "func")
        self._functions[plan] = function
        self._exports.append(export)  # what `function` points into
        return function

    async def invoke(self, plan: FunctionPlan) -> None:
        """Call an export whose arguments are in the scratch, to its end."""
        future = self.begin(plan)
        if future is not None:
            await self.finish(future, plan)

    async def finish(self, future: Any, plan: FunctionPlan | None) -> None:
        """Run what `begin()` left over to its end; raises what the guest's failure is, or DeadlineExceeded."""
        try:
            await self.site.executor.finish(self, future)
        finally:
            self.site.lib.wasmtime_call_future_delete(future)
        if plan is not None and self.spent < TICK:
            plan.slow = False
        if self.scratch.status[:] != _NO_FAILURE:
            raise self._take_failure()
        if plan is None and self.call is not None:
            self.call.memory = self.memory

    def _take_failure(self) -> BaseException:
        native, words, site = self.site.engine.native, self.scratch, self.site
        trap, error = words.trap[0], words.error[0]
        words.trap[0] = words.error[0] = native.null
        kept, self.failure = self.failure, None
        if kept is not None:
            frames = failures.discard(native, trap, error, site.info)
            if isinstance(kept, Trap) and not kept.frames:
                failures.place(kept, frames, site.wasm, site.info)
            return kept
        if error != native.null:
            return failures.from_error(native, error, site.info, self.limits)
        return failures.from_trap(native, trap, site.wasm, site.info, self.limits)

    def begin_call(self) -> None:
        """Start counting anew for another call of a kept instance."""
        self.spent = self.idle = self.waited = 0.0
        if self.call is not None:
            self.call.reset()
        elif self.limits.fuel is None:  # nothing to refill: all that was set still stands until the next tick
            self.ticks = self.site.engine.ticker.count
        self.site.lib.wasmtime_context_set_epoch_deadline(self.context, LOOP_TICKS)
        if self.limits.fuel is not None:
            self.site.lib.wasmtime_context_set_fuel(self.context, self.limits.fuel)

    def measure(self) -> None:
        """Note the peak size of the memory and the fuel used, which are gone with the store."""
        memory = self.memory
        if memory is not None:
            self.peak = memory.size
        if self.limits.fuel is not None:
            self.site.lib.wasmtime_context_get_fuel(self.context, self.scratch.fuel)
            self.fuel = self.limits.fuel - int(self.scratch.fuel[0])

    def close(self) -> None:
        """Give the instance back to the pool."""
        self.site.executor.dispose(self)

    def free(self) -> None:
        """Free the store, on whatever thread."""
        if self._memory is not None:
            self._memory.detach()
            self._memory = None
        if self.call is not None:
            self.call.memory = None
            self.call.close()
            self.site.calls.pop(self._number, None)
        self.site.lib.wasmtime_store_delete(self.store)
        self.store = self.context = None
        self.site.scratches.append(self.scratch)
