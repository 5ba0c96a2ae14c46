"""The control API across restarts and worker processes, and over a real socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from control_client import FIB, TOKEN, V1, check_problem, make_app, running, wat_constant

from echelon.http.testing import LiveServer

MAIN = """
import os
from echelon import Application

app = Application()


@app.get("/pid")
async def pid() -> int:
    return os.getpid()
"""


async def test_a_restart_keeps_modules_and_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second start serves a stored module from its file and the native code on disk."""
    async with running(make_app(tmp_path)) as api:
        stored = (await api.store(FIB, "fib", language="typescript", limits={"time": 0.5})).json()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something was compiled")

    monkeypatch.setattr("echelon.plugin.generator.Generator.compile", refuse)
    monkeypatch.setattr("echelon.runtime.compile_process.NativeCompiler.compile", refuse)
    async with running(make_app(tmp_path)) as api:
        shown = (await api.get("/modules/fib")).json()
        assert (shown["id"], shown["limits"], shown["exports"]) == (
            stored["id"], stored["limits"], stored["exports"],
        )  # fmt: skip
        assert (await api.call("fib", "fib", 20)).json()["value"] == 6765


async def test_a_restart_finds_what_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that was run before the restart is not compiled again after it."""
    async with running(make_app(tmp_path)) as api:
        await api.run(FIB, "fib", 1)
    monkeypatch.setattr("echelon.runtime.compile_process.NativeCompiler.compile", None)
    async with running(make_app(tmp_path)) as api:
        answer = (await api.run(FIB, "fib", 20)).json()
        assert (answer["value"], answer["cached"]) == (6765, True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The real server with two worker processes."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "main.py").write_text(MAIN)
    environment = {**os.environ, "ECHELON_TOKEN": TOKEN, "ECHELON_STATE": str(folder / "state")}
    with LiveServer("main.py", cwd=folder, env=environment, workers=2) as server:
        yield server


def connections(server: LiveServer) -> dict[int, httpx.Client]:
    """One open connection to each worker, by its process."""
    found: dict[int, httpx.Client] = {}
    for _ in range(200):
        client = httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=30)
        pid = client.get("/pid").json()
        if pid in found:
            client.close()
        else:
            found[pid] = client
        if len(found) == 2:
            break
    return found


@pytest.fixture
def workers(server: LiveServer) -> Iterator[list[httpx.Client]]:
    """A client for each of the two workers."""
    found = connections(server)
    yield list(found.values())
    for client in found.values():
        client.close()


def test_workers_share_their_modules(workers: list[httpx.Client]) -> None:
    """What one worker stores, replaces or deletes is so for the other at once."""
    one, two = workers
    for number in (1, 2, 3):
        body = {"name": "shared", "language": "wat", "source": wat_constant(number)}
        assert one.post(f"{V1}/modules", json=body).status_code == 201
        for client in (two, one):
            answer = client.post(f"{V1}/modules/shared/call", json={"function": "get"})
            assert answer.json()["value"] == number, answer.text
        one, two = two, one
    assert [module["name"] for module in two.get(f"{V1}/modules").json()["modules"]] == ["shared"]
    assert one.delete(f"{V1}/modules/shared").status_code == 204
    for client in (two, one):
        check_problem(client.post(f"{V1}/modules/shared/call", json={"function": "get"}), "not-found", 404)


def test_run_over_a_socket(workers: list[httpx.Client]) -> None:
    """A TypeScript source is compiled once for all workers."""
    body = {"language": "typescript", "source": FIB, "function": "fib", "args": [20]}
    answers = [client.post(f"{V1}/run", json=body).json() for client in workers]
    assert [answer["value"] for answer in answers] == [6765, 6765]
    assert [answer["cached"] for answer in answers] == [False, True]


def test_problems_over_a_socket(workers: list[httpx.Client]) -> None:
    """Problem documents arrive over the real server as they do in process."""
    client = workers[0]
    body = {"language": "typescript", "source": "export function f(): i32 { return nope }", "function": "f"}
    document = check_problem(client.post(f"{V1}/run", json=body), "compile-error", 422)
    assert document["diagnostics"][0]["line"] == 1
    unauthorized = client.get(f"{V1}/modules", headers={"authorization": "Bearer wrong"})
    check_problem(unauthorized, "unauthorized", 401)
    for path in ("health", "ready", "metrics"):
        assert client.get(f"/_echelon/{path}").status_code == 200


def test_a_long_guest_does_not_stop_the_others(workers: list[httpx.Client]) -> None:
    """A guest without end is cut at its limit."""
    source = '(module (func (export "spin") (loop $l (br $l))))'
    body = {"language": "wat", "source": source, "function": "spin", "limits": {"time": "200ms"}}
    check_problem(workers[0].post(f"{V1}/run", json=body), "deadline-exceeded", 422)
