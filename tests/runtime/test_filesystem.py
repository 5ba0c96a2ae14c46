"""No path leads out of a directory, whichever way it is resolved and whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasi_guest import open_descriptors

from echelon.runtime import filesystem
from echelon.runtime.filesystem import Place, locate

Find = Callable[..., Place]
SECRET = b"secret of the host"


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A directory to stay in, with something to find outside; fails when a descriptor is left open."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(SECRET)
    inside = tmp_path / "top"
    (inside / "a/b/c").mkdir(parents=True)
    (inside / "file").write_text("file")
    (inside / "a/file").write_text("a/file")
    (inside / "a/b/c/file").write_text("a/b/c/file")
    before = open_descriptors()
    yield inside
    assert open_descriptors() == before


@pytest.fixture(params=["kernel", "walk", "exact"])
def find(request: pytest.FixtureRequest, top: Path) -> Iterator[Find]:
    """`locate` in `top`, in each of the ways it can work."""
    if request.param == "kernel" and not filesystem.has_openat2():
        pytest.skip("this kernel has no openat2")
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY)

    def find(path: str, *, follow: bool = True) -> Place:
        return locate(
            root,
            path,
            base=str(top),
            follow=follow,
            exact=request.param == "exact",
            openat2=request.param == "kernel",
        )

    yield find
    os.close(root)


def read(find: Find, path: str, *, follow: bool = True, flags: int = os.O_RDONLY) -> bytes:
    with find(path, follow=follow) as place:
        opened = place.open(flags)
    try:
        return os.read(opened, 100)
    finally:
        os.close(opened)


def refused(find: Find, path: str, *, follow: bool = True, flags: int = os.O_RDONLY) -> int | None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number is what the tests compare
        read(find, path, follow=follow, flags=flags)
    return caught.value.errno


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("file", b"file"),
        ("./file", b"file"),
        ("a/file", b"a/file"),
        ("a//file", b"a/file"),
        ("a/../file", b"file"),
        ("a/b/../../a/./b/c/file", b"a/b/c/file"),
        ("a/b/c/../../../a/b/c/file", b"a/b/c/file"),
    ],
)
def test_path_inside(find: Find, path: str, content: bytes) -> None:
    """A path that stays inside is found, also with dots and doubled slashes."""
    assert read(find, path) == content


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../secret",
        "../outside/secret",
        "a/../../secret",
        "a/../../x",
        "a/b/../../../secret",
        "./../secret",
        "../top/file",
        "a/b/c/../../../../top/file",
        "/etc/passwd",
        "//etc/passwd",
        "/",
    ],
)
def test_dots_and_absolute_paths_do_not_lead_out(find: Find, path: str) -> None:
    """A path that leaves the directory is refused, even if it comes back."""
    assert refused(find, path) == errno.EXDEV


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/etc/passwd", "link"),
        ("/etc", "link/passwd"),
        ("../secret", "link"),
        ("..", "link/secret"),
        ("../outside", "link/secret"),
        ("a/../../secret", "link"),
        ("../top/../secret", "link"),
        ("/proc/self/root/etc/passwd", "link"),
        ("/proc/self/cwd", "link/anything"),
        ("//etc/passwd", "link"),
    ],
)
def test_links_do_not_lead_out(find: Find, top: Path, target: str, path: str) -> None:
    """A link to somewhere else is refused, as the last name and on the way."""
    (top / "link").symlink_to(target)
    assert refused(find, path) == errno.EXDEV


def test_link_chain_does_not_lead_out(find: Find, top: Path) -> None:
    """Links through links are followed by the same rule."""
    (top / "a/one").symlink_to("../two")
    (top / "two").symlink_to("a/b/three")
    (top / "a/b/three").symlink_to("../../../outside")
    assert refused(find, "a/one/secret") == errno.EXDEV


def test_links_inside_are_followed(find: Find, top: Path) -> None:
    """Links that stay inside work: relative, absolute, to directories, with `..`."""
    (top / "relative").symlink_to("a/file")
    (top / "absolute").symlink_to(top / "a/file")
    (top / "directory").symlink_to("a/b")
    (top / "a/b/up").symlink_to("../file")
    (top / "slashed").symlink_to("a/b/")
    assert read(find, "relative") == b"a/file"
    assert read(find, "absolute") == b"a/file"
    assert read(find, "directory/c/file") == b"a/b/c/file"
    assert read(find, "directory/up") == b"a/file"
    assert read(find, "directory/../file") == b"a/file"
    assert read(find, "slashed/c/file") == b"a/b/c/file"


def test_last_link_is_not_followed_unless_asked(find: Find, top: Path) -> None:
    """Without `follow` the last name is taken as it is."""
    (top / "link").symlink_to("file")
    assert refused(find, "link", follow=False) == errno.ELOOP
    with find("link", follow=False) as place:
        assert stat.S_ISLNK(place.stat().st_mode)
        assert place.name == "link"


def test_dangling_link_names_what_it_points_to(find: Find, top: Path) -> None:
    """Creating through a dangling link creates its target, inside."""
    (top / "link").symlink_to("a/new")
    with find("link") as place:
        os.close(place.open(os.O_WRONLY | os.O_CREAT))
    assert (top / "a/new").exists()


def test_link_loops_end(find: Find, top: Path) -> None:
    """Links in a circle, or more than 40 of them, are ELOOP."""
    (top / "x").symlink_to("y")
    (top / "y").symlink_to("x")
    assert refused(find, "x") == errno.ELOOP
    assert refused(find, "x/file") == errno.ELOOP
    for number in range(60):
        (top / f"n{number}").symlink_to(f"n{number + 1}" if number < 59 else "file")
    assert refused(find, "n0") == errno.ELOOP
    assert read(find, "n40") == b"file"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", errno.ENOENT),
        ("file\0", errno.EINVAL),
        ("a/\0/b", errno.EINVAL),
        ("x" * 5000, errno.ENAMETOOLONG),
        ("a/" * 2500, errno.ENAMETOOLONG),
        ("x" * 300, errno.ENAMETOOLONG),
        ("missing", errno.ENOENT),
        ("missing/file", errno.ENOENT),
        ("file/x", errno.ENOTDIR),
        ("file/..", errno.ENOTDIR),
        ("file/", errno.ENOTDIR),
        ("file///", errno.ENOTDIR),
    ],
)
def test_impossible_paths(find: Find, path: str, number: int) -> None:
    """What is no path, or names nothing, has the error POSIX gives it."""
    assert refused(find, path) == number


def test_slash_asks_for_a_directory(find: Find, top: Path) -> None:
    """A slash at the end is fine after a directory, or a link to one, and never creates a file."""
    (top / "link").symlink_to("a")
    for path in ("a/", "a/.", "link/", "."):
        with find(path) as place:
            opened = place.open(os.O_RDONLY)
        assert stat.S_ISDIR(os.fstat(opened).st_mode)
        os.close(opened)
    assert refused(find, "new/", flags=os.O_WRONLY | os.O_CREAT) == errno.EISDIR
    assert not (top / "new").exists()


def test_pipes_sockets_and_devices_are_refused(find: Find, top: Path) -> None:
    """Only files and directories are opened, and nothing blocks on the way."""
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "a/s"))
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            assert refused(find, "pipe", flags=flags) == errno.EACCES
            assert refused(find, "a/s", flags=flags) == errno.EACCES


@pytest.mark.parametrize("openat2", [True, False])
def test_device_nodes_are_refused(openat2: bool) -> None:
    """A device is not opened even where the whole of /dev is the directory."""
    root = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with (
            locate(root, "null", base="/dev", openat2=openat2) as place,
            pytest.raises(OSError, match="denied"),
        ):
            place.open(os.O_RDWR)
    finally:
        os.close(root)


@pytest.mark.parametrize("openat2", [True, False])
@pytest.mark.parametrize("path", ["root/etc/passwd", "cwd/x", "fd/0", "exe", "task/../root/etc/passwd"])
def test_links_of_the_kernel_are_not_followed(openat2: bool, path: str) -> None:
    """The links in /proc that jump to open files are refused even where /proc/self is the directory."""
    base = os.path.realpath("/proc/self")
    root = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011, SIM117  # the number is compared below
            with locate(root, path, base=base, follow=True, openat2=openat2) as place:
                os.close(place.open(os.O_RDONLY))
        assert caught.value.errno in (errno.EXDEV, errno.ENOENT, errno.ELOOP)
    finally:
        os.close(root)


def test_truncation_waits_until_the_file_is_known(find: Find, top: Path) -> None:
    """O_TRUNC empties a regular file."""
    assert read(find, "file", flags=os.O_RDWR | os.O_TRUNC) == b""
    assert (top / "file").read_bytes() == b""


def test_deep_trees(find: Find, top: Path, request: pytest.FixtureRequest) -> None:
    """A walk goes down a limited number of directories, because it holds each one open."""
    deep = os.open(top, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=deep)
        following = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = following
    os.close(deep)
    assert os.path.basename(str(top)) == "top"
    with find("d/" * filesystem.MAX_DEPTH + "x") as place:
        assert place.name == "x"
    if "kernel" in request.node.name:
        find("d/" * 199 + "x").close()
    else:
        with pytest.raises(OSError, match="too long"):
            find("d/" * 199 + "x")


def test_names_with_odd_bytes(find: Find, top: Path) -> None:
    """Any name the file system takes is found, whatever its bytes."""
    (top / "näm é\n🦀").write_text("odd")
    assert read(find, "näm é\n🦀") == b"odd"


def test_exact_place_knows_where_it_is(top: Path) -> None:
    """A walk reports the path that was really taken, with no link in it."""
    (top / "link").symlink_to("a/b")
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    with locate(root, "link/../b/c/file", base=str(top), exact=True) as place:
        assert place.path == str(top / "a/b/c/file")
    with locate(root, "a/..", base=str(top), exact=True) as place:
        assert place.path == str(top)
        assert place.is_self
    os.close(root)


def test_whole_disk(top: Path) -> None:
    """Beneath "/" absolute links and any number of `..` are at home."""
    (top / "link").symlink_to(top / "file")
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    path = "../../" + str(top / "link").lstrip("/")
    with locate(root, path, base="/", follow=True, exact=True) as place:
        assert place.path == str(top / "file")
    os.close(root)


def test_open_directory_accepts_no_link(top: Path) -> None:
    """A granted path was resolved before; a link that has appeared in it since is refused."""
    os.close(filesystem.open_directory(str(top / "a/b")))
    os.close(filesystem.open_directory("/"))
    (top / "a/b/c/file").unlink()
    (top / "link").symlink_to("a")
    for path in (top / "link", top / "link/b", top / "missing", top / "file"):
        with pytest.raises(OSError, match="directory"):
            filesystem.open_directory(str(path))


def test_swapping_a_directory_for_a_link_wins_nothing(find: Find, top: Path) -> None:
    """While a thread swaps a directory and a link to the outside, no read ever sees the outside."""
    (top / "x").mkdir()
    (top / "x/secret").write_bytes(b"inside")
    (top / "spare").symlink_to("../outside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(top / "x", top / "y")
            os.rename(top / "spare", top / "x")
            os.rename(top / "x", top / "spare")
            os.rename(top / "y", top / "x")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read(find, "x/secret"))
            except OSError as exc:
                assert exc.errno in (errno.ENOENT, errno.EXDEV, errno.ENOTDIR, errno.ELOOP)  # noqa: PT017
    finally:
        done.set()
        thread.join()
    assert seen <= {b"inside"}


def test_swapping_the_last_name_wins_nothing(find: Find, top: Path) -> None:
    """While a thread swaps a file and a link to the outside, no read ever sees the outside."""
    (top / "x").write_bytes(b"inside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.symlink("../secret", top / "next")
            os.rename(top / "next", top / "x")
            (top / "next").write_bytes(b"inside")
            os.rename(top / "next", top / "x")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read(find, "x"))
            except OSError as exc:
                assert exc.errno in (errno.ENOENT, errno.EXDEV, errno.ELOOP)  # noqa: PT017
    finally:
        done.set()
        thread.join()
    assert seen <= {b"inside", b""}


_NAMES = st.sampled_from([".", "..", "", "a", "b", "c", "file", "in", "out", "up", "loop", "abs", "missing"])


@pytest.mark.skipif(not filesystem.has_openat2(), reason="this kernel has no openat2")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(_NAMES, min_size=1, max_size=7), follow=st.booleans())
def test_both_ways_agree(top: Path, names: list[str], follow: bool) -> None:
    """The kernel and the walk find the same thing for every path, or refuse it with the same error."""
    for name, target in (("in", "a/b"), ("out", "../outside"), ("loop", "loop"), ("abs", str(top / "a"))):
        if not (top / name).is_symlink():
            (top / name).symlink_to(target)
    if not (top / "a/up").is_symlink():
        (top / "a/up").symlink_to("..")
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    found = []
    for openat2 in (True, False):
        try:
            with locate(root, "/".join(names), base=str(top), follow=follow, openat2=openat2) as place:
                there = place.stat()
                place.require_directory()
                found.append((there.st_dev, there.st_ino))
        except OSError as exc:
            found.append((-1, exc.errno or 0))
    os.close(root)
    assert found[0] == found[1]
