"""Islands in a real browser: when they come to life, what they find there, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import Visit, files_in, serve_site
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

WATCHED = """
window.moved = [];
const observer = new MutationObserver((changes) => {
  for (const { target, addedNodes, removedNodes } of changes)
    for (const node of [...addedNodes, ...removedNodes])
      if (node.nodeType === 1 && document.readyState !== "loading") moved.push(`${target.tagName} ${node.outerHTML}`);
});
observer.observe(document, { childList: true, subtree: true });
document.addEventListener("readystatechange", () => observer.takeRecords(), { once: true });
"""
"""Remembers every element that appears or goes once the document was read."""


@pytest.fixture(scope="module")
def site(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_site(files_in("islands_site"), tmp_path_factory.mktemp("islands"), home) as url:
        yield url


async def hydrated(page: Page, count: int) -> None:
    await expect(page.locator("echelon-island[hydrated]")).to_have_count(count)


def scripts(page: Page) -> Any:
    names = "performance.getEntriesByType('resource').map((e) => e.name).filter((n) => /[.]js$/.test(n))"
    return page.evaluate(names)


async def fetched(page: Page, url: str) -> str:
    return await (await page.request.get(url)).text()


async def test_hydrating_changes_nothing(site: str, visit: Visit) -> None:
    """Elements that the server wrote are taken over as they are; then they live."""
    async with visit(site, script=WATCHED) as page:
        await hydrated(page, 8)
        assert await page.evaluate("moved") == []
        parse = (
            "(html) => new DOMParser().parseFromString(html, 'text/html').querySelector('main').textContent"
        )
        served = await page.evaluate(parse, await fetched(page, site))
        assert await page.evaluate("document.querySelector('main').textContent") == served
        first, second = page.get_by_role("region", name="first"), page.get_by_role("region", name="second")
        await expect(first).to_have_attribute("data-effects", "1")
        await first.get_by_role("button").click()
        await expect(first.get_by_role("button")).to_have_text("first is 6")
        await expect(second.get_by_role("button")).to_have_text("second is 50")
        assert "</script><script>alert(1)" in (await first.locator("p").get_attribute("title") or "")
        color = "getComputedStyle(document.querySelector('.counter')).borderLeftWidth"
        assert await page.evaluate(color) == "7px"


async def test_signals_are_shared(site: str, visit: Visit) -> None:
    """Two islands that import one signal see the same value."""
    async with visit(site) as page:
        await hydrated(page, 8)
        await page.get_by_role("button", name="add one").click()
        await page.get_by_role("button", name="add other").click()
        await expect(page.locator("output")).to_have_text(["3 6", "3 6"])


async def test_children_are_the_servers(site: str, visit: Visit) -> None:
    """What a page puts into an island stays there; islands in it live on, also when it went and came again."""
    async with visit(site) as page:
        await hydrated(page, 8)
        outer, inner = page.get_by_role("button", name="outer"), page.get_by_role("button", name="inner is")
        await inner.click()
        await expect(inner).to_have_text("inner is 6")
        await expect(page.locator("em").first).to_have_text("loud")
        await outer.click()
        await expect(page.locator("#static")).to_have_count(0)
        await outer.click()
        await expect(page.locator("#static")).to_have_text("never in the browser")
        await expect(inner).to_have_text("inner is 5")
        await inner.click()
        await expect(inner).to_have_text("inner is 6")
        await page.get_by_role("button", name="nested").click()
        await expect(page.get_by_text("deep")).to_have_count(0)
        texts = [await fetched(page, name) for name in await scripts(page)]
        assert "never in the browser" not in "".join(texts)


async def test_components_written_for_react(site: str, visit: Visit) -> None:
    """`react` is `preact/compat` there as on the server."""
    async with visit(site) as page:
        await hydrated(page, 8)
        await page.get_by_role("button", name="off").click()
        await expect(page.get_by_role("button", name="on", exact=True)).to_be_visible()


async def test_an_idle_island(site: str, visit: Visit) -> None:
    """It waits until the browser has nothing else to do."""
    busy = "window.requestIdleCallback = (action) => { window.rest = action; };"
    async with visit(f"{site}/idle", script=busy) as page:
        await page.wait_for_function("window.rest !== undefined")
        await hydrated(page, 0)
        await page.evaluate("rest()")
        await hydrated(page, 1)
    async with visit(f"{site}/idle") as page:
        await hydrated(page, 1)


async def test_a_visible_island(site: str, visit: Visit) -> None:
    """It waits until it is near the window, whatever is around it; until then its script is not even fetched."""
    async with visit(f"{site}/visible") as page:
        await page.wait_for_load_state("networkidle")
        await hydrated(page, 0)
        assert not any("classic" in name for name in await scripts(page))
        await page.get_by_role("button", name="off").scroll_into_view_if_needed()
        await hydrated(page, 2)
        await page.get_by_role("button", name="off").click()
        await expect(page.get_by_role("button", name="on", exact=True)).to_be_visible()


async def test_a_page_without_islands(site: str, visit: Visit) -> None:
    """Sends no script at all, and works without any."""
    async with visit(f"{site}/plain") as page:
        assert await page.locator("script").count() == 0
        assert await scripts(page) == []
    async with visit(site, allowed="csp", java_script_enabled=False) as page:
        await expect(page.get_by_role("button", name="first is 5")).to_be_visible()


async def test_only_the_islands_of_a_page_are_fetched(site: str, visit: Visit) -> None:
    """An island that is not on the page is none of its scripts."""
    async with visit(f"{site}/idle") as page:
        await hydrated(page, 1)
        names = {name.rpartition("/")[2].partition("-")[0] for name in await scripts(page)}
        assert "classic" in names
        assert names.isdisjoint({"counter", "adder", "disclosure", "broken"})


async def test_one_broken_island(site: str, visit: Visit) -> None:
    """Is said in the console, keeps what the server wrote, and stops no other."""
    async with visit(f"{site}/broken", allowed="only here") as page:
        await page.locator("echelon-island[hydrated]").get_by_role("button", name="off").click()
        await expect(page.get_by_role("button", name="on", exact=True)).to_be_visible()
        await expect(page.get_by_text("fine")).to_be_visible()


async def test_islands_in_a_fragment(site: str, visit: Visit) -> None:
    """A part of a page that a script puts there comes to life like any other."""
    add = """fetch("/fragment", { headers: { "Echelon-Fragment": "More" } })
      .then((answer) => answer.text()).then((html) => { list.innerHTML = html; })"""
    async with visit(f"{site}/fragment") as page:
        await hydrated(page, 1)
        await page.evaluate(add)
        await hydrated(page, 2)
        await page.get_by_role("button", name="add late").click()
        await expect(page.locator("output")).to_have_text("2 4")


async def test_the_policy_holds(site: str, visit: Visit, audit: Callable[[Page], Any]) -> None:
    """Script without the nonce of the answer does not run, and axe finds nothing grave."""
    async with visit(site, allowed="Content Security Policy|csp") as page:
        await hydrated(page, 8)
        await audit(page)
        await page.evaluate("""() => {
          const script = document.createElement("script");
          script.textContent = "window.stolen = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src=x: onerror='window.stolen = true'>");
        }""")
        assert await page.evaluate("window.stolen") is None
