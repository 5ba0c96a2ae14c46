"""Namespaces: no network device, no sight of other processes, and an end of all when the first one ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from echelon.plugin.sandbox import system

_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC, _NEW_UTS = 0x10000000, 0x20000000, 0x40000000, 0x08000000, 0x04000000
_NOBODY: Final = 65534
_MOST_DESCRIPTORS: Final = 256
_SIGNAL: Final = 128


def enter() -> None:
    """Move into new namespaces with no rights in the old ones; children are in the new process namespace.

    Raises OSError where this is not permitted; then nothing has changed.
    """
    user, group = os.geteuid(), os.getegid()
    system.unshare(_NEW_USER | _NEW_PID | _NEW_NET | _NEW_IPC | _NEW_UTS)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "gid_map").write_text(f"{_NOBODY} {group} 1")
    (own / "uid_map").write_text(f"{_NOBODY} {user} 1")


def become_child() -> None:
    """Return in a grandchild, whose parent is the first process of the namespace; the others wait for it.

    When that first process ends, for whatever reason, the kernel kills all that are left.
    """
    first = os.fork()
    if first:
        status = _wait(first)
        if status > _SIGNAL:
            os.kill(os.getpid(), status - _SIGNAL)
        os._exit(status)
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    child = os.fork()
    if child:
        os._exit(_wait(child))
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: int) -> int:
    """Wait for a child, and for what is orphaned meanwhile; a signal that ended it is added to 128.

    The first process of a namespace cannot be ended by its own signals: a status has to say it.
    """
    os.closerange(0, _MOST_DESCRIPTORS)  # whoever reads the other ends waits for the child's alone
    found = status = 0
    while found != child:
        found, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNAL - code
