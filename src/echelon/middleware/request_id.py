"""A name for each request, for logs and for the client."""

from __future__ import annotations

import re
from uuid import uuid4

from echelon.http.request import Request
from echelon.http.response import Response
from echelon.types import CallNext

_ACCEPTED = re.compile(r"[A-Za-z0-9._\-]{1,128}")


class RequestId:
    """Put an id on `request.state.request_id` and on the answer; a well-formed one from the client is kept.

    With `trust=False` the client's is always replaced.
    """

    def __init__(self, header: str = "x-request-id", *, trust: bool = True) -> None:
        self._header = header.lower()
        self._trust = trust

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Name the request."""
        given = request.headers.get(self._header) if self._trust else None
        name = given if given is not None and _ACCEPTED.fullmatch(given) else uuid4().hex
        request.state.request_id = name
        try:
            response = await call_next(request)
        except Exception:
            request.on_error({self._header: name})
            raise
        response.headers[self._header] = name
        return response
