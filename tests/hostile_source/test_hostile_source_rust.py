"""Hostile sources of Rust: each is an error within its limits, and reads nothing of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from echelon.plugin.compiler import Job
from echelon.plugin.compilers.rust.compiler import Rust

pytestmark = pytest.mark.timeout(300)

BOMB = "macro_rules! m { ($($t:tt)*) => { m!($($t)* $($t)*) } }\nm!(x x);\n"
WIDE = "macro_rules! a { ($($t:tt)*) => { $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* } }\n"
NESTED = "a!{" * 9 + "fn f() {}" + "}" * 9
TYPES = (
    "trait T { fn f() -> u64; }\nstruct A<X>(X);\n"
    "impl<X> T for A<X> where A<A<X>>: T { fn f() -> u64 { <A<A<X>>>::f() } }\n"
    "#[no_mangle] pub fn g() -> u64 { A::<u8>::f() }\n"
)
TUPLES = (
    "fn f<T: Clone>(t: T, n: u32) { if n > 0 { f((t.clone(), t), n - 1) } }\n"
    "#[no_mangle] pub fn g() { f(1, 30) }\n"
)
SOURCES = {
    "read text": 'pub const A: &str = include_str!("/etc/passwd");\n',
    "read bytes": 'pub const A: &[u8] = include_bytes!("/etc/shadow");\n',
    "read code": 'include!("/etc/passwd");\n',
    "read above": 'pub const A: &str = include_str!("../../../../../etc/passwd");\n',
    "module elsewhere": '#[path = "/etc/passwd"]\nmod passwd;\n',
    "surroundings": 'pub const A: &str = include_str!("/proc/self/environ");\n',
    "variable": 'pub const A: &str = env!("HOME");\n',
    "device": 'pub const A: &[u8] = include_bytes!("/dev/zero");\n',
    "itself": 'include!("main.rs");\n',
    "endless macro": BOMB,
    "wide macros": WIDE + NESTED,
    "endless constant": "pub const A: u32 = { let mut n = 0u32; loop { n ^= 1; } };\n",
    "large constant": "pub static A: [u64; 1 << 28] = [1; 1 << 28];\n#[no_mangle] pub fn f(i: usize) -> u64 { A[i] }\n",
    "recursive constant": "const fn f(n: u64) -> u64 { f(n + 1) + f(n + 2) }\npub const A: u64 = f(0);\n",
    "endless types": TYPES,
    "growing types": TUPLES,
    "endless impl": "pub fn g() -> impl Copy { (g(), g()) }\n",
    "deep": "pub const A: u32 = " + "(" * 100_000 + "1" + ")" * 100_000 + ";\n",
    "deep types": "pub type A = " + "Option<" * 50_000 + "u8" + ">" * 50_000 + ";\n",
    "many errors": "".join(f"fn f{n}() {{ x{n} }}\n" for n in range(20_000)),
    "raised limits": "#![recursion_limit = \"4294967295\"]\nmacro_rules! m { ($n:tt) => { m!(($n)) } }\nm!(x);\n",
    "program as macro": "extern crate proc_macro;\n#[proc_macro]\npub fn m(t: proc_macro::TokenStream) -> _ { t }\n",
    "foreign library": '#[link(name = "crypt", kind = "static")]\nextern "C" { fn crypt(); }\n'
    "#[no_mangle] pub fn f() { unsafe { crypt() } }\n",
    "foreign path": '#[link(name = "/etc/passwd", kind = "static")]\nextern "C" {}\n',
    "assembler": 'std::arch::global_asm!(".incbin \\"/etc/passwd\\"");\n',
    "unstable": '#![feature(plugin)]\n#![plugin(passwd)]\n',
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source(
    rust_home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, nothing of the machine's files in it, and an empty temporary folder after it."""
    monkeypatch.setattr("echelon.plugin.compilers.command.BASE", str(tmp_path))
    compiler = Rust(rust_home)
    await compiler.warm()
    compiler.program = replace(compiler.program, seconds=10.0, memory=1 << 30)
    compiled = await compiler.compile(Job({"main.rs": SOURCES[name]}, "main.rs"))
    assert compiled.wasm is None
    assert any(item.severity == "error" for item in compiled.diagnostics)
    assert len(compiled.diagnostics) <= 101
    assert "root:" not in "".join(item.message for item in compiled.diagnostics)
    assert list(tmp_path.iterdir()) == []
