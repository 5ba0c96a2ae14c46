"""The store: get, get_many, set, delete, versionstamps, expiry, closing; on every engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from echelon.errors import KvClosed, KvKeyError, KvLimitError, KvUsageError, KvValueError
from echelon.kv import U64, Entry, Kv, limits, open_kv


class User(msgspec.Struct):
    name: str
    age: int


async def test_set_and_get(kv: Kv) -> None:
    """What was set is there, with the versionstamp that set returned."""
    result = await kv.set(("users", 1), {"name": "Ada"})
    assert result.ok
    assert result
    assert result.failed_checks == ()
    assert await kv.get(("users", 1)) == Entry(("users", 1), {"name": "Ada"}, result.versionstamp)


async def test_absent(kv: Kv) -> None:
    """What was never set has neither value nor versionstamp; a stored None has a versionstamp."""
    assert await kv.get(("nobody",)) == Entry(("nobody",), None, None)
    assert await kv.get(()) == Entry((), None, None)
    stored = await kv.set(("none",), None)
    assert await kv.get(("none",)) == Entry(("none",), None, stored.versionstamp)


async def test_keys_of_every_type(kv: Kv) -> None:
    """1, 1.0, True, "1" and b"1" are five keys; a list is the same key as a tuple."""
    parts: list[Any] = [1, 1.0, True, "1", b"1"]
    for position, part in enumerate(parts):
        await kv.set((part,), position)
    assert [(await kv.get((part,))).value for part in parts] == [0, 1, 2, 3, 4]
    as_list: Any = ["1"]
    assert await kv.get(as_list) == await kv.get(("1",))


async def test_overwrite_and_delete(kv: Kv) -> None:
    """A later set wins; a delete removes; deleting nothing is fine and counts as a commit."""
    first = await kv.set(("k",), 1)
    second = await kv.set(("k",), 2)
    assert first.versionstamp is not None
    assert second.versionstamp is not None
    assert first.versionstamp < second.versionstamp
    assert (await kv.get(("k",))).value == 2
    deleted = await kv.delete(("k",))
    assert deleted.versionstamp is not None
    assert deleted.versionstamp > second.versionstamp
    assert (await kv.get(("k",))).versionstamp is None
    assert (await kv.delete(("k",))).ok


async def test_versionstamp_form(kv: Kv) -> None:
    """A versionstamp is 20 lower-case hexadecimal digits."""
    stamp = (await kv.set(("k",), 1)).versionstamp
    assert stamp is not None
    assert len(stamp) == 20
    assert stamp == f"{int(stamp, 16):020x}"


async def test_values_are_copies(kv: Kv) -> None:
    """Changing a value after storing or after reading it changes nothing in the store."""
    value = {"tags": ["a"]}
    await kv.set(("k",), value)
    value["tags"].append("b")
    read = (await kv.get(("k",))).value
    read["tags"].append("c")
    assert (await kv.get(("k",))).value == {"tags": ["a"]}


async def test_get_many(kv: Kv) -> None:
    """Entries come in the order of the keys, absent and repeated ones included."""
    await kv.set(("a",), 1)
    await kv.set(("b",), 2)
    entries = await kv.get_many([("b",), ("nothing",), ("a",), ("b",)])
    assert [entry.value for entry in entries] == [2, None, 1, 2]
    assert [entry.key for entry in entries] == [("b",), ("nothing",), ("a",), ("b",)]
    assert await kv.get_many([]) == []
    assert [entry.value for entry in await kv.get_many(key for key in [("a",)])] == [1]


async def test_get_many_limits(kv: Kv) -> None:
    """Ten keys are read at once, eleven are refused; a bare string is not a list of keys."""
    assert len(await kv.get_many([(n,) for n in range(limits.MAX_GET_MANY_KEYS)])) == 10
    with pytest.raises(KvLimitError, match="at most 10 keys, got 11"):
        await kv.get_many([(n,) for n in range(11)])
    for bad in ("abc", 5, None):
        with pytest.raises(KvKeyError, match="takes a list of keys"):
            await kv.get_many(bad)  # type: ignore[call-overload]  # the mistake is the point


async def test_typed_reads(kv: Kv) -> None:
    """With `type=` a value comes back as that type, or not at all; an absent entry stays absent."""
    await kv.set(("users", 1), User("Ada", 36))
    assert (await kv.get(("users", 1))).value == {"name": "Ada", "age": 36}
    entry = await kv.get(("users", 1), type=User)
    assert entry.value == User("Ada", 36)
    assert [e.value async for e in kv.list(prefix=("users",), type=User)] == [User("Ada", 36)]
    entries = await kv.get_many([("users", 1), ("users", 2)], type=User)
    assert [e.value for e in entries] == [User("Ada", 36), None]
    with pytest.raises(KvValueError, match="the stored value is not a int"):
        await kv.get(("users", 1), type=int)


async def test_key_sizes(kv: Kv) -> None:
    """A key of 2048 bytes can be written, one of 2049 only looked for, a larger one neither."""
    largest = ("x" * (limits.MAX_WRITE_KEY_BYTES - 2),)
    above = ("x" * (limits.MAX_WRITE_KEY_BYTES - 1),)
    await kv.set(largest, 1)
    assert (await kv.get(largest)).value == 1
    assert (await kv.get(above)).value is None
    for write in (kv.set(above, 1), kv.delete(above)):
        with pytest.raises(KvKeyError, match="too large to write: 2049 bytes, at most 2048"):
            await write
    with pytest.raises(KvKeyError, match="too large to read: 2050 bytes, at most 2049"):
        await kv.get(("x" * limits.MAX_WRITE_KEY_BYTES,))


async def test_bad_writes_write_nothing(kv: Kv, keys: Callable[..., Any]) -> None:
    """An empty key, a key that is no tuple and a value that cannot be stored are refused."""
    with pytest.raises(KvKeyError, match="cannot be empty"):
        await kv.set((), 1)
    with pytest.raises(KvKeyError, match="cannot be empty"):
        await kv.delete(())
    with pytest.raises(KvKeyError, match=r"write \('users',\)"):
        await kv.set("users", 1)  # type: ignore[arg-type]  # the mistake is the point
    with pytest.raises(KvValueError, match="type object cannot be stored"):
        await kv.set(("k",), object())
    with pytest.raises(KvValueError, match="too large"):
        await kv.set(("k",), b"x" * 65537)
    assert await keys(kv.list(prefix=())) == []


async def test_expired_is_absent_at_once(kv: Kv, keys: Callable[..., Any]) -> None:
    """An entry whose time has passed is gone for get, get_many, list, checks and sum, before any sweep."""
    await kv.set(("e", 1), U64(5), expire_in=timedelta(milliseconds=300))
    await kv.set(("e", 2), 2, expire_in=timedelta(hours=1))
    await kv.set(("e", 3), 3, expire_in=timedelta(0))
    alive = await kv.get(("e", 1))
    assert alive.value == 5
    await asyncio.sleep(0.35)
    assert (await kv.get(("e", 1))).versionstamp is None
    assert (await kv.get(("e", 3))).versionstamp is None
    assert [e.value for e in await kv.get_many([("e", 1), ("e", 2)])] == [None, 2]
    assert await keys(kv.list(prefix=("e",))) == [("e", 2)]
    assert await keys(kv.list(prefix=("e",), limit=1, reverse=True)) == [("e", 2)]
    assert (await kv.atomic().check(alive).set(("x",), 1).commit()).failed_checks == (0,)
    assert await kv.atomic().check(key=("e", 1), versionstamp=None).sum(("e", 1), 2).commit()
    assert (await kv.get(("e", 1))).value == 2


async def test_overwriting_replaces_the_expiry(kv: Kv) -> None:
    """A later set without `expire_in` makes the entry stay; sum does too."""
    for key in [("set",), ("sum",), ("kept",)]:
        await kv.set(key, U64(1), expire_in=timedelta(milliseconds=300))
    await kv.set(("set",), 2)
    await kv.atomic().sum(("sum",), 1).commit()
    await asyncio.sleep(0.35)
    values = [entry.value for entry in await kv.get_many([("set",), ("sum",), ("kept",)])]
    assert values == [2, 2, None]


async def test_expiry_counts_from_the_commit(kv: Kv) -> None:
    """The time to live of an atomic set begins at commit, not when it was written down."""
    commit = kv.atomic().set(("k",), 1, expire_in=timedelta(milliseconds=300))
    await asyncio.sleep(0.35)
    assert await commit.commit()
    assert (await kv.get(("k",))).value == 1


@pytest.mark.parametrize("expire_in", [5, 0.5, "1h", -1, True, timedelta(seconds=-1), timedelta.min])
async def test_bad_expiry(kv: Kv, expire_in: Any) -> None:
    """A time to live is a timedelta that is not negative."""
    with pytest.raises(KvUsageError, match="expire_in"):
        await kv.set(("k",), 1, expire_in=expire_in)
    with pytest.raises(KvUsageError, match="expire_in"):
        kv.atomic().set(("k",), 1, expire_in=expire_in)
    assert (await kv.get(("k",))).versionstamp is None


async def test_longest_expiry(kv: Kv) -> None:
    """The longest time to live that Python knows is a time to live."""
    await kv.set(("k",), 1, expire_in=timedelta.max)
    assert (await kv.get(("k",))).value == 1


async def test_sweep_removes_rows(path: Path) -> None:
    """Sweeping takes expired rows out of the file, in one commit of its own, and leaves the rest."""
    async with open_kv(path) as kv:
        for n in range(5):
            await kv.set(("old", n), n, expire_in=timedelta(0))
        await kv.set(("young",), 1, expire_in=timedelta(hours=1))
        before = (await kv.set(("stays",), 1)).versionstamp
        await asyncio.sleep(0.002)
        await kv._backend.sweep()
        rows = kv._backend._connections.reader  # type: ignore[attr-defined]  # what is in the file
        assert rows.execute("select count(*) from kv").get == 2
        after = (await kv.set(("stays",), 2)).versionstamp
        assert int(str(after), 16) - int(str(before), 16) == 2 << 16
        assert 1 < await kv._backend.sweep() <= limits.MAX_SWEEP_SECONDS


async def test_sweeper_runs_by_itself(path: Path) -> None:
    """An open store removes what expired in an earlier run."""
    async with open_kv(path) as kv:
        await kv.set(("old",), 1, expire_in=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    async with open_kv(path) as kv:
        rows = kv._backend._connections.reader  # type: ignore[attr-defined]  # what is in the file
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if not rows.execute("select count(*) from kv").get:
                break
            await asyncio.sleep(0.01)
        assert rows.execute("select count(*) from kv").get == 0


async def test_sweeper_comes_when_something_expires(path: Path) -> None:
    """What expires soon is removed soon after, though the sweeper had nothing to do for a long time."""
    async with open_kv(path) as kv:
        await asyncio.sleep(0.05)
        await kv.set(("a",), 1, expire_in=timedelta(hours=1))
        await kv.set(("b",), 1, expire_in=timedelta(milliseconds=5))
        await kv.atomic().set(("c",), 1, expire_in=timedelta(milliseconds=5)).set(("d",), 1).commit()
        rows = kv._backend._connections.reader  # type: ignore[attr-defined]  # what is in the file
        async with asyncio.timeout(10):
            while rows.execute("select count(*) from kv").get > 2:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.01)


async def test_persistence(path: Path) -> None:
    """What was written is there after the store is opened again, and versionstamps go on growing."""
    async with open_kv(path) as kv:
        first = await kv.set(("k",), {"a": [1, 2.5, None, b"x", {1}]})
    async with open_kv(str(path), durability="normal") as kv:
        assert await kv.get(("k",)) == Entry(("k",), {"a": [1, 2.5, None, b"x", {1}]}, first.versionstamp)
        assert str((await kv.set(("k",), 1)).versionstamp) > str(first.versionstamp)


async def test_close(path: Path) -> None:
    """Closing twice is a no-op; afterwards every method raises KvClosed."""
    kv = await open_kv(path)
    listing = kv.list(prefix=())
    pending = kv.atomic().set(("k",), 1)
    assert not kv.closed
    await kv.close()
    await kv.close()
    assert kv.closed
    for call in (
        kv.get(("k",)),
        kv.get_many([("k",)]),
        kv.set(("k",), 1),
        kv.delete(("k",)),
        pending.commit(),
        anext(listing),
    ):
        with pytest.raises(KvClosed):
            await call
    with pytest.raises(KvClosed):
        kv.atomic()


async def test_close_finishes_accepted_writes(path: Path) -> None:
    """Writes that were on their way when the store is closed are written and answered."""
    kv = await open_kv(path)
    writes = [asyncio.create_task(kv.set((n,), n)) for n in range(500)]
    await asyncio.sleep(0)
    await kv.close()
    assert all([(await write).ok for write in writes])
    async with open_kv(path) as kv:
        assert len([entry async for entry in kv.list(prefix=())]) == 500


async def test_closing_from_many_tasks(path: Path) -> None:
    """Several tasks may close the same store at once."""
    kv = await open_kv(path)
    await asyncio.gather(*(kv.close() for _ in range(5)))


async def test_forgotten_close_warns() -> None:
    """A store that nobody closed says so when it goes away."""
    kv = await open_kv(":memory:")
    with pytest.warns(ResourceWarning, match="was not closed"):
        kv.__del__()
    await kv.close()


async def test_cancelled_write_is_whole(path: Path) -> None:
    """Cancelling who waits for a commit neither loses the commit nor splits it."""
    async with open_kv(path) as kv:
        for n in range(100):
            commit = kv.atomic().set(("a", n), n).set(("b", n), n).sum(("count",), 1).commit()
            task = asyncio.create_task(commit)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await kv.set(("after",), 1)
        assert (await kv.get(("count",))).value == 100
        for side in "ab":
            assert [e.value async for e in kv.list(prefix=(side,))] == list(range(100))


async def test_many_tasks(kv: Kv) -> None:
    """Sums from many tasks at once lose nothing, and every commit has a versionstamp of its own."""
    results = await asyncio.gather(*(kv.atomic().sum(("n",), 1).commit() for _ in range(1000)))
    assert len({result.versionstamp for result in results}) == 1000
    assert (await kv.get(("n",))).value == 1000


async def test_optimistic_loops(kv: Kv) -> None:
    """Tasks that read, check and set in a loop until they win count right."""

    async def increment() -> None:
        while True:
            entry = await kv.get(("n",))
            if await kv.atomic().check(entry).set(("n",), (entry.value or 0) + 1).commit():
                return

    await asyncio.gather(*(increment() for _ in range(40)))
    assert (await kv.get(("n",))).value == 40


def test_another_event_loop(path: Path) -> None:
    """Writing from an event loop other than the one that opened the store is refused."""

    async def write(kv: Kv) -> None:
        with pytest.raises(KvUsageError, match="the event loop that opened it"):
            await kv.set(("k",), 1)

    async def main() -> None:
        async with open_kv(path) as kv:
            await asyncio.to_thread(lambda: asyncio.run(write(kv)))

    asyncio.run(main())
