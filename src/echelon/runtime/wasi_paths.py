"""The file system functions of WASI: where a guest's path leads, whether that is granted, and what is done there.

A path that is not granted raises PermissionDenied, which ends the call: a guest cannot be told "no such file" about
something it only lacks the permission for. Everything else that goes wrong is an error number.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, Literal

from echelon.runtime import filesystem
from echelon.runtime import wasi_abi as abi
from echelon.runtime.filesystem import Place, locate
from echelon.runtime.permission_rules import is_beneath
from echelon.runtime.permissions import Permissions
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_table import CatchAll, Directory, File, Table, closest

Kind = Literal["read", "write"]
_READ: Final[tuple[Kind, ...]] = ("read",)
_WRITE: Final[tuple[Kind, ...]] = ("write",)
EITHER: Final = _READ + _WRITE

MAX_ENTRIES: Final = 100_000
"""Names that a directory may hold to be listed."""

_FD_FLAGS: Final = (
    (abi.APPEND, os.O_APPEND),
    (abi.DSYNC, getattr(os, "O_DSYNC", 0)),
    (abi.RSYNC, getattr(os, "O_SYNC", 0)),
    (abi.SYNC, getattr(os, "O_SYNC", 0)),
)


class Files:
    """The files of one call."""

    def __init__(self, table: Table, permissions: Permissions) -> None:
        self._table, self._permissions = table, permissions

    # Where a path leads ---------------------------------------------------------------------------------

    def _place(self, number: int, path: str, kinds: tuple[Kind, ...], *, follow: bool = False) -> Place:
        """Find what `path` names from the directory `number`, granted for all `kinds`. The caller closes it.

        No kinds at all stand for either. The place's `rule` is that of its directory.
        """
        directory, owned = self._table.directory(number), list[int]()
        if isinstance(directory, CatchAll):
            directory, path, owned = self._route(path, kinds[0] if kinds else "read")
        place = self._locate(directory, path, owned, follow=follow)
        try:
            rule = _rule_of(place)
            for kind in kinds or self._either(rule):
                self._permissions.require_path(kind, rule, shown=place.path)
        except BaseException:
            place.close()
            raise
        return place

    def _either(self, rule: str) -> tuple[Kind, ...]:
        """Return the one permission that is asked for to open something for neither reading nor writing."""
        only_write = not self._permissions.check_path("read", rule) and self._permissions.check_path(
            "write", rule
        )
        return _WRITE if only_write else _READ

    @staticmethod
    def _locate(directory: Directory, path: str, owned: list[int], *, follow: bool) -> Place:
        try:
            exact = directory.rule is None
            place = locate(directory.number, path, base=directory.path, follow=follow, exact=exact)
        except BaseException:
            for opened in owned:
                os.close(opened)
            raise
        place.rule = directory.rule
        place.owned.extend(owned)
        return place

    def _route(self, path: str, kind: Kind) -> tuple[Directory, str, list[int]]:
        """Find the granted directory for a path of the catch-all: absolute, or from the working directory.

        C libraries hand over "/etc/hosts" and "etc/hosts" as the same text. Descriptors in the last result are to
        be closed with the place. Raises PermissionDenied.
        """
        if not path or "\0" in path:
            raise OSError(errno.EINVAL if path else errno.ENOENT, "")
        absolute = _normal("/" + path)
        found = [
            mapped for mapped in map(self._granted, self._readings(path, absolute)) if mapped is not None
        ]
        if not found or self._is_absolute(absolute, found):
            from_root = bool(found) or path.startswith("/") or _at_root(absolute)
            asked = absolute if from_root else _normal(os.path.join(os.getcwd(), path))
            self._permissions.require_path(kind, asked, shown=asked if from_root else _normal(path)[1:])
            granted = self._granted(asked)  # by somebody who was asked just now
            if granted is None:
                raise WasiError(Errno.ACCES)
            found = [granted]
        target = found[0] if len(found) == 1 else self._choose(found)
        return self._enter(target, "/" if path.endswith(("/", "/.")) else "")

    def _enter(self, target: str, slash: str) -> tuple[Directory, str, list[int]]:
        """Return the directory to look for the granted path `target` in, the rest of it, and what to close."""
        directory = closest(self._table, target)
        if directory is not None and (directory.path != "/" or self._grants_root()):
            rest = target[len(directory.path.rstrip("/")) + 1 :]
            return directory, rest + slash if rest else ".", []
        # A granted file, or something that does not exist yet: its own directory is not granted.
        parent, name = os.path.split(target)
        opened = filesystem.open_directory(parent)
        return Directory(parent, None, self._table.budget, number=opened), name + slash, [opened]

    def _grants_root(self) -> bool:
        return any(grant.path == "/" for grant in self._permissions.path_grants())

    @staticmethod
    def _readings(path: str, absolute: str) -> list[str]:
        if path.startswith("/"):
            return [absolute]
        return list(dict.fromkeys((absolute, _normal(os.path.join(os.getcwd(), path)))))

    def _granted(self, path: str) -> str | None:
        """Return where `path` is beneath a grant, its links followed up to the grant itself; None when nowhere."""
        for grant in self._permissions.path_grants():
            for top in (grant.shown, grant.path):
                if is_beneath(path, top):
                    mapped = _normal(grant.path + "/" + path[len(top.rstrip("/")) :])
                    if any(self._permissions.check_path(kind, mapped) for kind in EITHER):
                        return mapped
        return None

    def _is_absolute(self, absolute: str, found: list[str]) -> bool:
        """Tell whether a path that is granted from the working directory only was most likely meant from the root."""
        if len(found) > 1 or self._granted(absolute) is not None or not _at_root(absolute):
            return False
        return not self._exists(found[0]) and not self._exists(os.path.dirname(found[0]))

    def _choose(self, found: list[str]) -> str:
        """Take the reading that exists; for a new file, the one whose directory does, the root last."""
        for target in found:
            if self._exists(target):
                return target
        absolute, relative = found
        parent = os.path.dirname(absolute)
        return absolute if parent != "/" and self._exists(parent) else relative

    def _exists(self, target: str) -> bool:
        if self._granted(target) is None:
            return False
        try:
            with self._locate(*self._enter(target, ""), follow=False) as place:
                place.stat()
        except OSError:
            return False
        return True

    # Opening --------------------------------------------------------------------------------------------

    def open(self, number: int, path: str, lookup: int, oflags: int, rights: int, fdflags: int) -> int:
        """Open a file or directory and return its number in the table."""
        readable, writable = bool(rights & abi.FD_READ), bool(rights & abi.FD_WRITE)
        as_directory = bool(oflags & abi.DIRECTORY)
        if (as_directory and oflags != abi.DIRECTORY) or oflags > abi.ALL_OFLAGS or fdflags > abi.ALL_FDFLAGS:
            raise WasiError(Errno.INVAL)
        if as_directory and writable:
            raise WasiError(Errno.ISDIR)
        follow = bool(lookup & abi.SYMLINK_FOLLOW) and not (oflags & abi.CREAT and oflags & abi.EXCL)
        changes = writable or bool(oflags & (abi.CREAT | abi.TRUNC))
        kinds = (_READ if readable else ()) + (_WRITE if changes else ())
        self._table.reserve()
        try:
            with self._place(number, path, kinds, follow=follow) as place:
                opened = place.open(_open_flags(readable, writable, oflags, fdflags))
        except BaseException:
            self._table.budget.give_back()
            raise
        budget, rule = self._table.budget, place.rule
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            if rule is None and not self._permissions.has_rules_in(place.path, itself=False):
                rule = place.path
            return self._table.add(Directory(place.path, rule, budget, number=opened))
        return self._table.add(
            File(
                opened,
                place.path,
                _rule_of(place),
                readable=readable,
                writable=writable,
                flags=fdflags,
                budget=budget,
            )
        )

    # What is at a path ----------------------------------------------------------------------------------

    def stat(self, number: int, path: str, lookup: int) -> bytes:
        with self._place(number, path, ("read",), follow=bool(lookup & abi.SYMLINK_FOLLOW)) as place:
            place.require_directory()
            return abi.filestat(place.stat())

    def read_link(self, number: int, path: str) -> bytes:
        with self._place(number, path, ("read",)) as place:
            return os.fsencode(os.readlink(place.name, dir_fd=place.directory))

    def set_times(self, number: int, path: str, lookup: int, times: TimesOf) -> None:
        with self._place(number, path, ("write",), follow=bool(lookup & abi.SYMLINK_FOLLOW)) as place:
            place.require_directory()
            ns = times.of(place.stat())
            os.utime(place.name, ns=ns, dir_fd=place.directory, follow_symlinks=False)

    # Changing the tree ----------------------------------------------------------------------------------

    def create_directory(self, number: int, path: str) -> None:
        with self._place(number, path, ("write",)) as place:
            if place.is_self:
                raise WasiError(Errno.EXIST)
            os.mkdir(place.name, dir_fd=place.directory)

    def remove_directory(self, number: int, path: str) -> None:
        with self._place(number, path, ("write",)) as place:
            self._require_movable(place)
            os.rmdir(place.name, dir_fd=place.directory)

    def unlink(self, number: int, path: str) -> None:
        with self._place(number, path, ("write",)) as place:
            self._require_movable(place)
            place.require_directory()
            # Some systems let root unlink a directory, and Linux answers EISDIR only after it looked.
            if stat.S_ISDIR(place.stat().st_mode):
                raise WasiError(Errno.ISDIR)
            os.unlink(place.name, dir_fd=place.directory)

    def rename(self, number: int, path: str, to_number: int, to_path: str) -> None:
        with (
            self._place(number, path, ("write",)) as old,
            self._place(to_number, to_path, ("write",)) as new,
        ):
            for place in (old, new):
                self._require_movable(place)
            old.require_directory()
            if new.slash and not stat.S_ISDIR(old.stat().st_mode):
                raise WasiError(Errno.NOTDIR)
            self._require_as_readable(old, new)
            os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)

    def link(self, number: int, path: str, lookup: int, to_number: int, to_path: str) -> None:
        if lookup & abi.SYMLINK_FOLLOW:
            raise WasiError(Errno.INVAL)
        # A second name gives every right of its own place, so the first must have them all.
        with (
            self._place(number, path, ("write", "read")) as old,
            self._place(to_number, to_path, ("write",)) as new,
        ):
            old.require_directory()
            if new.slash:
                raise WasiError(Errno.NOENT)
            if stat.S_ISDIR(old.stat().st_mode):
                raise WasiError(Errno.PERM)
            os.link(
                old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory, follow_symlinks=False
            )

    def symlink(self, target: str, number: int, path: str) -> None:
        if not target:
            raise WasiError(Errno.NOENT)
        if "\0" in target:
            raise WasiError(Errno.INVAL)
        if target.startswith("/"):
            raise WasiError(Errno.PERM)
        with self._place(number, path, ("write",)) as place:
            if place.slash:
                place.require_directory()
                raise WasiError(Errno.EXIST)
            if place.is_self:
                raise WasiError(Errno.EXIST)
            os.symlink(target, place.name, dir_fd=place.directory)

    def _require_movable(self, place: Place) -> None:
        """Raise WasiError for a place that rules are about: what is denied must not get another name."""
        if place.is_self:
            raise WasiError(Errno.INVAL)
        if place.rule is None and self._permissions.has_rules_in(place.path, itself=True):
            raise WasiError(Errno.BUSY)

    def _require_as_readable(self, old: Place, new: Place) -> None:
        """Refuse to move what may not be read to where it may."""
        if self._permissions.check_path("read", _rule_of(new)):
            self._permissions.require_path("read", _rule_of(old), shown=old.path)

    # Directories ----------------------------------------------------------------------------------------

    def entries(self, number: int, *, again: bool) -> tuple[tuple[bytes, int, int], ...]:
        """Return name, inode and type of everything in a directory, read anew when `again`."""
        directory = self._table.get(number)
        if not isinstance(directory, Directory):
            raise WasiError(Errno.BADF if isinstance(directory, File) else Errno.NOTDIR)
        self._permissions.require_path("read", _rule_of(directory), shown=directory.path)
        if again or not directory.entries:
            directory.entries = _list(directory.number)
        return directory.entries

    def directory_stat(self, directory: Directory) -> bytes:
        rule = _rule_of(directory)
        if not any(self._permissions.check_path(kind, rule) for kind in EITHER):
            self._permissions.require_path("read", rule, shown=directory.path)
        return abi.filestat(os.fstat(directory.number))

    def require_write(self, descriptor: File | Directory) -> None:
        """Raise PermissionDenied unless what the descriptor is open on may be changed."""
        self._permissions.require_path("write", _rule_of(descriptor), shown=descriptor.path)


class TimesOf:
    """The times a guest wants to set, in nanoseconds; None leaves one as it is."""

    def __init__(self, flags: int, atim: int, mtim: int, now: int) -> None:
        if any(flags & both == both for both in (abi.ATIM | abi.ATIM_NOW, abi.MTIM | abi.MTIM_NOW)):
            raise WasiError(Errno.INVAL)
        self._atim = now if flags & abi.ATIM_NOW else atim if flags & abi.ATIM else None
        self._mtim = now if flags & abi.MTIM_NOW else mtim if flags & abi.MTIM else None

    def of(self, found: os.stat_result) -> tuple[int, int]:
        """Return both times for something that has the times of `found`."""
        atim = found.st_atime_ns if self._atim is None else self._atim
        return atim, found.st_mtime_ns if self._mtim is None else self._mtim


def _rule_of(item: Place | File | Directory) -> str:
    """Return the path to ask the permissions about: where it is, unless one rule holds for all of its tree."""
    return item.path if item.rule is None else item.rule


def _open_flags(readable: bool, writable: bool, oflags: int, fdflags: int) -> int:
    changes = writable or bool(oflags & abi.TRUNC)
    flags = (os.O_RDWR if readable else os.O_WRONLY) if changes else os.O_RDONLY
    for ours, hosts in ((abi.CREAT, os.O_CREAT), (abi.EXCL, os.O_EXCL), (abi.TRUNC, os.O_TRUNC)):
        flags |= hosts if oflags & ours else 0
    flags |= getattr(os, "O_DIRECTORY", 0) if oflags & abi.DIRECTORY else 0
    for ours, hosts in _FD_FLAGS:
        flags |= hosts if fdflags & ours else 0
    return flags


def _list(directory: int) -> tuple[tuple[bytes, int, int], ...]:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        # The inode above is the host's business: it may lie outside of what is granted.
        found = [(b".", os.fstat(opened).st_ino, abi.Filetype.DIRECTORY), (b"..", 0, abi.Filetype.DIRECTORY)]
        with os.scandir(opened) as entries:
            for entry in entries:
                if len(found) >= MAX_ENTRIES:
                    raise WasiError(Errno.OVERFLOW)
                found.append((os.fsencode(entry.name), entry.inode(), _kind_of(entry)))
        return tuple(found)
    finally:
        os.close(opened)


def _kind_of(entry: os.DirEntry[str]) -> abi.Filetype:
    if entry.is_symlink():
        return abi.Filetype.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return abi.Filetype.DIRECTORY
    return abi.Filetype.REGULAR_FILE if entry.is_file(follow_symlinks=False) else abi.Filetype.UNKNOWN


def _normal(path: str) -> str:
    return "/" + os.path.normpath(path).lstrip("/")


def _at_root(absolute: str) -> bool:
    """Tell whether the first name of a path exists in "/": the only place outside the grants that is looked at."""
    return os.path.lexists("/" + absolute.split("/")[1])
