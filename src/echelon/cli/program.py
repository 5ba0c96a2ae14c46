"""`echelon`: finds the command, runs it, and turns what it raises into one line and an exit status.

0 is success, 1 a failure of a guest, a compiler or the machine, 2 a mistake in how the command was used, 130 Ctrl-C,
141 a reader that went away. Only what a command needs is imported, and only when it runs.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from echelon.cli import help as pages
from echelon.cli.catalogue import ROOT
from echelon.cli.parser import Command, Usage, parse
from echelon.cli.status import FAILED, INTERRUPTED, MISUSED, OK, READER_GONE
from echelon.cli.terminal import Terminal, Unwritable
from echelon.errors import EchelonError

DEBUG: Final = "ECHELON_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; never raises but for a fault in `sys` itself."""
    terminal = Terminal.standard()
    try:
        status = _dispatch(ROOT, list(sys.argv[1:] if argv is None else argv), terminal)
        terminal.flush()
    except BrokenPipeError:
        _forget_output()
        return READER_GONE
    except Unwritable as exc:
        with suppress(Unwritable):
            terminal.error(str(exc))
        _forget_output()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _dispatch(root: Command, argv: list[str], terminal: Terminal) -> int:
    try:
        command, rest = _choose(root, argv, terminal)
        if command is None:
            return OK
        if _asks_for_help(command, rest):
            terminal.page(pages.page(command, terminal))
            return OK
        arguments = parse(command, rest)
        run = importlib.import_module(command.module).run
        status: int = run(command, arguments, terminal)
        return status
    except Usage as exc:
        terminal.error(str(exc))
        return MISUSED
    except (BrokenPipeError, KeyboardInterrupt, Unwritable):
        raise
    except Exception as exc:
        return _fail(exc, terminal)


def _choose(group: Command, argv: list[str], terminal: Terminal) -> tuple[Command | None, list[str]]:
    """Return the command that was named and what follows it; None when a page of help was asked for."""
    name = argv[0] if argv else ""
    if group is ROOT and name in ("-V", "--version"):
        from echelon import __version__

        terminal.page(f"echelon {__version__}")
        return None, []
    if name in ("-h", "--help"):
        terminal.page(pages.overview(group, terminal))
        return None, []
    if (not name or name.startswith("-")) and group.default:
        name, argv = group.default, ["", *argv]
    command = group.find(name)
    if command is None:
        raise Usage(_unknown(group, name))
    return _choose(command, argv[1:], terminal) if command.commands else (command, argv[1:])


def _unknown(group: Command, name: str) -> str:
    prefix = "" if group is ROOT else f"{group.name} "
    names = [command.name.rpartition(" ")[2] for command in group.commands]
    if not name:
        return f"name a command: {', '.join(names)}; `echelon {prefix}--help` explains them"
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"there is no command {prefix}{name}; {hint}"


def _asks_for_help(command: Command, argv: list[str]) -> bool:
    before = argv[: argv.index("--")] if "--" in argv else argv
    return "--help" in before or "-h" in before


def _fail(error: Exception, terminal: Terminal) -> int:
    """Say in one line what went wrong; return the exit status."""
    if os.environ.get(DEBUG, "").lower() in ("1", "true", "yes", "on"):
        import traceback

        terminal.note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, EchelonError):
        from echelon.cli import failures

        return failures.report(error, terminal)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        terminal.error(f"{name}{error.strerror or error}")
        return FAILED
    terminal.error(
        f"internal error: {type(error).__name__}: {error}; {DEBUG}=1 shows where, please report it"
    )
    return FAILED


def _forget_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):  # not a real file: nothing is flushed at exit
            continue
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, descriptor)
        os.close(nothing)
