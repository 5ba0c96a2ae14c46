"""Connect a module's imports with host functions, once per module: what is left per call is an instance.

Each host function becomes one native callback. It finds the call it works for through the number that the store
carries, so that calls on many threads never meet.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.errors import LinkError
from echelon.runtime import failures
from echelon.runtime.binary import FuncType, Import, ModuleInfo
from echelon.runtime.engine import Engine
from echelon.runtime.host import CORE_OF, Catalogue, HostFunction, HostModule, MustWait
from echelon.runtime.memory import Memory
from echelon.runtime.native import KIND_MEMORY

if TYPE_CHECKING:
    from echelon.runtime.instance import Instance

_RAW = {"i32": "i12x", "u32": "I12x", "i64": "q8x", "u64": "Q8x", "f32": "f12x", "f64": "d8x"}
_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}
_VALUE_SIZE, _VALUE_OFFSET = 32, 8
_MASKS = {"i32": 0xFFFF_FFFF, "u32": 0xFFFF_FFFF, "i64": 0xFFFF_FFFF_FFFF_FFFF, "u64": 0xFFFF_FFFF_FFFF_FFFF}


@dataclass(slots=True)
class Pending:
    """A host call that waits: what to run on the event loop, and where its result goes."""

    function: HostFunction
    arguments: tuple[Any, ...]
    results: Any
    trap: Any


@dataclass(slots=True)
class Linked:
    """A module ready to be instantiated; `callbacks` keeps the native functions alive."""

    engine: Engine
    module: Any
    linker: Any
    pre: Any
    callbacks: list[Any]
    has_host: bool

    def close(self) -> None:
        lib = self.engine.native.lib
        lib.wasmtime_instance_pre_delete(self.pre)
        lib.wasmtime_linker_delete(self.linker)
        lib.wasmtime_module_delete(self.module)
        self.callbacks.clear()


def resolve(info: ModuleInfo, providers: Sequence[HostModule]) -> list[HostFunction]:
    """Find a host function for every import; raises LinkError that names all that nothing provides."""
    found, missing = [], []
    for item in info.imports:
        function = next((f for p in providers if (f := p.find(item)) is not None), None)
        if item.type is None or function is None:
            missing.append(f'{item.kind} "{item.module}" "{item.name}"')
            continue
        _check_type(item, item.type, function)
        found.append(function)
    if missing:
        raise LinkError(
            f"nothing provides {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            + f"; a guest may import functions from {_offered(info, providers)}"
        )
    return found


def _offered(info: ModuleInfo, providers: Sequence[HostModule]) -> str:
    """Return the namespaces there are; those that the module imports from, with what is in them."""
    wanted = {item.module for item in info.imports}
    texts = []
    for module in sorted({name for provider in providers for name in provider.modules()}):
        names = [n for p in providers if isinstance(p, Catalogue) for n in p.names(module)]
        texts.append(f"{module} ({', '.join(sorted(names))})" if names and module in wanted else module)
    return ", ".join(texts) or "nothing"


def _check_type(item: Import, declared: FuncType, function: HostFunction) -> None:
    offered = FuncType(
        tuple(CORE_OF[p] for p in function.params), tuple(CORE_OF[r] for r in function.results)
    )
    if offered != declared:
        raise LinkError(
            f'the import "{item.module}" "{item.name}" has type {declared}, the host offers {offered}'
        )


def link(
    engine: Engine, module: Any, functions: Sequence[HostFunction], calls: dict[int, Instance]
) -> Linked:
    """Define the host functions in a linker and prepare the module for instantiation; owns `module` from then on."""
    native = engine.native
    linker = native.lib.wasmtime_linker_new(engine.handle)
    callbacks: list[Any] = []
    try:
        for function in {(f.module, f.name): f for f in functions}.values():
            _define(engine, linker, function, calls, callbacks)
        out = native.ffi.new("wasmtime_instance_pre_t **")
        error = native.lib.wasmtime_linker_instantiate_pre(linker, module, out)
        if error != native.null:
            raise LinkError(native.take_error(error).splitlines()[0])
    except BaseException:
        native.lib.wasmtime_linker_delete(linker)
        native.lib.wasmtime_module_delete(module)
        raise
    return Linked(engine, module, linker, out[0], callbacks, has_host=bool(functions))


def _define(
    engine: Engine, linker: Any, function: HostFunction, calls: dict[int, Instance], callbacks: list[Any]
) -> None:
    native = engine.native
    module, name = function.module.encode(), function.name.encode()
    functype = _function_type(engine, function)
    if function.suspends:
        callback, ready = _suspending_callback(engine, function, calls)
        callbacks += [callback, ready]
        define = native.lib.wasmtime_linker_define_async_func
    else:
        callback = _direct_callback(engine, function, calls)
        callbacks.append(callback)
        define = native.lib.wasmtime_linker_define_func_unchecked
    error = define(linker, module, len(module), name, len(name), functype, callback, native.null, native.null)
    native.lib.wasm_functype_delete(functype)
    if error != native.null:
        raise LinkError(native.take_error(error).splitlines()[0])


def _function_type(engine: Engine, function: HostFunction) -> Any:
    ffi, lib = engine.native.ffi, engine.native.lib

    def vector(types: tuple[str, ...]) -> Any:
        items = [lib.wasm_valtype_new(_KINDS[CORE_OF[t]]) for t in types]
        out = ffi.new("wasm_valtype_vec_t *")
        lib.wasm_valtype_vec_new(out, len(items), ffi.new("wasm_valtype_t *[]", items))
        return out

    return lib.wasm_functype_new(vector(function.params), vector(function.results))


def _stop(engine: Engine, instance: Instance, function: HostFunction, failure: BaseException) -> Any:
    """Keep what a host function raised and return the trap that stops the guest."""
    if instance.failure is None:
        instance.failure = failures.from_host(failure, f"{function.module}.{function.name}")
    return engine.native.lib.wasmtime_trap_new(b"host", 4)


def _result_writer(function: HostFunction) -> Callable[[Any, int, Any], None] | None:
    """Return what writes a Python result at an offset of a buffer."""
    if not function.results:
        return None
    kind = function.results[0]
    if kind in _MASKS:
        mask, pack = _MASKS[kind], struct.Struct("<I" if CORE_OF[kind] == "i32" else "<Q").pack_into
        return lambda buffer, offset, value: pack(buffer, offset, value & mask)
    return struct.Struct("<f" if kind == "f32" else "<d").pack_into


def _result_placer(engine: Engine, function: HostFunction) -> Callable[[Any, Any], None]:
    """Return what puts a Python result into the values of a suspended guest."""
    write = _result_writer(function)
    if write is None:
        return lambda _results, _result: None
    kind, buffer_of = _KINDS[CORE_OF[function.results[0]]], engine.native.ffi.buffer

    def place(results: Any, result: Any) -> None:
        results[0].kind = kind
        write(buffer_of(results, _VALUE_SIZE), _VALUE_OFFSET, result)

    return place


def _reach_memory(instance: Instance, caller: Any) -> None:
    """Give a call its memory while the start function runs: the instance has none to ask for exports yet."""
    site, memory = instance.site, instance.scratch.memory
    name, call = site.memory_name, instance.call
    if name is None or call is None:
        return
    found = site.lib.wasmtime_caller_export_get(caller, name, len(name), memory)
    if found and memory.kind == KIND_MEMORY:
        call.memory = Memory(site.engine.native, instance.context, instance.scratch.memory_handle)


def _direct_callback(engine: Engine, function: HostFunction, calls: dict[int, Instance]) -> Any:
    ffi, lib, null = engine.native.ffi, engine.native.lib, engine.native.null
    unpack = struct.Struct("<" + "".join(_RAW[p] for p in function.params)).unpack_from
    size = 16 * max(len(function.params), len(function.results))
    write, implementation = _result_writer(function), function.implementation

    def call_host(_env: Any, caller: Any, values: Any, _count: int) -> Any:
        number = int(
            ffi.cast("uintptr_t", lib.wasmtime_context_get_data(lib.wasmtime_caller_context(caller)))
        )
        instance = calls[number]
        try:
            call = instance.call
            if call is None:  # only modules without imports have none
                return _stop(engine, instance, function, LinkError("the call has no host"))
            call.count()
            if call.memory is None:
                _reach_memory(instance, caller)
            buffer = ffi.buffer(values, size)
            result = implementation(call, *unpack(buffer))
            if write is not None:
                write(buffer, 0, result)
        except BaseException as exc:
            return _stop(engine, instance, function, exc)
        return null

    return ffi.callback("func_callback_t", call_host)


def _suspending_callback(
    engine: Engine, function: HostFunction, calls: dict[int, Instance]
) -> tuple[Any, Any]:
    ffi, lib = engine.native.ffi, engine.native.lib
    layout = "<" + "".join(f"{_VALUE_OFFSET}x{_RAW[p]}8x" for p in function.params)
    unpack, size = struct.Struct(layout).unpack_from, _VALUE_SIZE * len(function.params)
    at_once, anywhere, put = function.at_once, function.anywhere, _result_placer(engine, function)

    def is_ready(env: Any) -> bool:
        return calls[int(ffi.cast("uintptr_t", env))].pending is None

    def call_host(
        _env: Any, caller: Any, args: Any, _nargs: int, results: Any, _nresults: int, trap: Any, then: Any
    ) -> None:
        data = lib.wasmtime_context_get_data(lib.wasmtime_caller_context(caller))
        instance = calls[int(ffi.cast("uintptr_t", data))]
        then.callback, then.env = ready, data
        try:
            if instance.call is not None:
                instance.call.count()
                if instance.call.memory is None:
                    _reach_memory(instance, caller)
            arguments = unpack(ffi.buffer(args, size)) if size else ()
            # Only the thread of the event loop has a running loop.
            if at_once is None or not (anywhere or asyncio._get_running_loop()):
                instance.pending = Pending(function, arguments, results, trap)
            else:
                put(results, at_once(instance.call, *arguments))
        except MustWait:
            instance.pending = Pending(function, arguments, results, trap)
        except BaseException as exc:
            trap[0] = _stop(engine, instance, function, exc)

    ready = ffi.callback("continuation_callback_t", is_ready)
    return ffi.callback("async_callback_t", call_host), ready


async def complete(engine: Engine, instance: Instance, pending: Pending) -> None:
    """Run a waiting host call on the event loop and hand its result, or a trap, to the suspended guest."""
    function = pending.function
    try:
        result = await function.implementation(instance.call, *pending.arguments)
        _result_placer(engine, function)(pending.results, result)
    except Exception as exc:
        pending.trap[0] = _stop(engine, instance, function, exc)
    instance.pending = None
