"""What a component holds of the file system: descriptors, the streams of files, and what their errors are called."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from echelon.errors import ComponentError, PermissionDenied
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.wasi.state import WasiCall
from echelon.runtime.component.wasi.streams import Pollable, closed, failed
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_session import MAX_PATH
from echelon.runtime.wasi_table import Directory, File

_CODES: Final = {
    "ACCES": "access", "AGAIN": "would-block", "ALREADY": "already", "BADF": "bad-descriptor", "BUSY": "busy",
    "DEADLK": "deadlock", "DQUOT": "quota", "EXIST": "exist", "FBIG": "file-too-large",
    "ILSEQ": "illegal-byte-sequence", "INPROGRESS": "in-progress", "INTR": "interrupted", "INVAL": "invalid",
    "ISDIR": "is-directory", "LOOP": "loop", "MLINK": "too-many-links", "MSGSIZE": "message-size",
    "NAMETOOLONG": "name-too-long", "NODEV": "no-device", "NOENT": "no-entry", "NOLCK": "no-lock",
    "NOMEM": "insufficient-memory", "NOSPC": "insufficient-space", "NOTDIR": "not-directory",
    "NOTEMPTY": "not-empty", "NOTRECOVERABLE": "not-recoverable", "NOTSUP": "unsupported",
    "OPNOTSUPP": "unsupported", "NOTTY": "no-tty", "NXIO": "no-such-device", "OVERFLOW": "overflow",
    "PERM": "not-permitted", "PIPE": "pipe", "ROFS": "read-only", "SPIPE": "invalid-seek",
    "TXTBSY": "text-file-busy", "XDEV": "not-permitted", "MFILE": "insufficient-memory",
    "NFILE": "insufficient-memory",
}  # fmt: skip
"""Our names of errors, and WASI's. What lies outside a directory is "not permitted"."""

MAX_OFFSET: Final = (1 << 63) - 1


def code_of(error: Exception) -> str:
    """Return the error-code for what went wrong; raises what is no answer to a guest."""
    if isinstance(error, WasiError):
        return _CODES.get(error.errno.name, "io")
    if isinstance(error, OSError) and not isinstance(error, PermissionDenied):
        return _CODES.get(errno.errorcode.get(error.errno or 0, "EIO").removeprefix("E"), "io")
    if isinstance(error, OverflowError):  # an offset or a time that the host's own types cannot hold
        return "invalid"
    raise error


def answering(function: Callable[..., Any]) -> HostImport:
    """Turn what the system raises into the error case."""

    @wraps(function)
    def answer(state: WasiCall, *values: Any) -> Any:
        try:
            return function(state, *values)
        except (WasiError, OSError, OverflowError) as exc:
            raise ComponentError(code_of(exc)) from None

    return HostImport(answer)


class Descriptor:
    """An open file or directory of a guest; `close()` is called when the guest drops it.

    One that is `kept` is a directory to begin with: the guest may ask for it again.
    """

    def __init__(self, state: WasiCall, number: int, *, kept: bool = False) -> None:
        self.state, self.number, self._kept = state, number, kept

    @property
    def item(self) -> File | Directory:
        found = self.state.table.get(self.number)
        if not isinstance(found, File | Directory):
            raise WasiError(Errno.BADF)
        return found

    def file(self, *, write: bool = False) -> File:
        """Return the file if it is open for that; raises WasiError."""
        found = self.item
        if isinstance(found, Directory):
            raise WasiError(Errno.ISDIR)
        if not (found.writable if write else found.readable):
            raise WasiError(Errno.BADF)
        return found

    def close(self) -> None:
        if not self._kept:
            self.state.table.remove(self.number)


class _Duplicate:
    """A descriptor of its own for a stream, which may outlive the one that it came from."""

    def __init__(self, state: WasiCall, number: int) -> None:
        self._budget = state.table.budget
        self._budget.take()
        try:
            self.number = os.dup(number)
        except BaseException:
            self._budget.give_back()
            raise

    def close(self) -> None:
        os.close(self.number)
        self._budget.give_back()


class FileInput(_Duplicate):
    """Reads a file from an offset on."""

    def __init__(self, state: WasiCall, number: int, offset: int) -> None:
        super().__init__(state, number)
        self._offset = offset

    def read(self, size: int) -> bytes:
        try:
            data = os.pread(self.number, size, self._offset)
        except (OSError, OverflowError) as exc:
            raise failed(code_of(exc)) from None
        if not data:
            raise closed()
        self._offset += len(data)
        return data

    def pollable(self) -> Pollable:
        return Pollable()


class FileOutput(_Duplicate):
    """Writes to a file from an offset on, or at its end."""

    def __init__(self, state: WasiCall, number: int, offset: int | None) -> None:
        super().__init__(state, number)
        self._state, self._offset = state, offset

    def write(self, data: bytes) -> None:
        try:
            while data:
                start = os.fstat(self.number).st_size if self._offset is None else self._offset
                require_room(self._state, start, len(data))
                written = os.pwrite(self.number, data, start)
                self._offset = None if self._offset is None else start + written
                data = data[written:]
        except (WasiError, OSError, OverflowError) as exc:
            raise failed(code_of(exc)) from None


class Entries:
    """What is in a directory, one entry after the other."""

    def __init__(self, found: list[dict[str, str]]) -> None:
        self._left = iter(found)

    def take(self) -> dict[str, str] | None:
        return next(self._left, None)


def require_room(state: WasiCall, start: int, size: int) -> None:
    """Raise WasiError for a file that would grow too large."""
    if start + size > state.file_size:
        raise WasiError(Errno.FBIG)


def path(text: str) -> str:
    """Return a path of the guest; raises WasiError for one that is too long."""
    if len(text.encode()) >= MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG)
    return text
