"""The pages of an application: registered before it starts, built when it does, in development anew on each change.

A page is a route like any other; its handler is what loads its properties. Around it stands a `Page`, which has the
result rendered in a fresh instance (see answers.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from echelon.errors import CompileError, ConfigError, HTTPError, RouteError
from echelon.http.request import Request
from echelon.http.response import Response, Stream
from echelon.runtime.limits import Limits
from echelon.runtime.script_map import ScriptMap
from echelon.view import ahead, routes, sources
from echelon.view.answers import PART, Answers, Build, Component
from echelon.view.bundler import PREFIX, Bundle, bundle
from echelon.view.declared import Entry, Folder, Listing, Single, listing_of
from echelon.view.properties import make_handler

if TYPE_CHECKING:
    from echelon.middleware.errors import ErrorHandlers
    from echelon.routing import Route, Router
    from echelon.runtime.core import Runtime
    from echelon.types import CallNext, Handler

log = logging.getLogger("echelon")

LIMITS: Final = Limits(memory="64MiB", time=2.0, output="8MiB")
_LASTING: Final = "public, max-age=31536000, immutable"
_WATCH_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page; this is the middleware around the handler that loads its properties."""

    answers: Answers
    component: Component
    stream: bool

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Answer a request for the page."""
        if self.stream and not request.headers.get(PART) and request.method != "HEAD":
            return await self.answers.streamed(self.component, request, call_next)
        return await self.answers.answer(self.component, request, call_next)


class Site:
    """Every page. Belongs to one application; `start` after its runtime, `close` before it."""

    def __init__(
        self, router: Router, runtime: Runtime, errors: ErrorHandlers, *, debug: bool = False
    ) -> None:
        self._router, self._runtime, self._errors, self._debug = router, runtime, errors, debug
        self.built: Path | None = None
        """Where `write` put the pages before, if that is to be used."""
        self._answers = Answers(debug=debug)
        self._declared: list[Single | Folder] = []
        self._listing = Listing([], {})
        self._routes: list[Route] = []
        self._sources: sources.Sources | None = None
        self._changed: asyncio.Event = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    # --- before the start ---

    def page(
        self,
        path: str,
        file: str | Path,
        props: Handler | None = None,
        *,
        stream: bool = False,
        name: str | None = None,
    ) -> None:
        """Answer a path with a page; see `Application.page`."""
        found = Path(file).absolute()
        if not found.is_file():
            raise ConfigError(f"{file}: there is no such page")
        self._declare(Single(path, found, props, stream, name))

    def pages(self, folder: str | Path, props: Mapping[str, Handler], prefix: str, stream: bool) -> None:
        """Answer with every page of a folder; see `Application.pages`."""
        self._declare(Folder(Path(folder).absolute(), props, prefix, stream))

    def _declare(self, one: Single | Folder) -> None:
        if not self._declared:
            self._router.get(f"{PREFIX}/changes")(self.changes)
            self._router.get(f"{PREFIX}/{{name}}")(self.asset)
        for entry in one.entries():
            self._add(entry)
        self._declared.append(one)
        self._take(listing_of(self._declared))

    def _add(self, entry: Entry) -> None:
        page = Page(self._answers, entry.component, entry.stream)
        register = self._router.get(entry.path, name=entry.name or f"page {entry.path}", middleware=[page])
        register(make_handler(entry.props, entry.path))
        self._routes.append(self._router.routes[-1])

    def _take(self, listing: Listing) -> None:
        self._listing, self._answers.special = listing, listing.special

    def _replace(self, listing: Listing) -> None:
        """Put other pages in the place of those that are served; raises RouteError and changes nothing."""
        before, self._routes = self._routes, []

        def add() -> None:
            for entry in listing.entries:
                self._add(entry)

        try:
            self._router.exchange(before, add)
        except BaseException:
            self._routes = before
            raise
        self._take(listing)
        self._answer_errors()

    # --- start and stop ---

    async def start(self) -> None:
        """Build and load the pages; in development a failure is shown on the pages instead of raised."""
        if not self._declared:
            return
        self._answer_errors()
        try:
            await self._build()
        except CompileError as exc:
            if not self._debug:
                raise
            self._fail(exc)
        if self._debug:
            self._watcher = asyncio.create_task(self._watch())

    def _answer_errors(self) -> None:
        """Have the application's own pages answer errors, those that it has no handlers for."""
        if routes.NOT_FOUND in self._answers.special and not self._errors.answers(404):
            self._errors.add(404, self._answers.not_found)
        others = not any(self._errors.answers(kind) for kind in (HTTPError, Exception))
        if routes.FAILED in self._answers.special and others:
            self._errors.add(HTTPError, self._refused)

    async def _refused(self, request: Request, error: Exception) -> Response:
        """Answer an expected error of any route."""
        return await self._answers.refused(request, self._errors.problem(error))

    async def close(self) -> None:
        """Stop watching, end the connections that wait for changes, and let go of the module."""
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        self._tell("")
        if self._answers.build is not None:
            self._answers.build.module.close()
            self._answers.build = None

    async def write(self, folder: Path) -> int:
        """Build the pages, see that they load, and write them into a new folder; return how many they are."""
        if not self._declared:
            return 0
        files, layouts = self._files()
        found, pages, around = await _collect(files, layouts)
        made = await bundle(found, pages, around)
        (await self._runtime.load(made.script, name="views", limits=LIMITS)).close()
        await asyncio.to_thread(ahead.write, folder, made, ahead.key_of(found, pages, around))
        return len(pages)

    def _files(self) -> tuple[list[Path], list[Path]]:
        """Return the files that are rendered, and those that are layouts."""
        pages = [entry.component for entry in self._listing.entries]
        every = [*pages, *self._listing.special.values()]
        files = list(dict.fromkeys(page.file for page in every))
        return files, list(dict.fromkeys(layout for page in every for layout in page.layouts))

    async def _build(self) -> None:
        files, layouts = self._files()
        found, pages, around = await _collect(files, layouts)
        self._sources, self._answers.sources = found, found.files
        made = await self._written(found, pages, around) or await bundle(found, pages, around)
        answers = self._answers
        if answers.build is None:
            module = await self._runtime.load(made.script, name="views", limits=LIMITS)
        else:
            module = answers.build.module
            await module.replace(made.script)
        answers.build = Build(made, module, ScriptMap(made.places), _numbered(files), _numbered(layouts))
        answers.problem = None
        self._tell(_digest(made.script, *sorted(name.encode() for name in made.assets)))

    async def _written(self, found: sources.Sources, pages: list[str], layouts: list[str]) -> Bundle | None:
        """Return what `write` made of the same sources, None where there is nothing of the kind."""
        if self.built is None or not self.built.is_dir():
            return None
        made = await asyncio.to_thread(ahead.read, self.built, ahead.key_of(found, pages, layouts))
        if made is None:
            log.warning(
                "the pages, or Echelon, were changed since %s was written: they are built anew; type: echelon build",
                self.built,
            )
        return made

    # --- development ---

    def _fail(self, problem: Exception) -> None:
        log.error("the pages cannot be built: %s", problem)
        self._answers.problem = problem
        self._tell(_digest(str(problem).encode()))

    def _tell(self, identity: str) -> None:
        """Let browsers know what is served now."""
        self._answers.identity = identity
        self._changed.set()
        self._changed = asyncio.Event()

    async def _watch(self) -> None:
        unread = False  # whether the last look ended before there was anything to compare the next one with
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                listing = await asyncio.to_thread(listing_of, self._declared)
                if listing != self._listing:
                    self._replace(listing)
                elif not (unread or self._sources is None or await asyncio.to_thread(self._sources.changed)):
                    continue
                await self._build()
                unread = False
            except (CompileError, ConfigError, RouteError) as exc:
                unread = not isinstance(exc, CompileError)
                if str(exc) != str(self._answers.problem):
                    self._fail(exc)

    async def changes(self) -> Response:
        """Tell a browser which build is served, and each new one."""
        if not self._debug:
            raise HTTPError(404, "nothing changes outside of development")

        async def events() -> AsyncIterator[str]:
            while self._answers.identity:
                yield f"data: {self._answers.identity}\n\n"
                waiting = self._changed
                try:
                    await asyncio.wait_for(waiting.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"

        return Stream(events(), headers={"cache-control": "no-store"}, media_type="text/event-stream")

    # --- files for the browser ---

    async def asset(self, name: str) -> Response:
        """Answer with a file for the browser; its name changes with its content."""
        build = self._answers.build
        content = None if build is None else build.bundle.assets.get(name)
        if content is None:
            raise HTTPError(404, f"there is no file {name}")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind = "text/javascript; charset=utf-8" if name.endswith(".js") else kind
        return Response(content, headers={"cache-control": _LASTING}, media_type=kind)


async def _collect(files: list[Path], layouts: list[Path]) -> tuple[sources.Sources, list[str], list[str]]:
    """Return the sources, and how pages and layouts are called in them."""
    found = await asyncio.to_thread(sources.collect, [*files, *layouts])
    return found, [found.name(file) for file in files], [found.name(file) for file in layouts]


def _numbered(files: list[Path]) -> dict[Path, int]:
    return {file: number for number, file in enumerate(files)}


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
