"""From operations on objects to code: tuples, classes, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.tree import Expr
from echelon.plugin.compilers.python.types import I32, I64

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter


def _allocate(out: Emitter, size: int) -> int:
    """Leave a new object's address in a temporary local."""
    out.constant(size)
    out.call_library("memory.allocate")
    out.body.append(op.I32_WRAP)
    at = out.temp(I32)
    out.set_local(at)
    return at


def _new(out: Emitter, node: Expr) -> None:
    """Make an object of words."""
    at = _allocate(out, node.data)
    for position, arg in enumerate(node.args):
        out.get_local(at)
        out.expression(arg)
        out.store_word(arg.type.core, position * 8)
    out.get_local(at)
    out.release(I32, at)


def _object(out: Emitter, node: Expr) -> None:
    """Make an object of a class, without values."""
    out.get_local(at := _allocate(out, node.data.size))
    out.release(I32, at)


def _list(out: Emitter, node: Expr) -> None:
    out.constant(len(node.args))
    out.call_library("flags.make" if out.is_packed(node) else "lists.make")
    out.body.append(op.I32_WRAP)
    if not node.args:
        return
    at, items = out.temp(I32), out.temp(I32)
    out.tee_local(at)
    out.body += bytes([op.I32_LOAD, 2, 0])
    out.set_local(items)
    for position, arg in enumerate(node.args):
        out.get_local(items)
        out.expression(arg)
        out.store_item(node, arg.type.core, position)
    out.get_local(at)
    out.release(I32, at)
    out.release(I32, items)


def _set_field(out: Emitter, node: Expr) -> None:
    target, value = node.args
    out.expression(target)
    out.expression(value)
    out.store_word(value.type.core, node.data)


def _set_word(out: Emitter, node: Expr) -> None:
    """Write to a list at an index of 32 bits that is known to be there."""
    target, index, value = node.args
    out.expression(target)
    out.body += bytes([op.I32_LOAD, 2, 0])
    out.expression(index)
    out.scale(target)
    out.body.append(op.I32_ADD)
    out.expression(value)
    out.store_item(target, value.type.core)


def _append(out: Emitter, node: Expr) -> None:
    """Add to a list, in place where there is room."""
    target, value = node.args
    core = value.type.core
    at, length, held = out.temp(I32), out.temp(I32), out.temp(core)
    out.expression(target)
    out.set_local(at)
    out.expression(value)
    out.set_local(held)
    out.get_local(at)
    out.body += bytes([op.I32_LOAD, 2, 4])
    out.tee_local(length)
    out.get_local(at)
    out.body += bytes([op.I32_LOAD, 2, 8, op.I32_EQ])
    out.open(e.IF)
    out.get_local(at)
    out.body.append(op.I64_EXTEND_U)
    out.call("library", "flags.grow" if out.is_packed(target) else "lists.grow", False)
    out.close()
    out.get_local(at)
    out.body += bytes([op.I32_LOAD, 2, 0])
    out.get_local(length)
    out.scale(target)
    out.body.append(op.I32_ADD)
    out.get_local(held)
    out.store_item(target, core)
    out.get_local(at)
    out.get_local(length)
    out.small(1)
    out.body += bytes([op.I32_ADD, op.I32_STORE, 2, 4])
    out.release(I32, at)
    out.release(I32, length)
    out.release(core, held)


def _item_at(out: Emitter, node: Expr) -> None:
    """Read from a list at an index that is known to be there."""
    target, index = node.args
    place = out.places.get(target.data) if target.op == "local" else None
    if place is not None and index.op == "local" and index.data is place.counter:
        out.get_local(place.pointer)
        out.load_item(target, node.type.core, place.turn)
        return
    out.data_of(target)
    if index.op == "int":
        out.load_item(target, node.type.core, index.data)
        return
    out.expression(index)
    out.body.append(op.I32_WRAP)
    out.scale(target)
    out.body.append(op.I32_ADD)
    out.load_item(target, node.type.core)


def _item(out: Emitter, node: Expr) -> None:
    """Read from a list: its header is (data, length), its items are words."""
    _place_item(out, node.args[0], node.args[1], "lists.index")
    out.load_item(node.args[0], node.type.core)


def _set_item(out: Emitter, node: Expr) -> None:
    """Write to a list; the value is evaluated first, as CPython does."""
    target, index, value = node.args
    core = value.type.core
    simple = value.op in ("int", "float", "bool") or (value.op == "local" and not out.function.walrus)
    held = -1
    if not simple:
        out.expression(value)
        held = out.temp(core)
        out.set_local(held)
    _place_item(out, target, index, "lists.index_to_set")
    if simple:
        out.expression(value)
    else:
        out.get_local(held)
        out.release(core, held)
    out.store_item(target, core)


def _place_item(out: Emitter, target: Expr, index: Expr, library: str) -> None:
    """Leave the address of an item on the stack."""
    header = out.headers.of(target)
    if header is not None:
        _place_within(out, target, header.length, index, library)
        out.get_local(header.data)
        out.body.append(op.I32_ADD)
        return
    at, length = out.temp(I32), out.temp(I64)
    out.expression(target)
    out.set_local(at)
    _place_within(out, target, length, index, library, at)
    out.get_local(at)
    out.body += bytes([op.I32_LOAD, 2, 0])
    out.body.append(op.I32_ADD)
    out.release(I32, at)
    out.release(I64, length)


def _place_within(
    out: Emitter, target: Expr, length: int, index: Expr, library: str, header: int = -1
) -> None:
    """Leave how far an item is from the first, after a check of the index; `length` may have to be read first."""
    position = out.temp(I64)
    out.expression(index)
    out.set_local(position)
    if header >= 0:
        out.get_local(header)
        out.body += bytes([op.I64_LOAD32_U, 2, 4])
        out.set_local(length)
    out.get_local(position)
    out.get_local(length)
    out.body.append(op.I64_GE_U)
    out.open(e.IF)
    out.get_local(position)
    out.get_local(length)
    out.call_library(library, rare=True)
    out.set_local(position)
    out.close()
    out.get_local(position)
    out.body.append(op.I32_WRAP)
    out.scale(target)
    out.release(I64, position)


EMIT: Final[dict[str, Callable[[Emitter, Expr], None]]] = {
    "new": _new,
    "object": _object,
    "list": _list,
    "append": _append,
    "item": _item,
    "item_at": _item_at,
    "set_item": _set_item,
    "set_word": _set_word,
    "set_field": _set_field,
}
