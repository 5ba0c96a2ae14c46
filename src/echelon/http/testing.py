"""Testing applications: in-process through ASGI, and for real on a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from echelon.errors import EchelonError, MissingExtra
from echelon.http.lifespan import Lifespan
from echelon.types import ASGIApp

if TYPE_CHECKING:
    import httpx

START_TIME = 30.0
STOP_TIME = 15.0
"""Seconds a live server has to start and to stop."""

_CHILD = "import sys; from echelon.http.testing import _serve; _serve(*sys.argv[1:])"


class TestClient:
    """Run an application in this process: `async with TestClient(app) as client: await client.get("/")`.

    Startup and shutdown of the application run around it; a failed startup raises LifespanFailed.
    `http` is the httpx.AsyncClient below. Needs httpx.
    """

    __test__ = False  # the name would make pytest collect it

    def __init__(self, app: ASGIApp, *, base_url: str = "http://testserver", **options: Any) -> None:
        try:
            import httpx
        except ImportError as exc:
            raise MissingExtra("httpx", "dev") from exc
        self._lifespan = Lifespan(app)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000)),
            base_url=base_url,
            **options,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._lifespan.startup()
        except BaseException:
            await self.http.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.http.aclose()
        finally:
            await self._lifespan.shutdown()

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request; options are those of httpx."""
        return await self.http.request(method, url, **options)

    async def get(self, url: str, **options: Any) -> httpx.Response:
        """Send a GET request; options are those of httpx."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        """Send a POST request; options are those of httpx."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> httpx.Response:
        """Send a PUT request; options are those of httpx."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Any) -> httpx.Response:
        """Send a PATCH request; options are those of httpx."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Any) -> httpx.Response:
        """Send a DELETE request; options are those of httpx."""
        return await self.request("DELETE", url, **options)

    async def head(self, url: str, **options: Any) -> httpx.Response:
        """Send a HEAD request; options are those of httpx."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Any) -> httpx.Response:
        """Send an OPTIONS request; options are those of httpx."""
        return await self.request("OPTIONS", url, **options)


class ServerStopped(EchelonError):
    """A live server ended before it answered; the message is what it printed, `status` its exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class LiveServer:
    """Run the real server in a process of its own: `with LiveServer("main.py") as server: server.url`.

    Settings are those of the `[server]` section. Raises ServerStopped when it does not come up.
    """

    def __init__(
        self,
        target: str,
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.port: int = settings.setdefault("port", 0) or free_port()
        self.url = f"{'https' if settings.get('tls_certificate') else 'http'}://127.0.0.1:{self.port}"
        settings = {**settings, "port": self.port}
        self._arguments = [sys.executable, "-c", _CHILD, target, json.dumps(settings, default=str)]
        self._cwd = cwd
        self._env = {**os.environ, **(env or {})}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._arguments,
            cwd=self._cwd,
            env=self._env,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIME
        while not self._answers():
            status = self.process.poll()
            if status is not None or time.monotonic() > deadline:
                text = self.output()
                self.stop()
                raise ServerStopped(text, -1 if status is None else status)
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def output(self) -> str:
        """Return what the server has printed so far."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def stop(self) -> int:
        """Stop the server as a terminal would; return its exit status. Stopping twice is a no-op."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._output.close()
        self.process = None
        return process.returncode

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(target: str, settings: str) -> None:
    """Be the process that LiveServer starts."""
    from echelon.config import ServerConfig
    from echelon.http.server import fail, serve

    try:
        status = serve(target, ServerConfig(**json.loads(settings)))
    except EchelonError as exc:
        fail(exc)
    sys.exit(status)
