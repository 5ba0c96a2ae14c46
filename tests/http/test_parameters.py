"""How a handler's parameters are filled, and what bad input is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
import pytest

from echelon.http import Body, Cookie, Form, Header, Query, Request, Upload, blocking
from echelon.http.service import Service
from echelon.http.testing import TestClient
from echelon.routing import Router


class User(msgspec.Struct):
    name: str
    age: Annotated[int, msgspec.Meta(ge=0)] = 0


@dataclass
class Point:
    x: int
    y: int


class Named(TypedDict):
    name: str


class Color(Enum):
    RED = "red"


class Kv:
    pass


async def call(
    handler: Any, path: str = "/", method: str = "GET", template: str = "/", **options: Any
) -> Any:
    """Register the handler, send one request, return the answer."""
    kv = Kv()
    router = Router(components={Kv: lambda request: kv})
    router.route(template, methods=[method])(handler)
    async with TestClient(Service(router)) as client:
        return await client.request(method, path, **options)


async def test_query_parameters_are_converted_by_type() -> None:
    """Every scalar type, lists and defaults come out of the query typed."""

    async def handler(
        i: int,
        f: float,
        b: bool,
        d: date,
        u: UUID,
        c: Color,
        lit: Literal["x", "y"],
        s,  # type: ignore[no-untyped-def]
        tags: list[str],
        ids: set[int],
        opt: int | None = 7,
        missing: str | None = None,
    ) -> list[str]:
        return [repr(v) for v in (i, f, b, d, u, c, lit, s, tags, ids, opt, missing)]

    uid = UUID(int=5)
    query = f"i=-1&f=2.5&b=true&d=2024-02-29&u={uid}&c=red&lit=y&s=a%20b&tags=1&tags=2&ids=3&ids=3"
    answer = await call(handler, f"/?{query}")
    assert answer.json() == [
        *("-1", "2.5", "True", "datetime.date(2024, 2, 29)", repr(uid), "<Color.RED: 'red'>"),
        *("'y'", "'a b'", "['1', '2']", "{3}", "7", "None"),
    ]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=0", "limit"),
        ("limit=1&c=blue", "c"),
    ],
)
async def test_bad_query_gets_422_that_names_the_parameter(query: str, name: str) -> None:
    """The problem document says where, which and why."""

    async def handler(limit: Annotated[int, msgspec.Meta(ge=1)], c: Color = Color.RED) -> None: ...

    answer = await call(handler, f"/?{query}")
    document = answer.json()
    assert (answer.status_code, document["type"]) == (422, "urn:echelon:invalid-input")
    assert (document["errors"][0]["in"], document["errors"][0]["name"]) == ("query", name)


async def test_a_query_that_is_not_utf8_is_400() -> None:
    """Malformed is 400, the wrong shape is 422."""

    async def handler(q: str) -> str:
        return q

    assert (await call(handler, "/?q=%ff")).status_code == 400


async def test_too_many_query_fields_are_400() -> None:
    """A query cannot make the server build a table of any size."""

    async def handler(q: str) -> str:
        return q

    assert (await call(handler, "/?" + "&".join(["q=1"] * 1001))).status_code == 400


async def test_path_parameters_come_typed_or_are_converted() -> None:
    """The converter's type is used as it is; another annotation converts, with 422 when it cannot."""

    async def handler(id: int, kind: Color, rest: str) -> list[Any]:
        return [id, kind.name, rest]

    template = "/{id:int}/{kind}/{rest:path}"
    assert (await call(handler, "/5/red/a/b", template=template)).json() == [5, "RED", "a/b"]
    answer = await call(handler, "/5/blue/a", template=template)
    assert (answer.status_code, answer.json()["errors"][0]["in"]) == (422, "path")


async def test_headers_and_cookies_come_through_markers() -> None:
    """Names are derived or given; lists take every value of a header."""

    async def handler(
        user_agent: Annotated[str, Header()],
        token: Annotated[int, Header("X-Token")],
        many: Annotated[list[str], Header("x-many")],
        sid: Annotated[str, Cookie()],
        other: Annotated[str, Cookie("missing")] = "none",
        page: Annotated[int, Query("p")] = 1,
    ) -> list[Any]:
        return [user_agent, token, many, sid, other, page]

    headers = [
        ("User-Agent", "me"),
        ("X-Token", "5"),
        ("x-many", "a"),
        ("x-many", "b"),
        ("Cookie", "sid=s; z=1"),
    ]
    assert (await call(handler, "/?p=3", headers=headers)).json() == ["me", 5, ["a", "b"], "s", "none", 3]
    assert (await call(handler, headers=headers[:1])).json()["errors"][0] == {
        "in": "header",
        "name": "x-token",
        "message": "is missing",
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (User, {"name": "Ada", "age": 36}),
        (Point, {"x": 1, "y": 2}),
        (Named, {"name": "A"}),
        (dict, {"a": [1]}),
    ],
)
async def test_json_bodies_are_decoded_into_their_type(kind: Any, body: Any) -> None:
    """Struct, dataclass, TypedDict and dict are bodies by their type alone."""

    async def handler(data):  # type: ignore[no-untyped-def]
        return data

    handler.__annotations__["data"] = kind
    assert (await call(handler, method="POST", json=body)).json() == body


async def test_an_explicit_body_takes_any_type() -> None:
    """Lists as JSON, bytes and text as they are."""

    async def numbers(data: Annotated[list[int], Body()]) -> int:
        return sum(data)

    async def raw(data: Annotated[bytes, Body()]) -> bytes:
        return data[::-1]

    async def text(data: Annotated[str, Body()]) -> str:
        return data.upper()

    assert (await call(numbers, method="PUT", json=[1, 2, 3])).json() == 6
    assert (await call(raw, method="POST", content=b"abc")).content == b"cba"
    latin = {"content-type": "text/plain; charset=latin-1"}
    assert (await call(text, method="POST", content=b"\xe9", headers=latin)).text == "É"


@pytest.mark.parametrize(
    ("content", "kind", "status", "place"),
    [
        (b"{", "application/json", 400, None),
        (b'{"name": "\xff"}', "application/json", 400, None),
        (b'{"deep": ' + b"[" * 100_000, "application/json", 400, None),
        (b'{"name": 5}', "application/json", 422, "name"),
        (b'{"name": "a", "age": -1}', "application/merge-patch+json", 422, "age"),
        (b'{"name": "a"}', "text/plain", 415, None),
        (b'{"name": "a"}', "", 415, None),
    ],
)
async def test_bad_bodies_say_what_is_wrong(
    content: bytes, kind: str, status: int, place: str | None
) -> None:
    """Syntax is 400, shape 422 with the place, any other content type 415: a form on another site cannot send JSON."""

    async def handler(user: User) -> None: ...

    answer = await call(
        handler, method="POST", content=content, headers={"content-type": kind} if kind else {}
    )
    assert answer.status_code == status
    if place:
        assert answer.json()["errors"][0]["name"] == place


async def test_form_fields_files_and_whole_forms() -> None:
    """Fields one by one, uploads by type, or everything into a Struct."""

    async def fields(
        name: Annotated[str, Form()], n: Annotated[int, Form("count")], file: Upload
    ) -> list[Any]:
        return [name, n, file.filename, (await file.read()).decode()]

    async def whole(user: Annotated[User, Form()]) -> User:
        return user

    files = {"file": ("../../etc/a.txt", b"content")}
    answer = await call(fields, method="POST", data={"name": "Ada", "count": "3"}, files=files)
    assert answer.json() == ["Ada", 3, "a.txt", "content"]
    assert (await call(whole, method="POST", data={"name": "A", "age": "5"})).json() == {
        "name": "A",
        "age": 5,
    }
    assert (await call(whole, method="POST", data={"name": "A", "age": "x"})).status_code == 422
    answer = await call(fields, method="POST", data={"name": "a", "count": "1", "file": "text"})
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (422, "Expected a file")
    assert (await call(fields, method="POST", json={})).status_code == 415


async def test_components_and_the_request_come_by_type() -> None:
    """A component's provider gets the request; `request` needs no annotation."""

    async def handler(kv: Kv, request: Request) -> list[str]:
        return [type(kv).__name__, request.method]

    def plain(request):  # type: ignore[no-untyped-def]
        return request.path

    assert (await call(handler)).json() == ["Kv", "GET"]
    assert (await call(plain)).text == "/"


async def test_names_local_to_the_registering_function_are_resolved() -> None:
    """A Struct defined beside the handler works with postponed annotations."""

    class Local(msgspec.Struct):
        a: int

    async def handler(data: Local) -> int:
        return data.a

    assert (await call(handler, method="POST", json={"a": 4})).json() == 4


async def test_plain_functions_run_on_the_loop_unless_marked() -> None:
    """`@blocking` or `blocking=True` moves a function to a worker thread."""
    main = threading.get_ident()
    router = Router()
    router.get("/inline")(lambda: threading.get_ident() == main)
    router.get("/option", blocking=True)(lambda: threading.get_ident() == main)
    router.get("/marked")(blocking(lambda: threading.get_ident() == main))
    async with TestClient(Service(router)) as client:
        got = [(await client.get(path)).json() for path in ("/inline", "/option", "/marked")]
    assert got == [True, False, False]


async def test_callable_objects_partials_and_wrappers_are_handlers() -> None:
    """Whatever can be called with its parameters by name can answer."""

    class Handler:
        async def __call__(self, q: int) -> int:
            return q * 2

    async def add(a: int, b: int) -> int:
        return a + b

    async def answer() -> str:
        return "wrapped"

    assert (await call(Handler(), "/?q=4")).json() == 8
    assert (await call(partial(add, b=10), "/?a=1&b=5")).json() == 6
    assert (await call(lambda: answer())).text == "wrapped"
