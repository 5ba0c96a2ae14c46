"""Code for integers that raise where 64 bits do not suffice, and that divide as Python does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.types import I64

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter
    from echelon.plugin.compilers.python.tree import Expr

LEAST: Final = -(1 << 63)
MOST: Final = (1 << 63) - 1
_HALF: Final = 1 << 31


def _operand(out: Emitter, node: Expr) -> Callable[[], None]:
    """Evaluate an operand once; returns what puts it on the stack again."""
    if node.op == "int":
        return lambda: out.constant(node.data)
    if node.op == "local" and not out.function.walrus:
        index = out.index(node.data)
        return lambda: out.get_local(index)
    out.expression(node)
    held = out.temp(I64)
    out.set_local(held)
    out.held.append(held)
    return lambda: out.get_local(held)


def _release(out: Emitter, mark: int) -> None:
    while len(out.held) > mark:
        out.release(I64, out.held.pop())


def _plain(out: Emitter, node: Expr, opcode: int) -> None:
    for arg in node.args:
        out.expression(arg)
    out.body.append(opcode)


def _add(out: Emitter, node: Expr) -> None:
    """A sum overflows when its sign differs from that of both operands."""
    if node.data == "fits":
        _plain(out, node, op.I64_ADD)
        return
    left, right = node.args
    if left.op == "int":
        left, right = right, left
    mark = len(out.held)
    first, second = _operand(out, left), _operand(out, right)
    result = out.temp(I64)
    first()
    second()
    out.body.append(op.I64_ADD)
    out.tee_local(result)
    sign = _sign(right)
    if sign:
        first()
        out.body.append(op.I64_LT_S if sign > 0 else op.I64_GT_S)
    else:
        first()
        out.body.append(op.I64_XOR)
        out.get_local(result)
        second()
        out.body += bytes([op.I64_XOR, op.I64_AND])
        out.constant(0)
        out.body.append(op.I64_LT_S)
    _finish(out, result, mark)


def _sub(out: Emitter, node: Expr) -> None:
    """A difference overflows when the operands differ in sign and it has that of the second."""
    if node.data == "fits":
        _plain(out, node, op.I64_SUB)
        return
    mark = len(out.held)
    first, second = _operand(out, node.args[0]), _operand(out, node.args[1])
    result = out.temp(I64)
    first()
    second()
    out.body.append(op.I64_SUB)
    sign = _sign(node.args[1])
    out.tee_local(result)
    if sign:
        first()
        out.body.append(op.I64_GT_S if sign > 0 else op.I64_LT_S)
    else:
        first()
        out.body.append(op.I64_XOR)
        first()
        second()
        out.body += bytes([op.I64_XOR, op.I64_AND])
        out.constant(0)
        out.body.append(op.I64_LT_S)
    _finish(out, result, mark)


def _sign(node: Expr) -> int:
    """Return 1 for what is never negative, -1 for what is never positive, else 0."""
    if node.range is None:
        return 0
    return 1 if node.range[0] >= 0 else -1 if node.range[1] <= 0 else 0


def _finish(out: Emitter, result: int, mark: int) -> None:
    """Raise when the condition on the stack holds, else leave the result."""
    out.open(e.IF)
    out.fail_overflow()
    out.close()
    out.get_local(result)
    out.release(I64, result)
    _release(out, mark)


def _mul(out: Emitter, node: Expr) -> None:
    """Operands of 32 bits cannot overflow; for others the library looks closer."""
    if node.data == "fits":
        _plain(out, node, op.I64_MUL)
        return
    left, right = node.args
    if left.op == "int":
        left, right = right, left
    mark = len(out.held)
    first, second = _operand(out, left), _operand(out, right)
    if right.op == "int" and 1 < right.data < _HALF:
        most = MOST // right.data
        first()
        out.constant(most)
        out.body.append(op.I64_ADD)
        out.constant(2 * most)
        out.body.append(op.I64_LE_U)
    else:
        for position, get in enumerate((first, second)):
            get()
            out.constant(_HALF)
            out.body.append(op.I64_ADD)
            if position:
                out.body.append(op.I64_OR)
        out.constant(1 << 32)
        out.body.append(op.I64_LT_U)
    out.open(e.IF, I64)
    first()
    second()
    out.body.append(op.I64_MUL)
    out.otherwise()
    first()
    second()
    out.call_library("integers.multiply", rare=True)
    out.close()
    _release(out, mark)


def _neg(out: Emitter, node: Expr) -> None:
    mark = len(out.held)
    value = _operand(out, node.args[0])
    if node.data != "fits":
        value()
        out.constant(LEAST)
        out.body.append(op.I64_EQ)
        out.open(e.IF)
        out.fail_overflow()
        out.close()
    out.constant(0)
    value()
    out.body.append(op.I64_SUB)
    _release(out, mark)


def _shift_left(out: Emitter, node: Expr) -> None:
    for arg in node.args:
        out.expression(arg)
    out.call_library("integers.shift_left")


def _shift_right(out: Emitter, node: Expr) -> None:
    value, count = node.args
    if count.op == "int" and count.data >= 0:
        out.expression(value)
        out.constant(min(count.data, 63))
        out.body.append(op.I64_SHR_S)
        return
    out.expression(value)
    out.expression(count)
    out.call_library("integers.shift_right")


def _divide(out: Emitter, node: Expr, library: str, power: int, unsigned: int) -> None:
    """Divide by a constant, or what is known not to be negative, without the library."""
    left, right = node.args
    divisor = right.data if right.op == "int" else 0
    if divisor > 0 and divisor & (divisor - 1) == 0:
        out.expression(left)
        out.constant(divisor.bit_length() - 1 if power == op.I64_SHR_S else divisor - 1)
        out.body.append(power)
        return
    nonnegative = left.range is not None and left.range[0] >= 0
    positive = right.range is not None and right.range[0] > 0
    if nonnegative and positive:
        out.expression(left)
        out.expression(right)
        out.body.append(unsigned)
        return
    if divisor > 0:
        _divide_by(out, left, divisor, modulo=power == op.I64_AND)
        return
    out.expression(left)
    out.expression(right)
    out.call_library(library)


def _divide_by(out: Emitter, left: Expr, divisor: int, *, modulo: bool) -> None:
    """Divide by a positive constant, rounding down."""
    mark = len(out.held)
    value = _operand(out, left)
    result = out.temp(I64)
    value()
    out.constant(divisor)
    out.body.append(op.I64_REM_S)
    out.set_local(result)
    if modulo:
        out.get_local(result)
        out.get_local(result)
        out.constant(63)
        out.body.append(op.I64_SHR_S)
        out.constant(divisor)
        out.body += bytes([op.I64_AND, op.I64_ADD])
    else:
        value()
        out.constant(divisor)
        out.body.append(op.I64_DIV_S)
        out.get_local(result)
        out.constant(63)
        out.body += bytes([op.I64_SHR_S, op.I64_ADD])
    out.release(I64, result)
    _release(out, mark)


def _floordiv(out: Emitter, node: Expr) -> None:
    _divide(out, node, "integers.floor_divide", op.I64_SHR_S, op.I64_DIV_U)


def _mod(out: Emitter, node: Expr) -> None:
    _divide(out, node, "integers.modulo", op.I64_AND, op.I64_REM_U)


EMIT: Final[dict[str, Callable[[Emitter, Expr], None]]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "neg": _neg,
    "shl": _shift_left,
    "shr": _shift_right,
    "floordiv": _floordiv,
    "mod": _mod,
}
