"""One instance of a module that is kept for several calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from echelon.errors import ComponentError, FunctionNotFound, GuestError, PermissionDenied
from echelon.runtime.instance import UNFINISHED, Instance
from echelon.runtime.memory import Memory
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.result import Outcome
from echelon.runtime.work import Work

_BROKEN: Final = "this instance was dropped after a failure; open another one"


class LiveInstance:
    """One instance kept for several calls, with its memory. Calls run one after another; a failure ends it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._instance: Instance | None = None
        self._turn = asyncio.Lock()
        self._callers = 0
        self._leaving: Instance | None = None
        self._bound: dict[str, Callable[..., Awaitable[Any]]] = {}
        self._closed = "this instance is not open; use `async with module.instance() as live`"

    async def __aenter__(self) -> LiveInstance:
        self._instance = await self._work.open(kept=True)
        self._work.module.runtime.kept.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the instance back, once a call that runs in it has ended. Every later use raises GuestError.

        Closing twice is a no-op.
        """
        instance, self._instance = self._instance, None
        self._closed = "this instance is closed"
        if instance is None:
            return
        self._work.module.runtime.kept.discard(self)
        if self._turn.locked():
            self._leaving = instance  # a guest must not lose its store while it runs
        else:
            instance.close()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Wait until no other call runs; whoever is last to run gives a closed instance back."""
        self._callers += 1
        try:
            async with self._turn:
                try:
                    yield
                finally:
                    leaving, self._leaving = self._leaving, None
                    if leaving is not None:
                        leaving.close()
        finally:
            self._callers -= 1

    @property
    def memory(self) -> Memory:
        """The guest's memory; raises GuestError when it exports none."""
        memory = self._opened.memory
        if memory is None:
            raise GuestError("the module exports no memory")
        return memory

    @property
    def _opened(self) -> Instance:
        if self._instance is None:
            raise GuestError(self._closed)
        return self._instance

    def call(self, function: str, *arguments: Any) -> Awaitable[Any]:
        """Call an export and return its value; each call has the module's limits anew."""
        return (self._bound.get(function) or self.function(function))(*arguments)

    def function(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return an export as a coroutine function, which saves looking it up for each call."""
        plan = self._work.loaded.plans.get(name)
        if plan is None:
            raise FunctionNotFound(self._work.module.unknown(name))
        self._bound[name] = bound = self._bind(plan)
        return bound

    def _bind(self, plan: FunctionPlan) -> Callable[..., Awaitable[Any]]:
        """Return what calls one export: at once if it is simple and the instance is idle, in turn otherwise."""
        instance = self._opened

        async def in_turn(*arguments: Any) -> Any:
            async with self._in_turn():
                return await self._call(plan, arguments)

        if not plan.simple:
            return in_turn
        quick = instance.bind(plan)

        async def call_export(*arguments: Any) -> Any:
            if self._callers or self._instance is not instance:
                return await in_turn(*arguments)
            try:
                value = quick(arguments)
                if value is UNFINISHED:
                    async with self._in_turn():
                        await instance.finish(instance.unfinished, plan)
                        value = plan.get(instance)
            except (TypeError, ValueError):  # the caller's mistake; nothing has run
                raise
            except BaseException as exc:
                raise self._drop(exc) from exc.__cause__
            return value

        return call_export

    async def _call(self, plan: FunctionPlan, arguments: Sequence[Any]) -> Any:
        instance = self._opened
        instance.begin_call()
        try:
            return await plan.call(instance, arguments, self._work.loaded.plans, kept=True)
        except (TypeError, ValueError):
            raise
        except ComponentError as exc:  # a result like any other: the instance is as good as before
            raise self._work.failed(exc) from None
        except BaseException as exc:
            raise self._drop(exc) from exc.__cause__

    async def run(self, function: str, *arguments: Any) -> Outcome:
        """Call an export and return its value with what it printed and cost."""
        began = perf_counter()
        value = await self.call(function, *arguments)
        instance = self._opened
        if not instance.spent:  # a quick call does not look at the clock
            instance.spent = perf_counter() - began
        instance.measure()
        return self._work.outcome(value)

    def _drop(self, error: BaseException) -> BaseException:
        self.close()
        self._closed = _BROKEN
        return self._work.failed(error) if isinstance(error, GuestError | PermissionDenied) else error
