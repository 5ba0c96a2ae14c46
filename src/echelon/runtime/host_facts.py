"""What the application knows of the machine it runs on: versions, processors, memory."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from echelon.runtime import native

_CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts of this process. `processors` counts what it may use, in parts where its control group says so;
    `memory` is the bytes it may have, None where that is not known."""

    echelon: str
    engine: str
    python: str
    platform: str
    processors: float
    memory: int | None

    @classmethod
    def read(cls, cgroup: Path = _CGROUP) -> HostFacts:
        """Look at the process and its control group (version 2, as mounted at `cgroup`)."""
        return cls(
            echelon=version("echelon"),
            engine=f"wasmtime {native.engine_version()}",
            python=platform.python_version(),
            platform=f"{sys.platform} {platform.machine()}",
            processors=_processors(cgroup),
            memory=_memory(cgroup),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").split()
    except (OSError, ValueError):
        return []


def _processors(cgroup: Path) -> float:
    usable = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _read(cgroup / "cpu.max")  # "max 100000" or "50000 100000": microseconds in each period
    if len(quota) == 2 and quota[0].isdecimal() and quota[1].isdecimal() and int(quota[1]):
        usable = min(usable, int(quota[0]) / int(quota[1]))
    return usable


def _memory(cgroup: Path) -> int | None:
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None
    limit = _read(cgroup / "memory.max")
    return min(installed, int(limit[0])) if limit and limit[0].isdecimal() else installed
