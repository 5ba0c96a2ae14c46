"""WASI preview 1, called as a guest calls it: signatures, pointers, arguments, time, waiting, exit."""

from __future__ import annotations

import asyncio
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasi_guest import BEYOND, Guest, granted, import_of

from echelon.errors import GuestExit, LinkError, OutputExceeded, PermissionDenied
from echelon.runtime import wasi_abi as abi
from echelon.runtime.binary import FuncType, Import
from echelon.runtime.clock import MILLISECOND, SECOND, VirtualClock
from echelon.runtime.environment import Environment
from echelon.runtime.host import Call, HostModule
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import NONE, Permissions
from echelon.runtime.wasi import _FUNCTIONS, MODULE, Wasi
from echelon.runtime.wasi_abi import Errno, WasiError

NAMES = [name for name, _, _ in _FUNCTIONS]
ENDING = ("proc_exit", "proc_raise")


# Linking ------------------------------------------------------------------------------------------------


def test_all_functions_are_there() -> None:
    """The 46 functions of preview 1, and two that may wait."""
    wasi: HostModule = Wasi()
    found = {name: wasi.find(import_of(name)) for name in NAMES}
    assert len(found) == 46
    assert all(f is not None and f.name == name and f.module == MODULE for name, f in found.items())
    assert [name for name, f in found.items() if f is not None and f.suspends] == ["fd_read", "poll_oneoff"]


def test_wrong_types_are_refused_with_both_types() -> None:
    """An import of another type than ours would read arguments that are not there."""
    wrong = Import(MODULE, "fd_write", "func", FuncType(("i32", "i64"), ("i32",)))
    with pytest.raises(LinkError) as caught:
        Wasi().find(wrong)
    assert "(i32, i64) -> (i32)" in str(caught.value)
    assert "(i32, i32, i32, i32) -> (i32)" in str(caught.value)
    with pytest.raises(LinkError, match="as a global"):
        Wasi().find(Import(MODULE, "fd_write", "global"))


def test_other_modules_are_not_ours() -> None:
    """An unknown function or module is not found; the WASI of 2019 is refused with what to do."""
    empty = FuncType((), ())
    assert Wasi().find(Import(MODULE, "sock_open", "func", empty)) is None
    assert Wasi().find(Import("env", "fd_write", "func", empty)) is None
    with pytest.raises(LinkError, match="wasm32-wasip1"):
        Wasi().find(Import("wasi_unstable", "fd_write", "func", empty))
    assert MODULE in Wasi().modules()


def test_a_guest_without_memory_is_told() -> None:
    """A module that exports no memory cannot use WASI."""
    found = Wasi().find(import_of("sched_yield"))
    assert found is not None
    with pytest.raises(LinkError, match="exports no memory"):
        found.implementation(Call(Limits(), NONE, Environment.build(NONE)))


# Arguments and environment ------------------------------------------------------------------------------


def strings(guest: Guest, what: str) -> list[bytes]:
    """Read arguments or variables as a C library does."""
    count, size = guest.room(4), guest.room(4)
    guest.ok(guest.do(f"{what}_sizes_get", count, size))
    total, length = guest.memory.read_u32(count), guest.memory.read_u32(size)
    pointers, buffer = guest.room(total * 4), guest.room(length)
    guest.ok(guest.do(f"{what}_get", pointers, buffer))
    starts = struct.unpack(f"<{total}I", guest.memory.read(pointers, total * 4))
    data = guest.memory.read(buffer, length)
    assert data.count(b"\0") == total
    return [data[start - buffer :].split(b"\0")[0] for start in starts]


def test_arguments() -> None:
    """Arguments arrive in order, ended by zeros, as UTF-8; none at all is fine."""
    with Guest(environment=Environment.build(NONE, args=["prog", "", "ä b", "🦀"])) as guest:
        assert strings(guest, "args") == [b"prog", b"", "ä b".encode(), "🦀".encode()]
    with Guest() as guest:
        assert strings(guest, "args") == []


def test_variables() -> None:
    """Given variables arrive as NAME=text behind the locale; an empty list grants that alone."""
    with Guest(environment=Environment.build(NONE, variables={"A": "1", "B": "x=y"})) as guest:
        assert strings(guest, "environ") == [b"LANG=C.UTF-8", b"TZ=UTC", b"A=1", b"B=x=y"]
    with Guest(Permissions(env=[])) as guest:
        assert strings(guest, "environ") == [b"LANG=C.UTF-8", b"TZ=UTC"]


def test_environment_that_was_not_granted() -> None:
    """Without a grant the environment is denied as a whole, not shown empty."""
    with Guest() as guest:
        for name in ("environ_sizes_get", "environ_get"):
            with pytest.raises(PermissionDenied) as caught:
                guest.do(name, 0, 64)
            assert (caught.value.permission, caught.value.target, caught.value.grant) == (
                "env",
                "*",
                "--allow-env=NAME",
            )


# Time and randomness ------------------------------------------------------------------------------------


def clock(guest: Guest, number: int) -> int:
    out = guest.room(8)
    guest.ok(guest.do("clock_time_get", number, 0, out))
    return int.from_bytes(guest.memory.read(out, 8), "little")


def test_clocks() -> None:
    """The wall clock is the host's to the millisecond, the other only goes up; the resolution says so."""
    with Guest() as guest:
        now = clock(guest, abi.REALTIME)
        assert abs(now - time.time_ns()) < 10 * SECOND
        assert now % MILLISECOND == 0
        assert clock(guest, abi.MONOTONIC) <= clock(guest, abi.MONOTONIC)
        out = guest.room(8)
        guest.ok(guest.do("clock_res_get", abi.MONOTONIC, out))
        assert int.from_bytes(guest.memory.read(out, 8), "little") == MILLISECOND
        for number, answer in (
            (2, Errno.NOTSUP),
            (3, Errno.NOTSUP),
            (4, Errno.INVAL),
            (1 << 31, Errno.INVAL),
        ):
            assert guest.do("clock_time_get", number, 0, out) is answer
            assert guest.do("clock_res_get", number, out) is answer


def test_random() -> None:
    """Exactly the asked bytes are filled, differently each time; a seed repeats them."""

    def draw(environment: Environment) -> bytes:
        with Guest(environment=environment) as guest:
            out = guest.room(64)
            guest.ok(guest.do("random_get", out, 32))
            guest.ok(guest.do("random_get", out, 0))
            assert guest.memory.read(out + 32, 32) == b"\xaa" * 32
            return guest.memory.read(out, 32)

    plain = Environment.build(NONE)
    assert draw(plain) != draw(plain)
    seeded = Environment.build(NONE, seed=1)
    assert draw(seeded.fresh()) == draw(seeded.fresh())


def test_random_is_bounded() -> None:
    """A request that would keep the host busy is refused."""
    with Guest() as guest:
        guest.memory.bytes = bytearray((16 << 20) + 64)
        assert guest.do("random_get", 0, (16 << 20) + 1) is Errno.INVAL


# The end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 42, 0xFFFF_FFFF])
def test_exit(code: int) -> None:
    """Every status, also 0, ends the guest."""
    with Guest() as guest, pytest.raises(GuestExit) as caught:
        guest.do("proc_exit", code)
    assert caught.value.code == code


def test_signals() -> None:
    """A signal ends the guest with 128 and its number, unless it is one that ends nothing."""
    with Guest() as guest:
        with pytest.raises(GuestExit) as caught:
            guest.do("proc_raise", 6)
        assert caught.value.code == 134
        assert guest.do("proc_raise", 0) is Errno.SUCCESS
        assert guest.do("proc_raise", 16) is Errno.SUCCESS
        assert guest.do("proc_raise", 31) is Errno.INVAL
        assert guest.do("sched_yield") is Errno.SUCCESS


# Standard streams ---------------------------------------------------------------------------------------


def test_output_goes_to_the_call() -> None:
    """Standard output and error are kept apart; several buffers are joined in order."""
    with Guest() as guest:
        assert guest.write(1, b"hello, ", b"", b"world") == 12
        assert guest.write(2, b"oops") == 4
        assert guest.write(1) == 0
        assert bytes(guest.call.stdout) == b"hello, world"
        assert bytes(guest.call.stderr) == b"oops"


def test_output_is_capped() -> None:
    """Output past the limit ends the call; both streams share the limit."""
    with Guest(limits=Limits(output=10)) as guest:
        guest.write(1, b"12345")
        guest.write(2, b"12345")
        with pytest.raises(OutputExceeded):
            guest.write(1, b"6")


def test_input() -> None:
    """Standard input is read in pieces, fills several buffers, and ends."""
    with Guest(stdin=b"abcdefgh") as guest:
        assert guest.read(0, 3) == b"abc"
        assert guest.read(0, 1, 0, 2) == b"def"
        assert guest.read(0, 100) == b"gh"
        assert guest.read(0, 100) == b""


def test_streams_are_no_files() -> None:
    """What makes sense only for files is refused, and the streams are no terminal."""
    with Guest(stdin=b"x") as guest:
        out = guest.room(64)
        for fd in (0, 1, 2):
            kind, flags, base, _ = guest.fdstat(fd)
            assert (kind, flags) == (abi.Filetype.UNKNOWN, 0)
            assert base == (abi.FD_READ if fd == 0 else abi.FD_WRITE)
            assert guest.do("fd_seek", fd, 0, 1, out) is Errno.SPIPE
            assert guest.do("fd_tell", fd, out) is Errno.SPIPE
            assert guest.do("fd_pread", fd, out, 0, 0, out) is Errno.SPIPE
            assert guest.do("fd_pwrite", fd, out, 0, 0, out) is Errno.SPIPE
            assert guest.do("fd_filestat_get", fd, out) is Errno.SUCCESS
            assert guest.do("fd_prestat_get", fd, out) is Errno.BADF
            assert guest.do("fd_sync", fd) is Errno.BADF
            assert guest.do("fd_readdir", fd, out, 8, 0, out) is Errno.NOTDIR
            assert guest.on("path_unlink_file", fd, "x") is Errno.NOTDIR
        iovs = guest.iovecs(4)[:2]
        assert guest.do("fd_read", 1, *iovs, out) is Errno.BADF
        assert guest.do("fd_write", 0, *iovs, out) is Errno.BADF


def test_sockets_are_no_sockets() -> None:
    """No descriptor is a socket."""
    with Guest() as guest:
        for fd, answer in ((0, Errno.NOTSOCK), (3, Errno.NOTSOCK), (99, Errno.BADF)):
            assert guest.do("sock_accept", fd, 0, 64) is answer
            assert guest.do("sock_recv", fd, 64, 1, 0, 64, 64) is answer
            assert guest.do("sock_send", fd, 64, 1, 0, 64) is answer
            assert guest.do("sock_shutdown", fd, 0) is answer


# Waiting ------------------------------------------------------------------------------------------------


def on_clock(userdata: int, timeout: int, number: int = abi.MONOTONIC, flags: int = 0) -> bytes:
    return abi.SUBSCRIPTION.pack(userdata, abi.EVENT_CLOCK, number, timeout, 0, flags)


def on_fd(userdata: int, tag: int, fd: int) -> bytes:
    return abi.SUBSCRIPTION.pack(userdata, tag, fd, 0, 0, 0)


def poll(guest: Guest, *subscriptions: bytes) -> list[tuple[int, Errno, int, int, int]]:
    """Wait and return the events: userdata, error, type, bytes, flags."""
    events, out = guest.room(len(subscriptions) * abi.EVENT.size), guest.room(4)
    guest.ok(guest.do("poll_oneoff", guest.put(b"".join(subscriptions)), events, len(subscriptions), out))
    raw = guest.memory.read(events, guest.memory.read_u32(out) * abi.EVENT.size)
    return [(u, Errno(e), t, n, f) for u, e, t, n, f in abi.EVENT.iter_unpack(raw)]


def virtual() -> Environment:
    return Environment.build(NONE, clock=VirtualClock(start=1000 * SECOND))


def test_sleep_waits() -> None:
    """A subscription to a clock waits at least as long as asked."""
    with Guest() as guest:
        start = time.monotonic_ns()
        assert poll(guest, on_clock(5, 20 * MILLISECOND)) == [(5, Errno.SUCCESS, 0, 0, 0)]
        assert time.monotonic_ns() - start >= 20 * MILLISECOND


def test_sleep_lets_the_loop_go_on_and_can_be_cancelled() -> None:
    """While a guest sleeps, for centuries if it likes, other tasks run, and cancelling ends the sleep."""

    async def main() -> int:
        with Guest() as guest:
            found = guest.wasi.find(import_of("poll_oneoff"))
            assert found is not None
            subscription = guest.put(on_clock(1, (1 << 64) - 1))
            task = asyncio.ensure_future(
                found.implementation(guest.call, subscription, guest.room(32), 1, guest.room(4))
            )
            turns = 0
            while turns < 20:
                await asyncio.sleep(0.001)
                turns += 1
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return turns

    assert asyncio.run(main()) == 20


def test_shortest_clock_wins() -> None:
    """Of several clocks, those whose time has come are reported, and no other."""
    with Guest(environment=virtual()) as guest:
        events = poll(guest, on_clock(1, 50), on_clock(2, 10), on_clock(3, 10, abi.REALTIME))
        assert [event[0] for event in events] == [2, 3]


def test_absolute_times() -> None:
    """An absolute time counts from the clock's zero; one in the past has come already."""
    with Guest(environment=virtual()) as guest:
        before = clock(guest, abi.REALTIME)
        events = poll(guest, on_clock(1, before + SECOND, abi.REALTIME, abi.ABSTIME))
        assert [event[0] for event in events] == [1]
        after = clock(guest, abi.REALTIME)
        assert SECOND <= after - before <= SECOND + 5 * MILLISECOND
        assert [e[0] for e in poll(guest, on_clock(2, 5, abi.REALTIME, abi.ABSTIME))] == [2]
        assert clock(guest, abi.REALTIME) - after < 10 * MILLISECOND


def test_descriptors_are_always_ready(tmp_path: Path) -> None:
    """Streams and files are ready at once, with how much there is; what is wrong is an event of its own."""
    (tmp_path / "file").write_bytes(b"12345")
    with Guest(granted(tmp_path), stdin=b"abc") as guest:
        fd = guest.open("file")
        guest.read(fd, 2)
        events = poll(
            guest,
            on_fd(1, abi.EVENT_READ, 0),
            on_fd(2, abi.EVENT_WRITE, 1),
            on_fd(3, abi.EVENT_READ, fd),
            on_fd(4, abi.EVENT_READ, 77),
            on_fd(5, abi.EVENT_READ, 1),
            on_fd(6, abi.EVENT_WRITE, 0),
            on_fd(7, abi.EVENT_READ, 3),
            on_clock(8, SECOND * 1000),
            on_clock(9, 1, number=2),
            on_clock(10, 0),
        )
        assert events == [
            (1, Errno.SUCCESS, 1, 3, 0),
            (2, Errno.SUCCESS, 2, 0, 0),
            (3, Errno.SUCCESS, 1, 3, 0),
            (4, Errno.BADF, 1, 0, 0),
            (5, Errno.BADF, 1, 0, 0),
            (6, Errno.BADF, 2, 0, 0),
            (7, Errno.BADF, 1, 0, 0),
            (9, Errno.NOTSUP, 0, 0, 0),
            (10, Errno.SUCCESS, 0, 0, 0),
        ]
        guest.read(0, 10)
        assert poll(guest, on_fd(1, abi.EVENT_READ, 0)) == [(1, Errno.SUCCESS, 1, 0, abi.HANGUP)]


def test_poll_is_bounded() -> None:
    """No subscription, too many, or one of an unknown type are refused."""
    with Guest() as guest:
        many = guest.put(on_clock(1, 0) * 257)
        events, out = guest.room(257 * 32), guest.room(4)
        assert guest.do("poll_oneoff", many, events, 0, out) is Errno.INVAL
        assert guest.do("poll_oneoff", many, events, 257, out) is Errno.INVAL
        assert guest.do("poll_oneoff", many, events, 256, out) is Errno.SUCCESS
        assert guest.do("poll_oneoff", guest.put(on_fd(1, 3, 0)), events, 1, out) is Errno.INVAL


def test_deterministic_calls_repeat() -> None:
    """With a seed and a virtual clock, what a guest sees is the same every time."""

    def run() -> Any:
        with Guest(environment=Environment.build(NONE, seed=1, clock=VirtualClock())) as guest:
            out = guest.room(16)
            guest.ok(guest.do("random_get", out, 16))
            seen = [guest.memory.read(out, 16), clock(guest, 0), clock(guest, 1)]
            seen.append(poll(guest, on_clock(1, 5 * SECOND)))
            return [*seen, clock(guest, 0), clock(guest, 1)]

    assert run() == run()


# Pointers -----------------------------------------------------------------------------------------------

_POINTERS = {
    "args_sizes_get": [(BEYOND, 64), (64, BEYOND)],
    "args_get": [(BEYOND, 64), (64, BEYOND)],
    "environ_sizes_get": [(BEYOND, 64), (64, BEYOND)],
    "environ_get": [(BEYOND, 64), (64, BEYOND)],
    "clock_res_get": [(0, BEYOND)],
    "clock_time_get": [(0, 0, BEYOND)],
    "fd_fdstat_get": [(1, BEYOND), (3, BEYOND), (4, BEYOND)],
    "fd_filestat_get": [(1, BEYOND), (3, BEYOND), (4, BEYOND)],
    "fd_prestat_get": [(3, BEYOND)],
    "fd_prestat_dir_name": [(3, BEYOND, 4096)],
    "fd_read": [(0, BEYOND, 1, 64), (0, 64, 1, BEYOND), (4, BEYOND, 1, 64), (4, 64, 1, BEYOND)],
    "fd_pread": [(4, BEYOND, 1, 0, 64), (4, 64, 1, 0, BEYOND)],
    "fd_write": [(1, BEYOND, 1, 64), (1, 64, 1, BEYOND), (4, BEYOND, 1, 64), (4, 64, 1, BEYOND)],
    "fd_pwrite": [(4, BEYOND, 1, 0, 64), (4, 64, 1, 0, BEYOND)],
    "fd_readdir": [(3, BEYOND, 100, 0, 64), (3, 64, 100, 0, BEYOND), (3, 64, BEYOND, 0, 64)],
    "fd_seek": [(4, 0, 0, BEYOND)],
    "fd_tell": [(4, BEYOND)],
    "path_create_directory": [(3, BEYOND, 10)],
    "path_filestat_get": [(3, 0, BEYOND, 10, 64), (3, 0, 32, 4, BEYOND)],
    "path_filestat_set_times": [(3, 0, BEYOND, 10, 0, 0, 0)],
    "path_link": [(3, 0, BEYOND, 10, 3, 32, 4), (3, 0, 32, 4, 3, BEYOND, 10)],
    "path_open": [(3, 0, BEYOND, 10, 0, 2, 0, 0, 64), (3, 0, 32, 4, 1, 2, 0, 0, BEYOND)],
    "path_readlink": [(3, BEYOND, 10, 64, 10, 64), (3, 40, 4, BEYOND, 10, 64), (3, 40, 4, 64, 10, BEYOND)],
    "path_remove_directory": [(3, BEYOND, 10)],
    "path_rename": [(3, BEYOND, 10, 3, 32, 4), (3, 32, 4, 3, BEYOND, 10)],
    "path_symlink": [(BEYOND, 10, 3, 32, 4), (32, 4, 3, BEYOND, 10)],
    "path_unlink_file": [(3, BEYOND, 10)],
    "poll_oneoff": [(BEYOND, 64, 1, 64), (64, BEYOND, 1, 64), (64, 64, 1, BEYOND)],
    "random_get": [(BEYOND, 100), (64, BEYOND)],
}


@pytest.mark.parametrize(("name", "arguments"), [(n, a) for n, cases in _POINTERS.items() for a in cases])
def test_pointers_outside_memory(tmp_path: Path, name: str, arguments: tuple[int, ...]) -> None:
    """A pointer outside the guest's memory is EFAULT, and nothing was read, written or created before."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    environment = Environment.build(NONE, variables={"A": "1"}, args=["prog"])
    with Guest(granted(tmp_path), environment, stdin=b"abc") as guest:
        guest.memory.write(32, b"file")
        guest.memory.write(40, b"link")
        guest.ok(guest.do("fd_renumber", guest.open("file", abi.FD_READ | abi.FD_WRITE), 4))
        assert guest.do(name, *arguments) is Errno.FAULT
        assert guest.read(0, 10) == b"abc"
        assert guest.read(4, 10) == b"content"
        assert bytes(guest.call.stdout) == b""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


def test_buffers_outside_memory_read_nothing(tmp_path: Path) -> None:
    """When one buffer of a list is bad, nothing is taken from the file."""
    (tmp_path / "file").write_bytes(b"content")
    with Guest(granted(tmp_path), stdin=b"abc") as guest:
        fd = guest.open("file")
        pairs = guest.put(abi.IOVEC.pack(64, 2) + abi.IOVEC.pack(BEYOND, 100))
        for number in (0, fd):
            assert guest.do("fd_read", number, pairs, 2, 64) is Errno.FAULT
        assert guest.read(0, 10) == b"abc"
        assert guest.read(fd, 10) == b"content"


def test_buffer_lists_are_bounded(tmp_path: Path) -> None:
    """At most 1024 buffers and 16 MiB are taken in one call; the rest is left for the next."""
    with Guest(granted(tmp_path)) as guest:
        pairs = guest.put(abi.IOVEC.pack(64, 1) * 1025)
        assert guest.do("fd_write", 1, pairs, 1024, 32) is Errno.SUCCESS
        assert guest.do("fd_write", 1, pairs, 1025, 32) is Errno.INVAL
        assert guest.do("fd_write", 1, pairs, 0xFFFF_FFFF, 32) is Errno.INVAL
        fd = guest.open("file", abi.FD_WRITE, oflags=abi.CREAT)
        pairs = guest.put(abi.IOVEC.pack(64, guest.memory.size - 64) * 40)
        assert guest.do("fd_write", fd, pairs, 40, 32) is Errno.SUCCESS
        assert guest.memory.read_u32(32) == 16 << 20


_U32 = st.one_of(
    st.integers(0, 12),
    st.sampled_from([64, 4096, 1 << 20, BEYOND, 0xFFFF_FFFF]),
    st.integers(0, (1 << 32) - 1),
)
_U64 = st.one_of(
    st.integers(0, 12), st.sampled_from([1 << 31, 1 << 63, (1 << 64) - 1]), st.integers(0, (1 << 64) - 1)
)
_I64 = st.integers(-(1 << 63), (1 << 63) - 1)
_TEXTS = [b"file", b"../x", b"/etc/passwd", b"a/../../x", b"\xff\xfe", b"\0", b"new", b"dir/", b".", b""]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_arguments(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Whatever the arguments, a function answers with an error number, or ends the guest as it should."""
    inside = tmp_path / "inside"
    inside.mkdir(exist_ok=True)
    (inside / "file").write_bytes(b"content")
    (tmp_path / "x").write_bytes(b"outside")
    types = next(types for found, types, _ in _FUNCTIONS if found == name)
    environment = Environment.build(NONE, variables={"A": "1"}, args=["p"], clock=VirtualClock())
    with Guest(granted(inside), environment, Wasi(file_size=1 << 20), Limits(output=1 << 30)) as guest:
        for place, text in enumerate(_TEXTS):
            guest.memory.write(place * 16, text)
        guest.open("file", abi.FD_READ | abi.FD_WRITE)
        strategies = {"w": _U32, "l": _U64, "s": _I64}
        arguments = [data.draw(strategies[letter]) for letter in types]
        try:
            guest.do(name, *arguments)
        except (PermissionDenied, GuestExit) as exc:
            assert name in ENDING or isinstance(exc, PermissionDenied)  # noqa: PT017
    assert (tmp_path / "x").read_bytes() == b"outside"
    assert {p.name for p in tmp_path.iterdir()} == {"inside", "x"}


def test_descriptors_that_do_not_exist() -> None:
    """Every function that takes a descriptor answers EBADF for one that is not open."""
    with Guest() as guest:
        guest.memory.write(64, b"name" * 40)
        for name, types, _ in _FUNCTIONS:
            if not name.startswith(("fd_", "path_", "sock_")):
                continue
            arguments = [64 if letter == "w" else 0 for letter in types]
            arguments[2 if name == "path_symlink" else 0] = 99
            if name in ("fd_read", "fd_write", "fd_pread", "fd_pwrite"):
                arguments[2] = 0
            if name == "path_open":
                arguments[4] = arguments[7] = 0
            assert guest.do(name, *arguments) is Errno.BADF, name


def test_errors_have_the_numbers_of_the_standard() -> None:
    """Host errors are answered with WASI's numbers, unknown ones as EIO, and EXDEV as not permitted."""
    import errno

    expected = {
        errno.EACCES: 2,
        errno.ENOENT: 44,
        errno.EEXIST: 20,
        errno.ENOTEMPTY: 55,
        errno.EXDEV: 63,
        errno.ELOOP: 32,
    }
    for host, number in expected.items():
        assert abi.of_host(OSError(host, "x")) == number
    assert abi.of_host(OSError(99999, "x")) == Errno.IO
    assert (abi.Errno.NOTSUP, abi.of_host(OSError(errno.EOPNOTSUPP, "x"))) == (58, 58)
    with pytest.raises(WasiError, match="BADF"):
        Guest.ok(Errno.BADF)
