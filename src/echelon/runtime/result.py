"""What a call of a guest gives back: its value, what it printed, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One message a guest logged; `level` is debug, info, warning or error."""

    level: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"level": self.level, "message": self.message}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call used up.

    `wall` and `cpu` are seconds, `wait` is the seconds spent in line for a slot before the call began
    (not part of `wall`), `memory` is the peak size of the linear memory in bytes, and `fuel` is None
    unless the call had a fuel limit.
    """

    wall: float
    cpu: float
    fuel: int | None
    memory: int
    host_calls: int
    wait: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the form the control API answers with, times in milliseconds."""
        return {
            "wall_ms": round(self.wall * 1000, 3),
            "cpu_ms": round(self.cpu * 1000, 3),
            "wait_ms": round(self.wait * 1000, 3),
            "fuel": self.fuel,
            "memory_bytes": self.memory,
            "host_calls": self.host_calls,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a call left behind; `value` is None when it failed or returns nothing."""

    value: Any
    stdout: bytes
    stderr: bytes
    cost: Cost
    logs: tuple[LogEntry, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the form the control API answers with; output is decoded, bad UTF-8 replaced."""
        return {
            "value": self.value,
            "stdout": self.stdout.decode("utf-8", "replace"),
            "stderr": self.stderr.decode("utf-8", "replace"),
            "logs": [entry.to_dict() for entry in self.logs],
            "cost": self.cost.to_dict(),
        }
