"""A backend that tells telemetry how many operations, how long and how large; never keys or values."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from echelon.kv.backend import (
    Action,
    Backend,
    Commit,
    CommitResult,
    KeyRange,
    Message,
    Record,
    ValueFormat,
)
from echelon.telemetry.names import KV_OPERATION, KV_OPERATION_SECONDS, KV_OPERATIONS, KV_WATCH_WAKES

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry


class ObservedBackend:
    """Passes everything on to another Backend and reports it; a store without telemetry does without this."""

    def __init__(self, backend: Backend, telemetry: Telemetry) -> None:
        self._backend = self.inner = backend
        self._telemetry = telemetry

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """Report a get, get_many or list."""
        operation = _name_read(ranges)
        started = time.perf_counter()
        try:
            if not self._telemetry.tracing:
                return await self._backend.read(ranges)
            with self._telemetry.span(KV_OPERATION, operation=operation, ranges=len(ranges)) as span:
                found = await self._backend.read(ranges)
                span.set(entries=sum(map(len, found)))
                return found
        finally:
            self._report(operation, started)

    async def write(self, commit: Commit) -> CommitResult:
        """Report a set, delete, enqueue or atomic, or what a listener settles."""
        operation = _name_write(commit)
        started = time.perf_counter()
        try:
            if not self._telemetry.tracing:
                return await self._backend.write(commit)
            with self._telemetry.span(
                KV_OPERATION,
                operation=operation,
                checks=len(commit.checks),
                mutations=len(commit.mutations) + len(commit.enqueues),
                bytes=commit.size,
            ) as span:
                result = await self._backend.write(commit)
                span.set(ok=result.ok)
                return result
        finally:
            self._report(operation, started)

    @property
    def values(self) -> ValueFormat:
        """See Backend."""
        return self._backend.values

    async def watch(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """Count what a watch yields after its first state."""
        first = True
        async with aclosing(self._backend.watch(keys)) as states:
            async for records in states:
                if not first:
                    self._telemetry.count(KV_WATCH_WAKES)
                first = False
                yield records

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """Report nothing: it mostly waits, and the listener counts what it delivers."""
        return await self._backend.dequeue(limit, lease)

    async def sweep(self) -> float:
        """Report a sweep."""
        started = time.perf_counter()
        try:
            return await self._backend.sweep()
        finally:
            self._report("sweep", started)

    async def close(self) -> None:
        """Close the backend below."""
        await self._backend.close()

    def _report(self, operation: str, started: float) -> None:
        self._telemetry.count(KV_OPERATIONS, operation=operation)
        self._telemetry.observe(KV_OPERATION_SECONDS, time.perf_counter() - started, operation=operation)


def _name_read(ranges: Sequence[KeyRange]) -> str:
    if len(ranges) == 1:
        return "get" if ranges[0].end is None else "list"
    return "get_many"


def _name_write(commit: Commit) -> str:
    if commit.settlements:
        return "settle"
    if commit.checks or len(commit.mutations) + len(commit.enqueues) != 1:
        return "atomic"
    if commit.enqueues:
        return "enqueue"
    action = commit.mutations[0].action
    return action.name.lower() if action in (Action.SET, Action.DELETE) else "atomic"
