"""The blog of the examples in a real browser: with JavaScript and without, by keyboard, on every width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import ROOT, Visit
from playwright.async_api import expect

from echelon.http.testing import LiveServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POST = "/posts/first-light"


@pytest.fixture(scope="module")
def blog(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The blog, served on a state of its own."""
    env = {"ECHELON_HOME": str(home), "ECHELON_STATE": str(tmp_path_factory.mktemp("state"))}
    with LiveServer(str(ROOT / "examples" / "blog" / "main.py"), env=env) as server:
        yield server.url


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "light"), (360, "dark")])
async def test_every_page_fits(
    blog: str, visit: Visit, audit: Callable[[Any], Any], pictures: Path, width: int, scheme: str
) -> None:
    """Axe finds nothing grave, and nothing is wider than the screen, on any page."""
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    for path in ("/", "/about", POST, "/posts/a-fresh-instance", "/nothing"):
        async with visit(f"{blog}{path}", allowed="status of 404", **options) as page:
            await audit(page)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            name = path.rpartition("/")[2] or "index"
            await page.screenshot(path=pictures / f"blog-{name}-{width}-{scheme}.png", full_page=True)


async def test_a_comment_and_a_like_stay_on_the_page(blog: str, visit: Visit) -> None:
    """With JavaScript both are sent without leaving the page, and said aloud; what was typed is text."""
    async with visit(f"{blog}{POST}") as page:
        await page.evaluate("window.same = true")
        await page.get_by_label("Your name").scroll_into_view_if_needed()
        await page.locator("echelon-island[hydrated] textarea").wait_for()
        await page.get_by_label("Your name").fill("Ada")
        await page.get_by_label("Your comment").fill("**so** it is <img src=x onerror=alert(1)>")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("status").filter(has_text="in the list")).to_be_visible()
        said = page.get_by_role("listitem").filter(has_text="Ada")
        await expect(said.locator("strong").nth(1)).to_have_text("so")
        await expect(said).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(page.get_by_label("Your comment")).to_have_value("")
        await page.get_by_role("button", name="Like").click()
        await expect(page.get_by_role("status").filter(has_text="Liked 1 times")).to_be_visible()
        assert await page.evaluate("window.same")


async def test_without_javascript(blog: str, visit: Visit) -> None:
    """The same forms lead to the same page, where the browser shows what was sent."""
    async with visit(
        f"{blog}/posts/text-is-not-html", java_script_enabled=False, allowed=r"\.js: csp$"
    ) as page:
        await page.get_by_label("Your name").fill("Zoë")
        await page.get_by_label("Your comment").fill("- plain\n- forms")
        await page.get_by_role("button", name="Send").click()
        await expect(page).to_have_url(f"{blog}/posts/text-is-not-html#comments")
        await expect(page.get_by_role("listitem").filter(has_text="forms").last).to_be_visible()
        await page.get_by_role("button", name="Like").click()
        await expect(page).to_have_url(f"{blog}/posts/text-is-not-html#likes")
        await expect(page.get_by_role("button", name="Like 1")).to_be_visible()


async def test_what_is_refused_is_said(blog: str, visit: Visit) -> None:
    """A comment that the server refuses stays in the form, with the reason beside it."""
    async with visit(f"{blog}{POST}", allowed="status of 422") as page:
        await page.get_by_label("Your name").scroll_into_view_if_needed()
        await page.locator("echelon-island[hydrated] textarea").wait_for()
        await page.get_by_label("Your name").fill("   ")
        await page.get_by_label("Your comment").fill("kept")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("status").filter(has_text="not taken")).to_contain_text("name")
        await expect(page.get_by_label("Your comment")).to_have_value("kept")


async def test_the_keyboard_is_enough(blog: str, visit: Visit) -> None:
    """From the list to a post, past its navigation, to a like and a comment, without a mouse."""
    async with visit(blog) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Text is not HTML")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("A fresh instance for every call")
        await page.locator("echelon-island[hydrated]").first.wait_for(state="attached")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")  # past the navigation
        await page.keyboard.press("Tab")
        await expect(page.locator("pre")).to_be_focused()  # which can be scrolled
        await page.keyboard.press("Tab")
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").filter(has_text="Liked 1 times")).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.type("Grace")
        await page.keyboard.press("Tab")
        await page.locator("echelon-island[hydrated] textarea").wait_for()
        await page.keyboard.type("by hand")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="Grace")).to_contain_text("by hand")
