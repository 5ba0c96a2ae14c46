"""From the expressions of the typed tree to code: constants, variables, conditions, calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting import packing
from echelon.plugin.compilers.python.emitting.headers import LENGTH
from echelon.plugin.compilers.python.tree import Expr, Function, Variable
from echelon.plugin.compilers.python.types import F64, I32, I64, NONE

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter


def _int(out: Emitter, node: Expr) -> None:
    out.constant(node.data)


def _small(out: Emitter, node: Expr) -> None:
    out.small(node.data)


def _float(out: Emitter, node: Expr) -> None:
    out.body.append(e.F64_CONST)
    out.body += e.real(node.data)


def _bool(out: Emitter, node: Expr) -> None:
    out.small(1 if node.data else 0)


def _text(out: Emitter, node: Expr) -> None:
    out.body.append(e.I32_CONST)
    out.relocate("text", node.data)
    if node.type.core == I64:
        out.body.append(op.I64_EXTEND_U)


def _octets(out: Emitter, node: Expr) -> None:
    out.body.append(e.I32_CONST)
    out.relocate("octets", node.data)


def _static(out: Emitter, node: Expr) -> None:
    out.body.append(e.I32_CONST)
    out.relocate("static", node.data)
    if node.type.core == I64:
        out.body.append(op.I64_EXTEND_U)


def _none(out: Emitter, node: Expr) -> None:
    if node.type != NONE:
        out.small(0)


def _local(out: Emitter, node: Expr) -> None:
    out.get_local(out.index(node.data))


def _held(out: Emitter, node: Expr) -> None:
    out.get_local(node.data)


def _bound(out: Emitter, node: Expr) -> None:
    variable: Variable = node.data
    if variable.flag is not None:
        out.get_local(out.index(variable.flag))
        out.body.append(op.I32_EQZ)
        out.open(e.IF)
        out.body.append(e.I32_CONST)
        out.relocate("text", variable.name)
        out.body.append(op.I64_EXTEND_U)
        out.call("library", "errors.unbound", False)
        out.escape()
        out.close()
    out.get_local(out.index(variable))


def _wasm(out: Emitter, node: Expr) -> None:
    for arg in node.args:
        out.expression(arg)
    out.opcode(node.data)


def _access(out: Emitter, node: Expr) -> None:
    if node.data == LENGTH and (header := out.headers.of(node.args[0])) is not None:
        out.get_local(header.length)
        return
    for arg in node.args:
        out.expression(arg)
    opcode, alignment, offset = node.data
    out.body.append(opcode)
    out.body.append(alignment)
    out.body += e.unsigned(offset)


def _and(out: Emitter, node: Expr) -> None:
    left, right = node.args
    out.expression(left)
    out.open(e.IF, I32)
    out.expression(right)
    out.otherwise()
    out.small(0)
    out.close()


def _or(out: Emitter, node: Expr) -> None:
    left, right = node.args
    out.expression(left)
    out.open(e.IF, I32)
    out.small(1)
    out.otherwise()
    out.expression(right)
    out.close()


def _choose(out: Emitter, node: Expr) -> None:
    test, body, orelse = node.args
    out.expression(test)
    out.open(e.IF, e.EMPTY if node.type == NONE else node.type.core)
    out.expression(body)
    out.otherwise()
    out.expression(orelse)
    out.close()


def _block(out: Emitter, node: Expr) -> None:
    out.statements(node.data)
    for arg in node.args:
        out.expression(arg)


def _call(out: Emitter, node: Expr) -> None:
    target: Function = node.data
    for arg in node.args:
        out.expression(arg)
    out.mark(node.line)
    out.call("function", target, target.raises)


def _library(out: Emitter, node: Expr) -> None:
    """Call a function of the library, for which addresses are integers."""
    params, results = out.world.cores(node.data)
    for arg, core in zip(node.args, params, strict=True):
        out.expression(arg)
        _convert(out, arg.type.core, core)
    out.mark(node.line)
    out.call_library(_key(out, node), rare=node.data.startswith("errors."))
    if results and node.type == NONE:
        out.body.append(e.DROP)
    elif results:
        _convert(out, results[0], node.type.core)


def _key(out: Emitter, node: Expr) -> str:
    """Return the function that is called, which for packed lists is another one."""
    packed = node.data in packing.FUNCTIONS and any(map(out.is_packed, (node, *node.args)))
    return packing.FUNCTIONS[node.data] if packed else str(node.data)


def _convert(out: Emitter, have: int, wanted: int) -> None:
    if have == I32 and wanted == I64:
        out.body.append(op.I64_EXTEND_U)
    elif have == I64 and wanted == I32:
        out.body.append(op.I32_WRAP)


def _host(out: Emitter, node: Expr) -> None:
    for arg in node.args:
        out.expression(arg)
    out.call("host", node.data, False)


def _table(out: Emitter, node: Expr) -> None:
    out.body.append(e.I32_CONST)
    out.relocate("table", node.data)
    if node.type.core == I64:
        out.body.append(op.I64_EXTEND_U)


def _through(out: Emitter, node: Expr) -> None:
    """Call through the table; the first argument is the number in it."""
    for arg in node.args[1:]:
        out.expression(arg)
    out.expression(node.args[0])
    out.body.append(op.I32_WRAP)
    out.body.append(e.CALL_INDIRECT)
    out.relocate("type", (tuple(arg.type.core for arg in node.args[1:]), (node.type.core,)))
    out.body.append(0)
    if out.function.catchable:
        out.check_pending()


def _derived(out: Emitter, node: Expr) -> None:
    out.expression(out.world.expand(node))


def _bits(out: Emitter, node: Expr) -> None:
    """Make any value a word of 64 bits."""
    value = node.args[0]
    out.expression(value)
    if value.type.core == F64:
        out.body.append(op.I64_BITS)
    else:
        out.widen(value.type)


def _from_bits(out: Emitter, node: Expr) -> None:
    out.expression(node.args[0])
    if node.type.core == F64:
        out.body.append(op.F64_BITS)
    elif node.type.core == I32:
        out.body.append(op.I32_WRAP)


def _divide(out: Emitter, node: Expr) -> None:
    """Divide floats; by zero raises."""
    left, right = node.args
    out.expression(left)
    out.expression(right)
    divisor = out.temp(F64)
    out.tee_local(divisor)
    out.body.append(e.F64_CONST)
    out.body += bytes(8)
    out.body.append(op.F64_EQ)
    out.open(e.IF)
    out.call("library", "errors.float_division", False)
    out.escape()
    out.close()
    out.get_local(divisor)
    out.body.append(op.F64_DIV)
    out.release(F64, divisor)


def _place(out: Emitter, node: Expr) -> None:
    """Leave the address of what the module has once: the table of characters, the names of exceptions."""
    out.body.append(e.I32_CONST)
    out.relocate(node.op, None)
    out.body.append(op.I64_EXTEND_U)


EMIT: Final[dict[str, Callable[[Emitter, Expr], None]]] = {
    "int": _int,
    "small": _small,
    "float": _float,
    "bool": _bool,
    "text": _text,
    "octets": _octets,
    "static": _static,
    "none": _none,
    "local": _local,
    "held": _held,
    "bound": _bound,
    "wasm": _wasm,
    "load": _access,
    "store": _access,
    "and": _and,
    "or": _or,
    "if": _choose,
    "block": _block,
    "call": _call,
    "library": _library,
    "host": _host,
    "table": _table,
    "through": _through,
    "derived": _derived,
    "bits": _bits,
    "from_bits": _from_bits,
    "divide": _divide,
    "characters": _place,
    "kinds": _place,
}
