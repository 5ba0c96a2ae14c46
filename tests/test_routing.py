"""The router: matching, methods, groups, mounts, reversing, and what it refuses."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import pytest

from echelon.errors import BadInput, HTTPError, RouteError
from echelon.http import Body, Directory, Header, Request, Response, Text
from echelon.http.service import Service
from echelon.http.testing import TestClient
from echelon.routing import Router


async def nothing() -> None:
    return None


def client(router: Router, **options: Any) -> TestClient:
    return TestClient(Service(router, **options))


def found(router: Router, path: str, method: str = "GET") -> tuple[str, dict[str, Any]]:
    """The template that answers, and the values of its parameters."""
    router.freeze()
    request = Request(method, path, None)  # type: ignore[arg-type]  # matching reads nothing else
    router.find(request)
    assert request.route is not None
    return request.route.path, dict(request.path_params)


def routes(*paths: str) -> Router:
    """A router with a GET handler for each template, taking whatever the template gives."""
    router = Router()
    for path in paths:
        names = [part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")]
        handler = eval(f"lambda {', '.join(names)}: '{path}'")
        router.get(path, name=path)(handler)
    return router


def test_a_literal_goes_before_a_parameter() -> None:
    """`/users/me` answers itself, everything else goes to the parameter, in either order of registration."""
    for paths in (("/users/{name}", "/users/me"), ("/users/me", "/users/{name}")):
        router = routes(*paths)
        assert found(router, "/users/me") == ("/users/me", {})
        assert found(router, "/users/you") == ("/users/{name}", {"name": "you"})


def test_parameters_are_tried_from_narrow_to_wide() -> None:
    """int, float, uuid, str and path take what they can, in this order."""
    router = routes("/{v:path}", "/{v}", "/{v:uuid}", "/{v:float}", "/{v:int}")
    one = UUID(int=1)
    assert found(router, "/12") == ("/{v:int}", {"v": 12})
    assert found(router, "/-3") == ("/{v:int}", {"v": -3})
    assert found(router, "/1.5") == ("/{v:float}", {"v": 1.5})
    assert found(router, f"/{one}") == ("/{v:uuid}", {"v": one})
    assert found(router, "/x") == ("/{v}", {"v": "x"})
    assert found(router, "/x/y/") == ("/{v:path}", {"v": "x/y/"})


@pytest.mark.parametrize("text", ["+1", "1_000", "٣", " 1", "1 ", "0x10", "", "-", "9" * 5000])
def test_an_int_is_ascii_digits(text: str) -> None:
    """What Python's int() would accept beyond digits is no int here, and long numbers cannot hurt."""
    with pytest.raises(HTTPError) as caught:
        found(routes("/n/{v:int}"), f"/n/{text}")
    assert caught.value.status == 404


@pytest.mark.parametrize("text", ["nan", "inf", "1e5", "1.", ".5"])
def test_a_float_is_digits_and_a_point(text: str) -> None:
    """Exponents, infinities and bare points are not floats in a path."""
    with pytest.raises(HTTPError):
        found(routes("/n/{v:float}"), f"/n/{text}")


def test_matching_backs_out_of_a_dead_end() -> None:
    """A literal that leads nowhere does not hide a parameter that fits."""
    router = routes("/a/b/c", "/a/{x}/d", "/{x}/b/e")
    assert found(router, "/a/b/d") == ("/a/{x}/d", {"x": "b"})
    assert found(router, "/a/b/e") == ("/{x}/b/e", {"x": "a"})


def test_a_parameter_is_never_empty_and_never_has_a_slash() -> None:
    """`{id}` is one segment with something in it."""
    router = routes("/u/{id}/x")
    for path in ("/u//x", "/u/a/b/x"):
        with pytest.raises(HTTPError):
            found(router, path)


def test_a_path_that_is_not_text_is_refused() -> None:
    """Bytes that are no UTF-8, and NUL, end in 400 before any handler sees them."""
    for path in ("/u/\ufffd", "/u/a\0b", "no-slash"):
        with pytest.raises(BadInput) as caught:
            found(routes("/u/{id}"), path)
        assert caught.value.status == 400


def test_routes_may_share_a_path_with_other_methods_and_names() -> None:
    """The same shape with another method is another route, whatever its parameters are called."""
    router = Router()
    router.get("/u/{id}")(lambda id: "")
    router.delete("/u/{name}")(lambda name: "")
    assert found(router, "/u/5", "GET") == ("/u/{id}", {"id": "5"})
    assert found(router, "/u/5", "DELETE") == ("/u/{name}", {"name": "5"})


@pytest.mark.parametrize(("one", "two"), [("/a", "/a"), ("/a/{x}", "/a/{y}"), ("/a/{x:path}", "/a/{y:path}")])
def test_two_routes_for_the_same_requests_are_refused(one: str, two: str) -> None:
    """Freezing names both routes and where they are."""
    router = routes(one)
    router.get(two, name="other")(routes(two).routes[0].handler)
    with pytest.raises(RouteError, match="two routes answer the same requests") as caught:
        router.freeze()
    assert str(caught.value).count("GET /a") == 2


def test_two_mounts_on_one_prefix_are_refused() -> None:
    """A prefix belongs to one mount."""
    router = Router()
    for _ in range(2):
        router.mount("/x", nothing)
    with pytest.raises(RouteError, match="two mounts"):
        router.freeze()


def test_nothing_is_added_after_freeze() -> None:
    """Routes, groups, mounts and middleware are refused once the table is built."""
    router = Router()
    group = router.group("/g")
    router.freeze()
    router.freeze()
    for add in (
        lambda: router.get("/late")(nothing),
        lambda: group.get("/late")(nothing),
        lambda: router.group("/late"),
        lambda: router.mount("/late", nothing),
        lambda: group.middleware(nothing),
    ):
        with pytest.raises(RouteError, match="has started"):
            add()


@pytest.mark.parametrize(
    "path",
    ["x", "/{}", "/{a b}", "/{x:int", "/a{x}", "/{x}/{x}", "/{r:path}/y", "/{x:color}", "/a?b", "/a\n"],
)
def test_a_malformed_template_is_refused(path: str) -> None:
    """The message shows the template."""
    with pytest.raises(RouteError, match=r"a path|segment|parameter|type"):
        Router().get(path)(lambda **values: "")


def test_methods_and_prefixes_are_checked() -> None:
    """A method is a token, methods a list, a prefix starts but does not end with a slash."""
    router = Router()
    with pytest.raises(RouteError, match="not a method"):
        router.route("/", methods=["GE T"])(nothing)
    with pytest.raises(RouteError, match="list of method"):
        router.route("/", methods="GET")
    for prefix in ("api", "/api/"):
        with pytest.raises(RouteError, match="prefix"):
            router.group(prefix)
    with pytest.raises(RouteError, match="no parameters"):
        router.mount("/{x}", nothing)
    with pytest.raises(RouteError, match="cannot be mounted"):
        router.mount("/x", 5)
    with pytest.raises(RouteError, match="trailing_slash"):
        Router(trailing_slash="maybe")  # type: ignore[arg-type]


async def test_a_wrong_method_gets_405_with_allow() -> None:
    """Allow lists every method of every route that matches the path, and what comes with them."""
    router = Router()
    router.get("/u/{id:int}")(lambda id: "")
    router.post("/u/{name}")(lambda name: "")
    async with client(router) as http:
        answer = await http.delete("/u/5")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_method_reaches_a_wider_route_behind_a_narrower_one() -> None:
    """`POST /u/5` goes to `{name}` when `{id:int}` has no POST."""
    router = Router()
    router.get("/u/{id:int}")(lambda id: "int")
    router.post("/u/{name}")(lambda name: f"name {name}")
    async with client(router) as http:
        assert (await http.post("/u/5")).text == "name 5"


async def test_head_answers_as_get_without_a_body() -> None:
    """Same status, same headers, no body; a handler of its own takes precedence."""
    router = Router()
    router.get("/a")(lambda: {"k": "v"})
    router.get("/b/{x}")(lambda x: Text("é" * 5))
    router.get("/c")(lambda: "")
    router.head("/c")(lambda: Response(headers={"x-own": "1"}))
    async with client(router) as http:
        for path in ("/a", "/b/1"):
            get, head = await http.get(path), await http.head(path)
            assert head.headers == get.headers
            assert head.content == b""
        assert (await http.head("/c")).headers["x-own"] == "1"


async def test_options_is_answered_by_itself() -> None:
    """204 with Allow where a route is, 404 where none is, 204 for the whole server."""
    router = Router()
    router.put("/a")(nothing)
    async with client(router) as http:
        answer = await http.options("/a")
        assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, PUT")
        assert (await http.options("/b")).status_code == 404


async def test_the_other_slash_form_redirects_and_keeps_the_query() -> None:
    """308 keeps method and body; unknown paths stay 404."""
    router = Router()
    router.post("/a")(nothing)
    router.get("/b/")(nothing)
    router.get("/ü/{x}")(lambda x: x)
    async with client(router) as http:
        answer = await http.post("/a/?q=1")
        assert (answer.status_code, answer.headers["location"]) == (308, "/a?q=1")
        assert (await http.get("/b")).headers["location"] == "/b/"
        assert (await http.get("/ü/x/")).headers["location"] == "/%C3%BC/x"
        assert (await http.get("/c/")).status_code == 404


async def test_a_slash_redirect_never_leaves_the_server() -> None:
    """`//evil.example/` is not answered with a location that browsers read as another host."""
    router = routes("/{a}/{b}/{c}", "/{rest:path}")
    router.freeze()
    for path in ("//evil.example/", "//evil.example"):
        request = Request("GET", path, None)  # type: ignore[arg-type]  # matching reads nothing else
        router.find(request)
        assert request.route is not None
    strict = routes("/{a}/{b}/c")
    with pytest.raises(HTTPError) as caught:
        found(strict, "//evil/c/")
    assert caught.value.status == 404


async def test_strict_slashes_do_not_redirect() -> None:
    """With "strict" the other form is simply not there."""
    router = Router(trailing_slash="strict")
    router.get("/a")(nothing)
    async with client(router) as http:
        assert (await http.get("/a/")).status_code == 404


async def test_groups_nest_prefix_name_and_middleware() -> None:
    """Middleware runs from the outside in: router, group, inner group, route."""
    seen: list[str] = []

    def layer(name: str) -> Any:
        async def run(request: Request, call_next: Any) -> Response:
            seen.append(name)
            return await call_next(request)

        return run

    router = Router(middleware=[layer("router")])
    api = router.group("/api", name="api")
    users = api.group("/users", middleware=[layer("users")], name="users")
    users.get("/{id:int}", middleware=[layer("route")], name="show")(lambda id: {"id": id})
    users.get("")(lambda: "all")
    api.middleware(layer("api"))
    async with client(router) as http:
        assert (await http.get("/api/users/7")).json() == {"id": 7}
        assert seen == ["router", "api", "users", "route"]
        assert (await http.get("/api/users")).text == "all"
    assert router.url_for("api.users.show", id=7) == "/api/users/7"


def test_url_for_encodes_and_checks() -> None:
    """Values are percent-encoded, types are checked, mistakes are named."""
    router = routes("/f/{name}/{n:int}", "/r/{rest:path}")
    assert router.url_for("/f/{name}/{n:int}", name="a b", n=-1) == "/f/a%20b/-1"
    assert router.url_for("/r/{rest:path}", rest="x/y z") == "/r/x/y%20z"
    with pytest.raises(RouteError, match="does not fit"):
        router.url_for("/f/{name}/{n:int}", name="a", n="x")
    with pytest.raises(RouteError, match="does not fit"):
        router.url_for("/f/{name}/{n:int}", name="../x", n=1)
    with pytest.raises(RouteError, match="takes name, n; given are name"):
        router.url_for("/f/{name}/{n:int}", name="a")
    with pytest.raises(RouteError, match="did you mean"):
        router.url_for("/f/{name}/{n:it}", name="a", n=1)


def test_url_for_refuses_a_name_of_several_routes() -> None:
    """A function used twice needs explicit names; two explicit equal names are refused at freeze."""
    router = Router()
    router.get("/a")(nothing)
    router.get("/b")(nothing)
    with pytest.raises(RouteError, match="not the name of one route"):
        router.url_for("nothing")
    router.get("/c", name="same")(nothing)
    router.get("/d", name="same")(nothing)
    with pytest.raises(RouteError, match="two routes have the name 'same'"):
        router.freeze()


async def test_include_takes_routes_middleware_and_mounts() -> None:
    """A router from another module keeps what it had, below the prefix."""
    seen: list[str] = []

    async def layer(request: Request, call_next: Any) -> Response:
        seen.append("other")
        return await call_next(request)

    other = Router(middleware=[layer])
    other.group("/deep").get("/{x}", name="deep")(lambda x: x)
    other.mount("/files", Echo())
    router = Router()
    router.include(other, "/v1")
    async with client(router) as http:
        assert (await http.get("/v1/deep/a")).text == "a"
        assert (await http.get("/v1/files/b")).text == "/v1/files /b"
    assert seen == ["other", "other"]
    assert router.url_for("deep", x="a") == "/v1/deep/a"


class Echo:
    """Answers with where it is mounted and what is below."""

    async def __echelon_handle__(self, request: Request) -> Response:
        return Text(f"{request.root_path} {request.subpath}")


async def test_a_mount_answers_what_no_route_answers() -> None:
    """Every method and path below the prefix goes to it, but routes go first, and deeper mounts too."""
    router = Router()
    router.mount("/", Echo())
    router.mount("/a/b", Echo())
    router.get("/a/route")(lambda: "route")
    router.get("/{rest:path}", name="rest")(lambda rest: f"rest {rest}")
    async with client(router) as http:
        assert (await http.get("/a/route")).text == "route"
        assert (await http.post("/a/route")).text == " /a/route"
        assert (await http.get("/a/b")).text == "/a/b /"
        assert (await http.delete("/a/b/c/d")).text == "/a/b /c/d"
        assert (await http.get("/a/bc")).text == "rest a/bc"


async def test_a_directory_is_mountable(tmp_path: Any) -> None:
    """Static files are a mount."""
    (tmp_path / "x.txt").write_text("hello")
    router = Router()
    router.mount("/static", Directory(tmp_path))
    async with client(router) as http:
        assert (await http.get("/static/x.txt")).text == "hello"
        assert (await http.post("/static/x.txt")).status_code == 405


def test_a_parameter_nothing_can_fill_is_refused_at_registration() -> None:
    """The message names route, handler and parameter and says what is possible."""

    class Strange: ...

    class Kv: ...

    def handler(thing: Strange) -> None: ...

    with pytest.raises(RouteError, match=r'GET /x: parameter "thing" of handler\(\).*component \(Kv\)'):
        Router(components={Kv: lambda request: None}).get("/x")(handler)


def test_an_unknown_class_may_be_a_component_until_freeze() -> None:
    """A router made before its application accepts the class, and freezing finds that nobody provides it."""

    class Kv: ...

    def handler(kv: Kv) -> None: ...

    router = Router()
    router.get("/x")(handler)
    with pytest.raises(RouteError, match='parameter "kv"'):
        router.freeze()
    router.freeze({Kv: lambda request: Kv()})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def handler(*things): ...", "by name only"),
        ("def handler(**things): ...", "by name only"),
        ("def handler(thing, /): ...", "by name only"),
        ("def handler(): ...", "no parameter named 'id'"),
        ("def handler(id, b: dict): ...", "GET request has none"),
        ("def handler(id, h: Annotated[dict, Header()]): ...", "cannot come from text"),
        ("def handler(id, h: Annotated[str, Header]): ...", r"write Header\(\)"),
        ("def handler(id, x: Missing): ...", "cannot be resolved"),
        ("def handler(id, x: int | dict): ...", "cannot be filled"),
    ],
)
def test_handlers_that_cannot_work_are_refused(source: str, message: str) -> None:
    """Each mistake is found when the handler is registered, not when the first request comes."""
    space: dict[str, Any] = {"Annotated": Annotated, "Header": Header, "Body": Body}
    exec(f"from __future__ import annotations\n{source}", space)
    with pytest.raises(RouteError, match=message):
        Router(components={}).get("/x/{id}")(space["handler"])


def test_two_readers_of_the_body_are_refused() -> None:
    """One body, one parameter."""

    def handler(a: dict[str, int], b: dict[str, int]) -> None: ...

    with pytest.raises(RouteError, match="second reader"):
        Router().post("/x")(handler)


def test_an_async_handler_cannot_be_blocking() -> None:
    """Only plain functions go to a thread."""
    with pytest.raises(RouteError, match="async"):
        Router().get("/", blocking=True)(nothing)
