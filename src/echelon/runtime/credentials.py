"""Credentials that the host adds to the requests of its guests, which never see them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from echelon.errors import ConfigError
from echelon.runtime.permission_rules import Host

Headers: TypeAlias = Mapping[str, Any]
"""Names and values; a value is a text, or a Secret."""

Source: TypeAlias = "Headers | Callable[[], Headers | Awaitable[Headers]]"


@dataclass(slots=True)
class Credentials:
    """Headers by host: `credentials.add("api.example.com", {"authorization": "Bearer …"})`."""

    _entries: list[tuple[Host, Source]] = field(default_factory=list)

    def add(self, host: str, headers: Source) -> None:
        """Add headers to every request to a host; a function, async or not, is asked for them each time.

        `host` is written as in permissions. They go over HTTPS alone, unless it begins with "http://". They replace
        what the guest sent under the same name. Raises ConfigError for what is no host.
        """
        pattern = Host.parse("net", host)
        if pattern.scheme is None:
            pattern = Host(pattern.name, pattern.port, pattern.network, "https")
        if not callable(headers):
            _plain(headers, host)
        self._entries.append((pattern, headers))

    async def headers(self, scheme: str, host: str, port: int) -> dict[str, str]:
        """Return what goes to this host, names in lower case; where several entries fit, the last added wins."""
        found: dict[str, str] = {}
        for pattern, source in self._entries:
            if not pattern.grants((host, port, scheme)):
                continue
            given: Any = source() if callable(source) else source
            found |= _plain(await given if inspect.isawaitable(given) else given, pattern.plain())
        return found


def _plain(headers: Any, host: str) -> dict[str, str]:
    """Return the headers as texts; raises ConfigError, which never shows a value."""
    if not isinstance(headers, Mapping):
        raise ConfigError(f"credentials for {host}: headers are a mapping of names to values")
    plain = {}
    for name, value in headers.items():
        text = value.reveal() if hasattr(value, "reveal") else value
        if (
            not isinstance(name, str)
            or not name.isascii()
            or not name.replace("-", "").replace("_", "").isalnum()
        ):
            raise ConfigError(f"credentials for {host}: {name!r} is not the name of a header")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise ConfigError(f"credentials for {host}: the value of {name} is not printable ASCII text")
        plain[name.lower()] = text
    return plain
