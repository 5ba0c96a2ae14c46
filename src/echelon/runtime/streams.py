"""Standard input of a guest: bytes, or whatever arrives while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable


class Input:
    """What a guest reads. Bytes are there at once; an async iterable is read as the guest asks for more."""

    def __init__(self, content: bytes | AsyncIterable[bytes] = b"") -> None:
        self._data = content if isinstance(content, bytes) else b""
        self._source: AsyncIterator[bytes] | None = (
            None if isinstance(content, bytes) else content.__aiter__()
        )
        self._next: asyncio.Task[bytes] | None = None

    @property
    def available(self) -> int:
        """How many bytes can be taken without waiting."""
        return len(self._data)

    @property
    def ended(self) -> bool:
        """Whether nothing is there and nothing will come."""
        return not self._data and self._source is None

    @property
    def must_wait(self) -> bool:
        """Whether nothing is there yet."""
        return not self._data and self._source is not None

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes of what is there; nothing when there is nothing."""
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    async def fill(self) -> None:
        """Wait until something is there or the end is reached. May be cancelled, and loses nothing then."""
        while self.must_wait:
            if self._next is None and self._source is not None:
                self._next = asyncio.ensure_future(_step(self._source))
            if self._next is not None:
                await asyncio.wait((self._next,))
                done, self._next = self._next, None
                try:
                    self._data = done.result()
                except StopAsyncIteration:
                    self._source = None

    def close(self) -> None:
        """Stop waiting for more; from any thread."""
        waiting, self._next, self._source = self._next, None, None
        if waiting is not None and not waiting.done():
            waiting.get_loop().call_soon_threadsafe(waiting.cancel)


async def _step(source: AsyncIterator[bytes]) -> bytes:
    return await source.__anext__()


def on_loop(listener: Callable[[str, bytes], None]) -> Callable[[str, bytes], None]:
    """Return a function that calls `listener` on the running event loop, from any thread, in order."""
    loop = asyncio.get_running_loop()

    def tell(name: str, data: bytes) -> None:
        if asyncio._get_running_loop() is loop:
            listener(name, data)
        else:
            loop.call_soon_threadsafe(listener, name, data)

    return tell
