"""Which store a command is about, and opening it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from echelon.cli.parser import Arguments, Usage
from echelon.config import Config, KvConfig
from echelon.config.kinds import StoreUrl
from echelon.kv import Kv
from echelon.kv.opening import open_configured

TOKEN: Final = "ECHELON_KV_TOKEN"  # noqa: S105 - the name of a variable


def configured(arguments: Arguments) -> KvConfig:
    """Return the store that the options of a command mean, or else that of the project; raises ConfigError."""
    where, token = arguments.store, arguments.token
    if where is not None and token is None and where.lower().startswith("http"):
        token = os.environ.get(TOKEN)
    max_value = getattr(arguments, "max_value", None)  # only what writes takes one
    return find(where, token=token, format=arguments.format, max_value=max_value)


def find(where: str | None, **options: str | None) -> KvConfig:
    """Return the store in a file or at a URL, or else that of the project; options that are None stay as they are."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if where is not None:
        given["url" if "://" in where else "path"] = where
    return replace(KvConfig() if where is not None else Config.load().kv, **given)


def show(config: KvConfig) -> str:
    """Return where a store is, without the password of its URL."""
    return StoreUrl().show(config.url).strip('"') if config.url else str(config.path)


@asynccontextmanager
async def open_store(arguments: Arguments, *, make: bool = False) -> AsyncIterator[Kv]:
    """Open the store that is meant; only a command that writes makes a new file. Raises Usage."""
    config = configured(arguments)
    if not config.url:
        _check_file(arguments, config, make=make)
    async with open_configured(config) as kv:
        yield kv


def _check_file(arguments: Arguments, config: KvConfig, *, make: bool) -> None:
    path = config.path
    if path.exists():
        return
    shown = path if arguments.store is None else Path(arguments.store)
    if not make:
        hint = "; name another with --store WHERE" if arguments.store is None else ""
        raise Usage(f"there is no store {shown}{hint}")
    if arguments.store is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.parent.is_dir():
        raise Usage(f"there is no folder {shown.parent} to make the store {shown.name} in")
