"""Landlock: this process and its children reach only the files they were given (Linux 5.13 and later).

Source: the kernel's userspace API documentation, "Landlock: unprivileged access control".
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Final

from echelon.plugin.sandbox import system

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION: Final = 1  # the flag that asks for the version instead
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every right on files that a version knows, by the version that brought the last of them."""

_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE: Final = (
    _READ_FILE
    | _READ_DIR
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _REFER
    | _TRUNCATE
)
"""No links, devices or sockets are made, and what was written is not executed."""

_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_ALL_TCP: Final = 0b11
_ALL_SCOPES: Final = 0b11  # abstract sockets and signals outside


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def version() -> int:
    """Return the version the kernel has, 0 without Landlock."""
    try:
        return system.call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Leave this process the paths below `read` to read and execute, those below `write` to read and change.

    From version 4 of Landlock on it makes and takes no TCP connections either. Raises OSError.
    """
    known = version()
    ruleset = _Ruleset(
        files=max(rights for since, rights in _RIGHTS.items() if since <= max(known, 1)),
        network=_ALL_TCP if known >= 4 else 0,
        scopes=_ALL_SCOPES if known >= 6 else 0,
    )
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    descriptor = system.call(_CREATE, ruleset, size, 0)
    try:
        for path in read:
            _allow(descriptor, path, _READ & ruleset.files)
        for path in write:
            _allow(descriptor, path, _WRITE & ruleset.files)
        system.call(_RESTRICT, descriptor, 0)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what is not there needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = _Rule(allowed=rights, descriptor=descriptor)
        system.call(_ADD, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
