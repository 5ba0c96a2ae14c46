"""docs/jobs.md says what the code does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from echelon import Application
from echelon.http.testing import TestClient
from echelon.jobs import cron
from echelon.jobs.queue import POSTPONE_SECONDS
from echelon.jobs.schedule import SHORT
from echelon.kv import limits

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()


async def test_the_example(tmp_path: Path, monkeypatch: Any) -> None:
    """What is shown runs: a message sent in a commit is handled, and the job counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHELON_TELEMETRY_LOGS", "none")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], names)
    app: Application = names["app"]
    async with TestClient(app) as client:
        assert (await client.post("/signup/ada")).status_code == 200
        async with asyncio.timeout(10):
            while not ((await app.kv.get(("users", "ada"))).value or {}).get("welcome"):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        await names["count"](app.kv)
        assert (await app.kv.get(("total",))).value == 1


def test_numbers() -> None:
    """The numbers are those of the code."""
    assert f"after {POSTPONE_SECONDS[0]:g} to {POSTPONE_SECONDS[1]:g} seconds" in PAGE
    assert f"within {cron.LEASE.total_seconds() + cron._LOOK_SECONDS:g} seconds" in PAGE
    assert f"for more than {cron.LEASE.total_seconds():g} seconds" in PAGE
    assert f"at most {cron.MAX_ATTEMPTS} times" in PAGE
    backoff = [f"{step / 1000:g}" for step in limits.DEFAULT_BACKOFF]
    assert f"{', '.join(backoff[:-1])} and {backoff[-1]} s" in PAGE
    for name in SHORT:
        assert f"`{name}`" in PAGE
