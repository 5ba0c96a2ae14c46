"""A module as its users hold it: call its exports, run it as a command, or keep an instance of it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import (
    Busy,
    DeadlineExceeded,
    EchelonError,
    FunctionNotFound,
    GuestError,
    HTTPError,
    LoadError,
    PermissionDenied,
)
from echelon.http.disconnect import cancel_on_disconnect
from echelon.runtime import http_guest, remote
from echelon.runtime.binary import MAGIC
from echelon.runtime.environment import Environment, Seed
from echelon.runtime.grants import Grants
from echelon.runtime.host import OnOutput
from echelon.runtime.hosted import LoadedHosted
from echelon.runtime.limits import Limits
from echelon.runtime.live_instance import LiveInstance
from echelon.runtime.loader import COMMAND, Loaded
from echelon.runtime.permissions import Permissions
from echelon.runtime.result import Outcome
from echelon.runtime.signature import Function
from echelon.runtime.work import Work

if TYPE_CHECKING:
    from echelon.http.request import Request
    from echelon.http.response import Response
    from echelon.plugin.compiler import Optimize
    from echelon.runtime.component.types import ComponentType
    from echelon.runtime.core import Runtime

log = logging.getLogger("echelon.runtime")

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class State(StrEnum):
    """Where a module is in its life."""

    DECLARED = "declared"
    COMPILING = "compiling"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"
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
        optimize: Optimize = "none",
    ) -> None:
        self.runtime = runtime
        self._source = source
        self._language = language
        self._optimize: Optimize = optimize
        self._improving: asyncio.Task[None] | None = None
        self._loaded: Loaded | None = None
        self._environment: Environment | None = None
        self._grants: Grants | None = None
        self.permissions = permissions
        self.limits = limits
        self.name = name or _name_of(source, language)
        self.state = State.DECLARED
        self._replacing = asyncio.Lock()
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
            raise FunctionNotFound(self.unknown(name))

        async def call_export(*arguments: Any) -> Any:
            return await self.call(name, *arguments)

        return call_export

    # --- loading ---

    async def load(self, sha256: str | None = None) -> None:
        """Compile and load the module, unless that is done; raises LoadError, CompileError or ToolchainMissing.

        With `sha256` the module's bytes must have that digest.
        """
        async with self._replacing:
            if self._loaded is not None:
                return
            self._become(State.COMPILING)
            try:
                self._loaded = await self._prepare(self._source, self._language, sha256)
            except BaseException as exc:
                self._become(State.FAILED, exc)
                raise
            self._become(State.READY)

    async def replace(self, source: str | Path | bytes, *, language: str | None = None) -> None:
        """Put other code in the module's place while it is in use; raises like `load()`, and changes nothing then.

        Calls that begin afterwards run the new code; those that run, and instances that are kept, end on the old.
        """
        async with self._replacing:
            loaded = await self._prepare(source, language)
            old, self._loaded = self._loaded, loaded
            self._source, self._language = source, language
            self._become(State.READY)
        if old is not None:
            self.runtime.forget(old)

    def _become(self, state: State, error: BaseException | None = None) -> None:
        before, self.state = self.state, state
        self.runtime.events.tell("module", self.name, before, state, error)

    async def _improve(self, source: str | Path | bytes, language: str | None) -> None:
        """Put the optimised module in the place of the quick one, if that is still there; an event tells what fails."""
        try:
            generator = await self.runtime.generator()
            artifact = await generator.compile(source, language, self._optimize, name=self.name)
            loaded = await self.runtime.prepare(artifact.wasm)
            old = self._loaded
            if old is None or self.state is not State.READY or self._source is not source:
                self.runtime.forget(loaded)
                return
            self._loaded = loaded
            self._become(State.READY)
            self.runtime.forget(old)
        except EchelonError as exc:
            self._become(self.state, exc)

    async def _prepare(
        self, source: str | Path | bytes, language: str | None, sha256: str | None = None
    ) -> Loaded:
        """Compile and load a source; what is known of the module changes with it."""
        wasm = await self._compile(source, language, wait=sha256 is not None)
        if sha256 is not None:
            digest = hashlib.sha256(wasm).hexdigest()
            if digest != sha256.removeprefix("sha256:").lower():
                raise LoadError(f"{self.name}: its digest is sha256:{digest}, not {sha256} as required")
        loaded = await self.runtime.prepare(wasm)
        if loaded.signature.language != "wasm":
            self.language = loaded.signature.language
        return loaded

    async def _compile(self, source: str | Path | bytes, language: str | None, *, wait: bool) -> bytes:
        """Return the module's bytes, whatever it was given as."""
        if isinstance(source, bytes) and language is None:
            if source[:4] != MAGIC[:4]:
                raise LoadError(f"{self.name}: these bytes are not a WebAssembly module; name their language")
            return source
        if isinstance(source, str) and language is None and _DIGEST.fullmatch(source):
            return await self._stored(source)
        if isinstance(source, str) and remote.is_url(source) and language is None:
            content = await remote.fetch(source, self.runtime.settings.hosts, self.runtime.net)
            if content[:4] == MAGIC[:4]:
                return content
            source, language = _text_of(content, source), await self._language_of(source)
        if language is None:
            source = Path(source) if isinstance(source, str) else source
            if isinstance(source, Path) and source.suffix == ".wasm":
                return await asyncio.to_thread(_read_file, source)
        if isinstance(source, Path) and not source.is_file():
            raise LoadError(f'there is no file "{source}"')
        generator = await self.runtime.generator()
        artifact = await generator.compile(source, language, self._optimize, name=self.name, wait=wait)
        if self._improving is not None:
            self._improving.cancel()
        if artifact.optimizing:
            self._improving = asyncio.create_task(self._improve(source, language), name="echelon-improve")
        self.cached, self.compile_ms, self.language = artifact.cached, artifact.compile_ms, artifact.language
        return artifact.wasm

    async def _stored(self, digest: str) -> bytes:
        artifact = (await self.runtime.generator()).stored(digest)
        if artifact is None:
            raise LoadError(f"no module is stored as {digest}; compile its source again")
        self.cached, self.language = True, artifact.language
        return artifact.wasm

    async def _language_of(self, url: str) -> str:
        generator = await self.runtime.generator()
        return generator.language_for(remote.file_name(url))

    def close(self) -> None:
        """Let go of the module; its native code is freed when no call of it is left. Closing twice is a no-op."""
        loaded, self._loaded = self._loaded, None
        if self._improving is not None:
            self._improving.cancel()
        if self.state is not State.GONE:
            self._become(State.GONE)
        if loaded is not None:
            self.runtime.forget(loaded)

    async def drain(self, within: float = 5.0) -> bool:
        """Refuse new calls, wait up to `within` seconds for those that run, and close; tell whether all ended."""
        loaded = self._loaded
        if loaded is None:
            return True
        self._become(State.DRAINING)
        ended = await self.runtime.unused(loaded, within)
        self.close()
        return ended

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None or self.state is State.DRAINING:
            hints = {
                State.DECLARED: "start the application, or the runtime, first",
                State.DRAINING: "it takes no more calls",
            }
            raise LoadError(
                f'the module "{self.name}" is {self.state}: {hints.get(self.state, "load it again")}'
            )
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

    @property
    def is_hosted(self) -> bool:
        """Whether it is a source that an engine runs: it has no imports, and may ask for whatever it is granted."""
        return isinstance(self._ready, LoadedHosted)

    def exports(self) -> list[Function]:
        """Return the functions that can be called, with their types."""
        return self._ready.exports()

    @property
    def component_type(self) -> ComponentType | None:
        """What a component imports and exports, as types of WIT; None for a module."""
        return self._ready.component_type

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
        seed: Seed | None = None,
    ) -> Any:
        """Call an export in a fresh instance and return its value.

        With a `seed` the call is deterministic: its random numbers follow from the seed, its clock only moves when it
        is read, NaNs have one form; the same inputs give the same result, bit for bit.

        Raises TypeError or ValueError for bad arguments, before anything runs; GuestError, PermissionDenied or Busy.
        """
        loaded = self._ready
        plan = loaded.plans.get(function)
        if plan is None:
            raise FunctionNotFound(self.unknown(function))
        if len(arguments) != plan.arity:
            plan.check_count(arguments)
        work = Work(self, loaded, limits, permissions, seed=seed)
        if self.runtime.telemetry.tracing:
            return await work.traced_call(plan, arguments, measured=False)
        return await work.call(plan, arguments, measured=False)

    async def run(
        self,
        function: str | None = None,
        *arguments: Any,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes | AsyncIterable[bytes] = b"",
        on_output: OnOutput | None = None,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
        seed: Seed | None = None,
    ) -> Outcome:
        """Call an export, or run a WASI command, and return all it left: value, output, logs, cost.

        Without a function the command's main program runs, with `args` (the first is the program's name by custom)
        and `stdin`, which may arrive while it runs; with `on_output(stream, data)` what it prints goes there as it
        comes, on the event loop, and not into the outcome. `env` adds variables to those that the permissions grant.
        An exit status of zero is success. With a `seed` the call is deterministic, as with `call()`.
        """
        loaded = self._ready
        name = COMMAND if function is None else function
        plan = loaded.plans.get(name)
        if plan is None:
            if function is None:
                raise LoadError(
                    f"{self.name} is not a WASI command: it does not export {COMMAND}; name a function"
                )
            raise FunctionNotFound(self.unknown(name))
        plan.check_count(arguments)
        work = Work(self, loaded, limits, permissions, tuple(args), env, stdin, on_output, seed)
        value = await work.traced_call(plan, arguments, measured=True)
        return work.outcome(value)

    def instance(
        self,
        *,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
        seed: Seed | None = None,
    ) -> LiveInstance:
        """Keep one instance for several calls: `async with module.instance() as live: await live.call(…)`."""
        return LiveInstance(Work(self, self._ready, limits, permissions, seed=seed))

    def check_answers_http(self) -> None:
        """Raise LoadError when the module cannot be mounted."""
        http_guest.check_handles(self._ready, self.name)

    async def __echelon_handle__(self, request: Request) -> Response:
        """Answer an HTTP request in a fresh instance, for `app.mount("/path", module)`.

        What the guest does wrong is the client's 502 or 504; the details go to the log.
        """
        self.check_answers_http()
        loaded = self._ready
        content = await http_guest.encode_request(request)
        work = Work(self, loaded, None, None)
        try:
            return http_guest.decode_response(await cancel_on_disconnect(request, work.exchange(content)))
        except Busy as exc:
            raise HTTPError(503, "busy", headers={"retry-after": str(math.ceil(exc.retry_after))}) from exc
        except DeadlineExceeded as exc:
            log.warning("%s: %s", self.name, exc)
            raise HTTPError(504, "the guest did not answer in time") from exc
        except (GuestError, PermissionDenied) as exc:
            log.warning("%s: %s: %s", self.name, type(exc).__name__, exc)
            raise HTTPError(502, "the guest failed") from exc

    @property
    def grants(self) -> Grants:
        """The module's permissions while it runs: query, request and revoke them."""
        if self._grants is None:
            self._grants = Grants(self.permissions, module=self.name, on_change=self._forget_environment)
            self.permissions = self._grants.permissions
            self._forget_environment()
        return self._grants

    def _forget_environment(self) -> None:
        self._environment = None

    def default_environment(self) -> Environment:
        """Return what every call of this module may know, made once."""
        if self._environment is None:
            self._environment = Environment.build(self.permissions)
        return self._environment

    def unknown(self, function: str) -> str:
        """Return what to say of a function that the module does not export."""
        known = ", ".join(sorted(f.name for f in self.exports())) or "nothing"
        return f'{self.name} has no function "{function}"; it exports {known}'


def _name_of(source: str | Path | bytes, language: str | None) -> str:
    if isinstance(source, str) and remote.is_url(source) and language is None:
        return Path(remote.file_name(source)).stem
    if isinstance(source, Path) or (isinstance(source, str) and language is None):
        return Path(source).stem
    return "module"


def _text_of(content: bytes, url: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise LoadError(f'"{url}" is neither a module nor source text in UTF-8') from None


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LoadError(f'there is no file "{path}"') from None
    except OSError as exc:
        raise LoadError(f'"{path}" cannot be read: {exc.strerror}') from exc
