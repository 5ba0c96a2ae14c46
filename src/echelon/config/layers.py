"""The three places settings come from: a TOML file, the environment, and arguments."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from echelon.config import compilers
from echelon.config.kinds import MEMORY, Many, PathName
from echelon.config.lines import key_lines
from echelon.config.secret import Secret
from echelon.config.sections import Setting
from echelon.errors import ConfigError
from echelon.runtime.permissions import Permissions

FILE = "echelon.toml"
PREFIX = "ECHELON_"
SHORT: Mapping[str, str] = MappingProxyType({"ECHELON_TOKEN": "console.token"})
RESERVED = frozenset({"ECHELON_HOME"})
"""Variables that belong to other parts of Echelon: where toolchains are installed."""
MAX_FILE = 1 << 20

SETS = "permissions"
"""The table of named sets of permissions."""

_SET_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Origin:
    """A value and its source: "default", "echelon.toml:12", "ECHELON_SERVER_PORT", "--port" or "code"."""

    value: Any
    source: str


def at_source(error: ConfigError, explicit: Mapping[str, Origin]) -> ConfigError:
    """Name the source of the key that an error is about."""
    origin = explicit.get(error.key or "")
    if origin is None:
        return error
    return ConfigError(f"{origin.source}: {error}", source=origin.source, key=error.key)


def from_file(path: str | Path | None, known: Mapping[str, Setting]) -> dict[str, Origin]:
    """Read a TOML file; relative paths in it are relative to its folder."""
    file = Path(FILE if path is None else path)
    if path is None and not file.exists():
        return {}
    text = _read(file)
    found: dict[str, Origin] = {}
    lines: dict[str, int] = {}
    try:
        document = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as exc:
        place = _PLACE.search(str(exc))
        where = f"{file}:{place[1]}:{place[2]}" if place else str(file)
        raise ConfigError(f"{where}: not TOML: {_PLACE.sub('', str(exc))}", source=where) from None
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply", source=str(file)) from None
    _walk(document, "", found, lambda key: f"{file}:{lines[key]}", known, file.parent)
    return found


def from_environment(environ: Mapping[str, str], known: Mapping[str, Setting]) -> dict[str, Origin]:
    """Read the `ECHELON_*` variables; an unknown one is an error."""
    names = {variable(key): key for key in known} | dict(SHORT)
    found: dict[str, Origin] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in RESERVED:
            continue
        if name not in names:
            raise ConfigError(f"{name}: unknown variable; {_near(name, names)}", source=name)
        key = names[name]
        value = _checked(known[key].kind.read, environ[name], key, name)
        if key in found and found[key].value != value:
            raise ConfigError(
                f"{name}: {key} is set by {found[key].source} too, to another value; keep one",
                source=name,
                key=key,
            )
        found[key] = Origin(value, name)
    return found


def from_arguments(
    arguments: Mapping[str, object], known: Mapping[str, Setting], *, option: bool
) -> dict[str, Origin]:
    """Take values by dotted key; None means not given; text is read as an environment variable is."""
    found: dict[str, Origin] = {}
    for key, value in arguments.items():
        source = _option(key) if option else "code"
        if key not in known:
            raise ConfigError(
                f"{source}: {key}: unknown setting; {_near(key, known)}", source=source, key=key
            )
        if value is None:
            continue
        kind = known[key].kind
        found[key] = Origin(
            _checked(kind.read if isinstance(value, str) else kind.check, value, key, source), source
        )
    return found


def to_environment(explicit: Mapping[str, Origin]) -> dict[str, str]:
    """Write values as the variables that `from_environment` reads back; raises ConfigError."""
    short = {key: name for name, key in SHORT.items()}
    return {short.get(key, variable(key)): _text(key, origin.value) for key, origin in explicit.items()}


def variable(key: str) -> str:
    """Return the environment variable of a dotted key."""
    return PREFIX + key.upper().replace(".", "_")


def _text(key: str, value: Any) -> str:
    if isinstance(value, tuple):
        parts = [_text(key, member) for member in value]
        if any("," in part for part in parts):
            raise ConfigError(f"{key}: a member with a comma cannot be handed to a worker process", key=key)
        return ",".join(parts)
    if isinstance(value, Secret):
        return value.reveal()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _option(key: str) -> str:
    """Return the command-line option of a dotted key: those of the server stand without their section."""
    return "--" + key.removeprefix("server.").replace(".", "-").replace("_", "-")


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
        if len(data) > MAX_FILE:
            raise ConfigError(
                f"{file}: has {len(data)} bytes; a configuration has at most {MAX_FILE}", source=str(file)
            )
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file", source=str(file)) from None
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read: {exc.strerror}", source=str(file)) from exc
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8", source=f"{file}:{line}") from None


def _walk(
    table: Mapping[str, Any],
    prefix: str,
    found: dict[str, Origin],
    source: Callable[[str], str],
    known: Mapping[str, Setting],
    base: Path,
) -> None:
    for name, value in table.items():
        key = prefix + name
        where = source(key)
        if key == SETS:
            _read_sets(value, found, source, base)
        elif key == compilers.TABLE:
            _read_compilers(value, found, source)
        elif key in known:
            if isinstance(value, dict):
                raise ConfigError(
                    f"{where}: {key}: is a table; valid is {known[key].kind.valid}", source=where, key=key
                )
            found[key] = Origin(
                _checked(known[key].kind.check, _anchor(known[key], value, base), key, where), where
            )
        elif not any(other.startswith(f"{key}.") for other in known):
            raise ConfigError(f"{where}: {key}: unknown key; {_near(key, known)}", source=where, key=key)
        elif not isinstance(value, dict):
            raise ConfigError(f"{where}: {key}: must be a table; write [{key}]", source=where, key=key)
        else:
            _walk(value, f"{key}.", found, source, known, base)


def _read_sets(table: Any, found: dict[str, Origin], source: Callable[[str], str], base: Path) -> None:
    """Read the tables [permissions.NAME]; relative paths in them are relative to the folder of the file."""
    if not isinstance(table, dict) or not all(isinstance(values, dict) for values in table.values()):
        where = source(SETS)
        raise ConfigError(f"{where}: {SETS}: write [{SETS}.NAME] for each set", source=where, key=SETS)
    for name, values in table.items():
        key = f"{SETS}.{name}"
        try:
            found[key] = Origin(permission_set(_anchored(values, base), key), source(key))
        except ConfigError as exc:
            lines = [f"{key}.deny.{exc.key}", f"{key}.{exc.key}", key]
            where = next(place for place in map(_or_none(source), lines) if place is not None)
            raise ConfigError(f"{where}: {exc}", source=where, key=key) from None


def _read_compilers(table: Any, found: dict[str, Origin], source: Callable[[str], str]) -> None:
    """Read the tables [compilers.NAME]."""
    where = source(compilers.TABLE)
    if not isinstance(table, dict) or not all(isinstance(values, dict) for values in table.values()):
        message = f"{where}: {compilers.TABLE}: write [{compilers.TABLE}.NAME] for each compiler"
        raise ConfigError(message, source=where, key=compilers.TABLE)
    for name, values in table.items():
        key = f"{compilers.TABLE}.{name}"
        where = source(key)
        found[key] = Origin(_checked(compilers.check, values, key, where), where)


def _or_none(source: Callable[[str], str]) -> Callable[[str], str | None]:
    def find(key: str) -> str | None:
        try:
            return source(key)
        except KeyError:
            return None

    return find


def _anchored(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    def anchor(kind: str, value: Any) -> Any:
        if kind == "deny" and isinstance(value, dict):
            return _anchored(value, base)
        if kind not in ("read", "write") or not isinstance(value, list):
            return value
        return [
            str(base.absolute() / item) if isinstance(item, str) and item and item[0] != "~" else item
            for item in value
        ]

    return {kind: anchor(kind, value) for kind, value in values.items()}


def permission_set(values: Any, key: str) -> Permissions:
    """Return a named set of permissions; raises ConfigError that begins with its key."""
    name = key.removeprefix(f"{SETS}.")
    if not _SET_NAME.fullmatch(name):
        raise ConfigError(f"{key}: the name of a set has letters, digits, - and _, at most 64", key=key)
    if isinstance(values, Permissions):
        return values
    try:
        return Permissions.parse(values)
    except ConfigError as exc:
        raise ConfigError(f"{key}{str(exc).removeprefix(SETS)}", key=exc.key) from None


def _anchor(item: Setting, value: Any, base: Path) -> Any:
    """Make a relative path of a file relative to the folder of that file."""
    if isinstance(item.kind, Many) and isinstance(item.kind.item, PathName) and isinstance(value, list):
        return [_anchor(Setting(item.kind.item, None, ""), member, base) for member in value]
    plain = not isinstance(item.kind, PathName) or not isinstance(value, str)
    return value if plain or not value or value == MEMORY or value.startswith("~") else str(base / value)


def _checked(check: Callable[[Any, str], Any], value: Any, key: str, source: str) -> Any:
    try:
        return check(value, key)
    except ConfigError as exc:
        raise ConfigError(f"{source}: {exc}", source=source, key=key) from None


def _near(name: str, names: Iterable[str]) -> str:
    """Say which known name was meant, or what is known at its place."""
    known = list(names)
    separator = "_" if name.startswith(PREFIX) else "."
    section, _, last = name.removeprefix(PREFIX).rpartition(separator)
    siblings = {
        n.rpartition(".")[2]: n for n in known if separator == "." and n.rpartition(".")[0] == section
    }
    tables = {n.rpartition(".")[0] for n in known if "." in n}
    matches = (
        [siblings[near] for near in difflib.get_close_matches(last, siblings)]
        or [n for n in known if n.endswith(separator + last)]
        or difflib.get_close_matches(name, [*known, *sorted(tables)], cutoff=0.75)
    )
    if matches:
        return "did you mean " + " or ".join(f'"{match}"' for match in matches[:3]) + "?"
    if section and siblings:
        return f"[{section}] has " + ", ".join(siblings)
    return "`echelon config` lists what is known"
