"""wasi:filesystem: the functions of descriptors, over the same walk that preview 1 uses.

A path that is not granted raises PermissionDenied, which ends the call; everything else that goes wrong is an
error-code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from typing import Any, Final

from echelon.runtime import wasi_abi as abi
from echelon.runtime.clock import SECOND
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.values import Variant
from echelon.runtime.component.wasi.clocks import datetime
from echelon.runtime.component.wasi.files import (
    MAX_OFFSET,
    Descriptor,
    Entries,
    FileInput,
    FileOutput,
    answering,
    path,
    require_room,
)
from echelon.runtime.component.wasi.state import MAX_CHUNK, WasiCall
from echelon.runtime.component.wasi.streams import IoError
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_paths import TimesOf
from echelon.runtime.wasi_table import FIRST_PREOPEN, Directory

_TYPES: Final = {
    abi.Filetype.BLOCK_DEVICE: "block-device", abi.Filetype.CHARACTER_DEVICE: "character-device",
    abi.Filetype.DIRECTORY: "directory", abi.Filetype.REGULAR_FILE: "regular-file",
    abi.Filetype.SOCKET_STREAM: "socket", abi.Filetype.SYMBOLIC_LINK: "symbolic-link",
}  # fmt: skip
_OPEN: Final = {
    "create": abi.CREAT, "directory": abi.DIRECTORY, "exclusive": abi.EXCL, "truncate": abi.TRUNC,
}  # fmt: skip
_SYNC: Final = {
    "file-integrity-sync": abi.SYNC, "data-integrity-sync": abi.DSYNC, "requested-write-sync": abi.RSYNC,
}  # fmt: skip


def _offset(value: int) -> int:
    if value > MAX_OFFSET:
        raise WasiError(Errno.INVAL)
    return value


def _lookup(flags: Collection[str]) -> int:
    return abi.SYMLINK_FOLLOW if "symlink-follow" in flags else 0


def _bits(names: Collection[str], table: dict[str, int]) -> int:
    return sum(bit for name, bit in table.items() if name in names)


# Open descriptors -------------------------------------------------------------------------------------------


def _preopens(state: WasiCall) -> list[tuple[Descriptor, str]]:
    """Return a new descriptor of each granted directory, and "/" for what is granted elsewhere."""
    return [
        (Descriptor(state, number, kept=True), entry.name or "/")
        for number, entry in enumerate(state.table.granted, FIRST_PREOPEN)
    ]


def _read_stream(state: WasiCall, descriptor: Descriptor, offset: int) -> FileInput:
    return FileInput(state, descriptor.file().number, _offset(offset))


def _write_stream(state: WasiCall, descriptor: Descriptor, offset: int) -> FileOutput:
    return FileOutput(state, descriptor.file(write=True).number, _offset(offset))


def _append_stream(state: WasiCall, descriptor: Descriptor) -> FileOutput:
    return FileOutput(state, descriptor.file(write=True).number, None)


def _read(_state: WasiCall, descriptor: Descriptor, length: int, offset: int) -> tuple[bytes, bool]:
    wanted = min(length, MAX_CHUNK)
    data = os.pread(descriptor.file().number, wanted, _offset(offset))
    return data, not data and wanted > 0


def _write(state: WasiCall, descriptor: Descriptor, data: bytes, offset: int) -> int:
    number = descriptor.file(write=True).number
    require_room(state, _offset(offset), len(data))
    return os.pwrite(number, data, offset)


def _sync(_state: WasiCall, descriptor: Descriptor) -> None:
    os.fsync(descriptor.item.number)


def _flags(state: WasiCall, descriptor: Descriptor) -> set[str]:
    found = descriptor.item
    if isinstance(found, Directory):
        may_write = state.call.permissions.check_path("write", found.rule or found.path)
        return {"read", "mutate-directory"} if may_write else {"read"}
    named = {name for name, bit in _SYNC.items() if found.flags & bit}
    return named | {n for n, has in (("read", found.readable), ("write", found.writable)) if has}


def _type(_state: WasiCall, descriptor: Descriptor) -> str:
    return "directory" if isinstance(descriptor.item, Directory) else "regular-file"


def _set_size(state: WasiCall, descriptor: Descriptor, size: int) -> None:
    require_room(state, size, 0)
    os.ftruncate(descriptor.file(write=True).number, size)


def _times(state: WasiCall, accessed: Variant, modified: Variant) -> TimesOf:
    """Return the times that two `new-timestamp` ask for."""
    flags, numbers = 0, [0, 0]
    for place, (wanted, exact, now) in enumerate(
        ((accessed, abi.ATIM, abi.ATIM_NOW), (modified, abi.MTIM, abi.MTIM_NOW))
    ):
        if wanted.case == "now":
            flags |= now
        elif wanted.case == "timestamp":
            flags |= exact
            numbers[place] = wanted.value["seconds"] * SECOND + wanted.value["nanoseconds"]
    return TimesOf(flags, numbers[0], numbers[1], state.environment.wall())


def _set_times(state: WasiCall, descriptor: Descriptor, accessed: Variant, modified: Variant) -> None:
    found = descriptor.item
    state.files.require_write(found)
    ns = _times(state, accessed, modified).of(os.fstat(found.number))
    if isinstance(found, Directory):
        os.utime(".", ns=ns, dir_fd=found.number)
    else:
        os.utime(found.number, ns=ns)


def _entries(state: WasiCall, descriptor: Descriptor) -> Entries:
    found = state.files.entries(descriptor.number, again=True)
    named = [(name.decode("utf-8", "replace"), kind) for name, _, kind in found if name not in (b".", b"..")]
    return Entries(
        [{"type": _TYPES.get(abi.Filetype(kind), "unknown"), "name": name} for name, kind in named]
    )


def _record(stat: bytes) -> dict[str, Any]:
    _, _, kind, links, size, accessed, modified, changed = abi.FILESTAT.unpack(stat)
    return {
        "type": _TYPES.get(abi.Filetype(kind), "unknown"),
        "link-count": links,
        "size": size,
        "data-access-timestamp": datetime(accessed),
        "data-modification-timestamp": datetime(modified),
        "status-change-timestamp": datetime(changed),
    }


def _raw_stat(state: WasiCall, descriptor: Descriptor) -> bytes:
    found = descriptor.item
    if isinstance(found, Directory):
        return state.files.directory_stat(found)
    return abi.filestat(os.fstat(found.number))


def _hash(stat: bytes) -> dict[str, int]:
    """Return a number that tells one file from another, without telling the host's own numbers of it."""
    device, inode, *_ = abi.FILESTAT.unpack(stat)
    digest = hashlib.sha256(f"{device} {inode}".encode()).digest()
    return {"lower": int.from_bytes(digest[:8], "little"), "upper": int.from_bytes(digest[8:16], "little")}


def _same(state: WasiCall, descriptor: Descriptor, other: Descriptor) -> bool:
    return bool(_raw_stat(state, descriptor)[:16] == _raw_stat(state, other)[:16])


# Paths ------------------------------------------------------------------------------------------------------


def _open_at(
    state: WasiCall, at: Descriptor, lookup: set[str], name: str, how: set[str], flags: set[str]
) -> Descriptor:
    rights = (abi.FD_READ if "read" in flags else 0) | (abi.FD_WRITE if "write" in flags else 0)
    number = state.files.open(
        at.number, path(name), _lookup(lookup), _bits(how, _OPEN), rights, _bits(flags, _SYNC)
    )
    return Descriptor(state, number)


def _set_times_at(
    state: WasiCall, at: Descriptor, lookup: set[str], name: str, accessed: Variant, modified: Variant
) -> None:
    state.files.set_times(at.number, path(name), _lookup(lookup), _times(state, accessed, modified))


def _link_at(state: WasiCall, at: Descriptor, lookup: set[str], old: str, to: Descriptor, new: str) -> None:
    state.files.link(at.number, path(old), _lookup(lookup), to.number, path(new))


def _read_link(state: WasiCall, at: Descriptor, name: str) -> str:
    try:
        return state.files.read_link(at.number, path(name)).decode()
    except UnicodeDecodeError as exc:
        raise WasiError(Errno.ILSEQ) from exc


def _error_code(_state: WasiCall, error: IoError) -> str:
    return error.code


_ANSWERING: Final[dict[str, Callable[..., Any]]] = {
    "read-via-stream": _read_stream,
    "write-via-stream": _write_stream,
    "append-via-stream": _append_stream,
    "advise": lambda _state, descriptor, _offset, _length, _advice: descriptor.item and None,
    "sync-data": _sync,
    "sync": _sync,
    "get-flags": _flags,
    "get-type": _type,
    "set-size": _set_size,
    "set-times": _set_times,
    "read": _read,
    "write": _write,
    "read-directory": _entries,
    "create-directory-at": lambda s, at, name: s.files.create_directory(at.number, path(name)),
    "stat": lambda s, descriptor: _record(_raw_stat(s, descriptor)),
    "stat-at": lambda s, at, flags, name: _record(s.files.stat(at.number, path(name), _lookup(flags))),
    "set-times-at": _set_times_at,
    "link-at": _link_at,
    "open-at": _open_at,
    "readlink-at": _read_link,
    "remove-directory-at": lambda s, at, name: s.files.remove_directory(at.number, path(name)),
    "rename-at": lambda s, at, old, to, new: s.files.rename(at.number, path(old), to.number, path(new)),
    "symlink-at": lambda s, at, target, name: s.files.symlink(path(target), at.number, path(name)),
    "unlink-file-at": lambda s, at, name: s.files.unlink(at.number, path(name)),
    "metadata-hash": lambda s, descriptor: _hash(_raw_stat(s, descriptor)),
    "metadata-hash-at": lambda s, at, flags, name: _hash(s.files.stat(at.number, path(name), _lookup(flags))),
}

FUNCTIONS: Final = {
    "wasi:filesystem/preopens#get-directories": HostImport(_preopens),
    "wasi:filesystem/types#filesystem-error-code": HostImport(_error_code),
    "wasi:filesystem/types#[method]directory-entry-stream.read-directory-entry": HostImport(
        lambda _state, entries: entries.take()
    ),
    "wasi:filesystem/types#[method]descriptor.is-same-object": HostImport(_same),
} | {
    f"wasi:filesystem/types#[method]descriptor.{name}": answering(function)
    for name, function in _ANSWERING.items()
}
