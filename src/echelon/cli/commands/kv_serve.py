"""`echelon kv serve`: let other programs use a store over KV Connect."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import signal
import ssl
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from echelon.cli.kv_store import find, show
from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import INTERRUPTED, OK
from echelon.cli.terminal import Terminal
from echelon.config import KvConfig
from echelon.errors import ConfigError, MissingExtra
from echelon.kv.connect.access import Access
from echelon.kv.connect.server import Service
from echelon.kv.opening import open_configured

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4512
TOKEN: Final = "DENO_KV_ACCESS_TOKEN"  # noqa: S105 - the name of a variable, the one that Deno reads
TOKEN_BYTES: Final = 24


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    if importlib.util.find_spec("h2") is None:
        raise MissingExtra("h2", "connect")
    loop = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_serve(arguments, terminal))


async def _serve(arguments: Arguments, terminal: Terminal) -> int:
    from echelon.kv.connect.listener import Listener  # needs what is optional

    config = _store(arguments)
    shown = show(config) if config.url or arguments.path is None else arguments.path
    token = arguments.token or os.environ.get(TOKEN)
    made = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        access = Access(token or made)
    except ConfigError as exc:
        raise Usage(f"--token: {exc}") from None
    host, port, tls = arguments.host or DEFAULT_HOST, _port(arguments.port), _certificate(arguments)
    async with open_configured(config) as kv:
        listener = await Listener.open(Service(lambda: kv.backend, access), host, port, tls=tls)
        name = f"[{host}]" if ":" in host else host
        url = f"{listener.scheme}://{name}:{listener.port}"
        terminal.note(f"Serving {shown} on {terminal.paint(url, 'bold')} (KV Connect); Ctrl-C stops it")
        if not token:
            terminal.note(f"Access token, made for this run: {terminal.paint(made, 'bold')}")
        if tls is None and not _is_local(host):
            terminal.note("The token and the data travel unencrypted: use --tls-cert, or a proxy with TLS.")
        terminal.err.flush()
        try:
            return await _wait()
        finally:
            await listener.close()


async def _wait() -> int:
    """Wait for a signal; return the exit status that it means."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    with suppress(NotImplementedError):  # a loop without signals, on Windows
        loop.add_signal_handler(signal.SIGTERM, end, OK)
        loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
    return await ended


def _store(arguments: Arguments) -> KvConfig:
    """Return which store is meant, and how it is opened; raises Usage."""
    config = find(arguments.path, format=arguments.format)
    if arguments.path is None and not config.url:
        config.path.parent.mkdir(parents=True, exist_ok=True)
    elif not config.url and not config.path.parent.is_dir():
        path = Path(arguments.path)
        raise Usage(f"there is no folder {path.parent} to make the store {path.name} in")
    return config


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or int(text) > 65535:
        raise Usage(f"--port: {text!r} is not a number from 0 to 65535")
    return int(text)


def _certificate(arguments: Arguments) -> ssl.SSLContext | None:
    if arguments.tls_cert is None and arguments.tls_key is None:
        return None
    if arguments.tls_cert is None or arguments.tls_key is None:
        raise Usage("TLS needs both --tls-cert and --tls-key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    except (ssl.SSLError, OSError) as exc:
        files = f"{arguments.tls_cert} and {arguments.tls_key}"
        raise Usage(f"{files} are not a certificate and its key: {exc}") from None
    return context


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
