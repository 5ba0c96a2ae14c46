"""What a browser gets: documents, parts of them, streams, and the pages for what went wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from echelon.errors import CompileError, EchelonError, GuestError, HTTPError
from echelon.http.request import Request
from echelon.http.response import HTML, Problem, Redirect, Response, Stream, encode_json, reason
from echelon.runtime.script_map import ScriptMap
from echelon.view import document, failures, routes
from echelon.view.bundler import PREFIX, Bundle
from echelon.view.document import About, Shell, make_nonce
from echelon.view.failures import RenderError, Thrown
from echelon.view.markup import html
from echelon.view.properties import Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from echelon.runtime.module import Module
    from echelon.types import CallNext

log = logging.getLogger("echelon")

PART: Final = "echelon-fragment"
"""The request header that asks for a part: `page` without its layouts, or the name of a component the page exports."""
UNEXPECTED: Final = "an unexpected error; the log has it"


class _About(About):
    """The first line of what the script answers."""

    missing: bool = False
    error: Thrown | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """What is rendered: a file's default export, inside of layouts."""

    file: Path
    layouts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """What is served now; the script knows pages and layouts by number."""

    bundle: Bundle
    module: Module
    places: ScriptMap
    pages: Mapping[Path, int]
    layouts: Mapping[Path, int]


class Answers:
    """Renders components of the current build. `problem` says why there is none, or none of what the files now hold.

    `identity` is another one for each build and problem; `sources` are for showing errors.
    """

    def __init__(self, *, debug: bool) -> None:
        self.debug = debug
        self.special: dict[str, Component] = {}
        self.build: Build | None = None
        self.problem: Exception | None = None
        self.identity = ""
        self.sources: Mapping[str, bytes] = {}

    async def answer(self, page: Component, request: Request, call_next: CallNext) -> Response:
        """Answer with a page, or the part of it that the request asks for."""
        try:
            response = await call_next(request)
            if isinstance(response, Loaded):
                return await self._page(page, response.props, request, part=request.headers.get(PART) or "")
        except HTTPError:
            raise
        except Exception as exc:
            if not (_is_of_pages(exc) or wants_html(request)):
                raise
            self._log(request, exc)
            return await self._failed(request, exc)
        if isinstance(response, Problem) and wants_html(request):
            return await self._problem_page(request, response)
        return response

    async def streamed(self, page: Component, request: Request, call_next: CallNext) -> Response:
        """Answer with a document whose beginning is sent before the page's properties are loaded."""
        nonce = make_nonce()

        async def content() -> AsyncIterator[str]:
            shell = self._shell(request)
            yield shell.begin()
            try:
                response = await call_next(request)
                about, body = await self._streamed(page, response, request, nonce)
            except Exception as exc:
                self._log(request, exc)
                about, body = await self._failed_parts(request, exc, nonce)
            yield shell.end(about, body, nonce)

        return _with_headers(Stream(content(), media_type="text/html; charset=utf-8"), nonce)

    async def not_found(self, request: Request, error: Exception) -> Response:
        """Answer where no route does."""
        detail = getattr(error, "detail", "")
        return await self._error_page(request, 404, detail) if wants_html(request) else Problem(404, detail)

    async def refused(self, request: Request, problem: Response) -> Response:
        """Answer an expected error of any route: browsers get a page, others the problem document."""
        if isinstance(problem, Problem) and wants_html(request):
            return await self._problem_page(request, problem)
        return problem

    # --- documents ---

    async def _page(
        self, page: Component, props: bytes, request: Request, *, part: str = "", status: int = 200
    ) -> Response:
        """Return a document or a part of one; raises RenderError, CompileError in development, and GuestError."""
        nonce = make_nonce()
        about, body = await self._run(page, props, request, part, nonce)
        if about.missing:
            raise HTTPError(404, f"the page has no component {part!r} that can be sent alone")
        return self._document(about, body, request, nonce, status) if not part else _html(body, status, nonce)

    def _document(self, about: About, body: str, request: Request, nonce: str, status: int) -> Response:
        return _html(self._shell(request).whole(about, body, nonce), status, nonce)

    async def _run(
        self, page: Component, props: bytes, request: Request, part: str, nonce: str
    ) -> tuple[_About, str]:
        build = self.build
        if self.problem is not None:
            raise self.problem
        if build is None:
            raise EchelonError("the pages are not loaded: the application has not started")
        if page.file not in build.pages or not build.layouts.keys() >= set(page.layouts):
            raise HTTPError(503, "the page is new and being built; ask again", headers={"retry-after": "1"})
        route = {
            "path": request.path,
            "params": dict(request.path_params),
            "query": {name: request.query.get(name) for name in request.query},
            "nonce": nonce,
        }
        asked = {
            "page": build.pages[page.file],
            "layouts": [build.layouts[layout] for layout in page.layouts],
            "part": part,
            "route": route,
        }
        text: str = await build.module.call("render", encode_json(asked).decode(), props.decode())
        line, _, body = text.partition("\n")
        about = msgspec.json.decode(line, type=_About)
        if about.error is not None:
            raise about.error.error(build.places)
        return about, body

    def _shell(self, request: Request) -> Shell:
        refresh = self.identity if self.debug else ""
        root = f"{request.root_path}{PREFIX}"
        if self.build is None:
            return Shell(root, refresh=refresh)
        made = self.build.bundle
        return Shell(root, made.styles, made.loader, made.imports, refresh)

    # --- what went wrong ---

    def _log(self, request: Request, error: Exception) -> None:
        trace = None if _is_of_pages(error) else error
        log.error("%s %s failed: %s", request.method, request.path, error, exc_info=trace)

    async def _failed(self, request: Request, error: Exception) -> Response:
        """Return the page for an unexpected error: with everything in development, plain in production."""
        if not self.debug:
            return await self._error_page(request, 500, UNEXPECTED)
        nonce = make_nonce()
        scripts = self._shell(request).scripts(About(), nonce)
        page = failures.development_page(error, self.sources, scripts)
        return _html(page, 500, nonce, {"cache-control": "no-store"})

    async def _problem_page(self, request: Request, problem: Problem) -> Response:
        """Return the page for an expected error, with the status and headers of the answer that it replaces."""
        page = await self._error_page(request, problem.status, _detail(problem))
        for name, value in problem.headers.items():
            if name != "content-type":
                page.headers.setdefault(name, value)
        return page

    async def _error_page(self, request: Request, status: int, detail: str) -> Response:
        nonce = make_nonce()
        own = await self._own_error(request, status, detail, nonce)
        if own is not None:
            return self._document(*own, request, nonce, status)
        return _html(failures.plain_page(status, reason(status), detail), status, nonce)

    async def _own_error(
        self, request: Request, status: int, detail: str, nonce: str
    ) -> tuple[About, str] | None:
        """Render the application's page for an error, None where it has none that works."""
        own = self.special.get(routes.NOT_FOUND) if status == 404 else None
        own = own or self.special.get(routes.FAILED)
        if own is None or self.problem is not None:
            return None
        props = encode_json({"status": status, "title": reason(status), "detail": detail})
        try:
            return await self._run(own, props, request, "", nonce)
        except (EchelonError, msgspec.MsgspecError) as exc:
            log.error("the page for errors failed: %s", exc)
            return None

    async def _error_parts(self, request: Request, status: int, detail: str, nonce: str) -> tuple[About, str]:
        """Return the head and the body of the page for an error, for a document that has begun."""
        own = await self._own_error(request, status, detail, nonce)
        title = reason(status)
        return own or (_head(failures.plain_head(title)), failures.plain_body(status, title, detail))

    async def _failed_parts(self, request: Request, error: Exception, nonce: str) -> tuple[About, str]:
        if isinstance(error, HTTPError):
            return await self._error_parts(request, error.status, error.detail, nonce)
        if not self.debug:
            return await self._error_parts(request, 500, UNEXPECTED, nonce)
        head = failures.development_head(error)
        return _head(head), failures.development_body(error, self.sources)

    async def _streamed(
        self, page: Component, response: Response, request: Request, nonce: str
    ) -> tuple[About, str]:
        """Return the head and the body of a document that has begun, also where there is no page after all."""
        if isinstance(response, Loaded):
            return await self._run(page, response.props, request, "", nonce)
        if isinstance(response, Redirect):
            target = response.headers["location"]
            head = html('<about http-equiv="refresh" content="0; url={}"/>', target)
            return _head(head), html('<p><a href="{0}">{0}</a></p>', target)
        if isinstance(response, Problem):
            return await self._error_parts(request, response.status, _detail(response), nonce)
        raise EchelonError(
            f"a streamed page has begun, so its properties cannot be a {type(response).__name__};"
            " return properties, a Redirect, or raise HTTPError"
        )


def wants_html(request: Request) -> bool:
    """Tell whether a person asks, with a browser."""
    return "text/html" in request.headers.get("accept", "")


def _is_of_pages(error: Exception) -> bool:
    """Tell whether an error is one of the pages themselves, which says all that a trace of Python would."""
    return isinstance(error, RenderError | CompileError | GuestError | msgspec.MsgspecError)


def _detail(problem: Problem) -> str:
    content = msgspec.json.decode(problem.body) if isinstance(problem.body, bytes) else {}
    return str(content.get("detail", ""))


def _head(text: str) -> About:
    return About(f"{document.VIEWPORT}{text}")


def _html(text: str, status: int, nonce: str, headers: Mapping[str, str] | None = None) -> Response:
    return _with_headers(HTML(text, status, headers), nonce)


def _with_headers(response: Response, nonce: str) -> Response:
    headers = response.headers
    headers["content-security-policy"] = document.POLICY.format(nonce=nonce)
    headers["vary"] = PART
    return response
