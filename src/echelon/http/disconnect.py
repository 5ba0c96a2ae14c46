"""Stop work that a client no longer waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeVar

from echelon.errors import ClientDisconnected

if TYPE_CHECKING:
    from echelon.http.request import Request

T = TypeVar("T")

PATIENCE: Final = 0.02
"""Seconds that work may take before the client is watched; what is done by then costs nothing."""


async def cancel_on_disconnect(request: Request, work: Awaitable[T]) -> T:
    """Await `work`, cancelling it when the client goes away; raises ClientDisconnected then.

    For handlers whose work is worth nothing without its client, such as a long call of a guest. The request's body
    has to be read before.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        return await work
    gone = False
    watcher: asyncio.Task[None] | None = None

    async def watch() -> None:
        nonlocal gone
        await request.disconnected()
        gone = True
        task.cancel()

    def begin() -> None:
        nonlocal watcher
        watcher = loop.create_task(watch())

    timer = loop.call_later(PATIENCE, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and not task.uncancel():
            raise ClientDisconnected("the client left before its request was answered") from None
        raise
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()
