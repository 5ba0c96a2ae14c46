"""Every language, good and bad source, through `echelon build` and `POST /_echelon/v1/run` of a served application."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from echelon.http.testing import LiveServer
from echelon.plugin import languages

pytestmark = pytest.mark.timeout(300)

TOKEN = "a-token-of-the-tests-32-characters"
ECHELON = Path(sys.executable).parent / "echelon"


@dataclass(frozen=True)
class Case:
    """A language: a source that has `double`, and one that is wrong at a line and column."""

    language: str
    file: str
    good: str
    bad: str
    line: int
    column: int
    message: str
    toolchain: str = "home"


C = '#include <echelon.h>\nECHELON_EXPORT("double(n: i32) -> i32") int twice(int n) { return n * 2; }\n'
CASES = (
    Case(
        "wat", "g.wat", '(module (func (export "double(n: i32) -> i32") (param i32) (result i32)'
        " local.get 0 i32.const 2 i32.mul))",
        "(module\n  (func (result i32)\n    i32.constant 1))", 3, 5, "unknown operator",
    ),
    Case(
        "python", "g.py", "def double(n: int) -> int:\n    return n * 2\n",
        "def double(n: int) -> int:\n    return n * two\n", 2, 16, "two",
    ),
    Case(
        "typescript", "g.ts", "export function double(n: i32): i32 { return n * 2 }\n",
        "export function double(n: i32): i32 {\n  return n * two;\n}\n", 2, 14, "two",
    ),
    Case(
        "javascript", "g.js", "export function double(n) { return n * 2 }\n",
        "export function double(n) {\n  return n * ;\n}\n", 2, 14, "Unexpected",
    ),
    Case(
        "cpython", "g.py", "def double(n: int) -> int:\n    return n * 2\n",
        "def double(n: int) -> int:\n    return n *\n", 2, 15, "invalid syntax", "cpython_home",
    ),
    Case(
        "c", "g.c", C,
        "int twice(int n) {\n  return n * two;\n}\n", 2, 14, "two", "c_home",
    ),
    Case(
        "cpp", "g.cpp", C,
        "auto twice(int n) {\n  return n * two;\n}\n", 2, 14, "two", "c_home",
    ),
    Case(
        "zig", "g.zig", "export fn @\"double(n: i32) -> i32\"(n: i32) i32 {\n    return n * 2;\n}\n",
        "export fn double(n: i32) i32 {\n    return n * two;\n}\n", 2, 16, "two", "c_home",
    ),
    Case(
        "go", "g.go", "package main\n\n//export double\nfunc double(n int32) int32 { return n * 2 }\n",
        "package main\n\n//export double\nfunc double(n int32) int32 {\n\treturn n * two\n}\n", 5, 13, "two", "go_home",
    ),
    Case(
        "rust", "g.rs", "echelon::export! {\n    fn double(n: i32) -> i32 { n * 2 }\n}\n",
        "echelon::export! {\n    fn double(n: i32) -> i32 {\n        n * two\n    }\n}\n", 3, 13, "two", "rust_home",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def environment(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of the programs that are started here."""
    state = tmp_path_factory.mktemp("state")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECHELON_")}
    return {
        **kept,
        "ECHELON_HOME": str(home),
        "ECHELON_TOKEN": TOKEN,
        "ECHELON_STATE": str(state),
        "XDG_CACHE_HOME": str(state / "cache"),
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="module")
def address(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an application is served."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "main.py").write_text("from echelon import Application\n\napp = Application()\n")
    with LiveServer("main.py", cwd=folder, env=environment) as server:
        yield server.url


@pytest.fixture(params=CASES, ids=lambda case: case.language)
def case(request: pytest.FixtureRequest) -> Case:
    """A row whose compiler is here."""
    found: Case = request.param
    request.getfixturevalue(found.toolchain)
    return found


def _run(address: str, case: Case, source: str) -> httpx.Response:
    body = {"language": case.language, "source": source, "function": "double", "args": [21]}
    return httpx.post(
        f"{address}/_echelon/v1/run", json=body, headers={"authorization": f"Bearer {TOKEN}"}, timeout=120
    )


def _build(
    environment: dict[str, str], folder: Path, case: Case, source: str
) -> subprocess.CompletedProcess[str]:
    (folder / case.file).write_text(source)
    command = [ECHELON, "build", case.file, "--language", case.language, "-o", "out.wasm"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_no_language_is_forgotten() -> None:
    """The table has each language that comes with Echelon."""
    from echelon.config import Config

    known = [compiler.name for compiler in languages.compilers(Config())]
    assert sorted(case.language for case in CASES) == sorted(known)


def test_good_source_runs(address: str, case: Case) -> None:
    """It is compiled and called in one request; the second time nothing is compiled."""
    first = _run(address, case, case.good)
    assert first.status_code == 200, first.text
    assert (first.json()["value"], first.json()["language"]) == (42, case.language)
    again = _run(address, case, case.good).json()
    assert (again["value"], again["cached"]) == (42, True)


def test_bad_source_says_where(address: str, case: Case) -> None:
    """A problem document whose first error has the line and column of the mistake."""
    answer = _run(address, case, case.bad)
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == "urn:echelon:compile-error"
    error = next(item for item in problem["diagnostics"] if item["severity"] == "error")
    assert (error["line"], error["column"]) == (case.line, case.column), error
    assert case.message in error["message"]


def test_good_source_is_built(environment: dict[str, str], tmp_path: Path, case: Case) -> None:
    """The module is written, and can be called from its file."""
    done = _build(environment, tmp_path, case, case.good)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.wasm").read_bytes().startswith(b"\0asm")
    call = [ECHELON, "call", "out.wasm", "double", "21", "--json"]
    called = subprocess.run(
        call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["value"] == 42


def test_bad_source_is_not_built(environment: dict[str, str], tmp_path: Path, case: Case) -> None:
    """The error is shown as compilers do, file:line:column, and no file is written."""
    done = _build(environment, tmp_path, case, case.bad)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(rf"^{re.escape(case.file)}:{case.line}:{case.column}: error: ", done.stderr, re.M), (
        done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.wasm").exists()
