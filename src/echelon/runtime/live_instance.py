"""One instance of a module that is kept for several calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final

from echelon.errors import FunctionNotFound, GuestError, PermissionDenied
from echelon.runtime.instance import Instance
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
        """Give the instance back. Closing twice is a no-op; every later use raises GuestError."""
        instance, self._instance = self._instance, None
        self._closed = "this instance is closed"
        if instance is not None:
            self._work.module.runtime.kept.discard(self)
            instance.close()

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
        instance, turn = self._opened, self._turn
        ticker, put, get = instance.site.engine.ticker, plan.put, plan.get
        begin, finish, simple = instance.begin, instance.finish, plan.simple

        async def call_export(*arguments: Any) -> Any:
            if not simple or turn.locked() or self._instance is not instance:
                async with turn:
                    return await self._call(plan, arguments)
            if instance.ticks != ticker.count:
                instance.begin_call()
            put(instance, arguments)
            try:
                future = begin(plan)
                if future is not None:
                    async with turn:
                        await finish(future, plan)
            except BaseException as exc:
                raise self._drop(exc) from exc.__cause__
            return get(instance)

        return call_export

    async def _call(self, plan: FunctionPlan, arguments: Sequence[Any]) -> Any:
        instance = self._opened
        instance.begin_call()
        try:
            return await plan.call(instance, arguments, self._work.loaded.plans, kept=True)
        except (TypeError, ValueError):
            raise
        except BaseException as exc:
            raise self._drop(exc) from exc.__cause__

    async def run(self, function: str, *arguments: Any) -> Outcome:
        """Call an export and return its value with what it printed and cost."""
        value = await self.call(function, *arguments)
        self._opened.measure()
        return self._work.outcome(value)

    def _drop(self, error: BaseException) -> BaseException:
        self.close()
        self._closed = _BROKEN
        return self._work.failed(error) if isinstance(error, GuestError | PermissionDenied) else error
