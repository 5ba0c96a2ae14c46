"""Python scripts, run by CPython: what a source says is wrong, and what it exports, is asked of the engine itself.

Nothing of a script is translated. The engine parses it in a sandboxed instance, where hostile text can do no more than
a hostile guest; what comes back are diagnostics, or the script's code as the engine takes it later.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import (
    Busy,
    DeadlineExceeded,
    Diagnostic,
    EchelonError,
    GuestError,
    MemoryExceeded,
    ToolchainMissing,
    Trap,
)
from echelon.plugin import toolchain
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.toolchain import cpython as recipe
from echelon.runtime import cpython
from echelon.runtime.core import Runtime
from echelon.runtime.limits import MIB, Limits
from echelon.runtime.module import Module
from echelon.runtime.settings import RuntimeSettings

NAME: Final = cpython.LANGUAGE
SECONDS: Final = 10.0
"""What the check of one source may take."""

_LIMITS: Final = Limits(memory=256 * MIB, time=SECONDS, stack=MIB)
_SETTINGS: Final = RuntimeSettings(instances=2, queue=64, threads=1)
_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<place>\.*[\w.]*)[ \t]+import[ \t]+\(?(?P<items>[^#\n)]*)|import[ \t]+(?P<names>[^#\n]*))",
    re.MULTILINE,
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


class _Problem(msgspec.Struct):
    file: str
    severity: str
    line: int
    column: int
    message: str


class _Found(msgspec.Struct):
    diagnostics: list[_Problem]
    exports: dict[str, cpython.Export]


@lru_cache(1)
def _engine(path: Path) -> tuple[bytes, str]:
    """Return an engine and its digest; one is kept, and shared by all that need it."""
    content = path.read_bytes()
    return content, "sha256:" + hashlib.sha256(content).hexdigest()


class CPython(Compiler):
    """Makes scripts; what runs them is one engine that the toolchain brings. Chosen by name: `.py` is typed Python."""

    name = NAME
    suffixes = ()

    def __init__(self, home: Path | None = None, *, cache: Path | None = None) -> None:
        self._home = home
        self._settings = replace(_SETTINGS, cache=cache)
        self._starting = asyncio.Lock()
        self._runtime: Runtime | None = None
        self._module: Module | None = None

    def probe(self) -> Probe:
        found = toolchain.CPYTHON
        if not found.installed(self._home):
            return Probe(found=False, install=found.command, detail="its engine is not installed")
        folder = found.directory(self._home)
        _, digest = _engine(folder / found.marker)
        return Probe(found=True, version=recipe.PYTHON, revision=digest, detail=str(folder))

    async def compile(self, job: Job) -> Compiled:
        module, digest = await self._checker()
        try:
            content = msgspec.json.encode([job.entry, dict(job.files)])
            outcome = await module.run("check_script", content, env={})
        except Busy:
            raise
        except GuestError as exc:
            return Compiled(None, (Diagnostic(0, 0, "error", _why(exc), job.entry),))
        head, code = _split(bytes(outcome.value))
        diagnostics = tuple(
            Diagnostic(p.line, p.column, "error" if p.severity == "error" else "warning", p.message, p.file)
            for p in head.diagnostics
        )
        if any(item.severity == "error" for item in diagnostics):
            return Compiled(None, diagnostics)
        header = cpython.Header(cpython.VERSION, digest, head.exports)
        return Compiled(cpython.pack(header, code), diagnostics)

    async def _checker(self) -> tuple[Module, str]:
        """Return the engine, loaded to check sources, and its digest."""
        found = toolchain.CPYTHON
        if not found.installed(self._home):
            raise ToolchainMissing(
                f"{NAME}: its engine is not installed; type: {found.command}", install=found.command
            )
        async with self._starting:
            content, digest = await asyncio.to_thread(_engine, found.directory(self._home) / found.marker)
            if self._module is None:
                runtime = Runtime(self._settings)
                runtime.engines.add(digest)
                await runtime.start()
                self._runtime = runtime
                self._module = await runtime.load(content, name="cpython", limits=_LIMITS)
            return self._module, digest

    async def close(self) -> None:
        runtime, self._runtime, self._module = self._runtime, None, None
        if runtime is not None:
            await runtime.close()

    def engine(self, digest: str) -> bytes | None:
        found = toolchain.CPYTHON
        if not found.installed(self._home):
            return None
        content, known = _engine(found.directory(self._home) / found.marker)
        return content if known == digest else None

    def imports(self, path: str, text: str) -> Iterator[str]:
        """Yield where the modules named in import statements may be; the text is not parsed."""
        folder = path.rpartition("/")[0]
        for match in _IMPORT.finditer(text):
            if match["names"] is not None:
                for name in match["names"].split(","):
                    yield from _places("", name.split(" as ")[0].strip())
                continue
            place = match["place"].lstrip(".")
            base = _above(folder, len(match["place"]) - len(place))
            if base is None:
                continue
            yield from _places(base, place)
            for item in _WORD.findall(match["items"]):
                yield from _places(base, f"{place}.{item}" if place else item)


def _above(folder: str, dots: int) -> str | None:
    """Return the folder that a relative import begins at, None when that is outside of the job."""
    if not dots:
        return ""
    parts = [part for part in folder.split("/") if part]
    if dots - 1 > len(parts):
        return None
    return "/".join(parts[: len(parts) - dots + 1])


def _places(base: str, name: str) -> Iterator[str]:
    parts = [part for part in [*base.split("/"), *name.split(".")] if part]
    if not all(_WORD.fullmatch(part) for part in parts):
        return
    for count in range(1, len(parts)):
        yield "/".join([*parts[:count], "__init__.py"])
    if parts:
        yield "/".join(parts) + ".py"
        yield "/".join([*parts, "__init__.py"])


def _split(answer: bytes) -> tuple[_Found, bytes]:
    size = int.from_bytes(answer[:4], "little")
    try:
        return msgspec.json.decode(answer[4 : 4 + size], type=_Found), answer[4 + size :]
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise EchelonError(f"the engine of Python answered what cannot be read: {exc}") from exc


def _why(failure: GuestError) -> str:
    """Return why the engine could not check a source."""
    if isinstance(failure, DeadlineExceeded):
        return f"the source takes longer than {SECONDS:.0f} s to compile"
    if isinstance(failure, MemoryExceeded):
        return "the source takes too much memory to compile"
    if isinstance(failure, Trap):
        return "the source is nested too deeply, or too large, to be compiled"
    return str(failure)
