"""How large a runtime is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from echelon.runtime.limits import GIB, MIB, Limits


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """How large the runtime is; sizes are bytes, times seconds. The fields are those of `[wasm]`."""

    instances: int = 256
    queue: int = 10_000
    threads: int = 0
    max_memory: int = 256 * MIB
    max_time: float = 60.0
    compile_time: float = 60.0
    compile_memory: int = 4 << 30
    cache: Path | None = None
    audit: Path | None = None
    cache_size: int = 4 * GIB
    drain_time: float = 5.0
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def cache_directory(self) -> Path:
        if self.cache is not None:
            return self.cache
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(base) / "echelon" / "native"
