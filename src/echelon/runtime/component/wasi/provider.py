"""What a component may import of WASI 0.2, whatever its last version number.

The engine has an implementation of its own. It waits on threads and a reactor that the guest's deadline does not
reach, and it knows nothing of Echelon's permissions; so nothing of it is used.

Sockets and outgoing HTTP are defined, because toolchains import them into every program, but refuse to work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NoReturn

from echelon.errors import PermissionDenied
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.wasi import cli, clocks, descriptors, streams
from echelon.runtime.component.wasi.state import STATE, WasiCall
from echelon.runtime.limits import GIB
from echelon.runtime.wasi_table import FileBudget

_INTERFACE: Final = re.compile(r"(wasi:[a-z]+/[a-z-]+)@0\.2\.\d+")
_REFUSED: Final = ("wasi:sockets/", "wasi:http/")
_KNOWN: Final = ("wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/")


class Wasi02:
    """Provides the interfaces of WASI 0.2 to components; `file_size` bounds each file they write, in bytes.

    `kind` is what is kept for each call, `instead` are functions that take the place of the usual ones.
    """

    def __init__(
        self,
        open_files: int | None = None,
        file_size: int = GIB,
        *,
        kind: type[WasiCall] = WasiCall,
        instead: Mapping[str, HostImport] = MappingProxyType({}),
    ) -> None:
        self._budget, self._file_size, self._kind = FileBudget(open_files), file_size, kind
        self._functions = {**streams.FUNCTIONS, **cli.FUNCTIONS, **clocks.FUNCTIONS, **descriptors.FUNCTIONS}
        self._functions |= instead

    def find(self, interface: str, name: str) -> HostImport | None:
        matched = _INTERFACE.fullmatch(interface)
        if matched is None:
            return None
        found = self._functions.get(f"{matched[1]}#{name}")
        if found is not None:
            return self._bind(found)
        return HostImport(_refuse, anywhere=True) if matched[1].startswith(_REFUSED) else None

    def has_resource(self, interface: str, name: str) -> bool:
        return _INTERFACE.fullmatch(interface) is not None and interface.startswith(_KNOWN + _REFUSED)

    def interfaces(self) -> Sequence[str]:
        return [f"{package}*@0.2" for package in _KNOWN]

    def _state(self, call: Any) -> WasiCall:
        state: WasiCall | None = call.state.get(STATE)
        if state is None:
            state = call.state[STATE] = self._kind(call, self._budget, self._file_size)
        return state

    def _bind(self, found: HostImport) -> HostImport:
        function = found.function
        if found.suspends:

            async def suspend(call: Any, *values: Any) -> Any:
                return await function(self._state(call), *values)

            return HostImport(suspend, suspends=True)
        return HostImport(lambda call, *values: function(self._state(call), *values), anywhere=True)


def _refuse(_call: Any, *_values: Any) -> NoReturn:
    raise PermissionDenied("net", "sockets", "a host function: components get no sockets of their own")
