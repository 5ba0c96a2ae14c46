"""From an exception to a response: problem documents, and handlers registered by type or status."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from echelon.errors import BadInput, ClientDisconnected, HTTPError, RouteError
from echelon.http.request import Request
from echelon.http.response import Empty, Problem, Response
from echelon.http.results import responder
from echelon.types import Endpoint, ErrorHandler

log = logging.getLogger("echelon")


class ErrorHandlers:
    """Turns exceptions into responses. With `debug`, a 500 names the exception's type and message."""

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug
        self._by_type: dict[type[Exception], ErrorHandler] = {}
        self._by_status: dict[int, ErrorHandler] = {}
        self._respond = responder(None, "an error handler")

    def add(self, key: type[Exception] | int, handler: ErrorHandler) -> None:
        """Answer errors of a type, or HTTPErrors of a status, with `handler(request, error)`."""
        known: dict[Any, ErrorHandler] = self._by_status if isinstance(key, int) else self._by_type
        if not isinstance(key, int) and not (inspect.isclass(key) and issubclass(key, Exception)):
            raise RouteError(f"an error handler is for an exception type or a status, not {key!r}")
        if key in known:
            raise RouteError(f"there is an error handler for {key!r} already")
        known[key] = handler

    def answers(self, key: type[Exception] | int) -> bool:
        """Tell whether a handler was added for that key."""
        return key in (self._by_status if isinstance(key, int) else self._by_type)

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with expected errors answered: HTTPError and every type with a handler.

        What is not expected passes through the middleware as an exception, so that `try` and `finally`
        there see it.
        """

        async def guarded(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Exception as exc:
                if isinstance(exc, HTTPError) or self._find(exc) is not None:
                    return await self.respond(request, exc)
                raise

        return guarded

    async def respond(self, request: Request, error: Exception) -> Response:
        """Answer any exception; never raises one."""
        handler = self._find(error)
        if not isinstance(error, HTTPError | ClientDisconnected) and (
            handler is None or self._by_type.get(Exception) is handler
        ):
            log.error("%s %s failed", request.method, request.path, exc_info=error)
        if handler is not None:
            try:
                result = handler(request, error)
                if inspect.isawaitable(result):
                    result = await result
                return self._respond(result)
            except Exception as second:
                if second is not error:
                    log.error("the handler for %r failed", type(error).__name__, exc_info=second)
                    return self._unexpected(second)
        return self.problem(error)

    def problem(self, error: Exception) -> Response:
        """Return the answer for an exception without a handler, a problem document for all but a client that left."""
        if isinstance(error, BadInput):
            extensions: dict[str, Any] = {"errors": list(error.errors)} if error.errors else {}
            return Problem(error.status, error.detail, headers=error.headers, **extensions)
        if isinstance(error, HTTPError):
            try:
                return Problem(error.status, error.detail, headers=error.headers)
            except ValueError as exc:
                log.error("HTTPError(%r) cannot be sent", error.status, exc_info=exc)
                return self._unexpected(exc)
        if isinstance(error, ClientDisconnected):
            log.debug("%s", error)
            return Empty(400)
        return self._unexpected(error)

    def _unexpected(self, error: Exception) -> Response:
        detail = f"{type(error).__name__}: {error}" if self.debug else "an unexpected error; the log has it"
        return Problem(500, detail)

    def _find(self, error: Exception) -> ErrorHandler | None:
        if self._by_status and isinstance(error, HTTPError) and error.status in self._by_status:
            return self._by_status[error.status]
        if self._by_type:
            for kind in type(error).__mro__:
                if kind in self._by_type:
                    return self._by_type[kind]
        return None
