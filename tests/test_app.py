"""The application core: boots, serves and stops every component."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import echelon
from echelon import (
    Application,
    Config,
    EchelonError,
    HTTPError,
    Kv,
    Limits,
    Permissions,
    Request,
    Response,
    Runtime,
)
from echelon.errors import ConfigError, LoadError
from echelon.http.testing import TestClient
from echelon.runtime import native
from echelon.runtime.lifecycle import Lifecycle, Phase, StartError

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'

HELLO = """
import { http } from "echelon";
function answer(request: http.Request): http.Response {
  if (request.path == "/loop") while (true) {}
  if (request.path == "/trap") throw new Error("no");
  const agent = request.headers.has("x-who") ? request.headers.get("x-who") : "nobody";
  const seen = request.headers.has("cookie") ? " with cookie" : "";
  const response = http.text(request.method + " " + request.path + "?" + request.query + " by " + agent + seen
    + ": " + request.text(), request.path == "/made" ? 201 : 200);
  response.headers.set("x-guest", "yes");
  return response;
}
export function handle(raw: ArrayBuffer): ArrayBuffer { return http.serve(raw, answer) }
"""


@pytest.fixture
def config(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("ECHELON_HOME", str(home))
    return Config(state=tmp_path / "state").replace({"wasm.instances": 8, "telemetry.logs": "none"})


async def test_every_component_at_once(config: Config, tmp_path: Path) -> None:
    """Routes, the store, a declared module and metrics work together, and all of it stops."""
    (tmp_path / "add.wat").write_text(ADD)
    app = Application(config=config)
    math = app.wasm.module(tmp_path / "add.wat", limits=Limits(time="200ms"))

    @app.get("/add/{a:int}/{b:int}")
    async def add(a: int, b: int, kv: Kv) -> dict[str, Any]:
        total = await math.add(a, b)
        await kv.set(("sums", a, b), total)
        return {"sum": total}

    @app.get("/sums")
    async def sums(kv: Kv, wasm: Runtime) -> list[int]:
        return [entry.value async for entry in kv.list(prefix=("sums",))]

    @app.middleware
    async def tag(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-tag"] = "1"
        return response

    @app.on_error(404)
    async def missing(request: Request, error: HTTPError) -> Response:
        return Response("nothing here", 404)

    events: list[str] = []

    @app.on_start
    async def started() -> None:
        events.append("start")

    @app.on_stop
    async def stopped() -> None:
        assert not app.kv.closed
        events.append("stop")

    async with TestClient(app) as client:
        response = await client.get("/add/2/40")
        assert response.json() == {"sum": 42}
        assert response.headers["x-tag"] == "1"
        assert (await client.get("/sums")).json() == [42]
        assert (await client.get("/nope")).text == "nothing here"
        assert (await client.get("/add/2/99999999999")).status_code >= 400
        metrics = (await client.get("/_echelon/metrics")).text
        assert 'echelon_guest_calls_total{result="ok"}' in metrics
        assert (await client.get("/_echelon/ready")).status_code == 200
    assert events == ["start", "stop"]
    assert app.lifecycle.phase is Phase.STOPPED
    with pytest.raises(EchelonError, match="not started"):
        app.kv  # noqa: B018 - reading it is the test


async def test_without_a_server(config: Config) -> None:
    """An application is a context manager; it can be entered again."""
    app = Application(config=config)
    for n in range(2):
        async with app:
            await app.kv.set(("n", n), n)
            module = await app.wasm.load(native.load().wat2wasm(ADD))
            assert await module.call("add", n, 1) == n + 1
            artifact = await app.generator.compile(ADD, language="wat")
            assert artifact.digest == module.digest
            stored = await app.wasm.load(artifact.digest)
            assert await stored.call("add", 2, 3) == 5
            with pytest.raises(LoadError, match="no module is stored as sha256:00"):
                await app.wasm.load("sha256:" + "0" * 64)


async def test_a_component_that_cannot_start_is_named(config: Config, tmp_path: Path) -> None:
    """The error names the component, what ran before is stopped, and nothing after it was started."""
    (tmp_path / "file").write_text("x")
    app = Application(config=config.replace({"kv.path": str(tmp_path / "file" / "kv.db")}))
    with pytest.raises(StartError, match="the key-value store could not start"):
        await app.startup()
    phases = app.lifecycle.phases()
    assert phases["telemetry"] == "stopped"
    assert phases["key-value store"] == "failed"
    assert phases["WebAssembly runtime"] == "stopped"


async def test_a_module_that_cannot_be_loaded_is_named(config: Config, tmp_path: Path) -> None:
    """A declared module with an error stops the start with its file, line and column."""
    (tmp_path / "bad.wat").write_text("(module\n  (func (nonsense)))")
    app = Application(config=config)
    app.wasm.module(tmp_path / "bad.wat")
    with pytest.raises(StartError, match=r"bad\.wat:2:"):
        await app.startup()


async def test_a_guest_answers_http(config: Config, tmp_path: Path) -> None:
    """A mounted guest sees the request without credentials and answers it; its failures are plain 502 and 504."""
    (tmp_path / "hello.ts").write_text(HELLO)
    app = Application(config=config)
    app.mount("/hello", app.wasm.module(tmp_path / "hello.ts", limits=Limits(time="300ms")))
    async with TestClient(app) as client:
        headers = {"x-who": "ada", "cookie": "secret=1", "authorization": "Bearer x"}
        response = await client.post("/hello/made?q=1", content="héllo", headers=headers)
        assert (response.status_code, response.headers["x-guest"]) == (201, "yes")
        assert response.text == "POST /made?q=1 by ada: héllo"
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        for path, status in (("/hello/loop", 504), ("/hello/trap", 502)):
            failed = await client.get(path)
            assert failed.status_code == status
            assert "no" not in json.loads(failed.text).get("detail", "").split()


async def test_a_core_guest_answers_http(config: Config) -> None:
    """A module without a signature answers through `handle` and `echelon_alloc`."""
    guest = r"""(module (memory (export "memory") 1)
      (data (i32.const 0) "\01\00\00\00\c9\00\00\00\01\00\00\00\01\00\00\00k\01\00\00\00v\02\00\00\00hi")
      (func (export "echelon_alloc") (param i32) (result i32) i32.const 1024)
      (func (export "handle") (param i32 i32) (result i64) i64.const 28))"""
    app = Application(config=config)
    app.mount("/core", app.wasm.module(native.load().wat2wasm(guest)))
    async with TestClient(app) as client:
        response = await client.get("/core")
        assert (response.status_code, response.content, response.headers["k"]) == (201, b"hi", "v")


async def test_a_mounted_module_that_answers_no_http(config: Config) -> None:
    """Mounting a module without a handler stops the start, with what it would have to export."""
    app = Application(config=config)
    app.mount("/none", app.wasm.module(native.load().wat2wasm(ADD), name="add"))
    with pytest.raises(LoadError, match=r'"add" does not answer HTTP: it must export handle'):
        await app.startup()
    assert app.lifecycle.phase is Phase.STOPPED


async def test_counters_and_private_files(config: Config) -> None:
    """A counter of the store can be returned as it is; what the application writes is its owner's alone."""
    app = Application(config=config)

    @app.get("/count")
    async def count(kv: Kv) -> Any:
        await kv.atomic().sum(("n",), 1).commit()
        return {"n": (await kv.get(("n",))).value}

    async with TestClient(app) as client:
        assert (await client.get("/count")).json() == {"n": 1}
        assert (await client.get("/count")).json() == {"n": 2}
        for path in (config.state, config.kv.path):
            assert path.stat().st_mode & 0o077 == 0


async def test_mounted_asgi_applications(config: Config) -> None:
    """An ASGI application answers below its prefix."""

    async def admin(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    app = Application(config=config)
    app.mount("/admin", admin)
    async with TestClient(app) as client:
        assert (await client.get("/admin/users")).text == "/admin/users"


async def test_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Application("path")` reads that file; a file and a Config together are refused."""
    path = tmp_path / "echelon.toml"
    path.write_text('state = "here"\n[wasm.limits]\ntime = "50ms"\n')
    app = Application(path)
    assert app.config.state == tmp_path / "here"
    assert app.wasm.settings.limits.time == 0.05
    with pytest.raises(ConfigError, match="not both"):
        Application(path, config=Config())


async def test_lifecycle_order() -> None:
    """Components start in order and stop in reverse; one that fails to stop does not keep the others up."""
    log: list[str] = []
    lifecycle = Lifecycle()

    def step(text: str, *, fail: bool = False) -> Any:
        async def run() -> None:
            log.append(text)
            if fail:
                raise ValueError(text)

        return run

    lifecycle.add("a", step("+a"), step("-a"))
    lifecycle.add("b", step("+b"), step("-b", fail=True))
    lifecycle.add("c", step("+c"), step("-c"))
    await lifecycle.start()
    await lifecycle.start()
    assert lifecycle.phase is Phase.RUNNING
    await lifecycle.stop()
    await lifecycle.stop()
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert lifecycle.phases() == {"a": "stopped", "b": "failed", "c": "stopped"}


def test_public_names() -> None:
    """`__all__` is sorted, complete, at most 25 names, and each can be imported."""
    assert len(echelon.__all__) <= 25
    assert set(echelon.__all__) == set(echelon._HOMES)
    for name in echelon.__all__:
        assert getattr(echelon, name).__name__ == name
    assert Permissions() == Permissions(env=None)
    with pytest.raises(AttributeError):
        echelon.nothing  # noqa: B018 - reading it is the test
