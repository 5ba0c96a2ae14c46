"""Row 3: a JSON route with one typed path parameter, one worker, beside other Python frameworks."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import servers
from benchmarks.http_rounds import compare_servers
from benchmarks.row import Comparison, Row, Settings
from benchmarks.servers import Server
from benchmarks.statistics import Series

TARGET = 2.0
_FRAMEWORKS = ("Starlette", "Litestar", "BlackSheep", "FastAPI", "Falcon")
_SERVERS = {"uvicorn": servers.uvicorn, "granian": servers.granian}
_FINALISTS = 3


async def run(settings: Settings) -> list[Comparison]:
    """Try each framework on each server, then measure the fastest pairs and Echelon side by side."""
    commands = [("Echelon", servers.echelon("benchmarks.apps.echelon_json:app"))]
    commands += [
        (f"{framework} on {server}", command(f"benchmarks.apps.{framework.lower()}_json:app"))
        for framework in _FRAMEWORKS
        for server, command in _SERVERS.items()
    ]
    with servers.running(commands) as started:
        ours, *peers = started.values()
        tried = await compare_servers(peers, 1, settings.pick(2, 1))
        finalists = [started[series.name] for series in fastest(tried)[: settings.pick(_FINALISTS, 2)]]
        found = await _final(ours, finalists, settings)
    names = {series.name for series in found}
    return [
        Comparison(
            "one typed path parameter, one worker", TARGET, found[0], found[1:],
            others=[series for series in tried if series.name not in names],
            notes=[f"{len(tried)} pairs were tried, the fastest {len(finalists)} measured beside Echelon"],
        )
    ]  # fmt: skip


async def _final(ours: Server, finalists: Sequence[Server], settings: Settings) -> list[Series]:
    return await compare_servers(
        [ours, *finalists],
        settings.pick(2, 1),
        settings.pick(4, 3),
        batches=settings.pick(2, 1),
        warm=not settings.quick,
    )


def fastest(tried: Sequence[Series]) -> list[Series]:
    """Return the better server of each framework, fastest first."""
    best: dict[str, Series] = {}
    for series in sorted(tried, key=lambda series: series.cost):
        best.setdefault(series.name.split(" on ")[0], series)
    return list(best.values())


ROW = Row(
    3, "json-route", "JSON route, one worker, beside other frameworks, each on its best server", run,
    ("starlette", "litestar", "blacksheep", "fastapi", "falcon", "uvicorn", "httptools"),
)  # fmt: skip
