"""A bound on how long a request may take until its answer begins."""

from __future__ import annotations

import asyncio

from echelon.errors import ConfigError, HTTPError
from echelon.http.request import Request
from echelon.http.response import Response
from echelon.types import CallNext


class Timeout:
    """Cancel a request after `seconds` and answer 504. Sending a stream is not bounded.

    A handler that runs in a worker thread goes on in its thread: threads cannot be cancelled.
    """

    def __init__(self, seconds: float) -> None:
        if not 0 < seconds < float("inf"):
            raise ConfigError(f"Timeout: {seconds!r} must be greater than zero and finite")
        self._seconds = seconds

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Bound the request."""
        bound = asyncio.timeout(self._seconds)
        try:
            async with bound:
                return await call_next(request)
        except TimeoutError as exc:
            if not bound.expired():  # the handler's own timeout
                raise
            raise HTTPError(504, f"no answer within {self._seconds:g} seconds") from exc
