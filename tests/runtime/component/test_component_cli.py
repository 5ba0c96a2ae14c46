"""Components on the command line: `echelon inspect` and `echelon call`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from component_kit import MEMORY

from echelon import cli
from echelon.cli.values import Unfit, read_word, show
from echelon.runtime.component import Err, Ok, Some, Variant

COMPONENT = f"""(component
  (import "wasi:cli/environment@0.2.3" (instance
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "acme:x/y@1.0.0" (instance (export "go" (func))))
  {MEMORY}
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" s32) (param "b" u8) (result s32) (canon lift (core func $i "add"))))"""

CALLED = COMPONENT.replace('(import "acme:x/y@1.0.0" (instance (export "go" (func))))', "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "thing.wat"
    path.write_text(COMPONENT)
    return path


def run(*words: str) -> int:
    return cli.main(list(words)) or 0


def test_inspect(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A component is described with its types, what provides its imports, and what it could need."""
    assert run("inspect", str(file), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "component"
    assert [item["signature"] for item in found["exports"]] == ["add(a: s32, b: u8) -> s32"]
    provided = {(item["module"], item["name"]): item["provided"] for item in found["imports"]}
    assert provided == {
        ("wasi:cli/environment@0.2.3", "get-environment"): True,
        ("acme:x/y@1.0.0", "go"): False,
    }
    assert found["permissions"] == {"env": ["get-environment"]}


def test_inspect_as_text(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page for people has the same facts."""
    assert run("inspect", str(file)) == 0
    page = capsys.readouterr().out
    assert "nothing provides it" in page
    assert "--allow-env" in page


def test_call(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function of a component is called with words of the command line."""
    file.write_text(CALLED)
    assert run("call", str(file), "add", "40", "2") == 0
    assert capsys.readouterr().out == "42\n"
    assert run("call", str(file), "add", "1", "300") != 0
    assert "300 is out of range for u8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("s64", "-5", -5),
        ("string", "text", "text"),
        ("char", "x", "x"),
        ("enum{red, blue}", "red", "red"),
        ("list<u8>", "AAE=", b"\0\1"),
        ("list<u8>", "[0, 1]", [0, 1]),
        ("list<string>", '["a"]', ["a"]),
        ("option<string>", "null", None),
        ("record{x: s32}", '{"x": 1}', {"x": 1}),
        ("tuple<s32, string>", '[1, "a"]', [1, "a"]),
        ("flags{read, write}", '["read"]', ["read"]),
        ("variant{circle(f32)}", '{"case": "circle", "value": 1}', {"case": "circle", "value": 1}),
    ],
)
def test_words(kind: str, word: str, value: object) -> None:
    """Each WIT type is written plainly or as JSON."""
    assert read_word(kind, word) == value


@pytest.mark.parametrize(("kind", "word"), [("record{x: s32}", "{"), ("s32", "x"), ("list<string>", "[1]")])
def test_bad_words(kind: str, word: str) -> None:
    """A word that is none of the type is refused."""
    with pytest.raises(Unfit):
        read_word(kind, word)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"x": 1, "y": b"\0"}, '{"x": 1, "y": "AA=="}'),
        ({"b", "a"}, '["a", "b"]'),
        ([Variant("circle", 1.5), Ok(1), Err("no"), Some(None)],
         '[{"case": "circle", "value": 1.5}, {"value": 1}, {"error": "no"}, {"value": null}]'),
        ((1, None), "[1, null]"),
    ],
)  # fmt: skip
def test_results(value: object, text: str) -> None:
    """Values that Python has no own type for are shown as JSON."""
    assert show(value) == text
