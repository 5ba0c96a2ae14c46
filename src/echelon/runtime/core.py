"""The runtime: loads modules, owns the engines and their pools, and makes the calls."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, overload

from echelon.errors import ConfigError, EchelonError, InvalidModule, LoadError
from echelon.runtime import cpython, failures, script
from echelon.runtime.assemblyscript_env import AssemblyScriptEnv
from echelon.runtime.audit import AuditLog
from echelon.runtime.binary import COMPONENT_MAGIC
from echelon.runtime.component.imports import ComponentImports
from echelon.runtime.component.loading import read_component
from echelon.runtime.cpython_host import CPythonHost, is_engine
from echelon.runtime.engine import Engine
from echelon.runtime.environment import Environment
from echelon.runtime.executor import Executor
from echelon.runtime.guest_fetch import GuestFetch
from echelon.runtime.guest_kit import GuestKit
from echelon.runtime.guest_kv import GuestKv
from echelon.runtime.host import Call, HostModule
from echelon.runtime.host_functions import F, HostFunctions
from echelon.runtime.hosted import LoadedHosted
from echelon.runtime.instance import Instance, Site
from echelon.runtime.lifecycle import Events, Phase
from echelon.runtime.limits import KIB, MIB, Limits
from echelon.runtime.linking import Linked
from echelon.runtime.loader import Loaded, read_module
from echelon.runtime.module import Module
from echelon.runtime.native_code import NativeCode
from echelon.runtime.outbound import Outbound
from echelon.runtime.permissions import Permissions
from echelon.runtime.pools import Pool, Pools
from echelon.runtime.python_functions import P, PythonFunctions, R, WasmFunction
from echelon.runtime.script_host import ScriptHost
from echelon.runtime.script_questions import Questions
from echelon.runtime.settings import RuntimeSettings as RuntimeSettings
from echelon.runtime.wasi import Wasi
from echelon.telemetry import (
    CALLS_WAITING,
    GUEST_CALL_SECONDS,
    GUEST_CALLS,
    GUEST_WAIT_SECONDS,
    INSTANCES_LIVE,
    MODULE_LOADS,
    MODULES_LOADED,
    OFF,
    WASM_LOAD,
    Telemetry,
)

if TYPE_CHECKING:
    from echelon.kv import Kv
    from echelon.plugin.artifacts import Artifact
    from echelon.plugin.compiler import Optimize
    from echelon.runtime.live_instance import LiveInstance

_LARGE_CODE: Final = MIB
_MIN_STACK: Final = 64 * KIB
_MAX_STACK: Final = 8 * MIB


class SourceCompiler(Protocol):
    """What the runtime asks of the generator."""

    def language_for(self, path: str | Path) -> str: ...

    def stored(self, digest: str) -> Artifact | None: ...

    async def engine(self, digest: str) -> bytes: ...

    async def compile(
        self,
        source: Any,
        language: str | None = None,
        optimize: Any = "none",
        name: str | None = None,
        *,
        wait: bool = True,
    ) -> Artifact: ...


class Runtime:
    """Runs WebAssembly in this process: `async with Runtime() as wasm: module = await wasm.load("fib.wat")`.

    Belongs to one event loop. A `generator` compiles sources; without one, the first source that is loaded makes one.
    """

    def __init__(
        self,
        settings: RuntimeSettings | None = None,
        *,
        generator: SourceCompiler | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.settings = settings or RuntimeSettings()
        self.telemetry = telemetry or OFF
        self.functions = HostFunctions()
        self.kv: Kv | None = None
        """The store that guests may be granted keys of; an application sets its own."""
        self.audit: AuditLog | None = None
        """Where uses of permissions are recorded while the runtime runs; `settings.audit` names the file."""
        self.net = Outbound()
        """Makes the HTTP requests of guests, and adds the credentials that it is given."""
        self.providers: list[HostModule] = [
            Wasi(), GuestKit(), AssemblyScriptEnv(), self.functions,
            GuestKv(lambda: self.kv), GuestFetch(lambda: self.net), ScriptHost(),
        ]  # fmt: skip
        self._questions = Questions(lambda: self.kv, lambda: self.net)
        self._cpython = CPythonHost(self._questions)
        self.component_imports = ComponentImports()
        """Python functions and resources that components may import, besides WASI."""
        self._python = PythonFunctions(self)
        self._generator = generator
        self._own_generator: Any = None
        self.declared: list[Module] = []
        """The modules that are loaded when the runtime starts."""
        self._loaded: dict[str, asyncio.Task[Loaded]] = {}
        self.engines: set[str] = set()
        """Digests of engines that a toolchain installed: they are large, and trusted to take long to compile."""
        self._pools: Pools | None = None
        self._calls: dict[int, Instance] = {}
        self.phase = Phase.STOPPED
        self.events = Events()
        """Tells of every step in the life of the runtime and its modules."""
        self.kept: set[LiveInstance] = set()
        """Instances that somebody keeps."""
        self._executor: Executor | None = None
        self._code: NativeCode | None = None

    # --- start and stop ---

    @property
    def running(self) -> bool:
        return self._executor is not None

    @property
    def _running_pools(self) -> Pools:
        if self._pools is None:
            raise LoadError("the runtime is not running: use `async with`, or start the application")
        if self.phase is Phase.STOPPING:
            raise LoadError("the runtime is stopping and takes no more calls")
        return self._pools

    @property
    def compiled(self) -> int:
        """How many modules were compiled to native code since the start, not taken from the cache."""
        return 0 if self._code is None else self._code.compiled

    @property
    def modules(self) -> int:
        """How many different modules are in memory."""
        return len(self._loaded)

    async def start(self) -> None:
        """Make the engine and load every declared module; raises the first failure, naming its module."""
        if self.running:
            return
        if self.settings.audit is not None:
            self.audit = _open_audit(self.settings.audit)
        self._code = NativeCode(self.settings)
        self._executor = Executor(self.settings.threads)
        settings = self.settings
        self._pools = Pools(settings.limits, settings.instances, settings.queue, settings.max_memory)
        self._measure()
        self._become(Phase.RUNNING)
        try:
            await asyncio.gather(*(module.load() for module in self.declared))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let running calls end, for a moment, then stop every thread and process and free all native memory.

        Closing twice is a no-op.
        """
        if self.phase is Phase.RUNNING:
            self._become(Phase.STOPPING)
        for live in list(self.kept):
            live.close()
        await self.drained(self.settings.drain_time)
        tasks, self._loaded = list(self._loaded.values()), {}
        if self._executor is not None:
            self._executor.stop()
            self._executor = None
            await asyncio.sleep(0)  # calls that were cut off end now
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, EchelonError):
                (await task).close()
        if self._pools is not None:
            self._pools.close()
            self._pools = None
        if self._code is not None:
            await self._code.close()
        if self._own_generator is not None:
            await self._own_generator.close()
            self._own_generator = self._generator = None
        self.net.close()
        audit, self.audit = self.audit, None
        if audit is not None:
            audit.close()
        if self.phase is not Phase.STOPPED:
            self._become(Phase.STOPPED)

    def _become(self, phase: Phase) -> None:
        before, self.phase = self.phase, phase
        self.events.tell("runtime", "runtime", before, phase)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def count_call(self, seconds: float, waited: float) -> None:
        """Count a call that succeeded."""
        if self.telemetry.counting:
            self._count_ok(1)
            self._observe_call(seconds)
            self._observe_wait(waited)

    def _measure(self) -> None:
        self._count_ok = self.telemetry.bind_count(GUEST_CALLS, result="ok")
        self._observe_call = self.telemetry.bind_observe(GUEST_CALL_SECONDS)
        self._observe_wait = self.telemetry.bind_observe(GUEST_WAIT_SECONDS)
        self.telemetry.gauge(INSTANCES_LIVE, lambda: float(self._pools.live if self._pools else 0))
        self.telemetry.gauge(CALLS_WAITING, lambda: float(self._pools.waiting if self._pools else 0))
        self.telemetry.gauge(MODULES_LOADED, lambda: float(self.modules))

    # --- modules ---

    def host(self, namespace: str, *, name: str | None = None) -> Callable[[F], F]:
        """Let guests import a typed function: `@app.wasm.host("shop")`; before the runtime starts.

        The import is named like the function unless `name` is given. The decorator may be kept and used again.
        """

        def register(function: F) -> F:
            if self.running:
                raise ConfigError(
                    f"{namespace}: the runtime has started; register host functions before that"
                )
            return self.functions.add(namespace, function, name, self.providers)

        return register

    def module(
        self,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
        language: str | None = None,
        optimize: Optimize = "none",
    ) -> Module:
        """Declare a module; it is compiled and loaded when the runtime starts.

        With `optimize` "speed" or "size" a source is ready as soon as without; what a compiler or wasm-opt makes of it
        takes its place when that is done.
        """
        module = self._make(source, name, permissions, limits, language, optimize)
        if self.running:
            raise ConfigError(f"{module.name}: the runtime has started; use `await load(…)` from now on")
        self.declared.append(module)
        return module

    @overload
    def function(self, function: Callable[P, R], /) -> WasmFunction[P, R]: ...

    @overload
    def function(self, *, limits: Limits | None = None) -> Callable[[Callable[P, R]], WasmFunction[P, R]]: ...

    def function(self, function: Any = None, *, limits: Limits | None = None) -> Any:
        """Run a typed Python function as WebAssembly: `@app.wasm.function`, or with `limits` for each call.

        The functions of a file, what they call there and the constants they use make one module, which is compiled
        when the runtime starts, or at the first call when it has. Raises ConfigError for what is no plain function.
        """
        if function is None:
            return lambda given: self._python.add(given, limits)
        return self._python.add(function, limits)

    async def load(
        self,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
        language: str | None = None,
        sha256: str | None = None,
        optimize: Optimize = "none",
    ) -> Module:
        """Load a module from a file, a URL, bytes, the digest of a stored module, or source the generator knows.

        `language` says that a text is source itself, not the path of a file. A URL needs its host in the setting
        `hosts`. With `sha256` the digest of the module must be that one, or it is not even compiled to native code.
        `optimize` is as for `module`; with a digest it is waited for.
        Raises LoadError, CompileError, ToolchainMissing or, for a URL, PermissionDenied.
        """
        module = self._make(source, name, permissions, limits, language, optimize)
        await module.load(sha256)
        return module

    def _make(
        self,
        source: str | Path | bytes,
        name: str | None,
        permissions: Permissions | None,
        limits: Limits | None,
        language: str | None,
        optimize: Optimize = "none",
    ) -> Module:
        limits = limits or self.settings.limits
        self.check_limits(limits)
        return Module(self, source, name, permissions or Permissions(), limits, language, optimize)

    def check_limits(self, limits: Limits) -> None:
        """Raise ConfigError when a limit is above what this runtime can hold a guest to."""
        for key, value, ceiling, setting in (
            ("memory", limits.memory, self.settings.max_memory, "wasm.max_memory"),
            ("time", limits.time, self.settings.max_time, "wasm.max_time"),
            ("stack", limits.stack, _MAX_STACK, "the largest stack"),
        ):
            if value > ceiling:
                raise ConfigError(
                    f"limits.{key}: {value} is above {setting} ({ceiling})", key=f"limits.{key}"
                )
        if limits.stack < _MIN_STACK:
            raise ConfigError(f"limits.stack: at least {_MIN_STACK} bytes are needed", key="limits.stack")

    async def generator(self) -> SourceCompiler:
        """Return what compiles sources; makes one when the runtime was given none."""
        if self._generator is None:
            # The one import against the grain: a runtime on its own knows every language, too.
            from echelon.plugin.generator import Generator

            generator = Generator(telemetry=self.telemetry)
            await generator.start()
            self._generator = self._own_generator = generator
        return self._generator

    async def prepare(self, wasm: bytes) -> Loaded:
        """Check a module, compile it to native code or take that from the cache; each digest once.

        Every result must be given back with `forget()`.
        """
        _ = self._running_pools
        digest = "sha256:" + hashlib.sha256(wasm).hexdigest()
        task = self._loaded.get(digest)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._prepare(wasm, digest))
            self._loaded[digest] = task
            task.add_done_callback(lambda done: self._forget_failure(digest, done))
        loaded = await asyncio.shield(task)
        loaded.users += 1
        return loaded

    def forget(self, loaded: Loaded) -> None:
        """Count one user of a module less; the last one frees its native code."""
        loaded.users -= 1
        if loaded.users <= 0 and self._loaded.pop(loaded.digest, None) is not None:
            loaded.close()
            if isinstance(loaded, LoadedHosted):
                self.forget(loaded.engine)

    async def unused(self, loaded: Loaded, within: float) -> bool:
        """Wait until only its module uses what was loaded, for at most `within` seconds; tell whether that is so."""
        return await _until(lambda: loaded.users <= 1, within)

    def _release(self, pool: Pool, loaded: Loaded) -> None:
        pool.slots.release()
        self.forget(loaded)

    def _forget_failure(self, digest: str, task: asyncio.Task[Loaded]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._loaded.get(digest) is task:
            del self._loaded[digest]
        if not task.cancelled():
            self.telemetry.count(MODULE_LOADS, result="failed" if failed else "ok")

    async def _prepare(self, wasm: bytes, digest: str) -> Loaded:
        with self.telemetry.span(WASM_LOAD, digest=digest, size=len(wasm)):
            loaded: Loaded
            header = script.read_header(wasm) or cpython.read_header(wasm)
            if header is not None:
                loaded = await self._prepare_script(wasm, digest, header)
            elif wasm[:8] == COMPONENT_MAGIC:
                provider = self._cpython if is_engine(wasm) else self.component_imports
                loaded = read_component(wasm, digest, (provider,))
            else:
                loaded = read_module(wasm, digest, self.providers)
            usual = self._running_pools.usual_for(loaded.is_component)
            await self.link(loaded, usual)
            if isinstance(loaded, LoadedHosted):
                await self._get_ready(loaded)
            return loaded

    async def _get_ready(self, loaded: LoadedHosted) -> None:
        nothing = Permissions()

        async def open_instance(limits: Limits) -> Instance:
            def make_call() -> Call:
                return Call(limits, nothing, Environment.build(nothing))

            return (await self.open(loaded, limits, make_call))[0]

        loaded.users += 1  # or the last instance to be closed would close it
        try:
            await loaded.get_ready(open_instance)
        finally:
            loaded.users -= 1

    async def _prepare_script(
        self, wasm: bytes, digest: str, header: script.ScriptHeader | cpython.Header
    ) -> Loaded:
        engine = await (await self.generator()).engine(header.engine)
        self.engines.add(header.engine)
        loaded = await self.prepare(engine)
        try:
            if isinstance(header, cpython.Header):
                return cpython.read_script(wasm, digest, header, loaded)
            return script.read_script(wasm, digest, header, loaded, self._questions)
        except BaseException:
            self.forget(loaded)
            raise

    async def link(self, loaded: Loaded, pool: Pool) -> Site:
        """Make a module ready for instances in a pool, compiling it if its native code is not at hand."""
        engine, executor = pool.engine, self._executor
        if executor is None:
            raise LoadError("the runtime is closed")
        async with loaded.linking:
            site = loaded.sites.get(engine.profile)
            if site is None and isinstance(loaded, LoadedHosted):
                site = loaded.adopt(
                    await self.link(loaded.engine, pool), partial(self._release, pool, loaded)
                )
                loaded.sites[engine.profile] = site
            if site is None:
                try:
                    linked = await self._map(loaded, engine)
                except InvalidModule:  # kept by another build of the engine, or for another processor
                    linked = await self._map(loaded, engine, anew=True)
                site = Site(
                    linked, loaded.info, loaded.wasm, engine, executor, self._calls, pool.scratches,
                    partial(self._release, pool, loaded),
                )  # fmt: skip
                loaded.sites[engine.profile] = site
            return site

    async def _map(self, loaded: Loaded, engine: Engine, *, anew: bool = False) -> Linked:
        if self._code is None:
            raise LoadError("the runtime is closed")
        code = await self._code.get(
            loaded.wasm, loaded.digest, engine.profile, forms=loaded.forms, anew=anew,
            installed=loaded.digest in self.engines,
        )  # fmt: skip
        if len(code) > _LARGE_CODE:
            return await asyncio.to_thread(loaded.link, engine, code, self._calls)
        return loaded.link(engine, code, self._calls)

    # --- instances ---

    def idle(self) -> bool:
        """Tell whether no instance is left and no call is waiting."""
        return self._pools is None or not (self._pools.live or self._pools.waiting)

    async def drained(self, within: float = 5.0) -> bool:
        """Wait until no instance is left, for at most `within` seconds; tell whether that is so."""
        return await _until(self.idle, within)

    def open_now(self, loaded: Loaded, limits: Limits, make_call: Callable[[], Call]) -> Instance | None:
        """Return a started instance if that takes no waiting, None otherwise; raises like `open()`."""
        pools = self._pools
        if (
            pools is None
            or self.phase is not Phase.RUNNING
            or loaded.runs_at_start
            or not pools.is_usual(limits)
        ):
            return None
        pool = pools.usual
        site, slots = loaded.sites.get(pool.engine.profile), pool.slots
        if site is None or not slots.free or slots.waiting or loaded.minimum_memory > limits.memory:
            return None
        call = make_call() if site.linked.has_host else None
        slots.free -= 1
        loaded.users += 1
        instance = Instance(site, call, limits)
        try:
            if instance.begin_start() is not None:
                raise LoadError("the engine suspended a module that runs nothing when it starts")
        except BaseException:
            instance.close()
            raise
        return instance

    async def open(
        self,
        loaded: Loaded,
        limits: Limits,
        make_call: Callable[[], Call],
        *,
        kept: bool = False,
        deterministic: bool = False,
    ) -> tuple[Instance, float]:
        """Return a started instance, and the seconds that it waited for its slot.

        Raises Busy when too many calls are waiting, and what the module's start function may raise.
        """
        if loaded.minimum_memory > limits.memory:
            raise failures.memory_exceeded(loaded.info, limits)
        pool = self._running_pools.find(limits, deterministic=deterministic, components=loaded.is_component)
        loaded.users += 1  # from here on the module stays, whoever closes it meanwhile
        try:
            site = loaded.sites.get(pool.engine.profile) or await self.link(loaded, pool)
            call = make_call() if site.linked.has_host else None
            began = perf_counter()
            await pool.slots.acquire()
        except BaseException:
            self.forget(loaded)
            raise
        waited = perf_counter() - began
        instance = loaded.instantiate(site, call, limits, kept=kept)
        try:
            future = instance.begin_start()
            if future is not None:
                await instance.finish(future, None)
            if loaded.initialize is not None:
                await instance.invoke(loaded.initialize)
        except BaseException:
            instance.close()
            raise
        return instance, waited


async def _until(condition: Callable[[], bool], within: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(0.005)
    return True


def _open_audit(path: Path) -> AuditLog:
    try:
        return AuditLog(path)
    except OSError as exc:
        message = (
            f"wasm.audit: {path} cannot be written: {exc.strerror}; name a file in a folder that is there"
        )
        raise ConfigError(message, key="wasm.audit") from exc
