"""KV Connect as a mount: `app.mount("/kv", KvConnect(token="..."))` lets Deno, Node and others use the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from echelon.errors import HTTPError, KvUsageError
from echelon.http.response import Response, Stream
from echelon.kv.connect.access import Access
from echelon.kv.connect.server import MAX_BODY, Answer, Head, Refused, Service
from echelon.kv.store import Kv

if TYPE_CHECKING:
    from echelon.http.request import Request


class KvConnect:
    """Serve a store over KV Connect below a prefix; without `kv` that of the application it is mounted in.

    `token` is the access token that clients are given: at least 12 characters, and a secret. `database` is the id
    that clients see, by default one that follows from the token. `extensions=False` leaves out what is Echelon's own.
    """

    def __init__(
        self, kv: Kv | None = None, *, token: str, database: UUID | None = None, extensions: bool = True
    ) -> None:
        self._kv = kv
        self._access = Access(token, database)
        self._extensions = extensions
        self._served: tuple[Any, Service] | None = None

    async def __echelon_handle__(self, request: Request) -> Response:
        """Answer a request; refusals are plain text, as the protocol has it."""
        path = request.raw_path
        origin = f"{request.scheme}://{request.host}"
        head = Head(request.method, request.path[len(request.root_path) :], request.headers.get, path, origin)
        try:
            operation = self._serve(request.app).admit(head)
            request.max_body = MAX_BODY
            return _respond(await operation(await request.body()))
        except Refused as exc:
            return _respond(exc.answer)
        except HTTPError as exc:
            return Response(exc.detail, exc.status, exc.headers)

    def _serve(self, app: Any) -> Service:
        owner = app if self._kv is None else self
        if self._served is None or self._served[0] is not owner:
            kv = self._kv
            if kv is None and not hasattr(app, "kv"):
                raise KvUsageError("KvConnect has no store: mount it in an Application, or give it a Kv")
            service = Service(
                lambda: (app.kv if kv is None else kv).backend, self._access, extensions=self._extensions
            )
            self._served = owner, service
        return self._served[1]


def _respond(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers, answer.media_type)
    return Stream(answer.body, answer.status, headers, answer.media_type)
