"""Guests in C and C++ that follow the ABI `linear` with nothing but a compiler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.errors import InvalidModule, Trap
from echelon.runtime import binary, declarations, signature
from echelon.runtime.core import Runtime

LONGEST = (Path(__file__).resolve().parents[2] / "examples" / "guests" / "longest.c").read_text()
Clang = Callable[..., bytes]

CPLUSPLUS = """
#define EXPORT(signature) extern "C" __attribute__((export_name(signature)))
EXPORT("twice(n: i64) -> i64") long long twice(long long n) { return 2 * n; }
EXPORT("both(a: bool, b: u8) -> bool") bool both(bool a, unsigned char b) { return a && b; }
"""


def section(wasm: bytes) -> bytes:
    """Return the content of the signature's section."""
    return binary.custom_section(wasm, binary.parse(wasm), signature.SECTION) or b""


async def test_a_guest_in_c(runtime: Runtime, clang: Clang) -> None:
    """Lists of texts come in as an array of structs, several results go out as one."""
    module = await runtime.load(clang({"longest.c": LONGEST}, "-O2"))
    assert [str(function) for function in module.exports()] == [
        "longest(words: list<str>) -> option<str>",
        "summary(numbers: list<f64>) -> f64, option<f64>, u32",
        "first(text: bytes, n: option<u32>) -> bytes",
    ]
    assert await module.longest(["a", "größer", "", "kurz"]) == "größer"
    assert await module.longest([]) is None
    assert await module.longest([""]) == ""
    assert await module.summary([1.5, -2, 2]) == (0.5, 2.0, 3)
    assert await module.summary([]) == (0.0, None, 0)
    assert (await module.first(b"xyz", 2), await module.first(b"xyz", None)) == (b"xy", b"x")
    with pytest.raises(Trap, match=r"the guest aborted: there are not so many bytes \(longest\.c:\d\d\)"):
        await module.first(b"xyz", 4)
    async with module.instance() as live:
        for number in range(100):
            assert await live.call("longest", ["x" * number, "y"]) == max("x" * number, "y", key=len)


async def test_a_guest_in_cplusplus(runtime: Runtime, clang: Clang) -> None:
    """Plain functions need no allocator."""
    module = await runtime.load(clang({"plain.cpp": CPLUSPLUS}, "-O1"))
    assert (await module.twice(-(2**62)), await module.both(True, 1), await module.both(True, 0)) == (
        -(2**63), True, False,
    )  # fmt: skip


async def test_what_the_source_promised_and_did_not_keep(runtime: Runtime, clang: Clang) -> None:
    """A signature that is another than the function's is refused with both."""
    source = '__attribute__((export_name("f(a: str) -> i32"))) int f(int a) { return a; }'
    with pytest.raises(
        InvalidModule, match=r"f\(a: str\) -> i32 does not fit .* \(i32\) -> \(i32\); it takes \(i32, i32\)"
    ):
        await runtime.load(clang({"f.c": source}))


async def test_collecting(runtime: Runtime, clang: Clang) -> None:
    """What the generator makes of such a module has plain names, one section, and does the same."""
    raw = clang({"longest.c": LONGEST}, "-O2")
    clean = declarations.collect(raw, "c")
    info = binary.parse(clean)
    assert sorted(info.exported_functions) == ["echelon_alloc", "first", "longest", "summary"]
    found = signature.decode(section(clean))
    assert (found.abi, found.language, list(found.exports)) == (
        "linear",
        "c",
        ["longest", "summary", "first"],
    )
    assert declarations.collect(clean, "c") == clean
    module = await runtime.load(clean)
    assert await module.longest(["a", "bb"]) == "bb"
    assert module.language == "c"


def test_collecting_lines(clang: Clang) -> None:
    """Lines of a section do the same for exports with plain names, and the section is gone afterwards."""
    source = """
    __attribute__((export_name("twice"))) int twice(int n) { return 2 * n; }
    __asm__(".section .custom_section.echelon_exports,\\"\\",@\\n.ascii \\"twice(n: i32) -> i32\\"\\n.text\\n");
    """
    raw = clang({"twice.c": source})
    renamed = raw.replace(b"\x0fechelon_exports", b"\x0fechelon:exports")
    assert renamed != raw
    clean = declarations.collect(renamed, "c")
    info = binary.parse(clean)
    assert declarations.SECTION not in info.custom
    assert [str(f) for f in signature.decode(section(clean)).exports.values()] == ["twice(n: i32) -> i32"]


def test_nothing_to_collect() -> None:
    """A module without signatures is left as it is."""
    assert declarations.collect(binary.MAGIC, "wat") == binary.MAGIC
