"""Modules are optimised by wasm-opt where it is, at once or behind an answer, and stay as they were where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from echelon import Application, Config
from echelon.errors import Trap
from echelon.plugin import optimizer
from echelon.plugin.artifacts import Artifact
from echelon.plugin.compiler import Compiler, Job
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.c.compilers import make
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.compilers.python.compiler import TypedPython
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator
from echelon.plugin.optimizer import Optimizer
from echelon.runtime.binary import MAGIC
from echelon.runtime.core import Runtime
from echelon.runtime.lifecycle import StateChange
from echelon.runtime.module import State

pytestmark = pytest.mark.timeout(300)

C = """#include <string.h>
#include <stdlib.h>
__attribute__((export_name("words"))) int words(int count) {
    char *text = malloc(count * 2 + 1);
    for (int i = 0; i < count; i++) memcpy(text + i * 2, "a ", 2);
    text[count * 2] = 0;
    int found = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) found++;
    return found;
}
"""
PYTHON = """def check(n: int) -> int:
    if n > 3:
        raise ValueError(f"{n} is too much")
    return n


def double(n: int) -> int:
    return 2 * check(n)


def pick(texts: list[str], n: int) -> str:
    return texts[n]


def picked(n: int) -> str:
    return pick(["a", "b"], n)
"""
TYPESCRIPT = "export function twice(n: i32): i32 { return n + n }\n"
WAT = """(module
  (func $id (param i32) (result i32) local.get 0)
  (func (export "f") (param i32) (result i32) (call $id (i32.add (local.get 0) (i32.const 0)))))
"""
LARGE = "".join(f"function g{n}(): i32 {{ let a = [{n}]; a.push({n}); return a[1] }}\n" for n in range(2000))
LARGE += (
    "export function f(): i32 {\n  let n = 0\n"
    + "".join(f"  n += g{n}()\n" for n in range(2000))
    + "  return n\n}\n"
)


@asynccontextmanager
async def generator(folder: Path, *only: Compiler) -> AsyncIterator[Generator]:
    async with Generator(only, folder / "artifacts") as made:
        yield made


@pytest.fixture
def c(binaryen_home: Path, c_home: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    monkeypatch.setenv("ECHELON_HOME", str(binaryen_home))
    return make(c_home)[0]


async def eventually(made: Generator, source: str, language: str) -> Artifact:
    """Ask without waiting until nothing better is being made."""
    async with asyncio.timeout(120):
        while True:
            artifact = await made.compile(source, language, "speed", wait=False)
            if not artifact.optimizing:
                return artifact
            await asyncio.sleep(0.05)


async def test_a_module_for_size_is_smaller_and_does_the_same(c: Compiler, tmp_path: Path) -> None:
    """What the compiler made is smaller behind wasm-opt, and its provenance says so."""
    async with generator(tmp_path, c) as made, Runtime(generator=made) as runtime:
        quick = await made.compile(C, "c", "size", wait=False)
        small = await made.compile(C, "c", "size")
        assert (quick.optimizing, quick.optimizer) == (True, "")
        assert (small.optimizing, small.optimizer) == (False, "binaryen 132.0.0")
        assert (small.provenance() or {})["optimizer"] == "binaryen 132.0.0"
        assert len(small.wasm) < len(quick.wasm)
        for artifact in (quick, small):
            module = await runtime.load(artifact.wasm)
            assert await module.call("words", 1000) == 1000


async def test_the_same_bytes_each_time(c: Compiler, tmp_path: Path) -> None:
    """wasm-opt adds nothing that differs from run to run."""
    digests = set()
    for name in ("one", "two"):
        async with generator(tmp_path / name, c) as made:
            digests.add((await made.compile(C, "c", "speed")).digest)
    assert len(digests) == 1


async def test_lines_stay(binaryen_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trap names each function and line of the source, also after what the library does was moved into it."""
    monkeypatch.setenv("ECHELON_HOME", str(binaryen_home))
    async with generator(tmp_path, TypedPython()) as made, Runtime(generator=made) as runtime:
        artifact = await made.compile(PYTHON, "python", "speed", name="sums.py")
        assert artifact.optimizer
        module = await runtime.load(artifact.wasm)
        assert await module.call("double", 3) == 6
        with pytest.raises(Trap, match="ValueError: 4 is too much") as caught:
            await module.call("double", 4)
        assert _users(caught.value) == [("check", 3), ("double", 8)]
        with pytest.raises(Trap, match="IndexError: list index out of range") as caught:
            await module.call("picked", 2)
        assert _users(caught.value) == [("pick", 12), ("picked", 16)]
        assert len(caught.value.frames) < 6  # some of the library's are gone


def _users(trap: Trap) -> list[tuple[str, int]]:
    return [(frame.function, frame.line) for frame in trap.frames if frame.file]


async def test_lines_of_dwarf_stay(c: Compiler, tmp_path: Path) -> None:
    """The line tables of a compiler become Echelon's own, since wasm-opt does not keep them right."""
    source = '__attribute__((export_name("f"))) int f(int *p, int n) {\n  n += 7;\n  return p[n];\n}\n'
    async with generator(tmp_path, c) as made, Runtime(generator=made) as runtime:
        artifact = await made.compile(source, "c", "speed", name="main.c")
        assert artifact.optimizer
        module = await runtime.load(artifact.wasm)
        with pytest.raises(Trap) as caught:
            await module.call("f", 1 << 30, 1)
        assert (caught.value.frames[0].file, caught.value.frames[0].line) == ("main.c", 3)
        assert b".debug_line" not in artifact.wasm


async def test_what_debuggers_read_stays_as_the_compiler_wrote_it(c: Compiler, tmp_path: Path) -> None:
    """With `debug` wasm-opt is left out, and the module does not claim otherwise."""
    async with generator(tmp_path, c) as made:
        artifact = await made.compile(C, "c", "speed", debug=True)
        assert artifact.optimizer == ""
        assert b".debug_info" in artifact.wasm


async def test_typescript_is_optimised_behind_the_answer(home: Path, tmp_path: Path) -> None:
    """The first answer comes at once and is not optimised; the same question brings the optimised module later."""
    async with generator(tmp_path, AssemblyScript(home=home)) as made:
        first = await made.compile(TYPESCRIPT, "typescript", "speed", wait=False)
        assert (first.optimizing, first.optimize) == (True, "none")
        later = await eventually(made, TYPESCRIPT, "typescript")
        assert (later.cached, later.optimize, later.optimizer) == (True, "speed", "binaryen 131")
        assert later.digest == (await made.compile(TYPESCRIPT, "typescript", "speed")).digest


async def test_optimising_holds_up_nobody(home: Path, tmp_path: Path) -> None:
    """While a large source is optimised, small ones are compiled."""
    async with generator(tmp_path, AssemblyScript(home=home)) as made:
        large = asyncio.create_task(made.compile(LARGE, "typescript", "speed"))
        for number in range(5):
            await made.compile(f"export function f(): i32 {{ return {number} }}", "typescript")
        assert not large.done()
        large.cancel()
        with pytest.raises(asyncio.CancelledError):
            await large


async def test_a_script_is_no_module_to_optimise(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What wasm-opt has nothing to do with is final at once."""
    monkeypatch.setenv("ECHELON_HOME", str(home))
    async with generator(tmp_path, JavaScript(home)) as made:
        artifact = await made.compile("export const f = () => 1", "javascript", "speed", wait=False)
        assert (artifact.optimizing, artifact.optimizer) == (False, "")
        again = await made.compile("export const f = () => 1", "javascript", "speed", wait=False)
        assert (again.cached, again.optimizing) == (True, False)


async def test_a_declared_module_is_replaced_when_the_better_one_is_there(home: Path, tmp_path: Path) -> None:
    """The application starts with what is compiled quickly, and goes on with the optimised module."""
    app = Application(config=Config(state=tmp_path).replace({"telemetry.logs": "none"}))
    source = tmp_path / "twice.ts"
    source.write_text(TYPESCRIPT)
    module = app.wasm.module(source, optimize="speed")
    replaced = asyncio.Event()

    @app.wasm.events.subscribe
    def notice(change: StateChange) -> None:
        if change.before == change.after == State.READY:
            replaced.set()

    async with app:
        first = module.digest
        assert await module.twice(4) == 8
        async with asyncio.timeout(120):
            await replaced.wait()
        assert module.digest != first
        assert await module.twice(4) == 8
        assert module.state is State.READY


async def test_without_wasm_opt_a_module_says_so(
    c_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's own optimisation is what there is."""
    monkeypatch.setenv("ECHELON_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    async with generator(tmp_path, make(c_home)[0]) as made:
        artifact = await made.compile(C, "c", "size", wait=False)
        assert (artifact.optimizer, artifact.optimizing, artifact.optimize) == ("", False, "size")


def program(folder: Path, version: int, then: str) -> Path:
    """Write a wasm-opt that says its version, and otherwise fails in its own way."""
    path = folder / "bin" / "wasm-opt"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "wasm-opt version {version}" && exit\n{then}\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "known"), [(108, ""), (119, ""), (120, "binaryen 120"), (132, "binaryen 132")]
)
def test_an_old_wasm_opt_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, known: str
) -> None:
    """What the PATH has must know what compilers write today."""
    monkeypatch.setenv("PATH", f"{program(tmp_path, version, 'exit 0').parent}:/usr/bin:/bin")
    assert Optimizer(tmp_path).version() == known


@pytest.mark.parametrize(
    ("then", "warning"),
    [
        ("exit 1", "status 1"),
        ("echo 'Fatal: out of ideas' >&2; exit 1", "Fatal: out of ideas"),
        ("exit 0", "it wrote no module"),
        ("while :; do :; done", "it took longer than 1 s"),
    ],
)
async def test_a_wasm_opt_that_fails_costs_nothing_but_the_optimisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, warning: str
) -> None:
    """What it was given stays as it was, with a warning."""
    shell = Path("/bin/sh").resolve()
    script = program(tmp_path, 132, then)
    broken = optimizer.Tool("binaryen 132", [str(shell), str(script)], [shell, script], {})
    monkeypatch.setattr(optimizer, "find", lambda _home: broken)
    monkeypatch.setattr(optimizer, "SECONDS", 1.0)
    async with generator(tmp_path, Wat()) as made:
        plain = await made.compile(WAT, "wat")
        artifact = await made.compile(WAT, "wat", "size", names=True)
        assert (artifact.optimizer, artifact.wasm) == ("", plain.wasm)
        assert [item.message for item in artifact.diagnostics] == [f"not optimised by wasm-opt: {warning}"]


def test_a_module_too_large_to_gain_speed_stays() -> None:
    """For size it is optimised all the same."""
    wasm = MAGIC + bytes(optimizer.LARGEST_FOR_SPEED)
    assert not optimizer.applies(wasm, Job({"a": ""}, "a", "speed"))
    assert optimizer.applies(wasm, Job({"a": ""}, "a", "size"))
