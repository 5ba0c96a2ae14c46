"""The route registrar: decorators, groups and mounts in front, a trie with a static fast path behind.

Which route answers: at each segment a literal goes before `int`, `float`, `uuid`, `str` and `path`
parameters, in this order; a mount answers what no route below its prefix answers. Build, freeze, serve:
`freeze()` refuses routes that answer the same requests, and nothing can be added after it.

(Over 250 lines: registration, matching and reversing share one table and read best side by side.)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from echelon.errors import BadInput, HTTPError, RouteError
from echelon.http.bridge import ASGIMount
from echelon.http.endpoint import build_endpoint, is_async
from echelon.http.headers import TOKEN
from echelon.http.parameters import Subject, describe, inspect_handler, plan
from echelon.http.paths import ANY, Converter, Path, parse_path
from echelon.http.request import PATH_SAFE, Request
from echelon.http.response import Empty, Redirect, Response
from echelon.middleware.pipeline import compose
from echelon.types import Components, Endpoint, Handler, Middleware

H = TypeVar("H", bound=Handler)
TrailingSlash = Literal["redirect", "strict"]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One registered handler or mount; `path` is the template with every prefix."""

    path: str
    methods: frozenset[str]
    name: str
    handler: Any
    named: bool = False  # the name was given, not taken from the function
    blocking: bool | None = None
    max_body: int | None = None
    middleware: tuple[Middleware, ...] = ()
    group: Group | None = None
    subject: Subject | None = None  # None for a mount

    def __str__(self) -> str:
        methods = "|".join(sorted(self.methods)) or "mount"
        code = getattr(self.handler, "__code__", None)
        place = f" at {code.co_filename}:{code.co_firstlineno}" if code is not None else ""
        return f"{methods} {self.path} ({self.name}{place})"


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a request is sent to: the route's endpoint, with its own middleware folded in."""

    endpoint: Endpoint
    route: Route
    params: tuple[str, ...] = ()
    plain: bool = True  # nothing has to be set on the request


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    params: list[tuple[Converter, _Node]] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    rest: dict[str, Target] = field(default_factory=dict)
    mount: Target | None = None


class Group:
    """Routes that share a prefix and middleware."""

    def __init__(
        self,
        router: Router | None,
        prefix: str,
        middleware: Iterable[Middleware],
        name: str,
        parent: Group | None = None,
    ) -> None:
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise RouteError(f'{prefix!r} is not a prefix: it starts with "/" and does not end with it')
        self._router = router
        self._prefix = prefix
        self._middleware = list(middleware)
        self._name = name
        self._parent = parent

    def route(
        self,
        path: str,
        *,
        methods: Sequence[str],
        name: str | None = None,
        middleware: Iterable[Middleware] = (),
        blocking: bool | None = None,
        max_body: int | None = None,
    ) -> Callable[[H], H]:
        """Register the decorated handler; `max_body` in bytes replaces the application's limit.

        `blocking=True` runs a plain function in a worker thread; otherwise it runs on the event loop.
        """
        if isinstance(methods, str) or not methods:
            raise RouteError(f"{path}: methods is a list of method names, not {methods!r}")

        def register(handler: H) -> H:
            self._add(path, methods, handler, name, tuple(middleware), blocking, max_body)
            return handler

        return register

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for GET, and HEAD by it; options are those of `route`."""
        return self.route(path, methods=("GET",), **options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for POST; options are those of `route`."""
        return self.route(path, methods=("POST",), **options)

    def put(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for PUT; options are those of `route`."""
        return self.route(path, methods=("PUT",), **options)

    def patch(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for PATCH; options are those of `route`."""
        return self.route(path, methods=("PATCH",), **options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for DELETE; options are those of `route`."""
        return self.route(path, methods=("DELETE",), **options)

    def head(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for HEAD, instead of the one that GET gives; options are those of `route`."""
        return self.route(path, methods=("HEAD",), **options)

    def options(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for OPTIONS, instead of the automatic answer; options are those of `route`."""
        return self.route(path, methods=("OPTIONS",), **options)

    def group(self, prefix: str, *, middleware: Iterable[Middleware] = (), name: str = "") -> Group:
        """Open a group below this one; its middleware runs inside this one's."""
        self._root.require_open(prefix)
        full_name = f"{self._name}.{name}" if self._name and name else self._name or name
        return Group(self._root, self._prefix + prefix, middleware, full_name, self)

    def middleware(self, layer: Middleware) -> Middleware:
        """Add middleware around every route of this group, those already registered included."""
        self._root.require_open("middleware")
        self._middleware.append(layer)
        return layer

    def mount(
        self, prefix: str, app: Any, *, name: str | None = None, middleware: Iterable[Middleware] = ()
    ) -> None:
        """Send everything below `prefix` to an ASGI application or an object with `__echelon_handle__`."""
        prefix = prefix.rstrip("/")
        full = self._prefix + prefix
        if parse_path(full or "/").params:
            raise RouteError(f"{full}: the prefix of a mount has no parameters")
        if not hasattr(app, "__echelon_handle__"):
            if not callable(app):
                raise RouteError(
                    f"{full}: {type(app).__name__} cannot be mounted: "
                    "it is neither an ASGI application nor has it __echelon_handle__"
                )
            app = ASGIMount(app)
        self._root.add(
            Route(
                full,
                frozenset(),
                name or full or "/",
                app,
                named=name is not None,
                middleware=tuple(middleware),
                group=self,
            )
        )

    @property
    def _root(self) -> Router:
        if self._router is None:
            raise RouteError("this group has no router")
        return self._router

    def layers(self) -> list[Middleware]:
        """Return the middleware of this group and those above it, outermost first."""
        return [*(self._parent.layers() if self._parent else ()), *self._middleware]

    def _add(
        self,
        path: str,
        methods: Sequence[str],
        handler: Any,
        name: str | None,
        middleware: tuple[Middleware, ...],
        blocking: bool | None,
        max_body: int | None,
    ) -> None:
        if not callable(handler):
            raise RouteError(f"{path}: a handler is a function, not {type(handler).__name__}")
        if not path.startswith("/") and not (path == "" and self._prefix):
            raise RouteError(f'{path!r} is not a path: it starts with "/"')
        names = frozenset(method.upper() for method in methods)
        for method in names:
            if TOKEN.fullmatch(method) is None:
                raise RouteError(f"{path}: {method!r} is not a method name")
        if blocking and is_async(handler):
            raise RouteError(f"{path}: {describe(handler)}() is async: only plain functions can be blocking")
        full = self._prefix + path
        subject = inspect_handler(handler, full, names, parse_path(full).types)
        self._root.check(subject)
        short = name or describe(handler).rpartition(".")[2]
        self._root.add(
            Route(
                full,
                names,
                f"{self._name}.{short}" if self._name else short,
                handler,
                named=name is not None,
                blocking=blocking,
                max_body=max_body,
                middleware=middleware,
                group=self,
                subject=subject,
            )
        )


class Router(Group):
    """The root group, and the table that finds the route for a request once it is frozen.

    `components` maps a type to the function that provides it; when it is None, unknown classes are
    accepted as parameters until `freeze()` is given the components.
    """

    def __init__(
        self,
        *,
        components: Components | None = None,
        middleware: Iterable[Middleware] = (),
        trailing_slash: TrailingSlash = "redirect",
    ) -> None:
        if trailing_slash not in ("redirect", "strict"):
            raise RouteError(f'trailing_slash is "redirect" or "strict", not {trailing_slash!r}')
        super().__init__(None, "", middleware, "")
        self._router = self
        self._components = components
        self._trailing_slash = trailing_slash
        self._routes: list[Route] = []
        self._static: dict[str, dict[str, Target]] = {}
        self._tree = _Node()
        self._frozen = False
        self._known: Components = {}
        self._guard: Callable[[Endpoint], Endpoint] | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route and mount, in the order of registration."""
        return tuple(self._routes)

    def require_open(self, what: str) -> None:
        """Raise RouteError once the router is frozen."""
        if self._frozen:
            raise RouteError(f"{what}: the application has started; add routes and middleware before")

    def check(self, subject: Subject) -> None:
        """Plan a handler for its errors; what is unknown may yet be a component when none were given."""
        plan(subject, self._components or {}, final=self._components is not None)

    def add(self, route: Route) -> None:
        """Put a route into the table."""
        self.require_open(str(route))
        self._routes.append(route)

    def include(self, other: Router, prefix: str = "", *, middleware: Iterable[Middleware] = ()) -> None:
        """Take over the routes of another router, below a prefix; its own middleware stays around them."""
        group = self.group(prefix, middleware=[*middleware, *other.layers()])
        for route in other.routes:
            inner = [] if route.group is None else route.group.layers()[len(other.layers()) :]
            layers = [*inner, *route.middleware]
            if route.subject is None:
                group.mount(
                    route.path, route.handler, name=route.name if route.named else None, middleware=layers
                )
            else:
                group.route(
                    route.path,
                    methods=sorted(route.methods),
                    name=route.name if route.named else None,
                    middleware=layers,
                    blocking=route.blocking,
                    max_body=route.max_body,
                )(route.handler)

    def freeze(
        self, components: Components | None = None, guard: Callable[[Endpoint], Endpoint] | None = None
    ) -> None:
        """Build the table; raises RouteError for routes that collide and parameters nothing can fill.

        `guard` is put directly around each handler that has middleware, so that expected errors are
        responses by the time middleware sees them. Freezing twice is a no-op.
        """
        if self._frozen:
            return
        self._known, self._guard = {**(self._components or {}), **(components or {})}, guard
        self._fill()
        self._frozen = True

    def exchange(self, old: Iterable[Route], add: Callable[[], None]) -> None:
        """Replace routes of a frozen router by those that `add` adds: for development, between two requests.

        Raises what `add` and `freeze` raise; then everything is as before.
        """
        before = self._routes, self._static, self._tree
        gone = set(old)
        self._routes = [route for route in self._routes if route not in gone]
        self._static, self._tree = {}, _Node()
        self._frozen = False
        try:
            add()
            self._fill()
        except BaseException:
            self._routes, self._static, self._tree = before
            raise
        finally:
            self._frozen = True

    def _fill(self) -> None:
        """Put every route into the empty table."""
        names: dict[str, Route] = {}
        for route in self._routes:
            if route.named and names.setdefault(route.name, route) is not route:
                raise RouteError(f"two routes have the name {route.name!r}: {names[route.name]} and {route}")
            self._insert(route, self._known, self._guard)

    def find(self, request: Request) -> Endpoint:
        """Return the endpoint for a request and set its route and path parameters.

        Raises HTTPError 404 or 405, BadInput for a path that is not text.
        """
        path = request.subpath if request.root_path else request.path
        targets = self._static.get(path)
        if targets is not None:
            target = targets.get(request.method)
            if target is not None:
                request.route = target.route
                if not target.plain:
                    request.max_body = target.route.max_body
                return target.endpoint
        return self._search(request, path)

    def url_for(self, name: str, /, **params: Any) -> str:
        """Return the path of a named route; raises RouteError for an unknown name or wrong parameters."""
        found = [route for route in self._routes if route.name == name]
        if not found:
            near = difflib.get_close_matches(name, {route.name for route in self._routes}, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise RouteError(f"no route has the name {name!r}{hint}")
        if len({route.path for route in found}) > 1:
            listed = " and ".join(str(route) for route in found)
            raise RouteError(f"{name!r} is not the name of one route: {listed}; give them names of their own")
        return parse_path(found[0].path or "/").build(params)

    def _search(self, request: Request, path: str) -> Endpoint:
        if "\ufffd" in path or "\0" in path:
            raise BadInput("the path is not valid UTF-8 text", status=400)
        method = request.method
        if not path.startswith("/"):
            if path == "*" and method == "OPTIONS":
                return partial(_answer, Empty)
            raise BadInput('the path does not start with "/"', status=400)
        allowed: set[str] = set()
        values: list[Any] = []
        target = _match(self._tree, path[1:].split("/"), 0, values, method, allowed)
        if target is not None:
            return _bind(request, target, values)
        if allowed:
            allow = ", ".join(sorted(allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())))
            if method == "OPTIONS":
                return partial(_answer, lambda: Empty(headers={"allow": allow}))
            raise HTTPError(
                405, f"{method} is not allowed here; allowed are {allow}", headers={"allow": allow}
            )
        location = self._slashed(request, path) if self._trailing_slash == "redirect" else None
        if location is not None:
            return partial(_answer, lambda: Redirect(location, 308))
        raise HTTPError(404, f"nothing is at {path}")

    def _slashed(self, request: Request, path: str) -> str | None:
        """Return where the path with or without its last slash is answered; None when it is not."""
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if not other or other.startswith("//"):  # "//host/" would send the client to another server
            return None
        target = _match(self._tree, other[1:].split("/"), 0, [], request.method, set())
        if target is None or not target.route.methods:
            return None
        query = f"?{request.query_string}" if request.query_string else ""
        return quote(request.root_path + other, safe=PATH_SAFE) + query

    def _insert(
        self, route: Route, components: Components, guard: Callable[[Endpoint], Endpoint] | None
    ) -> None:
        layers = [*(route.group.layers() if route.group else ()), *route.middleware]
        endpoint: Endpoint = (
            partial(_handle_mount, route.path, route.handler)
            if route.subject is None
            else build_endpoint(
                route.handler, plan(route.subject, components, final=True), blocking=route.blocking
            )
        )
        if layers:
            endpoint = compose(layers, guard(endpoint) if guard else endpoint)
        template = parse_path(route.path or "/")
        target = Target(endpoint, route, template.names, plain=route.max_body is None)
        node = self._tree
        if route.subject is None:
            for segment in template.segments if route.path else ():
                node = node.literals.setdefault(str(segment), _Node())
            clash = node.mount or node.rest.get("GET")
            if clash is not None:
                raise RouteError(f"two mounts answer the same requests: {clash.route} and {route}")
            node.mount = target
            return
        targets = _descend(node, template)
        for method in sorted(route.methods):
            if method in targets:
                raise RouteError(
                    f"two routes answer the same requests: {targets[method].route} and {route}; "
                    "remove one, or make their paths differ in more than the names of parameters"
                )
            targets[method] = target
        if not template.params:
            known = self._static.setdefault(route.path, {})
            for method in route.methods:
                known[method] = target
            if "GET" in known:
                known.setdefault("HEAD", known["GET"])


def _descend(node: _Node, template: Path) -> dict[str, Target]:
    for segment in template.segments:
        if isinstance(segment, str):
            node = node.literals.setdefault(segment, _Node())
            continue
        if segment.converter is ANY:
            return node.rest
        for converter, child in node.params:
            if converter is segment.converter:
                node = child
                break
        else:
            child = _Node()
            node.params.append((segment.converter, child))
            node.params.sort(key=lambda item: item[0].rank)
            node = child
    return node.targets


def _match(
    node: _Node, segments: list[str], index: int, values: list[Any], method: str, allowed: set[str]
) -> Target | None:
    """Find the most specific target; `values` is then its parameters, `allowed` the methods passed over."""
    if index == len(segments):
        target = _pick(node.targets, method, allowed)
    else:
        segment = segments[index]
        child = node.literals.get(segment)
        target = None if child is None else _match(child, segments, index + 1, values, method, allowed)
        if target is not None:
            return target
        for converter, child in node.params:
            value = converter.read(segment)
            if value is None:
                continue
            values.append(value)
            target = _match(child, segments, index + 1, values, method, allowed)
            if target is not None:
                return target
            values.pop()
        target = _pick(node.rest, method, allowed)
        if target is not None:
            values.append("/".join(segments[index:]))
    if target is None and node.mount is not None:
        values.clear()
        return node.mount
    return target


def _pick(targets: Mapping[str, Target], method: str, allowed: set[str]) -> Target | None:
    target = targets.get(method)
    if target is None and method == "HEAD":
        target = targets.get("GET")
    if target is None:
        allowed.update(targets)
    return target


def _bind(request: Request, target: Target, values: list[Any]) -> Endpoint:
    request.route = target.route
    if values:
        request.path_params = dict(zip(target.params, values, strict=True))
    if target.route.max_body is not None:
        request.max_body = target.route.max_body
    return target.endpoint


async def _handle_mount(prefix: str, app: Any, request: Request) -> Response:
    request.root_path += prefix
    return await app.__echelon_handle__(request)  # type: ignore[no-any-return]


async def _answer(make: Callable[[], Response], request: Request) -> Response:
    return make()
