"""The pages of an application: registered before it starts, built when it does, rendered for each request.

A page is a route like any other; its handler is what loads its properties. Around it stands a `Page`, which has the
result rendered in a fresh instance and answers with a document, a fragment of one, or an error page.
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
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import CompileError, ConfigError, EchelonError, GuestError, HTTPError
from echelon.http.request import Request
from echelon.http.response import HTML, Problem, Redirect, Response, Stream, encode_json, reason
from echelon.runtime.limits import Limits
from echelon.runtime.script_map import ScriptMap
from echelon.view import document, failures, routes, sources
from echelon.view.bundler import PREFIX, Bundle, bundle
from echelon.view.document import Shell, make_nonce
from echelon.view.failures import RenderError, Thrown
from echelon.view.markup import html
from echelon.view.properties import Loaded, make_handler

if TYPE_CHECKING:
    from echelon.middleware.errors import ErrorHandlers
    from echelon.routing import Router
    from echelon.runtime.core import Runtime
    from echelon.runtime.module import Module
    from echelon.types import CallNext, Handler

log = logging.getLogger("echelon")

PART: Final = "echelon-fragment"
"""The request header that asks for a part: `page` without its layouts, or the name of a component the page exports."""
LIMITS: Final = Limits(memory="64MiB", time=2.0, output="8MiB")
_LASTING: Final = "public, max-age=31536000, immutable"
_WATCH_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 15.0


class _Meta(msgspec.Struct):
    """The first line of what the script answers."""

    head: str = ""
    islands: list[str] = []
    lang: str = ""
    missing: bool = False
    error: Thrown | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page: its file, the layouts around it, and how it is sent."""

    site: Site
    path: str
    file: Path
    layouts: tuple[Path, ...]
    stream: bool

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        """Answer a request for the page; this is the middleware around its handler."""
        if self.stream and not request.headers.get(PART) and request.method != "HEAD":
            return await self.site.streamed(self, request, call_next)
        return await self.site.answer(self, request, call_next)


class Site:
    """Every page. Belongs to one application; `start` after its runtime, `close` before it."""

    def __init__(
        self, router: Router, runtime: Runtime, errors: ErrorHandlers, *, debug: bool = False
    ) -> None:
        self._router, self._runtime, self._errors, self._debug = router, runtime, errors, debug
        self._pages: list[Page] = []
        self._special: dict[str, Page] = {}
        self._module: Module | None = None
        self._bundle: Bundle | None = None
        self._places = ScriptMap(b"")
        self._sources: sources.Sources | None = None
        self._problem: Exception | None = None
        self._identity = ""
        self._changed: asyncio.Event = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._numbers: dict[Path, int] = {}
        self._layout_numbers: dict[Path, int] = {}

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
        root = routes.root_of(found)
        self._add(path, found, root, props, stream, name)
        self._add_special(root)

    def pages(self, folder: str | Path, props: Mapping[str, Handler], prefix: str, stream: bool) -> None:
        """Answer with every page of a folder; see `Application.pages`."""
        root = Path(folder).absolute()
        found = routes.page_files(root)
        unknown = set(props) - {page.path for page in found}
        if unknown:
            known = ", ".join(page.path for page in found)
            raise ConfigError(
                f"{folder}: there is no page for {', '.join(sorted(unknown))}; there are {known}"
            )
        for page in found:
            path = f"{prefix.rstrip('/')}{page.path}" if page.path != "/" else prefix or "/"
            self._add(path, page.file, root, props.get(page.path), stream, None)
        self._add_special(root)

    def _add(
        self, path: str, file: Path, root: Path, props: Handler | None, stream: bool, name: str | None
    ) -> None:
        if not self._pages:
            self._router.get(f"{PREFIX}/changes")(self.changes)
            self._router.get(f"{PREFIX}/{{name}}")(self.asset)
        page = Page(self, path, file, tuple(routes.layouts_of(file, root)), stream)
        handler = make_handler(props, path)
        self._router.get(path, name=name or f"page {path}", middleware=[page])(handler)
        self._pages.append(page)

    def _add_special(self, root: Path) -> None:
        for kind in (routes.NOT_FOUND, routes.FAILED):
            file = routes.beside(root, kind)
            if file is not None and kind not in self._special:
                self._special[kind] = Page(self, "", file, tuple(routes.layouts_of(file, root)), False)

    # --- start and stop ---

    async def start(self) -> None:
        """Build and load the pages; in development a failure is shown on the pages instead of raised."""
        if not self._pages:
            return
        if routes.NOT_FOUND in self._special and not self._errors.answers(404):
            self._errors.add(404, self._not_found)
        try:
            await self._build()
        except CompileError as exc:
            if not self._debug:
                raise
            self._fail(exc)
        if self._debug:
            self._watcher = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching, end the connections that wait for changes, and let go of the module."""
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        self._identity = ""
        self._tell()
        if self._module is not None:
            self._module.close()
            self._module = None

    async def _build(self) -> None:
        every = [*self._pages, *self._special.values()]
        files = list(dict.fromkeys(page.file for page in every))
        layouts = list(dict.fromkeys(layout for page in every for layout in page.layouts))
        found = await asyncio.to_thread(sources.collect, [*files, *layouts])
        self._sources = found
        made = await bundle(
            found, [found.name(file) for file in files], [found.name(file) for file in layouts]
        )
        self._numbers = {file: number for number, file in enumerate(files)}
        self._layout_numbers = {file: number for number, file in enumerate(layouts)}
        await self._take(made)

    async def _take(self, made: Bundle) -> None:
        if self._module is None:
            self._module = await self._runtime.load(made.script, name="views", limits=LIMITS)
        else:
            await self._module.replace(made.script)
        self._bundle, self._places, self._problem = made, ScriptMap(made.places), None
        self._identity = hashlib.sha256(made.script + "".join(sorted(made.assets)).encode()).hexdigest()[:16]
        self._tell()

    # --- development ---

    def _fail(self, problem: Exception) -> None:
        log.error("the pages cannot be built: %s", problem)
        self._problem = problem
        self._identity = hashlib.sha256(str(problem).encode()).hexdigest()[:16]
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._sources is not None and not await asyncio.to_thread(self._sources.changed):
                continue
            try:
                await self._build()
            except (CompileError, ConfigError) as exc:
                if str(exc) != str(self._problem):
                    self._fail(exc)

    async def changes(self) -> Response:
        """Tell a browser which build is served, and each new one."""
        if not self._debug:
            raise HTTPError(404, "nothing changes outside of development")

        async def events() -> AsyncIterator[str]:
            while self._identity:
                yield f"data: {self._identity}\n\n"
                waiting = self._changed
                try:
                    await asyncio.wait_for(waiting.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"

        return Stream(events(), headers={"cache-control": "no-store"}, media_type="text/event-stream")

    # --- answers ---

    async def asset(self, name: str) -> Response:
        """Answer with a file for the browser; its name changes with its content."""
        content = None if self._bundle is None else self._bundle.assets.get(name)
        if content is None:
            raise HTTPError(404, f"there is no file {name}")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind = "text/javascript; charset=utf-8" if name.endswith(".js") else kind
        return Response(content, headers={"cache-control": _LASTING}, media_type=kind)

    async def answer(self, page: Page, request: Request, call_next: CallNext) -> Response:
        """Answer with a page, or the part of it that the request asks for."""
        try:
            response = await call_next(request)
            if isinstance(response, Loaded):
                return await self.render(page, response.props, request, part=request.headers.get(PART) or "")
        except (HTTPError, RenderError, CompileError, GuestError, msgspec.MsgspecError) as exc:
            if isinstance(exc, HTTPError):
                raise
            log.error("%s: %s", request.path, exc)
            return await self.failed(request, exc)
        except Exception as exc:
            if not wants_html(request):
                raise
            log.error("%s %s failed", request.method, request.path, exc_info=exc)
            return await self.failed(request, exc)
        if isinstance(response, Problem) and wants_html(request):
            return await self._problem_page(request, response)
        return response

    async def render(
        self, page: Page, props: bytes, request: Request, *, part: str = "", status: int = 200
    ) -> Response:
        """Return a document or a part of one; raises RenderError, CompileError in development, and GuestError."""
        nonce = make_nonce()
        meta, body = await self._run(page, props, request, part, nonce)
        if meta.missing:
            raise HTTPError(404, f"the page has no component {part!r} that can be sent alone")
        if part:
            response: Response = HTML(body, status)
        else:
            shell = self._shell(request)
            response = HTML(shell.whole(meta.head, body, meta.islands, nonce, meta.lang), status)
        return _with_headers(response, nonce)

    async def _run(
        self, page: Page, props: bytes, request: Request, part: str, nonce: str
    ) -> tuple[_Meta, str]:
        if self._problem is not None:
            raise self._problem
        if self._module is None:
            raise EchelonError("the pages are not loaded: the application has not started")
        route = {
            "path": request.path,
            "params": dict(request.path_params),
            "query": {name: request.query.get(name) for name in request.query},
            "nonce": nonce,
        }
        asked = {
            "page": self._numbers[page.file],
            "layouts": [self._layout_numbers[layout] for layout in page.layouts],
            "part": part,
            "route": route,
        }
        text: str = await self._module.call("render", _text(asked), props.decode())
        line, _, body = text.partition("\n")
        meta = msgspec.json.decode(line, type=_Meta)
        if meta.error is not None:
            raise meta.error.error(self._places)
        return meta, body

    def _shell(self, request: Request) -> Shell:
        made = self._bundle
        refresh = self._identity if self._debug else ""
        root = f"{request.root_path}{PREFIX}"
        if made is None:
            return Shell(root, (), "", {}, refresh)
        return Shell(root, made.styles, made.loader, made.islands, refresh)

    async def streamed(self, page: Page, request: Request, call_next: CallNext) -> Response:
        """Answer with a document whose beginning is sent before the page's properties are loaded."""
        nonce, shell = make_nonce(), self._shell(request)

        async def content() -> AsyncIterator[str]:
            yield shell.begin()
            try:
                response = await call_next(request)
                if isinstance(response, Loaded):
                    meta, body = await self._run(page, response.props, request, "", nonce)
                    yield shell.end(meta.head, body, meta.islands, nonce)
                    return
                yield shell.end(_instead(response), "", (), nonce)
            except Exception as exc:
                log.error(
                    "%s %s failed after its beginning was sent", request.method, request.path, exc_info=exc
                )
                detail = str(exc) if self._debug else "an unexpected error; the log has it"
                yield shell.end("", html("<h1>500</h1><p>{}</p>", detail), (), nonce)

        return _with_headers(Stream(content(), media_type="text/html; charset=utf-8"), nonce)

    # --- errors ---

    async def failed(self, request: Request, error: Exception) -> Response:
        """Return the page for an unexpected error: with everything in development, plain in production."""
        nonce = make_nonce()
        if self._debug:
            files = self._sources.files if self._sources is not None else {}
            scripts = self._shell(request)._scripts((), nonce)
            page = failures.development_page(error, files, scripts)
            return _with_headers(HTML(page, 500, {"cache-control": "no-store"}), nonce)
        return await self._error_page(request, 500, "an unexpected error; the log has it", nonce)

    async def _problem_page(self, request: Request, problem: Problem) -> Response:
        """Return the page for an expected error, with the status and headers of the answer that it replaces."""
        document_ = msgspec.json.decode(problem.body) if isinstance(problem.body, bytes) else {}
        detail = str(document_.get("detail", ""))
        page = await self._error_page(request, problem.status, detail, make_nonce())
        for name, value in problem.headers.items():
            if name != "content-type":
                page.headers.setdefault(name, value)
        return page

    async def _error_page(self, request: Request, status: int, detail: str, nonce: str) -> Response:
        own = self._special.get(routes.NOT_FOUND) if status == 404 else None
        own = own or self._special.get(routes.FAILED)
        title = reason(status)
        if own is not None and self._problem is None:
            props = {"status": status, "title": title, "detail": detail}
            try:
                return await self.render(own, encode_json(props), request, status=status)
            except (EchelonError, msgspec.MsgspecError) as exc:
                log.error("the page for errors failed: %s", exc)
        return _with_headers(HTML(failures.plain_page(status, title, detail), status), nonce)

    async def _not_found(self, request: Request, error: Exception) -> Response:
        detail = getattr(error, "detail", "")
        if wants_html(request):
            return await self._error_page(request, 404, detail, make_nonce())
        return Problem(404, detail)


def wants_html(request: Request) -> bool:
    """Tell whether a person asks, with a browser."""
    return "text/html" in request.headers.get("accept", "")


def _with_headers(response: Response, nonce: str) -> Response:
    headers = response.headers
    headers["content-security-policy"] = document.POLICY.format(nonce=nonce)
    headers["vary"] = PART
    return response


def _instead(response: Response) -> str:
    """Return what stands in the head when there is no page after all."""
    if isinstance(response, Redirect):
        return html('<meta http-equiv="refresh" content="0; url={}"/>', response.headers["location"])
    return html("<title>{}</title>", f"{response.status} {reason(response.status)}")


def _text(value: Any) -> str:
    return encode_json(value).decode()
