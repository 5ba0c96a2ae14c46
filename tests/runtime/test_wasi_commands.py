"""WASI commands as real modules: arguments, variables, streams, files, exit codes, sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from echelon.errors import DeadlineExceeded, GuestExit, LoadError, OutputExceeded, PermissionDenied
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

Wat = Callable[[str], bytes]

TYPES = {
    "args_sizes_get": "(param i32 i32) (result i32)",
    "args_get": "(param i32 i32) (result i32)",
    "environ_sizes_get": "(param i32 i32) (result i32)",
    "environ_get": "(param i32 i32) (result i32)",
    "fd_write": "(param i32 i32 i32 i32) (result i32)",
    "fd_read": "(param i32 i32 i32 i32) (result i32)",
    "path_open": "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
    "poll_oneoff": "(param i32 i32 i32 i32) (result i32)",
    "proc_exit": "(param i32)",
}


def command(body: str, *imports: str, data: str = "") -> str:
    """Return a WASI command; memory below 1024 is scratch, `data` is put at 1024."""
    lines = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {TYPES[name]}))' for name in imports
    )
    memory = f'(memory (export "memory") 2) (data (i32.const 1024) "{data}")'
    return f'(module {lines} {memory} (func (export "_start") {body}))'


PRINT = """(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 5))
  (drop (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))"""

ECHO = """(i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.const 4096))
  (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
  (i32.store (i32.const 4) (i32.load (i32.const 8)))
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"""

LIST = """(drop (call ${what}_sizes_get (i32.const 0) (i32.const 4)))
  (drop (call ${what}_get (i32.const 16) (i32.const 2048)))
  (i32.store (i32.const 8) (i32.const 2048)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
  (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))"""


def cat(path: str) -> str:
    """Return a command that prints up to 64 bytes of a file, or exits with the error number."""
    body = f"""(local $e i32)
      (local.set $e (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const {len(path.encode())})
        (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 8)))
      (if (local.get $e) (then (call $proc_exit (local.get $e))))
      (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.const 64))
      (drop (call $fd_read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
      (i32.store (i32.const 4) (i32.load (i32.const 12)))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))"""
    return command(body, "path_open", "fd_read", "fd_write", "proc_exit", data=path)


async def test_output_and_success(runtime: Runtime, wat: Wat) -> None:
    """What a command prints is in its outcome; an exit with zero, or none, is success."""
    for ending in ("", "(call $proc_exit (i32.const 0))"):
        body = PRINT.format(fd=1) + PRINT.format(fd=2) + ending
        module = await runtime.load(wat(command(body, "fd_write", "proc_exit", data="hello")))
        outcome = await module.run()
        assert (outcome.value, outcome.stdout, outcome.stderr) == (None, b"hello", b"hello")
        assert outcome.cost.host_calls == (3 if ending else 2)


async def test_exit_code(runtime: Runtime, wat: Wat) -> None:
    """An exit code other than zero is GuestExit, with what was printed before."""
    body = PRINT.format(fd=1) + "(call $proc_exit (i32.const 7))"
    module = await runtime.load(wat(command(body, "fd_write", "proc_exit", data="hello")))
    with pytest.raises(GuestExit, match="7") as caught:
        await module.run()
    assert caught.value.code == 7
    assert caught.value.outcome is not None
    assert caught.value.outcome.stdout == b"hello"


async def test_an_exit_inside_a_call(runtime: Runtime, wat: Wat) -> None:
    """A function that ends its guest has no value to return, whatever the exit code."""
    source = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "f") (result i32) (call $exit (i32.const 0)) (i32.const 1)))"""
    module = await runtime.load(wat(source))
    with pytest.raises(GuestExit) as caught:
        await module.call("f")
    assert caught.value.code == 0


async def test_stdin(runtime: Runtime, wat: Wat) -> None:
    """A command reads what it is given, and no more."""
    module = await runtime.load(wat(command(ECHO, "fd_read", "fd_write")))
    assert (await module.run(stdin="grüße".encode())).stdout == "grüße".encode()
    assert (await module.run()).stdout == b""


LINES = """(local $n i32)
  (loop $more
    (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $n (i32.load (i32.const 8)))
    (if (local.get $n) (then
      (i32.store (i32.const 4) (local.get $n))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $more))))"""


async def test_streams(runtime: Runtime, wat: Wat) -> None:
    """A command reads what arrives while it runs, and what it prints is told as it comes."""
    module = await runtime.load(wat(command(LINES, "fd_read", "fd_write")))
    heard: list[tuple[str, bytes]] = []
    answered = asyncio.Event()

    def hear(stream: str, data: bytes) -> None:
        heard.append((stream, data))
        answered.set()

    async def talk() -> AsyncIterator[bytes]:
        for word in (b"one", b"", b"two", b"three"):
            yield word
            if word:
                await answered.wait()
                answered.clear()

    outcome = await module.run(stdin=talk(), on_output=hear)
    assert heard == [("stdout", b"one"), ("stdout", b"two"), ("stdout", b"three")]
    assert outcome.stdout == b""
    assert outcome.cost.host_calls == 7
    collected = await module.run(stdin=talk_quickly())
    assert collected.stdout == b"abc"


async def talk_quickly() -> AsyncIterator[bytes]:
    for word in (b"a", b"b", b"c"):
        yield word


async def talk_never() -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b""


async def test_a_silent_stream(runtime: Runtime, wat: Wat) -> None:
    """A guest that waits for input that does not come is cut at its deadline, on no thread."""
    module = await runtime.load(wat(command(LINES, "fd_read", "fd_write")), limits=Limits(time=0.1))
    results = await asyncio.gather(
        *(module.run(stdin=talk_never()) for _ in range(12)), return_exceptions=True
    )
    assert all(isinstance(result, DeadlineExceeded) for result in results)


async def test_polling_a_stream(runtime: Runtime, wat: Wat) -> None:
    """A guest that polls standard input and a clock wakes for whichever is first."""
    poll = """(i32.store8 (i32.const 72) (i32.const 1))
      (i64.store (i32.const 112) (i64.const 7)) (i32.store (i32.const 128) (i32.const 1))
      (i64.store (i32.const 136) (i64.const 50000000))
      (drop (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 2) (i32.const 512)))
      (call $proc_exit (i32.load8_u (i32.const 266)))"""
    module = await runtime.load(wat(command(poll, "poll_oneoff", "proc_exit")))
    with pytest.raises(GuestExit) as caught:
        await module.run(stdin=talk_quickly())
    assert caught.value.code == 1  # the event is of a descriptor
    outcome = await module.run(stdin=talk_never())
    assert outcome.cost.wall >= 0.05  # the event is of the clock, type 0


async def test_arguments(runtime: Runtime, wat: Wat) -> None:
    """A command sees its arguments."""
    module = await runtime.load(
        wat(command(LIST.format(what="args"), "args_sizes_get", "args_get", "fd_write"))
    )
    assert (await module.run(args=["prog", "ä b"])).stdout == "prog\0ä b\0".encode()


async def test_environment(runtime: Runtime, wat: Wat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that asks for variables is denied unless some are granted or given; then it sees those and a locale."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SECRET", "s3cret")
    wasm = wat(command(LIST.format(what="environ"), "environ_sizes_get", "environ_get", "fd_write"))
    with pytest.raises(PermissionDenied, match="--allow-env"):
        await (await runtime.load(wasm)).run()
    granted = await runtime.load(wasm, permissions=Permissions(env=["TZ"]))
    assert (await granted.run()).stdout == b"LANG=C.UTF-8\0TZ=Asia/Tokyo\0"
    assert (await (await runtime.load(wasm)).run(env={"A": "1"})).stdout == b"LANG=C.UTF-8\0TZ=UTC\0A=1\0"


async def test_reading_files(runtime: Runtime, wat: Wat, tmp_path: Path) -> None:
    """A file is read where that is granted, and denied with the grant to add where not."""
    (tmp_path / "in.txt").write_text("content")
    wasm = wat(cat(str(tmp_path / "in.txt")))
    with pytest.raises(PermissionDenied) as caught:
        await (await runtime.load(wasm)).run()
    assert caught.value.permission == "read"
    assert caught.value.grant == f"--allow-read={tmp_path / 'in.txt'}"
    granted = await runtime.load(wat(cat("in.txt")), permissions=Permissions(read=[tmp_path]))
    assert (await granted.run()).stdout == b"content"
    missing = await runtime.load(wat(cat("missing")), permissions=Permissions(read=[tmp_path]))
    with pytest.raises(GuestExit) as gone:
        await missing.run()
    assert gone.value.code == 44  # ENOENT


async def test_no_way_out_of_a_directory(runtime: Runtime, wat: Wat, tmp_path: Path) -> None:
    """Neither `..` nor a link leads out of what was granted."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("secret")
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "up").symlink_to("..")
    for path in ("../secret", "link", "up/secret", "./x/../../secret"):
        module = await runtime.load(wat(cat(path)), permissions=Permissions(read=[inside]))
        with pytest.raises((GuestExit, PermissionDenied)) as caught:
            await module.run()
        assert b"secret" not in (caught.value.outcome.stdout if caught.value.outcome else b"")


async def test_sleeping_past_the_deadline(runtime: Runtime, wat: Wat) -> None:
    """A guest that sleeps an hour is cut at its limit, on no thread; a short sleep returns."""
    sleep = """(i64.store (i32.const 24) (i64.const {ns})) (i32.store (i32.const 16) (i32.const 1))
      (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"""
    hour = await runtime.load(wat(command(sleep.format(ns=3_600_000_000_000), "poll_oneoff")))
    began = time.perf_counter()
    results = await asyncio.gather(
        *(hour.run(limits=Limits(time=0.1)) for _ in range(12)), return_exceptions=True
    )
    assert all(isinstance(result, DeadlineExceeded) for result in results)
    assert time.perf_counter() - began < 5
    short = await runtime.load(wat(command(sleep.format(ns=10_000_000), "poll_oneoff")))
    outcome = await short.run()
    assert outcome.cost.wall >= 0.01 > outcome.cost.cpu


async def test_a_flood_of_output(runtime: Runtime, wat: Wat) -> None:
    """Endless output is stopped at the limit."""
    body = "(loop " + PRINT.format(fd=1) + " (br 0))"
    module = await runtime.load(wat(command(body, "fd_write", data="hello")))
    with pytest.raises(OutputExceeded):
        await module.run(limits=Limits(output=10_000))


async def test_a_module_that_is_no_command(runtime: Runtime, wat: Wat) -> None:
    """Running a module without `_start` says so."""
    module = await runtime.load(wat('(module (func (export "f")))'))
    with pytest.raises(LoadError, match="not a WASI command"):
        await module.run()


async def test_a_reactor_is_initialised(runtime: Runtime, wat: Wat) -> None:
    """`_initialize` runs before the first call of each instance."""
    module = await runtime.load(
        wat(
            """(module (global $n (mut i32) (i32.const 0))
              (func (export "_initialize") (global.set $n (i32.const 5)))
              (func (export "get") (result i32) (global.get $n)))"""
        )
    )
    assert await module.call("get") == 5
    async with module.instance() as live:
        assert await live.call("get") == 5
