"""Ask the person at the terminal whether a guest may use what it was not granted."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from echelon.cli.terminal import Terminal, is_terminal, one_column
from echelon.runtime.grants import Answer, Question

_MOST: Final = 200
"""Characters of a target that are shown: a long one must not push the question off the screen."""

_ANSWERS: Final = {"y": Answer.YES, "yes": Answer.YES, "a": Answer.ALWAYS, "always": Answer.ALWAYS}


def can_ask(terminal: Terminal) -> bool:
    """Tell whether somebody is there: standard input and standard error are both terminals."""
    return is_terminal(sys.stdin) and is_terminal(terminal.err)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Asks on standard error, reads a line; anything but y and a, the end of input too, is a no."""

    terminal: Terminal

    def __call__(self, question: Question) -> Answer:
        target = _line(question.target) or "everything"
        if len(target) > _MOST:
            target = f"{target[: _MOST // 2]}…{target[-_MOST // 2 :]} ({len(target)} characters)"
        module, kind = _line(question.module), question.permission
        terminal = self.terminal
        terminal.note(f'{terminal.paint("echelon:", "yellow")} {module} asks for {kind} to "{target}"')
        terminal.err.write(f"  y allows it, a allows every {kind} of this run, n refuses [n] ")
        terminal.err.flush()
        _forget_typed_ahead()
        return _ANSWERS.get(sys.stdin.readline().strip().lower(), Answer.NO)


def _line(text: str) -> str:
    """Make a text of the guest harmless: no sign of it moves the cursor, or begins a line of its own."""
    return one_column(text.replace("\n", "\ufffd"))


def _forget_typed_ahead() -> None:
    """Drop what was typed before the question was there: it cannot be an answer to it."""
    try:
        import termios
    except ImportError:  # Windows
        return
    with suppress(termios.error, ValueError):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
