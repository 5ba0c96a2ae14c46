"""Names, debug information and options of a language: what stays in a module, for every compiler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from echelon.errors import ConfigError, Trap
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator
from echelon.runtime import binary, lines
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

WAT = '(module (func $secret (export "one") (result i32) i32.const 1))'
TYPESCRIPT = "function secret(n: i32): i32 { if (n > 3) throw new Error('no'); return n }\n"
TYPESCRIPT += "export function one(n: i32): i32 { return secret(n) }"
C = """#include <echelon.h>
__attribute__((noinline)) static int secret(int a, int b) {
  return a / b;
}
ECHELON_EXPORT("one(a: i32) -> i32") int one(int a) { return secret(7, a); }
"""
SOURCES = {"wat": WAT, "typescript": TYPESCRIPT, "c": C, "cpp": C}


class Dialect(Compiler):
    """A compiler with options; its module holds those it was given, and sections of every kind."""

    name = "dialect"
    suffixes = (".dialect",)
    options: Mapping[str, tuple[str, ...]] = {"standard": ("a", "b"), "title": ()}

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def probe(self) -> Probe:
        return Probe(True, "1")

    async def compile(self, job: Job) -> Compiled:
        self.jobs.append(job)
        wasm = binary.MAGIC
        for name in ("name", ".debug_info", ".debug_line", ".debug_str", "sourceMappingURL", "kept"):
            wasm = binary.add_custom_section(wasm, name, b"x")
        return Compiled(wasm)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def every(
    home: Path, c_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Generator]:
    compilers = [Wat(), AssemblyScript(home=home), *c.make(c_home), Dialect()]
    async with Generator(compilers, tmp_path_factory.mktemp("artifacts") / "store") as generator:
        yield generator


def sections(wasm: bytes) -> set[str]:
    return set(binary.parse(wasm).custom)


@pytest.mark.parametrize("language", SOURCES)
async def test_names_are_kept_or_left_out(every: Generator, language: str) -> None:
    """Kept unless the level is size; either can be asked for with any level, and the modules differ."""

    async def named(optimize: Any, names: bool | None) -> bool:
        artifact = await every.compile(SOURCES[language], language, optimize, names=names)
        found = sections(artifact.wasm)
        assert lines.SECTION not in found or "name" in found
        assert (b"secret" in artifact.wasm) <= ("name" in found)
        assert artifact.names is ("name" in found)
        return "name" in found

    assert [await named("none", None), await named("none", False)] == [True, False]
    assert [await named("size", None), await named("size", True)] == [False, True]


@pytest.mark.parametrize("language", ["c", "cpp"])
async def test_debug_information_is_kept_or_left_out(every: Generator, language: str) -> None:
    """Without it only what frames need is there; without names not even that."""
    plain = sections((await every.compile(C, language)).wasm)
    full = sections((await every.compile(C, language, debug=True)).wasm)
    bare = sections((await every.compile(C, language, names=False)).wasm)
    assert ".debug_line" in plain
    assert {".debug_info", ".debug_abbrev"} <= full - plain
    assert not any(name.startswith(".debug") for name in bare)


async def test_debug_works_at_every_level(every: Generator) -> None:
    """It is there for size, too, and says so in what is known of the module."""
    artifact = await every.compile(C, "c", "size", debug=True)
    assert ".debug_info" in sections(artifact.wasm)
    assert (artifact.debug, artifact.names) == (True, False)


@pytest.mark.parametrize(("language", "argument"), [("typescript", 4), ("c", 0)])
async def test_names_decide_what_a_trap_tells(every: Generator, language: str, argument: int) -> None:
    """With them the line of the source, without them none."""
    told = []
    async with Runtime() as runtime:
        for names in (True, False):
            artifact = await every.compile(SOURCES[language], language, names=names)
            module = await runtime.load(artifact.wasm)
            with pytest.raises(Trap) as trap:
                await module.call("one", argument)
            told.append(any(frame.line for frame in trap.value.frames))
    assert told == [True, False]


async def test_sections_of_any_compiler(every: Generator) -> None:
    """What a stranger's compiler leaves in a module goes the same way; other sections are not touched."""
    wanted = {
        (True, False): {"name", ".debug_line", ".debug_str", "kept"},
        (False, False): {"kept"},
        (False, True): {".debug_info", ".debug_line", ".debug_str", "sourceMappingURL", "kept"},
        (True, True): {"name", ".debug_info", ".debug_line", ".debug_str", "sourceMappingURL", "kept"},
    }
    for (names, debug), expected in wanted.items():
        artifact = await every.compile("x", "dialect", names=names, debug=debug)
        assert sections(artifact.wasm) == expected


async def test_options_reach_the_compiler(every: Generator) -> None:
    """They are in the job and in the key: another value is another compile, in whatever order they come."""
    compiler = every._compilers["dialect"]
    assert isinstance(compiler, Dialect)
    before = len(compiler.jobs)
    first = await every.compile("o", "dialect", options={"standard": "a", "title": "x = 1"})
    again = await every.compile("o", "dialect", options={"title": "x = 1", "standard": "a"})
    other = await every.compile("o", "dialect", options={"standard": "b"})
    await every.compile("o", "dialect")
    assert [dict(job.options) for job in compiler.jobs[before:]] == [
        {"standard": "a", "title": "x = 1"},
        {"standard": "b"},
        {},
    ]
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert first.options == again.options == {"standard": "a", "title": "x = 1"}


@pytest.mark.parametrize(
    ("language", "options", "message"),
    [
        ("dialect", {"speed": "1"}, "dialect has no option 'speed'; known are standard, title"),
        ("dialect", {"standard": "c"}, 'options.standard: "c" is not known; use a, b'),
        ("dialect", {"title": "two\nlines"}, "options.title: 'two\\nlines' is not accepted"),
        ("dialect", {"title": "x" * 201}, "write text of at most 200 characters"),
        ("dialect", {"title": 1}, "options.title: '1' is not accepted"),
        ("wat", {"standard": "a"}, "options: wat takes none, so not 'standard'"),
    ],
)
async def test_bad_options(every: Generator, language: str, options: Any, message: str) -> None:
    """A mistake says which options there are, before anything is compiled."""
    with pytest.raises(ConfigError) as found:
        await every.compile("(module)", language, options=options)
    assert message in str(found.value)
    assert found.value.key == "options"


async def test_a_module_takes_none(every: Generator) -> None:
    """It is kept as it is, so asking for something else is a mistake."""
    for wish in ({"names": False}, {"debug": True}, {"options": {"a": "b"}}):
        with pytest.raises(ConfigError, match="a module is kept as it is"):
            await every.compile(binary.MAGIC, **wish)
