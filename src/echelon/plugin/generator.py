"""Source in, WebAssembly out: picks the compiler, compiles each source once, keeps what came out.

async with Generator(artifacts="artifacts") as generator:
    artifact = await generator.compile("export function one(): i32 { return 1 }", language="typescript")
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from echelon.errors import (
    CompileError,
    ConfigError,
    EchelonError,
    InvalidModule,
    LoadError,
    ToolchainMissing,
)
from echelon.plugin import languages, product, projects, sources, toolchain
from echelon.plugin import options as of_language
from echelon.plugin.artifacts import Artifact, ArtifactStore, digest_of
from echelon.plugin.compiler import (
    MEMBERS,
    OPTIMIZE,
    Compiled,
    Compiler,
    Delegating,
    Engines,
    Importing,
    Job,
    OfProjects,
    Optimize,
    Optimizing,
    Probe,
)
from echelon.plugin.optimizer import Optimizer, applies
from echelon.plugin.product import Work, key_of
from echelon.plugin.sources import Source
from echelon.plugin.turns import Turns
from echelon.runtime import binary, declarations
from echelon.runtime import signature as signatures
from echelon.telemetry import COMPILE_SECONDS, COMPILES, GENERATOR_COMPILE, OFF

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

MAX_OUTPUT: Final = 16 << 20
WAITING: Final = 64
"""Compiles of one language that may wait, of all clients together."""
BINARY: Final = "wasm"


@dataclass(frozen=True, slots=True)
class Language:
    """One language the generator knows, and whether its compiler is here."""

    name: str
    suffixes: tuple[str, ...]
    probe: Probe


class Generator:
    """Compiles source to WebAssembly. Belongs to one event loop; `start` before use, `close` after.

    `compilers` None means the built-in ones and those of installed packages. `artifacts` None means the
    directory `artifacts` in Echelon's own. Sizes are bytes. `places` compiles of each language run at once (0 means as
    many as there are processors, at least two) and `waiting` more may wait.
    """

    def __init__(
        self,
        compilers: Iterable[Compiler] | None = None,
        artifacts: ArtifactStore | str | Path | None = None,
        telemetry: Telemetry | None = None,
        *,
        max_source: int = sources.MAX_SOURCE,
        max_output: int = MAX_OUTPUT,
        places: int = 0,
        waiting: int = WAITING,
    ) -> None:
        if not isinstance(artifacts, ArtifactStore):
            artifacts = ArtifactStore(toolchain.home() / "artifacts" if artifacts is None else artifacts)
        self.artifacts = artifacts
        self._built: ArtifactStore | None = None
        self._writes: ArtifactStore | None = None
        self.max_source = max_source
        self.max_output = max_output
        self.places = places or max(2, os.cpu_count() or 1)
        self.waiting = waiting
        self._turns: dict[str, Turns] = {}
        self.telemetry = telemetry or OFF
        self._compilers: dict[str, Compiler] = {}
        self._probes: dict[str, Probe] = {}
        self._running: dict[str, _Flight] = {}
        self._optimizer = Optimizer()
        self._behind = Turns(1, waiting)
        self._optimized: dict[str, asyncio.Task[None]] = {}
        self._warming: set[asyncio.Task[None]] = set()
        self._started = False
        for compiler in languages.compilers() if compilers is None else compilers:
            self.register(compiler)

    def register(self, compiler: Compiler) -> None:
        """Add a language; raises ConfigError when it is not a compiler or its name or a suffix is taken."""
        missing = [member for member in MEMBERS if not hasattr(compiler, member)]
        if missing:
            raise ConfigError(f"{compiler!r} is not a compiler: it lacks {', '.join(missing)}")
        taken = {suffix: other.name for other in self._compilers.values() for suffix in other.suffixes}
        if compiler.name in self._compilers or compiler.name == BINARY:
            raise ConfigError(f'there is a compiler for "{compiler.name}" already')
        for suffix in compiler.suffixes:
            if not suffix.startswith(".") or suffix == ".wasm":
                raise ConfigError(
                    f'{compiler.name}: "{suffix}" cannot be its suffix; write one such as ".abc"'
                )
            if suffix in taken:
                raise ConfigError(
                    f'{compiler.name}: the suffix "{suffix}" belongs to {taken[suffix]} already'
                )
        self._compilers[compiler.name] = compiler
        self._turns[compiler.name] = Turns(self.places, self.waiting)

    def use_built(self, store: ArtifactStore) -> None:
        """Look first for what was compiled ahead: the same sources need no compiler here."""
        self._built = store

    def write_built(self, store: ArtifactStore) -> None:
        """From now on put all that is compiled, and engines, into a store for `use_built`."""
        self._built, self._writes = None, store

    async def languages(self) -> tuple[Language, ...]:
        """Return every language and the state of its compiler."""
        return tuple(
            [
                Language(name, tuple(compiler.suffixes), await self._probe(compiler))
                for name, compiler in self._compilers.items()
            ]
        )

    def stored(self, digest: str) -> Artifact | None:
        """Return a module that was compiled or accepted before by its digest ("sha256:…"), None when it is gone."""
        self._require_started()
        return self.artifacts.get(digest)

    async def engine(self, digest: str) -> bytes:
        """Return the engine that a script names; raises LoadError when no compiler here has it."""
        built = None if self._built is None else await asyncio.to_thread(self._built.get, digest)
        if built is not None:
            return built.wasm
        for compiler in self._compilers.values():
            if isinstance(compiler, Engines):
                found = await asyncio.to_thread(compiler.engine, digest)
                if found is not None:
                    if self._writes is not None:
                        await asyncio.to_thread(self._writes.put, Artifact(found, digest, BINARY))
                    return found
        raise LoadError(
            f"the script needs the engine {digest}, which is not here: compile its source again, or type"
            " echelon toolchain install javascript"
        )

    def language_for(self, path: str | Path) -> str:
        """Return the language of a file by its suffix ("wasm" for a module); raises ConfigError."""
        name, suffix = Path(path).name, Path(path).suffix
        if suffix == ".wasm":
            return BINARY
        for compiler in self._compilers.values():
            if suffix in compiler.suffixes or (
                isinstance(compiler, OfProjects) and name in compiler.projects
            ):
                return compiler.name
        known = ", ".join(sorted(s for compiler in self._compilers.values() for s in compiler.suffixes))
        raise ConfigError(
            f"{path}: its language is not known; name one, or use one of {known}", key="language"
        )

    async def compile(
        self,
        source: Source,
        language: str | None = None,
        optimize: Optimize = "none",
        name: str | None = None,
        client: str = "",
        *,
        names: bool | None = None,
        debug: bool = False,
        options: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Artifact:
        """Return the module made from a source: text, a file, or several files, the first being the entry.

        Bytes may be text or a module; a module is only checked and stored. `name` is the file name that
        diagnostics and the guest's own error messages give. Clients take turns when many compiles wait.
        `names` keeps what errors show, functions and lines; None means unless optimised for size. `debug` keeps what
        a debugger reads. `options` are those of the language. Who does not `wait` gets what is compiled quickly while
        the optimised module is made, which the same call brings later. Raises CompileError for the source,
        ToolchainMissing, Busy, and ConfigError for the other arguments.
        """
        began = time.perf_counter()
        self._require_started()
        if optimize not in OPTIMIZE:
            raise ConfigError(
                f'optimize: "{optimize}" is not known; use {", ".join(OPTIMIZE)}', key="optimize"
            )
        language = language or self._language_of(source, name)
        asked = None if language == BINARY else self._compiler(language)
        wanted, chosen = (None, {}) if asked is None else self._chosen(asked, options)
        project = None
        if isinstance(source, Path):
            if isinstance(wanted, OfProjects) and source.name in wanted.projects:
                name, project = source.name, await asyncio.to_thread(projects.read, source.parent)
            name = name or sources.plain(source.name)
            source = await asyncio.to_thread(self._read, source, wanted)
        if (
            asked is None
            or wanted is None
            or (isinstance(source, bytes) and source[:4] == sources.WASM_MAGIC)
        ):
            if options or debug or names is not None:
                raise ConfigError("options: a module is kept as it is, so it takes none", key="options")
            return await self._accept(source, began)
        files = sources.gather(source, () if project else asked.suffixes, name, self.max_source)
        compiler = wanted
        names = optimize != "size" if names is None else names
        job = Job(files.texts, files.entry, optimize, self.max_output, names, debug, chosen, project)
        origin = project.digest if project else files.digest()
        lasting = key_of(compiler, None, job, origin)
        found = None if self._built is None else self._built.find(lasting)
        if found is not None:
            self.telemetry.count(COMPILES, language=language, result="cached")
            return replace(found, compile_ms=_since(began))
        probe = await self._require(compiler)
        optimizer = await self._optimizer_of(compiler, job)
        work = Work(compiler, probe, job, files.named, origin, client, optimizer)
        if not (wait or self._writes) and optimizer and self.artifacts.find(work.key) is None:
            found = await self._make(work.quick())
            if isinstance(compiler, Optimizing) or applies(found.wasm, job):
                self._optimize_behind(work)
                return replace(found, optimizing=True, compile_ms=_since(began))
            await asyncio.to_thread(self.artifacts.put, found, work.key)
            return replace(found, compile_ms=_since(began))
        artifact = await self._make(work)
        self._write(artifact, lasting)
        return replace(artifact, compile_ms=_since(began))

    async def start(self) -> None:
        """Open the store and get the compilers ready in the background; starting twice is a no-op."""
        if self._started:
            return
        await asyncio.to_thread(self.artifacts.open)
        self._started = True
        for compiler in self._compilers.values():
            task = asyncio.create_task(self._warm(compiler), name=f"echelon-warm-{compiler.name}")
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def close(self) -> None:
        """End the compilers; compiles in flight fail. Closing twice is a no-op."""
        self._started = False
        tasks = [
            *self._warming,
            *self._optimized.values(),
            *(flight.task for flight in self._running.values()),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for compiler in self._compilers.values():
            await compiler.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _require_started(self) -> None:
        if not self._started:
            raise EchelonError("the generator is not running: use `async with Generator()` or await start()")

    def _read(self, path: Path, compiler: Compiler | None) -> bytes | dict[str, str]:
        """Read a source file, with the files it imports where its compiler tells them; None means a module."""
        content = sources.read(path, self.max_output if compiler is None else self.max_source)
        if isinstance(compiler, Importing) and content[:4] != sources.WASM_MAGIC:
            texts = sources.with_imports(path, content, compiler, self.max_source)
            return texts if len(texts) > 1 else content
        return content

    def _language_of(self, source: Source, name: str | None) -> str:
        if isinstance(source, Path):
            return self.language_for(source)
        if isinstance(source, bytes) and source[:4] == sources.WASM_MAGIC:
            return BINARY
        if not isinstance(source, str | bytes) and source:
            return self.language_for(next(iter(source)))
        if name is not None and Path(name).suffix:
            return self.language_for(name)
        raise ConfigError(f"language: say which; known are {', '.join(self._compilers)}", key="language")

    def _compiler(self, language: str) -> Compiler:
        compiler = self._compilers.get(language)
        if compiler is None:
            known = ", ".join(self._compilers)
            raise ConfigError(f'language: "{language}" is not known; known are {known}', key="language")
        return compiler

    def _chosen(self, asked: Compiler, options: Mapping[str, str] | None) -> tuple[Compiler, dict[str, str]]:
        """Return the compiler that the options mean, and those that it gets; raises ConfigError."""
        given = of_language.check(asked, options)
        delegates = asked.delegates if isinstance(asked, Delegating) else {}
        for name, value in given.items():
            language = delegates.get(f"{name}={value}")
            if language is not None:
                other = self._compiler(language)
                rest = {key: text for key, text in given.items() if key != name}
                return other, of_language.check(other, rest)
        return asked, given

    async def _probe(self, compiler: Compiler) -> Probe:
        """Look for a compiler; what was found stays found, what was missing is looked for again."""
        probe = self._probes.get(compiler.name)
        if probe is None:
            probe = await asyncio.to_thread(compiler.probe)
            if probe.found:
                self._probes[compiler.name] = probe
        return probe

    async def _require(self, compiler: Compiler) -> Probe:
        probe = await self._probe(compiler)
        if not probe.found:
            why = probe.detail or "its compiler is not installed"
            message = f"{compiler.name}: {why}; type: {probe.install}"
            raise ToolchainMissing(message, install=probe.install)
        return probe

    async def _warm(self, compiler: Compiler) -> None:
        """Get one compiler ready; whatever fails here is reported by the first compile that needs it."""
        with suppress(EchelonError):
            if (await self._probe(compiler)).found:
                await compiler.warm()

    async def _accept(self, source: Source, began: float) -> Artifact:
        """Check and store a module that was compiled elsewhere."""
        if not isinstance(source, bytes):
            raise ConfigError("source: a module is given as bytes or as a path", key="source")
        if len(source) > self.max_output:
            raise CompileError(f"the module has {len(source)} bytes, at most {self.max_output} are accepted")
        digest = digest_of(source)
        found = self.artifacts.get(digest)
        if found is None:
            found = Artifact(source, digest, BINARY, signature=_signature(source))
            await asyncio.to_thread(self.artifacts.put, found)
        return replace(found, compile_ms=_since(began))

    def _write(self, artifact: Artifact, key: str) -> None:
        if self._writes is not None:
            self._writes.put(artifact, key)

    async def _optimizer_of(self, compiler: Compiler, job: Job) -> str:
        """Return what optimises the compiler's modules, "" when nothing does or nothing is asked for."""
        if job.optimize == "none":
            return ""
        if isinstance(compiler, Optimizing):
            return f"binaryen {compiler.binaryen}"
        return await asyncio.to_thread(self._optimizer.version)

    async def _make(self, work: Work) -> Artifact:
        """Return what was made of it before, or make it."""
        found = self.artifacts.find(work.key)
        if found is not None:
            self.telemetry.count(COMPILES, language=work.compiler.name, result="cached")
            return found
        artifact, first = await self._once(work)
        return replace(artifact, cached=not first)

    def _optimize_behind(self, work: Work) -> None:
        """Make the optimised module when its turn comes. What fails here is tried again by who asks next."""

        async def make() -> None:
            with suppress(EchelonError):
                async with self._behind.take(work.client):
                    await self._make(work)

        key = work.key
        if key not in self._optimized:
            task = self._optimized[key] = asyncio.create_task(make(), name="echelon-optimize")
            task.add_done_callback(lambda _task: self._optimized.pop(key, None))

    async def _once(self, work: Work) -> tuple[Artifact, bool]:
        """Run a compile, or wait for the one that runs; it is cancelled when nobody waits for it any more."""
        flight = self._running.get(work.key)
        first = flight is None
        if flight is None:
            flight = self._running[work.key] = _Flight(asyncio.create_task(self._run(work)))
            flight.task.add_done_callback(lambda _task: self._running.pop(work.key, None))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), first
        except asyncio.CancelledError:
            if not self._started and flight.task.cancelled():
                raise EchelonError("the generator was closed during the compile") from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._running.pop(work.key, None)
                flight.task.cancel()

    async def _run(self, work: Work) -> Artifact:
        language, began, result, key = work.compiler.name, time.perf_counter(), "failed", work.key
        try:
            with self.telemetry.span(
                GENERATOR_COMPILE, language=language, optimize=work.job.optimize
            ) as span:
                async with self._turns[language].take(work.client):
                    compiled = await _compile(work.compiler, work.job)
                    if work.optimizer and not isinstance(work.compiler, Optimizing):
                        before = compiled
                        compiled = await self._optimizer.optimize(compiled, work.job)
                        work = work if compiled.wasm is not before.wasm else replace(work, optimizer="")
                artifact = product.artifact(compiled, work)
                span.set(bytes=len(artifact.wasm))
                await asyncio.to_thread(self.artifacts.put, artifact, key)
                result = "compiled"
                return artifact
        finally:
            self.telemetry.count(COMPILES, language=language, result=result)
            self.telemetry.observe(COMPILE_SECONDS, time.perf_counter() - began, language=language)


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Artifact]
    waiting: int = 0


async def _compile(compiler: Compiler, job: Job) -> Compiled:
    try:
        return await compiler.compile(job)
    except EchelonError:
        raise
    except Exception as exc:  # a stranger's compiler: whatever it raises becomes one sentence
        raise EchelonError(f"the compiler for {compiler.name} failed: {type(exc).__name__}: {exc}") from exc


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _signature(wasm: bytes) -> signatures.Signature | None:
    """Return the signature that a module brings; raises InvalidModule."""
    try:
        return declarations.read(wasm, binary.parse(wasm))
    except ValueError as exc:
        raise InvalidModule(str(exc)) from exc
