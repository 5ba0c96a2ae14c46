"""Cookies: reading the Cookie header, writing Set-Cookie (RFC 6265bis)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from echelon.http.headers import TOKEN

SameSite = Literal["Strict", "Lax", "None"]

_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
MAX_BYTES = 4096
"""What browsers keep of one cookie: name and value together."""


def parse_cookies(header: str) -> dict[str, str]:
    """Read a Cookie header; the first cookie of a name wins, as browsers send the most specific first."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name:
            continue
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        cookies.setdefault(name, value)
    return cookies


def format_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None,
    expires: datetime | None,
    path: str,
    domain: str | None,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
) -> str:
    """Return the value of a Set-Cookie header; raises ValueError for what browsers would drop or misread."""
    _check(name, value, path, domain, secure, same_site, partitioned)
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if expires is not None:
        if expires.tzinfo is None:
            raise ValueError(f"cookie {name}: expires needs a time zone")
        parts.append(f"Expires={format_datetime(expires.astimezone(UTC), usegmt=True)}")
    if domain:
        parts.append(f"Domain={domain}")
    parts.append(f"Path={path}")
    parts.append(f"SameSite={same_site}")
    parts += [
        flag
        for flag, wanted in (("Secure", secure), ("HttpOnly", http_only), ("Partitioned", partitioned))
        if wanted
    ]
    return "; ".join(parts)


def _check(
    name: str, value: str, path: str, domain: str | None, secure: bool, same_site: SameSite, partitioned: bool
) -> None:
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a cookie name")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(
            f"cookie {name}: the value has a character that cookies cannot hold (space, quote, comma, "
            "semicolon, backslash, control or non-ASCII); encode it first, as urllib.parse.quote does"
        )
    if len(name) + len(value) > MAX_BYTES:
        raise ValueError(f"cookie {name}: name and value exceed {MAX_BYTES} bytes, browsers would drop it")
    for label, text in (("path", path), ("domain", domain or "")):
        if _ATTRIBUTE.fullmatch(text) is None:
            raise ValueError(f"cookie {name}: {text!r} is not a {label}")
    if same_site not in ("Strict", "Lax", "None"):
        raise ValueError(f'cookie {name}: same_site must be "Strict", "Lax" or "None", not {same_site!r}')
    if not secure and (same_site == "None" or partitioned or name.startswith(("__Secure-", "__Host-"))):
        raise ValueError(f"cookie {name}: browsers accept it only with secure=True")
    if name.startswith("__Host-") and (domain or path != "/"):
        raise ValueError(f'cookie {name}: a __Host- cookie has path "/" and no domain')
