"""Watching: the first state, each change, what ends it, what is refused."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from echelon.errors import KvClosed, KvKeyError, KvLimitError, KvValueError
from echelon.kv import Entry, Kv, open_kv
from echelon.kv.bell import Bell


@dataclass
class User:
    name: str


async def state(watching: AsyncGenerator[list[Entry[Any]], None]) -> list[Any]:
    """The values of the next state."""
    return [entry.value for entry in await asyncio.wait_for(anext(watching), 10)]


async def test_states(kv: Kv) -> None:
    """Entries come in the order of the keys, absent ones too, with their versionstamps."""
    written = await kv.set(("a",), 1)
    watching = kv.watch([("b",), ("a",)])
    first = await anext(watching)
    assert first == [Entry(("b",), None, None), Entry(("a",), 1, written.versionstamp)]
    await kv.atomic().set(("a",), 2).set(("b",), {"x": {1}}).commit()
    assert await state(watching) == [{"x": {1}}, 2]
    await kv.delete(("a",))
    assert await state(watching) == [{"x": {1}}, None]
    await kv.atomic().sum(("a",), 5).commit()
    assert await state(watching) == [{"x": {1}}, 5]


async def test_type(kv: Kv) -> None:
    """`type=` converts values; one that does not fit raises where it is read."""
    await kv.set(("u",), User("Ada"))
    watching = kv.watch([("u",)], type=User)
    assert await state(watching) == [User("Ada")]
    await kv.set(("u",), 5)
    with pytest.raises(KvValueError):
        await state(watching)


async def test_expiry(kv: Kv) -> None:
    """A watch is told that an entry expired, when it expires."""
    await kv.set(("k",), 1, expire_in=timedelta(seconds=1.5))  # longer than a watch needs to begin
    watching = kv.watch([("k",)])
    assert await state(watching) == [1]
    started = time.monotonic()
    assert await state(watching) == [None]
    assert time.monotonic() - started < 5


async def test_nothing_to_watch(kv: Kv) -> None:
    """Watching no key ends at once."""
    assert [entries async for entries in kv.watch([])] == []


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ([(n,) for n in range(11)], KvLimitError),
        ("abc", KvKeyError),
        (["abc"], KvKeyError),
        (5, KvKeyError),
        ([("x" * 2048,)], KvKeyError),
    ],
)
async def test_what_cannot_be_watched(kv: Kv, keys: Any, error: type[Exception]) -> None:
    """Too many keys and what is no key are refused when watch() is called."""
    with pytest.raises(error):
        kv.watch(keys)


async def test_closing_ends_it(path: Path) -> None:
    """Closing the store ends a watch that waits; a closed store begins none."""
    kv = await open_kv(path)
    seen: list[Any] = []

    async def follow() -> None:
        async for entries in kv.watch([("k",)]):
            seen.append(entries[0].value)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.02)
    await kv.close()
    await asyncio.wait_for(following, 10)
    assert seen == [None]
    with pytest.raises(KvClosed):
        kv.watch([("k",)])


async def test_closing_while_the_file_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that waits for a locked file ends with the store, too."""
    kv = await open_kv(path)
    watching = kv.watch([("k",)])
    assert await state(watching) == [None]

    def fail(keys: Any) -> Any:
        raise apsw.BusyError("locked")

    monkeypatch.setattr(kv._backend._reader, "read_watched", fail)  # type: ignore[attr-defined]  # as a lock does
    waiting = asyncio.ensure_future(anext(watching, None))
    await kv.set(("k",), 1)
    await asyncio.sleep(0.02)
    await kv.close()
    assert await asyncio.wait_for(waiting, 10) is None


async def test_leaving_and_cancelling(path: Path) -> None:
    """A watch that is left, closed or cancelled leaves nothing behind that still runs."""
    async with open_kv(path) as kv:
        before = asyncio.all_tasks()
        async for _ in kv.watch([("k",)]):
            break
        async with aclosing(kv.watch([("k",)])) as watching:
            await anext(watching)
        waiting = asyncio.ensure_future(anext(kv.watch([("k",)])))
        await waiting
        watching = kv.watch([("k",)])
        await anext(watching)
        waiting = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(StopAsyncIteration):
            await anext(watching)
        del watching
        gc.collect()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == before
        changes = kv._backend._changes  # type: ignore[attr-defined]  # who waits
        assert changes._waiters == {}
        await asyncio.sleep(0.02)
        assert changes._timer is None


async def test_quiet_file_is_not_polled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without changes only the kernel is waited for; what others write then is seen as soon."""
    monkeypatch.setattr("echelon.kv.sqlite_changes._MAX_POLLS", 5)
    monkeypatch.setattr("echelon.kv.sqlite_changes._DISTRUST_SECONDS", 3600)
    async with open_kv(path) as kv, open_kv(path) as other:
        watching = kv.watch([("k",)])
        assert await state(watching) == [None]
        changes = kv._backend._changes  # type: ignore[attr-defined]  # how it waits
        for n in range(3):
            waiting = asyncio.ensure_future(state(watching))
            await asyncio.sleep(0.1)
            assert changes._timer.when() > asyncio.get_running_loop().time() + 3000
            await other.set(("k",), n)
            assert await waiting == [n]


async def test_bell_that_does_not_ring(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not tell of others' writes, that is noticed, and the file is polled for good."""
    monkeypatch.setattr("echelon.kv.sqlite_changes._MAX_POLLS", 5)
    monkeypatch.setattr("echelon.kv.sqlite_changes.Bell", lambda log: Bell(str(path.parent / "silent")))
    (path.parent / "silent").touch()
    async with open_kv(path) as kv, open_kv(path) as other:
        watching = kv.watch([("k",)])
        assert await state(watching) == [None]
        changes = kv._backend._changes  # type: ignore[attr-defined]  # how it waits
        for n in range(3):
            waiting = asyncio.ensure_future(state(watching))
            await asyncio.sleep(0.1)
            await other.set(("k",), n)
            assert await waiting == [n]
        assert changes._is_deaf
        assert changes._bell is None


async def test_system_that_cannot_tell(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such kernel at all the file is polled."""
    monkeypatch.setattr("sys.platform", "plan9")
    async with open_kv(path) as kv, open_kv(path) as other:
        watching = kv.watch([("k",)])
        assert await state(watching) == [None]
        waiting = asyncio.ensure_future(state(watching))
        await asyncio.sleep(0.02)
        await other.set(("k",), 1)
        assert await waiting == [1]


def test_no_bell_for_a_missing_file(path: Path) -> None:
    """A bell is for a file that exists; nothing stays open when there is none."""
    with pytest.raises(OSError, match="No such file"):
        Bell(str(path))


async def test_many_watchers(path: Path) -> None:
    """Every one of many watchers is told of each last state, and their number costs no commit."""
    async with open_kv(path) as kv:

        async def follow(n: int) -> int:
            async for entry, _ in kv.watch([("k", n % 5), ("all",)]):
                if entry.value == 49:
                    return n
            raise AssertionError("the watch ended early")

        following = [asyncio.create_task(follow(n)) for n in range(200)]
        await asyncio.sleep(0)
        for n in range(50):
            await asyncio.gather(*(kv.set(("k", m), n) for m in range(5)))
        assert await asyncio.wait_for(asyncio.gather(*following), 20) == [*range(200)]
