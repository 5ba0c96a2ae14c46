"""Modules by URL: fetched from hosts that the application may import from, over checked addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from echelon.errors import LoadError, PermissionDenied
from echelon.runtime.binary import MAX_MODULE
from echelon.runtime.outbound import Outbound, OutboundFailure, OutboundRequest, Target
from echelon.runtime.permissions import Permissions

FETCH_SECONDS: Final = 60.0
_OK: Final = 200


def is_url(source: object) -> bool:
    """Tell whether a source is a URL, not a path."""
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def file_name(url: str) -> str:
    """Return the last part of a URL's path."""
    return PurePosixPath(urlsplit(url).path).name or "module"


async def fetch(url: str, hosts: Sequence[str], outbound: Outbound) -> bytes:
    """Return what is at a URL; redirects are followed where they lead to `hosts`, too.

    Raises PermissionDenied for another host or a private address that is not named, LoadError when there is no answer.
    """
    try:
        request = OutboundRequest("GET", Target.parse(url))
    except ValueError as exc:
        raise LoadError(f'"{url}" cannot be loaded: {exc}') from None
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            response = await outbound.fetch(Permissions(net=list(hosts)), request, MAX_MODULE)
    except PermissionDenied as exc:
        host = exc.target.rpartition(":")[0]
        raise PermissionDenied("import", exc.target, f'[wasm] hosts = ["{host}"]') from None
    except TimeoutError:
        raise LoadError(f'"{url}" did not arrive within {FETCH_SECONDS:g} s') from None
    except OutboundFailure as exc:
        raise LoadError(f'"{url}" cannot be loaded: {exc}') from exc
    if response.status != _OK:
        raise LoadError(f'"{url}" cannot be loaded: the server answered with status {response.status}')
    return response.body
