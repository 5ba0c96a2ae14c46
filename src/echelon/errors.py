"""Every error Echelon raises on purpose.

EchelonError
├── ConfigError            a configuration value is wrong; names file, key and what would be valid
├── PermissionDenied       a guest used what it was not granted (also a PermissionError)
├── GuestError             a guest ran and failed
│   ├── Trap               the guest executed an instruction that traps
│   ├── DeadlineExceeded   the guest ran longer than its `time` limit
│   ├── MemoryExceeded     the guest asked for more memory than its `memory` limit
│   ├── FuelExhausted      the guest used up its `fuel` limit
│   ├── OutputExceeded     the guest wrote more than its `output` limit
│   ├── HostCallsExceeded  the guest called the host more often than its `host_calls` limit
│   ├── GuestExit          a WASI command ended with a status other than zero
│   ├── HostError          a host function failed while the guest was calling it
│   └── ComponentError     a component's function returned the error case of its result
├── LoadError              a module cannot be used
│   ├── InvalidModule      the bytes are not a module that this engine accepts
│   └── LinkError          the module imports something that nothing provides
├── FunctionNotFound       a module has no export of that name
├── CompileError           source could not be compiled; carries diagnostics
├── BuildError             a program put a module together that would not be valid
├── ToolchainMissing       a compiler is not installed; says how to install it
├── Busy                   the instance pool and its waiting line are full
├── KvError                the key-value store refused or failed an operation
│   ├── KvClosed           the store was closed
│   ├── KvKeyError         a key is malformed or too large
│   ├── KvValueError       a value cannot be stored, or is too large
│   ├── KvLimitError       an operation exceeds one of the store's other limits
│   ├── KvUsageError       an argument other than a key or a value makes no sense
│   └── KvStorageError     the file or server below the store failed
├── MissingExtra           an optional dependency is not installed
├── RouteError             a route, mount or handler cannot be registered as it is written
├── ClientDisconnected     the client went away before its request was read or answered whole
└── HTTPError              the request ends with this status
    └── BadInput           the request's data cannot be used; names each place and what is wrong there
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echelon.runtime.result import Outcome


class EchelonError(Exception):
    """The root of every error Echelon raises on purpose; each can be sent to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[EchelonError], args: tuple[Any, ...], state: dict[str, Any]) -> EchelonError:
    """Make an error again without its constructor, whose parameters are not what `args` holds."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(EchelonError):
    """A configuration value is wrong; the message names its source, its key and what would be valid."""

    def __init__(self, message: str, *, source: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.key = key


class MissingExtra(EchelonError):
    """An optional dependency is not installed; the message is the pip command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed: pip install "echelon[{extra}]"')
        self.package = package
        self.extra = extra


class PermissionDenied(EchelonError, PermissionError):
    """A guest used what it was not granted; `grant` is the option that would allow it."""

    def __init__(self, permission: str, target: str, grant: str, *, outcome: Outcome | None = None) -> None:
        super().__init__(f'{permission} to "{target}" (grant it with {grant})')
        self.permission = permission
        self.target = target
        self.grant = grant
        self.outcome = outcome

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of a guest's stack, innermost first; offsets are bytes from the start of the module.

    Functions of scripts are in no module: their `index` is -1. They alone have a `column`.
    """

    function: str
    index: int
    offset: int
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
        where = f" ({place})" if self.file else ""
        return f"{self.function}{where}"


class GuestError(EchelonError):
    """A guest ran and failed; `outcome` holds what it printed and cost until then."""

    def __init__(self, message: str, *, outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome


class Trap(GuestError):
    """The guest executed an instruction that traps; `code` is the engine's name for it."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        frames: Sequence[Frame] = (),
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__(message, outcome=outcome)
        self.code = code
        self.frames = tuple(frames)


class DeadlineExceeded(GuestError):
    """The guest ran longer than its `time` limit; `limit` is in seconds."""

    def __init__(self, message: str, *, limit: float, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.limit = limit


class MemoryExceeded(GuestError):
    """The guest asked for more memory than its `memory` limit; `limit` is in bytes."""

    def __init__(self, message: str, *, limit: int, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.limit = limit


class FuelExhausted(GuestError):
    """The guest used up its `fuel` limit; `limit` is in units of fuel."""

    def __init__(self, message: str, *, limit: int, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.limit = limit


class OutputExceeded(GuestError):
    """The guest wrote more than its `output` limit; `limit` is in bytes."""

    def __init__(self, message: str, *, limit: int, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.limit = limit


class HostCallsExceeded(GuestError):
    """The guest called the host more often than its `host_calls` limit."""

    def __init__(self, message: str, *, limit: int, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.limit = limit


class GuestExit(GuestError):
    """A WASI command ended with a status other than zero; `code` is that status."""

    def __init__(self, message: str, *, code: int, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.code = code


class HostError(GuestError):
    """A host function failed while the guest was calling it; the cause is chained."""

    def __init__(self, message: str, *, function: str, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.function = function


class ComponentError(GuestError):
    """A component's function returned the error case of its result; `payload` is that case's value.

    A host function that raises it gives its caller the error case.
    """

    def __init__(self, payload: object = None, *, outcome: Outcome | None = None) -> None:
        super().__init__(f"the function returned an error: {payload!r:.200}", outcome=outcome)
        self.payload = payload


class LoadError(EchelonError):
    """A module cannot be used."""


class InvalidModule(LoadError):
    """The bytes are not a module that this engine accepts."""


class LinkError(LoadError):
    """The module imports something that nothing provides."""


class FunctionNotFound(EchelonError, AttributeError):
    """A module has no export of that name."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message of a compiler; `line` and `column` count from 1, 0 when the place is unknown."""

    line: int
    column: int
    severity: str
    message: str
    file: str | None = None

    def __str__(self) -> str:
        place = f"{self.file or 'source'}:{self.line}:{self.column}"
        return f"{place}: {self.severity}: {self.message}"


class CompileError(EchelonError):
    """Source could not be compiled; `diagnostics` says where and why."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class BuildError(EchelonError, ValueError):
    """A program put a module together that would not be valid; raised where it did so."""


class ToolchainMissing(EchelonError):
    """A compiler is not installed; `install` is what to type."""

    def __init__(self, message: str, *, install: str) -> None:
        super().__init__(message)
        self.install = install


class Busy(EchelonError):
    """The instance pool and its waiting line are full; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KvError(EchelonError):
    """The key-value store refused or failed an operation."""


class KvClosed(KvError):
    """The store was closed."""


class KvKeyError(KvError, ValueError):
    """A key is malformed or too large."""


class KvValueError(KvError, ValueError):
    """A value cannot be stored, or is too large."""


class KvLimitError(KvError, ValueError):
    """An operation exceeds one of the store's other limits."""


class KvUsageError(KvError, ValueError):
    """An argument other than a key or a value makes no sense: a selector, a cursor, a check, an option."""


class KvStorageError(KvError):
    """The file or server below the store failed."""


class HTTPError(EchelonError):
    """The request ends with this status; raise it in a handler or middleware."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {detail}".rstrip())
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class BadInput(HTTPError):
    """The request's data cannot be used; `errors` names each place ("in", "name") and its "message"."""

    def __init__(
        self,
        detail: str,
        *,
        status: int = 422,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(status, detail)
        self.errors = tuple(dict(error) for error in errors)


class RouteError(EchelonError):
    """A route, mount or handler cannot be registered as it is written."""


class ClientDisconnected(EchelonError):
    """The client went away before its request was read or answered whole."""
