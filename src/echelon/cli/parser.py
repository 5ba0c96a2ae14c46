"""What a command takes, as data, and how an argument list is read by it.

`argparse` reads the options; what it cannot do is done around it: an option whose value is optional takes one only
after "=", so that `--allow-env fib.ts` does not swallow the file; `-1e5` is a number, not an option; words and options
may come in any order; and what follows "--" is kept apart.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

EVERYTHING: Final = ""
"""The value of an option that was given without its optional value."""

_ESCAPE: Final = "\0"
_NUMBER: Final = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


class Usage(Exception):
    """The command line cannot be understood; the message is one line that says what to write instead."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `value` names what follows it, None for a switch; `optional` means only after "=".

    One that is `many` or `optional` may be given several times.
    """

    flags: tuple[str, ...]
    help: str
    value: str | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False

    @property
    def name(self) -> str:
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def shown(self) -> str:
        """Return the option as help and documentation write it."""
        what = "|".join(self.choices) or self.value
        suffix = "" if self.value is None else f"[={what}]" if self.optional else f" {what}"
        return ", ".join(self.flags) + suffix


@dataclass(frozen=True, slots=True)
class Word:
    """One argument that is no option; `count` is "1", "?" for one that may be left out, "*" for any number."""

    name: str
    help: str
    count: str = "1"

    @property
    def shown(self) -> str:
        return {"1": self.name, "?": f"[{self.name}]", "*": f"[{self.name}…]"}[self.count]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `module` is where its `run` is, loaded only when the command runs.

    A command with `commands` is a group; `default` names the one that runs when none is named. With `rest`, what
    follows "--" is given apart.
    """

    name: str
    summary: str
    module: str = ""
    words: tuple[Word, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    notes: str = ""
    commands: tuple[Command, ...] = ()
    default: str = ""
    rest: bool = False

    def find(self, name: str) -> Command | None:
        """Return the command of that name in this group; the name is its last word."""
        return next((c for c in self.commands if c.name.rpartition(" ")[2] == name), None)


class Arguments:
    """What was given: words and options as attributes, by lower-case name; absent ones are None, False or []."""

    def __init__(self, values: dict[str, Any], rest: list[str] | None) -> None:
        self.__dict__.update(values)
        self.rest = rest

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the command takes no {name!r}")


HELP: Final = Option(("-h", "--help"), "show this help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(message.removeprefix("argument "))


def parse(command: Command, argv: Sequence[str]) -> Arguments:
    """Read the arguments of one command; raises Usage."""
    before, rest = _split(argv)
    parser = _Parser(prog=command.name, add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    for option in command.options:
        _add(parser, option)
    optional = {flag for option in command.options if option.optional for flag in option.flags}
    escaped = [_escape(token, optional) for token in before]
    found, unknown = parser.parse_known_intermixed_args(escaped)
    if unknown:
        raise Usage(_unknown_option(command, unknown[0]))
    values = {name: _unescape(value) for name, value in vars(found).items()}
    words = [*values.pop("words"), *(() if command.rest or rest is None else rest)]
    return Arguments(_place(command, words) | values, rest)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str] | None]:
    argv = list(argv)
    if "--" not in argv:
        return argv, None
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _escape(token: str, optional: set[str]) -> str:
    if token in optional:
        return f"{token}={_ESCAPE}"
    flag, equals, value = token.partition("=")
    if flag in optional and equals and not value:
        raise Usage(f"{flag}=: the list is empty; name what is meant, or leave out the option")
    return _ESCAPE + token if _NUMBER.match(token) else token


def _unescape(value: Any) -> Any:
    if isinstance(value, list):
        return [_unescape(item) for item in value]
    return value.removeprefix(_ESCAPE) if isinstance(value, str) else value


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.value is None:
        parser.add_argument(*option.flags, dest=option.name, action="store_true")
    elif option.optional or option.many:
        parser.add_argument(*option.flags, dest=option.name, action="append", default=[])
    else:
        parser.add_argument(*option.flags, dest=option.name, choices=option.choices or None)


def _unknown_option(command: Command, token: str) -> str:
    flag = token.partition("=")[0]
    known = [flag for option in command.options for flag in option.flags]
    near = difflib.get_close_matches(flag, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"`echelon {command.name} --help` lists them"
    also = " (after -- it would be an argument)" if command.rest else ""
    return f"unknown option {flag}; {hint}{also}"


def _place(command: Command, given: list[str]) -> dict[str, Any]:
    """Give each word its name; raises Usage when one is missing or left over."""
    values: dict[str, Any] = {}
    left = list(given)
    for word in command.words:
        key = word.name.lower().rstrip("…")
        if word.count == "*":
            values[key], left = left, []
        elif left:
            values[key] = left.pop(0)
        elif word.count == "?":
            values[key] = None
        else:
            raise Usage(f"{word.name} is missing; write: echelon {usage(command)}")
    if left:
        raise Usage(f"{left[0]!r} is one argument too many; write: echelon {usage(command)}")
    return values


def usage(command: Command) -> str:
    """Return the command with its words, as in "call FILE [FUNCTION] [ARGS…]"."""
    if command.commands:
        names = "|".join(item.name.rpartition(" ")[2] for item in command.commands)
        return f"{command.name} [{names}]" if command.default else f"{command.name} {names}"
    return " ".join([command.name, *(word.shown for word in command.words)])
