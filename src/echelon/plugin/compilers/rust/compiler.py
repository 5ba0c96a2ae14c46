"""Rust by the rustc of this machine: one command a module, with the guest kit compiled once and kept.

No script of a build and no macro that is a program runs: a source is its files and the kit, nothing else. A crate on
this machine is compiled by cargo (see crates.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from echelon.errors import Diagnostic, EchelonError
from echelon.plugin.compiler import Compiled, Job
from echelon.plugin.compilers.command import BASE, MODULE, SOURCES, CommandCompiler, Missing, Program, Tool
from echelon.plugin.compilers.rust import crates, messages, toolchains
from echelon.plugin.compilers.rust.toolchains import Rust as Found
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Isolation
from echelon.plugin.toolchain import places, zig
from echelon.runtime import binary

KIT: Final = Path(__file__).parent / "kit"
REVISION: Final = "1"
"""Changes when the same source would become another module."""

SECONDS: Final = 60.0
STACK: Final = 256 << 10
OPTIONS: Final = {"edition": ("2021", "2018"), crates.PROGRAMS: ("off", "on")}
PROCESSES: Final = 32
"""rustc has threads, which count, and starts the linker."""

LEVELS: Final = {
    "none": ("-Copt-level=1", "-Coverflow-checks=on"),
    "speed": ("-Copt-level=3",),
    "size": ("-Copt-level=s", "-Clto=fat"),
}
_CONSTRUCTORS: Final = "__wasm_call_ctors"
"""The guest has none, but those of the C library read the whole environment, which is seldom granted."""

_LIBRARY: Final = "libechelon.rlib"
_MODULES: Final = re.compile(
    r'^[ \t]*(?:#\[path[ \t]*=[ \t]*"(?P<path>[^"\n]+)"\]\s*)?'
    r"(?:pub(?:\([^)\n]*\))?[ \t]+)?mod[ \t]+(?P<name>\w+)[ \t]*;",
    re.MULTILINE,
)
_INCLUDED: Final = re.compile(r'include(?:_str|_bytes)?!\([ \t]*"([^"\n]+)"')


class Rust(CommandCompiler):
    """Compiles strangers' sources, and crates of this machine.

    The kit is compiled ahead of the first, into Echelon's own directory.
    """

    projects = (crates.MANIFEST,)

    def __init__(self, home: Path | None = None, *, isolation: Isolation = "required") -> None:
        self._home = home
        self._found: Found | None = None
        self._kit: Path | None = None
        self._building = asyncio.Lock()
        program = Program(
            "rust",
            (".rs",),
            self._find,
            self._commands,
            messages.diagnose,
            seconds=SECONDS,
            processes=PROCESSES,
            options=OPTIONS,
        )
        super().__init__(program, isolation=isolation)

    def imports(self, path: str, text: str) -> Iterable[str]:
        """Return where the modules and included files that a source names may be."""
        return _imports(PurePosixPath(path), text)

    async def warm(self) -> None:
        await self._require_kit()

    async def compile(self, job: Job) -> Compiled:
        await self._require_kit()
        if job.entry.endswith(crates.MANIFEST):
            return await asyncio.to_thread(_checked, await self._compile_crate(job))
        return await asyncio.to_thread(_checked, await super().compile(job))

    async def _compile_crate(self, job: Job) -> Compiled:
        project, found, tool = job.project, self._found, self._tool
        if project is None or found is None or tool is None or self._kit is None:
            problem = "a crate is compiled from a path on this machine, not from a text; send its sources as .rs files"
            return Compiled(None, (Diagnostic(0, 0, "error", problem, job.entry),))
        with tempfile.TemporaryDirectory(prefix="echelon-crate-", dir=BASE) as work:
            folder = Path(work)
            await asyncio.to_thread(project.copy, folder / SOURCES)
            confinement = replace(
                self._confinement(tool, folder, crates.SECONDS), disk=crates.DISK, processes=crates.PROCESSES
            )
            flags = self._code_flags()
            cargo = crates.Cargo(found, flags, self._kit / _LIBRARY, confinement, tool.env)
            return await cargo.compile(job, project)

    def _find(self) -> Tool | Missing:
        found = toolchains.find(zig=_zig(self._home))
        if isinstance(found, str):
            return Missing(found, toolchains.install())
        self._found = found
        names = (REVISION, found.target, found.linker_version, places.tree_digest(KIT))
        environment = {**found.environment, "TMPDIR": "."}  # relative to the private folder
        read = (
            found.sysroot / "lib",
            found.linker.parent,
            found.program.parent,
            KIT,
            *toolchains.shell(found),
        )
        detail = f"{found.program}, {found.target}, {found.linker.name}"
        return Tool(found.program, found.version, read, environment, " ".join(names), detail)

    def _commands(self, tool: Tool, job: Job, folder: Path) -> Iterator[Sequence[str]]:
        source = folder / SOURCES
        kit = self._kit / _LIBRARY if self._kit is not None else Path(_LIBRARY)
        yield [
            *self._rustc(tool, job.options.get("edition", OPTIONS["edition"][0])),
            "--crate-type=cdylib",
            "--crate-name=guest",
            f"--extern=echelon={kit}",
            f"--remap-path-prefix={source}/=",
            *LEVELS[job.optimize],
            f"-Cstrip={'debuginfo' if job.names else 'symbols'}",
            str(source / job.entry),
            "-o",
            str(folder / MODULE),
        ]

    def _rustc(self, tool: Tool, edition: str) -> list[str]:
        """Return what the kit and every guest are compiled with."""
        found = self._found
        if found is None:
            raise EchelonError("rust: the compiler was not looked for")
        return [
            str(tool.program),
            f"--edition={edition}",
            f"--target={found.target}",
            "--error-format=json",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            *self._code_flags(),
        ]

    def _code_flags(self) -> list[str]:
        """Return how everything is linked, and named where it does not lie in the guest."""
        return [
            f"--remap-path-prefix={KIT}/=echelon/",
            *(self._found.flags if self._found is not None else ()),
            "-Clink-arg=--stack-first",
            f"-Clink-arg=-zstack-size={STACK}",
            f"-Clink-arg=--export={_CONSTRUCTORS}",
        ]

    async def _require_kit(self) -> None:
        """Compile the kit, unless this compiler has compiled it before, here or in another process."""
        tool = self._tool if self._tool is not None else await asyncio.to_thread(self._require)
        if self._kit is not None:
            return
        async with self._building:
            if self._kit is None:
                self._kit = await self._build_kit(tool)

    async def _build_kit(self, tool: Tool) -> Path:
        name = hashlib.sha256(f"{tool.program} {tool.version} {tool.revision}".encode()).hexdigest()[:32]
        kept = (self._home or places.home()) / "kits" / "rust" / name
        if (kept / _LIBRARY).is_file():
            return kept
        try:
            await asyncio.to_thread(kept.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=kept.parent) as work:
                made = await self._compile_kit(tool, Path(work, "kit"))
                await asyncio.to_thread(_settle, made, kept)
        except OSError as exc:
            raise EchelonError(
                f"{exc.filename or kept}: the guest kit cannot be kept: {exc.strerror}"
            ) from exc
        return kept

    async def _compile_kit(self, tool: Tool, folder: Path) -> Path:
        await asyncio.to_thread(folder.mkdir)
        command = [
            *self._rustc(tool, "2021"),
            "--crate-type=rlib",
            "--crate-name=echelon",
            "-Copt-level=2",
            "--cap-lints=allow",
            str(KIT / "echelon.rs"),
            "-o",
            str(folder / _LIBRARY),
        ]
        done = await process.run(command, self._confinement(tool, folder, SECONDS), tool.env)
        if done.stopped or done.status:
            why = done.stopped or done.stderr.decode("utf-8", "replace")[-2000:]
            raise EchelonError(f"rust: the guest kit does not compile with {tool.program}: {why}")
        return folder

    def _confinement(self, tool: Tool, folder: Path, seconds: float) -> process.Confinement:
        confinement = super()._confinement(tool, folder, seconds)
        return replace(confinement, read=[*confinement.read, *([self._kit] if self._kit is not None else [])])


def _zig(home: Path | None) -> Path | None:
    """Return Zig's program, from the toolchain of C, where that is installed."""
    root = zig.C.directory(home or places.home()) / zig.PACKAGE / "zig"
    return root if root.is_file() else None


def _settle(made: Path, kept: Path) -> None:
    """Move a kit to its place; another process may have been faster."""
    try:
        os.rename(made, kept)
    except OSError:
        if not (kept / _LIBRARY).is_file():
            raise


def _imports(path: PurePosixPath, text: str) -> Iterator[str]:
    folders = [path.parent] if path.stem in ("main", "lib", "mod") else [path.parent / path.stem, path.parent]
    for match in _MODULES.finditer(text):
        name, given = match["name"], match["path"]
        for found in (
            [path.parent / given]
            if given
            else [base / part for base in folders for part in (f"{name}.rs", f"{name}/mod.rs")]
        ):
            yield from _within(found)
    for name in _INCLUDED.findall(text):
        yield from _within(path.parent / name)


def _within(path: PurePosixPath) -> Iterator[str]:
    if not path.is_absolute() and ".." not in path.parts:
        yield path.as_posix()


def _checked(compiled: Compiled) -> Compiled:
    """Refuse what the linker lets pass: functions that are nowhere."""
    if compiled.wasm is None:
        return compiled
    info = binary.parse(compiled.wasm)
    lost = [item.name for item in info.imports if item.module == "env"]
    if lost:
        problems = [Diagnostic(0, 0, "error", f"undefined symbol: {name}") for name in lost[:100]]
        return replace(compiled, wasm=None, diagnostics=(*compiled.diagnostics, *problems))
    return replace(compiled, wasm=binary.rename_exports(compiled.wasm, {_CONSTRUCTORS: None}))
