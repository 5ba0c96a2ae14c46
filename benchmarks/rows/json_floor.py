"""Row 4: the same JSON route beside a bare RSGI function on the same server with the same settings."""

from __future__ import annotations

from benchmarks import servers
from benchmarks.http_rounds import compare_servers
from benchmarks.row import Comparison, Row, Settings

TARGET = 0.7


async def run(settings: Settings) -> list[Comparison]:
    """Serve all three through Echelon's own server, so that the settings cannot differ."""
    commands = [
        ("Echelon", servers.echelon("benchmarks.apps.echelon_json:app")),
        ("bare RSGI, ready bytes", servers.echelon("benchmarks.apps.bare_rsgi:app")),
        ("bare RSGI, encoding JSON", servers.echelon("benchmarks.apps.encoding_rsgi:app")),
    ]
    with servers.running(commands) as started:
        ours, bare, encoding = await compare_servers(
            list(started.values()),
            settings.pick(2, 1),
            settings.pick(5, 3),
            batches=settings.pick(2, 1),
            warm=not settings.quick,
        )
    return [Comparison("share of a function that sends ready bytes", TARGET, ours, [bare], others=[encoding])]


ROW = Row(
    4,
    "json-floor",
    "JSON route, one worker, beside a bare RSGI function on the same server",
    run,
    ("granian",),
)
