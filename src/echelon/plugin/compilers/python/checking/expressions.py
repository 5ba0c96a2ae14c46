"""Expressions: constants, names, fields, subscripts, literals of lists and their kind."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import (
    calls,
    conditions,
    formats,
    loops,
    narrowing,
    operators,
    raw,
)
from echelon.plugin.compilers.python.checking.scope import Scope, as_int, bits, unbox
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Function,
    Let,
    Stmt,
    integer,
    library,
    local,
    nothing,
    real,
    text,
    truth,
)
from echelon.plugin.compilers.python.types import (
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Hole,
    Type,
    dict_of,
    find,
    is_large,
    list_of,
    optional,
    set_of,
    tuple_of,
    unify,
)

LEAST, MOST = -(1 << 63), (1 << 63) - 1


def check(scope: Scope, node: ast.expr, expected: Type | None) -> Expr:
    """Return the typed expression; raises Refusal."""
    handler = _HANDLERS.get(type(node))
    if handler is None:
        found, hint = _NAMES.get(type(node), ("this expression", ""))
        refuse(node, f"{found} cannot be compiled", hint)
    value = handler(scope, node, expected)
    if is_large(value.type):
        refuse(
            node, "the type of this consists of too many types", "use lists, or dataclasses with named fields"
        )
    return value


def _constant(scope: Scope, node: ast.Constant, _expected: Type | None) -> Expr:
    return constant(node.value, node)


def constant(value: Any, node: ast.AST) -> Expr:
    """Return a constant of the program."""
    line = getattr(node, "lineno", 0)
    if isinstance(value, bool):
        return truth(value, line)
    if isinstance(value, int):
        if not LEAST <= value <= MOST:
            refuse(node, "this integer needs more than 64 bits", "integers reach from -2**63 to 2**63 - 1")
        return integer(value, line)
    if isinstance(value, float):
        return real(value, line)
    if isinstance(value, str):
        return text(value, line)
    if isinstance(value, bytes):
        return Expr("octets", BYTES, (), value, line)
    if value is None:
        return nothing(line)
    refuse(node, f"a constant of type {type(value).__name__} cannot be compiled")


def _name(scope: Scope, node: ast.Name, _expected: Type | None) -> Expr:
    found = scope.look_up(node)
    if found is None and scope.raw:
        found = raw.name(scope, node)
    if found is None:
        found = scope.program.constant(scope, node)
    if found is not None:
        return found
    if node.id in scope.caught:
        refuse(node, "an exception is used as a value", f"write str({node.id}) for its message")
    if node.id in scope.program.functions or node.id in scope.program.structs:
        refuse(node, f"{node.id} is used as a value", "functions and classes can only be called")
    refuse(node, f"the name {node.id} is not known here", scope.program.hint_for(node.id))


def _attribute(scope: Scope, node: ast.Attribute, _expected: Type | None) -> Expr:
    found = scope.program.module_constant(scope, node)
    if found is not None:
        return found
    value = scope.check(node.value)
    kind = find(value.type)
    if kind.kind == "optional" and find(kind.args[0]).kind == "struct":
        value = require(scope, value, node.attr, node)
        kind = find(value.type)
    if kind.kind != "struct" or kind.struct is None:
        refuse(
            node,
            f"{kind} has no field {node.attr}",
            "a method has to be called" if kind.kind in ("str", "list", "dict") else "",
        )
    field = kind.struct.fields.get(node.attr)
    if field is None:
        getter = scope.program.methods.get((kind.struct.name, node.attr))
        if getter is not None and node.attr in scope.program.properties.get(kind.struct.name, ()):
            return calls.call_function(scope, node, getter, [value], [], [])
        constant_of = (kind.struct.name, node.attr)
        if constant_of in scope.program.class_constants:
            found = scope.program.write_out(scope.program.class_constants[constant_of], node)
            return Expr("block", found.type, (found,), [Do(value)], node.lineno)
        refuse(node, f"{kind} has no field {node.attr}", _similar(node.attr, kind.struct.fields))
    opcode, alignment = op.LOADS[find(field.type).core]
    found = Expr("load", field.type, (value,), (opcode, alignment, field.offset), node.lineno)
    narrow = scope.narrowed.get(narrowing.path_of(node) or " ")
    return found if narrow is None else unbox(found, narrow)


def _similar(name: str, names: Any) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(names), 1)
    return f"did you mean {near[0]}?" if near else (f"there are {', '.join(names)}" if names else "")


def require(scope: Scope, value: Expr, attribute: str, node: ast.AST) -> Expr:
    """Return an optional object's value; None raises AttributeError as it does in CPython."""
    inner = find(value.type).args[0]
    held = scope.temporary(value.type)
    test = conditions.is_some(local(held))
    missing = library("errors.no_attribute", NONE, text(attribute), line=getattr(node, "lineno", 0))
    chosen = Expr("if", NONE, (test, nothing(), missing))
    return Expr(
        "block", inner, (unbox(local(held), inner),), [Let(held, value), Do(chosen, value.line)], value.line
    )


# Subscripts


def _subscript(scope: Scope, node: ast.Subscript, _expected: Type | None) -> Expr:
    value = scope.check(node.value)
    kind = find(value.type)
    if isinstance(node.slice, ast.Slice):
        return _slice(scope, node, value, node.slice)
    if kind.kind == "list":
        return Expr("item", kind.args[0], (value, scope.check_int(node.slice)), None, node.lineno)
    if kind == STR:
        return library("texts.item", STR, value, scope.check_int(node.slice), line=node.lineno)
    if kind == BYTES:
        return library("octets.item", INT, value, scope.check_int(node.slice), line=node.lineno)
    if kind.kind == "tuple":
        return _tuple_item(scope, node, value, kind)
    if kind.kind == "dict":
        key = scope.check_as(node.slice, kind.args[0], "the key")
        return lookup(scope, value, key, kind, node)
    if kind.kind == "struct":
        return calls.dunder(scope, node, value, "__getitem__", [node.slice])
    hint = "check `is not None` first" if kind.kind == "optional" else ""
    refuse(node, f"{kind} has no items", hint or ("annotate the variable" if kind.kind == "hole" else ""))


def lookup(scope: Scope, value: Expr, key: Expr, kind: Type, node: ast.AST) -> Expr:
    """Return what a dict holds under a key; raises KeyError."""
    held, keys = scope.temporary(kind.args[0]), scope.temporary(kind)
    word = library(
        "dicts.get_item", INT, local(keys), bits(local(held)), derived.hash_of(kind.args[0], local(held)),
        derived.equality(kind.args[0]), Expr("derived", INT, (), ("show_words", kind.args[0])),
        line=getattr(node, "lineno", 0),
    )  # fmt: skip
    found = Expr("from_bits", kind.args[1], (word,), None, getattr(node, "lineno", 0))
    return Expr("block", kind.args[1], (found,), [Let(keys, value), Let(held, key)], found.line)


def _tuple_item(scope: Scope, node: ast.Subscript, value: Expr, kind: Type) -> Expr:
    index = scope.check_int(node.slice)
    count = len(kind.args)
    if index.op == "int":
        if not -count <= index.data < count:
            refuse(
                node.slice,
                f"the tuple has {count} items and no item {index.data}",
                f"indexes are {-count} to {count - 1}",
            )
        return operators.item_of_tuple(value, index.data % count)
    if count and all(unify(kind.args[0], arg) for arg in kind.args):
        place = library("tuples.place", NONE, integer(count), index)
        place.type = INT
        held, where = scope.temporary(kind), scope.temporary(INT)
        address = Expr(
            "wasm", kind, (local(held), Expr("wasm", kind, (local(where),), op.I32_WRAP)), op.I32_ADD
        )
        opcode, alignment = op.LOADS[find(kind.args[0]).core]
        found = Expr("load", kind.args[0], (address,), (opcode, alignment, 0), node.lineno)
        return Expr("block", kind.args[0], (found,), [Let(held, value), Let(where, place)], node.lineno)
    refuse(node.slice, f"the item of {kind} depends on a variable", "use a constant, or a list of one type")


def _slice(scope: Scope, node: ast.Subscript, value: Expr, part: ast.Slice) -> Expr:
    kind = find(value.type)
    names = {"list": "lists", "str": "texts", "bytes": "octets"}
    if kind.kind == "tuple":
        return _tuple_slice(scope, node, value, part)
    if kind.kind not in names:
        refuse(
            node, f"{kind} cannot be sliced", "check `is not None` first" if kind.kind == "optional" else ""
        )
    bounds: list[Expr] = []
    flags = 0
    for position, bound in enumerate((part.lower, part.upper)):
        if bound is None or (isinstance(bound, ast.Constant) and bound.value is None):
            bounds.append(integer(0))
        else:
            flags |= 1 << position
            bounds.append(scope.check_int(bound))
    step = integer(1) if part.step is None else scope.check_int(part.step)
    if step.op == "int" and step.data == 1:
        if kind.kind == "list" and not flags:
            return library("lists.copy", value.type, value, line=node.lineno)
        return library(
            f"{names[kind.kind]}.slice", value.type, value, *bounds, integer(flags), line=node.lineno
        )
    return library(
        f"{names[kind.kind]}.slice_step", value.type, value, *bounds, step, integer(flags), line=node.lineno
    )


def _tuple_slice(scope: Scope, node: ast.Subscript, value: Expr, part: ast.Slice) -> Expr:
    kind = find(value.type)
    bounds = []
    for bound in (part.lower, part.upper, part.step):
        found = None if bound is None else scope.check_int(bound)
        if found is not None and found.op != "int":
            refuse(node, "the bounds of a tuple's slice depend on a variable", "use constants, or a list")
        bounds.append(None if found is None else found.data)
    if bounds[2] == 0:
        refuse(node, "the step of a slice is 0")
    chosen = range(len(kind.args))[slice(*bounds)]
    held = scope.temporary(kind)
    words = tuple(operators.item_of_tuple(local(held), index) for index in chosen)
    result = tuple_of(*(kind.args[index] for index in chosen))
    made = Expr("new", result, words, 8 * max(1, len(words)), node.lineno)
    return Expr("block", result, (made,), [Let(held, value)], node.lineno)


# Literals


def _list(scope: Scope, node: ast.List, expected: Type | None) -> Expr:
    item, values = _items(scope, node.elts, _argument(expected, "list", 0), node)
    kind = list_of(item)
    if any(isinstance(element, ast.Starred) for element in node.elts):
        return _spread(scope, node, kind, values)
    return Expr("list", kind, tuple(values), None, node.lineno)


def _spread(scope: Scope, node: ast.List, kind: Type, values: list[Expr]) -> Expr:
    held = scope.temporary(kind)
    body: list[Stmt] = [Let(held, Expr("list", kind))]
    for element, value in zip(node.elts, values, strict=True):
        if isinstance(element, ast.Starred):
            more = loops.to_list(scope, value, element.value, kind)
            body.append(Do(library("lists.extend", NONE, local(held), more)))
        else:
            body.append(Do(library("lists.append", NONE, local(held), bits(value))))
    return Expr("block", kind, (local(held),), body, node.lineno)


def _items(
    scope: Scope, nodes: list[ast.expr], wanted: Type | None, node: ast.AST
) -> tuple[Type, list[Expr]]:
    """Check values that have to be of one type; None among them makes it optional.

    What a star is before is checked in its turn, and is not made an item.
    """
    kind: Type = wanted or Hole()
    known = find(kind).kind != "hole"
    found: list[Expr] = []
    plain: list[Type] = []
    for element in nodes:
        if isinstance(element, ast.Starred):
            found.append(scope.check(element.value, list_of(kind)))
            continue
        if known:
            found.append(scope.check_as(element, kind, "this item"))
            continue
        value = scope.check(element, kind)
        have = find(value.type)
        if have == NONE:
            kind = optional(kind) if find(kind).kind != "hole" else kind
        elif find(kind).kind == "hole":
            unify(kind, have)
        elif find(kind).kind != "optional" and have.kind == "optional":
            kind = have
        found.append(value)
        plain.append(have)
    if known:
        return kind, found
    if NONE in plain and find(kind).kind == "hole":
        refuse(node, "every item is None", "annotate the variable")
    if NONE in plain and find(kind).kind != "optional":
        kind = optional(kind)
    if {str(find(have)) for have in plain} == {"int", "float"}:
        refuse(node, "the items are int and float", "write them all as floats, such as 1.0")
    return kind, [
        value if isinstance(element, ast.Starred) else scope.coerce(value, kind, element, "this item")
        for value, element in zip(found, nodes, strict=True)
    ]


def _argument(expected: Type | None, kind: str, index: int) -> Type | None:
    if expected is None:
        return None
    expected = find(expected)
    if expected.kind == "optional":
        expected = find(expected.args[0])
    return expected.args[index] if expected.kind == kind and index < len(expected.args) else None


def _tuple(scope: Scope, node: ast.Tuple, expected: Type | None) -> Expr:
    values = []
    for position, element in enumerate(node.elts):
        if isinstance(element, ast.Starred):
            refuse(element, "* in a tuple cannot be compiled", "write the items, or use a list")
        wanted = _argument(expected, "tuple", position)
        value = scope.check(element, wanted)
        if wanted is not None and find(wanted).kind in ("optional", "float"):
            value = scope.coerce(value, wanted, element, "this item")
        if find(value.type) == NONE and wanted is None:
            refuse(element, "an item of a tuple is None alone", "annotate the variable or the result")
        values.append(value)
    kind = tuple_of(*(value.type for value in values))
    return Expr("new", kind, tuple(values), 8 * max(1, len(values)), node.lineno)


def _dict(scope: Scope, node: ast.Dict, expected: Type | None) -> Expr:
    if any(key is None for key in node.keys):
        refuse(node, "** in a dict cannot be compiled", "call update()")
    key, keys = _items(scope, [k for k in node.keys if k is not None], _argument(expected, "dict", 0), node)
    value, values = _items(scope, node.values, _argument(expected, "dict", 1), node)
    kind = dict_of(key, value)
    loops.require_key(key, node)
    held = scope.temporary(kind)
    body: list[Stmt] = [Let(held, library("dicts.new", kind, integer(len(keys))))]
    for one, other in zip(keys, values, strict=True):
        body.append(loops.put(scope, local(held), kind, one, other))
    return Expr("block", kind, (local(held),), body, node.lineno)


def _set(scope: Scope, node: ast.Set, expected: Type | None) -> Expr:
    item, values = _items(scope, node.elts, _argument(expected, "set", 0), node)
    kind = set_of(item)
    loops.require_key(item, node)
    held = scope.temporary(kind)
    body: list[Stmt] = [Let(held, library("dicts.new", kind, integer(len(values))))]
    body += [loops.put(scope, local(held), kind, value, None) for value in values]
    return Expr("block", kind, (local(held),), body, node.lineno)


# Choices


def _if(scope: Scope, node: ast.IfExp, expected: Type | None) -> Expr:
    test = conditions.condition(scope, node.test)
    state = scope.known_at()
    narrowing.apply(scope, node.test, holds=True)
    body = scope.check(node.body, expected)
    scope.restore(state)
    narrowing.apply(scope, node.test, holds=False)
    orelse = scope.check(node.orelse, expected if expected is not None else body.type)
    scope.restore(state)
    kind = body.type
    if expected is not None and find(expected).kind in ("optional", "float"):
        kind = expected
    elif find(body.type) == NONE and find(orelse.type) != NONE:
        kind = optional(orelse.type)
    elif find(orelse.type) == NONE or find(orelse.type).kind == "optional":
        kind = optional(body.type)
    if (
        find(body.type) != find(orelse.type)
        and {str(body.type), str(orelse.type)} == {"int", "float"}
        and find(kind) != FLOAT
    ):
        refuse(node, "one branch is int, the other float", "make both float, such as 1.0")
    body = scope.coerce(body, kind, node.body, "this branch")
    orelse = scope.coerce(orelse, kind, node.orelse, "this branch")
    return Expr("if", kind, (test, body, orelse), None, node.lineno)


def _named(scope: Scope, node: ast.NamedExpr, expected: Type | None) -> Expr:
    value = scope.check(node.value, expected)
    scope.function.walrus = True
    statement = scope.assign(node.target.id, value, node)
    found = scope.look_up(node.target)
    if found is None:
        raise AssertionError
    return Expr("block", found.type, (found,), [statement], node.lineno)


def _lambda(_scope: Scope, node: ast.Lambda, _expected: Type | None) -> Expr:
    refuse(
        node,
        "a lambda is used as a value",
        "only key= of sorted(), sort(), min() and max() takes one; write a function",
    )


def _wrap(function: Callable[..., Expr]) -> Callable[[Scope, Any, Type | None], Expr]:
    return lambda scope, node, _expected: function(scope, node)


_HANDLERS: Final[dict[type, Callable[[Scope, Any, Type | None], Expr]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.BinOp: operators.binary,
    ast.UnaryOp: operators.unary,
    ast.BoolOp: conditions.bool_operation,
    ast.Compare: _wrap(operators.compare),
    ast.Call: calls.call,
    ast.IfExp: _if,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Dict: _dict,
    ast.Set: _set,
    ast.ListComp: loops.list_comprehension,
    ast.SetComp: loops.set_comprehension,
    ast.DictComp: loops.dict_comprehension,
    ast.JoinedStr: _wrap(formats.joined),
    ast.NamedExpr: _named,
    ast.Lambda: _lambda,
}
_NAMES: Final[dict[type, tuple[str, str]]] = {
    ast.Await: ("await", "a call runs to its end without waiting; leave it out"),
    ast.Yield: ("yield", "append to a list and return that"),
    ast.YieldFrom: ("yield", "append to a list and return that"),
    ast.GeneratorExp: ("a generator that nothing uses up at once", "make it a list: [… for …]"),
    ast.Starred: ("*", "write the items"),
    ast.Slice: ("a slice on its own", "write it within the index: items[1:2]"),
}

__all__ = ["Function", "as_int", "check", "constant"]
