"""Disks that are full: real ones, in a process of their own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, resource, signal, subprocess, sys
from echelon.errors import KvStorageError
from echelon.kv import open_kv

kind, path, durability = sys.argv[1:]

def shrink():
    if kind == "limit":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))

def grow():
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        folder = path.rpartition("/")[0]
        subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)

async def main():
    async with open_kv(path, durability=durability) as kv:
        await kv.set(("first",), 1)
        shrink()
        work = [
            kv.atomic().set(("n", n), b"x" * 30_000).sum(("count",), 1).enqueue(n).commit() for n in range(60)
        ]
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        kept = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
        errors = {str(outcome) for outcome in outcomes if isinstance(outcome, KvStorageError)}
        assert 2 < len(kept) < 60, kept
        assert len(errors) == 1, errors
        assert (await kv.get(("first",))).value == 1
        print(errors.pop())
        grow()
        await kv.set(("last",), 1)
        assert [entry.key[1] async for entry in kv.list(prefix=("n",))] == kept
        assert (await kv.get(("count",))).value == len(kept)
        assert (await kv.stats()).messages == len(kept)
        assert await kv.check() == []
    async with open_kv(path) as kv:
        assert await kv.check() == []

asyncio.run(main())
"""


async def fill(*command: str) -> str:
    """Run the script and return the one error that it met."""
    result = await asyncio.to_thread(
        subprocess.run, [*command], input=SCRIPT, capture_output=True, text=True, check=False
    )
    assert (result.stderr, result.returncode) == ("", 0)
    return result.stdout


def has_namespaces() -> bool:
    """Whether a test may mount something that only it sees."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_full_disk(tmp_path: Path, durability: str) -> None:
    """On a full disk commits fail whole with one clear error, reads go on, and with more room writes do, too."""
    if not has_namespaces():
        pytest.skip("this system lets nobody mount a small disk")
    mount = f'mount -t tmpfs -o size=1m tmpfs "{tmp_path}" && exec "$0" "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, sys.executable, "-"]
    message = await fill(*command, "disk", str(tmp_path / "test.db"), durability)
    assert "the disk is full; nothing was written: free some space and try again" in message


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_file_that_must_not_grow(tmp_path: Path, durability: str) -> None:
    """A limit on the size of files ends commits in the same way."""
    message = await fill(sys.executable, "-", "limit", str(tmp_path / "test.db"), durability)
    assert "the disk " in message
