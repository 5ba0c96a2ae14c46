"""Guests that turn on their host: floods of output, sleeps past the deadline, tricks at the start and on the stack."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hostile_puppet import WASI, Puppet
from hostile_stage import TIGHT, Case, Stage, table, wat

from echelon.errors import (
    DeadlineExceeded,
    GuestError,
    GuestExit,
    HostCallsExceeded,
    HostError,
    InvalidModule,
    MemoryExceeded,
    OutputExceeded,
    Trap,
)
from echelon.runtime.binary import Import
from echelon.runtime.host import Call, HostFunction
from echelon.runtime.limits import Limits
from echelon.runtime.wasi_abi import SUBSCRIPTION, Errno

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'
EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
RAISE = '(import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))'
LOG = '(import "echelon" "log" (func $log (param i32 i32 i32)))'
CONSOLE = '(import "env" "console.log" (func $console (param i32)))'
TRACE = '(import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))'
TIME = '(import "env" "console.time" (func $time (param i32))) (import "env" "console.timeLog" (func $lap (param i32)))'
ABORT = '(import "env" "abort" (func $abort (param i32 i32 i32 i32)))'
POLL = '(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))'
MEMORY = '(memory (export "memory") 16)'
ONE_IOVEC = '(data (i32.const 0) "\\40\\00\\00\\00\\00\\10\\00\\00")'
"""4096 bytes at 64."""


def guest(imports: str, body: str, more: str = "") -> str:
    return f'(module {imports} {MEMORY} {more} (func (export "f") {body}))'


def start(imports: str, body: str, more: str = "") -> str:
    return f'(module {imports} {MEMORY} {more} (func $s {body}) (start $s) (func (export "f")))'


def forever(call: str) -> str:
    return f"(loop {call} (br 0))"


def clock(timeout: int, *, identity: int = 1, flags: int = 0, count: int = 1) -> str:
    """Return a guest that waits for a clock."""
    record = SUBSCRIPTION.pack(7, 0, identity, timeout, 0, flags) * count
    data = "".join(f"\\{byte:02x}" for byte in record)
    return guest(
        POLL,
        f"(drop (call $poll (i32.const 0) (i32.const 65536) (i32.const {count}) (i32.const 64000))) unreachable",
        f'(data (i32.const 0) "{data}")',
    )


FLOODS = (
    Case(
        "standard output",
        guest(
            WRITE,
            forever("(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))"),
            ONE_IOVEC,
        ),
        OutputExceeded,
        "65536",
    ),
    Case(
        "standard error",
        guest(
            WRITE,
            forever("(drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 32)))"),
            ONE_IOVEC,
        ),
        OutputExceeded,
    ),
    Case(
        "both in turn",
        guest(
            WRITE,
            forever(
                "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))"
                "(drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 32)))"
            ),
            ONE_IOVEC,
        ),
        OutputExceeded,
    ),
    Case(
        "a megabyte at once",
        guest(
            WRITE,
            "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))",
            '(data (i32.const 0) "\\00\\00\\00\\00\\00\\00\\10\\00")',
        ),
        OutputExceeded,
    ),
    Case(
        "a thousand buffers that are the same",
        guest(
            WRITE,
            """(local i32) (loop
        (i32.store (i32.mul (local.get 0) (i32.const 8)) (i32.const 0))
        (i32.store offset=4 (i32.mul (local.get 0) (i32.const 8)) (i32.const 1048576))
        (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 0) (i32.const 1024))))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 65536)))""",
        ),
        OutputExceeded,
    ),
    Case(
        "nothing, again and again",
        guest(
            WRITE, forever("(drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 32)))")
        ),
        HostCallsExceeded,
    ),
    Case(
        "log entries",
        guest(LOG, forever("(call $log (i32.const 1) (i32.const 0) (i32.const 4096))")),
        OutputExceeded,
    ),
    Case(
        "empty log entries",
        guest(LOG, forever("(call $log (i32.const 1) (i32.const 0) (i32.const 0))")),
        OutputExceeded,
        limits=Limits(output="4KiB", time=1),
    ),
    Case(
        "a log entry of 4 GiB",
        guest(LOG, "(call $log (i32.const 1) (i32.const 0) (i32.const -1))"),
        GuestError,
        "at most 65536",
    ),
    Case(
        "a log level",
        guest(LOG, "(call $log (i32.const -1) (i32.const 0) (i32.const 0))"),
        GuestError,
        "levels are",
    ),
    Case(
        "the console",
        guest(CONSOLE, forever("(call $console (i32.const 8))"), '(data (i32.const 4) "\\00\\20\\00\\00")'),
        OutputExceeded,
    ),
    Case(
        "a console text of 4 GiB",
        guest(CONSOLE, "(call $console (i32.const 8))", '(data (i32.const 4) "\\ff\\ff\\ff\\ff")'),
        None,
    ),
    Case(
        "traces",
        guest(
            TRACE,
            forever(
                "(call $trace (i32.const 0) (i32.const -1) (f64.const nan) (f64.const inf) (f64.const 0)"
                " (f64.const 1e308) (f64.const -0))"
            ),
        ),
        OutputExceeded,
        limits=Limits(output="4KiB", time=1),
    ),
    Case(
        "timers",
        guest(
            TIME,
            """(local i32) (loop
        (i32.store (i32.const 4) (i32.const 4)) (i32.store (i32.const 8) (local.get 0))
        (call $time (i32.const 8)) (call $lap (i32.const 8))
        (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br 0))""",
        ),
        (HostCallsExceeded, OutputExceeded),
    ),
    Case(
        "a last word of 4 GiB",
        guest(
            ABORT,
            """(call $abort (i32.const 8) (i32.const 8) (i32.const -1) (i32.const -1))""",
            '(data (i32.const 4) "\\ff\\ff\\ff\\ff")',
        ),
        Trap,
        code="abort",
    ),
    Case(
        "a flood at the start",
        start(
            WRITE,
            forever("(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))"),
            ONE_IOVEC,
        ),
        OutputExceeded,
    ),
)

STARTS = (
    Case(
        "growing",
        start(
            "", "(loop (if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable)) (br 0))"
        ),
        MemoryExceeded,
    ),
    Case("trapping", start("", "unreachable"), Trap, code="unreachable"),
    Case(
        "dividing by zero",
        start("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
        Trap,
        code="integer-division-by-zero",
    ),
    Case("leaving with a status", start(EXIT, "(call $exit (i32.const 3))"), GuestExit),
    Case("leaving with a huge status", start(EXIT, "(call $exit (i32.const -1))"), GuestExit),
    Case("leaving by a signal", start(RAISE, "(drop (call $raise (i32.const 9)))"), GuestExit),
    Case(
        "leaving when initialised",
        f"""(module {EXIT} {MEMORY}
         (func (export "_initialize") (call $exit (i32.const 9)))
         (func (export "f")))""",
        GuestExit,
        "status 9",
    ),
    Case(
        "sleeping",
        start(
            POLL,
            """(i64.store offset=24 (i32.const 0) (i64.const 9000000000000))
         (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))""",
        ),
        DeadlineExceeded,
    ),
    Case(
        "a start function with parameters",
        lambda: b"\0asm\1\0\0\0\1\5\1\x60\1\x7f\0\3\2\1\0\x08\1\0\x0a\4\1\2\0\x0b",
        InvalidModule,
    ),
    Case(
        "a start function that is not there",
        lambda: b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x08\1\x63\x0a\4\1\2\0\x0b",
        InvalidModule,
    ),
    Case("a start function out of range", lambda: b"\0asm\1\0\0\0\x08\5\xff\xff\xff\xff\x0f", InvalidModule),
    Case(
        "two start functions",
        lambda: b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x08\1\0\x08\1\0\x0a\4\1\2\0\x0b",
        InvalidModule,
    ),
)

SLEEPS = (
    *(
        Case(f"{timeout} ns on clock {identity}", clock(timeout, identity=identity), DeadlineExceeded)
        for timeout in (10**12, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
        for identity in (0, 1)
    ),
    *(
        Case(
            f"until {timeout} ns on clock {identity}",
            clock(timeout, identity=identity, flags=1),
            DeadlineExceeded,
        )
        for timeout in (1 << 62, (1 << 64) - 1)
        for identity in (0, 1)
    ),
    Case("256 clocks", clock(10**12, count=256), DeadlineExceeded),
    Case("until the past", clock(1, flags=1), Trap, code="unreachable"),
    Case("no time at all", clock(0), Trap, code="unreachable"),
    Case("a clock that does not exist", clock(10**12, identity=99), Trap, code="unreachable"),
    Case("257 clocks", clock(10**12, count=257), Trap, code="unreachable"),
    Case(
        "a millisecond again and again",
        guest(
            POLL,
            """(i64.store offset=24 (i32.const 0) (i64.const 1000000))
         (loop (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512))) (br 0))""",
        ),
        (DeadlineExceeded, HostCallsExceeded),
    ),
    Case(
        "a nanosecond again and again",
        guest(
            POLL,
            """(i64.store offset=24 (i32.const 0) (i64.const 1))
         (loop (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512))) (br 0))""",
        ),
        (DeadlineExceeded, HostCallsExceeded),
    ),
)


@table(FLOODS)
async def test_floods(stage: Stage, case: Case) -> None:
    """Output, logs and last words share one bound."""
    await stage.play(case)


@table(STARTS)
async def test_starts(stage: Stage, case: Case) -> None:
    """What a module does when it starts is bounded like a call, and never happens while it is loaded."""
    async with stage.guarded():
        if case.error is not InvalidModule:
            loaded = await stage.runtime.load(case.wasm())
            loaded.close()
    await stage.play(case)


async def test_a_start_function_reaches_its_host(stage: Stage) -> None:
    """What a start function writes and reads through its host is its own memory, and part of the call."""
    write = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))"
    data = '(data (i32.const 0) "\\40\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 64) "hello")'
    async with stage.guarded():
        module = await stage.runtime.load(wat(start(WRITE, write, data)))
        for _ in range(3):
            assert (await module.run("f")).stdout == b"hello"
        async with module.instance() as live:
            assert live.memory.read_u32(32) == 5
        module.close()


@table(SLEEPS)
async def test_sleeps(stage: Stage, case: Case) -> None:
    """A sleep never outlasts the deadline, however its end is written."""
    await stage.play(case)


async def test_sleeping_in_every_slot(stage: Stage) -> None:
    """Guests that sleep for hours in all slots but one hold no thread, and are all cut off."""
    async with stage.guarded():
        module = await stage.runtime.load(wat(clock(10**15)), limits=TIGHT)
        results = await asyncio.gather(*(module.call("f") for _ in range(30)), return_exceptions=True)
        module.close()
    assert [type(result) for result in results] == [DeadlineExceeded] * 30


async def test_wild_subscriptions(stage: Stage) -> None:
    """Subscriptions of any content are answered, or cut off at the deadline."""
    poll = next(function for function in WASI if function.name == "poll_oneoff")
    async with stage.guarded():
        for raw in (b"\xff" * 48, b"\x00" * 48, b"\x01" * 48, bytes(range(48)), struct.pack("<QB39x", 1, 3)):
            async with Puppet.on(stage) as puppet:
                pointer = puppet.put(raw * 4)
                try:
                    answer = await puppet.call(poll, pointer, 40_000, 4, 60_000)
                except DeadlineExceeded:
                    continue
                assert answer in (0, Errno.INVAL)


# The stack ----------------------------------------------------------------------------------------------


class Recursing:
    """Host functions that use as much of their stack as Python lets them."""

    def __init__(self) -> None:
        functions = {
            "sort": lambda _call: self.sort(0),
            "show": lambda _call: repr(Endless()),
            "parse": lambda _call: json.loads("[" * 100_000),
            "nothing": lambda _call: None,
        }
        self.functions = {name: HostFunction("deep", name, (), (), f) for name, f in functions.items()}
        self.functions["wait"] = HostFunction("deep", "wait", (), (), self.wait, suspends=True)

    def sort(self, level: int) -> list[int]:
        return sorted([level], key=lambda item: len(self.sort(item + 1)))

    async def wait(self, _call: Call) -> None:
        await asyncio.sleep(0)
        self.sort(0)

    def find(self, wanted: Import) -> HostFunction | None:
        return self.functions.get(wanted.name) if wanted.module == "deep" else None

    def modules(self) -> Sequence[str]:
        return ("deep",)


class Endless:
    def __repr__(self) -> str:
        return f"<{Endless()!r}>"


def descend(name: str) -> str:
    """Return a guest that calls the host from any depth: once at the bottom, or at every level."""
    return f"""(module (import "deep" "{name}" (func $host))
      (func $down (export "bottom") (param i32) (local i64 i64 i64 i64) (if (local.get 0)
        (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (call $host))))
      (func $each (export "each") (param i32) (call $host) (if (local.get 0)
        (then (call $each (i32.sub (local.get 0) (i32.const 1)))))))"""


@pytest.mark.parametrize("name", ["sort", "show", "parse", "wait"])
@pytest.mark.parametrize("depth", [0, 1000, 8000])
async def test_a_host_function_at_the_end_of_the_stack(stage: Stage, name: str, depth: int) -> None:
    """A host function that recurses without end, called by a guest that has used up its own stack, is a HostError."""
    deep: Any = Recursing()
    stage.runtime.providers.append(deep)
    try:
        case = Case(name, descend(name), HostError, "RecursionError", function="bottom", args=(depth,))
        await stage.play(case)
    finally:
        stage.runtime.providers.remove(deep)


async def test_calls_of_the_host_at_every_level(stage: Stage) -> None:
    """Calls of the host from all the way down are counted, and the stack still ends where it should."""
    deep: Any = Recursing()
    stage.runtime.providers.append(deep)
    try:
        await stage.play(
            Case("counted", descend("nothing"), HostCallsExceeded, function="each", args=(100_000,))
        )
        patient = Limits(host_calls=10_000_000, time=5)
        await stage.play(
            Case(
                "overflow",
                descend("nothing"),
                Trap,
                code="stack-overflow",
                function="each",
                args=(10_000_000,),
                limits=patient,
            )
        )
    finally:
        stage.runtime.providers.remove(deep)
