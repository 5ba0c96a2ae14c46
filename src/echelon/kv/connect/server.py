"""KV Connect, the server's side: requests in, answers out, whatever HTTP server carries them.

`Service.admit()` looks at the head of a request, before its body is read, and returns what answers it; a request
that may not come in raises Refused. Values that only Python reads are converted on the way out, so that Deno and
Node read everything.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from echelon.errors import KvClosed, KvError, KvStorageError, KvUsageError
from echelon.kv.backend import (
    Action,
    Backend,
    Check,
    Commit,
    CommitResult,
    Fate,
    KeyRange,
    Message,
    Mutation,
    Record,
    Settlement,
)
from echelon.kv.codec import Encoding
from echelon.kv.connect import wire
from echelon.kv.connect.access import TOLD_SECONDS, Access
from echelon.kv.connect.checks import MARK, check_commit, check_dequeue, check_ranges, check_watch
from echelon.kv.connect.values import readable, readable_record
from echelon.kv.connect.wire import ERROR, EXTENSIONS, PING_SECONDS, REQUEST_ID

MAX_BODY: Final = 1 << 20
"""The largest body of a request: the largest commit and what goes around its parts."""

ONCE_SECONDS: Final = 120
"""How long a commit is remembered, so that asking for it again does not apply it again."""

TEXT: Final = "text/plain; charset=utf-8"
PROTOBUF: Final = "application/x-protobuf"
FRAMES: Final = "application/octet-stream"
JSON: Final = "application/json"

_DATA: Final = "/v2/"
_VERSIONS: Final = (3, 2, 1)
_REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}")
_COMMON: Final = frozenset({Encoding.V8, Encoding.U64, Encoding.BYTES})
_NATIVE: Final = _COMMON | {Encoding.MSGPACK}

_log = logging.getLogger("echelon.kv")


class Head(NamedTuple):
    """What is known of a request before its body. `path` is below the place where the store is served.

    `url_path` is the whole path as the client wrote it, `origin` scheme and host as the client knows them.
    """

    method: str
    path: str
    header: Callable[[str], str | None]
    url_path: str
    origin: str


class Answer(NamedTuple):
    """What is sent back; a body that is not bytes is sent piece by piece until it ends.

    A body that has a `hurry` ends soon after that was called.
    """

    status: int
    media_type: str
    body: bytes | AsyncGenerator[bytes, None]
    headers: tuple[tuple[str, str], ...] = ()
    hurry: Callable[[], None] | None = None


class Refused(Exception):
    """A request that is answered without looking at its body."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.answer = Answer(status, TEXT, text.encode(), headers)


Operation = Callable[[bytes], Awaitable[Answer]]


class _Exchange(msgspec.Struct):
    """The body of a metadata exchange; without one a client speaks version 1 only."""

    versions: list[int] = msgspec.field(name="supportedVersions", default_factory=lambda: [1])


class Service:
    """Answers the requests of KV Connect for one store. `backend` is asked for at each request."""

    def __init__(self, backend: Callable[[], Backend], access: Access, *, extensions: bool = True) -> None:
        """Serve what `backend` returns; without `extensions` nothing but the protocol itself."""
        self._backend = backend
        self._access = access
        self._extensions = extensions
        self._stopped: asyncio.Future[None] | None = None
        self._data = {"snapshot_read": self._read, "atomic_write": self._write, "watch": self._watch}
        if extensions:
            self._data["dequeue"] = self._dequeue

    def stop(self) -> None:
        """End every watch, and every wait for messages."""
        _finish(self._stop)

    @property
    def _stop(self) -> asyncio.Future[None]:
        if self._stopped is None:  # there is an event loop only now
            self._stopped = asyncio.get_running_loop().create_future()
        return self._stopped

    def admit(self, head: Head) -> Operation:
        """Return what answers a request; raises Refused."""
        operation = None
        if head.path not in ("", "/"):
            name = head.path.removeprefix(_DATA)
            operation = self._data.get(name) if head.path.startswith(_DATA) else None
            if operation is None:
                raise Refused(404, "There is nothing here. KV Connect is spoken one level up.")
        if head.method != "POST":
            raise Refused(405, "KV Connect is spoken by POST.", ("allow", "POST"))
        authorization = head.header("authorization")
        if operation is None:
            if not self._access.check_access(authorization):
                raise Refused(401, "The access token is missing or wrong.", _CHALLENGE)
            return partial(self._guard, partial(self._exchange, head))
        if not self._access.check_data(authorization):
            raise Refused(401, "The token is missing, wrong or too old: exchange metadata first.", _CHALLENGE)
        self._check_version(head)
        used = (head.header(EXTENSIONS) or "").split(",") if self._extensions else ()
        accepted = _NATIVE if "native" in used and self._is_native() else _COMMON
        return partial(self._guard, partial(operation, head, accepted))

    def _check_version(self, head: Head) -> None:
        version = head.header("x-denokv-version")
        database = head.header("x-denokv-database-id")
        if version is None and database is None:
            version, database = "1", head.header("x-transaction-domain-id")
        if version not in ("1", "2", "3"):
            raise Refused(400, "The version of the protocol is not 2 or 3.")
        if (database or "").lower() != self._access.database:
            raise Refused(400, "The id of the database is missing or another one's.")

    async def _guard(self, operation: Operation, body: bytes) -> Answer:
        """Run an operation; what it raises becomes an answer that says no more than the client may know."""
        try:
            return await operation(body)
        except wire.WireError as exc:
            return Refused(400, f"The request is malformed: {exc}.").answer
        except KvClosed:
            return Refused(503, "The store is closed.").answer
        except KvStorageError as exc:
            _log.error("KV Connect: %s", exc)
            return Refused(500, "The store failed; the server's log says why.").answer
        except KvError as exc:
            return Refused(400, str(exc), (ERROR, type(exc).__name__)).answer
        except Exception:
            _log.exception("KV Connect: a request failed")
            return Refused(500, "The server failed; its log says why.").answer

    def _is_native(self) -> bool:
        return self._backend().values == "native"

    # The operations ---------------------------------------------------------------------------------------

    async def _exchange(self, head: Head, body: bytes) -> Answer:
        try:
            wanted = msgspec.json.decode(body, type=_Exchange) if body.strip() else _Exchange()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            return Refused(400, f"The body is not a metadata exchange: {exc}.").answer
        version = next((each for each in _VERSIONS if each in wanted.versions), None)
        if version is None:
            return Refused(400, "This server speaks the versions 1, 2 and 3 of KV Connect.").answer
        last = head.url_path.rpartition("/")[2]
        path = f"./{last}/v2" if last else "./v2"
        if version == 1:
            path = f"{head.origin}{head.url_path.rstrip('/')}/v2"
        until = datetime.fromtimestamp(int(time.time()) + TOLD_SECONDS, UTC)
        document = {
            "version": version,
            "databaseId": self._access.database,
            "endpoints": [{"url": path, "consistency": "strong"}],
            "token": self._access.make_token(),
            "expiresAt": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        headers: tuple[tuple[str, str], ...] = ()
        if self._extensions:
            headers = ((EXTENSIONS, "once,queue,native" if self._is_native() else "once,queue"),)
        return Answer(200, JSON, msgspec.json.encode(document), headers)

    async def _read(self, head: Head, accepted: frozenset[int], body: bytes) -> Answer:
        ranges = wire.decode_read(body)
        check_ranges(ranges)
        found = await self._backend().read(ranges)
        if accepted is not _NATIVE:
            found = [[readable_record(record) for record in records] for records in found]
        return Answer(200, PROTOBUF, wire.encode_read_output(found))

    async def _write(self, head: Head, accepted: frozenset[int], body: bytes) -> Answer:
        commit = check_commit(wire.decode_write(body), accepted)
        identity = head.header(REQUEST_ID) if self._extensions else None
        if identity is None:
            result = await self._backend().write(commit)
        elif _REQUEST_ID.fullmatch(identity):
            result = await self._write_once(commit, MARK + bytes.fromhex(identity))
        else:
            return Refused(400, f"The header {REQUEST_ID} is not 32 hexadecimal digits.").answer
        return Answer(200, PROTOBUF, wire.encode_write_output(result))

    async def _write_once(self, commit: Commit, mark: bytes) -> CommitResult:
        """Apply a commit together with a mark that it leaves; where the mark is already, it was applied before."""
        expires = int(time.time() + ONCE_SECONDS) * 1000
        leave = Mutation(Action.SET, mark, b"", Encoding.BYTES, expires)
        marked = commit._replace(
            checks=[*commit.checks, Check(mark, None)], mutations=[*commit.mutations, leave]
        )
        backend = self._backend()
        result = await backend.write(marked)
        if len(commit.checks) not in result.failed_checks:
            return result
        (records,) = await backend.read([KeyRange(mark)])
        if not records:
            raise KvUsageError("this commit was applied, and it is forgotten by now what came of it")
        return CommitResult(records[0].versionstamp)

    async def _watch(self, head: Head, accepted: frozenset[int], body: bytes) -> Answer:
        keys = wire.decode_watch(body)
        check_watch(keys)
        return Answer(
            200, FRAMES, _watch_frames(self._backend().watch(keys), accepted is _NATIVE, self._stop)
        )

    async def _dequeue(self, head: Head, accepted: frozenset[int], body: bytes) -> Answer:
        wish = wire.decode_dequeue(body)
        check_dequeue(wish)
        hurried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        messages = _messages(self._backend(), wish, accepted is _NATIVE, (hurried, self._stop))
        return Answer(200, PROTOBUF, messages, hurry=partial(_finish, hurried))


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_CHALLENGE: Final = ("www-authenticate", "Bearer")


def _convert_message(message: Message) -> Message:
    payload, encoding = readable(message.payload, message.encoding)
    return message._replace(payload=payload, encoding=encoding)


async def _watch_frames(
    states: AsyncIterator[list[Record | None]], native: bool, stop: asyncio.Future[None]
) -> AsyncGenerator[bytes, None]:
    """Yield what a watch sends: the whole state each time it changed, and a sign of life where it did not."""
    known: list[Record | None] | None = None
    waiting: asyncio.Future[list[Record | None] | None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(states))
            both: set[asyncio.Future[Any]] = {waiting, stop}
            await asyncio.wait(both, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return
            if not waiting.done():
                yield wire.frame(b"")
                continue
            records, waiting = waiting.result(), None
            if records is None:
                return
            if native:
                changed = [known is None or known[index] != record for index, record in enumerate(records)]
                yield wire.frame(wire.encode_watch_output(zip(changed, records, strict=True)))
            else:
                # Deno 2.9 forgets the entry of a key that is said to be unchanged, so none ever is.
                changes = ((True, record and readable_record(record)) for record in records)
                yield wire.frame(wire.encode_watch_output(changes))
            known = records
    except KvClosed:
        return
    except KvError as exc:
        _log.error("KV Connect: a watch ended: %s", exc)  # the client connects again, and sees what is wrong
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        close = getattr(states, "aclose", None)
        if close is not None:
            await close()


async def _next(states: AsyncIterator[list[Record | None]]) -> list[Record | None] | None:
    return await anext(states, None)


async def _messages(
    backend: Backend, wish: wire.Dequeue, native: bool, ends: Sequence[asyncio.Future[None]]
) -> AsyncGenerator[bytes, None]:
    """Yield the messages that become due in time; those that nobody takes any more are released."""
    waiting = asyncio.ensure_future(backend.dequeue(wish.limit, wish.lease / 1000))
    delivered = False
    try:
        both: set[asyncio.Future[Any]] = {waiting, *ends}
        await asyncio.wait(both, timeout=wish.wait / 1000, return_when=asyncio.FIRST_COMPLETED)
        messages = await _settled(waiting)
        yield wire.encode_messages(messages if native else map(_convert_message, messages))
        delivered = True
    except KvClosed:
        delivered = True  # there was nothing
    except KvError as exc:
        _log.error("KV Connect: no messages can be handed out: %s", exc)
    finally:
        if not delivered:
            with suppress(KvError):  # what is left is due again anyway, when its lease ends
                released = [
                    Settlement(message.lease, Fate.RELEASE, message.due)
                    for message in await _settled(waiting)
                ]
                if released:
                    await backend.write(Commit((), (), 0, (), released))


async def _settled(waiting: asyncio.Future[list[Message]]) -> list[Message]:
    """Return what a wait for messages has given, or gives when it is cancelled."""
    waiting.cancel()
    try:
        return await waiting
    except asyncio.CancelledError:
        return []
