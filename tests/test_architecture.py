"""How the source is built: which way imports point, what it may not contain, what the repository holds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from echelon import errors

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
MODULES = sorted(SRC.rglob("*.py"))

LAYERS = (
    ("errors", "types", "guest"),
    ("config", "telemetry"),
    ("runtime.permissions", "runtime.permission_rules", "runtime.audit"),
    ("kv", "http"),
    ("routing", "middleware", "jobs"),
    ("runtime",),
    ("plugin",),
    ("view", "console"),
    ("app",),
    ("cli",),
    ("__main__",),
)
"""The components, lowest first. A module imports from its own component and from layers below it."""

EXCEPTIONS = {
    ("config.kinds", "runtime.limits"): "sizes and times are read as limits read them",
    ("config.layers", "runtime.permissions"): "[permissions.NAME] is a Permissions",
    ("config.model", "runtime.permissions"): "[permissions.NAME] is a Permissions",
    ("config.model", "runtime.limits"): "[wasm.limits] is a Limits",
    ("config.sections", "runtime.limits"): "[wasm.limits] is a Limits",
    ("kv.opening", "runtime.limits"): "sizes are read as limits read them",
    ("kv.connect.mount", "http.response"): "a mount answers with a response",
    ("http.service", "routing"): "the service is where HTTP, routes and middleware meet",
    ("http.service", "middleware.errors"): "the service is where HTTP, routes and middleware meet",
    ("http.service", "middleware.pipeline"): "the service is where HTTP, routes and middleware meet",
    ("routing", "middleware.pipeline"): "a route folds its own middleware",
    (
        "runtime.core",
        "plugin.generator",
    ): "a runtime on its own compiles sources; imported when the first one comes",
    (
        "runtime.python_functions",
        "plugin.compilers.python.compiler",
    ): "what is said of a decorated function only its compiler knows; imported when it is asked",
}
"""Imports against the grain, or between components of one layer, and why each is right."""

LAZY = {
    ("runtime.core", "plugin.generator"),
    ("runtime.python_functions", "plugin.compilers.python.compiler"),
}
"""Imports that must stay inside a function, or two modules would need each other to be imported."""

NATIVE_FREE = ("permissions", "permission_rules", "audit", "environment", "clock", "lifecycle", "limits", "wasi",
               "filesystem", "host", "guest_kit", "signature", "result", "binary", "http_guest")  # fmt: skip
"""Modules of the runtime that must not load the engine."""

UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|\b(not (yet )?implemented|placeholder|dummy|for now)\b|raise NotImplementedError"
    r"|(?<!--)(?<!arguments\.)\bstub\b"
)
ABSOLUTE = re.compile(r"(?<![\w.:/<])/(?:work|root|mnt|Users|home/[a-z]+|tmp/[a-z]+)/[\w.-]")
REGISTRY = re.compile(
    r"registry\.npmjs|pypi\.org|pythonhosted\.org|jsr\.io|crates\.io|proxy\.golang|registry\.yarnpkg"
)
KIT = {".c", ".cpp", ".go", ".h", ".hpp", ".rs", ".zig"}
SOURCES = KIT | {
    ".css",
    ".html",
    ".js",
    ".md",
    ".mjs",
    ".py",
    ".toml",
    ".ts",
    ".tsx",
    ".txt",
    ".typed",
    ".wat",
}
PLAIN = {
    ".ci/run",
    ".gitignore",
    "LICENSE",
    "Makefile",
    "benchmarks/setup",
    "scripts/browser",
    "scripts/postgres",
    "scripts/rust",
    "scripts/setup",
    "scripts/toolchains",
    "src/echelon/plugin/compilers/rust/kit/zig-link",
}
MOST_LINES, MOST_FUNCTION_LINES, MOST_BYTES = 600, 80, 100_000


def name_of(path: Path) -> str:
    """Return a module's name below `echelon`; the package itself is ""."""
    parts = path.relative_to(SRC / "echelon").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in done.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each module of echelon that runs when this one does, and whether only inside a function.

    What is imported for annotations alone is no dependency.
    """

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = []
        for name in names:
            if name.startswith("echelon."):
                yield known(name.removeprefix("echelon.")), inside
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(tree_of(path), False)


def known(name: str) -> str:
    """Cut what is imported from a module off the module's name."""
    while name and name not in NAMES:
        name = name.rpartition(".")[0]
    return name


def component(module: str) -> tuple[int, str]:
    """Return layer and component of a module."""
    for depth, names in enumerate(LAYERS):
        if module in names:
            return depth, "runtime.permissions" if module.startswith("runtime.") else module
    top = module.partition(".")[0]
    return next((depth, top) for depth, names in enumerate(LAYERS) if top in names)


def against_the_grain() -> dict[tuple[str, str], bool]:
    """Return every import that does not point to a lower layer, and whether it is lazy everywhere."""
    found: dict[tuple[str, str], bool] = {}
    for path in MODULES:
        module = name_of(path)
        for target, lazy in imports(path):
            if not module or not target or component(module)[1] == component(target)[1]:
                continue
            if component(target)[0] >= component(module)[0]:
                found[module, target] = found.get((module, target), True) and lazy
    return found


def test_imports_point_one_way() -> None:
    """Every import goes down the layers, but for the exceptions that are listed with a reason, and are needed."""
    found = against_the_grain()
    assert set(found) - set(EXCEPTIONS) == set()
    assert set(EXCEPTIONS) - set(found) == set(), "an exception that nothing needs any more"
    assert {pair for pair, lazy in found.items() if lazy} == LAZY


def test_every_module_has_a_layer() -> None:
    """A new component has to be placed."""
    for name in NAMES - {""}:
        component(name)


def test_imports_are_absolute() -> None:
    """Nobody has to count dots."""
    for path in MODULES:
        relative = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ImportFrom) and n.level]
        assert not relative, path


def test_one_module_knows_cffi() -> None:
    """The binding is `runtime/native.py`; nothing else imports cffi or the wasmtime package."""
    for path in MODULES:
        used = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").partition(".")[0]
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.ImportFrom)
        }
        assert (
            name_of(path) == "runtime.native"
            or not used & {"cffi", "wasmtime", "ctypes"}
            or (
                (
                    name_of(path) in ("runtime.filesystem", "kv.bell")
                    or name_of(path).startswith("plugin.sandbox.")
                )
                and used & {"cffi", "wasmtime", "ctypes"}
                == {"ctypes"}  # system calls that Python does not offer
            )
        ), path


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (
            ["echelon"],
            ["_cffi_backend", "cffi", "wasmtime", "opentelemetry", "granian", "apsw", "echelon.app"],
        ),
        (["echelon.app"], ["_cffi_backend", "cffi", "wasmtime", "opentelemetry", "granian", "httpx"]),
        ([f"echelon.runtime.{name}" for name in NATIVE_FREE], ["_cffi_backend", "cffi", "wasmtime"]),
        (
            ["echelon.cli"],
            ["_cffi_backend", "asyncio", "msgspec", "granian", "echelon.app", "echelon.config"],
        ),
    ],
    ids=["echelon", "application", "sandbox rules", "command line"],
)
def test_importing_stays_light(modules: list[str], unwanted: list[str]) -> None:
    """What is heavy is loaded when it is used: the engine, servers, exporters."""
    program = f"import sys, {', '.join(modules)}\nprint([n for n in {unwanted!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_source(path: Path) -> None:
    """No assert, nothing unfinished, a docstring, no module or function that is too long to read at once."""
    text, tree = path.read_text(), tree_of(path)
    asserts = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not asserts, "an assert vanishes under -O; raise an error"
    unfinished = [line for line in text.splitlines() if UNFINISHED.search(line)]
    assert not unfinished
    docstring = ast.get_docstring(tree)
    assert docstring or not text.strip(), "a module begins with what it is"
    if len(text.splitlines()) > MOST_LINES:
        assert re.search(r"\b(long|lines|one file)\b", docstring or ""), (
            "the docstring must say why it is long"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_no_state_of_modules() -> None:
    """A module-level name is a constant: nothing rebinds it with `global`."""
    for path in MODULES:
        rebound = [node.names for node in ast.walk(tree_of(path)) if isinstance(node, ast.Global)]
        assert not rebound, path


def test_tracked_files_are_sources() -> None:
    """The repository holds what people wrote: no builds, no downloads, no databases, nothing large."""
    for name in tracked():
        path = ROOT / name
        assert name in PLAIN or path.suffix in SOURCES, name
        assert path.stat().st_size <= MOST_BYTES, name
        path.read_text("utf-8")
        assert not {"node_modules", "vendor", "vendored", "dist", "build"} & set(path.parts), name


def test_no_absolute_paths_or_registries() -> None:
    """Nothing is tied to one machine, and packages come from wherever their clients are set up to look."""
    here = Path(__file__).relative_to(ROOT).as_posix()
    for name in tracked():
        text = (ROOT / name).read_text()
        if name != here:
            assert not REGISTRY.search(text), name
        if not name.startswith("tests/") and name != "docs/configuration.md":
            assert not ABSOLUTE.search(text), name
        assert str(ROOT) not in text, name


def names_of(requirements: list[str]) -> set[str]:
    """Return the packages of a list of requirements, without those of Echelon's own extras."""
    found = (re.match(r"[\w.-]+", item) for item in requirements)
    return {match[0] for match in found if match} - {"echelon"}


def test_dependencies_are_justified() -> None:
    """`docs/dependencies.md` names every dependency of `pyproject.toml` in its table, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text()
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    rows = {
        title: set(re.findall(r"^\| `([\w.-]+)` \|", body, re.MULTILINE)) for title, body in sections.items()
    }
    extras = {name: names_of(items) for name, items in project["optional-dependencies"].items()}
    assert rows["Always installed"] == names_of(project["dependencies"])
    assert rows["Development"] == extras["dev"]
    assert rows["Extras"] == set().union(*extras.values()) - extras["dev"]
    claimed = re.findall(r"^\| `([\w.-]+)` \| `(\w+)` \|", sections["Extras"], re.MULTILINE)
    assert {(package, extra) for package, extra in claimed} == {
        (package, name) for name, items in extras.items() for package in items if name not in ("dev", "all")
    }


def test_the_error_tree_is_drawn() -> None:
    """The docstring of `errors.py` draws every error class, below the one it derives from."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for indent, name in re.findall(
        r"^([ │├└─]*)(\w+Error|[A-Z]\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE
    ):
        depth = len(indent) // 4
        above[depth:] = [name]
        drawn[name] = above[depth - 1] if depth else "Exception"
    kinds = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
    }
    assert drawn == kinds


def test_the_package_carries_its_data() -> None:
    """Everything a compiler or a command reads at run time lies inside the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/echelon"]
    assert (SRC / "echelon" / "py.typed").is_file()
    assert project["tool"]["mypy"]["strict"] is True
    assert {"src/echelon", "tests/typing"} <= set(project["tool"]["mypy"]["files"])
