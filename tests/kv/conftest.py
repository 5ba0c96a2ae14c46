"""Stores to test with: every kind of engine, each closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from deno_peer import Deno, start_deno

from echelon.kv import Kv, Listing, open_kv

ENGINES = ["full", "normal", "memory", "deno"]


@pytest.fixture(params=ENGINES)
async def kv(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kv]:
    """An empty store on each engine."""
    options: dict[str, Any] = {
        "normal": {"durability": "normal"},
        "deno": {"format": "deno"},
    }.get(request.param, {})
    path = ":memory:" if request.param == "memory" else tmp_path / "test.db"
    async with open_kv(path, **options) as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store can be made."""
    return tmp_path / "test.db"


@pytest.fixture
def keys() -> Callable[[Listing[Any]], Any]:
    """Collect the keys of a listing."""

    async def collect(listing: Listing[Any]) -> list[Any]:
        return [entry.key async for entry in listing]

    return collect


@pytest.fixture
async def deno() -> AsyncIterator[Deno]:
    """Real Deno, to run JavaScript in."""
    async with start_deno() as running:
        yield running
