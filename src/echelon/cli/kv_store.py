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
from echelon.kv import Kv
from echelon.kv.opening import open_configured

TOKEN: Final = "ECHELON_KV_TOKEN"  # noqa: S105 - the name of a variable


def configured(arguments: Arguments) -> KvConfig:
    """Return the store that the options mean, or else that of the project; raises ConfigError."""
    where, token = arguments.store, arguments.token
    given: dict[str, Any] = {}
    if where is not None and "://" in where:
        given["url"] = where
        if token is None and where.lower().startswith("http"):
            token = os.environ.get(TOKEN)
    elif where is not None:
        given["path"] = where
    options = {
        "token": token,
        "format": arguments.format,
        "max_value": getattr(arguments, "max_value", None),  # only what writes takes one
    }
    given |= {name: value for name, value in options.items() if value is not None}
    return replace(KvConfig() if where is not None else Config.load().kv, **given)


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
