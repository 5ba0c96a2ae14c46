"""Calls of Python's built-in functions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any, Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import (
    characters,
    conditions,
    formats,
    loops,
    operators,
    sorting,
)
from echelon.plugin.compilers.python.checking.scope import Scope, as_float, as_int, bits, from_bits
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    If,
    Let,
    Stmt,
    integer,
    library,
    local,
    negate,
    real,
    text,
    truth,
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

COMPENSATED: Final = sys.version_info >= (3, 12)
"""Whether this CPython's sum() of floats keeps what rounding loses."""


def call(scope: Scope, node: ast.Call, name: str, expected: Type | None) -> Expr:
    handler = _HANDLERS.get(name)
    if handler is None:
        hint = _HINTS.get(name) or scope.program.hint_for(name)
        refuse(node.func, f"the function {name} is not known here", hint)
    least, most, function = handler
    if not least <= len(node.args) <= most:
        refuse(
            node,
            f"{name}() gets {len(node.args)} arguments",
            f"it takes {least}" + ("" if most == least else f" to {most}"),
        )
    if node.keywords and name not in _KEYWORDS:
        refuse(node.keywords[0], f"{name}() gets an argument by name", "give it by place")
    for arg in node.args:
        if isinstance(arg, ast.Starred) and name != "print":
            refuse(arg, "* in a call cannot be compiled", "write the arguments")
    return function(scope, node, expected)


def of_type(scope: Scope, node: ast.Call, owner: str, name: str) -> Expr:
    """Return a call such as `dict.fromkeys`."""
    if owner == "dict" and name == "fromkeys" and len(node.args) == 2:
        kind = dict_of(Hole(), Hole())
        held, value = scope.temporary(kind), scope.check(node.args[1])
        unify(kind.args[1], value.type)
        kept = scope.temporary(value.type)

        def step(key: Expr, at: ast.AST) -> list[Stmt]:
            return [loops.put(scope, local(held), kind, scope.coerce(key, kind.args[0], at), local(kept))]

        body = loops.fold(scope, node.args[0], step)
        start: list[Stmt] = [Let(held, library("dicts.new", kind, integer(0))), Let(kept, value)]
        return Expr("block", kind, (local(held),), [*start, *body], node.lineno)
    refuse(node.func, f"{owner}.{name} cannot be called on the type", "call it on a value")


def _len(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    value = scope.check(node.args[0])
    kind = find(value.type)
    if kind.kind in ("str", "bytes", "list", "dict", "set"):
        return conditions.length(value)
    if kind.kind == "tuple":
        return Expr("block", INT, (integer(len(kind.args)),), [Do(value)], node.lineno)
    if kind.kind == "struct":
        return conditions.length_of_object(scope, node, value)
    refuse(
        node.args[0], f"{kind} has no length", "check `is not None` first" if kind.kind == "optional" else ""
    )


def _abs(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    value = scope.check(node.args[0])
    if find(value.type) == FLOAT:
        return wasm(op.F64_ABS, FLOAT, value, line=node.lineno)
    if find(value.type) not in (INT, BOOL):
        refuse(node.args[0], f"abs() does not take {value.type}")
    held = scope.temporary(INT)
    test = wasm(op.I64_LT_S, BOOL, local(held), integer(0))
    found = Expr(
        "if", INT, (test, Expr("neg", INT, (local(held),), None, node.lineno), local(held)), None, node.lineno
    )
    return Expr("block", INT, (found,), [Let(held, as_int(value))], node.lineno)


def _extreme(largest: bool) -> Callable[..., Expr]:
    name = "max" if largest else "min"

    def check(scope: Scope, node: ast.Call, expected: Type | None) -> Expr:
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if set(keywords) - {"key", "default"}:
            refuse(node.keywords[0], f"{name}() takes key and default")
        if len(node.args) == 1:
            return sorting.extreme_of(scope, node, largest, keywords.get("key"), keywords.get("default"))
        if "default" in keywords:
            refuse(node, f"{name}() of several values takes no default")
        values = [scope.check(arg, expected) for arg in node.args]
        kinds = {str(value.type) for value in values}
        if kinds == {"int", "float"} and all(
            value.op == "int" or find(value.type) == FLOAT for value in values
        ):
            refuse(node, f"{name}() gets int and float", "write the integers as floats, such as 0.0")
        if len(kinds) > 1 or not derived.is_ordered(values[0].type):
            refuse(
                node,
                f"{name}() gets {' and '.join(sorted(kinds))}",
                "give it values of one type that has an order",
            )
        kind = values[0].type
        if "key" in keywords:
            return sorting.extreme_of_values(scope, node, values, largest, keywords["key"])
        best = scope.temporary(kind, "best")
        body: list[Stmt] = [Let(best, values[0])]
        for value in values[1:]:
            if value.op in ("int", "float", "local"):
                other = value
            else:
                held = scope.temporary(kind)
                body.append(Let(held, value))
                other = local(held)
            pair = (local(best), other) if largest else (other, local(best))
            chosen = Expr("if", kind, (derived.less(kind, *pair), other, local(best)))
            body.append(Let(best, chosen))
        return Expr("block", kind, (local(best),), body, node.lineno)

    return check


def _sum(scope: Scope, node: ast.Call, expected: Type | None) -> Expr:
    start = scope.check(node.args[1]) if len(node.args) > 1 else None
    keywords = [keyword for keyword in node.keywords if keyword.arg == "start"]
    if keywords and start is None:
        start = scope.check(keywords[0].value)
    elif node.keywords:
        refuse(node.keywords[0], "sum() takes something to iterate, and a start")
    total: list[Any] = []

    def step(value: Expr, at: ast.AST) -> list[Stmt]:
        kind = find(value.type)
        if kind not in (INT, FLOAT, BOOL):
            refuse(at, f"sum() adds {kind}", "it adds numbers; use a loop, or join() for strings")
        value = as_int(value)
        if not total:
            made = FLOAT if FLOAT in (kind, find(start.type) if start is not None else INT) else INT
            total.append(scope.temporary(made, "sum"))
            total.append(scope.temporary(FLOAT, "lost"))
        if find(total[0].type) == FLOAT:
            value = as_float(value)
            if COMPENSATED:
                return _compensated(scope, total, value)
            return [Let(total[0], wasm(op.F64_ADD, FLOAT, local(total[0]), value, line=node.lineno))]
        return [Let(total[0], Expr("add", INT, (local(total[0]), value), None, node.lineno))]

    body = loops.fold(scope, node.args[0], step, unordered=True)
    made = find(total[0].type)
    begin = start if start is not None else integer(0)
    first: list[Stmt] = [Let(total[0], as_float(begin) if made == FLOAT else as_int(begin))]
    result: Expr = local(total[0])
    if made == FLOAT and COMPENSATED:
        first.append(Let(total[1], real(0.0)))
        result = library("floats.finish_sum", FLOAT, local(total[0]), local(total[1]))
    return Expr("block", made, (result,), [*first, *body], node.lineno)


def _compensated(scope: Scope, total: list[Any], value: Expr) -> list[Stmt]:
    held, new = scope.temporary(FLOAT), scope.temporary(FLOAT)
    lost = library("floats.lost", FLOAT, local(total[0]), local(held), local(new))
    return [
        Let(held, value),
        Let(new, wasm(op.F64_ADD, FLOAT, local(total[0]), local(held))),
        Let(total[1], wasm(op.F64_ADD, FLOAT, local(total[1]), lost)),
        Let(total[0], local(new)),
    ]


def _quantifier(stops_at: bool) -> Callable[..., Expr]:
    def check(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
        from echelon.plugin.compilers.python.tree import Break

        found = scope.temporary(BOOL, "found")

        def step(value: Expr, at: ast.AST) -> list[Stmt]:
            test = conditions.truth_of(scope, value, at)
            if not stops_at:
                test = negate(test)
            return [If(test, [Let(found, truth(stops_at)), Break()])]

        argument = node.args[0]
        if isinstance(argument, ast.GeneratorExp) and len(argument.generators) > 1:
            # leaving one loop of several: the others are left by what they test
            return _nested_quantifier(scope, node, argument, stops_at)
        body = loops.fold(scope, argument, step, unordered=True)
        return Expr("block", BOOL, (local(found),), [Let(found, truth(not stops_at)), *body], node.lineno)

    return check


def _nested_quantifier(scope: Scope, node: ast.Call, argument: ast.GeneratorExp, stops_at: bool) -> Expr:
    from echelon.plugin.compilers.python.tree import Break

    found = scope.temporary(BOOL, "found")

    def body() -> list[Stmt]:
        test = conditions.truth_of(scope, scope.check(argument.elt), argument.elt)
        if not stops_at:
            test = negate(test)
        return [If(test, [Let(found, truth(stops_at)), Break()])]

    made = loops.comprehend(scope, argument.generators, body)
    _leave_all(made, found, stops_at)
    return Expr("block", BOOL, (local(found),), [Let(found, truth(not stops_at)), *made], node.lineno)


def _leave_all(body: list[Stmt], found: Any, stops_at: bool) -> None:
    """After each inner loop, leave the outer one too once the answer is known."""
    from echelon.plugin.compilers.python.tree import Break, ForRange, While

    known: Expr = local(found) if stops_at else negate(local(found))
    for statement in body:
        if isinstance(statement, While | ForRange):
            inner = statement.body
            position = 0
            while position < len(inner):
                if isinstance(inner[position], While | ForRange):
                    _leave_all([inner[position]], found, stops_at)
                    inner.insert(position + 1, If(known, [Break()]))
                    position += 1
                elif isinstance(inner[position], If):
                    _leave_inside(inner[position], found, stops_at, known)
                position += 1


def _leave_inside(statement: Any, found: Any, stops_at: bool, known: Expr) -> None:
    from echelon.plugin.compilers.python.tree import Break, ForRange, While

    position = 0
    while position < len(statement.body):
        inner = statement.body[position]
        if isinstance(inner, While | ForRange):
            _leave_all([inner], found, stops_at)
            statement.body.insert(position + 1, If(known, [Break()]))
            position += 1
        elif isinstance(inner, If):
            _leave_inside(inner, found, stops_at, known)
        position += 1


def _round(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    value = scope.check(node.args[0])
    kind = find(value.type)
    if kind in (INT, BOOL):
        if len(node.args) == 1:
            return as_int(value)
        return library(
            "integers.round_to", INT, as_int(value), scope.check_int(node.args[1]), line=node.lineno
        )
    if kind != FLOAT:
        refuse(node.args[0], f"round() does not take {kind}")
    if len(node.args) == 1:
        return library("floats.round", INT, value, line=node.lineno)
    return library("floats.round_to", FLOAT, value, scope.check_int(node.args[1]), line=node.lineno)


def _int(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if not node.args:
        return integer(0, node.lineno)
    value = scope.check(node.args[0])
    kind = find(value.type)
    if len(node.args) == 2:
        value = scope.coerce(value, STR, node.args[0])
        return library("texts.to_int", INT, value, scope.check_int(node.args[1]), line=node.lineno)
    if kind in (INT, BOOL):
        return as_int(value)
    if kind == FLOAT:
        return (
            library("floats.to_whole", INT, value, line=node.lineno)
            if not scope.raw
            else wasm(op.I64_TRUNC_SAT, INT, value)
        )
    if kind == STR:
        return library("texts.to_int", INT, value, integer(10), line=node.lineno)
    refuse(
        node.args[0],
        f"int() does not take {kind}",
        "check `is not None` first" if kind.kind == "optional" else "",
    )


def _float(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if not node.args:
        return real(0.0, node.lineno)
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        try:
            return real(float(argument.value), node.lineno)
        except ValueError:
            refuse(argument, f"{argument.value!r} is no number")
    value = scope.check(argument)
    kind = find(value.type)
    if kind in (INT, BOOL, FLOAT):
        return as_float(value)
    if kind == STR:
        return library("texts.to_float", FLOAT, value, line=node.lineno)
    refuse(
        argument,
        f"float() does not take {kind}",
        "check `is not None` first" if kind.kind == "optional" else "",
    )


def _str(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if not node.args:
        return text("", node.lineno)
    return formats.to_text(scope, formats.shown(scope, node.args[0]), node.args[0])


def _repr(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    return formats.to_repr(scope, formats.shown(scope, node.args[0]), node.args[0])


def _bool(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    return conditions.condition(scope, node.args[0]) if node.args else truth(False, node.lineno)


def _ord(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    value = scope.check_as(node.args[0], STR)
    found = characters.code(value)
    return found or library("texts.code", INT, value, line=node.lineno)


def _chr(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    return library("texts.from_code", STR, scope.check_int(node.args[0]), line=node.lineno)


def _divmod(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    left, right = (scope.check(arg) for arg in node.args)
    whole = find(left.type) in (INT, BOOL) and find(right.type) in (INT, BOOL)
    kind = INT if whole else FLOAT
    convert = as_int if whole else as_float
    a, b = scope.temporary(kind), scope.temporary(kind)
    if whole:
        first = Expr("floordiv", INT, (local(a), local(b)), None, node.lineno)
        second = Expr("mod", INT, (local(a), local(b)), None, node.lineno)
        require: list[Stmt] = [Do(library("integers.require_divisor", NONE, local(b), line=node.lineno))]
    else:
        first = library("floats.divmod_quotient", FLOAT, local(a), local(b), line=node.lineno)
        second = library("floats.modulo", FLOAT, local(a), local(b), line=node.lineno)
        require = []
    made = Expr("new", tuple_of(kind, kind), (first, second), 16, node.lineno)
    return Expr(
        "block", made.type, (made,), [Let(a, convert(left)), Let(b, convert(right)), *require], node.lineno
    )


def _pow(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if len(node.args) == 3:
        values = [scope.check_int(arg) for arg in node.args]
        return library("integers.power_modulo", INT, *values, line=node.lineno)
    left, right = (scope.check(arg) for arg in node.args)
    return operators.combine(scope, node, ast.Pow(), left, right)


def _list(scope: Scope, node: ast.Call, expected: Type | None) -> Expr:
    if not node.args:
        item = find(expected).args[0] if expected is not None and find(expected).kind == "list" else Hole()
        return Expr("list", list_of(item), (), None, node.lineno)
    if isinstance(node.args[0], ast.GeneratorExp):
        return loops.list_comprehension(scope, node.args[0], expected)
    found = loops.iteration(scope, node.args[0])
    return loops.collect(scope, found)


def _set(scope: Scope, node: ast.Call, expected: Type | None) -> Expr:
    item = find(expected).args[0] if expected is not None and find(expected).kind == "set" else Hole()
    if node.args and isinstance(node.args[0], ast.GeneratorExp):
        return loops.set_comprehension(scope, node.args[0], expected)
    kind = set_of(item)
    held = scope.temporary(kind)
    body: list[Stmt] = [Let(held, library("dicts.new", kind, integer(0)))]
    if node.args:

        def step(value: Expr, at: ast.AST) -> list[Stmt]:
            value = scope.coerce(value, item, at)
            loops.require_key(item, at)
            return [loops.put(scope, local(held), kind, value, None)]

        body += loops.fold(scope, node.args[0], step, unordered=True)
    return Expr("block", kind, (local(held),), body, node.lineno)


def _dict(scope: Scope, node: ast.Call, expected: Type | None) -> Expr:
    kind = (
        find(expected) if expected is not None and find(expected).kind == "dict" else dict_of(Hole(), Hole())
    )
    if not node.args:
        return library("dicts.new", kind, integer(0), line=node.lineno)
    argument = node.args[0]
    if not isinstance(argument, ast.Call | ast.GeneratorExp | ast.ListComp):
        value = scope.check(argument)
        if find(value.type).kind == "dict":
            return library("dicts.copy", value.type, value, line=node.lineno)
    held = scope.temporary(kind)

    def step(value: Expr, at: ast.AST) -> list[Stmt]:
        pair = find(value.type)
        if pair.kind != "tuple" or len(pair.args) != 2:
            refuse(at, f"dict() gets {pair}", "it takes pairs of key and value")
        kept = scope.temporary(pair)
        key = scope.coerce(operators.item_of_tuple(local(kept), 0), kind.args[0], at)
        second = scope.coerce(operators.item_of_tuple(local(kept), 1), kind.args[1], at)
        loops.require_key(kind.args[0], at)
        return [Let(kept, value), loops.put(scope, local(held), kind, key, second)]

    body = loops.fold(scope, argument, step)
    return Expr(
        "block", kind, (local(held),), [Let(held, library("dicts.new", kind, integer(0))), *body], node.lineno
    )


def _bytes(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if not node.args:
        return Expr("octets", BYTES, (), b"", node.lineno)
    if not isinstance(node.args[0], ast.GeneratorExp):
        found = loops.iteration(scope, node.args[0]) if isinstance(node.args[0], ast.Call) else None
        if found is None:
            value = scope.check(node.args[0])
            if find(value.type) in (INT, BOOL):
                return library("octets.zeros", BYTES, as_int(value), line=node.lineno)
            if find(value.type) == BYTES:
                return value
            items = loops.to_list(scope, value, node.args[0])
        else:
            items = loops.collect(scope, found)
    else:
        items = loops.list_comprehension(scope, node.args[0])
    if not unify(find(items.type).args[0], INT):
        refuse(node.args[0], f"bytes() takes integers, not {items.type}")
    return library("octets.from_list", BYTES, items, line=node.lineno)


def _tuple(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    if not node.args:
        return Expr("new", tuple_of(), (), 8, node.lineno)
    value = scope.check(node.args[0])
    if find(value.type).kind == "tuple":
        return value
    refuse(
        node,
        f"tuple() of {value.type} has as many items as it may",
        "keep the list; tuples have a fixed number of items",
    )


def _print(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if set(keywords) - {"sep", "end", "flush"}:
        refuse(node.keywords[0], "print() takes sep, end and flush here")
    parts: list[Expr] = []
    separator = scope.check_as(keywords["sep"], STR) if "sep" in keywords else text(" ")
    for position, arg in enumerate(node.args):
        if isinstance(arg, ast.Starred):
            value = scope.check(arg.value)
            items = loops.to_list(scope, value, arg.value)
            shown = library(
                "lists.show_each",
                STR,
                items,
                Expr("derived", INT, (), ("text_words", find(items.type).args[0])),
                separator,
            )
        else:
            shown = formats.to_text(scope, formats.shown(scope, arg), arg)
        parts += [*([separator] if position else []), shown]
    parts.append(scope.check_as(keywords["end"], STR) if "end" in keywords else text("\n"))
    return library("output.write", NONE, derived.concatenate(parts), line=node.lineno)


def _based(base: int) -> Callable[..., Expr]:
    def check(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
        return library("texts.in_base", STR, scope.check_int(node.args[0]), integer(base), line=node.lineno)

    return check


def _sorted(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    argument = node.args[0]
    if isinstance(argument, ast.GeneratorExp):
        items = loops.list_comprehension(scope, argument)
        fresh = True
    else:
        found = loops.of_call(scope, argument) if isinstance(argument, ast.Call) else None
        if found is not None:
            items, fresh = loops.collect(scope, found), True
        else:
            value = scope.check(argument)
            if find(value.type).kind == "set":
                key = next((keyword.value for keyword in node.keywords if keyword.arg == "key"), None)
                if key is not None:
                    hint = "sort it without a key first: sorted(sorted(…), key=…)"
                    refuse(
                        key,
                        "a set is sorted by a key, and what has equal keys stays in CPython's own order",
                        hint,
                    )
                items, fresh = library("sets.to_list", list_of(find(value.type).args[0]), value), True
            else:
                items, fresh = loops.to_list(scope, value, argument), find(value.type).kind != "list"
    if not fresh:
        items = library("lists.copy", items.type, items)
    held = scope.temporary(items.type)
    body: list[Stmt] = [Let(held, items)]
    body += sorting.sort(
        scope, node, local(held), {keyword.arg or "": keyword.value for keyword in node.keywords}
    )
    return Expr("block", items.type, (local(held),), body, node.lineno)


def _isinstance(scope: Scope, node: ast.Call, _expected: Type | None) -> Expr:
    refuse(
        node,
        "isinstance() cannot be compiled",
        "types are known when a program is compiled; compare with `is None`",
    )


_HANDLERS: Final[dict[str, tuple[int, int, Callable[..., Expr]]]] = {
    "len": (1, 1, _len), "abs": (1, 1, _abs), "min": (1, 255, _extreme(False)), "max": (1, 255, _extreme(True)),
    "sum": (1, 2, _sum), "any": (1, 1, _quantifier(True)), "all": (1, 1, _quantifier(False)), "round": (1, 2, _round),
    "int": (0, 2, _int), "float": (0, 1, _float), "str": (0, 1, _str), "repr": (1, 1, _repr), "bool": (0, 1, _bool),
    "ord": (1, 1, _ord), "chr": (1, 1, _chr), "divmod": (2, 2, _divmod), "pow": (2, 3, _pow), "list": (0, 1, _list),
    "set": (0, 1, _set), "dict": (0, 1, _dict), "bytes": (0, 1, _bytes), "tuple": (0, 1, _tuple),
    "print": (0, 255, _print), "bin": (1, 1, _based(2)), "oct": (1, 1, _based(8)), "hex": (1, 1, _based(16)),
    "sorted": (1, 1, _sorted), "isinstance": (2, 2, _isinstance),
}  # fmt: skip
_KEYWORDS: Final = frozenset({"print", "sum", "min", "max", "sorted"})
_HINTS: Final = {
    "map": "write a comprehension",
    "filter": "write a comprehension with if",
    "range": "iterate it, or write list(range(…))",
    "enumerate": "iterate it, or write list(enumerate(…))",
    "zip": "iterate it, or write list(zip(…))",
    "reversed": "iterate it, or write list(reversed(…))",
    "input": "take the text as a parameter",
    "open": "take the content as a parameter",
    "eval": "there is no interpreter in a module",
    "exec": "there is no interpreter in a module",
    "hash": "it differs from process to process",
    "id": "compare with `is`",
    "type": "types are known when a program is compiled",
    "iter": "use a for loop",
    "next": "use a for loop",
    "frozenset": "use set",
    "bytearray": "collect integers in a list and call bytes(…)",
}

__all__ = ["bits", "call", "from_bits", "of_type"]
