"""Hostile sources of TypeScript: each is an error within its limits, and the compiler serves the next as before."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import EchelonError
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime import binary

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

SECONDS = 3.0
"""What sources that would take minutes are given."""
MANY = 100_000
FIB = "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }"
VOID = "; export function f(): void {}"


def inlined(depth: int) -> str:
    """Return functions that double their code at each step."""
    steps = (
        f"@inline function a{n}(x: i32): i32 {{ return a{n - 1}(x) ^ a{n - 1}(x + 1) }}\n"
        for n in range(1, depth)
    )
    first = "@inline function a0(x: i32): i32 { return x * 3 }\n"
    return first + "".join(steps) + f"export function f(x: i32): i32 {{ return a{depth - 1}(x) }}"


def doubled(depth: int) -> str:
    """Return types whose full name doubles at each step."""
    steps = (f"type A{n} = Map<A{n - 1},A{n - 1}>;\n" for n in range(1, depth))
    return "type A0 = Map<i32,i32>;\n" + "".join(steps) + f"export function f(a: A{depth - 1}): void {{}}"


def cases(count: int) -> str:
    inner = "".join(f"case {7 * n}: return {n};" for n in range(count))
    return f"export function f(a: i32): i32 {{ switch (a) {{{inner}}} return 0 }}"


def heirs(count: int) -> str:
    steps = "".join(f"class A{n} extends A{n - 1} {{ f(): i32 {{ return {n} }} }}\n" for n in range(1, count))
    last = f"export function f(): i32 {{ return new A{count - 1}().f() }}"
    return f"class A0 {{ f(): i32 {{ return 0 }} }}\n{steps}{last}"


HOSTILE = {
    "endless types": (
        "function f<T>(): i32 { return f<Array<T>>() } export function g(): i32 { return f<i32>() }",
        "deeply",
    ),
    "deep parentheses": ("export const a = " + "(" * MANY + "1" + ")" * MANY, "deeply"),
    "deep arrays": ("export const a = " + "[" * MANY, "deeply"),
    "deep blocks": ("export function f(): void " + "{" * MANY + "}" * MANY, "deeply"),
    "deep types": ("export function f(a: " + "Array<" * MANY + "i32" + ">" * MANY + "): void {}", "deeply"),
    "deep namespaces": ("namespace a {" * 50_000, "deeply"),
    "deep calls": ("export const a = " + "f(" * MANY + ")" * MANY, "deeply"),
    "deep functions": ("export const a = " + "(()=>" * 20_000 + "1" + ")()" * 20_000, "deeply"),
    "long sum": ("export function f(): i32 { return 1" + "+1" * 4 * MANY + " }", "deeply"),
    "long chain": ("export const a = b" + ".c" * 3 * MANY, "deeply"),
    "long else": (
        "export function f(a: i32): void { " + "if (a) a++; else " * (MANY // 4) + "; }",
        "deeply",
    ),
    "node module": ('import * as fs from "fs"; export const a = fs.readFileSync("/etc/passwd")', "not found"),
    "node scheme": ('import * as fs from "node:fs"' + VOID, "not found"),
    "absolute import": ('import { x } from "/etc/passwd"' + VOID, "not found"),
    "absolute import for its effects": ('import "/etc/passwd"' + VOID, "not found"),
    "absolute export": ('export * from "/etc/passwd"' + VOID, "not found"),
    "parent import": ('import { x } from "../../../etc/passwd"' + VOID, "not found"),
    "remote import": ('import { x } from "http://127.0.0.1/x"' + VOID, "not found"),
    "prototype import": ('import { x } from "./__proto__"' + VOID, "not found"),
    "constructor import": ('import { x } from "constructor"' + VOID, "not found"),
    "beside the kit": ('import { x } from "echelon/../worker"' + VOID, "not found"),
    "device import": ('import { x } from "/dev/zero"' + VOID, "not found"),
    "reference": ('/// <reference path="/etc/passwd" />\nroot()' + VOID, "Cannot find name 'root'"),
    "dynamic import": ('export function f(): void { import("/etc/passwd") }', "Expression expected"),
    "require": ('export function f(): void { require("/etc/passwd") }', "Cannot find name 'require'"),
    "deno api": ("export function f(): void { Deno.exit(1) }", "Cannot find name 'Deno'"),
    "eval": ('export function f(): void { eval("1") }', "Cannot find name 'eval'"),
    "zero bytes": ("\0" * 1000, ""),
    "not a program": ("\u202e\u2028\u2029" * 1000, ""),
    "bad escape": ('export const a = "\\u{ffffffffff}', ""),
    "open comment": ("/*" * MANY, ""),
    "open template": ("export const a = `${" * 10_000, ""),
    "circular class": ("class A extends B {} class B extends A {} export const a = new A()", ""),
    "circular type": ("type A = B; type B = A; export function f(a: A): void {}", ""),
    "circular constant": (
        "const a: i32 = b; const b: i32 = a; export function f(): i32 { return a }",
        "before",
    ),
    "circular default": ("class A<T = A<A>> {} export function f(): void { new A() }", "Recursive types"),
    "many errors": ("".join(f"nope{n}();\n" for n in range(60_000)), "Cannot find name 'nope99'"),
    "many duplicates": ("let a: i32 = 1;\n" * 60_000, "Duplicate identifier"),
    "long number": ("export const a = " + "9" * 9 * MANY, "Literal"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(home: Path) -> AsyncIterator[AssemblyScript]:
    """One compiler for all the hostile sources, so that each also meets what the others left."""
    compiler = AssemblyScript(home=home)
    yield compiler
    await compiler.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurried(home: Path) -> AsyncIterator[AssemblyScript]:
    """One that gives each compile a few seconds, and a fresh process after those that took them."""
    compiler = AssemblyScript(home=home, seconds=SECONDS)
    yield compiler
    await compiler.close()


async def compiles(compiler: AssemblyScript) -> bool:
    """Tell whether an ordinary source compiles."""
    return (await compiler.compile(Job({"a.ts": FIB}, "a.ts"))).wasm is not None


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_source_is_an_error_and_the_next_compile_works(
    attacked: AssemblyScript, name: str
) -> None:
    """Whatever the source, the answer is diagnostics, and the compiler goes on."""
    source, expected = HOSTILE[name]
    compiled = await attacked.compile(Job({"a.ts": source}, "a.ts"))
    assert compiled.wasm is None
    assert expected in compiled.diagnostics[-1].message
    assert len(compiled.diagnostics) <= 101
    assert "root:" not in "".join(item.message for item in compiled.diagnostics)
    assert await compiles(attacked)


BOMBS = {
    "doubling code": inlined(24),
    "doubling types": doubled(30),
    "many cases": cases(30_000),
    "many heirs": heirs(10_000),
    "many strings": "export function f(): string { return `" + "${f()}" * 150_000 + "` }",
    "huge reserve": "const p = memory.data(1 << 30); export function f(): usize { return p }",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_stopped_and_the_next_compile_works(hurried: AssemblyScript, name: str) -> None:
    """What would take all time or memory is ended after its share of them."""
    assert await compiles(hurried)
    began = time.monotonic()
    compiled = await hurried.compile(Job({"a.ts": BOMBS[name]}, "a.ts"))
    assert time.monotonic() - began < 3 * SECONDS
    assert compiled.wasm is None
    assert compiled.diagnostics[-1].message.startswith("the compiler was stopped: it ")
    assert await compiles(hurried)


LARGE = {
    "text": "export const a = '" + "x" * 9 * MANY + "'; export function f(): string { return a }",
    "elements": "export const a: Array<i32> = [" + "f()," * (MANY // 2) + "]; function f(): i32 { return 1 }",
    "functions": "".join(f"export function f{n}(): i32 {{ return {n} }}\n" for n in range(15_000)),
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_source_with_a_huge_module(attacked: AssemblyScript, name: str) -> None:
    """What is larger than allowed is not handed over."""
    compiled = await attacked.compile(Job({"a.ts": LARGE[name]}, "a.ts", max_output=256 << 10))
    assert compiled.wasm is None
    assert "at most 262144 are allowed" in compiled.diagnostics[-1].message
    assert await compiles(attacked)


async def test_files_that_import_each_other(attacked: AssemblyScript) -> None:
    """Circles of imports are no danger; one of what is exported again is an error."""
    count = 64

    def circle(statement: str) -> dict[str, str]:
        return {
            f"m{n}.ts": f'{statement} "./m{(n + 1) % count}";\nexport function f(): i32 {{ return {n} }}'
            for n in range(count)
        }

    compiled = await attacked.compile(Job(circle("import { f as next } from"), "m0.ts"))
    assert compiled.wasm is not None
    assert compiled.signature is not None
    assert list(compiled.signature.exports) == ["f"]
    compiled = await attacked.compile(Job(circle("nope(); export * from"), "m0.ts"))
    assert "deeply" in compiled.diagnostics[-1].message
    assert await compiles(attacked)


@pytest.mark.parametrize(
    "decorator", ['@transform("/etc/passwd")', '@external.js("process.exit(1)")', "@builtin", "@global"]
)
async def test_decorators_run_nothing(attacked: AssemblyScript, decorator: str) -> None:
    """A decorator is a word to the compiler: none loads or runs code, and the process is the same after it."""
    assert await compiles(attacked)
    (before,) = _pids(attacked)
    compiled = await attacked.compile(
        Job({"a.ts": f"{decorator} export function f(): i32 {{ return 1 }}"}, "a.ts")
    )
    assert (compiled.wasm is not None) or compiled.diagnostics
    assert _pids(attacked) == [before]


async def test_imports_by_decorator_are_asked_of_the_host(attacked: AssemblyScript) -> None:
    """A source may name any import; that is no right to it: whoever links the module decides."""
    source = '@external("wasi_snapshot_preview1", "proc_exit") declare function leave(code: i32): void;\n'
    compiled = await attacked.compile(
        Job({"a.ts": source + "export function f(): void { leave(1) }"}, "a.ts")
    )
    assert compiled.wasm is not None
    imports = binary.parse(compiled.wasm).imports
    assert ("wasi_snapshot_preview1", "proc_exit") in {(item.module, item.name) for item in imports}


@pytest.mark.parametrize(
    "path", ["~lib/string.ts", "/etc/passwd.ts", "../a.ts", "a\n.ts", "__proto__/../a.ts", ""]
)
async def test_hostile_names_of_files(home: Path, tmp_path: Path, path: str) -> None:
    """Names that are no plain relative paths do not reach the compiler."""
    async with Generator([AssemblyScript(home=home)], tmp_path / "store") as generator:
        with pytest.raises(EchelonError, match="is not an accepted file name"):
            await generator.compile({"a.ts": FIB, path: FIB}, "typescript")


async def test_a_file_does_not_replace_the_library(attacked: AssemblyScript) -> None:
    """Files named like the guest kit, or like what every object has, are files like others."""
    shadow = "export namespace env { export function get(name: string): string | null { return 'mine' } }"
    main = 'import { env } from "echelon"; export function f(): bool { return env.get("A") === null }'
    files = {"main.ts": main, "echelon.ts": shadow, "__proto__.ts": shadow, "constructor/index.ts": shadow}
    compiled = await attacked.compile(Job(files, "main.ts"))
    assert compiled.wasm is not None
    assert "echelon" in {item.module for item in binary.parse(compiled.wasm).imports}


async def test_nothing_is_left_behind(attacked: AssemblyScript) -> None:
    """After all of it there is one process, and it has closed what it opened."""
    assert await compiles(attacked)
    (pid,) = _pids(attacked)
    assert len(os.listdir(f"/proc/{pid}/fd")) < 64


def _pids(compiler: AssemblyScript) -> list[int]:
    slots = list(compiler._pool._slots._queue)  # type: ignore[attr-defined]  # a test may look inside
    return [slot.result().pid for slot in slots if slot is not None and slot.done()]
