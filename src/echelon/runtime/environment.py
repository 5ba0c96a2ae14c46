"""What a guest may know of its surroundings: variables, arguments, locale, time and randomness.

Environment.build(permissions, args=["prog", "--fast"])                 # what a call normally gets
Environment.build(permissions, seed=7, clock=VirtualClock())            # the same result every time
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from echelon.errors import ConfigError
from echelon.runtime.clock import MILLISECOND, SYSTEM, Clock
from echelon.runtime.permissions import Permissions

MAX_BYTES: Final = 1 << 20
"""Bytes that arguments and variables may have together, with the zero that ends each."""

LOCALE: Final = MappingProxyType({"LANG": "C.UTF-8", "TZ": "UTC"})
"""Language and time zone as every guest sees them, wherever it runs. LC_ALL is not set: it would win over both."""

_ZONES: Final = "/zoneinfo/"
_LOCAL_TIME: Final = "/etc/localtime"

Seed = int | str | bytes


class SeededStream:
    """Bytes that follow from a seed alone: SHAKE-256 of the seed and of the number of the request."""

    __slots__ = ("_count", "_seed")

    def __init__(self, seed: Seed) -> None:
        text = seed if isinstance(seed, bytes) else str(seed).encode()
        # The type is part of the seed, so that 7, "7" and b"7" are three seeds.
        self._seed = hashlib.sha256(type(seed).__name__.encode() + b"\0" + text).digest()
        self._count = 0

    def read(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "little")).digest(size)


@dataclass(frozen=True, slots=True)
class Environment:
    """The surroundings of a call. Times are nanoseconds; the clocks are cut to multiples of `resolution`.

    `variables` is None when nothing at all was granted or given: asking for them is then refused, not
    answered with none. The `locale` is among them, and everybody may ask for it. With a `seed`, random bytes
    repeat from one `fresh()` environment to the next.
    """

    variables: Mapping[str, str] | None = None
    args: tuple[str, ...] = ()
    locale: Mapping[str, str] = field(default_factory=lambda: LOCALE)
    resolution: int = MILLISECOND
    seed: Seed | None = None
    clock: Clock = SYSTEM
    _stream: SeededStream | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stream", None if self.seed is None else SeededStream(self.seed))

    @classmethod
    def build(
        cls,
        permissions: Permissions,
        variables: Mapping[str, str] | None = None,
        args: Iterable[str] = (),
        *,
        seed: Seed | None = None,
        clock: Clock | None = None,
    ) -> Environment:
        """Return what `permissions` lets a guest know, with the variables and arguments that are given.

        Given variables win over the host's, and both over the locale; a denial hides all three. With a seed the
        locale is the same everywhere. Raises ConfigError for a name or text that cannot be passed on.
        """
        locale = host_locale() if seed is None and permissions.check_sys("locale") else LOCALE
        visible: dict[str, str] | None = None
        if permissions.env is not None:
            visible = {name: text for name, text in os.environ.items() if permissions.check_env(name)}
        if variables is not None:
            visible = (visible or {}) | _checked(variables)
        if visible is not None:
            visible = {
                name: text
                for name, text in {**locale, **visible}.items()
                if not _is_denied(permissions, name)
            }
        arguments = tuple(args)
        _check_texts("args", arguments)
        _check_size(arguments, variables or {})
        return cls(
            variables=None if visible is None else MappingProxyType(visible),
            args=arguments,
            locale=locale,
            resolution=1 if permissions.check_sys("clock") else MILLISECOND,
            seed=seed,
            clock=SYSTEM if clock is None else clock,
        )

    def fresh(self) -> Environment:
        """Return the environment for the next call: itself, unless a seed or a clock has to begin again."""
        clock = self.clock.fresh()
        if self.seed is None and clock is self.clock:
            return self
        return replace(self, clock=clock)

    def lookup(self, permissions: Permissions, name: str) -> str | None:
        """Return one variable, or None when it is not set; raises PermissionDenied when it is not granted."""
        given = (self.variables or {}).get(name)
        if given is not None:
            # A variable of the caller's needs no grant, nor does the locale; one of the host's is a use.
            if permissions.check_env(name):
                permissions.require_env(name)
            return given
        if name in self.locale and not _is_denied(permissions, name):
            return self.locale[name]
        permissions.require_env(name)
        return os.environ.get(name) if permissions.may_grow else None

    def wall(self) -> int:
        """Return the time since 1970-01-01T00:00:00Z."""
        now = self.clock.wall()
        return now - now % self.resolution

    def monotonic(self) -> int:
        """Return the time since some moment; it never goes back."""
        now = self.clock.monotonic()
        return now - now % self.resolution

    def random(self, size: int) -> bytes:
        """Return `size` random bytes: of the operating system, or of the seed."""
        return os.urandom(size) if self._stream is None else self._stream.read(size)


def host_locale() -> Mapping[str, str]:
    """Return the language and the time zone of this process."""
    language = os.environ.get("LC_ALL") or os.environ.get("LANG") or LOCALE["LANG"]
    _, _, zone = os.path.realpath(_LOCAL_TIME).rpartition(_ZONES)
    return MappingProxyType({"LANG": language, "TZ": os.environ.get("TZ") or zone or LOCALE["TZ"]})


def _is_denied(permissions: Permissions, name: str) -> bool:
    return permissions.deny is not None and permissions.deny.check_env(name)


def _checked(variables: Mapping[str, str]) -> dict[str, str]:
    for name, text in variables.items():
        if not isinstance(name, str) or not name or "=" in name:
            raise ConfigError(f'environment: {name!r} is not the name of a variable; it may not contain "="')
        _check_texts(f"environment.{name}", (name, text))
    return dict(variables)


def _check_texts(what: str, texts: Iterable[str]) -> None:
    for text in texts:
        try:
            if b"\0" not in os.fsencode(text):
                continue
        except (TypeError, UnicodeEncodeError):
            pass
        raise ConfigError(f"{what}: {text!r} must be a text without a zero byte", key=what)


def _check_size(args: tuple[str, ...], variables: Mapping[str, str]) -> None:
    size = sum(len(os.fsencode(text)) + 1 for text in args)
    size += sum(len(os.fsencode(name)) + len(os.fsencode(text)) + 2 for name, text in variables.items())
    if size > MAX_BYTES:
        raise ConfigError(f"args and variables have {size} bytes, at most {MAX_BYTES} are passed to a guest")
