"""Type aliases shared by the HTTP layer and by programs that extend it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from echelon.http.request import Request
    from echelon.http.response import Response

Handler: TypeAlias = Callable[..., Any]
"""What a user writes: any function; its parameters are filled from the request."""

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
"""What a handler becomes: one request in, one response out."""

CallNext: TypeAlias = "Callable[[Request], Awaitable[Response]]"
Middleware: TypeAlias = "Callable[[Request, CallNext], Awaitable[Response]]"
ErrorHandler: TypeAlias = Callable[..., Any]
"""`(request, error) -> result`, sync or async; the result becomes a response as a handler's does."""

Provider: TypeAlias = "Callable[[Request], Any]"
"""Gives a component to one request; a plain object is not a provider, wrap it in a lambda."""
Components: TypeAlias = Mapping[type, Provider]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Mountable(Protocol):
    """Anything that answers every request below a prefix."""

    async def __echelon_handle__(self, request: Request) -> Response: ...
