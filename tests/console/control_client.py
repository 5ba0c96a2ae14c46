"""Applications with a control API, and a client that speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from echelon.app import Application
from echelon.config import Config
from echelon.http.testing import TestClient

TOKEN = "a-token-that-nobody-guesses"
V1 = "/_echelon/v1"
FIB = "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }"
ADD = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'


def wat_constant(number: int) -> str:
    """A module whose function `get` returns that number: each number is a module of its own."""
    return f'(module (func (export "get") (result i32) (i32.const {number})))'


def make_app(state: Path, token: str = TOKEN, **settings: Any) -> Application:
    """An application with that state; settings are dotted keys with "__" for the dot."""
    values = {"state": state, "console.token": token, "telemetry.logs": "none"}
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    return Application(config=Config().replace(values))


class Api:
    """The control API of one running application, called as a client would."""

    def __init__(self, client: TestClient, app: Application) -> None:
        self.client = client
        self.app = app

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(V1 + path)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.client.post(V1 + path, json=body, **options)

    async def delete(self, path: str) -> httpx.Response:
        return await self.client.delete(V1 + path)

    async def run(self, source: Any, function: str | None = None, *args: Any, **body: Any) -> httpx.Response:
        """POST run; the language is TypeScript unless the body says otherwise."""
        return await self.post(
            "/run", _call({"language": "typescript", "source": source}, function, args, body)
        )

    async def wat(self, source: str, function: str | None = None, *args: Any, **body: Any) -> httpx.Response:
        """POST run of a module in text form."""
        return await self.run(source, function, *args, language="wat", **body)

    async def store(self, source: Any, name: str | None = None, **body: Any) -> httpx.Response:
        """POST modules; the language is WAT unless the body says otherwise."""
        named = {} if name is None else {"name": name}
        return await self.post("/modules", {"language": "wat", "source": source, **named, **body})

    async def call(self, ref: str, function: str | None = None, *args: Any, **body: Any) -> httpx.Response:
        """POST modules/{ref}/call."""
        return await self.post(f"/modules/{ref}/call", _call({}, function, args, body))


@asynccontextmanager
async def running(app: Application, token: str | None = TOKEN) -> AsyncIterator[Api]:
    """Run an application in this process; its client presents the token unless that is None."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with TestClient(app, headers=headers) as client:
        yield Api(client, app)


def check_problem(response: httpx.Response, kind: str, status: int) -> dict[str, Any]:
    """Check that a response is the problem document of that type and status, and return it."""
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["type"]) == (status, f"urn:echelon:{kind}"), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def _call(
    start: dict[str, Any], function: str | None, args: tuple[Any, ...], body: dict[str, Any]
) -> dict[str, Any]:
    named = {} if function is None else {"function": function}
    return {**start, **named, "args": list(args), **body}
