"""The library as code: each function is compiled when a program first uses it, and kept for the process."""

from __future__ import annotations

import ast
import importlib
import inspect
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, Final

from echelon.plugin.compilers.python import exceptions
from echelon.plugin.compilers.python.checking import raw
from echelon.plugin.compilers.python.checking.annotations import PLAIN
from echelon.plugin.compilers.python.checking.checker import CHECKER
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import parse_own, refuse
from echelon.plugin.compilers.python.emitting import splicing
from echelon.plugin.compilers.python.emitting.emitter import Emitter
from echelon.plugin.compilers.python.emitting.splicing import Piece
from echelon.plugin.compilers.python.encoding import Code
from echelon.plugin.compilers.python.tree import Expr, Function, Variable
from echelon.plugin.compilers.python.types import Type

PACKAGE: Final = "echelon.plugin.compilers.python.library"
_RAISES: Final = "errors.fail"
_OPERATORS: Final = {
    ast.Pow: "floats.power",
    ast.FloorDiv: "integers.floor_divide",
    ast.Mod: "integers.modulo",
}
"""Functions that are called where these are written."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One function of the library before it is compiled."""

    key: str
    node: ast.FunctionDef
    module: ModuleType
    params: tuple[Type, ...]
    result: Type


class Library:
    """All of the library; may be used by several threads."""

    packs = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._modules: dict[str, tuple[ModuleType, dict[str, ast.FunctionDef]]] = {}
        self._sources: dict[str, _Source] = {}
        self._codes: dict[str, Code] = {}
        self._pieces: dict[str, Piece | None] = {}
        self._called: dict[str, set[str]] = {}
        self._raises: dict[str, bool] = {}

    def cores(self, key: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return what a function takes and returns."""
        source = self._source(key)
        results = () if source.result == PLAIN["None"] else (source.result.core,)
        return tuple(kind.core for kind in source.params), results

    def params(self, key: str) -> tuple[Type, ...]:
        return self._source(key).params

    def result(self, key: str) -> Type:
        return self._source(key).result

    def has(self, key: str) -> bool:
        """Tell whether there is such a function."""
        name, _, function = key.partition(".")
        try:
            return isinstance(getattr(self._module(name)[0], function, None), FunctionType)
        except ModuleNotFoundError:
            return False

    def raises(self, key: str) -> bool:
        """Tell whether a function may raise: whether `errors.fail` can be reached from it."""
        with self._lock:
            known = self._raises.get(key)
            if known is None:
                known = self._raises[key] = _RAISES in self._reached(key)
            return known

    def _reached(self, key: str) -> set[str]:
        """Return a function and all that it may call, by however many steps."""
        found = {self._source(key).key}
        waiting = list(found)
        while waiting:
            called = self._calls(waiting.pop()) - found
            found |= called
            waiting += called
        return found

    def _calls(self, key: str) -> set[str]:
        found = self._called.get(key)
        if found is None:
            source = self._source(key)
            found = self._called[key] = set()
            for node in ast.walk(source.node):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    found.add(_key_of(getattr(source.module, node.func.id, None)))
                elif isinstance(node, ast.operator):
                    found.add(_OPERATORS.get(type(node), ""))
            found.discard("")
        return found

    def code(self, key: str) -> Code:
        """Return a function's code."""
        with self._lock:
            source = self._source(key)
            code = self._codes.get(source.key)
            if code is None:
                code = self._codes[source.key] = self._compile(source)
            return code

    def piece(self, key: str) -> Piece | None:
        """Return a function that is short enough to be written out where it is called; none that calls itself is."""
        with self._lock:
            source = self._source(key)
            if source.key not in self._pieces:
                recursive = any(source.key in self._reached(called) for called in self._calls(source.key))
                self._pieces[source.key] = None if recursive else splicing.piece(self.code(source.key))
            return self._pieces[source.key]

    def _compile(self, source: _Source) -> Code:
        params = [
            Variable(argument.arg, kind, parameter=True)
            for argument, kind in zip(source.node.args.args, source.params, strict=True)
        ]
        function = Function(source.key, params, source.result, file=-1, raw=True, catchable=True)
        scope = Scope(_RawProgram(self, source.module), function, CHECKER)  # type: ignore[arg-type]  # what raw functions use of one
        function.body = scope.check_body(source.node.body)
        return Emitter(function, self).emit()

    def expand(self, node: Expr) -> Expr:
        raise AssertionError(node.op)

    def _module(self, name: str) -> tuple[ModuleType, dict[str, ast.FunctionDef]]:
        with self._lock:
            found = self._modules.get(name)
            if found is None:
                module = importlib.import_module(f"{PACKAGE}.{name}")
                tree = parse_own(inspect.getsource(module))
                functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
                found = self._modules[name] = (module, functions)
            return found

    def _source(self, key: str) -> _Source:
        """Return a function by "file.name"; a file may import it from another."""
        with self._lock:
            source = self._sources.get(key)
            if source is None:
                name, _, function = key.partition(".")
                target = getattr(self._module(name)[0], function, None)
                real = _key_of(target)
                if not real:
                    refuse(
                        None, f"the program needs {key}, which cannot be compiled", "write it in another way"
                    )
                module, nodes = self._module(real.partition(".")[0])
                node = nodes[real.partition(".")[2]]
                params = tuple(_kind(argument.annotation) for argument in node.args.args)
                source = _Source(real, node, module, params, _kind(node.returns))
                self._sources[key] = self._sources[real] = source
            return source


@lru_cache(1)
def library() -> Library:
    """Return the library of this process."""
    return Library()


def _key_of(target: object) -> str:
    """Return the key of a function of the library, "" for anything else and for what is an instruction."""
    if not isinstance(target, FunctionType) or not target.__module__.startswith(PACKAGE + "."):
        return ""
    name = target.__module__.removeprefix(PACKAGE + ".")
    return raw.CALLS.get(target.__name__, "") if name == "intrinsics" else f"{name}.{target.__name__}"


def _kind(node: ast.expr | None) -> Type:
    shown = (
        "None" if node is None else node.id if isinstance(node, ast.Name) else str(getattr(node, "value", ""))
    )
    return PLAIN[shown]


class _RawProgram:
    """What a function of the library sees of its file; the same members as a program's."""

    def __init__(self, library: Library, module: ModuleType) -> None:
        self._library = library
        self.namespace: Mapping[str, Any] = vars(module)
        self.functions: dict[str, Function] = {}
        self.structs: dict[str, Any] = {}
        self.methods: dict[tuple[str, str], Function] = {}
        self.modules: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.exceptions: dict[str, int] = {}
        self.parents: dict[int, int] = exceptions.PARENTS

    def library_result(self, key: str, _node: ast.AST) -> Type:
        return self._library.result(key)

    def constant(self, _scope: Scope, _node: ast.Name) -> Expr | None:
        return None

    def module_constant(self, _scope: Scope, _node: ast.Attribute) -> Expr | None:
        return None

    def annotation(self, node: ast.expr) -> Type:
        return _kind(node)

    def hint_for(self, _name: str) -> str:
        return ""

    def ensure_checked(self, _function: Function, node: ast.AST) -> None:
        refuse(node, "the library calls a function of a program")
