"""Jobs that are due at times: each slot is run once, by whichever worker of whichever machine takes it first.

The store has, for each job, the slot that was taken last and, while it runs, who runs it: an entry that expires
unless it is renewed. All decisions are commits that check both entries, so that exactly one worker makes each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from echelon.errors import KvClosed, KvError
from echelon.jobs.handlers import Call
from echelon.jobs.schedule import Schedule, latest
from echelon.kv import Entry, Key, Kv
from echelon.kv.codec import convert_value
from echelon.telemetry.names import CRON_RUN, CRON_RUN_SECONDS, CRON_RUNS

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

T = TypeVar("T")

AREA: Final = "$cron"
LEASE: Final = timedelta(seconds=30)
"""How long a run that is not heard of is taken to go on."""

MAX_ATTEMPTS: Final = 3
"""How often a slot is begun, when one worker after the other dies with it."""

_BEAT_SECONDS: Final = LEASE.total_seconds() / 3
_LOOK_SECONDS: Final = LEASE.total_seconds() / 2
_MAX_SLEEP_SECONDS: Final = 60.0
"""Clocks are set, and machines sleep: the clock is looked at again after this time."""

_PAUSE_SECONDS: Final = 5.0

_log = logging.getLogger("echelon.jobs")


@dataclass(frozen=True, slots=True)
class CronJob:
    """A job with its schedule; with `catch_up` a slot that was missed is run at the next start."""

    name: str
    schedule: Schedule
    call: Call
    catch_up: bool = False


class Slot(msgspec.Struct, frozen=True):
    """The slot that was taken last, in milliseconds since 1970, and how often it was begun."""

    at: int
    attempt: int = 1
    done: bool = False


class Run(msgspec.Struct, frozen=True):
    """Who runs a job at present."""

    token: str


@dataclass(frozen=True, slots=True)
class State:
    """What the store knows of a job."""

    slot: Entry[Slot]
    run: Entry[Run]


class CronRunner:
    """Runs one job in one worker."""

    def __init__(self, kv: Kv, job: CronJob, telemetry: Telemetry) -> None:
        self._kv = kv
        self._job = job
        self._telemetry = telemetry
        self._slot_key: Key = (AREA, job.name)
        self._run_key: Key = (AREA, job.name, "run")
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._is_lost = False

    async def serve(self) -> None:
        """Take slots as they come, until `stop()`."""
        since: datetime | None = None
        while not self._stopping.is_set():
            try:
                since = since or await self._begin()
                wait = await self._step(since)
            except KvClosed:
                return
            except KvError as exc:
                _log.warning("the cron job %s: %s", self._job.name, exc)
                wait = _PAUSE_SECONDS
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(wait, _MAX_SLEEP_SECONDS))

    async def stop(self, grace: float) -> None:
        """Take no more slots, and give a run that is under way `grace` seconds; then it is cancelled."""
        self._stopping.set()
        if self._running is not None:
            await asyncio.wait([self._running], timeout=grace)
        if self._running is not None:
            self._running.cancel()

    async def _begin(self) -> datetime:
        """Return since when slots count that nobody took."""
        slot = (await self._read()).slot.value if self._job.catch_up else None
        return datetime.now(UTC) if slot is None else _moment(slot.at)

    async def _step(self, since: datetime) -> float:
        """Do what is to be done now; return in how many seconds to look again."""
        state, now = await self._read(), datetime.now(UTC)
        slot = state.slot.value
        last = since if slot is None else max(since, _moment(slot.at))
        due = latest(self._job.schedule, last, now)
        if due is not None:
            await self._take(state, Slot(_milliseconds(due)))
            return 0
        wait = (self._job.schedule.after(now) - now).total_seconds()
        if slot is None or slot.done:
            return wait
        if state.run.versionstamp is not None:
            return min(wait, _LOOK_SECONDS)
        await self._take_over(state, slot, now)
        return 0

    async def _take(self, state: State, slot: Slot) -> None:
        """Run a slot unless another worker was faster, or the run before it still goes on."""
        commit = self._kv.atomic().check(state.slot, state.run)
        if state.run.versionstamp is not None:
            skipped = msgspec.structs.replace(slot, done=True)
            if await commit.set(self._slot_key, skipped).commit():
                _log.warning("the cron job %s still runs; a slot was skipped", self._job.name)
                self._count("skipped")
            return
        token = secrets.token_hex(8)
        commit.set(self._slot_key, slot).set(self._run_key, Run(token), expire_in=LEASE)
        if await commit.commit():
            await self._settle(slot, token, await self._execute(slot, token))

    async def _take_over(self, state: State, slot: Slot, now: datetime) -> None:
        """Begin a slot again whose worker died, if its time has not passed and it did not kill too many."""
        if slot.attempt < MAX_ATTEMPTS and latest(self._job.schedule, _moment(slot.at), now) is None:
            await self._take(state, msgspec.structs.replace(slot, attempt=slot.attempt + 1))
            return
        given_up = msgspec.structs.replace(slot, done=True)
        if await self._kv.atomic().check(state.slot, state.run).set(self._slot_key, given_up).commit():
            _log.error("the cron job %s was begun %d times and never ended", self._job.name, slot.attempt)
            self._count("lost")

    async def _execute(self, slot: Slot, token: str) -> str:
        """Call the function; return how that ended."""
        loop, started = asyncio.get_running_loop(), time.perf_counter()
        name, self._is_lost = self._job.name, False
        at = _moment(slot.at).astimezone(self._job.schedule.zone)
        with self._telemetry.span(CRON_RUN, job=name, attempt=slot.attempt):
            running = loop.create_task(self._job.call.run(at), name=f"echelon-cron-{name}")
            self._running = running
            beating = loop.create_task(self._beat(token), name=f"echelon-cron-beat-{name}")
            try:
                await asyncio.wait([running])
            finally:
                running.cancel()
                beating.cancel()
                await asyncio.wait([running, beating])
                self._running = None
        self._telemetry.observe(CRON_RUN_SECONDS, time.perf_counter() - started, job=name)
        if not running.cancelled() and running.exception() is None:
            return "done"
        if running.cancelled() and (self._is_lost or self._stopping.is_set()):
            _log.warning("the cron job %s was cut off", name)
            return "lost" if self._is_lost else "stopped"
        error = None if running.cancelled() else running.exception()
        _log.error("the cron job %s failed", name, exc_info=error)
        return "failed"

    async def _settle(self, slot: Slot, token: str, result: str) -> None:
        """Note the end of a run; one that was stopped is left for another worker to begin again."""
        self._count(result)
        if result == "stopped":
            after = msgspec.structs.replace(slot, attempt=slot.attempt - 1)
        else:
            after = msgspec.structs.replace(slot, done=True)
        while True:
            state = await self._read()
            if state.run.value != Run(token):
                return
            commit = self._kv.atomic().check(state.run).delete(self._run_key)
            if state.slot.value == slot:
                commit.check(state.slot).set(self._slot_key, after)
            if await commit.commit():
                return

    async def _beat(self, token: str) -> None:
        """Renew the lease while the function runs; when that fails for too long, cancel it: others may begin."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now = time.monotonic()
            try:
                held = await self._renew(token)
            except KvError as exc:
                _log.warning("the cron job %s: its lease could not be renewed: %s", self._job.name, exc)
                held = now - renewed < LEASE.total_seconds() - _BEAT_SECONDS
            else:
                renewed = now
            if not held and self._running is not None:
                self._is_lost = True
                self._running.cancel()

    async def _renew(self, token: str) -> bool:
        entry = await self._kv.get(self._run_key, type=Run)
        if entry.value != Run(token):
            return False
        return bool(
            await self._kv.atomic().check(entry).set(self._run_key, entry.value, expire_in=LEASE).commit()
        )

    async def _read(self) -> State:
        slot, run = await self._kv.get_many([self._slot_key, self._run_key])
        return State(_as(slot, Slot), _as(run, Run))

    def _count(self, result: str) -> None:
        self._telemetry.count(CRON_RUNS, job=self._job.name, result=result)


def _as(entry: Entry[Any], type_: type[T]) -> Entry[T]:
    value = None if entry.versionstamp is None else convert_value(entry.value, type_)
    return Entry(entry.key, value, entry.versionstamp)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
