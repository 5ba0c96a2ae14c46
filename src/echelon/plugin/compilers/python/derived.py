"""What follows from a type: equality, order, hashes and texts of its values.

While a program is checked, types may still have holes, so these are expressions of operation `derived`, whose `data` is
what is wanted and the type. When code is emitted, `Derivation` replaces them by code or a call of a function made once
for each type.
"""

from __future__ import annotations

import ast
from typing import Final

from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import characters
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Function,
    If,
    Let,
    Return,
    Stmt,
    Variable,
    integer,
    library,
    local,
    negate,
    text,
    truth,
    wasm,
)
from echelon.plugin.compilers.python.types import BOOL, BYTES, FLOAT, INT, STR, Type, find, settle

_EQUAL_WORDS: Final = -1
_EQUAL_TEXTS: Final = -2
_LINEAR: Final = frozenset({"int", "bool"})


def equal(kind: Type, left: Expr, right: Expr) -> Expr:
    return Expr("derived", BOOL, (left, right), ("equal", kind), left.line)


def less(kind: Type, left: Expr, right: Expr) -> Expr:
    return Expr("derived", BOOL, (left, right), ("less", kind), left.line)


def representation(kind: Type, value: Expr) -> Expr:
    """Return the text that `repr` gives."""
    return Expr("derived", STR, (value,), ("repr", kind), value.line)


def json(kind: Type, value: Expr) -> Expr:
    """Return the text that JSON has for a value of a type without a `json_problem`."""
    return Expr("derived", STR, (value,), ("json", kind), value.line)


def json_problem(kind: Type) -> str:
    """Return the type within a type that JSON cannot say, "" for none."""
    waiting, seen = [find(kind)], set()
    while waiting:
        kind = find(waiting.pop())
        if kind.kind in ("bytes", "set") or (kind.kind == "dict" and find(kind.args[0]) not in (STR, INT)):
            return str(kind)
        if kind.struct is not None and kind.struct not in seen:
            seen.add(kind.struct)
            waiting += [field.type for field in kind.struct.fields.values()]
        waiting += kind.args
    return ""


def hash_of(kind: Type, value: Expr) -> Expr:
    return Expr("derived", INT, (value,), ("hash", kind), value.line)


def equality(kind: Type) -> Expr:
    """Return how the library compares words of a type: -1 as they are, -2 as texts, else a number in the table."""
    return Expr("derived", INT, (), ("equality", kind))


def ordering(kind: Type) -> Expr:
    """Return the number in the table of the function that tells whether one word is less than another."""
    return Expr("derived", INT, (), ("ordering", kind))


def find_in_list(kind: Type, item: Expr, items: Expr) -> Expr:
    """Tell whether a list holds a value, which is evaluated first."""
    return library("lists.holds", BOOL, Expr("bits", INT, (item,)), items, equality(kind))


def has_key(kind: Type, key: Expr, keys: Expr) -> Expr:
    """Tell whether a dict or set holds a key, which is evaluated first."""
    return Expr("derived", BOOL, (key, keys), ("has_key", kind), key.line)


def keyed(name: str, result: Type, kind: Type, *args: Expr) -> Expr:
    """Call what works on the keys of two sets or dicts."""
    return library(name, result, *args, equality(kind))


def compare_sets(operator: type, kind: Type, left: Expr, right: Expr) -> Expr:
    """Return whether one set is within another."""
    if operator in (ast.Gt, ast.GtE):
        name = "sets.above" if operator is ast.Gt else "sets.at_least"
    else:
        name = "sets.below" if operator is ast.Lt else "sets.at_most"
    return library(name, BOOL, left, right, equality(find(kind).args[0]))


def is_ordered(kind: Type) -> bool:
    """Tell whether `<` compares values of a type."""
    kind = find(kind)
    if kind.kind in ("list", "tuple"):
        return all(is_ordered(arg) for arg in kind.args)
    if kind.kind == "struct":
        return kind.struct is not None and kind.struct.ordered
    return kind.kind in ("int", "float", "bool", "str", "bytes", "hole")


def is_hashable(kind: Type) -> bool:
    """Tell whether a value can be a key."""
    kind = find(kind)
    if kind.kind == "tuple":
        return all(is_hashable(arg) for arg in kind.args)
    if kind.kind == "struct":
        return kind.struct is not None and (kind.struct.frozen or not kind.struct.compared)
    return kind.kind in ("int", "float", "bool", "str", "bytes", "hole", "optional")


class Derivation:
    """Makes the functions of one module."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}

    def expand(self, node: Expr) -> Expr:
        """Return the expression that does what a derived one stands for."""
        what, kind = node.data
        kind = settle(kind)
        found: Expr = getattr(self, f"_{what}")(kind, *node.args)
        found.line = found.line or node.line
        return found

    # Equality

    def _equal(self, kind: Type, left: Expr, right: Expr) -> Expr:
        if kind == INT:
            return wasm(op.I64_EQ, BOOL, left, right)
        if kind == FLOAT:
            return wasm(op.F64_EQ, BOOL, left, right)
        if kind == BOOL or (kind.struct is not None and not kind.struct.compared):
            return wasm(op.I32_EQ, BOOL, left, right)
        if kind == STR:
            return characters.equal(left, right)
        if kind == BYTES:
            return library("octets.equal", BOOL, left, right)
        if kind.kind == "list":
            return library("lists.equal", BOOL, left, right, self._equality(kind.args[0]))
        if kind.kind == "set":
            return library("sets.equal", BOOL, left, right, self._equality(kind.args[0]))
        if kind.kind == "dict":
            key, value = kind.args
            return library("dicts.equal", BOOL, left, right, self._equality(key), self._equality(value))
        return Expr("call", BOOL, (left, right), self._function("equal", kind, 2, BOOL))

    def _equality(self, kind: Type) -> Expr:
        if kind.kind in _LINEAR or (kind.struct is not None and not kind.struct.compared):
            return integer(_EQUAL_WORDS)
        if kind == STR:
            return integer(_EQUAL_TEXTS)
        return Expr("table", INT, (), self._of_words("equal", kind))

    def _ordering(self, kind: Type) -> Expr:
        return Expr("table", INT, (), self._of_words("less", kind))

    def _of_words(self, what: str, kind: Type) -> Function:
        """Return the function that compares two words of a type."""
        name = f"{what}_words {kind}"
        if name not in self.functions:
            params = [Variable("a", INT, parameter=True), Variable("b", INT, parameter=True)]
            function = self.functions[name] = Function(name, params, BOOL, file=-1, raises=False)
            values = [Expr("from_bits", kind, (local(param),)) for param in params]
            function.body = [Return(self.expand(Expr("derived", BOOL, tuple(values), (what, kind))))]
        return self.functions[name]

    def _function(self, what: str, kind: Type, count: int, result: Type) -> Function:
        name = f"{what} {kind}"
        if name not in self.functions:
            params = [Variable("ab"[index], kind, parameter=True) for index in range(count)]
            function = self.functions[name] = Function(name, params, result, file=-1, raises=False)
            values = [local(param) for param in params]
            function.body = getattr(self, f"_{what}_body")(kind, *values)
        return self.functions[name]

    def _equal_body(self, kind: Type, a: Expr, b: Expr) -> list[Stmt]:
        same = wasm(op.I32_EQ, BOOL, a, b)
        body: list[Stmt] = [If(same, [Return(truth(True))])]
        if kind.kind == "optional":
            for value in (a, b):
                body.append(If(wasm(op.I32_EQZ, BOOL, value), [Return(truth(False))]))
            inner = kind.args[0]
            return [*body, Return(self._equal(inner, some(a, inner), some(b, inner)))]
        if kind.struct is not None and kind.kind == "struct":
            pass
        for first, second in zip(words(a, kind), words(b, kind), strict=True):
            body.append(If(negate(self._equal(settle(first.type), first, second)), [Return(truth(False))]))
        return [*body, Return(truth(True))]

    # Order

    def _less(self, kind: Type, left: Expr, right: Expr) -> Expr:
        if kind == INT:
            return wasm(op.I64_LT_S, BOOL, left, right)
        if kind == FLOAT:
            return wasm(op.F64_LT, BOOL, left, right)
        if kind == BOOL:
            return wasm(op.I32_LT_S, BOOL, left, right)
        if kind in (STR, BYTES):
            name = "texts.compare" if kind == STR else "octets.compare"
            return wasm(op.I64_LT_S, BOOL, library(name, INT, left, right), integer(0))
        if kind.kind == "list":
            item = kind.args[0]
            return library("lists.less", BOOL, left, right, self._equality(item), self._ordering(item))
        return Expr("call", BOOL, (left, right), self._function("less", kind, 2, BOOL))

    def _less_body(self, kind: Type, a: Expr, b: Expr) -> list[Stmt]:
        body: list[Stmt] = []
        for first, second in zip(words(a, kind), words(b, kind), strict=True):
            item = settle(first.type)
            body.append(
                If(negate(self._equal(item, first, second)), [Return(self._less(item, first, second))])
            )
        return [*body, Return(truth(False))]

    # Hashes

    def _hash(self, kind: Type, value: Expr) -> Expr:
        if kind in (STR, BYTES):
            return library("texts.hash_of", INT, value)
        if kind == FLOAT:
            return library("dicts.hash_float", INT, value)
        if kind in (INT, BOOL) or (kind.struct is not None and not kind.struct.compared):
            return library("dicts.mix", INT, Expr("bits", INT, (value,)))
        return Expr("call", INT, (value,), self._function("hash", kind, 1, INT))

    def _hash_body(self, kind: Type, a: Expr) -> list[Stmt]:
        found = Variable("found", INT)
        body: list[Stmt] = [Let(found, integer(1))]
        if kind.kind == "optional":
            body.append(If(wasm(op.I32_EQZ, BOOL, a), [Return(integer(7))]))
            return [*body, Return(self._hash(kind.args[0], some(a, kind.args[0])))]
        for word in words(a, kind):
            mixed = wasm(
                op.I64_ADD,
                INT,
                wasm(op.I64_MUL, INT, local(found), integer(1000003)),
                self._hash(settle(word.type), word),
            )
            body.append(Let(found, mixed))
        return [*body, Return(local(found))]

    def _has_key(self, kind: Type, key: Expr, keys: Expr) -> Expr:
        held = Variable(".key", key.type)
        found = library(
            "dicts.has",
            BOOL,
            keys,
            Expr("bits", INT, (local(held),)),
            self._hash(kind, local(held)),
            self._equality(kind),
        )
        return Expr("block", BOOL, (found,), [Let(held, key)])

    # Texts

    def _str(self, kind: Type, value: Expr) -> Expr:
        return value if kind == STR else self._repr(kind, value)

    def _repr(self, kind: Type, value: Expr) -> Expr:
        if kind == INT:
            return library("texts.from_int", STR, value)
        if kind == FLOAT:
            return library("texts.from_float", STR, value)
        if kind == BOOL:
            return Expr("if", STR, (value, text("True"), text("False")))
        if kind == STR:
            return library("texts.quote", STR, value)
        if kind == BYTES:
            return library("octets.quote", STR, value)
        if kind.kind == "None":
            return Expr("block", STR, (text("None"),), [Do(value)])
        return Expr("call", STR, (value,), self._function("repr", kind, 1, STR))

    def _show_words(self, kind: Type) -> Expr:
        """Return the number in the table of the function that shows a word."""
        name = f"show {kind}"
        if name not in self.functions:
            param = Variable("a", INT, parameter=True)
            function = self.functions[name] = Function(name, [param], INT, file=-1, raises=False)
            shown = self._repr(kind, Expr("from_bits", kind, (local(param),)))
            function.body = [Return(Expr("bits", INT, (shown,)))]
        return Expr("table", INT, (), self.functions[name])

    def _repr_body(self, kind: Type, a: Expr) -> list[Stmt]:
        if kind.kind == "list":
            return [Return(library("lists.show", STR, a, self._show_words(kind.args[0])))]
        if kind.kind == "dict":
            return [Return(library("dicts.show", STR, a, *(self._show_words(arg) for arg in kind.args)))]
        if kind.kind == "optional":
            inner = kind.args[0]
            return [
                If(wasm(op.I32_EQZ, BOOL, a), [Return(text("None"))]),
                Return(self._repr(inner, some(a, inner))),
            ]
        parts: list[Expr] = []
        if kind.kind == "struct" and kind.struct is not None:
            parts.append(text(f"{kind.struct.name.rpartition('.')[2]}("))
            for position, (field, word) in enumerate(zip(kind.struct.fields, words(a, kind), strict=True)):
                parts += [text(f"{', ' if position else ''}{field}="), self._repr(settle(word.type), word)]
        else:
            parts.append(text("("))
            for position, word in enumerate(words(a, kind)):
                parts += [*([text(", ")] if position else []), self._repr(settle(word.type), word)]
            if len(kind.args) == 1:
                parts.append(text(","))
        return [Return(concatenate([*parts, text(")")]))]

    # JSON

    def _json(self, kind: Type, value: Expr) -> Expr:
        if kind == INT:
            return library("texts.from_int", STR, value)
        if kind == FLOAT:
            return library("kit.json_float", STR, value)
        if kind == BOOL:
            return Expr("if", STR, (value, text("true"), text("false")))
        if kind == STR:
            return library("kit.json_text", STR, value)
        if kind.kind == "None":
            return Expr("block", STR, (text("null"),), [Do(value)])
        made = self._function("json", kind, 1, STR)
        made.raises = True  # of a float that is not finite
        return Expr("call", STR, (value,), made)

    def _json_words(self, kind: Type, what: str = "json") -> Expr:
        """Return the number in the table of the function that writes a word as JSON."""
        name = f"{what} of {kind}"
        if name not in self.functions:
            param = Variable("a", INT, parameter=True)
            function = self.functions[name] = Function(name, [param], INT, file=-1)
            shown = self._json(kind, Expr("from_bits", kind, (local(param),)))
            if what == "key" and kind == INT:
                shown = concatenate([text('"'), shown, text('"')])
            function.body = [Return(Expr("bits", INT, (shown,)))]
        return Expr("table", INT, (), self.functions[name])

    def _json_body(self, kind: Type, a: Expr) -> list[Stmt]:
        if kind.kind == "list":
            return [Return(library("lists.show", STR, a, self._json_words(kind.args[0])))]
        if kind.kind == "dict":
            key, value = kind.args
            shown = self._json_words(key, "key"), self._json_words(value)
            return [Return(library("dicts.show", STR, a, *shown))]
        if kind.kind == "optional":
            inner = kind.args[0]
            none = If(wasm(op.I32_EQZ, BOOL, a), [Return(text("null"))])
            return [none, Return(self._json(inner, some(a, inner)))]
        names = list(kind.struct.fields) if kind.struct is not None else []
        parts: list[Expr] = []
        for position, word in enumerate(words(a, kind)):
            head = ", " if position else ""
            parts.append(text(head + (f'"{names[position]}": ' if names else "")))
            parts.append(self._json(settle(word.type), word))
        opened, closed = "{}" if kind.struct is not None else "[]"
        return [Return(concatenate([text(opened), *parts, text(closed)]))]


def concatenate(parts: list[Expr]) -> Expr:
    """Return texts joined, in one allocation where there are several."""
    if not parts:
        return text("")
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        return library("texts.concat", STR, *parts)
    if len(parts) <= 4:
        empty = [text("")] * (4 - len(parts))
        return library("texts.concat_four", STR, *parts, *empty)
    return library("texts.concat_four", STR, *parts[:3], concatenate(parts[3:]))


def words(value: Expr, kind: Type) -> list[Expr]:
    """Return what an object's words hold."""
    if kind.kind == "struct" and kind.struct is not None:
        kinds = [field.type for field in kind.struct.fields.values()]
    else:
        kinds = list(kind.args)
    found = []
    for position, item in enumerate(kinds):
        opcode, alignment = op.LOADS[find(item).core]
        found.append(Expr("load", settle(item), (value,), (opcode, alignment, position * 8)))
    return found


def some(value: Expr, kind: Type) -> Expr:
    """Return an optional that is not None."""
    if kind.kind in ("int", "float", "bool"):
        opcode, alignment = op.LOADS[kind.core]
        return Expr("load", kind, (value,), (opcode, alignment, 0))
    return Expr("block", kind, (value,), [])
