"""The namespace `echelon`, version 1: what a guest of any language may ask of its host (see docs/abi.md).

    env_get(name, name_length) -> i32               byte length of the variable's value, -1 when it is not set
    read_file(path, path_length) -> i32             byte length of the file, -1 when there is none
    write_file(path, path_length, data, length) -> i32     0
    take(into)                                      copies the result of the last of these calls to `into`
    log(level, text, length)                        level 0 debug, 1 info, 2 warning, 3 error

Texts are UTF-8, pointers and lengths are i32 and count bytes. What is not granted stops the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from echelon.errors import GuestError
from echelon.runtime import filesystem
from echelon.runtime.binary import Import
from echelon.runtime.host import Call, HostFunction

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
    return -1 if value is None else _keep(call, value.encode("utf-8", "surrogateescape"))


def _read_file(call: Call, path: int, length: int) -> int:
    content = filesystem.read_file(call.permissions, Path(_text(call, path, length)), MAX_FILE)
    return -1 if content is None else _keep(call, content)


def _write_file(call: Call, path: int, length: int, data: int, size: int) -> int:
    target = Path(_text(call, path, length))
    filesystem.write_file(call.permissions, target, call.guest_memory().read(data, size))
    return 0


def _keep(call: Call, result: bytes) -> int:
    call.state[_RESULT] = result
    return len(result)


def _take(call: Call, into: int) -> None:
    call.guest_memory().write(into, call.state.pop(_RESULT, b""))


def _log(call: Call, level: int, text: int, length: int) -> None:
    if not 0 <= level < len(_LEVELS):
        raise GuestError(f"the guest logged with level {level}; levels are 0 to {len(_LEVELS) - 1}")
    call.log(_LEVELS[level], _text(call, text, length))


_FUNCTIONS: Final = {
    function.name: function
    for function in (
        HostFunction(MODULE, "env_get", ("u32", "u32"), ("i32",), _env_get),
        HostFunction(MODULE, "read_file", ("u32", "u32"), ("i32",), _read_file),
        HostFunction(MODULE, "write_file", ("u32", "u32", "u32", "u32"), ("i32",), _write_file),
        HostFunction(MODULE, "take", ("u32",), (), _take),
        HostFunction(MODULE, "log", ("i32", "u32", "u32"), (), _log),
    )
}


class GuestKit:
    """The namespace `echelon`."""

    def find(self, wanted: Import) -> HostFunction | None:
        return _FUNCTIONS.get(wanted.name) if wanted.module == MODULE and wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return (MODULE,)
