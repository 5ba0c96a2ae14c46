"""Compilers that are programs: what each one is as data, and the one runner that they share.

A `Program` says how the compiler is found, which commands it takes, and how its messages read. The runner gives
each job a private folder, runs the commands in confinement, and takes the module from where it was announced.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from echelon.errors import Diagnostic, InvalidModule, ToolchainMissing
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement, Finished, Isolation, SandboxError

MODULE: Final = "module.wasm"
"""The file in the working folder that the last command has to write."""

SOURCES: Final = "src"
"""The folder in the working folder that holds the job's files."""

BASE: Final = os.path.realpath(tempfile.gettempdir())  # messages name the real path
MAX_DIAGNOSTICS: Final = 100
MAX_MESSAGE: Final = 1000
GNU: Final = re.compile(
    r"^(?P<file>[^\n:]+):(?P<line>\d+):(?:(?P<column>\d+):)?\s*(?:(?P<severity>(?:fatal )?error|warning|note):)?"
    r"\s*(?P<message>.+)$",
    re.MULTILINE,
)
"""`file:line:column: severity: message`, the way of GNU and of most compilers since."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A compiler that was found here.

    `read` is what it has to read and execute besides the libraries of the system, `env` all of its environment.
    `revision` names what changes its output besides its version; `detail` is shown to people.
    """

    program: Path
    version: str
    read: Sequence[Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A compiler that is not here: what is lacking, and what to type."""

    detail: str
    install: str


Commands = Callable[[Tool, Job, Path], Iterable[Sequence[str]]]
Diagnose = Callable[[str, Job], Sequence[Diagnostic]]
Finish = Callable[[bytes, Tool, Job, Path], bytes]


@dataclass(frozen=True, slots=True)
class Program:
    """What a command-line compiler is. Sizes are bytes, `seconds` of wall time for all its commands together.

    `commands` returns what to run, in order, for a tool, a job and the working folder, which holds the job's files
    below `src`; the last one writes `module.wasm`. `diagnose` reads what they print. `finish` changes the module.
    Without `libraries` it reads none of the system's. `options` are those of `compiler.Configurable`.
    """

    name: str
    suffixes: tuple[str, ...]
    find: Callable[[], Tool | Missing]
    commands: Commands
    diagnose: Diagnose
    seconds: float = 30.0
    memory: int = 2 << 30
    disk: int = 256 << 20
    processes: int = 1
    libraries: bool = True
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    finish: Finish = lambda wasm, _tool, _job, _folder: wasm


class CommandCompiler(Compiler):
    """Runs a `Program`; how many run at once is for its caller to say."""

    def __init__(self, program: Program, *, isolation: Isolation = "required") -> None:
        self.program = program
        self.name = program.name
        self.suffixes = program.suffixes
        self.options = program.options
        self.isolation = isolation
        self._tool: Tool | None = None

    def probe(self) -> Probe:
        found = self.program.find()
        if isinstance(found, Missing):
            return Probe(False, install=found.install, detail=found.detail)
        self._tool = found
        return Probe(True, found.version, found.revision, detail=found.detail)

    async def compile(self, job: Job) -> Compiled:
        tool = self._tool if self._tool is not None else await asyncio.to_thread(self._require)
        with tempfile.TemporaryDirectory(prefix="echelon-compile-", dir=BASE) as folder:
            return await self._build(tool, job, Path(folder))

    def _require(self) -> Tool:
        found = self.program.find()
        if isinstance(found, Missing):
            raise ToolchainMissing(
                f"{self.name}: {found.detail}; type: {found.install}", install=found.install
            )
        self._tool = found
        return found

    async def _build(self, tool: Tool, job: Job, folder: Path) -> Compiled:
        """Run every command; the first that fails, or is stopped, ends it."""
        await asyncio.to_thread(write_sources, job, folder)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.program.seconds
        diagnostics: list[Diagnostic] = []
        for command in self.program.commands(tool, job, folder):
            confinement = self._confinement(tool, folder, max(0.1, deadline - loop.time()))
            try:
                done = await process.run(command, confinement, tool.env)
            except SandboxError as exc:
                raise ToolchainMissing(f"{self.name}: {exc}", install="echelon doctor") from exc
            diagnostics += self._said(done, job, folder)
            if done.stopped or done.status:
                return Compiled(None, _failed(done, diagnostics, self.program.seconds))
        wasm = await asyncio.to_thread(read_module, folder / MODULE, job.max_output)
        if wasm is None:
            problem = f"the compiler wrote no module, or one of more than {job.max_output} bytes"
            return Compiled(None, (*diagnostics, Diagnostic(0, 0, "error", problem)))
        try:
            wasm = await asyncio.to_thread(self.program.finish, wasm, tool, job, folder)
        except InvalidModule as exc:
            return Compiled(None, (*diagnostics, Diagnostic(0, 0, "error", str(exc))))
        return Compiled(wasm, tuple(diagnostics))

    def _confinement(self, tool: Tool, folder: Path, seconds: float) -> Confinement:
        return Confinement(
            folder,
            read=[tool.program, *tool.read, *(process.LIBRARIES if self.program.libraries else ())],
            seconds=seconds,
            memory=self.program.memory,
            disk=self.program.disk,
            processes=self.program.processes,
            isolation=self.isolation,
        )

    def _said(self, done: Finished, job: Job, folder: Path) -> list[Diagnostic]:
        """Read what a command printed, with the names of files as the job has them."""
        text = (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace")
        text = text.replace(f"{folder / SOURCES}{os.sep}", "").replace(f"{folder}{os.sep}", "")
        return list(self.program.diagnose(text, job))[:MAX_DIAGNOSTICS]


def _failed(done: Finished, said: Sequence[Diagnostic], seconds: float) -> tuple[Diagnostic, ...]:
    if done.stopped:
        why = f"it took longer than {seconds:g} s" if "took longer" in done.stopped else done.stopped
        return (*said, Diagnostic(0, 0, "error", f"the compiler was stopped: {why}"))
    if any(item.severity == "error" for item in said):
        return tuple(said)
    tail = (
        done.stderr.decode("utf-8", "replace").strip()[-MAX_MESSAGE:] or f"it ended with status {done.status}"
    )
    return (*said, Diagnostic(0, 0, "error", f"the compiler failed: {tail}"))


def write_sources(job: Job, folder: Path) -> None:
    """Put the files of a job below `src`; their names were checked when the job was made."""
    for name, text in job.files.items():
        path = folder / SOURCES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def read_module(path: Path, limit: int) -> bytes | None:
    """Return the module a compiler wrote: a plain file, no link, of at most `limit` bytes; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    return content if len(content) <= limit else None


def read_messages(pattern: re.Pattern[str], text: str, job: Job) -> list[Diagnostic]:
    """Return the diagnostics in what a compiler printed; groups `file`, `line`, `column`, `severity`, `message`.

    A note goes along with the message before it. A file that is not the job's is not named.
    """
    found: list[Diagnostic] = []
    for match in pattern.finditer(text):
        groups = match.groupdict()
        severity = (groups.get("severity") or "error").removeprefix("fatal ")
        file = groups.get("file")
        name = file if file in job.files else None
        line, column = int(groups.get("line") or 0), int(groups.get("column") or 0)
        if name is None:
            line = column = 0
        message = groups["message"].strip()[:MAX_MESSAGE]
        if severity == "note":
            continue
        found.append(Diagnostic(line, column, severity, message, name))
        if len(found) == MAX_DIAGNOSTICS:
            break
    return found
