"""A filter of system calls: what no compiler needs, and what escapes are made of, fails with EPERM.

Source: the kernel's userspace API documentation, "Seccomp BPF".
"""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from echelon.plugin.sandbox import system

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMNS: Final = {"x86_64": 0, "aarch64": 1}

_ABSENT: Final = -1
_DENIED: Final = {
    # sockets: a compiler talks to nobody
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "sendto": (44, 206),
    # other processes, and leaving the group that is killed as one
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "setsid": (112, 157), "setpgid": (109, 154),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51),
    "pivot_root": (155, 41), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # wide doors into the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "modify_ldt": (154, _ABSENT), "personality": (135, 92), "vmsplice": (278, 75), "memfd_secret": (447, 447),
    # the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "iopl": (172, _ABSENT),
    "ioperm": (173, _ABSENT), "clock_settime": (227, 112), "settimeofday": (164, 170), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "syslog": (103, 116), "sethostname": (170, 161), "setdomainname": (171, 162),
}  # fmt: skip
"""Numbers on x86-64 and on aarch64."""

_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_FORKS: Final = ((57, _ABSENT), (58, _ABSENT))  # fork, vfork
_NEW_NAMESPACES: Final = 0x7E020000
_THREAD: Final = 0x00010000
_X32: Final = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_FILTER: Final = 2

Instruction = tuple[int, int, int, int]


class _Code(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("code", ctypes.POINTER(_Code)))


def supported() -> bool:
    """Tell whether there is a filter for this kind of machine."""
    return system.MACHINE in _ARCHITECTURES


def program(machine: str, *, processes: bool) -> list[Instruction]:
    """Return the filter; without `processes` a process may have threads, but no children."""
    column = _COLUMNS[machine]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    refused = [*_DENIED.values(), *(() if processes else _FORKS)]
    for numbers in refused:
        if numbers[column] != _ABSENT:
            code += [(_JUMP_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    # Its flags lie in memory, where a filter cannot see them; who finds no clone3 uses clone.
    code += [(_JUMP_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    code += [(_JUMP_EQUAL, 1, 0, _CLONE[column]), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    code += [(_JUMP_SET, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    if not processes:
        code += [(_JUMP_SET, 1, 0, _THREAD), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def restrict(*, processes: bool) -> None:
    """Install the filter for this process and its children, for ever; needs no_new_privs. Raises OSError."""
    code = program(system.MACHINE, processes=processes)
    array = (_Code * len(code))(*[_Code(*instruction) for instruction in code])
    system.prctl(system.PR_SET_SECCOMP, _FILTER, _Program(length=len(code), code=array))
