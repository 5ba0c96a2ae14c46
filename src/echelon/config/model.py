"""The whole configuration as one frozen value, and where each part of it came from."""
# ruff: noqa: RUF009 - setting() only declares a dataclass field

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from echelon.config import compilers, layers
from echelon.config.compilers import CompilerConfig
from echelon.config.kinds import UNSET, Flag, PathName
from echelon.config.layers import Origin
from echelon.config.secret import Secret
from echelon.config.sections import (
    LIMIT_SETTINGS,
    ConsoleConfig,
    GeneratorConfig,
    KvConfig,
    ServerConfig,
    Setting,
    TelemetryConfig,
    WasmConfig,
    default_limits,
    normalise,
    setting,
    settings_of,
)
from echelon.errors import ConfigError
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

_SECTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "server": ServerConfig,
        "kv": KvConfig,
        "wasm": WasmConfig,
        "generator": GeneratorConfig,
        "telemetry": TelemetryConfig,
        "console": ConsoleConfig,
    }
)
_TABLES = {layers.SETS: "named permissions", compilers.TABLE: "a compiler"}
"""Tables whose keys are names that users choose, and what each entry is."""
_BELOW_STATE = (("kv", "path", "kv.db"), ("wasm", "cache", "native"), ("generator", "cache", "artifacts"))
_BUILD = "build"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `echelon config`; `value` is written as TOML would have it."""

    key: str
    value: str
    source: str
    help: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. `Config()` is the defaults, `Config.load()` what the surroundings say.

    Paths are absolute, sizes are bytes, times are seconds. Raises ConfigError for a bad value.
    """

    state: Path = setting(PathName(), ".echelon", "folder of everything Echelon writes")
    build: Path = setting(
        PathName(derived=True), UNSET, "folder of what `echelon build` writes; empty means build below state"
    )
    debug: bool = setting(Flag(), False, "show the details of an error to the client (development)")
    server: ServerConfig = field(default_factory=ServerConfig)
    kv: KvConfig = field(default_factory=KvConfig)
    wasm: WasmConfig = field(default_factory=WasmConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    permissions: Mapping[str, Permissions] = field(default_factory=dict)
    """Named sets of permissions, for modules and for `echelon call --permissions`."""
    compilers: Mapping[str, CompilerConfig] = field(default_factory=dict)
    """Command-line compilers by the name of their language."""
    _explicit: Mapping[str, Origin] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        normalise(self, "")
        sets = {
            name: layers.permission_set(values, f"{layers.SETS}.{name}")
            for name, values in self.permissions.items()
        }
        object.__setattr__(self, "permissions", sets)
        tools = {
            name: compilers.check(values, f"{compilers.TABLE}.{name}")
            for name, values in self.compilers.items()
        }
        object.__setattr__(self, "compilers", tools)
        if self.build == UNSET:
            object.__setattr__(self, "build", self.state / _BUILD)
        for section, name, below in _BELOW_STATE:
            part = getattr(self, section)
            if getattr(part, name) == UNSET:
                object.__setattr__(self, section, replace(part, **{name: self.state / below}))

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        environ: Mapping[str, str] = os.environ,
        arguments: Mapping[str, object] = MappingProxyType({}),
    ) -> Config:
        """Read defaults < TOML file < `ECHELON_*` variables < arguments such as {"server.port": 80}.

        Without a path `echelon.toml` in the working directory is read if it is there. An argument that is
        None was not given. Raises ConfigError, which names the source and the key of a bad value.
        """
        known = settings()
        explicit = layers.from_file(path, known)
        explicit |= layers.from_environment(environ, known)
        explicit |= layers.from_arguments(arguments, known, option=True)
        return _build(explicit)

    def replace(self, values: Mapping[str, object]) -> Config:
        """Return a copy with other values, given by dotted key; what follows from them follows again."""
        return _build(self._given() | self._sets() | layers.from_arguments(values, settings(), option=False))

    def origins(self) -> dict[str, Origin]:
        """Return the value and the source of every setting, by dotted key."""
        usual = _values(Config())
        usual["build"] = self.state / _BUILD
        usual |= {f"{section}.{name}": self.state / below for section, name, below in _BELOW_STATE}
        usual |= _limit_values(default_limits(self.wasm.max_memory, self.wasm.max_time))
        return {
            key: self._explicit.get(key) or Origin(value, "default" if value == usual[key] else "code")
            for key, value in _values(self).items()
        }

    def render(self, show_secrets: bool = False) -> list[Row]:
        """Return what `echelon config` prints."""
        known, rows = settings(), []
        for key, origin in self.origins().items():
            shown = known[key].kind.show(origin.value)
            if show_secrets and isinstance(origin.value, Secret):
                shown = f'"{origin.value.reveal()}"'
            rows.append(Row(key, shown, origin.source, known[key].help))
        for key, origin in self._sets().items():
            rows.append(
                Row(key, _inline(origin.value.to_dict()), origin.source, _TABLES[key.partition(".")[0]])
            )
        return rows

    def environ(self) -> dict[str, str]:
        """Return, as variables, what a child process would not find in the file or the environment itself."""
        given = self._given().items()
        return layers.to_environment(
            {key: o for key, o in given if o.source == "code" or o.source[:2] == "--"}
        )

    def _sets(self) -> dict[str, Origin]:
        keys = {
            f"{table}.{name}": values for table in _TABLES for name, values in getattr(self, table).items()
        }
        return {key: self._explicit.get(key) or Origin(values, "code") for key, values in keys.items()}

    def _given(self) -> dict[str, Origin]:
        return {key: origin for key, origin in self.origins().items() if origin.source != "default"}


def settings() -> dict[str, Setting]:
    """Return every setting by dotted key, in the order of the documentation."""
    found = settings_of(Config)
    for name, cls in _SECTIONS.items():
        found |= {f"{name}.{key}": item for key, item in settings_of(cls).items()}
        if cls is WasmConfig:
            found |= {f"wasm.limits.{key}": item for key, item in LIMIT_SETTINGS.items()}
    return found


def _inline(value: Any) -> str:
    """Return plain data as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def _limit_values(limits: Limits) -> dict[str, Any]:
    return {f"wasm.limits.{key}": getattr(limits, key) for key in LIMIT_SETTINGS}


def _values(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in settings():
        part: Any = config
        for name in key.split("."):
            part = getattr(part, name)
        found[key] = part
    return found


def _build(explicit: Mapping[str, Origin]) -> Config:
    """Make the configuration out of values that were each checked; raises ConfigError where two disagree."""
    parts: dict[str, dict[str, Any]] = {
        "": {},
        "wasm.limits": {},
        **{name: {} for name in _TABLES},
        **{name: {} for name in _SECTIONS},
    }
    for key, origin in explicit.items():
        section, _, name = key.rpartition(".")
        parts[section][name] = origin.value
    top, limits = parts.pop(""), parts.pop("wasm.limits")
    top |= {name: parts.pop(name) for name in _TABLES}
    try:
        if limits:
            wasm = WasmConfig(**parts["wasm"])
            parts["wasm"]["limits"] = Limits(**(wasm.limits.to_dict() | limits))
        config = Config(**top, **{name: cls(**parts[name]) for name, cls in _SECTIONS.items()})
    except ConfigError as exc:
        raise layers.at_source(exc, explicit) from None
    object.__setattr__(config, "_explicit", dict(explicit))
    return config
