"""Annotations as types."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Final

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Type,
    dict_of,
    is_large,
    list_of,
    optional,
    set_of,
    tuple_of,
)

PLAIN: Final = {"int": INT, "float": FLOAT, "bool": BOOL, "str": STR, "bytes": BYTES, "None": NONE}
_SAME: Final = {"List": "list", "Dict": "dict", "Set": "set", "Tuple": "tuple"}
_CONTAINERS: Final = {"list": 1, "dict": 2, "set": 1}
_EXAMPLES: Final = {
    "list": "list[int]",
    "dict": "dict[str, int]",
    "set": "set[int]",
    "tuple": "tuple[int, str]",
}
_HINTS: Final = {
    "Any": "name the type that it has",
    "object": "name the type that it has",
    "complex": "keep two floats",
    "Callable": "call the function by its name",
    "Sequence": "write list[…]",
    "Iterable": "write list[…]",
    "Iterator": "return a list",
    "Mapping": "write dict[…, …]",
    "frozenset": "use set",
    "bytearray": "use bytes, or list[int]",
    "Union": "only T | None can be compiled",
}


class Annotations:
    """Reads annotations; `find` returns what a name of the program stands for: a class, or an alias."""

    def __init__(self, find: Callable[[str], Type | ast.expr | None], imported: Mapping[str, str]) -> None:
        self._find, self._imported = find, imported
        self._open: set[str] = set()
        self._read: dict[str, Type] = {}

    def read(self, node: ast.expr) -> Type:
        """Return the type; raises Refusal."""
        kind = self._type(node)
        if is_large(kind):
            refuse(node, "this consists of too many types", "use lists, or dataclasses with named fields")
        return kind

    def _type(self, node: ast.expr) -> Type:
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._either(node, [node.left, node.right])
        if isinstance(node, ast.Subscript):
            return self._generic(node)
        name = self._name(node)
        if name in PLAIN:
            return PLAIN[name]
        if name in _EXAMPLES:
            refuse(node, f"{name} does not say what it holds", f"write for example {_EXAMPLES[name]}")
        found = self._find(name)
        if isinstance(found, Type):
            return found
        if found is not None:
            if name in self._open:
                refuse(node, f"the type {name} is defined by itself", "define a dataclass")
            if name not in self._read:
                self._open.add(name)
                self._read[name] = self.read(found)
                self._open.discard(name)
            return self._read[name]
        known = "int, float, bool, str, bytes, list, tuple, dict, set and the classes of the program"
        refuse(node, f"{name or 'this'} is no type known here", _HINTS.get(name, f"there are {known}"))

    def _name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            name = self._imported.get(node.id, "").rpartition(".")[2] or node.id
            return _SAME.get(name, name)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return _SAME.get(node.attr, node.attr)
        return ""

    def _constant(self, node: ast.Constant) -> Type:
        if node.value is None:
            return NONE
        if not isinstance(node.value, str) or len(node.value) > 1000:
            refuse(node, "this is no type", "write int, str or another type")
        try:
            inner = ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
            refuse(node, f"{node.value[:40]!r} is no type", "write int, str or another type")
        for part in ast.walk(inner):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                refuse(node, "a type within quotes has quotes in it")
            ast.copy_location(part, node)
        return self.read(inner)

    def _either(self, node: ast.AST, parts: list[ast.expr]) -> Type:
        kinds = [self.read(part) for part in parts]
        rest = [kind for kind in kinds if kind != NONE]
        if len(rest) == len(kinds) or len(rest) != 1:
            refuse(
                node, f"{' | '.join(map(str, kinds))} is either of two types", "only T | None can be compiled"
            )
        return optional(rest[0])

    def _generic(self, node: ast.Subscript) -> Type:
        name = self._name(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional" and len(parts) == 1:
            return optional(self.read(parts[0]))
        if name == "Union":
            return self._either(node, list(parts))
        if name in ("Final", "ClassVar", "Annotated") and parts:
            return self.read(parts[0])
        if name == "tuple":
            return self._tuple(node, list(parts))
        if name not in _CONTAINERS:
            refuse(node, f"{name or 'this'}[…] is no type known here", _HINTS.get(name, ""))
        if len(parts) != _CONTAINERS[name]:
            refuse(node, f"{name} takes {_CONTAINERS[name]} type(s)", f"write for example {_EXAMPLES[name]}")
        kinds = [self.read(part) for part in parts]
        for kind, part in zip(kinds, parts, strict=True):
            if kind == NONE:
                refuse(part, f"{name} of None")
        if name == "list":
            return list_of(kinds[0])
        if not derived.is_hashable(kinds[0]):
            refuse(
                parts[0],
                f"{kinds[0]} cannot be a key",
                "use int, str, a tuple of them, or a frozen dataclass",
            )
        return set_of(kinds[0]) if name == "set" else dict_of(*kinds)

    def _tuple(self, node: ast.Subscript, parts: list[ast.expr]) -> Type:
        if any(isinstance(part, ast.Constant) and part.value is ... for part in parts):
            refuse(
                node,
                "the tuple has as many items as it may",
                "write list[…], or all the types: tuple[int, int]",
            )
        if len(parts) == 1 and isinstance(parts[0], ast.Tuple):
            parts = list(parts[0].elts)
        kinds = [self.read(part) for part in parts]
        if NONE in kinds:
            refuse(node, "a tuple holds None alone")
        return tuple_of(*kinds)
