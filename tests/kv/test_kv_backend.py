"""The conformance suite of the native KV API: every engine behaves like this on encoded keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.errors import KvClosed, KvValueError
from echelon.kv.backend import Action, Backend, Check, Commit, CommitResult, KeyRange, Mutation
from echelon.kv.codec import Encoding
from echelon.kv.sqlite import SqliteBackend

Engine = Callable[[Path], Awaitable[Backend]]

ENGINES: dict[str, Engine] = {
    "sqlite-full": lambda folder: SqliteBackend.open(folder / "test.db"),
    "sqlite-normal": lambda folder: SqliteBackend.open(folder / "test.db", "normal"),
    "sqlite-memory": lambda folder: SqliteBackend.open(":memory:"),
}


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """An empty engine of each kind."""
    engine = await ENGINES[request.param](tmp_path)
    yield engine
    await engine.close()


def put(key: bytes, value: bytes = b"", expires_at: int | None = None) -> Mutation:
    return Mutation(Action.SET, key, value, Encoding.BYTES, expires_at)


def number(action: Action, key: bytes, operand: int) -> Mutation:
    return Mutation(action, key, operand.to_bytes(8, "little"), Encoding.U64)


async def commit(backend: Backend, *mutations: Mutation, checks: tuple[Check, ...] = ()) -> CommitResult:
    return await backend.write(Commit(checks, mutations, 100))


async def everything(backend: Backend) -> dict[bytes, bytes]:
    (records,) = await backend.read([KeyRange(b"", b"\xff", 1000)])
    return {record.key: record.value for record in records}


async def test_point_and_range(backend: Backend) -> None:
    """A range is read from start to end in byte order, a point alone; missing ones are empty."""
    await commit(backend, *[put(bytes([n]), bytes([n])) for n in (3, 1, 2, 255)])
    await commit(backend, put(b"\x01\x00", b"below"))
    found = await backend.read(
        [
            KeyRange(b"\x02"),
            KeyRange(b"\x09"),
            KeyRange(b"\x01", b"\x03", 10),
            KeyRange(b"\x01", b"\xff", 2, True),
            KeyRange(b"\x01", b"\x01", 5),
        ]
    )
    keys = [[record.key for record in records] for records in found]
    assert keys == [[b"\x02"], [], [b"\x01", b"\x01\x00", b"\x02"], [b"\x03", b"\x02"], []]
    assert found[0][0].value == b"\x02"
    assert found[0][0].encoding == Encoding.BYTES
    assert await backend.read([]) == []


async def test_stamps_grow(backend: Backend) -> None:
    """Each commit has a greater stamp than all before it; its entries carry it."""
    results = [await commit(backend, put(b"k", bytes([n]))) for n in range(20)]
    stamps = [str(result.versionstamp) for result in results]
    assert stamps == sorted(set(stamps))
    ((record,),) = await backend.read([KeyRange(b"k")])
    assert record.versionstamp == stamps[-1]


async def test_checks(backend: Backend) -> None:
    """All checks are made before any change; those that fail are listed."""
    first = await commit(backend, put(b"a"))
    checks = (Check(b"a", first.versionstamp), Check(b"b", None))
    assert await commit(backend, put(b"b"), checks=checks)
    assert (await commit(backend, put(b"c"), checks=checks)).failed_checks == (1,)
    both = (Check(b"a", None), Check(b"b", None), Check(b"c", None))
    assert (await commit(backend, checks=both)).failed_checks == (0, 1)
    assert set(await everything(backend)) == {b"a", b"b"}


async def test_failure_undoes_the_commit(backend: Backend) -> None:
    """A sum that meets another encoding raises and leaves nothing of its commit."""
    await commit(backend, put(b"a", b"x"))
    with pytest.raises(KvValueError, match="sum works on a U64 only"):
        await commit(backend, put(b"b"), put(b"a", b"y"), number(Action.SUM, b"a", 1))
    assert await everything(backend) == {b"a": b"x"}


async def test_expiry(backend: Backend) -> None:
    """Expired entries are absent for reads, checks and arithmetic; sweeping says when to come again."""
    now = int(time.time() * 1000)
    await commit(backend, put(b"old", b"", now - 1), put(b"young", b"", now + 3_600_000))
    assert set(await everything(backend)) == {b"young"}
    assert await backend.read([KeyRange(b"old")]) == [[]]
    assert await commit(backend, checks=(Check(b"old", None),))
    assert 0 <= await backend.sweep() <= 60
    assert 0 < await backend.sweep() <= 60
    assert set(await everything(backend)) == {b"young"}


async def test_sweeps_in_portions(backend: Backend) -> None:
    """A sweep with more to do asks to be called again at once, until all is gone."""
    for _ in range(3):
        await commit(backend, *[put(f"{_}{n}".encode(), b"", 1) for n in range(500)])
    assert await backend.sweep() == 0
    assert await backend.sweep() > 0
    assert await everything(backend) == {}


async def test_close_is_final(backend: Backend) -> None:
    """Closing twice is a no-op, and nothing works afterwards."""
    await backend.close()
    await backend.close()
    for call in (backend.read([KeyRange(b"k")]), commit(backend), backend.sweep()):
        with pytest.raises(KvClosed):
            await call


async def test_snapshot(backend: Backend) -> None:
    """All ranges of one read are from one snapshot while others write."""

    async def write() -> None:
        for n in range(300):
            await commit(backend, put(b"a", bytes([n % 256])), put(b"b", bytes([n % 256])))

    writing = [asyncio.create_task(write()) for _ in range(3)]
    while not all(task.done() for task in writing):
        (one, other) = await backend.read([KeyRange(b"a"), KeyRange(b"b", b"c", 5)])
        assert [record.versionstamp for record in one] == [record.versionstamp for record in other]
        await asyncio.sleep(0)
    await asyncio.gather(*writing)


NAMES = st.sampled_from([b"a", b"b", b"b\0", b"c"])
NUMBERS = st.integers(0, 3) | st.sampled_from([2**64 - 1, 2**63])
CHANGES = st.one_of(
    st.builds(put, NAMES, st.binary(max_size=3)),
    st.builds(lambda key: Mutation(Action.DELETE, key), NAMES),
    st.builds(number, st.sampled_from([Action.SUM, Action.MIN, Action.MAX]), NAMES, NUMBERS),
)
COMMITS = st.tuples(st.lists(st.tuples(NAMES, st.booleans()), max_size=2), st.lists(CHANGES, max_size=4))


def apply_to_model(model: dict[bytes, tuple[bytes, int]], changes: list[Mutation]) -> None:
    """What a commit does, said without a database; raises ArithmeticError for what is no number."""
    for change in changes:
        if change.action == Action.SET:
            model[change.key] = (change.value, change.encoding)
        elif change.action == Action.DELETE:
            model.pop(change.key, None)
        else:
            stored, encoding = model.get(change.key, (None, Encoding.U64))
            if encoding != Encoding.U64:
                raise ArithmeticError
            right = int.from_bytes(change.value, "little")
            left = None if stored is None else int.from_bytes(stored, "little")
            if left is None:
                result = right
            elif change.action == Action.SUM:
                result = (left + right) % 2**64
            else:
                result = min(left, right) if change.action == Action.MIN else max(left, right)
            model[change.key] = (result.to_bytes(8, "little"), Encoding.U64)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMITS, max_size=12), st.booleans())
async def test_histories(backend: Backend, history: list[Any], together: bool) -> None:
    """Any history of commits, one by one or waiting together, ends as it does in a dictionary."""
    found = await everything(backend)
    await commit(backend, *[Mutation(Action.DELETE, key) for key in found])
    model: dict[bytes, tuple[bytes, int]] = {}
    expected: list[str] = []
    calls = []
    stamps = {key: str((await commit(backend, put(key))).versionstamp) for key in (b"a", b"c")}
    await commit(backend, *[Mutation(Action.DELETE, key) for key in stamps])
    for wanted, changes in history:
        checks = tuple(Check(key, None if absent else "0" * 20) for key, absent in wanted)
        calls.append((checks, changes))
        failed = [not absent or key in model for key, absent in wanted]
        after = dict(model)
        try:
            if any(failed):
                expected.append("refused")
                continue
            apply_to_model(after, changes)
        except ArithmeticError:
            expected.append("failed")
            continue
        model = after
        expected.append("done")
    writes = [commit(backend, *changes, checks=checks) for checks, changes in calls]
    outcomes: list[Any]
    if together:
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
    else:
        outcomes = [(await asyncio.gather(write, return_exceptions=True))[0] for write in writes]
    names = ["failed" if isinstance(o, KvValueError) else "done" if o else "refused" for o in outcomes]
    assert names == expected
    assert await everything(backend) == {key: value for key, (value, _) in sorted(model.items())}
