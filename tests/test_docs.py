"""The documentation is true: its code runs, its commands print what it says, its links lead somewhere."""

from __future__ import annotations

import ast
import linecache
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from echelon import Limits, Runtime, errors
from echelon.runtime import binary, code_cache, engine, failures, guest_kit, http_guest, signature
from echelon.runtime.assemblyscript_env import AssemblyScriptEnv
from echelon.runtime.core import RuntimeSettings
from echelon.runtime.guest_kit import GuestKit
from echelon.runtime.guest_kv import GuestKv
from echelon.runtime.host import HostFunction
from echelon.runtime.limits import parse_size, parse_time

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
RUN_HERE = (
    "abi",
    "builder",
    "design",
    "host-functions",
    "python",
    "python-errors",
    "python-guests",
    "runtime",
    "security",
    "tiers",
    "wat",
)
"""Pages whose Python is run here; those of the other components are run by the tests of these."""

PYTHON = re.compile(r"(?<!-->\n)^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    section = text.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    lines = rows[0].splitlines() if rows else []
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@pytest.fixture
def surroundings(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the examples in it, where what runs may write."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setenv("ECHELON_HOME", str(home))
    monkeypatch.setenv("ECHELON_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ECHELON_TELEMETRY_LOGS", "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SHOP_CURRENCY", raising=False)
    return tmp_path


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name in RUN_HERE if PYTHON.search(page(name))])
async def test_python_runs(name: str, surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after another, with a runtime called `wasm`, and what they assert holds."""
    async with Runtime() as wasm:
        names: dict[str, Any] = {"wasm": wasm, "Runtime": Runtime, "errors": errors}
        for number, block in enumerate(PYTHON.findall(page(name))):
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            file = f"docs/{name}-{number + 1}.py"
            monkeypatch.setitem(
                linecache.cache, file, (len(block), None, block.splitlines(keepends=True), file)
            )
            result = eval(compile(block, file, "exec", flags=flags), names)
            if result is not None:
                await result


def steps(block: str) -> list[tuple[str, str]]:
    """Return each command of a console block with what it is said to print."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1]) for part in parts]


CONSOLES = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in PAGES
    if path.name == "README.md" or path.stem in RUN_HERE
    for number, block in enumerate(CONSOLE.findall(path.read_text()))
]


@pytest.mark.parametrize("block", CONSOLES)
def test_commands_print_what_is_shown(block: str, surroundings: Path) -> None:
    """Every command of a console block prints what stands below it."""
    for command, shown in steps(block):
        words = shlex.split(command)
        given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        done = subprocess.run(
            words[len(given) :],
            env={**os.environ, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.stdout == shown, command


def anchors(text: str) -> set[str]:
    """Return the names by which headings can be linked to."""
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names a file of the repository, and every anchor a heading in it."""
    for link in LINK.findall(CODE.sub("", path.read_text())):
        if re.match(r"https?:|mailto:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_the_index_names_every_page() -> None:
    """`docs/README.md` leads to every page of the folder."""
    linked = set(LINK.findall((DOCS / "README.md").read_text()))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= linked


def test_runtime_settings() -> None:
    """The page on the runtime shows every setting of it with its default."""
    settings = RuntimeSettings()
    shown = {row[0].strip("`"): row[1].strip("`") for row in table(page("runtime"), "## Settings")}
    assert list(shown) == list(RuntimeSettings.__dataclass_fields__)
    for name, text in shown.items():
        value = getattr(settings, name)
        if name in ("max_memory", "compile_memory", "cache_size"):
            assert parse_size(text) == value, name
        elif name in ("max_time", "compile_time", "drain_time"):
            assert parse_time(text) == value, name
        elif isinstance(value, int):
            assert int(text) == value, name


def test_limits() -> None:
    """The page on the runtime shows every limit with its default."""
    shown = {row[0].strip("`"): row[1].strip("`") for row in table(page("runtime"), "## Limits")}
    assert set(shown) == set(Limits().to_dict())
    given = {name: int(text) if text.isdecimal() else text for name, text in shown.items() if text != "off"}
    assert Limits.parse({**given}) == Limits()


def test_trap_codes() -> None:
    """The page on the runtime lists every code a trap can have."""
    codes = {row[0].strip("`") for row in table(page("runtime"), "### Traps")}
    assert codes == {code for code, _ in failures.TRAPS.values() if code != "out-of-fuel"} | {"abort"}


def test_errors_of_a_call() -> None:
    """The page on the runtime lists every error that a guest can cause."""
    listed = {name.strip("`") for row in table(page("runtime"), "## Errors") for name in row[0].split(", ")}
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    caused = {name for name, kind in kinds.items() if issubclass(kind, errors.GuestError | errors.LoadError)}
    assert caused - {"GuestError", "LoadError"} <= listed
    assert listed <= set(kinds) | {"TypeError", "ValueError"}


def test_bounds_of_a_module() -> None:
    """The page on the runtime shows the bounds that a module is held to."""
    shown = {row[0]: row[1].replace(" ", "") for row in table(page("runtime"), "### What a module may hold")}
    assert parse_size(shown["size"]) == binary.MAX_MODULE
    assert parse_size(shown["body of a function"]) == binary.MAX_BODY
    for what, value in (
        ("functions", binary.MAX_FUNCTIONS),
        ("types", binary.MAX_TYPES),
        ("imports", binary.MAX_IMPORTS),
        ("exports", binary.MAX_EXPORTS),
        ("globals", binary.MAX_GLOBALS),
        ("tables", binary.MAX_TABLES),
        ("elements of tables, in segments", binary.MAX_ELEMENTS),
        ("elements of tables, at run time", engine.MAX_TABLE),
        ("data segments", binary.MAX_DATA_SEGMENTS),
        ("custom sections", binary.MAX_CUSTOM),
        ("parameters of a function", binary.MAX_PARAMS),
    ):
        assert int(shown[what]) == value, what


def core_type(function: HostFunction) -> str:
    params = ", ".join(function.params)
    return f"({params})" + (f" -> {function.results[0]}" if function.results else "")


@pytest.mark.parametrize(
    ("heading", "functions"),
    [
        ("## The namespace `echelon`", guest_kit._FUNCTIONS),
        ("### The key-value store", GuestKv(lambda: None)._functions),
        ("## The namespace `env`", None),
    ],
    ids=["echelon", "store", "env"],
)
def test_namespaces(heading: str, functions: dict[str, HostFunction] | None) -> None:
    """The page on the ABI lists every host function with its type."""
    if functions is None:
        from echelon.runtime import assemblyscript_env

        functions = assemblyscript_env._FUNCTIONS
    shown = {row[0].strip("`"): row[1].strip("`") for row in table(page("abi"), heading)}
    assert shown == {name: core_type(function) for name, function in functions.items()}
    assert (GuestKit().modules(), AssemblyScriptEnv().modules()) == (("echelon",), ("env",))


def test_numbers_of_the_abi() -> None:
    """The page on the ABI gives the versions and bounds of the code."""
    text = page("abi")
    assert f"`{signature.SECTION}`" in text
    assert f'"version": {signature.VERSION}' in text
    assert f"at most {signature.MAX_BYTES >> 20} MiB" in text
    assert f"at most {guest_kit.MAX_TEXT >> 10} KiB" in text
    assert f"at most {guest_kit.MAX_FILE >> 20} MiB" in text
    assert f"at most {http_guest.MAX_HEADERS} headers" in text
    for name in http_guest._WITHHELD | http_guest._HOP_BY_HOP | http_guest._FRAMING:
        assert f"`{name}`" in text, name
    assert code_cache._MAGIC.startswith(b"echelon-code-1")
