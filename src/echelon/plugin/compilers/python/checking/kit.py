"""The guest kit, `echelon.guest`: a program of its own that is compiled with the one that imports it.

Its names are those of the file with `guest.` before them, which no program can write; a program's import makes them
names of the program. What a caller passes as `Key`, `Value`, `Content` or `Json` is encoded where it is passed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from echelon import guest
from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python.checking.source import parse_own, refuse
from echelon.plugin.compilers.python.tree import Do, Expr, Function, Let, integer, library, local
from echelon.plugin.compilers.python.types import BYTES, INT, STR, Type, find

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.checking.program import Program
    from echelon.plugin.compilers.python.checking.scope import Scope

MODULE: Final = "echelon.guest"
PREFIX: Final = "guest."
FILE: Final = -1
"""The number of a file that is not the user's."""

NAMES: Final = (
    "Answer", "Atomic", "Commit", "Entry", "Headers", "Request", "Response", "Stored", "env", "fetch", "kv", "log",
)  # fmt: skip
"""What a program can import."""

OPEN: Final = {"Key": BYTES, "Json": STR, "Value": None, "Content": None}
"""Types of which a caller may pass several, and what carries them; None is `Stored`."""

_HOST: Final = {
    "_env_get": "env_get", "_log": "log", "_kv_get": "kv_get", "_kv_set": "kv_set", "_kv_delete": "kv_delete",
    "_kv_list": "kv_list", "_kv_atomic": "kv_atomic", "_fetch": "fetch", "_u32": "u32", "_i64": "i64", "_f64": "f64",
    "_read_u32": "read_u32", "_read_i64": "read_i64", "_read_f64": "read_f64", "_joined": "joined",
}  # fmt: skip
_NONE: Final = ast.Constant(None)
_SAME: Final = frozenset({"_packed", "_packed_or_none", "_stored", "_encoded", "_as_json"})
"""Functions whose argument is encoded by their caller's caller: compiled, it is what they return."""

_CALLED: Final = {"guest._Log": "info"}
"""The method by which an object of the kit is called itself."""

_PARTS: Final = {
    "str": "_part_of_text", "int": "_part_of_int", "float": "_part_of_float", "bool": "_part_of_bool",
    "bytes": "_part_of_bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The kit's file with its own names; `objects` are names that stand for an object of a class."""

    body: list[ast.stmt]
    objects: dict[str, str] = field(default_factory=dict)
    host: dict[str, ast.FunctionDef] = field(default_factory=dict)


class _Named(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self._names:
            node.id = PREFIX + node.id
        return node


@lru_cache(1)
def source() -> Source:
    """Return the kit, parsed once."""
    tree = parse_own(Path(guest.__file__).read_text("utf-8"))
    body: list[ast.stmt] = []
    objects = {}
    host = {}
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [item for item in node.body if getattr(item, "name", "") != "__call__"]
        elif isinstance(node, ast.FunctionDef):
            if node.name in _HOST:
                host[node.name] = node
            if node.decorator_list or node.name in _HOST or node.name in _SAME:
                continue  # of overloads the function itself is compiled; the others are no functions of a module
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in OPEN or isinstance(node.value, ast.Constant):
                continue
            names.add(name)
            node.targets[0].id = PREFIX + name
            if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
                objects[PREFIX + name] = PREFIX + node.value.func.id
                continue
        else:
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
            node.name = PREFIX + node.name
        body.append(node)
    renamed = _Named(names)
    return Source([renamed.visit(node) for node in body], objects, host)


def bring(program: Program, node: ast.ImportFrom) -> None:
    """Give a program the names that it imports; the kit is declared by then."""
    for alias in node.names:
        if alias.name not in NAMES:
            refuse(node, f"{MODULE} has no {alias.name}", f"there are {', '.join(NAMES)}")
        name, own = alias.asname or alias.name, PREFIX + alias.name
        own = source().objects.get(own, own)
        if own in program.structs:
            program.structs[name] = program.structs[own]
        else:
            program.functions[name] = program.functions[own]
        if PREFIX + alias.name in source().objects:
            program.objects[name] = own


def open_type(node: ast.expr | None) -> str:
    """Return which of the open types an annotation of the kit names, "" for another."""
    if isinstance(node, ast.BinOp):
        node = node.left
    return node.id if isinstance(node, ast.Name) and node.id in OPEN else ""


def call(scope: Scope, node: ast.Call, name: str) -> Expr | None:
    """Return a call that only the kit's own file makes, or one of an object of the kit; None for any other."""
    program = scope.program
    if scope.function.file == FILE:
        if name in _SAME:
            return scope.check(node.args[0])
        if name in _HOST:
            key = f"kit.{_HOST[name]}"
            params, result = _host_types(name)
            args = [scope.check_as(arg, kind) for arg, kind in zip(node.args, params, strict=True)]
            return library(key, result, *args, line=node.lineno)
        return None
    if name in program.objects:
        from echelon.plugin.compilers.python.checking import calls

        method = _CALLED.get(program.objects[name])
        if method is None:
            refuse(node.func, f"{name} is called", f"call one of its methods, as in {name}.get(…)")
        target = program.methods[program.objects[name], method]
        return calls.call_function(scope, node, target, [], node.args, node.keywords)
    return None


def _host_types(name: str) -> tuple[list[Type], Type]:
    """Return what a function of the host takes and gives, by its annotations in the kit."""
    from echelon.plugin.compilers.python.checking.annotations import Annotations

    read = Annotations(lambda _: None, {}).read
    found = source().host[name]
    return [read(arg.annotation) for arg in found.args.args if arg.annotation], read(found.returns or _NONE)


def overload(scope: Scope, target: Function, node: ast.AST) -> Function:
    """Return the function that a call means: with a default `env` gives a text in any case."""
    given = len(node.args) + len(node.keywords) if isinstance(node, ast.Call) else 0
    if target.name == "guest.env" and given == 2 and scope.function.file != FILE:
        return scope.program.functions["guest._env_or"]
    return target


# What callers pass ------------------------------------------------------------------------------------------


def convert(scope: Scope, which: str, value: Expr, node: ast.AST, wanted: Type) -> Expr:
    """Return what a caller passes as an open type, encoded; raises Refusal."""
    kind = find(value.type)
    if kind.kind == "None" and wanted.kind == "optional":
        return scope.coerce(value, wanted, node)
    if which == "Key" and kind.kind == "optional" and wanted.kind == "optional":
        held, inner = scope.temporary(kind), kind.args[0]
        key = scope.coerce(_key(scope, derived.some(local(held), inner), node), wanted, node)
        found = Expr("if", wanted, (local(held), key, Expr("none", wanted)))
        return Expr("block", wanted, (found,), [Let(held, value)], value.line)
    if which == "Key":
        return scope.coerce(_key(scope, value, node), wanted, node)
    if which == "Json":
        return _json(value, node)
    if kind in (STR, BYTES):
        content = library("texts.encode", BYTES, value) if kind == STR else value
        number = 1 if kind == STR else 0
    elif which == "Content":
        refuse(node, f"a body is {kind}", "pass a str or bytes, or use Response.json(…)")
    else:
        content, number = library("texts.encode", BYTES, _json(value, node)), 2
    return Expr("new", wanted, (integer(number), content), 16, value.line)


def _json(value: Expr, node: ast.AST) -> Expr:
    problem = derived.json_problem(value.type)
    if problem:
        refuse(node, f"{problem} is no value of JSON", "pass numbers, texts, bool, lists, dicts, dataclasses")
    return derived.json(value.type, value)


def _key(scope: Scope, value: Expr, node: ast.AST) -> Expr:
    kind = find(value.type)
    if kind.kind == "list" and find(kind.args[0]) in (STR, INT):
        return _call(scope, "_key_of_texts" if find(kind.args[0]) == STR else "_key_of_ints", value)
    if kind.kind != "tuple":
        hint = "write it as a tuple: (key,)" if kind.kind in _PARTS else "pass a tuple, or a list of texts"
        refuse(node, f"a key is {kind}", hint)
    held = scope.temporary(kind)
    parts = [Expr("octets", BYTES, (), len(kind.args).to_bytes(4, "little"))]
    for word in derived.words(local(held), kind):
        part = _PARTS.get(find(word.type).kind)
        if part is None:
            refuse(node, f"a part of a key is {find(word.type)}", "parts are str, int, float, bool and bytes")
        parts.append(_call(scope, part, word))
    found = parts[0]
    for more in parts[1:]:
        found = library("octets.concat", BYTES, found, more)
    keep = Let(held, value) if len(parts) > 1 else Do(value)
    return Expr("block", BYTES, (found,), [keep], value.line)


def _call(scope: Scope, name: str, value: Expr) -> Expr:
    """Call a function of the kit's own."""
    target = scope.program.functions[PREFIX + name]
    scope.program.need(target)
    scope.function.calls.add(target)
    return Expr("call", target.result, (value,), target, value.line)


# HTTP -------------------------------------------------------------------------------------------------------


def answers(function: Function) -> bool:
    """Tell whether a function is what the host calls for a request; raises Refusal for one that nearly is."""
    takes = [str(param.type) for param in function.params]
    result = str(function.result)
    if function.name != "handle" or not {"guest.Request", "guest.Response"} & {*takes, result}:
        return False
    if takes != ["guest.Request"] or result != "guest.Response":
        at = ast.Pass(lineno=function.line, col_offset=0)
        refuse(at, "handle() does not fit", "write it as def handle(request: Request) -> Response")
    return True


def handler(program: Program, function: Function) -> Function:
    """Return the function from the bytes of a request to those of a response."""
    from echelon.plugin.compilers.python.tree import Return, Variable

    raw = Variable("request", BYTES, parameter=True)
    made = Function("handle", [raw], BYTES, file=FILE)
    value: Expr = local(raw)
    for target in (program.functions["guest._received"], function, program.functions["guest._sent"]):
        value = Expr("call", target.result, (value,), target, function.line)
        made.calls.add(target)
    made.body = [Return(value)]
    return made
