"""The demo's pages in a real browser, as visitors use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import ROOT, Visit
from playwright.async_api import Page, expect

from echelon.http.testing import LiveServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PROBLEM = r"status of (403|422)"
"""What Chromium says of an answer that is a problem document."""


@pytest.fixture(scope="session")
def demo(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo, served as `make run` serves it, on a state of its own."""
    env = {"ECHELON_HOME": str(home), "ECHELON_STATE": str(tmp_path_factory.mktemp("state"))}
    with LiveServer(str(ROOT / "examples" / "demo" / "main.py"), env=env) as server:
        yield server.url


async def write(page: Page, language: str, source: str, function: str, args: str = "") -> None:
    await page.get_by_label("Language").select_option(language)
    await page.get_by_label("Source").fill(source)
    await page.get_by_label("Function").fill(function)
    await page.get_by_label("Arguments").fill(args)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
async def test_nobody_is_kept_out(
    demo: str, visit: Visit, audit: Callable[[Page], Any], pictures: Path, width: int, scheme: str
) -> None:
    """Axe finds nothing grave on a wide and on a narrow screen, in light and dark, before and after a run."""
    async with visit(demo, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        await audit(page)
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("832040")
        await audit(page)
        await page.screenshot(path=pictures / f"demo-{width}-{scheme}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_from_typing_to_a_result(demo: str, visit: Visit) -> None:
    """A program that a visitor types is compiled and called; the run is in the list, and stays there."""
    async with visit(demo) as page:
        source = "export function twice(text: string): string { return text + text }"
        await write(page, "typescript", source, "twice", '"😀b"')
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text('"😀b😀b"')
        await expect(page.locator("#runs li").first).to_contain_text('twice("😀b")')
        await page.reload()
        await expect(page.locator("#runs li").first).to_contain_text('twice("😀b")')


async def test_a_mistake_is_shown_where_it_is(demo: str, visit: Visit) -> None:
    """A compile error has its line and column; activating it puts the cursor there."""
    async with visit(demo, allowed=PROBLEM) as page:
        await write(page, "typescript", "export function f(): i32 {\n  return nope\n}\n", "f")
        await page.get_by_role("button", name="Compile and run").click()
        await page.get_by_role("button", name="line 2, column 10").click()
        place = await page.get_by_label("Source").evaluate(
            "e => [e.selectionStart, document.activeElement === e]"
        )
        assert place == [36, True]


async def test_a_trap_is_shown(demo: str, visit: Visit) -> None:
    """What a guest does wrong is said, and where."""
    async with visit(demo, allowed=PROBLEM) as page:
        text = '(module (func (export "f") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))'
        await write(page, "wat", text, "f")
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("divided an integer by zero")


async def test_the_keyboard_is_enough(demo: str, visit: Visit) -> None:
    """Everything is reached and used without a mouse, and what has the focus is seen."""
    async with visit(demo) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the editor")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Source")).to_be_focused()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("export function nine(): i32 { return 9 }")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("nine")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+A")
        await page.keyboard.press("Delete")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Compile and run")).to_be_focused()
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").locator(".value")).to_have_text("9")
