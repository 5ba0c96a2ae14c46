"""One instance of a component in a store of its own."""

from __future__ import annotations

import contextlib
import itertools
import struct
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import GuestError, LoadError, Trap
from echelon.runtime import failures as runtime_failures
from echelon.runtime import lines
from echelon.runtime.component import failures, memories
from echelon.runtime.component.arena import CONTENT, SLOT
from echelon.runtime.component.bridge import GuestStopped
from echelon.runtime.component.linking import ComponentLinked
from echelon.runtime.component.lower_plain import KINDS
from echelon.runtime.component.types import ResourceType
from echelon.runtime.component.values import Resource
from echelon.runtime.engine import COMPONENT_ADDED, COMPONENT_MEMORIES, COMPONENT_TABLES, MAX_TABLE
from echelon.runtime.executor import LOOP_BUDGET
from echelon.runtime.instance import Instance, Site
from echelon.runtime.limits import Limits

if TYPE_CHECKING:
    from echelon.runtime.component.arena import Arena
    from echelon.runtime.host import Call
    from echelon.runtime.memory import Memory
    from echelon.runtime.plans import FunctionPlan

MAX_OBJECTS: Final = 10_000
"""Objects of the host that one guest may hold handles of."""

_HEAVY_SLOTS: Final = 20_000
"""Arguments that take the engine longer to copy than the event loop should be held up."""

_NOTHING: Final = bytes(SLOT)
_FOUR_U32: Final = struct.Struct(f"<{f'B{CONTENT - 1}xI{SLOT - CONTENT - 4}x' * 4}")
_U32: Final = KINDS["u32"]
_numbers = itertools.count(1)


class ComponentInstance(Instance):
    """A store with one instance of a component.

    The engine bounds each memory, not their sum: the limit is shared out evenly among the memories that the component
    was found to have. `arena` holds the arguments of the call that runs.
    """

    __slots__ = ("_arguments", "_cached", "_lent", "_memories", "_objects", "_results", "_started", "arena")

    def __init__(self, site: Site, call: Call | None, limits: Limits, *, kept: bool = False) -> None:
        super().__init__(site, call, limits, kept=kept)
        self.arena: Arena | None = None
        self._cached: dict[str, Any] = {}
        self._objects: dict[int, Any] = {}
        self._lent: list[Resource] = []
        self._memories: dict[int, Memory] = {}
        self._started = False
        cast = site.engine.native.ffi.cast
        self._results = cast("wasmtime_component_val_t *", self.scratch.results)
        self._arguments = cast("wasmtime_component_val_t *", self.scratch.args)
        self._limit()

    def _limit(self) -> None:
        memories = max(1, len(self.site.info.memories))
        self.site.lib.wasmtime_store_limiter(
            self.store, self.limits.memory // memories, MAX_TABLE // COMPONENT_TABLES,
            COMPONENT_ADDED, COMPONENT_TABLES, COMPONENT_MEMORIES,
        )  # fmt: skip

    @property
    def linked(self) -> ComponentLinked:
        linked = self.site.linked
        if not isinstance(linked, ComponentLinked):
            raise LoadError("this is not a component")
        return linked

    def begin_start(self) -> Any:
        """Instantiate, which runs start functions; returns None when done, or what to `finish()`."""
        scratch, site, linked = self.scratch, self.site, self.linked
        place = site.engine.native.ffi.cast("wasmtime_component_instance_t *", scratch.instance)
        future = site.lib.wasmtime_component_linker_instantiate_async(
            linked.linker, self.context, linked.module, place, scratch.error
        )
        future = self._first_slice(future)
        self._started = future is None
        return future

    def begin(self, plan: FunctionPlan) -> Any:
        """Call an export whose arguments are in the arena, for one slice."""
        arena = self.arena
        if arena is None:
            return self._begin(plan, self.site.null, plan.slow)
        return self._begin(plan, arena.arguments, plan.slow or arena.slots > _HEAVY_SLOTS)

    def _begin(self, plan: FunctionPlan, arguments: Any, slow: bool) -> Any:
        function = self._cached.get(plan.name) or self._find(plan)
        future = self.site.lib.wasmtime_component_func_call_async(
            function, self.context, arguments, plan.arity, self._results, plan.returns, self.scratch.error
        )
        if slow:
            return future
        future = self._first_slice(future)
        if future is not None and self.pending is None:
            plan.slow = True
        return future

    def _find(self, plan: FunctionPlan) -> Any:
        native, lib = self.site.engine.native, self.site.lib
        place = native.ffi.cast("wasmtime_component_instance_t *", self.scratch.instance)
        function = self._cached[plan.name] = native.ffi.new("wasmtime_component_func_t *")
        index = self.linked.exports[plan.name]
        if not lib.wasmtime_component_instance_get_func(place, self.context, index, function):
            raise GuestError(f'the export "{plan.name}" is gone')
        return function

    def _first_slice(self, future: Any) -> Any:
        """Run a future on the event loop, unless that has been held up enough; returns it if it is not done."""
        site, ticker = self.site, self.site.engine.ticker
        if site.executor.inline > LOOP_BUDGET:
            return future
        ticker.used = True
        if not ticker.awake:
            ticker.wake()
        started = perf_counter()
        done = site.lib.wasmtime_call_future_poll(future)
        self.spent += perf_counter() - started
        if not done:
            site.executor.account(self.spent)
            return future
        site.lib.wasmtime_call_future_delete(future)
        if self.scratch.error[0] != site.null:
            raise self._take_failure()
        return None

    async def finish(self, future: Any, plan: FunctionPlan | None) -> None:
        """Run what `begin()` left over to its end; raises what the guest's failure is, or DeadlineExceeded."""
        try:
            await super().finish(future, plan)
        except GuestStopped:
            failure, self.failure = self.failure, None
            failure = failure or GuestError("the guest was stopped")
            raise failure from failure.__cause__
        self._started = True

    def _take_failure(self) -> BaseException:
        error = self.scratch.error[0]
        self.scratch.error[0] = self.site.null
        wasm, info = self.site.wasm, self.site.info
        message, frames = failures.take(self.site.engine.native, error, info, self.linked.edits)
        kept, self.failure = self.failure, None
        if kept is not None:
            if isinstance(kept, Trap) and not kept.frames:
                runtime_failures.place(kept, frames, wasm, info)
            return kept
        return failures.from_message(message, lines.locate(wasm, info, frames), info, self.limits)

    # --- memories ---

    def memory_at(self, number: int) -> Memory:
        """Return one of the memories that can be reached."""
        memory = self._memories.get(number)
        if memory is None:
            memory = memories.find(self, self.linked.memories[number], started=self._started)
            if self._started:
                self._memories[number] = memory
        return memory

    async def allocate(self, plan: FunctionPlan, alignment: int, size: int) -> int:
        """Call the guest's `realloc` for a place for something new, and return what it says."""
        numbers = (0, 0, alignment, size)
        _FOUR_U32.pack_into(
            self.scratch.args_buffer, 0, *(part for number in numbers for part in (_U32, number))
        )
        future = self._begin(plan, self._arguments, plan.slow)
        if future is not None:
            await self.finish(future, plan)
        return int(_FOUR_U32.unpack_from(self.scratch.results_buffer)[1])

    def measure(self) -> None:
        """Note the size of the memories and the fuel used, which are gone with the store."""
        super().measure()
        if self._started:
            self.peak = sum(self.memory_at(number).size for number in range(len(self.linked.memories)))

    # --- values that are more than data ---

    def take_result(self) -> bytes:
        """Return a copy of the 32 bytes of the result, which the caller frees with `free_result()`."""
        return bytes(self.scratch.results_buffer[:SLOT])

    def free_result(self) -> None:
        """Free the result. The engine frees what it overwrites, so nothing may be left there."""
        self.site.lib.wasmtime_component_val_delete(self._results)
        self.scratch.results_buffer[:SLOT] = _NOTHING

    def take_in(self, resource: ResourceType, address: int, *, own: bool) -> Any:
        """Return what a handle from the guest stands for: a host's object, or a Resource."""
        native = self.site.engine.native
        pointer = native.ffi.cast("wasmtime_component_resource_any_t *", address)
        if resource.host:
            return self._object_of(resource, pointer, own=own)
        clone = native.ffi.gc(
            native.lib.wasmtime_component_resource_any_clone(pointer),
            native.lib.wasmtime_component_resource_any_delete,
        )
        handle = Resource(resource, self, clone, own)
        if not own:
            self._lent.append(handle)
        return handle

    def end_loans(self) -> None:
        """Close the handles that were lent for a call that is over."""
        for handle in self._lent:
            handle.close()
        self._lent.clear()

    def _object_of(self, resource: ResourceType, pointer: Any, *, own: bool) -> Any:
        native = self.site.engine.native
        out = native.ffi.new("wasmtime_component_resource_host_t **")
        error = native.lib.wasmtime_component_resource_any_to_host(self.context, pointer, out)
        if error != native.null:
            raise GuestError(native.take_error(error).splitlines()[0])
        number = int(native.lib.wasmtime_component_resource_host_rep(out[0]))
        native.lib.wasmtime_component_resource_host_delete(out[0])
        known, value = self._objects.get(number, (None, None))
        if known != resource:
            raise GuestError(f"the guest used a {resource.name} that does not exist")
        if own:
            del self._objects[number]
        return value

    def hand_out(self, resource: ResourceType, value: Any, *, own: bool) -> Any:
        """Return a native handle of a host's object, for the guest."""
        native = self.site.engine.native
        number = None
        if not own:  # what is lent may be out already
            number = next((n for n, (t, v) in self._objects.items() if v is value and t == resource), None)
        if number is None:
            if len(self._objects) >= MAX_OBJECTS:
                raise GuestError(f"the guest holds more than {MAX_OBJECTS} objects of the host")
            number = next(_numbers) & 0xFFFF_FFFF
            self._objects[number] = (resource, value)
        host = native.lib.wasmtime_component_resource_host_new(own, number, resource.number)
        out = native.ffi.new("wasmtime_component_resource_any_t **")
        error = native.lib.wasmtime_component_resource_host_to_any(self.context, host, out)
        native.lib.wasmtime_component_resource_host_delete(host)
        if error != native.null:
            raise GuestError(native.take_error(error).splitlines()[0])
        return native.ffi.gc(out[0], native.lib.wasmtime_component_resource_any_delete)

    def drop_object(self, resource: ResourceType, number: int) -> None:
        """Forget a host's object whose last handle the guest has dropped, and close it if it can be."""
        known, value = self._objects.get(number, (None, None))
        if known == resource:
            del self._objects[number]
            _close(value)

    def free(self) -> None:
        """Free the store, and every object of the host that the guest still held."""
        for memory in self._memories.values():
            memory.detach()
        super().free()
        self.arena = None
        self.end_loans()
        objects, self._objects = self._objects, {}
        for _, value in objects.values():
            with contextlib.suppress(Exception):  # nobody is left to tell
                _close(value)


def _close(value: Any) -> None:
    close = getattr(value, "close", None)
    if close is not None:
        close()
