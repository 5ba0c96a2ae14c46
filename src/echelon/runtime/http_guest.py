"""HTTP guests, Echelon ABI version 1: one request in, one response out, each in one buffer (see docs/abi.md).

    request  = version method path query headers body          response = version status headers body
    headers  = count (name value)*                             text, body = length bytes

Numbers are u32, little-endian; texts are UTF-8. A typed module exports `handle(bytes) -> bytes`. Any other exports
`handle(pointer, length) -> i64`, whose result is `pointer << 32 | length`, and `echelon_alloc(size) -> pointer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from echelon.errors import GuestError, LoadError
from echelon.http.response import Response
from echelon.runtime.binary import FuncType
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.hosted import HostedPlan

if TYPE_CHECKING:
    from echelon.http.request import Request
    from echelon.runtime.instance import Instance
    from echelon.runtime.loader import Loaded

VERSION: Final = 1
HANDLE: Final = "handle"
ALLOCATE: Final = "echelon_alloc"
MAX_HEADERS: Final = 100

_CORE: Final = FuncType(("i32", "i32"), ("i64",))
_ALLOCATE_CORE: Final = FuncType(("i32",), ("i32",))
_WITHHELD: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Credentials of the client: the host's own, never the guest's."""
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers of one connection (RFC 9110, 7.6.1)."""
_FRAMING: Final = frozenset({"content-length", "date", "server"})
"""Headers that the server writes itself."""


async def encode_request(request: Request) -> bytes:
    """Return the request buffer; the path is relative to the mount."""
    pairs = [
        (name, value)
        for name, value in request.headers.pairs()
        if name.lower() not in _WITHHELD and name.lower() not in _HOP_BY_HOP
    ]
    out = Writer()
    out.number(VERSION)
    for text in (request.method, request.subpath, request.query_string):
        out.text(text)
    out.number(len(pairs))
    for name, value in pairs:
        out.text(name)
        out.text(value)
    out.content(await request.body())
    return bytes(out.buffer)


def decode_response(data: bytes) -> Response:
    """Read the response buffer; raises GuestError when it is malformed or cannot be sent."""
    reader = Reader(data, "response")
    version = reader.number()
    if version != VERSION:
        raise GuestError(
            f"the guest's response has version {version} of the ABI, this Echelon reads {VERSION}"
        )
    status, count = reader.number(), reader.number()
    if not 200 <= status <= 599:
        raise GuestError(f"the guest answered with status {status}; a response has 200 to 599")
    if count > MAX_HEADERS:
        raise GuestError(f"the guest answered with {count} headers, at most {MAX_HEADERS} are sent")
    pairs = [(reader.text(), reader.text()) for _ in range(count)]
    try:
        response = Response(reader.content(), status, media_type="application/octet-stream")
        for name, value in pairs:
            if name.lower() in _HOP_BY_HOP or name.lower() in _FRAMING:
                continue
            if name.lower() == "content-type":
                response.headers[name] = value
            else:
                response.headers.add(name, value)
    except ValueError as exc:
        raise GuestError(f"the guest's response cannot be sent: {exc}") from None
    return response


def check_handles(loaded: Loaded, name: str) -> None:
    """Raise LoadError when a module does not answer HTTP by this ABI."""
    plan = loaded.plans.get(HANDLE)
    function = loaded.signature.exports.get(HANDLE)
    if function is not None and [v.type for v in (*function.params, *function.results)] == ["bytes", "bytes"]:
        return
    if plan is not None and loaded.is_component:
        values = (*plan.function.params, *plan.function.results)
        if [value.type for value in values] == ["list<u8>", "list<u8>"]:
            return
    if isinstance(plan, HostedPlan):
        return
    functions = loaded.info.exported_functions
    if HANDLE in functions and functions[HANDLE] == _CORE and functions.get(ALLOCATE) == _ALLOCATE_CORE:
        return
    raise LoadError(
        f'the module "{name}" does not answer HTTP: it must export {HANDLE}(bytes) -> bytes, or'
        f" {HANDLE}(i32, i32) -> i64 and {ALLOCATE}(i32) -> i32 (docs/abi.md)"
    )


async def exchange(loaded: Loaded, instance: Instance, request: bytes) -> bytes:
    """Give a started instance the request buffer and return its response buffer."""
    plan = loaded.plans[HANDLE]
    if isinstance(plan, HostedPlan):
        return await plan.exchange(instance, request)
    if not plan.simple:
        answer = await plan.call(instance, (request,), loaded.plans, kept=False)
        return bytes(answer)
    allocate, memory = loaded.plans[ALLOCATE], instance.memory
    if memory is None:
        raise LoadError("the module exports no memory, where its request could be put")
    allocate.put_pointers(instance, (len(request),))
    await instance.invoke(allocate)
    pointer = allocate.get_pointer(instance)
    memory.write(pointer, request)
    plan.put_pointers(instance, (pointer, len(request)))
    await instance.invoke(plan)
    place = int(plan.get(instance)) & 0xFFFF_FFFF_FFFF_FFFF
    size = place & 0xFFFF_FFFF
    if size > instance.limits.output:
        raise GuestError(
            f"the guest answered with {size} bytes, its output limit is {instance.limits.output}"
        )
    return memory.read(place >> 32, size)
