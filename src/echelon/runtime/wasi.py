"""WASI preview 1: what programs for `wasm32-wasip1` import, under the call's permissions and limits.

All 46 functions, in Python over the guest's memory. Every pointer is checked, and a bad one is answered with EFAULT;
what the operating system refuses is answered with its error number. What the permissions refuse raises
PermissionDenied and ends the call. There are no sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final

from echelon.errors import LinkError, PermissionDenied
from echelon.runtime import wasi_abi as abi
from echelon.runtime import wasi_io as io
from echelon.runtime import wasi_process as process
from echelon.runtime.binary import FuncType, Import
from echelon.runtime.host import CORE_OF, Call, HostFunction
from echelon.runtime.limits import GIB
from echelon.runtime.memory import OutOfBounds
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_paths import TimesOf
from echelon.runtime.wasi_session import Session
from echelon.runtime.wasi_table import FileBudget

MODULE: Final = "wasi_snapshot_preview1"
OLD_MODULE: Final = "wasi_unstable"
STATE: Final = "wasi"


def path_create_directory(s: Session, fd: int, path: int, length: int) -> None:
    s.files.create_directory(fd, s.text(path, length))


def path_filestat_get(s: Session, fd: int, lookup: int, path: int, length: int, out: int) -> None:
    s.memory.write(out, s.files.stat(fd, s.text(path, length), lookup))


def path_filestat_set_times(
    s: Session, fd: int, lookup: int, path: int, length: int, atim: int, mtim: int, flags: int
) -> None:
    times = TimesOf(flags, atim, mtim, s.environment.wall())
    s.files.set_times(fd, s.text(path, length), lookup, times)


def path_link(
    s: Session, fd: int, lookup: int, path: int, length: int, to: int, to_path: int, to_length: int
) -> None:
    s.files.link(fd, s.text(path, length), lookup, to, s.text(to_path, to_length))


def path_open(
    s: Session,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    oflags: int,
    rights: int,
    inheriting: int,
    fdflags: int,
    out: int,
) -> None:
    s.require_range(out, 4)
    s.memory.write_u32(out, s.files.open(fd, s.text(path, length), lookup, oflags, rights, fdflags))


def path_readlink(s: Session, fd: int, path: int, length: int, buffer: int, size: int, out: int) -> None:
    s.require_range(out, 4)
    target = s.files.read_link(fd, s.text(path, length))[:size]
    s.memory.write(buffer, target)
    s.memory.write_u32(out, len(target))


def path_remove_directory(s: Session, fd: int, path: int, length: int) -> None:
    s.files.remove_directory(fd, s.text(path, length))


def path_rename(s: Session, fd: int, path: int, length: int, to: int, to_path: int, to_length: int) -> None:
    s.files.rename(fd, s.text(path, length), to, s.text(to_path, to_length))


def path_symlink(s: Session, target: int, target_length: int, fd: int, path: int, length: int) -> None:
    s.files.symlink(s.text(target, target_length), fd, s.text(path, length))


def path_unlink_file(s: Session, fd: int, path: int, length: int) -> None:
    s.files.unlink(fd, s.text(path, length))


_TYPES: Final = {"w": "u32", "l": "u64", "s": "i64"}
_FUNCTIONS: Final = (
    ("args_get", "ww", process.args_get),
    ("args_sizes_get", "ww", process.args_sizes_get),
    ("environ_get", "ww", process.environ_get),
    ("environ_sizes_get", "ww", process.environ_sizes_get),
    ("clock_res_get", "ww", process.clock_res_get),
    ("clock_time_get", "wlw", process.clock_time_get),
    ("fd_advise", "wllw", io.fd_advise),
    ("fd_allocate", "wll", io.fd_allocate),
    ("fd_close", "w", io.fd_close),
    ("fd_datasync", "w", io.fd_datasync),
    ("fd_fdstat_get", "ww", io.fd_fdstat_get),
    ("fd_fdstat_set_flags", "ww", io.fd_fdstat_set_flags),
    ("fd_fdstat_set_rights", "wll", io.fd_fdstat_set_rights),
    ("fd_filestat_get", "ww", io.fd_filestat_get),
    ("fd_filestat_set_size", "wl", io.fd_filestat_set_size),
    ("fd_filestat_set_times", "wllw", io.fd_filestat_set_times),
    ("fd_pread", "wwwlw", io.fd_pread),
    ("fd_prestat_get", "ww", io.fd_prestat_get),
    ("fd_prestat_dir_name", "www", io.fd_prestat_dir_name),
    ("fd_pwrite", "wwwlw", io.fd_pwrite),
    ("fd_read", "wwww", io.fd_read),
    ("fd_readdir", "wwwlw", io.fd_readdir),
    ("fd_renumber", "ww", io.fd_renumber),
    ("fd_seek", "wsww", io.fd_seek),
    ("fd_sync", "w", io.fd_sync),
    ("fd_tell", "ww", io.fd_tell),
    ("fd_write", "wwww", io.fd_write),
    ("path_create_directory", "www", path_create_directory),
    ("path_filestat_get", "wwwww", path_filestat_get),
    ("path_filestat_set_times", "wwwwllw", path_filestat_set_times),
    ("path_link", "wwwwwww", path_link),
    ("path_open", "wwwwwllww", path_open),
    ("path_readlink", "wwwwww", path_readlink),
    ("path_remove_directory", "www", path_remove_directory),
    ("path_rename", "wwwwww", path_rename),
    ("path_symlink", "wwwww", path_symlink),
    ("path_unlink_file", "www", path_unlink_file),
    ("poll_oneoff", "wwww", process.poll_oneoff),
    ("proc_exit", "w", process.proc_exit),
    ("proc_raise", "w", process.proc_raise),
    ("sched_yield", "", process.sched_yield),
    ("random_get", "ww", process.random_get),
    ("sock_accept", "www", process.no_socket),
    ("sock_recv", "wwwwww", process.no_socket),
    ("sock_send", "wwwww", process.no_socket),
    ("sock_shutdown", "ww", process.no_socket),
)  # fmt: skip


class Wasi:
    """The functions of WASI preview 1; one serves every call of a runtime.

    `open_files` is how many of the process's descriptors all guests together may hold, by default half of what the
    process may open. `file_size` is the size in bytes up to which a guest may make a file grow.
    """

    def __init__(self, open_files: int | None = None, file_size: int = GIB) -> None:
        self._budget = FileBudget(open_files)
        self._file_size = file_size
        self._functions = MappingProxyType({name: self._bind(name, t, f) for name, t, f in _FUNCTIONS})

    def modules(self) -> Sequence[str]:
        """Return the names of the modules that `find` knows functions of."""
        return (MODULE,)

    def find(self, wanted: Import) -> HostFunction | None:
        """Return the function an import names; raises LinkError for a wrong type and for WASI before preview 1."""
        if wanted.module == OLD_MODULE:
            raise LinkError(
                f'the module imports "{OLD_MODULE}.{wanted.name}", the WASI of 2019:'
                " build it with a newer toolchain, for wasm32-wasip1"
            )
        found = self._functions.get(wanted.name) if wanted.module == MODULE else None
        if found is None:
            return None
        core = FuncType(tuple(CORE_OF[t] for t in found.params), tuple(CORE_OF[t] for t in found.results))
        if wanted.kind != "func" or wanted.type != core:
            given = wanted.type or f"a {wanted.kind}"
            raise LinkError(f'the module imports "{MODULE}.{wanted.name}" as {given}, but it is {core}')
        return found

    def _bind(self, name: str, types: str, function: Callable[..., Any]) -> HostFunction:
        later = {process.poll_oneoff: process.poll_oneoff, io.fd_read: io.fd_read_later}.get(function)
        suspends = later is not None
        return HostFunction(
            module=MODULE,
            name=name,
            params=tuple(_TYPES[letter] for letter in types),
            results=() if name == "proc_exit" else ("u32",),
            implementation=self._answering(function) if later is None else self._waiting(later),
            suspends=suspends,
            at_once=self._answering(function) if function is io.fd_read else None,
            anywhere=True,
        )

    def _session(self, call: Call) -> Session:
        session: Session | None = call.state.get(STATE)
        if session is None:
            session = call.state[STATE] = Session(call, self._budget, self._file_size)
        return session

    def _answering(self, function: Callable[..., None]) -> Callable[..., int]:
        def answer(call: Call, *arguments: int) -> int:
            try:
                function(self._session(call), *arguments)
            except Exception as exc:
                return _errno_of(exc)
            return 0

        return answer

    def _waiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def answer(call: Call, *arguments: int) -> int:
            try:
                await function(self._session(call), *arguments)
            except Exception as exc:
                return _errno_of(exc)
            return 0

        return answer


def _errno_of(error: Exception) -> int:
    """Return the number the guest is answered with; raises every error that is not an answer."""
    if isinstance(error, WasiError):
        return int(error.errno)
    if isinstance(error, OutOfBounds):
        return int(Errno.FAULT)
    if isinstance(error, OSError) and not isinstance(error, PermissionDenied):
        return abi.of_host(error)
    if isinstance(error, OverflowError):  # an offset or a time that the host's own types cannot hold
        return int(Errno.INVAL)
    raise error
