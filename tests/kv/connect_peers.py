"""Servers of KV Connect to test with: each a real one, on a port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from echelon.kv.backend import Backend, Commit, CommitResult, KeyRange, Message, Record, ValueFormat
from echelon.kv.connect import ConnectBackend
from echelon.kv.connect.access import Access
from echelon.kv.connect.listener import Listener
from echelon.kv.connect.server import Service
from echelon.kv.sqlite import SqliteBackend

TOKEN = "test-token-0123456789"


@asynccontextmanager
async def serving(backend: Backend, *, extensions: bool = True) -> AsyncIterator[Listener]:
    """Serve a backend by the stand-alone server."""
    service = Service(lambda: backend, Access(TOKEN), extensions=extensions)
    listener = await Listener.open(service, "127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.close()


def url_of(listener: Listener) -> str:
    return f"http://127.0.0.1:{listener.port}"


class Served:
    """A client, with a server of its own on a file; closing closes all of it."""

    def __init__(self, store: Backend, listener: Listener, client: ConnectBackend) -> None:
        self._store = store
        self._listener = listener
        self._client = client

    @classmethod
    async def open(cls, path: Path, *, extensions: bool = True) -> Served:
        store: Backend = await SqliteBackend.open(path)
        service = Service(lambda: store, Access(TOKEN), extensions=extensions)
        listener = await Listener.open(service, "127.0.0.1", 0)
        return cls(store, listener, await ConnectBackend.open(url_of(listener), TOKEN))

    @property
    def values(self) -> ValueFormat:
        return self._client.values

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        return await self._client.read(ranges)

    async def write(self, commit: Commit) -> CommitResult:
        return await self._client.write(commit)

    def watch(self, keys: Sequence[bytes]) -> AsyncIterator[list[Record | None]]:
        return self._client.watch(keys)

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        return await self._client.dequeue(limit, lease)

    async def sweep(self) -> float:
        return await self._client.sweep()

    async def close(self) -> None:
        await self._client.close()
        await self._listener.close()
        await self._store.close()
