"""Typed calls of real TypeScript: what goes in comes out, or is refused before anything runs."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import InvalidModule, MemoryExceeded, OutputExceeded, PermissionDenied, Trap
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime import binary, lines, signature, stripping
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

SOURCE = """
import { env, log } from "echelon";
export function text(s: string): string { return s }
export function bytes(b: Uint8Array): Uint8Array { return b }
export function buffer(b: ArrayBuffer): ArrayBuffer { return b }
export function flag(b: bool): bool { return b }
export function i8_(n: i8): i8 { return n }
export function u8_(n: u8): u8 { return n }
export function i16_(n: i16): i16 { return n }
export function u16_(n: u16): u16 { return n }
export function u32_(n: u32): u32 { return n }
export function u64_(n: u64): u64 { return n }
export function f32_(n: f32): f32 { return n }
export function ints(xs: i32[]): i32[] { return xs }
export function floats(xs: Float64Array): Float64Array { return xs }
export function statics(xs: StaticArray<i16>): StaticArray<i16> { return xs }
export function flags(xs: bool[]): bool[] { return xs }
export function strings(xs: string[]): string[] { return xs }
export function nested(xs: string[][]): string[][] { return xs }
export function maybe(s: string | null): string | null { return s }
export function joined(a: string, n: i32, xs: string[]): string { return a + n.toString() + xs.join(",") }
export function upper(s: string): string { return s.toUpperCase() }
export function big(n: i32): string { return "x".repeat(n) }
export function hog(): i32 { const all: ArrayBuffer[] = []; while (true) all.push(new ArrayBuffer(1 << 20)); return 0 }
export function thrown(s: string): void { throw new Error("bad " + s) }
export function logged(s: string): void { console.log(s); console.error(s); log.debug(s); trace("t", 2, 1, 2.5) }
export function home(): string { const h = env.get("HOME"); return h === null ? "none" : h }
export function item(i: i32): i32 {
  const xs = [1, 2, 3];
  return xs[i];
}
export function ratio(a: i32, b: i32): i32 { return a / b }
let total = 0;
export function add(s: string): i32 { total += s.length; return total }
"""


@pytest.fixture(scope="session")
def wasm(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The module, compiled once."""

    async def compile_source() -> bytes:
        async with Generator([AssemblyScript(home=home)], tmp_path_factory.mktemp("artifacts")) as generator:
            return (await generator.compile(SOURCE, "typescript", name="values.ts")).wasm

    return asyncio.run(compile_source())


@pytest.fixture
async def ts(runtime: Runtime, wasm: bytes) -> Any:
    return await runtime.load(wasm, name="values.ts")


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("text", ""), ("text", "héllo"), ("text", "😀 and\0zero"), ("text", "x" * 100_000),
        ("bytes", b""), ("bytes", bytes(range(256))), ("buffer", b"abc"),
        ("flag", True), ("flag", False), ("i8_", -128), ("u8_", 255), ("i16_", -32768), ("u16_", 65535),
        ("u32_", 2**32 - 1), ("u64_", 2**64 - 1), ("f32_", 0.5),
        ("ints", []), ("ints", [1, -2, 2**31 - 1]), ("floats", [0.1, float("inf")]), ("statics", [1, -2]),
        ("flags", [True, False, True]), ("strings", ["", "a", "ü😀"]), ("nested", [["a"], [], ["b", "c"]]),
        ("maybe", None), ("maybe", "some"),
    ],
)  # fmt: skip
async def test_round_trip(ts: Any, function: str, value: object) -> None:
    """Every typed value comes back equal and of its type."""
    result = await ts.call(function, value)
    assert result == value
    assert type(result) is type(value)


async def test_several_arguments(ts: Any) -> None:
    """Objects and numbers are mixed freely."""
    assert await ts.joined("a", 7, ["x", "y"]) == "a7x,y"
    assert await ts.upper("straße 😀") == "STRASSE 😀"


@pytest.mark.parametrize(
    ("function", "value", "error", "message"),
    [
        ("text", 1, TypeError, "argument 1 .*: expected str, got int"),
        ("text", None, TypeError, "expected str, got NoneType"),
        ("bytes", "x", TypeError, "expected bytes, got str"),
        ("flag", 1, TypeError, "expected bool, got int"),
        ("i8_", 128, ValueError, "128 is out of range"),
        ("u8_", -1, ValueError, "out of range"),
        ("u32_", -1, ValueError, "out of range"),
        ("ints", "abc", TypeError, "expected list, got str"),
        ("ints", [1, "x"], ValueError, "item 1: expected int, got str"),
        ("ints", [2**31], ValueError, "does not fit i32"),
        ("strings", ["a", 1], ValueError, "expected str, got int"),
    ],
)
async def test_bad_values(
    ts: Any, function: str, value: object, error: type[Exception], message: str
) -> None:
    """A value of the wrong type or range is refused and named."""
    with pytest.raises((TypeError, ValueError), match=message):
        await ts.call(function, value)


async def test_any_text(ts: Any) -> None:
    """Text of any code points round-trips through a kept instance."""
    chance = random.Random(7)
    async with ts.instance() as live:
        for _ in range(200):
            points = [
                chance.choice((chance.randrange(0xD800), chance.randrange(0xE000, 0x110000)))
                for _ in range(40)
            ]
            value = "".join(map(chr, points))
            assert await live.call("text", value) == value


async def test_kept_instances_reclaim_their_memory(ts: Any) -> None:
    """Thousands of calls with strings do not make a kept instance grow without end."""
    async with ts.instance() as live:
        for _ in range(50):
            await live.call("upper", "x" * 1000)
        size = live.memory.size
        for _ in range(1500):
            await live.call("upper", "x" * 1000)
        assert live.memory.size <= size + 4 * 65536
        assert await live.call("add", "abc") + await live.call("add", "de") == 3 + 5


async def test_results_are_bounded(ts: Any) -> None:
    """A result larger than the output limit is refused."""
    assert len(await ts.call("big", 1000)) == 1000
    with pytest.raises(OutputExceeded, match="output limit"):
        await ts.call("big", 1000, limits=Limits(output=1000))


async def test_memory_exceeded(ts: Any) -> None:
    """A guest that allocates without end is MemoryExceeded."""
    with pytest.raises(MemoryExceeded):
        await ts.call("hog", limits=Limits(memory="16MiB"))


async def test_throw(ts: Any) -> None:
    """A thrown error carries its message and the place in the source."""
    with pytest.raises(Trap, match=r"bad thing \(.*values\.ts:25:") as caught:
        await ts.call("thrown", "thing")
    assert caught.value.code == "abort"
    assert any("thrown" in frame.function for frame in caught.value.frames)


async def test_traps_name_the_line(ts: Any) -> None:
    """A trap says where in the user's source it was, for failures inside the library, too."""
    with pytest.raises(Trap, match=r"divided an integer by zero in values/ratio \(values\.ts:32\)") as caught:
        await ts.call("ratio", 1, 0)
    assert (caught.value.frames[0].file, caught.value.frames[0].line) == ("values.ts", 32)
    with pytest.raises(Trap, match=r"Index out of range .*, at values\.ts:30") as caught:
        await ts.call("item", 9)
    assert [(f.file, f.line) for f in caught.value.frames if f.file] == [("values.ts", 30)]


async def test_forged_lines_are_harmless(runtime: Runtime, wasm: bytes) -> None:
    """A section that lies about lines, or is nonsense, changes the message and nothing else."""
    bare = stripping.without(wasm, lines.SECTION.__eq__)
    for content in (
        b"",
        b"{}",
        b"[" * 10_000,
        lines.encode(["x"], [0, 5, -9]),
        lines.encode([], [1, 1, 1, 2]),
    ):
        module = await runtime.load(binary.add_custom_section(bare, lines.SECTION, content))
        with pytest.raises(Trap, match=r"divided an integer by zero in values/ratio$"):
            await module.call("ratio", 1, 0)
        module.close()


async def test_logs(ts: Any) -> None:
    """What a guest logs is in the outcome, by level."""
    outcome = await ts.run("logged", "hey")
    assert [(e.level, e.message) for e in outcome.logs] == [
        ("info", "hey"), ("error", "hey"), ("debug", "hey"), ("debug", "t 1 2.5"),
    ]  # fmt: skip


async def test_environment_variables(ts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is denied with the grant to add, unless it is granted; one that is not set is none."""
    monkeypatch.setenv("HOME", "/home/ada")
    with pytest.raises(PermissionDenied, match=r'env to "HOME" \(grant it with --allow-env=HOME\)') as caught:
        await ts.call("home")
    assert caught.value.outcome is not None
    granted = await ts.runtime.load(ts.wasm, permissions=Permissions(env=["HOME"]))
    assert await granted.call("home") == "/home/ada"
    with pytest.raises(PermissionDenied):
        await granted.call("home", permissions=Permissions())
    monkeypatch.delenv("HOME")
    fresh = await ts.runtime.load(ts.wasm, permissions=Permissions(env=["HOME"]))
    assert await fresh.call("home") == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"abi": "klingon"}, "unknown ABI"),
        ({"exports": {"nope": signature.Function("nope")}}, "does not export"),
        ({"exports": {"text": signature.Function("text")}}, "does not fit"),
        (
            {
                "exports": {
                    "text": signature.Function("text", (signature.Value("f64"),), (signature.Value("str"),))
                }
            },
            "fit",
        ),
    ],
)
async def test_forged_signatures_are_refused(ts: Any, change: dict[str, Any], message: str) -> None:
    """A signature that contradicts the module is refused when it is loaded."""
    forged = replace(ts._ready.signature, **change)
    wasm = binary.add_custom_section(_without_signature(ts.wasm), signature.SECTION, signature.encode(forged))
    with pytest.raises(InvalidModule, match=message):
        await ts.runtime.load(wasm)


async def test_a_lying_layout_only_hurts_its_guest(ts: Any) -> None:
    """A layout that says a number is a string reads the guest's own memory, or is out of bounds."""
    lie = signature.Value("str", "n", {"kind": "string", "id": 2})
    forged = signature.Signature(
        "assemblyscript",
        "typescript",
        {"u32_": signature.Function("u32_", (signature.Value("u32"),), (lie,))},
    )
    wasm = binary.add_custom_section(_without_signature(ts.wasm), signature.SECTION, signature.encode(forged))
    module = await ts.runtime.load(wasm)
    for pointer in (0, 3, 2**32 - 1, 65536 * 100):
        with pytest.raises(Exception, match=r"outside the guest's memory|output limit"):
            await module.call("u32_", pointer)


def _without_signature(wasm: bytes) -> bytes:
    """Return the module without its last section, which is the signature."""
    info = binary.parse(wasm)
    start, end = info.custom[signature.SECTION]
    assert end == len(wasm)
    label = signature.SECTION.encode()
    head = start - len(label) - 1
    size = len(label) + 1 + end - start
    return wasm[: head - len(binary.leb(size)) - 1]
