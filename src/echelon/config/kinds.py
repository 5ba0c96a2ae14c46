"""The kinds of values a setting may have: how each is checked, read from text, and shown.

`check` takes what TOML or Python code gives and returns the stored form. `read` takes text, as an
environment variable or a command line gives it. Both raise ConfigError; the message begins with the key.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from echelon.config.secret import HIDDEN, Secret
from echelon.errors import ConfigError
from echelon.runtime.limits import GIB, KIB, MIB, parse_size, parse_time

UNSET = Path()
"""A path that was left empty; below the state directory there is a default for it."""

MEMORY = ":memory:"
"""The one path that is no path: a database that lives in memory only."""

_ON = {"1", "true", "yes", "on"}
_OFF = {"0", "false", "no", "off"}


class Kind(Protocol):
    """One kind of value; `valid` says in words what is accepted."""

    @property
    def valid(self) -> str: ...
    def check(self, value: Any, key: str) -> Any: ...
    def read(self, text: str, key: str) -> Any: ...
    def show(self, value: Any) -> str: ...


def refuse(key: str, value: object, valid: str, hint: str = "") -> ConfigError:
    """Return the error for a value that is not valid."""
    shown = repr(value).lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, str) and value.isprintable():
        shown = f'"{value}"'
    return ConfigError(f"{key}: {_shorten(shown)} is not {valid}{hint}", key=key)


def _shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Text:
    """Any text without control characters."""

    empty: bool = False
    limit: int = 4096

    @property
    def valid(self) -> str:
        return f"a text of {0 if self.empty else 1} to {self.limit} printable characters"

    def check(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise refuse(key, value, self.valid)
        if len(value) > self.limit or not (value or self.empty):
            raise refuse(key, value, self.valid)
        return value

    def read(self, text: str, key: str) -> str:
        return self.check(text, key)

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    @property
    def valid(self) -> str:
        return "true or false"

    def check(self, value: Any, key: str) -> bool:
        if not isinstance(value, bool):
            raise refuse(key, value, self.valid)
        return value

    def read(self, text: str, key: str) -> bool:
        word = text.strip().lower()
        if word not in _ON | _OFF:
            raise refuse(key, text, self.valid)
        return word in _ON

    def show(self, value: bool) -> str:
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds; `optional` lets None mean that there is no bound."""

    low: int
    high: int = 2**63 - 1
    optional: bool = False

    @property
    def valid(self) -> str:
        upper = f"from {self.low} to {self.high}" if self.high < 2**63 - 1 else f"of {self.low} or more"
        return f"a whole number {upper}"

    def check(self, value: Any, key: str) -> int | None:
        if value is None and self.optional:
            return None
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            raise refuse(key, value, self.valid, "; write it without quotes")
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise refuse(key, value, self.valid)
        return value

    def read(self, text: str, key: str) -> int | None:
        word = text.strip()
        if not (word.isascii() and word.lstrip("-").isdecimal()) or len(word) > 20:
            raise refuse(key, text, self.valid)
        return self.check(int(word), key)

    def show(self, value: int | None) -> str:
        return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two bounds."""

    low: float
    high: float

    @property
    def valid(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def check(self, value: Any, key: str) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            raise refuse(key, value, self.valid)
        return float(value)

    def read(self, text: str, key: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise refuse(key, text, self.valid) from None
        return self.check(number, key)

    def show(self, value: float) -> str:
        return f"{value:g}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def valid(self) -> str:
        return "one of " + ", ".join(f'"{word}"' for word in self.words)

    def check(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            near = str(value).strip().lower()
            raise refuse(key, value, self.valid, f'; did you mean "{near}"?' if near in self.words else "")
        return value

    def read(self, text: str, key: str) -> str:
        return self.check(text.strip(), key)

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, or a text such as "16MiB"; stored as bytes."""

    @property
    def valid(self) -> str:
        return 'a number of bytes or a text such as "16MiB"'

    def check(self, value: Any, key: str) -> int:
        try:
            size = parse_size(value, key=key)
        except OverflowError:
            size = 2**63
        if size >= 2**63:
            raise refuse(key, value, "a size below 8 EiB")
        return size

    def read(self, text: str, key: str) -> int:
        return self.check(text, key)

    def show(self, value: int) -> str:
        for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if value % unit == 0:
                return f'"{value // unit}{name}"'
        return str(value)


@dataclass(frozen=True, slots=True)
class Time:
    """A number of seconds, a timedelta, or a text such as "200ms"; stored as seconds."""

    @property
    def valid(self) -> str:
        return 'a number of seconds or a text such as "200ms"'

    def check(self, value: float | str | timedelta, key: str) -> float:
        try:
            return parse_time(value, key=key)
        except OverflowError:
            raise refuse(key, value, self.valid) from None

    def read(self, text: str, key: str) -> float:
        return self.check(text, key)

    def show(self, value: float) -> str:
        return f'"{value:g}s"' if value >= 1 else f'"{value * 1000:g}ms"'


@dataclass(frozen=True, slots=True)
class PathName:
    """A path, made absolute; `must` says what has to be there already: "file", "folder" or nothing.

    An empty one is UNSET when `derived`, None when `optional`, and refused otherwise.
    """

    derived: bool = False
    optional: bool = False
    must: str = ""

    @property
    def valid(self) -> str:
        return f"the path of an existing {self.must}" if self.must else "a path"

    def check(self, value: Any, key: str) -> Path | None:
        if value is None or value in ("", UNSET):
            if not (self.derived or self.optional):
                raise refuse(key, "", self.valid)
            return None if self.optional else UNSET
        if not isinstance(value, str | Path) or not str(value).isprintable():
            raise refuse(key, value, self.valid)
        if str(value) == MEMORY:
            return Path(value)
        try:
            path = Path.cwd() / Path(value).expanduser()
        except RuntimeError as exc:  # "~someone" who does not exist, or no home at all
            raise refuse(key, str(value), self.valid, f": {exc}") from exc
        if (self.must == "file" and not path.is_file()) or (self.must == "folder" and not path.is_dir()):
            raise refuse(key, str(path), self.valid)
        return path

    def read(self, text: str, key: str) -> Path | None:
        return self.check(text, key)

    def show(self, value: Path | None) -> str:
        return '""' if value is None or value == UNSET else f'"{value}"'


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address or network such as "10.0.0.0/8"."""

    @property
    def valid(self) -> str:
        return 'an IP address or a network such as "10.0.0.0/8"'

    def check(self, value: Any, key: str) -> str:
        try:
            if isinstance(value, str):
                return str(
                    ipaddress.ip_network(value.strip())
                    if "/" in value
                    else ipaddress.ip_address(value.strip())
                )
        except ValueError as exc:
            raise refuse(key, value, self.valid, f" ({exc})") from None
        raise refuse(key, value, self.valid)

    def read(self, text: str, key: str) -> str:
        return self.check(text, key)

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Many:
    """A list; as text its members are separated by commas."""

    item: Kind

    @property
    def valid(self) -> str:
        return f"a list, each member {self.item.valid}"

    def check(self, value: Any, key: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise refuse(key, value, self.valid, '; write it as ["…"]')
        return tuple(self.item.check(member, key) for member in value)

    def read(self, text: str, key: str) -> tuple[Any, ...]:
        return tuple(self.item.read(part.strip(), key) for part in text.split(",") if part.strip())

    def show(self, value: tuple[Any, ...]) -> str:
        return "[" + ", ".join(self.item.show(member) for member in value) + "]"


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address without credentials, or nothing."""

    @property
    def valid(self) -> str:
        return "an http:// or https:// address"

    def check(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not value.isprintable() or " " in value:
            raise refuse(key, value, self.valid)
        if not value:
            return value
        try:
            parts = urlsplit(value)
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            complete = False
        if not complete:
            raise refuse(key, value, self.valid)
        if "@" in parts.netloc or parts.query or parts.fragment:
            hint = "; give credentials in OTEL_EXPORTER_OTLP_HEADERS"
            raise ConfigError(
                f"{key}: the address must not carry credentials, a query or a fragment{hint}", key=key
            )
        return value

    def read(self, text: str, key: str) -> str:
        return self.check(text.strip(), key)

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where a store's server is, or nothing; its password is not shown."""

    schemes: tuple[str, ...] = ("postgres", "postgresql", "http", "https")

    @property
    def valid(self) -> str:
        return "a postgres://, http:// or https:// address"

    def check(self, value: Any, key: str) -> Secret:
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str) or not text.isprintable() or " " in text:
            raise ConfigError(f"{key}: the value is not {self.valid}", key=key)
        if text and text.partition("://")[0].lower() not in self.schemes:
            raise ConfigError(f"{key}: the value is not {self.valid}; a file is kv.path", key=key)
        return Secret(text)

    def read(self, text: str, key: str) -> Secret:
        return self.check(text.strip(), key)

    def show(self, value: Secret) -> str:
        text = value.reveal()
        try:
            parts = urlsplit(text)
            user = f"{parts.username}:{HIDDEN}@" if parts.username else ""
            host = parts.netloc.rpartition("@")[2]
            more = f"?{HIDDEN}" if parts.query else ""
        except ValueError:
            return f'"{HIDDEN}"'
        return f'"{parts.scheme}://{user}{host}{parts.path}{more}"' if text else '""'


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that fits into a header; an error never shows it."""

    limit: int = 512

    @property
    def valid(self) -> str:
        return f"a text of at most {self.limit} visible ASCII characters without spaces"

    def check(self, value: Any, key: str) -> Secret:
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str):
            raise ConfigError(f"{key}: the value is not {self.valid}", key=key)
        if len(text) > self.limit or not all("!" <= letter <= "~" for letter in text):
            raise ConfigError(f"{key}: the value ({len(text)} characters) is not {self.valid}", key=key)
        return Secret(text)

    def read(self, text: str, key: str) -> Secret:
        return self.check(text, key)

    def show(self, value: Secret) -> str:
        return f'"{value}"'
