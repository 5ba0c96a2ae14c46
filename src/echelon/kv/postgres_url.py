"""The URL of a store on PostgreSQL: which server, which schema, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from echelon.errors import KvUsageError

SCHEMES: Final = ("postgresql", "postgres")
DEFAULT_SCHEMA: Final = "echelon"
DEFAULT_CONNECTIONS: Final = 4
MAX_CONNECTIONS: Final = 64

_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(:[0-9]{1,5})?")
_SECRET: Final = frozenset({"password", "sslpassword"})
_SHOWN: Final = ("host", "port", "dbname", "database", "service")
_OURS: Final = frozenset({"schema", "connections"})
_DRIVERS: Final = frozenset(
    {
        "application_name",
        "database",
        "dbname",
        "gsslib",
        "host",
        "krbsrvname",
        "options",
        "passfile",
        "password",
    }
    | {"port", "service", "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation", "sslpassword"}
    | {"sslrootcert", "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs", "user"}
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is. Only `name` may be shown: the others hold what opens the server."""

    url: str
    """What the driver gets: without `schema` and `connections`, which are ours."""

    name: str
    schema: str
    connections: int
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Address({self.name})"

    def hide(self, text: str) -> str:
        """Return a message of the driver or the server without what must not be shown."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse_url(url: str) -> Address:
    """Return the parts of `postgresql://user:password@host:port/database?schema=…&connections=…`.

    Anything else that the driver knows (`sslmode`, `target_session_attrs`, several hosts) may be in the query.
    Raises KvUsageError, which never shows the password.
    """
    parts = _split(url)
    given = dict(_parse_query(parts.query))
    if unknown := given.keys() - _OURS - _DRIVERS:
        known = ", ".join(sorted(_OURS | _DRIVERS))
        raise KvUsageError(f"the store's URL has an unknown option {min(unknown)!r}; it may have {known}")
    schema = given.get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA_NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise KvUsageError(
            f"schema={schema} is not a name for a store: up to 48 of a-z, 0-9 and _, beginning with a letter, not pg_"
        )
    options = [(name, value) for name, value in given.items() if name not in _OURS]
    password = parts.password or ""
    secrets = [password, unquote(password), *(value for name, value in options if name in _SECRET)]
    return Address(
        urlunsplit(parts._replace(query=urlencode(options))),
        _describe(parts, given, schema),
        schema,
        _count(given.get("connections", str(DEFAULT_CONNECTIONS))),
        tuple(secret for secret in secrets if secret),
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2].split(",")
        is_wrong = (
            parts.scheme not in SCHEMES
            or bool(parts.fragment)
            or parts.username == ""
            or not all(_HOST.fullmatch(host) for host in hosts)
            # What follows a second @ would be taken for the host, and be shown.
            or parts.netloc.count("@") > 1
            or "@" in parts.path
        )
    except (ValueError, TypeError, AttributeError):
        is_wrong = True
    if is_wrong:
        raise KvUsageError(
            "that is not the URL of a store on PostgreSQL: write postgresql://user:password@host:5432/database, "
            "with %40 for @, %3A for :, %2F for /, %23 for # and %25 for % in the password"
        )
    return parts


def _parse_query(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise KvUsageError(
            "the store's URL has an option without a value: write ?schema=shop&connections=4"
        ) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_CONNECTIONS:
        raise KvUsageError(
            f"connections={text} in the store's URL is not a number from 1 to {MAX_CONNECTIONS}"
        )
    return int(text)


def _describe(parts: SplitResult, given: dict[str, str], schema: str) -> str:
    """Return the URL with the user, the host and the database, and nothing else."""
    user, at, host = parts.netloc.rpartition("@")
    query = [(name, given[name]) for name in _SHOWN if name in given]
    shown = urlencode([*query, ("schema", schema)], safe="/,")
    return f"postgresql://{user.partition(':')[0]}{at}{host}{parts.path}?{shown}"
