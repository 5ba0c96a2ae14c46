"""Reach the memories of a component's instance.

The C API has no handle for the core instances inside a component. But they are numbered in their store like any
others, from 0 without a gap, and a handle of a core instance is its store and its number. One of them exports each
memory under a name that no other one can have, so it is found by asking them in turn; the engine would end the
process if it were asked for a number that its store has not, which cannot happen as long as the name is there.
Every store with an instance of the same component has the same numbers, so they are asked once.

That one is made last. A guest that calls the host while it starts is known by what comes before: number 0 is the
engine's own, the others are made in the order in which the component defines them. `find()` compares both.
`tests/runtime/component/test_component_memories.py` pins what is relied on here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from echelon.errors import LoadError
from echelon.runtime.memory import Memory
from echelon.runtime.native import KIND_MEMORY, Native

if TYPE_CHECKING:
    from echelon.runtime.component.appendix import ReachedMemory
    from echelon.runtime.component.instance import ComponentInstance


def find(instance: ComponentInstance, memory: ReachedMemory, *, started: bool) -> Memory:
    """Return a memory of an instance, which may be starting still; raises LoadError when it cannot be told."""
    native, places = instance.site.engine.native, instance.linked.places
    store = int(instance.scratch.instance.store_id) if started else _store_of(native, instance.context)
    place = places.get(memory)
    if place is None:
        place = None if memory.number is None else _ask(instance, store, memory.exported, memory.number)
        if started:
            found = _search(instance, store, memory.reserved)
            if place not in (None, found):
                raise LoadError("the engine numbers core instances in another way than is expected")
            place = places[memory] = found
    if place is None:
        raise LoadError("the guest's memory cannot be reached while it starts")
    handle = native.ffi.new("wasmtime_memory_t *")
    handle.store_id = store
    handle.private1, handle.private2 = place
    return Memory(native, instance.context, handle)


def _search(instance: ComponentInstance, store: int, name: str) -> tuple[int, int]:
    """Return what the engine keeps in the handle of a memory that one of the core instances exports by this name."""
    number = 0
    while (found := _ask(instance, store, name, number)) is None:
        number += 1
    return found


def _ask(instance: ComponentInstance, store: int, name: str, number: int) -> tuple[int, int] | None:
    """Ask one core instance for a memory."""
    native, text = instance.site.engine.native, name.encode()
    place, found = native.ffi.new("wasmtime_instance_t *"), native.ffi.new("wasmtime_extern_t *")
    place.store_id, place.private = store, number
    get = native.lib.wasmtime_instance_export_get
    if not get(instance.context, place, text, len(text), found) or found.kind != KIND_MEMORY:
        return None
    return found.of.memory.private1, found.of.memory.private2


def _store_of(native: Native, context: Any) -> int:
    """Return the number of a store, which every handle has: the instance has none before it has started."""
    lib, ffi, null = native.lib, native.ffi, native.null
    nothing, handle = ffi.new("wasm_valtype_vec_t[2]"), ffi.new("wasmtime_func_t *")
    type_ = lib.wasm_functype_new(nothing, nothing + 1)
    lib.wasmtime_func_new(context, type_, _never_called(native), null, null, handle)
    lib.wasm_functype_delete(type_)
    return int(handle.store_id)


@functools.cache
def _never_called(native: Native) -> Any:
    return native.ffi.callback("checked_callback_t", lambda *_: native.null)
