"""The declarations of libwasmtime against those of the wheel that ships the library."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
from wasmtime import _bindings as wheel

from echelon.runtime import native

STRUCTS = {
    "wasm_byte_vec_t": wheel.wasm_byte_vec_t,
    "wasm_valtype_vec_t": wheel.wasm_valtype_vec_t,
    "wasm_frame_vec_t": wheel.wasm_frame_vec_t,
    "wasmtime_instance_t": wheel.wasmtime_instance,
    "wasmtime_func_t": wheel.wasmtime_func,
    "wasmtime_memory_t": wheel.wasmtime_memory,
    "wasmtime_extern_union_t": wheel.wasmtime_extern_union,
    "wasmtime_extern_t": wheel.wasmtime_extern,
    "wasmtime_valunion_t": wheel.wasmtime_valunion,
    "wasmtime_val_t": wheel.wasmtime_val,
    "wasmtime_val_raw_t": wheel.wasmtime_val_raw,
    "wasmtime_async_continuation_t": wheel.wasmtime_async_continuation_t,
    "wasmtime_component_instance_t": wheel.wasmtime_component_instance,
    "wasmtime_component_func_t": wheel.wasmtime_component_func,
    "wasmtime_component_valtype_t": wheel.wasmtime_component_valtype_t,
    "wasmtime_component_item_t": wheel.wasmtime_component_item_t,
    "wasmtime_component_val_t": wheel.wasmtime_component_val,
    "wasmtime_component_valrecord_entry_t": wheel.wasmtime_component_valrecord_entry,
    "wasmtime_component_valmap_entry_t": wheel.wasmtime_component_valmap_entry,
}


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_layout(name: str) -> None:
    """Each struct has the size and the field offsets of the wheel's own declaration."""
    ffi, theirs = native.load_components().ffi, STRUCTS[name]
    assert ffi.sizeof(name) == ctypes.sizeof(theirs)
    ours = dict(ffi.typeof(name).fields or [])
    for field, *_ in theirs._fields_:
        if field in ours:
            assert ours[field].offset == getattr(theirs, field).offset, field


def test_every_declared_function_exists() -> None:
    """The library has every function that is declared."""
    loaded = native.load_components()
    names = [n for n in dir(loaded.lib) if n.startswith("wasm")]
    assert len(names) > 130
    for name in names:
        assert getattr(loaded.lib, name)


def test_value_layout_of_plans() -> None:
    """The offsets that the packers use are those of `wasmtime_val_t`."""
    from echelon.runtime.instance import VALUE_OFFSET, VALUE_SIZE

    ffi = native.load().ffi
    assert ffi.sizeof("wasmtime_val_t") == VALUE_SIZE
    assert ffi.offsetof("wasmtime_val_t", "of") == VALUE_OFFSET


def test_value_layout_of_components() -> None:
    """The offsets at which components' values are read and written are those of the wheel's declarations."""
    from echelon.runtime.component import arena

    union = wheel.wasmtime_component_valunion
    assert ctypes.sizeof(wheel.wasmtime_component_val) == arena.SLOT
    assert wheel.wasmtime_component_val.of.offset == arena.CONTENT
    assert ctypes.sizeof(wheel.wasmtime_component_valrecord_entry) == arena.ENTRY
    assert wheel.wasmtime_component_valrecord_entry.val.offset == arena.NAME
    assert ctypes.sizeof(wheel.wasm_byte_vec_t) == arena.NAME
    assert wheel.wasmtime_component_valmap_entry.value.offset == arena.SLOT
    assert wheel.wasmtime_component_valresult.val.offset == 8
    assert wheel.wasmtime_component_valvariant.val.offset == 16
    assert ctypes.sizeof(union) == arena.SLOT - arena.CONTENT


def test_kinds_of_components() -> None:
    """The kinds of components' values and types are those of the wheel."""
    from wasmtime import _ffi as constants

    from echelon.runtime.component import introspect
    from echelon.runtime.component.lower_plain import KINDS

    for name, kind in KINDS.items():
        known = getattr(constants, f"WASMTIME_COMPONENT_{name.upper()}", None)
        assert known is None or known.value == kind, name
    for kind, name in enumerate(introspect._PRIMITIVES):
        assert getattr(constants, f"WASMTIME_COMPONENT_VALTYPE_{name.upper()}").value == kind
    for name in ("LIST", "RECORD", "TUPLE", "VARIANT", "ENUM", "OPTION", "RESULT", "FLAGS", "OWN", "BORROW"):
        known = getattr(constants, f"WASMTIME_COMPONENT_VALTYPE_{name}").value
        assert getattr(introspect, f"_{name}") == known


def test_wat2wasm_reports_the_place() -> None:
    """A syntax error raises ValueError with line and column."""
    with pytest.raises(ValueError, match=r"<anon>:1:10"):
        native.load().wat2wasm("(module (nonsense))")


def test_importing_echelon_loads_no_engine() -> None:
    """`import echelon`, and the names it offers, load neither libwasmtime, nor OpenTelemetry, nor a server."""
    program = (
        "import sys, echelon; echelon.Permissions; echelon.Limits; echelon.Runtime;"
        "bad = {'cffi', '_cffi_backend', 'wasmtime', 'opentelemetry', 'granian', 'apsw'} & set(sys.modules);"
        "sys.exit(', '.join(bad) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
