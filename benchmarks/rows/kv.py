"""Row 8: the key-value store beside Deno KV, on the same disk and as durable."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.kv.stores import DenoStore, EchelonStore, PostgresServer, Store, user
from benchmarks.rounds import interleave
from benchmarks.row import CannotRun, Comparison, Row, Settings
from echelon.kv import open_kv

_HOME: Final = Path(__file__).parents[2] / ".echelon"
"""Where the files are: on the disk of the repository, which is no memory where `/tmp` may be."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: how often a sample does it, and how many times as fast as Deno it must be."""

    what: str
    name: str
    count: int
    target: float


OPERATIONS: Final = (
    Operation("get", "get", 4000, 6.0),
    Operation("get_many of 10", "get_many", 800, 5.0),
    Operation("list of 1000", "list", 20, 2.0),
    Operation("set, 64 in flight, synced", "set_together", 4000, 8.0),
    Operation("set, one after the other, synced", "set", 300, 1.0),
    Operation("delivery of a message", "queue", 30, 5.0),
)


async def run(settings: Settings) -> list[Comparison]:
    """Measure each operation of every store in turns, so that all meet the same disk."""
    _HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_HOME, prefix="bench-") as folder:
        async with AsyncExitStack() as stack:
            server = await PostgresServer.start(_open_to_others(Path(folder)))
            stack.push_async_callback(server.close)
            stores: dict[str, Store] = {}
            for name, opening in (
                ("Echelon, SQLite", _echelon(Path(folder) / "echelon.db")),
                ("Deno KV", DenoStore.start(Path(folder) / "deno.db")),
                ("Echelon, PostgreSQL", _echelon(server.url)),
            ):
                stores[name] = await opening
                stack.push_async_callback(stores[name].close)
            for name, store in stores.items():
                if await store.read(17) != user(17):
                    raise CannotRun(f"{name} does not hold what was stored")
            return [await _compare(stores, operation, settings) for operation in OPERATIONS]


def _open_to_others(folder: Path) -> Path:
    """Let the server below, which refuses to run as root, pass through a folder."""
    folder.chmod(0o711)
    return folder


async def _echelon(where: Path | str) -> EchelonStore:
    return await EchelonStore.fill(await open_kv(where))


async def _compare(stores: Mapping[str, Store], operation: Operation, settings: Settings) -> Comparison:
    for store in stores.values():
        await store.measure(operation.name, max(1, operation.count // 4))
    measures = {
        name: partial(store.measure, operation.name, operation.count) for name, store in stores.items()
    }
    subject, peer, *others = await interleave(measures, "µs", settings.pick(15, 7))
    return Comparison(operation.what, operation.target, subject, [peer], others)


ROW = Row(8, "kv", "The key-value store", run, packages=("apsw", "deno"))
