"""What a developer sees in a browser that stays open while files change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import Visit, serve_site
from playwright.async_api import expect

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PAGE = 'import Counter from "./islands/counter";\nexport default () => <main><h1>before</h1><Counter /></main>;\n'
SITE = {
    "main.py": 'from echelon import Application\n\napp = Application()\napp.pages("pages")\n',
    "pages/index.tsx": PAGE,
    "pages/islands/counter.tsx": "export default () => <button>old</button>;\n",
    "pages/_layout.tsx": (
        'import { Head } from "echelon/view";\n'
        'export default ({ children }) => <><Head><link rel="icon" href="data:," /></Head>{children}</>;\n'
    ),
    "pages/_404.tsx": "export default () => <p>nowhere</p>;\n",
}


@pytest.fixture
def pages(home: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The site, served in development, and its folder of pages."""
    with serve_site(SITE, tmp_path, home, ECHELON_DEBUG="true") as url:
        yield url, tmp_path / "pages"


async def test_an_open_page_follows_its_files(pages: tuple[str, Path], visit: Visit) -> None:
    """A change of a page or an island is shown without a touch, a mistake with its place, and its correction."""
    url, folder = pages
    async with visit(url, allowed="status of (404|500)|ERR_ABORTED") as page:
        heading = page.get_by_role("heading", level=1)
        await expect(heading).to_have_text("before")
        (folder / "index.tsx").write_text(PAGE.replace("before", "after"))
        await expect(heading).to_have_text("after")
        (folder / "islands" / "counter.tsx").write_text("export default () => <button>new</button>;\n")
        await expect(page.locator("echelon-island[hydrated]").get_by_role("button")).to_have_text("new")
        (folder / "index.tsx").write_text(PAGE.replace("</h1>", "</h2>"))
        await expect(page.locator("body")).to_contain_text("index.tsx:2")
        (folder / "index.tsx").write_text(PAGE.replace("before", "mended"))
        await expect(heading).to_have_text("mended")


async def test_a_page_that_is_not_there_yet(pages: tuple[str, Path], visit: Visit) -> None:
    """A browser that waits where nothing is shows the page as soon as its file is there."""
    url, folder = pages
    async with visit(f"{url}/late", allowed="status of 404|ERR_ABORTED") as page:
        await expect(page.get_by_text("nowhere")).to_be_visible()
        (folder / "late.tsx").write_text("export default () => <h1>here</h1>;\n")
        await expect(page.get_by_role("heading", level=1)).to_have_text("here")
