"""The numbers and layouts of WASI preview 1.

Source: wasi_snapshot_preview1.witx and typenames.witx of github.com/WebAssembly/WASI (legacy/preview1).
"""

from __future__ import annotations

import errno as host_errno
import os
import stat
import struct
from enum import IntEnum
from typing import Final

_NAMES: Final = (
    "SUCCESS 2BIG ACCES ADDRINUSE ADDRNOTAVAIL AFNOSUPPORT AGAIN ALREADY BADF BADMSG BUSY CANCELED CHILD"
    " CONNABORTED CONNREFUSED CONNRESET DEADLK DESTADDRREQ DOM DQUOT EXIST FAULT FBIG HOSTUNREACH IDRM ILSEQ"
    " INPROGRESS INTR INVAL IO ISCONN ISDIR LOOP MFILE MLINK MSGSIZE MULTIHOP NAMETOOLONG NETDOWN NETRESET"
    " NETUNREACH NFILE NOBUFS NODEV NOENT NOEXEC NOLCK NOLINK NOMEM NOMSG NOPROTOOPT NOSPC NOSYS NOTCONN NOTDIR"
    " NOTEMPTY NOTRECOVERABLE NOTSOCK NOTSUP NOTTY NXIO OVERFLOW OWNERDEAD PERM PIPE PROTO PROTONOSUPPORT"
    " PROTOTYPE RANGE ROFS SPIPE SRCH STALE TIMEDOUT TXTBSY XDEV NOTCAPABLE"
)


class Errno(IntEnum):
    """The error numbers that are answered by name; every other one is reached through `of_host`."""

    SUCCESS = 0
    ACCES = 2
    BADF = 8
    BUSY = 10
    EXIST = 20
    FAULT = 21
    FBIG = 22
    ILSEQ = 25
    INVAL = 28
    IO = 29
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    NAMETOOLONG = 37
    NFILE = 41
    NOENT = 44
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSOCK = 57
    NOTSUP = 58
    OVERFLOW = 61
    PERM = 63
    SPIPE = 70


_OF_HOST: Final = {
    getattr(host_errno, f"E{name}"): number
    for number, name in enumerate(_NAMES.split())
    if hasattr(host_errno, f"E{name}")
} | {
    host_errno.EOPNOTSUPP: int(Errno.NOTSUP),
    # What lies outside a directory is refused with this; guests know it as "not permitted".
    host_errno.EXDEV: int(Errno.PERM),
}


class WasiError(Exception):
    """A function answers the guest with this error number."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


def of_host(error: OSError) -> int:
    """Return the number a guest is given for an error of the operating system."""
    return _OF_HOST.get(error.errno, int(Errno.IO))


# Rights: only reading and writing are asked for; the rest is reported because C libraries look at it.

FD_READ: Final = 1 << 1
FD_SEEK: Final = 1 << 2
FD_TELL: Final = 1 << 5
FD_WRITE: Final = 1 << 6
_FILE: Final = 1 << 3 | 1 << 7 | 1 << 21 | 1 << 23 | 1 << 27 | FD_SEEK | FD_TELL
"""fdstat_set_flags, advise, filestat_get, filestat_set_times, poll_fd_readwrite, seek, tell."""
_FILE_READ: Final = FD_READ
_FILE_WRITE: Final = FD_WRITE | 1 << 0 | 1 << 4 | 1 << 8 | 1 << 22
"""write, datasync, sync, allocate, filestat_set_size."""
DIRECTORY_RIGHTS: Final = sum(1 << bit for bit in (*range(9, 19), 20, 21, 23, 24, 25, 26))
"""Every path_* right, fd_readdir, fd_filestat_get and fd_filestat_set_times."""
INHERITED_RIGHTS: Final = DIRECTORY_RIGHTS | _FILE | _FILE_READ | _FILE_WRITE | 1 << 19
"""All of them, whatever is granted: a C library would otherwise drop the right and fail later, without a reason."""


def file_rights(readable: bool, writable: bool) -> int:
    """Return the rights an open file reports."""
    return _FILE | (_FILE_READ if readable else 0) | (_FILE_WRITE if writable else 0)


class Filetype(IntEnum):
    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


_FILETYPES: Final = {
    stat.S_IFBLK: Filetype.BLOCK_DEVICE,
    stat.S_IFCHR: Filetype.CHARACTER_DEVICE,
    stat.S_IFDIR: Filetype.DIRECTORY,
    stat.S_IFREG: Filetype.REGULAR_FILE,
    stat.S_IFSOCK: Filetype.SOCKET_STREAM,
    stat.S_IFLNK: Filetype.SYMBOLIC_LINK,
}


def filetype(mode: int) -> Filetype:
    return _FILETYPES.get(stat.S_IFMT(mode), Filetype.UNKNOWN)


# Flags.

APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = 1, 2, 4, 8, 16
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
ALL_FDFLAGS, ALL_OFLAGS = 31, 15
SYMLINK_FOLLOW = 1
ATIM, ATIM_NOW, MTIM, MTIM_NOW = 1, 2, 4, 8
ABSTIME = 1
REALTIME, MONOTONIC, PROCESS_CPUTIME, THREAD_CPUTIME = 0, 1, 2, 3
EVENT_CLOCK, EVENT_READ, EVENT_WRITE = 0, 1, 2
HANGUP = 1

# Layouts, all little-endian.

IOVEC: Final = struct.Struct("<II")
FDSTAT: Final = struct.Struct("<BxH4xQQ")
FILESTAT: Final = struct.Struct("<QQB7xQQQQQ")
PRESTAT: Final = struct.Struct("<B3xI")
DIRENT: Final = struct.Struct("<QQIB3x")
SUBSCRIPTION: Final = struct.Struct("<QB7xI4xQQH6x")
"""userdata, tag, then clock: id, timeout, precision, flags; a descriptor stands where the clock's id does."""
EVENT: Final = struct.Struct("<QHB5xQH6x")


def filestat(found: os.stat_result) -> bytes:
    """Return a `filestat` record; times before 1970 become 0, which is all the format can say."""
    times = (max(0, when) for when in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns))
    mask = (1 << 64) - 1
    return FILESTAT.pack(
        found.st_dev & mask,
        found.st_ino & mask,
        filetype(found.st_mode),
        found.st_nlink,
        found.st_size,
        *times,
    )
