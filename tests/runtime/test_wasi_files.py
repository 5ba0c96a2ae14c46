"""What a WASI guest can do with files: what was granted, and nothing beside it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from wasi_guest import RW, Guest, granted

from echelon.errors import PermissionDenied
from echelon.runtime import wasi_abi as abi
from echelon.runtime import wasi_table
from echelon.runtime.audit import AuditLog
from echelon.runtime.filesystem import Place
from echelon.runtime.permissions import NONE, Permissions
from echelon.runtime.wasi import Wasi
from echelon.runtime.wasi_abi import Errno, Filetype, WasiError


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory to grant, beside something that is not granted."""
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "top"
    (inside / "dir/sub").mkdir(parents=True)
    (inside / "file").write_text("content")
    (inside / "dir/file").write_text("dir/file")
    return inside


def denied(
    guest: Guest, path: str, rights: int = abi.FD_READ, *, fd: int = 3, oflags: int = 0
) -> PermissionDenied:
    with pytest.raises(PermissionDenied) as caught:
        guest.open(path, rights, fd=fd, oflags=oflags)
    return caught.value


def refused(
    guest: Guest, path: str | bytes, rights: int = abi.FD_READ, *, fd: int = 3, oflags: int = 0
) -> Errno:
    with pytest.raises(WasiError) as caught:
        guest.open(path, rights, fd=fd, oflags=oflags)
    return caught.value.errno


# What the guest begins with -----------------------------------------------------------------------------


def test_preopens(top: Path, tmp_path: Path) -> None:
    """Granted directories come first, each once, in order; files and what does not exist have none; "/" is last."""
    permissions = Permissions(
        read=[top / "dir", top / "file", top / "missing"],
        write=[top / "dir", top],
        deny=Permissions(write=["/nope"]),
    )
    with Guest(permissions) as guest:
        assert guest.preopens() == [str(top / "dir"), str(top), "/"]
        kind, _, base, inheriting = guest.fdstat(3)
        assert kind == Filetype.DIRECTORY
        assert base & abi.DIRECTORY_RIGHTS == abi.DIRECTORY_RIGHTS
        assert inheriting & RW == RW
    with Guest(Permissions(read=[top], deny=Permissions(read=[top]))) as guest:
        assert guest.preopens() == ["/"]
    with Guest() as guest:
        assert guest.preopens() == ["/"]


def test_prestat_name_needs_room(top: Path) -> None:
    """A buffer that is too small for the name is refused, a larger one is fine."""
    with Guest(granted(top)) as guest:
        buffer = guest.room(4096)
        assert guest.do("fd_prestat_dir_name", 3, buffer, len(str(top)) - 1) is Errno.NAMETOOLONG
        assert guest.do("fd_prestat_dir_name", 3, buffer, 4096) is Errno.SUCCESS
        assert guest.memory.read(buffer + len(str(top)), 1) == b"\xaa"
        assert guest.do("fd_prestat_get", guest.open("dir"), buffer) is Errno.BADF


# Granted, not granted, denied ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["etc/passwd", "/etc/passwd", "./etc/passwd", "usr/../etc/passwd", "../../etc/passwd"]
)
def test_paths_that_are_not_granted(path: str) -> None:
    """Through the catch-all, a path that is not granted ends the call and says what to grant."""
    with Guest() as guest:
        error = denied(guest, path)
        assert (error.permission, error.target, error.grant) == (
            "read",
            "/etc/passwd",
            "--allow-read=/etc/passwd",
        )
        error = denied(guest, path, abi.FD_WRITE)
        assert (error.permission, error.grant) == ("write", "--allow-write=/etc/passwd")


def test_relative_paths_that_are_not_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path from the working directory is named as the guest wrote it; where that is stays unsaid."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").touch()
    with Guest() as guest:
        error = denied(guest, "data.txt")
        assert (error.target, error.grant) == ("data.txt", "--allow-read=data.txt")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("path_filestat_get", "stat"),
        ("path_readlink", "readlink"),
        ("path_create_directory", "path"),
        ("path_remove_directory", "path"),
        ("path_unlink_file", "path"),
        ("path_filestat_set_times", "times"),
        ("path_symlink", "symlink"),
        ("path_rename", "two"),
        ("path_link", "link"),
    ],
)
def test_every_path_function_asks(top: Path, name: str, more: str) -> None:
    """No function does anything to a path that is not granted, from either end."""
    path = str(top / "file").lstrip("/")
    with Guest(Permissions(read=[top / "dir"], write=[top / "dir"])) as guest:
        text, out = guest.text(path), guest.room(64)
        inside = guest.text("new")
        calls = {
            "stat": [(4, 0, *text, out)],
            "readlink": [(4, *text, out, 64, out)],
            "path": [(4, *text)],
            "times": [(4, 0, *text, 0, 0, 5)],
            "symlink": [(*guest.text("x"), 4, *text)],
            "two": [(4, *text, 3, *inside), (3, *guest.text("file"), 4, *text)],
            "link": [(4, 0, *text, 3, *inside), (3, 0, *guest.text("file"), 4, *text)],
        }[more]
        for arguments in calls:
            with pytest.raises(PermissionDenied) as caught:
                guest.do(name, *arguments)
            assert caught.value.target == str(top / "file")
    assert sorted(p.name for p in (top / "dir").iterdir()) == ["file", "sub"]
    assert (top / "file").read_text() == "content"


def test_granted_by_absolute_path(top: Path) -> None:
    """A granted directory is reached by its own descriptor, and by its whole path through the catch-all."""
    with Guest(granted(top)) as guest:
        assert guest.read(guest.open("file")) == b"content"
        assert guest.read(guest.open(str(top / "file"), fd=4)) == b"content"
        assert guest.read(guest.open(str(top / "dir/../file").lstrip("/"), fd=4)) == b"content"
        assert refused(guest, str(top / "file")) is Errno.PERM
        assert refused(guest, "../secret") is Errno.PERM
        assert denied(guest, str(top / "../secret"), fd=4).target == str(top.parent / "secret")


def test_granted_from_the_working_directory(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a slash in front counts from the working directory when that is granted."""
    monkeypatch.chdir(top)
    with Guest(Permissions(read=["."], write=["dir"])) as guest:
        catch_all = 2 + len(guest.preopens())
        assert guest.read(guest.open("file", fd=catch_all)) == b"content"
        assert guest.read(guest.open("./dir/file", fd=catch_all)) == b"dir/file"
        fd = guest.open("dir/new", abi.FD_WRITE, fd=catch_all, oflags=abi.CREAT)
        guest.write(fd, b"new")
        assert sorted(name for name, _ in guest.list(guest.open(".", fd=catch_all)))[:3] == [".", "..", "dir"]
    assert (top / "dir/new").read_bytes() == b"new"


def test_an_absolute_path_is_not_taken_for_a_relative_one(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With only the working directory granted, /etc/passwd is denied, and a relative path that is missing is not."""
    monkeypatch.chdir(top)
    with Guest(Permissions(read=["."], write=["."])) as guest:
        assert denied(guest, "etc/passwd", fd=4).target == "/etc/passwd"
        assert denied(guest, "/file", fd=4).target == "/file"
        for path in ("missing", "missing/x", "dir/missing"):
            assert refused(guest, path, fd=4) is Errno.NOENT
        guest.open("etc", abi.FD_WRITE, fd=4, oflags=abi.CREAT)
        assert (top / "etc").exists()
    (top / "etc").unlink()
    (top / "etc/app").mkdir(parents=True)
    with Guest(Permissions(read=["etc/app"])) as guest:
        assert refused(guest, "etc/app/missing", fd=4) is Errno.NOENT


def test_a_grant_written_as_a_link(top: Path) -> None:
    """A grant that goes through a link is reached by the name it was written with."""
    (top.parent / "alias").symlink_to("top")
    with Guest(Permissions(read=[top.parent / "alias"])) as guest:
        assert guest.preopens() == [str(top), "/"]
        assert guest.read(guest.open(str(top.parent / "alias/dir/file"), fd=4)) == b"dir/file"


def test_a_single_file_is_granted_alone(top: Path) -> None:
    """A granted file is reached, its neighbours and its directory are not."""
    with Guest(Permissions(read=[top / "file"])) as guest:
        assert guest.preopens() == ["/"]
        assert guest.read(guest.open(str(top / "file"))) == b"content"
        assert guest.stat(str(top / "file"))["size"] == 7
        for path in (top / "dir/file", top, top / "file2", top / "file/../dir/file"):
            denied(guest, str(path))
        denied(guest, str(top / "file"), abi.FD_WRITE)


def test_a_granted_file_that_became_a_link(top: Path) -> None:
    """A granted file, or its directory, that was swapped for a link since is not followed outside."""
    permissions = Permissions(read=[top / "dir/file"])
    (top / "dir/file").unlink()
    (top / "dir/file").symlink_to(top.parent / "secret")
    with Guest(permissions) as guest:
        assert refused(guest, str(top / "dir/file")) is Errno.PERM
        (top / "dir/file").unlink()
        (top / "dir/file").symlink_to("other")
        (top / "dir/other").write_text("other")
        denied(guest, str(top / "dir/file"))
        os.rename(top / "dir", top / "gone")
        (top / "dir").symlink_to("gone")
        assert refused(guest, str(top / "dir/file")) is Errno.NOTDIR


def test_a_granted_directory_that_became_a_link(top: Path) -> None:
    """A granted directory that is a link by the time it is opened is refused."""
    permissions = Permissions(read=[top / "dir"])
    with Guest(permissions) as guest:
        assert guest.preopens() == [str(top / "dir"), "/"]
        os.rename(top / "dir", top / "gone")
        (top / "dir").symlink_to("/etc")
        assert refused(guest, "passwd") is Errno.NOTDIR


def test_a_granted_file_that_does_not_exist_yet(top: Path) -> None:
    """A file that may be written can be created by its name, and only it."""
    with Guest(Permissions(write=[top / "new"])) as guest:
        fd = guest.open(str(top / "new"), abi.FD_WRITE, oflags=abi.CREAT)
        assert guest.write(fd, b"made") == 4
        denied(guest, str(top / "new2"), abi.FD_WRITE, oflags=abi.CREAT)
    assert (top / "new").read_bytes() == b"made"


def test_everything_granted(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything granted, what exists wins: at the root, then in the working directory; /proc stays closed."""
    monkeypatch.chdir(top)
    with Guest(Permissions(read=True, write=True)) as guest:
        assert guest.preopens() == ["/"]
        assert guest.read(guest.open("etc/passwd"), 100) == Path("/etc/passwd").read_bytes()[:100]
        assert guest.read(guest.open("file")) == b"content"
        guest.write(guest.open("bare", abi.FD_WRITE, oflags=abi.CREAT), b"x")
        guest.write(guest.open(f"{top}/dir/deep"[1:], abi.FD_WRITE, oflags=abi.CREAT), b"y")
        for path in ("proc/self/environ", "proc/self/mem", "sys/kernel", "dev/null"):
            denied(guest, path)
        (top / "link").symlink_to("/proc/self/environ")
        denied(guest, "link")
    assert (top / "bare").read_bytes() == b"x"
    assert (top / "dir/deep").read_bytes() == b"y"


def test_read_only_stays_read_only(top: Path) -> None:
    """Where only reading is granted, nothing can be changed by any function; each attempt says what to grant."""
    with Guest(granted(top, write=False)) as guest:
        before = sorted(str(p) for p in top.rglob("*"))
        for rights, oflags in (
            (abi.FD_WRITE, 0),
            (RW, 0),
            (abi.FD_READ, abi.CREAT),
            (abi.FD_READ, abi.TRUNC),
            (0, abi.CREAT | abi.EXCL),
        ):
            error = denied(guest, "file", rights, oflags=oflags)
            assert error.grant == f"--allow-write={top / 'file'}"
        old, new = guest.text("file"), guest.text("new")
        for name, *arguments in (
            ("path_create_directory", 3, *new),
            ("path_remove_directory", 3, *guest.text("dir/sub")),
            ("path_unlink_file", 3, *old),
            ("path_rename", 3, *old, 3, *new),
            ("path_link", 3, 0, *old, 3, *new),
            ("path_symlink", *old, 3, *new),
            ("path_filestat_set_times", 3, 0, *old, 0, 0, abi.ATIM | abi.MTIM),
        ):
            with pytest.raises(PermissionDenied, match="--allow-write="):
                guest.do(name, *arguments)
        fd = guest.open("file")
        iovs = guest.iovecs(4)[:2]
        assert guest.do("fd_write", fd, *iovs, 64) is Errno.BADF
        assert guest.do("fd_pwrite", fd, *iovs, 0, 64) is Errno.BADF
        assert guest.do("fd_filestat_set_size", fd, 0) is Errno.BADF
        assert guest.do("fd_allocate", fd, 0, 100) is Errno.BADF
        for number in (fd, 3):
            with pytest.raises(PermissionDenied, match="--allow-write="):
                guest.do("fd_filestat_set_times", number, 0, 0, abi.MTIM)
        assert sorted(str(p) for p in top.rglob("*")) == before
        assert guest.read(fd) == b"content"


def test_write_only(top: Path) -> None:
    """Where only writing is granted, nothing can be read, listed or asked about."""
    with Guest(Permissions(write=[top])) as guest:
        fd = guest.open("file", abi.FD_WRITE)
        assert guest.write(fd, b"NEW") == 3
        assert guest.do("fd_read", fd, *guest.iovecs(4)[:2], 64) is Errno.BADF
        for rights in (abi.FD_READ, RW):
            assert denied(guest, "file", rights).permission == "read"
        with pytest.raises(PermissionDenied):
            guest.stat("file")
        with pytest.raises(PermissionDenied):
            guest.list(guest.open("dir", 0))
        with pytest.raises(PermissionDenied):
            guest.do("path_link", 3, 0, *guest.text("file"), 3, *guest.text("second"))
    assert (top / "file").read_text() == "NEWtent"


def test_grants_inside_grants(top: Path) -> None:
    """A directory below may be writable though the one above is not, from either descriptor."""
    with Guest(Permissions(read=[top], write=[top / "dir"])) as guest:
        assert guest.preopens() == [str(top), str(top / "dir"), "/"]
        guest.write(guest.open("dir/one", abi.FD_WRITE, oflags=abi.CREAT), b"1")
        guest.write(guest.open("two", abi.FD_WRITE, fd=4, oflags=abi.CREAT), b"2")
        assert denied(guest, "file", abi.FD_WRITE).target == str(top / "file")
        (top / "into").symlink_to("dir")
        guest.write(guest.open("into/three", abi.FD_WRITE, oflags=abi.CREAT), b"3")
        (top / "dir/up").symlink_to("../file")
        assert denied(guest, "dir/up", abi.FD_WRITE).target == str(top / "file")
        assert refused(guest, "up", abi.FD_WRITE, fd=4) is Errno.PERM
    assert sorted(p.name for p in (top / "dir").iterdir()) == ["file", "one", "sub", "three", "two", "up"]


def test_a_denied_part_of_a_granted_directory(top: Path) -> None:
    """A denial holds for every way to the place: by path, dots, links, an open directory, renaming, linking."""
    (top / "dir/sub/key").write_text("key")
    (top / "link").symlink_to("dir/sub")
    permissions = Permissions(read=[top], write=[top], deny=Permissions(read=[top / "dir/sub"]))
    with Guest(permissions) as guest:
        for path in ("dir/sub/key", "dir/../dir/sub/key", "link/key", "dir/sub", f"{top}/dir/sub/key"):
            error = denied(guest, path, fd=4 if path.startswith("/") else 3)
            assert f"--deny-read={top}/dir/sub" in error.grant
        directory = guest.open("dir")
        denied(guest, "sub/key", fd=directory)
        assert guest.read(guest.open("file", fd=directory)) == b"dir/file"
        for old in ("dir/sub", "dir"):
            assert guest.do("path_rename", 3, *guest.text(old), 3, *guest.text("moved")) is Errno.BUSY
        with pytest.raises(PermissionDenied):
            guest.do("path_rename", 3, *guest.text("dir/sub/key"), 3, *guest.text("key"))
        with pytest.raises(PermissionDenied):
            guest.do("path_link", 3, 0, *guest.text("dir/sub/key"), 3, *guest.text("key"))
        assert guest.do("path_remove_directory", 3, *guest.text("dir/sub")) is Errno.BUSY
    assert (top / "dir/sub/key").exists()
    assert not (top / "key").exists()


def test_what_may_not_be_read_is_not_moved_to_where_it_may(top: Path) -> None:
    """A guest that may write one directory and read another cannot read the first by moving its files."""
    (top / "drop").mkdir()
    (top / "drop/mail").write_text("mail")
    with Guest(Permissions(read=[top / "dir"], write=[top / "dir", top / "drop"])) as guest:
        assert guest.preopens() == [str(top / "dir"), str(top / "drop"), "/"]
        with pytest.raises(PermissionDenied) as caught:
            guest.do("path_rename", 4, *guest.text("mail"), 3, *guest.text("mail"))
        assert caught.value.grant == f"--allow-read={top}/drop/mail"
        guest.ok(guest.do("path_rename", 3, *guest.text("file"), 4, *guest.text("file")))
    assert (top / "drop/mail").exists()


# Escapes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("../secret", Errno.PERM),
        ("dir/../../secret", Errno.PERM),
        ("dir/sub/../../../secret", Errno.PERM),
        ("/etc/passwd", Errno.PERM),
        ("out", Errno.PERM),
        ("out/secret", Errno.PERM),
        ("etc/passwd", Errno.PERM),
        ("loop", Errno.LOOP),
        ("x" * 300, Errno.NAMETOOLONG),
        ("x" * 5000, Errno.NAMETOOLONG),
        ("a/" * 2100, Errno.NAMETOOLONG),
        ("file\0", Errno.INVAL),
        ("\0", Errno.INVAL),
        (b"\xff\xfe", Errno.ILSEQ),
        (b"caf\xe9", Errno.ILSEQ),
        ("", Errno.NOENT),
        ("missing", Errno.NOENT),
        ("file/x", Errno.NOTDIR),
        ("file/", Errno.NOTDIR),
        ("pipe", Errno.ACCES),
    ],
)
def test_no_way_out(top: Path, path: str | bytes, answer: Errno) -> None:
    """Every path out, and every path that is none, is an error; so it is for each function that takes a path."""
    (top / "out").symlink_to("..")
    (top / "etc").symlink_to("/etc")
    (top / "loop").symlink_to("loop")
    os.mkfifo(top / "pipe")
    with Guest(granted(top)) as guest:
        assert refused(guest, path, RW) is answer
        if path not in ("pipe", "loop", "out"):
            out = guest.room(64)
            text = guest.text(path)
            assert guest.do("path_filestat_get", 3, 1, *text, out) is answer
            assert guest.do("path_filestat_set_times", 3, 1, *text, 0, 0, 5) is answer
            assert guest.do("path_rename", 3, *text, 3, *guest.text("new")) is answer
            assert guest.do("path_unlink_file", 3, *text) is answer
    assert (top.parent / "secret").read_text() == "secret"


def test_links_of_a_guest(top: Path) -> None:
    """A guest may make links that stay relative; following one outside is still refused."""
    with Guest(granted(top)) as guest:
        guest.ok(guest.do("path_symlink", *guest.text("dir/file"), 3, *guest.text("good")))
        assert guest.read(guest.open("good")) == b"dir/file"
        guest.ok(guest.do("path_symlink", *guest.text("../secret"), 3, *guest.text("bad")))
        assert refused(guest, "bad") is Errno.PERM
        out = guest.room(64)
        guest.ok(guest.on("path_readlink", 3, "bad", out, 4, out + 8))
        assert guest.memory.read(out, 5) == b"../s\xaa"
        assert guest.memory.read_u32(out + 8) == 4
        for target, answer in (("/etc/passwd", Errno.PERM), ("", Errno.NOENT), ("a\0", Errno.INVAL)):
            assert guest.do("path_symlink", *guest.text(target), 3, *guest.text("no")) is answer
        for path, answer in (
            ("good", Errno.EXIST),
            ("new/", Errno.NOENT),
            ("dir/", Errno.EXIST),
            (".", Errno.EXIST),
        ):
            assert guest.do("path_symlink", *guest.text("x"), 3, *guest.text(path)) is answer
        assert guest.on("path_readlink", 3, "file", out, 4, out) is Errno.INVAL


def test_hard_links(top: Path) -> None:
    """A file may get a second name inside; a directory, a link's target or a place outside may not."""
    (top / "link").symlink_to("file")
    with Guest(granted(top)) as guest:
        guest.ok(guest.do("path_link", 3, 0, *guest.text("file"), 3, *guest.text("second")))
        assert guest.stat("second")["ino"] == guest.stat("file")["ino"]
        for old, new, answer in (
            ("file", "second", Errno.EXIST),
            ("dir", "third", Errno.PERM),
            ("../secret", "third", Errno.PERM),
            ("file", "../third", Errno.PERM),
            ("file/", "third", Errno.NOTDIR),
            ("file", "third/", Errno.NOENT),
        ):
            assert guest.do("path_link", 3, 0, *guest.text(old), 3, *guest.text(new)) is answer, (old, new)
        assert guest.do("path_link", 3, 1, *guest.text("link"), 3, *guest.text("third")) is Errno.INVAL
        guest.ok(guest.do("path_link", 3, 0, *guest.text("link"), 3, *guest.text("third")))
    assert (top / "third").is_symlink()


# Reading and writing ------------------------------------------------------------------------------------


def test_read_write_seek(top: Path) -> None:
    """Files keep a position; several buffers are filled and joined in order."""
    with Guest(granted(top)) as guest:
        fd = guest.open("data", RW, oflags=abi.CREAT | abi.EXCL)
        out = guest.room(8)
        assert guest.write(fd, b"hello ", b"", b"world") == 11
        guest.ok(guest.do("fd_tell", fd, out))
        assert guest.memory.read_u32(out) == 11
        for offset, whence, position in ((0, 0, 0), (6, 1, 6), (-5, 2, 6), (100, 0, 100)):
            guest.ok(guest.do("fd_seek", fd, offset, whence, out))
            assert guest.memory.read_u32(out) == position
        assert guest.do("fd_seek", fd, -1, 0, out) is Errno.INVAL
        assert guest.do("fd_seek", fd, 0, 3, out) is Errno.INVAL
        guest.ok(guest.do("fd_seek", fd, 0, 0, out))
        assert guest.read(fd, 2, 0, 100) == b"hello world"
        assert guest.read(fd, 10) == b""
        assert guest.pread(fd, 5, 6) == b"world"
        assert guest.pwrite(fd, b"W", 6) == 1
        assert guest.pread(fd, 100, 0) == b"hello World"
        assert guest.do("fd_pread", fd, *guest.iovecs(1)[:2], 1 << 63, out) is Errno.INVAL
        for name in ("fd_sync", "fd_datasync"):
            assert guest.do(name, fd) is Errno.SUCCESS
        assert guest.do("fd_advise", fd, 0, 0, 5) is Errno.SUCCESS
        assert guest.do("fd_advise", fd, 0, 0, 6) is Errno.INVAL
        assert refused(guest, "data", RW, oflags=abi.CREAT | abi.EXCL) is Errno.EXIST


def test_append(top: Path) -> None:
    """Appending writes at the end wherever the position is, can be switched, and fd_pwrite still goes where told."""
    with Guest(granted(top)) as guest:
        fd = guest.open("file", RW, fdflags=abi.APPEND)
        out = guest.room(8)
        assert guest.fdstat(fd)[1] == abi.APPEND
        guest.write(fd, b"+")
        guest.ok(guest.do("fd_seek", fd, 0, 0, out))
        guest.write(fd, b"+")
        assert guest.pwrite(fd, b"C", 0) == 1
        guest.write(fd, b"!")
        guest.ok(guest.do("fd_fdstat_set_flags", fd, 0))
        guest.ok(guest.do("fd_seek", fd, 1, 0, out))
        guest.write(fd, b"O")
        guest.ok(guest.do("fd_fdstat_set_flags", fd, abi.APPEND | abi.NONBLOCK))
        guest.write(fd, b"?")
        assert guest.fdstat(fd)[1] == abi.APPEND | abi.NONBLOCK
        assert guest.do("fd_fdstat_set_flags", fd, abi.SYNC) is Errno.INVAL
        assert guest.do("fd_fdstat_set_rights", fd, 0, 0) is Errno.NOTSUP
    assert (top / "file").read_text() == "COntent++!?"


@pytest.mark.parametrize("flag", [abi.DSYNC, abi.RSYNC, abi.SYNC, abi.NONBLOCK])
def test_other_flags(top: Path, flag: int) -> None:
    """A file opened to synchronise says so, and works."""
    with Guest(granted(top)) as guest:
        fd = guest.open("file", RW, fdflags=flag)
        assert guest.fdstat(fd)[1] == flag
        assert guest.write(fd, b"x") == 1


def test_truncate_and_allocate(top: Path) -> None:
    """Sizes can be set, also by opening; growing is bounded."""
    with Guest(granted(top), wasi=Wasi(file_size=1 << 20)) as guest:
        fd = guest.open("file", RW)
        guest.ok(guest.do("fd_filestat_set_size", fd, 3))
        assert guest.stat("file")["size"] == 3
        guest.ok(guest.do("fd_allocate", fd, 0, 100))
        assert guest.stat("file")["size"] == 100
        for size in ((1 << 20) + 1, 1 << 40, (1 << 64) - 1):
            assert guest.do("fd_filestat_set_size", fd, size) is Errno.FBIG
            assert guest.do("fd_allocate", fd, 0, size) is Errno.FBIG
        assert guest.do("fd_allocate", fd, 0, 0) is Errno.INVAL
        out = guest.room(8)
        guest.ok(guest.do("fd_seek", fd, 1 << 20, 0, out))
        pair = guest.iovecs(1)[:2]
        assert guest.do("fd_write", fd, *pair, out) is Errno.FBIG
        assert guest.do("fd_pwrite", fd, *pair, 1 << 20, out) is Errno.FBIG
        guest.open("file", abi.FD_READ, oflags=abi.TRUNC)
        assert guest.stat("file")["size"] == 0
    with Guest(granted(top)) as guest:
        assert guest.do("fd_allocate", guest.open("file", RW), 0, (16 << 20) + 1) is Errno.FBIG


def test_full_disk(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system refuses to write is answered with its error."""

    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Guest(granted(top)) as guest:
        fd = guest.open("file", RW)
        iovs = guest.iovecs(4)[:2]
        monkeypatch.setattr(os, "write", full)
        found = guest.wasi.find(__import__("wasi_guest").import_of("fd_write"))
        assert found is not None
        assert found.implementation(guest.call, fd, *iovs, 64) == 51
        monkeypatch.undo()


def test_stat(top: Path) -> None:
    """What is told about files, directories and links is what the host sees."""
    (top / "link").symlink_to("file")
    os.utime(top / "file", ns=(1_000_000_001, 2_000_000_002))
    with Guest(granted(top)) as guest:
        found, real = guest.stat("file"), os.stat(top / "file")
        assert (found["ino"], found["size"], found["nlink"]) == (real.st_ino, 7, 1)
        assert (found["type"], found["atim"], found["mtim"]) == (
            Filetype.REGULAR_FILE,
            1_000_000_001,
            2_000_000_002,
        )
        assert (
            guest.stat("dir")["type"]
            == guest.stat("dir/")["type"]
            == guest.stat(".")["type"]
            == Filetype.DIRECTORY
        )
        assert guest.stat("link")["type"] == Filetype.REGULAR_FILE
        assert guest.stat("link", follow=False)["type"] == Filetype.SYMBOLIC_LINK
        out = guest.room(64)
        for fd in (3, guest.open("dir"), guest.open("file")):
            guest.ok(guest.do("fd_filestat_get", fd, out))
    os.utime(top / "file", ns=(-5, -5))
    with Guest(granted(top)) as guest:
        assert guest.stat("file")["mtim"] == 0


def test_set_times(top: Path) -> None:
    """Times are set by path and by descriptor, to a value or to now; one of a link is its own."""
    (top / "link").symlink_to("file")
    os.utime(top / "link", ns=(5, 5), follow_symlinks=False)
    with Guest(granted(top)) as guest:
        fd = guest.open("file", RW)
        guest.ok(guest.do("fd_filestat_set_times", fd, 10, 20, abi.ATIM | abi.MTIM))
        assert (os.stat(top / "file").st_atime_ns, os.stat(top / "file").st_mtime_ns) == (10, 20)
        guest.ok(guest.do("path_filestat_set_times", 3, 1, *guest.text("link"), 0, 30, abi.MTIM))
        assert (os.stat(top / "file").st_atime_ns, os.stat(top / "file").st_mtime_ns) == (10, 30)
        guest.ok(guest.do("path_filestat_set_times", 3, 0, *guest.text("link"), 7, 8, abi.ATIM | abi.MTIM))
        assert os.lstat(top / "link").st_mtime_ns == 8
        assert os.stat(top / "file").st_mtime_ns == 30
        guest.ok(guest.do("fd_filestat_set_times", fd, 0, 0, abi.MTIM_NOW))
        assert os.stat(top / "file").st_mtime_ns > 1_000_000_000_000_000_000
        guest.ok(guest.do("fd_filestat_set_times", guest.open("dir"), 0, 9, abi.MTIM))
        assert os.stat(top / "dir").st_mtime_ns == 9
        for flags in (abi.ATIM | abi.ATIM_NOW, abi.MTIM | abi.MTIM_NOW):
            assert guest.do("fd_filestat_set_times", fd, 0, 0, flags) is Errno.INVAL
        assert guest.do("fd_filestat_set_times", 0, 0, 0, abi.ATIM) is Errno.BADF


# The tree -----------------------------------------------------------------------------------------------


def test_directories(top: Path) -> None:
    """Directories are made and removed; what is not empty, missing or no directory has its error."""
    with Guest(granted(top)) as guest:
        guest.ok(guest.on("path_create_directory", 3, "new"))
        guest.ok(guest.on("path_create_directory", 3, "new/deep/"))
        for path, answer in (
            ("new", Errno.EXIST),
            (".", Errno.EXIST),
            ("no/deep", Errno.NOENT),
            ("file", Errno.EXIST),
        ):
            assert guest.on("path_create_directory", 3, path) is answer
        for path, answer in (
            ("new", Errno.NOTEMPTY),
            ("file", Errno.NOTDIR),
            ("missing", Errno.NOENT),
            (".", Errno.INVAL),
            ("new/..", Errno.INVAL),
        ):
            assert guest.on("path_remove_directory", 3, path) is answer
        guest.ok(guest.on("path_remove_directory", 3, "new/deep/"))
        guest.ok(guest.on("path_remove_directory", 3, "new"))


def test_unlink(top: Path) -> None:
    """Files and links are removed, directories are not."""
    (top / "link").symlink_to("dir")
    with Guest(granted(top)) as guest:
        for path, answer in (
            ("dir", Errno.ISDIR),
            ("dir/", Errno.ISDIR),
            ("file/", Errno.NOTDIR),
            ("missing", Errno.NOENT),
            (".", Errno.INVAL),
        ):
            assert guest.on("path_unlink_file", 3, path) is answer
        guest.ok(guest.on("path_unlink_file", 3, "file"))
        guest.ok(guest.on("path_unlink_file", 3, "link"))
    assert sorted(p.name for p in top.iterdir()) == ["dir"]


def test_rename(top: Path) -> None:
    """Renaming works within and between directories, and obeys slashes."""
    with Guest(granted(top)) as guest:
        sub = guest.open("dir/sub")

        def rename(old: str, new: str, to: int = 3) -> Errno:
            return guest.do("path_rename", 3, *guest.text(old), to, *guest.text(new))

        assert rename("file", "moved", sub) is Errno.SUCCESS
        assert rename("dir/sub/moved", "dir/file") is Errno.SUCCESS
        assert rename("dir/file/", "x") is Errno.NOTDIR
        assert rename("dir/file", "x/") is Errno.NOTDIR
        assert rename("dir/sub/", "sub2/") is Errno.SUCCESS
        assert rename("dir", "dir/inside") is Errno.INVAL
        assert rename("dir", "../out") is Errno.PERM
        assert rename("missing", "x") is Errno.NOENT
    assert (top / "dir/file").read_text() == "content"


def test_readdir(top: Path) -> None:
    """Every entry is listed once with its type, however small the buffer, and anew from the beginning."""
    (top / "many").mkdir()
    names = [f"file-{number:03}" for number in range(200)] + ["ä🦀", "x" * 255]
    for name in names:
        (top / "many" / name).touch()
    (top / "many/link").symlink_to("nowhere")
    os.mkfifo(top / "many/pipe")
    with Guest(granted(top)) as guest:
        fd = guest.open("many", abi.FD_READ, oflags=abi.DIRECTORY)
        for room in (4096, 300):
            listed = guest.list(fd, room)
            assert [name for name, _ in listed[:2]] == [".", ".."]
            assert sorted(name for name, _ in listed[2:]) == sorted([*names, "link", "pipe"])
        kinds = dict(listed)
        assert (kinds["link"], kinds["pipe"], kinds["file-000"]) == (
            Filetype.SYMBOLIC_LINK,
            Filetype.UNKNOWN,
            Filetype.REGULAR_FILE,
        )
        (top / "many/later").touch()
        assert "later" in dict(guest.list(fd))
        out = guest.room(64)
        assert guest.do("fd_readdir", fd, out, 64, 1 << 63, out) is Errno.SUCCESS
        assert guest.memory.read_u32(out) == 0
        assert guest.do("fd_readdir", guest.open("file"), out, 64, 0, out) is Errno.BADF


def test_readdir_above_is_not_told(top: Path) -> None:
    """The inode of the directory above, which is not granted, is not shown."""
    with Guest(granted(top)) as guest:
        out, used = guest.room(128), guest.room(4)
        guest.ok(guest.do("fd_readdir", 3, out, 128, 0, used))
        first = abi.DIRENT.unpack(guest.memory.read(out, 24))
        second = abi.DIRENT.unpack(guest.memory.read(out + 25, 24))
        assert first[1] == os.stat(top).st_ino
        assert second[1] == 0


def test_listing_is_bounded(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with too many names is an error, not a long wait."""
    monkeypatch.setattr("echelon.runtime.wasi_paths.MAX_ENTRIES", 3)
    with Guest(granted(top)) as guest, pytest.raises(WasiError, match="OVERFLOW"):
        guest.list(3)


# Opening ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "rights", "oflags", "answer"),
    [
        ("file", abi.FD_READ, abi.DIRECTORY, Errno.NOTDIR),
        ("dir", RW, 0, Errno.ISDIR),
        ("dir", RW, abi.DIRECTORY, Errno.ISDIR),
        ("dir", abi.FD_READ, abi.DIRECTORY | abi.CREAT, Errno.INVAL),
        ("new/", abi.FD_WRITE, abi.CREAT, Errno.ISDIR),
        ("file", abi.FD_READ, 16, Errno.INVAL),
        ("no/file", abi.FD_WRITE, abi.CREAT, Errno.NOENT),
    ],
)
def test_opening_what_cannot_be(top: Path, path: str, rights: int, oflags: int, answer: Errno) -> None:
    """Flags that contradict the file or each other are refused."""
    with Guest(granted(top)) as guest:
        assert refused(guest, path, rights, oflags=oflags) is answer
        assert refused(guest, "file", fd=guest.open("file")) is Errno.NOTDIR
        with pytest.raises(WasiError, match="INVAL"):
            guest.open("file", fdflags=32)


def test_links_are_followed_when_asked(top: Path) -> None:
    """Without the flag a link is ELOOP; O_EXCL never follows one."""
    (top / "link").symlink_to("file")
    (top / "dangling").symlink_to("dir/made")
    with Guest(granted(top)) as guest:
        with pytest.raises(WasiError, match="LOOP"):
            guest.open("link", follow=False)
        assert guest.read(guest.open("link")) == b"content"
        assert refused(guest, "dangling", abi.FD_WRITE, oflags=abi.CREAT | abi.EXCL) is Errno.EXIST
        guest.open("dangling", abi.FD_WRITE, oflags=abi.CREAT)
    assert (top / "dir/made").exists()


def test_descriptors_are_bounded_and_reused(top: Path) -> None:
    """A guest holds at most 256 descriptors, gets the lowest free number, and all are closed with the call."""
    with Guest(granted(top)) as guest:
        opened = [guest.open("file") for _ in range(wasi_table.MAX_DESCRIPTORS - 5)]
        assert opened == list(range(5, 256))
        assert refused(guest, "file") is Errno.MFILE
        guest.ok(guest.do("fd_close", 100))
        guest.ok(guest.do("fd_close", 50))
        assert guest.do("fd_close", 50) is Errno.BADF
        assert guest.open("file") == 50
        assert guest.open("dir") == 100


def test_all_guests_share_a_budget(top: Path) -> None:
    """Guests together cannot use up the descriptors of the process; closing gives them back."""
    wasi = Wasi(open_files=5)
    with Guest(granted(top), wasi=wasi) as one:
        numbers = [one.open("file") for _ in range(4)]
        two = Guest(granted(top), wasi=wasi)
        assert refused(two, "file") is Errno.NFILE
        assert refused(one, "file") is Errno.NFILE
        one.ok(one.do("fd_close", numbers[0]))
        assert refused(two, "file") is Errno.NFILE
        one.ok(one.do("fd_close", numbers[1]))
        assert two.read(two.open("file")) == b"content"
        two.call.close()


def test_renumber(top: Path) -> None:
    """A number can be made to stand for another's file; the replaced one is closed, the old one free."""
    with Guest(granted(top)) as guest:
        one, two = guest.open("file"), guest.open("dir/file")
        guest.ok(guest.do("fd_renumber", one, two))
        assert guest.read(two) == b"content"
        assert guest.do("fd_close", one) is Errno.BADF
        assert guest.do("fd_renumber", two, 99) is Errno.BADF
        assert guest.do("fd_renumber", 99, two) is Errno.BADF
        guest.ok(guest.do("fd_renumber", two, two))
        guest.ok(guest.do("fd_renumber", two, 1))
        guest.ok(guest.do("fd_close", 3))
        assert guest.read(guest.open(str(top / "dir/file"), fd=4)) == b"dir/file"


def test_closed_directories_stay_closed(top: Path) -> None:
    """Closing a directory a guest began with takes its number away, not the grant."""
    with Guest(granted(top)) as guest:
        guest.ok(guest.do("fd_close", 3))
        assert refused(guest, "file", fd=3) is Errno.BADF
        assert guest.read(guest.open(str(top / "file"), fd=4)) == b"content"
        guest.call.close()
        guest.call.close()


def test_every_path_is_audited(top: Path, tmp_path: Path) -> None:
    """With an audit log each path a guest opens, and each it is refused, is a line."""
    with AuditLog(tmp_path / "audit") as log:
        permissions = Permissions(read=[top]).audited(log, "m")
        with Guest(permissions) as guest:
            guest.open("dir/file")
            denied(guest, "file", abi.FD_WRITE)
            denied(guest, "etc/passwd", fd=4)
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [(x["permission"], x["target"], x["allowed"]) for x in lines] == [
        ("read", str(top / "dir/file"), True),
        ("write", str(top / "file"), False),
        ("read", "/etc/passwd", False),
    ]


def test_systems_without_directory_descriptors(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host cannot open relative to a directory, files are refused rather than opened unsafely."""
    monkeypatch.setattr("echelon.runtime.filesystem.SUPPORTED", False)
    with Guest(granted(top)) as guest:
        assert refused(guest, "file") is Errno.NOTSUP


def test_an_error_while_checking_closes_what_was_opened(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When something fails after a file was opened, its descriptor does not stay behind."""

    def broken(place: Place, flags: int, mode: int = 0o666) -> int:
        raise OSError(errno.EIO, "I/O error")

    with Guest(granted(top)) as guest:
        monkeypatch.setattr(Place, "open", broken)
        assert refused(guest, "dir/file") is Errno.IO
    assert NONE.grants_nothing
