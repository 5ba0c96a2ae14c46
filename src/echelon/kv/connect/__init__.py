"""KV Connect: stores on other machines, and this one for others, over HTTP."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echelon.kv.connect.client import ConnectBackend as ConnectBackend
    from echelon.kv.connect.mount import KvConnect as KvConnect

__all__ = ["ConnectBackend", "KvConnect"]

_HOMES = {"ConnectBackend": "client", "KvConnect": "mount"}


def __getattr__(name: str) -> Any:
    """Load what is asked for: a client does without the server, a mount without an HTTP client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
