"""How far a long command is: one line on the terminal that is written again and again, and wiped at the end."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Final, Self

from echelon.cli.terminal import Terminal, is_terminal

_SECONDS: Final = 0.1
"""How often the line is written."""

_WIDTH: Final = 24
_WIPE: Final = "\r\x1b[K"


class Progress:
    """Shows how much was done; nothing at all where nobody looks at a terminal.

    With `output` something goes to standard output meanwhile: if that is a terminal as well, the line would stand
    between its lines, so it is left out.
    """

    def __init__(self, terminal: Terminal, verb: str, *, output: bool = False) -> None:
        shown = is_terminal(terminal.err) and not (output and is_terminal(terminal.out))
        self._terminal = terminal if shown and os.environ.get("TERM") != "dumb" else None
        self._verb = verb
        self._due = time.monotonic() + _SECONDS
        self._written = False

    def show(self, done: int, what: str, total: int | None = None) -> None:
        """Say that `done` of a total is done, if that is known, and `what` that is in words."""
        now = time.monotonic()
        if self._terminal is None or now < self._due:
            return
        self._due = now + _SECONDS
        self._written = True
        bar = "" if not total else f" {_bar(min(done / total, 1.0))}"
        self._terminal.err.write(f"{_WIPE}{self._verb}{bar} {what}")
        self._terminal.err.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal is not None and self._written:
            self._terminal.err.write(_WIPE)
            self._terminal.err.flush()


def _bar(share: float) -> str:
    full = int(share * _WIDTH)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {int(share * 100):3}%"
