"""The token, and what is told without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from control_client import ADD, TOKEN, V1, Api, check_problem, make_app, running

from echelon.app import Application
from echelon.config import Config
from echelon.errors import HTTPError
from echelon.http.testing import TestClient
from echelon.runtime.lifecycle import Phase
from echelon.runtime.module import State

ROUTES = [
    ("GET", "/modules"),
    ("POST", "/modules"),
    ("GET", "/modules/x"),
    ("DELETE", "/modules/x"),
    ("POST", "/modules/x/call"),
    ("POST", "/run"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_every_route_wants_the_token(api: Api, method: str, path: str, given: str | None) -> None:
    """Nothing is answered without the exact token, and nothing of the request is looked at before."""
    headers = {"authorization": ""} if given is None else {"authorization": given}
    response = await api.client.request(method, V1 + path, headers=headers, content=b"not JSON")
    check_problem(response, "unauthorized", 401)
    assert response.headers["www-authenticate"].startswith('Bearer realm="echelon"')


@pytest.mark.asyncio(loop_scope="module")
async def test_two_authorizations_are_none(api: Api) -> None:
    """Two Authorization headers are not a way around a proxy that looks at one of them."""
    headers = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")]
    api.client.http.headers.pop("authorization")
    try:
        check_problem(await api.client.request("GET", f"{V1}/modules", headers=headers), "unauthorized", 401)
    finally:
        api.client.http.headers["authorization"] = f"Bearer {TOKEN}"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.asyncio(loop_scope="module")
async def test_the_scheme_has_no_case(api: Api, scheme: str) -> None:
    """The name of the scheme is compared without case, as HTTP wants it."""
    response = await api.client.get(f"{V1}/modules", headers={"authorization": f"{scheme} {TOKEN}"})
    assert response.status_code == 200


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_token_it_is_off(tmp_path: Path, method: str, path: str) -> None:
    """An application without a token serves no control API, and says how to turn it on."""
    async with running(make_app(tmp_path, token="")) as api:
        document = check_problem(await api.client.request(method, V1 + path), "not-found", 404)
        assert "ECHELON_TOKEN" in document["detail"]
        assert not (tmp_path / "modules").exists()


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    """With console.enabled false a token does not help."""
    async with running(make_app(tmp_path, console__enabled=False)) as api:
        assert "console.enabled" in check_problem(await api.get("/modules"), "not-found", 404)["detail"]


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_kept_by_caches(api: Api) -> None:
    """Every answer, errors included, says that it must not be stored."""
    for path in (
        f"{V1}/modules",
        f"{V1}/modules/x",
        "/_echelon/health",
        "/_echelon/ready",
        "/_echelon/metrics",
    ):
        assert (await api.client.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.asyncio(loop_scope="module")
async def test_methods(api: Api) -> None:
    """Other methods are refused with those that are allowed."""
    response = await api.client.put(f"{V1}/modules/x", json={})
    check_problem(response, "method-not-allowed", 405)
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_handlers_of_the_application_do_not_interfere(tmp_path: Path) -> None:
    """An application that answers every error itself leaves those of the control API alone."""
    app = make_app(tmp_path)

    @app.on_error(Exception)
    async def mine(request: Any, error: Exception) -> str:
        return "mine"

    @app.on_error(404)
    async def not_found(request: Any, error: HTTPError) -> str:
        return "mine too"

    async with running(app) as api:
        check_problem(await api.get("/modules/x"), "not-found", 404)
        check_problem(await api.wat(ADD, "add", 1), "bad-request", 400)
        assert (await api.client.get("/elsewhere")).text == "mine too"


async def test_names_of_routes_are_free(tmp_path: Path) -> None:
    """Routes of an application may have the names of the console's."""
    app = make_app(tmp_path)

    @app.get("/my-health")
    async def health() -> str:
        return "mine"

    @app.get("/run")
    async def run() -> str:
        return "mine"

    assert app.url_for("health") == "/my-health"
    assert app.url_for("run") == "/run"
    assert app.url_for("echelon.health") == "/_echelon/health"


# health, readiness, metrics ----------------------------------------------------------------------------------


async def test_health_needs_no_token(tmp_path: Path) -> None:
    """Health and readiness are told to everybody, and tell nothing else."""
    async with running(make_app(tmp_path, token=""), None) as api:
        health = await api.client.get("/_echelon/health")
        assert (health.status_code, health.json()) == (200, {"status": "ok"})
        ready = await api.client.get("/_echelon/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        head = await api.client.head("/_echelon/health")
        assert (head.status_code, head.content) == (200, b"")


async def test_not_ready_before_everything_runs(tmp_path: Path) -> None:
    """While a component or a declared module is not there, readiness is 503 and names it."""
    app = make_app(tmp_path)
    (tmp_path / "add.wat").write_text(ADD)
    module = app.wasm.module(tmp_path / "add.wat")
    async with running(app) as api:
        assert (await api.client.get("/_echelon/ready")).status_code == 200
        module.state = State.FAILED
        document = check_problem(await api.client.get("/_echelon/ready"), "not-ready", 503)
        assert (document["modules"], document["components"]) == ({"add": "failed"}, {})
        module.state = State.READY
        app.lifecycle.phase = Phase.STOPPING
        response = await api.client.get("/_echelon/ready")
        assert "stopping" in check_problem(response, "not-ready", 503)["detail"]
        assert response.headers["retry-after"] == "1"
        app.lifecycle.phase = Phase.RUNNING


async def test_not_ready_before_the_start(tmp_path: Path) -> None:
    """An application that was not started answers that it is stopped."""
    client = TestClient(make_app(tmp_path))
    try:
        document = check_problem(await client.get("/_echelon/ready"), "not-ready", 503)
        assert document["components"]["console"] == "stopped"
    finally:
        await client.http.aclose()


async def test_metrics_need_no_token(tmp_path: Path) -> None:
    """Metrics are Prometheus text and count what happened."""
    async with running(make_app(tmp_path)) as api:
        await api.wat(ADD, "add", 1, 2)
        response = await api.client.get("/_echelon/metrics", headers={"authorization": ""})
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'echelon_guest_calls_total{result="ok"} 1' in response.text
        assert 'route="/_echelon/v1/run"' in response.text


async def test_metrics_can_be_off(tmp_path: Path) -> None:
    """Without metrics the route says how to turn them on."""
    async with running(make_app(tmp_path, telemetry__metrics="none")) as api:
        response = await api.client.get("/_echelon/metrics")
        assert "telemetry.metrics" in check_problem(response, "not-found", 404)["detail"]


async def test_a_directory_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """A start that fails because of the modules' directory names the console."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules").chmod(0o777)
    app = Application(config=Config().replace({"state": tmp_path, "console.token": TOKEN}))
    with pytest.raises(Exception, match=r"console could not start.*chmod 700"):
        await app.startup()
