"""What a component may import: functions and resources of the host, found by the name of their interface.

The types come from the component's own import; so a function that is offered need not say what it takes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from echelon.errors import ConfigError, LinkError
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.wasi.provider import Wasi02

_METHOD: Final = re.compile(r"\[(constructor|method|static)\]([^.]+)(?:\.(.+))?")
_VERSION: Final = re.compile(r"@(\d+)\.(\d+)[^#]*$")


def plain(interface: str) -> str:
    """Return an interface's name with the part of its version that compatible ones share."""

    def shared(found: re.Match[str]) -> str:
        major, minor = found[1], found[2]
        return f"@{major}" if major != "0" else f"@0.{minor}"

    return _VERSION.sub(shared, interface)


class ComponentImports:
    """Python functions and classes that components may import, by "ns:pkg/interface@1.0.0#name".

    imports.add("acme:shop/prices@1.0.0#lookup", lookup)     a function, sync or async
    imports.add("acme:shop/prices@1.0.0#cart", Cart)         a resource: constructor, methods and statics of a class
    imports.add("log", print)                                a function at the top level

    A guest gets any version that is compatible with the one that was added. What a function raises stops the guest;
    `ComponentError(payload)` is the error case of a function that returns a result. WASI 0.2 is there already; what
    is added goes before it.
    """

    def __init__(self) -> None:
        self._wasi = Wasi02()
        self._found: dict[tuple[str, str], HostImport] = {}
        self._classes: dict[tuple[str, str], type] = {}
        self._names: dict[str, None] = {}

    def add(self, name: str, function: Callable[..., Any] | type) -> None:
        """Offer a function, or a class as a resource; raises ConfigError for what cannot be offered."""
        interface, mark, item = name.rpartition("#")
        if not item or (mark and not interface):
            raise ConfigError(f'{name!r} is not the name of an import; write "ns:pkg/interface@1.0.0#name"')
        if not callable(function):
            raise ConfigError(f"{name}: {function!r} cannot be called")
        key = (plain(interface), item)
        if key in self._found or key in self._classes:
            raise ConfigError(f"{name}: something is offered under this name already")
        self._names[interface or item] = None
        if isinstance(function, type):
            self._classes[key] = function
        else:
            self._found[key] = HostImport(_without_call(function), inspect.iscoroutinefunction(function))

    def find(self, interface: str, name: str) -> HostImport | None:
        key = plain(interface)
        found = self._found.get((key, name))
        if found is not None:
            return found
        parts = _METHOD.fullmatch(name)
        owner = self._classes.get((key, parts[2])) if parts else None
        if parts is None or owner is None:
            return self._wasi.find(interface, name)
        if parts[1] == "constructor":
            return HostImport(_without_call(owner))
        attribute = parts[3].replace("-", "_")
        function = getattr(owner, attribute, None)
        if function is None or attribute.startswith("_"):
            return None
        return HostImport(_without_call(function), inspect.iscoroutinefunction(function))

    def has_resource(self, interface: str, name: str) -> bool:
        key = plain(interface)
        method = f"]{name}"
        added = (key, name) in self._classes or any(
            known == key and item.partition(".")[0].endswith(method) for known, item in self._found
        )
        return added or self._wasi.has_resource(interface, name)

    def provides(self, interface: str, name: str) -> bool:
        """Tell whether there is something behind an import."""
        return self.find(interface, name) is not None

    def interfaces(self) -> Sequence[str]:
        return [*self._names, *self._wasi.interfaces()]


def _without_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes the call first, and drops it."""
    if inspect.iscoroutinefunction(function):

        async def suspend(_call: Any, *values: Any) -> Any:
            return await function(*values)

        return suspend
    return lambda _call, *values: function(*values)


class Everything(ComponentImports):
    """Has something behind every import, so that any component can be looked at; none of it can be called."""

    def find(self, interface: str, name: str) -> HostImport | None:
        return HostImport(_refuse)

    def has_resource(self, interface: str, name: str) -> bool:
        return True


def _refuse(_call: Any, *_values: Any) -> NoReturn:
    raise LinkError("this component was loaded to be looked at, not to be called")
