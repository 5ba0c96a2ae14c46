"""Run guests: a first slice on the event loop, the rest on worker threads, never longer than the deadline.

Every call of a guest is a fiber. It is polled on the event loop for one short slice, which is all that most calls need
and costs no thread switch. A guest that is not done by then goes into a queue; worker threads take guests from it
in turn, run each for a slice without the interpreter lock, and put it back. A guest that waits for the host is on no
thread. So a long guest never blocks the loop, and a hundred long guests share the threads fairly.

The deadline counts the time a guest runs and the time it waits for the host, not the time it waits in line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections import deque
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from echelon.errors import Busy, DeadlineExceeded
from echelon.runtime import linking

if TYPE_CHECKING:
    from echelon.runtime.instance import Instance

LOOP_TICKS: Final = 2
"""Epochs of a guest's first slice, on the event loop."""

WORKER_TICKS: Final = 5
"""Epochs of a slice on a worker thread."""

LOOP_BUDGET: Final = 0.004
_HEAVY_WORK: Final = 0.0005


class Slots:
    """The places of the instance pool, handed out in order of arrival; belongs to one event loop."""

    def __init__(self, total: int, queue_limit: int) -> None:
        self.total = total
        self.free = total
        self._limit = queue_limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def acquire(self) -> None:
        """Take a slot, or wait in line for one; raises Busy when the line is full."""
        if self.free and not self._waiting:
            self.free -= 1
            return
        if len(self._waiting) >= self._limit:
            raise Busy(
                f"all {self.total} instances are in use and {self._limit} calls are waiting"
                " (wasm.instances, wasm.queue); try again later"
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give a slot back; the first in line has it at once."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1


class _Job:
    """A guest in the worker queue; whoever takes its only token may touch it."""

    __slots__ = ("cancelled", "error", "future", "instance", "loop", "token", "waiter")

    def __init__(self, instance: Instance, future: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.instance, self.future, self.loop = instance, future, loop
        self.waiter: asyncio.Future[bool] = loop.create_future()
        self.token = [None]
        self.cancelled = False

    def take(self) -> bool:
        try:
            self.token.pop()
        except IndexError:
            return False
        return True

    def report(self, done: bool) -> None:
        def put() -> None:
            if not self.waiter.done():
                self.waiter.set_result(done)

        with contextlib.suppress(RuntimeError):  # the loop was closed under a running guest
            self.loop.call_soon_threadsafe(put)


class _Remains(NamedTuple):
    """An instance that a worker thread is to free."""

    instance: Instance
    loop: asyncio.AbstractEventLoop


class Executor:
    """The worker threads and the rules of who runs where."""

    def __init__(self, threads: int = 0) -> None:
        self._count = threads or max(2, os.cpu_count() or 1)
        self._queue: queue.SimpleQueue[_Job | _Remains | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.inline = 0.0
        """Seconds of guests on the loop since it last served others; above LOOP_BUDGET they go to a worker."""

    def _start_threads(self) -> None:
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"echelon-worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the worker threads; no guest may be running."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    # --- on the event loop ---

    async def finish(self, instance: Instance, future: Any) -> None:
        """Run a guest to its end.

        Raises DeadlineExceeded when its time is used up. When this returns or raises, nothing touches the guest.
        """
        while True:
            pending = instance.pending
            if pending is not None:
                await self._wait_for_host(instance, pending)
                if self._poll_inline(instance, future):
                    return
            elif await self._run_on_worker(instance, future):
                return
            if instance.pending is None and instance.spent >= instance.limits.time:
                raise self._deadline(instance)

    def account(self, elapsed: float) -> None:
        """Count a guest's time on the loop since the loop last served others."""
        if not self.inline:
            asyncio.get_running_loop().call_soon(self._reset)
        self.inline += elapsed

    def _reset(self) -> None:
        self.inline = 0.0

    async def _wait_for_host(self, instance: Instance, pending: linking.Pending) -> None:
        began = perf_counter()
        try:
            async with asyncio.timeout(max(instance.limits.time - instance.spent, 0.0)) as bound:
                await linking.complete(instance.site.engine, instance, pending)
        except TimeoutError:
            if bound.expired():
                raise self._deadline(instance) from None
            raise
        finally:
            elapsed = perf_counter() - began
            instance.spent += elapsed
            instance.idle += elapsed

    def _poll_inline(self, instance: Instance, future: Any) -> bool:
        instance.site.engine.ticker.wake()
        began = perf_counter()
        done: bool = instance.site.engine.native.lib.wasmtime_call_future_poll(future)
        elapsed = perf_counter() - began
        instance.spent += elapsed
        self.account(elapsed)
        return done

    async def _run_on_worker(self, instance: Instance, future: Any) -> bool:
        if not self._threads:
            self._start_threads()
        job = _Job(instance, future, asyncio.get_running_loop())
        self._queue.put(job)
        try:
            return await asyncio.shield(job.waiter)
        except asyncio.CancelledError:
            job.cancelled = True
            if not job.take():
                await self._let_go(job)
            raise

    async def _let_go(self, job: _Job) -> None:
        """Wait until the worker that runs a cancelled guest has ended its slice."""
        while not job.waiter.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(job.waiter)

    def _deadline(self, instance: Instance) -> DeadlineExceeded:
        limit = instance.limits.time
        return DeadlineExceeded(f"the guest ran longer than its limit of {limit * 1000:g} ms", limit=limit)

    def dispose(self, instance: Instance) -> None:
        """Free an instance; one that ran long may hold much memory, which takes milliseconds to free: on a worker."""
        if self._threads and instance.spent > _HEAVY_WORK:
            self._queue.put(_Remains(instance, asyncio.get_running_loop()))
        else:
            instance.free()
            instance.site.release()

    # --- on a worker thread ---

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, _Job):
                self._run_slice(item)
            else:
                item.instance.free()
                with contextlib.suppress(RuntimeError):  # the loop is gone, and its slots with it
                    item.loop.call_soon_threadsafe(item.instance.site.release)

    def _run_slice(self, job: _Job) -> None:
        if not job.take():
            return
        instance = job.instance
        instance.site.engine.ticker.wake()
        began, used = perf_counter(), thread_time()
        done = instance.site.engine.native.lib.wasmtime_call_future_poll(job.future)
        elapsed = perf_counter() - began
        instance.spent += elapsed
        instance.idle += max(0.0, elapsed - (thread_time() - used))
        stopped = instance.pending is not None or instance.spent >= instance.limits.time
        if done or stopped or job.cancelled:
            job.report(done)
        else:
            job.token.append(None)
            self._queue.put(job)
