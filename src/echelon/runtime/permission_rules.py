"""The patterns a permission is granted by: names, paths, hosts and key prefixes.

Every pattern answers the same questions: what it covers, what two patterns grant together, and how it is
written down.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from echelon.errors import ConfigError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

KEPT_ROOTS: Final = ("/proc", "/sys", "/dev")
"""Trees that show or change the host itself: only a grant of a path inside one of them covers it."""

SYS_NAMES: Final = ("clock", "locale")
"""What `sys` can grant. "clock": clocks as fine as the host's instead of 1 ms. "locale": its language and time zone."""

_ENV_NAME: Final = re.compile(r"[^=\0*]+\*?|\*")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC: Final = re.compile(r"\d+|0x[0-9a-f]*")
_MAPPED_BITS: Final = 96
"""Bits before the IPv4 address in one that is mapped into IPv6."""

MAX_PORT: Final = 65535
SCHEMES: Final = ("https", "http")


class Pattern(Protocol):
    """One item of a grant or a denial."""

    def covers(self, target: Any) -> bool:
        """Tell whether `target` falls under this pattern."""

    def grants(self, target: Any) -> bool:
        """Tell whether granting this pattern grants `target`; never more than `covers`."""

    def meet(self, other: Any) -> Any:
        """Return the pattern that grants what both grant, or None when there is nothing."""

    def plain(self) -> Any:
        """Return the item as it is written in JSON or TOML."""


def _bad(permission: str, item: object, expected: str) -> ConfigError:
    return ConfigError(f"permissions.{permission}: {item!r} is not {expected}", key=permission)


@dataclass(frozen=True, slots=True)
class Name:
    """An environment variable or the name of a fact; a `*` at the end stands for any rest."""

    text: str

    @classmethod
    def parse_env(cls, item: object) -> Name:
        if not isinstance(item, str) or not _ENV_NAME.fullmatch(item):
            raise _bad("env", item, 'a variable; write its name, or its beginning and a "*": "HOME", "AWS_*"')
        return cls(item)

    @classmethod
    def parse_sys(cls, item: object) -> Name:
        if item not in SYS_NAMES:
            raise _bad("sys", item, f"known; known are {', '.join(SYS_NAMES)}")
        return cls(str(item))

    def covers(self, target: str) -> bool:
        return target.startswith(self.text[:-1]) if self.text.endswith("*") else target == self.text

    grants = covers

    def meet(self, other: Name) -> Name | None:
        if self.covers(other.text):
            return other
        return self if other.covers(self.text) else None

    def plain(self) -> str:
        return self.text


def is_beneath(path: str, top: str) -> bool:
    """Tell whether the absolute path `path` is `top` or lies below it; both are normal forms."""
    return path == top or top == "/" or path.startswith(top + "/")


def _kept_root(path: str) -> str | None:
    return next((root for root in KEPT_ROOTS if is_beneath(path, root)), None)


@dataclass(frozen=True, slots=True)
class PathPrefix:
    """A file, or a directory with all that is below it.

    `path` is where it is, every link followed when the grant was made; `shown` is how it was written, made
    absolute.
    """

    path: str
    shown: str

    @classmethod
    def parse(cls, permission: str, item: object) -> PathPrefix:
        if not isinstance(item, str | Path) or not str(item) or "\0" in str(item):
            raise _bad(permission, item, 'a path; write a file or a directory: "/data", "./uploads"')
        shown = os.path.abspath(os.path.expanduser(item) if str(item).startswith("~/") else item)
        return cls(os.path.realpath(shown), shown)

    def covers(self, target: str) -> bool:
        return is_beneath(target, self.path)

    def grants(self, target: str) -> bool:
        if not is_beneath(target, self.path):
            return False
        kept = _kept_root(target)
        return kept is None or _kept_root(self.path) == kept

    def meet(self, other: PathPrefix) -> PathPrefix | None:
        if self.grants(other.path):
            return other
        return self if other.grants(self.path) else None

    def plain(self) -> str:
        return self.shown


WHOLE_DISK: Final = PathPrefix("/", "/")
"""What `True` grants for read and write."""


def parse_address(text: str) -> Address | None:
    """Return the address a host name spells, in any of the forms a resolver would take for one, or None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if not _NUMERIC.fullmatch(text.rpartition(".")[2]):
            return None
        try:
            # 127.1, 0x7f.1 and 2130706433 are 127.0.0.1 to every resolver, so they are to a rule.
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def normal_host(host: str) -> str:
    """Return a host name or address in the one form that rules compare; raises ValueError."""
    text = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    text = text.lower().removesuffix(".")
    address = parse_address(text)
    if address is not None:
        return str(address)
    if not text.isascii():
        text = text.encode("idna").decode()
    labels = text.split(".")
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)) or _NUMERIC.fullmatch(labels[-1]):
        raise ValueError(f"{host!r} is not a host name")
    return text


def join_host(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Host:
    """A host, all hosts below a domain (`*.example.com`), or a network (`10.0.0.0/8`), on one port or on all.

    `name` is "" for a network. With a `scheme` (`https://example.com`) only requests of that scheme. A target is
    (host, port), or (host, port, scheme) where that is known.
    """

    name: str
    port: int | None = None
    network: Network | None = None
    scheme: str | None = None

    @classmethod
    def parse(cls, permission: str, item: object) -> Host:
        bad = _bad(
            permission,
            item,
            'a host; write "example.com", "*.example.com", "example.com:443", "https://example.com", "10.0.0.0/8"'
            ' or "[::1]:80" (True, or the option without a list, grants every host)',
        )
        if not isinstance(item, str):
            raise bad
        scheme, separator, rest = item.partition("://")
        if separator and scheme not in SCHEMES:
            raise bad
        host, port = _split_port(rest if separator else item)
        scheme_or_none = scheme if separator else None
        try:
            if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) <= MAX_PORT):
                raise bad
            number = None if port is None else int(port)
            if "/" in host:
                return cls("", number, _network(host.removeprefix("[").removesuffix("]")), scheme_or_none)
            wild = host.startswith("*.")
            name = normal_host(host.removeprefix("*."))
        except ValueError as exc:
            raise bad from exc
        if wild and parse_address(name) is not None:
            raise bad
        return cls("*." + name if wild else name, number, None, scheme_or_none)

    def covers(self, target: tuple[Any, ...]) -> bool:
        host, port, *scheme = target
        if self.scheme is not None and scheme and scheme[0] != self.scheme:
            return False
        return (self.port is None or self.port == port) and self._covers_host(host)

    def grants(self, target: tuple[Any, ...]) -> bool:
        # What is asked without a scheme might be of another one.
        return (self.scheme is None or len(target) > 2) and self.covers(target)

    def _covers_host(self, host: str) -> bool:
        if self.network is not None:
            address = parse_address(host)
            return address is not None and address in self.network
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def _covers(self, other: Host) -> bool:
        """Tell whether every host of `other` is one of ours, whatever the ports."""
        if other.network is not None:
            ours = self.network
            # The two versions cannot be compared, so they are told apart first.
            if ours is None or ours.version != other.network.version:
                return False
            return int(ours.network_address) <= int(other.network.network_address) and int(
                other.network.broadcast_address
            ) <= int(ours.broadcast_address)
        return self._covers_host(other.name)

    def meet(self, other: Host) -> Host | None:
        if self.port is not None and other.port is not None and self.port != other.port:
            return None
        if self.scheme is not None and other.scheme is not None and self.scheme != other.scheme:
            return None
        port = other.port if self.port is None else self.port
        for wide, narrow in ((self, other), (other, self)):
            if wide._covers(narrow):
                return Host(narrow.name, port, narrow.network, self.scheme or other.scheme)
        return None

    def plain(self) -> str:
        host = self.name if self.network is None else str(self.network)
        prefix = "" if self.scheme is None else f"{self.scheme}://"
        return prefix + (host if self.port is None else join_host(host, self.port))


def _network(text: str) -> Network:
    """Return a network in the form that addresses are compared in; raises ValueError."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _split_port(item: str) -> tuple[str, str | None]:
    if item.startswith("["):
        host, bracket, rest = item.partition("]")
        return host + bracket, rest[1:] if rest.startswith(":") else (rest or None)
    if item.count(":") > 1:  # an IPv6 address or network without brackets has no port
        return item, None
    host, colon, port = item.partition(":")
    return host, port if colon else None


Part: TypeAlias = str | int | bool | float | bytes


def typed(parts: Sequence[Part]) -> tuple[tuple[type, Part], ...]:
    """Tell 1 from True and from 1.0, which Python finds equal and the store does not."""
    return tuple((type(part), part) for part in parts)


@dataclass(frozen=True, slots=True)
class KeyPrefix:
    """All keys of the key-value store that begin with these parts; whole parts, not characters."""

    parts: tuple[tuple[type, Part], ...]

    @classmethod
    def parse(cls, item: object) -> KeyPrefix:
        parts: Sequence[object] = item.split("/") if isinstance(item, str) else ()
        if isinstance(item, list | tuple):
            parts = item
        if not parts or not all(type(part) in (str, int) and part != "" for part in parts):
            raise _bad("kv", item, 'the beginning of a key; write "users", "users/eu" or ["users", 1]')
        return cls(typed(parts))  # type: ignore[arg-type]  # the line above has just checked the parts

    def covers(self, target: Sequence[Part]) -> bool:
        return typed(target[: len(self.parts)]) == self.parts

    grants = covers

    def meet(self, other: KeyPrefix) -> KeyPrefix | None:
        longer, shorter = sorted((self, other), key=lambda key: len(key.parts), reverse=True)
        return longer if longer.parts[: len(shorter.parts)] == shorter.parts else None

    def plain(self) -> str | tuple[Part, ...]:
        values = tuple(value for _, value in self.parts)
        texts = [value for value in values if isinstance(value, str) and "/" not in value]
        return "/".join(texts) if len(texts) == len(values) else values
