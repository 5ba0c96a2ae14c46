"""Standard output for results, standard error for everything else; colours only where a person reads."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TextIO

_COLOURS: Final = {"red": "31", "yellow": "33", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Unwritable(Exception):
    """A stream cannot be written: the disk below it is full, say."""


def clean(text: str) -> str:
    """Make control characters visible: text of a guest must not steer the terminal it is shown on."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_column(text: str) -> str:
    """Replace control characters by one blank or sign each, so that columns stay where they are."""
    return _CONTROL.sub("\ufffd", text.replace("\t", " "))


def is_terminal(stream: Any) -> bool:
    """Tell whether a stream is a terminal; a closed or missing one is not."""
    try:
        return bool(stream is not None and stream.isatty())
    except ValueError:
        return False


def has_colour(stream: Any, environ: Mapping[str, str]) -> bool:
    """Tell whether to colour what goes to a stream (https://no-color.org)."""
    return is_terminal(stream) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The two streams of a command."""

    out: TextIO
    err: TextIO
    out_colour: bool = False
    err_colour: bool = False

    @classmethod
    def standard(cls, environ: Mapping[str, str] = os.environ) -> Terminal:
        # Without a stream, which is how a process starts after `>&-`, what is written goes nowhere.
        out, err = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
        return cls(out, err, has_colour(out, environ), has_colour(err, environ))

    def result(self, text: str) -> None:
        """Write a result; on a terminal its control characters are made visible."""
        shown = clean(text) if is_terminal(self.out) else text
        _write(self.out, shown if shown.endswith("\n") else shown + "\n")

    def page(self, text: str) -> None:
        """Write text of our own, which may be coloured, to standard output."""
        _write(self.out, text if text.endswith("\n") else text + "\n")

    def raw(self, data: bytes, *, error: bool = False) -> None:
        """Pass on what a guest wrote: unchanged into a file or pipe, made harmless on a terminal."""
        stream = self.err if error else self.out
        binary = getattr(stream, "buffer", None)
        if is_terminal(stream) or binary is None:
            text = data.decode("utf-8", "replace")
            _write(stream, clean(text) if is_terminal(stream) else text)
            return
        with _writing():
            stream.flush()
            binary.write(data)

    def note(self, text: str = "") -> None:
        """Write a line for the person in front of it to standard error."""
        _write(self.err, text + "\n")

    def error(self, text: str) -> None:
        """Write one line that says what is wrong."""
        line = clean(" ".join(text.split()))
        self.note(f"{self.paint('echelon:', 'red')} {line}")

    def paint(self, text: str, colour: str, *, out: bool = False) -> str:
        """Colour text of our own where colours are shown."""
        if not (self.out_colour if out else self.err_colour):
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def flush(self) -> None:
        with _writing():
            self.out.flush()
            self.err.flush()


def _write(stream: TextIO, text: str) -> None:
    """Write text whatever the stream's encoding: what it cannot hold (half a surrogate pair) is escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with _writing():
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise Unwritable(f"the output could not be written: {exc.strerror or exc}") from exc


def table(rows: Sequence[tuple[str, ...]], *, indent: str = "") -> list[str]:
    """Line up the columns of rows; the last one is not padded."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append((indent + "  ".join([*cells, row[-1]])).rstrip())
    return lines
