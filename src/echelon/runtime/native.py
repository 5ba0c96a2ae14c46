"""The C declarations of libwasmtime that Echelon uses, and nothing else; no other module knows cffi.

The shared library is the one inside the `wasmtime` wheel, pinned to one major version. Declarations follow the
C headers of that version (wasmtime.h, wasm.h) but for one function whose header is wrong: see
`wasmtime_context_epoch_deadline_async_yield_and_update`. `tests/runtime/test_native.py` compares every struct
with the wheel's own ctypes declarations.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Any, Final

from echelon.errors import EchelonError

_STRUCTS = """
typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasm_frame_t wasm_frame_t;
typedef struct wasm_functype_t wasm_functype_t;
typedef struct wasm_valtype_t wasm_valtype_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_caller wasmtime_caller_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;
typedef struct wasmtime_call_future wasmtime_call_future_t;
typedef struct wasmtime_pooling_allocation_config_t wasmtime_pooling_allocation_config_t;
typedef struct { size_t size; char *data; } wasm_byte_vec_t;
typedef struct { size_t size; wasm_valtype_t **data; } wasm_valtype_vec_t;
typedef struct { size_t size; wasm_frame_t **data; } wasm_frame_vec_t;
typedef struct { uint64_t store_id; size_t private; } wasmtime_instance_t;
typedef struct { uint64_t store_id; void *private; } wasmtime_func_t;
typedef struct { struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; } wasmtime_memory_t;
typedef union { wasmtime_func_t func; wasmtime_memory_t memory; uint64_t private[3]; } wasmtime_extern_union_t;
typedef struct { uint8_t kind; wasmtime_extern_union_t of; } wasmtime_extern_t;
typedef union {
    int32_t i32; int64_t i64; float f32; double f64; uint8_t v128[16]; uint64_t private[3];
} wasmtime_valunion_t;
typedef struct { uint8_t kind; wasmtime_valunion_t of; } wasmtime_val_t;
typedef union { int32_t i32; int64_t i64; float f32; double f64; uint8_t v128[16]; } wasmtime_val_raw_t;
typedef bool (*continuation_callback_t)(void *env);
typedef struct { continuation_callback_t callback; void *env; void *finalizer; } wasmtime_async_continuation_t;
typedef wasm_trap_t *(*checked_callback_t)(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args,
                                           size_t nargs, wasmtime_val_t *results, size_t nresults);
typedef wasm_trap_t *(*func_callback_t)(void *env, wasmtime_caller_t *caller,
                                        wasmtime_val_raw_t *args_and_results, size_t count);
typedef void (*async_callback_t)(void *env, wasmtime_caller_t *caller,
                                 const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults,
                                 wasm_trap_t **trap, wasmtime_async_continuation_t *continuation);
"""

_CONFIG = """
wasm_config_t *wasm_config_new(void);
wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *);
void wasm_engine_delete(wasm_engine_t *);
void wasmtime_config_consume_fuel_set(wasm_config_t *, bool);
void wasmtime_config_epoch_interruption_set(wasm_config_t *, bool);
void wasmtime_config_max_wasm_stack_set(wasm_config_t *, size_t);
void wasmtime_config_async_stack_size_set(wasm_config_t *, size_t);
void wasmtime_config_memory_reservation_set(wasm_config_t *, uint64_t);
void wasmtime_config_memory_guard_size_set(wasm_config_t *, uint64_t);
void wasmtime_config_memory_may_move_set(wasm_config_t *, bool);
void wasmtime_config_parallel_compilation_set(wasm_config_t *, bool);
void wasmtime_config_cranelift_nan_canonicalization_set(wasm_config_t *, bool);
void wasmtime_config_wasm_threads_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_memory64_set(wasm_config_t *, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *, bool);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *, bool);
void wasmtime_config_wasm_relaxed_simd_deterministic_set(wasm_config_t *, bool);
wasmtime_pooling_allocation_config_t *wasmtime_pooling_allocation_config_new(void);
void wasmtime_pooling_allocation_config_delete(wasmtime_pooling_allocation_config_t *);
void wasmtime_pooling_allocation_config_total_core_instances_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_total_memories_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_total_tables_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_total_stacks_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_max_memories_per_module_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_max_tables_per_module_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_table_elements_set(wasmtime_pooling_allocation_config_t *, size_t);
void wasmtime_pooling_allocation_config_max_memory_size_set(wasmtime_pooling_allocation_config_t *, size_t);
void wasmtime_pooling_allocation_config_max_unused_warm_slots_set(wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(wasmtime_pooling_allocation_config_t *, size_t);
void wasmtime_pooling_allocation_config_table_keep_resident_set(wasmtime_pooling_allocation_config_t *, size_t);
void wasmtime_pooling_allocation_config_async_stack_keep_resident_set(wasmtime_pooling_allocation_config_t *, size_t);
void wasmtime_pooling_allocation_strategy_set(wasm_config_t *, const wasmtime_pooling_allocation_config_t *);
void wasmtime_engine_increment_epoch(wasm_engine_t *);
"""

_STORE = """
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *data, void *finalizer);
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_delete(wasmtime_store_t *);
void wasmtime_store_limiter(wasmtime_store_t *, int64_t memory, int64_t table_elements, int64_t instances,
                            int64_t tables, int64_t memories);
void *wasmtime_context_get_data(const wasmtime_context_t *);
void wasmtime_context_set_epoch_deadline(wasmtime_context_t *, uint64_t ticks);
void wasmtime_context_epoch_deadline_async_yield_and_update(wasmtime_context_t *, uint64_t ticks);
wasmtime_error_t *wasmtime_context_set_fuel(wasmtime_context_t *, uint64_t);
wasmtime_error_t *wasmtime_context_get_fuel(const wasmtime_context_t *, uint64_t *);
wasmtime_context_t *wasmtime_caller_context(wasmtime_caller_t *);
bool wasmtime_caller_export_get(wasmtime_caller_t *, const char *, size_t, wasmtime_extern_t *);
"""

_MODULE = """
wasmtime_error_t *wasmtime_wat2wasm(const char *, size_t, wasm_byte_vec_t *);
wasmtime_error_t *wasmtime_module_new(wasm_engine_t *, const char *, size_t, wasmtime_module_t **);
wasmtime_error_t *wasmtime_module_serialize(const wasmtime_module_t *, wasm_byte_vec_t *);
wasmtime_error_t *wasmtime_module_deserialize(wasm_engine_t *, const char *, size_t, wasmtime_module_t **);
void wasmtime_module_delete(wasmtime_module_t *);
wasmtime_linker_t *wasmtime_linker_new(wasm_engine_t *);
void wasmtime_linker_delete(wasmtime_linker_t *);
wasmtime_error_t *wasmtime_linker_define_func_unchecked(wasmtime_linker_t *, const char *, size_t, const char *,
                                                        size_t, const wasm_functype_t *, func_callback_t,
                                                        void *env, void *finalizer);
wasmtime_error_t *wasmtime_linker_define_async_func(wasmtime_linker_t *, const char *, size_t, const char *,
                                                    size_t, const wasm_functype_t *, async_callback_t,
                                                    void *env, void *finalizer);
wasmtime_error_t *wasmtime_linker_instantiate_pre(const wasmtime_linker_t *, const wasmtime_module_t *,
                                                  wasmtime_instance_pre_t **);
void wasmtime_instance_pre_delete(wasmtime_instance_pre_t *);
wasmtime_call_future_t *wasmtime_instance_pre_instantiate_async(const wasmtime_instance_pre_t *,
                                                                wasmtime_context_t *, wasmtime_instance_t *,
                                                                wasm_trap_t **, wasmtime_error_t **);
bool wasmtime_instance_export_get(wasmtime_context_t *, const wasmtime_instance_t *, const char *, size_t,
                                  wasmtime_extern_t *);
wasm_valtype_t *wasm_valtype_new(uint8_t kind);
void wasm_valtype_vec_new(wasm_valtype_vec_t *, size_t, wasm_valtype_t *const *);
wasm_functype_t *wasm_functype_new(wasm_valtype_vec_t *params, wasm_valtype_vec_t *results);
void wasm_functype_delete(wasm_functype_t *);
"""

_CALL = """
void wasmtime_func_new(wasmtime_context_t *, const wasm_functype_t *, checked_callback_t, void *env, void *finalizer,
                       wasmtime_func_t *);
wasmtime_call_future_t *wasmtime_func_call_async(wasmtime_context_t *, const wasmtime_func_t *,
                                                 const wasmtime_val_t *, size_t, wasmtime_val_t *, size_t,
                                                 wasm_trap_t **, wasmtime_error_t **);
bool wasmtime_call_future_poll(wasmtime_call_future_t *);
void wasmtime_call_future_delete(wasmtime_call_future_t *);
char *wasmtime_memory_data(const wasmtime_context_t *, const wasmtime_memory_t *);
size_t wasmtime_memory_data_size(const wasmtime_context_t *, const wasmtime_memory_t *);
wasmtime_error_t *wasmtime_memory_grow(wasmtime_context_t *, const wasmtime_memory_t *, uint64_t, uint64_t *);
wasm_trap_t *wasmtime_trap_new(const char *, size_t);
bool wasmtime_trap_code(const wasm_trap_t *, uint8_t *);
void wasm_trap_message(const wasm_trap_t *, wasm_byte_vec_t *);
void wasm_trap_trace(const wasm_trap_t *, wasm_frame_vec_t *);
void wasm_trap_delete(wasm_trap_t *);
void wasm_frame_vec_delete(wasm_frame_vec_t *);
uint32_t wasm_frame_func_index(const wasm_frame_t *);
size_t wasm_frame_module_offset(const wasm_frame_t *);
const wasm_byte_vec_t *wasmtime_frame_func_name(const wasm_frame_t *);
void wasmtime_error_message(const wasmtime_error_t *, wasm_byte_vec_t *);
void wasmtime_error_wasm_trace(const wasmtime_error_t *, wasm_frame_vec_t *);
void wasmtime_error_delete(wasmtime_error_t *);
void wasm_byte_vec_delete(wasm_byte_vec_t *);
"""

_COMPONENT_TYPES = """
typedef struct wasmtime_component_t wasmtime_component_t;
typedef struct wasmtime_component_type_t wasmtime_component_type_t;
typedef struct wasmtime_component_extern_t wasmtime_component_extern_t;
typedef struct wasmtime_component_instance_type wasmtime_component_instance_type_t;
typedef struct wasmtime_component_func_type_t wasmtime_component_func_type_t;
typedef struct wasmtime_component_resource_type wasmtime_component_resource_type_t;
typedef struct wasmtime_component_resource_any wasmtime_component_resource_any_t;
typedef struct wasmtime_component_resource_host wasmtime_component_resource_host_t;
typedef struct wasmtime_component_export_index_t wasmtime_component_export_index_t;
typedef struct wasmtime_component_linker_t wasmtime_component_linker_t;
typedef struct wasmtime_component_linker_instance_t wasmtime_component_linker_instance_t;
typedef struct { uint64_t store_id; uint32_t private; } wasmtime_component_instance_t;
typedef struct {
    struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; void *private3;
} wasmtime_component_func_t;
typedef struct { uint8_t kind; void *of; } wasmtime_component_valtype_t;
typedef struct { uint8_t kind; union { void *any; wasmtime_component_valtype_t type; } of; } wasmtime_component_item_t;
typedef struct { uint8_t kind; uint64_t of[3]; } wasmtime_component_val_t;
typedef struct { wasm_byte_vec_t name; wasmtime_component_val_t val; } wasmtime_component_valrecord_entry_t;
typedef struct { wasmtime_component_val_t key; wasmtime_component_val_t value; } wasmtime_component_valmap_entry_t;
wasmtime_component_type_t *wasmtime_component_type(const wasmtime_component_t *);
void wasmtime_component_type_delete(wasmtime_component_type_t *);
size_t wasmtime_component_type_import_count(const wasmtime_component_type_t *, const wasm_engine_t *);
bool wasmtime_component_type_import_nth(const wasmtime_component_type_t *, const wasm_engine_t *, size_t,
                                        const char **, size_t *, wasmtime_component_extern_t **);
size_t wasmtime_component_type_export_count(const wasmtime_component_type_t *, const wasm_engine_t *);
bool wasmtime_component_type_export_nth(const wasmtime_component_type_t *, const wasm_engine_t *, size_t,
                                        const char **, size_t *, wasmtime_component_extern_t **);
void wasmtime_component_extern_type(const wasmtime_component_extern_t *, wasmtime_component_item_t *);
void wasmtime_component_extern_delete(wasmtime_component_extern_t *);
void wasmtime_component_item_delete(wasmtime_component_item_t *);
size_t wasmtime_component_instance_type_export_count(const void *, const wasm_engine_t *);
bool wasmtime_component_instance_type_export_nth(const void *, const wasm_engine_t *, size_t, const char **,
                                                 size_t *, wasmtime_component_extern_t **);
bool wasmtime_component_func_type_async(const void *);
size_t wasmtime_component_func_type_param_count(const void *);
bool wasmtime_component_func_type_param_nth(const void *, size_t, const char **, size_t *,
                                            wasmtime_component_valtype_t *);
bool wasmtime_component_func_type_result(const void *, wasmtime_component_valtype_t *);
void wasmtime_component_valtype_delete(wasmtime_component_valtype_t *);
void wasmtime_component_list_type_element(const void *, wasmtime_component_valtype_t *);
size_t wasmtime_component_record_type_field_count(const void *);
bool wasmtime_component_record_type_field_nth(const void *, size_t, const char **, size_t *,
                                              wasmtime_component_valtype_t *);
size_t wasmtime_component_tuple_type_types_count(const void *);
bool wasmtime_component_tuple_type_types_nth(const void *, size_t, wasmtime_component_valtype_t *);
size_t wasmtime_component_variant_type_case_count(const void *);
bool wasmtime_component_variant_type_case_nth(const void *, size_t, const char **, size_t *, bool *,
                                              wasmtime_component_valtype_t *);
size_t wasmtime_component_enum_type_names_count(const void *);
bool wasmtime_component_enum_type_names_nth(const void *, size_t, const char **, size_t *);
void wasmtime_component_option_type_ty(const void *, wasmtime_component_valtype_t *);
bool wasmtime_component_result_type_ok(const void *, wasmtime_component_valtype_t *);
bool wasmtime_component_result_type_err(const void *, wasmtime_component_valtype_t *);
size_t wasmtime_component_flags_type_names_count(const void *);
bool wasmtime_component_flags_type_names_nth(const void *, size_t, const char **, size_t *);
void wasmtime_component_map_type_key(const void *, wasmtime_component_valtype_t *);
void wasmtime_component_map_type_value(const void *, wasmtime_component_valtype_t *);
wasmtime_component_resource_type_t *wasmtime_component_resource_type_new_host(uint32_t);
wasmtime_component_resource_type_t *wasmtime_component_resource_type_clone(const void *);
bool wasmtime_component_resource_type_equal(const void *, const void *);
void wasmtime_component_resource_type_delete(wasmtime_component_resource_type_t *);
"""

_COMPONENT = """
typedef wasmtime_error_t *(*component_callback_t)(void *env, wasmtime_context_t *, const void *type,
                                                  wasmtime_component_val_t *args, size_t nargs,
                                                  wasmtime_component_val_t *results, size_t nresults);
typedef void (*component_async_callback_t)(void *env, wasmtime_context_t *, const void *type,
                                           wasmtime_component_val_t *args, size_t nargs,
                                           wasmtime_component_val_t *results, size_t nresults,
                                           wasmtime_error_t **, wasmtime_async_continuation_t *);
typedef wasmtime_error_t *(*component_destructor_t)(void *env, wasmtime_context_t *, uint32_t rep);
void wasmtime_config_wasm_component_model_set(wasm_config_t *, bool);
void wasmtime_config_wasm_component_model_async_set(wasm_config_t *, bool);
void wasmtime_config_wasm_component_model_map_set(wasm_config_t *, bool);
void wasmtime_config_concurrency_support_set(wasm_config_t *, bool);
void wasmtime_pooling_allocation_config_total_component_instances_set(
    wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_max_core_instances_per_component_set(
    wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_max_memories_per_component_set(
    wasmtime_pooling_allocation_config_t *, uint32_t);
void wasmtime_pooling_allocation_config_max_tables_per_component_set(
    wasmtime_pooling_allocation_config_t *, uint32_t);
wasmtime_error_t *wasmtime_component_new(const wasm_engine_t *, const char *, size_t, wasmtime_component_t **);
wasmtime_error_t *wasmtime_component_serialize(const wasmtime_component_t *, wasm_byte_vec_t *);
wasmtime_error_t *wasmtime_component_deserialize(const wasm_engine_t *, const char *, size_t, wasmtime_component_t **);
void wasmtime_component_delete(wasmtime_component_t *);
wasmtime_component_export_index_t *wasmtime_component_get_export_index(
    const wasmtime_component_t *, const wasmtime_component_export_index_t *, const char *, size_t);
void wasmtime_component_export_index_delete(wasmtime_component_export_index_t *);
bool wasmtime_component_instance_get_func(const wasmtime_component_instance_t *, wasmtime_context_t *,
                                          const wasmtime_component_export_index_t *, wasmtime_component_func_t *);
wasmtime_component_linker_t *wasmtime_component_linker_new(const wasm_engine_t *);
void wasmtime_component_linker_delete(wasmtime_component_linker_t *);
wasmtime_component_linker_instance_t *wasmtime_component_linker_root(wasmtime_component_linker_t *);
void wasmtime_component_linker_instance_delete(wasmtime_component_linker_instance_t *);
wasmtime_error_t *wasmtime_component_linker_instance_add_instance(
    wasmtime_component_linker_instance_t *, const char *, size_t, wasmtime_component_linker_instance_t **);
wasmtime_error_t *wasmtime_component_linker_instance_add_func(
    wasmtime_component_linker_instance_t *, const char *, size_t, component_callback_t, void *, void *);
wasmtime_error_t *wasmtime_component_linker_instance_add_func_async(
    wasmtime_component_linker_instance_t *, const char *, size_t, component_async_callback_t, void *, void *);
wasmtime_error_t *wasmtime_component_linker_instance_add_resource(
    wasmtime_component_linker_instance_t *, const char *, size_t, const wasmtime_component_resource_type_t *,
    component_destructor_t, void *, void *);
wasmtime_call_future_t *wasmtime_component_linker_instantiate_async(
    const wasmtime_component_linker_t *, wasmtime_context_t *, const wasmtime_component_t *,
    wasmtime_component_instance_t *, wasmtime_error_t **);
wasmtime_call_future_t *wasmtime_component_func_call_async(
    const wasmtime_component_func_t *, wasmtime_context_t *, const wasmtime_component_val_t *, size_t,
    wasmtime_component_val_t *, size_t, wasmtime_error_t **);
void wasmtime_component_val_clone(const wasmtime_component_val_t *, wasmtime_component_val_t *);
void wasmtime_component_val_delete(wasmtime_component_val_t *);
wasmtime_component_resource_any_t *wasmtime_component_resource_any_clone(const wasmtime_component_resource_any_t *);
wasmtime_component_resource_type_t *wasmtime_component_resource_any_type(const wasmtime_component_resource_any_t *);
bool wasmtime_component_resource_any_owned(const wasmtime_component_resource_any_t *);
wasmtime_error_t *wasmtime_component_resource_any_drop(wasmtime_context_t *, const wasmtime_component_resource_any_t *);
void wasmtime_component_resource_any_delete(wasmtime_component_resource_any_t *);
wasmtime_component_resource_host_t *wasmtime_component_resource_host_new(bool owned, uint32_t rep, uint32_t type);
uint32_t wasmtime_component_resource_host_rep(const wasmtime_component_resource_host_t *);
uint32_t wasmtime_component_resource_host_type(const wasmtime_component_resource_host_t *);
void wasmtime_component_resource_host_delete(wasmtime_component_resource_host_t *);
wasmtime_error_t *wasmtime_component_resource_any_to_host(
    wasmtime_context_t *, const wasmtime_component_resource_any_t *, wasmtime_component_resource_host_t **);
wasmtime_error_t *wasmtime_component_resource_host_to_any(
    wasmtime_context_t *, const wasmtime_component_resource_host_t *, wasmtime_component_resource_any_t **);
wasmtime_error_t *wasmtime_error_new(const char *);
"""

DECLARATIONS: Final = _STRUCTS + _CONFIG + _STORE + _MODULE + _CALL
COMPONENT_DECLARATIONS: Final = _COMPONENT_TYPES + _COMPONENT

KIND_FUNC, KIND_MEMORY = 0, 3
"""`wasmtime_extern_kind_t` of a function and of a memory."""


class Native:
    """The loaded library: `ffi` to make C data, `lib` to call, and the few helpers every caller shares."""

    def __init__(self) -> None:
        import cffi

        self.ffi: Any = cffi.FFI()
        self.ffi.cdef(DECLARATIONS)
        self.lib: Any = self.ffi.dlopen(str(library_path()))
        self.null: Any = self.ffi.NULL

    def take_bytes(self, vector: Any) -> bytes:
        """Return the content of a byte vector that we own, and free it."""
        content = bytes(self.ffi.buffer(vector.data, vector.size)) if vector.size else b""
        self.lib.wasm_byte_vec_delete(vector)
        return content

    def take_error(self, error: Any) -> str:
        """Return the message of an error that we own, and free it."""
        vector = self.ffi.new("wasm_byte_vec_t *")
        self.lib.wasmtime_error_message(error, vector)
        self.lib.wasmtime_error_delete(error)
        return self.take_bytes(vector).decode("utf-8", "replace")

    def wat2wasm(self, text: str) -> bytes:
        """Assemble WebAssembly text; raises ValueError with the assembler's message."""
        source = text.encode()
        out = self.ffi.new("wasm_byte_vec_t *")
        error = self.lib.wasmtime_wat2wasm(source, len(source), out)
        if error != self.null:
            raise ValueError(self.take_error(error))
        return self.take_bytes(out)


@functools.cache
def load() -> Native:
    """Load libwasmtime, once for the process (about 50 ms)."""
    return Native()


@functools.cache
def load_components() -> Native:
    """Return the loaded library with what components need declared, too; parsing that takes milliseconds."""
    loaded = load()
    loaded.ffi.cdef(COMPONENT_DECLARATIONS)
    return loaded


@functools.cache
def engine_version() -> str:
    """Return the version of libwasmtime, without loading it."""
    return importlib.metadata.version("wasmtime")


def library_path() -> Path:
    """Return where the `wasmtime` wheel keeps its shared library, without importing that package."""
    spec = importlib.util.find_spec("wasmtime")
    if spec is None or not spec.submodule_search_locations:
        raise EchelonError('the package "wasmtime" is not installed: pip install "wasmtime>=50,<51"')
    names = {"linux": "_libwasmtime.so", "darwin": "_libwasmtime.dylib", "win32": "_wasmtime.dll"}
    machine = {"AMD64": "x86_64", "arm64": "aarch64", "ARM64": "aarch64"}.get(
        platform.machine(), platform.machine()
    )
    name = names.get(sys.platform, "_libwasmtime.so")
    path = Path(next(iter(spec.submodule_search_locations))) / f"{sys.platform}-{machine}" / name
    if not path.is_file():
        raise EchelonError(f"the wasmtime package holds no library for {sys.platform} on {machine}")
    return path
