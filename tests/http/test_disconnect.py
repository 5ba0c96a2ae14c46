"""Work that ends with its client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echelon.errors import ClientDisconnected
from echelon.http.disconnect import cancel_on_disconnect


class Client:
    """A request whose client leaves when it is told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def disconnected(self) -> bool:
        return await self.gone.wait()


async def test_quick_work_is_not_watched() -> None:
    """What is done at once returns, whatever the client does."""
    client: Any = Client()
    client.gone.set()

    async def work() -> int:
        return 5

    assert await cancel_on_disconnect(client, work()) == 5


async def test_long_work_ends_with_its_client() -> None:
    """The work is cancelled, and the error is the client's, not a cancellation of the task."""
    client: Any = Client()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.create_task(cancel_on_disconnect(client, work()))
    await asyncio.sleep(0.05)
    client.gone.set()
    with pytest.raises(ClientDisconnected):
        await task
    assert ended.is_set()


async def test_cancellation_stays_cancellation() -> None:
    """A task that is cancelled for another reason ends cancelled, and nothing is left watching."""
    client: Any = Client()
    task = asyncio.create_task(cancel_on_disconnect(client, asyncio.sleep(60)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_failures_pass() -> None:
    """What the work raises is raised."""

    async def work() -> None:
        await asyncio.sleep(0.05)
        raise ValueError("x")

    client: Any = Client()
    with pytest.raises(ValueError, match="x"):
        await cancel_on_disconnect(client, work())
