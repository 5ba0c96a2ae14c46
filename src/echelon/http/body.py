"""What the adapters share about bodies: refusing large ones, sending streams, closing what was not sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from echelon.errors import HTTPError
from echelon.http.response import Body

log = logging.getLogger("echelon.http")


def too_large(limit: int) -> HTTPError:
    """Return the error for a body above `limit` bytes; the rest of it is not read, so the connection ends."""
    return HTTPError(413, f"the body is larger than {limit} bytes", headers={"connection": "close"})


async def discard(body: Body) -> None:
    """Close a stream that will not be sent (to the end), so that its `finally` blocks run now."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


async def run_until_gone(pump: Callable[[], Awaitable[None]], gone: Callable[[], Awaitable[None]]) -> None:
    """Run `pump` to its end, but cancel it when `gone` returns first; raises what `pump` raises."""

    async def watch() -> None:
        await gone()

    async def work() -> None:
        await pump()

    working = asyncio.ensure_future(work())
    watching = asyncio.ensure_future(watch())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (watching, working):
            task.cancel()
        await asyncio.gather(watching, working, return_exceptions=True)
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error


def log_broken_stream(error: Exception, method: str, path: str) -> None:
    """Report a stream that failed after its status was sent, when no problem document can follow."""
    log.error("%s %s: the response stream failed", method, path, exc_info=error)
