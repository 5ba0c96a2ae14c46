"""Loops over the items of lists that do not change meanwhile.

The lengths of several lists are compared with the counter once. Where turns are written out several times, it is
compared once for all of them, and items lie at fixed distances from those of the first of these turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.emitting.headers import LENGTH
from echelon.plugin.compilers.python.emitting.walks import walk
from echelon.plugin.compilers.python.tree import Expr, Let, Variable, While
from echelon.plugin.compilers.python.types import I32, I64, INT

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter


@dataclass(slots=True)
class Place:
    """Where the item of a list lies in the first of several turns, in a local, and which of them is written."""

    counter: Variable
    pointer: int
    turn: int = 0


def with_one_limit(out: Emitter, test: Expr) -> tuple[Expr, int]:
    """Compare a counter with the least of several lengths that do not change in the loop, as of `zip()`.

    Returns the condition, and the local that holds the limit or -1.
    """
    parts: list[Expr] = []
    while test.op == "and" and _is_within(out, test.args[0]):
        parts.append(test.args[0])
        test = test.args[1]
    counters = {part.args[0].data for part in (*parts, test)} if _is_within(out, test) else set()
    if not parts or len(counters) != 1:
        return _joined(parts, test), -1
    limit = out.temp(I64)
    out.expression(test.args[1])
    out.set_local(limit)
    for part in parts:
        out.expression(part.args[1])
        out.get_local(limit)
        out.expression(part.args[1])
        out.get_local(limit)
        out.body += bytes([op.I64_LT_S, e.SELECT])
        out.set_local(limit)
    counter, _ = test.args
    return Expr("wasm", test.type, (counter, Expr("held", INT, (), limit)), op.I64_LT_S, test.line), limit


def _joined(parts: list[Expr], test: Expr) -> Expr:
    for part in reversed(parts):
        test = Expr("and", part.type, (part, test), None, part.line)
    return test


def _is_within(out: Emitter, test: Expr) -> bool:
    """Tell whether a condition is that a variable is less than a length that is held."""
    if test.op != "wasm" or test.data != op.I64_LT_S:
        return False
    counter, length = test.args
    is_length = length.op == "load" and length.data == LENGTH
    return counter.op == "local" and is_length and out.headers.of(length.args[0]) is not None


def read_in_turn(out: Emitter, node: While, test: Expr) -> list[Expr]:
    """Return the lists of which a loop reads the item that its counter names, none where more is done with that."""
    if (
        test.op != "wasm"
        or test.data != op.I64_LT_S
        or not (_is_within(out, test) or test.args[1].op == "held")
    ):
        return []
    counter = test.args[0].data
    given = [
        found
        for found in walk([*node.body, *node.step])
        if isinstance(found, Let) and found.target is counter
    ]
    if len(given) != 1 or given[0] not in node.step or not _is_next(given[0].value, counter):
        return []
    lists: dict[Variable, Expr] = {}
    for found in walk(node.body):
        if isinstance(found, Expr) and found.op == "item_at" and out.headers.of(found.args[0]) is not None:
            items, index = found.args
            if index.op == "local" and index.data is counter:
                lists[items.data] = items
    return list(lists.values())


def turns(out: Emitter, test: Expr, lists: list[Expr], count: int, few: int) -> Iterator[None]:
    """Yield for each of several turns that are to be written; goes to a label where fewer items are left."""
    counter, limit = test.args
    out.expression(limit)
    out.expression(counter)
    out.body.append(op.I64_SUB)
    out.constant(count)
    out.body.append(op.I64_LT_S)
    out.branch(few, e.BR_IF)
    places = []
    for items in lists:
        place = Place(counter.data, out.temp(I32))
        out.data_of(items)
        out.expression(counter)
        out.body.append(op.I32_WRAP)
        out.scale(items)
        out.body.append(op.I32_ADD)
        out.set_local(place.pointer)
        out.places[items.data] = place
        places.append(place)
    for turn in range(count):
        for place in places:
            place.turn = turn
        yield
    for items, place in zip(lists, places, strict=True):
        del out.places[items.data]
        out.release(I32, place.pointer)


def _is_next(value: Expr, counter: Variable) -> bool:
    if value.op != "add":
        return False
    left, right = value.args
    return left.op == "local" and left.data is counter and right.op == "int" and right.data == 1
