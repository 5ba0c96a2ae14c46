"""The help pages, made from the commands' own descriptions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from echelon.cli.parser import HELP, Command, usage
from echelon.cli.terminal import Terminal, table

_WIDTH = 100
_COLUMN = 34


def overview(root: Command, terminal: Terminal) -> str:
    """Return the page of `echelon --help`, or of a group of commands."""
    prefix = "" if root.name == "echelon" else f"{root.name} "
    names = [(f"  {command.name}", command.summary) for command in root.commands]
    lines = [_usage(f"{prefix}COMMAND …", terminal), "", f"{root.summary}."]
    lines += ["", _heading("Commands", terminal), *table(names)]
    lines += ["", _heading("Options", terminal), *_entries((o.shown, o.help) for o in (*root.options, HELP))]
    lines += _tail(root, terminal)
    lines += ["", f"`echelon {prefix}COMMAND --help` explains one command."]
    return "\n".join(lines)


def page(command: Command, terminal: Terminal) -> str:
    """Return the page of one command."""
    rest = " [-- ARGS…]" if command.rest else ""
    lines = [_usage(f"{usage(command)} [options]{rest}", terminal), "", f"{command.summary}."]
    if command.words:
        entries = _entries((word.shown, word.help) for word in command.words)
        lines += ["", _heading("Arguments", terminal), *entries]
    lines += ["", _heading("Options", terminal)]
    lines += _entries((option.shown, option.help) for option in (*command.options, HELP))
    return "\n".join(lines + _tail(command, terminal))


def _tail(command: Command, terminal: Terminal) -> list[str]:
    lines = []
    if command.notes:
        for paragraph in command.notes.split("\n\n"):
            lines += ["", *textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False, break_long_words=False)]
    if command.examples:
        lines += ["", _heading("Examples", terminal), *(f"  {example}" for example in command.examples)]
    return lines


def _usage(text: str, terminal: Terminal) -> str:
    return f"{_heading('Usage', terminal)} echelon {text}"


def _heading(text: str, terminal: Terminal) -> str:
    return terminal.paint(f"{text}:", "bold", out=True)


def _entries(items: Iterable[tuple[str, str]]) -> list[str]:
    """Set out names on the left and what they mean on the right."""
    lines = []
    for name, text in items:
        wrapped = textwrap.wrap(text, _WIDTH - _COLUMN, break_on_hyphens=False) or [""]
        if len(name) > _COLUMN - 4:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name}".ljust(_COLUMN) + wrapped.pop(0))
        lines += [" " * _COLUMN + line for line in wrapped]
    return lines
