"""What the engine of Python scripts imports: output, variables, questions that take time, and WASI in its own way.

The engine has been started already when it was built. What its start asks for, variables and arguments, must not become
part of a script, so there are none; scripts have other ways to them. CPython looks for the file of a source that has a
syntax error, to show the line; names such as `<string>` are none, and looking for them must not end the call.
"""

from __future__ import annotations

import contextlib
import re
import zoneinfo
from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from echelon.errors import GuestError
from echelon.runtime import cpython_values as values
from echelon.runtime.binary import add_custom_section
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.wasi.provider import Wasi02
from echelon.runtime.component.wasi.state import WasiCall
from echelon.runtime.host import Call
from echelon.runtime.limits import KIB
from echelon.runtime.wasi_abi import Errno, WasiError
from echelon.runtime.wasi_paths import Files

if TYPE_CHECKING:
    from echelon.runtime.script_questions import Questions

MARK: Final = "echelon:cpython-engine"
"""The custom section at the end of an engine, by which it is known."""

_INTERFACE: Final = re.compile(r"echelon:cpython/host@1\.\d+\.\d+")
_LOG, _WRITE, _SEED, _ZONE = range(4)
_LEVELS: Final = ("debug", "info", "warning", "error")
_MAX_SEED: Final = 4096
_MAX_ZONE: Final = 64 * KIB
_ZONE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,40}(/[A-Z][A-Za-z0-9_+-]{0,40}){0,2}")
"""Names of the time zone database. Others in its folder tell of this machine (`localtime`), or are copies."""

ASKED: Final = "echelon.cpython.asked"
"""Where the state of a call counts what was asked of the host that is the same for every call."""


_NO_SURROUNDINGS: Final = {
    "wasi:cli/environment#get-environment": HostImport(lambda _state: []),
    "wasi:cli/environment#get-arguments": HostImport(lambda _state: []),
}


def is_engine(wasm: bytes) -> bool:
    """Tell whether a component is an engine of Python scripts."""
    return wasm.endswith(marked(b""))


def marked(wasm: bytes) -> bytes:
    """Return a component with the mark of an engine."""
    return add_custom_section(wasm, MARK, b"")


class _ScriptFiles(Files):
    """The files of a call, among which none has a name in angle brackets."""

    def open(self, number: int, path: str, *arguments: int) -> int:
        _refuse_brackets(path)
        return super().open(number, path, *arguments)

    def stat(self, number: int, path: str, lookup: int) -> bytes:
        _refuse_brackets(path)
        return super().stat(number, path, lookup)


def _refuse_brackets(path: str) -> None:
    if path.startswith("<") and path.endswith(">"):
        raise WasiError(Errno.NOENT)


class _ScriptCall(WasiCall):
    """The WASI side of a call of a script."""

    @cached_property
    def files(self) -> Files:
        return _ScriptFiles(self.table, self.call.permissions)


class CPythonHost:
    """Provides everything that the engine imports."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._wasi = Wasi02(kind=_ScriptCall, instead=_NO_SURROUNDINGS)
        # Questions to a person are asked on the loop's thread, so variables are looked up there.
        self._found: dict[str, HostImport] = {
            "tell": HostImport(_tell, anywhere=True),
            "look": HostImport(_look),
            "ask": HostImport(self._ask, suspends=True),
        }

    def find(self, interface: str, name: str) -> HostImport | None:
        return self._found.get(name) if _INTERFACE.fullmatch(interface) else self._wasi.find(interface, name)

    def has_resource(self, interface: str, name: str) -> bool:
        return self._wasi.has_resource(interface, name)

    def interfaces(self) -> Sequence[str]:
        return self._wasi.interfaces()

    async def _ask(self, call: Call, operation: str, content: bytes) -> bytes:
        good, answer = await self._questions.answer(call, operation, values.decode(content))
        try:
            return values.encode([good, answer])
        except (TypeError, ValueError) as exc:
            return values.encode([False, f"{operation.removeprefix('kv_')}: the answer cannot cross: {exc}"])


def _tell(call: Call, operation: int, extra: int, content: bytes) -> bytes:
    if operation == _WRITE:
        call.write(call.stderr if extra == 2 else call.stdout, content)
    elif operation == _LOG:
        call.log(_LEVELS[extra % len(_LEVELS)], content.decode("utf-8", "replace"))
    elif operation == _SEED:
        return call.environment.random(min(extra, _MAX_SEED))
    elif operation == _ZONE:
        call.state[ASKED] = call.state.get(ASKED, 0) + 1
        return _zone(content.decode("ascii", "replace"))
    else:
        raise GuestError(f"the script's engine asked for {operation}, which its host does not know")
    return b""


@lru_cache(64)
def _zone(name: str) -> bytes:
    """Return the rules of a time zone as the system, or the package `tzdata`, has them; nothing when it has none."""
    if not _ZONE_NAME.fullmatch(name):
        return b""
    for folder in zoneinfo.TZPATH:
        with contextlib.suppress(OSError), Path(folder, name).open("rb") as file:
            content = file.read(_MAX_ZONE)
            if content.startswith(b"TZif"):
                return content
    with contextlib.suppress(OSError, ImportError):
        return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    return b""


def _look(call: Call, name: str) -> bytes:
    """Return a variable after a "1", or "0" when it is not set; all that was granted, as JSON, for an empty name."""
    environment = call.environment
    if not name:
        found = environment.variables
        call.permissions.require_environment(given=True)
        return msgspec.json.encode(dict(environment.locale if found is None else found))
    value = environment.lookup(call.permissions, name)
    return b"0" if value is None else b"1" + value.encode("utf-8", "replace")
