"""The demo's pages in a real browser, as visitors use them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from browser_kit import ROOT, Visit
from examples.demo.samples import SAMPLES, Sample
from playwright.async_api import Page, expect

from echelon.http.testing import LiveServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

FAILING = ("A type error", "A loop without end")
TOOLCHAINS = {
    "c": "c_home", "cpp": "c_home", "zig": "c_home", "go": "go_home", "cpython": "cpython_home", "rust": "rust_home",
}  # fmt: skip
PROBLEM = r"status of (403|422)"
"""What Chromium says of an answer that is a problem document."""


@pytest.fixture(scope="session")
def demo(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo, served as `make run` serves it, on a state of its own."""
    env = {"ECHELON_HOME": str(home), "ECHELON_STATE": str(tmp_path_factory.mktemp("state"))}
    with LiveServer(str(ROOT / "examples" / "demo" / "main.py"), env=env) as server:
        yield server.url


async def write(page: Page, language: str, source: str) -> None:
    await page.get_by_role("combobox", name="Language").select_option(language)
    await page.get_by_label("Source").fill(source)


@asynccontextmanager
async def opened(visit: Visit, demo: str, **options: Any) -> AsyncIterator[Page]:
    """The page, once the playground has been brought to life."""
    async with visit(demo, **options) as page:
        await page.locator("echelon-island[hydrated]").wait_for(state="attached")
        yield page


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]
)
async def test_nobody_is_kept_out(
    demo: str, visit: Visit, audit: Callable[[Page], Any], pictures: Path, width: int, scheme: str
) -> None:
    """Axe finds nothing grave on a wide and on a narrow screen, in light and dark, before and after a run."""
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    async with opened(visit, demo, **options) as page:
        await audit(page)
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("832040")
        await audit(page)
        await page.locator("#runs summary").first.click()
        await page.screenshot(path=pictures / f"demo-{width}-{scheme}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_from_typing_to_a_result(demo: str, visit: Visit) -> None:
    """A program is compiled, its form is filled in, it runs; the run is in the list, and stays there."""
    async with opened(visit, demo) as page:
        source = "export function again(text: string, times: i32): string { return text.repeat(times) }"
        await write(page, "typescript", source)
        await page.get_by_role("button", name="Compile", exact=True).click()
        await expect(page.get_by_role("combobox", name="Function")).to_have_value("again")
        await page.get_by_role("textbox", name="text: str").fill("😀b")
        await page.get_by_role("textbox", name="times: i32").fill("2")
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text('"😀b😀b"')
        await expect(page.locator("#runs li").first).to_contain_text('again("😀b",2)')
        await page.reload()
        await expect(page.locator("#runs li").first).to_contain_text('again("😀b",2)')
        await page.locator("#runs summary").first.click()
        await page.get_by_role("button", name="Delete", exact=True).first.click()
        await expect(page.get_by_text('again("😀b",2)')).to_have_count(0)


@pytest.fixture
def compiler(sample: Sample, request: pytest.FixtureRequest) -> None:
    """What the sample's language needs."""
    if sample.language in TOOLCHAINS:
        request.getfixturevalue(TOOLCHAINS[sample.language])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.language} {s.title}")
async def test_every_sample(demo: str, visit: Visit, compiler: None, sample: Sample) -> None:
    """Each program of each language that is offered runs from the page, or shows the error that it is for."""
    async with opened(visit, demo, allowed=PROBLEM) as page:
        await page.get_by_role("combobox", name="Language").select_option(sample.language)
        await page.get_by_role("combobox", name="Example").select_option(sample.title)
        for name in ("env:", "kv:"):
            await page.get_by_role("switch", name=name).check()
        await page.get_by_role("button", name="Compile and run").click()
        heading = page.get_by_role("status").get_by_role("heading").first
        await expect(heading).to_be_visible(timeout=200_000)
        assert (await heading.inner_text() == "Value") == (sample.title not in FAILING), (
            await heading.inner_text()
        )


async def test_an_example_gives_way_and_own_text_does_not(demo: str, visit: Visit) -> None:
    """Choosing a language shows its example in place of another one; what a visitor typed stays, and comes back."""
    async with opened(visit, demo) as page:
        editor, language = page.get_by_label("Source"), page.get_by_role("combobox", name="Language")
        example = page.get_by_role("combobox", name="Example")
        for name in dict.fromkeys(sample.language for sample in SAMPLES):
            await language.select_option(name)
            (first, *_) = [sample for sample in SAMPLES if sample.language == name]
            await expect(editor).to_have_value(first.source)
            await expect(example.locator("option:checked")).to_have_text(first.title)
        await editor.fill("(module) ;; mine")
        await language.select_option("wat")
        await expect(editor).to_have_value("(module) ;; mine")
        await expect(example.locator("option:checked")).to_have_text("your own")
        await example.select_option("Addition")
        await expect(editor).to_have_value(re.compile("i32.add"))
        await language.select_option("javascript")
        await expect(editor).to_have_value(re.compile("counts"))
        await language.select_option("wat")
        await example.select_option("your own, as you left it")
        await expect(editor).to_have_value("(module) ;; mine")
        await page.reload()
        await expect(editor).to_have_value("(module) ;; mine")
        await expect(language).to_have_value("wat")


async def test_what_is_typed_at_once_stays(demo: str, visit: Visit) -> None:
    """Text that was typed before the page came to life is not replaced by the example."""
    early = (
        "addEventListener('DOMContentLoaded', () => { document.getElementById('editor').value = 'early' })"
    )
    async with opened(visit, demo, script=early) as page:
        await expect(page.get_by_label("Source")).to_have_value("early")
        await expect(page.locator(".lines span")).to_have_count(1)
        await page.get_by_role("combobox", name="Example").select_option("Greeting")
        await page.get_by_role("combobox", name="Example").select_option("your own, as you left it")
        await expect(page.get_by_label("Source")).to_have_value("early")


async def test_a_mistake_is_shown_where_it_is(demo: str, visit: Visit) -> None:
    """A compile error has its line and column; activating it puts the cursor there."""
    async with opened(visit, demo, allowed=PROBLEM) as page:
        await write(page, "typescript", "export function f(): i32 {\n  return nope\n}\n")
        await page.get_by_role("button", name="Compile and run").click()
        await page.get_by_role("button", name="line 2, column 10").click()
        place = await page.get_by_label("Source").evaluate(
            "e => [e.selectionStart, document.activeElement === e]"
        )
        assert place == [36, True]
        await expect(page.locator(".lines .bad")).to_have_text("2")


async def test_a_trap_is_shown(demo: str, visit: Visit) -> None:
    """What a guest does wrong is said, and where."""
    async with opened(visit, demo, allowed=PROBLEM) as page:
        text = '(module (func (export "f") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))'
        await write(page, "wat", text)
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("divided an integer by zero")


async def test_permissions_are_switches(demo: str, visit: Visit) -> None:
    """What is not switched on is denied, and the denial names it; with the switches on the program runs."""
    async with opened(visit, demo, allowed=PROBLEM) as page:
        await page.get_by_role("combobox", name="Example").select_option("Visits, kept in the store")
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("--allow-env=PLAYGROUND_PLACE")
        await page.get_by_role("switch", name="env:").check()
        await page.get_by_role("switch", name="kv:").check()
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text("at the demo")


async def test_a_wrong_argument_is_explained(demo: str, visit: Visit) -> None:
    """What cannot be an argument is not sent."""
    async with opened(visit, demo) as page:
        await page.get_by_role("button", name="Compile", exact=True).click()
        await page.get_by_role("textbox", name="n: i32").fill("many")
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text('n: "many" is not a number')


LONG = "a_name_that_is_much_longer_than_a_narrow_screen_is_wide_" * 3
MISTAKES = {
    "compile": (
        "typescript",
        f"export function {LONG}(): i32 {{\n  return {LONG}nope\n}}\n",
        "Cannot find name",
    ),
    "trap": (
        "wat",
        '(module (func (export "f") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))',
        "divided",
    ),
    "denied": (
        "typescript",
        'import { env } from "echelon";\nexport function f(): bool { return env.get("HOME") != null }',
        "--allow-env=HOME",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
async def test_mistakes_fit_on_a_narrow_screen(
    demo: str, visit: Visit, audit: Callable[[Page], Any], pictures: Path, kind: str
) -> None:
    """What went wrong is readable at 360 pixels in the dark, however long its words, and axe finds nothing grave."""
    options = {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark"}
    language, source, said = MISTAKES[kind]
    async with opened(visit, demo, allowed=PROBLEM, **options) as page:
        await write(page, language, source)
        await page.get_by_role("button", name="Compile and run").click()
        await expect(page.get_by_role("status")).to_contain_text(said)
        await audit(page)
        await page.screenshot(path=pictures / f"demo-{kind}-360-dark.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_examples_and_runs_by_keyboard(demo: str, visit: Visit) -> None:
    """A language and an example are chosen, run, and opened again from the list of runs, with keys alone."""
    async with opened(visit, demo) as page:
        for _ in range(2):  # past the link to the editor
            await page.keyboard.press("Tab")
        await expect(page.get_by_role("combobox", name="Language")).to_be_focused()
        await page.keyboard.type("JavaScript")
        await expect(page.get_by_label("Source")).to_have_value(re.compile("counts"))
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("combobox", name="Example")).to_be_focused()
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("status").locator(".value")).to_contain_text('"be":2')
        first = page.locator("#runs summary").first
        await expect(first).to_contain_text("words(")
        for _ in range(20):
            if await first.evaluate("e => e === document.activeElement"):
                break
            await page.keyboard.press("Tab")
        await expect(first).to_be_focused()
        await page.keyboard.press("Enter")
        for _ in range(2):  # past the source, which can be scrolled
            await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Open in the editor").first).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Source")).to_be_focused()
        await expect(page.get_by_label("Source")).to_have_value(re.compile("counts"))


async def test_the_keyboard_is_enough(demo: str, visit: Visit) -> None:
    """Everything is reached and used without a mouse, and what has the focus is seen."""
    async with opened(visit, demo) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the editor")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Source")).to_be_focused()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("export function next(n: i32): i32 { return n + 1 }")
        for name in ("env:", "kv:", "sys:"):
            await page.keyboard.press("Tab")
            await expect(page.get_by_role("switch", name=name)).to_be_focused()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("switch", name="sys:")).to_be_checked()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Compile", exact=True)).to_be_focused()
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("textbox", name="n: i32")).to_be_visible()
        await page.keyboard.press("Shift+Tab")
        await expect(page.get_by_role("textbox", name="n: i32")).to_be_focused()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("8")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("status").locator(".value")).to_have_text("9")
