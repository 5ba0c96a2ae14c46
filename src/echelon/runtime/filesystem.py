"""Opening what lies beneath a directory, with no way out of it.

`locate` turns a path that a hostile guest wrote into the directory descriptor that holds its last name.
Everything after that is done relative to this descriptor and without following links, so nothing that happens
to the tree in the meantime (a directory moved away, a name swapped for a link) can lead outside.

The directory part is resolved by the kernel (openat2 with RESOLVE_BENEATH) where it can; otherwise, or when the
caller has to know which directories were really passed, name by name with O_NOFOLLOW. Both accept links that
stay inside, also absolute ones, at most 40 for a path, and refuse all others with EXDEV. Links that the kernel
makes up (/proc/self/fd) are never followed.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

MAX_PATH: Final = 4096
MAX_LINKS: Final = 40
MAX_DEPTH: Final = 128
"""Directories a walk goes down; it holds a descriptor of each."""

SUPPORTED: Final = os.open in os.supports_dir_fd
"""Whether this system can open relative to a directory; Windows cannot."""


def _flags(*names: str) -> int:
    return functools.reduce(lambda value, name: value | int(getattr(os, name, 0)), names, 0)


_PATH: Final = _flags("O_PATH")
_DIRECTORY: Final = _PATH | _flags("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
_ALWAYS: Final = _flags("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY")

_SYS_OPENAT2: Final = 437
"""The same number on every architecture since Linux 5.6 but for Alpha."""
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
_UNSURE: Final = (errno.EXDEV, errno.EAGAIN, errno.ENOSYS, errno.EPERM)
"""What openat2 answers when it refuses, cannot tell or does not exist; the walk by name then decides."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _openat2(directory: int, path: str) -> int:
    """Open the directory `path` beneath `directory`; raises OSError."""
    how = _OpenHow(_PATH | _flags("O_DIRECTORY", "O_CLOEXEC"), 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    opened = _libc().syscall(
        ctypes.c_long(_SYS_OPENAT2), directory, name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if opened < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(opened)


@functools.cache
def has_openat2() -> bool:
    """Tell whether the kernel resolves beneath a directory by itself."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        top = os.open("/", _DIRECTORY)
        try:
            os.close(_openat2(top, "."))
        finally:
            os.close(top)
    except OSError:
        return False
    return True


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def open_directory(path: str) -> int:
    """Open the absolute directory `path`, in which no link may have appeared since it was resolved."""
    current = os.open("/", _DIRECTORY)
    for name in path.split("/"):
        if name:
            try:
                following = os.open(name, _DIRECTORY, dir_fd=current)
            finally:
                os.close(current)
            current = following
    return current


@dataclass(slots=True)
class Place:
    """A name in an open directory. `close` it, or use it with `with`; only what it opened itself is closed.

    `path` is where it is, absolute: exact after a walk, as written after openat2. `slash` tells that the path
    ended in one, so the name must be a directory. The name "." is the directory itself. `rule` is the caller's.
    """

    directory: int
    name: str
    path: str
    slash: bool = False
    owned: list[int] = field(default_factory=list)
    rule: str | None = None

    @property
    def is_self(self) -> bool:
        return self.name == "."

    def close(self) -> None:
        owned, self.owned = self.owned, []
        for number in owned:
            os.close(number)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stat(self) -> os.stat_result:
        """Return what the name itself is, not what it links to."""
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def require_directory(self) -> None:
        """Raise ENOTDIR when the path ended in a slash and the name is something else."""
        if self.slash and not stat.S_ISDIR(self.stat().st_mode):
            raise _error(errno.ENOTDIR, self.path)

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open a regular file or a directory, never a link, device, pipe or socket; raises OSError.

        O_TRUNC takes effect only after the file is known to be regular.
        """
        wanted = flags & ~os.O_TRUNC
        if self.slash:
            if flags & os.O_CREAT:
                raise _error(errno.EISDIR, self.path)
            wanted |= os.O_DIRECTORY
        try:
            opened = os.open(self.name, wanted | _ALWAYS, mode, dir_fd=self.directory)
        except OSError as exc:
            # A socket, or a pipe that nobody reads, answers ENXIO; other systems say EMLINK for a link.
            number = {errno.ENXIO: errno.EACCES, errno.EMLINK: errno.ELOOP}.get(exc.errno or 0, exc.errno)
            raise _error(number or errno.EIO, self.path) from exc
        try:
            kind = os.fstat(opened).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                raise _error(errno.EACCES, self.path)
            if flags & os.O_TRUNC and stat.S_ISREG(kind):
                os.ftruncate(opened, 0)
        except BaseException:
            os.close(opened)
            raise
        return opened


def locate(
    root: int, path: str, *, base: str, follow: bool = False, exact: bool = False, openat2: bool | None = None
) -> Place:
    """Find the directory beneath `root` that holds the last name of `path`, and that name; raises OSError.

    `base` is where `root` is, absolute. With `follow`, a last name that is a link is followed too, also when what
    it names does not exist. With `exact` the place's `path` is the one really taken. `openat2` is for tests.
    """
    if not path:
        raise _error(errno.ENOENT, path)
    if "\0" in path:
        raise _error(errno.EINVAL, path)
    if len(os.fsencode(path)) >= MAX_PATH:
        raise _error(errno.ENAMETOOLONG, path)
    if path.startswith("/"):
        raise _error(errno.EXDEV, path)
    if not exact and (has_openat2() if openat2 is None else openat2):
        try:
            return _kernel_locate(root, path, base, follow)
        except OSError as exc:
            if exc.errno not in _UNSURE:
                raise
    walk = _Walk(root, base)
    try:
        return walk.locate(path, follow)
    except BaseException:
        walk.close()
        raise


def _kernel_locate(root: int, path: str, base: str, follow: bool) -> Place:
    """Do the same with openat2; every doubt is raised as one of _UNSURE."""
    parent, _, name = path.rstrip("/").rpartition("/")
    slash = path.endswith("/")
    if name in ("", ".", ".."):
        parent, name = path, "."
    shown = os.path.normpath(f"{base}/{parent}/{name}")
    if parent in ("", "."):
        place = Place(root, name, shown, slash)
    else:
        opened = _openat2(root, parent)
        place = Place(opened, name, shown, slash, [opened])
    if follow or slash:
        try:
            is_link = stat.S_ISLNK(place.stat().st_mode)
        except FileNotFoundError:
            return place
        except BaseException:
            place.close()
            raise
        if is_link:
            place.close()
            raise _error(errno.EXDEV, path)
    return place


class _Walk:
    """A path taken one name at a time; holds a descriptor of every directory between the root and here."""

    def __init__(self, root: int, base: str) -> None:
        self._root, self._base = root, base
        self._opened: list[int] = []
        self._names: list[str] = []
        self._links = 0

    def close(self) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def _here(self) -> int:
        return self._opened[-1] if self._opened else self._root

    def _path(self, *more: str) -> str:
        return "/".join([self._base.rstrip("/"), *self._names, *more]) or "/"

    def _up(self, path: str) -> None:
        if not self._opened:
            # The directory above "/" is "/" itself.
            if self._base != "/":
                raise _error(errno.EXDEV, path)
            return
        os.close(self._opened.pop())
        self._names.pop()

    def _target(self, name: str, path: str) -> list[str] | None:
        """Return the names a link stands for, having gone to where they begin; None when it is no link."""
        try:
            target = os.readlink(name, dir_fd=self._here())
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise
        self._links += 1
        if self._links > MAX_LINKS:
            raise _error(errno.ELOOP, path)
        if target.startswith("/"):
            base = self._base.rstrip("/")
            if target != base and not target.startswith(base + "/"):
                raise _error(errno.EXDEV, path)
            target = target[len(base) :]
            self.close()
            self._names.clear()
        return target.split("/")

    def locate(self, path: str, follow: bool) -> Place:
        slash = path.endswith("/")
        todo = path.split("/")[::-1]
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                self._up(path)
                continue
            last = not any(todo)
            if not last or follow or slash:
                names = self._target(name, path)
                if names is not None:
                    slash = slash or (last and names[-1] == "")
                    todo.extend(reversed(names))
                    continue
            if last:
                return self._place(name, self._path(name), slash)
            if len(self._opened) >= MAX_DEPTH:
                raise _error(errno.ENAMETOOLONG, path)
            self._opened.append(os.open(name, _DIRECTORY, dir_fd=self._here()))
            self._names.append(name)
        return self._place(".", self._path(), slash)

    def _place(self, name: str, path: str, slash: bool) -> Place:
        directory = self._here()
        owned = [self._opened.pop()] if self._opened else []
        self.close()
        return Place(directory, name, path, slash, owned)
