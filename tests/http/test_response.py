"""Responses, cookies, and what a handler may return."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from echelon.errors import HTTPError
from echelon.http import HTML, JSON, Empty, Problem, Redirect, Response, Stream, Text
from echelon.http.results import responder


class User(msgspec.Struct):
    name: str


@dataclass
class Point:
    x: int


Pair = namedtuple("Pair", "a b")


def give(result: Any, annotation: Any = None) -> tuple[int, str, Any]:
    """What a handler's result becomes: status, media type and body."""
    response = responder(annotation, "handler")(result)
    return response.status, response.media_type, response.body


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"a": 1}, (200, "application/json", b'{"a":1}')),
        ([1], (200, "application/json", b"[1]")),
        (User("A"), (200, "application/json", b'{"name":"A"}')),
        (Point(1), (200, "application/json", b'{"x":1}')),
        (Pair(1, 2), (200, "application/json", b"[1,2]")),
        (5, (200, "application/json", b"5")),
        (False, (200, "application/json", b"false")),
        ("text", (200, "text/plain", "text")),
        (b"raw", (200, "application/octet-stream", b"raw")),
        (None, (204, "", None)),
        (({"a": 1}, 201), (201, "application/json", b'{"a":1}')),
        ((None, 202), (202, "", None)),
        (("text", 404), (404, "text/plain", "text")),
        (HTML("<p>", 203), (203, "text/html", "<p>")),
    ],
)
def test_what_a_handler_returns_becomes_a_response(result: Any, expected: Any) -> None:
    """Type decides; a tuple adds a status."""
    assert give(result) == expected


def test_a_tuple_may_carry_headers() -> None:
    """(body, status, headers)."""
    response = responder(None, "handler")(("x", 201, {"Location": "/x"}))
    assert response.headers["location"] == "/x"


def test_none_is_404_when_the_annotation_allows_it() -> None:
    """`User | None` means "there may be none"; without it None is 204."""
    for annotation in (User | None, dict[str, int] | None):
        with pytest.raises(HTTPError) as caught:
            give(None, annotation)
        assert caught.value.status == 404
    assert give(None, None)[0] == 204


@pytest.mark.parametrize(
    "result", [object(), ("x", "y"), ("x", 99), ("x", True), (1, 2, 3, 4), {1, object()}]
)
def test_what_cannot_be_sent_is_refused(result: Any) -> None:
    """The error is the developer's and names the handler or the status."""
    with pytest.raises((TypeError, ValueError), match=r"handler|status"):
        give(result)


def test_a_forgotten_await_is_recognised() -> None:
    """The message says what is likely missing."""

    async def work() -> None: ...

    coroutine = work()
    with pytest.raises(TypeError, match="missing await"):
        give(coroutine)
    coroutine.close()


@pytest.mark.parametrize("status", [0, 99, 101, 199, 600, True, "200", 200.0])
def test_a_status_that_ends_no_request_is_refused(status: Any) -> None:
    """Some of them would take a worker process down."""
    with pytest.raises(ValueError, match="status"):
        Response(status=status)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x y", "a"), ("", "a"), ("x:", "a"), ("x", "a\r\nb: c"), ("x", "a\0"), ("é", "a"), ("x", 5)],
)
def test_headers_that_cannot_be_sent_are_refused(name: str, value: Any) -> None:
    """A line break in a value would let it add headers."""
    with pytest.raises(ValueError, match="header"):
        Response(headers={name: value})
    with pytest.raises(ValueError, match="header"):
        Response().headers.add(name, value)


def test_response_headers_change_in_place() -> None:
    """Replace, add, default, delete; Vary grows without repeating."""
    headers = (response := Text("x")).headers
    headers["X-A"] = "1"
    headers.add("x-a", "2")
    headers["content-type"] = "text/css"
    assert headers.setdefault("x-a", "3") == "1"
    assert headers.setdefault("x-b", "4") == "4"
    headers.vary("Origin")
    headers.vary("origin")
    assert response.headers.pairs() == [
        *(("x-a", "1"), ("x-a", "2"), ("content-type", "text/css"), ("x-b", "4"), ("vary", "Origin"))
    ]
    del headers["x-a"]
    with pytest.raises(KeyError):
        del headers["x-a"]


def test_cookies_are_safe_by_default() -> None:
    """Not for scripts, not over plain connections, not from other sites."""
    response = Empty()
    response.set_cookie("sid", "abc", max_age=60)
    response.delete_cookie("old", path="/x")
    assert response.headers.get_all("set-cookie") == [
        "sid=abc; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly",
        "old=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/x; SameSite=Lax; Secure; HttpOnly",
    ]


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("a b", "x", {}),
        ("a", "x;y", {}),
        ("a", "x\r\nSet-Cookie: b=1", {}),
        ("a", "é", {}),
        ("a", "x" * 4096, {}),
        ("a", "x", {"path": "/;domain=evil"}),
        ("a", "x", {"domain": "a;b"}),
        ("a", "x", {"same_site": "None", "secure": False}),
        ("a", "x", {"same_site": "lax"}),
        ("__Host-a", "x", {"path": "/x"}),
        ("__Secure-a", "x", {"secure": False}),
        ("a", "x", {"expires": datetime(2030, 1, 1)}),
    ],
)
def test_cookies_that_browsers_drop_or_misread_are_refused(name: str, value: str, options: Any) -> None:
    """The message says which rule."""
    with pytest.raises(ValueError, match="cookie"):
        Response().set_cookie(name, value, **options)
    Response().set_cookie("a", "x", expires=datetime(2030, 1, 1, tzinfo=UTC), same_site="None")


def test_a_redirect_encodes_its_location() -> None:
    """Nothing in a location can end the header."""
    assert Redirect("/a b\r\nX: y?q=é#f").headers["location"] == "/a%20b%0D%0AX:%20y?q=%C3%A9#f"
    assert Redirect("https://example.com/%20", 303).status == 303
    with pytest.raises(ValueError, match="not a redirect"):
        Redirect("/", 200)


def test_a_problem_is_a_document_with_extensions() -> None:
    """RFC 9457, with a type for each common status."""
    problem = Problem(422, "why", type="urn:echelon:trap", code="unreachable", headers={"x-a": "1"})
    assert msgspec.json.decode(problem.body) == {  # type: ignore[arg-type]  # a problem's body is bytes
        "type": "urn:echelon:trap",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "why",
        "code": "unreachable",
    }
    assert (problem.media_type, problem.headers["x-a"]) == ("application/problem+json", "1")
    assert b"about:blank" in bytes(Problem(418).body)  # type: ignore[arg-type]


def test_a_stream_needs_an_async_iterator() -> None:
    """A list or a plain generator is refused where it is given."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b""

    assert Stream(chunks()).media_type == "application/octet-stream"
    with pytest.raises(TypeError, match="async iterator"):
        Stream([b"x"])  # type: ignore[arg-type]


def test_json_takes_what_msgspec_takes() -> None:
    """Status and headers as for every response."""
    response = JSON({"at": datetime(2024, 1, 1, tzinfo=UTC)}, 201, {"x-a": "1"})
    assert (response.body, response.status) == (b'{"at":"2024-01-01T00:00:00Z"}', 201)
