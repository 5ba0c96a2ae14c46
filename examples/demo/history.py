"""The last runs of the playground, in the key-value store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from echelon import Kv

KEPT = 1000
"""Runs that are kept; the oldest goes when a new one comes."""
KEPT_FOR = timedelta(days=7)
PREFIX = ("demo", "runs")
LAST = ("demo", "last-run")


class Run(msgspec.Struct, frozen=True):
    """One run; `result` is the value as JSON, or what went wrong."""

    id: int
    at: datetime
    language: str
    source: str
    function: str
    args: str
    ok: bool
    result: str
    ms: float


async def record(kv: Kv, run: Run) -> Run:
    """Store a run under the next number, and drop the one that is too old by it."""
    while True:
        last = await kv.get(LAST, type=int)
        run = msgspec.structs.replace(run, id=(last.value or 0) + 1, at=datetime.now(UTC))
        stored = await (
            kv.atomic()
            .check(last)
            .set(LAST, run.id)
            .set((*PREFIX, run.id), run, expire_in=KEPT_FOR)
            .delete((*PREFIX, run.id - KEPT))
            .commit()
        )
        if stored.ok:  # otherwise another worker took the number first
            return run


async def page(kv: Kv, limit: int, cursor: str | None = None) -> tuple[list[Run], str | None]:
    """Return the newest runs, and the cursor of the next page; raises KvUsageError for a bad cursor."""
    listing = kv.list(prefix=PREFIX, reverse=True, limit=limit, cursor=cursor, type=Run)
    runs = [entry.value async for entry in listing if entry.value is not None]
    return runs, (listing.cursor or None) if len(runs) == limit else None


async def forget(kv: Kv, number: int) -> bool:
    """Delete one run; return whether it was there."""
    entry = await kv.get((*PREFIX, number))
    await kv.delete((*PREFIX, number))
    return entry.versionstamp is not None


async def forget_all(kv: Kv) -> int:
    """Delete every run; return how many there were."""
    keys = [entry.key async for entry in kv.list(prefix=PREFIX)]
    for start in range(0, len(keys), 500):
        batch = kv.atomic()
        for key in keys[start : start + 500]:
            batch.delete(key)
        await batch.commit()
    return len(keys)
