"""TypeScript (AssemblyScript) to WebAssembly: a pool of compiler processes, and what their answers mean."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from echelon.errors import Busy, Diagnostic, ToolchainMissing
from echelon.plugin import toolchain
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers.assemblyscript.pool import Pool
from echelon.plugin.compilers.assemblyscript.process import (
    KIT,
    WORKER,
    Answer,
    Export,
    Message,
    Settings,
    Type,
    WorkerFailed,
)
from echelon.plugin.toolchain import TYPESCRIPT, JavascriptChoice
from echelon.runtime import lines, stripping
from echelon.runtime.signature import Function, Signature, Value

SECONDS: Final = 30.0
MEMORY: Final = 1 << 30
WAITING: Final = 64
IDLE_SECONDS: Final = 30.0
"""After this long without work the process that optimises is ended."""

_LEVELS: Final = {"none": (0, 0), "speed": (3, 0), "size": (2, 2)}
_LINE: Final = 64 << 20  # bytes of an answer, the module in base64 included
_LIBRARY_CLASS: Final = re.compile(r"~lib/[a-z/]+/(?=[A-Z])")
"""What stands before a class in a message, as in '~lib/string/String'; the user wrote 'String'."""
_IMPORT: Final = re.compile(r"""\b(?:from|import)\s*["'](\.[^"'\n]*)["']""")
_TOO_DEEP: Final = "too-deep"
_SOURCE_MAP: Final = "sourceMappingURL"


class AssemblyScript(Compiler):
    """The language `typescript`.

    `workers` processes of about 250 MB each are started when first needed and stay, and one more while sources are
    optimised, which takes a second each and holds up nobody else. `waiting` more compiles may stand in line, then
    Busy. A compile that takes longer than `seconds`, or a process that grows beyond `memory` bytes, is killed and
    replaced.
    """

    name = "typescript"
    suffixes = (".ts",)
    options: Mapping[str, Sequence[str]] = {"semantics": ("assemblyscript", "javascript")}
    delegates: Mapping[str, str] = {"semantics=javascript": "javascript"}
    binaryen = "131"

    def __init__(
        self,
        javascript: JavascriptChoice = "auto",
        *,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        workers: int = 1,
        waiting: int = WAITING,
        home: Path | None = None,
    ) -> None:
        self.javascript = javascript
        self.seconds = seconds
        self.memory = memory
        self.waiting = waiting
        self._home = home
        self._in_line = 0
        self._settings: Settings | None = None
        self._pool = Pool(workers, memory)
        self._optimizing = Pool(1, memory, IDLE_SECONDS)

    def probe(self) -> Probe:
        version = TYPESCRIPT.version
        runtime = toolchain.find_javascript(self.javascript)
        if runtime is None:
            wanted = "Deno" if self.javascript == "deno" else "Deno, nor Node 20 or newer,"
            return Probe(
                False, version, install=toolchain.INSTALL_JAVASCRIPT, detail=f"no {wanted} is installed here"
            )
        if not TYPESCRIPT.installed(self._home):
            return Probe(False, version, install=TYPESCRIPT.command, detail="the compiler is not installed")
        sources = b"".join(path.read_bytes() for path in (WORKER, *KIT))
        revision = hashlib.sha256(sources).hexdigest()[:16]
        return Probe(True, version, revision, detail=f"{runtime.kind} {runtime.version}")

    async def warm(self) -> None:
        """Start one process, in the background."""
        self._pool.warm(await self._find())

    async def compile(self, job: Job) -> Compiled:
        if self._in_line >= self._pool.size + self.waiting:
            raise Busy(f"{self._in_line} TypeScript compiles are in line already; try again later")
        optimize, shrink = _LEVELS[job.optimize]
        request: dict[str, object] = {
            "files": dict(job.files),
            "entry": job.entry,
            "optimize": optimize,
            "shrink": shrink,
            "names": job.names or job.debug,
            "output": job.max_output,
        }
        with self._standing_in_line():
            try:
                settings = await self._find()
                answer = await (self._optimizing if optimize else self._pool).ask(settings, request)
            except WorkerFailed as exc:
                return Compiled(None, (_unplaced(f"the compiler was stopped: {exc}"),))
        return _compiled(answer)

    def imports(self, path: str, text: str) -> Iterator[str]:
        """Return where the relative imports of a file may be found."""
        for match in _IMPORT.finditer(text):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
            if not found.startswith(".."):
                yield f"{found}.ts"
                yield f"{found}/index.ts"

    async def close(self) -> None:
        """End every process; a compile in flight fails. Closing twice is a no-op."""
        await self._pool.close()
        await self._optimizing.close()

    @contextmanager
    def _standing_in_line(self) -> Iterator[None]:
        self._in_line += 1
        try:
            yield
        finally:
            self._in_line -= 1

    async def _find(self) -> Settings:
        """Find runtime and toolchain, once; raises ToolchainMissing."""
        if self._settings is None:
            probe, runtime = await asyncio.to_thread(
                lambda: (self.probe(), toolchain.find_javascript(self.javascript))
            )
            if not probe.found or runtime is None:
                raise ToolchainMissing(f"typescript: {probe.detail}: {probe.install}", install=probe.install)
            base = self._home or toolchain.home()
            self._settings = Settings(
                javascript=runtime,
                toolchain=TYPESCRIPT.directory(base).resolve(),
                cache=base / "toolchains" / "deno-cache",
                seconds=self.seconds,
                memory=self.memory,
                line=_LINE,
            )
        return self._settings


def _compiled(answer: Answer) -> Compiled:
    found = [_diagnostic(message) for message in answer.diagnostics]
    diagnostics = tuple(sorted(found, key=lambda item: (item.file or "", item.line, item.column)))
    if answer.failure == _TOO_DEEP:
        text = "the source nests too deeply, or makes types of types without end"
        return Compiled(None, (*diagnostics, _unplaced(text)))
    if answer.failure is not None:
        return Compiled(None, (*diagnostics, _unplaced(f"the compiler failed: {answer.failure}")))
    if answer.wasm is None:
        return Compiled(None, diagnostics)
    exports = {export.name: _function(export) for export in answer.exports}
    wasm, places = answer.wasm, None
    if answer.lines is not None:
        wasm = stripping.without(wasm, _SOURCE_MAP.__eq__)
        places = lines.encode(answer.lines.files, answer.lines.places)
    return Compiled(wasm, diagnostics, Signature("assemblyscript", "typescript", exports), places)


def _unplaced(text: str) -> Diagnostic:
    return Diagnostic(0, 0, "error", text)


def _diagnostic(message: Message) -> Diagnostic:
    text = _LIBRARY_CLASS.sub("", message.message)
    if message.related is not None and message.related.file is not None:
        text += f" (see {message.related.file}:{message.related.line}:{message.related.column})"
    return Diagnostic(message.line, message.column, message.severity, text, message.file)


def _function(export: Export) -> Function:
    def values(types: list[Type]) -> tuple[Value, ...]:
        return tuple(Value(item.type, item.name, item.wire) for item in types)

    return Function(export.name, values(export.params), values(export.results))
