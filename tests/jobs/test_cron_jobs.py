"""Cron jobs: each slot is run once, by whichever worker takes it, and never beside itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jobs_samples import MakeApp, until

from echelon import Kv
from echelon.errors import KvStorageError, RouteError
from echelon.jobs import cron
from echelon.jobs.cron import CronJob, CronRunner, Run, Slot
from echelon.jobs.handlers import plan
from echelon.jobs.schedule import Every, parse
from echelon.kv import open_kv
from echelon.telemetry import OFF

TICK = timedelta(milliseconds=60)
"""Shorter than any schedule that can be declared: tests cannot wait for minutes."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that run out while a test waits."""
    monkeypatch.setattr(cron, "LEASE", timedelta(milliseconds=400))
    monkeypatch.setattr(cron, "_BEAT_SECONDS", 0.1)
    monkeypatch.setattr(cron, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(cron, "_PAUSE_SECONDS", 0.02)


@pytest.fixture
async def kv() -> AsyncIterator[Kv]:
    async with open_kv(":memory:") as store:
        yield store


class Worker:
    """One worker with one job; it counts the slots that it ran."""

    def __init__(
        self,
        kv: Kv,
        work: Callable[[datetime], Any] | None = None,
        *,
        every: timedelta = TICK,
        catch_up: bool = False,
    ) -> None:
        self.slots: list[datetime] = []

        async def handler(slot: datetime) -> None:
            self.slots.append(slot)
            if work is not None:
                await work(slot)

        call = plan(handler, "cron job", {datetime: lambda slot: slot}, takes_message=False, timeout=None)
        job = CronJob("job", Every(every, UTC), call, catch_up)
        self.runner = CronRunner(kv, job, OFF)

    async def __aenter__(self) -> Worker:
        self.task = asyncio.create_task(self.runner.serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.stop(5)
        await self.task


async def slot_of(kv: Kv) -> Slot | None:
    return (await kv.get(("$cron", "job"), type=Slot)).value


async def test_each_slot_once(kv: Kv) -> None:
    """Of many workers exactly one runs each slot."""
    workers = [Worker(kv) for _ in range(8)]
    async with asyncio.timeout(20):
        for worker in workers:
            await worker.__aenter__()
        await until(lambda: sum(len(worker.slots) for worker in workers) >= 12)
        for worker in workers:
            await worker.__aexit__()
    slots = sorted(slot for worker in workers for slot in worker.slots)
    assert len(slots) == len(set(slots))


async def test_no_overlap(kv: Kv) -> None:
    """While a run goes on, wherever that is, slots that come are skipped, and counted as such."""
    running = most = 0

    async def work(slot: datetime) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.3)
        running -= 1

    async with Worker(kv, work) as one, Worker(kv, work) as two:
        await until(lambda: len(one.slots) + len(two.slots) >= 4)
    assert most == 1
    slots = sorted(one.slots + two.slots)
    assert all(later - earlier >= 4 * TICK for earlier, later in pairwise(slots))


async def test_a_long_run_keeps_its_lease(kv: Kv) -> None:
    """A run that takes longer than a lease is not begun by anybody else."""

    async def work(slot: datetime) -> None:
        await asyncio.sleep(1.2)

    async with Worker(kv, work) as one, Worker(kv, work) as two:
        await until(lambda: one.slots or two.slots)
        await asyncio.sleep(0.9)
        assert len(one.slots) + len(two.slots) == 1


async def test_failures_end_a_run(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A job that raises is logged, without what it worked on, and runs again in its next slot."""

    async def work(slot: datetime) -> None:
        raise ValueError("no")

    async with Worker(kv, work) as worker:
        await until(lambda: len(worker.slots) >= 2)
    assert "the cron job job failed" in caplog.text
    assert len(set(worker.slots)) == len(worker.slots)
    slot = await slot_of(kv)
    assert slot is not None
    assert slot.done


async def test_a_worker_that_dies(kv: Kv) -> None:
    """A run that nobody renews any more is begun again by another worker, in the same slot."""
    at = _slot(timedelta(hours=1))
    await kv.set(("$cron", "job"), Slot(at))
    await kv.set(("$cron", "job", "run"), Run("dead"), expire_in=timedelta(milliseconds=150))
    async with Worker(kv, every=timedelta(hours=1)) as worker:
        await asyncio.sleep(0.05)
        assert worker.slots == []
        await until(lambda: worker.slots)
        await until_async(lambda: slot_of(kv), lambda slot: slot.done)
    assert await slot_of(kv) == Slot(at, attempt=2, done=True)
    assert worker.slots == [datetime.fromtimestamp(at / 1000, UTC)]


async def test_a_slot_that_kills(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """After three workers that died with a slot it is given up."""
    at = _slot(timedelta(hours=1))
    await kv.set(("$cron", "job"), Slot(at, attempt=3))
    async with Worker(kv, every=timedelta(hours=1)) as worker:
        await until_async(lambda: slot_of(kv), lambda slot: slot.done)
        await asyncio.sleep(0.1)
    assert worker.slots == []
    assert "was begun 3 times and never ended" in caplog.text


async def test_an_old_slot_is_not_begun_again(kv: Kv) -> None:
    """What was cut off before a later slot passed is over."""
    hour = timedelta(hours=1)
    await kv.set(("$cron", "job"), Slot(_slot(hour) - 7_200_000))
    async with Worker(kv, every=hour) as worker:
        await until_async(lambda: slot_of(kv), lambda slot: slot.done)
    assert worker.slots == []


async def test_missed_slots(kv: Kv) -> None:
    """Slots that pass while no worker runs are lost; with `catch_up` the last of them is run, once."""
    hour = timedelta(hours=1)
    await kv.set(("$cron", "job"), Slot(_slot(hour) - 5 * 3_600_000, done=True))
    async with Worker(kv, every=hour) as worker:
        await asyncio.sleep(0.1)
    assert worker.slots == []
    async with Worker(kv, every=hour, catch_up=True) as one, Worker(kv, every=hour, catch_up=True) as two:
        await until(lambda: one.slots or two.slots)
        await asyncio.sleep(0.1)
    assert one.slots + two.slots == [datetime.fromtimestamp(_slot(hour) / 1000, UTC)]


async def test_nothing_to_catch_up(kv: Kv) -> None:
    """A job that never ran has missed nothing."""
    async with Worker(kv, every=timedelta(hours=1), catch_up=True) as worker:
        await asyncio.sleep(0.1)
    assert worker.slots == []


async def test_stopping_waits(kv: Kv) -> None:
    """A run that is under way may end; then its slot is done."""
    ended = asyncio.Event()

    async def work(slot: datetime) -> None:
        await asyncio.sleep(0.1)
        ended.set()

    async with Worker(kv, work) as worker:
        await until(lambda: worker.slots)
    assert ended.is_set()
    slot = await slot_of(kv)
    assert slot is not None
    assert slot.done
    assert (await kv.get(("$cron", "job", "run"))).versionstamp is None


async def test_a_run_that_is_stopped(kv: Kv) -> None:
    """A run that does not end in time is cancelled, and begun again at once by another worker."""
    hour = timedelta(hours=1)
    await kv.set(("$cron", "job"), Slot(_slot(hour) - 3_600_000, done=True))

    async def work(slot: datetime) -> None:
        await asyncio.sleep(60)

    worker = Worker(kv, work, every=hour, catch_up=True)
    await worker.__aenter__()
    await until(lambda: worker.slots)
    async with Worker(kv, every=hour) as other:
        await worker.runner.stop(0.02)
        await worker.task
        assert await slot_of(kv) == Slot(_slot(hour), attempt=0)
        await until(lambda: other.slots)
    assert other.slots == worker.slots


async def test_a_lease_that_is_lost(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that finds its run in other hands cancels it."""
    cancelled = asyncio.Event()

    async def work(slot: datetime) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with Worker(kv, work) as worker:
        await until(lambda: worker.slots)
        await kv.set(("$cron", "job", "run"), Run("other"))
        async with asyncio.timeout(5):
            await cancelled.wait()
        await until(lambda: "was cut off" in caplog.text)
    assert (await kv.get(("$cron", "job", "run"), type=Run)).value == Run("other")


async def test_a_store_that_fails(
    kv: Kv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the store fails nothing is run, which is logged; later the job goes on."""
    failing = True
    read = CronRunner._read

    async def fail(self: CronRunner) -> Any:
        if failing:
            raise KvStorageError("the disk failed")
        return await read(self)

    monkeypatch.setattr(CronRunner, "_read", fail)
    async with Worker(kv) as worker:
        await until(lambda: "the disk failed" in caplog.text)
        assert worker.slots == []
        failing = False
        await until(lambda: worker.slots)


async def test_a_lease_that_cannot_be_renewed(kv: Kv, monkeypatch: pytest.MonkeyPatch) -> None:
    """When renewing fails for nearly as long as the lease, the run is cancelled: others may begin it."""
    cancelled = asyncio.Event()

    async def work(slot: datetime) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fail(self: CronRunner, token: str) -> bool:
        raise KvStorageError("the disk failed")

    monkeypatch.setattr(CronRunner, "_renew", fail)
    async with Worker(kv, work):
        async with asyncio.timeout(5):
            await cancelled.wait()


async def test_closing_the_store_ends_it(tmp_path: Path) -> None:
    """A store that is closed under a worker ends it."""
    async with open_kv(":memory:") as store:
        worker = Worker(store)
        await worker.__aenter__()
    async with asyncio.timeout(5):
        await worker.task


async def test_in_an_application(make: MakeApp) -> None:
    """A job gets components and its slot, in its time zone, and is counted by name and result."""
    app, seen = make(), []

    @app.cron(timedelta(seconds=1), timezone="Asia/Tokyo")
    async def tick(slot: datetime, kv: Kv) -> None:
        await kv.atomic().sum(("ticks",), 1).commit()
        seen.append(slot)

    @app.cron("@yearly", name="new year")
    def yearly() -> None:
        raise AssertionError

    async with app:
        await until(lambda: seen)
        await asyncio.sleep(0.05)
        text = app.telemetry.render()
        assert (await app.kv.get(("ticks",))).value == len(seen)
    assert seen[0].utcoffset() == timedelta(hours=9)
    assert seen[0].microsecond == 0
    assert 'echelon_cron_runs_total{job="tick",result="done"} 1' in text
    assert 'echelon_cron_run_seconds_count{job="tick"} 1' in text


async def test_workers_without_cron(make: MakeApp) -> None:
    """kv.cron = false leaves the jobs to other processes."""
    app = make(**{"kv.cron": False})

    @app.cron(timedelta(seconds=1))
    async def tick() -> None:
        raise AssertionError

    async with app:
        assert not app._jobs._runners
        await asyncio.sleep(1.1)


async def one() -> None: ...
async def wants(message: str) -> None: ...


def test_mistakes(make: MakeApp) -> None:
    """A job that cannot be run is an error where it is registered."""
    app = make()
    with pytest.raises(RouteError, match="five fields"):
        app.cron("daily")
    with pytest.raises(RouteError, match=r"cron job 'wants': parameter \"message\" .* a job gets components"):
        app.cron("@daily")(wants)
    app.cron("@daily")(one)
    with pytest.raises(RouteError, match="cron job 'one': there is one of that name"):
        app.cron("@daily")(one)
    with pytest.raises(RouteError, match="printable"):
        app.cron("@daily", name="")(one)


def _slot(every: timedelta) -> int:
    """Return the last slot of an interval, in milliseconds."""
    step = every // timedelta(milliseconds=1)
    return int(datetime.now(UTC).timestamp() * 1000) // step * step


async def until_async(read: Callable[[], Any], condition: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition(await read()):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


def test_the_parser_is_the_applications() -> None:
    """A schedule can be looked at without an application."""
    assert str(parse("@daily")) == "@daily"
