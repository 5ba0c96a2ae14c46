"""Scripts on the command line: sources that an engine runs, and whose language is chosen by name."""

from __future__ import annotations

import json

from cli_samples import NUMBERS, Cli, Write

WORDS = "export function words(text, least) { return text.split(' ').filter((w) => w.length >= least) }"


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


def test_a_script_takes_any_number_of_arguments(cli: Cli, write: Write) -> None:
    """What is left out is undefined; what is more is JSON."""
    write("count.js", "export function count(a, ...more) { return [a ?? null, ...more] }")
    assert cli("call", "count.js", "count").out == "[null]\n"
    assert cli("call", "count.js", "count", "1", "[2]").out == "[1, [2]]\n"
