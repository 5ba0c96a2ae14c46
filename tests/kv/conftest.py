"""Stores to test with: every kind of engine, each closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deno_peer import Deno, start_deno
from postgres_server import PostgresServer

from echelon.kv import Kv, Listing, open_kv

ENGINES = ["full", "normal", "memory", "deno", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started with the first test that needs it."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of a store on PostgreSQL that does not exist yet."""
    return postgres.new_url()


@pytest.fixture(params=ENGINES)
async def kv(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kv]:
    """An empty store on each engine."""
    options: dict[str, Any] = {
        "normal": {"durability": "normal"},
        "deno": {"format": "deno"},
    }.get(request.param, {})
    path: Any = ":memory:" if request.param == "memory" else tmp_path / "test.db"
    if request.param == "postgres":
        path = request.getfixturevalue("postgres_url")
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
