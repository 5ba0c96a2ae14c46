"""C and C++: compiled by the real compiler, and called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError, Trap
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

C = r"""
#include <echelon.h>
ECHELON_EXPORT("add(a: i32, b: i32) -> i32") int add(int a, int b) { return a + b; }
ECHELON_EXPORT("half(n: f64) -> f64") double half(double n) { return n / 2; }
ECHELON_EXPORT("odd(n: u64) -> bool") int odd(uint64_t n) { return n & 1; }
ECHELON_EXPORT("greet(who: str) -> str")
echelon_result greet(ECHELON_TEXT(who)) { return echelon_format("Hello, %.*s!", (int)who_length, who); }
ECHELON_EXPORT("reverse(data: bytes) -> bytes")
echelon_result reverse(ECHELON_BYTES(data)) {
  uint8_t *made = echelon_allocate(data_length);
  for (size_t i = 0; i < data_length; i++) made[i] = data[data_length - 1 - i];
  return echelon_pair(made, data_length);
}
ECHELON_EXPORT("sum(numbers: list<i64>) -> i64")
int64_t sum(ECHELON_LIST(int64_t, numbers)) {
  int64_t total = 0;
  for (size_t i = 0; i < numbers_length; i++) total += numbers[i];
  return total;
}
ECHELON_EXPORT("longest(words: list<str>) -> option<str>")
echelon_result longest(ECHELON_LIST(echelon_text, words)) {
  if (!words_length) return ECHELON_NONE;
  echelon_text found = words[0];
  for (size_t i = 1; i < words_length; i++) if (words[i].length > found.length) found = words[i];
  return echelon_pair(found.at, found.length);
}
ECHELON_EXPORT("same(value: json) -> json")
echelon_result same(ECHELON_TEXT(value)) { return echelon_pair(value, value_length); }
ECHELON_EXPORT("refuse()") void refuse(void) {
  echelon_fail("no bread today");
}
ECHELON_EXPORT("divide(a: i32, b: i32) -> i32")
int divide(int a, int b) {
  return a / b;
}
"""

CPP = r"""
#include <echelon.h>
#include <algorithm>
#include <map>
#include <string>
#include <vector>
static std::string last;
static int begun = [] { return 42; }();
ECHELON_EXPORT("begun() -> i32") int get_begun() { return begun; }
ECHELON_EXPORT("shout(who: str) -> str")
echelon_result shout(ECHELON_TEXT(who)) {
  last.assign(who, who_length);
  std::transform(last.begin(), last.end(), last.begin(), [](unsigned char c) { return std::toupper(c); });
  return echelon_pair(last.data(), last.size());
}
ECHELON_EXPORT("sorted(numbers: list<i32>) -> list<i32>")
echelon_result sorted(ECHELON_LIST(int32_t, numbers)) {
  static std::vector<int32_t> made;
  made.assign(numbers, numbers + numbers_length);
  std::sort(made.begin(), made.end());
  return echelon_pair(made.data(), made.size());
}
"""

KIT = r"""
#include <echelon.hpp>
#include <map>
std::tuple<std::string, std::uint8_t, double> three(const std::vector<std::string> &a, bool b) {
  return {a.at(0), b, 1.5};
}
ECHELON_FUNCTION(three, a, b)
static std::vector<std::optional<std::string>> shown(std::vector<std::optional<std::int8_t>> numbers) {
  std::vector<std::optional<std::string>> made;
  for (auto one : numbers) made.push_back(one ? std::optional(std::to_string(*one)) : std::nullopt);
  return made;
}
ECHELON_FUNCTION(shown)
std::vector<std::vector<bool>> turned(std::vector<std::vector<bool>> rows) {
  for (auto &row : rows) row.flip();
  return rows;
}
ECHELON_FUNCTION(turned, rows)
constexpr auto twice = [](std::int32_t n) { return 2 * n; };
ECHELON_FUNCTION(twice, n)
std::pair<std::int64_t, std::optional<float>> several(echelon::bytes data) {
  return {static_cast<std::int64_t>(data.size()), data.empty() ? std::nullopt : std::optional(0.5f)};
}
ECHELON_FUNCTION_AS(some, several, data)
void refuse() {
  echelon::fail("no bread today");
}
ECHELON_FUNCTION(refuse)
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
async def test_c_takes_and_gives_every_kind(generator: Generator, runtime: Runtime, optimize: str) -> None:
    """Numbers, text outside the basic plane, bytes, lists, options and JSON."""
    made = await generator.compile(C, language="c", optimize=optimize)  # type: ignore[arg-type]  # one of three
    guest = await runtime.load(made.wasm)
    assert await guest.call("add", 2, 40) == 42
    assert await guest.call("half", 5.0) == 2.5
    assert await guest.call("odd", (1 << 64) - 1) is True
    assert await guest.call("greet", "Zoë 🦊") == "Hello, Zoë 🦊!"
    assert await guest.call("reverse", b"\0\1\2") == b"\2\1\0"
    assert await guest.call("sum", [1, -2, 1 << 40]) == (1 << 40) - 1
    assert await guest.call("longest", ["a", "ccc", "bb"]) == "ccc"
    assert await guest.call("longest", []) is None
    assert await guest.call("same", {"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}


async def test_c_says_where_it_failed(generator: Generator, runtime: Runtime) -> None:
    """`echelon_fail` gives message, file and line; a trap has the file and line of the instruction."""
    made = await generator.compile({"shop.c": C})
    guest = await runtime.load(made.wasm)
    with pytest.raises(Trap, match=r"no bread today \(shop\.c:30\)"):
        await guest.call("refuse")
    with pytest.raises(Trap) as caught:
        await guest.call("divide", 1, 0)
    frame = caught.value.frames[0]
    assert (frame.file, frame.line) == ("shop.c", 34)


async def test_a_plain_function_imports_nothing(generator: Generator, runtime: Runtime) -> None:
    """What needs no library has none of it."""
    source = (
        '__attribute__((export_name("add(a: i32, b: i32) -> i32"))) int add(int a, int b) { return a + b; }'
    )
    made = await generator.compile(source, language="c", optimize="size")
    assert len(made.wasm) < 1000
    guest = await runtime.load(made.wasm)
    assert b"wasi_snapshot" not in made.wasm
    assert await guest.call("add", 1, 2) == 3


async def test_c_has_a_standard_library(generator: Generator, runtime: Runtime) -> None:
    """`printf` writes to the outcome's output, mathematics and sorting work."""
    source = """#include <stdio.h>
#include <math.h>
__attribute__((export_name("root(n: f64) -> f64"))) double root(double n) {
  printf("%.3f\\n", n); fflush(stdout); return sqrt(n); }"""
    made = await generator.compile(source, language="c")
    guest = await runtime.load(made.wasm)
    outcome = await guest.run("root", 9.0)
    assert outcome.value == 3.0
    assert outcome.stdout == b"9.000\n"


async def test_cpp_constructs_and_sorts(generator: Generator, runtime: Runtime) -> None:
    """Static objects are there before the first call, and the library of C++ is."""
    made = await generator.compile(CPP, language="cpp")
    guest = await runtime.load(made.wasm)
    assert await guest.call("begun") == 42
    assert await guest.call("shout", "ada") == "ADA"
    assert await guest.call("sorted", [3, 1, 2]) == [1, 2, 3]
    async with guest.instance() as kept:
        assert await kept.call("begun") == 42


@pytest.mark.parametrize("optimize", ["none", "speed", "size"])
async def test_the_types_of_cpp_are_the_signature(
    generator: Generator, runtime: Runtime, optimize: str
) -> None:
    """Functions and lambdas are exported by their types; lists, options and several results nest."""
    made = await generator.compile({"kit.cpp": KIT}, optimize=optimize)  # type: ignore[arg-type]  # one of three
    guest = await runtime.load(made.wasm)
    assert [str(function) for function in guest.exports()] == [
        "three(a: list<str>, b: bool) -> str, u8, f64",
        "shown(list<option<i8>>) -> list<option<str>>",
        "turned(rows: list<list<bool>>) -> list<list<bool>>",
        "twice(n: i32) -> i32",
        "some(data: bytes) -> i64, option<f32>",
        "refuse()",
    ]
    assert await guest.call("three", ["größer"], True) == ("größer", 1, 1.5)
    assert await guest.call("shown", [1, None, -3]) == ["1", None, "-3"]
    assert await guest.call("turned", [[True, False], []]) == [[False, True], []]
    assert await guest.call("twice", -4) == -8
    assert (await guest.call("some", b"abc"), await guest.call("some", b"")) == ((3, 0.5), (0, None))
    with pytest.raises(Trap, match=r"no bread today \(kit\.cpp:26\)"):
        await guest.call("refuse")


async def test_an_instance_of_cpp_that_stays_does_not_grow(generator: Generator, runtime: Runtime) -> None:
    """Arguments and results of a call make room for those of the next."""
    source = """#include <echelon.hpp>
std::vector<std::string> twice(const std::string &text) { return {text, text}; }
ECHELON_FUNCTION(twice, text)
std::uint32_t pages() { return __builtin_wasm_memory_size(0); }
ECHELON_FUNCTION(pages)"""
    guest = await runtime.load((await generator.compile(source, language="cpp")).wasm)
    async with guest.instance() as kept:
        pages = []
        for _ in range(10):
            for _ in range(20):
                await kept.call("twice", "x" * 100_000)
            pages.append(await kept.call("pages"))
        assert pages[-1] == pages[1]


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("struct A {}; void f(A) {}\nECHELON_FUNCTION(f)", "a value of this type cannot cross", None),
        ("void f(int, int) {}\nECHELON_FUNCTION(f, a)", "name every parameter, or none", 3),
    ],
)
async def test_what_cannot_be_exported_is_told(
    generator: Generator, source: str, message: str, line: int | None
) -> None:
    """The compiler says it in words of the kit."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"a.cpp": f"#include <echelon.hpp>\n{source}"})
    (found,) = [item for item in caught.value.diagnostics if message in item.message]
    assert line is None or (found.file, found.line) == ("a.cpp", line)


async def test_several_files(generator: Generator, runtime: Runtime) -> None:
    """Other sources are compiled too, headers are included."""
    files = {
        "main.c": '#include <echelon.h>\n#include "lib/two.h"\n'
        'ECHELON_EXPORT("four() -> i32") int four(void) { return 2 * two(); }',
        "lib/two.h": "int two(void);",
        "lib/two.c": '#include "two.h"\nint two(void) { return 2; }',
    }
    made = await generator.compile(files)
    guest = await runtime.load(made.wasm)
    assert await guest.call("four") == 4


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.c", "int f(void) {\n  return x;\n}\nint g(void) { return y; }", [(2, 10), (4, 22)]),
        ("a.cpp", "int f() {\n  return x;\n}\nint g() { return y; }", [(2, 10), (4, 18)]),
    ],
)
async def test_diagnostics(
    generator: Generator, name: str, source: str, expected: list[tuple[int, int]]
) -> None:
    """Each error has file, line and column."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({name: source})
    errors = [item for item in caught.value.diagnostics if item.severity == "error"]
    assert [(item.line, item.column) for item in errors] == expected
    assert {item.file for item in errors} == {name}


async def test_an_undefined_function_is_an_error(generator: Generator) -> None:
    """The linker's message names the source that wants it."""
    source = 'int lost(void);\n__attribute__((export_name("f() -> i32"))) int f(void) { return lost(); }'
    with pytest.raises(CompileError, match="undefined symbol: lost"):
        await generator.compile({"a.c": source})


@pytest.mark.parametrize(("language", "source"), [("c", C), ("cpp", CPP)])
async def test_the_same_source_gives_the_same_bytes(
    generator: Generator, c_home: Path, tmp_path: Path, language: str, source: str
) -> None:
    """Nothing of the working folder, and no date, is in a module."""
    first = await generator.compile(source, language=language)
    async with Generator(c.make(c_home), tmp_path / "other") as other:
        second = await other.compile(source, language=language)
    assert first.digest == second.digest
    assert b"echelon-compile-" not in first.wasm
    assert str(c_home).encode() not in first.wasm


async def test_without_the_toolchain_it_says_what_to_type(tmp_path: Path) -> None:
    """All three are installed by one command."""
    for compiler in c.make(tmp_path):
        probe = compiler.probe()
        assert (probe.found, probe.install) == (False, "echelon toolchain install c")
