"""Compression with gzip.

Do not compress answers that hold a secret next to text the client chose: their size tells about the
secret (BREACH). Answers that set a cookie are therefore left alone.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from echelon.http.body import discard
from echelon.http.request import Request
from echelon.http.response import FileSlice, Response
from echelon.types import CallNext

GZIP = 31
"""The window bits that make zlib write gzip."""
THREAD_SIZE = 1 << 17
"""From this size on, compressing takes milliseconds and goes to a thread."""
TYPES = (
    "text/",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/problem+json",
    "application/wasm",
    "image/svg+xml",
)


class Compression:
    """Compress bodies of at least `minimum` bytes, and streams, when the client accepts gzip.

    `level` is 1 (fast) to 9 (small). Files are sent as they are: ranges and system calls suit them better.
    """

    def __init__(self, *, minimum: int = 512, level: int = 5, types: Sequence[str] = TYPES) -> None:
        self._minimum = minimum
        self._level = level
        self._types = tuple(types)

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Compress the answer where it pays."""
        response = await call_next(request)
        body, headers = response.body, response.headers
        if not response.media_type.startswith(self._types) or body is None or isinstance(body, FileSlice):
            return response
        headers.vary("accept-encoding")
        if (
            response.status in (204, 206, 304)
            or "content-encoding" in headers
            or "set-cookie" in headers
            or not accepts_gzip(request.headers.get_all("accept-encoding"))
        ):
            return response
        if isinstance(body, str | bytes):
            data = body.encode() if isinstance(body, str) else body
            if len(data) < self._minimum:
                return response
            response.body = (
                await asyncio.to_thread(self._compress, data)
                if len(data) >= THREAD_SIZE
                else self._compress(data)
            )
        else:
            response.body = self._stream(body)
        headers["content-encoding"] = "gzip"
        if "content-length" in headers:
            del headers["content-length"]
        if headers.get("etag", "").startswith('"'):
            headers["etag"] = f"W/{headers['etag']}"
        return response

    def _compress(self, data: bytes) -> bytes:
        return zlib.compress(data, self._level, GZIP)

    async def _stream(self, body: AsyncIterable[bytes | str]) -> AsyncIterator[bytes]:
        packer = zlib.compressobj(self._level, zlib.DEFLATED, GZIP)
        try:
            async for chunk in body:
                data = chunk.encode() if isinstance(chunk, str) else chunk
                # flushed at each chunk: what the handler has sent, the client can read
                packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
                if packed:
                    yield packed
            yield packer.flush()
        finally:
            await discard(body)


def accepts_gzip(values: list[str]) -> bool:
    """Return whether Accept-Encoding allows gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for item in ",".join(values).split(","):
        name, _, parameter = item.partition(";")
        key, _, weight = parameter.strip().partition("=")
        try:
            weights[name.strip().lower()] = float(weight) if key.strip().lower() == "q" else 1.0
        except ValueError:
            weights[name.strip().lower()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
