"""What the standard library finds where a guest has no sockets, no threads and no files of time zones.

`asyncio` runs on a loop that can only wait, `urllib` asks the host, time zones come from it, and a socket is an error
that says what to use.
"""

from __future__ import annotations

import asyncio
import email.message
import errno
import gettext
import http.client
import io
import mimetypes
import socket
import time
import urllib.error
import urllib.request
import urllib.response
import uuid
import zoneinfo
from asyncio import base_events, unix_events
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, TypeVarTuple

import echelon_wire as wire  # type: ignore[import-not-found]  # its name in the engine

import echelon  # here the kit

kit: Any = echelon
zones: Any = zoneinfo
_Taken = TypeVarTuple("_Taken")
_Result = TypeVar("_Result")
_find = gettext.find
_OWN_HEADERS = frozenset({"host", "content-length", "connection", "accept-encoding"})


class Waiting:
    """Takes the place of a selector: there is nothing to watch, so all it does is wait for the next timer."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is left that could wake it")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self) -> None:
        """There is nothing to close."""


class Loop(base_events.BaseEventLoop):
    """An event loop of timers and tasks. What it would give to a thread it runs at once."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._selector = Waiting()

    def _run_once(self) -> None:
        """Run what is ready; the time, which the host is asked for, is of no use without timers."""
        if self._scheduled or not self._ready:
            super()._run_once()  # type: ignore[misc]  # typeshed leaves it out
            return
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else could have woken it."""

    def run_in_executor(
        self, executor: object, func: Callable[[*_Taken], _Result], *args: *_Taken
    ) -> asyncio.Future[_Result]:
        future: asyncio.Future[_Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future


def _no_sockets(*_arguments: object, **_named: object) -> NoReturn:
    raise OSError(errno.ENOTSUP, "scripts have no sockets; use echelon.fetch()")


class Fetching(urllib.request.HTTPHandler):
    """Lets `urllib.request` ask by `echelon.fetch`; it follows redirects itself."""

    def http_open(self, req: urllib.request.Request) -> Any:
        headers = [(name, value) for name, value in req.header_items() if name.lower() not in _OWN_HEADERS]
        data: Any = req.data
        body = data if isinstance(data, bytes) else b"" if data is None else b"".join(data)
        try:
            answer = kit.fetch(
                req.full_url, method=req.get_method(), headers=headers, body=body, follow=False
            )
        except kit.Error as exc:
            raise urllib.error.URLError(str(exc)) from None
        found = email.message.Message()
        for name, value in answer.headers.pairs:
            found[name] = value
        response = urllib.response.addinfourl(io.BytesIO(answer.body), found, req.full_url, answer.status)
        vars(response)["msg"] = http.client.responses.get(answer.status, "")
        return response

    https_open = http_open
    https_request = urllib.request.HTTPHandler.http_request


def _zone(name: str) -> io.BytesIO:
    """Return the rules of a time zone, which the host has."""
    content = wire.tell(wire.ZONE, name.encode("ascii", "replace"))
    if not content:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {name}")
    return io.BytesIO(content)


def _find_catalogue(domain: str, localedir: str | None = None, *arguments: Any, **named: Any) -> Any:
    """Find translations in the folder that is given; where the system's would be there are none."""
    if localedir is None:
        return [] if named.get("all") else None
    return _find(domain, localedir, *arguments, **named)


def settle() -> None:
    """Put all of it in its place."""
    for module in (asyncio, unix_events):
        vars(module).update(EventLoop=Loop, SelectorEventLoop=Loop)
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = Loop  # type: ignore[attr-defined]
    vars(socket)["getaddrinfo"] = _no_sockets
    socket.socket.__init__ = _no_sockets  # type: ignore[method-assign]
    urllib.request.install_opener(urllib.request.build_opener(Fetching))
    zoneinfo.reset_tzpath(to=())
    zones._common.load_tzdata = _zone
    vars(gettext)["find"] = _find_catalogue
    mimetypes.knownfiles.clear()
    vars(uuid)["_GETTERS"] = []  # none of the ways to find a network card; the node is then random
