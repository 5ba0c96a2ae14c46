"""One imported function of a component: its values in both directions, and its failures."""

from __future__ import annotations

from typing import Any

from echelon.errors import ComponentError
from echelon.runtime import failures
from echelon.runtime.component.arena import SLOT, Arena
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.lift import Reading, compile_lift
from echelon.runtime.component.lower import compile_lower
from echelon.runtime.component.lower_plain import Mismatch
from echelon.runtime.component.second_types import in_memory
from echelon.runtime.component.types import FunctionType, ResultType
from echelon.runtime.component.values import Err, Ok
from echelon.runtime.engine import Engine
from echelon.runtime.host import HostFunction


class GuestStopped(BaseException):
    """A host function failed while its guest was suspended: the guest must not go on. Never seen by callers."""


def stop(engine: Engine, instance: Any, name: str, failure: BaseException) -> Any:
    """Keep what a host function raised and return the error that stops the guest."""
    if instance.failure is None:
        instance.failure = failures.from_host(failure, name)
    return engine.native.lib.wasmtime_error_new(b"host")


class Bridge:
    """One imported function: its values in both directions; `memory` is the number of that which its lists are in."""

    def __init__(
        self, engine: Engine, name: str, type_: FunctionType, host: HostImport, memory: int | None = None
    ) -> None:
        self._native, self.name, self.host, self._memory = engine.native, name, host, memory
        if memory is not None:
            type_ = in_memory(type_, params=True, result=False)
        self._lifts = [compile_lift(item) for _, item in type_.params]
        self._result = None if type_.result is None else compile_lower(type_.result)
        self._wraps = isinstance(type_.result, ResultType)
        self._size = SLOT * len(type_.params)
        self.waiting = HostFunction("", name, (), (), self._complete, suspends=True)

    def lift(self, instance: Any, args: Any) -> list[Any]:
        """Return the guest's arguments as Python values."""
        if not self._size:
            return []
        memory = None if self._memory is None else instance.memory_at(self._memory)
        reading, slots = Reading(instance, memory), bytes(self._native.ffi.buffer(args, self._size))
        return [lift(reading, slots, SLOT * place) for place, lift in enumerate(self._lifts)]

    def call(self, instance: Any, args: Any, results: Any) -> None:
        """Call the function and hand its result to the guest."""
        instance.call.count()
        values = self.lift(instance, args)
        try:
            value = self.host.function(instance.call, *values)
        except ComponentError as exc:
            value = self._error(exc)
        self._put(instance, value, results)

    async def _complete(self, _call: Any, instance: Any, values: list[Any], results: Any) -> None:
        try:
            try:
                value = self.host.function(instance.call, *values)
                if self.host.suspends:
                    value = await value
            except ComponentError as exc:
                value = self._error(exc)
            self._put(instance, value, results)
        except Exception as exc:
            # The engine takes no error from a function that waited: the guest is dropped where it stands.
            instance.failure = instance.failure or failures.from_host(exc, self.name)
            raise GuestStopped from None

    def _error(self, failure: ComponentError) -> Err:
        if not self._wraps:
            raise failure
        return Err(failure.payload)

    def _put(self, instance: Any, value: Any, results: Any) -> None:
        """Give the result to the engine, which takes a copy of its own."""
        instance.end_loans()
        if self._result is None:
            return
        if self._wraps and not isinstance(value, Ok | Err):
            value = Ok(value)
        arena = Arena(self._native, instance)
        block, start, address = arena.take_slots(1)
        try:
            self._result(arena, value, block, start)
        except Mismatch as exc:
            raise exc.error("its result") from None
        source = self._native.ffi.cast("wasmtime_component_val_t *", address)
        self._native.lib.wasmtime_component_val_clone(source, results)
        for handle in arena.given:
            handle.give_away()
