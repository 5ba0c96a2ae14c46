"""The server: Granian, speaking RSGI, with one process for each worker.

Granian runs handlers as regular asyncio tasks here (`task_impl="asyncio"`). Its own task type, which exists
below Python 3.12 only, saves about 2 µs a request, but its tasks cannot be cancelled and share one context,
so `asyncio.timeout`, `TaskGroup` and context variables (trace ids) would be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from echelon.errors import ConfigError, MissingExtra
from echelon.http.loading import load_app, source_folder

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from echelon.config import ServerConfig

log = logging.getLogger("echelon.http")

MAX_CONNECTIONS = 16_384
"""Connections one worker holds; above it new ones wait in the backlog."""
STOP_TIME = 5
"""Seconds that a worker has to stop after its requests and its jobs have had theirs; then it is killed."""
NOT_WATCHED = (".echelon", ".venv", "venv", "dist", "build", ".ruff_cache")


def serve(
    target: str,
    config: ServerConfig,
    *,
    on_start: Callable[[str], None] | None = None,
    not_watched: Sequence[Path] = (),
) -> int:
    """Serve "main.py", "module:app" or "main.py:app" until a signal; return the exit status.

    `on_start` gets the URL once the port is bound. Every worker imports the application by itself; one
    that cannot load or start ends the server with status 1 after its one-line message on standard error.
    Raises ConfigError for a port, address or certificate that cannot be used, MissingExtra for reload.
    """
    if config.reload and importlib.util.find_spec("watchfiles") is None:
        raise MissingExtra("watchfiles", "reload")
    certificate = _certificate(config)
    port = claim_port(config.host, config.port)
    server = _granian(target, config, port, certificate, not_watched)
    if on_start is not None:
        host = f"[{config.host}]" if ":" in config.host else config.host
        url = f"{'https' if certificate else 'http'}://{host}:{port}"
        server.on_startup(partial(on_start, url))
    try:
        server.serve(target_loader=partial(load_worker, target, config.shutdown_time), wrap_loader=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _granian(
    target: str,
    config: ServerConfig,
    port: int,
    certificate: tuple[Path, Path] | None,
    not_watched: Sequence[Path],
) -> Any:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols, TaskImpl
    from granian.log import LogLevels

    uvloop = importlib.util.find_spec("uvloop") is not None
    return Granian(
        target,
        address=config.host,
        port=port,
        interface=Interfaces.RSGI,
        workers=config.workers,
        loop=Loops.uvloop if uvloop else Loops.asyncio,
        task_impl=TaskImpl.asyncio,
        http=HTTPModes(config.http),
        websockets=True,  # so that a handshake gets a plain refusal from the adapter
        backlog=config.backlog,
        backpressure=MAX_CONNECTIONS,
        log_level=LogLevels.warning,
        log_dictconfig=_log_settings(),
        log_access=config.access_log,
        ssl_cert=certificate[0] if certificate else None,
        ssl_key=certificate[1] if certificate else None,
        ssl_protocol_min=SSLProtocols.tls12,
        workers_kill_timeout=2 * max(1, round(config.shutdown_time)) + STOP_TIME,
        reload=config.reload,
        reload_paths=list(config.reload_dirs) or [source_folder(target)],
        reload_ignore_dirs=NOT_WATCHED,
        reload_ignore_paths=[path.resolve() for path in not_watched],
        reload_ignore_worker_failure=True,
    )


def claim_port(host: str, port: int) -> int:
    """Return the port to listen on, a free one for 0; raises ConfigError when it cannot be had.

    Granian's listeners share a port with any other of the same user, so it would not notice a second server.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as exc:
        raise ConfigError(f"{host!r} is not an address to listen on: {exc}", key="server.host") from exc
    with socket.socket(family, kind, protocol) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as exc:
            raise ConfigError(_why_not(exc, host, port), key="server.port") from exc
        return int(probe.getsockname()[1])


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; choose another with --port (server.port)"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this process has; choose one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another with --host (server.host)"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def _certificate(config: ServerConfig) -> tuple[Path, Path] | None:
    certificate, key_file = config.tls_certificate, config.tls_key
    if certificate is None or key_file is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key_file)
    except (ssl.SSLError, OSError) as exc:
        raise ConfigError(
            f"{certificate} and {key_file} are not a certificate and its key: {exc}",
            key="server.tls_certificate",
        ) from exc
    return certificate, key_file


def load_worker(target: str, shutdown_time: float) -> Worker:
    """Load the application in a worker process; a failure ends the process with its one-line message."""
    try:
        return Worker(load_app(target), shutdown_time)
    except Exception as exc:
        fail(exc)


class Worker:
    """What Granian holds in a worker process: the application, with failures turned into an exit status."""

    def __init__(self, app: Any, shutdown_time: float) -> None:
        self._app = app
        self._shutdown_time = shutdown_time
        self.__rsgi__ = app.__rsgi__

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        """Start the application before the first request."""
        self._bound_shutdown(loop)
        try:
            self._app.__rsgi_init__(loop)
        except Exception as exc:
            log.debug("startup failed", exc_info=exc)
            fail(exc)

    def _bound_shutdown(self, loop: AbstractEventLoop) -> None:
        """Cut off requests that outlast `shutdown_time`; Granian alone would wait for them without end."""

        def cut() -> None:
            tasks = [task for task in asyncio.all_tasks(loop) if _is_request(task)]
            if tasks:
                log.warning("%d requests were cut off at shutdown", len(tasks))
            for task in tasks:
                task.cancel()

        def stop() -> None:
            loop.call_later(self._shutdown_time, cut)
            # Granian's own handler, which this one replaces, is still there for the other signal.
            signal.raise_signal(signal.SIGINT)

        with contextlib.suppress(NotImplementedError):  # a loop without signals, on Windows
            loop.add_signal_handler(signal.SIGTERM, stop)

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        """Stop the application after the last request."""
        try:
            self._app.__rsgi_del__(loop)
        except Exception as exc:
            log.error("shutdown failed", exc_info=exc)


def _is_request(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == "future_watcher"  # Granian's name for it


def fail(error: Exception) -> NoReturn:
    """Print an error in one line and end the process with status 1."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"echelon: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1) from error


def _log_settings() -> dict[str, Any]:
    """Return logging settings that leave standard output alone and configure Granian's loggers only."""
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(message)s"}, "server": {"format": "server: %(message)s"}},
        "handlers": {
            "server": {**handler, "formatter": "server"},
            "access": {**handler, "formatter": "plain"},
        },
        "loggers": {
            "_granian": {"handlers": ["server"], "level": "WARNING", "propagate": False},
            "granian.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        },
    }
