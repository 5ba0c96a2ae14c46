"""Plug-ins that come with installed packages, found by entry-point group.

A package offers a compiler in its `pyproject.toml`:

    [project.entry-points."echelon.compilers"]
    upper = "my_package:UpperCompiler"

The groups are `echelon.compilers` (a compiler, or a class or function without parameters that makes one).
A plug-in is code that runs with the application's own rights: installing its package is the consent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from echelon.errors import ConfigError

COMPILERS = "echelon.compilers"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One object that a package offers; `origin` is the package and its version."""

    name: str
    group: str
    origin: str
    value: Any


def load(group: str, found: Iterable[EntryPoint] | None = None) -> list[Plugin]:
    """Load every plug-in of a group, by name; raises ConfigError that names the one that fails."""
    points = entry_points(group=group) if found is None else found
    plugins: dict[str, Plugin] = {}
    for point in sorted(points, key=lambda point: point.name):
        plugin = Plugin(point.name, group, _origin(point), _value(point))
        if point.name in plugins:
            raise ConfigError(
                f'the plug-in "{point.name}" of {group} comes from two packages:'
                f" {plugins[point.name].origin} and {plugin.origin}; uninstall one of them",
                key=group,
            )
        plugins[point.name] = plugin
    return list(plugins.values())


def instance(plugin: Plugin) -> Any:
    """Return the plug-in, made by calling it when it is a class or a function."""
    make: Callable[[], Any] | None = plugin.value if callable(plugin.value) else None
    if make is None:
        return plugin.value
    try:
        return make()
    except Exception as exc:  # a stranger's code: whatever it raises becomes one sentence
        raise _broken(plugin.name, plugin.group, plugin.origin, exc) from exc


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _value(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as exc:  # importing a stranger's module can raise anything
        raise _broken(point.name, point.group, _origin(point), exc) from exc


def _broken(name: str, group: str, origin: str, exc: Exception) -> ConfigError:
    return ConfigError(
        f'the plug-in "{name}" of {group} ({origin}) does not load: {type(exc).__name__}: {exc};'
        " update or uninstall that package",
        key=group,
    )
