"""What a guest may reach outside its sandbox: nothing, unless it is granted here.

    Permissions(env=["TZ", "APP_*"], read=["./templates"], deny=Permissions(env=["APP_KEY"]))

`None` denies, `True` grants everything, a list grants what it names, and a denial wins over every grant.
Permissions never change; `narrow` makes smaller ones. What changes while a module runs is in its `Grants`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from echelon.errors import ConfigError, PermissionDenied
from echelon.runtime.audit import AuditLog
from echelon.runtime.permission_rules import (
    WHOLE_DISK,
    Host,
    KeyPrefix,
    Name,
    PathPrefix,
    Pattern,
    join_host,
    normal_host,
)

Grant: TypeAlias = Literal[True] | tuple[Any, ...] | None
Items: TypeAlias = bool | Sequence[Any] | None
"""What a permission is given as: None or False, True, or a list."""

Rule: TypeAlias = Literal[True] | tuple[Pattern, ...] | None
"""What a permission is granted as: None, True or patterns."""

KINDS: Final = ("net", "read", "write", "env", "sys", "kv", "import")
MAX_ITEMS: Final = 1000
MAX_PATHS: Final = 64
"""Paths are few: each directory becomes a descriptor of a WASI guest."""

PARSERS: Final[Mapping[str, Callable[[object], Pattern]]] = {
    "net": lambda item: Host.parse("net", item),
    "read": lambda item: PathPrefix.parse("read", item),
    "write": lambda item: PathPrefix.parse("write", item),
    "env": Name.parse_env,
    "sys": Name.parse_sys,
    "kv": KeyPrefix.parse,
    "import": lambda item: Host.parse("import", item),
}


def _field(kind: str) -> str:
    return "import_" if kind == "import" else kind


class GrantState(StrEnum):
    """How a permission stands: it may be used, somebody has to be asked, or it is refused."""

    GRANTED = "granted"
    PROMPT = "prompt"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a permission, or a refusal; `grant` is the option that allows it."""

    permission: str
    target: str
    grant: str
    allowed: bool


Watch = Callable[[Use], None]


class Overlay(Protocol):
    """What was granted or taken back since the permissions were made. A denial stands above it."""

    def decide(self, kind: str, target: Any, *, named: bool) -> GrantState | None:
        """Return what holds for `target` instead of the rules, None when the rules do.

        With `named`, granting everything says nothing about it.
        """

    def ask(self, kind: str, target: Any, use: Use, *, named: bool) -> bool:
        """Ask somebody, if there is anybody to ask."""

    def paths(self, kind: str) -> Sequence[PathPrefix]:
        """Return the paths that were granted."""

    def during(self, forgive: Callable[[float], None]) -> Overlay:
        """Return the same for one call, which is forgiven the seconds that questions take."""


def _patterns(kind: str, items: Items) -> Rule:
    if items is None or items is False:
        return None
    if items is True:
        return True
    if isinstance(items, str | bytes | Path) or not isinstance(items, Sequence | set | frozenset):
        message = f"permissions.{kind}: {items!r} must be true, or a list such as [{str(items)!r}]"
        raise ConfigError(message, key=kind)
    limit = MAX_PATHS if kind in ("read", "write") else MAX_ITEMS
    if len(items) > limit:
        raise ConfigError(f"permissions.{kind}: {len(items)} items, at most {limit} are accepted", key=kind)
    parse = PARSERS[kind]
    return tuple(dict.fromkeys(parse(item) for item in items))


@dataclass(frozen=True, slots=True, init=False)
class Permissions:
    """What is granted, one field for each permission: None, True or a tuple of items.

    `deny` holds what is refused whatever is granted. Paths are resolved, links followed, when the object is
    made. Raises ConfigError that names the permission and the item.
    """

    net: Grant
    read: Grant
    write: Grant
    env: Grant
    sys: Grant
    kv: Grant
    import_: Grant
    deny: Permissions | None
    _rules: Mapping[str, Rule] = field(repr=False, hash=False)
    _watches: tuple[Watch, ...] = field(repr=False, compare=False)
    _overlay: Overlay | None = field(repr=False, compare=False)
    _bounds: tuple[Permissions, ...] = field(repr=False, compare=False)

    def __init__(
        self,
        net: Items = None,
        read: Items = None,
        write: Items = None,
        env: Items = None,
        sys: Items = None,
        kv: Items = None,
        import_: Items = None,
        deny: Permissions | None = None,
    ) -> None:
        values = (net, read, write, env, sys, kv, import_)
        rules = {kind: _patterns(kind, items) for kind, items in zip(KINDS, values, strict=True)}
        if deny is not None and (not isinstance(deny, Permissions) or deny.deny is not None):
            raise ConfigError("permissions.deny: must be Permissions without a deny of their own", key="deny")
        self._set(rules, None if deny is None or deny.grants_nothing else deny, (), None, ())

    def _set(
        self,
        rules: Mapping[str, Rule],
        deny: Permissions | None,
        watches: tuple[Watch, ...],
        overlay: Overlay | None,
        bounds: tuple[Permissions, ...],
    ) -> None:
        put = object.__setattr__
        for kind, rule in rules.items():
            plain = tuple(p.plain() for p in rule) if isinstance(rule, tuple) else rule
            put(self, _field(kind), plain)
        put(self, "_rules", rules)
        put(self, "deny", deny)
        put(self, "_watches", watches)
        put(self, "_overlay", overlay)
        put(self, "_bounds", bounds)

    @classmethod
    def _of(cls, rules: Mapping[str, Rule], deny: Permissions | None) -> Permissions:
        made = object.__new__(cls)
        made._set(rules, deny, (), None, ())
        return made

    def _with(self, **changes: Any) -> Permissions:
        """Return the same permissions with other watches, another overlay or other bounds of it."""
        made = object.__new__(Permissions)
        parts = {"watches": self._watches, "overlay": self._overlay, "bounds": self._bounds} | changes
        made._set(self._rules, self.deny, **parts)
        return made

    # Making them ----------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Permissions:
        """Build permissions from untyped data such as JSON or TOML; raises ConfigError."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"permissions: {values!r} must be a table of {', '.join(KINDS)} and deny")
        arguments: dict[str, Any] = {}
        for key, value in values.items():
            name = "import" if key == "import_" else key
            if name == "deny":
                arguments["deny"] = None if value is None else cls.parse(value)
            elif name not in KINDS:
                known = f"{', '.join(KINDS)} and deny"
                raise ConfigError(f'permissions: unknown key "{key}"; known are {known}', key=str(key))
            elif value is not None and not isinstance(value, bool | list | tuple):
                raise ConfigError(f"permissions.{name}: {value!r} must be true, false or a list", key=name)
            else:
                arguments[_field(name)] = value
        return cls(**arguments)

    @classmethod
    def from_flags(
        cls, allow: Mapping[str, str | None], deny: Mapping[str, str | None] | None = None
    ) -> Permissions:
        """Build permissions from `--allow-X[=a,b]` and `--deny-X[=a,b]`: {"env": "HOME,TZ", "net": None}.

        None is the option without a list and stands for everything. Raises ConfigError.
        """

        def items(flags: Mapping[str, str | None]) -> dict[str, Any]:
            return {
                kind: True if text is None else [item for item in text.split(",") if item]
                for kind, text in flags.items()
            }

        return cls.parse(items(allow) | ({"deny": items(deny)} if deny else {}))

    def narrow(self, other: Permissions) -> Permissions:
        """Return what both grant, less what either denies; never more than either. The watches are kept."""
        rules = {kind: _meet(kind, self._rules[kind], other._rules[kind]) for kind in KINDS}
        narrow = self._of(rules, _union(self.deny, other.deny))
        if self._overlay is None and not self._watches:
            return narrow
        # What is granted later on must be granted by `other`, too.
        return narrow._with(watches=self._watches, overlay=self._overlay, bounds=(*self._bounds, other))

    def join(self, other: Permissions) -> Permissions:
        """Return what either grants, less what either denies."""
        rules = {kind: _either(self._rules[kind], other._rules[kind]) for kind in KINDS}
        return self._of(rules, _union(self.deny, other.deny))

    def audited(self, log: AuditLog, module: str) -> Permissions:
        """Return the same permissions, every use of which is written to `log` under the name of `module`."""
        return self.watched(lambda use: log.write(module, use.permission, use.target, use.allowed))

    def watched(self, watch: Watch) -> Permissions:
        """Return the same permissions, every use of which `watch` is told."""
        return self._with(watches=(*self._watches, watch))

    def overlaid(self, overlay: Overlay) -> Permissions:
        """Return permissions of which `overlay` can grant more, and take back some, at any time."""
        return self._with(overlay=overlay)

    def during(self, forgive: Callable[[float], None]) -> Permissions:
        """Return the permissions for one call, which is forgiven the seconds that somebody takes to answer."""
        return self if self._overlay is None else self._with(overlay=self._overlay.during(forgive))

    def to_dict(self) -> dict[str, Any]:
        """Return what is granted and denied as `parse` reads it; what is not mentioned is denied."""
        plain: dict[str, Any] = {}
        for kind in KINDS:
            value = getattr(self, _field(kind))
            if value is not None:
                plain[kind] = True if value is True else list(value)
        if self.deny is not None:
            plain["deny"] = self.deny.to_dict()
        return plain

    def rule(self, kind: str) -> Rule:
        """Return what a permission, one of KINDS, is granted as."""
        return self._rules[kind]

    @property
    def grants_nothing(self) -> bool:
        """Tell whether no permission grants anything, whatever is denied."""
        return not any(self._rules.values())

    # Asking ---------------------------------------------------------------------------------------------

    def _check(self, kind: str, target: Any, *, named: bool = False) -> bool:
        """Tell whether `target` is granted; `named` means that granting everything does not count."""
        state = None if self._overlay is None else self._overlay.decide(kind, target, named=named)
        if state is None:
            allowed = _grants(kind, self._rules[kind], target, named)
        else:
            allowed = state is GrantState.GRANTED and self._within_bounds(kind, target)
        return allowed and self._denial(kind, target) is None

    def _within_bounds(self, kind: str, target: Any) -> bool:
        return all(bound._check(kind, target) for bound in self._bounds)

    def _denial(self, kind: str, target: Any) -> str | None:
        """Return the option that denies `target`, or None."""
        rule = None if self.deny is None else self.deny._rules[kind]
        if rule is None:
            return None
        if rule is True:
            return f"--deny-{kind}"
        found = next((pattern for pattern in rule if pattern.covers(target)), None)
        return None if found is None else f"--deny-{kind}={_spell(found.plain())}"

    def _require(self, kind: str, target: Any, shown: str, grant: str) -> None:
        if not self._allow(kind, target, shown, grant, self._check(kind, target)):
            denial = self._denial(kind, target)
            raise PermissionDenied(kind, shown, grant if denial is None else f"{grant} and without {denial}")

    def _allow(
        self, kind: str, target: Any, shown: str, grant: str, allowed: bool, *, named: bool = False
    ) -> bool:
        """Return whether a use is allowed, after somebody was asked where that is possible, and tell the watches."""
        if not allowed and self._overlay is not None and self._denial(kind, target) is None:
            use = Use(kind, shown, grant, False)
            allowed = self._within_bounds(kind, target) and self._overlay.ask(kind, target, use, named=named)
        for watch in self._watches:
            watch(Use(kind, shown, grant, allowed))
        return allowed

    def check_env(self, name: str) -> bool:
        """Tell whether the guest may know the host's environment variable `name`."""
        return self._check("env", name)

    def require_env(self, name: str) -> None:
        """Raise PermissionDenied unless the guest may know the host's environment variable `name`."""
        self._require("env", name, name, f"--allow-env={name}")

    def require_environment(self, given: bool) -> None:
        """Raise PermissionDenied unless some of the environment, or an empty one, was granted or `given`."""
        if not given and self.env is None:
            self._require("env", "*", "*", "--allow-env=NAME")
        else:
            for watch in self._watches:
                watch(Use("env", "*", "--allow-env", True))

    @property
    def may_grow(self) -> bool:
        """Whether more can be granted while they are used."""
        return self._overlay is not None

    def check_sys(self, name: str) -> bool:
        """Tell whether the guest may know the fact `name` about the host, one of SYS_NAMES."""
        return self._check("sys", name)

    def require_sys(self, name: str) -> None:
        """Raise PermissionDenied unless the guest may know the fact `name` about the host."""
        self._require("sys", name, name, f"--allow-sys={name}")

    def check_read(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether the guest may read `path`, links followed."""
        return self._check("read", os.path.realpath(path))

    def require_read(self, path: str | os.PathLike[str]) -> None:
        """Raise PermissionDenied unless the guest may read `path`, links followed."""
        self.require_path("read", os.path.realpath(path), shown=os.fspath(path))

    def check_write(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether the guest may write `path`, links followed."""
        return self._check("write", os.path.realpath(path))

    def require_write(self, path: str | os.PathLike[str]) -> None:
        """Raise PermissionDenied unless the guest may write `path`, links followed."""
        self.require_path("write", os.path.realpath(path), shown=os.fspath(path))

    def check_net(self, host: str, port: int, scheme: str | None = None) -> bool:
        """Tell whether the guest may reach `host:port`; without a scheme, by any scheme.

        Names are not resolved: whoever connects must ask again with the address, see `require_address`.
        """
        return self._check_host("net", host, port, scheme)

    def require_net(self, host: str, port: int, scheme: str | None = None) -> None:
        """Raise PermissionDenied unless the guest may reach `host:port`; an impossible host is denied too."""
        self._require_host("net", host, port, scheme)

    def check_address(self, address: str, port: int, scheme: str | None = None, *, public: bool) -> bool:
        """Tell whether a granted host may be reached at this address: one that is not `public` must be named."""
        if self.denies_address(address, port, scheme):
            return False
        if public and self._overlay is not None:  # which may have taken an address back
            state = self._overlay.decide("net", _host_target(address, port, scheme), named=True)
            return state is None or state is GrantState.GRANTED
        return public or self.names_address(address, port, scheme)

    def require_address(
        self, host: str, address: str, port: int, scheme: str | None = None, *, public: bool
    ) -> None:
        """Raise PermissionDenied unless a granted host may be reached at this address, which it was resolved to."""
        target = _host_target(address, port, scheme)
        names = dict.fromkeys(f"[{name}]" if ":" in name else name for name in (normal_host(host), target[0]))
        shown, grant = join_host(target[0], port), f"--allow-net={','.join(names)}"
        allowed = self.check_address(address, port, scheme, public=public)
        if not self._allow("net", target, shown, grant, allowed, named=True):
            denial = self._denial("net", target)
            raise PermissionDenied("net", shown, grant if denial is None else f"{grant} and without {denial}")

    def denies_address(self, address: str, port: int, scheme: str | None = None) -> bool:
        """Tell whether a denial names this address, which a granted name was resolved to."""
        return self._denial("net", _host_target(address, port, scheme)) is not None

    def names_address(self, address: str, port: int, scheme: str | None = None) -> bool:
        """Tell whether a grant names this address or its network, as private ones need; True does not."""
        return isinstance(self._rules["net"], tuple) and self._check(
            "net", _host_target(address, port, scheme)
        )

    def check_import(self, host: str, port: int) -> bool:
        """Tell whether code may be loaded from `host:port`."""
        return self._check_host("import", host, port)

    def require_import(self, host: str, port: int) -> None:
        """Raise PermissionDenied unless code may be loaded from `host:port`."""
        self._require_host("import", host, port)

    def check_kv(self, key: Sequence[Any]) -> bool:
        """Tell whether the guest may use `key`, or list what begins with it."""
        return self._check("kv", tuple(key))

    def require_kv(self, key: Sequence[Any]) -> None:
        """Raise PermissionDenied unless the guest may use `key`, or list what begins with it."""
        key = tuple(key)
        shown = "/".join(part if isinstance(part, str) else repr(part) for part in key)
        first = key[0] if key and isinstance(key[0], str) and "/" not in key[0] and "," not in key[0] else ""
        self._require("kv", key, shown, f"--allow-kv={first}" if first else "--allow-kv")

    def _check_host(self, kind: str, host: str, port: int, scheme: str | None = None) -> bool:
        try:
            return self._check(kind, _host_target(host, port, scheme))
        except ValueError:
            return False

    def _require_host(self, kind: str, host: str, port: int, scheme: str | None = None) -> None:
        try:
            target = _host_target(host, port, scheme)
        except ValueError as exc:
            raise PermissionDenied(kind, join_host(host, port), "a valid host name") from exc
        name = target[0]
        bracketed = f"[{name}]" if ":" in name else name
        self._require(kind, target, join_host(name, port), f"--allow-{kind}={bracketed}")

    # Paths that are known to have no links in them, for WASI ---------------------------------------------

    def check_path(self, kind: Literal["read", "write"], path: str) -> bool:
        """Tell whether `path`, absolute and free of links, is granted; the file system is not asked."""
        return self._check(kind, path)

    def require_path(self, kind: Literal["read", "write"], path: str, *, shown: str | None = None) -> None:
        """Raise PermissionDenied, naming `shown`, unless `path`, absolute and free of links, is granted."""
        shown = path if shown is None else shown
        self._require(kind, path, shown, f"--allow-{kind}={shown}")

    def path_grants(self) -> Iterator[PathPrefix]:
        """Yield every path that read, then write, grants, in the order they were given."""
        for kind in ("read", "write"):
            rule = self._rules[kind]
            yield from (WHOLE_DISK,) if rule is True else cast("tuple[PathPrefix, ...]", rule or ())
            if self._overlay is not None:
                yield from self._overlay.paths(kind)

    def has_rules_in(self, path: str, *, itself: bool) -> bool:
        """Tell whether a rule names something below `path`, or `itself`; absolute and free of links."""
        if path == "/" or self._overlay is not None:  # which may have a rule for any path, at any time
            return True
        below = path + "/"
        for owner in (self, self.deny):
            for kind in () if owner is None else ("read", "write"):
                rule = cast("Permissions", owner)._rules[kind]
                for pattern in cast("tuple[PathPrefix, ...]", rule) if isinstance(rule, tuple) else ():
                    if pattern.path.startswith(below) or (itself and pattern.path == path):
                        return True
        return False


def _grants(kind: str, rule: Rule, target: Any, named: bool) -> bool:
    if rule is True:
        return not named and (kind not in ("read", "write") or WHOLE_DISK.grants(target))
    return rule is not None and any(pattern.grants(target) for pattern in rule)


def _meet(kind: str, one: Any, two: Any) -> Rule:
    if one is None or two is None:
        return None
    if one is True and two is True:
        return True
    if kind in ("read", "write"):
        one, two = ((WHOLE_DISK,) if rule is True else rule for rule in (one, two))
    if one is True or two is True:
        return cast("tuple[Pattern, ...]", two if one is True else one)
    met = (a.meet(b) for a in one for b in two)
    return tuple(dict.fromkeys(pattern for pattern in met if pattern is not None))


def _union(one: Permissions | None, two: Permissions | None) -> Permissions | None:
    if one is None or two is None:
        return one or two
    return Permissions._of({kind: _either(one._rules[kind], two._rules[kind]) for kind in KINDS}, None)


def _either(one: Rule, two: Rule) -> Rule:
    if one is True or two is True:
        return True
    if one is None or two is None:
        return one if two is None else two
    return tuple(dict.fromkeys(one + two))


def _host_target(host: str, port: int, scheme: str | None) -> tuple[Any, ...]:
    """Return what host patterns are compared with; raises ValueError."""
    name = normal_host(host)
    return (name, port) if scheme is None else (name, port, scheme)


def _spell(item: Any) -> str:
    return item if isinstance(item, str) else "/".join(map(str, item))


NONE: Final = Permissions()
"""Nothing at all."""
