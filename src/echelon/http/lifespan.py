"""The client side of the ASGI lifespan protocol: starts and stops an ASGI application."""

from __future__ import annotations

import asyncio
from typing import Any

from echelon.errors import EchelonError
from echelon.types import ASGIApp, Message


class LifespanFailed(EchelonError):
    """An ASGI application reported that it cannot start or stop."""


class Lifespan:
    """Runs an application's lifespan; an application that does not know lifespans is left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Start; raises LifespanFailed with the application's message."""
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())
        await self._step("startup")

    async def shutdown(self) -> None:
        """Stop; without a started lifespan a no-op."""
        if self._task is None or self._task.done():
            return
        try:
            await self._step("shutdown")
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._events.get, self._answers.put)

    async def _step(self, name: str) -> None:
        if self._task is None:
            return
        await self._events.put({"type": f"lifespan.{name}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            self._task.exception()  # retrieved: an application without lifespan may raise here
            return
        message = answer.result()
        if message["type"] == f"lifespan.{name}.failed":
            raise LifespanFailed(message.get("message") or f"an ASGI application failed at {name}")
