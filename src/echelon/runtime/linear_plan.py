"""How to call an export of the `linear` ABI: its arguments in one block, its result from where it says."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from echelon.errors import GuestError, InvalidModule, MemoryExceeded
from echelon.runtime import failures
from echelon.runtime.abi import CORE, unpack_pointer, unpacker
from echelon.runtime.binary import FuncType, ModuleInfo
from echelon.runtime.instance import MAX_VALUES, VALUE_OFFSET, Instance
from echelon.runtime.linear import ALIGNMENT, ALLOCATE, Answer, Block, Reading, layout_of
from echelon.runtime.memory import Memory
from echelon.runtime.plans import CORE_KINDS, VALUE_LAYOUT, FunctionPlan
from echelon.runtime.signature import Function, Value

_ALLOCATE: Final = Function(ALLOCATE, (Value("u32"),), (Value("u32"),))
_ALLOCATE_CORE: Final = FuncType(("i32",), ("i32",))
_NOWHERE: Final = ALIGNMENT
"""The address of a block of no bytes: not 0, which would be none."""


def plan_function(function: Function, core: FuncType, info: ModuleInfo) -> FunctionPlan:
    """Return the plan for an export of the `linear` ABI; raises InvalidModule when it contradicts the module."""
    shown = str(function)[:200]
    try:
        plan = LinearPlan(function) if len(function.params) <= len(core.params) else None
    except ValueError as exc:
        raise InvalidModule(f"the signature {shown} cannot be used: {exc}") from None
    if plan is None or plan.core != core:
        wanted = "" if plan is None else f"; it takes {plan.core}"
        raise InvalidModule(f"the signature {shown} does not fit the function's type {core}{wanted}")
    if plan.uses_memory and info.exported_memory() is None:
        raise InvalidModule(f"the module exports no memory, which its signature {shown} relies on")
    if plan.takes_memory and info.exported_functions.get(ALLOCATE) != _ALLOCATE_CORE:
        raise InvalidModule(
            f"the module does not export {ALLOCATE}(i32) -> i32, which its signature {shown} relies on"
        )
    return plan if plan.uses_memory or plan.slots != plan.arity else FunctionPlan(function, core, None)


class LinearPlan(FunctionPlan):
    """How to call one export. `takes_memory` tells of arguments, `uses_memory` of results, too."""

    __slots__ = (
        "_allocate",
        "_answer",
        "_lowers",
        "_pack",
        "_pointers",
        "_read",
        "_words",
        "core",
        "takes_memory",
        "uses_memory",
    )

    def __init__(self, function: Function) -> None:
        """Raises ValueError for a type that cannot cross."""
        self.function, self.name = function, function.name
        self.encoded = (function.export or function.name).encode()
        self._params = function.params
        layouts = [layout_of(param.type) for param in function.params]
        self._lowers = [layout.lower for layout in layouts]
        self._answer = answer = Answer(function.results)
        slots = [kind for layout in layouts for kind in layout.core]
        results = () if answer.core is None else (CORE[answer.core],)
        self.core = FuncType(tuple(CORE[kind] for kind in slots), results)
        self._kinds = tuple(CORE_KINDS[kind] for kind in self.core.params)
        self._result_kinds = tuple(CORE_KINDS[kind] for kind in results)
        self._pack = struct.Struct("<" + "".join(VALUE_LAYOUT[kind] for kind in slots)).pack_into
        self._read = None if answer.core is None else unpacker(answer.core)
        self._words = [word for kind in self._kinds for word in (kind, 0)]
        starts = accumulate((len(layout.core) for layout in layouts), initial=0)
        self._pointers = [at for at, layout in zip(starts, layouts, strict=False) if layout.points]
        self.takes_memory = bool(self._pointers)
        self.uses_memory = self.takes_memory or answer.in_memory
        self._allocate = FunctionPlan(_ALLOCATE, _ALLOCATE_CORE, None)
        self.arity, self.slots, self.returns = len(function.params), len(slots), len(results)
        self.simple, self.slow, self.fits = False, False, self.slots <= MAX_VALUES

    def takes_pointers(self, count: int) -> bool:
        return False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        """Call the export; raises TypeError or ValueError before anything runs, GuestError for what the guest does."""
        if len(arguments) != self.arity or not self.fits:
            self.check_count(arguments)
        block, values = self._lower(arguments)
        memory = instance.memory if self.uses_memory else None
        if memory is not None and self.takes_memory:
            base = await self._place(instance, memory, block) if block.size else _NOWHERE
            for at in self._pointers:
                start = values[at]
                values[at] = 0 if start is None else base + start
        words = self._words.copy()
        words[1::2] = values
        self._pack(instance.scratch.args_buffer, 0, *words)
        future = instance.begin(self)
        if future is not None:
            await instance.finish(future, self)
        if self._read is None:
            return None
        raw = self._read(instance.scratch.results_buffer, VALUE_OFFSET)
        if memory is None or not self._answer.in_memory:
            return raw
        return self._answer.read(Reading(memory, instance.limits.output), raw)

    def _lower(self, arguments: Sequence[Any]) -> tuple[Block, list[Any]]:
        """Return the block for all arguments, and their core values; pointers are places in the block."""
        block = Block()
        values: list[Any] = []
        position = 0
        try:
            for lower in self._lowers:
                values += lower(block, arguments[position])
                position += 1
        except (struct.error, OverflowError, TypeError, ValueError) as exc:
            raise self._bad_argument(position, arguments[position], exc) from None
        return block, values

    async def _place(self, instance: Instance, memory: Memory, block: Block) -> int:
        """Put a block where the guest has room for it; returns its address."""
        limits, allocate, scratch = instance.limits, self._allocate, instance.scratch
        if block.size > limits.memory:
            raise MemoryExceeded(
                f"the arguments have {block.size} bytes, the guest's memory at most {limits.memory}",
                limit=limits.memory,
            )
        allocate.put_all(scratch.args_buffer, (block.size,))
        future = instance.begin(allocate)
        if future is not None:
            await instance.finish(future, allocate)
        base = unpack_pointer(scratch.results_buffer, VALUE_OFFSET)
        if base == 0:
            raise failures.memory_exceeded(instance.site.info, limits)
        if base % ALIGNMENT:
            raise GuestError(
                f"the guest's {ALLOCATE} gave the address {base}, which is not a multiple of {ALIGNMENT}"
            )
        memory.check(base, block.size)
        memory.write(base, block.content(base))
        return base
