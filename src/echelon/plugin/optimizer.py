"""Binaryen's wasm-opt over a compiled module, in confinement: smaller, and where its compiler left something, faster.

The one that `echelon toolchain install binaryen` brings is used, or a current one on the PATH. What it cannot do
is no error: the module stays as its compiler made it, and a warning says why.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from echelon.errors import Diagnostic, InvalidModule
from echelon.plugin import inlining, source_map, toolchain
from echelon.plugin.compiler import Compiled, Job
from echelon.plugin.compilers import command
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement, Isolation, SandboxError
from echelon.runtime import binary, lines, stripping
from echelon.runtime.script import read_header

OLDEST: Final = 120
"""The first version on the PATH that is taken; older ones do not know what compilers write today."""

SECONDS: Final = 60.0
MEMORY: Final = 4 << 30
LARGEST_FOR_SPEED: Final = 1 << 20
"""Bytes of a module that is still optimised for speed: larger ones take longer than a minute and gain nothing."""

_STEPS: Final = 5_000_000
"""Instructions of line tables that are run for one module."""

_LEVELS: Final[Mapping[str, str]] = {"speed": "-O3", "size": "-Oz"}
_FEATURES: Final = (
    "--mvp-features", "--enable-mutable-globals", "--enable-sign-ext", "--enable-nontrapping-float-to-int",
    "--enable-bulk-memory", "--enable-bulk-memory-opt", "--enable-reference-types", "--enable-multivalue",
    "--enable-simd", "--enable-tail-call", "--enable-extended-const",
)  # fmt: skip
"""What the runtime's engine knows; wasm-opt may use of it what it likes."""

_VERSION: Final = re.compile(r"version (\d+)")
_SYSTEM: Final = (Path("/"), Path("/usr"))


@dataclass(frozen=True, slots=True)
class Tool:
    """A wasm-opt: what starts it, what it reads, its environment."""

    version: str
    argv: Sequence[str]
    read: Sequence[Path]
    env: Mapping[str, str]


class Optimizer:
    """Runs wasm-opt; how many run at once is for its caller to say. `home` is Echelon's own directory."""

    def __init__(self, home: Path | None = None, *, isolation: Isolation = "required") -> None:
        self._home = home
        self._isolation = isolation
        self._tool: Tool | None = None

    def version(self) -> str:
        """Return what it is known by, "" when none is here. May block; what was found stays found."""
        if self._tool is None:
            self._tool = find(self._home)
        return "" if self._tool is None else self._tool.version

    async def optimize(self, compiled: Compiled, job: Job) -> Compiled:
        """Return what a compiler made for a job, optimised as the job asks; as it is, where that cannot be."""
        wasm, tool = compiled.wasm, self._tool
        if wasm is None or tool is None or not applies(wasm, job):
            return compiled
        with tempfile.TemporaryDirectory(prefix="echelon-optimize-", dir=command.BASE) as folder:
            try:
                return await self._run(tool, compiled, wasm, job, Path(folder))
            except (SandboxError, InvalidModule, ValueError) as exc:
                return _left(compiled, str(exc))

    async def _run(self, tool: Tool, compiled: Compiled, wasm: bytes, job: Job, folder: Path) -> Compiled:
        source, target = folder / "in.wasm", folder / command.MODULE
        argv = [*tool.argv, str(source), "-o", str(target), *_FEATURES, "--quiet"]
        places = None
        if job.names:
            argv.append("--debuginfo")
            places = compiled.lines or await asyncio.to_thread(lines.listed, wasm, _STEPS)
            argv += inlining.NOTHING if compiled.lines is None else inlining.flags(wasm, compiled.lines)
        wasm = stripping.without(wasm, lambda name: _consumed(name, job), in_place=places is not None)
        if places is not None:
            (folder / "in.map").write_bytes(source_map.write(places))
            argv += ["--input-source-map", str(folder / "in.map")]
            argv += ["--output-source-map", str(folder / "out.map")]
        argv.append(_LEVELS[job.optimize])
        await asyncio.to_thread(source.write_bytes, wasm)
        done = await process.run(argv, self._confinement(tool, folder), tool.env)
        if done.stopped or done.status:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return _left(compiled, done.stopped or (said[-1][:300] if said else f"status {done.status}"))
        found = await asyncio.to_thread(command.read_module, target, job.max_output)
        if found is None:
            return _left(compiled, "it wrote no module")
        if places is not None:
            written = await asyncio.to_thread(command.read_module, folder / "out.map", lines.MAX_BYTES)
            if written is None:
                return _left(compiled, "it wrote no source map")
            found = stripping.without(found, "sourceMappingURL".__eq__)
            places = source_map.read(written)
            if compiled.lines is not None:
                places = inlining.filled(found, places)
        return replace(compiled, wasm=found, lines=places)

    def _confinement(self, tool: Tool, folder: Path) -> Confinement:
        return Confinement(
            folder,
            read=[*tool.read, *process.LIBRARIES],
            seconds=SECONDS,
            memory=MEMORY,
            isolation=self._isolation,
        )


def applies(wasm: bytes, job: Job) -> bool:
    """Tell whether a module is one that wasm-opt is asked about: a core module, not too large for its purpose.

    What debuggers read it would not keep right, so a module with that stays as its compiler made it.
    """
    if job.debug or job.optimize not in _LEVELS or wasm[:8] != binary.MAGIC or read_header(wasm) is not None:
        return False
    return job.optimize == "size" or len(wasm) <= LARGEST_FOR_SPEED


def _consumed(name: str, job: Job) -> bool:
    """Tell whether a section does not go along: lines do as a source map, and wasm-opt does not keep DWARF right."""
    return (
        name == lines.SECTION
        or stripping.unwanted(name, names=job.names, debug=False)
        or name in stripping.PLACES
    )


def _left(compiled: Compiled, why: str) -> Compiled:
    warning = Diagnostic(0, 0, "warning", f"not optimised by wasm-opt: {why}")
    return replace(compiled, diagnostics=(*compiled.diagnostics, warning))


def find(home: Path | None) -> Tool | None:
    """Return the wasm-opt to use: what the toolchain brought, or a current one on the PATH. May start a process."""
    return _installed(home) or _on_path()


def _installed(home: Path | None) -> Tool | None:
    """Return the one in Echelon's own directory, when a JavaScript runtime for it is here."""
    recipe = toolchain.BINARYEN
    runtime = toolchain.find_javascript() if recipe.installed(home) else None
    if runtime is None:
        return None
    folder = recipe.directory(home).resolve()
    program = str(runtime.path)
    if runtime.kind == "deno":
        flags = ("--quiet", "--no-prompt", "--no-remote", "--no-config", "--no-lock", "--cached-only")
        start = [program, "run", *flags, "--allow-env", f"--allow-read=.,{folder}", "--allow-write=."]
    else:
        start = [program, "--no-warnings"]
    env = {"DENO_DIR": ".", "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", "OPENSSL_CONF": "/dev/null"}
    return Tool(
        f"binaryen {recipe.version}", [*start, str(folder / recipe.marker)], [runtime.path, folder], env
    )


def _on_path() -> Tool | None:
    """Return the system's own, when it is not too old. Starts a process."""
    found = shutil.which("wasm-opt")
    if found is None:
        return None
    path = Path(found).resolve()
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(said.stdout)
    if match is None or int(match[1]) < OLDEST:
        return None
    root = path.parent.parent
    libraries = [] if root in _SYSTEM else [root / "lib"]
    return Tool(f"binaryen {match[1]}", [str(path)], [path, *libraries], {})
