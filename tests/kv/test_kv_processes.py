"""Several processes on one file, and processes that are killed while they write."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import apsw
import pytest

from echelon.errors import KvClosed, KvStorageError
from echelon.kv import open_kv

DRIVER = Path(__file__).with_name("crash_driver.py")

WORKER = """
import asyncio, sys
from echelon.kv import open_kv

async def main(path, durability, tasks, rounds):
    async def work(kv, task):
        for n in range(rounds):
            await kv.atomic().sum(("sum",), 1).commit()
            while True:
                entry = await kv.get(("counter",))
                if await kv.atomic().check(entry).set(("counter",), (entry.value or 0) + 1).commit():
                    break
            one, other = await kv.get_many([("pair", 1), ("pair", 2)])
            if one.versionstamp != other.versionstamp:
                raise SystemExit("a pair was split")
            await kv.atomic().set(("pair", 1), n).set(("pair", 2), n).commit()
    async with open_kv(path, durability=durability) as kv:
        await asyncio.gather(*(work(kv, task) for task in range(tasks)))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


async def run(*arguments: str) -> tuple[int, str]:
    """Run Python and return its status and everything it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_processes_share_a_file(path: Path, durability: str) -> None:
    """Three processes that make, open and write one store at once lose nothing and see no lock."""
    workers = [run("-c", WORKER, str(path), durability, "6", "15") for _ in range(3)]
    assert await asyncio.gather(*workers) == [(0, "")] * 3
    async with open_kv(path) as kv:
        assert (await kv.get(("sum",))).value == 3 * 6 * 15
        assert (await kv.get(("counter",))).value == 3 * 6 * 15


async def test_killed_processes(tmp_path: Path) -> None:
    """After 200 times kill -9, at any moment, every acknowledged commit is there, whole, and its message is handled."""
    rounds = {"full": 120, "normal": 80}
    runs = [run(str(DRIVER), str(tmp_path / name), str(count), name) for name, count in rounds.items()]
    for (status, output), count in zip(await asyncio.gather(*runs), rounds.values(), strict=True):
        assert status == 0, output
        counts = json.loads(output)
        assert counts["rounds"] == count
        assert counts["commits"] >= counts["acknowledged"] > 500


async def test_writes_wait_for_another_writer(path: Path) -> None:
    """While another process holds the file, writes wait, reads go on, and the event loop stays free."""
    for durability in ("full", "normal"):
        async with open_kv(path, durability=durability) as kv:  # type: ignore[arg-type]  # a str from a loop
            await kv.set(("k",), 1)
            other = apsw.Connection(str(path))
            other.execute("begin immediate; update meta set version = version + 7")
            write = asyncio.create_task(kv.set(("k",), 2))
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert (await kv.get(("k",))).value == 1
            assert not write.done()
            other.execute("commit")
            assert (await write).ok
            assert (await kv.get(("k",))).value == 2
            other.close()


async def test_lock_that_never_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that keeps the file locked for too long is a KvStorageError for every waiting write."""
    monkeypatch.setattr("echelon.kv.limits.MAX_LOCK_SECONDS", 0.1)
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
        other = apsw.Connection(str(path))
        other.execute("begin immediate")
        outcomes = await asyncio.gather(*(kv.set(("k",), n) for n in range(5)), return_exceptions=True)
        assert all(isinstance(outcome, KvStorageError) for outcome in outcomes)
        assert all("another process held it locked" in str(outcome) for outcome in outcomes)
        other.execute("rollback")
        other.close()
        assert (await kv.set(("k",), 2)).ok


async def test_reads_wait_for_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that meets a lock tries again until the file is free, and gives up with a clear error."""
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
        reader = kv._backend._reader  # type: ignore[attr-defined]  # to make it fail
        read = reader.read
        errors: list[Exception] = [apsw.BusyError("locked")] * 3

        def fail_first(ranges: object) -> object:
            if errors:
                raise errors.pop()
            return read(ranges)

        monkeypatch.setattr(reader, "read", fail_first)
        assert (await kv.get(("k",))).value == 1
        assert errors == []
        errors += [apsw.IOError("broken"), apsw.BusyError("locked")]
        with pytest.raises(KvStorageError, match="the disk failed"):
            await kv.get(("k",))
        monkeypatch.setattr("echelon.kv.limits.MAX_LOCK_SECONDS", 0.02)
        errors += [apsw.BusyError("locked")] * 1000
        with pytest.raises(KvStorageError, match="locked"):
            await kv.get(("k",))
        waiting = asyncio.create_task(kv.get(("k",)))
        await asyncio.sleep(0)
    with pytest.raises(KvClosed):
        await waiting


async def test_opening_waits_for_a_lock(path: Path) -> None:
    """A store that another process is just making is waited for."""
    other = apsw.Connection(str(path))
    other.execute("begin exclusive")
    opening = asyncio.create_task(open_kv(path)._open())
    await asyncio.sleep(0.1)
    assert not opening.done()
    other.execute("rollback")
    other.close()
    async with await opening as kv:
        assert (await kv.set(("k",), 1)).ok


async def test_two_stores_in_one_process(path: Path) -> None:
    """What one handle wrote another one reads at once; versionstamps are of one order."""
    async with open_kv(path) as one, open_kv(path) as other:
        first = await one.set(("k",), 1)
        assert await other.get(("k",)) == await one.get(("k",))
        second = await other.set(("k",), 2)
        assert str(first.versionstamp) < str(second.versionstamp)
        assert (await one.get(("k",))).value == 2
