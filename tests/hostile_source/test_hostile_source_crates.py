"""Hostile crates, whose programs may run while compiling: each ends within its limits, and reaches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError
from echelon.plugin.compilers.rust import crates
from echelon.plugin.compilers.rust.compiler import Rust
from echelon.plugin.generator import Generator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

MANIFEST = '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "shop"\nversion = "0.1.0"\n'
LIB = "echelon::export! {\n    fn two() -> u32 { 2 }\n}\n"
MAIN = "fn main() {\n%s\n}\n"
SCRIPTS = {
    "fork bomb": "loop { let _ = std::process::Command::new(std::env::current_exe().unwrap()).spawn().unwrap(); }",
    "threads": "loop { std::thread::spawn(|| loop { std::thread::park() }); }",
    "endless": "let mut n = 0u64; loop { n = std::hint::black_box(n + 1); }",
    "memory": "let mut all = Vec::new(); loop { all.push(vec![1u8; 1 << 24]); }",
    "output": 'loop { println!("{}", "x".repeat(1 << 16)); }',
    "disk": 'let folder = std::env::var("OUT_DIR").unwrap();'
    ' for n in 0u64.. { std::fs::write(format!("{folder}/{n}"), vec![1u8; 1 << 24]).unwrap(); }',
    "connect": 'std::net::TcpStream::connect("127.0.0.1:1").expect("no way out");',
    "listen": 'std::net::UdpSocket::bind("127.0.0.1:0").expect("no way out");',
    "secrets": 'std::fs::read("/etc/shadow").expect("no way out");',
    "home": 'std::fs::read_dir("/root").expect("no way out");',
    "outside": 'std::fs::write("/tmp/echelon-was-here", "x").expect("no way out");',
    "link": 'std::os::unix::fs::symlink("/etc/passwd", std::env::var("OUT_DIR").unwrap() + "/l").expect("no way out");',
    "shell": 'let done = std::process::Command::new("/bin/sh").args(["-c", "cat /etc/shadow /root/.profile"]).status();'
    ' assert!(done.unwrap().success(), "no way out");',
}
"""What a script of a build does, by what it tries."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(rust_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    async with Generator([Rust(rust_home)], tmp_path_factory.mktemp("artifacts") / "store") as made:
        yield made


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_of_a_build(
    name: str, generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Allowed to run it is still confined: an error that says why, and no process or file afterwards."""
    monkeypatch.setattr("echelon.plugin.compilers.command.BASE", str(tmp_path / "base"))
    monkeypatch.setattr(crates, "SECONDS", 15.0)
    monkeypatch.setattr(crates, "DISK", 256 << 20)
    (tmp_path / "base").mkdir()
    crate = tmp_path / "shop"
    (crate / "src").mkdir(parents=True)
    for path, text in (
        ("Cargo.toml", MANIFEST), ("Cargo.lock", LOCK), ("src/lib.rs", LIB), ("build.rs", MAIN % SCRIPTS[name]),
    ):  # fmt: skip
        (crate / path).write_text(text)
    before = await asyncio.to_thread(_descendants)
    with pytest.raises(CompileError) as caught:
        await generator.compile(crate / "Cargo.toml", options={"programs": "on"})
    text = str(caught.value)
    assert len(text) < 100_000
    assert "root:" not in text
    if "no way out" in SCRIPTS[name]:
        assert "no way out" in text
    assert list((tmp_path / "base").iterdir()) == []
    assert not Path("/tmp/echelon-was-here").exists()
    assert await asyncio.to_thread(_descendants) <= before


def _descendants() -> set[str]:
    """Return all processes that run, or sleep, from a folder of a compile."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "build-script" in (process / "cmdline").read_bytes().decode("utf-8", "replace"):
                found.add(process.name)
        except OSError:
            continue
    return found
