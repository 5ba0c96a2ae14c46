"""Reach the memories of a component's instance.

The C API has no handle for the core instances inside a component. But they are numbered in their store like any
others, from 0 without a gap, and a handle of a core instance is its store and its number. One of them exports each
memory under a name that no other one can have, so it is found by asking them in turn; the engine would end the
process if it were asked for a number that its store has not, which cannot happen as long as the name is there.
Every store with an instance of the same component has the same numbers, so they are asked once.
`tests/runtime/component/test_component_memories.py` pins what is relied on here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.errors import LoadError
from echelon.runtime.memory import Memory
from echelon.runtime.native import KIND_MEMORY

if TYPE_CHECKING:
    from echelon.runtime.component.instance import ComponentInstance


def find(instance: ComponentInstance, name: str) -> Memory:
    """Return the memory that a core instance of a started component exports under a reserved name."""
    native, places = instance.site.engine.native, instance.linked.places
    if name not in places:
        places[name] = _search(instance, name)
    handle = native.ffi.new("wasmtime_memory_t *")
    handle.store_id = instance.scratch.instance.store_id
    handle.private1, handle.private2 = places[name]
    return Memory(native, instance.context, handle)


def _search(instance: ComponentInstance, name: str) -> tuple[int, int]:
    """Return what the engine keeps in a memory's handle: it is the same in each store of a component."""
    native = instance.site.engine.native
    get, text = native.lib.wasmtime_instance_export_get, name.encode()
    place, found = native.ffi.new("wasmtime_instance_t *"), native.ffi.new("wasmtime_extern_t *")
    place.store_id = instance.scratch.instance.store_id
    while not get(instance.context, place, text, len(text), found):
        place.private += 1
    if found.kind != KIND_MEMORY:
        raise LoadError(f"the export {name} is no memory")
    return found.of.memory.private1, found.of.memory.private2
