"""A real HTTP server for the tests of requests: each path answers in its own way."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Origin:
    """Where the server listens, and what it was asked."""

    port: int = 0
    requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)

    def headers(self, index: int = -1) -> dict[str, str]:
        return dict(self.requests[index][2])


def _answer(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path == "/to":
        first = f"HTTP/1.1 {query.get('status', '302')} Found"
        return f"{first}\r\nlocation: {unquote(query['url'])}\r\ncontent-length: 0\r\n\r\n".encode()
    if parts.path == "/loop":
        return b"HTTP/1.1 302 Found\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n"
    if parts.path == "/bytes":
        size = int(query["n"])
        return f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + b"x" * size
    if parts.path == "/chunked":
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    if parts.path == "/many":
        many = "".join(f"x-{n}: {n}\r\n" for n in range(int(query["n"])))
        return f"HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n".encode()
    if parts.path == "/huge-header":
        return b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\ncontent-length: 0\r\n\r\n"
    if parts.path == "/cut":
        return b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"
    if parts.path == "/garbage":
        return b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
    if parts.path == "/cookies":
        return b"HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok"
    content = json.dumps(
        {"method": method, "target": target, "headers": dict(headers), "body": body.decode("latin-1")}
    ).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
        + content
    )


@asynccontextmanager
async def serve(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """Serve on a free port."""
    origin = Origin()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines]
            body = await reader.readexactly(int(dict(headers).get("content-length", 0)))
            origin.requests.append((method, target, headers, body))
            if target == "/never":
                await reader.read()
            else:
                writer.write(_answer(method, target, headers, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    origin.port = server.sockets[0].getsockname()[1]
    async with server:
        yield origin
