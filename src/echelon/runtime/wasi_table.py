"""The descriptors a WASI guest holds during one call, and how many files all calls together may hold."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from typing import Final

from echelon.runtime import filesystem
from echelon.runtime.permission_rules import is_beneath
from echelon.runtime.permissions import Permissions
from echelon.runtime.wasi_abi import Errno, WasiError

MAX_DESCRIPTORS: Final = 256
FIRST_PREOPEN: Final = 3


class FileBudget:
    """Counts the host's descriptors that guests hold, so that they cannot use up the process's own."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = _half_of_the_process() if limit is None else limit
        self.used = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count one more; raises WasiError at the limit."""
        with self._lock:
            if self.used >= self.limit:
                raise WasiError(Errno.NFILE)
            self.used += 1

    def give_back(self) -> None:
        with self._lock:
            self.used -= 1


def _half_of_the_process() -> int:
    try:
        import resource
    except ImportError:  # there is no such limit on Windows
        return 4096
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(soft // 2, 16)


class Stdin:
    """What the call was given to read."""

    __slots__ = ()

    def close(self) -> None:
        """Nothing is held."""


class Output:
    """Standard output or error of the call."""

    __slots__ = ("is_error",)

    def __init__(self, is_error: bool) -> None:
        self.is_error = is_error

    def close(self) -> None:
        """Nothing is held."""


class File:
    """An open regular file; `rule` is the path whose permissions hold for it."""

    __slots__ = ("_budget", "flags", "number", "path", "readable", "rule", "writable")

    def __init__(
        self,
        number: int,
        path: str,
        rule: str,
        *,
        readable: bool,
        writable: bool,
        flags: int,
        budget: FileBudget,
    ) -> None:
        self.number, self.path, self.rule, self.flags = number, path, rule, flags
        self.readable, self.writable, self._budget = readable, writable, budget

    def close(self) -> None:
        os.close(self.number)
        self._budget.give_back()


class Directory:
    """A directory, opened when it is first used.

    `rule` is the path whose permissions hold for everything in it, or None when they differ from place to place:
    each path then has to be walked exactly. `name` is set for those a guest begins with.
    """

    __slots__ = ("_budget", "_number", "entries", "name", "path", "rule")

    def __init__(
        self,
        path: str,
        rule: str | None,
        budget: FileBudget,
        *,
        name: str | None = None,
        number: int | None = None,
    ) -> None:
        self.path, self.rule, self.name = path, rule, name
        self.entries: tuple[tuple[bytes, int, int], ...] = ()
        self._number, self._budget = number, budget

    @property
    def number(self) -> int:
        """Return the host's descriptor; raises OSError when it cannot be opened any more."""
        if self._number is None:
            if not filesystem.SUPPORTED:
                raise WasiError(Errno.NOTSUP)
            self._budget.take()
            try:
                self._number = filesystem.open_directory(self.path)
            except BaseException:
                self._budget.give_back()
                raise
        return self._number

    def close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)
            self._budget.give_back()


class CatchAll(Directory):
    """The last directory a guest begins with, "/": every path that no other one holds arrives here."""

    __slots__ = ()


Descriptor = Stdin | Output | File | Directory


class Table:
    """What the numbers of a guest stand for. Closed at the end of the call."""

    def __init__(self, permissions: Permissions, budget: FileBudget) -> None:
        self.budget = budget
        self._entries: dict[int, Descriptor] = {0: Stdin(), 1: Output(False), 2: Output(True)}
        for place, directory in enumerate(_preopens(permissions, budget), FIRST_PREOPEN):
            self._entries[place] = directory
        # Kept also after the guest closes or renumbers them: paths are found through them.
        self.granted = tuple(entry for entry in self._entries.values() if isinstance(entry, Directory))

    def get(self, number: int) -> Descriptor:
        """Return what `number` stands for; raises WasiError."""
        found = self._entries.get(number)
        if found is None:
            raise WasiError(Errno.BADF)
        return found

    def file(self, number: int) -> File:
        """Return the open file `number`; raises WasiError."""
        found = self.get(number)
        if not isinstance(found, File):
            raise WasiError(Errno.BADF)
        return found

    def directory(self, number: int) -> Directory:
        """Return the directory `number`; raises WasiError."""
        found = self.get(number)
        if not isinstance(found, Directory):
            raise WasiError(Errno.NOTDIR)
        return found

    def reserve(self) -> None:
        """Raise WasiError when no descriptor can be added; otherwise count one against the budget."""
        if len(self._entries) >= MAX_DESCRIPTORS:
            raise WasiError(Errno.MFILE)
        self.budget.take()

    def add(self, descriptor: Descriptor) -> int:
        """Give `descriptor`, for which there is a reservation, the lowest free number."""
        number = next(n for n in range(MAX_DESCRIPTORS + 1) if n not in self._entries)
        self._entries[number] = descriptor
        return number

    def remove(self, number: int) -> None:
        """Close `number`; raises WasiError."""
        found = self.get(number)
        del self._entries[number]
        found.close()

    def renumber(self, number: int, to: int) -> None:
        """Make `to`, which must be open, stand for what `number` does, and free `number`; raises WasiError."""
        found, replaced = self.get(number), self.get(to)
        if number != to:
            del self._entries[number]
            self._entries[to] = found
            replaced.close()

    def close(self) -> None:
        """Close everything; closing twice does nothing."""
        entries, self._entries = self._entries, {}
        for entry in (*entries.values(), *self.granted):
            entry.close()


def _preopens(permissions: Permissions, budget: FileBudget) -> Iterator[Directory]:
    seen = {"/"}
    for grant in permissions.path_grants():
        if grant.path in seen or not (
            permissions.check_path("read", grant.path) or permissions.check_path("write", grant.path)
        ):
            continue
        seen.add(grant.path)
        try:
            is_directory = stat.S_ISDIR(os.stat(grant.path, follow_symlinks=False).st_mode)
        except OSError:
            continue  # it may be created later; the catch-all finds it then
        if is_directory:
            yield directory(permissions, budget, grant.path, name=grant.path)
    yield CatchAll("/", None, budget, name="/")


def directory(
    permissions: Permissions, budget: FileBudget, path: str, *, name: str | None = None
) -> Directory:
    """Return the directory `path`, not yet open, with what is known of the rules in it."""
    mixed = permissions.has_rules_in(path, itself=False)
    return Directory(path, None if mixed else path, budget, name=name)


def closest(table: Table, path: str) -> Directory | None:
    """Return the innermost granted directory that holds `path`, or None; "/" counts when nothing else does."""
    holding = [entry for entry in table.granted if is_beneath(path, entry.path)]
    return max(holding, key=lambda entry: len(entry.path), default=None)
