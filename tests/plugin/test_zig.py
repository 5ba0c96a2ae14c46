"""Zig: compiled by the real compiler, and called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from echelon.errors import CompileError, Trap
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.compilers.c import zig_lines
from echelon.plugin.generator import Generator
from echelon.runtime import binary, stripping
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

ZIG = r"""
const echelon = @import("echelon");
comptime {
    echelon.exports("greet(who: str) -> str", greet);
    echelon.exports("sum(numbers: list<i64>) -> i64", sum);
    echelon.exports("first(text: option<str>) -> option<str>", first);
    echelon.exports("pick(index: u32) -> u32", pick);
    echelon.exports("refuse()", refuse);
}
fn greet(who: []const u8) []const u8 {
    return echelon.format("Hello, {s}!", .{who});
}
fn sum(numbers: []const i64) i64 {
    var total: i64 = 0;
    for (numbers) |number| total += number;
    return total;
}
fn first(text: ?[]const u8) ?[]const u8 {
    return (text orelse return null)[0..1];
}
fn pick(index: u32) u32 {
    const values = [_]u32{ 1, 2, 3 };
    return values[index];
}
fn refuse() void {
    echelon.fail("no {s} today", .{"bread"});
}
"""

KIT = r"""
const std = @import("std");
const echelon = @import("echelon");
comptime {
    echelon.exports("three(a: list<str>, b: bool) -> str, u8, f64", three);
    echelon.exports("shown(numbers: list<option<i8>>) -> list<option<str>>", shown);
    echelon.exports("turned(rows: list<list<bool>>) -> list<list<bool>>", turned);
    echelon.exports("some(data: bytes) -> i64, option<f32>", some);
    echelon.exports("area(shape: json) -> f64", area);
    echelon.exports("grown(shape: json, by: f64) -> json", grown);
    echelon.exports("many(a: u8, b: i16, c: option<bool>, d: str, e: option<i64>, f: f32, " ++
        "g: list<u16>, h: i32, i: u32, j: u64, k: bool, l: f64) -> str", many);
    echelon.exports("enter(door: str) -> bool", enter);
    echelon.exports("told(text: str)", told);
    echelon.exports("pages() -> u32", pages);
}
fn three(a: []const []const u8, b: bool) struct { []const u8, u8, f64 } {
    return .{ a[0], @intFromBool(b), 1.5 };
}
fn shown(numbers: []const ?i8) ![]const ?[]const u8 {
    const made = try echelon.arena.alloc(?[]const u8, numbers.len);
    for (made, numbers) |*into, number| into.* = if (number) |n| echelon.format("{}", .{n}) else null;
    return made;
}
fn turned(rows: []const []bool) []const []const bool {
    for (rows) |row| for (row) |*one| {
        one.* = !one.*;
    };
    return rows;
}
fn some(data: []const u8) struct { size: i64, first: ?f32 } {
    return .{ .size = @intCast(data.len), .first = if (data.len > 0) 0.5 else null };
}
const Shape = struct { name: []const u8, sides: []const f64 };
fn area(shape: Shape) f64 {
    var product: f64 = 1;
    for (shape.sides) |side| product *= side;
    return product;
}
fn grown(shape: Shape, by: f64) !Shape {
    const sides = try echelon.arena.dupe(f64, shape.sides);
    for (sides) |*side| side.* *= by;
    return .{ .name = echelon.format("{s}!", .{shape.name}), .sides = sides };
}
fn many(
    a: u8, b: i16, c: ?bool, d: []const u8, e: ?i64, f: f32,
    g: []const u16, h: i32, i: u32, j: u64, k: bool, l: f64,
) []const u8 {
    return echelon.format("{} {} {?} {s} {?} {} {any} {} {} {} {} {}", .{ a, b, c, d, e, f, g, h, i, j, k, l });
}
fn enter(door: []const u8) error{Locked}!bool {
    if (std.mem.eql(u8, door, "cellar")) return error.Locked;
    return true;
}
fn told(text: []const u8) void {
    echelon.log.warning("{s}", .{text});
    std.log.err("{s}", .{text});
    std.log.scoped(.shop).debug("{s}", .{text});
}
fn pages() u32 {
    return @intCast(@wasmMemorySize(0));
}
"""

EXPORTING = """const echelon = @import("echelon");
comptime {
    echelon.exports(%s);
}
fn f(a: []const u8) []const u8 {
    return a;
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(c_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator, with an empty store."""
    async with Generator(c.make(c_home), tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime() -> AsyncIterator[Runtime]:
    async with Runtime() as running:
        yield running


@pytest.mark.parametrize("optimize", ["none", "speed", "size"])
async def test_zig_takes_and_gives(generator: Generator, runtime: Runtime, optimize: str) -> None:
    """Slices are text and lists, options are options, and a safe program says how it failed."""
    made = await generator.compile(ZIG, language="zig", optimize=optimize)  # type: ignore[arg-type]  # one of three
    guest = await runtime.load(made.wasm)
    assert await guest.call("greet", "Zoë 🦊") == "Hello, Zoë 🦊!"
    assert await guest.call("sum", [1, -2, 1 << 40]) == (1 << 40) - 1
    assert await guest.call("first", "abc") == "a"
    assert await guest.call("first", None) is None
    assert await guest.call("pick", 1) == 2
    with pytest.raises(Trap, match="no bread today"):
        await guest.call("refuse")
    if optimize != "size":
        with pytest.raises(Trap, match="index out of bounds: index 9, len 3"):
            await guest.call("pick", 9)


@pytest.mark.parametrize("optimize", ["none", "speed"])
async def test_a_panic_has_its_line(generator: Generator, runtime: Runtime, optimize: str) -> None:
    """The frames of a trap have files and lines of the source, of the kit and of the library."""
    files = {
        "shop/main.zig": """const echelon = @import("echelon");
const till = @import("till.zig");
comptime {
    echelon.exports("share(cents: u32, people: u32) -> u32", share);
    echelon.exports("refuse()", refuse);
}
fn share(cents: u32, people: u32) u32 {
    return @call(.never_inline, till.divided, .{ cents, people });
}
fn refuse() void {
    echelon.fail("no {s} today", .{"bread"});
}
""",
        "shop/till.zig": """pub fn divided(cents: u32, people: u32) u32 {
    // nobody is not some people
    return cents / people;
}
""",
    }
    made = await generator.compile(files, optimize=optimize)  # type: ignore[arg-type]  # one of two
    guest = await runtime.load(made.wasm)
    assert await guest.call("share", 9, 3) == 3
    with pytest.raises(Trap, match="division by zero") as caught:
        await guest.call("share", 9, 0)
    places = [(frame.file, frame.line) for frame in caught.value.frames]
    assert places.index(("shop/till.zig", 3)) < places.index(("shop/main.zig", 8))
    assert places[0][0] == "echelon/host.zig"
    with pytest.raises(Trap, match="no bread today") as caught:
        await guest.call("refuse")
    assert ("shop/main.zig", 11) in [(frame.file, frame.line) for frame in caught.value.frames]


async def test_every_type_of_a_signature(generator: Generator, runtime: Runtime) -> None:
    """Lists, options and several results nest, JSON becomes a struct, and twelve parameters are possible."""
    guest = await runtime.load((await generator.compile({"kit.zig": KIT})).wasm)
    assert await guest.call("three", ["größer"], True) == ("größer", 1, 1.5)
    assert await guest.call("shown", [1, None, -3]) == ["1", None, "-3"]
    assert await guest.call("turned", [[True, False], []]) == [[False, True], []]
    assert (await guest.call("some", b"abc"), await guest.call("some", b"")) == ((3, 0.5), (0, None))
    shape = {"name": 'ü"', "sides": [2, 3.5]}
    assert await guest.call("area", shape) == 7
    assert await guest.call("grown", shape, 2) == {"name": 'ü"!', "sides": [4, 7]}
    given = (255, -3, None, "🦊", 1 << 40, 0.5, [1, 2], -7, 1 << 31, 1 << 63, True, 2.5)
    assert (
        await guest.call("many", *given)
        == "255 -3 null 🦊 1099511627776 0.5 { 1, 2 } -7 2147483648 9223372036854775808 true 2.5"
    )


async def test_errors_end_the_call(generator: Generator, runtime: Runtime) -> None:
    """The name of an error that nobody catches is what the caller reads, and JSON of another shape is one."""
    guest = await runtime.load((await generator.compile({"kit.zig": KIT})).wasm)
    assert await guest.call("enter", "shop") is True
    with pytest.raises(Trap, match=r"the guest aborted: error\.Locked"):
        await guest.call("enter", "cellar")
    with pytest.raises(Trap, match=r"the JSON is no kit\.Shape: error\.UnexpectedToken"):
        await guest.call("area", [])


async def test_the_log_of_the_library_is_the_outcome_s(generator: Generator, runtime: Runtime) -> None:
    """`std.log` and the kit's write to the same place."""
    guest = await runtime.load((await generator.compile({"kit.zig": KIT})).wasm)
    logs = (await guest.run("told", "größer 🦊")).logs
    assert [(entry.level, entry.message) for entry in logs] == [
        ("warning", "größer 🦊"),
        ("error", "größer 🦊"),
        ("debug", "(shop) größer 🦊"),
    ]


async def test_an_instance_that_stays_does_not_grow(generator: Generator, runtime: Runtime) -> None:
    """Arguments and results of a call make room for those of the next."""
    guest = await runtime.load((await generator.compile({"kit.zig": KIT})).wasm)
    async with guest.instance() as kept:
        pages = []
        for _ in range(10):
            for _ in range(20):
                await kept.call("three", ["x" * 100_000] * 3, True)
            pages.append(await kept.call("pages"))
        assert pages[-1] == pages[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"f(a: list<i32>) -> str", f', "says otherwise of parameter 1 than its function"),
        ('"f(a: option<str>) -> str", f', "says otherwise of parameter 1 than its function"),
        ('"f(a: str) -> i32", f', "says otherwise of the result than its function"),
        ('"f(a: str)", f', "has no result, and its function returns []const u8"),
        ('"f(a: str) -> str, str", f', "has several results; return a tuple or a struct"),
        ('"f(a: string) -> str", f', 'has the type "string", which is none'),
        ('"f(a: str, b: u8) -> str", f', "has another number of parameters than its function"),
        ('"f(a: str -> str", f', "has no bracket at its end"),
        ('"f(a: str) -> str", 3', "belongs to no function"),
    ],
)
async def test_a_signature_that_is_not_its_function_s(
    generator: Generator, arguments: str, message: str
) -> None:
    """It is an error of the compiler where the function is exported."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"a.zig": EXPORTING % arguments})
    (found,) = caught.value.diagnostics
    assert (found.file, found.line, found.column) == ("a.zig", 3, 20)
    assert message in found.message


async def test_several_files(generator: Generator, runtime: Runtime, tmp_path: Path) -> None:
    """A source imports others of its folder, and embeds files; one given as a path brings them."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "main.zig").write_text(
        'const echelon = @import("echelon");\nconst two = @import("lib/two.zig");\n'
        'comptime {\n    echelon.exports("four() -> i32", four);\n}\nfn four() i32 {\n    return 2 * two.two();\n}\n'
    )
    (tmp_path / "lib" / "two.zig").write_text(
        'pub fn two() i32 {\n    return @embedFile("two.txt").len;\n}\n'
    )
    (tmp_path / "lib" / "two.txt").write_text("ab")
    guest = await runtime.load((await generator.compile(tmp_path / "main.zig")).wasm)
    assert await guest.call("four") == 4


async def test_diagnostics(generator: Generator) -> None:
    """Each error has file, line and column."""
    source = "export fn f() i32 {\n    return x;\n}\nexport fn g() i32 {\n    return y;\n}"
    with pytest.raises(CompileError) as caught:
        await generator.compile({"a.zig": source})
    found = caught.value.diagnostics
    assert [(item.file, item.line, item.column) for item in found] == [("a.zig", 2, 12), ("a.zig", 5, 12)]


@pytest.mark.parametrize(("names", "debug"), [(True, False), (True, True), (False, False)])
async def test_the_same_source_gives_the_same_bytes(
    generator: Generator, c_home: Path, tmp_path: Path, names: bool, debug: bool
) -> None:
    """Nothing of the working folder, and no date, is in a module; what debuggers read is there when it is asked for."""
    first = await generator.compile(ZIG, language="zig", names=names, debug=debug)
    async with Generator(c.make(c_home), tmp_path / "other") as other:
        second = await other.compile(ZIG, language="zig", names=names, debug=debug)
    assert first.digest == second.digest
    assert (b".debug_info" in first.wasm, b".debug_line" in first.wasm) == (debug, names)
    if not debug:
        assert b"echelon-compile-" not in first.wasm
        assert str(c_home).encode() not in first.wasm


async def test_a_line_table_that_lies_is_left_out(generator: Generator) -> None:
    """Whatever a table says, the module stays, with a table that can be read or with none."""
    made = await generator.compile(ZIG, language="zig")
    info = binary.parse(made.wasm)
    table = binary.custom_section(made.wasm, info, ".debug_line")
    assert table is not None
    code = stripping.without(made.wasm, lambda name: name == ".debug_line")
    random = Random(7)
    kept = 0
    for _ in range(300):
        lie = bytearray(table[: random.choice([len(table), random.randrange(1, len(table))])])
        for _ in range(random.randrange(1, 5)):
            lie[random.randrange(min(len(lie), 2000))] = random.randrange(256)
        found = zig_lines.portable(
            binary.add_custom_section(code, ".debug_line", bytes(lie)),
            Path("/nowhere"),
            str.upper,
            debug=False,
        )
        kept += found != code
        assert found.startswith(code)
    assert 0 < kept < 300
    whole = zig_lines.portable(made.wasm, Path("/nowhere"), lambda path: path, debug=False)
    assert binary.custom_section(whole, binary.parse(whole), ".debug_line") == table
