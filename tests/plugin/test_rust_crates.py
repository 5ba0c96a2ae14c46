"""Crates of Rust: compiled by cargo from a folder, offline, and nothing of them runs while they are compiled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError
from echelon.plugin import projects
from echelon.plugin.compilers.rust import crates, toolchains
from echelon.plugin.compilers.rust.compiler import Rust
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

Crate = Callable[..., Path]

MANIFEST = """[package]
name = "shop"
version = "0.1.0"
edition = "2021"

[dependencies]
greeting = "1"
"""
ALONE = MANIFEST.replace('greeting = "1"\n', "")
ALONE_LOCK = 'version = 3\n\n[[package]]\nname = "shop"\nversion = "0.1.0"\n'
LIB = """mod words;

echelon::export! {
    fn greet(who: &str) -> String { words::line(who) }
}
"""
GREETING = '[package]\nname = "greeting"\nversion = "1.2.0"\nedition = "2021"\n'
FILES = {
    "Cargo.toml": MANIFEST,
    "src/lib.rs": LIB,
    "src/words.rs": "pub fn line(who: &str) -> String {\n    greeting::hello(who)\n}\n",
    "vendor/greeting/Cargo.toml": GREETING,
    "vendor/greeting/src/lib.rs": 'pub fn hello(who: &str) -> String { format!("Hello, {who}!") }\n',
    "vendor/greeting/.cargo-checksum.json": json.dumps({"files": {}, "package": None}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(rust_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    async with Generator([Rust(rust_home)], tmp_path_factory.mktemp("artifacts") / "store") as made:
        yield made


@pytest.fixture(scope="module")
def lock(rust_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The lock file that cargo writes for the crate above, with the vendored package in the registry's place."""
    folder = _write(tmp_path_factory.mktemp("locked"), FILES)
    found = toolchains.find()
    assert not isinstance(found, str)
    config = ('source.crates-io.replace-with="vendored"', 'source.vendored.directory="vendor"')
    flags = [flag for line in config for flag in ("--config", line)]
    cargo = found.program.parent / "cargo"
    subprocess.run([cargo, "generate-lockfile", "--offline", "--quiet", *flags], cwd=folder, check=True)
    return (folder / "Cargo.lock").read_text()


@pytest.fixture
def crate(lock: str, tmp_path: Path) -> Crate:
    """Write a crate, the one above with other files and without some; gives its manifest."""

    def write(changes: Mapping[str, str | None] | None = None) -> Path:
        return _write(tmp_path / "shop", {**FILES, "Cargo.lock": lock, **(changes or {})}) / "Cargo.toml"

    return write


def _write(folder: Path, files: Mapping[str, str | None]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)
    return folder


async def refused(generator: Generator, source: Path, **options: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        await generator.compile(source, options=options)
    return caught.value


async def test_a_crate_with_a_module_and_a_vendored_dependency(generator: Generator, crate: Crate) -> None:
    """It is a guest like any other, and the same bytes from another folder."""
    artifact = await generator.compile(crate())
    assert artifact.language == "rust"
    async with Runtime() as runtime:
        module = await runtime.load(artifact.wasm)
        assert await module.call("greet", "Ada") == "Hello, Ada!"
        assert [str(function) for function in module.exports()] == ["greet(who: str) -> str"]


async def test_the_same_crate_is_the_same_bytes(rust_home: Path, crate: Crate, tmp_path: Path) -> None:
    """Where it lies, and where it was compiled, is not in it."""
    digests = set()
    for number in range(2):
        source = crate()
        other = tmp_path / f"copy-{number}"
        source.parent.rename(other)
        async with Generator([Rust(rust_home)], tmp_path / f"store-{number}") as made:
            artifact = await made.compile(other / "Cargo.toml", optimize="size")
            digests.add(artifact.digest)
            assert b"echelon-crate-" not in artifact.wasm
    assert len(digests) == 1


async def test_a_change_anywhere_is_another_compile(generator: Generator, crate: Crate) -> None:
    """A vendored file counts as much as one's own; unchanged nothing is compiled."""
    first = await generator.compile(crate())
    assert (await generator.compile(crate())).cached
    other = FILES["vendor/greeting/src/lib.rs"].replace("Hello", "Welcome")
    changed = await generator.compile(crate({"vendor/greeting/src/lib.rs": other}))
    assert not changed.cached
    assert changed.digest != first.digest


async def test_a_mistake_has_its_place(generator: Generator, crate: Crate) -> None:
    """File, line and column are those of the crate."""
    error = await refused(
        generator, crate({"src/words.rs": "pub fn line(who: &str) -> String {\n    1 + who\n}\n"})
    )
    [first, *_] = [item for item in error.diagnostics if item.severity == "error"]
    assert (first.file, first.line, first.column) == ("src/words.rs", 2, 7)
    assert "cannot add `&str` to `{integer}`" in first.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Cargo.lock": None}, "there is no Cargo.lock beside it; type: cargo generate-lockfile"),
        ({"vendor/greeting/Cargo.toml": None, "vendor/greeting/.cargo-checksum.json": None}, "greeting"),
        ({"Cargo.toml": "[package]\nname = 3\n"}, "failed to parse manifest"),
        ({"Cargo.toml": MANIFEST + 'absent = "2"\n'}, "no matching package named `absent` found"),
        ({"src/lib.rs": None}, "no targets specified in the manifest"),
    ],
)
async def test_what_is_not_whole_is_refused(
    generator: Generator, crate: Crate, changes: Mapping[str, str | None], message: str
) -> None:
    """Cargo's own words, at the manifest, without the folder in which it ran."""
    error = await refused(generator, crate(changes))
    [first, *_] = error.diagnostics
    assert first.file == "Cargo.toml"
    assert message in first.message
    assert "/tmp/" not in str(error)


SPY = """fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(out + "/ran.rs", "pub const RAN: u32 = 7;").unwrap();
}
"""
MACRO = GREETING + "\n[lib]\nproc-macro = true\n"
RAN = """mod out {
    include!(concat!(env!("OUT_DIR"), "/ran.rs"));
}

echelon::export! {
    fn ran() -> u32 { out::RAN }
}
"""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"build.rs": SPY}, "shop 0.1.0 has a script that runs when it is built"),
        ({"vendor/greeting/build.rs": SPY}, "greeting 1.2.0 has a script that runs when it is built"),
        ({"vendor/greeting/Cargo.toml": MACRO}, "greeting 1.2.0 is a procedural macro"),
    ],
)
async def test_nothing_runs_while_a_crate_is_compiled(
    generator: Generator, crate: Crate, changes: Mapping[str, str], message: str
) -> None:
    """Scripts and macros that are programs are refused by name, and how to allow them is said."""
    error = await refused(generator, crate(changes))
    assert message in str(error)
    assert "programs=on" in str(error)


async def test_a_script_runs_where_it_is_allowed(generator: Generator, crate: Crate) -> None:
    """In confinement: what it makes is compiled, what it may not read it does not read."""
    source = crate({"Cargo.toml": ALONE, "Cargo.lock": ALONE_LOCK, "build.rs": SPY, "src/lib.rs": RAN})
    artifact = await generator.compile(source, options={"programs": "on"})
    async with Runtime() as runtime:
        assert await (await runtime.load(artifact.wasm)).call("ran") == 7
    thief = SPY.replace("fn main() {", 'fn main() { std::fs::read("/etc/passwd").expect("no thieves");')
    error = await refused(generator, crate({"build.rs": thief}), programs="on")
    assert "no thieves" in str(error)
    assert "root:" not in str(error)


async def test_a_crate_cannot_be_sent(generator: Generator) -> None:
    """Only a path is a crate: strangers' texts are no projects."""
    with pytest.raises(CompileError, match="a crate is compiled from a path on this machine"):
        await generator.compile(
            {name: text for name, text in FILES.items() if name.split("/")[-1][0] != "."}, "rust"
        )


async def test_links_are_not_followed(generator: Generator, crate: Crate, tmp_path: Path) -> None:
    """A link in a crate is none of its files."""
    source = crate({"src/words.rs": None})
    (tmp_path / "secret.rs").write_text('pub fn line(_: &str) -> String { "secret".into() }\n')
    (source.parent / "src" / "words.rs").symlink_to(tmp_path / "secret.rs")
    error = await refused(generator, source)
    assert "file not found for module `words`" in str(error)


async def test_a_project_has_bounds(
    generator: Generator, crate: Crate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and bytes are counted before anything is copied."""
    source = crate()
    monkeypatch.setattr(projects, "MAX_FILES", 3)
    assert "at most 3 files" in str(await refused(generator, source))
    monkeypatch.undo()
    monkeypatch.setattr(projects, "MAX_BYTES", 1 << 5)
    assert "at most 0 MiB together" in str(await refused(generator, source))


async def test_without_cargo_it_says_what_to_type(
    rust_home: Path, crate: Crate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single files need no cargo; a crate does."""
    monkeypatch.setattr(crates.Cargo, "program", tmp_path / "nowhere" / "cargo")
    async with Generator([Rust(rust_home)], tmp_path / "store") as made:
        error = await refused(made, crate())
        assert "type: apt-get install cargo" in str(error)
