"""Random histories against models, on every engine of the conformance suite.

One history after the other is compared with dictionaries, step by step. Histories of many tasks at once, on two
handles where there can be two, are replayed in the order of their versionstamps afterwards: that order must explain
every outcome, every read and every state that a watch gave.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kv_backend import backend, everything, pair  # noqa: F401 - fixtures

from echelon.errors import KvValueError
from echelon.kv.backend import (
    Action,
    Backend,
    Check,
    Commit,
    CommitResult,
    Enqueue,
    Fate,
    KeyRange,
    Lease,
    Mutation,
    Record,
    Settlement,
)
from echelon.kv.codec import Encoding, encode_key

KEYS = [encode_key(("k", n)) for n in range(5)]
FOREVER = 4_000_000_000_000
LOST = Lease("0", "0")


@dataclass
class Waiting:
    """A message in the model."""

    payload: bytes
    due: int
    order: int
    attempts: int = 0
    lease: Lease | None = None


@dataclass
class Model:
    """What an engine is, said without a database: entries, and messages in the order they were sent."""

    entries: dict[bytes, tuple[bytes, int, str]] = field(default_factory=dict)
    messages: list[Waiting] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def copy(self) -> Model:
        return Model(dict(self.entries), [replace(message) for message in self.messages], self.numbers)

    def failed_checks(self, commit: Commit) -> tuple[int, ...]:
        stamps = [self.entries.get(check.key, (b"", 0, None))[2] for check in commit.checks]
        pairs = enumerate(zip(stamps, commit.checks, strict=True))
        return tuple(index for index, (stamp, check) in pairs if stamp != check.versionstamp)

    def held(self, lease: Lease) -> Waiting | None:
        return next((message for message in self.messages if message.lease == lease), None)

    def apply(self, commit: Commit, stamp: str) -> None:
        """Change as the commit does; raises ArithmeticError for a sum of what is no number."""
        for mutation in commit.mutations:
            self.mutate(mutation, stamp)
        for message in commit.enqueues:
            self.messages.append(Waiting(message.payload, message.due, next(self.numbers)))
        for lease, fate, at in commit.settlements:
            message = self.held(lease)
            assert message is not None
            if fate is Fate.DONE:
                self.messages.remove(message)
            elif fate is Fate.EXTEND:
                message.due = at
            else:
                message.due, message.lease = at, None
                message.attempts -= fate is Fate.RELEASE

    def mutate(self, mutation: Mutation, stamp: str) -> None:
        action, key, value, encoding, *_ = mutation
        if action == Action.DELETE:
            self.entries.pop(key, None)
            return
        if action == Action.SET_STAMPED:
            key += encode_key((stamp,))
        elif action != Action.SET:
            stored, kind, _ = self.entries.get(key, (None, Encoding.U64, ""))
            if kind != Encoding.U64:
                raise ArithmeticError
            value, encoding = _calculate(action, stored, value), Encoding.U64
        self.entries[key] = (value, encoding, stamp)

    def take(self, limit: int) -> list[Waiting]:
        """The messages that are due, the first due first; those in the model are due in 1970 or in 2096."""
        due = [message for message in self.messages if message.due < FOREVER]
        return sorted(due, key=lambda message: (message.due, message.order))[:limit]


def _calculate(action: Action, stored: bytes | None, operand: bytes) -> bytes:
    if stored is None:
        return operand
    left, right = (int.from_bytes(data, "little") for data in (stored, operand))
    results = {Action.SUM: (left + right) % 2**64, Action.MIN: min(left, right), Action.MAX: max(left, right)}
    return results[action].to_bytes(8, "little")


def find(model: Model, wanted: KeyRange) -> list[Record]:
    """What a range of the model holds."""
    start, end = wanted.start, wanted.end
    if end is None:
        keys = [start] if start in model.entries else []
    else:
        keys = sorted((key for key in model.entries if start <= key < end), reverse=wanted.reverse)
    return [Record(key, *model.entries[key]) for key in keys[: wanted.limit]]


# One after the other ----------------------------------------------------------------------------------------

NAMES = st.sampled_from(KEYS)
OPERANDS = (st.integers(0, 3) | st.just(2**64 - 1)).map(lambda n: n.to_bytes(8, "little"))
ARITHMETIC = st.sampled_from([Action.SUM, Action.MIN, Action.MAX])
SETS = st.sampled_from([Action.SET, Action.SET_STAMPED])
MUTATIONS = st.one_of(
    st.tuples(SETS, NAMES, st.binary(max_size=3), st.just(Encoding.BYTES)),
    st.tuples(st.just(Action.DELETE), NAMES),
    st.tuples(ARITHMETIC, NAMES, OPERANDS, st.just(Encoding.U64)),
).map(lambda parts: Mutation(*parts))
MESSAGES = st.tuples(st.binary(max_size=2), st.sampled_from([0, 1, FOREVER]))
FATES = st.tuples(st.integers(0, 3), st.sampled_from(list(Fate)))
COMMITS = st.tuples(
    st.lists(st.tuples(NAMES, st.sampled_from(["current", "absent", "old"])), max_size=2),
    st.lists(MUTATIONS, max_size=4),
    st.lists(MESSAGES, max_size=2),
    st.lists(FATES, max_size=2, unique_by=lambda fate: fate[0]),
)
BOUNDS = st.tuples(NAMES, NAMES, st.integers(1, 4), st.booleans())
SENDS = MESSAGES.map(lambda message: ([], [], [message], []))
SETTLES = st.sampled_from(list(Fate)).map(lambda fate: ([], [], [], [(0, fate)]))
STEPS = st.one_of(COMMITS, SENDS, SETTLES, st.integers(1, 3), st.lists(BOUNDS, min_size=1, max_size=3))


def build(model: Model, leases: Sequence[Lease], plan: Any) -> Commit:
    """Make a commit of what was drawn, with the stamps and leases that there are by now."""
    checks, mutations, messages, fates = plan
    stamps = {"absent": None, "old": "0" * 20}
    wanted = [Check(key, stamps.get(kind, model.entries.get(key, (0, 0, None))[2])) for key, kind in checks]
    enqueues = [Enqueue(payload, Encoding.BYTES, due, (), ()) for payload, due in messages]
    settlements = [
        Settlement(leases[-index - 1] if index < len(leases) else LOST, fate, FOREVER if index % 2 else 3)
        for index, fate in fates
    ]
    settlements = [s._replace(at=FOREVER) if s.fate is Fate.EXTEND else s for s in settlements]
    return Commit(wanted, mutations, 100, enqueues, settlements)


async def write(engine: Backend, commit: Commit) -> CommitResult | None:
    """The outcome of a commit, None for a sum of what is no number."""
    try:
        return await engine.write(commit)
    except KvValueError:
        return None


async def commit_both(engine: Backend, model: Model, commit: Commit) -> Model:
    """Commit to the engine and the model; both must do the same."""
    result = await write(engine, commit)
    failed = model.failed_checks(commit)
    if failed or not all(model.held(settlement.lease) for settlement in commit.settlements):
        assert result == CommitResult(None, failed)
        return model
    after = model.copy()
    try:
        after.apply(commit, "" if result is None else str(result.versionstamp))
    except ArithmeticError:
        assert result is None
        return model
    assert result is not None
    assert result.ok
    return after


async def dequeue_both(engine: Backend, model: Model, limit: int) -> list[Lease]:
    """Take messages from the engine and the model, if there are any."""
    expected = model.take(limit)
    if not expected:
        return []
    messages = await asyncio.wait_for(engine.dequeue(limit, 3600), 10)
    found = [(message.payload, message.due, message.attempts) for message in messages]
    assert found == [(message.payload, message.due, message.attempts) for message in expected]
    for message, known in zip(messages, expected, strict=True):
        known.lease, known.due = message.lease, FOREVER
        known.attempts += 1
    return [message.lease for message in messages]


async def empty(engine: Backend) -> None:
    """Remove everything that an earlier history left."""
    found = await everything(engine)
    await engine.write(Commit((), [Mutation(Action.DELETE, key) for key in found], 1))
    await engine.write(Commit((), (), 1, (Enqueue(b"last", Encoding.BYTES, FOREVER - 1, ()),)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(STEPS, max_size=20))
async def test_one_history(backend: Backend, plan: list[Any]) -> None:  # noqa: F811 - the fixture
    """Commits, reads, the queue and watches do what a dictionary and a list do, step by step."""
    await empty(backend)
    model, leases = Model(), [Lease("0", "1")]
    watching = backend.watch(KEYS)
    assert await anext(watching) == [None] * len(KEYS)
    for step in plan:
        if isinstance(step, tuple):
            before = [model.entries.get(key) for key in KEYS]
            model = await commit_both(backend, model, build(model, leases, step))
            state = [find(model, KeyRange(key)) for key in KEYS]
            if before != [model.entries.get(key) for key in KEYS]:
                records = await asyncio.wait_for(anext(watching), 10)
                assert [[] if record is None else [record] for record in records] == state
        elif isinstance(step, int):
            leases += await dequeue_both(backend, model, step)
        else:
            ranges = [KeyRange(min(a, b), max(a, b) + b"\xff", limit, back) for a, b, limit, back in step]
            ranges += [KeyRange(a) for a, *_ in step]
            assert await backend.read(ranges) == [find(model, wanted) for wanted in ranges]
    await watching.aclose()
    while leases_left := await dequeue_both(backend, model, 3):
        for lease in leases_left:
            model = await commit_both(backend, model, Commit((), (), 1, (), (Settlement(lease, Fate.DONE),)))
    for lease in [message.lease for message in model.messages if message.lease is not None]:
        model = await commit_both(backend, model, Commit((), (), 1, (), (Settlement(lease, Fate.DONE),)))


# All at once ------------------------------------------------------------------------------------------------


class Wrote(NamedTuple):
    """A commit, when it was asked for and answered, and its outcome."""

    began: float
    ended: float
    commit: Commit
    result: CommitResult | None


class Saw(NamedTuple):
    """A read of ranges, or a state of a watch; that has no beginning."""

    began: float
    ended: float
    ranges: Sequence[KeyRange]
    found: list[list[Record]]


@dataclass
class History:
    """What happened."""

    writes: list[Wrote] = field(default_factory=list)
    reads: list[Saw] = field(default_factory=list)
    states: list[list[Saw]] = field(default_factory=list)


def draw_commit(chance: random.Random, known: dict[bytes, str | None]) -> Commit:
    """A commit that conflicts with others now and then; `known` is what this task saw last."""
    checks = [Check(key, known.get(key)) for key in chance.sample(KEYS, chance.choice([0, 0, 1, 2]))]
    mutations = []
    for _ in range(chance.randint(1, 4)):
        key, kind = chance.choice(KEYS), chance.random()
        if kind < 0.5:
            mutations.append(Mutation(Action.SET, key, chance.randbytes(2), Encoding.BYTES))
        elif kind < 0.6:
            mutations.append(Mutation(Action.SET_STAMPED, key, chance.randbytes(2), Encoding.BYTES))
        elif kind < 0.8:
            mutations.append(Mutation(Action.DELETE, key))
        else:
            operand = chance.randrange(5).to_bytes(8, "little")
            mutations.append(Mutation(chance.choice([Action.SUM, Action.MAX]), key, operand, Encoding.U64))
    return Commit(checks, mutations, 100)


async def work(engine: Backend, chance: random.Random, history: History) -> None:
    """Write and read at random."""
    known: dict[bytes, str | None] = {}
    for _ in range(40):
        began = time.perf_counter()
        if chance.random() < 0.5:
            commit = draw_commit(chance, known)
            result = await write(engine, commit)
            history.writes.append(Wrote(began, time.perf_counter(), commit, result))
        else:
            low, high = sorted(chance.sample(KEYS, 2))
            ranges = [KeyRange(key) for key in KEYS]
            ranges.append(KeyRange(low, high + b"\xff", chance.randint(1, 9), chance.random() < 0.5))
            found = await engine.read(ranges)
            history.reads.append(Saw(began, time.perf_counter(), ranges, found))
            for key, records in zip(KEYS, found, strict=False):
                known[key] = records[0].versionstamp if records else None


async def follow(engine: Backend, history: History) -> None:
    """Note every state that a watch gives."""
    states: list[Saw] = []
    history.states.append(states)
    async for records in engine.watch(KEYS):
        found = [[] if record is None else [record] for record in records]
        states.append(Saw(0.0, time.perf_counter(), [KeyRange(key) for key in KEYS], found))


def replay(history: History) -> list[tuple[str, Model]]:
    """Return the state after each commit, in the order of the stamps; every outcome must follow from it."""
    applied = [write for write in history.writes if write.result is not None and write.result.ok]
    applied.sort(key=lambda write: str(write.result and write.result.versionstamp))
    states = [("", Model())]
    for write in applied:
        assert write.result is not None
        stamp = str(write.result.versionstamp)
        assert stamp > states[-1][0], "two commits have one stamp"
        model = states[-1][1].copy()
        assert model.failed_checks(write.commit) == (), "a commit was applied against its checks"
        model.apply(write.commit, stamp)
        states.append((stamp, model))
    return states


def window(history: History, began: float, ended: float, stamps: list[str]) -> range:
    """The states that something between two moments can have met, by what was answered before and asked after."""
    applied = {
        write.result.versionstamp: write for write in history.writes if write.result and write.result.ok
    }
    first, last = 0, len(stamps) - 1
    for index, stamp in enumerate(stamps[1:], 1):
        if applied[stamp].ended < began:
            first = max(first, index)
        if applied[stamp].began > ended:
            last = min(last, index - 1)
    return range(first, last + 1)


def explain(history: History) -> None:
    """Check that one order of the commits explains everything that was seen."""
    states = replay(history)
    stamps = [stamp for stamp, _ in states]
    for write in history.writes:
        if write.result is not None and write.result.ok:
            index = stamps.index(str(write.result.versionstamp))
            assert index in window(history, write.began, write.ended, stamps), "a commit is out of its time"
            continue
        possible = window(history, write.began, write.ended, stamps)
        assert any(refuses(states[index][1], write) for index in possible), "an outcome has no reason"
    for seen in history.reads:
        possible = window(history, seen.began, seen.ended, stamps)
        assert any(shows(states[index][1], seen) for index in possible), "a read is of no moment"
    for watched in history.states:
        index = 0
        for seen in watched:
            while index < len(states) and not shows(states[index][1], seen):
                index += 1
            assert index < len(states), "a watch gave a state that never was, or an older one"
        assert shows(states[-1][1], watched[-1]), "a watch ended before the last state"


def refuses(model: Model, write: Wrote) -> bool:
    if write.result is not None:
        return (
            bool(write.result.failed_checks)
            and model.failed_checks(write.commit) == write.result.failed_checks
        )
    try:
        model.copy().apply(write.commit, "f" * 20)
    except ArithmeticError:
        return model.failed_checks(write.commit) == ()
    return False


def shows(model: Model, seen: Saw) -> bool:
    return seen.found == [find(model, wanted) for wanted in seen.ranges]


async def run_at_once(seed: int, *engines: Backend) -> None:
    """Let tasks work on the engines, watch what happens, and explain it."""
    history = History()
    following = [asyncio.create_task(follow(engine, history)) for engine in engines]
    tasks = [
        work(engine, random.Random(100 * seed + number), history)
        for number, engine in enumerate([*engines, *engines, *engines])
    ]
    await asyncio.gather(*tasks)
    final = await engines[0].read([KeyRange(key) for key in KEYS])
    async with asyncio.timeout(10):
        while any(states[-1].found != final for states in history.states):  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.005)
    for engine in engines:
        await engine.close()
    await asyncio.gather(*following)
    assert sum(write.result is not None and write.result.ok for write in history.writes) > 10
    explain(history)


@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once(backend: Backend, seed: int) -> None:  # noqa: F811 - the fixture
    """Commits are linearizable, reads are snapshots, watches give states in their order and the last one."""
    await run_at_once(seed, backend)


@pytest.mark.parametrize("seed", range(5))
async def test_many_at_once_on_two_handles(pair: tuple[Backend, Backend], seed: int) -> None:  # noqa: F811 - likewise
    """So they are when two handles share a store."""
    await run_at_once(seed, *pair)
