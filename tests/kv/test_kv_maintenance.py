"""Backup, check and statistics: what they give, what they refuse, what they leave behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from echelon.errors import KvClosed, KvStorageError, KvUsageError
from echelon.kv import Kv, open_kv
from echelon.kv.postgres import PostgresBackend
from echelon.telemetry import OFF


@pytest.fixture(autouse=True)
def on_files(request: pytest.FixtureRequest) -> None:
    """Leave out the store on a server: what operators do with it, they do there."""
    parameters = getattr(request.node, "callspec", None)
    if parameters is not None and parameters.params.get("kv") in ("connect", "postgres"):
        pytest.skip("a store on a server is backed up, checked and counted on that server")


def formats(kv: Kv) -> Any:
    """How to open a copy of the store."""
    return "deno" if kv._backend.values == "v8" else None


@pytest.fixture
def copied(kv: Kv) -> Kv:
    """A store on each engine that copies itself to a file."""
    if isinstance(kv._backend, PostgresBackend):
        pytest.skip("PostgreSQL is backed up by its own tools")
    return kv


async def fill(kv: Kv, count: int = 50) -> None:
    for n in range(count):
        await kv.set(("n", n), "x" * 2000)
    await kv.enqueue({"mail": 1}, keys_if_undelivered=[("dead",)])


async def test_backup(copied: Kv, tmp_path: Path) -> None:
    """A backup is a store with the same entries, versionstamps and messages, and one file that only we can read."""
    await fill(copied)
    steps: list[tuple[int, int]] = []
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    await copied.backup(target, lambda done, total: steps.append((done, total)))
    await asyncio.sleep(0)
    assert os.listdir(target.parent) == ["copy.db"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert steps[-1][0] == steps[-1][1] == target.stat().st_size
    before = [entry async for entry in copied.list(prefix=())]
    await copied.delete(("n", 0))
    async with open_kv(target, format=formats(copied)) as copy:
        assert [entry async for entry in copy.list(prefix=())] == before
        assert (await copy.stats()).messages == 1
        assert await copy.check() == []
        assert str((await copy.set(("n", 1), 1)).versionstamp) > str(before[-1].versionstamp)


async def test_backup_while_others_write(path: Path, tmp_path: Path) -> None:
    """A backup of a store that is being written is one moment of it, and ends."""
    async with open_kv(path, durability="normal") as kv, open_kv(path, durability="normal") as other:
        await fill(kv, 300)
        going = True

        async def write(store: Kv) -> None:
            n = 0
            while going:
                n += 1
                await store.atomic().set(("pair", 1), n).set(("pair", 2), n).sum(("count",), 1).commit()

        writing = [asyncio.create_task(write(store)) for store in (kv, other)]
        for n in range(5):
            await kv.backup(tmp_path / f"{n}.copy")
        going = False
        await asyncio.gather(*writing)
    counts = []
    for n in range(5):
        async with open_kv(tmp_path / f"{n}.copy") as copy:
            one, two, count = await copy.get_many([("pair", 1), ("pair", 2), ("count",)])
            assert one.versionstamp == two.versionstamp == count.versionstamp
            counts.append(count.value or 0)
            assert await copy.check() == []
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


async def test_backup_does_not_overwrite(copied: Kv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exists is left alone, also when it comes while the backup is made."""
    target = tmp_path / "there"
    target.write_text("precious")
    with pytest.raises(KvUsageError, match="exists already; choose another path"):
        await copied.backup(target)
    late = tmp_path / "late"

    link = os.link

    def come_late(name: str, path: Path) -> None:
        late.write_text("precious")
        link(name, path)

    monkeypatch.setattr("os.link", come_late)
    with pytest.raises(KvUsageError, match="exists already"):
        await copied.backup(late)
    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(KvUsageError, match="exists already"):
        await copied.backup(late)
    await copied.backup(tmp_path / "unlinked")
    async with open_kv(tmp_path / "unlinked", format=formats(copied)) as copy:
        assert await copy.check() == []
    assert (target.read_text(), late.read_text()) == ("precious", "precious")
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


async def test_backup_where_nothing_can_be_written(copied: Kv, tmp_path: Path) -> None:
    """A missing folder is one clear error."""
    with pytest.raises(KvStorageError, match="the backup cannot be written: No such file or directory"):
        await copied.backup(tmp_path / "missing" / "copy.db")


async def test_cancelled_backup(path: Path, tmp_path: Path) -> None:
    """A backup that is cancelled leaves nothing behind, and the store goes on."""
    async with open_kv(path, durability="normal") as kv:
        await fill(kv, 500)
        begun = asyncio.Event()
        folder = tmp_path / "copies"
        folder.mkdir()
        backing = asyncio.create_task(kv.backup(folder / "copy", lambda done, total: begun.set()))
        await begun.wait()
        backing.cancel()
        await asyncio.wait([backing])
        assert backing.cancelled() or (folder / "copy").exists()
        if backing.cancelled():
            assert os.listdir(folder) in ([], ["copy"])
        assert not [name for name in os.listdir(folder) if name.endswith(".part")]
        await kv.set(("k",), 1)


async def test_full_disk_for_the_backup(path: Path, tmp_path: Path) -> None:
    """When the disk has no room for the backup that is said, and nothing stays of it."""
    script = """
import asyncio, resource, signal, sys
from echelon.errors import KvStorageError
from echelon.kv import open_kv

async def main(path, target):
    async with open_kv(path) as kv:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            await kv.backup(target)
        except KvStorageError as exc:
            print(exc)

asyncio.run(main(*sys.argv[1:]))
"""
    async with open_kv(path, durability="normal") as kv:
        await fill(kv, 200)
    target = tmp_path / "copy.db"
    arguments = [sys.executable, "-c", script, str(path), str(target)]
    result = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=False)
    assert (result.stderr, result.returncode) == ("", 0)
    assert f"{target}: " in result.stdout
    assert "the disk" in result.stdout
    assert not [name for name in os.listdir(tmp_path) if "copy" in name]


async def test_stats(kv: Kv) -> None:
    """Statistics count entries that live and their bytes, and messages that are due, leased, or to come."""
    empty = await kv.stats()
    assert (empty.entries, empty.bytes, empty.messages, empty.versionstamp) == (0, 0, 0, "0" * 20)
    await kv._sweeper.close()  # so that what expired stays
    await kv.set(("k",), b"12345")
    await kv.set(("old",), 1, expire_in=timedelta(0))
    for delay in (timedelta(0), timedelta(0), timedelta(hours=1)):
        last = await kv.enqueue(1, delay=delay)
    await kv._backend.dequeue(1, 60)
    stats = await kv.stats()
    assert (stats.entries, stats.expired, stats.bytes) == (1, 1, 3 + 5)
    assert (stats.messages, stats.due, stats.leased) == (3, 1, 1)
    assert stats.versionstamp == last.versionstamp
    if stats.file_bytes is not None:
        assert stats.file_bytes > 0
        assert (stats.log_bytes is None) == isinstance(kv._backend, PostgresBackend)


async def test_sound_store(kv: Kv) -> None:
    """A store in use has no faults."""
    await fill(kv)
    await kv._backend.dequeue(1, 60)
    assert await kv.check() == []


@pytest.mark.parametrize(
    ("damage", "faults"),
    [
        ("update kv set encoding = 77 where key = (select min(key) from kv)", ["has the encoding 77"]),
        ("insert into kv values (x'026b', x'05', 4, 1, null)", ["has a damaged key: "]),
        ("update kv set value = x'c1', encoding = 4", ["cannot be read: a stored value is damaged"] * 3),
        (
            "update kv set version = 1000 where key = (select max(key) from kv)",
            ["has version 1000, the last"],
        ),
        (
            "insert into kv values (cast(zeroblob(0) || x'02' || replace(hex(zeroblob(1100)), '0', 'a') || x'00' "
            "as blob), x'05', 4, 1, null)",
            ["has a key of 2202 bytes"],
        ),
        ("update queue set backoff = x'c1'", ["the message 1 cannot be read"]),
        ("update queue set undelivered = x'91c401ff'", ["the message 1 cannot be read: these bytes"]),
        ("update queue set token = 5", ["was delivered 0 times, and yet it is leased"]),
    ],
)
async def test_faults_in_what_is_stored(path: Path, damage: str, faults: list[str]) -> None:
    """What can be wrong with an entry or a message is found, and named without its value."""
    async with open_kv(path) as kv:
        await fill(kv, 3)
        file = apsw.Connection(str(path))
        file.execute(damage)
        file.close()
        found = await kv.check()
        assert len(found) == len(faults)
        assert all(fault in sentence for fault, sentence in zip(faults, found, strict=True)), found


async def test_many_faults(path: Path) -> None:
    """A hundred faults are listed, and that there may be more."""
    async with open_kv(path, durability="normal") as kv:
        await fill(kv, 150)
        file = apsw.Connection(str(path))
        file.execute("update kv set encoding = 77")
        file.close()
        found = await kv.check()
        assert len(found) == 101
        assert found[-1] == "there may be more"


async def test_damaged_file(path: Path) -> None:
    """Pages that are damaged are found, whatever they are."""
    async with open_kv(path) as kv:
        await fill(kv, 100)
    content = bytearray(path.read_bytes())
    content[4096 * 20 : 4096 * 20 + 2000] = os.urandom(2000)
    path.write_bytes(content)
    async with open_kv(path) as kv:
        found = await kv.check()
        assert found
        assert all(sentence.startswith("the file is damaged: ") for sentence in found)


async def test_cancelled_check(path: Path) -> None:
    """A check that is cancelled stops soon."""
    async with open_kv(path, durability="normal") as kv:
        await fill(kv, 2000)
        checking = asyncio.create_task(kv.check())
        await asyncio.sleep(0.001)
        checking.cancel()
        await asyncio.wait([checking], timeout=10)
        assert checking.done()


async def test_with_telemetry(path: Path, tmp_path: Path) -> None:
    """Telemetry does not stand in the way."""
    async with open_kv(path, telemetry=OFF) as kv:
        await kv.backup(tmp_path / "copy.db")
        assert await kv.check() == []
        assert (await kv.stats()).entries == 0


async def test_other_engines() -> None:
    """An engine without these operations says so; a closed store does not begin them."""

    class Plain:
        values = "native"
        read = None

        async def sweep(self) -> float:
            return 60

        async def close(self) -> None: ...

    kv = Kv(Plain())  # type: ignore[arg-type]  # it can nothing at all
    calls: list[Any] = [lambda: kv.backup("x"), kv.check, kv.stats]
    for call in calls:
        with pytest.raises(KvUsageError, match="only by its server's own tools"):
            await call()
    await kv.close()
    for call in calls:
        with pytest.raises(KvClosed):
            await call()


async def test_deno_messages_that_are_damaged(path: Path) -> None:
    """In a file of Deno, a message that cannot be read is found."""
    async with open_kv(path, format="deno") as kv:
        await kv.enqueue(1)
        file = apsw.Connection(str(path))
        file.execute("update queue set backoff_schedule = 'x'")
        file.close()
        (fault,) = await kv.check()
        assert "cannot be read" in fault
