"""What a script exports, and what is wrong with it, found without running any of it."""

from __future__ import annotations

import ast
import marshal
import warnings
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

_NUMBERS = {"int": "i64", "float": "f64", "bool": "bool", "str": "str", "bytes": "bytes"}
_LISTS = frozenset({"list", "List", "Sequence", "Iterable"})
_MOST_PROBLEMS = 100
_LONGEST = 500


def check(entry: str, texts: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    """Return diagnostics and exports, and the script as `load` takes it, empty when there is an error."""
    problems: list[dict[str, Any]] = []
    codes: dict[str, CodeType] = {}
    for path, text in texts.items():
        if path != entry and path.partition("/")[0] in ("echelon", "echelon.py"):
            note(
                problems,
                path,
                "error",
                0,
                0,
                "the module `echelon` is the kit's; give this file another name",
            )
        if path == entry or path.endswith(".py"):
            code = _compile(path, text, problems)
            if code is not None:
                codes[path] = code
    found: dict[str, Any] = {"diagnostics": problems[:_MOST_PROBLEMS], "exports": {}}
    if any(problem["severity"] == "error" for problem in problems):
        return found, b""
    found["exports"] = exports(ast.parse(texts[entry]))
    return found, marshal.dumps((entry, codes, texts))


def note(
    problems: list[dict[str, Any]],
    path: str,
    severity: str,
    line: int | None,
    column: int | None,
    message: str,
) -> None:
    """Add a diagnostic; 0 stands for a place that is not known."""
    place = {"line": max(0, line or 0), "column": max(0, column or 0)}
    problems.append({"file": path, "severity": severity, "message": message[:_LONGEST], **place})


def _compile(path: str, text: str, problems: list[dict[str, Any]]) -> CodeType | None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        code = None
        try:
            code = compile(text, f"<{path}>", "exec", dont_inherit=True)
        except SyntaxError as exc:
            note(problems, path, "error", exc.lineno, exc.offset, f"{type(exc).__name__}: {exc.msg}")
        except (RecursionError, MemoryError):
            note(
                problems, path, "error", 0, 0, "the source is nested too deeply, or too large, to be compiled"
            )
        except ValueError as exc:
            note(problems, path, "error", 0, 0, f"ValueError: {exc}")
    for item in seen:
        note(problems, path, "warning", item.lineno, 1, f"{item.category.__name__}: {item.message}")
    return code


def exports(tree: ast.Module) -> dict[str, Any]:
    """Return the functions of a module that can be called, with what they take and return."""
    return {node.name: _function(node) for node in _functions(tree.body) if not node.name.startswith("_")}


def _functions(body: Iterable[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _functions([*node.body, *node.orelse])


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    taken = node.args
    params = [*taken.posonlyargs, *taken.args]
    return {
        "params": [{"name": param.arg, "type": type_of(param.annotation)} for param in params],
        "result": "none" if _is_none(node.returns) else type_of(node.returns),
        "required": len(params) - len(taken.defaults),
        "more": taken.vararg is not None,
    }


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def type_of(node: ast.expr | None) -> str:
    """Return the type of the signature that an annotation means, "json" for all that has no other."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "json"
    if isinstance(node, ast.Name):
        return _NUMBERS.get(node.id, "json")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = (node.left, node.right)
        kinds = [type_of(side) for side in sides if not _is_none(side)]
        return f"option<{kinds[0]}>" if len(kinds) == 1 and kinds[0] != "json" else "json"
    if isinstance(node, ast.Subscript):
        name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        inner = type_of(node.slice)
        if inner != "json" and not inner.startswith(("option", "list<list")):
            if name in _LISTS:
                return f"list<{inner}>"
            if name == "Optional":
                return f"option<{inner}>"
    return "json"
