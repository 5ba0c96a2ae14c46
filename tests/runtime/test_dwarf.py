"""Lines of C and C++ in traps: real modules of a real compiler, and line tables that no compiler would write."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from dwarf_kit import (
    CONST_ADD_PC,
    COPY,
    END,
    NO_FILES,
    OPERANDS,
    at,
    file,
    files_4,
    files_5,
    line,
    on,
    row,
    unit,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.errors import Trap
from echelon.runtime import binary, dwarf, lines, stripping
from echelon.runtime.component import layout
from echelon.runtime.core import Runtime
from echelon.runtime.dwarf import LineTables

Clang = Callable[..., bytes]

SOURCES = {
    "main.c": """#include "lib/steps.h"
#define INLINE __attribute__((noinline))

INLINE static int divide(int a, int b) {
  return a / b;
}

INLINE int middle(int n) {
  int x = helper(n);
  return divide(x,
    n) + 1;
}

__attribute__((export_name("run"))) int run(int n) {
  return middle(n) * 2;
}
""",
    "lib/steps.h": """static volatile int last;
__attribute__((noinline)) static int helper(int n) {
  if ((last = n) == 77) {
    last = 0;
    __builtin_trap();
  }
  return n * 3;
}
""",
}
CPP = {
    "cart.cpp": """namespace shop {
template <class T> struct Cart {
  T total;
  __attribute__((noinline)) T share(int people) const {
    return total / people;
  }
};
namespace { struct Order { virtual int price(int n) { return Cart<int>{n}.share(n); } }; }
template <class... Ts> int sum(Ts... values) {
  Order order;
  return (order.price(values) + ... + 0);
}
}
extern "C" __attribute__((export_name("run"))) int run(int n) {
  auto both = [n](int more) { return shop::sum(n, n + more); };
  return both(1);
}
"""
}


@pytest.fixture(scope="session", params=["-gdwarf-4", "-gdwarf-5"])
def module(request: pytest.FixtureRequest, clang: Clang) -> bytes:
    """The C program."""
    return clang(SOURCES, request.param, "-O1")


def where(trap: Trap) -> list[tuple[str, str | None, int | None]]:
    return [(frame.function, frame.file, frame.line) for frame in trap.frames]


async def trapped(runtime: Runtime, wasm: bytes, argument: int) -> Trap:
    loaded = await runtime.load(wasm)
    with pytest.raises(Trap) as caught:
        await loaded.call("run", argument)
    return caught.value


# Real modules -------------------------------------------------------------------------------------------


async def test_lines_of_c(runtime: Runtime, module: bytes) -> None:
    """A trap says the line of every function on the stack, and its message that of the innermost."""
    trap = await trapped(runtime, module, 0)
    assert where(trap) == [("divide", "main.c", 5), ("middle", "main.c", 10), ("run", "main.c", 15)]
    assert str(trap) == "the guest divided an integer by zero in divide (main.c:5)"


async def test_lines_of_included_files(runtime: Runtime, module: bytes) -> None:
    """Code of an included file is said to be there, by its path as it was included."""
    trap = await trapped(runtime, module, 77)
    assert trap.code == "unreachable"
    assert where(trap) == [("helper", "lib/steps.h", 5), ("middle", "main.c", 9), ("run", "main.c", 15)]


@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-Os", "-gdwarf-5"), ("-O1", "-gdwarf-2"),
                                     ("-O1", "-gdwarf-3"), ("-O1", "-gline-tables-only")])  # fmt: skip
async def test_other_options(runtime: Runtime, clang: Clang, options: tuple[str, ...]) -> None:
    """Neither optimisation nor less debug information changes that."""
    trap = await trapped(runtime, clang(SOURCES, *options), 0)
    assert where(trap) == [("divide", "main.c", 5), ("middle", "main.c", 10), ("run", "main.c", 15)]


async def test_no_debug_information(runtime: Runtime, clang: Clang) -> None:
    """Without debug information there are names and no lines."""
    trap = await trapped(runtime, clang(SOURCES, "-g0", "-O1"), 0)
    assert where(trap) == [("divide", None, None), ("middle", None, None), ("run", None, None)]


@pytest.mark.parametrize("version", [4, 5])
async def test_lines_of_cpp(runtime: Runtime, clang: Clang, version: int) -> None:
    """C++ has plain names besides its lines."""
    trap = await trapped(runtime, clang(CPP, f"-gdwarf-{version}", "-O0"), 0)
    assert where(trap) == [
        ("shop::Cart<int>::share(int) const", "cart.cpp", 5),
        ("shop::(anonymous namespace)::Order::price(int)", "cart.cpp", 8),
        ("int shop::sum<int, int>(int, int)", "cart.cpp", 11),
        ("run::$_0::operator()(int) const", "cart.cpp", 15),
        ("run", "cart.cpp", 16),
    ]


async def test_lines_in_components(runtime: Runtime, wat: Callable[[str], bytes], module: bytes) -> None:
    """A module inside of a component has its lines, wherever it lies there."""
    around = wat("""(component
      (core module (func (export "f") unreachable))
      (component (core module (func (export "g") unreachable)))
      (core module $m (func (export "run") (param i32) (result i32) unreachable))
      (core instance $i (instantiate $m))
      (func (export "run") (param "n" s32) (result s32) (canon lift (core func $i "run"))))""")
    start, end = layout.read(around, 9).cores[-1]
    size = binary.leb(end - start)
    assert around[start - len(size) - 1 : start] == b"\x01" + size
    begin = start - len(size)
    loaded = await runtime.load(around[:begin] + binary.leb(len(module)) + module + around[end:])
    with pytest.raises(Trap, match=r"by zero in divide \(main\.c:5\)$") as caught:
        await loaded.call("run", 0)
    assert where(caught.value) == [("divide", "main.c", 5), ("middle", "main.c", 10), ("run", "main.c", 15)]


async def test_lines_are_found_once(runtime: Runtime, module: bytes) -> None:
    """The second trap at a place costs no search."""
    loaded = await runtime.load(module)
    for _ in range(3):
        with pytest.raises(Trap):
            await loaded.call("run", 0)
    source = loaded._ready.info.source
    assert source is not None
    tables = source._parts[0]._tables
    assert tables is not None
    left = tables._life
    assert left < dwarf.MAX_LIFE
    with pytest.raises(Trap, match=r"main\.c:5"):
        await loaded.call("run", 0)
    assert tables._life == left


def damaged(wasm: bytes, section: str, content: bytes) -> bytes:
    """Return the module with another content of one custom section."""
    return binary.add_custom_section(stripping.without(wasm, section.__eq__), section, content)


@pytest.mark.parametrize(
    "content", [b"", b"\0", bytes(64), b"\xff" * 64, b"\x10\0\0\0\5\0", b"\xff\xff\xff\x7f\4\0"]
)
@pytest.mark.parametrize("section", [".debug_line", ".debug_line_str"])
async def test_damaged_sections(runtime: Runtime, module: bytes, section: str, content: bytes) -> None:
    """A section that makes no sense costs the lines, not the trap."""
    if section not in binary.parse(module).custom:
        return
    trap = await trapped(runtime, damaged(module, section, content), 0)
    assert [frame.function for frame in trap.frames] == ["divide", "middle", "run"]
    assert {frame.line for frame in trap.frames} <= {None, 5, 10, 15}


async def test_section_of_our_own(runtime: Runtime, module: bytes) -> None:
    """Where a compiler wrote Echelon's own section, that one counts."""
    own = lines.encode(["own.ts"], [0, 0, 7])
    trap = await trapped(runtime, binary.add_custom_section(module, lines.SECTION, own), 0)
    assert {(frame.file, frame.line) for frame in trap.frames} == {("own.ts", 7)}


def test_reading_our_own_section_ends() -> None:
    """The section is not read again and again for places that are not known, without end."""
    bare = binary.add_custom_section(binary.MAGIC, lines.SECTION, lines.encode(["a" * lines.MAX_BYTES], []))
    small = binary.add_custom_section(binary.MAGIC, lines.SECTION, lines.encode(["a" * 3_000_000], [0, 0, 7]))
    assert set(lines.Source(bare, binary.parse(bare)).find([20]).values()) == {None}
    source = lines.Source(small, binary.parse(small))
    found = [source.find([20 + number])[20 + number] for number in range(30)]
    assert found[:20] == [("…" + "a" * 255, 7)] * 20
    assert found[25:] == [None] * 5


async def test_paths_are_harmless(runtime: Runtime, wat: Callable[[str], bytes]) -> None:
    """A path can neither steer a terminal nor fill a log."""
    bare = wat('(module (func (export "run") (param i32) (result i32) unreachable))')
    for name, shown in (
        ("\x1b[31m\nx.c", "\ufffd[31m\ufffdx.c"),
        ("a/" * 500 + "x.c", "…" + ("a/" * 500 + "x.c")[-255:]),
    ):
        table = unit(4, files_4([], [(name, 0)]), row(1, 4) + on(90) + END)
        trap = await trapped(runtime, binary.add_custom_section(bare, ".debug_line", table), 0)
        assert (trap.frames[0].file, trap.frames[0].line) == (shown, 5)


# Tables by hand -----------------------------------------------------------------------------------------


def find(table: bytes, *addresses: int, **sections: bytes) -> dict[int, tuple[str, int]]:
    """Look addresses up in a table; other sections come behind it."""
    data, places = table, {dwarf.SECTION: (0, len(table))}
    for name, content in sections.items():
        places[f".debug_{name}"] = (len(data), len(data) + len(content))
        data += content
    return LineTables(data, places).find(addresses)


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_rows(version: int) -> None:
    """A row holds from its address to the next one's; the end of a sequence is the end of the last."""
    tables = files_5([""], [("?", 0), ("a.c", 0), ("b.c", 0)])
    if version < 5:
        tables = files_4([], [("a.c", 0), ("b.c", 0)])
    program = row(10, 4) + on(2) + line(1) + COPY + file(2) + on(3) + line(-3) + COPY + on(4) + END
    found = find(unit(version, tables, program), *range(8, 24))
    assert found == {
        **dict.fromkeys([10, 11], ("a.c", 5)),
        **dict.fromkeys([12, 13, 14], ("a.c", 6)),
        **dict.fromkeys([15, 16, 17, 18], ("b.c", 3)),
    }


FILES = files_4([], [("a.c", 0)])


@pytest.mark.parametrize(
    ("program", "place"),
    [
        (COPY + bytes([13 + 14 * 3 + 5 + 2]) + on(1) + END, 3),  # special: address and line in one
        (COPY + CONST_ADD_PC + line(1) + COPY + on(1) + END, 17),  # as special 255 does
        (COPY + b"\x09\x03\x00" + line(1) + COPY + on(1) + END, 3),  # a fixed number
        (COPY + b"\x02\x83\x00" + line(1) + COPY + on(1) + END, 3),  # a number in more bytes than it takes
        (COPY + at(13) + line(1) + COPY + on(1) + END, 3),  # an address in the middle
        (
            COPY + on(3) + b"\x06\x07\x0a\x0b\x0c\x05\x05\x07" + line(1) + COPY + on(1) + END,
            3,
        ),  # flags, columns
        (COPY + on(3) + b"\x00\x02\x04\x07" + b"\x00\x03\x80aa" + line(1) + COPY + on(1) + END, 3),  # unknown
        (COPY + COPY + on(3) + line(-1) + COPY + line(2) + COPY + on(1) + END, 3),  # two rows at one address
    ],
)
def test_instructions(program: bytes, place: int) -> None:
    """Every instruction moves address and line as the standard says."""
    found = find(unit(4, FILES, at(10) + line(4) + program), 10, 10 + place - 1, 10 + place, 11 + place)
    last = 7 if program[1:2] == bytes([13 + 14 * 3 + 5 + 2]) else 6
    assert found == {10: ("a.c", 5), 10 + place - 1: ("a.c", 5), 10 + place: ("a.c", last)}


def test_few_and_many_instructions() -> None:
    """A table says itself how many instructions it has that are not special, and what they take."""
    program = at(10) + COPY + bytes([4 + 5 + 1 + 14 * 2]) + on(1) + END
    assert find(unit(4, FILES, program, operands=b"\0\1\1"), 10, 12) == {10: ("a.c", 1), 12: ("a.c", 2)}
    program = at(10) + b"\x0e\x81\x01\x05\x0d" + COPY + bytes([15 + 5 + 1]) + on(1) + END
    assert find(unit(4, FILES, program, operands=OPERANDS + b"\0\2"), 10) == {10: ("a.c", 2)}


def test_functions_in_any_order() -> None:
    """The functions of a table, and of several, lie in any order; one that was left out is not there."""
    first = unit(4, FILES, row(50, 4) + on(5) + END + row(20, 7) + on(5) + END + row(0, 1) + on(99) + END)
    other = unit(
        5, files_5([""], [("b.c", 0)]), row(30, 1, 0) + on(5) + END + row(0xFFFF_FFFF, 1) + on(1) + END
    )
    unknown = unit(6, FILES, row(70, 4) + on(5) + END)
    table = first + unknown + other
    assert find(table, 51, 21, 31, 71, 26, 5) == {51: ("a.c", 5), 21: ("a.c", 8), 31: ("b.c", 2)}


def test_what_looks_like_a_function() -> None:
    """Bytes that look like the beginning of a function, in the middle of something else, mislead nobody for long."""
    program = row(20, 4) + b"\x00\x0a\x80" + at(24) + b"\0\0" + on(9) + END
    assert find(unit(4, FILES, program), 25) == {25: ("a.c", 5)}
    assert find(unit(4, files_4([], [("a.c", 0), ("\x05\x02", 9)]), row(20, 4) + on(9) + END), 25) == {
        25: ("a.c", 5)
    }


@pytest.mark.parametrize(
    ("directories", "name", "directory", "path"),
    [
        (["/home/me/shop"], "a.c", 0, "a.c"),
        (["/home/me/shop"], "/home/me/shop/src/a.c", 0, "src/a.c"),
        (["/home/me/shop"], "/home/me/other/a.c", 0, "/home/me/other/a.c"),
        (["/home/me/shop", "./lib"], "a.h", 1, "lib/a.h"),
        (["/home/me/shop", "/home/me/shop/lib/"], "a.h", 1, "lib/a.h"),
        (["/home/me/shop", "/usr/include"], "a.h", 1, "/usr/include/a.h"),
        (["/home/me/shop", "lib"], "/abs/a.h", 1, "/abs/a.h"),
        (["/home/me/shop", "../lib"], "a.h", 1, "../lib/a.h"),
        (["/"], "/a.c", 0, "/a.c"),
        (["", "lib"], "a.c", 9, "a.c"),
        (["C:\\shop"], "main.c", 0, "main.c"),
    ],
)
def test_paths(directories: list[str], name: str, directory: int, path: str) -> None:
    """A path is that which the compiler was given, relative to where it ran."""
    program = row(10, 4, 0) + on(5) + END
    assert find(unit(5, files_5(directories, [(name, directory)]), program), 12) == {12: (path, 5)}


def test_paths_of_old_versions() -> None:
    """Before DWARF 5, directories count from one, and where the compiler ran is not said."""
    tables = files_4(["lib", "/usr/include"], [("a.c", 0), ("b.h", 1), ("c.h", 2), ("d.h", 3)])
    shown = {1: "a.c", 2: "lib/b.h", 3: "/usr/include/c.h", 4: "d.h"}
    for number, path in shown.items():
        assert find(unit(3, tables, row(10, 4, number) + on(5) + END), 12) == {12: (path, 5)}


@pytest.mark.parametrize("form", [0x0E, 0x1F])
def test_shared_texts(form: int) -> None:
    """Names may lie in a section of their own, and other fields between them."""
    formats = bytes([4, 1, form, 2, 0x0F, 0x2001, 0x09, 5, 0x1E][:5]) + b"\x81\x40\x09\x05\x1e"
    entry = struct.pack("<I", 4) + b"\x80\x00" + b"\x02zz" + bytes(16)
    tables = bytes([1, 1, form, 1]) + struct.pack("<I", 0) + formats + b"\x01" + entry
    table = unit(5, tables, row(10, 4, 0) + on(5) + END)
    name = "str" if form == 0x0E else "line_str"
    assert find(table, 12, **{name: b"/me\0a.c\0junk"}) == {12: ("a.c", 5)}
    assert find(table, 12, **{name: b"/me\0a.c"}) == {12: ("a.c", 5)}
    assert find(table, 12, **{name: b"/me"}) == {}
    assert find(table, 12) == {}


NOTHING = {
    "line zero": unit(4, FILES, at(1) + line(-1) + COPY + on(99) + END),
    "line below zero": unit(4, FILES, row(1, -9) + on(99) + END),
    "line too large": unit(4, FILES, at(1) + b"\x03\xff\xff\xff\xff\x7f" + COPY + on(99) + END),
    "no such file": unit(4, FILES, row(1, 4, 9) + on(99) + END),
    "file zero": unit(4, FILES, row(1, 4, 0) + on(99) + END),
    "no files": unit(4, NO_FILES, row(1, 4) + on(99) + END),
    "no files in DWARF 5": unit(5, bytes(6), row(1, 4) + on(99) + END),
    "no end of a sequence": unit(4, FILES, row(1, 4)),
    "an end of a sequence too soon": unit(4, FILES, row(1, 4) + END),
    "an instruction without operand": unit(4, FILES, row(1, 4) + b"\x02"),
    "a number that is too long": unit(4, FILES, row(1, 4) + b"\x02" + b"\xff" * 12 + END),
    "a size beyond the end": unit(4, FILES, row(1, 4) + b"\x00\xff\x7f" + on(99) + END),
    "an address that is short": unit(4, FILES, b"\x00\x05\x02\x01"),
    "a range of zero": unit(4, FILES, row(1, 4) + on(99) + END, line_range=0),
    "text without end": unit(4, b"a" * 9, row(1, 4) + on(99) + END),
    "an unknown form": unit(5, bytes([1, 1, 0x77, 1]), row(1, 4) + on(99) + END),
    "a version before": unit(1, FILES, row(1, 4) + on(99) + END),
    "64 bits": b"\xff\xff\xff\xff" + unit(4, FILES, row(1, 4) + on(99) + END),
    "longer than the section": unit(4, FILES, row(1, 4) + on(99) + END)[:-1],
}


@pytest.mark.parametrize("case", NOTHING)
def test_no_line(case: str) -> None:
    """What is not there, or is no line, is not shown."""
    assert find(NOTHING[case], 2, 50) == {}


MANY = 1 << 20
HEAVY: dict[str, bytes] = {
    "functions": b"".join(map(at, range(1, 150_000))),
    "units": bytes(4 * MANY),
    "rows": unit(4, FILES, at(1) + b"\x20" * MANY),
    "operands": unit(4, FILES, at(1) + (b"\x0c" + b"\x80\x80\x80\x80\0" * 255) * 900, OPERANDS[:11] + b"\xff"),
    "no beginning": unit(4, FILES, COPY * (300 << 10) + b"".join(map(at, range(1, 50)))),
    "far beginning": unit(4, FILES, COPY * (200 << 10) + b"".join(map(at, range(1, 50)))),
    "files": unit(4, files_4([], [("a", 0)] * 99_999), b"".join(row(n, 1) + b"\4\xff\xff\x7f" for n in range(1, 50))),
    "long names": unit(4, b"\0" + (b"a" * MANY + bytes(4)) * 8, b"".join(row(n, 1, n) for n in range(1, 50))),
    "entries of nothing": unit(5, b"\0\xff\xff\xff\xff\x0f" * 2, b"".join(row(n, 1) for n in range(1, 50))),
    "entries of little": unit(5, b"\1\1\x0b\xff\xff\xff\xff\x0f" + bytes(MANY), b"".join(map(at, range(1, 50))) + COPY),
}  # fmt: skip
"""Tables that would take long: megabytes of anything there can be many of."""


@pytest.mark.parametrize("case", HEAVY)
def test_heavy_tables(case: str) -> None:
    """No table takes more steps than there are for a trap, nor all traps together more than for a module's life."""
    tables = LineTables(HEAVY[case], {dwarf.SECTION: (0, len(HEAVY[case]))})
    assert len(tables._functions) <= dwarf.MAX_FUNCTIONS
    assert len(tables._units) <= dwarf.MAX_UNITS
    for _ in range(60):
        before = tables._life
        tables.find(range(1, 33))
        assert 0 <= tables._life <= before <= tables._life + dwarf.MAX_STEPS


def test_a_life_of_lookups_ends() -> None:
    """When a module has used up its steps, its traps have no lines any more."""
    table = unit(4, FILES, row(1, 4) + on(9) + END + at(10) + b"\x20" * MANY)
    tables = LineTables(table, {dwarf.SECTION: (0, len(table))})
    for _ in range(dwarf.MAX_LIFE // dwarf.MAX_STEPS):
        assert tables.find([2, MANY]) == {2: ("a.c", 5)}
    assert tables.find([2]) == {}


# Anything at all ----------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_tables(module: bytes, data: Any) -> None:
    """Debug sections of a real module that were changed anywhere: a line, or none, and never an error."""
    info = binary.parse(module)
    sections = {name: place for name, place in info.custom.items() if name.startswith(".debug_")}
    start, end = sections[dwarf.SECTION]
    changed = bytearray(module)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(start, end - 1))] = data.draw(st.integers(0, 255))
    tables = LineTables(bytes(changed), sections)
    for file_name, number in tables.find(range(1, 120, 3)).values():
        assert file_name
        assert number > 0
    assert tables._life >= 0
