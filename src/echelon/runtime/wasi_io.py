"""The fd_* functions of WASI: reading, writing and asking about open descriptors."""

from __future__ import annotations

import os
from typing import Final

from echelon.runtime import wasi_abi as abi
from echelon.runtime.host import MustWait
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_paths import TimesOf
from echelon.runtime.wasi_session import MAX_TRANSFER, Session
from echelon.runtime.wasi_table import Directory, File, Output, Stdin

_MAX_OFFSET: Final = (1 << 63) - 1
_WHENCES: Final = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)
_ADVICES: Final = 6


def _offset(value: int) -> int:
    if value > _MAX_OFFSET:
        raise WasiError(Errno.INVAL)
    return value


def _readable(session: Session, fd: int) -> File:
    file = session.table.file(fd)
    if not file.readable:
        raise WasiError(Errno.BADF)
    return file


def _writable(session: Session, fd: int) -> File:
    file = session.table.file(fd)
    if not file.writable:
        raise WasiError(Errno.BADF)
    return file


def fd_read(s: Session, fd: int, iovs: int, count: int, out: int) -> None:
    s.require_range(out, 4)
    buffers = s.iovecs(iovs, count)
    size = sum(length for _, length in buffers)
    source = s.table.get(fd)
    if isinstance(source, Stdin):
        if size and s.call.stdin.must_wait:
            raise MustWait
        data = s.call.stdin.take(size)
    else:
        data = os.read(_readable(s, fd).number, size)
    s.scatter(buffers, data)
    s.memory.write_u32(out, len(data))


async def fd_read_later(s: Session, fd: int, iovs: int, count: int, out: int) -> None:
    """Read once there is something on standard input."""
    await s.call.stdin.fill()
    fd_read(s, fd, iovs, count, out)


def fd_pread(s: Session, fd: int, iovs: int, count: int, offset: int, out: int) -> None:
    s.require_range(out, 4)
    buffers = s.iovecs(iovs, count)
    if isinstance(s.table.get(fd), Stdin | Output):
        raise WasiError(Errno.SPIPE)
    data = os.pread(_readable(s, fd).number, sum(length for _, length in buffers), _offset(offset))
    s.scatter(buffers, data)
    s.memory.write_u32(out, len(data))


def fd_write(s: Session, fd: int, iovs: int, count: int, out: int) -> None:
    s.require_range(out, 4)
    data = s.gather(iovs, count)
    sink = s.table.get(fd)
    if isinstance(sink, Output):
        s.call.write(s.call.stderr if sink.is_error else s.call.stdout, data)
        written = len(data)
    else:
        file = _writable(s, fd)
        number = file.number
        appends = bool(file.flags & abi.APPEND)
        start = os.fstat(number).st_size if appends else os.lseek(number, 0, os.SEEK_CUR)
        _require_room(s, start, len(data))
        written = os.write(number, data)
    s.memory.write_u32(out, written)


def fd_pwrite(s: Session, fd: int, iovs: int, count: int, offset: int, out: int) -> None:
    s.require_range(out, 4)
    data = s.gather(iovs, count)
    if isinstance(s.table.get(fd), Stdin | Output):
        raise WasiError(Errno.SPIPE)
    file = _writable(s, fd)
    _require_room(s, _offset(offset), len(data))
    if file.flags & abi.APPEND:
        # Linux appends then, whatever the offset; WASI, like POSIX, writes where it is told to.
        _append(file, False)
    try:
        written = os.pwrite(file.number, data, offset)
    finally:
        if file.flags & abi.APPEND:
            _append(file, True)
    s.memory.write_u32(out, written)


def _require_room(s: Session, start: int, size: int) -> None:
    if start + size > s.file_size:
        raise WasiError(Errno.FBIG)


def _append(file: File, on: bool) -> None:
    import fcntl

    flags = fcntl.fcntl(file.number, fcntl.F_GETFL)
    fcntl.fcntl(file.number, fcntl.F_SETFL, flags | os.O_APPEND if on else flags & ~os.O_APPEND)


def fd_seek(s: Session, fd: int, offset: int, whence: int, out: int) -> None:
    s.require_range(out, 8)
    if isinstance(s.table.get(fd), Stdin | Output):
        raise WasiError(Errno.SPIPE)
    if whence >= len(_WHENCES):
        raise WasiError(Errno.INVAL)
    s.memory.write_u64(out, os.lseek(s.table.file(fd).number, offset, _WHENCES[whence]))


def fd_tell(s: Session, fd: int, out: int) -> None:
    fd_seek(s, fd, 0, 1, out)


def fd_close(s: Session, fd: int) -> None:
    s.table.remove(fd)


def fd_renumber(s: Session, fd: int, to: int) -> None:
    s.table.renumber(fd, to)


def fd_sync(s: Session, fd: int) -> None:
    os.fsync(s.table.file(fd).number)


def fd_datasync(s: Session, fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(s.table.file(fd).number)


def fd_advise(s: Session, fd: int, offset: int, length: int, advice: int) -> None:
    """Take note: the host's page cache needs no advice from a guest."""
    s.table.file(fd)
    if advice >= _ADVICES:
        raise WasiError(Errno.INVAL)


def fd_allocate(s: Session, fd: int, offset: int, length: int) -> None:
    """Make room in a file; at most MAX_TRANSFER at once, because nothing can stop it half-way."""
    file = _writable(s, fd)
    if length == 0:
        raise WasiError(Errno.INVAL)
    _require_room(s, offset, length)
    if length > MAX_TRANSFER:
        raise WasiError(Errno.FBIG)
    if not hasattr(os, "posix_fallocate"):
        raise WasiError(Errno.NOTSUP)
    os.posix_fallocate(file.number, offset, length)


def fd_fdstat_get(s: Session, fd: int, out: int) -> None:
    found = s.table.get(fd)
    if isinstance(found, Directory):
        fields = (abi.Filetype.DIRECTORY, 0, abi.DIRECTORY_RIGHTS, abi.INHERITED_RIGHTS)
    elif isinstance(found, File):
        rights = abi.file_rights(found.readable, found.writable)
        fields = (abi.Filetype.REGULAR_FILE, found.flags, rights, 0)
    else:
        # Not a character device: programs take that for a terminal.
        rights = abi.FD_READ if isinstance(found, Stdin) else abi.FD_WRITE
        fields = (abi.Filetype.UNKNOWN, 0, rights, 0)
    s.memory.write(out, abi.FDSTAT.pack(*fields))


def fd_fdstat_set_flags(s: Session, fd: int, flags: int) -> None:
    """Change whether writes append, and note NONBLOCK; the ways to synchronise are chosen when a file is opened."""
    file = s.table.file(fd)
    if (flags ^ file.flags) & ~(abi.APPEND | abi.NONBLOCK):
        raise WasiError(Errno.INVAL)
    if (flags ^ file.flags) & abi.APPEND:
        _append(file, bool(flags & abi.APPEND))
    file.flags = flags


def fd_fdstat_set_rights(s: Session, fd: int, base: int, inheriting: int) -> None:
    """Refuse: permissions belong to the call, and WASI has since dropped rights that descriptors carry."""
    s.table.get(fd)
    raise WasiError(Errno.NOTSUP)


def fd_filestat_get(s: Session, fd: int, out: int) -> None:
    found = s.table.get(fd)
    if isinstance(found, Directory):
        record = s.files.directory_stat(found)
    elif isinstance(found, File):
        record = abi.filestat(os.fstat(found.number))
    else:
        record = abi.FILESTAT.pack(0, fd, abi.Filetype.UNKNOWN, 1, 0, 0, 0, 0)
    s.memory.write(out, record)


def fd_filestat_set_size(s: Session, fd: int, size: int) -> None:
    file = _writable(s, fd)
    _require_room(s, size, 0)
    os.ftruncate(file.number, size)


def fd_filestat_set_times(s: Session, fd: int, atim: int, mtim: int, flags: int) -> None:
    found = s.table.get(fd)
    if not isinstance(found, File | Directory):
        raise WasiError(Errno.BADF)
    times = TimesOf(flags, atim, mtim, s.environment.wall())
    s.files.require_write(found)
    ns = times.of(os.fstat(found.number))
    if isinstance(found, File):
        os.utime(found.number, ns=ns)
    else:
        os.utime(".", ns=ns, dir_fd=found.number)


def fd_prestat_get(s: Session, fd: int, out: int) -> None:
    s.memory.write(out, abi.PRESTAT.pack(0, len(_preopen_name(s, fd))))


def fd_prestat_dir_name(s: Session, fd: int, buffer: int, length: int) -> None:
    name = _preopen_name(s, fd)
    if length < len(name):
        raise WasiError(Errno.NAMETOOLONG)
    s.memory.write(buffer, name)


def _preopen_name(s: Session, fd: int) -> bytes:
    found = s.table.get(fd)
    if not isinstance(found, Directory) or found.name is None:
        raise WasiError(Errno.BADF)
    return os.fsencode(found.name)


def fd_readdir(s: Session, fd: int, buffer: int, length: int, cookie: int, out: int) -> None:
    """Write entries from number `cookie` on; the last one is cut when there is no room for it."""
    s.require_range(out, 4)
    s.require_range(buffer, length)
    room = min(length, MAX_TRANSFER)
    entries = s.files.entries(fd, again=cookie == 0)
    records = bytearray()
    for place in range(min(cookie, len(entries)), len(entries)):
        if len(records) >= room:
            break
        name, inode, kind = entries[place]
        records += abi.DIRENT.pack(place + 1, inode, len(name), kind) + name
    s.memory.write(buffer, records[:room])
    s.memory.write_u32(out, min(len(records), room))
