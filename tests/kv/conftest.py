"""Stores to test with: every kind of engine, each closed at the end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connect_peers import TOKEN, serving, url_of
from deno_peer import Deno, start_deno
from postgres_server import PostgresServer

from echelon.kv import Kv, Listing, open_kv

ENGINES = ["full", "normal", "memory", "deno", "postgres", "connect"]


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
    if request.param == "connect":
        async with (
            open_kv(tmp_path / "test.db") as served,
            serving(served.backend) as listener,
            open_kv(url_of(listener), token=TOKEN) as store,
        ):
            # Some tests count what is in the file, whose connections the client does not have.
            store._backend._connections = served._backend._connections  # type: ignore[attr-defined]
            yield store
        return
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("openssl is not here to make a certificate")
    command = [
        found,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
