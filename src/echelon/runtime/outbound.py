"""HTTP requests that the host makes for its guests: to granted hosts, at addresses that were checked.

A name is resolved here, every address it has is checked, and the connection goes to one that passed; TLS still
verifies the name. Each redirect is a new request with all of its checks. Every request has a connection of its own, so
that none is used under the permissions of another, and nothing is taken from the environment: no proxy, no netrc.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from echelon.errors import GuestError, MissingExtra
from echelon.runtime.addresses import Resolve, SystemResolver, is_public
from echelon.runtime.credentials import Credentials
from echelon.runtime.limits import MIB
from echelon.runtime.permission_rules import SCHEMES, join_host, normal_host, parse_address

if TYPE_CHECKING:
    from echelon.runtime.permissions import Permissions

MAX_REDIRECTS: Final = 5
MAX_URL: Final = 8192
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 << 10
"""Of all names and values of a request; a response may have about 100 KiB, the limit of the parser."""

MAX_REQUEST: Final = 16 * MIB
MAX_RESPONSE: Final = 16 * MIB
_CONNECT_SECONDS: Final = 5.0
"""How long one address is tried while there are others."""

_PORTS: Final = {"https": 443, "http": 80}
_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_NO_METHODS: Final = frozenset({"CONNECT", "TRACE"})
_OURS: Final = frozenset(
    {
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
        "expect", "proxy-authorization", "proxy-connection", "http2-settings",
    }
)  # fmt: skip
"""Headers that decide where a request goes, or where it ends."""
_SENSITIVE: Final = frozenset({"authorization", "cookie"})
_BODY: Final = frozenset({"content-type", "content-encoding", "content-language", "content-location"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = "/%:@!$&'()*+,;=~?-._"


class OutboundFailure(Exception):
    """A request got no answer, for a reason that the guest may know and handle."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes; `host` is in the normal form of permissions, `path` has the query with it."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read an absolute URL; raises ValueError that says what is wrong with it."""
        if len(url) > MAX_URL:
            raise ValueError(f"the URL has {len(url)} characters, at most {MAX_URL} are accepted")
        if "\\" in url or not url.replace(" ", "").isprintable():
            raise ValueError("the URL has a backslash or a control character")
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f'the URL begins with "{parts.scheme}:"; http and https are known')
        if "@" in parts.netloc:
            raise ValueError("the URL carries a user name or password; send an authorization header instead")
        if not parts.hostname or "%" in parts.hostname:
            raise ValueError("the URL names no host")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        if port == 0:
            raise ValueError("the URL has port 0")
        path = quote(parts.path or "/", safe=_SAFE) + (
            f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        )
        return cls(parts.scheme, normal_host(parts.hostname), port, path)

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the usual one; what the header `host` says."""
        if self.port == _PORTS[self.scheme]:
            return f"[{self.host}]" if ":" in self.host else self.host
        return join_host(self.host, self.port)

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """What a guest asks for; header names are in lower case."""

    method: str
    target: Target
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    follow: bool = True

    @classmethod
    def checked(
        cls, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, follow: bool = True
    ) -> OutboundRequest:
        """Build a request out of what a guest sent; raises GuestError."""
        if not _METHOD.fullmatch(method) or method.upper() in _NO_METHODS:
            raise GuestError(
                f"the guest sends a request with the method {method[:40]!r}, which is not possible"
            )
        try:
            target = Target.parse(url)
        except ValueError as exc:
            raise GuestError(f"the guest sends a request to {url[:200]!r}: {exc}") from None
        if len(headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in headers) > MAX_HEADER_BYTES:
            limits = f"{MAX_HEADERS} headers of together {MAX_HEADER_BYTES} bytes"
            raise GuestError(f"the guest sends a request with too many headers; at most {limits} are sent")
        for name, value in headers:
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise GuestError(
                    f"the guest sends the header {name[:40]!r}, whose name or value is not allowed in HTTP"
                )
            if name.lower() in _OURS:
                raise GuestError(f"the guest sends the header {name!r}, which only its host may set")
        if len(body) > MAX_REQUEST:
            raise GuestError(
                f"the guest sends a request of {len(body)} bytes, at most {MAX_REQUEST} are sent"
            )
        lower = tuple((name.lower(), value) for name, value in headers)
        return cls(method.upper(), target, lower, body, follow)

    def redirected(self, status: int, location: str) -> OutboundRequest:
        """Return the request that a redirect asks for (RFC 9110, 15.4); raises OutboundFailure."""
        try:
            target = Target.parse(urljoin(str(self.target), location))
        except ValueError as exc:
            raise OutboundFailure(f"{self.target.authority} redirects to a bad address: {exc}") from None
        dropped: frozenset[str] = frozenset() if target.origin == self.target.origin else _SENSITIVE
        method, body = self.method, self.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body, dropped = "GET", b"", dropped | _BODY
        headers = tuple((name, value) for name, value in self.headers if name not in dropped)
        return replace(self, method=method, target=target, headers=headers, body=body)


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """What came back; the body is as it was sent, whatever its content-encoding."""

    status: int
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Outbound:
    """Makes requests under permissions. `resolve` and `tls` are what names and certificates are checked with."""

    resolve: Resolve = field(default_factory=SystemResolver)
    credentials: Credentials = field(default_factory=Credentials)
    tls: ssl.SSLContext | None = None

    async def fetch(
        self, permissions: Permissions, request: OutboundRequest, most: int = MAX_RESPONSE
    ) -> OutboundResponse:
        """Make a request and follow its redirects; at most `most` bytes come back.

        Raises PermissionDenied for a host or address that is not granted, OutboundFailure when there is no answer.
        """
        for _ in range(MAX_REDIRECTS + 1):
            target = request.target
            permissions.require_net(target.host, target.port, target.scheme)
            addresses = await self._addresses(permissions, target)
            response = await self._send(request, addresses, most)
            location = next((value for name, value in response.headers if name == "location"), None)
            if not request.follow or response.status not in _REDIRECTS or location is None:
                return response
            request = request.redirected(response.status, location)
        raise OutboundFailure(f"{request.target.authority} redirects more than {MAX_REDIRECTS} times")

    async def _addresses(self, permissions: Permissions, target: Target) -> list[str]:
        """Return the addresses of a host that may be connected to."""
        host, port, scheme = target.host, target.port, target.scheme
        if parse_address(host) is not None:
            found: Sequence[str] = [host]
        else:
            try:
                found = await self.resolve(host, port)
            except (OSError, UnicodeError) as exc:
                raise OutboundFailure(
                    f"{host} has no address: {getattr(exc, 'strerror', None) or exc}"
                ) from None
        # Whatever else a resolver says, such as an address with an interface, is nothing to connect to.
        known = [normal_host(text) for text in found if parse_address(text) is not None and "%" not in text]
        if not known:
            raise OutboundFailure(f"{host} has no address")
        public = {text: is_public(text) for text in known}
        usable = [t for t in known if permissions.check_address(t, port, scheme, public=public[t])]
        if not usable:
            usable = known[:1]
        for (
            text
        ) in usable:  # asks, tells who watches, raises; an address of the internet is no use of its own
            if not public[text] or not permissions.check_address(text, port, scheme, public=True):
                permissions.require_address(host, text, port, scheme, public=public[text])
        return usable

    async def _send(self, request: OutboundRequest, addresses: Sequence[str], most: int) -> OutboundResponse:
        """Make one request, without redirects, over a connection of its own."""
        httpcore, target = load_client(), request.target
        added = await self.credentials.headers(*target.origin)
        headers = [(name, value) for name, value in request.headers if name not in added]
        names = {name for name, _ in headers}
        defaults = {"user-agent": "echelon", "accept": "*/*", "accept-encoding": "identity"}
        headers = [
            ("host", target.authority),
            *((name, value) for name, value in defaults.items() if name not in names),
            *headers,
            *added.items(),
            ("connection", "close"),
        ]
        body = request.body if request.body or request.method in ("POST", "PUT", "PATCH") else None
        url = httpcore.URL(
            scheme=target.scheme, host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._context() if target.scheme == "https" else None,
            network_backend=_backend(httpcore, addresses),
            max_connections=1,
            max_keepalive_connections=0,
        )
        try:
            async with pool, pool.stream(request.method, url, headers=_raw(headers), content=body) as answer:
                return await _read(target, answer, most)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as exc:
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            raise OutboundFailure(f"the request to {target.authority} failed: {reason}") from exc

    def _context(self) -> ssl.SSLContext:
        if self.tls is None:
            self.tls = ssl.create_default_context()
            paths = ssl.get_default_verify_paths()
            if not paths.cafile and not paths.capath:  # a system without certificates of its own
                import certifi

                self.tls.load_verify_locations(certifi.where())
        return self.tls

    def close(self) -> None:
        """Give back what the resolver holds."""
        close = getattr(self.resolve, "close", None)
        if close is not None:
            close()


def load_client() -> Any:
    """Return httpcore; raises MissingExtra."""
    try:
        import anyio  # noqa: F401 - httpcore needs it for asyncio and says so only when it connects
        import httpcore
    except ImportError as exc:
        raise MissingExtra("httpcore", "net") from exc
    return httpcore


def _backend(httpcore: Any, addresses: Sequence[str]) -> Any:
    """Return what connects to these addresses, whatever host it is asked for."""
    plain = httpcore.AnyIOBackend()

    class Pinned(httpcore.AsyncNetworkBackend):  # type: ignore[misc]  # httpcore is loaded late
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
            **options: Any,
        ) -> Any:
            for address in addresses[:-1]:
                try:
                    return await plain.connect_tcp(address, port, timeout=_CONNECT_SECONDS, **options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue
            return await plain.connect_tcp(addresses[-1], port, timeout=timeout, **options)

        async def sleep(self, seconds: float) -> None:
            await plain.sleep(seconds)

    return Pinned()


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


async def _read(target: Target, answer: Any, most: int) -> OutboundResponse:
    """Read a response whole; raises OutboundFailure when it is too large."""
    if len(answer.headers) > MAX_HEADERS:
        raise OutboundFailure(f"{target.authority} answers with more than {MAX_HEADERS} headers")
    headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers
    )
    body = bytearray()
    async for chunk in answer.aiter_stream():
        body += chunk
        if len(body) > most:
            raise OutboundFailure(f"{target.authority} answers with more than {most} bytes")
    return OutboundResponse(answer.status, str(target), headers, bytes(body))
