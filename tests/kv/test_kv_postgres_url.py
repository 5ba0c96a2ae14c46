"""The URL of a store on PostgreSQL, what its errors say, and its clock: all that needs no server."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import asyncpg
import pytest

from echelon.errors import KvUsageError
from echelon.kv import limits
from echelon.kv.postgres import PostgresBackend
from echelon.kv.postgres_errors import passes, storage_error
from echelon.kv.postgres_line import Clock
from echelon.kv.postgres_schema import MIN_SERVER
from echelon.kv.postgres_url import DEFAULT_CONNECTIONS, DEFAULT_SCHEMA, parse_url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://host/db?schema=Shop", "schema=Shop is not a name"),
        ("postgresql://host/db?schema=pg_shop", "schema=pg_shop is not a name"),
        ('postgresql://host/db?schema=a"b', "is not a name"),
        ("postgresql://host/db?schema=" + "a" * 49, "is not a name"),
        ("postgresql://host/db?schema=", "is not a name"),
        (
            "postgresql://host/db?connections=0",
            "connections=0 in the store's URL is not a number from 1 to 64",
        ),
        ("postgresql://host/db?connections=many", "is not a number"),
        ("postgresql://host/db?connections=65", "is not a number"),
        ("postgresql://host/db?conections=3", "unknown option 'conections'; it may have application_name"),
        ("postgresql://host/db?schema", "an option without a value"),
        ("postgresql://host/db#x", "is not the URL of a store"),
        ("postgresql://ada:s@cret@host/db", "with %40 for @"),
        ("postgresql://ada:s/cret@host/db", "%2F for /"),
        ("postgresql://:secret@host/db", "is not the URL of a store"),
        ("postgresql://ada:12/34@host/db", "%2F for /"),
        ("postgresql://host:port/db", "is not the URL of a store"),
        ("postgresql://[::1/db", "is not the URL of a store"),
        ("mysql://host/db", "is not the URL of a store"),
    ],
)
async def test_bad_urls(url: str, message: str) -> None:
    """A URL that makes no sense is a KvUsageError that says what to write, and never shows a password."""
    with pytest.raises(KvUsageError, match=message.replace("?", "[?]")) as caught:
        await PostgresBackend.open(url)
    assert "cret" not in "".join(traceback.format_exception(caught.value)).replace(url, "")
    assert "cret" not in str(caught.value)


def test_what_is_shown_of_a_url() -> None:
    """Messages name the user, the hosts, the database and the schema; the driver gets everything but our options."""
    url = "postgresql://ada:s%40cret@one:5432,two/shop?schema=tea&connections=2&sslmode=require&sslpassword=hush"
    address = parse_url(url)
    assert address.name == "postgresql://ada@one:5432,two/shop?schema=tea"
    assert repr(address) == f"Address({address.name})"
    assert (address.schema, address.connections) == ("tea", 2)
    assert address.url == "postgresql://ada:s%40cret@one:5432,two/shop?sslmode=require&sslpassword=hush"
    assert address.hide("no s@cret, hush") == "no ***, ***"
    other = parse_url("postgres:///shop?host=/run/postgresql&password=x9&user=ada")
    assert other.name == "postgresql:///shop?host=/run/postgresql&schema=echelon"
    assert other.hide("x9") == "***"


def test_clock() -> None:
    """A difference counts when it cannot be the network's doing."""
    clock = Clock()
    for server, shift in ((10_100, 0), (9_900, 0), (11_000, 1000), (5000, -5000), (10_000, 0)):
        clock.compare(10.0, server, 10.0)
        assert clock.shift == shift
    clock.compare(8.0, 11_000, 12.0)
    assert clock.shift == 0


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("53200", "out of resources"),
        ("53300", "max_connections"),
        ("58030", "the server's disk failed"),
        ("57014", "statement_timeout"),
        ("57P03", "shutting down or starting"),
        ("42883", "was it upgraded meanwhile"),
        ("54000", "so large"),
        ("99999", "the server failed"),
    ],
)
def test_what_errors_say(state: str, message: str) -> None:
    """Every kind of failure of a server is one sentence that says what it means."""
    error = asyncpg.PostgresError.new({"C": state, "M": "hush, it failed"})
    said = str(storage_error(error, parse_url("postgresql://ada:hush@host/shop")))
    assert message in said
    assert said.startswith("postgresql://ada@host/shop?schema=echelon: ")
    assert "hush" not in said


def test_what_passes() -> None:
    """Lost connections and restarts pass; refusals do not; before the server was reached almost nothing does."""
    lost = asyncpg.ConnectionDoesNotExistError("closed")
    starting = asyncpg.CannotConnectNowError("starting")
    refused = asyncpg.InvalidPasswordError("no")
    assert [passes(e, reached=True) for e in (lost, starting, ConnectionResetError(), refused)] == [
        True,
        True,
        True,
        False,
    ]
    assert [passes(e, reached=False) for e in (lost, starting, ConnectionResetError(), refused)] == [
        False,
        True,
        False,
        False,
    ]


def test_without_the_driver() -> None:
    """Without asyncpg, opening a store on PostgreSQL says which extra installs it."""
    program = (
        "import asyncio, sys\nsys.modules['asyncpg'] = None\nfrom echelon.kv import open_kv\n"
        "async def main(): await open_kv('postgresql://localhost/x')\n"
        "try: asyncio.run(main())\nexcept Exception as exc: print(type(exc).__name__, exc)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'MissingExtra asyncpg is not installed: pip install "echelon[postgres]"'


def test_documented_numbers() -> None:
    """The numbers in the documentation are those of the code."""
    text = (Path(__file__).parents[2] / "docs" / "kv.md").read_text().partition("## PostgreSQL")[2]
    assert f"for up to {limits.MAX_RECONNECT_SECONDS:.0f} s" in text
    assert f"for {limits.MAX_LOCK_SECONDS:.0f} s |" in text
    assert f"version {MIN_SERVER} or later" in text
    assert f"`{DEFAULT_SCHEMA}` unless" in text
    assert f"`connections=` ({DEFAULT_CONNECTIONS})" in text
