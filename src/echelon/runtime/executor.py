"""Run guests: a first slice on the event loop, the rest on worker threads, never longer than the deadline.

Every call of a guest is a fiber. It is polled on the event loop for one short slice, which is all that most calls need
and costs no thread switch. A guest that is not done by then goes into a queue; worker threads take guests from it
in turn, run each for a slice without the interpreter lock, and put it back. A guest that waits for the host is on no
thread. So a long guest never blocks the loop, and several long guests share the threads fairly.

Only so many guests take turns at a time (PER_THREAD for each thread), the others wait in line for that: if all of a
full pool took turns, each would use up its deadline while the others ran. The deadline counts the time from a guest's
first slice, turns of others and waiting for the host included, but not the wait in a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from echelon.errors import DeadlineExceeded, LoadError
from echelon.runtime import linking
from echelon.runtime.slots import Slots

if TYPE_CHECKING:
    from echelon.runtime.instance import Instance

LOOP_TICKS: Final = 2
"""Epochs of a guest's first slice, on the event loop."""

WORKER_TICKS: Final = 5
"""Epochs of a slice on a worker thread."""

LOOP_BUDGET: Final = 0.004
PER_THREAD: Final = 8
"""Guests that take turns on one thread."""

NICE: Final = 5
"""Scheduling priority of the worker threads below that of the process."""

_HEAVY_WORK: Final = 0.0005


class _Job:
    """A guest in the worker queue; whoever takes its only token may touch it."""

    __slots__ = ("cancelled", "future", "instance", "loop", "queued", "token", "waiter")

    def __init__(self, instance: Instance, future: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.instance, self.future, self.loop = instance, future, loop
        self.waiter: asyncio.Future[bool] = loop.create_future()
        self.token = [None]
        self.cancelled = False
        self.queued = perf_counter()

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
        self._closing = False
        self._turns = Slots(self._count * PER_THREAD)
        self.inline = 0.0
        """Seconds of guests on the loop since it last served others; above LOOP_BUDGET they go to a worker."""

    def _start_threads(self) -> None:
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"echelon-worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the worker threads; guests that still run are cut off and their calls raise LoadError."""
        self._closing = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while not self._queue.empty():  # what was put back after the last thread had seen its end
            left = self._queue.get_nowait()
            if isinstance(left, _Job):
                left.report(False)
            elif left is not None:
                left.instance.free()

    # --- on the event loop ---

    async def finish(self, instance: Instance, future: Any) -> None:
        """Run a guest to its end.

        Raises DeadlineExceeded when its time is used up. When this returns or raises, nothing touches the guest.
        """
        taking_turns = False
        try:
            while True:
                pending = instance.pending
                if pending is not None:
                    if taking_turns:
                        taking_turns = False
                        self._turns.release()
                    await self._wait_for_host(instance, pending)
                    if not self._closing and self._poll_inline(instance, future):
                        return
                else:
                    if not taking_turns:
                        await self._wait_for_turns(instance)
                        taking_turns = True
                    if await self._run_on_worker(instance, future):
                        return
                if self._closing:
                    raise LoadError("the runtime was closed while the guest ran")
                if instance.pending is None and instance.spent >= instance.limits.time:
                    raise self.overdue(instance)
        finally:
            if taking_turns:
                self._turns.release()

    async def _wait_for_turns(self, instance: Instance) -> None:
        began = perf_counter()
        await self._turns.acquire()
        instance.waited += perf_counter() - began

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
                instance.bound = bound
                await linking.complete(instance.site.engine, instance, pending)
        except TimeoutError:
            if bound.expired():
                raise self.overdue(instance) from None
            raise
        finally:
            instance.bound = None
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

    def overdue(self, instance: Instance) -> DeadlineExceeded:
        """Return the error for a guest whose time is used up."""
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
        if sys.platform == "linux":  # where a thread has a priority of its own: the event loop goes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
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
        ticker = instance.site.engine.ticker
        ticker.slices.append(None)
        ticker.wake()
        used, done = thread_time(), False
        if instance.spent + perf_counter() - job.queued < instance.limits.time:
            done = instance.site.engine.native.lib.wasmtime_call_future_poll(job.future)
        ticker.slices.pop()
        now = perf_counter()
        elapsed = now - job.queued
        instance.spent += elapsed
        instance.idle += max(0.0, elapsed - (thread_time() - used))
        job.queued = now
        stopped = instance.pending is not None or instance.spent >= instance.limits.time
        if done or stopped or job.cancelled or self._closing:
            job.report(done)
        else:
            job.token.append(None)
            self._queue.put(job)
