"""The queue handlers and cron jobs of an application: declared before it starts, run while it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from echelon.errors import RouteError
from echelon.http.parameters import describe
from echelon.jobs.cron import CronJob, CronRunner
from echelon.jobs.handlers import Delivery, Fill, plan
from echelon.jobs.queue import QueueHandler, QueueRunner, send
from echelon.jobs.schedule import parse
from echelon.kv import Atomic, CommitResult, Key, Kv
from echelon.types import Handler

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

H = TypeVar("H", bound=Handler)

_PAUSE_SECONDS: Final = 5.0
_MAX_NAME: Final = 100

_log = logging.getLogger("echelon.jobs")


class _Runner(Protocol):
    async def serve(self) -> None: ...
    async def stop(self, grace: float) -> None: ...


class Jobs:
    """Declares handlers and jobs with decorators, then `start()` runs them until `stop()`."""

    def __init__(self, components: Mapping[type, Callable[[], Any]]) -> None:
        """`components` gives what parameters of these types are filled with."""
        self._components: dict[type, Fill] = {
            kind: partial(_provide, provide) for kind, provide in components.items()
        }
        self._handlers: dict[str, QueueHandler] = {}
        self._names: dict[Handler, str] = {}
        self._jobs: dict[str, CronJob] = {}
        self._runners: list[_Runner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        self._stopping = asyncio.Event()

    def queue(
        self,
        name: str | None = None,
        *,
        backoff_schedule: Sequence[timedelta] | None = None,
        undelivered: Key | None = None,
        timeout: timedelta | None = None,
    ) -> Callable[[H], H]:
        """Register what handles the messages of a queue; see `Application.queue()`."""

        def register(handler: H) -> H:
            queue = describe(handler) if name is None else name
            what = f"queue {queue!r}"
            self._check_new(what, queue, self._handlers, empty=True)
            known: dict[type, Fill] = {**self._components, Delivery: lambda delivery: delivery}
            call = plan(handler, what, known, takes_message=True, timeout=timeout)
            self._handlers[queue] = QueueHandler(queue, call, backoff_schedule, undelivered)
            self._names[handler] = queue
            return handler

        return register

    def cron(
        self,
        schedule: str | timedelta,
        *,
        name: str | None = None,
        timezone: str | tzinfo = "UTC",
        catch_up: bool = False,
        timeout: timedelta | None = None,
    ) -> Callable[[H], H]:
        """Register a job that is run at times; see `Application.cron()`."""
        times = parse(schedule, timezone)

        def register(handler: H) -> H:
            job = describe(handler) if name is None else name
            what = f"cron job {job!r}"
            self._check_new(what, job, self._jobs, empty=False)
            known: dict[type, Fill] = {**self._components, datetime: lambda slot: slot}
            call = plan(handler, what, known, takes_message=False, timeout=timeout)
            self._jobs[job] = CronJob(job, times, call, catch_up)
            return handler

        return register

    async def send(
        self,
        kv: Kv,
        queue: str | Handler,
        value: Any,
        *,
        delay: timedelta | None = None,
        backoff_schedule: Sequence[timedelta] | None = None,
        keys_if_undelivered: Iterable[Key] = (),
        into: Atomic | None = None,
    ) -> CommitResult | None:
        """Send a message to a queue, by its name or its handler; see `Application.enqueue()`."""
        if not isinstance(queue, str):
            known = self._names.get(queue)
            if known is None:
                raise RouteError(
                    f"{describe(queue)}() is the handler of no queue; register it with @app.queue"
                )
            queue = known
        return await send(
            kv,
            queue,
            self._handlers.get(queue),
            value,
            delay=delay,
            backoff_schedule=backoff_schedule,
            keys_if_undelivered=keys_if_undelivered,
            into=into,
        )

    async def start(self, kv: Kv, telemetry: Telemetry, *, concurrency: int, cron: bool) -> None:
        """Begin to take messages, `concurrency` at once, and slots; 0 and False leave them to other processes."""
        self._started = True
        self._stopping.clear()
        if self._handlers and concurrency:
            self._run("the queue", QueueRunner(kv, self._handlers, concurrency, telemetry))
        for job in self._jobs.values() if cron else ():
            self._run(f"the cron job {job.name}", CronRunner(kv, job, telemetry))

    async def stop(self, grace: float) -> None:
        """Take no more, give what runs `grace` seconds to end, then cut it off: it is begun again elsewhere."""
        self._stopping.set()
        tasks, self._tasks, runners, self._runners = self._tasks, [], self._runners, []
        await asyncio.gather(*(runner.stop(grace) for runner in runners))
        if tasks:
            await asyncio.wait(tasks)

    def _run(self, name: str, runner: _Runner) -> None:
        self._runners.append(runner)
        task = asyncio.get_running_loop().create_task(self._keep(name, runner), name="echelon-jobs")
        self._tasks.append(task)

    async def _keep(self, name: str, runner: _Runner) -> None:
        """Serve until stopped; what nobody expected is logged, and serving goes on."""
        while not self._stopping.is_set():
            try:
                await runner.serve()
            except Exception as exc:
                _log.error("%s stopped; it goes on in %g s", name, _PAUSE_SECONDS, exc_info=exc)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _PAUSE_SECONDS)
            else:
                return

    def _check_new(self, what: str, name: str, known: Mapping[str, Any], *, empty: bool) -> None:
        if self._started:
            raise RouteError(f"{what}: the application has started; register it before")
        if (
            not isinstance(name, str)
            or not (name or empty)
            or len(name) > _MAX_NAME
            or not name.isprintable()
        ):
            raise RouteError(f"{what}: a name has 1 to {_MAX_NAME} printable characters")
        if name in known:
            raise RouteError(f"{what}: there is one of that name; give this one another with name=")


def _provide(provide: Callable[[], Any], context: Any) -> Any:
    return provide()
