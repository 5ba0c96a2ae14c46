"""The blog of the examples as visitors use it, over a socket: pages, forms without JavaScript, and hostile texts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from examples.blog import store
from examples.blog.texts import checked

from echelon import Runtime
from echelon.http.testing import LiveServer
from echelon.kv import Kv, open_kv
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator

BLOG = Path(__file__).resolve().parents[1] / "examples" / "blog"
POST = "/posts/text-is-not-html"
BROWSER = {"accept": "text/html,application/xhtml+xml"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> [click](javascript:alert(3)) \"'&"


@pytest.fixture(scope="module")
def blog(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The blog, served on a state of its own, as a browser without JavaScript sees it."""
    env = {"ECHELON_HOME": str(home), "ECHELON_STATE": str(tmp_path_factory.mktemp("state"))}
    with (
        LiveServer(str(BLOG / "main.py"), env=env) as server,
        httpx.Client(base_url=server.url, headers=BROWSER) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/", "First light"), ("/about", "taken apart by a guest"), (POST, "<code>&lt;script></code> is eight")],
)
def test_every_page(blog: httpx.Client, path: str, shown: str) -> None:
    """Each page is a document of its own title, inside the layout."""
    page = blog.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert shown in page.text
    assert page.text.count("<title>") == page.text.count("<h1>") == page.text.count('<main id="content"') == 1


def test_posts_are_listed_by_day(blog: httpx.Client) -> None:
    """The newest post is the first, and each leads to its page."""
    links = [part.partition('"')[0] for part in blog.get("/").text.split('<h2><a href="')[1:]]
    assert links == [POST, "/posts/a-fresh-instance", "/posts/first-light"]
    assert [blog.get(link).status_code for link in links] == [200, 200, 200]


def test_scripts_come_with_islands_only(blog: httpx.Client) -> None:
    """Pages without an island send no JavaScript."""
    assert [("<script" in blog.get(path).text) for path in ("/", "/about", POST)] == [False, False, True]


@pytest.mark.parametrize("path", ["/nothing", "/posts/nothing"])
def test_what_is_not_there(blog: httpx.Client, path: str) -> None:
    """Browsers get the blog's own page, programs a problem document."""
    page = blog.get(path)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in page.text
    assert "Sandbox notes</a>" in page.text
    problem = blog.get(path, headers={"accept": "application/json"})
    assert (problem.status_code, problem.json()["status"]) == (404, 404)


def test_a_comment_without_javascript(blog: httpx.Client) -> None:
    """The form leads back to the post, where the comment is, its marks as elements and its HTML as text."""
    sent = blog.post(f"{POST}/comments", data={"name": "<b>Ada</b>", "text": f"**so** it is\n\n{HOSTILE}"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{POST}#comments")
    page = blog.get(sent.headers["location"]).text
    assert "<strong>&lt;b>Ada&lt;/b></strong>" in page
    assert "<p><strong>so</strong> it is</p><p>&lt;script>alert(1)&lt;/script>&lt;img src=x" in page
    assert '<a href="javascript' not in page
    assert "[click](javascript:alert(3))" in page


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "Ada"}, "text"),
        ({"name": "  ", "text": "x"}, "name"),
        ({"name": "Ada", "text": "x" * 2001}, "text"),
    ],
)
def test_a_comment_that_is_refused(blog: httpx.Client, fields: dict[str, str], problem: str) -> None:
    """Browsers get a page that names the field, programs the same as data; nothing is stored."""
    before = blog.get("/posts/first-light").text
    page = blog.post("/posts/first-light/comments", data=fields)
    assert (page.status_code, page.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert f"form parameter &quot;{problem}&quot;" in page.text
    data = blog.post("/posts/first-light/comments", data=fields, headers={"accept": "application/json"})
    assert data.json()["errors"][0]["name"] == problem
    after = blog.get("/posts/first-light").text
    assert after.partition("<main")[2].count("Nobody has said") == before.count("Nobody has said") == 1


@pytest.mark.parametrize("action", ["comments", "like"])
def test_other_sites_and_other_posts(blog: httpx.Client, action: str) -> None:
    """A form of another site is refused, and so is one for a post that is not there."""
    form = {"name": "Eve", "text": "buy"}
    foreign = blog.post(f"{POST}/{action}", data=form, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert "sent by another site" in foreign.text
    assert blog.post(f"/posts/nothing/{action}", data=form).status_code == 404


def test_likes_add_up(blog: httpx.Client) -> None:
    """Likes at once are all counted; a form gets the way back, a script the count."""
    path = "/posts/a-fresh-instance"

    def like(_: int) -> int:
        return int(blog.post(f"{path}/like", headers={"accept": "application/json"}).json()["likes"])

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(like, range(20))) == 20
    form = blog.post(f"{path}/like")
    assert (form.status_code, form.headers["location"]) == (303, f"{path}#likes")
    assert '<span class="count">21</span>' in blog.get(path).text


def test_the_list_of_comments_alone(blog: httpx.Client) -> None:
    """A script that sends a comment follows the way back, and gets the list and nothing around it."""
    headers = {"accept": "application/json", "echelon-fragment": "Comments"}
    sent = blog.post(
        "/posts/a-fresh-instance/comments",
        data={"name": "Zoë", "text": "- one\n- two"},
        headers=headers,
        follow_redirects=True,
    )
    assert sent.text.startswith('<ol class="comments"><li>')
    assert "<ul><li>one</li><li>two</li></ul>" in sent.text
    assert "<html" not in sent.text


async def test_posts_are_stored_once() -> None:
    """They are written in one commit when they changed; those that are gone are deleted, comments stay."""
    posts = store.read(BLOG / "posts")
    async with open_kv(":memory:") as kv:
        assert await store.publish(kv, posts)
        before = await versions(kv)
        assert not await store.publish(kv, posts)
        assert await versions(kv) == before
        await store.add_comment(kv, posts[1].slug, "Ada", "so it is")
        changed = [msgspec.structs.replace(posts[1], title="Another title")]
        outcomes = await asyncio.gather(*(store.publish(kv, changed) for _ in range(3)))
        assert outcomes.count(True) == 1
        assert [post.title for post in await store.summaries(kv)] == ["Another title"]
        assert [said.name for said in await store.comments(kv, posts[1].slug)] == ["Ada"]


async def versions(kv: Kv) -> list[str | None]:
    return [entry.versionstamp async for entry in kv.list(prefix=store.POSTS)]


async def test_comments_have_numbers_and_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments at once are all kept, until there are as many as may be."""
    monkeypatch.setattr(store, "MOST_COMMENTS", 5)
    async with open_kv(":memory:") as kv:
        kept = await asyncio.gather(*(store.add_comment(kv, "post", "Ada", f"{n}") for n in range(7)))
        assert kept.count(True) == len(await store.comments(kv, "post")) == 5


def test_a_post_is_four_parts(tmp_path: Path) -> None:
    """A file that is no post is named."""
    (tmp_path / "short.txt").write_text("Title\n2026-01-01\n")
    with pytest.raises(ValueError, match=r"short\.txt: a post is a title"):
        store.read(tmp_path)


TEXTS: dict[str, list[tuple[str, list[list[tuple[str, str]]]]]] = {
    "": [],
    "one\ntwo\r\n \r\nthree": [("paragraph", [[("text", "one two")]]), ("paragraph", [[("text", "three")]])],
    "## A *b*": [("heading", [[("text", "A "), ("em", "b")]])],
    "- **a**\n- b": [("list", [[("strong", "a")], [("text", "b")]])],
    "> a\n> b": [("quote", [[("text", "a b")]])],
    "    a\n      b": [("code", [[("text", "a")], [("text", "  b")]])],
    "`**a**` [b](https://c) 😀": [
        ("paragraph", [[("code", "**a**"), ("text", " "), ("link", "b"), ("text", " 😀")]])
    ],
    "[a](javascript:x) [b](//c) **": [("paragraph", [[("text", "[a](javascript:x) [b](//c) **")]])],
}


async def test_the_guest_takes_texts_apart(home: Path, tmp_path: Path) -> None:
    """Texts become blocks of spans; what is no mark stays text; a long text is no trouble."""
    compilers = [JavaScript(home)]
    async with Generator(compilers, tmp_path) as generator, Runtime(generator=generator) as running:
        guest = await running.load(BLOG / "guests" / "texts.js")
        answer = checked(await guest.blocks(list(TEXTS)))
        found = [
            [(b.kind, [[(span.kind, span.text) for span in line] for line in b.lines]) for b in blocks]
            for blocks in answer
        ]
        assert found == list(TEXTS.values())
        long = "*".join("a" * 1000) + "[" * 2000
        assert [len(blocks) for blocks in checked(await guest.blocks([long]))] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        [[{"kind": "html", "lines": []}]],
        [[{"kind": "paragraph", "lines": [[{"kind": "link", "text": "a", "href": "javascript:alert(1)"}]]}]],
        [[{"kind": "paragraph", "lines": [[{"kind": "link", "text": "a", "href": "//other.example"}]]}]],
        [[{"kind": "paragraph", "lines": [[{"kind": "text", "text": "a", "html": "<b>"}]]}]],
        "text",
    ],
)
def test_what_a_guest_may_not_return(answer: Any) -> None:
    """A guest that was replaced cannot bring an address of code, another element, or anything unknown."""
    with pytest.raises(msgspec.ValidationError):
        checked(answer)


def test_it_is_served_without_any_tool(home: Path, tmp_path: Path) -> None:
    """Built ahead, it starts where there is no compiler and no tool of JavaScript, and takes texts apart there."""
    env = {"ECHELON_BUILD": str(tmp_path / "built"), "ECHELON_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-m", "echelon", "build", f"{BLOG / 'main.py'}:app"]
    done = subprocess.run(
        command, env={**os.environ, **env, "ECHELON_HOME": str(home)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    bare = {**env, "ECHELON_HOME": str(tmp_path / "empty"), "PATH": str(tmp_path / "empty")}
    with LiveServer(str(BLOG / "main.py"), env=bare) as server:
        assert "in JavaScript. It returns <em>data</em>" in httpx.get(f"{server.url}{POST}").text
