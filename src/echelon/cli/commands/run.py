"""`echelon run`: serve an application."""

from __future__ import annotations

import os
import secrets
import signal
from types import FrameType
from typing import Final

from echelon.cli.parser import Arguments, Command
from echelon.cli.status import INTERRUPTED
from echelon.cli.target import environment, find_target
from echelon.cli.terminal import Terminal
from echelon.config import Config
from echelon.http.server import serve

TOKEN: Final = "console.token"  # noqa: S105 - the name of a setting
TOKEN_BYTES: Final = 24


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    target = find_target(arguments.target, "echelon run {}")
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
    os.environ.update(environment(config, arguments.config))
    interrupted: list[bool] = []

    def on_start(url: str) -> None:
        _watch_interrupt(interrupted)
        _announce(url, target, config, made, terminal)

    status = serve(target, config.server, on_start=on_start, not_watched=(config.state,))
    return INTERRUPTED if interrupted and status == 0 else status


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
