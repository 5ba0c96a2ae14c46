"""Python functions that run as WebAssembly: `@app.wasm.function`."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import os
import re
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

from echelon.errors import CompileError, Diagnostic, Trap
from echelon.runtime import python_source, python_values
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module, State
from echelon.runtime.permissions import Permissions

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.compiler import Translation
    from echelon.runtime.core import Runtime

P = ParamSpec("P")
R = TypeVar("R")

_as_python: ContextVar[bool] = ContextVar("echelon_as_python", default=False)
"""Set while originals run: decorated functions that they call are not awaited there."""
_EXCEPTION: Final = "exception"
"""The code of a trap that is an exception of the guest's language."""
_UNDECODABLE: Final = re.compile(
    r"'([\w-]+)' codec can't decode bytes? (?:0x(\w\w) )?in position (\d+)(?:-(\d+))?: (.+)"
)


class PythonModule(Module):
    """The decorated functions of one file, compiled together; what they use is gathered when it is loaded."""

    def __init__(self, runtime: Runtime, file: str, limits: Limits) -> None:
        super().__init__(runtime, "", os.path.basename(file), Permissions(), limits, "python")
        self.functions: dict[str, Callable[..., Any]] = {}

    def source(self) -> str:
        """Return the program; raises CompileError for what it uses and cannot."""
        return python_source.program(self.functions.values())

    async def load(self, sha256: str | None = None) -> None:
        """Gather and compile; raises CompileError for what is refused, also for types that cannot cross."""
        if self.state is not State.READY:
            self._source = self.source()
        await super().load(sha256)
        missing = [name for name in self.functions if name not in self._ready.plans]
        if missing:
            self.close()
            refused = [
                item for item in _translate(self).diagnostics if item.message.startswith(f"{missing[0]}() ")
            ]
            raise CompileError("\n".join(map(str, refused)), refused)


class PythonFunctions:
    """The modules of decorated functions, by file: what `Runtime.function` keeps."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._modules: dict[tuple[str, Limits], PythonModule] = {}

    def add(self, function: Callable[P, R], limits: Limits | None) -> WasmFunction[P, R]:
        """Give a function a place in the module of its file; one with captured constants has a module of its own."""
        python_source.check(function)
        limits = limits or self._runtime.settings.limits
        self._runtime.check_limits(limits)
        key = (function.__code__.co_filename, limits)
        module = None if function.__closure__ else self._modules.get(key)
        if module is None or module.state is not State.DECLARED or function.__name__ in module.functions:
            module = PythonModule(self._runtime, key[0], limits)
            if not self._runtime.running:
                self._runtime.declared.append(module)
            if not function.__closure__:
                self._modules[key] = module
        module.functions[function.__name__] = function
        return WasmFunction(function, module)


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a decorated function runs: `types` as the compiler sees them, `path`, what was refused and why, and `wat`."""

    name: str
    types: str
    path: str
    diagnostics: Sequence[Diagnostic]
    source: str
    """The program that is compiled, its lines as in the file."""
    wat: str = ""
    """The function as WebAssembly's text, "" when it is refused."""

    def __str__(self) -> str:
        lines = [self.types or self.name, f"runs: {self.path}", *map(str, self.diagnostics)]
        return "\n".join([*lines, self.wat.rstrip()] if self.wat else lines)


class WasmFunction(Generic[P, R]):
    """A Python function whose calls are awaited and run in the sandbox; `python` is the original.

    Each call has a fresh instance within `limits`. What the function raises is raised here, of the same type; a stopped
    call raises the GuestError that says why. There is no way back to Python by itself: what cannot be compiled is a
    CompileError when the application starts.
    """

    def __init__(self, function: Callable[P, R], module: PythonModule) -> None:
        self.module = module
        self.__echelon_python__ = function
        functools.update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<WasmFunction {self.__echelon_python__.__qualname__} {self.module.state}>"

    def python(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the original in this process, outside the sandbox; what it calls is the original, too."""
        token = _as_python.set(True)
        try:
            return self.__echelon_python__(*args, **kwargs)
        finally:
            _as_python.reset(token)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call it in the sandbox; raises what `Module.call()` does, and what the function raises."""
        if _as_python.get():
            return self.__echelon_python__(*args, **kwargs)  # type: ignore[return-value]  # within python()
        return self._call(args, kwargs)

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        module, function = self.module, self.__echelon_python__
        if module.state is not State.READY and module.runtime.running:
            await module.load()
        values = _in_order(function, args, kwargs) if kwargs or function.__defaults__ else args
        try:
            result: R = await module.call(function.__name__, *values)
        except Trap as trap:
            raised = _raised(trap, function)
            if raised is None:
                raise
            raise raised from trap
        restore = _restorer(function)
        return result if restore is None else restore(result)

    def explain(self) -> Explanation:
        """Say how the function runs, or why it is refused; compiles it, and runs nothing."""
        name = self.__echelon_python__.__name__
        try:
            source = self.module.source()
        except CompileError as exc:
            return Explanation(name, "", "not at all: it is refused", exc.diagnostics, "")
        made = _translate(self.module)
        found = [
            item
            for item in made.diagnostics
            if item.severity == "error" or item.message.startswith(f"{name}() ")
        ]
        types = made.functions.get(name, "")
        if found:
            return Explanation(name, types, "not at all: it is refused", found, source)
        path = f"as WebAssembly, in a module of {len(made.wasm or b'')} bytes"
        return Explanation(name, types, path, found, source, made.text_of(name))


def _translate(module: PythonModule) -> Translation:
    """Compile without a store."""
    # Against the grain, as the runtime's own generator is: what is said of a function only its compiler knows.
    from echelon.plugin.compilers.python.compiler import translate

    return translate(module.source(), module.name)


def _in_order(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments as an export takes them: all of them, in order."""
    bound = _signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args + tuple(bound.kwargs.values())


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.cache
def _restorer(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    return python_values.restorer(function)


def _raised(trap: Trap, function: Callable[..., Any]) -> Exception | None:
    """Return the exception that a trap is: of the function's file or one of Python's; None for another trap."""
    if trap.code != _EXCEPTION:
        return None
    name, _, message = str(trap).partition(": ")
    kind = function.__globals__.get(name, getattr(builtins, name, None))
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    if kind.__module__ not in (function.__module__, builtins.__name__):
        return None
    if issubclass(kind, StopIteration):  # it cannot leave what is awaited
        return None
    if issubclass(kind, UnicodeDecodeError | UnicodeEncodeError):
        return _undecodable(message) if kind is UnicodeDecodeError else None
    if issubclass(kind, KeyError) and message:
        try:
            return kind(ast.literal_eval(message))
        except (SyntaxError, ValueError):
            return kind(message)
    return kind(message) if message else kind()


def _undecodable(message: str) -> Exception | None:
    """Return the exception with the place and the byte that the message tells; the other bytes are gone."""
    found = _UNDECODABLE.fullmatch(message)
    if found is None:
        return None
    encoding, byte, start, last, reason = found.groups()
    first = int(start)
    octets = bytes(first) + (bytes.fromhex(byte) if byte else b"")
    return UnicodeDecodeError(encoding, octets, first, 1 + int(last or start), reason)
