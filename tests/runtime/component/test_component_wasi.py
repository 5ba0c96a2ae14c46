"""WASI 0.2: commands that print, read, wait and exit, and the file system behind the permissions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import (
    ComponentError,
    DeadlineExceeded,
    GuestError,
    GuestExit,
    OutputExceeded,
    PermissionDenied,
)
from echelon.runtime.clock import VirtualClock
from echelon.runtime.component import Err, Ok, Variant
from echelon.runtime.component.wasi.provider import Wasi02
from echelon.runtime.core import Runtime
from echelon.runtime.environment import Environment
from echelon.runtime.host import Call
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions
from echelon.runtime.streams import Input

Wat = Callable[[str], bytes]

COMMAND = """(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error-outer)) (export "error" (type $error' (eq $error-outer)))
    (type $failure' (variant (case "last-operation-failed" (own $error')) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $failure)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $failure)))))))
  (alias export $streams "input-stream" (type $in))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $in (type $in-outer)) (export "input-stream" (type $in' (eq $in-outer)))
    (export "get-stdin" (func (result (own $in'))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out (type $out-outer)) (export "output-stream" (type $out' (eq $out-outer)))
    (export "get-stdout" (func (result (own $out'))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable-outer)) (export "pollable" (type $pollable' (eq $pollable-outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "connect" (func))))
  (core module $memory (memory (export "memory") 4) (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $mem (instantiate $memory))
  (core func $get-stdin (canon lower (func $stdin "get-stdin")))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $sleep (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $connect (canon lower (func $tcp "connect")))
  (core module $m
    (import "w" "memory" (memory 4))
    (import "w" "get-stdin" (func $get-stdin (result i32)))
    (import "w" "get-stdout" (func $get-stdout (result i32)))
    (import "w" "read" (func $read (param i32 i64 i32)))
    (import "w" "write" (func $write (param i32 i32 i32 i32)))
    (import "w" "exit" (func $exit (param i32)))
    (import "w" "sleep" (func $sleep (param i64) (result i32)))
    (import "w" "block" (func $block (param i32)))
    (import "w" "connect" (func $connect))
    (data (i32.const 256) "hello\\n")
    (func (export "run") (result i32) (local $in i32) (local $out i32)
      (local.set $in (call $get-stdin)) (local.set $out (call $get-stdout))
      (call $write (local.get $out) (i32.const 256) (i32.const 6) (i32.const 64))
      (block $end (loop $more
        (call $read (local.get $in) (i64.const 4096) (i32.const 16))
        (br_if $end (i32.load8_u (i32.const 16)))
        (call $write (local.get $out) (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 64))
        (br $more)))
      (i32.const 0))
    (func (export "flood") (local $out i32) (local.set $out (call $get-stdout))
      (loop $l (call $write (local.get $out) (i32.const 256) (i32.const 4096) (i32.const 64)) (br $l)))
    (func (export "leave") (param i32) (call $exit (local.get 0)))
    (func (export "nap") (param i64) (call $block (call $sleep (local.get 0))))
    (func (export "connect") (call $connect)))
  (core instance $i (instantiate $m (with "w" (instance
    (export "memory" (memory $mem "memory")) (export "get-stdin" (func $get-stdin))
    (export "get-stdout" (func $get-stdout)) (export "read" (func $read)) (export "write" (func $write))
    (export "exit" (func $exit)) (export "sleep" (func $sleep)) (export "block" (func $block))
    (export "connect" (func $connect))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command))
  (func (export "flood") (canon lift (core func $i "flood")))
  (func (export "leave") (param "status" u32) (canon lift (core func $i "leave")))
  (func (export "nap") (param "nanoseconds" u64) (canon lift (core func $i "nap")))
  (func (export "connect") (canon lift (core func $i "connect"))))"""


async def test_command(runtime: Runtime, wat: Wat) -> None:
    """A command runs with standard input and output captured."""
    module = await runtime.load(wat(COMMAND))
    outcome = await module.run(stdin=b"some text" * 1000)
    assert outcome.stdout == b"hello\n" + b"some text" * 1000
    assert outcome.value is None


async def test_streamed_input(runtime: Runtime, wat: Wat) -> None:
    """A command waits for input that comes while it runs; the event loop goes on."""

    async def source() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            await asyncio.sleep(0.01)
            yield part

    module = await runtime.load(wat(COMMAND))
    outcome = await module.run(stdin=source())
    assert outcome.stdout == b"hello\none two three"


async def test_input_that_never_comes(runtime: Runtime, wat: Wat) -> None:
    """A read that waits for ever ends at the deadline."""

    async def silence() -> AsyncIterator[bytes]:
        await asyncio.sleep(3600)
        yield b""

    module = await runtime.load(wat(COMMAND))
    with pytest.raises(DeadlineExceeded):
        await module.run(stdin=silence(), limits=Limits(time=0.1))


async def test_output_is_bounded(runtime: Runtime, wat: Wat) -> None:
    """Output stops at its limit, and what was written until then is there."""
    module = await runtime.load(wat(COMMAND))
    with pytest.raises(OutputExceeded) as caught:
        await module.run("flood", limits=Limits(output=10_000))
    assert caught.value.outcome is not None
    assert len(caught.value.outcome.stdout) == 8192


async def test_exit(runtime: Runtime, wat: Wat) -> None:
    """A good exit is success, a bad one GuestExit with its status."""
    module = await runtime.load(wat(COMMAND))
    await module.run("leave", 0)
    with pytest.raises(GuestExit) as caught:
        await module.run("leave", 1)
    assert caught.value.code == 1


async def test_sleep(runtime: Runtime, wat: Wat) -> None:
    """A sleeping guest is on no thread: a dozen sleep at once; a long sleep ends at the deadline."""
    module = await runtime.load(wat(COMMAND))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(module.call("nap", 100_000_000) for _ in range(12)))
    assert loop.time() - began < 1.0
    with pytest.raises(DeadlineExceeded):
        await module.call("nap", 3600 * 10**9, limits=Limits(time=0.1))


async def test_sleep_with_a_seed(runtime: Runtime, wat: Wat) -> None:
    """In a deterministic call an hour's sleep takes no time."""
    module = await runtime.load(wat(COMMAND))
    await module.call("nap", 3600 * 10**9, seed=1)


async def test_sockets_are_refused(runtime: Runtime, wat: Wat) -> None:
    """A program that could open sockets loads; using one is denied."""
    module = await runtime.load(wat(COMMAND))
    with pytest.raises(PermissionDenied, match="net to"):
        await module.call("connect")


# --- every function, called as a guest would ---


class Guest:
    """Calls the functions of WASI for a call with these permissions."""

    def __init__(self, permissions: Permissions, stdin: bytes = b"", **environment: Any) -> None:
        built = Environment.build(permissions, **environment)
        self.call = Call(Limits(), permissions, built, stdin=Input(stdin))
        self._wasi = Wasi02(file_size=1 << 20)

    def __call__(self, interface: str, name: str, *values: Any) -> Any:
        found = self._wasi.find(f"wasi:{interface}@0.2.3", name)
        assert found is not None, name
        return found.function(self.call, *values)

    def on(self, resource: str, item: Any, method: str, *values: Any) -> Any:
        interface = "filesystem/types" if "d" in resource[:1] else "io/streams"
        return self(interface, f"[method]{resource}.{method}", item, *values)

    def file(self, item: Any, method: str, *values: Any) -> Any:
        return self.on("descriptor", item, method, *values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "way-out").symlink_to(tmp_path / "secret")
    return root


@pytest.fixture
def writer(folder: Path) -> Iterator[Guest]:
    guest = Guest(Permissions(read=[folder], write=[folder]))
    yield guest
    guest.call.close()


@pytest.fixture
def reader(folder: Path) -> Iterator[Guest]:
    guest = Guest(Permissions(read=[folder]))
    yield guest
    guest.call.close()


def top(guest: Guest, folder: Path) -> Any:
    """Return the descriptor of the granted directory."""
    found = {name: item for item, name in guest("filesystem/preopens", "get-directories")}
    return found[str(folder)]


def code(error: pytest.ExceptionInfo[ComponentError]) -> object:
    return error.value.payload


OPEN: set[str] = set()


def test_read_a_file(reader: Guest, folder: Path) -> None:
    """A granted file is opened, described and read, in pieces and as a stream."""
    file = reader.file(top(reader, folder), "open-at", OPEN, "a.txt", OPEN, {"read"})
    assert reader.file(file, "get-type") == "regular-file"
    assert reader.file(file, "get-flags") == {"read"}
    assert reader.file(file, "read", 4, 3) == (b"tent", False)
    assert reader.file(file, "read", 4, 100) == (b"", True)
    record = reader.file(file, "stat")
    assert (record["size"], record["type"]) == (7, "regular-file")
    stream = reader.file(file, "read-via-stream", 2)
    assert reader.on("input-stream", stream, "read", 3) == b"nte"
    assert reader.on("input-stream", stream, "skip", 100) == 2
    with pytest.raises(ComponentError) as caught:
        reader.on("input-stream", stream, "read", 1)
    assert code(caught) == Variant("closed")


def test_write_a_file(writer: Guest, folder: Path) -> None:
    """A granted file is made, written, appended to, cut, moved and removed."""
    at = top(writer, folder)
    file = writer.file(at, "open-at", OPEN, "new", {"create", "exclusive"}, {"read", "write"})
    assert writer.file(file, "write", b"0123456789", 0) == 10
    stream = writer.file(file, "write-via-stream", 2)
    writer.on("output-stream", stream, "write", b"AB")
    writer.on("output-stream", stream, "blocking-write-and-flush", b"CD")
    appending = writer.file(file, "append-via-stream")
    writer.on("output-stream", appending, "write-zeroes", 2)
    assert (folder / "new").read_bytes() == b"01ABCD6789\0\0"
    writer.file(file, "set-size", 3)
    writer.file(file, "sync")
    writer.file(at, "rename-at", "new", at, "sub/moved")
    assert (folder / "sub" / "moved").read_bytes() == b"01A"
    writer.file(at, "unlink-file-at", "sub/moved")
    writer.file(at, "create-directory-at", "made")
    writer.file(at, "remove-directory-at", "made")
    assert sorted(os.listdir(folder)) == ["a.txt", "sub", "way-out"]
    for item in (stream, appending, file):
        item.close()


def test_times_and_links(writer: Guest, folder: Path) -> None:
    """Times are set and told; links are made and read, inside of what is granted only."""
    at = top(writer, folder)
    stamp = Variant("timestamp", {"seconds": 1000, "nanoseconds": 5})
    writer.file(at, "set-times-at", OPEN, "a.txt", stamp, Variant("no-change"))
    record = writer.file(at, "stat-at", OPEN, "a.txt")
    assert record["data-access-timestamp"] == {"seconds": 1000, "nanoseconds": 5}
    writer.file(at, "symlink-at", "a.txt", "link")
    assert writer.file(at, "readlink-at", "link") == "a.txt"
    writer.file(at, "link-at", OPEN, "a.txt", at, "second")
    first, second = (writer.file(at, "open-at", OPEN, name, OPEN, {"read"}) for name in ("a.txt", "second"))
    assert writer("filesystem/types", "[method]descriptor.is-same-object", first, second)
    assert writer.file(first, "metadata-hash") == writer.file(at, "metadata-hash-at", OPEN, "second")
    with pytest.raises(ComponentError) as caught:
        writer.file(at, "symlink-at", "/etc/passwd", "bad")
    assert code(caught) == "not-permitted"


def test_directory(reader: Guest, folder: Path) -> None:
    """A directory lists what is in it."""
    at = top(reader, folder)
    entries = reader.file(at, "read-directory")
    found = {}
    while entry := reader("filesystem/types", "[method]directory-entry-stream.read-directory-entry", entries):
        found[entry["name"]] = entry["type"]
    assert found == {"a.txt": "regular-file", "sub": "directory", "way-out": "symbolic-link"}
    assert reader.file(at, "get-type") == "directory"
    assert reader.file(at, "get-flags") == {"read"}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("none", "no-entry"),
        ("../secret", "not-permitted"),
        ("sub/../../secret", "not-permitted"),
        ("way-out", "not-permitted"),
        ("a.txt/x", "not-directory"),
        ("x" * 300, "name-too-long"),
        ("x/" * 3000, "name-too-long"),
        ("", "no-entry"),
    ],
)
def test_no_way_out(reader: Guest, folder: Path, path: str, answer: str) -> None:
    """What leads out of a granted directory is not permitted; other mistakes have their code."""
    with pytest.raises(ComponentError) as caught:
        reader.file(top(reader, folder), "open-at", {"symlink-follow"}, path, OPEN, {"read"})
    assert code(caught) == answer


def test_read_only(reader: Guest, folder: Path) -> None:
    """What is granted for reading cannot be changed in any way; the denial says what would allow it."""
    at = top(reader, folder)
    attempts: list[tuple[Any, ...]] = [
        ("open-at", OPEN, "a.txt", OPEN, {"write"}),
        ("open-at", OPEN, "new", {"create"}, {"read"}),
        ("open-at", OPEN, "a.txt", {"truncate"}, {"read"}),
        ("unlink-file-at", "a.txt"),
        ("rename-at", "a.txt", at, "b"),
        ("create-directory-at", "b"),
        ("symlink-at", "a.txt", "b"),
        ("set-times-at", OPEN, "a.txt", Variant("now"), Variant("now")),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied, match="--allow-write"):
            reader.file(at, *attempt)
    assert (folder / "a.txt").read_bytes() == b"content"


def test_not_granted(folder: Path) -> None:
    """Without a grant there is "/" alone, and every path in it is denied."""
    guest = Guest(Permissions())
    ((root, name),) = guest("filesystem/preopens", "get-directories")
    assert name == "/"
    with pytest.raises(PermissionDenied, match="--allow-read"):
        guest.file(root, "open-at", OPEN, str(folder / "a.txt"), OPEN, {"read"})
    guest.call.close()


def test_file_size_is_bounded(writer: Guest, folder: Path) -> None:
    """A file cannot grow past the bound, by whatever way it is written."""
    file = writer.file(top(writer, folder), "open-at", OPEN, "big", {"create"}, {"write"})
    stream = writer.file(file, "write-via-stream", (1 << 20) - 1)
    with pytest.raises(ComponentError) as caught:
        writer.file(file, "write", b"ab", (1 << 20) - 1)
    assert code(caught) == "file-too-large"
    with pytest.raises(ComponentError) as caught:
        writer.file(file, "set-size", (1 << 20) + 1)
    assert code(caught) == "file-too-large"
    with pytest.raises(ComponentError) as caught:
        writer.on("output-stream", stream, "write", b"ab")
    failure = caught.value.payload
    assert isinstance(failure, Variant)
    assert failure.case == "last-operation-failed"
    assert writer("filesystem/types", "filesystem-error-code", failure.value) == "file-too-large"
    assert writer("io/error", "[method]error.to-debug-string", failure.value) == "file-too-large"
    stream.close()


def test_offsets(writer: Guest, folder: Path) -> None:
    """An offset that no file can have is invalid."""
    file = writer.file(top(writer, folder), "open-at", OPEN, "a.txt", OPEN, {"read", "write"})
    for attempt in (("read", 1, 1 << 63), ("read-via-stream", 1 << 63), ("write-via-stream", 1 << 63)):
        with pytest.raises(ComponentError) as caught:
            writer.file(file, *attempt)
        assert code(caught) == "invalid"


def test_descriptors_are_closed(writer: Guest, folder: Path) -> None:
    """Everything a guest opened is closed with its call."""
    before = len(os.listdir("/proc/self/fd"))
    at = top(writer, folder)
    opened = [writer.file(at, "open-at", OPEN, "a.txt", OPEN, {"read"}) for _ in range(50)]
    streams = [writer.file(file, "read-via-stream", 0) for file in opened]
    opened[0].close()
    with pytest.raises(ComponentError) as caught:
        writer.file(opened[0], "read", 1, 0)
    assert code(caught) == "bad-descriptor"
    for stream in streams:
        stream.close()
    writer.call.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_too_many_descriptors(writer: Guest, folder: Path) -> None:
    """A guest gets a few hundred descriptors, not all that the process has."""
    at, opened = top(writer, folder), []

    def open_many() -> None:
        for _ in range(300):
            opened.append(writer.file(at, "open-at", OPEN, "a.txt", OPEN, {"read"}))

    with pytest.raises(ComponentError) as caught:
        open_many()
    assert 200 < len(opened) < 256
    assert code(caught) == "insufficient-memory"


def test_environment() -> None:
    """Arguments and granted variables are told; without any grant, asking is denied."""
    guest = Guest(Permissions(), variables={"A": "1"}, args=("prog", "--fast"))
    assert guest("cli/environment", "get-environment") == [("LANG", "C.UTF-8"), ("TZ", "UTC"), ("A", "1")]
    assert guest("cli/environment", "get-arguments") == ["prog", "--fast"]
    assert guest("cli/environment", "initial-cwd") is None
    with pytest.raises(PermissionDenied, match="--allow-env"):
        Guest(Permissions())("cli/environment", "get-environment")


def test_terminals_are_none() -> None:
    """No standard stream is a terminal."""
    guest = Guest(Permissions())
    for name in ("stdin", "stdout", "stderr"):
        assert guest(f"cli/terminal-{name}", f"get-terminal-{name}") is None


def test_clocks_and_randomness() -> None:
    """With a seed and a virtual clock everything repeats; random bytes are bounded."""

    def look() -> list[Any]:
        guest = Guest(Permissions(), seed=7, clock=VirtualClock())
        return [
            guest("clocks/wall-clock", "now"),
            guest("clocks/monotonic-clock", "now"),
            guest("random/random", "get-random-bytes", 16),
            guest("random/random", "get-random-u64"),
            guest("random/insecure-seed", "insecure-seed"),
        ]

    assert look() == look()
    guest = Guest(Permissions())
    assert guest("clocks/wall-clock", "resolution") == {"seconds": 0, "nanoseconds": 1_000_000}
    assert len(guest("random/insecure", "get-insecure-random-bytes", 9)) == 9
    with pytest.raises(GuestError, match="random bytes"):
        guest("random/random", "get-random-bytes", 1 << 40)


async def test_poll() -> None:
    """Polling answers with all that is ready, or waits for the first; nothing and too much are refused."""
    guest = Guest(Permissions())
    soon, late = (
        guest("clocks/monotonic-clock", "subscribe-duration", ns) for ns in (20_000_000, 3600 * 10**9)
    )
    past = guest("clocks/monotonic-clock", "subscribe-instant", 0)
    assert await guest("io/poll", "poll", [late, past, soon]) == [1]
    assert await guest("io/poll", "poll", [late, soon]) == [1]
    assert guest("io/poll", "[method]pollable.ready", soon)
    assert not guest("io/poll", "[method]pollable.ready", late)
    for wrong in ([], [past] * 300):
        with pytest.raises(GuestError, match="waits for"):
            await guest("io/poll", "poll", wrong)


async def test_standard_input() -> None:
    """Standard input is read to its end, and can be waited for."""
    guest = Guest(Permissions(), stdin=b"abc")
    stream = guest("cli/stdin", "get-stdin")
    assert guest.on("input-stream", stream, "read", 2) == b"ab"
    assert await guest("io/poll", "poll", [guest.on("input-stream", stream, "subscribe")]) == [0]
    assert await guest.on("input-stream", stream, "blocking-read", 10) == b"c"
    with pytest.raises(ComponentError) as caught:
        await guest.on("input-stream", stream, "blocking-read", 10)
    assert code(caught) == Variant("closed")
    assert guest.on("input-stream", stream, "read", 0) == b""


async def test_splice() -> None:
    """What comes in is passed on."""
    guest = Guest(Permissions(), stdin=b"abcdef")
    source, sink = guest("cli/stdin", "get-stdin"), guest("cli/stderr", "get-stderr")
    assert guest.on("output-stream", sink, "splice", source, 2) == 2
    assert await guest.on("output-stream", sink, "blocking-splice", source, 9) == 4
    assert guest.call.stderr == b"abcdef"
    assert guest.on("output-stream", sink, "check-write") == 64 << 10
    with pytest.raises(GuestError, match="takes 65536 at once"):
        guest.on("output-stream", sink, "write", bytes((64 << 10) + 1))


@pytest.mark.parametrize(("status", "number"), [(Ok(), 0), (Err(), 1)])
def test_exit_status(status: Ok | Err, number: int) -> None:
    """An exit carries its status."""
    with pytest.raises(GuestExit) as caught:
        Guest(Permissions())("cli/exit", "exit", status)
    assert caught.value.code == number
    with pytest.raises(GuestExit) as caught:
        Guest(Permissions())("cli/exit", "exit-with-code", 9)
    assert caught.value.code == 9


@pytest.mark.parametrize(
    "interface", ["wasi:io/streams@0.3.0", "wasi:io/streams", "wasi:nn/graph@0.2.0", "acme:io/streams@0.2.0"]
)
def test_other_interfaces(interface: str) -> None:
    """Other versions and other packages are not WASI 0.2."""
    wasi = Wasi02()
    assert wasi.find(interface, "[method]input-stream.read") is None
    assert not wasi.has_resource(interface, "input-stream")
