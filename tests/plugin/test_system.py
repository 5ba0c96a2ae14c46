"""Plug-ins of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from echelon.errors import ConfigError
from echelon.plugin import languages, system
from echelon.plugin.generator import Generator

PACKAGE = """
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe

class Nothing(Compiler):
    name = "nothing"
    suffixes = (".nothing",)

    def probe(self) -> Probe:
        return Probe(found=True, version="1")

    async def compile(self, job: Job) -> Compiled:
        return Compiled(b"\\0asm\\x01\\0\\0\\0")

ready = Nothing()

def broken():
    raise RuntimeError("out of order")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution with one compiler among its entry points."""
    (tmp_path / "nothing_lang.py").write_text(PACKAGE)
    info = tmp_path / "nothing_lang-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing-lang\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[echelon.compilers]\nnothing = nothing_lang:Nothing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("nothing_lang", None)


def point(value: str, name: str = "nothing") -> EntryPoint:
    return EntryPoint(name, value, system.COMPILERS)


def test_an_installed_compiler_is_found(package: Path) -> None:
    """Installing a package is all it takes; its name and version are known."""
    (plugin,) = system.load(system.COMPILERS)
    assert (plugin.name, plugin.origin) == ("nothing", "nothing-lang 2.5")
    assert "nothing" in [compiler.name for compiler in languages.compilers()]


async def test_an_installed_compiler_compiles(package: Path, tmp_path: Path) -> None:
    """It is used like the built-in ones."""
    async with Generator(artifacts=tmp_path / "store") as generator:
        artifact = await generator.compile("anything", name="a.nothing")
    assert (artifact.language, artifact.wasm) == ("nothing", b"\0asm\x01\0\0\0")


def test_an_object_is_used_as_it_is(package: Path) -> None:
    """An entry point may name a compiler that exists already."""
    (plugin,) = system.load(system.COMPILERS, [point("nothing_lang:ready")])
    assert system.instance(plugin) is plugin.value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("nothing_lang:absent", "AttributeError"),
        ("no_such_module:x", "ModuleNotFoundError"),
        ("json.x:y", "json"),
    ],
)
def test_a_plug_in_that_does_not_load_is_named(package: Path, value: str, why: str) -> None:
    """One sentence with the plug-in, the reason and what to do."""
    with pytest.raises(ConfigError, match=f'plug-in "nothing".*{why}.*update or uninstall'):
        system.load(system.COMPILERS, [point(value)])


def test_a_plug_in_that_cannot_be_made_is_named(package: Path) -> None:
    """Whatever a stranger's constructor raises becomes one sentence."""
    (plugin,) = system.load(system.COMPILERS, [point("nothing_lang:broken")])
    with pytest.raises(ConfigError, match="RuntimeError: out of order"):
        system.instance(plugin)


def test_two_packages_cannot_offer_the_same_name(package: Path) -> None:
    """Which of them would win must not depend on the order of installation."""
    with pytest.raises(ConfigError, match="comes from two packages"):
        system.load(system.COMPILERS, [point("nothing_lang:ready"), point("nothing_lang:Nothing")])


def test_no_plug_ins_is_fine() -> None:
    """A group that nobody offers anything in is empty."""
    assert system.load("echelon.no-such-group") == []
