"""Calls of functions whose lists of numbers cross as memory: the host reads and writes them where the guest has them.

The order is that of the canonical ABI: the guest's allocator gives a place for each list, the lists are copied there,
the function is called with the places; the lists that it returns are copied out of its memory; then it may clean up,
unless its instance ends with the call anyway.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from echelon.runtime.component import lists
from echelon.runtime.component.lower_plain import FORMATS
from echelon.runtime.component.plans import ComponentPlan
from echelon.runtime.component.second_types import as_places, in_memory, takes_host_objects
from echelon.runtime.component.types import ComponentType, FunctionType, ListInMemory, Primitive
from echelon.runtime.memory import Memory, OutOfBounds

if TYPE_CHECKING:
    from echelon.runtime.component.appendix import SecondForm
    from echelon.runtime.component.arena import Arena
    from echelon.runtime.component.instance import ComponentInstance

_WORTH: Final = 128
"""Bytes of a list, on average, from which on asking the guest for a place is quicker than passing them one by one."""

_BREATHER: Final = 64
"""Places that are asked for before others get a turn."""

_u32: Final = struct.Struct("<I").pack_into
_NUMBER: Final = Primitive("u32")
_REALLOC: Final = FunctionType(
    tuple((name, _NUMBER) for name in ("old", "old-size", "align", "size")), _NUMBER
)
_NOTHING: Final = FunctionType((), None)


def plan_second(plan: ComponentPlan, form: SecondForm, type_: ComponentType) -> SecondPlan | None:
    """Return how to call the second form of a function; None when it is not what was appended, or was refused."""
    known, function = type_.reserved, plan.type
    expected = {form.whole: as_places(function, params=True)}
    if form.results is not None:
        expected[form.results] = as_places(function, params=False)
    if any(known.get(name) != wanted for name, wanted in expected.items()):
        return None
    return SecondPlan(plan, form)


class SecondPlan:
    """How to call one export with its lists in memory.

    `_whole` takes and returns places; `_light` is for arguments that are not worth it, and returns places only.
    """

    __slots__ = ("_light", "_memory", "_post_return", "_realloc", "_takes", "_whole", "_widths")

    def __init__(self, plan: ComponentPlan, form: SecondForm) -> None:
        function, shown = plan.type, plan.name
        self._memory = form.memory
        self._whole = ComponentPlan(form.whole, in_memory(function, params=True), shown=shown)
        self._light: ComponentPlan | None = None
        if form.results is not None:
            self._light = ComponentPlan(form.results, in_memory(function, params=False), shown=shown)
        self._realloc = None if form.realloc is None else ComponentPlan(form.realloc, _REALLOC)
        self._post_return = None if form.post_return is None else ComponentPlan(form.post_return, _NOTHING)
        # A handle of the host is made when the arguments are laid out, which may be done twice.
        self._takes = self._realloc is not None and not takes_host_objects(function)
        self._widths = _widths(function, self._whole.type)

    def is_in(self, instance: ComponentInstance) -> bool:
        """Tell whether an instance has this form: the engine may have refused it."""
        return self._whole.name in instance.linked.exports

    async def make(self, instance: ComponentInstance, plain: ComponentPlan, arguments: Sequence[Any]) -> Any:
        """Make the call, and return its result."""
        plan, arena = self._lay_out(instance, plain, arguments)
        if plan is plain:
            return await plain.make(instance, arena)
        memory = instance.memory_at(self._memory)
        if arena is not None and arena.lists and self._realloc is not None:
            await self._place(instance, self._realloc, arena, memory)
        value = await plan.make(instance, arena, memory)
        if self._post_return is not None and instance.kept:
            await self._post_return.make(instance, None)
        return value

    def _lay_out(
        self, instance: ComponentInstance, plain: ComponentPlan, arguments: Sequence[Any]
    ) -> tuple[ComponentPlan, Arena | None]:
        """Return the form to call, and its arguments."""
        if self._realloc is None:  # it takes no lists
            return self._whole, self._whole.lower(instance, arguments)
        if self._takes and not self._is_light(arguments):
            try:
                arena = self._whole.lower(instance, arguments)
            except lists.OneByOne:
                arena = None
            if arena is not None and sum(len(item[0]) for item in arena.lists) >= _WORTH * len(arena.lists):
                return self._whole, arena
        plan = self._light or plain
        return plan, plan.lower(instance, arguments)

    def _is_light(self, arguments: Sequence[Any]) -> bool:
        """Tell at a glance whether lists are not worth a place; only where no list is inside something else."""
        if self._widths is None:
            return False
        try:
            sizes = [len(arguments[place]) * width for place, width in self._widths]
        except TypeError:
            return False
        return sum(sizes) < _WORTH * len(sizes)

    async def _place(
        self, instance: ComponentInstance, realloc: ComponentPlan, arena: Arena, memory: Memory
    ) -> None:
        """Put the lists where the guest wants them, and their places into the arguments."""
        for count, (data, alignment, room, at) in enumerate(arena.lists, 1):
            if not count % _BREATHER:
                await asyncio.sleep(0)
                if instance.spent >= instance.limits.time:
                    raise instance.site.executor.overdue(instance)
            pointer = await instance.allocate(realloc, alignment, len(data))
            if pointer % alignment:
                raise lists.broken("realloc return: result not aligned")
            try:
                memory.write(pointer, data)
            except OutOfBounds:
                raise lists.broken("realloc return: beyond end of memory") from None
            _u32(room, at, pointer)


def _widths(plain: FunctionType, whole: FunctionType) -> list[tuple[int, int]] | None:
    """Return place and bytes for each number of the parameters that are lists; None if one has lists inside."""
    found = []
    for place, ((_, before), (_, param)) in enumerate(zip(plain.params, whole.params, strict=True)):
        if isinstance(param, ListInMemory):
            found.append((place, struct.calcsize("<" + FORMATS[param.item.name])))
        elif before != param:
            return None
    return found
