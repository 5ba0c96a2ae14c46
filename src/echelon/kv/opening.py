"""Opening a store: which engine a path, a URL or a format means, and which options it takes."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from echelon.errors import ConfigError, KvLimitError, KvUsageError, MissingExtra
from echelon.kv import limits
from echelon.kv.backend import Backend, Durability
from echelon.kv.store import Kv
from echelon.runtime.limits import parse_size

if TYPE_CHECKING:
    from echelon.config import KvConfig
    from echelon.telemetry import Telemetry

Where = str | os.PathLike[str]
Format = Literal["echelon", "deno"]

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """What `open_kv()` was told."""

    durability: Durability = "full"
    token: str | None = None
    format: Format | None = None
    max_value: int = limits.MAX_VALUE_BYTES


@dataclass(frozen=True, slots=True)
class Engine:
    """Where an engine is found and how it is opened. Nothing of it is imported before it is asked for."""

    name: str
    module: str
    kind: str
    open: Callable[[Any, Where, Options], Awaitable[Backend]]
    takes_durability: bool = False
    takes_token: bool = False
    max_value: int = limits.MAX_LARGE_VALUE_BYTES
    """The largest value that it can be asked to hold."""

    package: str = ""
    """What it needs beyond what is always installed, and the extra that installs it."""

    extra: str = ""


SQLITE: Final = Engine(
    "a SQLite file",
    "echelon.kv.sqlite",
    "SqliteBackend",
    lambda kind, where, options: kind.open(where, options.durability),
    takes_durability=True,
)
DENO: Final = Engine(
    "a file of Deno KV",
    "echelon.kv.deno_file",
    "DenoFileBackend",
    lambda kind, where, options: kind.open(where, options.durability),
    takes_durability=True,
    max_value=limits.MAX_VALUE_BYTES,
)
POSTGRES: Final = Engine(
    "PostgreSQL",
    "echelon.kv.postgres",
    "PostgresBackend",
    lambda kind, where, options: kind.open(where, options.durability),
    takes_durability=True,
    package="asyncpg",
    extra="postgres",
)
CONNECT: Final = Engine(
    "KV Connect",
    "echelon.kv.connect",
    "ConnectBackend",
    lambda kind, where, options: kind.open(where, options.token),
    takes_token=True,
    max_value=limits.MAX_VALUE_BYTES,
)

SCHEMES: Final[dict[str, Engine]] = {
    "postgres": POSTGRES,
    "postgresql": POSTGRES,
    "http": CONNECT,
    "https": CONNECT,
}
"""The engine of each kind of URL; everything else is a path."""


def choose(where: object, options: Options) -> Engine:
    """Return the engine that is meant; raises KvUsageError for options that it does not take."""
    if options.durability not in get_args(Durability):
        raise KvUsageError(f'durability is "full" or "normal", got {options.durability!r:.60}')
    if options.format not in (None, *get_args(Format)):
        raise KvUsageError(f'format is "echelon" or "deno", got {options.format!r:.60}')
    scheme = _SCHEME.match(where) if isinstance(where, str) else None
    engine = SCHEMES.get(scheme[1].lower()) if scheme else None
    if options.format is not None and engine is not None:
        raise KvUsageError(f"format= is about a file, not about {engine.name}; leave it out")
    if engine is None:
        engine = DENO if options.format == "deno" else SQLITE
    if options.durability == "normal" and not engine.takes_durability:
        raise KvUsageError(f'{engine.name} knows no durability "normal"; leave durability= out')
    if options.token is not None and not engine.takes_token:
        raise KvUsageError(f"token= means nothing to {engine.name}; leave it out")
    if options.max_value > engine.max_value:
        raise KvLimitError(
            f"max_value: {engine.name} holds values of at most {engine.max_value} bytes, "
            f"{options.max_value} were asked for"
        )
    return engine


async def open_backend(where: Where, options: Options) -> Backend:
    """Open the engine that is meant, importing it; raises MissingExtra when it is not installed."""
    engine = choose(where, options)
    try:
        kind = getattr(importlib.import_module(engine.module), engine.kind)
    except ModuleNotFoundError as exc:
        if exc.name == engine.package:
            raise MissingExtra(engine.package, engine.extra) from exc
        if exc.name == engine.module:
            raise KvUsageError(f"this Echelon has no engine for {engine.name}; install one that has") from exc
        raise
    return await engine.open(kind, where, options)


class _Opening:
    """What `open_kv()` returns: awaited it is the open store, entered it is closed at the end too."""

    def __init__(self, where: Where, options: Options, telemetry: Telemetry | None) -> None:
        self._where = where
        self._options = options
        self._telemetry = telemetry
        self._kv: Kv | None = None

    def __await__(self) -> Generator[Any, None, Kv]:
        return self._open().__await__()

    async def __aenter__(self) -> Kv:
        self._kv = await self._open()
        return self._kv

    async def __aexit__(self, *_: object) -> None:
        if self._kv is not None:
            await self._kv.close()

    async def _open(self) -> Kv:
        backend = await open_backend(self._where, self._options)
        if self._telemetry is not None:
            from echelon.kv.observed import ObservedBackend  # a store without telemetry does without it

            backend = ObservedBackend(backend, self._telemetry)
        return Kv(backend, max_value=self._options.max_value, telemetry=self._telemetry)


def open_kv(
    path: Where,
    *,
    durability: Durability = "full",
    token: str | None = None,
    format: Format | None = None,
    max_value: int | str = limits.MAX_VALUE_BYTES,
    telemetry: Telemetry | None = None,
) -> _Opening:
    """Open the store in a file, made if it is not there, in memory with ":memory:", or at a URL.

    Use `async with open_kv(path) as kv` or `kv = await open_kv(path)`. With durability "full", which is the
    default, a write that returned survives a loss of power; with "normal" it survives the death of the process,
    and a loss of power may undo the last writes, whole commits only.

    `max_value` is the largest value that can be written, as bytes or "1MiB". A "postgres://…" URL opens a
    database on a server, "https://…" a server of KV Connect, whose access token is `token`; format "deno" opens
    a file as Deno KV lays it out. Raises KvStorageError when a store cannot be there.
    """
    try:
        size = parse_size(max_value, key="max_value")
    except ConfigError as exc:
        raise KvUsageError(str(exc)) from exc
    return _Opening(path, Options(durability, token, format, size), telemetry)


def open_configured(config: KvConfig, telemetry: Telemetry | None = None) -> _Opening:
    """Open the store that a configuration names: at its URL if it has one, else in its file."""
    url = config.url.reveal()
    return open_kv(
        url or config.path,
        durability=cast(Durability, config.durability),
        token=config.token.reveal() or None,
        format=cast(Format, config.format) if config.format != "echelon" else None,
        max_value=config.max_value,
        telemetry=telemetry,
    )
