"""Guests of the `linear` ABI that lie: in their signatures, as allocators, and in what they return."""

from __future__ import annotations

import pytest
from hostile_stage import TIGHT, Case, Stage, signed, table, wat

from echelon.errors import (
    DeadlineExceeded,
    GuestError,
    InvalidModule,
    MemoryExceeded,
    OutputExceeded,
    Trap,
)
from echelon.runtime import binary, declarations
from echelon.runtime.memory import OutOfBounds

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY = '(memory (export "memory") 1)'
TAKES = "(param i32 i32)"


def allocates(body: str, type_: str = "(param i32) (result i32)") -> str:
    """Return a module that takes a text, whose allocator does this."""
    return f"""(module {MEMORY} (func (export "echelon_alloc") {type_} {body})
      (func (export "f(text: str) -> str") {TAKES} (result i64)
        (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))))"""


def gives(kind: str, content: bytes, pointer: int, length: int | None) -> str:
    """Return a module whose `f` returns this place of a memory that begins with `content`; an area has no length."""
    data = "".join(f"\\{byte:02x}" for byte in content)
    body = f"(result i32) (i32.const {pointer})"
    if length is not None:
        body = f"(result i64) (i64.const {(pointer << 32 | length) - (1 << 64 if pointer >> 31 else 0)})"
    return f'(module {MEMORY} (data (i32.const 0) "{data}") (func (export "f() -> {kind}") {body}))'


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def named(*names: str, type_: str = "") -> bytes:
    """Return a module that exports one function under these names."""
    exports = "".join(f'(export "n{number}" (func $f))' for number in range(len(names)))
    renamed = {f"n{number}": name for number, name in enumerate(names)}
    return binary.rename_exports(wat(f"(module (func $f {type_}) {exports})"), renamed)


def lines(content: bytes) -> bytes:
    """Return a module with this content of `echelon:exports`."""
    return binary.add_custom_section(wat('(module (func (export "f")))'), declarations.SECTION, content)


def claims(*params: str, results: tuple[str, ...] = (), abi: str = "linear") -> bytes:
    """Return a module whose section claims these types for a function of two numbers."""
    function = {
        "name": "f",
        "params": [{"type": kind} for kind in params],
        "results": [{"type": kind} for kind in results],
    }
    return signed(f'(module {MEMORY} (func (export "f") {TAKES}))', function, abi=abi)


DECLARED = (
    Case("an unknown type", lambda: named("f(a: text)", type_=TAKES), InvalidModule, 'the type "text" cannot cross'),
    Case("a bracket alone", lambda: named("f("), InvalidModule, "is no signature"),
    Case("no name", lambda: named("(i32)"), InvalidModule, "is no signature"),
    Case("a result of nothing", lambda: named("f() -> "), InvalidModule, "is no signature"),
    Case("two arrows", lambda: named("f() -> i32 -> i32"), InvalidModule, "neither a type nor"),
    Case("brackets in brackets", lambda: named("f((i32))"), InvalidModule, "is no signature"),
    Case("an empty parameter", lambda: named("f(i32,,i32)"), InvalidModule, "neither a type nor"),
    Case("two names for one type", lambda: named("f(a b i32)"), InvalidModule, "neither a type nor"),
    Case("two signatures", lambda: named("f()", "f( )"), InvalidModule, "two functions, or two signatures"),
    Case("a signature and an export", lambda: named("f()", "f"), InvalidModule, "two functions, or two signatures"),
    Case("a wider type", lambda: named("f(a: i64)", type_="(param i32)"), InvalidModule, "does not fit"),
    Case("more parameters", lambda: named("f(a: i32, b: i32)", type_="(param i32)"), InvalidModule, "does not fit"),
    Case("lists without end", lambda: named("f(a: " + "list<" * 700 + ")", type_=TAKES), InvalidModule,
         "'a: (list<)+li' is neither a type nor a name and a type"),
    Case("lists too deep", lambda: named("f(a: " + "list<" * 600 + "i32" + ">" * 600 + ")", type_=TAKES), InvalidModule,
         "cannot cross"),
    Case("5 MB of signatures", lambda: named(*(f"f{n}({'i32,' * 900}i32)" for n in range(1400))), InvalidModule,
         "at most 1048576 are read"),
    Case("a line for what is not exported", lambda: lines(b"g()"), InvalidModule, "does not export"),
    Case("a line twice", lambda: lines(b"f()\nf()\n"), InvalidModule, "two functions, or two signatures"),
    Case("lines that are not UTF-8", lambda: lines(b"f()\xff"), InvalidModule, "is not UTF-8"),
    Case("a megabyte of spaces", lambda: lines(b"f(" + b" " * 1_000_000 + b"x)"), InvalidModule, "at most 4096"),
    Case("a megabyte and one byte", lambda: lines(b" " * (1 << 20 | 1)), InvalidModule, "at most"),
    Case("a line of commas", lambda: lines(b"f(" + b"," * 4000 + b")"), InvalidModule, "neither a type nor"),
    Case("1000 parameters", lambda: lines(b"f(" + b"i32," * 1000 + b"i32)"), InvalidModule, "does not fit"),
    Case("60 000 parameters", lambda: claims(*["str"] * 60_000), InvalidModule, "does not fit"),
    Case("70 parameters", lambda: named(f"f({'str,' * 69}str)", type_=f"(param {'i32 ' * 140})"), InvalidModule,
         "exports no memory"),
    Case("a section with a text", lambda: claims("str"), InvalidModule, "does not export echelon_alloc"),
    Case("a section of the wrong ABI", lambda: claims("str", abi="core"), InvalidModule, "does not fit"),
    Case("a section with a vector", lambda: claims("v128"), InvalidModule, "cannot cross"),
    Case("a section with an option of an option", lambda: claims("option<option<i32>>"), InvalidModule, "cannot cross"),
    Case("a section with too few results", lambda: claims("i32", "i32", results=("str",)), InvalidModule,
         "does not fit"),
)  # fmt: skip

ALLOCATORS = (
    Case("no room", allocates("(i32.const 0)"), MemoryExceeded, "more memory than its limit", args=("x",)),
    Case("a crooked place", allocates("(i32.const 12)"), GuestError, "12, which is not a multiple of 8", args=("x",)),
    Case("the last byte", allocates("(i32.const 65528)"), OutOfBounds, args=("x" * 9,)),
    Case("behind the end", allocates("(i32.const 65536)"), OutOfBounds, args=("x",)),
    Case("the end of all memory", allocates("(i32.const -8)"), OutOfBounds, args=("x" * 9,)),
    Case("just inside", allocates("(i32.const 65528)"), None, args=("x" * 8,)),
    Case("without end", allocates("(loop br 0) unreachable"), DeadlineExceeded, args=("x",)),
    Case("a trap", allocates("unreachable"), Trap, code="unreachable", args=("x",)),
    Case("more and more",
         allocates("(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"),
         MemoryExceeded, args=("x",)),
    Case("too deep", allocates("(call 0 (local.get 0))"), Trap, code="stack-overflow", args=("x",)),
    Case("of 64 bits", allocates("(i64.const 8)", "(param i64) (result i64)"), InvalidModule, "does not export",
         args=("x",)),
    Case("with two parameters", allocates("(local.get 1)", "(param i32 i32) (result i32)"), InvalidModule,
         "does not export", args=("x",)),
    Case("with many results", allocates("(i32.const 8) (i32.const 8)", "(param i32) (result i32 i32)"), InvalidModule,
         "does not export", args=("x",)),
    Case("arguments beyond the limit", allocates("(i32.const 8)"), MemoryExceeded, "the arguments have",
         args=("x" * (17 << 20),)),
)  # fmt: skip

RESULTS = (
    Case("a text behind the memory", gives("str", b"", 65_536, 1), OutOfBounds),
    Case("a text at the end of all memory", gives("str", b"", 0xFFFF_FFFF, 1), OutOfBounds),
    Case("a text that wraps around", gives("str", b"", 0xFFFF_FFF0, 0x20), OutOfBounds),
    Case("a text of 4 GiB", gives("str", b"", 0, 0xFFFF_FFFF), OutputExceeded),
    Case("a text beyond the limit", gives("str", b"", 0, 65_537), OutputExceeded),
    Case("a text of nothing, nowhere", gives("str", b"", 0xFFFF_FFFF, 0), OutOfBounds),
    Case("half a character", gives("str", b"\xe2\x82", 0, 2), GuestError, "not UTF-8"),
    Case("a surrogate", gives("str", b"\xed\xa0\x80", 0, 3), GuestError, "not UTF-8"),
    Case("bytes behind the memory", gives("bytes", b"", 65_535, 2), OutOfBounds),
    Case("no JSON", gives("json", b"", 0, 0), GuestError, "what is not JSON"),
    Case("JSON of zeros", gives("json", b"", 0, 100), GuestError, "what is not JSON"),
    Case("JSON with more behind it", gives("json", b"{}{}", 0, 4), GuestError, "what is not JSON"),
    Case("JSON that is not UTF-8", gives("json", b'"\xff"', 0, 3), GuestError, "what is not JSON"),
    Case("half a pair in JSON", gives("json", rb'"\ud800"', 0, 8), GuestError, "what is not JSON"),
    Case("a number that is none", gives("json", b"NaN", 0, 3), GuestError, "what is not JSON"),
    Case("a number without end", gives("json", b"1" * 5000, 0, 5000), GuestError, "what is not JSON"),
    Case("deep JSON", gives("json", b"[" * 101 + b"]" * 101, 0, 202), GuestError, "more than 100 levels"),
    Case("JSON beyond all depth", gives("json", b"[" * 30_000, 0, 30_000), GuestError, "what is not JSON"),
    Case("deep and wide JSON", gives("json", b"[" * 99 + b"[]," * 9000 + b"[[[]]]" + b"]" * 99, 0, 27_204), GuestError,
         "more than 100 levels"),
    *(Case(f"4 Gi items of {kind}", gives(f"list<{kind}>", b"", 0, 0xFFFF_FFFF), OutputExceeded)
      for kind in ("u8", "bool", "f64", "str", "option<i16>", "list<i64>", "option<str>")),
    Case("items that wrap around", gives("list<f64>", b"", 0xFFFF_FFF8, 4), OutOfBounds),
    Case("texts out of range", gives("list<str>", words(65_000, 600), 0, 1), OutOfBounds),
    Case("a list in itself", gives("list<list<list<list<list<list<list<str>>>>>>>", words(0, 8) * 8, 0, 8),
         OutputExceeded),
    Case("one text ten thousand times", gives("list<str>", words(0, 4096) * 5000, 0, 5000), OutputExceeded),
    Case("any byte is a bool", gives("list<bool>", b"\0\1\2\xff", 0, 4), None),
    Case("an area behind the memory", gives("i32, i32", b"", 65_533, None), OutOfBounds),
    Case("an area at the end of all memory", gives("option<f64>", b"", -1, None), OutOfBounds),
    Case("an area of which half is inside", gives("i64, i64", b"", 65_528, None), OutOfBounds),
    Case("a text of an area", gives("i32, str", words(0, 70_000, 9), 0, None), OutOfBounds),
    Case("an area of large contents", gives("bytes, bytes", words(0, 40_000, 0, 40_000), 0, None), OutputExceeded),
)  # fmt: skip


@table(DECLARED)
async def test_declared_signatures(stage: Stage, case: Case) -> None:
    """A signature that is malformed, unbounded or another than the module's is refused when the module is loaded."""
    await stage.play(case)


@table(ALLOCATORS)
async def test_allocators(stage: Stage, case: Case) -> None:
    """An allocator that lies, refuses or never answers ends its own call."""
    await stage.play(case)


@table(RESULTS)
async def test_results(stage: Stage, case: Case) -> None:
    """A place or content that lies is an error of this guest; nothing passes the output limit."""
    await stage.play(case)


@pytest.mark.parametrize("kept", [False, True])
async def test_many_values(stage: Stage, kept: bool) -> None:
    """More arguments than a call holds are refused; as many as it holds arrive."""
    for count, error in ((32, None), (33, TypeError)):
        text = f"""(module {MEMORY} (func (export "echelon_alloc") (param i32) (result i32) (i32.const 8))
          (func (export "f({"str," * (count - 1)}str) -> u32") (param {"i32 " * 2 * count}) (result i32)
            (local.get {2 * count - 1})))"""
        case = Case("many", text, error, args=tuple("x" * n for n in range(count)), kept=kept)
        await stage.play(case)


async def test_an_instance_that_failed_is_dropped(stage: Stage) -> None:
    """A kept instance whose allocator or result lied is not used again; a caller's mistake does not end it."""
    module = await stage.runtime.load(wat(allocates("(i32.const 12)")), limits=TIGHT)
    async with stage.guarded(), module.instance() as live:
        with pytest.raises(TypeError):
            await live.call("f", 7)
        with pytest.raises(GuestError, match="multiple of 8"):
            await live.call("f", "x")
        with pytest.raises(GuestError, match="dropped"):
            await live.call("f", "x")
    module.close()


async def test_a_block_is_not_larger_than_it_says(stage: Stage) -> None:
    """A text is written where the allocator said, and nothing beside it."""
    text = f"""(module {MEMORY} (func (export "echelon_alloc") (param i32) (result i32) (i32.const 64))
      (func (export "f(a: str, b: list<u8>) -> bytes") (param i32 i32 i32 i32) (result i64)
        (i64.const {56 << 32 | 32})))"""
    module = await stage.runtime.load(wat(text))
    async with stage.guarded():
        assert await module.call("f", "abc", [1, 2]) == bytes(8) + b"abc\1\2" + bytes(19)
    module.close()


@pytest.mark.parametrize(
    "line",
    ["f(" + " " * 4000 + "x", "f" * 4000, "f(" + "a:" * 2000 + ")", "f" + " " * 4000 + "(", "f()" + " " * 4000 + "-",
     "f(a" + " " * 4000 + "b)", "f(" * 2000, "f(a," + " ," * 1900 + ")"],
    ids=range(8),
)  # fmt: skip
async def test_reading_signatures_takes_linear_time(line: str) -> None:
    """Spaces, brackets and commas in any number are refused; nothing is tried over and over."""
    for _ in range(200):
        with pytest.raises(ValueError, match=r"is no signature|neither a type nor"):
            declarations.parse(line)
