"""Rust: compiled by the real compiler, and called."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError, MemoryExceeded, Trap
from echelon.plugin.compiler import Optimize
from echelon.plugin.compilers.rust import compiler as rust
from echelon.plugin.compilers.rust import toolchains
from echelon.plugin.compilers.rust.compiler import Rust
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SOURCE = """
use echelon::Json;
use std::collections::HashMap;

echelon::export! {
    fn add(a: i32, b: i32) -> i32 { a + b }
    fn half(n: f64) -> f64 { n / 2.0 }
    fn odd(n: u64) -> bool { n & 1 == 1 }
    fn greet(who: &str) -> String { format!("Hello, {who}!") }
    fn reverse(data: &[u8]) -> Vec<u8> { data.iter().rev().copied().collect() }
    fn sum(numbers: &[i64]) -> i64 { numbers.iter().sum() }
    fn rest(text: &str) -> &str { &text[1..] }
    fn maybe(text: Option<&str>, n: Option<u8>) -> Option<u8> { text.map(|t| t.len() as u8 + n.unwrap_or(100)) }
    fn same(value: Json) -> Json { value }
    fn swap(items: Vec<Option<i32>>, words: Vec<Vec<String>>) -> (Vec<Vec<String>>, Option<i16>, Vec<Option<i32>>) {
        (words, Some(-3), items)
    }
    fn divide(a: i32, b: i32) -> Result<i32, String> {
        if b == 0 { Err("nothing divides by zero".into()) } else { Ok(a / b) }
    }

    /// Names of functions of the C library are as good as others.
    fn read(n: u8) -> u8 { n }
    fn pow(a: i32, b: u32) -> i32 { a.pow(b) }
    fn longest(words: Vec<&str>) -> Option<String> {
        words.iter().max_by_key(|word| word.len()).map(|word| word.to_string())
    }
    fn count(words: Vec<String>) -> u32 {
        println!("counting");
        words.iter().map(|word| (word, 1)).collect::<HashMap<_, _>>().len() as u32
    }
    fn pick(index: u32) -> u8 {
        let values = vec![1, 2, 3];
        values[index as usize]
    }
    fn refuse() {
        echelon::fail("no bread today")
    }
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(rust_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator of Rust, with an empty store."""
    async with Generator([Rust(rust_home)], tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime() -> AsyncIterator[Runtime]:
    async with Runtime() as running:
        yield running


@pytest.mark.parametrize("optimize", ["none", "speed", "size"])
async def test_it_takes_and_gives_every_kind(
    generator: Generator, runtime: Runtime, optimize: Optimize
) -> None:
    """Numbers, text outside the basic plane, bytes, lists, options, JSON, several results, errors."""
    made = await generator.compile(SOURCE, language="rust", optimize=optimize)
    guest = await runtime.load(made.wasm)
    assert await guest.call("add", 2, 40) == 42
    assert await guest.call("half", 5.0) == 2.5
    assert await guest.call("odd", (1 << 64) - 1) is True
    assert await guest.call("greet", "Zoë 🦊") == "Hello, Zoë 🦊!"
    assert await guest.call("reverse", b"\0\1\2") == b"\2\1\0"
    assert await guest.call("sum", [1, -2, 1 << 40]) == (1 << 40) - 1
    assert await guest.call("rest", "🦊"[:0] + "abc") == "bc"
    assert await guest.call("maybe", "abc", None) == 103
    assert await guest.call("maybe", None, 3) is None
    assert await guest.call("maybe", "", 0) == 0
    assert await guest.call("swap", [None, -3], [["a"], [], ["b", "🦊"]]) == (
        [["a"], [], ["b", "🦊"]],
        -3,
        [None, -3],
    )
    assert await guest.call("divide", 7, 2) == 3
    assert (await guest.call("read", 7), await guest.call("pow", 2, 10)) == (7, 1024)
    assert await guest.call("longest", ["a", "ccc", "bb"]) == "ccc"
    assert await guest.call("longest", []) is None
    outcome = await guest.run("count", ["a", "b", "a"])
    assert (outcome.value, outcome.stdout) == (2, b"counting\n")


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 1.5, 1e300, "", 'ü\n"\\\u2028🦊\0', [], {}, [[], [1, [2]]], {"a": [None, {"b": ""}]}],
    ids=repr,
)
async def test_json_comes_back(generator: Generator, runtime: Runtime, value: object) -> None:
    """What JSON can say is read and written without loss."""
    guest = await runtime.load((await generator.compile(SOURCE, language="rust")).wasm)
    assert await guest.call("same", value) == value


async def test_a_failure_says_what_and_where(generator: Generator, runtime: Runtime) -> None:
    """A panic, `fail` and an error that a function returns end the call with a message; panics have their place."""
    guest = await runtime.load((await generator.compile({"shop.rs": SOURCE})).wasm)
    lines = SOURCE.split("\n")
    index = 1 + next(n for n, line in enumerate(lines) if "values[index" in line)
    fail = 1 + next(n for n, line in enumerate(lines) if "no bread" in line)
    with pytest.raises(Trap, match=rf"the len is 3 but the index is 9 \(shop\.rs:{index}:9\)"):
        await guest.call("pick", 9)
    with pytest.raises(Trap, match=rf"no bread today \(shop\.rs:{fail}:9\)"):
        await guest.call("refuse")
    with pytest.raises(Trap, match="nothing divides by zero"):
        await guest.call("divide", 1, 0)
    with pytest.raises(Trap, match="attempt to add with overflow"):
        await guest.call("add", (1 << 31) - 1, 1)


async def test_memory_that_is_not_there(generator: Generator, runtime: Runtime) -> None:
    """An argument that finds no room is the call's memory limit, not the guest's fault."""
    guest = await runtime.load((await generator.compile(SOURCE, language="rust")).wasm)
    with pytest.raises(MemoryExceeded):
        await guest.call("reverse", bytes(200 << 20))


async def test_an_instance_that_stays_does_not_grow(generator: Generator, runtime: Runtime) -> None:
    """Results of a call are forgotten when the next one begins."""
    guest = await runtime.load((await generator.compile(SOURCE, language="rust")).wasm)
    async with guest.instance() as live:
        sizes = []
        for _ in range(20):
            assert await live.call("reverse", b"\1" * 300_000) == b"\1" * 300_000
            sizes.append(live.memory.size)
        assert sizes[-1] == sizes[4]


async def test_a_module_of_plain_functions(generator: Generator, runtime: Runtime) -> None:
    """Without the kit a function is exported as Rust has it, or under a signature, and nothing else is."""
    source = """#[no_mangle]
    pub extern "C" fn twice(n: i32) -> i32 { 2 * n }
    #[export_name = "half(n: f64) -> f64"]
    pub extern "C" fn half(n: f64) -> f64 { n / 2.0 }"""
    made = await generator.compile(source, language="rust", optimize="size")
    assert len(made.wasm) < 20_000
    guest = await runtime.load(made.wasm)
    assert await guest.call("half", 3.0) == 1.5
    plain = await generator.compile(
        "#[no_mangle] pub extern fn twice(n: i32) -> i32 { 2 * n }", language="rust"
    )
    assert [str(function) for function in (await runtime.load(plain.wasm)).exports()] == ["twice(i32) -> i32"]


async def test_several_files(generator: Generator, runtime: Runtime) -> None:
    """Modules lie in files beside the entry, or below folders; texts can be included."""
    files = {
        "main.rs": "mod deep;\nmod two;\n"
        "echelon::export! { fn four() -> u32 { two::two() * deep::er::two() }\n"
        'fn text() -> &\'static str { include_str!("a.txt") } }',
        "two.rs": "pub fn two() -> u32 { 2 }",
        "deep/mod.rs": "pub mod er;",
        "deep/er.rs": "pub fn two() -> u32 { 2 }",
        "a.txt": "grün",
    }
    guest = await runtime.load((await generator.compile(files)).wasm)
    assert await guest.call("four") == 4
    assert await guest.call("text") == "grün"


async def test_a_path_brings_its_modules(generator: Generator, runtime: Runtime, tmp_path: Path) -> None:
    """The files that a source on disk names come with it, but none from outside its folder."""
    (tmp_path / "in" / "shop").mkdir(parents=True)
    (tmp_path / "in" / "main.rs").write_text("pub mod shop;")
    (tmp_path / "in" / "shop.rs").write_text(
        '#[path = "shelf/other.rs"]\nmod other;\npub mod tea;\n'
        "echelon::export! { fn price() -> u32 { tea::PRICE + other::ONE } }"
    )
    (tmp_path / "in" / "shop" / "tea.rs").write_text("pub const PRICE: u32 = 450;")
    (tmp_path / "in" / "shelf").mkdir()
    (tmp_path / "in" / "shelf" / "other.rs").write_text("pub const ONE: u32 = 1;")
    guest = await runtime.load((await generator.compile(tmp_path / "in" / "main.rs")).wasm)
    assert await guest.call("price") == 451
    (tmp_path / "secret.rs").write_text("pub const ONE: u32 = 1;")
    (tmp_path / "in" / "main.rs").write_text('#[path = "../secret.rs"]\nmod secret;')
    with pytest.raises(CompileError, match="couldn't read"):
        await generator.compile(tmp_path / "in" / "main.rs")


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("fn f() -> i32 {\n    x\n}", 2, 5, "cannot find value `x` in this scope"),
        ("fn f() -> i32 {\n    true\n}", 2, 5, "mismatched types: expected `i32`, found `bool`"),
        ("fn f( {", 1, 8, "unclosed delimiter"),
        (
            "echelon::export! {\n    fn f(a: Vec<std::fs::File>) {}\n}",
            2,
            26,
            "`File` is no type that export! knows",
        ),
        ('fn f() { println!("{}", 1, 2) }', 1, 28, "argument never used"),
        ("echelon::export! {\n    fn f() -> u32 { g() }\n}", 2, 21, "cannot find function `g`"),
        ('const A: &str = env!("PATH");', 1, 17, "environment variable `PATH` not defined"),
        ("use serde::Serialize;", 1, 5, "serde"),
    ],
)
async def test_diagnostics(generator: Generator, source: str, line: int, column: int, message: str) -> None:
    """An error has file, line and column of the user's own source, also inside a macro of the kit."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"a.rs": source})
    errors = [item for item in caught.value.diagnostics if item.severity == "error"]
    found = next(item for item in errors if message in item.message)
    assert (found.file, found.line, found.column) == ("a.rs", line, column)


async def test_several_diagnostics_and_warnings(generator: Generator) -> None:
    """Every mistake is told, once; a warning does not stop a module."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"a.rs": "fn f() -> i32 { x }\nfn g() -> i32 { y }"})
    assert [item.line for item in caught.value.diagnostics] == [1, 2]
    made = await generator.compile({"a.rs": "fn unused() {}\n#[no_mangle] pub extern fn f() {}"})
    assert [(item.severity, item.line) for item in made.diagnostics] == [("warning", 1)]


async def test_a_function_that_is_nowhere(generator: Generator) -> None:
    """What the linker would leave to the host is an error."""
    source = 'extern "C" { fn lost(); }\nechelon::export! { fn f() { unsafe { lost() } } }'
    with pytest.raises(CompileError, match="undefined symbol: lost"):
        await generator.compile(source, language="rust")


async def test_the_same_source_gives_the_same_bytes(
    generator: Generator, rust_home: Path, tmp_path: Path
) -> None:
    """Nothing of the working folder, of this machine's folders, and no date, is in a module."""
    first = await generator.compile(SOURCE, language="rust")
    async with Generator([Rust(rust_home)], tmp_path / "other") as other:
        second = await other.compile(SOURCE, language="rust")
    assert first.digest == second.digest
    for text in (b"echelon-compile-", str(rust.KIT).encode(), str(rust_home).encode()):
        assert text not in first.wasm


async def test_the_kit_is_compiled_once(rust_home: Path, tmp_path: Path) -> None:
    """Another compiler finds the kit of the first; two at once make one."""
    first, second = Rust(tmp_path), Rust(tmp_path)
    for compiler in (first, second):
        compiler.probe()
        await compiler.warm()
    [kit] = (tmp_path / "kits" / "rust").iterdir()
    made = (kit / "libechelon.rlib").stat().st_mtime_ns
    third = Rust(tmp_path)
    await third.warm()
    assert (kit / "libechelon.rlib").stat().st_mtime_ns == made
    assert [path.name for path in kit.iterdir()] == ["libechelon.rlib"]


def fake(path: Path, version: str = "1.80.0", sysroot: Path | None = None) -> Path:
    """Make a program that answers like rustc."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = sysroot or path.parent.parent
    path.write_text(f'#!/bin/sh\n[ "$1" = -vV ] && echo "release: {version}" || echo "{root}"\n')
    path.chmod(0o755)
    return path


def fake_library(sysroot: Path, target: str) -> None:
    folder = toolchains.library(sysroot, target)
    folder.mkdir(parents=True)
    (folder / "libstd-1.rlib").touch()


def fake_linker(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho LLD 99\n")
    path.chmod(0o755)


async def test_the_order_of_compilers(tmp_path: Path) -> None:
    """The one that is named, rustup's default, its others, the PATH's; never a program that stands in for rustup's."""
    rustup = tmp_path / ".rustup" / "toolchains"
    for name in ("nightly", "stable", "1.70"):
        fake(rustup / name / "bin" / "rustc")
    (tmp_path / ".rustup" / "settings.toml").write_text('default_toolchain = "stable"\n')
    proxy = fake(tmp_path / "cargo" / "rustup")
    (tmp_path / "cargo" / "rustc").symlink_to(proxy)
    own = fake(tmp_path / "own" / "rustc")
    environ = {"HOME": str(tmp_path), "PATH": os.pathsep.join(map(str, (proxy.parent, own.parent)))}
    found = list(toolchains.candidates(environ))
    assert found[:3] == [rustup / name / "bin" / "rustc" for name in ("stable", "1.70", "nightly")]
    assert found[3] == own
    assert proxy not in found
    named = {**environ, toolchains.VARIABLE: str(own)}
    assert list(toolchains.candidates(named)) == [own]
    assert toolchains.install(environ) == toolchains.INSTALL_RUSTUP
    assert toolchains.install({"HOME": str(tmp_path / "none")}) == toolchains.INSTALL_SYSTEM


async def test_the_library_decides(tmp_path: Path) -> None:
    """A compiler without a library for WebAssembly, or too old, is passed over; the best target is taken."""
    old = fake(tmp_path / "old" / "bin" / "rustc", "1.40.0")
    bare = fake(tmp_path / "bare" / "bin" / "rustc")
    environ = {toolchains.VARIABLE: str(bare), "PATH": str(tmp_path / "bin")}
    assert "has no standard library for WebAssembly" in str(toolchains.find(environ))
    assert "older than 1.63" in str(toolchains.find({**environ, toolchains.VARIABLE: str(old)}))
    assert "does not tell its version" in str(toolchains.find({**environ, toolchains.VARIABLE: "/dev/null"}))
    fake_library(tmp_path / "bare", "wasm32-unknown-unknown")
    fake_linker(tmp_path / "bare" / "lib" / "rustlib" / "host" / "bin" / "rust-lld")
    found = toolchains.find(environ)
    assert isinstance(found, toolchains.Rust)
    assert (found.target, found.linker.name) == ("wasm32-unknown-unknown", "rust-lld")
    fake_library(tmp_path / "bare", "wasm32-wasip1")
    found = toolchains.find(environ)
    assert isinstance(found, toolchains.Rust)
    assert found.target == "wasm32-wasip1"


async def test_zig_links_where_nothing_else_does(
    rust_home: Path, c_home: Path, tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The linker inside Zig makes a module that works as well, and unstable features stay closed."""
    monkeypatch.setattr(toolchains, "_linkers", lambda environ: [])
    monkeypatch.setattr(rust, "_zig", lambda home: rust_zig(c_home))
    async with Generator([Rust(tmp_path / "home")], tmp_path / "store") as generator:
        [language] = await generator.languages()
        assert language.probe.detail.endswith("zig")
        guest = await runtime.load((await generator.compile(SOURCE, language="rust")).wasm)
        assert await guest.call("greet", "Ada") == "Hello, Ada!"
        with pytest.raises(CompileError, match="feature"):
            await generator.compile("#![feature(never_type)]\ntype A = !;", language="rust")


def rust_zig(home: Path) -> Path | None:
    return rust.zig.C.directory(home) / rust.zig.PACKAGE / "zig"


async def test_without_a_compiler_it_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And makes no folder of rustup's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUSTUP_HOME", str(tmp_path / "rustup"))
    monkeypatch.setenv(toolchains.VARIABLE, str(tmp_path / "rustc"))
    probe = Rust(tmp_path).probe()
    assert (probe.found, probe.install) == (False, "apt-get install rustc libstd-rust-dev-wasm32 lld")
    assert list(tmp_path.iterdir()) == []
