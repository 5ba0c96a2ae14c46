"""From the statements of the typed tree to code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting.scopes import FAIL, Guard, Loop
from echelon.plugin.compilers.python.layout import PENDING, TOP
from echelon.plugin.compilers.python.tree import (
    Break,
    Continue,
    Do,
    ForRange,
    If,
    Let,
    Raise,
    Return,
    Stmt,
    Try,
    While,
)
from echelon.plugin.compilers.python.types import I32, NONE

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter


def _let(out: Emitter, node: Let) -> None:
    out.expression(node.value)
    out.set(node.target)
    if node.target.flag is not None:
        out.small(1)
        out.set(node.target.flag)


def _do(out: Emitter, node: Do) -> None:
    out.expression(node.value)
    if node.value.type != NONE:
        out.body.append(e.DROP)


def _if(out: Emitter, node: If) -> None:
    out.expression(node.test)
    out.open(e.IF)
    out.statements(node.body)
    if node.orelse:
        out.otherwise()
        out.statements(node.orelse)
    out.close()


def _while(out: Emitter, node: While) -> None:
    ends = out.open(e.BLOCK)
    exhausted = out.open(e.BLOCK) if node.orelse else ends
    always = node.test.op == "bool" and node.test.data
    if not always:
        out.expression(node.test)
        out.body.append(op.I32_EQZ)
        out.branch(exhausted, e.BR_IF)
    again = out.open(e.LOOP)
    _body(out, node.body, ends)
    out.statements(node.step)
    if always:
        out.branch(again)
    else:
        out.mark(node.line)
        out.expression(node.test)
        out.branch(again, e.BR_IF)
    out.close()
    if node.orelse:
        out.close()
        out.statements(node.orelse)
    out.close()


def _body(out: Emitter, body: list[Stmt], ends: int) -> None:
    top = _remember_top(out) if out.gives_back(body) else -1
    continues = out.open(e.BLOCK)
    out.scopes.append(Loop(ends, continues))
    out.statements(body)
    out.scopes.pop()
    out.close()
    if top >= 0:
        out.small(0)
        out.get_local(top)
        out.body += bytes([op.I32_STORE, 2, TOP])
        out.release(I32, top)


def _remember_top(out: Emitter) -> int:
    """Leave in a temporary local where allocation goes on."""
    out.small(0)
    out.body += bytes([op.I32_LOAD, 2, TOP])
    top = out.temp(I32)
    out.set_local(top)
    return top


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
    again = out.open(e.LOOP)
    out.get_local(counter)
    out.set(node.target)
    if node.target.flag is not None:
        out.small(1)
        out.set(node.target.flag)
    _body(out, node.body, ends)
    _advance(out, node, counter, limit, again)
    out.close()
    if node.orelse:
        out.close()
        out.statements(node.orelse)
    out.close()


def _advance(out: Emitter, node: ForRange, counter: int, limit: int, again: int) -> None:
    """Count on while what is left is more than a step, so that the counter never overflows."""
    if node.step in (1, -1):
        out.get_local(counter)
        out.constant(node.step)
        out.body.append(op.I64_ADD)
        out.tee_local(counter)
        out.get_local(limit)
        out.body.append(op.I64_LT_S if node.step > 0 else op.I64_GT_S)
        out.branch(again, e.BR_IF)
        return
    upper, lower = (limit, counter) if node.step > 0 else (counter, limit)
    out.get_local(upper)
    out.get_local(lower)
    out.body.append(op.I64_SUB)
    out.constant(abs(node.step))
    out.body.append(op.I64_GT_U)
    out.open(e.IF)
    out.get_local(counter)
    out.constant(node.step)
    out.body.append(op.I64_ADD)
    out.set_local(counter)
    out.branch(again)
    out.close()


def _break(out: Emitter, _node: Break) -> None:
    _leave_loop(out, lambda loop: loop.ends)


def _continue(out: Emitter, _node: Continue) -> None:
    _leave_loop(out, lambda loop: loop.continues)


def _leave_loop(out: Emitter, target: Callable[[Loop], int]) -> None:
    kept = list(out.scopes)
    while True:
        scope = out.scopes[-1]
        if isinstance(scope, Loop):
            out.branch(target(scope))
            break
        out.scopes.pop()
        _leave(out, scope)
    out.scopes = kept


def _leave(out: Emitter, guard: Guard) -> None:
    if guard.counted:
        out.count_tries(-1)
    out.statements(guard.final)


def _return(out: Emitter, node: Return) -> None:
    kept = list(out.scopes)
    guards = [scope for scope in kept if isinstance(scope, Guard)]
    if node.value is not None:
        out.expression(node.value)
    if guards:
        held = out.temp(out.code.results[0]) if out.code.results else -1
        if held >= 0:
            out.set_local(held)
        while out.scopes:
            scope = out.scopes.pop()
            if isinstance(scope, Guard):
                _leave(out, scope)
        if held >= 0:
            out.get_local(held)
    out.body.append(e.RETURN)
    out.scopes = kept


def _raise(out: Emitter, node: Raise) -> None:
    out.expression(node.kind)
    out.widen(node.kind.type)
    out.expression(node.message)
    out.widen(node.message.type)
    out.call("library", FAIL, False)
    out.escape()


def _try(out: Emitter, node: Try) -> None:
    final, counted = node.final, True
    ends = out.open(e.BLOCK)
    unhandled = out.open(e.BLOCK) if final else None
    if final:
        out.scopes.append(Guard(unhandled, final, counted=False))
    raised = out.open(e.BLOCK)
    out.count_tries(1)
    out.scopes.append(Guard(raised, [], counted))
    out.statements(node.body)
    out.scopes.pop()
    out.count_tries(-1)
    if final:
        out.count_tries(1)
        out.scopes[-1] = Guard(unhandled, final, counted)
    out.statements(node.orelse)
    if final:
        out.count_tries(-1)
        out.scopes[-1] = Guard(unhandled, final, counted=False)
        guard = out.scopes.pop()
        out.statements(final)
        out.branch(ends)
        out.scopes.append(guard)
    else:
        out.branch(ends)
    out.close()
    _handle(out, node, ends, unhandled)
    out.close()


def _handle(out: Emitter, node: Try, ends: int, unhandled: int | None) -> None:
    """Emit the handlers; an exception is pending and no longer counted."""
    out.count_tries(-1)
    out.small(PENDING)
    out.body += bytes([op.I64_LOAD32_U, 2, 0])
    out.set(node.kind)
    out.small(PENDING)
    out.body += bytes([op.I32_LOAD, 2, 4])
    out.set(node.message)
    out.small(PENDING)
    out.small(0)
    out.body += bytes([op.I32_STORE, 2, 0])
    if node.final:
        out.count_tries(1)
        out.scopes[-1] = Guard(unhandled, node.final, counted=True)
    for handler in node.handlers:
        _match(out, node, handler.kinds)
        out.open(e.IF)
        out.statements(handler.body)
        if node.final:
            guard = out.scopes.pop()
            out.count_tries(-1)
            out.statements(node.final)
            out.branch(ends)
            out.scopes.append(guard)
        else:
            out.branch(ends)
        out.close()
    if node.final:
        out.branch(unhandled or 0)
        out.scopes.pop()
        out.close()
        _finish(out, node)
    else:
        _raise_again(out, node)


def _finish(out: Emitter, node: Try) -> None:
    """Run `finally` for what no handler caught, or a handler raised, and raise it on."""
    out.count_tries(-1)
    out.small(PENDING)
    out.body += bytes([op.I32_LOAD, 2, 0])
    out.open(e.IF)
    out.small(PENDING)
    out.body += bytes([op.I64_LOAD32_U, 2, 0])
    out.set(node.kind)
    out.small(PENDING)
    out.body += bytes([op.I32_LOAD, 2, 4])
    out.set(node.message)
    out.small(PENDING)
    out.small(0)
    out.body += bytes([op.I32_STORE, 2, 0])
    out.close()
    out.statements(node.final)
    _raise_again(out, node)


def _raise_again(out: Emitter, node: Try) -> None:
    out.get_local(out.index(node.kind))
    out.get_local(out.index(node.message))
    out.body.append(op.I64_EXTEND_U)
    out.call("library", FAIL, False)
    out.escape()


def _match(out: Emitter, node: Try, kinds: tuple[int, ...] | None) -> None:
    if kinds is None:
        out.small(1)
        return
    for position, kind in enumerate(kinds):
        out.get_local(out.index(node.kind))
        out.constant(kind)
        out.body.append(op.I64_EQ)
        if position:
            out.body.append(op.I32_OR)


EMIT: Final[dict[type, Callable[..., None]]] = {
    Let: _let,
    Do: _do,
    If: _if,
    While: _while,
    ForRange: _for_range,
    Break: _break,
    Continue: _continue,
    Return: _return,
    Raise: _raise,
    Try: _try,
}
