"""The application core: owns every component, boots and stops them in order."""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta, tzinfo
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from echelon.config import Config
from echelon.console.api import Console
from echelon.errors import ConfigError, EchelonError
from echelon.http.request import RequestOptions
from echelon.http.service import Service
from echelon.jobs.registry import Jobs
from echelon.kv import Atomic, CommitResult, Key, Kv
from echelon.kv.opening import open_configured
from echelon.middleware.errors import ErrorHandlers
from echelon.plugin import ahead, languages
from echelon.plugin.ahead import Built
from echelon.plugin.artifacts import ArtifactStore
from echelon.plugin.generator import Generator
from echelon.routing import Group, Router
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.lifecycle import Lifecycle
from echelon.runtime.module import Module
from echelon.telemetry import OFF, Telemetry, configure_logging
from echelon.types import ErrorHandler, Handler, Middleware, Receive, Scope, Send
from echelon.view.site import Site

H = TypeVar("H", bound=Handler)
Hook = Callable[[], Awaitable[None]]


class Application:
    """A web application with a WebAssembly runtime, a compiler and a key-value store inside.

    `Application()` reads `echelon.toml` in the working directory if it is there, `Application("path.toml")` that file,
    `Application(config=Config(…))` nothing. It is an ASGI and an RSGI application; `async with app:` boots everything
    without a server. Routes, middleware and modules are added before it starts.
    """

    def __init__(self, path: str | Path | None = None, *, config: Config | None = None) -> None:
        if path is not None and config is not None:
            raise ConfigError("give a configuration file or a Config, not both")
        self.config = config or Config.load(path)
        self.telemetry: Telemetry = OFF
        self.generator = self._make_generator()
        self.wasm = Runtime(self._runtime_settings(), generator=self.generator)
        self.lifecycle = Lifecycle()
        self.wasm.events = self.lifecycle.events
        self._kv: Kv | None = None
        self._start_hooks: list[Hook] = []
        self._stop_hooks: list[Hook] = []
        self._errors = ErrorHandlers(debug=self.config.debug)
        server = self.config.server
        self.router = Router(components={Kv: lambda _: self.kv, Runtime: lambda _: self.wasm})
        self._jobs = Jobs({Kv: lambda: self.kv, Runtime: lambda: self.wasm})
        self._service = Service(
            self.router,
            app=self,
            errors=self._errors,
            options=RequestOptions.trusting(server.trusted_proxies, max_body=server.max_body),
            startup=self._boot,
            shutdown=self.lifecycle.stop,
        )
        self.__rsgi__ = self._service.__rsgi__
        self.console = Console(self)
        self.views = Site(self.router, self.wasm, self._errors, debug=self.config.debug)
        self._add_components()

    # --- components ---

    @property
    def kv(self) -> Kv:
        """The key-value store; raises EchelonError before the application has started."""
        if self._kv is None:
            raise EchelonError("the key-value store is not open: the application has not started")
        return self._kv

    def _make_generator(self) -> Generator:
        settings = self.config.generator
        artifacts = ArtifactStore(settings.cache, settings.cache_size)
        return Generator(
            languages.compilers(self.config),
            artifacts,
            max_source=settings.max_source,
            waiting=settings.queue,
        )

    def _runtime_settings(self) -> RuntimeSettings:
        names = set(RuntimeSettings.__dataclass_fields__) - {"drain_time"}
        values = {name: getattr(self.config.wasm, name) for name in names}
        return RuntimeSettings(**values, drain_time=self.config.server.shutdown_time)

    def _add_components(self) -> None:
        add = self.lifecycle.add
        add("telemetry", self._start_telemetry, self._stop_telemetry)
        add("key-value store", self._start_kv, self._stop_kv)
        add("generator", self._start_generator, self.generator.close)
        add("WebAssembly runtime", self.wasm.start, self.wasm.close)
        add("views", self.views.start, self.views.close)
        add("console", self.console.start, self.console.close)
        add("application's start hooks", self._run_start_hooks, self._run_stop_hooks)
        add("queue handlers and cron jobs", self._start_jobs, self._stop_jobs)

    async def _start_telemetry(self) -> None:
        with suppress(OSError):  # the first component that writes there says what is wrong
            self.config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        configure_logging(self.config.telemetry)
        self.telemetry = Telemetry.start(self.config.telemetry, self.config.state)
        self.generator.telemetry = self.wasm.telemetry = self.telemetry

    async def _stop_telemetry(self) -> None:
        await self.telemetry.close()

    async def _start_kv(self) -> None:
        if not self.config.kv.url:
            self.config.kv.path.parent.mkdir(parents=True, exist_ok=True)
        self._kv = self.wasm.kv = await open_configured(self.config.kv, self.telemetry)

    async def _stop_kv(self) -> None:
        kv, self._kv, self.wasm.kv = self._kv, None, None
        if kv is not None:
            await kv.close()

    async def _start_generator(self) -> None:
        build = self.config.build
        if not self.config.debug and await asyncio.to_thread(ahead.trusted, build):
            self.generator.use_built(ArtifactStore(build / ahead.ARTIFACTS))
            self.views.built = build / ahead.VIEWS
        await self.generator.start()

    async def _start_jobs(self) -> None:
        kv = self.config.kv
        await self._jobs.start(self.kv, self.telemetry, concurrency=kv.queue_concurrency, cron=kv.cron)

    async def _stop_jobs(self) -> None:
        await self._jobs.stop(self.config.server.shutdown_time)

    async def _run_start_hooks(self) -> None:
        for hook in self._start_hooks:
            await hook()

    async def _run_stop_hooks(self) -> None:
        for hook in reversed(self._stop_hooks):
            await hook()

    # --- start and stop ---

    async def startup(self) -> None:
        """Boot every component; raises StartError that names the one that failed, and stops the others."""
        await self._service.startup()

    async def shutdown(self) -> None:
        """Stop every component in reverse. Stopping twice is a no-op."""
        await self._service.shutdown()

    async def _boot(self) -> None:
        await self.lifecycle.start()
        try:
            self._check_mounts()
        except BaseException:
            await self.lifecycle.stop()
            raise
        self._service.freeze(telemetry=self.telemetry)

    def _check_mounts(self) -> None:
        """Raise LoadError for a mounted module that does not answer HTTP."""
        for route in self.router.routes:
            if isinstance(route.handler, Module):
                route.handler.check_answers_http()

    async def build(self) -> Built:
        """Compile ahead, into the folder that the setting `build` names: pages, and the modules that are declared.

        An application that starts without `debug` uses them, and then needs no compiler. Nothing else is started.
        """
        if self.wasm.running:
            raise EchelonError("an application that has started cannot be built")
        with ahead.replaced(self.config.build) as work:
            store = ArtifactStore(work / ahead.ARTIFACTS, sys.maxsize)
            store.open()
            self.generator.write_built(store)
            async with self.generator, self.wasm:
                pages = await self.views.write(work / ahead.VIEWS)
        return Built(self.config.build, pages, len(self.wasm.declared))

    def on_start(self, hook: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Run a coroutine function once everything else has started."""
        self._start_hooks.append(hook)
        return hook

    def on_stop(self, hook: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Run a coroutine function before anything else stops."""
        self._stop_hooks.append(hook)
        return hook

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # --- work beside requests ---

    @overload
    def queue(self, handler: H, /) -> H: ...
    @overload
    def queue(
        self,
        name: str | None = None,
        /,
        *,
        backoff_schedule: Sequence[timedelta] | None = None,
        undelivered: Key | None = None,
        timeout: timedelta | None = None,
    ) -> Callable[[H], H]: ...
    def queue(self, name: Any = None, /, **options: Any) -> Any:
        """Register what handles the messages of a queue: `@app.queue`, `@app.queue("emails")`.

        One parameter gets the message, as its type; others are filled by theirs (Kv, Runtime, Delivery). The queue
        "" has what `kv.enqueue()` sends. A delivery that raises, or takes longer than `timeout`, is repeated after the
        times in `backoff_schedule`; in the end the message is stored below the key `undelivered`.
        """
        return self._jobs.queue()(name) if callable(name) else self._jobs.queue(name, **options)

    def cron(
        self,
        schedule: str | timedelta,
        *,
        name: str | None = None,
        timezone: str | tzinfo = "UTC",
        catch_up: bool = False,
        timeout: timedelta | None = None,
    ) -> Callable[[H], H]:
        """Register a job: `@app.cron("*/5 * * * *")`, `@app.cron("@daily", timezone="Europe/Zurich")`.

        Each time is run once, whatever the number of workers and machines that share the store. Times that pass while
        no worker runs are lost, but with `catch_up` the last of them is run at the next start.
        """
        return self._jobs.cron(schedule, name=name, timezone=timezone, catch_up=catch_up, timeout=timeout)

    async def enqueue(
        self,
        queue: str | Handler,
        value: Any,
        *,
        delay: timedelta | None = None,
        backoff_schedule: Sequence[timedelta] | None = None,
        keys_if_undelivered: Iterable[Key] = (),
        into: Atomic | None = None,
    ) -> CommitResult | None:
        """Send a message to a queue, named or given by its handler; options are those of `Kv.enqueue()`.

        `into` adds it to a commit instead, and the result is None.
        """
        return await self._jobs.send(
            self.kv,
            queue,
            value,
            delay=delay,
            backoff_schedule=backoff_schedule,
            keys_if_undelivered=keys_if_undelivered,
            into=into,
        )

    # --- protocols ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve ASGI: http and lifespan."""
        await self._service(scope, receive, send)

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        self._service.__rsgi_init__(loop)

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        self._service.__rsgi_del__(loop)

    # --- routes: the router's own methods, under the names that programs use ---

    def route(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for the given methods; options are those of `Router.route`."""
        return self.router.route(path, **options)

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for GET and HEAD; options are those of `Router.route`."""
        return self.router.get(path, **options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for POST; options are those of `Router.route`."""
        return self.router.post(path, **options)

    def put(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for PUT; options are those of `Router.route`."""
        return self.router.put(path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for PATCH; options are those of `Router.route`."""
        return self.router.patch(path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for DELETE; options are those of `Router.route`."""
        return self.router.delete(path, **options)

    def head(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for HEAD alone; options are those of `Router.route`."""
        return self.router.head(path, **options)

    def options(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for OPTIONS; options are those of `Router.route`."""
        return self.router.options(path, **options)

    def group(self, prefix: str, *, middleware: Iterable[Middleware] = (), name: str = "") -> Group:
        """Return a group of routes below a prefix, with middleware of its own."""
        return self.router.group(prefix, middleware=middleware, name=name)

    def mount(self, prefix: str, app: Any, *, name: str | None = None) -> None:
        """Let an ASGI application, or anything with `__echelon_handle__`, answer all below a prefix."""
        self.router.mount(prefix, app, name=name)

    def include(self, router: Router, prefix: str = "", *, middleware: Iterable[Middleware] = ()) -> None:
        """Add the routes of another router below a prefix."""
        self.router.include(router, prefix, middleware=middleware)

    # --- pages ---

    def page(
        self,
        path: str,
        file: str | Path,
        props: Handler | None = None,
        *,
        stream: bool = False,
        name: str | None = None,
    ) -> None:
        """Answer a path with a page of components: `app.page("/", "pages/index.tsx", props=load)`.

        `props` is a handler like any other that returns the page's properties (or a Response instead of the page);
        without it they are the parameters of the path. `stream` sends the beginning while they are loaded, so that
        the status is always 200. Layouts are those in the folder `pages` above the file (see docs/views.md).
        """
        self.views.page(path, file, props, stream=stream, name=name)

    def pages(
        self,
        folder: str | Path,
        *,
        props: Mapping[str, Handler] | None = None,
        prefix: str = "",
        stream: bool = False,
    ) -> None:
        """Answer with every page of a folder, each at the path that its name says.

        `props` loads the properties of the pages by these paths: `props={"/posts/{id}": load_post}`.
        """
        self.views.pages(folder, props or {}, prefix, stream)

    def url_for(self, name: str, /, **params: Any) -> str:
        """Return the path of a named route."""
        return self.router.url_for(name, **params)

    def middleware(self, layer: Middleware) -> Middleware:
        """Add `async (request, call_next) -> response` around everything; the first added is outermost."""
        return self._service.add_middleware(layer)

    def on_error(self, key: type[Exception] | int) -> Callable[[ErrorHandler], ErrorHandler]:
        """Register what answers an exception type or a status: `@app.on_error(404)`."""

        def register(handler: ErrorHandler) -> ErrorHandler:
            self._errors.add(key, handler)
            return handler

        return register
