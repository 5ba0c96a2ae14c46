"""docs/cli.md: complete, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_samples import Cli, Write

from echelon.cli.catalogue import ROOT
from echelon.cli.kv_json import _TAGS
from echelon.cli.parser import Command

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")


def section(command: Command) -> str:
    """Return the section of a command."""
    found = re.search(rf"^## `echelon {command.name}`\n(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/cli.md has no section for echelon {command.name}"
    return found[1]


@pytest.mark.parametrize("command", ROOT.commands, ids=lambda command: command.name)
def test_every_command_and_option_is_documented(command: Command) -> None:
    """Each command has a section that shows how it is written and names each of its options."""
    text = section(command)
    for each in command.commands or (command,):
        assert f"echelon {each.name}" in text
        for option in each.options:
            for flag in option.flags:
                assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text), f"{each.name} {flag}"
        for word in each.words:
            assert word.name in text, f"{each.name} {word.name}"


def test_nothing_else_is_documented() -> None:
    """An option that the documentation names exists."""
    known = {"--help", "--version", "--force-reinstall"}
    for command in ROOT.commands:
        for each in command.commands or (command,):
            known |= {flag for option in each.options for flag in option.flags}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS)) <= known
    headings = set(re.findall(r"^## `echelon (\w+)`", DOCS, re.MULTILINE))
    assert headings == {command.name for command in ROOT.commands}


def test_the_overview_links_every_section() -> None:
    """The table at the top says of each command what its help says."""
    for command in ROOT.commands:
        summary = command.summary[0].lower() + command.summary[1:]
        assert f"| [`echelon {command.name}`](#echelon-{command.name}) | {summary} |" in DOCS


def test_every_tag_is_documented() -> None:
    """The ways to write what JSON lacks are all there."""
    for tag in _TAGS:
        assert f'"{tag}"' in section(ROOT.commands[6])


def test_the_examples_of_the_documentation(cli: Cli, write: Write) -> None:
    """What is shown of a call is what one gets."""
    write("fib.ts", "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }")
    assert "$ echelon call fib.ts fib 30\n832040\n" in DOCS
    assert cli("call", "fib.ts", "fib", "30").out == "832040\n"
    write(
        "home.ts",
        'import { env } from "echelon"\nexport function f(): bool { return env.get("HOME") != null }',
    )
    denied = cli("call", "home.ts", "f").err
    assert denied in DOCS
