"""The few system calls that Python does not offer, on Linux."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

MACHINE: Final = platform.machine()
PR_SET_PDEATHSIG: Final = 1
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38


def call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> int:
    """Make a system call by its number; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *[_argument(item) for item in arguments])
    return _checked(result)


def prctl(option: int, *arguments: int | ctypes.Structure) -> int:
    """Change something of this process; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [*arguments, 0, 0, 0, 0][:4]
    result: int = libc.prctl(ctypes.c_int(option), *[_argument(item) for item in padded])
    return _checked(result)


def unshare(flags: int) -> None:
    """Leave namespaces of the parent for new ones; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.unshare(ctypes.c_int(flags)))


def _argument(item: int | ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> object:
    if item is None:
        return None
    return ctypes.c_ulong(item) if isinstance(item, int) else ctypes.byref(item)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
