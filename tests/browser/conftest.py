"""A real browser, and what every page is held to: no errors in the console, nothing that fails to load."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from browser_kit import ROOT, Visit
from playwright.async_api import Browser, Page, async_playwright

from echelon.plugin.toolchain.recipe import npm_install, npm_package

AXE = "4.14.1"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
"""Chromium as root in a container, and without calls of its own to the outside."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; the project's script installs one where it may."""
    done = subprocess.run([ROOT / "scripts" / "browser"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """One browser for all tests; each visit has a profile of its own."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        await running.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe, which finds what keeps people out; fetched once and kept between runs."""
    kept = ROOT / ".echelon" / "axe" / AXE / "axe.min.js"
    if not kept.is_file():
        work = tmp_path_factory.mktemp("axe")
        asyncio.run(npm_install({"axe-core": AXE}, work))
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes((npm_package(work, "axe-core") / "axe.min.js").read_bytes())
        part.replace(kept)
    return kept.read_text("utf-8")


@pytest.fixture
def visit(browser: Browser) -> Visit:
    """Open a page in a fresh profile; whatever the page reports as an error fails the test when it ends.

    `allowed` is a pattern of messages that the test brings about itself; `script` runs before the page's own.
    """

    @asynccontextmanager
    async def open_(
        url: str, allowed: str | None = None, script: str = "", **options: Any
    ) -> AsyncIterator[Page]:
        context = await browser.new_context(**options)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        problems: list[str] = []
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"{request.url}: {request.failure}"))
        try:
            await page.add_init_script(script)
            await page.goto(url)
            yield page
        finally:
            await context.close()
        assert [text for text in problems if allowed is None or not re.search(allowed, text)] == []

    return open_


@pytest.fixture
def audit(axe: str) -> Callable[[Page], Any]:
    """Let axe look at the page as it is now; fails on what it calls serious or critical."""

    async def look(page: Page) -> None:
        await page.evaluate(axe)
        found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        grave = [item for item in found["violations"] if item["impact"] in ("serious", "critical")]
        assert [(item["id"], [node["target"] for node in item["nodes"]]) for item in grave] == []
        assert found["testEngine"]["version"] == AXE

    return look


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go: outside of the repository."""
    folder = Path(os.environ.get("TEST_SCREENSHOTS") or Path(tempfile.gettempdir()) / "echelon-screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
