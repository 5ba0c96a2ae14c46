"""A real PostgreSQL server for tests, and what an administrator of it does."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from echelon.kv.postgres_url import parse_url

SCRIPT = Path(__file__).parents[2] / "scripts" / "postgres"
NOWHERE = 3  # how the script ends where there is neither PostgreSQL nor a way to install it


class PostgresServer:
    """A real server for this run of the tests."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([SCRIPT], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._numbers = count()
        self.socket_url = self._read()
        self.tcp_url = self._read()
        self.folder = Path(parse_qs(urlsplit(self.socket_url).query)["host"][0])

    def _read(self) -> str:
        line = self._process.stdout.readline().strip()  # type: ignore[union-attr]  # it is a pipe
        if not line:
            _, errors = self._process.communicate()
            if self._process.returncode == NOWHERE:
                pytest.skip(errors.strip())
            pytest.fail(f"scripts/postgres: {errors.strip()}")
        return line

    def new_url(self) -> str:
        """Return the URL of a store that does not exist yet."""
        return f"{self.socket_url}&schema=t{next(self._numbers)}"

    def restart(self, mode: str = "fast") -> None:
        """Stop the server, "immediate" as in a crash, and start it again; blocks until it answers."""
        self._process.stdin.write(f"{mode}\n")  # type: ignore[union-attr]  # it is a pipe
        self._process.stdin.flush()  # type: ignore[union-attr]  # it is a pipe
        assert self._read() == "ready"

    def stop(self) -> None:
        """Stop the server and remove what it wrote."""
        self._process.communicate()


def schema_of(url: str) -> str:
    """Return the schema in a store's URL."""
    return parse_qs(urlsplit(url).query)["schema"][0]


@asynccontextmanager
async def administer(url: str) -> AsyncIterator[Any]:
    """A connection for what an administrator does."""
    connection = await asyncpg.connect(parse_url(url).url)
    try:
        yield connection
    finally:
        await connection.close()


async def until(look: Callable[[], Awaitable[Any]], is_right: Callable[[Any], bool]) -> None:
    """Look again and again until it is as it should be."""
    for _ in range(500):
        seen = await look()
        if is_right(seen):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"it stayed {seen!r}")
