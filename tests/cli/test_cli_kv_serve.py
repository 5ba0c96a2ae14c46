"""`echelon kv serve`: a store for other programs, until a signal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cli_samples import Cli

from echelon.errors import KvStorageError
from echelon.kv import open_kv

TOKEN = "token-of-the-test"


@asynccontextmanager
async def served(
    folder: Path, *arguments: str, token: str = ""
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process, list[str]]]:
    """Run the command; give its URL, its process and what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "DENO_KV_ACCESS_TOKEN"}
    if token:
        environment["DENO_KV_ACCESS_TOKEN"] = token
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "echelon", "kv", "serve", *arguments),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        while True:
            said.append((await asyncio.wait_for(process.stderr.readline(), 20)).decode().strip())
            assert said[-1], said
            url = re.search(r"https?://\S+", said[-1])
            if url is not None:
                break
        yield url[0], process, said
    finally:
        if process.returncode is None:
            process.terminate()
        _, rest = await process.communicate()
        said += rest.decode().splitlines()


async def test_serves_until_a_signal(tmp_path: Path) -> None:
    """The store is made, used over the network, and closed in order; Ctrl-C is told apart from an end."""
    for number, expected in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        async with served(tmp_path, "app.db", "--port", "0", token=TOKEN) as (url, process, said):
            assert re.fullmatch(
                r"Serving app\.db on http://127\.0\.0\.1:\d+ \(KV Connect\); Ctrl-C stops it", said[0]
            )
            async with open_kv(url, token=TOKEN) as kv:
                await kv.set(("n",), int(number))
            with pytest.raises(KvStorageError, match="refuses the token"):
                await open_kv(url, token="another-token")
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 20) == expected
        assert said[1:] == []
        async with open_kv(tmp_path / "app.db") as kv:
            assert (await kv.get(("n",))).value == number


async def test_makes_a_token(tmp_path: Path) -> None:
    """Without a token one is made and shown, on standard error alone; the project's store is served."""
    async with served(tmp_path, "--port", "0") as (url, process, said):
        assert process.stderr is not None
        line = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
        token = line.removeprefix("Access token, made for this run: ").strip()
        assert len(token) >= 32
        async with open_kv(url, token=token) as kv:
            await kv.set(("k",), "v")
    assert ".echelon/kv.db" in said[0]
    assert (tmp_path / ".echelon" / "kv.db").exists()


async def test_a_watch_does_not_hold_it_up(tmp_path: Path) -> None:
    """A client that watches does not keep the command from ending."""
    async with (
        served(tmp_path, "app.db", "--port", "0", "--token", TOKEN) as (url, process, _),
        open_kv(url, token=TOKEN) as kv,
    ):
        watching = kv.watch([("k",)])
        await anext(watching)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
        await watching.aclose()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["app.db", "--token", "short"], "at least 12 characters"),
        (["app.db", "--token", TOKEN, "--port", "99999"], "0 to 65535"),
        (["app.db", "--token", TOKEN, "--port", "x"], "0 to 65535"),
        (["nowhere/app.db", "--token", TOKEN], "no folder nowhere"),
        (["app.db", "--token", TOKEN, "--tls-cert", "cert.pem"], "both --tls-cert and --tls-key"),
        (["app.db", "--token", TOKEN, "--tls-cert", "a", "--tls-key", "b"], "not a certificate and its key"),
        (["app.db", "--format", "other"], "--format"),
    ],
)
def test_mistakes(cli: Cli, arguments: list[str], reason: str) -> None:
    """What cannot be served is refused in one line, and nothing is made."""
    result = cli("kv", "serve", *arguments)
    assert (result.status, reason in result.err, len(result.err.splitlines())) == (2, True, 1)
    assert not Path("app.db").exists()


def test_failures(cli: Cli) -> None:
    """An address that cannot be had, and a store that cannot be opened, are failures."""
    result = cli("kv", "serve", "app.db", "--token", TOKEN, "--host", "192.0.2.1")
    assert "cannot listen on 192.0.2.1" in result.err
    assert result.status != 0
    Path("broken.db").write_bytes(b"no database" * 1000)
    result = cli("kv", "serve", "broken.db", "--token", TOKEN, "--port", "0")
    assert (result.status, "broken.db" in result.err) == (1, True)
