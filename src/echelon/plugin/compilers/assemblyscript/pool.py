"""Compiler processes that are kept between compiles: each is asked by one job at a time, and replaced when it fails."""

from __future__ import annotations

import asyncio
import math

from echelon.errors import ToolchainMissing
from echelon.plugin.compilers.assemblyscript.process import Answer, Settings, Worker, WorkerFailed
from echelon.plugin.toolchain import TYPESCRIPT


class Pool:
    """At most `size` processes, started when first needed. Belongs to one event loop.

    One that grows beyond `memory` bytes is replaced. After `idle` seconds without work all are ended.
    """

    def __init__(self, size: int, memory: int, idle: float = math.inf) -> None:
        self.size = size
        self.memory = memory
        self.idle = idle
        self._asking = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._slots: asyncio.LifoQueue[asyncio.Task[Worker] | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._slots.put_nowait(None)

    def warm(self, settings: Settings) -> None:
        """Start one process, in the background."""
        if not self._closed and not self._slots.empty():
            slot = self._slots.get_nowait()
            self._slots.put_nowait(slot or _boot(settings))

    async def ask(self, settings: Settings, request: dict[str, object]) -> Answer:
        """Let a process answer; raises WorkerFailed, and ToolchainMissing when none starts."""
        self._asking += 1
        if self._timer is not None:
            self._timer.cancel()
        try:
            return await self._ask(settings, request)
        finally:
            self._asking -= 1
            if not self._asking and math.isfinite(self.idle) and not self._closed:
                self._timer = asyncio.get_running_loop().call_later(self.idle, self._expire)

    async def _ask(self, settings: Settings, request: dict[str, object]) -> Answer:
        slot = await self._slots.get()
        keep: asyncio.Task[Worker] | None = None
        started = False
        try:
            if self._closed:
                raise WorkerFailed("the generator was closed")
            if slot is not None and _dead(slot):
                await _end(slot)
                slot = None
            slot = keep = slot or _boot(settings)
            worker = await _booted(slot, settings)
            started, keep = True, None
            answer = await worker.ask(request)
            if not answer.fatal and worker.rss <= self.memory:
                keep = slot
            return answer
        finally:
            try:
                if slot is not None and (slot is not keep or self._closed):
                    await _end(slot)
            finally:
                # After a failure the replacement boots now, so that the next compile finds it ready.
                fresh = _boot(settings) if started and keep is None and not self._closed else None
                self._slots.put_nowait(fresh if keep is None or self._closed else keep)

    async def close(self) -> None:
        """End every process; who is asking fails. Closing twice is a no-op."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._ending is not None:
            await self._ending
        await self._empty()

    def _expire(self) -> None:
        if not self._asking:
            self._ending = asyncio.create_task(self._empty(), name="echelon-typescript-idle")

    async def _empty(self) -> None:
        found = [self._slots.get_nowait() for _ in range(self._slots.qsize())]
        for _ in found if not self._closed else ():
            self._slots.put_nowait(None)
        for task in found:
            if task is not None:
                await _end(task)


def _boot(settings: Settings) -> asyncio.Task[Worker]:
    return asyncio.create_task(Worker.start(settings), name="echelon-typescript-boot")


def _dead(slot: asyncio.Task[Worker]) -> bool:
    return slot.done() and (slot.cancelled() or slot.exception() is not None or not slot.result().alive)


async def _booted(slot: asyncio.Task[Worker], settings: Settings) -> Worker:
    try:
        return await asyncio.shield(slot)
    except WorkerFailed as exc:
        raise ToolchainMissing(
            f"the TypeScript compiler does not start: {exc}; remove {settings.toolchain} and install it"
            f" again: {TYPESCRIPT.command}",
            install=TYPESCRIPT.command,
        ) from exc


async def _end(task: asyncio.Task[Worker]) -> None:
    """Stop the process that a boot has started or is starting."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is None:
        await task.result().stop()
