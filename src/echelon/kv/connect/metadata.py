"""The metadata of a store on a server: where its data is, and the token for it, exchanged for the access token."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from echelon.errors import KvStorageError
from echelon.kv.connect.pool import Lost, NotSent, Pool, Reply, Url
from echelon.kv.connect.replies import Again, text_of, understand
from echelon.kv.connect.wire import EXTENSIONS

ANSWER_SECONDS: Final = 30.0
"""How long an answer may take."""

MAX_REDIRECTS: Final = 5
_BODY: Final = b'{"supportedVersions":[2,3]}'
_RENEW_BEFORE: Final = 30.0
_SHORTEST_LIFE: Final = 60.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class _Endpoint(msgspec.Struct):
    url: str
    consistency: str


class _Document(msgspec.Struct, rename="camel"):
    """What an exchange is answered with."""

    version: int
    database_id: str
    endpoints: list[_Endpoint]
    token: str
    expires_at: datetime


class Metadata(NamedTuple):
    """How the data is reached. `headers` go with every request; `renew_at` is a time of the event loop."""

    headers: tuple[tuple[str, str], ...]
    version: int
    strong: Url
    eventual: Url
    renew_at: float
    extensions: frozenset[str]


class Exchange:
    """Keeps the metadata of one store current; one exchange serves all who wait for it."""

    def __init__(self, url: Url, token: str, pool: Pool) -> None:
        self.latest: Metadata | None = None
        self._url = url
        self._token = token
        self._pool = pool
        self._renewing = asyncio.Lock()

    async def current(self) -> Metadata:
        """Return metadata that are good; raises KvStorageError, or Again where that may help."""
        metadata = self.latest
        if metadata is None or asyncio.get_running_loop().time() >= metadata.renew_at:
            metadata = await self._renew(metadata)
        return metadata

    def expire(self, metadata: Metadata) -> None:
        """Let these be renewed before the next use, if nobody has renewed them yet."""
        if self.latest is metadata:
            self.latest = metadata._replace(renew_at=0.0)

    async def _renew(self, old: Metadata | None) -> Metadata:
        async with self._renewing:
            if self.latest is None or self.latest is old:
                self.latest = await self._ask()
            return self.latest

    async def _ask(self) -> Metadata:
        url = self._url
        headers = (
            ("authorization", f"Bearer {self._token}"),
            ("content-type", "application/json"),
            ("user-agent", "echelon"),
        )
        for _ in range(MAX_REDIRECTS + 1):
            try:
                reply = await self._pool.post(url, headers, _BODY, ANSWER_SECONDS)
            except (NotSent, Lost) as exc:
                raise Again(str(exc)) from exc
            if reply.status not in _REDIRECTS:
                return _read(url, reply)
            target = understand(url, url.join, reply.headers.get("location", ""))
            if target.host != url.host or _loses_tls(url, target):
                raise KvStorageError(f"the store at {url} redirects to {target}: open that if you trust it")
            url = target
        raise KvStorageError(f"the store at {self._url} redirects more than {MAX_REDIRECTS} times")


def _read(url: Url, reply: Reply) -> Metadata:
    """Return the metadata in a reply; endpoints are relative to `url`."""
    if reply.status == 401:
        raise KvStorageError(f"the store at {url} refuses the token; check token=... ({text_of(reply)})")
    if reply.status >= 500:
        raise Again(f"the server answers {reply.status}: {text_of(reply)}")
    if reply.status != 200:
        reason = f"it answers {reply.status}: {text_of(reply)}"
        raise KvStorageError(f"there is no store that speaks KV Connect at {url}: {reason}")
    try:
        document = msgspec.json.decode(reply.body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise KvStorageError(f"there is no store that speaks KV Connect at {url}: {exc}") from exc
    if document.version not in (2, 3):
        raise KvStorageError(
            f"the store at {url} speaks version {document.version} of KV Connect; 2 and 3 are known here"
        )
    strong, eventual = _endpoints(url, document.endpoints)
    extensions = frozenset(reply.headers.get(EXTENSIONS, "").split(","))
    headers = [
        ("authorization", f"Bearer {document.token}"),
        ("content-type", "application/x-protobuf"),
        ("x-denokv-version", str(document.version)),
        ("x-denokv-database-id", document.database_id),
        ("user-agent", "echelon"),
    ]
    if not document.token or not all(value.isascii() and value.isprintable() for _, value in headers):
        raise KvStorageError(f"the store at {url} gives a token or id that cannot be sent")
    if "native" in extensions:
        headers.append((EXTENSIONS, "native"))
    life = max(document.expires_at.timestamp() - time.time() - _RENEW_BEFORE, _SHORTEST_LIFE)
    renew_at = asyncio.get_running_loop().time() + life
    return Metadata(tuple(headers), document.version, strong, eventual, renew_at, extensions)


def _endpoints(url: Url, endpoints: list[_Endpoint]) -> tuple[Url, Url]:
    """Return where strong and where eventual reads go."""
    found: dict[str, Url] = {}
    for endpoint in endpoints:
        target = understand(url, url.join, endpoint.url)
        if _loses_tls(url, target):
            raise KvStorageError(f"the store at {url} has an endpoint without TLS: {target}")
        found.setdefault(endpoint.consistency, target)
    strong = found.get("strong")
    if strong is None:
        raise KvStorageError(f"the store at {url} has no endpoint that can be written to")
    return strong, found.get("eventual", strong)


def _loses_tls(url: Url, target: Url) -> bool:
    return (url.scheme, target.scheme) == ("https", "http")
