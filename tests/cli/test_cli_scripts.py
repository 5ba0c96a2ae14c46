"""Scripts on the command line: sources that an engine runs, and whose language is chosen by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import NUMBERS, Cli, Write

WORDS = "export function words(text, least) { return text.split(' ').filter((w) => w.length >= least) }"
PYTHON = """
import echelon

def shout(text: str, times: int = 1) -> str:
    return text.upper() + "!" * times

def visit() -> int:
    echelon.kv.atomic().sum(("n",), 1).commit()
    return echelon.kv.get(("n",)).value

def handle(request): return "hello"
"""


@pytest.fixture
def script(cpython_home: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a Python script; its engine's native code is where installing it left it."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    return write


def test_the_language_is_named(cli: Cli, write: Write) -> None:
    """`--language` decides where the suffix does not, for calls and descriptions too."""
    write("source.txt", NUMBERS)
    assert cli("call", "source.txt", "add", "40", "2").status == 2
    assert cli("call", "source.txt", "add", "40", "2", "--language", "wat").out == "42\n"
    assert "add(i32, i32)" in cli("inspect", "source.txt", "--language", "wat").out
    assert 'language: "cobol" is not known' in cli("inspect", "source.txt", "--language=cobol").err


def test_inspect_a_script(cli: Cli, write: Write) -> None:
    """A script shows its functions; what it may ask for nobody can tell."""
    write("words.js", WORDS)
    found = json.loads(cli("inspect", "words.js", "--json").out)
    assert (found["kind"], found["language"], found["imports"]) == ("script", "javascript", [])
    assert [item["signature"] for item in found["exports"]] == ["words(text: json, least: json) -> json"]
    assert "words(text: json, least: json) -> json" in cli("inspect", "words.js").out


def test_a_script_takes_any_number_of_arguments(cli: Cli, write: Write) -> None:
    """What is left out is undefined; what is more is JSON."""
    write("count.js", "export function count(a, ...more) { return [a ?? null, ...more] }")
    assert cli("call", "count.js", "count").out == "[null]\n"
    assert cli("call", "count.js", "count", "1", "[2]").out == "[1, [2]]\n"


def test_how_many_arguments_a_script_takes(cli: Cli, script: Write) -> None:
    """Those with a default may be left out; a wrong number is a mistake of the caller's."""
    script("shout.py", PYTHON)
    call = ("call", "shout.py", "--language", "cpython", "shout")
    assert cli(*call, "ada").out == "ADA!\n"
    for words, given in ((), 0), (("a", "2", "3"), 3):
        result = cli(*call, *words)
        assert (result.status, f"takes 1 to 2 arguments, {given} given" in result.err) == (2, True)


def test_a_python_script(cli: Cli, script: Write) -> None:
    """`call` runs it with the values of its annotations; `inspect` shows them."""
    script("shout.py", PYTHON)
    result = cli("call", "shout.py", "shout", "ada", "2", "--language", "cpython")
    assert (result.status, result.out, result.err) == (0, "ADA!!\n", "")
    shown = cli("inspect", "shout.py", "--language", "cpython").out
    assert "kind      HTTP guest" in shown
    assert "shout(text: str, times: i64) -> str" in shown


def test_a_python_script_as_a_module(cli: Cli, script: Write) -> None:
    """What `build` wrote is called without its source, and may use the store as granted."""
    script("shout.py", PYTHON)
    assert cli("build", "shout.py", "--language", "cpython").out == "shout.wasm\n"
    assert cli("call", "shout.wasm", "shout", "ada").out == "ADA!\n"
    assert "--allow-kv" in cli("call", "shout.wasm", "visit").err
    for count in ("1\n", "2\n"):
        assert cli("call", "shout.wasm", "visit", "--allow-kv=n", "--store", "app.db").out == count


def test_a_python_script_that_does_not_compile(cli: Cli, script: Write) -> None:
    """Messages name the file, the line and the column."""
    script("bad.py", "x = 1\ny = ((\n")
    result = cli("call", "bad.py", "f", "--language", "cpython")
    assert result.status == 1
    assert "bad.py:2:6: error: SyntaxError: '(' was never closed" in result.err
