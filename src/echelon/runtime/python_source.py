"""The source of decorated Python functions: they, what they call, and the constants that they use, as one program.

Lines stay where they are in the file, so that what is said of the program is true of the file.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from echelon.errors import CompileError, ConfigError, Diagnostic

_CONSTANTS: Final = (int, float, bool, str, bytes, type(None))
_MODULES: Final = {"math", "dataclasses", "typing"}
_ONLY_CONSTANTS: Final = "pass it as an argument: only constants are taken"
_COMPILED: Final = "__echelon_python__"
"""The attribute by which a decorated function is known, with the function itself as its value."""

Definition = ast.FunctionDef | ast.ClassDef


def original(value: Any) -> Any:
    """Return the Python function of a decorated one, and everything else as it is."""
    return getattr(value, _COMPILED, value)


def check(function: Callable[..., Any]) -> None:
    """Raise ConfigError for what cannot be decorated: methods, coroutines, generators, lambdas, what has no file."""
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.isfunction(function):
        raise ConfigError(f"{name}: only a function can be compiled")
    within = name.rpartition(".")[0]
    if function.__name__ == "<lambda>":
        raise ConfigError("a lambda cannot be compiled: give it a name with def")
    if within and not within.endswith("<locals>"):
        raise ConfigError(f"{name} is a method: decorate a function of the module")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(f"{name} is async or a generator: write it as a plain function")
    if function.__name__.startswith("_"):
        raise ConfigError(f"{name} is private, and is not exported: give it a name without _")
    if not linecache.getlines(function.__code__.co_filename, function.__globals__):
        raise ConfigError(f"{name} has no source: define it in a file")


def program(functions: Iterable[Callable[..., Any]]) -> str:
    """Return the source of functions of one file, and of what they use; raises CompileError."""
    functions = list(functions)
    first = functions[0]
    gathering = _Gathering(first.__code__.co_filename, first.__globals__)
    for function in functions:
        gathering.take(function)
    return gathering.text()


@dataclass
class _Gathering:
    """What a program is made of, while it is gathered."""

    file: str
    names: dict[str, Any]
    lines: list[str] = field(init=False)
    tree: ast.Module = field(init=False)
    nodes: dict[int, ast.stmt] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines = linecache.getlines(self.file, self.names)
        self.tree = ast.parse("".join(self.lines))
        self._known = {node.name: node for node in self.tree.body if isinstance(node, Definition)}
        self._imports = _imports(self.tree)

    def take(self, function: Callable[..., Any]) -> None:
        """Add a function, wherever in the file it is defined."""
        code = function.__code__
        node, around = _find(self.tree, code.co_firstlineno, function.__name__)
        cells = function.__closure__ or ()
        captured: dict[str, Any] = {}
        for name, cell in zip(code.co_freevars, cells, strict=True):
            try:
                captured[name] = cell.cell_contents
            except ValueError:
                self._refuse(node, f"{name} has no value yet", "give it one before the application starts")
            if _bindings(around, name) != 1:
                self._refuse(node, f"{name} is a variable of the function around it", _ONLY_CONSTANTS)
        self._add(node, captured, decorators=1)

    def _add(self, node: ast.stmt, captured: dict[str, Any], decorators: int = 0) -> None:
        """Add a definition or an import, and what it uses."""
        if node.lineno in self.nodes:
            return
        self.nodes[node.lineno] = node
        if isinstance(node, ast.FunctionDef) and len(node.decorator_list) > decorators:
            self._refuse(node.decorator_list[-1], f"{node.name} has another decorator", "take it off")
        if not isinstance(node, Definition):
            return
        own = _names_bound(node) if isinstance(node, ast.FunctionDef) else set()
        skipped = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        for part in ast.iter_child_nodes(node):
            if part in skipped:
                continue
            for name in ast.walk(part):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load) and name.id not in own:
                    self._use(name, captured)

    def _use(self, node: ast.Name, captured: dict[str, Any]) -> None:
        """Add what a name stands for, where it is not the function's own."""
        name = node.id
        if name in captured:
            value = captured[name]
            if not _is_constant(value):
                self._refuse(
                    node,
                    f"{name} is of type {type(value).__name__}",
                    _ONLY_CONSTANTS,
                )
            self._constant(node, name, value)
        elif name in self._imports:
            self._add(self._imports[name], {})
        elif name in self._known:
            found = original(self.names.get(name))
            if inspect.isfunction(found) and found.__code__.co_filename != self.file:
                self._refuse(node, f"{name} is a function of another file", "define it in this one")
            self._add(self._known[name], {}, decorators=int(found is not self.names.get(name)))
        elif name in self.names and not hasattr(builtins, name):
            self._global(node, name)

    def _global(self, node: ast.Name, name: str) -> None:
        value = self.names[name]
        if inspect.isfunction(original(value)) or inspect.isclass(value) or inspect.ismodule(value):
            self._refuse(
                node, f"{name} is not of this file", "use what the file defines, math and dataclasses"
            )
        if not _is_constant(value):
            self._refuse(
                node,
                f"{name} is of type {type(value).__name__}",
                _ONLY_CONSTANTS,
            )
        if _bindings(self.tree, name) > 1:
            self._refuse(
                node,
                f"{name} is a variable of the module",
                _ONLY_CONSTANTS,
            )
        self._constant(node, name, value)

    def _constant(self, node: ast.Name, name: str, value: Any) -> None:
        written = _written(value)
        if self.constants.setdefault(name, written) != written:
            self._refuse(node, f"{name} stands for two values", "give one of them another name")

    def _refuse(self, node: ast.AST, message: str, hint: str) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        text = self.lines[line - 1].rstrip()
        found = Diagnostic(
            line, column + 1, "error", f"{message}; {hint}\n{text}\n{' ' * column}^", self.file
        )
        raise CompileError(str(found), [found])

    def text(self) -> str:
        """Return the program: every line of it where the file has it, the constants on a line that is free."""
        kept = [""] * len(self.lines)
        for node in self.nodes.values():
            first = node.lineno
            if isinstance(node, ast.ClassDef) and node.decorator_list:
                first = node.decorator_list[0].lineno
            within = _inside_texts(node)
            for number in range(first, (node.end_lineno or first) + 1):
                line = self.lines[number - 1].rstrip("\r\n")
                kept[number - 1] = line if number in within else line[node.col_offset :]
        written = "; ".join(f"{name} = {value}" for name, value in self.constants.items())
        if written and not kept[0]:
            kept[0] = written
        elif written:
            kept.append(written)
        return "\n".join(kept) + "\n"


def _imports(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the imports at the top of a file that typed Python knows, by the names that they bind."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if (isinstance(node, ast.Import) and all(item.name in _MODULES for item in node.names)) or (
            isinstance(node, ast.ImportFrom) and node.module in _MODULES
        ):
            found |= {item.asname or item.name: node for item in node.names}
    return found


def _find(tree: ast.Module, line: int, name: str) -> tuple[ast.FunctionDef, ast.AST]:
    """Return the function that begins at a line, and the function or module around it."""
    around: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while around:
        scope, node = around.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) and child.name == name:
                decorated = [item.lineno for item in child.decorator_list]
                if line in (child.lineno, *decorated):
                    return child, scope
            inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope
            around.append((inner, child))
    changed = f"{name} is not at line {line}: the file has changed since it was imported; start again"
    raise CompileError(changed, [Diagnostic(line, 1, "error", changed)])


def _bindings(scope: ast.AST, name: str) -> int:
    """Count what gives a name of a scope its value; whatever functions within do to it counts, too."""
    count = 0
    for node in ast.walk(scope):
        if (isinstance(node, ast.Global | ast.Nonlocal) and name in node.names) or (
            isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name
        ):
            count += 2
    return count + sum(_binds(node, name) for node in _own(scope))


def _names_bound(function: ast.FunctionDef) -> set[str]:
    """Return the names that a function gives a value itself: parameters and variables."""
    found = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    return found | {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }


def _own(scope: ast.AST) -> Iterable[ast.AST]:
    """Yield the nodes of a scope without those of the functions and classes inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.arg):
        return node.arg == name
    return isinstance(node, ast.alias) and (node.asname or node.name) == name


def _inside_texts(node: ast.AST) -> set[int]:
    """Return the lines that begin inside a text, which must not be moved to the left."""
    found: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr) or (
            isinstance(part, ast.Constant) and isinstance(part.value, str | bytes)
        ):
            found |= set(range(part.lineno + 1, (part.end_lineno or part.lineno) + 1))
    return found


def _is_constant(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return type(value) in _CONSTANTS


def _written(value: Any) -> str:
    if type(value) is tuple:
        return "(" + "".join(f"{_written(item)}, " for item in value) + ")"
    return f'float("{value}")' if type(value) is float else repr(value)
