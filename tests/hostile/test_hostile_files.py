"""Ways out of a granted directory, and tricks with descriptors, through the real engine."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hostile_puppet import KIT, Puppet, tree
from hostile_stage import Stage, named_after

from echelon.errors import GuestError, PermissionDenied
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions
from echelon.runtime.wasi_abi import CREAT, DIRECTORY, EXCL, FD_READ, FD_WRITE, SYMLINK_FOLLOW, TRUNC, Errno

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = b"the host's own secret"
RW = FD_READ | FD_WRITE
PATIENT = Limits(memory="1MiB", time=10, host_calls=100_000, output="64KiB")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A directory `top` to grant, beside what must stay out of reach, with every kind of link between them."""
    outside, top = tmp_path / "outside", tmp_path / "top"
    (outside / "dir").mkdir(parents=True)
    (outside / "secret").write_bytes(SECRET)
    (outside / "dir" / "secret").write_bytes(SECRET)
    (top / "dir" / "sub").mkdir(parents=True)
    (top / "dir" / "file").write_bytes(b"mine")
    (top / "file").write_bytes(b"mine")
    links = {
        "absolute": outside / "secret", "relative": "../outside/secret", "outside": "../outside",
        "outside-absolute": outside, "root": "/", "up": "..", "up-twice": "dir/../..", "loop": "loop",
        "one": "two", "two": "one", "proc": "/proc/self/root", "cwd": "/proc/self/cwd", "fd": "/proc/self/fd",
        "environ": "/proc/self/environ", "magic": "/proc/self/fd/0", "dev": "/dev", "missing": "../outside/new",
        "chain": "dir/link", "dir/link": "../../outside", "inside": "dir/file", "self": ".",
    }  # fmt: skip
    for name, target in links.items():
        (top / name).symlink_to(target)
    os.mkfifo(top / "pipe")
    return tmp_path


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail when anything outside of the granted directory has changed."""
    world: Path = request.getfixturevalue("world")
    before = tree(world / "outside")
    yield
    assert tree(world / "outside") == before
    assert sorted(path.name for path in world.iterdir()) == ["outside", "top"]


def granted(world: Path) -> Permissions:
    return Permissions(read=[world / "top"], write=[world / "top"])


ESCAPES: dict[str, bytes] = {
    "the directory above": b"..",
    "a file above": b"../outside/secret",
    "above by a detour": b"dir/../../outside/secret",
    "above with slashes": b"dir//..//.././/../outside/secret",
    "far above": b"../" * 300 + b"etc/passwd",
    "far above after a name": b"dir/" + b"../" * 300 + b"etc/passwd",
    "above and back": b"../top/../outside/secret",
    "absolute": b"/etc/passwd",
    "absolute twice": b"//etc//passwd",
    "absolute with dots": b"/./../etc/passwd",
    "the process's environment": b"/proc/self/environ",
    "the process's root": b"/proc/self/root/etc/passwd",
    "an absolute link": b"absolute",
    "a relative link": b"relative",
    "a linked directory": b"outside/secret",
    "an absolute linked directory": b"outside-absolute/secret",
    "a directory linked absolutely, and above": b"outside-absolute/../outside/secret",
    "a link to the root": b"root/etc/passwd",
    "a link above": b"up/outside/secret",
    "a link above by a detour": b"up-twice/outside/secret",
    "links to each other": b"one",
    "a link to itself": b"loop/x",
    "a magic link to the root": b"proc/etc/passwd",
    "a magic link to the working directory": b"cwd/pyproject.toml",
    "a magic link to descriptors": b"fd/3",
    "a magic link to standard input": b"magic",
    "a link to the environment": b"environ",
    "devices": b"dev/zero",
    "a link to what does not exist": b"missing",
    "a link to a link": b"chain/secret",
    "a link with a slash": b"outside/",
    "a directory and dots": b"outside/.",
    "a pipe": b"pipe",
    "nothing": b"",
    "a zero": b"file\0",
    "a zero in the middle": b"file\0/../../outside/secret",
    "no UTF-8": b"\xff\xfe\x80",
    "an overlong slash": b"..\xc0\xafoutside",
    "half a surrogate": b"\xed\xa0\x80",
    "4095 bytes": b"a" * 4_095,
    "5000 bytes": b"a" * 5_000,
    "a name of 256": b"dir/" + b"a" * 256,
    "2000 directories": b"dir/../" * 570 + b"../outside/secret",
    "two hundred levels": b"self/" * 200 + b"outside/secret",
    "a file as a directory": b"file/../../outside/secret",
    "backslashes": b"..\\outside\\secret",
    "a drive": b"C:/outside/secret",
    "a scheme": b"file:///etc/passwd",
}

Script = Callable[[Puppet, bytes], Awaitable[object]]


async def open_and_read(puppet: Puppet, path: bytes) -> None:
    for follow in (0, SYMLINK_FOLLOW):
        answer, fd = await puppet.open(path, follow=follow)
        if answer == 0:
            assert SECRET not in (await puppet.read(fd))[1]
            await puppet.do("fd_close", fd)


async def open_and_write(puppet: Puppet, path: bytes) -> None:
    for flags in (0, CREAT, CREAT | EXCL, TRUNC, CREAT | TRUNC):
        answer, fd = await puppet.open(path, rights=RW, oflags=flags)
        if answer == 0:
            await puppet.write(fd, b"guest was here")
            await puppet.do("fd_close", fd)


async def open_and_list(puppet: Puppet, path: bytes) -> None:
    answer, fd = await puppet.open(path, oflags=DIRECTORY)
    if answer == 0:
        buffer, out = puppet.put(bytes(4096)), puppet.put(bytes(4))
        await puppet.do("fd_readdir", fd, buffer, 4096, 0, out)
        assert b"secret" not in puppet.live.memory.read(buffer, 4096)
        inner, _ = await puppet.open(b"secret", fd=fd)
        assert inner != 0


async def read_link(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_readlink", 3, *puppet.text(path), puppet.put(bytes(512)), 512, puppet.put(bytes(4)))


async def stat(puppet: Puppet, path: bytes) -> None:
    for follow in (0, SYMLINK_FOLLOW):
        out = puppet.put(bytes(64))
        if await puppet.do("path_filestat_get", 3, follow, *puppet.text(path), out) == 0:
            size = int.from_bytes(puppet.live.memory.read(out + 32, 8), "little")
            assert size != len(SECRET) or b"absolute" in path or b"relative" in path  # the length of a link


async def set_times(puppet: Puppet, path: bytes) -> None:
    for follow in (0, SYMLINK_FOLLOW):
        await puppet.do("path_filestat_set_times", 3, follow, *puppet.text(path), 1, 1, 5)


async def make(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_create_directory", 3, *puppet.text(path + b"-new"))
    await puppet.do("path_symlink", *puppet.text("../outside"), 3, *puppet.text(path + b"-new-link"))


async def remove(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_unlink_file", 3, *puppet.text(path))
    await puppet.do("path_remove_directory", 3, *puppet.text(path))


async def move_in(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_rename", 3, *puppet.text(path), 3, *puppet.text("stolen"))
    await inspect(puppet, b"stolen")


async def move_out(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_rename", 3, *puppet.text("file"), 3, *puppet.text(path))


async def link_in(puppet: Puppet, path: bytes) -> None:
    for follow in (0, SYMLINK_FOLLOW):
        await puppet.do("path_link", 3, follow, *puppet.text(path), 3, *puppet.text(f"hard{follow}"))
        await inspect(puppet, f"hard{follow}".encode())


async def link_out(puppet: Puppet, path: bytes) -> None:
    await puppet.do("path_link", 3, 0, *puppet.text("file"), 3, *puppet.text(path))


async def kit_read(puppet: Puppet, path: bytes) -> None:
    read = next(function for function in KIT if function.name == "read_file")
    size = await puppet.call(read, *puppet.text(path))
    assert size == 0xFFFF_FFFF or size < 100


async def kit_write(puppet: Puppet, path: bytes) -> None:
    write = next(function for function in KIT if function.name == "write_file")
    await puppet.call(write, *puppet.text(path), *puppet.text(b"guest was here"))


async def inspect(puppet: Puppet, path: bytes) -> None:
    answer, fd = await puppet.open(path, follow=0)
    if answer == 0:
        assert SECRET not in (await puppet.read(fd))[1]


SCRIPTS: tuple[Script, ...] = (
    open_and_read, open_and_write, open_and_list, read_link, stat, set_times, make, remove, move_in, move_out,
    link_in, link_out, kit_read, kit_write,
)  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES.values(), ids=ESCAPES.keys())
async def test_no_way_out(stage: Stage, world: Path, path: bytes) -> None:
    """No path leads out of what was granted, whatever is done with it; nothing outside is read, listed or changed."""
    async with stage.guarded():
        for script in SCRIPTS:
            async with Puppet.on(stage, granted(world)) as puppet:
                try:
                    await script(puppet, path)
                except (PermissionDenied, GuestError):
                    continue


async def test_a_socket_is_not_opened(stage: Stage, world: Path) -> None:
    """A socket of the host in a granted directory cannot be used."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(world / "top" / "socket"))
        server.listen()
        async with stage.guarded(), Puppet.on(stage, granted(world)) as puppet:
            answer, _ = await puppet.open("socket", rights=RW)
            assert answer != 0


async def test_links_that_a_guest_makes(stage: Stage, world: Path) -> None:
    """A guest may not make absolute links; relative ones that lead outside are made, but never followed."""
    async with stage.guarded(), Puppet.on(stage, granted(world)) as puppet:
        assert await puppet.do("path_symlink", *puppet.text("/etc/passwd"), 3, *puppet.text("a")) != 0
        assert await puppet.do("path_symlink", *puppet.text("../outside"), 3, *puppet.text("b")) == 0
        assert (await puppet.open("b/secret"))[0] == Errno.PERM
        # Moved to where the same text leads inside, and back to where it does not.
        assert await puppet.do("path_rename", 3, *puppet.text("b"), 3, *puppet.text("dir/b")) == 0
        assert (await puppet.open("dir/b"))[0] != 0
        assert await puppet.do("path_rename", 3, *puppet.text("dir"), 3, *puppet.text("dir2")) == 0
        assert (await puppet.open("dir2/b/secret"))[0] != 0


async def test_a_race_for_a_directory(stage: Stage, world: Path) -> None:
    """While somebody swaps a directory for a link to the outside and back, a guest never reads what is outside."""
    top, stop = world / "top", threading.Event()
    (top / "real").mkdir()
    (top / "real" / "secret").write_bytes(b"mine")
    (top / "link").symlink_to("../outside/dir")

    def swap() -> None:
        while not stop.is_set():
            os.rename(top / "real", top / "x")
            os.rename(top / "link", top / "real")
            os.rename(top / "real", top / "link")
            os.rename(top / "x", top / "real")

    thread = threading.Thread(target=swap)
    seen = set()
    async with stage.guarded(), Puppet.on(stage, granted(world), PATIENT) as puppet:
        thread.start()
        try:
            for _ in range(600):
                answer, fd = await puppet.open("real/secret")
                if answer == 0:
                    seen.add((await puppet.read(fd))[1])
                    await puppet.do("fd_close", fd)
        finally:
            stop.set()
            thread.join()
    assert seen <= {b"mine"}


async def test_a_race_for_an_open_directory(stage: Stage, world: Path) -> None:
    """A directory that is moved out from under an open descriptor does not take the guest with it."""
    top = world / "top"
    async with stage.guarded(), Puppet.on(stage, granted(world)) as puppet:
        _, fd = await puppet.open("dir/sub", oflags=DIRECTORY)
        os.rename(top / "dir", world / "outside" / "moved")
        try:
            for path in ("..", "../file", "../../secret", "../../../top/file"):
                assert (await puppet.open(path))[0] != 0
                assert (await puppet.open(path, fd=fd))[0] != 0
        finally:
            os.rename(world / "outside" / "moved", top / "dir")


# Descriptors --------------------------------------------------------------------------------------------


async def close_streams(puppet: Puppet) -> None:
    for fd in (0, 1, 2):
        assert await puppet.do("fd_close", fd) == 0
        assert await puppet.do("fd_close", fd) == Errno.BADF
        assert await puppet.write(fd, b"x") == Errno.BADF
        assert (await puppet.read(fd))[0] == Errno.BADF


async def close_the_directory(puppet: Puppet) -> None:
    assert await puppet.do("fd_close", 3) == 0
    assert (await puppet.open("file"))[0] in (Errno.BADF, Errno.NOTDIR)
    assert await puppet.do("fd_prestat_get", 3, puppet.put(bytes(8))) == Errno.BADF


async def close_everything(puppet: Puppet) -> None:
    for fd in (*range(300), 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF):
        await puppet.do("fd_close", fd)
    assert (await puppet.open("file"))[0] != 0


async def a_stream_becomes_a_file(puppet: Puppet) -> None:
    _, fd = await puppet.open("file", rights=RW)
    assert await puppet.do("fd_renumber", fd, 1) == 0
    assert await puppet.write(1, b"new") == 0
    assert await puppet.write(fd, b"new") == Errno.BADF


async def a_directory_becomes_a_stream(puppet: Puppet) -> None:
    assert await puppet.do("fd_renumber", 3, 1) == 0
    assert await puppet.write(1, b"x") == Errno.BADF
    assert (await puppet.open("../outside/secret", fd=1))[0] == Errno.PERM
    assert (await puppet.open("file", fd=1))[0] == 0


async def a_file_becomes_the_directory(puppet: Puppet) -> None:
    _, fd = await puppet.open("file")
    assert await puppet.do("fd_renumber", fd, 3) == 0
    assert (await puppet.open("file", fd=3))[0] == Errno.NOTDIR


async def renumber_to_nothing(puppet: Puppet) -> None:
    _, fd = await puppet.open("file")
    for to in (fd + 1, 255, 256, 0x7FFF_FFFF, 0xFFFF_FFFF):
        assert await puppet.do("fd_renumber", fd, to) == Errno.BADF
        assert await puppet.do("fd_renumber", to, fd) == Errno.BADF
    assert await puppet.do("fd_renumber", fd, fd) == 0
    assert (await puppet.read(fd))[1] == b"mine"


async def renumber_around(puppet: Puppet) -> None:
    numbers = [(await puppet.open("file"))[1] for _ in range(20)]
    for number in numbers[1:]:
        assert await puppet.do("fd_renumber", number, numbers[0]) == 0
    assert (await puppet.read(numbers[0]))[1] == b"mine"
    assert (await puppet.read(numbers[7]))[0] == Errno.BADF


async def use_after_close(puppet: Puppet) -> None:
    _, fd = await puppet.open("file", rights=RW)
    assert await puppet.do("fd_close", fd) == 0
    buffer = puppet.put(bytes(64))
    for name, arguments in {
        "fd_read": (buffer, 1, buffer), "fd_write": (buffer, 1, buffer), "fd_seek": (0, 0, buffer), "fd_sync": (),
        "fd_filestat_get": (buffer,), "fd_fdstat_get": (buffer,), "fd_allocate": (0, 1), "fd_advise": (0, 0, 0),
        "fd_filestat_set_size": (1 << 40,), "fd_readdir": (buffer, 64, 0, buffer), "fd_tell": (buffer,),
        "fd_datasync": (), "fd_fdstat_set_flags": (1,), "fd_filestat_set_times": (0, 0, 0),
        "fd_fdstat_set_rights": (0, 0), "fd_pread": (buffer, 0, 0, buffer), "fd_pwrite": (buffer, 0, 0, buffer),
    }.items():  # fmt: skip
        assert await puppet.do(name, fd, *arguments) == Errno.BADF, name


async def exhaust(puppet: Puppet) -> None:
    answers = [(await puppet.open("file"))[0] for _ in range(400)]
    assert answers[0] == 0
    assert set(answers[-50:]) == {int(Errno.MFILE)}
    assert answers.count(0) < 256


async def exhaust_with_directories(puppet: Puppet) -> None:
    answers = [(await puppet.open("dir/sub", oflags=DIRECTORY))[0] for _ in range(400)]
    assert set(answers) == {0, int(Errno.MFILE)}


async def write_what_is_for_reading(puppet: Puppet) -> None:
    _, fd = await puppet.open("file")
    assert await puppet.write(fd, b"x") == Errno.BADF
    assert await puppet.do("fd_filestat_set_size", fd, 0) == Errno.BADF
    assert await puppet.do("fd_allocate", fd, 0, 10) == Errno.BADF
    assert (await puppet.read(fd))[1] == b"mine"


async def read_what_is_for_writing(puppet: Puppet) -> None:
    _, fd = await puppet.open("file", rights=FD_WRITE)
    assert (await puppet.read(fd))[0] == Errno.BADF


async def read_a_directory(puppet: Puppet) -> None:
    assert (await puppet.read(3))[0] == Errno.BADF
    assert await puppet.write(3, b"x") == Errno.BADF
    assert await puppet.do("fd_seek", 3, 0, 0, puppet.put(bytes(8))) == Errno.BADF


async def huge_offsets(puppet: Puppet) -> None:
    _, fd = await puppet.open("file", rights=RW)
    out = puppet.put(bytes(8))
    for offset in (1 << 63, (1 << 64) - 1, 1 << 40):
        assert await puppet.do("fd_filestat_set_size", fd, offset) == Errno.FBIG
        assert await puppet.do("fd_allocate", fd, offset, 1) == Errno.FBIG
        assert await puppet.do("fd_allocate", fd, 0, offset) == Errno.FBIG
    assert await puppet.do("fd_seek", fd, (1 << 64) - 1, 0, out) == Errno.INVAL
    assert await puppet.do("fd_seek", fd, 0, 7, out) == Errno.INVAL
    assert await puppet.do("fd_seek", fd, 1 << 40, 0, out) == 0
    assert await puppet.write(fd, b"x") == Errno.FBIG


async def rights_and_flags(puppet: Puppet) -> None:
    _, fd = await puppet.open("file")
    assert await puppet.do("fd_fdstat_set_rights", fd, (1 << 64) - 1, (1 << 64) - 1) == Errno.NOTSUP
    assert await puppet.do("fd_fdstat_set_flags", fd, 0xFFFF_FFFF) == Errno.INVAL
    assert await puppet.write(fd, b"x") == Errno.BADF


async def list_wildly(puppet: Puppet) -> None:
    buffer, out = puppet.put(bytes(256)), puppet.put(bytes(4))
    for cookie in (0, 1, 1 << 32, (1 << 63), (1 << 64) - 1):
        assert await puppet.do("fd_readdir", 3, buffer, 256, cookie, out) == 0
        assert await puppet.do("fd_readdir", 3, buffer, 1, cookie, out) == 0
        assert puppet.live.memory.read_u32(out) <= 1


async def remove_what_is_open(puppet: Puppet) -> None:
    _, fd = await puppet.open("dir/sub", oflags=DIRECTORY)
    assert await puppet.do("path_remove_directory", 3, *puppet.text("dir/sub")) == 0
    assert (await puppet.open("x", fd=fd, oflags=CREAT, rights=RW))[0] == Errno.NOENT
    assert (await puppet.open("..", fd=fd))[0] != 0
    buffer = puppet.put(bytes(256))
    assert await puppet.do("fd_readdir", fd, buffer, 256, 0, puppet.put(bytes(4))) == 0


async def rename_the_directory_itself(puppet: Puppet) -> None:
    for name in (".", "", "./", "dir/.."):
        assert await puppet.do("path_rename", 3, *puppet.text(name), 3, *puppet.text("other")) != 0
        assert await puppet.do("path_remove_directory", 3, *puppet.text(name)) != 0
        assert await puppet.do("path_rename", 3, *puppet.text("dir"), 3, *puppet.text(name)) != 0


ABUSES = (
    close_streams, close_the_directory, close_everything, a_stream_becomes_a_file, a_directory_becomes_a_stream,
    a_file_becomes_the_directory, renumber_to_nothing, renumber_around, use_after_close, exhaust,
    exhaust_with_directories, write_what_is_for_reading, read_what_is_for_writing, read_a_directory, huge_offsets,
    rights_and_flags, list_wildly, remove_what_is_open, rename_the_directory_itself,
)  # fmt: skip


@pytest.mark.parametrize("abuse", ABUSES, ids=named_after)
async def test_descriptors(stage: Stage, world: Path, abuse: Callable[[Puppet], Awaitable[None]]) -> None:
    """A descriptor is what it was opened as, until it is closed; whatever a guest does, the host's are all closed."""
    async with stage.guarded(), Puppet.on(stage, granted(world), PATIENT) as puppet:
        await abuse(puppet)


async def test_many_guests_share_what_the_process_has(stage: Stage, world: Path) -> None:
    """Twelve guests who open all they can leave the process descriptors of its own."""
    async with stage.guarded():
        puppets = []
        for _ in range(12):
            context = Puppet.on(stage, granted(world), PATIENT)
            puppets.append((context, await context.__aenter__()))
        for _, puppet in puppets:
            await exhaust(puppet)
        with (world / "top" / "file").open("rb") as file:
            assert file.read() == b"mine"
        for context, _ in puppets:
            await context.__aexit__(None, None, None)
