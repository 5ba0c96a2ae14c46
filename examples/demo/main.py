"""What `make run` serves: a playground for WebAssembly, and a few ordinary routes.

echelon run examples/demo/main.py
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from echelon import JSON, Application, HTTPError, Kv, Limits, Response
from echelon.console.problems import problem_for
from echelon.errors import KvUsageError
from echelon.http import Empty, Request
from echelon.http.disconnect import cancel_on_disconnect
from echelon.kv import U64
from echelon.middleware import Compression, SecurityHeaders

from . import history, samples
from .history import Run
from .playground import Attempt, Playground, Source

HERE = Path(__file__).parent
SHOWN = 20
"""Runs on one page of the list."""
Page = Annotated[int, msgspec.Meta(ge=1, le=100)]

app = Application()
app.middleware(SecurityHeaders())
app.middleware(Compression())
playground = Playground(app)
text = app.wasm.module(
    HERE / "guests" / "text.ts", limits=Limits(memory="8MiB", time="100ms", output="64KiB")
)


class Home(msgspec.Struct):
    """What the page shows; `cursor` is where older runs begin."""

    offers: list[samples.Offer]
    runs: list[Run]
    cursor: str | None
    visits: int


async def home(kv: Kv) -> Home:
    """Count the visit, and return what the page shows."""
    runs, cursor = await history.page(kv, SHOWN)
    return Home(await samples.offers(app), runs, cursor, (await visit(kv))["visits"])


app.page("/", HERE / "pages" / "index.tsx", props=home)


@app.get("/api/languages")
async def languages() -> list[samples.Offer]:
    """The languages that can be chosen, with programs to begin with."""
    return await samples.offers(app)


@app.post("/playground/compile", max_body=256 * 1024)
async def compile(request: Request, source: Source) -> Response:
    """Compile what a visitor typed, and say what it exports."""
    try:
        return JSON(await cancel_on_disconnect(request, playground.compile(source)))
    except Exception as exc:
        return _problem(exc)


@app.post("/playground", max_body=256 * 1024)
async def play(request: Request, attempt: Attempt, kv: Kv) -> Response:
    """Compile and run what a visitor typed, and remember how it went."""
    try:
        answer = await cancel_on_disconnect(request, playground.run(attempt))
    except Exception as exc:
        problem = _problem(exc)
        if problem.status != 503:
            await history.record(kv, summary(attempt, ok=False, result=getattr(exc, "detail", str(exc))))
        return problem
    run = summary(attempt, ok=True, result=answer["text"], ms=answer["cost"]["wall_ms"])
    return JSON({**answer, "run": await history.record(kv, run)})


def _problem(error: Exception) -> Response:
    """Return what a visitor is told; raises what is no visitor's mistake."""
    problem = problem_for(error)
    if problem is None:
        raise error
    return problem


def summary(attempt: Attempt, *, ok: bool, result: str, ms: float = 0.0) -> Run:
    """Return what is remembered of a run, cut to size."""
    args = msgspec.json.encode(attempt.args).decode()[1:-1]
    return Run(
        id=0,
        at=datetime.now(UTC),
        language=attempt.language,
        source=attempt.source[:4000],
        function=attempt.function,
        args=args[:200],
        ok=ok,
        result=result[:500],
        ms=ms,
    )


# --- a few ordinary routes: typed parameters, the key-value store, a guest -----------------------------------


@app.get("/api/runs")
async def runs(kv: Kv, limit: Page = SHOWN, cursor: str | None = None) -> dict[str, Any]:
    """One page of the runs, the newest first; `cursor` of the answer is where the next page begins."""
    try:
        found, following = await history.page(kv, limit, cursor)
    except KvUsageError as exc:
        raise HTTPError(400, str(exc)) from exc
    return {"runs": found, "cursor": following}


@app.delete("/api/runs/{id:int}")
async def forget(id: int, kv: Kv) -> None:
    """Delete one run."""
    if not await history.forget(kv, id):
        raise HTTPError(404, f"there is no run {id}")


@app.delete("/api/runs")
async def forget_all(kv: Kv) -> dict[str, int]:
    """Delete every run."""
    return {"deleted": await history.forget_all(kv)}


@app.get("/api/hello/{name}")
async def hello(name: str, times: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1) -> dict[str, Any]:
    """A typed path and query: /api/hello/Ada?times=2."""
    return {"greeting": f"Hello, {name}!", "times": times}


@app.get("/api/visits")
async def visits(kv: Kv) -> dict[str, int]:
    """How often the page was opened."""
    count = (await kv.get(("demo", "visits"), type=int)).value
    return {"visits": count or 0}


@app.post("/api/visits")
async def visit(kv: Kv) -> dict[str, int]:
    """Count a visit; the store adds up, however many workers count at once."""
    await kv.atomic().sum(("demo", "visits"), U64(1)).commit()
    return await visits(kv)


@app.get("/api/slug")
async def slug(title: str) -> dict[str, Any]:
    """A guest in TypeScript, compiled when the application started: /api/slug?title=Hello+World."""
    return {"slug": await text.slug(title), "words": await text.words(title)}


@app.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """There is none; browsers ask anyway."""
    return Empty(204, {"cache-control": "max-age=86400"})
