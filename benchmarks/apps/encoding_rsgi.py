"""The floor with a body made for each request: what remains of a JSON route when there is no framework."""

from asyncio import AbstractEventLoop
from typing import Any

import msgspec

encode = msgspec.json.encode


class Encoding:
    """What Echelon's server takes as an application."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        item = {"id": int(scope.path[7:]), "name": "Ada", "tags": ["first", "second"], "active": True}
        protocol.response_bytes(200, [("content-type", "application/json")], encode(item))

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        pass

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        pass


app = Encoding()
