"""wasi:cli and wasi:random: arguments, variables, standard streams, exit, and randomness."""

from __future__ import annotations

from typing import Final, NoReturn

from echelon.errors import GuestError, GuestExit
from echelon.runtime.component.host_import import HostImport
from echelon.runtime.component.values import Ok
from echelon.runtime.component.wasi.state import MAX_RANDOM, WasiCall
from echelon.runtime.component.wasi.streams import StandardInput, StandardOutput


def _variables(state: WasiCall) -> list[tuple[str, str]]:
    found = state.environment.variables
    state.call.permissions.require_environment(given=found is not None)
    return [(_text(name), _text(value)) for name, value in (found or {}).items()]


def _text(value: str) -> str:
    """Replace what is no UTF-8 in the host's environment, which a component's strings cannot hold."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _exit(_state: WasiCall, status: object) -> NoReturn:
    _exit_with_code(_state, 0 if isinstance(status, Ok) else 1)


def _exit_with_code(_state: WasiCall, code: int) -> NoReturn:
    raise GuestExit(f"the command ended with status {code}", code=code)


def _random_bytes(state: WasiCall, size: int) -> bytes:
    if size > MAX_RANDOM:
        raise GuestError(f"the guest asked for {size} random bytes, at most {MAX_RANDOM} are given at once")
    return state.environment.random(size)


def _random_number(state: WasiCall) -> int:
    return int.from_bytes(state.environment.random(8), "little")


FUNCTIONS: Final = {
    "wasi:cli/environment#get-environment": HostImport(_variables),
    "wasi:cli/environment#get-arguments": HostImport(lambda s: [_text(arg) for arg in s.environment.args]),
    "wasi:cli/environment#initial-cwd": HostImport(lambda _state: None),
    "wasi:cli/exit#exit": HostImport(_exit),
    "wasi:cli/exit#exit-with-code": HostImport(_exit_with_code),
    "wasi:cli/stdin#get-stdin": HostImport(StandardInput),
    "wasi:cli/stdout#get-stdout": HostImport(lambda state: StandardOutput(state, is_error=False)),
    "wasi:cli/stderr#get-stderr": HostImport(lambda state: StandardOutput(state, is_error=True)),
    "wasi:cli/terminal-stdin#get-terminal-stdin": HostImport(lambda _state: None),
    "wasi:cli/terminal-stdout#get-terminal-stdout": HostImport(lambda _state: None),
    "wasi:cli/terminal-stderr#get-terminal-stderr": HostImport(lambda _state: None),
    "wasi:random/random#get-random-bytes": HostImport(_random_bytes),
    "wasi:random/random#get-random-u64": HostImport(_random_number),
    "wasi:random/insecure#get-insecure-random-bytes": HostImport(_random_bytes),
    "wasi:random/insecure#get-insecure-random-u64": HostImport(_random_number),
    "wasi:random/insecure-seed#insecure-seed": HostImport(
        lambda state: (_random_number(state), _random_number(state))
    ),
}
