"""A module as its users hold it: call its exports, run it as a command, or keep an instance of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import FunctionNotFound, GuestError, GuestExit, LoadError, PermissionDenied
from echelon.runtime.binary import MAGIC
from echelon.runtime.environment import Environment
from echelon.runtime.host import Call
from echelon.runtime.instance import Instance
from echelon.runtime.limits import Limits
from echelon.runtime.loader import COMMAND, Loaded
from echelon.runtime.memory import Memory
from echelon.runtime.permissions import Permissions
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.result import Cost, Outcome
from echelon.runtime.signature import Function

if TYPE_CHECKING:
    from echelon.runtime.core import Runtime


class State(StrEnum):
    """Where a module is in its life."""

    DECLARED = "declared"
    COMPILING = "compiling"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


class Module:
    """A module with its permissions and limits; `await module.call("add", 1, 2)` or `await module.add(1, 2)`.

    Every call runs in a fresh instance. Permissions and limits given to a call can only narrow those of the module.
    """

    def __init__(
        self,
        runtime: Runtime,
        source: str | Path | bytes,
        name: str | None,
        permissions: Permissions,
        limits: Limits,
        language: str | None,
    ) -> None:
        self._runtime = runtime
        self._source = source
        self._language = language
        self._loaded: Loaded | None = None
        self._environment: Environment | None = None
        self.permissions = permissions
        self.limits = limits
        self.name = name or _name_of(source, language)
        self.state = State.DECLARED
        self.language = language or "wasm"
        self.cached = False
        """Whether the generator had compiled this source before."""
        self.compile_ms = 0.0
        """Milliseconds the generator took, 0 for what was a module already."""

    def __repr__(self) -> str:
        return f"<Module {self.name} {self.state}>"

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._loaded is not None and name not in self._loaded.plans:
            raise FunctionNotFound(self._unknown(name))

        async def call_export(*arguments: Any) -> Any:
            return await self.call(name, *arguments)

        return call_export

    # --- loading ---

    async def load(self) -> None:
        """Compile and load the module, unless that is done; raises LoadError, CompileError or ToolchainMissing."""
        if self._loaded is not None:
            return
        self.state = State.COMPILING
        try:
            wasm = await self._compile()
            self._loaded = await self._runtime.prepare(wasm)
        except BaseException:
            self.state = State.FAILED
            raise
        if self._loaded.signature.language != "wasm":
            self.language = self._loaded.signature.language
        self.state = State.READY

    async def _compile(self) -> bytes:
        """Return the module's bytes, whatever it was given as."""
        source, language = self._source, self._language
        if isinstance(source, bytes) and language is None:
            if source[:4] != MAGIC[:4]:
                raise LoadError(f"{self.name}: these bytes are not a WebAssembly module; name their language")
            return source
        if language is None:
            source = Path(source) if isinstance(source, str) else source
            if isinstance(source, Path) and source.suffix == ".wasm":
                return await asyncio.to_thread(_read_file, source)
        if isinstance(source, Path) and not source.is_file():
            raise LoadError(f'there is no file "{source}"')
        generator = await self._runtime.generator()
        artifact = await generator.compile(source, language, name=self.name)
        self.cached, self.compile_ms, self.language = artifact.cached, artifact.compile_ms, artifact.language
        return artifact.wasm

    def close(self) -> None:
        """Let go of the module; its native code is freed when no call of it is left. Closing twice is a no-op."""
        loaded, self._loaded = self._loaded, None
        self.state = State.GONE
        if loaded is not None:
            self._runtime.forget(loaded)

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            hint = (
                "start the application, or the runtime, first"
                if self.state is State.DECLARED
                else "load it again"
            )
            raise LoadError(f'the module "{self.name}" is {self.state}: {hint}')
        return self._loaded

    # --- what it is ---

    @property
    def digest(self) -> str:
        """SHA-256 of the module's bytes, as "sha256:…"."""
        return self._ready.digest

    @property
    def size(self) -> int:
        """Bytes of the module."""
        return self._ready.info.size

    @property
    def wasm(self) -> bytes:
        return self._ready.wasm

    def exports(self) -> list[Function]:
        """Return the functions that can be called, with their types."""
        return self._ready.exports()

    def imports(self) -> list[dict[str, str]]:
        """Return what the module imports."""
        return [
            {"module": i.module, "name": i.name, "kind": i.kind, **({"type": str(i.type)} if i.type else {})}
            for i in self._ready.info.imports
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the form the control API answers with."""
        return {
            "id": self.digest,
            "name": self.name,
            "language": self.language,
            "size": self.size,
            "exports": [function.to_dict() for function in self.exports()],
            "imports": self.imports(),
            "permissions": self.permissions.to_dict(),
            "limits": self.limits.to_dict(),
            "cached": self.cached,
            "compile_ms": round(self.compile_ms, 3),
        }

    # --- calls ---

    async def call(
        self,
        function: str,
        *arguments: Any,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
    ) -> Any:
        """Call an export in a fresh instance and return its value.

        Raises TypeError or ValueError for bad arguments, before anything runs; GuestError, PermissionDenied or Busy.
        """
        loaded = self._ready
        plan = loaded.plans.get(function)
        if plan is None:
            raise FunctionNotFound(self._unknown(function))
        if len(arguments) != plan.arity:
            plan.check_count(arguments)
        work = _Work(self, loaded, limits, permissions)
        if self._runtime.telemetry.tracing:
            return await work.traced_call(plan, arguments, measured=False)
        return await work.call(plan, arguments, measured=False)

    async def run(
        self,
        function: str | None = None,
        *arguments: Any,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        permissions: Permissions | None = None,
        limits: Limits | None = None,
    ) -> Outcome:
        """Call an export, or run a WASI command, and return all it left: value, output, logs, cost.

        Without a function the command's main program runs, with `args` (the first is the program's name by custom)
        and `stdin`; `env` adds variables to those that the permissions grant. An exit status of zero is success.
        """
        loaded = self._ready
        name = COMMAND if function is None else function
        plan = loaded.plans.get(name)
        if plan is None:
            if function is None:
                raise LoadError(
                    f"{self.name} is not a WASI command: it does not export {COMMAND}; name a function"
                )
            raise FunctionNotFound(self._unknown(name))
        plan.check_count(arguments)
        work = _Work(self, loaded, limits, permissions, tuple(args), env, stdin)
        value = await work.traced_call(plan, arguments, measured=True)
        return work.outcome(value)

    def instance(
        self, *, permissions: Permissions | None = None, limits: Limits | None = None
    ) -> LiveInstance:
        """Keep one instance for several calls: `async with module.instance() as live: await live.call(…)`."""
        return LiveInstance(_Work(self, self._ready, limits, permissions))

    def default_environment(self) -> Environment:
        """Return what every call of this module may know, made once."""
        if self._environment is None:
            self._environment = Environment.build(self.permissions)
        return self._environment

    def _unknown(self, function: str) -> str:
        known = ", ".join(sorted(f.name for f in self.exports())) or "nothing"
        return f'{self.name} has no function "{function}"; it exports {known}'


class _Work:
    """One call of a module: narrowed permissions and limits, the instance, and what it leaves."""

    __slots__ = ("_args", "_call", "_env", "_module", "_stdin", "_waited", "instance", "limits", "loaded",
                 "permissions")  # fmt: skip

    def __init__(
        self,
        module: Module,
        loaded: Loaded,
        limits: Limits | None,
        permissions: Permissions | None,
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> None:
        self._module, self.loaded = module, loaded
        self.limits = module.limits if limits is None else module.limits.narrow(limits)
        self.permissions = (
            module.permissions if permissions is None else module.permissions.narrow(permissions)
        )
        self._args, self._env, self._stdin = args, env, stdin
        self.instance: Instance | None = None
        self._call: Call | None = None
        self._waited = 0.0

    def make_call(self) -> Call:
        module = self._module
        if self._args or self._env or self.permissions is not module.permissions:
            environment = Environment.build(self.permissions, variables=self._env, args=self._args)
        else:
            environment = module.default_environment().fresh()
        self._call = Call(self.limits, self.permissions, environment, stdin=self._stdin)
        return self._call

    async def open(self, *, kept: bool = False) -> Instance:
        """Wait for a slot and start an instance."""
        runtime = self._module._runtime  # the module and its work are one
        self.instance, self._waited = await runtime.open(self.loaded, self.limits, self.make_call, kept=kept)
        return self.instance

    async def call(self, plan: FunctionPlan, arguments: Sequence[Any], *, measured: bool) -> Any:
        """Make the call in a fresh instance; an error carries what the guest left until then."""
        runtime = self._module._runtime
        try:
            self.instance = instance = runtime.open_now(self.loaded, self.limits, self.make_call)
            if instance is None:
                instance = await self.open()
            try:
                if not plan.simple:
                    value = await plan.call(instance, arguments, self.loaded.plans, kept=False)
                else:
                    plan.put(instance, arguments)
                    future = instance.begin(plan)
                    if future is not None:
                        await instance.finish(future, plan)
                    value = plan.get(instance)
                if measured:
                    instance.measure()
            except (GuestError, PermissionDenied):
                instance.measure()
                raise
            finally:
                instance.close()
            if runtime.telemetry.counting:
                runtime.count_call(instance.spent, self._waited)
        except GuestExit as exc:
            if exc.code == 0:
                return None
            raise self.failed(exc) from None
        except (GuestError, PermissionDenied) as exc:
            raise self.failed(exc) from exc.__cause__
        return value

    async def traced_call(self, plan: FunctionPlan, arguments: Sequence[Any], *, measured: bool) -> Any:
        """Make the call in a span of its own."""
        name = self._module.name
        with self._module._runtime.telemetry.span("wasm.call", module=name, function=plan.name):
            return await self.call(plan, arguments, measured=measured)

    def failed(self, error: GuestError | PermissionDenied) -> GuestError | PermissionDenied:
        """Count a failure and give its error what the guest left."""
        self._module._runtime.telemetry.count("echelon_guest_calls_total", result=type(error).__name__)
        error.outcome = self.outcome(None)
        return error

    def outcome(self, value: Any) -> Outcome:
        instance, call = self.instance, self._call
        if instance is None:
            cost = Cost(wall=0.0, cpu=0.0, fuel=None, memory=0, host_calls=0, wait=self._waited)
        else:
            cost = Cost(
                wall=instance.spent,
                cpu=max(0.0, instance.spent - instance.idle),
                fuel=instance.fuel,
                memory=instance.peak,
                host_calls=call.host_calls if call else 0,
                wait=self._waited,
            )
        if call is None:
            return Outcome(value, b"", b"", cost)
        return Outcome(value, bytes(call.stdout), bytes(call.stderr), cost, tuple(call.logs))


_BROKEN: Final = "this instance was dropped after a failure; open another one"


class LiveInstance:
    """One instance kept for several calls, with its memory. Calls run one after another; a failure ends it."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._instance: Instance | None = None
        self._turn = asyncio.Lock()
        self._bound: dict[str, Callable[..., Awaitable[Any]]] = {}
        self._closed = "this instance is not open; use `async with module.instance() as live`"

    async def __aenter__(self) -> LiveInstance:
        self._instance = await self._work.open(kept=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the instance back. Closing twice is a no-op; every later use raises GuestError."""
        instance, self._instance = self._instance, None
        self._closed = "this instance is closed"
        if instance is not None:
            instance.close()

    @property
    def memory(self) -> Memory:
        """The guest's memory; raises GuestError when it exports none."""
        memory = self._opened.memory
        if memory is None:
            raise GuestError("the module exports no memory")
        return memory

    @property
    def _opened(self) -> Instance:
        if self._instance is None:
            raise GuestError(self._closed)
        return self._instance

    def call(self, function: str, *arguments: Any) -> Awaitable[Any]:
        """Call an export and return its value; each call has the module's limits anew."""
        return (self._bound.get(function) or self.function(function))(*arguments)

    def function(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return an export as a coroutine function, which saves looking it up for each call."""
        plan = self._work.loaded.plans.get(name)
        if plan is None:
            raise FunctionNotFound(self._work._module._unknown(name))
        self._bound[name] = bound = self._bind(plan)
        return bound

    def _bind(self, plan: FunctionPlan) -> Callable[..., Awaitable[Any]]:
        """Return what calls one export: at once if it is simple and the instance is idle, in turn otherwise."""
        instance, turn = self._opened, self._turn
        ticker, put, get = instance.site.engine.ticker, plan.put, plan.get
        begin, finish, simple = instance.begin, instance.finish, plan.simple

        async def call_export(*arguments: Any) -> Any:
            if not simple or turn.locked() or self._instance is not instance:
                async with turn:
                    return await self._call(plan, arguments)
            if instance.ticks != ticker.count:
                instance.begin_call()
            put(instance, arguments)
            try:
                future = begin(plan)
                if future is not None:
                    async with turn:
                        await finish(future, plan)
            except BaseException as exc:
                raise self._drop(exc) from exc.__cause__
            return get(instance)

        return call_export

    async def _call(self, plan: FunctionPlan, arguments: Sequence[Any]) -> Any:
        instance = self._opened
        instance.begin_call()
        try:
            return await plan.call(instance, arguments, self._work.loaded.plans, kept=True)
        except (TypeError, ValueError):
            raise
        except BaseException as exc:
            raise self._drop(exc) from exc.__cause__

    async def run(self, function: str, *arguments: Any) -> Outcome:
        """Call an export and return its value with what it printed and cost."""
        value = await self.call(function, *arguments)
        self._opened.measure()
        return self._work.outcome(value)

    def _drop(self, error: BaseException) -> BaseException:
        self.close()
        self._closed = _BROKEN
        return self._work.failed(error) if isinstance(error, GuestError | PermissionDenied) else error


def _name_of(source: str | Path | bytes, language: str | None) -> str:
    if isinstance(source, Path) or (isinstance(source, str) and language is None):
        return Path(source).stem
    return "module"


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LoadError(f'there is no file "{path}"') from None
    except OSError as exc:
        raise LoadError(f'"{path}" cannot be read: {exc.strerror}') from exc
