"""Finding and fetching toolchains, with the real package clients."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from echelon.errors import ConfigError, EchelonError, ToolchainMissing
from echelon.plugin import toolchain
from echelon.plugin.toolchain import TYPESCRIPT, VIEWS, Recipe, javascript, places, recipe
from echelon.plugin.toolchain.recipe import wheel


def test_the_directory_is_the_users_own() -> None:
    """ECHELON_HOME, else the place the desktop standard names, else the usual one."""
    assert toolchain.home({"ECHELON_HOME": "/x/y"}) == Path("/x/y")
    assert toolchain.home({"XDG_DATA_HOME": "/data"}) == Path("/data/echelon")
    assert toolchain.home({}) == Path.home() / ".local" / "share" / "echelon"
    assert toolchain.home({"ECHELON_HOME": "rel"}).is_absolute()


def test_deno_comes_first() -> None:
    """The package that Echelon's extra installs is preferred to what the system has."""
    found = toolchain.find_javascript("auto")
    assert found is not None
    assert found.kind == "deno"
    assert toolchain.version_tuple(found.version) >= (2,)


def fake(folder: Path, name: str, output: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{output}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("echo v24.1.0", "24.1.0"),
        ("echo v20.0.0", "20.0.0"),
        ("echo v18.20.4", None),
        ("echo hello", None),
        ("echo v24.1.0; exit 1", None),
    ],
)
def test_node_must_be_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, version: str | None
) -> None:
    """A Node without a permission model is as good as none."""
    fake(tmp_path / "bin", "node", output)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = toolchain.find_javascript("node")
    assert (found.version if found else None) == version


def test_without_the_package_deno_is_looked_for_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Deno of the system serves as well; `deno` never falls back to Node."""
    monkeypatch.setattr(javascript, "_packaged_deno", lambda: None)
    fake(tmp_path / "bin", "node", "echo v24.1.0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert toolchain.find_javascript("deno") is None
    auto = toolchain.find_javascript("auto")
    assert auto is not None
    assert auto.kind == "node"
    fake(tmp_path / "bin", "deno", "echo deno 2.9.8")
    found = toolchain.find_javascript("auto")
    assert found is not None
    assert (found.kind, found.version) == ("deno", "2.9.8")


def test_an_unknown_choice_is_an_error() -> None:
    """With the choices there are."""
    with pytest.raises(ConfigError, match="use auto, deno or node"):
        toolchain.find_javascript("bun")  # type: ignore[arg-type]  # wrong on purpose


async def test_an_unknown_toolchain_is_an_error(tmp_path: Path) -> None:
    """With the toolchains there are."""
    with pytest.raises(ConfigError, match=r'no toolchain "cobol" to install; there is: .*typescript'):
        await toolchain.install("cobol", base=tmp_path)


async def test_installing_twice_fetches_once(home: Path) -> None:
    """The second time nothing is started and the place is the same."""
    said: list[str] = []
    directory = await toolchain.install("typescript", said.append, home)
    assert directory == TYPESCRIPT.directory(home)
    assert said == [f"typescript {TYPESCRIPT.version} is already in {directory}"]


async def test_installs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Two installs into an empty directory both end well, with nothing left over."""
    said: list[str] = []
    made = await asyncio.gather(*(toolchain.install("typescript", said.append, tmp_path) for _ in range(2)))
    assert made[0] == made[1]
    assert [path.name for path in made[0].parent.iterdir()] == [TYPESCRIPT.version]
    assert places.tree_digest(made[0]) == TYPESCRIPT.digest
    assert said[0].startswith("fetching assemblyscript")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed here")
async def test_npm_brings_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is Node but no Deno, npm fetches, and the digest is the same."""
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    directory = await toolchain.install("typescript", base=tmp_path)
    assert places.tree_digest(directory) == TYPESCRIPT.digest


async def test_a_toolchain_brings_others(home: Path, tmp_path: Path) -> None:
    """JavaScript brings what views need; both package clients fetch the same files."""
    said: list[str] = []
    await toolchain.install("javascript", said.append, home)
    assert said[0] == f"views {VIEWS.version} is already in {VIEWS.directory(home)}"
    directory = await toolchain.install("views", base=tmp_path)
    assert places.tree_digest(directory) == VIEWS.digest


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed here")
async def test_npm_brings_the_same_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Deno does."""
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    directory = await toolchain.install("views", base=tmp_path)
    assert places.tree_digest(directory) == VIEWS.digest


async def test_other_files_than_expected_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that differs by one byte is not installed, and nothing of it stays."""
    monkeypatch.setitem(toolchain.RECIPES, "typescript", replace(TYPESCRIPT, digest="0" * 64))
    with pytest.raises(EchelonError, match=r"not the expected one.*not installed"):
        await toolchain.install("typescript", base=tmp_path)
    assert not TYPESCRIPT.installed(tmp_path)
    assert list((tmp_path / "toolchains" / "typescript").iterdir()) == []


async def test_a_package_client_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client said is in the error, and nothing of the attempt stays."""
    fake(tmp_path / "bin", "npm", "echo no network here; exit 7")
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(EchelonError, match="npm could not fetch the toolchain: no network here"):
        await toolchain.install("typescript", base=tmp_path)
    assert list((tmp_path / "toolchains" / "typescript").iterdir()) == []


async def test_a_package_client_that_hangs_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time it is killed."""
    fake(tmp_path / "bin", "npm", "exec sleep 60")
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    monkeypatch.setattr(recipe, "INSTALL_SECONDS", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(EchelonError, match="npm took longer than"):
        await toolchain.install("typescript", base=tmp_path)


async def test_a_client_that_brings_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that ends well without the packages is not believed."""
    fake(tmp_path / "bin", "npm", "exit 0")
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(EchelonError, match="did not bring assemblyscript"):
        await toolchain.install("typescript", base=tmp_path)


async def test_nothing_to_fetch_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Deno and npm the answer is the pip command."""
    monkeypatch.setattr(recipe, "find_javascript", lambda choice: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainMissing) as caught:
        await toolchain.install("typescript", base=tmp_path)
    assert caught.value.install == 'pip install "echelon[typescript]"'


async def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The path and the reason, in one sentence."""
    (tmp_path / "toolchains").write_text("")
    with pytest.raises(EchelonError, match=r"toolchains.*cannot install typescript: "):
        await toolchain.install("typescript", base=tmp_path)


def test_the_tree_digest_sees_every_change(tmp_path: Path) -> None:
    """Contents, names and places count; times do not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = places.tree_digest(tmp_path)
    (tmp_path / "a" / "x").write_text("1")
    assert places.tree_digest(tmp_path) == first
    (tmp_path / "a" / "x").rename(tmp_path / "x")
    moved = places.tree_digest(tmp_path)
    (tmp_path / "x").write_text("2")
    assert len({first, moved, places.tree_digest(tmp_path)}) == 3


SIX = Recipe(
    name="six",
    version="1.16.0",
    size="11 kB",
    marker="six.py",
    fetch=wheel("six", "1.16.0", ["8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"]),
)


async def test_a_wheel_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of Python lands in a folder of its own, and not in this environment."""
    monkeypatch.setitem(toolchain.RECIPES, "six", SIX)
    directory = await toolchain.install("six", base=tmp_path)
    assert (directory / "six.py").is_file()
    assert SIX.installed(tmp_path)


async def test_another_wheel_than_expected_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip compares the digest; nothing stays."""
    monkeypatch.setitem(toolchain.RECIPES, "six", replace(SIX, fetch=wheel("six", "1.16.0", ["0" * 64])))
    with pytest.raises(EchelonError, match="DO NOT MATCH THE HASHES"):
        await toolchain.install("six", base=tmp_path)
    assert not SIX.installed(tmp_path)
