"""Opening: which paths hold a store, which files are refused, and what is said about it."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from echelon.errors import (
    KvError,
    KvLimitError,
    KvStorageError,
    KvUsageError,
    KvValueError,
    MissingExtra,
)
from echelon.kv import Kv, open_kv
from echelon.kv.backend import Action, Commit, Enqueue, KeyRange
from echelon.kv.opening import Engine
from echelon.kv.sqlite import SqliteBackend
from echelon.kv.sqlite_native import APPLICATION_ID, NATIVE, SCHEMA_VERSION


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read(path: Path) -> bytes:
    return path.read_bytes()


async def fails(path: Any, **options: Any) -> str:
    """Open a store that cannot be opened and return the one clear error."""
    with pytest.raises((KvStorageError, KvUsageError)) as caught:
        await open_kv(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_both_ways_of_opening(path: Path) -> None:
    """open_kv() can be awaited and can be entered; a path is a str or a Path."""
    kv = await open_kv(path)
    await kv.set(("k",), 1)
    await kv.close()
    async with open_kv(str(path)) as kv:
        assert (await kv.get(("k",))).value == 1
    assert kv.closed
    kv = await open_kv(path)
    async with kv:
        pass
    assert kv.closed


async def test_one_file_remains(path: Path) -> None:
    """Closing folds the log into the file: nothing else stays in the folder."""
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
    assert os.listdir(path.parent) == [path.name]


async def test_file_format(path: Path) -> None:
    """The file says what it is: application id, schema version, write-ahead log."""
    async with open_kv(path):
        pass
    with apsw.Connection(str(path)) as file:
        assert file.pragma("application_id") == APPLICATION_ID
        assert file.pragma("user_version") == SCHEMA_VERSION
        assert file.pragma("journal_mode") == "wal"
    file.close()


async def test_durability(path: Path) -> None:
    """ "full" syncs every commit, "normal" leaves it to the log's checkpoints; nothing else is accepted."""
    for durability, level in (("full", 2), ("normal", 1)):
        async with open_kv(path, durability=durability) as kv:  # type: ignore[arg-type]  # a str from a loop
            writer = kv._backend._connections.writer  # type: ignore[attr-defined]  # to see the setting
            assert writer.pragma("synchronous") == level
    assert "durability is" in await fails(path, durability="none")


async def test_memory_stores_are_separate() -> None:
    """Each ":memory:" store is its own."""
    async with open_kv(":memory:") as one, open_kv(":memory:") as other:
        await one.set(("k",), 1)
        assert (await other.get(("k",))).versionstamp is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "cannot be empty"),
        ("a\0b", "NUL"),
        (":else:", 'write "./:else:"'),
        ("ftp://ann:secret@example.com/kv", "not a URL of 'ftp'"),
        (5, "got int"),
        (None, "got NoneType"),
    ],
)
async def test_no_path(path: Any, message: str) -> None:
    """What cannot be a path is refused with what to write."""
    assert message in await fails(path)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.db", {"token": "x"}, "token= means nothing to a SQLite file"),
        ("a.db", {"format": "xml"}, 'format is "echelon" or "deno"'),
        ("postgres://localhost/x", {"format": "deno"}, "format= is about a file, not about PostgreSQL"),
        ("HTTPS://localhost", {"durability": "normal"}, 'KV Connect knows no durability "normal"'),
        ("http://localhost/", {"durability": "no"}, "durability is"),
        ("a.db", {"max_value": "10 apples"}, 'write bytes or "16MiB"'),
        ("a.db", {"max_value": 0}, "greater than zero"),
        ("a.db", {"max_value": "65MiB"}, "a SQLite file holds values of at most 67108864 bytes"),
        ("a.db", {"max_value": "1MiB", "format": "deno"}, "a file of Deno KV holds values of at most 65536"),
    ],
)
async def test_options_that_do_not_fit(path: str, options: dict[str, Any], message: str) -> None:
    """Each engine refuses the options that it does not know, before it is loaded."""
    with pytest.raises((KvUsageError, KvLimitError), match=re.escape(message)):
        await open_kv(path, **options)


async def test_missing_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is not there, or whose package is not installed, is one sentence; other errors pass."""
    table = {
        "gone": Engine("Gone", "echelon.kv.gone", "Gone", open=lambda *_: None),  # type: ignore[arg-type]
        "bare": Engine("Bare", "bare_engine", "Bare", open=lambda *_: None, package="bare", extra="all"),  # type: ignore[arg-type]
        "broken": Engine("Broken", "bare_engine", "Bare", open=lambda *_: None),  # type: ignore[arg-type]
    }
    monkeypatch.setattr("echelon.kv.opening.SCHEMES", table)

    def load(name: str) -> None:
        missing = "bare" if name == "bare_engine" else name
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr("importlib.import_module", load)
    with pytest.raises(KvUsageError, match="no engine for Gone"):
        await open_kv("gone://x")
    with pytest.raises(MissingExtra, match=re.escape('pip install "echelon[all]"')):
        await open_kv("bare://x")
    with pytest.raises(ModuleNotFoundError):
        await open_kv("broken://x")


async def test_large_values(path: Path) -> None:
    """`max_value` allows larger values, whole, and a commit that holds one; reading needs no such option."""
    value = os.urandom(3 << 20)
    async with open_kv(path, max_value="3MiB") as kv:
        await kv.set(("big",), value)
        await kv.atomic().set(("big", 2), value).set(("small",), value[:700_000]).commit()
        with pytest.raises(KvValueError, match=r"at most 3145728$"):
            await kv.set(("big",), value + b"x")
        with pytest.raises(KvLimitError, match=r"too large: .*, at most 3899392; split it"):
            await kv.atomic().set(("a",), value).set(("b",), value).commit()
    async with open_kv(path) as kv:
        assert (await kv.get(("big", 2))).value == value
        with pytest.raises(KvValueError, match="at most 65536; open the store with max_value="):
            await kv.set(("big",), value)


async def test_folders_and_devices(tmp_path: Path) -> None:
    """A folder, a device, a missing folder and a file used as a folder are told apart from a store."""
    assert "is a folder or a device" in await fails(tmp_path)
    assert "is a folder or a device" in await fails("/dev/null")
    assert "its folder does not exist" in await fails(tmp_path / "missing" / "a.db")
    (tmp_path / "file").write_text("x")
    assert "folder does not exist" in await fails(tmp_path / "file" / "a.db")
    assert "cannot be used" in await fails(tmp_path / ("x" * 300))
    assert not (tmp_path / "missing").exists()


async def test_colon_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path keeps its meaning when the working folder changes, and "./:x" is a file."""
    monkeypatch.chdir(tmp_path)
    async with open_kv("./:x") as kv:
        monkeypatch.chdir("/")
        await kv.set(("k",), 1)
    assert (tmp_path / ":x").exists()


@pytest.mark.parametrize("content", [b"hello world" * 200, b"SQLite format 3\0" + b"\xff" * 4080, b"x"])
async def test_not_a_database(path: Path, content: bytes) -> None:
    """A file with other content is refused and left as it is."""
    write(path, content)
    message = await fails(path)
    assert str(path) in message
    assert "not a SQLite database" in message or "damaged" in message
    assert read(path) == content


async def test_foreign_database(path: Path) -> None:
    """The SQLite database of another program is refused, and not a byte of it is changed."""
    with apsw.Connection(str(path)) as file:
        file.execute("create table kv(k blob primary key)")
    file.close()
    before = read(path)
    assert "the SQLite database of another program" in await fails(path)
    assert read(path) == before
    assert os.listdir(path.parent) == [path.name]


async def test_newer_schema(path: Path) -> None:
    """A store of a later schema version is refused with both numbers."""
    async with open_kv(path):
        pass
    with apsw.Connection(str(path)) as file:
        file.pragma("user_version", SCHEMA_VERSION + 1)
    file.close()
    assert f"schema version {SCHEMA_VERSION + 1}, this Echelon reads {SCHEMA_VERSION}" in await fails(path)


SCHEMA_1 = """
create table kv(
    key blob primary key, value blob not null, encoding integer not null,
    version integer not null, expires integer
) strict, without rowid;
create index kv_expires on kv(expires) where expires is not null;
create table meta(id integer primary key check (id = 1), version integer not null) strict;
insert into meta values (1, 41);
insert into kv values (x'026b00', x'05', 4, 41, null);
pragma application_id = 0x45434B56;
pragma user_version = 1;
"""


def make_schema_1(path: Path) -> None:
    """A file as the first schema made it, with one entry."""
    file = apsw.Connection(str(path))
    file.execute("pragma journal_mode = wal").fetchall()
    file.execute(SCHEMA_1).fetchall()
    file.close()


async def test_old_schema_is_brought_forward(path: Path) -> None:
    """A file of the first schema keeps its entries and its commit number, and has a queue; many may open it."""
    make_schema_1(path)
    backends = await asyncio.gather(*(SqliteBackend.open(path) for _ in range(5)))
    for backend in backends[1:]:
        await backend.close()
    async with Kv(backends[0]) as kv:
        entry = await kv.get(("k",))
        assert (entry.value, entry.versionstamp) == (5, f"{41:016x}0000")
        message = Enqueue(b"m", 3, 0, (), ())
        assert await backends[0].write(Commit((), (), 1, (message,)))
        assert len(await backends[0].dequeue(1, 1)) == 1
        assert str((await kv.set(("k",), 6)).versionstamp) > f"{42:016x}0000"
    with apsw.Connection(str(path)) as file:
        assert file.pragma("user_version") == SCHEMA_VERSION
    file.close()


async def test_migration_is_whole_or_not_at_all(path: Path) -> None:
    """A migration that fails leaves the file as it was, to be brought forward later."""
    make_schema_1(path)
    first, second = NATIVE.migrations
    broken = replace(NATIVE, migrations=(first, second + "create table kv(broken);"))
    with pytest.raises(KvStorageError, match="tables are not those of a store"):
        await SqliteBackend.open(path, layout=broken)
    with apsw.Connection(str(path)) as file:
        assert file.pragma("user_version") == 1
    file.close()
    async with open_kv(path) as kv:
        assert (await kv.get(("k",))).value == 5


@pytest.mark.parametrize(
    "damage", ["drop table meta", "delete from meta", "drop table kv", "drop table queue"]
)
async def test_missing_tables(path: Path, damage: str) -> None:
    """A store without its tables or its commit number is refused."""
    async with open_kv(path):
        pass
    with apsw.Connection(str(path)) as file:
        file.execute(damage)
    file.close()
    assert "restore it from a backup" in await fails(path)


async def test_empty_file(path: Path) -> None:
    """An empty file becomes a store."""
    write(path, b"")
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)


async def test_damaged_pages(path: Path) -> None:
    """Pages overwritten with noise end in a KvStorageError, or in right answers, never in anything else."""
    async with open_kv(path) as kv:
        for n in range(300):
            await kv.set(("n", n), "x" * 200)
    content = read(path)
    noise = random.Random(5)
    for _ in range(20):
        at = noise.randrange(4096, len(content) - 600)
        write(path, content[:at] + noise.randbytes(600) + content[at + 600 :])
        try:
            async with open_kv(path) as kv:
                for n in range(0, 300, 20):
                    await kv.get(("n", n))
                async for _entry in kv.list(prefix=()):
                    pass
        except KvStorageError:
            continue


async def test_read_only_file(path: Path) -> None:
    """A file or folder that this user cannot write is one clear error."""
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
    os.chmod(path, 0o444)
    os.chmod(path.parent, 0o555)
    script = textwrap.dedent("""
        import asyncio, os, sys
        from echelon.errors import KvStorageError
        from echelon.kv import open_kv

        async def main(path):
            try:
                async with open_kv(path) as kv:
                    await kv.set(("k",), 2)
            except KvStorageError as exc:
                print(exc)

        asyncio.run(main(":memory:"))  # imports everything while it can be read
        if os.getuid() == 0:
            os.setgid(65534); os.setuid(65534)
        for path in sys.argv[1:]:
            asyncio.run(main(path))
    """)
    if os.getuid() == 0:  # the script gives up root, which no permission stops, and must still find the file
        for folder in path.parents[1:]:
            if not os.stat(folder).st_mode & 0o001:
                os.chmod(folder, os.stat(folder).st_mode | 0o011)
    arguments = [sys.executable, "-c", script, str(path), str(path.parent / "new.db")]
    result = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=False)
    os.chmod(path.parent, 0o755)
    assert result.stderr == ""
    first, second = result.stdout.splitlines()
    assert "cannot be written" in first
    assert "cannot be opened" in second


async def test_opened_by_many_at_once(path: Path) -> None:
    """Twenty tasks may make the same store at once."""
    stores: list[Kv] = await asyncio.gather(*(open_kv(path)._open() for _ in range(20)))
    await asyncio.gather(*(kv.set((n,), n) for n, kv in enumerate(stores)))
    assert len([entry async for entry in stores[0].list(prefix=())]) == 20
    await asyncio.gather(*(kv.close() for kv in stores))


async def test_disk_full(path: Path) -> None:
    """When the disk is full a write fails with a clear error, reads go on, and later writes work again."""
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
        writer = kv._backend._connections.writer  # type: ignore[attr-defined]  # to make the disk small
        writer.pragma("max_page_count", 12)
        with pytest.raises(KvStorageError, match="the disk is full"):
            await kv.set(("big",), b"x" * 60_000)
        assert (await kv.get(("k",))).value == 1
        assert (await kv.get(("big",))).versionstamp is None
        await kv.set(("k",), 2)
        writer.pragma("max_page_count", 1_000_000)
        await kv.set(("big",), b"x" * 60_000)


async def test_disk_full_for_one_of_a_group(path: Path) -> None:
    """Of commits that wait together only those fail for which the disk has no room."""
    async with open_kv(path) as kv:
        writer = kv._backend._connections.writer  # type: ignore[attr-defined]  # to make the disk small
        writer.pragma("max_page_count", 20)
        sizes = [10, 60_000, 10, 60_000, 10, 60_000, 10]
        writes = [
            kv.atomic().sum(("count",), 1).set((n,), b"x" * size).commit() for n, size in enumerate(sizes)
        ]
        outcomes: list[Any] = await asyncio.gather(*writes, return_exceptions=True)
        failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, KvStorageError)]
        assert failed in ([1, 3, 5], [3, 5])
        present = [entry.key[0] async for entry in kv.list(start=(0,), end=(7,))]
        assert present == [n for n in range(7) if n not in failed]
        assert (await kv.get(("count",))).value == len(present)


async def test_unexpected_failure_reaches_the_caller(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks in the writer thread undoes its transaction and is raised where the write was awaited."""
    async with open_kv(path) as kv:
        applier = kv._backend._applier  # type: ignore[attr-defined]  # to break it
        real = applier._mutate

        def break_second(mutation: Any, version: int, now: int) -> None:
            real(mutation, version, now)
            if mutation.action == Action.DELETE:
                raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(applier, "_mutate", break_second)
            with pytest.raises(ZeroDivisionError):
                await kv.atomic().set(("k",), 1).delete(("l",)).commit()
        assert (await kv.get(("k",))).versionstamp is None
        await kv.set(("k",), 2)
        assert (await kv.get(("k",))).value == 2


async def test_failing_disk_at_the_end(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that fails while the store is closed is logged; closing ends all the same."""
    kv = await open_kv(path)
    await kv.set(("k",), 1)
    connections = kv._backend._connections  # type: ignore[attr-defined]  # to make closing fail

    class Failing:
        values = "native"

        path = connections.path

        def close(self) -> None:
            connections.close()
            raise apsw.IOError("broken")

    kv._backend._writer._connections = Failing()  # type: ignore[attr-defined]  # as above
    await kv.close()
    assert "the disk failed to read or write" in caplog.text


async def test_failing_disk_during_a_snapshot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of several ranges that the disk interrupts is one clear error, and the next one works."""
    async with open_kv(path) as kv:
        await kv.set(("k",), 1)
        reader: Any = kv._backend._reader  # type: ignore[attr-defined]  # to make it fail
        real = reader._read_range

        def fail(wanted: Any, now: int) -> Any:
            reader._connection.execute("rollback")
            raise apsw.IOError("broken")

        with monkeypatch.context() as patch:
            patch.setattr(reader, "_read_range", fail)
            with pytest.raises(KvStorageError, match="the disk failed"):
                await kv._backend.read([KeyRange(b"a", b"z", 5), KeyRange(b"a")])
        assert reader._read_range == real
        assert [entry.value for entry in await kv.get_many([("k",), ("l",)])] == [1, None]


async def test_sweeper_survives_a_failing_disk(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When sweeping fails the store goes on, and the log says why entries were not removed."""

    class Failing:
        values = "native"

        def __init__(self) -> None:
            self.closed = False

        async def sweep(self) -> float:
            raise KvStorageError("the disk is full")

        async def read(self, ranges: Any) -> Any:
            return [[]]

        async def write(self, commit: Any) -> Any:
            raise KvStorageError("the disk is full")

        async def close(self) -> None:
            self.closed = True

    backend = Failing()
    async with Kv(backend) as kv:  # type: ignore[arg-type]  # it neither watches nor has a queue
        await asyncio.sleep(0)
        assert (await kv.get(("k",))).versionstamp is None
    assert backend.closed
    assert "expired entries were not removed: the disk is full" in caplog.text


async def test_long_log_is_folded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log is folded into the file again and again, with either durability."""
    monkeypatch.setattr("echelon.kv.limits.MAX_WAL_PAGES", 20)
    for durability in ("full", "normal"):
        async with open_kv(path, durability=durability) as kv:  # type: ignore[arg-type]  # a str from a loop
            for n in range(300):
                await kv.set(("n", n % 10), "x" * 3000)
            size = path.with_name(path.name + "-wal").stat().st_size
            assert size < 200 * 4096


@pytest.mark.parametrize("format", [None, "deno"])
async def test_thread_that_tidies_up_is_not_idle(
    path: Path, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    """While the thread folds the log, or sees who else writes, the event loop leaves its connection alone."""
    monkeypatch.setattr("echelon.kv.limits.MAX_WAL_PAGES", 5)
    async with open_kv(path, durability="normal", format=format) as kv:
        writer: Any = kv._backend._writer  # type: ignore[attr-defined]  # to see what it does
        idle: list[bool] = []
        tidy = writer._tidy

        def take_long() -> None:
            for _ in range(10):
                time.sleep(0.001)
                idle.append(writer.idle)
            tidy()

        monkeypatch.setattr(writer, "_tidy", take_long)
        for _ in range(10):
            await asyncio.gather(*(kv.set(("n", m), "x" * 3000) for m in range(3)))
            await asyncio.sleep(0.02)
        assert idle
        assert writer.idle
        assert not any(idle)


async def test_log_of_a_large_value(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that a large value made long does not stay so."""
    monkeypatch.setattr("echelon.kv.limits.MAX_KEPT_WAL_BYTES", 1 << 20)
    async with open_kv(path, durability="normal", max_value="8MiB") as kv:
        log = path.with_name(path.name + "-wal")
        await kv.set(("big",), bytes(8 << 20))
        assert log.stat().st_size > 8 << 20
        async with asyncio.timeout(10):
            while log.stat().st_size > 2 << 20:
                await kv.set(("small",), 1)
                await asyncio.sleep(0.01)


def test_loop_that_ends_early(path: Path) -> None:
    """A store that its event loop left behind has written what it accepted; it warns, and ends its thread."""

    async def main() -> Kv:
        kv = await open_kv(path)
        await kv.set(("k",), 1)
        kv._closing = asyncio.get_running_loop().create_task(
            asyncio.sleep(0)
        )  # the warning is another test's
        asyncio.get_running_loop().call_soon(asyncio.ensure_future, kv.set(("l",), 2))
        await asyncio.sleep(0)
        return kv

    kv = asyncio.run(main())
    thread = kv._backend._writer._thread  # type: ignore[attr-defined]  # to see it end
    kv._backend._writer._jobs.put(None)  # type: ignore[attr-defined]  # what close() would do
    thread.join(10)
    assert not thread.is_alive()

    async def look() -> Any:
        async with open_kv(path) as again:
            return (await again.get(("k",))).value

    assert asyncio.run(look()) == 1


def test_error_family() -> None:
    """Every error of the store is a KvError."""
    assert issubclass(KvStorageError, KvError)
    assert issubclass(KvUsageError, KvError)
