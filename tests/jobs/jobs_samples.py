"""What the tests of jobs share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from echelon import Application

MakeApp = Callable[..., Application]


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
