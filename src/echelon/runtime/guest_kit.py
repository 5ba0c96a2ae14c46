"""The namespace `echelon`, version 1: what a guest of any language may ask of its host (see docs/abi.md).

    env_get(name, name_length) -> i32               byte length of the variable's value, -1 when it is not set
    read_file(path, path_length) -> i32             byte length of the file, -1 when there is none
    write_file(path, path_length, data, length) -> i32     0
    take(into)                                      copies the result of the last of these calls to `into`
    log(level, text, length)                        level 0 debug, 1 info, 2 warning, 3 error
    abort(text, length, file, length, line, column) ends the call: what the guest's language calls a panic
    throw(text, length)                             ends the call with an exception that nothing caught

Texts are UTF-8, pointers and lengths are i32 and count bytes. What is not granted stops the call.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from echelon.errors import GuestError, PermissionDenied, Trap
from echelon.runtime import wasi_abi
from echelon.runtime.binary import Import
from echelon.runtime.failures import EXCEPTION
from echelon.runtime.host import Call, HostFunction
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_paths import Files
from echelon.runtime.wasi_table import FIRST_PREOPEN, FileBudget, Table

MODULE: Final = "echelon"
MAX_TEXT: Final = 64 << 10
MAX_FILE: Final = 16 << 20
_LEVELS: Final = ("debug", "info", "warning", "error")
_RESULT: Final = "echelon.result"


def _text(call: Call, pointer: int, length: int) -> str:
    if length > MAX_TEXT:
        raise GuestError(
            f"the guest passed a text of {length} bytes to its host, at most {MAX_TEXT} are accepted"
        )
    try:
        return call.guest_memory().read(pointer, length).decode()
    except UnicodeDecodeError as exc:
        raise GuestError(f"the guest passed a text to its host that is not UTF-8: {exc.reason}") from None


def _env_get(call: Call, name: int, length: int) -> int:
    variable = _text(call, name, length)
    value = call.environment.lookup(call.permissions, variable)
    return -1 if value is None else keep(call, value.encode("utf-8", "surrogateescape"))


def _read_file(call: Call, path: int, length: int) -> int:
    name = _text(call, path, length)
    try:
        with _opened(call, name, write=False) as number:
            content = _read_all(number, name)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    return keep(call, content)


def _write_file(call: Call, path: int, length: int, data: int, size: int) -> int:
    name = _text(call, path, length)
    if size > MAX_FILE:
        raise GuestError(
            f'the guest wrote {size} bytes to "{name}" in one call, at most {MAX_FILE} are accepted'
        )
    content = memoryview(call.guest_memory().read(data, size))
    try:
        with _opened(call, name, write=True) as number:
            while content:
                content = content[os.write(number, content) :]
    except (FileNotFoundError, NotADirectoryError):
        raise GuestError(
            f'the file "{name}" cannot be written by the guest: its directory does not exist'
        ) from None
    return 0


@contextmanager
def _opened(call: Call, path: str, *, write: bool) -> Iterator[int]:
    """Open a file under the call's grants, as WASI would; raises PermissionDenied, FileNotFoundError or GuestError."""
    with closing(Table(call.permissions, FileBudget())) as table:
        files, anywhere = Files(table, call.permissions), FIRST_PREOPEN + len(table.granted) - 1
        rights = wasi_abi.FD_WRITE if write else wasi_abi.FD_READ
        flags = wasi_abi.CREAT | wasi_abi.TRUNC if write else 0
        try:
            number = files.open(anywhere, path, wasi_abi.SYMLINK_FOLLOW, flags, rights, 0)
            yield table.file(number).number
        except WasiError as exc:
            if exc.errno is Errno.NOENT:
                raise FileNotFoundError(path) from None
            raise GuestError(
                f'the file "{path}" cannot be used by the guest: {exc.errno.name.lower()}'
            ) from None
        except (PermissionDenied, FileNotFoundError, NotADirectoryError):  # a denial is an OSError, too
            raise
        except OSError as exc:
            raise GuestError(f'the file "{path}" cannot be used by the guest: {exc.strerror}') from None


def _read_all(number: int, path: str) -> bytes:
    parts, size = [], 0
    while part := os.read(number, 1 << 20):
        size += len(part)
        if size > MAX_FILE:
            raise GuestError(
                f'the file "{path}" has more than {MAX_FILE} bytes; read it in parts through WASI'
            )
        parts.append(part)
    return b"".join(parts)


def keep(call: Call, result: bytes) -> int:
    """Hold a result until the guest takes it; returns its length."""
    call.state[_RESULT] = result
    return len(result)


def _take(call: Call, into: int) -> None:
    call.guest_memory().write(into, call.state.pop(_RESULT, b""))


def _log(call: Call, level: int, text: int, length: int) -> None:
    if not 0 <= level < len(_LEVELS):
        raise GuestError(f"the guest logged with level {level}; levels are 0 to {len(_LEVELS) - 1}")
    call.log(_LEVELS[level], _text(call, text, length))


def aborted(message: str, file: str, line: int, column: int) -> Trap:
    """Return the error for a guest that gave up; line and column are 0 where they are not known."""
    place = ":".join([file, *(str(number) for number in (line, column) if number)])
    return Trap(f"the guest aborted: {message or 'no message'}{f' ({place})' if file else ''}", code="abort")


def _abort(call: Call, text: int, length: int, file: int, size: int, line: int, column: int) -> None:
    memory = call.guest_memory()
    message = memory.read(text, min(length, MAX_TEXT)).decode("utf-8", "replace")
    raise aborted(message, memory.read(file, min(size, MAX_TEXT)).decode("utf-8", "replace"), line, column)


def _throw(call: Call, text: int, length: int) -> None:
    message = call.guest_memory().read(text, min(length, MAX_TEXT)).decode("utf-8", "replace")
    raise Trap(message or "an exception", code=EXCEPTION)


_FUNCTIONS: Final = {
    function.name: function
    for function in (
        HostFunction(MODULE, "env_get", ("u32", "u32"), ("i32",), _env_get),
        HostFunction(MODULE, "read_file", ("u32", "u32"), ("i32",), _read_file),
        HostFunction(MODULE, "write_file", ("u32", "u32", "u32", "u32"), ("i32",), _write_file),
        HostFunction(MODULE, "take", ("u32",), (), _take),
        HostFunction(MODULE, "log", ("i32", "u32", "u32"), (), _log),
        HostFunction(MODULE, "abort", ("u32",) * 6, (), _abort),
        HostFunction(MODULE, "throw", ("u32", "u32"), (), _throw),
    )
}


class GuestKit:
    """The namespace `echelon`."""

    def find(self, wanted: Import) -> HostFunction | None:
        return _FUNCTIONS.get(wanted.name) if wanted.module == MODULE and wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return (MODULE,)

    def names(self, module: str) -> Sequence[str]:
        return tuple(_FUNCTIONS) if module == MODULE else ()
