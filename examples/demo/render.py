"""The home page: a file with the newest runs filled in, every text of a visitor escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from .history import Run

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the page's own files: no inline script or style, nothing from elsewhere."""

_BEFORE, _, _AFTER = (PAGE / "index.html").read_text("utf-8").partition("<!-- runs -->")
_ROW = """<li class="run {state}"
    data-id="{id}" data-language="{language}" data-function="{function}" data-args="{args}">
  <details>
    <summary><span class="mark" aria-hidden="true">{mark}</span><code class="call">{call}</code>
    <span class="result">{result}</span></summary>
    <p class="facts"><time datetime="{at}">{shown}</time> · {language} · {ms} ms</p>
    <pre class="source" tabindex="0">{source}</pre>
    <button type="button" class="quiet" data-action="open">Open in the editor</button>
    <button type="button" class="quiet" data-action="delete">Delete</button>
  </details>
</li>
"""


def row(run: Run) -> str:
    """Return one run as an item of the list; `page/app.js` makes the same of a run in JSON."""
    texts = {
        "state": "good" if run.ok else "bad",
        "mark": "✓" if run.ok else "✗",
        "call": f"{run.function}({run.args})",
        "function": run.function,
        "args": run.args,
        "result": run.result,
        "at": run.at.isoformat(),
        "shown": f"{run.at:%Y-%m-%d %H:%M:%S} UTC",
        "language": run.language,
        "source": run.source,
        "ms": f"{run.ms:.3f}",
        "id": str(run.id),
    }
    return _ROW.format(**{name: escape(text) for name, text in texts.items()})


def home(runs: Iterable[Run], cursor: str | None) -> str:
    """Return the page with these runs; `cursor` is where older ones begin."""
    rows = "".join(map(row, runs))
    return f'{_BEFORE}<ol id="runs" data-cursor="{escape(cursor or "")}">\n{rows}</ol>{_AFTER}'
