"""From an error to a problem document: the one table of what the control API answers when something fails."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, Final, ParamSpec

from echelon.console.values import outcome_to_json
from echelon.errors import (
    BadInput,
    Busy,
    CompileError,
    ConfigError,
    DeadlineExceeded,
    Diagnostic,
    Frame,
    FuelExhausted,
    FunctionNotFound,
    GuestError,
    GuestExit,
    HostCallsExceeded,
    HostError,
    HTTPError,
    InvalidModule,
    LinkError,
    LoadError,
    MemoryExceeded,
    OutputExceeded,
    PermissionDenied,
    ToolchainMissing,
    Trap,
)
from echelon.http.response import PROBLEM_TYPES, Problem, Response

P = ParamSpec("P")

URN: Final = "urn:echelon:"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors is answered; `members` are its attributes that go into the document."""

    type: str
    status: int
    title: str
    members: tuple[str, ...] = ()


KINDS: Final[Mapping[type[Exception], Kind]] = MappingProxyType(
    {
        CompileError: Kind("compile-error", 422, "The source does not compile", ("diagnostics",)),
        ToolchainMissing: Kind("toolchain-missing", 501, "A compiler is not installed", ("install",)),
        Trap: Kind("trap", 422, "The guest trapped", ("code", "frames")),
        DeadlineExceeded: Kind("deadline-exceeded", 422, "The guest ran too long", ("limit",)),
        MemoryExceeded: Kind("memory-exceeded", 422, "The guest needs more memory", ("limit",)),
        FuelExhausted: Kind("fuel-exhausted", 422, "The guest used up its fuel", ("limit",)),
        OutputExceeded: Kind("output-exceeded", 422, "The guest wrote too much", ("limit",)),
        HostCallsExceeded: Kind(
            "host-calls-exceeded", 422, "The guest called its host too often", ("limit",)
        ),
        GuestExit: Kind("guest-exit", 422, "The command ended with a failure", ("code",)),
        HostError: Kind("host-error", 422, "A host function failed", ("function",)),
        GuestError: Kind("guest-error", 422, "The guest failed"),
        PermissionDenied: Kind(
            "permission-denied", 403, "The guest lacks a permission", ("permission", "target", "grant")
        ),
        LinkError: Kind("link-error", 422, "The module needs what nothing provides"),
        InvalidModule: Kind("invalid-module", 422, "Not a module that can be used"),
        LoadError: Kind("load-error", 422, "The module cannot be loaded"),
        FunctionNotFound: Kind("function-not-found", 404, "The module has no such function"),
        Busy: Kind("busy", 503, "Too many calls are waiting", ("retry_after",)),
        ConfigError: Kind("bad-request", 400, "Bad Request", ("key",)),
    }
)
"""Every error that a client can cause, the nearest class first; the rest of HTTP comes as HTTPError."""


def problem_for(error: Exception) -> Problem | None:
    """Return the problem document for an error, or None when the client could not have caused it."""
    if isinstance(error, HTTPError):
        return _http_problem(error)
    kind = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if kind is None:
        return None
    members = {name: to_json(getattr(error, name)) for name in kind.members}
    outcome = getattr(error, "outcome", None)
    if outcome is not None:
        left = outcome_to_json(outcome)
        members |= {name: left[name] for name in ("stdout", "stderr", "logs", "cost")}
    headers = {"retry-after": str(math.ceil(error.retry_after))} if isinstance(error, Busy) else None
    return Problem(
        kind.status,
        _text(str(error)),
        type=URN + kind.type,
        title=kind.title,
        headers=headers,
        **{name: value for name, value in members.items() if value is not None},
    )


def answers_problems(
    handler: Callable[P, Awaitable[Response]],
) -> Callable[P, Awaitable[Response]]:
    """Let a handler answer its errors as problem documents; what no client could cause passes through."""

    @wraps(handler)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await handler(*args, **kwargs)
        except Exception as exc:
            problem = problem_for(exc)
            if problem is None:
                raise
            return problem

    return answer


def bad_request(detail: str, *, errors: list[dict[str, str]] | None = None) -> BadInput:
    """Return the error for a request that makes no sense."""
    return BadInput(_text(detail), status=400, errors=errors or ())


def types() -> tuple[str, ...]:
    """Return every problem type of the control API, sorted."""
    from_status = (PROBLEM_TYPES[status] for status in (400, 401, 404, 413, 415))
    return tuple(sorted({URN + kind.type for kind in KINDS.values()} | {*from_status, URN + "conflict"}))


def _http_problem(error: HTTPError) -> Problem:
    extensions: dict[str, Any] = {}
    if isinstance(error, BadInput) and error.errors:
        extensions["errors"] = [{k: _text(v) for k, v in item.items()} for item in error.errors]
    kind = URN + "conflict" if error.status == 409 else None
    return Problem(error.status, _text(error.detail), type=kind, headers=error.headers, **extensions)


def to_json(value: Any) -> Any:
    """Return an attribute of an error (diagnostics, frames, texts, numbers) as JSON has it."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Diagnostic):
        found: dict[str, Any] = {
            "line": value.line,
            "column": value.column,
            "severity": value.severity,
            "message": _text(value.message),
        }
        return found if value.file is None else {**found, "file": _text(value.file)}
    if isinstance(value, Frame):
        frame: dict[str, Any] = {
            "function": _text(value.function),
            "index": value.index,
            "offset": value.offset,
        }
        if value.file is not None:
            frame |= {"file": _text(value.file), "line": value.line}
        return frame if value.column is None else {**frame, "column": value.column}
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Replace what is not text: a guest's names and a client's JSON may hold half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
