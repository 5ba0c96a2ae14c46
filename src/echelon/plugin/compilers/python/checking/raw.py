"""Names and calls of the raw dialect, in which the library is written."""

from __future__ import annotations

import ast
from typing import Final

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.library import intrinsics
from echelon.plugin.compilers.python.tree import Expr, integer, real, truth, wasm
from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, NONE, Type

INTRINSICS: Final = "echelon.plugin.compilers.python.library.intrinsics"
_LIBRARY: Final = "echelon.plugin.compilers.python.library."
_OPCODES: Final[dict[str, tuple[Type, int]]] = {
    "float_bits": (INT, op.I64_BITS), "bits_float": (FLOAT, op.F64_BITS), "to_float": (FLOAT, op.F64_FROM_S),
    "to_float_unsigned": (FLOAT, op.F64_FROM_U), "to_int": (INT, op.I64_TRUNC_SAT),
    "divide_signed": (INT, op.I64_DIV_S), "remainder_signed": (INT, op.I64_REM_S),
    "divide_unsigned": (INT, op.I64_DIV_U), "remainder_unsigned": (INT, op.I64_REM_U),
    "less_unsigned": (BOOL, op.I64_LT_U), "shift_right_unsigned": (INT, op.I64_SHR_U), "clz": (INT, op.I64_CLZ),
    "ctz": (INT, op.I64_CTZ), "popcount": (INT, op.I64_POPCNT), "square_root": (FLOAT, op.F64_SQRT),
    "floor": (FLOAT, op.F64_FLOOR), "ceil": (FLOAT, op.F64_CEIL), "trunc": (FLOAT, op.F64_TRUNC),
    "nearest": (FLOAT, op.F64_NEAREST), "absolute": (FLOAT, op.F64_ABS), "copysign": (FLOAT, op.F64_COPYSIGN),
}  # fmt: skip
_LOADS: Final = {
    "load8": (INT, op.I64_LOAD8_U, 0),
    "load16": (INT, op.I64_LOAD16_U, 1),
    "load32": (INT, op.I64_LOAD32_U, 2),
    "load64": (INT, op.I64_LOAD, 0),
    "load_float": (FLOAT, op.F64_LOAD, 0),
}
_STORES: Final = {
    "store8": (op.I64_STORE8, 0),
    "store16": (op.I64_STORE16, 1),
    "store32": (op.I64_STORE32, 2),
    "store64": (op.I64_STORE, 0),
    "store_float": (op.F64_STORE, 0),
}
_ADDRESS: Final = Type("address")
CALLS: Final = {
    "allocate": "memory.allocate", "high_unsigned": "integers.high_product", "fma": "fused.multiply_add",
}  # fmt: skip
"""Intrinsics that are functions of the library."""

HOSTS: Final[dict[str, tuple[str, str, tuple[int, ...], tuple[int, ...]]]] = {
    "host_throw": ("echelon", "throw", (0x7F, 0x7F), ()),
    "host_write": ("wasi_snapshot_preview1", "fd_write", (0x7F, 0x7F, 0x7F, 0x7F), (0x7F,)),
    "host_log": ("echelon", "log", (0x7F, 0x7F, 0x7F), ()),
    "host_env_get": ("echelon", "env_get", (0x7F, 0x7F), (0x7F,)),
    "host_take": ("echelon", "take", (0x7F,), ()),
    "host_kv_get": ("echelon", "kv_get", (0x7F, 0x7F), (0x7F,)),
    "host_kv_set": ("echelon", "kv_set", (0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7E), (0x7F,)),
    "host_kv_delete": ("echelon", "kv_delete", (0x7F, 0x7F), ()),
    "host_kv_list": ("echelon", "kv_list", (0x7F, 0x7F), (0x7F,)),
    "host_kv_atomic": ("echelon", "kv_atomic", (0x7F, 0x7F), (0x7F,)),
    "host_fetch": ("echelon", "fetch", (0x7F, 0x7F), (0x7F,)),
}
"""Functions of the host that the library imports: module, name, parameters, results."""


def name(scope: Scope, node: ast.Name) -> Expr | None:
    """Return a constant of a file of the library."""
    value = scope.program.namespace.get(node.id)
    if isinstance(value, intrinsics.Table | intrinsics.Later):
        return Expr("static", INT, (), value.content, node.lineno)
    if isinstance(value, intrinsics.Text):
        return Expr("text", INT, (), value.content, node.lineno)
    if isinstance(value, bool):
        return truth(value, node.lineno)
    if isinstance(value, int):
        return integer(intrinsics.wrap(value), node.lineno)
    if isinstance(value, float):
        return real(value, node.lineno)
    return None


def call(scope: Scope, node: ast.Call, function: str) -> Expr | None:
    """Return a call of an intrinsic or of another function of the library, None for what is neither."""
    target = scope.program.namespace.get(function)
    module = getattr(target, "__module__", "") or ""
    if not module.startswith(_LIBRARY):
        return None
    literal = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    if function == "wrap" and isinstance(literal, int):
        return integer(intrinsics.wrap(literal), node.lineno)
    args = [scope.check(arg) for arg in node.args]
    if module == INTRINSICS:
        return _intrinsic(scope, node, getattr(target, "__name__", function), args)
    key = f"{module.removeprefix(_LIBRARY)}.{getattr(target, '__name__', function)}"
    return Expr("library", scope.program.library_result(key, node), tuple(args), key, node.lineno)


def _intrinsic(scope: Scope, node: ast.Call, function: str, args: list[Expr]) -> Expr:
    line = node.lineno
    if function == "wrap":
        return args[0]
    if function in _OPCODES:
        kind, opcode = _OPCODES[function]
        return wasm(opcode, kind, *args, line=line)
    if function in _LOADS:
        kind, opcode, alignment = _LOADS[function]
        address, offset = _address(args[0])
        return Expr("load", kind, (address,), (opcode, alignment, offset), line)
    if function in _STORES:
        opcode, alignment = _STORES[function]
        address, offset = _address(args[0])
        return Expr("store", NONE, (address, args[1]), (opcode, alignment, offset), line)
    if function in ("memory_copy", "memory_fill"):
        opcode = op.MEMORY_COPY if function == "memory_copy" else op.MEMORY_FILL
        return wasm(opcode, NONE, *(wasm(op.I32_WRAP, _ADDRESS, arg) for arg in args), line=line)
    if function in CALLS:
        return Expr("library", FLOAT if function == "fma" else INT, tuple(args), CALLS[function], line)
    if function == "memory_pages":
        return wasm(op.I64_EXTEND_U, INT, wasm(op.MEMORY_SIZE, _ADDRESS), line=line)
    if function == "memory_grow":
        grown = wasm(op.MEMORY_GROW, _ADDRESS, wasm(op.I32_WRAP, _ADDRESS, args[0]))
        return wasm(op.I64_EXTEND_S, INT, grown, line=line)
    if function == "stop":
        return wasm(0x00, NONE, line=line)
    if function in ("call_test", "call_word"):
        kind = BOOL if function == "call_test" else INT
        return Expr("through", kind, tuple(args), None, line)
    if function == "size_of":
        return integer(len(args[0].data), line)
    if function == "character_table":
        return Expr("characters", INT, (), None, line)
    if function == "exception_names":
        return Expr("kinds", INT, (), None, line)
    if function in HOSTS:
        return _host(node, function, args)
    refuse(node, f"{function} is no function of the raw dialect")


def _host(node: ast.Call, function: str, args: list[Expr]) -> Expr:
    params, results = HOSTS[function][2:]
    words = tuple(
        arg if core == 0x7E else wasm(op.I32_WRAP, _ADDRESS, arg)
        for arg, core in zip(args, params, strict=True)
    )
    called = Expr("host", _ADDRESS if results else NONE, words, function, node.lineno)
    return wasm(op.I64_EXTEND_S, INT, called) if results else called


def _address(value: Expr) -> tuple[Expr, int]:
    """Return where to load from as an i32, and what can be added there."""
    offset = 0
    if (
        value.op == "wasm"
        and value.data == op.I64_ADD
        and value.args[1].op == "int"
        and 0 <= value.args[1].data < 1 << 20
    ):
        offset, value = value.args[1].data, value.args[0]
    return wasm(op.I32_WRAP, _ADDRESS, value), offset
