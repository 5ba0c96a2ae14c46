"""Reach the memories of a component's instance.

The C API has no handle for the core instances inside a component. But they are numbered in their store like any
others, from 0 without a gap, and a handle of a core instance is its store and its number. One of them exports each
memory under a name that no other one can have, so it is found by asking them in turn; the engine would end the
process if it were asked for a number that its store has not, which cannot happen as long as the name is there.
`tests/runtime/component/test_component_memories.py` pins what is relied on here.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from echelon.errors import LoadError
from echelon.runtime.memory import Memory
from echelon.runtime.native import KIND_MEMORY

if TYPE_CHECKING:
    from echelon.runtime.component.instance import ComponentInstance


def find(instance: ComponentInstance, name: str) -> Memory:
    """Return the memory that a core instance of a started component exports under a reserved name."""
    native, linked = instance.site.engine.native, instance.linked
    get, text = native.lib.wasmtime_instance_export_get, name.encode()
    place, found = native.ffi.new("wasmtime_instance_t *"), native.ffi.new("wasmtime_extern_t *")
    place.store_id = instance.scratch.instance.store_id
    for number in itertools.count(linked.places.get(name, 0)):
        place.private = number
        if get(instance.context, place, text, len(text), found):
            break
    linked.places[name] = place.private
    if found.kind != KIND_MEMORY:
        raise LoadError(f"the export {name} is no memory")
    return Memory(native, instance.context, native.ffi.new("wasmtime_memory_t *", found.of.memory))
