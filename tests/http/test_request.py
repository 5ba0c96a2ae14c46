"""The request as a handler sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from echelon.errors import BadInput, ClientDisconnected, ConfigError, HTTPError
from echelon.http.asgi import asgi_request
from echelon.http.request import Request, RequestOptions
from echelon.types import Message


def make(
    *chunks: bytes,
    headers: list[tuple[str, str | bytes]] | None = None,
    cut: bool = False,
    path: str = "/",
    query: bytes = b"",
    options: RequestOptions | None = None,
    **scope: Any,
) -> Request:
    """A request over an ASGI scope; `cut` makes the client leave instead of ending the body."""
    messages: list[Message] = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b""})

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    raw = [(n.encode(), v if isinstance(v, bytes) else v.encode()) for n, v in headers or []]
    request = asgi_request(
        {"method": "POST", "path": path, "headers": raw, "query_string": query, **scope}, receive
    )
    if options is not None:
        request.options = options
    return request


def test_headers_ignore_case_and_keep_every_value() -> None:
    """One name may come several times; the first answers for it."""
    request = make(headers=[("X-A", "1"), ("x-a", "2"), ("B", "3")])
    headers = request.headers
    assert (headers["X-a"], headers.get_all("X-A"), headers.get("none"), "b" in headers) == (
        "1",
        ["1", "2"],
        None,
        True,
    )
    assert (list(headers), len(headers), headers.pairs()[2]) == (["x-a", "b"], 2, ("b", "3"))
    with pytest.raises(KeyError):
        headers["none"]


def test_a_header_with_bytes_that_are_no_text_is_400() -> None:
    """It is refused when the headers are read, not silently dropped."""
    with pytest.raises(BadInput) as caught:
        _ = make(headers=[("x-a", b"\xff")]).headers
    assert caught.value.status == 400


def test_query_keeps_every_value_and_blank_ones() -> None:
    """The query is decoded once: a decoded percent sign starts nothing."""
    query = make(query=b"a=1&a=2&b=&c=%2525&d=x+y").query
    assert (query.get_all("a"), query["b"], query["c"], query["d"]) == (["1", "2"], "", "%25", "x y")
    assert (list(query), len(make().query), query.get("z", "none")) == (["a", "b", "c", "d"], 0, "none")


def test_the_first_cookie_of_a_name_wins() -> None:
    """Quotes are taken off, nonsense is passed over, several Cookie headers are one."""
    request = make(headers=[("cookie", 'a=1; b="2"; nonsense; a=3'), ("cookie", "c=4")])
    assert request.cookies == {"a": "1", "b": "2", "c": "4"}


async def test_the_body_is_read_once_and_kept() -> None:
    """body, text and json share one reading; the stream then gives the kept body."""
    request = make(b'{"a"', b": 1}")
    assert await request.body() == b'{"a": 1}'
    assert await request.text() == '{"a": 1}'
    assert await request.json() == {"a": 1}
    assert [chunk async for chunk in request.stream()] == [b'{"a": 1}']


async def test_a_stream_can_be_read_once() -> None:
    """What was streamed is gone, and asking again says so."""
    request = make(b"a", b"", b"b")
    assert [chunk async for chunk in request.stream()] == [b"a", b"b"]
    with pytest.raises(RuntimeError, match="streamed already"):
        await request.body()


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_413(declared: bool) -> None:
    """With or without Content-Length, and no more than the limit is held."""
    headers: list[tuple[str, str | bytes]] = [("content-length", "20")] if declared else []
    request = make(b"x" * 10, b"x" * 10, headers=headers, options=RequestOptions(max_body=15))
    with pytest.raises(HTTPError) as caught:
        await request.body()
    assert caught.value.status == 413


async def test_the_limit_of_a_route_replaces_the_general_one() -> None:
    """Both smaller and larger."""
    request = make(b"x" * 20, options=RequestOptions(max_body=15))
    request.max_body = 20
    assert len(await request.body()) == 20


async def test_a_client_that_leaves_early_raises() -> None:
    """Half a body is never taken for a whole one."""
    with pytest.raises(ClientDisconnected):
        await make(b"half", cut=True).body()


async def test_disconnected_waits_polls_and_keeps_the_body() -> None:
    """It waits for the client to leave; a timeout answers False; the body stays readable."""
    gate = asyncio.Event()
    messages: list[Message] = [{"type": "http.request", "body": b"kept"}]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await gate.wait()
        return {"type": "http.disconnect"}

    request = asgi_request({"method": "POST", "path": "/", "headers": []}, receive)
    assert await request.disconnected(timeout=0.01) is False
    assert await request.body() == b"kept"
    gate.set()
    assert await request.disconnected() is True


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("", "é".encode(), "é"),
        ("text/plain; charset=ISO-8859-1", b"\xe9", "é"),
        ('text/plain; a=b; Charset="utf-16"', "é".encode("utf-16"), "é"),
    ],
)
async def test_text_follows_the_charset(kind: str, body: bytes, text: str) -> None:
    """UTF-8 unless Content-Type says otherwise."""
    assert await make(body, headers=[("content-type", kind)]).text() == text


@pytest.mark.parametrize(("charset", "status"), [("idna", 415), ("zip", 415), ("nope", 415), ("utf-8", 400)])
async def test_text_refuses_odd_charsets_and_bad_bytes(charset: str, status: int) -> None:
    """Only harmless codecs run on a client's bytes."""
    with pytest.raises(HTTPError) as caught:
        await make(b"\xff", headers=[("content-type", f"text/plain; charset={charset}")]).text()
    assert caught.value.status == status


async def test_json_decodes_into_a_type() -> None:
    """Bad syntax is 400, a wrong shape 422 with its place."""

    class Item(msgspec.Struct):
        numbers: list[int]

    assert (await make(b'{"numbers": [1]}').json(Item)).numbers == [1]
    for body, status in ((b"{", 400), (b"", 400), (b'{"numbers": ["a"]}', 422)):
        with pytest.raises(BadInput) as caught:
            await make(body).json(Item)
        assert caught.value.status == status
    assert caught.value.errors[0]["name"] == "numbers[0]"


def test_client_and_scheme_ignore_forwarding_by_default() -> None:
    """Anyone can send X-Forwarded-For; without trusted proxies it means nothing."""
    request = make(
        headers=[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")],
        client=("9.9.9.9", 5),
        scheme="http",
    )
    assert (request.client, request.scheme) == (("9.9.9.9", 5), "http")


def test_client_and_scheme_follow_trusted_proxies() -> None:
    """The last address that no trusted proxy vouches for is the client; what comes before it may be forged."""
    options = RequestOptions.trusting(["10.0.0.0/8", "::1"])
    headers: list[tuple[str, str | bytes]] = [
        ("x-forwarded-for", "1.1.1.1, 6.6.6.6"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "https"),
    ]
    request = make(headers=headers, client=("10.0.0.1", 5), options=options)
    assert (request.client, request.scheme) == (("6.6.6.6", 0), "https")
    stranger = make(headers=headers, client=("9.9.9.9", 5), options=options)
    assert (stranger.client, stranger.scheme) == (("9.9.9.9", 5), "http")
    with pytest.raises(ConfigError, match="trusted_proxies"):
        RequestOptions.trusting(["proxy"])


def test_urls_are_put_together_from_what_was_sent() -> None:
    """raw_path is what the client sent, where the server tells; else the decoded path encoded again."""
    request = make(
        path="/é b", query=b"q=1", headers=[("host", "h:1")], raw_path=b"/%C3%A9%20b?q=1", scheme="https"
    )
    assert request.url == "https://h:1/%C3%A9%20b?q=1"
    assert make(path="/é b").raw_path == "/%C3%A9%20b"


def test_subpath_is_what_lies_below_the_mount() -> None:
    """`path` stays whole; `root_path` is the prefix."""
    request = make(path="/app/x", root_path="/app/")
    assert (request.path, request.root_path, request.subpath) == ("/app/x", "/app", "/x")
    assert make(path="/app", root_path="/app").subpath == "/"
    assert make(path="/other", root_path="/app").subpath == "/other"


def test_state_belongs_to_one_request() -> None:
    """What middleware leaves there is seen by nobody else."""
    one, two = make(), make()
    one.state.user = "Ada"
    assert (one.state.user, hasattr(two.state, "user")) == ("Ada", False)


async def test_a_query_string_that_is_not_ascii_is_400() -> None:
    """ASGI servers pass raw bytes on."""
    with pytest.raises(BadInput):
        _ = make(query=b"a=\xff").query
