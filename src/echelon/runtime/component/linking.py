"""Connect a component's imports with Python, once per component and engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from echelon.errors import LinkError
from echelon.runtime import linking
from echelon.runtime.component.bridge import Bridge, stop
from echelon.runtime.component.host_import import ImportProvider
from echelon.runtime.component.types import ComponentType, Interface, ResourceType
from echelon.runtime.engine import Engine

if TYPE_CHECKING:
    from echelon.runtime.binary import Edit
    from echelon.runtime.component.appendix import Appendix, ReachedMemory
    from echelon.runtime.component.import_types import Changed
    from echelon.runtime.instance import Instance


@dataclass(slots=True)
class ComponentLinked(linking.Linked):
    """A component ready to be instantiated: `module` is the component, `exports` its functions' indexes."""

    exports: dict[str, Any]
    memories: tuple[ReachedMemory, ...] = ()
    edits: tuple[Edit, ...] = ()
    """Edits before the component's end with which it was compiled."""
    places: dict[ReachedMemory, tuple[int, int]] = field(default_factory=dict)
    """What the engine keeps in the handle of each memory, as far as it was looked up."""

    def close(self) -> None:
        lib = self.engine.native.lib
        for index in self.exports.values():
            lib.wasmtime_component_export_index_delete(index)
        self.exports.clear()
        lib.wasmtime_component_linker_delete(self.linker)
        lib.wasmtime_component_delete(self.module)
        self.callbacks.clear()


def link(
    engine: Engine,
    component: Any,
    type_: ComponentType,
    providers: Sequence[ImportProvider],
    calls: dict[int, Instance],
    appendix: Appendix,
) -> ComponentLinked:
    """Define every import; owns `component` from then on. Raises LinkError that names all that nothing provides."""
    lib = engine.native.lib
    linker = lib.wasmtime_component_linker_new(engine.handle)
    definer = _Definer(engine, providers, calls)
    linked = ComponentLinked(engine, component, linker, None, definer.callbacks, definer.has_host, {})
    try:
        _find_appended(linked, type_, appendix)
        if appendix.imports_mark in linked.exports:
            definer.changed, linked.edits = appendix.imports, appendix.forms[0]
        definer.define_all(linker, type_)
        linked.has_host = definer.has_host
        _find_exports(linked, type_)
    except BaseException:
        linked.close()
        raise
    return linked


def _find_exports(linked: ComponentLinked, type_: ComponentType) -> None:
    native, component = linked.engine.native, linked.module

    def index(parent: Any, name: str) -> Any:
        text = name.encode()
        found = native.lib.wasmtime_component_get_export_index(component, parent, text, len(text))
        if found == native.null:
            raise LinkError(f'the export "{name}" cannot be found')
        return found

    for interface in type_.exports:
        if not interface.functions:
            continue
        parent = index(native.null, interface.name) if interface.name else native.null
        try:
            for name, _ in interface.functions:
                linked.exports[qualified(interface.name, name)] = index(parent, name)
        finally:
            if interface.name:
                native.lib.wasmtime_component_export_index_delete(parent)


def _find_appended(linked: ComponentLinked, type_: ComponentType, appendix: Appendix) -> None:
    """Note which of what may have been appended to the component is there."""
    native = linked.engine.native
    for name in type_.reserved:
        text = name.encode()
        found = native.lib.wasmtime_component_get_export_index(linked.module, native.null, text, len(text))
        if found != native.null:
            linked.exports[name] = found
    if appendix.mark in linked.exports:
        linked.memories = appendix.memories


def qualified(interface: str, name: str) -> str:
    """Return the full name of a function of an interface."""
    return f"{interface}#{name}" if interface else name


class _Definer:
    """Defines imports in a linker; keeps the native callbacks that must outlive it."""

    def __init__(
        self, engine: Engine, providers: Sequence[ImportProvider], calls: dict[int, Instance]
    ) -> None:
        self._engine, self._providers, self._calls = engine, providers, calls
        self._missing: list[str] = []
        self._known: set[ResourceType] = set()
        self.changed: Changed = {}
        self.callbacks: list[Any] = []
        self.has_host = False

    def define_all(self, linker: Any, type_: ComponentType) -> None:
        lib = self._engine.native.lib
        root = lib.wasmtime_component_linker_root(linker)
        try:
            for interface in type_.imports:
                self._missing += interface.others
                if not interface.name:
                    self._define(root, interface)
                elif interface.functions or interface.resources:
                    self._define_instance(root, interface)
        finally:
            lib.wasmtime_component_linker_instance_delete(root)
        if self._missing:
            known = sorted({name for provider in self._providers for name in provider.interfaces()})
            more = f" and {len(self._missing) - 5} more" if len(self._missing) > 5 else ""
            raise LinkError(
                f"nothing provides {', '.join(self._missing[:5])}{more}; a component may import from"
                f" {', '.join(known) or 'nothing'}"
            )

    def _define_instance(self, root: Any, interface: Interface) -> None:
        native, name = self._engine.native, interface.name.encode()
        out = native.ffi.new("wasmtime_component_linker_instance_t **")
        self._check(native.lib.wasmtime_component_linker_instance_add_instance(root, name, len(name), out))
        try:
            self._define(out[0], interface)
        finally:
            native.lib.wasmtime_component_linker_instance_delete(out[0])

    def _define(self, place: Any, interface: Interface) -> None:
        for name, resource in interface.resources:
            if resource in self._known or any(p.has_resource(interface.name, name) for p in self._providers):
                self._known.add(resource)
                self._add_resource(place, name, resource)
            else:
                self._missing.append(f'the resource "{qualified(interface.name, name)}"')
        for name, type_ in interface.functions:
            found = next(
                (f for p in self._providers if (f := p.find(interface.name, name)) is not None), None
            )
            full = qualified(interface.name, name)
            if found is None:
                self._missing.append(f'"{full}"')
            else:
                form = self.changed.get((interface.name, name))
                bridge = Bridge(self._engine, full, type_, found, None if form is None else form.memory)
                self._add_function(place, name, bridge)

    def _check(self, error: Any) -> None:
        if error != self._engine.native.null:
            raise LinkError(self._engine.native.take_error(error).splitlines()[0])

    def _instance(self, context: Any) -> Any:
        native = self._engine.native
        number = native.ffi.cast("uintptr_t", native.lib.wasmtime_context_get_data(context))
        return self._calls[int(number)]

    def _add_resource(self, place: Any, name: str, resource: ResourceType) -> None:
        native, text = self._engine.native, name.encode()
        null = native.null
        self.has_host = True

        def destroy(_env: Any, context: Any, number: int) -> Any:
            instance = self._instance(context)
            try:
                instance.drop_object(resource, number)
            except BaseException as exc:
                return stop(self._engine, instance, f"{resource.name}.close", exc)
            return null

        callback = native.ffi.callback("component_destructor_t", destroy)
        self.callbacks.append(callback)
        handle = native.lib.wasmtime_component_resource_type_new_host(resource.number)
        error = native.lib.wasmtime_component_linker_instance_add_resource(
            place, text, len(text), handle, callback, null, null
        )
        native.lib.wasmtime_component_resource_type_delete(handle)
        self._check(error)

    def _add_function(self, place: Any, name: str, bridge: Bridge) -> None:
        native, text = self._engine.native, name.encode()
        lib, null = native.lib, native.null
        self.has_host = True
        if not bridge.host.anywhere:
            callback, ready = self._suspending(bridge)
            self.callbacks += [callback, ready]
            add = lib.wasmtime_component_linker_instance_add_func_async
        else:
            callback = self._direct(bridge)
            self.callbacks.append(callback)
            add = lib.wasmtime_component_linker_instance_add_func
        self._check(add(place, text, len(text), callback, null, null))

    def _direct(self, bridge: Bridge) -> Any:
        engine, null = self._engine, self._engine.native.null

        def call_host(
            _env: Any, context: Any, _type: Any, args: Any, _nargs: int, results: Any, _nresults: int
        ) -> Any:
            instance = self._instance(context)
            try:
                bridge.call(instance, args, results)
            except BaseException as exc:
                return stop(engine, instance, bridge.name, exc)
            return null

        return engine.native.ffi.callback("component_callback_t", call_host)

    def _suspending(self, bridge: Bridge) -> tuple[Any, Any]:
        engine, ffi, lib = self._engine, self._engine.native.ffi, self._engine.native.lib
        calls = self._calls

        def is_ready(env: Any) -> bool:
            return calls[int(ffi.cast("uintptr_t", env))].pending is None

        ready = ffi.callback("continuation_callback_t", is_ready)

        def call_host(
            _env: Any, context: Any, _type: Any, args: Any, _nargs: int, results: Any, _nresults: int,
            error: Any, then: Any,
        ) -> None:  # fmt: skip
            instance = self._instance(context)
            then.callback, then.env = ready, lib.wasmtime_context_get_data(context)
            try:
                # Only the thread of the event loop has a running loop.
                if not bridge.host.suspends and asyncio._get_running_loop() is not None:
                    bridge.call(instance, args, results)
                    return
                instance.call.count()
                values = bridge.lift(instance, args)
                instance.pending = linking.Pending(bridge.waiting, (instance, values, results), None, None)
            except BaseException as exc:
                error[0] = stop(engine, instance, bridge.name, exc)

        return ffi.callback("component_async_callback_t", call_host), ready
