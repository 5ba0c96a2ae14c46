"""Exports: functions whose arguments and results cross the boundary by the ABI `linear` (see docs/abi.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Function,
    If,
    Let,
    Return,
    Stmt,
    Variable,
    While,
    integer,
    library,
    local,
    wasm,
)
from echelon.plugin.compilers.python.types import BOOL, BYTES, FLOAT, INT, NONE, STR, Struct, Type, settle
from echelon.runtime.signature import MAX_DEPTH, Value
from echelon.runtime.signature import Function as Signed

MAX_LENGTH: Final = 4000
"""Characters of a type that can cross."""

_BRACKETS: Final = {"list": "list", "optional": "option", "tuple": "tuple", "dict": "map"}
_NUMBERS: Final = {"int": "i64", "float": "f64", "bool": "bool"}
_IN_MEMORY: Final = ("str", "byt", "lis", "jso", "opt", "rec", "tup", "map")
_ADDRESS: Final = Type("address")
_SIZES: Final = {"int": 8, "float": 8, "bool": 1}


class _Wires:
    """What callers see of the types of one value; each class is looked at once."""

    def __init__(self) -> None:
        self._classes: dict[str, str | None] = {}

    def of(self, kind: Type) -> str | None:
        kind = settle(kind)
        if kind.kind in _NUMBERS:
            return _NUMBERS[kind.kind]
        if kind in (STR, BYTES):
            return kind.kind
        if kind.struct is not None:
            return self._of_class(kind.struct)
        if kind.kind not in _BRACKETS or not kind.args:
            return None
        inner = [self.of(arg) for arg in kind.args]
        if None in inner or (kind.kind == "dict" and not _is_key(kind.args[0])):
            return None
        return f"{_BRACKETS[kind.kind]}<{', '.join(map(str, inner))}>"

    def _of_class(self, struct: Struct) -> str | None:
        if struct.name in self._classes:
            return self._classes[struct.name]
        self._classes[struct.name] = None  # as long as it is not known, or what it holds holds it
        if not struct.is_dataclass or "." in struct.name or not struct.fields:
            return None
        fields, length = [], 0
        for field in struct.fields.values():
            found = self.of(field.type)
            length += len(found or "") + len(field.name)
            if found is None or length > MAX_LENGTH:
                return None
            fields.append(f"{field.name}: {found}")
        self._classes[struct.name] = "record{" + ", ".join(fields) + "}"
        return self._classes[struct.name]


def wire(kind: Type) -> str | None:
    """Return what a caller sees of a type, None for one that cannot cross."""
    found = _Wires().of(kind)
    if found is None or len(found) > MAX_LENGTH or _depth(found) > MAX_DEPTH:
        return None
    return found


def _depth(text: str) -> int:
    deepest = depth = 0
    for letter in text:
        depth += (letter in "<{") - (letter in ">}")
        deepest = max(deepest, depth)
    return deepest


def _is_key(kind: Type) -> bool:
    """Tell whether a caller can have a value as a key: not what arrives as a dict."""
    kind = settle(kind)
    return (
        kind.kind in _NUMBERS
        or kind in (STR, BYTES)
        or (kind.kind == "tuple" and all(map(_is_key, kind.args)))
    )


def results(kind: Type) -> list[Type]:
    """Return the types of the results of a function: a tuple has several."""
    kind = settle(kind)
    if kind == NONE:
        return []
    return list(kind.args) if kind.kind == "tuple" and len(kind.args) > 1 else [kind]


def signed(function: Function) -> Signed | str:
    """Return a function's signature for callers, or which of its values cannot cross."""
    params = []
    for param in function.params:
        kind = wire(param.type)
        if kind is None:
            return f"its parameter {param.name} is {settle(param.type)}"
        params.append(Value(kind, param.name))
    found = []
    for result in results(function.result):
        kind = wire(result)
        if kind is None:
            return f"its result is {settle(function.result)}"
        found.append(Value(kind))
    return Signed(function.name, tuple(params), tuple(found))


def needs_memory(signature: Signed) -> bool:
    """Tell whether arguments lie in memory."""
    return any(value.type[:3] in _IN_MEMORY for value in signature.params)


def export_allocate() -> Function:
    """Return the function by which the host asks for memory."""
    size = Variable("size", _ADDRESS, parameter=True)
    made = Function("allocate (export)", [size], _ADDRESS, file=-1)
    made.body = [Return(Expr("from_bits", _ADDRESS, (library("memory.block", INT, local(size)),)))]
    return made


def _slots(kind: Type) -> list[Type]:
    """Return what a value takes as a parameter."""
    if kind.kind in _NUMBERS:
        return [kind]
    if kind.kind == "optional" and kind.args[0].kind in _NUMBERS:
        return [BOOL, kind.args[0]]
    return [_ADDRESS, _ADDRESS]


def _size(kind: Type) -> int:
    """Return how many bytes a value takes in memory."""
    if kind.kind in _SIZES:
        return _SIZES[kind.kind]
    if kind.kind == "optional" and kind.args[0].kind in _SIZES:
        return 2 * _SIZES[kind.args[0].kind]
    return 8


def _alignment(kind: Type) -> int:
    if kind.kind == "optional":
        return _alignment(kind.args[0])
    return _SIZES.get(kind.kind, 4)


def _row(kinds: Sequence[Type]) -> tuple[list[int], int]:
    """Return where values of several types lie in a row, and the size of that."""
    starts, size = [], 0
    for kind in kinds:
        size += -size % _alignment(kind)
        starts.append(size)
        size += _size(kind)
    return starts, size + -size % max(map(_alignment, kinds))


def _members(kind: Type) -> list[Type]:
    """Return the types of a tuple's items, of a class's fields, or of a dict's keys and values."""
    if kind.struct is not None:
        return [settle(field.type) for field in kind.struct.fields.values()]
    return [settle(arg) for arg in kind.args]


class Crossing:
    """Makes the exported functions of one module, and those that they need."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def export(self, function: Function) -> Function:
        """Return the function that is exported: it begins a call, converts, and ends the call."""
        params: list[Variable] = []
        given: list[Expr] = []
        for param in function.params:
            kind = settle(param.type)
            slots = [Variable(param.name, slot, parameter=True) for slot in _slots(kind)]
            params += slots
            given.append(self._take_param(kind, [local(slot) for slot in slots]))
        body: list[Stmt] = [Do(library("memory.begin", NONE))]
        called = Expr("call", function.result, tuple(given), function, function.line)
        end = Do(library("memory.end", NONE))
        kinds = results(function.result)
        made = Function(f"{function.name} (export)", params, NONE, file=-1)
        if not kinds:
            made.body = [*body, Do(called), end]
            return made
        result = Variable("result", function.result)
        body.append(Let(result, called))
        made.result, more = self._give(kinds, settle(function.result), result)
        made.body = [*body, *more[:-1], end, more[-1]]
        return made

    # Arguments

    def _take_param(self, kind: Type, slots: list[Expr]) -> Expr:
        if kind.kind in _NUMBERS:
            return slots[0]
        if kind.kind == "optional":
            inner = kind.args[0]
            if inner.kind in _NUMBERS:
                boxed = Expr("new", kind, (slots[1],), 8)
                return Expr("if", kind, (slots[0], boxed, Expr("none", kind)))
            value = self._take_param(inner, slots)
            return Expr("if", kind, (slots[0], Expr("block", kind, (value,), []), Expr("none", kind)))
        return self._take_pointer(kind, *slots)

    def _take_pointer(self, kind: Type, place: Expr, length: Expr) -> Expr:
        """Return what lies at an address with a length."""
        if kind == STR:
            return library("crossing.text_from", STR, place, length)
        if kind == BYTES:
            return library("crossing.octets_from", BYTES, place, length)
        if kind.kind in ("struct", "tuple"):
            return Expr("call", kind, (place, length), self._function("take", kind, self._take_object))
        if kind.kind == "dict":
            return Expr("call", kind, (place, length), self._function("take", kind, self._take_dict))
        if kind.args[0] in (INT, FLOAT):
            return library("crossing.list_from", kind, place, length)
        return Expr("call", kind, (place, length), self._function("take", kind, self._take_list))

    def _function(self, what: str, kind: Type, make: Callable[[Function, Type], None]) -> Function:
        name = f"{what} {kind}"
        if name not in self._functions:
            self._functions[name] = function = Function(name, [], kind, file=-1, raises=False)
            make(function, kind)
        return self._functions[name]

    def _take_list(self, function: Function, kind: Type) -> None:
        """Make a function that reads a list, item by item."""
        place, count = (Variable(name, _ADDRESS, parameter=True) for name in ("place", "count"))
        function.params = [place, count]
        found, at = Variable("found", kind), Variable("at", _ADDRESS)
        item = kind.args[0]
        value = self._take(item, local(place))
        step = Let(place, wasm(op.I32_ADD, _ADDRESS, local(place), _small(_size(item))))
        function.body = [
            Let(found, library("lists.make", kind, wasm(op.I64_EXTEND_U, INT, local(count)))),
            Let(at, _small(0)),
            While(
                wasm(op.I32_LT_U, BOOL, local(at), local(count)),
                [Do(Expr("set_word", NONE, (local(found), local(at), value)))],
                [],
                [step, Let(at, wasm(op.I32_ADD, _ADDRESS, local(at), _small(1)))],
            ),
            Return(local(found)),
        ]

    def _take_object(self, function: Function, kind: Type) -> None:
        """Make a function that reads a tuple or an object of a class, as it would be without its `__post_init__`."""
        place, size = (Variable(name, _ADDRESS, parameter=True) for name in ("place", "size"))
        function.params = [place, size]
        kinds = _members(kind)
        values = [
            self._take(each, _behind(place, at)) for each, at in zip(kinds, _row(kinds)[0], strict=True)
        ]
        function.body = [Return(Expr("new", kind, tuple(values), 8 * len(kinds)))]

    def _take_dict(self, function: Function, kind: Type) -> None:
        """Make a function that reads a dict, entry by entry."""
        place, count = (Variable(name, _ADDRESS, parameter=True) for name in ("place", "count"))
        function.params = [place, count]
        found, at = Variable("found", kind), Variable("at", _ADDRESS)
        key, value = _members(kind)
        held, word = Variable("key", key), Variable("word", INT)
        starts, size = _row([key, value])
        stored = library(
            "dicts.set_item", NONE, local(found), _bits(local(held)), derived.hash_of(key, local(held)),
            derived.equality(key), local(word),
        )  # fmt: skip
        function.body = [
            Let(found, library("dicts.new", kind, wasm(op.I64_EXTEND_U, INT, local(count)))),
            Let(at, _small(0)),
            While(
                wasm(op.I32_LT_U, BOOL, local(at), local(count)),
                [
                    Let(held, self._take(key, local(place))),
                    Let(word, _bits(self._take(value, _behind(place, starts[1])))),
                    Do(stored),
                ],
                [],
                [Let(place, _behind(place, size)), Let(at, wasm(op.I32_ADD, _ADDRESS, local(at), _small(1)))],
            ),
            Return(local(found)),
        ]

    def _take(self, kind: Type, place: Expr) -> Expr:
        """Return what lies at an address."""
        if kind == BOOL:
            return Expr("load", BOOL, (place,), (op.I32_LOAD8_U, 0, 0))
        if kind.kind in _NUMBERS:
            opcode, alignment = op.LOADS[kind.core]
            return Expr("load", kind, (place,), (opcode, alignment, 0))
        if kind.kind == "optional":
            inner = kind.args[0]
            if inner.kind in _NUMBERS:
                there = Expr("load", BOOL, (place,), (op.I32_LOAD8_U, 0, 0))
                behind = wasm(op.I32_ADD, _ADDRESS, place, _small(_size(inner)))
                boxed = Expr("new", kind, (self._take(inner, behind),), 8)
                return Expr("if", kind, (there, boxed, Expr("none", kind)))
            there = wasm(op.I32_NE, BOOL, _word(place, 0), _small(0))
            value = Expr("block", kind, (self._take(inner, place),), [])
            return Expr("if", kind, (there, value, Expr("none", kind)))
        return self._take_pointer(kind, _word(place, 0), _word(place, 4))

    # Results

    def _give(self, kinds: list[Type], result: Type, value: Variable) -> tuple[Type, list[Stmt]]:
        """Return what the exported function returns, and the statements that end with its return."""
        kind = kinds[0]
        if len(kinds) > 1:
            return self._give_several(kinds, result, value)
        if kind.kind in _NUMBERS:
            return kind, [Return(local(value))]
        if kind.kind == "optional" and kind.args[0].kind in _NUMBERS:
            return self._give_several([kind], Type("tuple", (kind,)), value)
        place = Variable("place", _ADDRESS)
        packed = Variable("packed", INT)
        return INT, [
            Let(place, _room(8)),
            *self._put(kind, local(place), local(value)),
            Let(packed, library("crossing.pair", INT, local(place))),
            Return(local(packed)),
        ]

    def _give_several(self, kinds: list[Type], result: Type, value: Variable) -> tuple[Type, list[Stmt]]:
        place = Variable("place", _ADDRESS)
        body: list[Stmt] = []
        at = 0
        for number, kind in enumerate(kinds):
            alignment = _alignment(kind)
            at = (at + alignment - 1) // alignment * alignment
            if len(kinds) == 1:
                item = local(value)
            else:
                opcode, hint = op.LOADS[kind.core]
                item = Expr("load", kind, (local(value),), (opcode, hint, number * 8))
            where = wasm(op.I32_ADD, _ADDRESS, local(place), _small(at))
            body += self._put(settle(kind), where, item)
            at += _size(settle(kind))
        return _ADDRESS, [Let(place, _room(at)), *body, Return(local(place))]

    def _put(self, kind: Type, place: Expr, value: Expr) -> list[Stmt]:
        """Return statements that write a value to an address."""
        if kind == BOOL:
            return [Do(Expr("store", NONE, (place, value), (op.I32_STORE8, 0, 0)))]
        if kind.kind in _NUMBERS:
            opcode, alignment = op.STORES[kind.core]
            return [Do(Expr("store", NONE, (place, value), (opcode, alignment, 0)))]
        if kind == STR:
            return [Do(library("crossing.put_text", NONE, value, place))]
        if kind == BYTES:
            return _put_pair(place, _word(value, 0), _word(value, 4))
        held = Variable("held", kind)
        if kind.kind in ("struct", "tuple"):
            written = Expr("call", _ADDRESS, (local(held),), self._function("give", kind, self._give_object))
            return [Let(held, value), *_put_pair(place, written, _small(_row(_members(kind))[1]))]
        if kind.kind == "dict":
            written = Expr("call", _ADDRESS, (local(held),), self._function("give", kind, self._give_dict))
            return [Let(held, value), *_put_pair(place, written, _word(local(held), 4))]
        if kind.kind == "optional":
            inner = kind.args[0]
            there = wasm(op.I32_NE, BOOL, local(held), Expr("none", kind))
            if inner.kind in _NUMBERS:
                opcode, alignment = op.LOADS[inner.core]
                boxed = Expr("load", inner, (local(held),), (opcode, alignment, 0))
                behind = wasm(op.I32_ADD, _ADDRESS, place, _small(_size(inner)))
                flag = [Do(Expr("store", NONE, (place, there), (op.I32_STORE8, 0, 0)))]
                return [Let(held, value), *flag, If(there, self._put(inner, behind, boxed))]
            some = self._put(inner, place, Expr("block", inner, (local(held),), []))
            return [Let(held, value), If(there, some, _put_pair(place, _small(0), _small(0)))]
        if kind.args[0] in (INT, FLOAT):
            return [Let(held, value), *_put_pair(place, _word(local(held), 0), _word(local(held), 4))]
        given = self._function("give", kind, self._give_list)
        written = Expr("call", _ADDRESS, (local(held),), given)
        return [Let(held, value), *_put_pair(place, written, _word(local(held), 4))]

    def _give_object(self, function: Function, kind: Type) -> None:
        """Make a function that writes a tuple or an object, and returns where."""
        function.result = _ADDRESS
        value, place = Variable("value", kind, parameter=True), Variable("place", _ADDRESS)
        function.params = [value]
        starts, size = _row(_members(kind))
        function.body = [Let(place, _room(size))]
        for word, at in zip(derived.words(local(value), kind), starts, strict=True):
            function.body += self._put(settle(word.type), _behind(place, at), word)
        function.body.append(Return(local(place)))

    def _give_dict(self, function: Function, kind: Type) -> None:
        """Make a function that writes a dict, entry by entry, and returns where."""
        function.result = _ADDRESS
        value, number = Variable("value", kind, parameter=True), Variable("number", INT)
        found, place = (Variable(name, _ADDRESS) for name in ("found", "place"))
        function.params = [value]
        key, item = _members(kind)
        starts, size = _row([key, item])
        total = wasm(op.I64_MUL, INT, wasm(op.I64_EXTEND_U, INT, _word(local(value), 4)), integer(size))
        following = library("dicts.next_entry", INT, local(value), local(number))
        words = [
            Expr("from_bits", each, (library(f"dicts.{what}_at", INT, local(value), local(number)),))
            for each, what in ((key, "key"), (item, "value"))
        ]
        function.body = [
            Let(found, Expr("from_bits", _ADDRESS, (library("memory.allocate", INT, total),))),
            Let(place, local(found)),
            Let(number, library("dicts.next_entry", INT, local(value), integer(-1))),
            While(
                wasm(op.I64_GE_S, BOOL, local(number), integer(0)),
                [
                    *self._put(key, local(place), words[0]),
                    *self._put(item, _behind(place, starts[1]), words[1]),
                ],
                [],
                [Let(place, _behind(place, size)), Let(number, following)],
            ),
            Return(local(found)),
        ]

    def _give_list(self, function: Function, kind: Type) -> None:
        """Make a function that writes a list, item by item, and returns where."""
        function.result = _ADDRESS
        items = Variable("items", kind, parameter=True)
        function.params = [items]
        item = kind.args[0]
        found, at, place = (Variable(name, _ADDRESS) for name in ("found", "at", "place"))
        word = Expr("item_at", item, (local(items), wasm(op.I64_EXTEND_U, INT, local(at))))
        count = _word(local(items), 4)
        total = wasm(op.I64_MUL, INT, wasm(op.I64_EXTEND_U, INT, count), integer(_size(item)))
        function.body = [
            Let(found, Expr("from_bits", _ADDRESS, (library("memory.allocate", INT, total),))),
            Let(place, local(found)),
            Let(at, _small(0)),
            While(
                wasm(op.I32_LT_U, BOOL, local(at), _word(local(items), 4)),
                self._put(item, local(place), word),
                [],
                [
                    Let(place, wasm(op.I32_ADD, _ADDRESS, local(place), _small(_size(item)))),
                    Let(at, wasm(op.I32_ADD, _ADDRESS, local(at), _small(1))),
                ],
            ),
            Return(local(found)),
        ]


def _bits(value: Expr) -> Expr:
    return Expr("bits", INT, (value,))


def _behind(place: Variable, offset: int) -> Expr:
    return wasm(op.I32_ADD, _ADDRESS, local(place), _small(offset)) if offset else local(place)


def _small(value: int) -> Expr:
    return Expr("small", _ADDRESS, (), value)


def _word(place: Expr, offset: int) -> Expr:
    """Return an address or a length that lies in memory."""
    return Expr("load", _ADDRESS, (place,), (op.I32_LOAD, 2, offset))


def _room(size: int) -> Expr:
    return Expr("from_bits", _ADDRESS, (library("memory.allocate", INT, integer(size)),))


def _put_pair(place: Expr, first: Expr, second: Expr) -> list[Stmt]:
    return [
        Do(Expr("store", NONE, (place, first), (op.I32_STORE, 2, 0))),
        Do(Expr("store", NONE, (place, second), (op.I32_STORE, 2, 4))),
    ]
