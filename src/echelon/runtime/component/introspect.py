"""Read the types of a compiled component from the engine, into plain data.

A small component can describe a huge type, because types are shared by name and unfolded here: their number is
bounded. The engine's C API aborts the process on values of futures, streams and error contexts; types that hold one
are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from echelon.errors import InvalidModule
from echelon.runtime.component.types import (
    AnyType,
    ComponentType,
    EnumType,
    FlagsType,
    FunctionType,
    HandleType,
    Interface,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
)
from echelon.runtime.native import Native

MAX_NODES: Final = 20_000
"""Types, fields and cases of all functions of a component together."""

MAX_DEPTH: Final = 64

_PRIMITIVES: Final = (
    "bool", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64", "char", "string",
)  # fmt: skip
_LIST, _RECORD, _TUPLE, _VARIANT, _ENUM, _OPTION, _RESULT, _FLAGS, _OWN, _BORROW = range(13, 23)
_MAP: Final = 26
_REFUSED: Final = {23: "a future", 24: "a stream", 25: "an error context"}
_ITEM_INSTANCE, _ITEM_FUNCTION, _ITEM_RESOURCE, _ITEM_TYPE = 1, 3, 4, 6


def read_type(native: Native, engine: Any, component: Any, reserved: str = "") -> ComponentType:
    """Return what a component imports and exports; raises InvalidModule for what cannot be represented.

    Exports whose names begin with `reserved` are kept apart from its own.
    """
    handle = native.lib.wasmtime_component_type(component)
    try:
        return _Reader(native, engine, reserved).component(handle)
    finally:
        native.lib.wasmtime_component_type_delete(handle)


class _Reader:
    """Reads one component's types; `_resources` pairs each resource met so far with its data."""

    def __init__(self, native: Native, engine: Any, reserved: str) -> None:
        self._native, self._lib, self._ffi, self._engine = native, native.lib, native.ffi, engine
        self._reserved = reserved
        self._left = MAX_NODES
        self._depth = 0
        self._resources: list[tuple[Any, ResourceType]] = []
        self._name, self._size = self._ffi.new("char **"), self._ffi.new("size_t *")

    def component(self, handle: Any) -> ComponentType:
        lib = self._lib
        imports = self._interfaces(
            handle,
            lib.wasmtime_component_type_import_count,
            lib.wasmtime_component_type_import_nth,
            host=True,
        )
        exports = self._interfaces(
            handle,
            lib.wasmtime_component_type_export_count,
            lib.wasmtime_component_type_export_nth,
            host=False,
        )
        return ComponentType(imports, exports, self._second_forms(handle) if self._reserved else {})

    def _second_forms(self, handle: Any) -> dict[str, FunctionType]:
        """Return the functions of reserved names, unless they are too large: the component was there without them."""
        lib, self._left = self._lib, MAX_NODES
        items = self._items(
            handle,
            lib.wasmtime_component_type_export_count,
            lib.wasmtime_component_type_export_nth,
            reserved=True,
        )
        try:
            return {name: self._function(item.of.any) for name, item in items if item.kind == _ITEM_FUNCTION}
        except InvalidModule:
            return {}

    def _text(self) -> str:
        return bytes(self._ffi.buffer(self._name[0], self._size[0])).decode()

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise InvalidModule(f"the types of its functions have more than {MAX_NODES} parts")

    def _items(
        self, handle: Any, count: Any, nth: Any, *, reserved: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """Yield the name and type of each item; the type is valid until the next one."""
        external = self._ffi.new("wasmtime_component_extern_t **")
        for position in range(count(handle, self._engine)):
            nth(handle, self._engine, position, self._name, self._size, external)
            name, item = self._text(), self._ffi.new("wasmtime_component_item_t *")
            mine = not (self._reserved and name.startswith(self._reserved))
            if mine is not reserved:
                self._lib.wasmtime_component_extern_type(external[0], item)
            self._lib.wasmtime_component_extern_delete(external[0])
            if mine is reserved:
                continue
            self._spend()
            try:
                yield name, item
            finally:
                self._lib.wasmtime_component_item_delete(item)

    def _interfaces(self, handle: Any, count: Any, nth: Any, *, host: bool) -> tuple[Interface, ...]:
        found = [self._interface("", handle, count, nth, host=host)]
        lib = self._lib
        inner = (
            lib.wasmtime_component_instance_type_export_count,
            lib.wasmtime_component_instance_type_export_nth,
        )
        for name, item in self._items(handle, count, nth):
            if item.kind == _ITEM_INSTANCE:
                found.append(self._interface(name, item.of.any, *inner, host=host))
        return tuple(found)

    def _interface(self, name: str, handle: Any, count: Any, nth: Any, *, host: bool) -> Interface:
        """Read one level of names: resources first, because what names them may come before them."""
        resources = [
            (item_name, self._resource(item.of.any, item_name, host=host))
            for item_name, item in self._items(handle, count, nth)
            if item.kind == _ITEM_RESOURCE
        ]
        functions, others = [], []
        for item_name, item in self._items(handle, count, nth):
            if item.kind == _ITEM_FUNCTION:
                functions.append((item_name, self._function(item.of.any)))
            elif item.kind not in (_ITEM_RESOURCE, _ITEM_TYPE) and (name or item.kind != _ITEM_INSTANCE):
                others.append(f"{name}#{item_name}" if name else item_name)
        return Interface(name, tuple(functions), tuple(resources), tuple(others))

    def _resource(self, handle: Any, name: str, *, host: bool) -> ResourceType:
        for known, resource in self._resources:
            if self._lib.wasmtime_component_resource_type_equal(known, handle):
                return resource
        self._spend()
        kept = self._ffi.gc(
            self._lib.wasmtime_component_resource_type_clone(handle),
            self._lib.wasmtime_component_resource_type_delete,
        )
        resource = ResourceType(len(self._resources) + 1, name, host)
        self._resources.append((kept, resource))
        return resource

    def _function(self, handle: Any) -> FunctionType:
        lib, params = self._lib, []
        if lib.wasmtime_component_func_type_async(handle):
            raise InvalidModule("it has async functions, which are not supported")
        for position in range(lib.wasmtime_component_func_type_param_count(handle)):
            out = self._ffi.new("wasmtime_component_valtype_t *")
            lib.wasmtime_component_func_type_param_nth(handle, position, self._name, self._size, out)
            params.append((self._text(), self._take(out)))
        out = self._ffi.new("wasmtime_component_valtype_t *")
        has_result = lib.wasmtime_component_func_type_result(handle, out)
        return FunctionType(tuple(params), self._take(out) if has_result else None)

    def _take(self, out: Any) -> AnyType:
        """Return the type that the engine has just put into `out`, which we own, and free it."""
        try:
            self._spend()
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise InvalidModule(f"its types are nested more than {MAX_DEPTH} levels deep")
            kind = int(out.kind)
            if kind < len(_PRIMITIVES):
                return Primitive(_PRIMITIVES[kind])
            return self._compound(kind, out.of)
        finally:
            self._depth -= 1
            self._lib.wasmtime_component_valtype_delete(out)

    def _inner(self, get: Callable[..., Any], *arguments: Any) -> AnyType | None:
        """Ask for a type that may be absent: `get` answers False then, and None when it is always there."""
        out = self._ffi.new("wasmtime_component_valtype_t *")
        return None if get(*arguments, out) is False else self._take(out)

    def _always(self, get: Callable[..., Any], *arguments: Any) -> AnyType:
        out = self._ffi.new("wasmtime_component_valtype_t *")
        get(*arguments, out)
        return self._take(out)

    def _named(self, get: Callable[..., Any], handle: Any, count: int) -> tuple[tuple[str, AnyType], ...]:
        found = []
        for position in range(count):
            out = self._ffi.new("wasmtime_component_valtype_t *")
            get(handle, position, self._name, self._size, out)
            found.append((self._text(), self._take(out)))
        return tuple(found)

    def _names(self, get: Callable[..., Any], handle: Any, count: int) -> tuple[str, ...]:
        names = []
        for position in range(count):
            self._spend()
            get(handle, position, self._name, self._size)
            names.append(self._text())
        return tuple(names)

    def _compound(self, kind: int, of: Any) -> AnyType:
        lib = self._lib
        if kind == _LIST:
            return ListType(self._always(lib.wasmtime_component_list_type_element, of))
        if kind == _RECORD:
            count = lib.wasmtime_component_record_type_field_count(of)
            return RecordType(self._named(lib.wasmtime_component_record_type_field_nth, of, count))
        if kind == _TUPLE:
            nth = lib.wasmtime_component_tuple_type_types_nth
            return TupleType(
                tuple(
                    self._always(nth, of, i) for i in range(lib.wasmtime_component_tuple_type_types_count(of))
                )
            )
        if kind == _VARIANT:
            return VariantType(tuple(self._cases(of)))
        if kind == _ENUM:
            count = lib.wasmtime_component_enum_type_names_count(of)
            return EnumType(self._names(lib.wasmtime_component_enum_type_names_nth, of, count))
        if kind == _FLAGS:
            count = lib.wasmtime_component_flags_type_names_count(of)
            return FlagsType(self._names(lib.wasmtime_component_flags_type_names_nth, of, count))
        if kind == _OPTION:
            return OptionType(self._always(lib.wasmtime_component_option_type_ty, of))
        if kind == _RESULT:
            return ResultType(
                self._inner(lib.wasmtime_component_result_type_ok, of),
                self._inner(lib.wasmtime_component_result_type_err, of),
            )
        if kind in (_OWN, _BORROW):
            return HandleType(self._resource(of, "resource", host=False), kind == _OWN)
        if kind == _MAP:
            return MapType(
                self._always(lib.wasmtime_component_map_type_key, of),
                self._always(lib.wasmtime_component_map_type_value, of),
            )
        raise InvalidModule(
            f"a function takes or returns {_REFUSED.get(kind, 'a type')} that is not supported"
        )

    def _cases(self, handle: Any) -> Iterator[tuple[str, AnyType | None]]:
        lib, has = self._lib, self._ffi.new("bool *")
        for position in range(lib.wasmtime_component_variant_type_case_count(handle)):
            self._spend()
            out = self._ffi.new("wasmtime_component_valtype_t *")
            lib.wasmtime_component_variant_type_case_nth(handle, position, self._name, self._size, has, out)
            name = self._text()
            yield name, (self._take(out) if has[0] else None)
