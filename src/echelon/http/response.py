"""The response family. An adapter looks at the type of `body` and picks the matching way to send it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import msgspec

from echelon.http.cookies import SameSite, format_cookie
from echelon.http.headers import MutableHeaders, check_header

if TYPE_CHECKING:
    from echelon.http.request import Request

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
BYTES_TYPE = "application/octet-stream"
PROBLEM_TYPE = "application/problem+json"

PROBLEM_TYPES: Mapping[int, str] = {
    400: "urn:echelon:bad-request",
    401: "urn:echelon:unauthorized",
    403: "urn:echelon:forbidden",
    404: "urn:echelon:not-found",
    405: "urn:echelon:method-not-allowed",
    413: "urn:echelon:too-large",
    415: "urn:echelon:unsupported-media-type",
    422: "urn:echelon:invalid-input",
    500: "urn:echelon:internal-error",
    503: "urn:echelon:busy",
    504: "urn:echelon:timeout",
}


def _plain(value: Any) -> Any:
    """Return what JSON has for a number of a kind of its own, such as `U64`; raises TypeError for others."""
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


encode_json = msgspec.json.Encoder(enc_hook=_plain).encode


@dataclass(frozen=True, slots=True)
class FileSlice:
    """`length` bytes of a file from `start`; `whole` when that is all of it."""

    path: str
    start: int
    length: int
    whole: bool


Body: TypeAlias = bytes | str | FileSlice | AsyncIterable[bytes | str] | None


class Response:
    """An answer: text, bytes or nothing. Raises ValueError for a status or header that cannot be sent."""

    __slots__ = ("_pairs", "body", "status")

    body: Body

    def __init__(
        self,
        body: bytes | str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        if media_type is None and body is not None:
            media_type = TEXT_TYPE if isinstance(body, str) else BYTES_TYPE
        self._start(body, status, headers, media_type)

    def _start(
        self, body: Body, status: int, headers: Mapping[str, str] | None, media_type: str | None
    ) -> None:
        check_status(status)
        self.body = body
        self.status = status
        self._pairs = [] if media_type is None else [("content-type", media_type)]
        if media_type is not None and not media_type.isprintable():
            raise ValueError(f"{media_type!r} is not a media type")
        if headers:
            self.headers.update(headers)

    @property
    def headers(self) -> MutableHeaders:
        """The headers, open to change until the response is sent."""
        view = MutableHeaders.__new__(MutableHeaders)
        view._pairs = self._pairs
        return view

    @property
    def media_type(self) -> str:
        """The media type without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        http_only: bool = True,
        same_site: SameSite = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Add a cookie that scripts cannot read and that only encrypted (or local) connections carry.

        `max_age` is in seconds. Raises ValueError for a cookie that browsers would drop or misread.
        """
        cookie = format_cookie(
            name,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
            partitioned=partitioned,
        )
        self._pairs.append(("set-cookie", cookie))

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Make the browser forget a cookie; path and domain must be those it was set with."""
        self.set_cookie(name, max_age=0, expires=datetime.fromtimestamp(0, UTC), path=path, domain=domain)

    def prepare(self, request: Request) -> Response:
        """Return the response that fits the request's conditions; only files differ."""
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


class JSON(Response):
    """A value as JSON, encoded by msgspec: dict, list, Struct, dataclass, datetime, UUID and more."""

    __slots__ = ()

    def __init__(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._start(encode_json(value), status, headers, JSON_TYPE)


class Text(Response):
    """Plain text in UTF-8."""

    __slots__ = ()

    def __init__(self, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._start(text, status, headers, TEXT_TYPE)


class HTML(Response):
    """An HTML page in UTF-8."""

    __slots__ = ()

    def __init__(self, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._start(text, status, headers, HTML_TYPE)


class Empty(Response):
    """Nothing but a status and headers."""

    __slots__ = ()

    def __init__(self, status: int = 204, headers: Mapping[str, str] | None = None) -> None:
        self._start(None, status, headers, None)


class Stream(Response):
    """A body produced piece by piece; the iterator is closed when the client goes away."""

    __slots__ = ()

    def __init__(
        self,
        content: AsyncIterable[bytes | str],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = BYTES_TYPE,
    ) -> None:
        if not hasattr(content, "__aiter__"):
            raise TypeError(f"Stream needs an async iterator, not {type(content).__name__}")
        self._start(content, status, headers, media_type)


class Redirect(Response):
    """Send the client elsewhere: 307 keeps the method, 303 makes it a GET, 308 and 301 are lasting."""

    __slots__ = ()

    def __init__(self, location: str, status: int = 307, headers: Mapping[str, str] | None = None) -> None:
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"{status} is not a redirect; use 301, 302, 303, 307 or 308")
        self._start(None, status, headers, None)
        self.headers["location"] = quote(location, safe="/-._~!$&'()*+,;=:@?#[]%")


class Problem(Response):
    """A problem document (RFC 9457); keyword arguments beyond the standard members become extensions."""

    __slots__ = ()

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        type: str | None = None,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        document: dict[str, Any] = {
            "type": type or PROBLEM_TYPES.get(status, "about:blank"),
            "title": title or reason(status),
            "status": status,
        }
        if detail:
            document["detail"] = detail
        document.update(extensions)
        self._start(encode_json(document), status, headers, PROBLEM_TYPE)


def reason(status: int) -> str:
    """Return the standard phrase for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def check_status(status: object) -> None:
    """Raise ValueError unless the number can end a request; a server may die of another."""
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise ValueError(f"{status!r} is not a final HTTP status (200 to 599)")


__all__ = [
    "HTML",
    "JSON",
    "Empty",
    "FileSlice",
    "Problem",
    "Redirect",
    "Response",
    "Stream",
    "Text",
    "check_header",
    "check_status",
    "encode_json",
    "reason",
]
