"""From the statements of the typed tree to code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting import branches
from echelon.plugin.compilers.python.emitting.scopes import FAIL, Guard, Loop
from echelon.plugin.compilers.python.layout import PENDING
from echelon.plugin.compilers.python.tree import (
    Break,
    Continue,
    Do,
    Let,
    Raise,
    Return,
    Try,
)
from echelon.plugin.compilers.python.types import NONE

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
    **branches.EMIT,
    Let: _let,
    Do: _do,
    Break: _break,
    Continue: _continue,
    Return: _return,
    Raise: _raise,
    Try: _try,
}
