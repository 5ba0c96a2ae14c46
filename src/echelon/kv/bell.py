"""Being told by the kernel that a file is written to, where it can tell: inotify of Linux."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Final

_MODIFY: Final = 0x2
_FLAGS: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_MAX_EVENTS_BYTES: Final = 4096


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Bell:
    """Rings when a file is written to. `descriptor` can be read then."""

    def __init__(self, path: str) -> None:
        """Raises OSError when the kernel cannot tell: another system, no such file, too many bells."""
        if not sys.platform.startswith("linux"):
            raise OSError("only Linux tells")
        self.descriptor = _check(_libc().inotify_init1(_FLAGS))
        try:
            _check(_libc().inotify_add_watch(self.descriptor, os.fsencode(path), ctypes.c_uint32(_MODIFY)))
        except OSError:
            self.close()
            raise

    def rang(self) -> bool:
        """Return whether the file was written to since the last call."""
        rang = False
        try:
            while os.read(self.descriptor, _MAX_EVENTS_BYTES):
                rang = True
        except BlockingIOError:
            return rang
        return rang

    def close(self) -> None:
        """Stop; called once."""
        os.close(self.descriptor)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
