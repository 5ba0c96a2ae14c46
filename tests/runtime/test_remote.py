"""Modules by URL, from a real server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import ConfigError, LoadError, PermissionDenied
from echelon.runtime.core import Runtime, RuntimeSettings

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'


@pytest.fixture
def site(wat: Callable[[str], bytes]) -> Iterator[str]:
    """Serve a module, its source, a redirect to it, and things that are neither."""
    pages = {
        "/add.wasm": wat(ADD),
        "/add.wat": ADD.encode(),
        "/noise.wat": b"\xff\xfe",
        "/add.cobol": b"ADD A TO B",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = {"/old": "/add.wasm", "/away": "http://localhost:1/x.wasm"}.get(self.path)
            body = pages.get(self.path, b"")
            self.send_response(302 if moved else 200 if body else 404)
            if moved:
                self.send_header("location", moved)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(code_directory: Path) -> RuntimeSettings:
    return RuntimeSettings(instances=4, cache=code_directory, hosts=("127.0.0.1",))


async def test_modules_and_sources(settings: RuntimeSettings, site: str) -> None:
    """A module, a source and a redirect to either are loaded, named after the URL."""
    async with Runtime(settings) as runtime:
        for path in ("/add.wasm", "/add.wat", "/old"):
            module = await runtime.load(site + path)
            assert await module.call("add", 20, 22) == 42
            assert module.name in ("add", "old")


async def test_integrity(settings: RuntimeSettings, site: str) -> None:
    """A digest is checked before the module is used, and recorded always."""
    async with Runtime(settings) as runtime:
        module = await runtime.load(f"{site}/add.wasm")
        again = await runtime.load(f"{site}/add.wasm", sha256=module.digest)
        assert again.digest == module.digest
        with pytest.raises(LoadError, match="as required"):
            await runtime.load(f"{site}/add.wasm", sha256="0" * 64)


async def test_only_from_named_hosts(settings: RuntimeSettings, site: str) -> None:
    """Without its host in the settings nothing is fetched, and the error says what to add; redirects count, too."""
    async with Runtime(replace(settings, hosts=())) as runtime:
        with pytest.raises(
            PermissionDenied, match=r'grant it with \[wasm\] hosts = \["127\.0\.0\.1"\]'
        ) as caught:
            await runtime.load(f"{site}/add.wasm")
        assert caught.value.permission == "import"
    async with Runtime(settings) as runtime:
        with pytest.raises(PermissionDenied, match="localhost:1"):
            await runtime.load(f"{site}/away")


async def test_a_private_address_must_be_named(settings: RuntimeSettings, site: str) -> None:
    """A granted name that leads to this machine is refused unless the address itself is granted."""
    async with Runtime(replace(settings, hosts=("localhost",))) as runtime:
        with pytest.raises(PermissionDenied):
            await runtime.load(site.replace("127.0.0.1", "localhost") + "/add.wasm")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/missing.wasm", LoadError, "status 404"),
        ("/noise.wat", LoadError, "neither a module nor source text"),
        ("/add.cobol", ConfigError, "language"),
    ],
)
async def test_what_is_not_there(
    settings: RuntimeSettings, site: str, path: str, error: type[Exception], message: str
) -> None:
    """A missing file, noise and an unknown language are clear errors."""
    async with Runtime(settings) as runtime:
        with pytest.raises(error, match=message):
            await runtime.load(site + path)


async def test_bad_urls(settings: RuntimeSettings) -> None:
    """A URL that cannot be one, and a server that is not there."""
    async with Runtime(settings) as runtime:
        with pytest.raises(LoadError, match="cannot be loaded"):
            await runtime.load("http://user:secret@127.0.0.1/x.wasm")
        with pytest.raises(LoadError, match="failed"):
            await runtime.load("http://127.0.0.1:9/x.wasm")
