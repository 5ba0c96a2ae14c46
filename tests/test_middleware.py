"""The pipeline, error handlers, and first-party middleware."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from echelon.config import Config
from echelon.errors import BadInput, ConfigError, HTTPError, RouteError
from echelon.http import File, Problem, Request, Response, Stream, Text
from echelon.http.service import Service
from echelon.http.testing import TestClient
from echelon.middleware import (
    CORS,
    Compression,
    ErrorHandlers,
    RequestId,
    SecurityHeaders,
    Timeout,
    asgi_middleware,
    compose,
)
from echelon.middleware.compression import accepts_gzip
from echelon.routing import Router
from echelon.telemetry import Telemetry


async def ok(request: Request) -> Response:
    return Text("ok")


def request_for(path: str = "/") -> Request:
    return Request("GET", path, None)  # type: ignore[arg-type]  # nothing else is read


def app(*middleware: Any, errors: ErrorHandlers | None = None, telemetry: Telemetry | None = None) -> Service:
    """An application with a few routes."""
    router = Router()
    router.get("/ok")(lambda: "ok")
    router.get("/error")(fail_unexpectedly)
    router.get("/teapot")(fail_on_purpose)
    router.get("/big")(lambda: Response(b"x" * 5000, media_type="text/plain"))
    router.get("/u/{id}")(lambda id: id)
    return Service(router, middleware=middleware, errors=errors, telemetry=telemetry)


def fail_unexpectedly() -> None:
    raise LookupError("a secret detail")


def fail_on_purpose() -> None:
    raise HTTPError(418, "short and stout", headers={"x-pot": "1"})


def test_without_middleware_the_endpoint_itself_runs() -> None:
    """Nothing is wrapped where there is nothing to wrap."""
    assert compose([], ok) is ok


async def test_the_first_middleware_is_outermost() -> None:
    """In on the way down, out on the way up; each may change request and response."""
    seen: list[str] = []

    def layer(name: str) -> Any:
        async def run(request: Request, call_next: Any) -> Response:
            seen.append(f"+{name}")
            response = await call_next(request)
            seen.append(f"-{name}")
            return response

        return run

    response = await compose([layer("a"), layer("b")], ok)(request_for())
    assert (response.body, seen) == ("ok", ["+a", "+b", "-b", "-a"])


async def test_middleware_may_answer_by_itself() -> None:
    """What is inside does not run."""

    async def wall(request: Request, call_next: Any) -> Response:
        return Text("no", 403)

    async def never(request: Request) -> Response:
        raise AssertionError("ran")

    assert (await compose([wall], never)(request_for())).status == 403


async def test_call_next_runs_once() -> None:
    """A second call is a mistake and is refused, before the endpoint runs again."""
    runs = []

    async def count(request: Request) -> Response:
        runs.append(1)
        return Text("ok")

    async def twice(request: Request, call_next: Any) -> Response:
        await call_next(request)
        return await call_next(request)

    with pytest.raises(RuntimeError, match=r"twice.* called call_next twice"):
        await compose([twice], count)(request_for())
    assert runs == [1]


async def test_a_composed_pipeline_serves_many_requests() -> None:
    """It is folded once and keeps nothing of a request."""

    async def passing(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    endpoint = compose([passing], ok)
    assert [(await endpoint(request_for())).body for _ in range(3)] == ["ok"] * 3


async def test_middleware_that_returns_nothing_is_named() -> None:
    """The usual slip: awaiting call_next without returning it."""

    async def forgetful(request: Request, call_next: Any) -> None:
        await call_next(request)

    with pytest.raises(TypeError, match="forgetful returned nothing"):
        await compose([forgetful], ok)(request_for())  # type: ignore[list-item]


async def test_middleware_sees_unmatched_requests_and_expected_errors_as_responses() -> None:
    """404, 405 and HTTPError are responses by then; what is unexpected passes as an exception."""
    seen: list[Any] = []

    async def watch(request: Request, call_next: Any) -> Response:
        try:
            response = await call_next(request)
        except LookupError as exc:
            seen.append(type(exc))
            raise
        seen.append(response.status)
        return response

    async with TestClient(app(watch)) as client:
        for path in ("/ok", "/none", "/teapot"):
            await client.get(path)
        await client.post("/ok")
        assert (await client.get("/error")).status_code == 500
    assert seen == [200, 404, 418, 405, LookupError]


async def test_errors_become_problem_documents(caplog: pytest.LogCaptureFixture) -> None:
    """An HTTPError tells what it says; a 500 tells nothing of the inside, but the log has it all."""
    async with TestClient(app()) as client:
        teapot, error = await client.get("/teapot"), await client.get("/error")
    assert (teapot.status_code, teapot.headers["x-pot"], teapot.json()["detail"]) == (
        418,
        "1",
        "short and stout",
    )
    assert (error.status_code, error.json()["type"]) == (500, "urn:echelon:internal-error")
    assert "secret" not in error.text
    assert "Lookup" not in error.text
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 1
    assert records[0].name == "echelon"
    assert "a secret detail" in caplog.text


async def test_debug_names_the_exception_but_shows_no_traceback() -> None:
    """Type and message, nothing of the source."""
    async with TestClient(app(errors=ErrorHandlers(debug=True))) as client:
        error = await client.get("/error")
    assert error.json()["detail"] == "LookupError: a secret detail"
    assert "Traceback" not in error.text


async def test_error_handlers_go_by_status_then_type_then_base() -> None:
    """The most fitting one answers; sync and async, any result a handler may give."""
    errors = ErrorHandlers()
    errors.add(404, lambda request, error: ("custom 404", 404))
    errors.add(LookupError, handle_lookup)
    errors.add(HTTPError, lambda request, error: ({"status": error.status}, error.status))
    async with TestClient(app(errors=errors)) as client:
        assert (await client.get("/none")).text == "custom 404"
        assert (await client.get("/error")).json() == {"handled": "a secret detail"}
        assert (await client.get("/teapot")).json() == {"status": 418}


async def handle_lookup(request: Request, error: LookupError) -> dict[str, str]:
    return {"handled": error.args[0]}


async def test_a_failing_error_handler_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """And both are logged."""
    errors = ErrorHandlers()
    errors.add(Exception, lambda request, error: 1 / 0)
    async with TestClient(app(errors=errors)) as client:
        assert (await client.get("/error")).status_code == 500
    assert "a secret detail" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_error_handlers_are_checked_when_added() -> None:
    """Twice the same, or no exception type at all."""
    errors = ErrorHandlers()
    errors.add(404, fail_unexpectedly)
    for key in (404, "404", int):
        with pytest.raises(RouteError, match="error handler"):
            errors.add(key, fail_unexpectedly)  # type: ignore[arg-type]


async def test_an_http_error_with_an_impossible_status_is_a_500() -> None:
    """The server must not die of a number."""
    router = Router()

    def handler() -> None:
        raise HTTPError(99)

    router.get("/")(handler)
    async with TestClient(Service(router)) as client:
        assert (await client.get("/")).status_code == 500


async def test_bad_input_lists_its_places() -> None:
    """The extension member `errors` is what programs read."""
    answer = await ErrorHandlers().respond(
        request_for(), BadInput("no", errors=[{"in": "query", "name": "q"}])
    )
    assert b'"errors":[{"in":"query","name":"q"}]' in bytes(answer.body)  # type: ignore[arg-type]


ORIGIN = "https://a.example"


async def test_cors_marks_answers_for_allowed_origins_only() -> None:
    """Errors are marked too, or the browser would hide them; caches are told by Vary."""
    cors = CORS([ORIGIN], credentials=True, expose=["x-total"])
    async with TestClient(app(cors)) as client:
        for path, status in (("/ok", 200), ("/none", 404), ("/error", 500)):
            answer = await client.get(path, headers={"origin": ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["access-control-expose-headers"] == "x-total"
            assert answer.headers["vary"].lower() == "origin"
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {}):
            answer = await client.get("/ok", headers=headers)
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize(
    ("origin", "method", "headers", "status"),
    [
        (ORIGIN, "PUT", "x-token, content-type", 204),
        (ORIGIN, "DELETE", "", 403),
        (ORIGIN, "PUT", "x-other", 403),
        ("https://evil.example", "PUT", "", 403),
    ],
)
async def test_cors_preflight(origin: str, method: str, headers: str, status: int) -> None:
    """Answered without routing; allowed only when origin, method and headers all are."""
    cors = CORS([ORIGIN], methods=["PUT"], headers=["X-Token", "Content-Type"], max_age=5)
    asked = {"origin": origin, "access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = headers
    async with TestClient(app(cors)) as client:
        answer = await client.options("/ok", headers=asked)
    assert answer.status_code == status
    assert ("access-control-allow-origin" in answer.headers) is (status == 204)
    if status == 204:
        assert answer.headers["access-control-allow-methods"] == "PUT"
        assert answer.headers["access-control-allow-headers"] == "content-type, x-token"
        assert answer.headers["access-control-max-age"] == "5"


async def test_cors_for_everyone_is_a_star() -> None:
    """The same for all, so caches need no Vary."""
    async with TestClient(app(CORS(["*"]))) as client:
        answer = await client.get("/ok", headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "origins", ["https://a.example", ["a.example"], ["https://a.example/"], ["https://A.example"]]
)
def test_cors_refuses_what_is_no_origin(origins: Any) -> None:
    """They would never match."""
    with pytest.raises(ConfigError, match="CORS"):
        CORS(origins)
    with pytest.raises(ConfigError, match="credentials"):
        CORS(["*"], credentials=True)


async def test_compression_packs_what_pays() -> None:
    """Size, type, and what the client accepts decide."""
    async with TestClient(app(Compression())) as client:
        big = await client.get("/big", headers={"accept-encoding": "gzip"})
        assert (big.headers["content-encoding"], big.content) == ("gzip", b"x" * 5000)
        assert int(big.headers["content-length"]) < 100
        assert big.headers["vary"] == "accept-encoding"
        for path, accepts in (("/ok", "gzip"), ("/big", "identity"), ("/big", "gzip;q=0"), ("/big", "br")):
            answer = await client.get(path, headers={"accept-encoding": accepts})
            assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=x", False),
        ("", False),
    ],
)
def test_accept_encoding_is_read_with_its_weights(value: str, expected: bool) -> None:
    """A weight of zero forbids."""
    assert accepts_gzip([value]) is expected


async def test_compression_leaves_some_answers_alone(tmp_path: Any) -> None:
    """Cookies (BREACH), packed bodies, images, files; a strong tag becomes weak."""
    (tmp_path / "a.txt").write_text("x" * 5000)

    def with_cookie() -> Response:
        response = Text("x" * 5000)
        response.set_cookie("a", "b")
        return response

    router = Router()
    router.get("/cookie")(with_cookie)
    router.get("/packed")(lambda: Text("x" * 5000, headers={"content-encoding": "br"}))
    router.get("/image")(lambda: Response(b"x" * 5000, media_type="image/png"))
    router.get("/file")(lambda: File(tmp_path / "a.txt"))
    router.get("/tag")(lambda: Text("x" * 500_000, headers={"etag": '"1"'}))
    async with TestClient(Service(router, middleware=[Compression()])) as client:
        for path in ("/cookie", "/image", "/file"):
            assert "content-encoding" not in (await client.get(path)).headers
        tagged = await client.get("/tag")
        assert (tagged.headers["etag"], len(tagged.content)) == ('W/"1"', 500_000)
        async with client.http.stream("GET", "/packed") as packed:
            assert packed.headers["content-encoding"] == "br"


async def test_compression_streams_without_holding_back() -> None:
    """Each chunk can be unpacked when it arrives, and the inner stream is closed."""
    closed = []

    async def chunks() -> AsyncIterator[str]:
        try:
            yield "a" * 1000
            yield "b" * 1000
        finally:
            closed.append(True)

    async def endpoint(request: Request) -> Response:
        return Stream(chunks(), media_type="text/plain")

    router = Router()
    router.get("/")(endpoint_handler(endpoint))
    async with TestClient(Service(router, middleware=[Compression()])) as client:
        answer = await client.get("/")
    assert answer.text == "a" * 1000 + "b" * 1000
    assert closed == [True]
    assert gzip.decompress(gzip.compress(b"x")) == b"x"


def endpoint_handler(endpoint: Any) -> Any:
    """A handler that gives an endpoint's response."""

    async def handler(request: Request) -> Response:
        response: Response = await endpoint(request)
        return response

    return handler


async def test_request_ids_are_kept_or_made() -> None:
    """A well-formed one from the client stays; anything else is replaced; errors carry it too."""
    async with TestClient(app(RequestId())) as client:
        assert (await client.get("/ok", headers={"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
        for bad in ("a b", "x" * 200, ""):
            made = (await client.get("/ok", headers={"x-request-id": bad})).headers["x-request-id"]
            assert (made != bad, len(made)) == (True, 32)
        assert len((await client.get("/error")).headers["x-request-id"]) == 32
    async with TestClient(app(RequestId(trust=False))) as client:
        assert (await client.get("/ok", headers={"x-request-id": "abc"})).headers["x-request-id"] != "abc"


async def test_security_headers_are_defaults() -> None:
    """On every answer; a handler's own value stays; HSTS only where the connection is HTTPS."""

    async def own(request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers["x-frame-options"] = "SAMEORIGIN"
        return response

    layer = SecurityHeaders({"Referrer-Policy": None, "x-extra": "1"})
    async with TestClient(app(layer, own)) as client:
        answer = await client.get("/ok")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["x-extra"] == "1"
        assert "referrer-policy" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        assert (await client.get("/error")).headers["x-frame-options"] == "DENY"
        assert "strict-transport-security" in (await client.get("https://testserver/ok")).headers
    with pytest.raises(ValueError, match="header"):
        SecurityHeaders({"x": "a\nb"})


async def test_timeout_answers_504_and_cancels() -> None:
    """The handler is cancelled; a TimeoutError of its own is its own error."""
    cancelled = []

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def own() -> None:
        raise TimeoutError

    router = Router()
    router.get("/slow")(slow)
    router.get("/own")(own)
    async with TestClient(Service(router, middleware=[Timeout(0.05)])) as client:
        assert (await client.get("/slow")).status_code == 504
        assert (await client.get("/own")).status_code == 500
    assert cancelled == [True]
    with pytest.raises(ConfigError, match="Timeout"):
        Timeout(0)


async def test_asgi_middleware_wraps() -> None:
    """It sees request and response as ASGI, and what it changes counts; state and body come through."""

    class Upper:
        def __init__(self, app: Any, name: str) -> None:
            self.app, self.name = app, name

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def change(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-name", self.name.encode())]
                await send(message)

            await self.app({**scope, "path": scope["path"].lower()}, receive, change)

    async def set_state(request: Request, call_next: Any) -> Response:
        request.state.user = "Ada"
        return await call_next(request)

    router = Router()

    @router.post("/echo")
    async def echo(request: Request) -> list[Any]:
        return [await request.text(), request.state.user]

    service = Service(router, middleware=[set_state, asgi_middleware(Upper, name="up")])
    async with TestClient(service) as client:
        answer = await client.post("/ECHO", content=b"body")
        assert (answer.json(), answer.headers["x-name"]) == (["body", "Ada"], "up")


async def test_requests_are_counted_once_by_route_template() -> None:
    """Labels are bounded: templates, known methods, "unmatched"; never a path of the client's."""
    telemetry = Telemetry.start(Config().telemetry)
    async with TestClient(app(telemetry=telemetry)) as client:
        for path in ("/u/1", "/u/2", "/none", "/error"):
            await client.get(path)
        await client.request("BREW", "/u/3")
        await client.request("STIR", "/u/3")
    text = telemetry.render()
    await telemetry.close()
    counts = {line for line in text.splitlines() if line.startswith("echelon_http_requests_total{")}
    assert counts == {
        'echelon_http_requests_total{method="GET",route="/u/{id}",status="200"} 2',
        'echelon_http_requests_total{method="GET",route="unmatched",status="404"} 1',
        'echelon_http_requests_total{method="GET",route="/error",status="500"} 1',
        'echelon_http_requests_total{method="other",route="unmatched",status="405"} 2',
    }
    assert 'echelon_http_request_seconds_count{method="GET",route="/u/{id}"} 2' in text


def test_middleware_is_not_added_after_start() -> None:
    """Build, freeze, serve."""
    service = app()
    service.freeze()
    with pytest.raises(RouteError, match="has started"):
        service.add_middleware(RequestId())
    assert Problem(400).status == 400
