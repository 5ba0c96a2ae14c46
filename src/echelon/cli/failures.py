"""How errors are shown: a denial with its grant, a trap with its frames, a compile error with its source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from echelon.cli.status import status_of
from echelon.cli.terminal import Terminal, clean, one_column
from echelon.errors import (
    CompileError,
    Diagnostic,
    EchelonError,
    LoadError,
    PermissionDenied,
    Trap,
)

_EXCERPT = 100
_COLOURS = {"error": "red", "warning": "yellow"}


def report(error: EchelonError, terminal: Terminal) -> int:
    """Write an error and return the exit status it means."""
    if isinstance(error, PermissionDenied):
        terminal.error(f"permission denied: {error}")
    elif isinstance(error, Trap):
        terminal.error(f"trap {error.code}: {error}")
        for frame in error.frames:
            terminal.note(clean(f"  at {frame}"))
    elif isinstance(error, CompileError) and any(item.line for item in error.diagnostics):
        diagnostics(error.diagnostics, None, terminal)
    else:
        terminal.error(str(error) or type(error).__name__)
    return status_of(error)


def diagnostics(items: Iterable[Diagnostic], source: Path | None, terminal: Terminal) -> None:
    """Write each message as `file:line:column: severity: message`, with its line of the source and a caret."""
    for item in items:
        path = _path_of(item, source)
        place = (
            f"{path or 'source'}:{item.line}:{item.column}: " if item.line else f"{path}: " if path else ""
        )
        severity = terminal.paint(f"{item.severity}:", _COLOURS.get(item.severity, "cyan"))
        terminal.note(f"{terminal.paint(clean(place), 'bold')}{severity} {clean(item.message)}")
        for line in _excerpt(path, item):
            terminal.note(line)


def compile_failed(error: CompileError, source: Path, terminal: Terminal) -> int:
    """Write the messages of a failed compile and return the exit status."""
    if error.diagnostics:
        diagnostics(error.diagnostics, source, terminal)
    else:
        terminal.error(f"{source}: {error}")
    return status_of(error)


def in_file(error: LoadError, source: Path) -> LoadError:
    """Name the file that a module came from."""
    text = str(error)
    return error if str(source) in text else type(error)(f"{source}: {text}")


def _path_of(item: Diagnostic, source: Path | None) -> Path | None:
    """Return the file a message is about; compilers know it by a name relative to the source's folder."""
    from echelon.plugin.sources import plain

    if source is None or item.file is None or item.file == plain(source.name):
        return source if source is not None else Path(item.file) if item.file else None
    return source.parent / item.file


def _excerpt(path: Path | None, item: Diagnostic) -> list[str]:
    """Return the line of the source and a caret below the column, cut to what fits into a terminal.

    A message that shows its line itself gets none.
    """
    if path is None or item.line < 1 or item.message.endswith(" ^"):
        return []
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    if item.line > len(lines):
        return []
    text = one_column(lines[item.line - 1].rstrip("\r"))
    column = max(item.column, 1) - 1
    first = max(0, column - _EXCERPT // 2) if len(text) > _EXCERPT else 0
    shown = text[first : first + _EXCERPT]
    gutter = f"{item.line:>5} | "
    blank = " " * 5 + " | "
    caret = [f"{blank}{' ' * (column - first)}^"] if item.column and column <= len(text) else []
    return [f"{gutter}{shown}", *caret]
