"""Pages of components as a browser gets them: documents, properties, layouts, routes, errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from echelon import Application, HTTPError, Redirect, Response
from echelon.errors import CompileError, ConfigError
from echelon.http.testing import TestClient

Files = Callable[..., Path]
MakeApp = Callable[..., Application]
BROWSER = {"accept": "text/html,application/xhtml+xml"}

HELLO = """
import { Head } from "echelon/view";
export default function Hello({ name }: { name: string }) {
  return <main><Head><title>Hello {name}</title></Head><h1 class="big">Hello, {name}!</h1></main>;
}
"""


class Props(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1)]


async def test_a_page_is_a_document(files: Files, make_app: MakeApp) -> None:
    """The properties come from a handler; what the page puts into the head is there, and no script."""
    app = make_app()

    async def load(name: str, loud: bool = False) -> Props:
        return Props(name.upper() if loud else name)

    app.page("/hello/{name}", files({"pages/hello.tsx": HELLO}) / "pages" / "hello.tsx", props=load)
    async with TestClient(app) as client:
        answer = await client.get("/hello/<Ada>?loud=true")
        assert (await client.get("/hello/Ada?loud=maybe", headers=BROWSER)).status_code == 422
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/>')
    assert "<title>Hello &lt;ADA></title></head>" in answer.text
    assert '<body><main><h1 class="big">Hello, &lt;ADA>!</h1></main></body></html>' in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert re.search(r"script-src 'self' 'nonce-[\w-]{22}'", policy)


async def test_hostile_properties_stay_text(files: Files, make_app: MakeApp) -> None:
    """Whatever a property holds, it is text in the page: tags, ends of scripts, odd line ends."""
    app = make_app()
    hostile = "</h1></script><script>alert(1)</script>\u2028\u2029\0\n{}\"'`${x}\ud83d\ude00".encode(
        "utf-16", "surrogatepass"
    ).decode("utf-16")

    def load() -> dict[str, str]:
        return {"name": hostile, "__proto__": "x"}

    app.page("/", files({"pages/index.tsx": HELLO}) / "pages" / "index.tsx", props=load)
    async with TestClient(app) as client:
        text = (await client.get("/")).text
    shown = hostile.replace("<", "&lt;").replace('"', "&quot;")
    assert f'<h1 class="big">Hello, {shown}!</h1>' in text
    assert "<script" not in text


async def test_properties_are_what_the_loader_says(files: Files, make_app: MakeApp) -> None:
    """A value that its type forbids is the application's mistake: a plain page that says nothing of it."""
    app = make_app()
    page = files({"pages/index.tsx": HELLO}) / "pages" / "index.tsx"

    def short() -> Props:
        return Props("")

    def many() -> list[int]:
        return [1]

    app.page("/short", page, props=short)
    app.page("/many", page, props=many)
    async with TestClient(app) as client:
        for path in ("/short", "/many"):
            answer = await client.get(path, headers=BROWSER)
            assert answer.status_code == 500
            assert "an unexpected error; the log has it" in answer.text
            assert "Props" not in answer.text


async def test_a_loader_answers_instead(files: Files, make_app: MakeApp) -> None:
    """With a redirect, or None where its type allows it, which is a page that is not there."""
    app = make_app()
    page = files({"pages/index.tsx": HELLO}) / "pages" / "index.tsx"

    async def load(name: str) -> Response | dict[str, str] | None:
        return Redirect("/other") if name == "away" else None if name == "none" else {"name": name}

    app.page("/{name}", page, props=load)
    async with TestClient(app) as client:
        assert (await client.get("/Ada")).status_code == 200
        assert (await client.get("/away")).headers["location"] == "/other"
        missing = await client.get("/none", headers=BROWSER)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>404 Not Found</h1>" in missing.text


FOLDER = {
    "pages/_layout.tsx": """
        import { Head, useRoute } from "echelon/view";
        export default ({ children }) => {
          const { path, query } = useRoute();
          return <div><Head lang="de"><title>Site</title><meta name="a" content="1"/></Head>
            <nav>{path} {query.q ?? "-"}</nav>{children}</div>;
        };""",
    "pages/index.tsx": "export default () => <p>home</p>;",
    "pages/about.jsx": """import { Head } from "echelon/view";
        export default () => <p><Head><title>About</title><meta name="b" content="2"/></Head>about</p>;""",
    "pages/posts/_layout.tsx": "export default ({ children }) => <section>{children}</section>;",
    "pages/posts/[id].tsx": "export default ({ id, text }) => <p>post {id} {text}</p>;",
    "pages/posts/[id]/comments.tsx": "export default ({ id }) => <p>comments of {id}</p>;",
    "pages/files/[...rest].tsx": "export default ({ rest }) => <p>file {rest}</p>;",
    "pages/_404.tsx": "export default ({ status, detail }) => <p>lost: {status} {detail}</p>;",
    "pages/_error.tsx": "export default ({ status, title, detail }) => <p>sorry: {status} {title} {detail}</p>;",
    "pages/_helper.tsx": "export const x = 1;",
    "pages/islands/live.tsx": "export default () => <p>no page</p>;",
}


async def test_a_folder_is_routes(files: Files, make_app: MakeApp) -> None:
    """Names of files are paths; layouts are around the pages of their folder and of those below it."""
    app = make_app()

    async def load(id: int) -> dict[str, Any]:
        if id == 13:
            raise HTTPError(403, "not this one")
        if id == 14:
            raise RuntimeError("secret")
        return {"id": id, "text": "<b>"}

    app.pages(files(FOLDER) / "pages", props={"/posts/{id}": load})
    async with TestClient(app) as client:

        async def body(path: str, status: int = 200) -> str:
            answer = await client.get(path, headers=BROWSER)
            assert answer.status_code == status, answer.text
            return answer.text.partition("<body>")[2].removesuffix("</body></html>")

        assert await body("/?q=%3C") == "<div><nav>/ &lt;</nav><p>home</p></div>"
        assert await body("/posts/5") == (
            "<div><nav>/posts/5 -</nav><section><p>post 5 &lt;b></p></section></div>"
        )
        assert await body("/posts/x/comments") == (
            "<div><nav>/posts/x/comments -</nav><section><p>comments of x</p></section></div>"
        )
        assert await body("/files/a/b.txt") == "<div><nav>/files/a/b.txt -</nav><p>file a/b.txt</p></div>"
        head = (await client.get("/about")).text.partition("<body>")[0]
        assert "<title>About</title>" in head
        assert "<title>Site" not in head
        assert '<html lang="de">' in head
        assert head.index('name="a"') < head.index('name="b"')
        for path in ("/nowhere", "/islands/live", "/_helper", "/_404"):
            assert f"<p>lost: 404 nothing is at {path}</p>" in await body(path, 404)
        assert "<p>sorry: 403 Forbidden not this one</p>" in await body("/posts/13", 403)
        sorry = "sorry: 500 Internal Server Error an unexpected error; the log has it"
        assert await body("/posts/14", 500) == f"<div><nav>/posts/14 -</nav><p>{sorry}</p></div>"
        assert (await client.get("/nowhere")).headers["content-type"] == "application/problem+json"
        assert (await client.get("/posts/13")).headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ({"pages/_only.tsx": ""}, "there is no page in it"),
        ({"pages/a[b].tsx": "export default 1"}, r"cannot be a path; write \[name\]"),
        ({"pages/[...rest]/x.tsx": "export default 1"}, "nothing can follow it"),
    ],
)
def test_folders_that_are_no_routes(files: Files, make_app: MakeApp, contents: Any, why: str) -> None:
    """Are refused when they are named, with what to write."""
    with pytest.raises(ConfigError, match=why):
        make_app().pages(files(contents) / "pages")


def test_what_is_not_there(make_app: MakeApp, files: Files) -> None:
    """A page, a folder, or a path in `props` that no file has."""
    app = make_app()
    with pytest.raises(ConfigError, match="there is no such page"):
        app.page("/", "pages/index.tsx")
    with pytest.raises(ConfigError, match="no such folder of pages"):
        app.pages("pages")
    with pytest.raises(ConfigError, match="there is no page for /abuot; there are /"):
        app.pages(files(FOLDER) / "pages", props={"/abuot": dict})


async def test_a_source_that_does_not_compile(files: Files, make_app: MakeApp) -> None:
    """In production the application does not start; in development each page shows where the mistake is."""
    folder = files({"pages/index.tsx": "export default () => (\n  <p>{</p>\n);"}) / "pages"
    app = make_app()
    app.pages(folder)
    with pytest.raises(Exception, match=r"index\.tsx:2:8: error: Expected") as caught:
        await app.startup()
    assert isinstance(caught.value.__cause__, CompileError)
    app = make_app(debug=True)
    app.pages(folder)
    async with TestClient(app) as client:
        answer = await client.get("/", headers=BROWSER)
    assert answer.status_code == 500
    assert "index.tsx:2:8" in answer.text
    assert "<mark>   2    &lt;p&gt;{&lt;/p&gt;" in answer.text


THROWING = {
    "pages/index.tsx": """
import { Card } from "../components/Card";
export default ({ kind }) => <main><Card kind={kind} /></main>;
""",
    "components/Card.tsx": """type Props = { kind?: string };
function check(kind?: string) {
  if (kind === "deep") return check("deeper") + 1;
  throw new RangeError(`no <kind> ${kind}`);
}
export function Card({ kind }: Props) {
  return (
    <section>
      <p>{check(kind)}</p>
    </section>
  );
}
""",
}


async def test_a_component_that_throws(
    files: Files, make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    """In development component, file and line are shown; in production nothing but that it failed."""
    folder = files(THROWING) / "pages"
    for debug in (True, False):
        app = make_app(debug=debug)
        app.page("/", folder / "index.tsx", props=lambda: {"kind": "deep"})
        async with TestClient(app) as client:
            answer = await client.get("/", headers=BROWSER)
        assert answer.status_code == 500
        assert "RangeError: no <kind> deeper in <Card> at components/Card.tsx:4" in caplog.text
        shown = "<h1>RangeError: no &lt;kind&gt; deeper</h1>" in answer.text
        assert shown == debug
        assert ("components/Card.tsx:4" in answer.text) == debug
        assert ("<code>Card (components/Card.tsx:9:17)</code>" in answer.text) == debug
        assert ("<mark>   4    throw new RangeError" in answer.text) == debug


HOSTILE = {
    "pages/loop.tsx": "export default () => { for (;;); };",
    "pages/memory.tsx": "export default () => { const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1)); };",
    "pages/deep.tsx": "export default function Deep() { return <Deep />; };",
    "pages/large.tsx": "export default () => <p>{'x'.repeat(9 << 20)}</p>;",
    "pages/promise.tsx": "export default async () => <p />;",
    "pages/fine.tsx": "export default () => <p>fine</p>;",
}


async def test_pages_that_use_too_much(files: Files, make_app: MakeApp) -> None:
    """Are stopped, each with a plain page; others are served all the while."""
    app = make_app()
    app.pages(files(HOSTILE) / "pages")
    async with TestClient(app) as client:
        names = ["loop", "memory", "deep", "large", "promise", "fine"]
        answers = await asyncio.gather(*(client.get(f"/{name}", headers=BROWSER) for name in names))
    assert [answer.status_code for answer in answers] == [500, 500, 500, 500, 500, 200]
    assert "<p>fine</p>" in answers[-1].text


async def test_renders_run_beside_each_other(files: Files, make_app: MakeApp) -> None:
    """A long render holds up neither the event loop nor other pages: those that come later are done before it."""
    app = make_app()
    app.pages(files(HOSTILE) / "pages")
    async with TestClient(app) as client:
        await client.get("/fine")  # builds the bundle
        order: list[str] = []

        async def ask(name: str) -> None:
            await client.get(f"/{name}", headers=BROWSER)
            order.append(name)

        slow = asyncio.create_task(ask("loop"))
        turns = 0
        while not slow.done() and turns < 20:
            await ask("fine")
            turns += 1
        await slow
    assert order.index("loop") > 1
    assert order.count("fine") >= 2


async def test_nothing_is_kept_between_requests(files: Files, make_app: MakeApp) -> None:
    """Every render begins with the same state: module variables, globals, signals, ids."""
    page = """
import { useId } from "preact/hooks";
import { signal } from "@preact/signals";
let count = 0;
const seen = signal(0);
export default () => {
  seen.value += 1;
  globalThis.kept = (globalThis.kept ?? 0) + 1;
  Array.prototype.kept = (Array.prototype.kept ?? 0) + 1;
  return <p id={useId()}>{++count} {seen} {globalThis.kept} {[].kept}</p>;
};"""
    app = make_app()
    app.pages(files({"pages/index.tsx": page}) / "pages")
    async with TestClient(app) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(8)))
    assert {answer.text.partition("<body>")[2] for answer in answers} == {
        '<p id="P0-0">1 1 1 1</p></body></html>'
    }


async def test_a_part_of_a_page(files: Files, make_app: MakeApp) -> None:
    """A request may ask for the page without its layouts, or for a component that the page exports."""
    contents = {
        "pages/_layout.tsx": "export default ({ children }) => <div>{children}</div>;",
        "pages/index.tsx": """
export const Rows = ({ rows }) => <>{rows.map((row) => <li>{row}</li>)}</>;
export const limit = 3;
export default ({ rows }) => <ul><Rows rows={rows} /></ul>;""",
    }
    app = make_app()
    app.pages(files(contents) / "pages", props={"/": lambda: {"rows": ["<", "b"]}})
    async with TestClient(app) as client:

        async def part(name: str) -> Any:
            return await client.get("/", headers={"echelon-fragment": name})

        assert (await part("page")).text == "<ul><li>&lt;</li><li>b</li></ul>"
        rows = await part("Rows")
        assert (rows.text, rows.headers["vary"]) == ("<li>&lt;</li><li>b</li>", "echelon-fragment")
        for name in ("limit", "Missing", "__proto__", "toString"):
            assert (await part(name)).status_code == 404


async def test_a_streamed_page(files: Files, make_app: MakeApp) -> None:
    """Its beginning is sent before the properties are there; what fails afterwards is on the page."""
    app, go = make_app(), asyncio.Event()
    page = files({"pages/index.tsx": HELLO}) / "pages" / "index.tsx"

    async def slow(name: str) -> dict[str, str] | Response:
        await go.wait()
        if name == "away":
            return Redirect("/other?a=1&b=2")
        if name == "bad":
            raise RuntimeError("secret")
        return {"name": name}

    app.page("/{name}", page, props=slow, stream=True)
    go.set()
    async with TestClient(app) as client:
        whole = await client.get("/Ada")
        away, bad = await client.get("/away"), await client.get("/bad")
        go.clear()
        response = asyncio.create_task(client.get("/Eve"))
        await asyncio.sleep(0.05)
        assert not response.done()
        go.set()
        assert "Hello, Eve!" in (await response).text
    assert "<title>Hello Ada</title></head><body><main>" in whole.text
    assert 'http-equiv="refresh" content="0; url=/other?a=1&amp;b=2"' in away.text
    assert '<a href="/other?a=1&amp;b=2">' in away.text
    assert "<h1>500 Internal Server Error</h1><p>an unexpected error; the log has it</p>" in bad.text
    assert "secret" not in bad.text


async def test_a_streamed_page_that_fails(files: Files, make_app: MakeApp) -> None:
    """Ends with the application's page for the error, in development with the place of the error instead."""
    folder = files({**FOLDER, **THROWING, "pages/index.tsx": THROWING["pages/index.tsx"]}) / "pages"

    def load(kind: str) -> Response | dict[str, str]:
        if kind == "away":
            raise HTTPError(404, "gone")
        return Response(b"raw") if kind == "raw" else {"kind": kind}

    for debug in (False, True):
        app = make_app(debug=debug)
        app.page("/{kind}", folder / "index.tsx", props=load, stream=True)
        async with TestClient(app) as client:
            away, thrown, raw = [(await client.get(f"/{kind}")).text for kind in ("away", "x", "raw")]
        assert away.count("<!DOCTYPE") == away.count("</html>") == 1
        assert "<title>Site</title>" in away
        assert '<body lang="de"><div><nav>/away -</nav><p>lost: 404 gone</p></div></body>' in away
        assert ("<p>sorry: 500" in thrown, "<p>sorry: 500" in raw) == (not debug, not debug)
        assert ("components/Card.tsx:4" in thrown) == debug
        assert ("its properties cannot be a Response" in raw) == debug


async def test_the_built_in_head_gives_way(files: Files, make_app: MakeApp) -> None:
    """A page has one charset, first, and one viewport, which may be its own; also when it is streamed."""
    page = """import { Head } from "echelon/view";
      export default ({ own }) => <main><Head><meta charset="utf-8" /><title>t</title></Head>
        {own === "yes" && <Head><meta name="viewport" content="width=500" /></Head>}</main>;"""
    app = make_app()
    file = files({"pages/index.tsx": page}) / "pages" / "index.tsx"
    app.page("/whole/{own}", file)
    app.page("/streamed/{own}", file, stream=True)
    async with TestClient(app) as client:
        for path in ("/whole", "/streamed"):
            own, given = (await client.get(f"{path}/yes")).text, (await client.get(f"{path}/no")).text
            assert own.startswith('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><meta')
            assert own.count("charset") == given.count("charset") == 1
            assert own.count("viewport") == given.count("viewport") == 1
            assert 'content="width=500"' in own
            assert 'content="width=device-width, initial-scale=1"' in given


async def test_properties_that_cannot_be_loaded(files: Files, make_app: MakeApp) -> None:
    """In development the page shows what was raised, and where in Python."""
    page = files({"pages/index.tsx": HELLO}) / "pages" / "index.tsx"

    def load() -> dict[str, str]:
        return {"name": {}["<missing>"]}

    for debug in (True, False):
        app = make_app(debug=debug)
        app.page("/", page, props=load)
        async with TestClient(app) as client:
            answer = await client.get("/", headers=BROWSER)
        assert answer.status_code == 500
        assert ("<h1>KeyError: &#39;&lt;missing&gt;&#39;</h1>" in answer.text) == debug
        assert (f"<li><code>load ({__file__}:" in answer.text) == debug
        assert ("missing" in answer.text) == debug
