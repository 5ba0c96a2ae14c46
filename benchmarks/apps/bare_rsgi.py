"""The floor: an RSGI function that does nothing but send bytes made beforehand."""

from asyncio import AbstractEventLoop
from typing import Any

BODY = b'{"id":42,"name":"Ada","tags":["first","second"],"active":true}'


class Bare:
    """What Echelon's server takes as an application."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, [("content-type", "application/json")], BODY)

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        pass

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        pass


app = Bare()
