"""What went wrong in a page: the error with its place in the author's files, and the pages that show it."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from echelon.errors import CompileError, EchelonError, Frame
from echelon.runtime.script_map import ScriptMap, read_frames
from echelon.view.document import VIEWPORT
from echelon.view.markup import Markup, html

_SHOWN: Final = 20
"""Calls of Python that a page shows, the innermost first."""

_STYLE: Final = Markup(
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:3rem auto;padding:0 1rem;color:#1b1b1f}"
    "h1{font-size:1.3rem}pre{background:#f3f3f6;padding:1rem;overflow:auto;border-radius:6px}mark{background:#fd8}"
    "@media(prefers-color-scheme:dark){body{background:#16161a;color:#e8e8ee}pre{background:#25252c}mark{color:#000}}"
    "</style>"
)


class RenderError(EchelonError):
    """A component threw; `components` are those around it, outermost first, `places` the stack, innermost first."""

    def __init__(
        self, message: str, components: tuple[str, ...] = (), places: tuple[Frame, ...] = ()
    ) -> None:
        where = f" in <{components[-1]}>" if components else ""
        at = f" at {places[0].file}:{places[0].line}" if places else ""
        super().__init__(f"{message}{where}{at}")
        self.reason = message
        self.components = components
        self.places = places


@dataclass(frozen=True, slots=True)
class Thrown:
    """What the script says about an error that it caught."""

    name: str = ""
    message: str = ""
    stack: str = ""
    components: list[str] = field(default_factory=list)

    def error(self, places: ScriptMap) -> RenderError:
        """Return the error, with places in the author's files."""
        found = tuple(frame for frame in read_frames(self.stack, places) if frame.file)
        text = f"{self.name}: {self.message}" if self.name else self.message or "an error without a message"
        return RenderError(text[:4096], tuple(self.components[-50:]), found)


def development_page(error: Exception, sources: Mapping[str, bytes], scripts: str) -> Markup:
    """Return the page that shows a developer an error: what, in which component, at which line of which file."""
    head = Markup(f"{VIEWPORT}{development_head(error)}{scripts}")
    return _document(head, development_body(error, sources))


def development_head(error: Exception) -> Markup:
    """Return what such a page has in its head."""
    return html("<title>{}</title>{}", _headline(error), _STYLE)


def development_body(error: Exception, sources: Mapping[str, bytes]) -> Markup:
    """Return what such a page shows."""
    parts: list[Any] = [html("<h1>{}</h1>", _headline(error))]
    if isinstance(error, RenderError):
        if error.components:
            parts.append(html("<p>In {}</p>", " › ".join(f"<{name}>" for name in error.components)))
        if error.places:
            first = error.places[0]
            parts.append(_excerpt(first.file or "", first.line or 0, sources))
            parts.append(_listed(error.places))
    elif isinstance(error, CompileError):
        for item in error.diagnostics:
            parts.append(html("<p>{}</p>", item))
            parts.append(_excerpt(item.file or "", item.line, sources))
    elif not isinstance(error, EchelonError):
        places = traceback.extract_tb(error.__traceback__)[: -_SHOWN - 1 : -1]
        parts.append(_listed(f"{place.name} ({place.filename}:{place.lineno})" for place in places))
    return html("<main>{}</main>", parts)


def _listed(places: Iterable[object]) -> Markup:
    return html("<ol>{}</ol>", [html("<li><code>{}</code></li>", place) for place in places])


def _headline(error: Exception) -> str:
    if isinstance(error, RenderError):
        return error.reason
    return (
        f"{type(error).__name__}: {error}"
        if not isinstance(error, CompileError)
        else "The pages cannot be built"
    )


def _excerpt(file: str, line: int, sources: Mapping[str, bytes]) -> Markup:
    """Return the lines around a place, with the one marked."""
    text = sources.get(file)
    if text is None or line < 1:
        return Markup("")
    lines = text.decode("utf-8", "replace").splitlines()
    shown = []
    for number in range(max(1, line - 4), min(len(lines), line + 4) + 1):
        row = f"{number:4}  {lines[number - 1][:300]}\n"
        shown.append(html("<mark>{}</mark>", row) if number == line else html("{}", row))
    return html("<pre><b>{}</b>\n{}</pre>", f"{file}:{line}", shown)


def plain_page(status: int, title: str, detail: str) -> Markup:
    """Return the page for an error where the application has none of its own."""
    return _document(Markup(f"{VIEWPORT}{plain_head(title)}"), plain_body(status, title, detail))


def plain_head(title: str) -> Markup:
    """Return what such a page has in its head."""
    return html("<title>{}</title>{}", title, _STYLE)


def plain_body(status: int, title: str, detail: str) -> Markup:
    """Return what such a page shows."""
    return html("<main><h1>{} {}</h1><p>{}</p></main>", status, title, detail)


def _document(head: Markup, body: Markup) -> Markup:
    return html(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/>{}</head><body>{}</body></html>',
        head,
        body,
    )
