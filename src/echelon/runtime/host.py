"""What a guest can call: host functions, and the state of the call they act on.

A host function is plain Python: `implementation(call, *arguments)`. It never raises through the native boundary. What
it raises is kept on the call, the guest is stopped by a trap, and the executor raises the kept error once the
instance is gone. A function that has to wait is a coroutine function with `suspends=True`: the guest's fiber is
suspended meanwhile, on no thread at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from echelon.errors import HostCallsExceeded, OutputExceeded
from echelon.runtime.limits import Limits
from echelon.runtime.result import LogEntry
from echelon.runtime.streams import Input

if TYPE_CHECKING:
    from echelon.runtime.binary import Import
    from echelon.runtime.environment import Environment
    from echelon.runtime.memory import Memory
    from echelon.runtime.permissions import Permissions

OnOutput = Callable[[str, bytes], None]
"""Gets the name of a stream, "stdout" or "stderr", and what was written to it."""

CORE_OF = {"i32": "i32", "u32": "i32", "i64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}
"""The core type behind each type a host function may declare; u32 and u64 are the same bits, unsigned."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One function a guest may import; `params` and `results` are keys of CORE_OF, at most one result.

    `suspends` marks a coroutine function. Results of integers may be given signed or unsigned. `at_once` does the same
    as a suspending `implementation` without waiting, or raises MustWait; it is used where the guest is on the event
    loop's thread anyway, or on every thread if it may run `anywhere`.
    """

    module: str
    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]
    implementation: Callable[..., Any]
    suspends: bool = False
    at_once: Callable[..., Any] | None = None
    anywhere: bool = False


class MustWait(Exception):
    """What an `at_once` raises that cannot answer yet: the `implementation` waits then."""


class HostModule(Protocol):
    """A namespace of imports: finds the function an import names, or None."""

    def find(self, wanted: Import) -> HostFunction | None: ...

    def modules(self) -> Sequence[str]: ...


@runtime_checkable
class Catalogue(Protocol):
    """A namespace of imports that can say what is in it."""

    def names(self, module: str) -> Sequence[str]: ...


@dataclass(slots=True)
class Call:
    """One call of a guest, as its host functions see it.

    `memory` is None for a guest without one. `state` belongs to host modules, by their name (the descriptor table of
    WASI lives there); whatever is put there and has `close()` is closed when the instance is dropped.
    """

    limits: Limits
    permissions: Permissions
    environment: Environment
    memory: Memory | None = None
    host_calls: int = 0
    stdin: Input = field(default_factory=Input)
    on_output: OnOutput | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    logs: list[LogEntry] = field(default_factory=list)
    output: int = 0
    failure: BaseException | None = None
    state: dict[str, Any] = field(default_factory=dict)

    def reset(self) -> None:
        """Start anew for another call of a kept instance; what host modules keep stays."""
        self.host_calls = self.output = 0
        self.stdout.clear()
        self.stderr.clear()
        self.logs.clear()

    def count(self) -> None:
        """Count one host call; raises HostCallsExceeded past the limit."""
        self.host_calls += 1
        if self.host_calls > self.limits.host_calls:
            limit = self.limits.host_calls
            raise HostCallsExceeded(f"the guest called the host more than {limit} times", limit=limit)

    def _add_output(self, size: int) -> None:
        self.output += size
        if self.output > self.limits.output:
            limit = self.limits.output
            raise OutputExceeded(f"the guest wrote more than {limit} bytes of output", limit=limit)

    def write(self, stream: bytearray, data: bytes) -> None:
        """Add to `stdout` or `stderr`; raises OutputExceeded past the limit, which both and the logs share.

        With `on_output` the data goes there, on the event loop, and is not kept.
        """
        self._add_output(len(data))
        if self.on_output is None:
            stream += data
        else:
            self.on_output("stderr" if stream is self.stderr else "stdout", data)

    def log(self, level: str, message: str) -> None:
        """Add a log entry; raises OutputExceeded past the limit."""
        self._add_output(len(message) + 16)
        self.logs.append(LogEntry(level, message))

    def guest_memory(self) -> Memory:
        """Return the guest's memory; raises LinkError when it exports none."""
        if self.memory is None:
            from echelon.errors import LinkError

            raise LinkError('the module exports no memory: export it as "memory" to call host functions')
        return self.memory

    def close(self) -> None:
        """Close what host modules keep for this call."""
        self.stdin.close()
        state, self.state = self.state, {}
        for item in state.values():
            close = getattr(item, "close", None)
            if close is not None:
                close()
