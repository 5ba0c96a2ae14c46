"""What is iterated: ranges, lists, strings, dicts, `enumerate`, `zip`, and comprehensions over them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import conditions, narrowing, operators
from echelon.plugin.compilers.python.checking.scope import Scope, bits, from_bits
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    ForRange,
    If,
    Let,
    Stmt,
    Variable,
    While,
    integer,
    library,
    local,
    wasm,
)
from echelon.plugin.compilers.python.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Hole,
    Type,
    dict_of,
    find,
    list_of,
    set_of,
    tuple_of,
    unify,
)

Body = Callable[[], list[Stmt]]


@dataclass
class Iteration:
    """How something is iterated: `test` tells whether there is another, `value` is it, `step` moves on."""

    kind: Type
    setup: list[Stmt]
    test: Expr
    value: Expr
    step: list[Stmt] = field(default_factory=list)
    parts: list[Expr] | None = None
    """Of a tuple that need not be made when it is unpacked at once: its items."""

    range: tuple[Expr, Expr, int] | None = None
    counter: Variable | None = None
    """What counts the items from 0, where that is all that the iteration needs to know its place."""


def iteration(
    scope: Scope, node: ast.expr, *, unordered: bool = False, counter: Variable | None = None
) -> Iteration:
    """Return how an expression is iterated; a set only where its order makes no difference. Raises Refusal.

    Where a `counter` is given that somebody else begins and advances, it is used if one of items is needed.
    """
    if isinstance(node, ast.Call):
        found = of_call(scope, node)
        if found is not None:
            return found
    value = scope.check(node)
    if unordered and find(value.type).kind == "set" and find(find(value.type).args[0]) != FLOAT:
        value = library("sets.to_list", list_of(find(value.type).args[0]), value)
    return over(scope, value, node, counter)


def over(scope: Scope, value: Expr, node: ast.AST, counter: Variable | None = None) -> Iteration:
    """Return how a value is iterated."""
    kind = find(value.type)
    if kind.kind == "tuple":
        kind, value = _tuple_as_list(scope, value, node)
    if kind.kind == "list":
        return _indexed(
            scope,
            value,
            lambda held, at: Expr("item_at", kind.args[0], (held, at), None, value.line),
            kind.args[0],
            counter,
        )
    if kind == STR:
        return _indexed(scope, value, lambda held, at: library("texts.item_at", STR, held, at), STR, counter)
    if kind == BYTES:
        return _indexed(scope, value, lambda held, at: library("octets.item_at", INT, held, at), INT, counter)
    if kind.kind == "dict":
        return _entries(scope, value, "keys")
    if kind.kind == "set":
        refuse(node, "a set is iterated, whose order is CPython's own", "iterate sorted(…) of it")
    hint = {
        "optional": "check `is not None` first",
        "hole": "annotate the variable that it comes from",
        "int": "iterate range(…) of it",
    }
    refuse(node, f"{kind} cannot be iterated", hint.get(kind.kind, ""))


def _tuple_as_list(scope: Scope, value: Expr, node: ast.AST) -> tuple[Type, Expr]:
    kind = find(value.type)
    if not kind.args:
        return list_of(Hole()), Expr("list", list_of(Hole()))
    if not all(unify(kind.args[0], arg) for arg in kind.args):
        refuse(node, f"{kind} has items of several types and is iterated", "use a list of one type")
    held = scope.temporary(kind)
    items = tuple(operators.item_of_tuple(local(held), index) for index in range(len(kind.args)))
    made = list_of(kind.args[0])
    return made, Expr("block", made, (Expr("list", made, items),), [Let(held, value)], value.line)


def _indexed(
    scope: Scope, value: Expr, item: Callable[[Expr, Expr], Expr], kind: Type, counter: Variable | None
) -> Iteration:
    held = scope.temporary(value.type, "in")
    at = counter or scope.temporary(INT, "at")
    setup: list[Stmt] = [Let(held, value)]
    step: list[Stmt] = []
    if counter is None:
        setup.append(Let(at, integer(0)))
        step.append(_advance(at, 1))
    test = wasm(op.I64_LT_S, BOOL, local(at), conditions.length(local(held)))
    return Iteration(kind, setup, test, item(local(held), local(at)), step, counter=at)


def _advance(at: Variable, step: int) -> Stmt:
    return Let(at, Expr("add", INT, (local(at), integer(step)), "fits"))


def _entries(scope: Scope, value: Expr, what: str) -> Iteration:
    """Iterate the entries of a dict; one that changes its size meanwhile raises RuntimeError."""
    kind = find(value.type)
    held, at, size = scope.temporary(kind, "in"), scope.temporary(INT, "at"), scope.temporary(INT, "size")
    setup: list[Stmt] = [
        Let(held, value),
        Let(size, conditions.length(local(held))),
        Let(at, library("dicts.next", INT, local(held), integer(-1), local(size))),
    ]
    test = wasm(op.I64_GE_S, BOOL, local(at), integer(0))
    words = [library(f"dicts.{part}_at", INT, local(held), local(at)) for part in ("key", "value")]
    step: list[Stmt] = [Let(at, library("dicts.next", INT, local(held), local(at), local(size)))]
    key = from_bits(words[0], kind.args[0])
    if what == "keys":
        return Iteration(kind.args[0], setup, test, key, step)
    second = from_bits(words[1], kind.args[1])
    if what == "values":
        return Iteration(kind.args[1], setup, test, second, step)
    pair = tuple_of(*kind.args)
    return Iteration(pair, setup, test, Expr("new", pair, (key, second), 16), step, [key, second])


def of_call(scope: Scope, node: ast.Call) -> Iteration | None:
    """Return how `range()` and its like are iterated, None for a call whose value is."""
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in ("items", "keys", "values") and not node.args:
        value = scope.check(function.value)
        if find(value.type).kind == "dict":
            return _entries(scope, value, function.attr)
        return None
    if (
        not isinstance(function, ast.Name)
        or function.id in scope.variables
        or function.id in scope.program.functions
    ):
        return None
    maker = _MAKERS.get(function.id)
    return maker(scope, node) if maker is not None else None


def _range(scope: Scope, node: ast.Call) -> Iteration:
    if not 1 <= len(node.args) <= 3 or node.keywords:
        refuse(node, "range() takes one to three integers")
    values = [scope.check_int(arg) for arg in node.args]
    start, stop = (integer(0), values[0]) if len(values) == 1 else (values[0], values[1])
    step = values[2] if len(values) == 3 else integer(1)
    at, limit = scope.temporary(INT, "at"), scope.temporary(INT, "limit")
    if step.op == "int":
        if step.data == 0:
            refuse(node.args[2], "the step of range() is 0")
        setup: list[Stmt] = [Let(at, start), Let(limit, stop)]
        test = wasm(op.I64_LT_S if step.data > 0 else op.I64_GT_S, BOOL, local(at), local(limit))
        advance: list[Stmt] = [Let(at, library("integers.step", INT, local(at), local(limit), step))]
        return Iteration(INT, setup, test, local(at), advance, range=(start, stop, step.data))
    by, left = scope.temporary(INT, "step"), scope.temporary(INT, "left")
    setup = [Let(at, start), Let(limit, stop), Let(by, library("integers.require_step", INT, step))]
    setup.append(Let(left, library("integers.range_size", INT, local(at), local(limit), local(by))))
    test = wasm(op.I64_NE, BOOL, local(left), integer(0))
    forward = Let(at, Expr("add", INT, (local(at), local(by)), "fits"))
    return Iteration(INT, setup, test, local(at), [forward, _advance(left, -1)])


def _enumerate(scope: Scope, node: ast.Call) -> Iteration:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if not 1 <= len(node.args) + len(keywords) <= 2 or set(keywords) - {"start"} or not node.args:
        refuse(node, "enumerate() takes something to iterate, and a start")
    inner = iteration(scope, node.args[0])
    first = node.args[1] if len(node.args) > 1 else keywords.get("start")
    start = integer(0) if first is None else scope.check_int(first)
    setup, step = inner.setup, inner.step
    if inner.counter is not None and start.op == "int" and start.data == 0:
        number = inner.counter
    else:
        number = scope.temporary(INT, "number")
        safe = "fits" if start.op == "int" and abs(start.data) < 1 << 62 else None
        setup = [*setup, Let(number, start)]
        step = [*step, Let(number, Expr("add", INT, (local(number), integer(1)), safe))]
    kind = tuple_of(INT, inner.kind)
    parts = [local(number), inner.value]
    return Iteration(kind, setup, inner.test, Expr("new", kind, tuple(parts), 16), step, parts)


def _zip(scope: Scope, node: ast.Call) -> Iteration:
    strict = [keyword for keyword in node.keywords if keyword.arg == "strict"]
    if not node.args or len(strict) != len(node.keywords):
        refuse(node, "zip() takes what to iterate")
    if strict and not (isinstance(strict[0].value, ast.Constant) and strict[0].value.value is False):
        refuse(strict[0], "zip(strict=True) cannot be compiled", "compare the lengths before")
    at = scope.temporary(INT, "at")
    inner = [iteration(scope, arg, counter=at) for arg in node.args]
    counted = any(part.counter is at for part in inner)
    test = inner[-1].test
    for part in reversed(inner[:-1]):
        test = Expr("and", BOOL, (part.test, test))
    kind = tuple_of(*(part.kind for part in inner))
    values = [part.value for part in inner]
    return Iteration(
        kind,
        [*([Let(at, integer(0))] if counted else []), *(one for part in inner for one in part.setup)],
        test,
        Expr("new", kind, tuple(values), 8 * len(values)),
        [*(one for part in inner for one in part.step), *([_advance(at, 1)] if counted else [])],
        values,
        counter=at if counted else None,
    )


def _reversed(scope: Scope, node: ast.Call) -> Iteration:
    if len(node.args) != 1 or node.keywords:
        refuse(node, "reversed() takes one argument")
    inner = node.args[0]
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "range":
        found = _range(scope, inner)
        if found.range is None:
            refuse(node, "a range with a variable step is reversed", "write the range the other way round")
        start, stop, step = found.range
        low, high = scope.temporary(INT), scope.temporary(INT)
        last = library("integers.last_of_range", INT, local(low), local(high), integer(step))
        at = scope.temporary(INT, "at")
        setup: list[Stmt] = [Let(low, start), Let(high, stop), Let(at, last)]
        test = library(
            "integers.before",
            BOOL,
            local(at),
            library("integers.before_start", INT, local(low), integer(step)),
            integer(-step),
        )
        return Iteration(
            INT, setup, test, local(at), [Let(at, Expr("add", INT, (local(at), integer(-step)), "fits"))]
        )
    value = scope.check(inner)
    kind = find(value.type)
    if kind.kind == "tuple":
        kind, value = _tuple_as_list(scope, value, inner)
    if kind.kind == "dict":
        refuse(node, "a dict is reversed", "reverse list(…) of it")
    if kind.kind != "list" and kind not in (STR, BYTES):
        refuse(node, f"{kind} cannot be reversed")
    forward = over(scope, value, inner)
    held = forward.setup[0]
    at_let = forward.setup[1]
    if not isinstance(held, Let) or not isinstance(at_let, Let):
        raise AssertionError
    at = at_let.target
    length = conditions.length(local(held.target))
    setup = [held, Let(at, Expr("sub", INT, (length, integer(1)), "fits"))]
    # what was removed meanwhile ends the iteration, as in CPython
    test = Expr(
        "and",
        BOOL,
        (wasm(op.I64_GE_S, BOOL, local(at), integer(0)), wasm(op.I64_LT_S, BOOL, local(at), length)),
    )
    return Iteration(forward.kind, setup, test, forward.value, [_advance(at, -1)])


_MAKERS: Final = {"range": _range, "enumerate": _enumerate, "zip": _zip, "reversed": _reversed}


# Binding


def bind(scope: Scope, target: ast.expr, found: Iteration) -> list[Stmt]:
    """Give the target of a loop its value."""
    if (
        found.parts is not None
        and isinstance(target, ast.Tuple | ast.List)
        and len(target.elts) == len(found.parts)
    ):
        body: list[Stmt] = []
        if any(part.op not in ("local", "item_at") for part in found.parts[:-1]):
            kept = []
            for part in found.parts:
                held = scope.temporary(part.type)
                body.append(Let(held, part))
                kept.append(local(held))
        else:
            kept = found.parts
        for element, part in zip(target.elts, kept, strict=True):
            body += assign_to(scope, element, part)
        return body
    return assign_to(scope, target, found.value)


def assign_to(scope: Scope, target: ast.expr, value: Expr) -> list[Stmt]:
    """Assign to a name or to names."""
    if isinstance(target, ast.Name):
        return [scope.assign(target.id, value, target)]
    if isinstance(target, ast.Tuple | ast.List):
        return unpack(scope, target, value)
    refuse(target, "this cannot be assigned in a loop", "assign to a name")


def unpack(scope: Scope, target: ast.Tuple | ast.List, value: Expr) -> list[Stmt]:
    """Assign the items of a tuple or list to several targets."""
    kind = find(value.type)
    held = scope.temporary(kind)
    body: list[Stmt] = [Let(held, value)]
    count = len(target.elts)
    if any(isinstance(element, ast.Starred) for element in target.elts):
        refuse(target, "* in an assignment cannot be compiled", "take slices")
    if kind.kind == "tuple":
        if len(kind.args) != count:
            refuse(target, f"{count} names are assigned {len(kind.args)} values")
        for index, element in enumerate(target.elts):
            body += assign_to(scope, element, operators.item_of_tuple(local(held), index))
        return body
    if kind.kind == "list":
        body.append(Do(library("lists.require_length", NONE, local(held), integer(count))))
        for index, element in enumerate(target.elts):
            body += assign_to(scope, element, Expr("item_at", kind.args[0], (local(held), integer(index))))
        return body
    if kind == STR:
        body.append(Do(library("lists.require_length", NONE, local(held), integer(count))))
        for index, element in enumerate(target.elts):
            body += assign_to(scope, element, library("texts.item_at", STR, local(held), integer(index)))
        return body
    refuse(target, f"{kind} cannot be assigned to {count} names")


def loop(
    scope: Scope,
    found: Iteration,
    target: ast.expr | None,
    body: Body,
    orelse: list[Stmt] | None = None,
    line: int = 0,
) -> list[Stmt]:
    """Return the statements of a whole loop; `body` is checked once the target has its value."""
    if found.range is not None:
        start, stop, step = found.range
        if isinstance(target, ast.Name) and find(getattr(scope.variables.get(target.id), "type", INT)) == INT:
            statement = scope.assign(target.id, integer(0), target)
            if not isinstance(statement, Let):
                raise AssertionError
            variable = statement.target
            inner = body()
        else:
            variable = scope.temporary(INT)
            inner = (assign_to(scope, target, local(variable)) if target is not None else []) + body()
        counter, limit = scope.temporary(INT, "count"), scope.temporary(INT, "limit")
        ends = [] if orelse is None else orelse
        return [ForRange(variable, counter, limit, start, stop, step, inner, ends, line)]
    inner = bind(scope, target, found) if target is not None else []
    inner += body()
    return [*found.setup, While(found.test, inner, [] if orelse is None else orelse, found.step, line)]


# Comprehensions


def comprehend(scope: Scope, generators: list[ast.comprehension], body: Body) -> list[Stmt]:
    """Return the loops of a comprehension around what it does for each item."""
    first, *rest = generators
    if first.is_async:
        refuse(first.iter, "async for cannot be compiled")
    found = iteration(scope, first.iter)
    names = [name.id for name in ast.walk(first.target) if isinstance(name, ast.Name)]
    hidden = {name: (scope.variables.pop(name, None), name in scope.assigned) for name in names}
    state = scope.known_at()

    def inside() -> list[Stmt]:
        return _filtered(scope, first.ifs, lambda: comprehend(scope, rest, body) if rest else body())

    made = loop(scope, found, first.target, inside, line=getattr(first.iter, "lineno", 0))
    scope.restore(state)
    for name, (variable, was_assigned) in hidden.items():
        scope.variables.pop(name, None)
        if variable is not None:
            scope.variables[name] = variable
        if not was_assigned:
            scope.assigned.discard(name)
    return made


def _filtered(scope: Scope, tests: list[ast.expr], body: Body) -> list[Stmt]:
    if not tests:
        return body()
    test = conditions.condition(scope, tests[0])
    narrowing.apply(scope, tests[0], holds=True)
    return [If(test, _filtered(scope, tests[1:], body), [], test.line)]


def list_comprehension(
    scope: Scope, node: ast.ListComp | ast.GeneratorExp, expected: Type | None = None
) -> Expr:
    wanted = find(expected).args[0] if expected is not None and find(expected).kind == "list" else Hole()
    kind = list_of(wanted)
    held = scope.temporary(kind)

    def body() -> list[Stmt]:
        value = scope.check(node.elt, wanted)
        if find(value.type) == NONE and find(wanted).kind == "hole":
            refuse(node.elt, "every item is None")
        value = scope.coerce(value, wanted, node.elt, "the item")
        return [Do(Expr("append", NONE, (local(held), value)), value.line)]

    loops = comprehend(scope, node.generators, body)
    return Expr("block", kind, (local(held),), [Let(held, Expr("list", kind)), *loops], node.lineno)


def set_comprehension(
    scope: Scope, node: ast.SetComp | ast.GeneratorExp, expected: Type | None = None
) -> Expr:
    wanted = find(expected).args[0] if expected is not None and find(expected).kind == "set" else Hole()
    kind = set_of(wanted)
    held = scope.temporary(kind)

    def body() -> list[Stmt]:
        value = scope.coerce(scope.check(node.elt, wanted), wanted, node.elt, "the item")
        require_key(wanted, node.elt)
        return [put(scope, local(held), kind, value, None)]

    loops = comprehend(scope, node.generators, body)
    return Expr(
        "block",
        kind,
        (local(held),),
        [Let(held, library("dicts.new", kind, integer(0))), *loops],
        node.lineno,
    )


def dict_comprehension(scope: Scope, node: ast.DictComp, expected: Type | None = None) -> Expr:
    wanted = (
        find(expected) if expected is not None and find(expected).kind == "dict" else dict_of(Hole(), Hole())
    )
    held = scope.temporary(wanted)

    def body() -> list[Stmt]:
        key = scope.coerce(scope.check(node.key, wanted.args[0]), wanted.args[0], node.key, "the key")
        value = scope.coerce(scope.check(node.value, wanted.args[1]), wanted.args[1], node.value, "the value")
        require_key(wanted.args[0], node.key)
        return [put(scope, local(held), wanted, key, value)]

    loops = comprehend(scope, node.generators, body)
    return Expr(
        "block",
        wanted,
        (local(held),),
        [Let(held, library("dicts.new", wanted, integer(0))), *loops],
        node.lineno,
    )


def require_key(kind: Type, node: ast.AST) -> None:
    if not derived.is_hashable(kind):
        refuse(node, f"{find(kind)} cannot be a key", "use int, str, a tuple of them, or a frozen dataclass")


def put(scope: Scope, target: Expr, kind: Type, key: Expr, value: Expr | None) -> Stmt:
    """Store an entry; the key is evaluated first."""
    kind = find(kind)
    held = scope.temporary(kind.args[0])
    word = integer(0) if value is None else bits(value)
    body: list[Stmt] = [Let(held, key)]
    if word.op != "int" and word.args[0].op not in ("int", "float", "local", "text", "bool"):
        kept = scope.temporary(INT)
        body.append(Let(kept, word))
        word = local(kept)
    stored = library(
        "dicts.set_item", NONE, target, bits(local(held)), derived.hash_of(kind.args[0], local(held)),
        derived.equality(kind.args[0]), word, line=key.line,
    )  # fmt: skip
    return Do(Expr("block", NONE, (stored,), body), key.line)


def to_list(scope: Scope, value: Expr, node: ast.AST, wanted: Type | None = None) -> Expr:
    """Return a new list of what a value holds, or the list that it is."""
    made = value if find(value.type).kind == "list" else collect(scope, over(scope, value, node))
    return made if wanted is None else scope.coerce(made, wanted, node)


def collect(scope: Scope, found: Iteration) -> Expr:
    """Return a new list of all items."""
    kind = list_of(found.kind)
    held = scope.temporary(kind)
    add = Do(Expr("append", NONE, (local(held), found.value)))
    statements: list[Stmt] = [Let(held, Expr("list", kind))]
    if found.range is not None:
        start, stop, step = found.range
        variable = scope.temporary(INT)
        counter, limit = scope.temporary(INT), scope.temporary(INT)
        add = Do(Expr("append", NONE, (local(held), local(variable))))
        statements.append(ForRange(variable, counter, limit, start, stop, step, [add]))
    else:
        statements += [*found.setup, While(found.test, [add], [], found.step)]
    return Expr("block", kind, (local(held),), statements)


def fold(
    scope: Scope,
    node: ast.expr,
    step: Callable[[Expr, ast.AST], list[Stmt]],
    *,
    unordered: bool = False,
) -> list[Stmt]:
    """Return loops that do something with each item of an argument; a generator is not made into a list.

    `unordered` says that the order of items makes no difference, so that sets will do.
    """
    if isinstance(node, ast.GeneratorExp):
        generator = node
        return comprehend(
            scope, generator.generators, lambda: step(scope.check(generator.elt), generator.elt)
        )
    found = iteration(scope, node, unordered=unordered)
    if found.range is not None:
        variable = scope.temporary(INT)
        counter, limit = scope.temporary(INT), scope.temporary(INT)
        start, stop, by = found.range
        return [
            ForRange(
                variable,
                counter,
                limit,
                start,
                stop,
                by,
                step(local(variable), node),
                [],
                getattr(node, "lineno", 0),
            )
        ]
    return [
        *found.setup,
        While(found.test, step(found.value, node), [], found.step, getattr(node, "lineno", 0)),
    ]
