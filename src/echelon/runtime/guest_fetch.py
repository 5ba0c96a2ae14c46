"""HTTP requests for guests: the function `fetch` of the namespace `echelon` (see docs/abi.md).

    fetch(request, length) -> i32              the length of the response

    request  = version method url flags headers body        flags 1: do not follow redirects
    response = version status url headers body              status 0: there is no answer, the body says why

The encoding is that of HTTP guests. What is not granted stops the call; a failure of the network does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from echelon.errors import GuestError, MissingExtra
from echelon.runtime.binary import Import
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.guest_kit import MODULE, keep
from echelon.runtime.host import Call, HostFunction
from echelon.runtime.outbound import (
    MAX_HEADERS,
    MAX_REQUEST,
    MAX_RESPONSE,
    Outbound,
    OutboundFailure,
    OutboundRequest,
    OutboundResponse,
    load_client,
)

VERSION: Final = 1
NAME: Final = "fetch"
_STAY: Final = 1
_MAX_BUFFER: Final = MAX_REQUEST + (1 << 20)


def read_request(data: bytes) -> OutboundRequest:
    """Read a request buffer; raises GuestError."""
    reader = Reader(data, "request")
    version = reader.number()
    if version != VERSION:
        raise GuestError(
            f"the guest's request has version {version} of the ABI, this Echelon reads {VERSION}"
        )
    method, url, flags = reader.text(), reader.text(), reader.number(_STAY)
    headers = [(reader.text(), reader.text()) for _ in range(reader.number(MAX_HEADERS))]
    body = reader.content()
    reader.end()
    return OutboundRequest.checked(method, url, headers, body, follow=not flags)


def write_response(response: OutboundResponse) -> bytes:
    """Return the response buffer."""
    writer = Writer()
    writer.number(VERSION)
    writer.number(response.status)
    writer.text(response.url)
    writer.number(len(response.headers))
    for name, value in response.headers:
        writer.text(name)
        writer.text(value)
    writer.content(response.body)
    return bytes(writer.buffer)


class GuestFetch:
    """Requests for guests; `outbound` gives what makes them."""

    def __init__(self, outbound: Callable[[], Outbound]) -> None:
        self._outbound = outbound
        self._function = HostFunction(MODULE, NAME, ("u32", "u32"), ("i32",), self._fetch, suspends=True)

    def find(self, wanted: Import) -> HostFunction | None:
        if (wanted.module, wanted.name, wanted.kind) != (MODULE, NAME, "func"):
            return None
        with suppress(
            MissingExtra
        ):  # raised by the first call; loading the client now keeps it out of its deadline
            load_client()
        return self._function

    def modules(self) -> Sequence[str]:
        return (MODULE,)

    def names(self, module: str) -> Sequence[str]:
        return (NAME,) if module == MODULE else ()

    async def _fetch(self, call: Call, pointer: int, length: int) -> int:
        if length > _MAX_BUFFER:
            raise GuestError(f"the guest sends a request of {length} bytes, at most {MAX_REQUEST} are sent")
        request = read_request(call.guest_memory().read(pointer, length))
        try:
            most = min(MAX_RESPONSE, call.limits.memory)
            response = await self._outbound().fetch(call.permissions, request, most)
        except OutboundFailure as exc:
            response = OutboundResponse(0, str(request.target), (), str(exc).encode())
        return keep(call, write_response(response))
