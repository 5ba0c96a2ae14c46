"""Methods of strings, bytes, lists, dicts and sets."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import characters, loops, sorting
from echelon.plugin.compilers.python.checking.scope import Scope, bits, from_bits
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Let,
    Stmt,
    integer,
    library,
    local,
    nothing,
    text,
    wasm,
)
from echelon.plugin.compilers.python.types import (
    BOOL,
    BYTES,
    INT,
    NONE,
    STR,
    Hole,
    Type,
    find,
    list_of,
    optional,
    tuple_of,
)

Method = Callable[[Scope, ast.Call, Expr], Expr]

TEXTS: Final = list_of(STR)
_STR: Final[dict[str, tuple[str, Type, tuple[tuple[Type, object], ...]]]] = {
    "upper": ("texts.upper", STR, ()), "lower": ("texts.lower", STR, ()), "title": ("texts.title", STR, ()),
    "capitalize": ("texts.capitalize", STR, ()), "swapcase": ("texts.swapcase", STR, ()),
    "isdigit": ("texts.is_digit", BOOL, ()), "isalpha": ("texts.is_alpha", BOOL, ()),
    "isalnum": ("texts.is_alnum", BOOL, ()), "isspace": ("texts.is_space", BOOL, ()),
    "isupper": ("texts.is_upper", BOOL, ()), "islower": ("texts.is_lower", BOOL, ()),
    "isnumeric": ("texts.is_numeric", BOOL, ()), "isdecimal": ("texts.is_decimal", BOOL, ()),
    "isascii": ("texts.is_ascii", BOOL, ()), "isprintable": ("texts.is_printable", BOOL, ()),
    "istitle": ("texts.is_title", BOOL, ()),
    "splitlines": ("texts.split_lines", TEXTS, ()),
    "removeprefix": ("texts.remove_prefix", STR, ((STR, ...),)),
    "removesuffix": ("texts.remove_suffix", STR, ((STR, ...),)),
    "zfill": ("texts.zero_fill", STR, ((INT, ...),)),
    "ljust": ("texts.adjust_left", STR, ((INT, ...), (STR, " "))),
    "rjust": ("texts.adjust_right", STR, ((INT, ...), (STR, " "))),
    "center": ("texts.center", STR, ((INT, ...), (STR, " "))),
    "replace": ("texts.replace", STR, ((STR, ...), (STR, ...), (INT, -1))),
    "count": ("texts.count", INT, ((STR, ...), (INT, 0), (INT, (1 << 62)))),
    "find": ("texts.find", INT, ((STR, ...), (INT, 0), (INT, (1 << 62)))),
    "rfind": ("texts.find_last", INT, ((STR, ...), (INT, 0), (INT, (1 << 62)))),
    "index": ("texts.index_of", INT, ((STR, ...), (INT, 0), (INT, (1 << 62)))),
    "rindex": ("texts.last_index_of", INT, ((STR, ...), (INT, 0), (INT, (1 << 62)))),
    "encode": ("texts.encode", BYTES, ()),
}  # fmt: skip
_BYTES: Final[dict[str, tuple[str, Type, tuple[tuple[Type, object], ...]]]] = {
    "hex": ("octets.to_hex", STR, ()),
    "decode": ("octets.decode", STR, ()),
}


def call(scope: Scope, node: ast.Call, function: ast.Attribute, value: Expr, expected: Type | None) -> Expr:
    kind = find(value.type)
    name = function.attr
    tables = {"str": _STR, "bytes": _BYTES}
    if kind.kind in tables and name in tables[kind.kind]:
        return _plain(scope, node, value, *tables[kind.kind][name])
    handler = _METHODS.get((kind.kind, name))
    if handler is None:
        hint = {
            "optional": "check `is not None` first",
            "hole": "annotate the variable",
        }.get(kind.kind, "")
        known = [*tables.get(kind.kind, ()), *(method for owner, method in _METHODS if owner == kind.kind)]
        near = difflib.get_close_matches(name, known, 1)
        hint = hint or (f"did you mean {near[0]}?" if near else "")
        refuse(function, f"{kind} has no method {name} here", hint)
    if node.keywords and name not in ("sort", "pop", "get"):
        refuse(node.keywords[0], f"{name}() gets an argument by name", "give it by place")
    return handler(scope, node, value)


def _plain(
    scope: Scope, node: ast.Call, value: Expr, key: str, result: Type, params: tuple[tuple[Type, object], ...]
) -> Expr:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in ("encode", "decode"):
        errors = (
            node.args[1].value if len(node.args) == 2 and isinstance(node.args[1], ast.Constant) else None
        )
        if name == "decode" and errors == "replace":
            node = ast.Call(
                node.func, node.args[:1], node.keywords, lineno=node.lineno, col_offset=node.col_offset
            )
            key = "octets.decode_replacing"
        for arg in node.args:
            if not (isinstance(arg, ast.Constant) and str(arg.value).lower() in ("utf-8", "utf8")):
                refuse(arg, "another encoding than UTF-8 is used", "leave it out")
        return library(key, result, value, line=node.lineno)
    if len(node.args) > len(params) or node.keywords:
        refuse(node, f"{name}() takes at most {len(params)} arguments, by place")
    args = []
    for position, (kind, default) in enumerate(params):
        if position < len(node.args):
            args.append(scope.check_as(node.args[position], kind, "the argument"))
        elif default is ...:
            refuse(node, f"{name}() needs {position + 1} arguments")
        else:
            args.append(text(default) if isinstance(default, str) else integer(int(str(default))))
    found = characters.test(key, value, node.lineno)
    return found or library(key, result, value, *args, line=node.lineno)


def _args(node: ast.Call, least: int, most: int) -> None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if not least <= len(node.args) <= most:
        refuse(
            node,
            f"{name}() gets {len(node.args)} arguments",
            f"it takes {least}" + ("" if least == most else f" to {most}"),
        )


# Strings


def _strip(which: int) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 0, 1)
        if node.args and not (isinstance(node.args[0], ast.Constant) and node.args[0].value is None):
            return library(
                "texts.strip", STR, value, scope.check_as(node.args[0], STR), integer(which), line=node.lineno
            )
        return library("texts.strip_spaces", STR, value, integer(which), line=node.lineno)

    return method


def _split(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 0, 2)
    most = scope.check_int(node.args[1]) if len(node.args) > 1 else integer(-1)
    if node.args and not (isinstance(node.args[0], ast.Constant) and node.args[0].value is None):
        return library("texts.split", TEXTS, value, scope.check_as(node.args[0], STR), most, line=node.lineno)
    return library("texts.split_spaces", TEXTS, value, most, line=node.lineno)


def _right_split(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 2)
    most = scope.check_int(node.args[1]) if len(node.args) > 1 else integer(-1)
    return library(
        "texts.split_last", TEXTS, value, scope.check_as(node.args[0], STR), most, line=node.lineno
    )


def _partition(last: int) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 1, 1)
        kind = tuple_of(STR, STR, STR)
        return library(
            "texts.partition", kind, value, scope.check_as(node.args[0], STR), integer(last), line=node.lineno
        )

    return method


def _join(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    argument = node.args[0]
    if isinstance(argument, ast.GeneratorExp):
        items = loops.list_comprehension(scope, argument, list_of(STR))
    elif isinstance(argument, ast.Call):
        items = loops.collect(scope, loops.iteration(scope, argument))
    else:
        items = loops.to_list(scope, scope.check(argument, list_of(STR)), argument)
    items = scope.coerce(items, list_of(STR), argument, "what join() gets")
    return library("texts.join", STR, value, items, line=node.lineno)


def _affix(key: str) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 1, 2)
        start = scope.check_int(node.args[1]) if len(node.args) > 1 else integer(0)
        argument = node.args[0]
        if isinstance(argument, ast.Tuple):
            held = scope.temporary(STR)
            found: Expr | None = None
            for element in argument.elts:
                test = library(key, BOOL, local(held), scope.check_as(element, STR), start, line=node.lineno)
                found = test if found is None else Expr("or", BOOL, (found, test))
            if found is None:
                refuse(argument, "the tuple is empty")
            return Expr("block", BOOL, (found,), [Let(held, value)], node.lineno)
        return library(key, BOOL, value, scope.check_as(argument, STR), start, line=node.lineno)

    return method


# Lists


def _item(scope: Scope, node: ast.Call, value: Expr, place: int = 0) -> Expr:
    return scope.check_as(node.args[place], find(value.type).args[0], "the item")


def _append(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    return Expr("append", NONE, (value, _item(scope, node, value)), None, node.lineno)


def _extend(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    argument = node.args[0]
    if isinstance(argument, ast.GeneratorExp):
        more = loops.list_comprehension(scope, argument, value.type)
    elif isinstance(argument, ast.Call):
        more = loops.collect(scope, loops.iteration(scope, argument))
    else:
        more = loops.to_list(scope, scope.check(argument, value.type), argument)
    return library("lists.extend", NONE, value, scope.coerce(more, value.type, argument), line=node.lineno)


def _pop(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 0, 1)
    kind = find(value.type).args[0]
    if not node.args:
        return from_bits(library("lists.pop_last", INT, value, line=node.lineno), kind)
    return from_bits(library("lists.pop", INT, value, scope.check_int(node.args[0]), line=node.lineno), kind)


def _insert(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 2, 2)
    index = scope.check_int(node.args[0])
    return library("lists.insert", NONE, value, index, bits(_item(scope, node, value, 1)), line=node.lineno)


def _remove(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    equality = derived.equality(find(value.type).args[0])
    return library("lists.remove", NONE, value, bits(_item(scope, node, value)), equality, line=node.lineno)


def _index(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 3)
    kind = find(value.type).args[0]
    bounds = [scope.check_int(arg) for arg in node.args[1:]]
    bounds += [integer(0), integer(1 << 62)][len(bounds) :]
    shown = Expr("derived", INT, (), ("show_words", kind))
    return library(
        "lists.index_of",
        INT,
        value,
        bits(_item(scope, node, value)),
        *bounds,
        derived.equality(kind),
        shown,
        line=node.lineno,
    )


def _count(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    return library(
        "lists.count",
        INT,
        value,
        bits(_item(scope, node, value)),
        derived.equality(find(value.type).args[0]),
        line=node.lineno,
    )


def _list_plain(key: str) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 0, 0)
        return library(key, value.type if key.endswith("copy") else NONE, value, line=node.lineno)

    return method


def _sort(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 0, 0)
    held = scope.temporary(value.type)
    body = sorting.sort(
        scope, node, local(held), {keyword.arg or "": keyword.value for keyword in node.keywords}
    )
    return Expr("block", NONE, (nothing(),), [Let(held, value), *body], node.lineno)


# Dicts and sets


def _key(scope: Scope, node: ast.Call, value: Expr) -> tuple[list[Stmt], tuple[Expr, ...], Expr]:
    """Return what keeps a container and key, and the arguments with which the library looks the key up."""
    kind = find(value.type)
    keys, key = scope.temporary(kind), scope.temporary(kind.args[0])
    before: list[Stmt] = [Let(keys, value), Let(key, scope.check_as(node.args[0], kind.args[0], "the key"))]
    loops.require_key(kind.args[0], node)
    words = (
        local(keys),
        bits(local(key)),
        derived.hash_of(kind.args[0], local(key)),
        derived.equality(kind.args[0]),
    )
    return before, words, Expr("derived", INT, (), ("show_words", kind.args[0]))


def _get(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 2)
    kind = find(value.type).args[1]
    before, words, _shown = _key(scope, node, value)
    at = scope.temporary(INT)
    before.append(Let(at, library("dicts.find", INT, *words)))
    found = library("dicts.value_at", INT, words[0], local(at))
    there = wasm(op.I64_GE_S, BOOL, local(at), integer(0))
    if len(node.args) == 1 or (isinstance(node.args[1], ast.Constant) and node.args[1].value is None):
        result = optional(kind)
        chosen = Expr(
            "if", result, (there, scope.coerce(from_bits(found, kind), result, node), Expr("none", result))
        )
        return Expr("block", result, (chosen,), before, node.lineno)
    default = scope.check_as(node.args[1], kind, "the default")
    if default.op not in ("int", "float", "bool", "text", "local"):
        kept = scope.temporary(kind)
        before.insert(2, Let(kept, default))
        default = local(kept)
    return Expr(
        "block", kind, (Expr("if", kind, (there, from_bits(found, kind), default)),), before, node.lineno
    )


def _dict_pop(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 2)
    kind = find(value.type).args[1]
    before, words, shown = _key(scope, node, value)
    if len(node.args) == 1:
        found = library("dicts.pop", INT, *words, shown, line=node.lineno)
        return Expr("block", kind, (from_bits(found, kind),), before, node.lineno)
    default = bits(scope.check_as(node.args[1], kind, "the default"))
    found = library("dicts.pop_or", INT, *words, default, line=node.lineno)
    return Expr("block", kind, (from_bits(found, kind),), before, node.lineno)


def _set_default(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 2, 2)
    kind = find(value.type).args[1]
    before, words, _shown = _key(scope, node, value)
    default = bits(scope.check_as(node.args[1], kind, "the default"))
    found = library("dicts.set_default", INT, *words, default, line=node.lineno)
    return Expr("block", kind, (from_bits(found, kind),), before, node.lineno)


def _update(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    kind = find(value.type)
    held = scope.temporary(kind)
    if kind.kind == "dict":
        other = scope.check_as(node.args[0], kind, "what update() gets")
        return library("dicts.update", NONE, value, other, derived.equality(kind.args[0]), line=node.lineno)

    def step(item: Expr, at: ast.AST) -> list[Stmt]:
        return [loops.put(scope, local(held), kind, scope.coerce(item, kind.args[0], at), None)]

    return Expr(
        "block",
        NONE,
        (nothing(),),
        [Let(held, value), *loops.fold(scope, node.args[0], step, unordered=True)],
        node.lineno,
    )


def _parts(what: str) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        refuse(node, f"{what}() is used as a value", f"iterate it, or write list(x.{what}())")

    return method


def _add(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 1, 1)
    before, words, _shown = _key(scope, node, value)
    stored = library("dicts.set_item", NONE, *words, integer(0), line=node.lineno)
    return Expr("block", NONE, (nothing(),), [*before, Do(stored)], node.lineno)


def _discard(strict: bool) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 1, 1)
        before, words, shown = _key(scope, node, value)
        if strict:
            called = library("dicts.delete", NONE, *words, shown, line=node.lineno)
        else:
            called = library("dicts.discard", NONE, *words, line=node.lineno)
        return Expr("block", NONE, (nothing(),), [*before, Do(called)], node.lineno)

    return method


def _combine(name: str) -> Method:
    def method(scope: Scope, node: ast.Call, value: Expr) -> Expr:
        _args(node, 1, 1)
        other = scope.check_as(node.args[0], value.type, "the other set")
        result = BOOL if name in ("at_most", "at_least", "is_disjoint") else value.type
        return library(
            f"sets.{name}", result, value, other, derived.equality(find(value.type).args[0]), line=node.lineno
        )

    return method


def _copy(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 0, 0)
    return library("dicts.copy", value.type, value, line=node.lineno)


def _clear(scope: Scope, node: ast.Call, value: Expr) -> Expr:
    _args(node, 0, 0)
    return library("dicts.clear", NONE, value, line=node.lineno)


_METHODS: Final[dict[tuple[str, str], Method]] = {
    ("str", "strip"): _strip(3), ("str", "lstrip"): _strip(1), ("str", "rstrip"): _strip(2),
    ("str", "split"): _split, ("str", "rsplit"): _right_split, ("str", "join"): _join,
    ("str", "partition"): _partition(0), ("str", "rpartition"): _partition(1),
    ("str", "startswith"): _affix("texts.starts_with"), ("str", "endswith"): _affix("texts.ends_with"),
    ("list", "append"): _append, ("list", "extend"): _extend, ("list", "pop"): _pop, ("list", "insert"): _insert,
    ("list", "remove"): _remove, ("list", "index"): _index, ("list", "count"): _count,
    ("list", "reverse"): _list_plain("lists.reverse"), ("list", "clear"): _list_plain("lists.clear"),
    ("list", "copy"): _list_plain("lists.copy"), ("list", "sort"): _sort,
    ("dict", "get"): _get, ("dict", "pop"): _dict_pop, ("dict", "setdefault"): _set_default,
    ("dict", "update"): _update,
    ("dict", "copy"): _copy, ("dict", "clear"): _clear, ("dict", "keys"): _parts("keys"),
    ("dict", "values"): _parts("values"), ("dict", "items"): _parts("items"),
    ("set", "add"): _add, ("set", "remove"): _discard(True), ("set", "discard"): _discard(False),
    ("set", "update"): _update, ("set", "copy"): _copy, ("set", "clear"): _clear,
    ("set", "union"): _combine("union"), ("set", "intersection"): _combine("intersection"),
    ("set", "difference"): _combine("difference"), ("set", "issubset"): _combine("at_most"),
    ("set", "symmetric_difference"): _combine("symmetric_difference"),
    ("set", "issuperset"): _combine("at_least"), ("set", "isdisjoint"): _combine("is_disjoint"),
}  # fmt: skip

__all__ = ["Hole", "call"]
