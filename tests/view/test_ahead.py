"""Applications that were built ahead: they start where no compiler and no tool of JavaScript is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon import Application, Config
from echelon.errors import CompileError, ConfigError
from echelon.http.testing import TestClient
from echelon.plugin import ahead
from echelon.runtime.lifecycle import StartError

Files = Callable[..., Path]

SITE = {
    "pages/index.tsx": """
import { Head } from "echelon/view";
import "./style.css";
import logo from "./logo.svg";
import Counter from "./islands/counter";
export default ({ twice }) => (
  <main><Head><title>Built</title></Head><img src={logo} alt="" /><p>{twice}</p><Counter /></main>
);
""",
    "pages/style.css": "p { color: teal }",
    "pages/logo.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "pages/islands/counter.tsx": "export default () => <button>0</button>;",
    "pages/_404.tsx": "export default ({ status }) => <p>lost {status}</p>;",
    "guests/twice.ts": 'import { half } from "./half";\nexport function twice(n: i32): i32 { return half(n) * 4 }\n',
    "guests/half.ts": "export function half(n: i32): i32 { return n / 2 }\n",
    "guests/thrice.js": "export function thrice(n) { return n * 3; }\n",
}


@pytest.fixture
def site(files: Files) -> Path:
    return files(SITE)


@pytest.fixture
def make(
    home: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Application]:
    """Make the application on a state of its own; `bare` without compilers and without programs in PATH."""

    def application(state: str, *, bare: bool = False, debug: bool = False) -> Application:
        monkeypatch.setenv("ECHELON_HOME", str(tmp_path / "empty" if bare else home))
        monkeypatch.setenv("ECHELON_STATE", str(tmp_path / state))
        monkeypatch.setenv("ECHELON_BUILD", str(tmp_path / "build"))
        monkeypatch.setenv("ECHELON_DEBUG", str(debug).lower())
        monkeypatch.setenv("ECHELON_TELEMETRY_LOGS", "none")
        if bare:
            monkeypatch.setenv("PATH", str(tmp_path / "empty"))
        app = Application(config=Config.load())
        twice = app.wasm.module(site / "guests" / "twice.ts")
        thrice = app.wasm.module(site / "guests" / "thrice.js")

        async def load() -> dict[str, Any]:
            return {"twice": [await twice.call("twice", 4), " ", await thrice.call("thrice", 4)]}

        app.pages(site / "pages", props={"/": load})
        return app

    return application


async def test_it_needs_no_tool(make: Any, tmp_path: Path) -> None:
    """Pages, files for browsers and guests are there on a machine that has nothing but Python."""
    built = await make("one").build()
    assert (built.folder, built.pages, built.modules) == (tmp_path / "build", 2, 2)
    app = make("two", bare=True)
    found = {item.name: item.probe.found for item in await app.generator.languages()}
    assert (found["typescript"], found["javascript"]) == (False, False)
    async with TestClient(app) as client:
        answer = await client.get("/")
        assert "<p>8 12</p>" in answer.text
        assert "<button>0</button>" in answer.text
        names = [part.split('"')[0] for part in answer.text.split('"/_views/')[1:]]
        assert len({name.partition("-")[0] for name in names} & {"styles", "logo", "islands", "counter"}) == 4
        for name in names:
            found = await client.get(f"/_views/{name}")
            assert (found.status_code, found.content) == (
                200,
                (built.folder / "views" / "files" / name).read_bytes(),
            )
        assert "lost 404" in (await client.get("/nowhere", headers={"accept": "text/html"})).text


async def test_without_it_the_tool_is_named(make: Any) -> None:
    """An application that was not built says what to install."""
    with pytest.raises(StartError, match="echelon toolchain install"):
        await make("one", bare=True).startup()


async def test_other_sources_are_built_anew(make: Any, site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was written is for exactly these sources; in development it is not looked at."""
    await make("one").build()
    page = site / "pages" / "index.tsx"
    page.write_text(page.read_text().replace("Built", "Changed"))
    async with TestClient(make("two")) as client:
        assert "<title>Changed</title>" in (await client.get("/")).text
    assert "built anew; type: echelon build" in caplog.text
    with pytest.raises(StartError, match="the views could not start: views: the toolchain is not installed"):
        await make("three", bare=True).startup()
    page.write_text(SITE["pages/index.tsx"])
    with pytest.raises(StartError, match="toolchain"):
        await make("four", bare=True, debug=True).startup()


async def test_a_build_that_fails(make: Any, site: Path, tmp_path: Path) -> None:
    """Changes nothing, and leaves nothing behind."""
    await make("one").build()
    before = sorted(path.name for path in (tmp_path / "build").rglob("*"))
    (site / "pages" / "index.tsx").write_text("export default () => <p>")
    with pytest.raises(CompileError, match=r"index\.tsx:1:"):
        await make("one").build()
    assert sorted(path.name for path in (tmp_path / "build").rglob("*")) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".build")]
    (site / "pages" / "index.tsx").write_text(SITE["pages/index.tsx"])
    assert (await make("one", bare=True).startup()) is None


async def test_what_was_damaged_is_not_served(make: Any, tmp_path: Path) -> None:
    """A file that is not what was written stops the start, and says what to type."""
    await make("one").build()
    build = tmp_path / "build" / "views"
    style = next((build / "files").glob("styles-*.css"))
    style.write_text("p { color: red }")
    with pytest.raises(StartError, match=r"styles-\w+\.css: is not what was built; type: echelon build"):
        await make("two").startup()
    style.unlink()
    with pytest.raises(StartError, match=r"cannot be read .* type: echelon build"):
        await make("two").startup()
    (build / "bundle").write_bytes(b"\x93")
    with pytest.raises(StartError, match=r"cannot be read .* type: echelon build"):
        await make("two").startup()


async def test_what_others_may_write_is_not_trusted(make: Any, tmp_path: Path) -> None:
    """Nothing is taken from a folder that others may write to."""
    await make("one").build()
    assert {oct(path.stat().st_mode & 0o022) for path in (tmp_path / "build").rglob("*")} == {"0o0"}
    os.chmod(tmp_path / "build" / "views", 0o777)
    with pytest.raises(StartError, match=r"others may write to .*views, so nothing in it can be trusted"):
        await make("two").startup()


def test_a_folder_of_something_else_stays(tmp_path: Path) -> None:
    """The setting may name a folder by mistake; it is not replaced."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters").write_text("dear")
    (tmp_path / "file").write_text("dear")
    for name, why in (("home", "holds letters"), ("file", "is no folder")):
        with pytest.raises(ConfigError, match=why), ahead.replaced(tmp_path / name):
            pass
    assert (tmp_path / "home" / "letters").read_text() == "dear"
