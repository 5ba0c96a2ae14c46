"""Listening to the queue: messages are leased, handled a bounded number at a time, and settled.

A listener holds exactly the messages that its handlers work on. While a handler lives its lease is renewed; when
the process dies the lease runs out, and the message goes to somebody else.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import KvClosed, KvError, KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import Action, Backend, Commit, Fate, Message, Mutation, Settlement
from echelon.telemetry.names import KV_DELIVERIES, KV_DELIVERY, KV_DELIVERY_SECONDS

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

Handler = Callable[[Any], Awaitable[object]]
Load = Callable[[Message], Any]
"""Makes the value of a message; raises KvError."""

_BEATS: Final = 4
"""How often a lease is renewed before it would run out."""

_PAUSE_SECONDS: Final = 1.0
"""How long to wait after the engine failed."""

_RESULTS: Final = {Fate.DONE: "done", Fate.RETRY: "retried", Fate.RELEASE: "released"}

_log = logging.getLogger("echelon.kv")


class Postponed(Exception):
    """Raised by a handler that cannot take a message now: it comes again after a time, as if never delivered."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not before {seconds:g} s")
        self.seconds = seconds


@dataclass(slots=True, eq=False)
class _Delivery:
    """A message on its way through its handler; `renewed` is when its lease began, by the monotonic clock."""

    message: Message
    renewed: float
    task: asyncio.Task[None] | None = None
    is_settling: bool = False
    is_lost: bool = False


class Listener:
    """Takes messages from a backend and calls `handler` with the value of each."""

    def __init__(
        self, backend: Backend, load: Load, handler: Handler, concurrency: int, telemetry: Telemetry
    ) -> None:
        """Raises KvUsageError for what is no handler or no concurrency. Nothing happens before `run()`."""
        if not callable(handler):
            raise KvUsageError(f"listen_queue() takes an async function, got {handler!r:.60}")
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise KvUsageError(f"concurrency is a positive int, got {concurrency!r:.60}")
        self._backend = backend
        self._load = load
        self._handler = handler
        self._concurrency = concurrency
        self._telemetry = telemetry
        self._deliveries: set[_Delivery] = set()
        self._has_room = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._grace = 0.0

    async def run(self) -> None:
        """Serve until `stop()` or until the store is closed. Cancelling it gives back what is being handled."""
        loop = asyncio.get_running_loop()
        self._taking = loop.create_task(self._take(), name="echelon-kv-listener")
        beating = loop.create_task(self._beat(), name="echelon-kv-heartbeat")
        try:
            await asyncio.wait([self._taking])
        finally:
            self._taking.cancel()
            ending = loop.create_task(self._end(beating), name="echelon-kv-listener-end")
            await asyncio.shield(ending)
        if not self._taking.cancelled():
            self._taking.result()

    async def stop(self, grace: float = 0.0) -> None:
        """Take no more; cancel the handlers that still run after `grace` seconds; let `run()` return.

        The messages of those that were cancelled are given back.
        """
        self._grace = grace
        if self._taking is not None:
            self._taking.cancel()
            await self._ended.wait()

    async def _end(self, beating: asyncio.Task[None]) -> None:
        if self._taking is not None:
            await asyncio.wait([self._taking])
        await asyncio.sleep(0)  # a task that is cancelled before its first step would give nothing back
        tasks = [delivery.task for delivery in self._deliveries if delivery.task is not None]
        if tasks and self._grace > 0:
            await asyncio.wait(tasks, timeout=self._grace)
        for delivery in self._deliveries:
            if delivery.task is not None and not delivery.is_settling:
                delivery.task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # leases are renewed until the last handler has ended
        beating.cancel()
        await asyncio.wait([beating])
        self._ended.set()

    async def _take(self) -> None:
        """Take messages while there is room."""
        while True:
            room = self._concurrency - len(self._deliveries)
            if room <= 0:
                self._has_room.clear()
                await self._has_room.wait()
                continue
            try:
                limit = min(room, limits.MAX_DEQUEUE_MESSAGES)
                messages = await self._backend.dequeue(limit, limits.MAX_LEASE_SECONDS)
            except KvClosed:
                return
            except KvStorageError as exc:
                _log.warning("no messages could be taken from the queue: %s", exc)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            for message in messages:
                self._start(message)

    def _start(self, message: Message) -> None:
        delivery = _Delivery(message, time.monotonic())
        delivery.task = asyncio.get_running_loop().create_task(
            self._deliver(delivery), name="echelon-kv-delivery"
        )
        self._deliveries.add(delivery)
        delivery.task.add_done_callback(lambda _: self._finish(delivery))

    def _finish(self, delivery: _Delivery) -> None:
        self._deliveries.discard(delivery)
        self._has_room.set()

    async def _deliver(self, delivery: _Delivery) -> None:
        message, telemetry = delivery.message, self._telemetry
        started = time.perf_counter()
        try:
            with telemetry.span(KV_DELIVERY, attempts=message.attempts, bytes=len(message.payload)):
                result = await self._handle(delivery)
        except asyncio.CancelledError:
            if delivery.is_settling:  # the event loop ends; what was written stays written
                raise
            result = "lost" if delivery.is_lost else await self._settle(delivery, Fate.RELEASE, message.due)
        telemetry.count(KV_DELIVERIES, result=result)
        telemetry.observe(KV_DELIVERY_SECONDS, time.perf_counter() - started)

    async def _handle(self, delivery: _Delivery) -> str:
        """Call the handler and settle the message; return what became of it."""
        message = delivery.message
        if message.attempts > max(len(message.backoff), limits.MAX_LOST_DELIVERIES):
            _log.error(
                "a message was given up: it was delivered %d times, the last time to a process that died",
                message.attempts,
            )
            return await self._give_up(delivery)
        try:
            outcome = self._handler(self._load(message))
            if not inspect.isawaitable(outcome):
                raise KvUsageError("a queue handler is an async function; this one returned no awaitable")
            await outcome
        except Postponed as exc:
            return await self._settle(delivery, Fate.RELEASE, _now() + int(exc.seconds * 1000))
        except (Exception, asyncio.CancelledError) as exc:
            task = asyncio.current_task()
            if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            return await self._fail(delivery, exc)
        return await self._settle(delivery, Fate.DONE)

    async def _fail(self, delivery: _Delivery, exc: BaseException) -> str:
        message = delivery.message
        if message.attempts >= len(message.backoff):
            _log.error("a queue handler failed, and the message was given up", exc_info=exc)
            return await self._give_up(delivery)
        wait = message.backoff[message.attempts]
        _log.warning("a queue handler failed; the message comes again in %d ms", wait, exc_info=exc)
        return await self._settle(delivery, Fate.RETRY, _now() + wait)

    async def _give_up(self, delivery: _Delivery) -> str:
        payload, encoding = delivery.message.payload, delivery.message.encoding
        mutations = [Mutation(Action.SET, key, payload, encoding) for key in delivery.message.undelivered]
        result = await self._settle(delivery, Fate.DONE, 0, mutations)
        return "undelivered" if result == "done" else result

    async def _settle(
        self, delivery: _Delivery, fate: Fate, at: int = 0, mutations: Sequence[Mutation] = ()
    ) -> str:
        """Decide on a message; return what became of it, for telemetry."""
        delivery.is_settling = True
        size = sum(len(mutation.key) + len(mutation.value) for mutation in mutations)
        settlement = Settlement(delivery.message.lease, fate, at)
        try:
            result = await self._backend.write(Commit((), mutations, size, settlements=(settlement,)))
        except KvError as exc:
            _log.warning("a message was handled, which could not be noted; it comes again: %s", exc)
            return "lost"
        if not result.ok:
            _log.warning("a message was handled, but its lease had run out; it was delivered again")
            return "lost"
        return _RESULTS[fate]

    async def _beat(self) -> None:
        """Renew the leases of handlers that take long."""
        beat = limits.MAX_LEASE_SECONDS / _BEATS
        while True:
            await asyncio.sleep(beat)
            now = time.monotonic()
            old = [delivery for delivery in self._deliveries if now - delivery.renewed >= beat]
            await asyncio.gather(*(self._renew(delivery) for delivery in old if not delivery.is_settling))

    async def _renew(self, delivery: _Delivery) -> None:
        now = time.monotonic()
        until = _now() + int(limits.MAX_LEASE_SECONDS * 1000)
        settlement = Settlement(delivery.message.lease, Fate.EXTEND, until)
        try:
            result = await self._backend.write(Commit((), (), 0, settlements=(settlement,)))
        except KvError as exc:
            _log.warning("the lease of a message could not be renewed: %s", exc)
            return
        if result.ok:
            delivery.renewed = now
        elif not delivery.is_settling and delivery.task is not None:
            _log.warning("a message is handled elsewhere by now; the handler here is cancelled")
            delivery.is_lost = True
            delivery.task.cancel()


def _now() -> int:
    return int(time.time() * 1000)
