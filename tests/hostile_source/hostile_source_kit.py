"""What tests of hostile sources share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from echelon.plugin.compiler import Compiled


async def watched(compiling: Coroutine[Any, Any, Compiled]) -> tuple[Compiled, float]:
    """Wait for a compile; gives what came of it, and the longest time in seconds that held up everything else."""
    task = asyncio.create_task(compiling)
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return await task, longest
