"""The control API itself: store modules, look at them, call them, or compile and call in one step."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.console import bodies
from echelon.console.bodies import CallBody, ModuleBody, RunBody
from echelon.console.calls import call_from_json
from echelon.console.problems import answers_problems, bad_request, to_json
from echelon.console.registry import Description, Record, Registry, check_name, granted_paths
from echelon.console.shelf import Shelf
from echelon.console.values import outcome_to_json
from echelon.errors import HTTPError
from echelon.http.disconnect import cancel_on_disconnect
from echelon.http.request import Request
from echelon.http.response import JSON, Empty, Response
from echelon.plugin.artifacts import Artifact
from echelon.plugin.generator import BINARY
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions
from echelon.runtime.result import Outcome

if TYPE_CHECKING:
    from echelon.app import Application
    from echelon.routing import Group
    from echelon.runtime.core import RuntimeSettings

MODULES: Final = "/_echelon/v1/modules"
_QUERY: Final = ("name", "permissions", "limits")
_LANGUAGE: Final = re.compile(r"[a-z][a-z0-9+#-]{0,31}")


class Control:
    """The handlers of `/_echelon/v1`; whoever gets here has shown the token."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._shelf = Shelf()
        self._registry: Registry | None = None

    def add_routes(self, group: Group) -> None:
        """Register every route of the control API."""
        group.post("/modules", name="create_module")(answers_problems(self.create))
        group.get("/modules", name="list_modules")(answers_problems(self.list))
        group.get("/modules/{ref}", name="show_module")(answers_problems(self.show))
        group.delete("/modules/{ref}", name="delete_module")(answers_problems(self.delete))
        group.post("/modules/{ref}/call", name="call_module")(answers_problems(self.call))
        group.post("/run", name="run")(answers_problems(self.run))

    def start(self) -> None:
        """Open the registry; raises ConfigError when its directory cannot be used."""
        registry = Registry(self._app.kv, self._app.config.state / "modules", self._describe_component)
        registry.open()
        self._registry = registry

    def close(self) -> None:
        """Let go of every loaded module. Closing twice is a no-op."""
        self._shelf.close()

    @property
    def registry(self) -> Registry:
        """The stored modules; raises HTTPError 503 before the application has started."""
        if self._registry is None:
            raise HTTPError(503, "the application has not started")
        return self._registry

    # --- handlers ---

    async def create(self, request: Request) -> Response:
        """Compile a source, or take a module, load it, and store it."""
        sent = request.content_type == bodies.WASM_TYPE
        body = _body_of_query(request) if sent else await bodies.read_json(request, ModuleBody)
        name = None if body.name is None else check_name(body.name)
        permissions = bodies.permissions_of(body.permissions)
        limits = bodies.limits_of(body.limits, self._app.wasm.settings.limits)
        self._app.wasm.check_limits(limits)
        artifact = await (self._accept(request) if sent else self._compile(body, request))
        async with self._load(artifact.digest, artifact.wasm, name, permissions, limits) as module:
            language = _claimed_language(module) if sent else artifact.language
        record = await self.registry.put(artifact, name, language, permissions, limits)
        description = await self.registry.description(record)
        answer = _answer(record, description, cached=artifact.cached, compile_ms=artifact.compile_ms)
        answer["diagnostics"] = to_json(artifact.diagnostics)
        return JSON(answer, 201, {"location": f"{MODULES}/{record.label}"})

    async def list(self, request: Request) -> Response:
        """Answer with one page of the stored modules."""
        limit, cursor = bodies.read_page(request)
        records, following = await self.registry.page(limit, cursor)
        modules = []
        for record in records:
            try:
                modules.append(_answer(record, await self.registry.description(record)))
            except HTTPError as exc:
                if exc.status != 404:  # 404: deleted or replaced since the page was read
                    modules.append({**_answer(record, Description(0, [], [])), "damaged": exc.detail})
        return JSON({"modules": modules, "cursor": following})

    async def show(self, request: Request, ref: str) -> Response:
        """Answer with one stored module."""
        record = await self.registry.find(ref)
        return JSON(_answer(record, await self.registry.description(record)))

    async def delete(self, request: Request, ref: str) -> Response:
        """Forget a stored module."""
        await self.registry.delete(ref)
        return Empty()

    async def _describe_component(self, wasm: bytes) -> Description:
        """Load a component to learn its types; nothing of it runs."""
        module = await self._app.wasm.load(wasm)
        try:
            exports = [function.to_dict() for function in module.exports()]
            return Description(len(wasm), exports, list(module.imports()))
        finally:
            module.close()

    async def call(self, request: Request, ref: str) -> Response:
        """Call a function of a stored module."""
        body = await bodies.read_json(request, CallBody)
        record = await self.registry.find(ref)
        permissions, limits = stored_grants(record, self._app.wasm.settings)
        narrower = None if body.permissions is None else Permissions.parse(body.permissions)
        smaller = None if body.limits is None else Limits.parse(body.limits, limits)
        if smaller is not None:
            self._app.wasm.check_limits(smaller)
        wasm = partial(self.registry.wasm, record)
        async with self._load(record.digest, wasm, record.name, permissions, limits) as module:
            outcome = await cancel_on_disconnect(request, _call(module, body, narrower, smaller))
        return JSON(outcome_to_json(outcome))

    async def run(self, request: Request) -> Response:
        """Compile a source, or find what was compiled, and call a function of it."""
        body = await bodies.read_json(request, RunBody)
        permissions = bodies.permissions_of(body.permissions)
        limits = bodies.limits_of(body.limits, self._app.wasm.settings.limits)
        self._app.wasm.check_limits(limits)
        artifact = await self._compile(body, request, wait=False)
        async with self._load(artifact.digest, artifact.wasm, None, permissions, limits) as module:
            outcome = await cancel_on_disconnect(request, _call(module, body, None, None))
        return JSON(
            {
                **outcome_to_json(outcome),
                "id": artifact.digest,
                "language": artifact.language,
                "cached": artifact.cached,
                "optimizing": artifact.optimizing,
                "compile_ms": artifact.compile_ms,
                "diagnostics": to_json(artifact.diagnostics),
            }
        )

    # --- their steps ---

    async def _accept(self, request: Request) -> Artifact:
        wasm = await request.body()
        bodies.check_wasm(wasm, self._app.generator.max_output)
        return await self._app.generator.compile(wasm, BINARY)

    async def _compile(self, body: ModuleBody | RunBody, request: Request, *, wait: bool = True) -> Artifact:
        generator = self._app.generator
        if body.language == BINARY:
            raise bad_request(f"language: a module is sent as bytes, to {MODULES} as {bodies.WASM_TYPE}")
        bodies.check_source(body.source, generator.max_source)
        client = request.client
        return await generator.compile(
            body.source,
            body.language,
            body.optimize,
            client=client[0] if client is not None else "",
            names=body.names,
            debug=body.debug,
            options=body.options,
            wait=wait,
        )

    @asynccontextmanager
    async def _load(
        self,
        digest: str,
        wasm: bytes | Callable[[], Awaitable[bytes]],
        name: str | None,
        permissions: Permissions,
        limits: Limits,
    ) -> AsyncIterator[Module]:
        """Give a loaded module; `wasm` is only asked for when it is not loaded yet."""

        async def load() -> Module:
            content = wasm if isinstance(wasm, bytes) else await wasm()
            return await self._app.wasm.load(
                content, name=name or "module", permissions=permissions, limits=limits
            )

        async with self._shelf.borrow((digest, name, permissions, limits), load) as module:
            yield module


async def _call(
    module: Module, body: CallBody | RunBody, permissions: Permissions | None, limits: Limits | None
) -> Outcome:
    return await call_from_json(
        module,
        body.function,
        body.args,
        stdin=body.stdin,
        env=body.env,
        permissions=permissions,
        limits=limits,
    )


def stored_grants(record: Record, settings: RuntimeSettings) -> tuple[Permissions, Limits]:
    """Return what a stored module may do: its limits within today's ceilings, its paths as they were granted.

    Raises HTTPError 409 when a granted path leads elsewhere by now: a guest that can write could have put a
    link there.
    """
    permissions = Permissions.parse(record.permissions)
    if granted_paths(permissions) != record.paths:
        raise HTTPError(
            409, f"a path that was granted to {record.label} leads elsewhere now; post the module again"
        )
    limits = Limits.parse(record.limits, settings.limits)
    if limits.memory > settings.max_memory or limits.time > settings.max_time:
        memory, time = min(limits.memory, settings.max_memory), min(limits.time, settings.max_time)
        limits = replace(limits, memory=memory, time=time)
    return permissions, limits


def _answer(
    record: Record, description: Description, *, cached: bool = True, compile_ms: float = 0.0
) -> dict[str, Any]:
    return {
        "id": record.digest,
        "name": record.name,
        "language": record.language,
        "size": description.size,
        "exports": description.exports,
        "imports": description.imports,
        "permissions": record.permissions,
        "limits": record.limits,
        "created": record.created,
        "provenance": record.provenance,
        "cached": cached,
        "compile_ms": compile_ms,
    }


def _claimed_language(module: Module) -> str:
    """Return the language that a module which was sent says it comes from."""
    return module.language if _LANGUAGE.fullmatch(module.language) else BINARY


def _body_of_query(request: Request) -> ModuleBody:
    query = bodies.read_query(request, _QUERY)
    return ModuleBody(source="", **{key: _query_value(key, text) for key, text in query.items()})


def _query_value(key: str, text: str) -> Any:
    """Return a query parameter as the body of the other form has it: a name, or a JSON object."""
    if key == "name":
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as exc:
        raise bad_request(f"{key}: the query parameter is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise bad_request(f'{key}: the query parameter must be a JSON object such as {{"time": 0.5}}')
    return value
