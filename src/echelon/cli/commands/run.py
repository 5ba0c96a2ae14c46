"""`echelon run`: serve an application."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import INTERRUPTED
from echelon.cli.terminal import Terminal
from echelon.config import Config, settings
from echelon.config.layers import to_environment
from echelon.http.loading import split_target
from echelon.http.server import serve

DEFAULT_TARGETS: Final = ("main.py", "app.py")
TOKEN: Final = "console.token"  # noqa: S105 - the name of a setting
TOKEN_BYTES: Final = 24


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    target = _target(arguments.target)
    config = Config.load(
        arguments.config,
        arguments={
            "server.host": arguments.host,
            "server.port": arguments.port,
            "server.workers": arguments.workers,
            "server.reload": arguments.reload or None,
        },
    )
    made = config.console.enabled and not config.console.token
    if made:
        config = config.replace({TOKEN: secrets.token_urlsafe(TOKEN_BYTES)})
    os.environ.update(_environment(config, arguments.config))
    interrupted: list[bool] = []

    def on_start(url: str) -> None:
        _watch_interrupt(interrupted)
        _announce(url, target, config, made, terminal)

    status = serve(target, config.server, on_start=on_start, not_watched=(config.state,))
    return INTERRUPTED if interrupted and status == 0 else status


def _target(given: str | None) -> str:
    """Return what to serve; raises Usage when it is not there."""
    if given is None:
        found = next((name for name in DEFAULT_TARGETS if Path(name).is_file()), None)
        if found is None:
            raise Usage("there is no main.py or app.py here; name the application: echelon run FILE")
        return found
    place, _ = split_target(given)
    if place.endswith(".py") or "/" in place:
        if Path(place).is_dir():
            raise Usage(f"{place} is a folder; name a file in it: echelon run {place.rstrip('/')}/main.py")
        if not Path(place).is_file():
            raise Usage(f"there is no file {place}")
    elif not _is_module(place):
        raise Usage(f"there is no file or module {place}; name a file such as main.py, or module:app")
    return given


def _is_module(name: str) -> bool:
    """Tell whether the first part of a dotted name can be imported from the working directory."""
    first = name.partition(".")[0]
    if (Path(first) / "__init__.py").is_file() or Path(f"{first}.py").is_file() or Path(first).is_dir():
        return True
    try:
        return importlib.util.find_spec(first) is not None
    except (ImportError, ValueError):
        return False


def _environment(config: Config, file: str | None) -> Mapping[str, str]:
    """Return the variables by which the worker processes find the same configuration.

    They read ./echelon.toml themselves, so what another file says is handed over whole.
    """
    if file is None:
        return config.environ()
    known: dict[str, Any] = {
        key: origin for key, origin in config.origins().items() if origin.value is not None
    }
    absent = {key for key in settings() if key not in known and key.startswith("server.tls_")}
    return to_environment(known) | {f"ECHELON_{key.upper().replace('.', '_')}": "" for key in absent}


def _watch_interrupt(seen: list[bool]) -> None:
    """Remember that Ctrl-C ended the server; the server's own handler goes on to stop it."""
    handler = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(True)
        if callable(handler):
            handler(number, frame)

    signal.signal(signal.SIGINT, note)


def _announce(url: str, target: str, config: Config, made: bool, terminal: Terminal) -> None:
    workers = f"{config.server.workers} worker{'' if config.server.workers == 1 else 's'}"
    reload = ", starts again on changes" if config.server.reload else ""
    terminal.note(f"Serving {target} on {terminal.paint(url, 'bold')} ({workers}{reload}); Ctrl-C stops it")
    if made:
        token = config.console.token.reveal()
        terminal.note(f"Token of the control API, made for this run: {terminal.paint(token, 'bold')}")
        terminal.note(f'Try: curl -H "Authorization: Bearer {token}" {url}/_echelon/v1/modules')
    terminal.err.flush()
