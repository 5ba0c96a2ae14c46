"""Small modules that would become large: in memory, in tables, on the stack, in the compiler, in the host's lists."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path

import pytest
from hostile_stage import TIGHT, Case, Stage, leb, one_function, section, signed, table, wat

from echelon.errors import DeadlineExceeded, GuestError, InvalidModule, LinkError, MemoryExceeded, Trap
from echelon.runtime import binary
from echelon.runtime.code_cache import CodeCache
from echelon.runtime.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMPTY_TYPE = section(1, b"\x01\x60\x00\x00")
NOTHING = b"\x02\x00\x0b"
"""A function body without locals or instructions, with its size."""


def module(*sections: bytes) -> bytes:
    return binary.MAGIC + b"".join(sections)


def functions(count: int) -> bytes:
    return module(
        EMPTY_TYPE, section(3, leb(count) + b"\0" * count), section(10, leb(count) + NOTHING * count)
    )


def locals_of(groups: int, each: int, bodies: int = 1) -> bytes:
    """Return functions that each declare `groups` times `each` locals and do nothing."""
    body = leb(groups) + (leb(each) + b"\x7e") * groups + b"\x0b"
    return module(
        EMPTY_TYPE,
        section(3, leb(bodies) + b"\0" * bodies),
        section(7, b"\x01\x01f\0\0"),
        section(10, leb(bodies) + (leb(len(body)) + body) * bodies),
    )


def slow_to_compile() -> bytes:
    """Return functions full of calls with many values: a few hundred kilobytes that take the compiler very long."""
    many = 200
    types = b"\x02\x60" + leb(many) + b"\x7e" * many + leb(many) + b"\x7e" * many + b"\x60\0\0"
    body = b"\x00" + b"\x42\x01" * many + b"\x10\x00" * 12_000 + b"\x1a" * many + b"\x0b"
    identity = b"\x00" + b"".join(b"\x20" + leb(index) for index in range(many)) + b"\x0b"
    bodies = [identity] + [body] * 40
    return module(
        section(1, types),
        section(3, leb(len(bodies)) + b"\0" + b"\x01" * (len(bodies) - 1)),
        section(7, b"\x01\x01f\0\x01"),
        section(10, leb(len(bodies)) + b"".join(leb(len(b)) + b for b in bodies)),
    )


def named(size: int) -> bytes:
    """Return a function that traps, with a name of that size."""
    name = b"x" * size
    entries = b"\x01\x00" + leb(len(name)) + name
    content = b"\x04name" + b"\x01" + leb(len(entries)) + entries
    return one_function(b"\x00") + section(0, content)


MEMORY = (
    Case(
        "growing page by page",
        """(module (memory 1) (func (export "f") (loop
         (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (br 0))))""",
        MemoryExceeded,
    ),
    Case(
        "growing and writing",
        """(module (memory 1) (func (export "f") (local i32) (loop
         (local.set 0 (memory.grow (i32.const 16))) (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable))
         (memory.fill (i32.mul (local.get 0) (i32.const 65536)) (i32.const 255) (i32.const 1048576)) (br 0))))""",
        MemoryExceeded,
    ),
    Case("beginning with 16 MiB and a page", '(module (memory 257) (func (export "f")))', MemoryExceeded),
    Case(
        "beginning with 4 GiB", '(module (memory 65536) (func (export "f")))', (InvalidModule, MemoryExceeded)
    ),
    Case(
        "beginning with more than there is",
        lambda: module(EMPTY_TYPE, section(5, b"\x01\x00" + leb(65_537))),
        (InvalidModule, MemoryExceeded),
    ),
    Case("ending before it begins", lambda: module(section(5, b"\x01\x01\x02\x01")), InvalidModule),
    Case(
        "a segment of data outside",
        '(module (memory 1) (data (i32.const 65535) "xx") (func (export "f")))',
        Trap,
        code="memory-out-of-bounds",
    ),
    Case(
        "a segment of data before it",
        '(module (memory 1) (data (i32.const -1) "xx") (func (export "f")))',
        Trap,
        code="memory-out-of-bounds",
    ),
    Case("two memories", '(module (memory 1) (memory 1) (func (export "f")))', InvalidModule, "memories"),
    Case(
        "reading past the end",
        """(module (memory 1) (func (export "f") (result i32)
         (i32.load offset=4294967295 (i32.const -1))))""",
        Trap,
        code="memory-out-of-bounds",
    ),
    Case(
        "copying past the end",
        """(module (memory 1) (func (export "f")
         (memory.copy (i32.const 0) (i32.const 1) (i32.const -1))))""",
        Trap,
        code="memory-out-of-bounds",
    ),
)

TABLES = (
    Case(
        "growing a table",
        """(module (table $t 0 funcref) (func (export "f") (loop
         (if (i32.eq (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)) (then unreachable))
         (br 0))))""",
        Trap,
        code="unreachable",
    ),
    Case(
        "growing sixteen tables",
        "(module "
        + "(table 1 externref) " * 16
        + '(func (export "f") '
        + " ".join(
            f"(if (i32.ne (table.grow {i} (ref.null extern) (i32.const 500000)) (i32.const -1))"
            " (then unreachable))"
            for i in range(16)
        )
        + "))",
        None,
    ),
    Case(
        "seventeen tables",
        "(module " + "(table 1 funcref) " * 17 + '(func (export "f")))',
        InvalidModule,
        "17 tables",
    ),
    Case(
        "a table of 4 Gi elements",
        '(module (table 4294967295 funcref) (func (export "f")))',
        InvalidModule,
        "4294967295",
    ),
    Case(
        "sixteen tables of 100 000 elements",
        "(module " + "(table 100000 funcref) " * 16 + '(func (export "f")))',
        InvalidModule,
        "1600000",
    ),
    Case(
        "a table larger than its memory limit",
        '(module (table 900000 funcref) (func (export "f")))',
        MemoryExceeded,
        limits=Limits(memory="1MiB"),
    ),
    Case(
        "an element outside",
        '(module (table 1 funcref) (elem (i32.const 1) $f) (func $f (export "f")))',
        InvalidModule,
        "element segment 0 ends at element 2 of a table of 1",
    ),
    Case(
        "a call through nothing",
        """(module (type $t (func)) (table 4 funcref) (func (export "f")
         (call_indirect (type $t) (i32.const 3))))""",
        Trap,
        code="indirect-call-to-null",
    ),
    Case(
        "a call beyond the table",
        """(module (type $t (func)) (table 4 funcref) (func (export "f")
         (call_indirect (type $t) (i32.const -1))))""",
        Trap,
        code="table-out-of-bounds",
    ),
    Case(
        "a call of another type",
        """(module (type $t (func (param i32))) (table 1 funcref) (elem (i32.const 0) $f)
         (func $f (export "f") (call_indirect (type $t) (i32.const 1) (i32.const 0))))""",
        Trap,
        code="bad-signature",
    ),
    Case(
        "element segments without end",
        lambda: module(section(9, leb(600_000))),
        InvalidModule,
        "600000 element",
    ),
    Case(
        "megabytes of elements",
        lambda: module(section(9, b"\x01" + b"\0" * 2_000_000)),
        InvalidModule,
        "element section",
    ),
)

COUNTS = (
    Case("functions", lambda: functions(60_001), InvalidModule, "60001 functions"),
    Case(
        "more bodies than functions",
        lambda: module(EMPTY_TYPE, section(3, b"\x01\0"), section(10, b"\x02" + NOTHING * 2)),
        InvalidModule,
    ),
    Case(
        "types", lambda: module(section(1, leb(20_001) + b"\x60\0\0" * 20_001)), InvalidModule, "20001 types"
    ),
    Case("types claimed", lambda: module(section(1, leb(0xFFFF_FFFF))), InvalidModule, "4294967295 types"),
    Case(
        "parameters",
        lambda: module(section(1, b"\x01\x60" + leb(100_000) + b"\x7f" * 100_000 + b"\0")),
        InvalidModule,
        "100000 parameters",
    ),
    Case(
        "imports",
        lambda: module(EMPTY_TYPE, section(2, leb(1_001) + b"\x01a\x01b\0\0" * 1_001)),
        InvalidModule,
        "1001 imports",
    ),
    Case(
        "imports of one thing",
        lambda: module(EMPTY_TYPE, section(2, leb(1_000) + b"\x01a\x01b\0\0" * 1_000)),
        LinkError,
        "995 more",
    ),
    Case("exports", lambda: module(section(7, leb(10_001))), InvalidModule, "10001 exports"),
    Case(
        "globals",
        lambda: module(section(6, leb(10_001) + b"\x7f\0\x41\0\x0b" * 10_001)),
        InvalidModule,
        "10001 globals",
    ),
    Case("data segments", lambda: module(section(11, leb(50_001))), InvalidModule, "50001 data"),
    Case("custom sections", lambda: module(section(0, b"\x01a") * 1_001), InvalidModule, "1000 custom"),
    Case(
        "a long import name",
        lambda: module(EMPTY_TYPE, section(2, b"\x01" + leb(4_097) + b"a" * 4_097 + b"\x01b\0\0")),
        InvalidModule,
        "4097 bytes",
    ),
    Case(
        "a long section name",
        lambda: module(section(0, leb(1 << 20) + b"a" * (1 << 20))),
        InvalidModule,
        "1048576 bytes",
    ),
    Case(
        "64 MiB and more",
        lambda: module(section(0, b"\x01a" + bytes(64 << 20))),
        InvalidModule,
        "at most 67108864",
    ),
)

COMPILER = (
    Case("50 001 locals", lambda: locals_of(1, 50_001), InvalidModule),
    Case("4 Gi locals", lambda: locals_of(1, 0xFFFF_FFFF), InvalidModule),
    Case("groups of locals that add up", lambda: locals_of(50, 50_000), InvalidModule),
    Case("many functions of 50 000 locals", lambda: locals_of(1, 50_000, 60), None),
    Case(
        "a hundred thousand blocks",
        lambda: one_function(b"\x02\x40" * 100_000 + b"\x0b" * 100_000),
        None,
        limits=Limits(time=1),
    ),
    Case(
        "a hundred thousand loops",
        lambda: one_function(b"\x03\x40" * 100_000 + b"\x0b" * 100_000),
        (InvalidModule, DeadlineExceeded, Trap),
        limits=Limits(time=0.2),
    ),
    Case(
        "a jump table with a million targets",
        lambda: one_function(b"\x02\x40\x41\x00\x0e" + leb(1_000_000) + b"\0" * 1_000_001 + b"\x0b"),
        InvalidModule,
    ),
    Case("a body of 9 MiB", lambda: one_function(b"\x01" * (9 << 20)), InvalidModule, "bytes"),
    Case("calls that take the compiler very long", slow_to_compile, InvalidModule, "compil"),
    Case(
        "a body that ends too early",
        lambda: module(EMPTY_TYPE, section(3, b"\x01\0"), section(10, b"\x01\x02\x00\x01")),
        InvalidModule,
    ),
)

STACK = (
    Case("calling itself", '(module (func $f (export "f") (call $f)))', Trap, code="stack-overflow"),
    Case(
        "calling itself with large frames",
        '(module (func $f (export "f") (result i64) (local ' + "i64 " * 500 + ")"
        " (local.set 7 (call $f)) (i64.add (local.get 7) (local.get 499))))",
        Trap,
        code="stack-overflow",
    ),
    Case(
        "calling each other through a table",
        """(module (type $t (func)) (table 2 funcref) (elem (i32.const 0) $a $b)
         (func $a (export "f") (call_indirect (type $t) (i32.const 1))) (func $b (call_indirect (type $t) (i32.const 0))
         (call $a)))""",
        Trap,
        code="stack-overflow",
    ),
    Case(
        "when it starts",
        '(module (func $s (call $s)) (start $s) (func (export "f")))',
        Trap,
        code="stack-overflow",
    ),
    Case(
        "on a stack of 8 MiB",
        '(module (func $f (export "f") (call $f) (call $f)))',
        Trap,
        code="stack-overflow",
        limits=Limits(stack="8MiB", time=2),
    ),
)


@table(MEMORY)
async def test_memory(stage: Stage, case: Case) -> None:
    """Memory ends at the limit, and nothing outside of it is reached."""
    await stage.play(case)


@table(TABLES)
async def test_tables(stage: Stage, case: Case) -> None:
    """All tables of an instance together are bounded, and what is not in them is not called."""
    await stage.play(case)


@table(COUNTS)
async def test_counts(stage: Stage, case: Case) -> None:
    """A module that holds, or claims to hold, too much of anything is refused before the engine sees it."""
    await stage.play(case)


@table(COMPILER)
async def test_compiler(stage: Stage, case: Case) -> None:
    """What is made to be slow to compile costs the compiler's process, not this one."""
    await stage.play(case)


@table(STACK)
async def test_stack(stage: Stage, case: Case) -> None:
    """Recursion without end is a trap."""
    await stage.play(case)


async def test_tables_are_there_for_everybody(stage: Stage) -> None:
    """Guests with as many tables as a module may have, in every slot but two, leave a neighbour its own."""
    greedy = await stage.runtime.load(
        wat("(module " + "(table 1 funcref) " * 16 + '(func (export "f") (loop br 0)))'),
        limits=Limits(time=1),
    )
    modest = await stage.runtime.load(
        wat('(module (table 1 funcref) (func (export "f") (result i32) i32.const 7))')
    )
    async with stage.guarded():
        tasks = [asyncio.create_task(greedy.call("f")) for _ in range(14)]
        await asyncio.sleep(0.1)
        assert await modest.call("f") == 7
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    greedy.close()
    modest.close()


async def test_a_trap_in_a_huge_function(stage: Stage) -> None:
    """Finding out why a function of megabytes trapped does not hold the others up."""
    grow = b"\x41\x00\x40\x00\x1a"
    module = await stage.runtime.load(
        module_with_memory(b"\x01" * (4 << 20) + grow + b"\x00"), limits=Limits(time=5)
    )
    async with stage.guarded():
        for _ in range(5):
            with pytest.raises(Trap):
                await module.call("f")
    assert module._ready.info.growing == {0: False}
    module.close()


def module_with_memory(body: bytes) -> bytes:
    code = b"\0" + body + b"\x0b"
    return module(
        EMPTY_TYPE,
        section(3, b"\x01\0"),
        section(5, b"\x01\0\x01"),
        section(7, b"\x01\x01f\0\0"),
        section(10, b"\x01" + leb(len(code)) + code),
    )


async def test_names_of_functions_are_cut(stage: Stage) -> None:
    """A name of 90 kB in the guest's debug information does not end up in messages."""
    guest = await stage.runtime.load(named(90_000), limits=TIGHT)
    async with stage.guarded():
        with pytest.raises(Trap) as caught:
            await guest.call("f")
    assert caught.value.frames[0].function.startswith("xxx")
    assert len(str(caught.value)) < 1000
    assert all(len(frame.function) <= 256 for frame in caught.value.frames)
    guest.close()


async def test_instances_without_end(stage: Stage) -> None:
    """More kept instances than there are slots: the last one waits and is not refused at random."""
    guest = await stage.runtime.load(wat('(module (memory 16) (func (export "f")))'))
    lives = [guest.instance() for _ in range(15)]
    for live in lives:
        await live.__aenter__()
    async with guest.instance() as last:
        await last.call("f")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(guest.instance().__aenter__(), 0.05)
    for live in lives:
        live.close()
    async with stage.guarded():
        await guest.call("f")
    with pytest.raises(GuestError, match="closed"):
        await lives[0].call("f")
    guest.close()


async def test_typed_bombs(stage: Stage) -> None:
    """A guest asked for a gigabyte of text runs out of its own memory, or of its output."""
    text = """(module (memory (export "memory") 1)
      (func (export "__new") (param i32 i32) (result i32)
        (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)) (i32.const 64))
      (func (export "__pin") (param i32) (result i32) (local.get 0)) (func (export "f") (param i32)))"""
    wasm = signed(text, {"name": "f", "params": [{"type": "str", "wire": {"kind": "string", "id": 2}}]})
    await stage.play(Case("a long argument", lambda: wasm, MemoryExceeded, args=("x" * 100_000,)))


async def test_locks_of_slow_compilations(code_directory: Path) -> None:
    """Modules that compile slowly and wait for one lock hold no thread: what is compiled already still loads."""
    slow = slow_to_compile()
    same = [binary.add_custom_section(slow, "n", bytes([number])) for number in range(12)]
    ready = wat('(module (func (export "f") (result i32) (i32.const 7)))')
    async with Stage.open(code_directory, compile_time=2.0) as stage:
        (await stage.runtime.load(ready)).close()
        cache = CodeCache(code_directory)
        async with contextlib.AsyncExitStack() as others:  # as another process that compiles the same modules
            for wasm in same:
                digest = "sha256:" + hashlib.sha256(wasm).hexdigest()
                await others.enter_async_context(cache.lock(digest))
            tasks = [asyncio.create_task(stage.runtime.load(wasm)) for wasm in same]
            await asyncio.sleep(0.05)
            async with asyncio.timeout(10):
                assert await asyncio.to_thread(lambda: 7) == 7
                module = await stage.runtime.load(ready)
                assert await module.call("f") == 7
            module.close()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
