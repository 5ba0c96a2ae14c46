"""Response headers that make browsers careful."""

from __future__ import annotations

from collections.abc import Mapping

from echelon.http.headers import check_header
from echelon.http.request import Request
from echelon.http.response import Response
from echelon.types import CallNext

CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
DEFAULTS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
HSTS = "max-age=31536000; includeSubDomains"


class SecurityHeaders:
    """Add safe defaults to every answer; what a handler set itself stays.

    `headers` replaces defaults by name, None leaves one out. Strict-Transport-Security goes to HTTPS answers
    only; `hsts=None` leaves it out.
    """

    def __init__(self, headers: Mapping[str, str | None] | None = None, *, hsts: str | None = HSTS) -> None:
        merged: dict[str, str | None] = {**DEFAULTS}
        merged.update({name.lower(): value for name, value in (headers or {}).items()})
        self._headers = {name: value for name, value in merged.items() if value is not None}
        for name, value in self._headers.items():
            check_header(name, value)
        self._hsts = hsts

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Add the headers, to error answers too."""
        wanted = dict(self._headers)
        if self._hsts is not None and request.scheme == "https":
            wanted["strict-transport-security"] = self._hsts
        try:
            response = await call_next(request)
        except Exception:
            request.on_error(wanted)
            raise
        for name, value in wanted.items():
            response.headers.setdefault(name, value)
        return response
