"""CORS: which other origins may call the application from a browser (Fetch standard, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from echelon.errors import ConfigError
from echelon.http.request import Request
from echelon.http.response import Empty, Problem, Response
from echelon.types import CallNext

SIMPLE_METHODS = ("GET", "HEAD", "POST")


class CORS:
    """Answer preflights and mark answers for the origins in `origins`; `["*"]` allows every origin.

    `max_age` is in seconds. Raises ConfigError for a combination that browsers refuse or that is unsafe.
    """

    def __init__(
        self,
        origins: Sequence[str],
        *,
        methods: Sequence[str] = SIMPLE_METHODS,
        headers: Sequence[str] = (),
        expose: Sequence[str] = (),
        credentials: bool = False,
        max_age: int = 600,
    ) -> None:
        self._any = "*" in origins
        if isinstance(origins, str):
            raise ConfigError(f"CORS: origins is a list, not {origins!r}")
        if self._any and credentials:
            raise ConfigError(
                'CORS: credentials for every origin ("*") would open the application; list them'
            )
        for origin in origins:
            if origin != "*" and ("://" not in origin or origin.count("/") != 2 or origin != origin.lower()):
                raise ConfigError(f'CORS: {origin!r} is not an origin; write "https://example.com"')
        self._origins = frozenset(origins)
        self._methods = frozenset(method.upper() for method in methods)
        self._headers = frozenset(header.lower() for header in headers)
        self._expose = ", ".join(expose)
        self._credentials = credentials
        self._max_age = str(int(max_age))

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Answer a preflight here, mark every other answer."""
        origin = request.headers.get("origin")
        wanted = request.headers.get("access-control-request-method")
        if origin is not None and request.method == "OPTIONS" and wanted is not None:
            return self._preflight(request, origin, wanted)
        marks = self._marks(origin)
        try:
            response = await call_next(request)
        except Exception:
            request.on_error(marks, vary="" if self._any else "origin")
            raise
        response.headers.update(marks)
        if not self._any:
            response.headers.vary("origin")
        return response

    def _marks(self, origin: str | None) -> dict[str, str]:
        if origin is None or not (self._any or origin in self._origins):
            return {}
        marks = {"access-control-allow-origin": "*" if self._any else origin}
        if self._credentials:
            marks["access-control-allow-credentials"] = "true"
        if self._expose:
            marks["access-control-expose-headers"] = self._expose
        return marks

    def _preflight(self, request: Request, origin: str, wanted: str) -> Response:
        asked = request.headers.get("access-control-request-headers", "")
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        marks = self._marks(origin)
        refused = ""
        if not marks:
            refused = "this origin is not allowed"
        elif wanted not in self._methods:
            refused = "this method is not allowed for other origins"
        elif "*" not in self._headers and not names <= self._headers:
            refused = "a header is not allowed for other origins"
        response: Response = Problem(403, refused) if refused else Empty(204)
        if not refused:
            marks.pop("access-control-expose-headers", None)
            response.headers.update(marks)
            response.headers["access-control-allow-methods"] = ", ".join(sorted(self._methods))
            if names:
                response.headers["access-control-allow-headers"] = ", ".join(sorted(names))
            response.headers["access-control-max-age"] = self._max_age
        response.headers.vary("origin")
        return response
