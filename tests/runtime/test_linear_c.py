"""Guests in C and C++ that follow the ABI `linear` with nothing but a compiler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon import Application
from echelon.errors import GuestError, InvalidModule, PermissionDenied, Trap
from echelon.http.testing import TestClient
from echelon.runtime import binary, declarations, signature
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.permissions import Permissions
from echelon.runtime.types import U32

LONGEST = (Path(__file__).resolve().parents[2] / "examples" / "guests" / "longest.c").read_text()
Clang = Callable[..., bytes]

CPLUSPLUS = """
#define EXPORT(signature) extern "C" __attribute__((export_name(signature)))
EXPORT("twice(n: i64) -> i64") long long twice(long long n) { return 2 * n; }
EXPORT("both(a: bool, b: u8) -> bool") bool both(bool a, unsigned char b) { return a && b; }
"""


HEAD = """
typedef unsigned u32; typedef unsigned long long u64;
#define EXPORT(signature) __attribute__((export_name(signature)))
#define HOST(module, name) __attribute__((import_module(module), import_name(name)))
static _Alignas(8) char block[4096], answer[4096];
EXPORT("echelon_alloc") void *allocate(u32 size) { return size <= sizeof block ? block : 0; }
"""

SHOP = f"""{HEAD}
HOST("shop", "price") u32 price(const char *article, u32 length);
HOST("shop", "describe") int describe(const char *article, u32 length);
HOST("shop", "order") int order(const char *json, u32 length);
HOST("echelon", "take") void take(void *into);
HOST("echelon", "env_get") int env_get(const char *name, u32 length);
HOST("echelon", "kv_get") int kv_get(const void *key, u32 length);
HOST("echelon", "fetch") int fetch(const void *request, u32 length);
static u64 taken(int length) {{
  if (length < 0) return 0;
  take(answer);
  return (u64)(u32)answer << 32 | (u32)length;
}}
EXPORT("cents(article: str) -> u32") u32 cents(const char *at, u32 n) {{ return price(at, n); }}
EXPORT("label(article: str) -> option<str>") u64 label(const char *at, u32 n) {{ return taken(describe(at, n)); }}
EXPORT("ordered(what: json) -> json") u64 ordered(const char *at, u32 n) {{ return taken(order(at, n)); }}
EXPORT("variable(name: str) -> option<str>") u64 variable(const char *at, u32 n) {{ return taken(env_get(at, n)); }}
EXPORT("entry(key: bytes) -> option<bytes>") u64 entry(const char *at, u32 n) {{ return taken(kv_get(at, n)); }}
EXPORT("get(request: bytes) -> bytes") u64 get(const char *at, u32 n) {{ return taken(fetch(at, n)); }}
"""

ECHO = f"""{HEAD}
EXPORT("handle(request: bytes) -> bytes") u64 handle(const char *at, u32 n) {{
  static const char head[] = {{1, 0, 0, 0, (char)201, 0, 0, 0, 0, 0, 0, 0}};
  __builtin_memcpy(answer, head, sizeof head);
  __builtin_memcpy(answer + 12, &n, 4);
  for (u32 i = 0; i < n; i++) answer[16 + i] = at[i];
  return (u64)(u32)answer << 32 | (16 + n);
}}
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


async def test_lines_after_collecting(runtime: Runtime, clang: Clang) -> None:
    """Other export names do not move what debug information says."""
    source = '__attribute__((export_name("f(a: i32) -> i32"))) int f(int a) {\n  return 1 /\n    a; }'
    module = await runtime.load(declarations.collect(clang({"f.c": source}, "-O0"), "c"))
    with pytest.raises(Trap) as caught:
        await module.f(0)
    assert (caught.value.frames[0].file, caught.value.frames[0].line) == ("f.c", 2)


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


async def test_host_functions_and_permissions(clang: Clang, code_directory: Path) -> None:
    """Texts, JSON and None cross to Python functions and back; variables, keys and hosts need their grants."""
    wasm = Runtime(RuntimeSettings(cache=code_directory))

    @wasm.host("shop")
    def price(article: str) -> U32:
        return len(article)

    @wasm.host("shop")
    async def describe(article: str) -> str | None:
        await asyncio.sleep(0.001)
        return f"{article} für 😀" if article == "tea" else None

    @wasm.host("shop")
    def order(what: dict[str, int]) -> list[str]:
        return [f"{count} {name}" for name, count in what.items()]

    async with wasm:
        guest = await wasm.load(clang({"shop.c": SHOP}, "-O2"), permissions=Permissions(env=["SHOP_*"]))
        assert await guest.cents("größe") == 5
        assert (await guest.label("tea"), await guest.label("gold")) == ("tea für 😀", None)
        assert await guest.ordered({"tea": 2, "milk": 1}) == ["2 tea", "1 milk"]
        with pytest.raises(GuestError, match="JSON to its host that does not fit"):
            await guest.ordered({"tea": "two"})
        assert (await guest.run("variable", "SHOP_X", env={"SHOP_X": "é"})).value == "é"
        assert await guest.variable("SHOP_UNSET") is None
        key = b"\1\0\0\0\2\0\0\0\1\0\0\0k"
        request = b"".join(len(part).to_bytes(4, "little") + part for part in (b"GET", b"http://x.example/"))
        for function, argument, denied in (
            ("variable", "HOME", 'env to "HOME"'),
            ("entry", key, 'kv to "k"'),
            ("get", b"\1\0\0\0" + request + bytes(12), 'net to "x.example:80"'),
        ):
            with pytest.raises(PermissionDenied, match=denied):
                await guest.call(function, argument)


async def test_http_by_a_signature(clang: Clang, tmp_path: Path) -> None:
    """A typed `handle` answers requests below its mount."""
    (tmp_path / "echo.wasm").write_bytes(clang({"echo.c": ECHO}, "-O2"))
    app = Application()
    app.mount("/echo", app.wasm.module(str(tmp_path / "echo.wasm")))
    async with TestClient(app) as client:
        answer = await client.post("/echo/path?q=1", content=b"body")
    assert answer.status_code == 201
    assert answer.content.startswith(b"\1\0\0\0\4\0\0\0POST\5\0\0\0/path\3\0\0\0q=1")
    assert answer.content.endswith(b"\4\0\0\0body")


async def test_lines_for_functions_under_a_prefix(runtime: Runtime, wat: Callable[[str], bytes]) -> None:
    """A line also names the function that is exported under `echelon.` and its name; callers see the plain one."""
    raw = wat('(module (func (export "echelon.read") (param i32) (result i32) (local.get 0)))')
    raw = binary.add_custom_section(raw, declarations.SECTION, b"read(n: u8) -> u8\n")
    clean = declarations.collect(raw, "rust")
    assert set(binary.parse(clean).exports) == {"read"}
    for data in (raw, clean):
        module = await runtime.load(data)
        assert [str(function) for function in module.exports()] == ["read(n: u8) -> u8"]
        assert await module.call("read", 7) == 7
    assert binary.parse(binary.rename_exports(clean, {"read": None})).exports == {}
