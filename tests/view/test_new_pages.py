"""Pages, layouts and error pages that come and go in development, while the application runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon import Application, HTTPError
from echelon.errors import RouteError
from echelon.http.testing import TestClient
from echelon.routing import Router

BROWSER = {"accept": "text/html"}
INDEX = {"pages/index.tsx": "export default () => <p>home</p>;"}


async def shows(client: TestClient, path: str, text: str, status: int = 200) -> str:
    """Ask until the page has that text and status."""
    async with asyncio.timeout(15):
        while True:
            answer = await client.get(path, headers=BROWSER)
            if answer.status_code == status and text in answer.text:
                return answer.text
            await asyncio.sleep(0.05)


async def test_pages_come_and_go(make_app: Callable[..., Application], files: Callable[..., Path]) -> None:
    """A new file is a page, more specific than an older one with a parameter; without the file there is none."""
    folder = (
        files({**INDEX, "pages/posts/[id].tsx": "export default ({ id }) => <p>post {id}</p>;"}) / "pages"
    )
    app = make_app(debug=True)
    app.pages(folder)
    async with TestClient(app) as client:
        await shows(client, "/posts/new", "<p>post new</p>")
        files({"pages/posts/new.tsx": "export default () => <p>write</p>;"})
        await shows(client, "/posts/new", "<p>write</p>")
        await shows(client, "/posts/7", "<p>post 7</p>")
        await shows(client, "/", "<p>home</p>")
        (folder / "posts" / "new.tsx").unlink()
        await shows(client, "/posts/new", "<p>post new</p>")
        (folder / "posts" / "[id].tsx").unlink()
        assert (await client.get("/posts/7", headers=BROWSER)).status_code in (200, 404, 500)
        await shows(client, "/posts/7", "", 404)
        await shows(client, "/", "<p>home</p>")


async def test_layouts_and_error_pages_come(
    make_app: Callable[..., Application], files: Callable[..., Path]
) -> None:
    """They are put around pages that are there already, those with a path of their own among them."""
    folder = files({**INDEX, "pages/sub/a.tsx": "export default () => <p>a</p>;"}) / "pages"
    app = make_app(debug=True)
    app.page("/", folder / "index.tsx")
    app.page("/a", folder / "sub" / "a.tsx")

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPError(409, "not now")

    async with TestClient(app) as client:
        await shows(client, "/refused", "not now", 409)
        files({"pages/_layout.tsx": "export default ({ children }) => <main>{children}</main>;"})
        await shows(client, "/", "<main><p>home</p></main>")
        files({"pages/sub/_layout.tsx": "export default ({ children }) => <section>{children}</section>;"})
        await shows(client, "/a", "<main><section><p>a</p></section></main>")
        files({
            "pages/_404.tsx": "export default () => <p>nowhere</p>;",
            "pages/_error.tsx": "export default ({ detail }) => <p>sorry: {detail}</p>;",
        })  # fmt: skip
        await shows(client, "/nothing", "<main><p>nowhere</p></main>", 404)
        await shows(client, "/refused", "<main><p>sorry: not now</p></main>", 409)


async def test_names_that_cannot_be(make_app: Callable[..., Application], files: Callable[..., Path]) -> None:
    """What is wrong with the files is said on the pages; when it is mended they are back."""
    folder = files({**INDEX, "pages/data.tsx": "export default ({ n }) => <p>{n}</p>;"}) / "pages"
    app = make_app(debug=True)
    app.pages(folder, props={"/data": lambda: {"n": 3}})
    async with TestClient(app) as client:
        await shows(client, "/", "<p>home</p>")
        files({"pages/[id.tsx": "export default () => <p>no</p>;"})
        await shows(client, "/", "write [name] or [...name]", 500)
        (folder / "[id.tsx").unlink()
        await shows(client, "/", "<p>home</p>")
        (folder / "data.tsx").rename(folder / "figures.tsx")
        await shows(client, "/", "there is no page for /data", 500)
        (folder / "figures.tsx").rename(folder / "data.tsx")
        await shows(client, "/data", "<p>3</p>")
        files(
            {
                "pages/twice.tsx": "export default () => <p>a</p>;",
                "pages/twice/index.tsx": "export default 1;",
            }
        )
        await shows(client, "/", "two routes", 500)
        (folder / "twice" / "index.tsx").unlink()
        await shows(client, "/twice", "<p>a</p>")


async def test_production_looks_once(
    make_app: Callable[..., Application], files: Callable[..., Path]
) -> None:
    """Without `debug` pages are those that were there at the start."""
    app = make_app()
    app.pages(files(INDEX) / "pages")
    async with TestClient(app) as client:
        files({"pages/late.tsx": "export default () => <p>late</p>;"})
        await asyncio.sleep(0.5)
        assert (await client.get("/late")).status_code == 404


def test_an_exchange_that_fails_changes_nothing() -> None:
    """Routes are replaced together or not at all."""
    router = Router()

    def add(path: str) -> None:
        router.get(path)(lambda: path)

    add("/a")
    add("/b")
    router.freeze()
    first, second = router.routes
    with pytest.raises(RouteError, match="two routes answer the same requests"):
        router.exchange([first], lambda: add("/b"))
    assert router.routes == (first, second)
    router.exchange([first], lambda: add("/c"))
    assert [route.path for route in router.routes] == ["/b", "/c"]
    with pytest.raises(RouteError, match="has started"):
        add("/d")
