"""The request: a lazy view over what an adapter received. Nothing is parsed before it is asked for."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from urllib.parse import quote

import msgspec

from echelon.errors import BadInput, ConfigError, HTTPError
from echelon.http.cookies import parse_cookies
from echelon.http.forms import FormData, FormLimits, parse_form, parse_pairs
from echelon.http.headers import Headers, MultiDict

if TYPE_CHECKING:
    from echelon.http.response import Response
    from echelon.routing import Route

T = TypeVar("T")

NO_QUERY: MultiDict[str] = MultiDict()
PATH_SAFE = "/-._~!$&'()*+,;=:@"
"""What may stay unencoded in a path (RFC 3986, 3.3)."""
_CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252", "utf-16"})
"""Names as `codecs` gives them. Others are refused: some codecs take quadratic time."""


class Source(Protocol):
    """Where a request comes from; one implementation for each protocol."""

    @property
    def http_version(self) -> str: ...
    @property
    def query_string(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def raw_path(self) -> str | None: ...  # as it was sent, where the protocol tells
    def headers(self) -> list[tuple[str, str]]: ...
    def peer(self) -> tuple[str, int] | None: ...
    def chunks(self, limit: int) -> AsyncIterator[bytes]: ...
    async def read(self, limit: int) -> bytes: ...
    async def disconnected(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What every request of one application shares; sizes in bytes."""

    max_body: int = 16 << 20
    max_query_fields: int = 1000
    form: FormLimits = field(default_factory=FormLimits)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def trusting(cls, proxies: tuple[str, ...] | list[str], **values: Any) -> RequestOptions:
        """Build options from the addresses or networks of the proxies whose X-Forwarded-* headers count."""
        try:
            networks = tuple(ip_network(proxy) for proxy in proxies)
        except ValueError as exc:
            raise ConfigError(
                f'trusted_proxies: {exc}; write addresses or networks such as "10.0.0.0/8"',
                key="server.trusted_proxies",
            ) from exc
        return cls(trusted_proxies=networks, **values)


class Request:
    """One HTTP request.

    `path` is decoded once and complete; below a mount `root_path` is the prefix and `subpath` the rest.
    """

    # Defaults live on the class and not in __init__: a request that needs none of them pays for none of them.
    app: Any = None
    route: Route | None = None
    root_path: str = ""
    path_params: Mapping[str, Any] = MappingProxyType({})
    options: RequestOptions = RequestOptions()
    max_body: int | None = None
    _headers: Headers | None = None
    _query: MultiDict[str] | None = None
    _cookies: dict[str, str] | None = None
    _body: bytes | None = None
    _form: FormData | None = None
    _state: SimpleNamespace | None = None
    _streamed: bool = False
    _on_error: tuple[tuple[dict[str, str], str], ...] = ()

    def __init__(self, method: str, path: str, source: Source) -> None:
        self.method = method
        self.path = path
        self.source = source

    @property
    def headers(self) -> Headers:
        """The headers; raises HTTPError 400 when one holds bytes that are not text."""
        if self._headers is None:
            self._headers = Headers.adopt(self.source.headers())
        return self._headers

    @property
    def query_string(self) -> str:
        """The query as it was sent, without the question mark."""
        return self.source.query_string

    @property
    def query(self) -> MultiDict[str]:
        """The decoded query; raises BadInput when it is not UTF-8 or has too many fields."""
        if self._query is None:
            text = self.source.query_string
            if not text:
                return NO_QUERY
            self._query = MultiDict(parse_pairs(text, self.options.max_query_fields, "query string"))
        return self._query

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        if self._cookies is None:
            self._cookies = parse_cookies("; ".join(self.headers.get_all("cookie")))
        return self._cookies

    @property
    def state(self) -> SimpleNamespace:
        """A place where middleware leaves things for handlers."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    @property
    def raw_path(self) -> str:
        """The path as it was sent where the server tells (ASGI), else the decoded path encoded again."""
        return self.source.raw_path or quote(self.path, safe=PATH_SAFE)

    @property
    def subpath(self) -> str:
        """The path below `root_path`; starts with a slash. A path that is not below it comes as it is."""
        root, path = self.root_path, self.path
        if not path.startswith(root) or path[len(root) : len(root) + 1] not in ("", "/"):
            return path
        return path[len(root) :] or "/"

    @property
    def http_version(self) -> str:
        """ "1.0", "1.1" or "2"."""
        return self.source.http_version

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the client; behind a trusted proxy the address that it reports, port 0."""
        peer = self.source.peer()
        if peer is None or not self._trusts(peer[0]):
            return peer
        for address in reversed(_list_of(self.headers.get_all("x-forwarded-for"))):
            peer = (address, 0)
            if not self._trusts(address):
                break
        return peer

    @property
    def scheme(self) -> str:
        """ "http" or "https"; behind a trusted proxy what it reports."""
        if self.options.trusted_proxies:
            peer = self.source.peer()
            if peer is not None and self._trusts(peer[0]):
                reported = _list_of(self.headers.get_all("x-forwarded-proto"))
                if reported and reported[-1].lower() in ("http", "https"):
                    return reported[-1].lower()
        return self.source.scheme

    @property
    def host(self) -> str:
        """Host and port as the client sent them: a claim, never a proof."""
        return self.headers.get("host", "")

    @property
    def url(self) -> str:
        """The whole URL, built from what the client claims."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{self.raw_path}{query}"

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def body_limit(self) -> int:
        """How many bytes the body may have."""
        return self.options.max_body if self.max_body is None else self.max_body

    async def body(self) -> bytes:
        """Read the whole body once; raises HTTPError 413 when it is too large, ClientDisconnected."""
        if self._body is None:
            self._claim_stream()
            self._body = await self.source.read(self.body_limit)
        return self._body

    async def text(self) -> str:
        """Decode the body with the charset that Content-Type names, else UTF-8."""
        charset = _charset(self.headers.get("content-type", ""))
        try:
            return (await self.body()).decode(charset)
        except UnicodeDecodeError as exc:
            raise BadInput(f"the body is not {charset}", status=400) from exc

    @overload
    async def json(self) -> Any: ...
    @overload
    async def json(self, type: type[T]) -> T: ...
    async def json(self, type: Any = Any) -> Any:
        """Decode the body as JSON into `type`; raises BadInput: 400 for bad syntax, 422 for a wrong shape."""
        return decode_json(await self.body(), msgspec.json.Decoder(type))

    async def form(self) -> FormData:
        """Read the body as a form; its files are dropped when the request ends."""
        if self._form is None:
            self._form = await parse_form(
                self.headers.get("content-type", ""), self.stream, self.options.form
            )
        return self._form

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the body in pieces as it arrives; it can be streamed once."""
        if self._body is not None:
            yield self._body
            return
        self._claim_stream()
        async for chunk in self.source.chunks(self.body_limit):
            if chunk:
                yield chunk

    async def disconnected(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - False is the answer
        """Wait until the client is gone, at most `timeout` seconds; return whether it is.

        With ASGI servers this reads the body first, as there the news come after it.
        """
        try:
            async with asyncio.timeout(timeout):
                await self.source.disconnected()
        except TimeoutError:
            return False
        return True

    def on_error(self, headers: dict[str, str], *, vary: str = "") -> None:
        """Put headers on the answer should the exception that passes now become one.

        For middleware that marks every answer: an exception passes it before there is an answer to mark.
        """
        self._on_error = (*self._on_error, (headers, vary))

    def mark(self, response: Response) -> Response:
        """Put the headers of `on_error` on an answer; what the answer has itself stays."""
        for headers, vary in self._on_error:
            for name, value in headers.items():
                response.headers.setdefault(name, value)
            if vary:
                response.headers.vary(vary)
        return response

    def close(self) -> None:
        """Drop what the request holds on disk; the adapter calls it after the answer is sent."""
        if self._form is not None:
            self._form.close()

    def _claim_stream(self) -> None:
        if self._streamed:
            raise RuntimeError("the body was streamed already; keep what you need, it is not stored")
        self._streamed = True

    def _trusts(self, address: str) -> bool:
        networks = self.options.trusted_proxies
        if not networks:
            return False
        try:
            number = ip_address(address)
        except ValueError:
            return False
        return any(number in network for network in networks)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a body; raises BadInput that says where it is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at ")
        place = where.strip("`").removeprefix("$").removeprefix(".")
        error = {"in": "body", "name": place, "message": message}
        raise BadInput(f"the body is not as expected: {exc}", errors=[error]) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadInput(f"the body is not JSON: {exc}", status=400) from exc


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"')
            try:
                known = codecs.lookup(charset).name
            except (LookupError, ValueError):
                known = ""
            if known not in _CHARSETS:
                raise HTTPError(415, f"charset {charset!r} is not supported; send UTF-8")
            return known
    return "utf-8"


def _list_of(values: list[str]) -> list[str]:
    return [item.strip() for value in values for item in value.split(",") if item.strip()]
