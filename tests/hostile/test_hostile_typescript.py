"""Hostile guests in TypeScript, with the language's own runtime between them and the host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hostile_stage import TIGHT, Case, Stage

from echelon.errors import (
    DeadlineExceeded,
    GuestError,
    GuestExit,
    HostCallsExceeded,
    MemoryExceeded,
    OutputExceeded,
    PermissionDenied,
    Trap,
)
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = """
import { env, log } from "echelon";
class Node { next: Node | null = null; payload: StaticArray<u8> = new StaticArray<u8>(100) }
function dive(n: i32): i32 { return dive(n + 1) + 1 }
export function forever(): void { while (true) {} }
export function collecting(): void { while (true) { new Node() } }
export function hoarding(): i32 {
  let head = new Node();
  while (true) { const node = new Node(); node.next = head; head = node }
  return 0;
}
export function diving(): i32 { return dive(0) }
export function growing(): string { let s = "x"; while (true) s += s; return s }
export function large(): string { return "x".repeat(1000000) }
export function lists(): string[][] {
  const inner: string[] = [];
  for (let i = 0; i < 1000; i++) inner.push("0123456789");
  const outer: string[][] = [];
  for (let i = 0; i < 1000; i++) outer.push(inner);
  return outer;
}
export function printing(): void { while (true) console.log("0123456789") }
export function logging(): void { while (true) log.error("0123456789") }
export function outside(): i32 { return load<i32>(<usize>0xFFFFFFF0) }
export function overwriting(): string {
  for (let at: usize = 0; at < 60000; at += 4) store<u32>(at, 0xFFFFFFFF);
  return "done";
}
export function secret(): string { const found = env.get("PATH"); return found === null ? "" : found }
export function thrown(): void { throw new Error("no") }
export function leaving(): void { process.exit(7) }
export function asserting(): void { assert(false, "x".repeat(100000)) }
export function text(s: string): i32 { return s.length }
"""

ENDINGS: dict[str, type[BaseException] | tuple[type[BaseException], ...]] = {
    "forever": DeadlineExceeded,
    "collecting": DeadlineExceeded,
    "hoarding": MemoryExceeded,
    "diving": Trap,
    "growing": (MemoryExceeded, Trap),
    "large": OutputExceeded,
    "lists": OutputExceeded,
    "printing": OutputExceeded,
    "logging": OutputExceeded,
    "outside": Trap,
    "overwriting": GuestError,
    "secret": PermissionDenied,
    "thrown": Trap,
    "leaving": GuestExit,
    "asserting": Trap,
}

TOP_LEVEL = """
console.log("from the top");
export function f(): i32 { return 1 }
"""

TOP_LEVEL_FLOOD = """
while (true) console.log("from the top");
export function f(): i32 { return 1 }
"""


async def compiled(home: Path, folder: Path, source: str) -> bytes:
    async with Generator([AssemblyScript(home=home)], folder) as generator:
        return (await generator.compile(source, "typescript", name="hostile.ts")).wasm


@pytest.fixture(scope="module")
def wasm(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return asyncio.run(compiled(home, tmp_path_factory.mktemp("artifacts"), SOURCE))


@pytest.mark.parametrize("function", ENDINGS)
async def test_typescript(stage: Stage, wasm: bytes, function: str) -> None:
    """What compiled code does is bounded like what was written by hand."""
    limits = Limits(memory="4MiB", time=3 if function in ("hoarding", "growing") else 0.15, output="64KiB")
    await stage.play(Case(function, lambda: wasm, ENDINGS[function], function=function, limits=limits))


async def test_long_arguments(stage: Stage, wasm: bytes) -> None:
    """An argument larger than the guest's memory ends in that guest."""
    case = Case("long", lambda: wasm, MemoryExceeded, function="text", args=("x" * (3 << 20),))
    await stage.play(Case(**{**vars(case), "limits": Limits(memory="4MiB", time=3)}))


async def test_code_outside_of_functions(stage: Stage, home: Path, tmp_path: Path) -> None:
    """Code at the top of a source runs in every call, under its limits, and never while the module is loaded."""
    flood = await compiled(home, tmp_path / "flood", TOP_LEVEL_FLOOD)
    quiet = await compiled(home, tmp_path / "quiet", TOP_LEVEL)
    await stage.play(Case("flood", lambda: flood, HostCallsExceeded, limits=TIGHT))
    async with stage.guarded():
        module = await stage.runtime.load(quiet)
        outcome = await module.run("f")
        module.close()
    assert outcome.value == 1
    assert [entry.message for entry in outcome.logs] == ["from the top"]
