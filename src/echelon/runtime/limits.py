"""What one call of a guest may use up: memory, time, fuel, stack, output and host calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import timedelta

from echelon.errors import ConfigError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
PAGE = 64 * KIB
"""Bytes in one page of WebAssembly memory (core specification, 4.2.8)."""

_MOST = 1 << 60
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|KB|MB|GB)?", re.IGNORECASE)
_SIZE_UNITS = {"b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?", re.IGNORECASE)
_TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(value: int | str, *, key: str = "size") -> int:
    """Return a size in bytes from a number of bytes or a text such as "16MiB"; raises ConfigError."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ConfigError(f'{key}: {value!r} is not a size; write bytes or "16MiB"', key=key)
        number = int(min(float(match[1]), 2e18) * _SIZE_UNITS[(match[2] or "B").lower()])
    if not 0 < number <= _MOST:
        raise ConfigError(f"{key}: {value!r:.40} must be greater than zero and less than 1 EiB", key=key)
    return number


def parse_time(value: float | str | timedelta, *, key: str = "time") -> float:
    """Return seconds from a number of seconds, a timedelta, or a text such as "200ms"; raises ConfigError."""
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(min(value, _MOST))
    else:
        match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ConfigError(f'{key}: {value!r} is not a time; write seconds or "200ms"', key=key)
        number = float(match[1]) * _TIME_UNITS[(match[2] or "s").lower()]
    if not 0 < number < _MOST:
        raise ConfigError(f"{key}: {value!r:.40} must be greater than zero and finite", key=key)
    return number


def _parse_count(value: int, *, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST:
        raise ConfigError(f"{key}: {value!r} must be a whole number greater than zero", key=key)
    return value


@dataclass(frozen=True, slots=True, init=False)
class Limits:
    """The bounds of one call. Sizes are bytes or "16MiB", times seconds or "200ms".

    Every bound has a default and none can be switched off; only `fuel` is off (None) unless it is set,
    because counting instructions costs a third of the guest's speed and `time` bounds every call already.
    Raises ConfigError for a value that makes no sense.
    """

    memory: int
    time: float
    fuel: int | None
    stack: int
    output: int
    host_calls: int

    def __init__(
        self,
        memory: int | str = 64 * MIB,
        time: float | str | timedelta = 1.0,
        fuel: int | None = None,
        stack: int | str = 512 * KIB,
        output: int | str = MIB,
        host_calls: int = 10_000,
    ) -> None:
        put = object.__setattr__
        put(self, "memory", parse_size(memory, key="memory"))
        put(self, "time", parse_time(time, key="time"))
        put(self, "fuel", None if fuel is None else _parse_count(fuel, key="fuel"))
        put(self, "stack", parse_size(stack, key="stack"))
        put(self, "output", parse_size(output, key="output"))
        put(self, "host_calls", _parse_count(host_calls, key="host_calls"))

    @classmethod
    def parse(cls, values: dict[str, object], base: Limits | None = None) -> Limits:
        """Build limits from untyped data such as JSON, on top of `base`; raises ConfigError."""
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise ConfigError(f'limits: unknown key "{name}"; known are {", ".join(names)}', key=name)
        usual = base or cls()
        return cls(**({name: getattr(usual, name) for name in names} | values))

    def narrow(self, other: Limits) -> Limits:
        """Return the smaller of each bound."""
        fuel = min((f for f in (self.fuel, other.fuel) if f is not None), default=None)
        return replace(
            self,
            memory=min(self.memory, other.memory),
            time=min(self.time, other.time),
            fuel=fuel,
            stack=min(self.stack, other.stack),
            output=min(self.output, other.output),
            host_calls=min(self.host_calls, other.host_calls),
        )

    def to_dict(self) -> dict[str, int | float | None]:
        """Return the bounds as plain data: bytes, seconds and counts."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
