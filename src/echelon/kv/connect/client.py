"""KV Connect, the client's side: a Backend on any server that speaks it.

Reads are tried again when the network or the server fails. A write is tried again only when it cannot have been
applied, or when the server remembers what it did, as Echelon's own does.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, Literal, TypeVar

from echelon.errors import KvClosed, KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.backend import (
    Commit,
    CommitResult,
    Fate,
    KeyRange,
    Message,
    Record,
    Settlement,
    ValueFormat,
)
from echelon.kv.codec import Encoding
from echelon.kv.connect import wire
from echelon.kv.connect.checks import MAX_LEASE, MAX_WAIT
from echelon.kv.connect.metadata import ANSWER_SECONDS, Exchange, Metadata
from echelon.kv.connect.pool import Lost, NotSent, Pool, Reply, Url
from echelon.kv.connect.replies import Again, check_reply, understand

T = TypeVar("T")
Consistency = Literal["strong", "eventual"]

RETRY_SECONDS: Final = 20.0
"""How long an operation is tried again; less than a server remembers a commit."""

SILENCE_SECONDS: Final = 4 * wire.PING_SECONDS
"""After so long without a sign of life a watch connects again."""

_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 2.0
_LONGEST_WATCH_WAIT: Final = 10.0
_HURRIED_SECONDS: Final = 1.0
_MAX_FRAME: Final = 1 << 20
_ENCODINGS: Final = frozenset(Encoding)


class ConnectBackend:
    """A Backend on a server of KV Connect; belongs to the event loop it was opened in."""

    def __init__(self, url: Url, token: str, consistency: Consistency) -> None:
        """Only `open()` makes one that works: it asks the server for its metadata."""
        self._url = url
        self._consistency = consistency
        self._pool = Pool()
        self._exchange = Exchange(url, token, self._pool)
        self._loop = asyncio.get_running_loop()
        self._writes: set[asyncio.Task[CommitResult]] = set()
        self._waits: set[asyncio.Task[list[Message]]] = set()
        self._closing = self._loop.create_future()

    @classmethod
    async def open(
        cls, url: str, token: str | None, *, consistency: Consistency = "strong"
    ) -> ConnectBackend:
        """Connect to a store; with consistency "eventual" reads may be answered by a copy that lags behind.

        Raises KvUsageError for a URL or token that cannot be right, KvStorageError for a server that cannot be
        reached, refuses the token, or does not speak KV Connect.
        """
        if consistency not in ("strong", "eventual"):
            raise KvUsageError(f'consistency is "strong" or "eventual", got {consistency!r}')
        if not isinstance(token, str) or not token:
            raise KvUsageError("a store on a server needs its access token: open_kv(url, token=...)")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise KvUsageError("the token holds characters that a token does not")
        backend = cls(Url.parse(url), token, consistency)
        try:
            await backend._exchange.current()
        except Again as exc:
            await backend.close()
            raise KvStorageError(f"the store at {backend._url} cannot be opened: {exc}") from exc
        except BaseException:
            await backend.close()
            raise
        return backend

    @property
    def values(self) -> ValueFormat:
        """See Backend; an Echelon server keeps Python's types, others have V8's."""
        return "native" if self._offers("native") else "v8"

    async def read(self, ranges: Sequence[KeyRange]) -> list[list[Record]]:
        """See Backend."""
        body = wire.encode_read(ranges)

        async def attempt(metadata: Metadata) -> list[list[Record]]:
            url = metadata.strong if self._consistency == "strong" else metadata.eventual
            reply = await self._post(metadata, url, "snapshot_read", body)
            output = understand(self._url, wire.decode_read_output, reply.body)
            lags = self._consistency == "strong" and not output.strong
            if output.disabled or output.status == wire.READ_DISABLED or lags:
                raise Again("the server does not serve reads now", renew=True)
            if (metadata.version >= 3 and output.status != wire.SUCCESS) or len(output.ranges) != len(ranges):
                raise KvStorageError(f"the server at {self._url} failed to read, and does not say why")
            self._check_records([record for records in output.ranges for record in records])
            return output.ranges

        return await self._repeat(attempt)

    async def write(self, commit: Commit) -> CommitResult:
        """See Backend. Raises KvStorageError that says so when a commit may or may not have been applied."""
        self._check_open()
        if commit.settlements and not self._offers("queue"):
            raise KvUsageError(_NO_QUEUE)
        return await asyncio.shield(self._begin_write(commit))

    async def watch(self, keys: Sequence[bytes]) -> AsyncIterator[list[Record | None]]:
        """See Backend."""
        self._check_open()
        shown: list[str | None] | None = None
        wait = _FIRST_WAIT
        while not self._closing.done():
            began = self._loop.time()
            try:
                async with aclosing(self._watch_once(keys)) as states:
                    async for records in states:
                        stamps = [None if record is None else record.versionstamp for record in records]
                        if stamps != shown:
                            shown = stamps
                            yield records
            except (Again, NotSent, Lost):
                pass  # it may be back when we come again
            if self._loop.time() - began > _LONGEST_WATCH_WAIT:
                wait = _FIRST_WAIT
            await _first_of(_jittered(wait), self._closing)
            wait = min(wait * 2, _LONGEST_WATCH_WAIT)

    async def dequeue(self, limit: int, lease: float) -> list[Message]:
        """See Backend; raises KvUsageError when the server does not hand out messages."""
        self._check_open()
        if not self._offers("queue"):
            raise KvUsageError(_NO_QUEUE)
        wish = wire.Dequeue(
            min(limit, limits.MAX_DEQUEUE_MESSAGES), max(1, min(int(lease * 1000), MAX_LEASE)), MAX_WAIT
        )
        unwanted: asyncio.Future[None] = self._loop.create_future()
        task = self._loop.create_task(self._dequeue(wire.encode_dequeue(wish), unwanted))
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            unwanted.set_result(None)
            task.add_done_callback(self._release)
            raise

    async def sweep(self) -> float:
        """See Backend; removing expired entries is the server's task."""
        self._check_open()
        return limits.MAX_SWEEP_SECONDS

    async def close(self) -> None:
        """See Backend."""
        if not self._closing.done():
            self._closing.set_result(None)
        if self._waits:
            await asyncio.wait(self._waits)
        while self._writes:
            await asyncio.wait(self._writes)
        await self._pool.close()

    def _offers(self, extension: str) -> bool:
        metadata = self._exchange.latest
        return metadata is not None and extension in metadata.extensions

    # Operations -------------------------------------------------------------------------------------------

    def _begin_write(self, commit: Commit) -> asyncio.Task[CommitResult]:
        task = self._loop.create_task(self._write(commit))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    async def _write(self, commit: Commit) -> CommitResult:
        body = wire.encode_write(commit)
        identity = secrets.token_hex(16)
        doubt = ""

        async def attempt(metadata: Metadata) -> CommitResult:
            nonlocal doubt
            once = "once" in metadata.extensions
            if doubt and not once:
                raise self._unsure(doubt)
            extra = ((wire.REQUEST_ID, identity),) if once else ()
            try:
                reply = await self._post(metadata, metadata.strong, "atomic_write", body, *extra)
            except Lost as exc:
                doubt = str(exc)
                raise
            except Again as exc:
                doubt = doubt if exc.renew else str(exc)
                raise
            try:
                output = wire.decode_write_output(reply.body)
            except wire.WireError as exc:
                raise self._unsure(f"its answer makes no sense: {exc}") from exc
            if output.status == wire.WRITE_DISABLED:
                raise Again("the server does not serve writes now", renew=True)
            if output.status not in (wire.SUCCESS, wire.CHECK_FAILURE):
                raise self._unsure("the server does not say what happened")
            result = output.result
            checks_failed = output.status == wire.CHECK_FAILURE and not commit.settlements
            if checks_failed and not result.failed_checks and len(commit.checks) == 1:
                return CommitResult(None, (0,))  # most servers do not say which
            return result

        try:
            return await self._repeat(attempt, even_closing=True)
        except KvStorageError as exc:
            if doubt:
                raise self._unsure(doubt) from exc
            raise

    def _unsure(self, reason: str) -> KvStorageError:
        return KvStorageError(
            f"a write to the store at {self._url} may or may not have been applied: {reason}; "
            "read before you write again"
        )

    async def _dequeue(self, body: bytes, unwanted: asyncio.Future[None]) -> list[Message]:
        """Ask for messages until there are some or nobody wants any; raises KvClosed when the store is closed."""
        messages: list[Message] = []
        while not messages and not unwanted.done():
            messages = await self._repeat(lambda metadata: self._dequeue_once(metadata, body, unwanted))
        if self._closing.done() and not unwanted.done():
            self._give_back(messages)
            raise KvClosed("the store was closed")
        return messages

    async def _dequeue_once(
        self, metadata: Metadata, body: bytes, unwanted: asyncio.Future[None]
    ) -> list[Message]:
        url = _below(metadata.strong, "dequeue")
        stream = await self._pool.open(url, metadata.headers, body, ANSWER_SECONDS)
        reading = asyncio.ensure_future(stream.whole())
        try:
            await _first_of(ANSWER_SECONDS + MAX_WAIT / 1000, reading, unwanted, self._closing)
            if not reading.done():
                told = stream.hurry()  # what the server has handed out by now still comes, and is given back
                await _first_of(MAX_WAIT / 1000, reading, self._closing)
                await _first_of(_HURRIED_SECONDS if told else 0, reading)
            if not reading.done():
                raise Lost("it did not answer in time")
            check_reply(self._url, Reply(stream.status, stream.headers, reading.result()))
            return understand(self._url, wire.decode_messages, reading.result())
        finally:
            stream.close()
            await asyncio.gather(reading, return_exceptions=True)

    def _release(self, task: asyncio.Task[list[Message]]) -> None:
        """Give back what came for somebody who did not wait."""
        if not task.cancelled() and task.exception() is None:
            self._give_back(task.result())

    def _give_back(self, messages: Sequence[Message]) -> None:
        if messages:
            settlements = [Settlement(message.lease, Fate.RELEASE, message.due) for message in messages]
            task = self._begin_write(Commit((), (), 0, (), settlements))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _watch_once(self, keys: Sequence[bytes]) -> AsyncGenerator[list[Record | None], None]:
        """Yield what one connection tells about keys, until it ends."""
        metadata = await self._exchange.current()
        if metadata.version < 3:
            raise KvUsageError(f"the store at {self._url} speaks version 2 of KV Connect, which has no watch")
        url = metadata.strong if self._consistency == "strong" else metadata.eventual
        stream = await self._pool.open(
            _below(url, "watch"), metadata.headers, wire.encode_watch(keys), ANSWER_SECONDS
        )
        known: list[Record | None] = [None] * len(keys)
        buffer = bytearray()
        try:
            if stream.status != 200:
                check_reply(self._url, Reply(stream.status, stream.headers, await stream.whole()))
            pieces = stream.pieces()
            while (piece := await self._next_piece(pieces)) is not None:
                buffer += piece
                frames = [
                    frame for frame in understand(self._url, wire.take_frames, buffer, _MAX_FRAME) if frame
                ]
                for frame in frames:
                    known = self._apply(known, understand(self._url, wire.decode_watch_output, frame))
                if frames:
                    yield known  # of several states at once the newest
        except Again as exc:
            if exc.renew:
                self._exchange.expire(metadata)
            raise
        finally:
            stream.close()

    async def _next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """Return the next piece, None at the end or when the store is closed; raises Lost after long silence."""
        coming = asyncio.ensure_future(_next(pieces))
        try:
            await _first_of(SILENCE_SECONDS, coming, self._closing)
            if self._closing.done():
                return None
            if coming.done():
                return coming.result()
            raise Lost("it gives no sign of life")
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming

    def _apply(self, known: list[Record | None], output: wire.WatchOutput) -> list[Record | None]:
        if output.status == wire.READ_DISABLED:
            raise Again("the server does not serve reads now", renew=True)
        if output.status != wire.SUCCESS or len(output.changes) != len(known):
            raise KvStorageError(f"the server at {self._url} failed to watch, and does not say why")
        self._check_records([record for _, record in output.changes if record is not None])
        return [record if changed else known[i] for i, (changed, record) in enumerate(output.changes)]

    async def _post(
        self, metadata: Metadata, url: Url, name: str, body: bytes, *extra: tuple[str, str]
    ) -> Reply:
        headers = (*metadata.headers, *extra)
        reply = await self._pool.post(_below(url, name), headers, body, ANSWER_SECONDS)
        check_reply(self._url, reply)
        return reply

    def _check_records(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.encoding not in _ENCODINGS:
                raise KvStorageError(
                    f"the server at {self._url} sent a value in an encoding that is not known"
                )

    async def _repeat(self, attempt: Callable[[Metadata], Awaitable[T]], *, even_closing: bool = False) -> T:
        """Run `attempt` until it succeeds, its error is final, or it has been tried for long enough."""
        if not even_closing:
            self._check_open()
        end = self._loop.time() + RETRY_SECONDS
        wait = _FIRST_WAIT
        renewed = False
        while True:
            metadata = self._exchange.latest
            try:
                metadata = await self._exchange.current()
                return await attempt(metadata)
            except (NotSent, Lost, Again) as exc:
                if self._closing.done() and not even_closing:
                    raise KvClosed("the store was closed") from None
                if isinstance(exc, Again) and exc.renew and not renewed:
                    renewed = True
                    if metadata is not None:
                        self._exchange.expire(metadata)
                    continue
                if self._loop.time() + wait > end:
                    raise KvStorageError(f"the store at {self._url} does not answer: {exc}") from exc
            await asyncio.sleep(_jittered(wait))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _check_open(self) -> None:
        if self._closing.done():
            raise KvClosed("the store was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise KvUsageError("a store is used from the event loop that opened it; open another one here")


_NO_QUEUE: Final = (
    "this server stores messages for a queue but does not hand them out; listen on the server's own side, "
    "or serve the store with `echelon kv serve`"
)


async def _first_of(seconds: float, *futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1, 1.5)  # noqa: S311 - spreads clients, keeps no secret


def _below(url: Url, name: str) -> Url:
    return url._replace(path=f"{url.path.rstrip('/')}/{name}")


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)
