"""From conditions and loops to code.

A loop is left through a check of the deadline in each turn, for which the engine puts what it has in registers into
memory. So a short loop that has no other in it is written out several times between two checks, twice as often when it
gives floats a value: no register for floats outlives a check.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting import item_loops
from echelon.plugin.compilers.python.emitting.regions import GivesBack
from echelon.plugin.compilers.python.emitting.scopes import Loop
from echelon.plugin.compilers.python.emitting.splicing import MOST
from echelon.plugin.compilers.python.emitting.walks import walk
from echelon.plugin.compilers.python.layout import GROWN, TOP
from echelon.plugin.compilers.python.tree import Expr, ForRange, If, Let, Stmt, Try, While
from echelon.plugin.compilers.python.types import F64, I32, I64

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter

_UNROLLED: Final = ((30, 4), (70, 2))
"""Up to how many nodes a loop is written out how often."""


def _if(out: Emitter, node: If) -> None:
    if node.test.op in ("and", "or"):
        _if_all(out, node)
        return
    out.expression(node.test)
    out.open(e.IF)
    out.statements(node.body)
    if node.orelse:
        out.otherwise()
        out.statements(node.orelse)
    out.close()


def _if_all(out: Emitter, node: If) -> None:
    """Leave as soon as one part of a condition decides."""
    ends = out.open(e.BLOCK)
    otherwise = out.open(e.BLOCK) if node.orelse else ends
    _branch_if(out, node.test, otherwise, wanted=False)
    out.statements(node.body)
    if node.orelse:
        out.branch(ends)
        out.close()
        out.statements(node.orelse)
    out.close()


def _branch_if(out: Emitter, test: Expr, label: int, *, wanted: bool) -> None:
    """Go to a label when a condition is as wanted."""
    if test.op in ("and", "or"):
        left, right = test.args
        if (test.op == "or") is wanted:
            _branch_if(out, left, label, wanted=wanted)
            _branch_if(out, right, label, wanted=wanted)
            return
        passed = out.open(e.BLOCK)
        _branch_if(out, left, passed, wanted=not wanted)
        _branch_if(out, right, label, wanted=wanted)
        out.close()
    elif test.op == "bool":
        if bool(test.data) is wanted:
            out.branch(label)
    elif test.op == "wasm" and test.data == op.I32_EQZ:
        _branch_if(out, test.args[0], label, wanted=not wanted)
    else:
        out.expression(test)
        if not wanted:
            out.body.append(op.I32_EQZ)
        out.branch(label, e.BR_IF)


def _while(out: Emitter, node: While) -> None:
    ends = out.open(e.BLOCK)
    exhausted = out.open(e.BLOCK) if node.orelse else ends
    with out.headers.around([node.test], node.body, node.step):
        test, limit = item_loops.with_one_limit(out, node.test)
        _branch_if(out, test, exhausted, wanted=False)
        again = out.open(e.LOOP)
        copies = _copies(out, [*node.body, *node.step, node.test])
        lists = item_loops.read_in_turn(out, node, test) if copies > 1 else []
        if lists:
            few = out.open(e.BLOCK)
            for _ in item_loops.turns(out, test, lists, 2 * copies, few):
                _turn(out, node, ends)
            _branch_if(out, test, again, wanted=True)
            out.branch(exhausted)
            out.close()
            copies = 1
        for left in reversed(range(copies)):
            _turn(out, node, ends)
            _branch_if(out, test, exhausted if left else again, wanted=not left)
        out.close()
        if limit >= 0:
            out.release(I64, limit)
    if node.orelse:
        out.close()
        out.statements(node.orelse)
    out.close()


def _turn(out: Emitter, node: While, ends: int) -> None:
    """Write one turn of a loop out, without the test that ends it."""
    _body(out, node.body, ends)
    out.statements(node.step)
    out.mark(node.line)


def _body(out: Emitter, body: list[Stmt], ends: int) -> None:
    gives = out.gives_back(body)
    top = -1 if gives is GivesBack.NEVER else _remember(out, TOP)
    grown = _remember(out, GROWN) if gives is GivesBack.UNGROWN else -1
    continues = out.open(e.BLOCK)
    out.scopes.append(Loop(ends, continues))
    out.statements(body)
    out.scopes.pop()
    out.close()
    if grown >= 0:
        out.small(0)
        out.body += bytes([op.I32_LOAD, 2, GROWN])
        out.get_local(grown)
        out.body.append(op.I32_EQ)
        out.open(e.IF)
        out.release(I32, grown)
    if top >= 0:
        out.small(0)
        out.get_local(top)
        out.body += bytes([op.I32_STORE, 2, TOP])
        out.release(I32, top)
    if grown >= 0:
        out.close()


def _remember(out: Emitter, place: int) -> int:
    """Leave in a temporary local what is at a place in memory."""
    out.small(0)
    out.body += bytes([op.I32_LOAD, 2, place])
    held = out.temp(I32)
    out.set_local(held)
    return held


def _for_range(out: Emitter, node: ForRange) -> None:
    counter, limit = out.index(node.counter), out.index(node.limit)
    out.expression(node.start)
    out.expression(node.stop)
    out.set_local(limit)
    out.set_local(counter)
    ends = out.open(e.BLOCK)
    exhausted = out.open(e.BLOCK) if node.orelse else ends
    out.get_local(counter)
    out.get_local(limit)
    out.body.append(op.I64_GE_S if node.step > 0 else op.I64_LE_S)
    out.branch(exhausted, e.BR_IF)
    with out.headers.around(node.body):
        again = out.open(e.LOOP)
        for left in reversed(range(_copies(out, node.body))):
            out.get_local(counter)
            out.set(node.target)
            if node.target.flag is not None:
                out.small(1)
                out.set(node.target.flag)
            _body(out, node.body, ends)
            _advance(out, node, counter, limit, exhausted if left else again, goes_on=not left)
        out.close()
    if node.orelse:
        out.close()
        out.statements(node.orelse)
    out.close()


def _advance(out: Emitter, node: ForRange, counter: int, limit: int, label: int, *, goes_on: bool) -> None:
    """Count on while what is left is more than a step, so that the counter never overflows.

    Goes to the label when the loop goes on, else when it does not.
    """
    if node.step in (1, -1):
        out.get_local(counter)
        out.constant(node.step)
        out.body.append(op.I64_ADD)
        out.tee_local(counter)
        out.get_local(limit)
        forward, backward = (op.I64_LT_S, op.I64_GT_S) if goes_on else (op.I64_GE_S, op.I64_LE_S)
        out.body.append(forward if node.step > 0 else backward)
        out.branch(label, e.BR_IF)
        return
    upper, lower = (limit, counter) if node.step > 0 else (counter, limit)
    out.get_local(upper)
    out.get_local(lower)
    out.body.append(op.I64_SUB)
    out.constant(abs(node.step))
    if goes_on:
        out.body.append(op.I64_GT_U)
        out.open(e.IF)
    else:
        out.body.append(op.I64_LE_U)
        out.branch(label, e.BR_IF)
    out.get_local(counter)
    out.constant(node.step)
    out.body.append(op.I64_ADD)
    out.set_local(counter)
    if goes_on:
        out.branch(label)
        out.close()


def _copies(out: Emitter, nodes: Sequence[Stmt | Expr]) -> int:
    """Return how often the turn of a loop is written out."""
    if len(out.body) > MOST:
        return 1
    count = floats = 0
    for node in walk(nodes):
        count += 1
        if count > _UNROLLED[-1][0] or isinstance(node, While | ForRange | Try):
            return 1
        if isinstance(node, Let) and node.target.type.core == F64:
            floats = 1
    return next(copies for most, copies in _UNROLLED if count <= most) << floats


EMIT: Final[dict[type, Callable[..., None]]] = {If: _if, While: _while, ForRange: _for_range}
