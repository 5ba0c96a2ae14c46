"""A crate with its modules and vendored dependencies, by cargo: offline, with the lock file as it is.

Scripts of builds and procedural macros are programs that run while compiling. They are refused unless the option
`programs` allows them, and run in the same confinement as the compiler then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Compiled, Job
from echelon.plugin.compilers import command
from echelon.plugin.compilers.rust import messages
from echelon.plugin.compilers.rust.toolchains import Rust
from echelon.plugin.projects import Project
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement, Finished

MANIFEST: Final = "Cargo.toml"
LOCK: Final = "Cargo.lock"
VENDOR: Final = "vendor"
INSTALL: Final = "apt-get install cargo"
SECONDS: Final = 300.0
DISK: Final = 2 << 30
OUTPUT: Final = 16 << 20
PROCESSES: Final = 64
PROGRAMS: Final = "programs"
"""The option that allows programs to run while compiling."""

_TARGET: Final = "target"
_HOME: Final = ".cargo-home"
_KINDS: Final = {
    "custom-build": "has a script that runs when it is built",
    "proc-macro": "is a procedural macro",
}
_HOST: Final = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
"""What the linker of this machine needs, for programs that run while compiling."""

_PROFILES: Final[Mapping[str, Mapping[str, str]]] = {
    "none": {"OPT_LEVEL": "1", "OVERFLOW_CHECKS": "true", "LTO": "off"},
    "speed": {"OPT_LEVEL": "3", "OVERFLOW_CHECKS": "false", "LTO": "off"},
    "size": {"OPT_LEVEL": "s", "OVERFLOW_CHECKS": "false", "LTO": "fat"},
}
_ERROR: Final = re.compile(r"^error: (?P<message>(?:.|\n)+?)(?=^warning: |^error: |\Z)", re.MULTILINE)
_PLACE: Final = re.compile(
    r"at line (?P<line>\d+),? column (?P<column>\d+)|line (?P<l>\d+), column (?P<c>\d+)"
)


class _Target(msgspec.Struct):
    kind: list[str]


class _Package(msgspec.Struct):
    name: str
    version: str
    targets: list[_Target]


class _Metadata(msgspec.Struct):
    packages: list[_Package]


class _Line(msgspec.Struct):
    reason: str
    message: dict[str, Any] = {}
    filenames: list[str] = []
    target: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Cargo:
    """How a crate is compiled: the compiler and its flags, the kit, and what may be read."""

    rust: Rust
    flags: Sequence[str]
    kit: Path
    confinement: Confinement
    env: Mapping[str, str]

    @property
    def program(self) -> Path:
        """Cargo of the same installation as the compiler: another one tells it what it does not know."""
        return self.rust.program.parent / "cargo"

    async def compile(self, job: Job, project: Project) -> Compiled:
        """Compile a crate whose files are in the working folder."""
        folder = self.confinement.folder
        source = folder / command.SOURCES
        missing = self._missing(project)
        if missing is not None:
            return Compiled(None, (missing,))
        self._write_home(folder, project)
        allowed = job.options.get(PROGRAMS) == "on"
        told = await self._run(["metadata", "--frozen", "--format-version=1", *self._platform], job, allowed)
        if told.status or told.stopped:
            return Compiled(None, tuple(_said(told, source)))
        if not allowed:
            programs = tuple(_programs(told.stdout))
            if programs:
                return Compiled(None, programs)
        arguments = [
            "rustc",
            "--frozen",
            "--release",
            "--lib",
            "--crate-type=cdylib",
            "--message-format=json",
        ]
        built = await self._run(
            [*arguments, f"--target={self.rust.target}", "--", f"--extern=echelon={self.kit}"], job, allowed
        )
        known = replace(job, files=_texts(project))
        diagnostics, module = _read(built.stdout, known, source)
        if built.status or built.stopped:
            errors = [item for item in diagnostics if item.severity == "error"]
            return Compiled(None, (*diagnostics, *([] if errors else _said(built, source))))
        wasm = None if module is None else command.read_module(module, job.max_output)
        if wasm is None:
            problem = f"cargo made no module of at most {job.max_output} bytes"
            diagnostics.append(Diagnostic(0, 0, "error", problem))
        return Compiled(wasm, tuple(diagnostics))

    @property
    def _platform(self) -> tuple[str, ...]:
        return (f"--filter-platform={self.rust.target}",)

    def _missing(self, project: Project) -> Diagnostic | None:
        if not os.access(self.program, os.X_OK):
            message = f"a crate needs cargo beside {self.rust.program}; type: {INSTALL}"
        elif LOCK not in project.files:
            message = f"there is no {LOCK} beside it; type: cargo generate-lockfile"
        else:
            return None
        return Diagnostic(0, 0, "error", message, MANIFEST)

    def _write_home(self, folder: Path, project: Project) -> None:
        """Make cargo's own folder, where vendored dependencies take the place of the registry's."""
        home = folder / _HOME
        home.mkdir()
        (folder / _TARGET).mkdir()
        if any(name.startswith(f"{VENDOR}/") for name in project.files):
            where = msgspec.json.encode(str(folder / command.SOURCES / VENDOR)).decode()
            text = (
                f'[source.crates-io]\nreplace-with = "vendored"\n\n[source.vendored]\ndirectory = {where}\n'
            )
            (home / "config.toml").write_text(text, encoding="utf-8")

    async def _run(self, arguments: Sequence[str], job: Job, allowed: bool) -> Finished:
        folder = self.confinement.folder
        source = folder / command.SOURCES
        profile = {**_PROFILES[job.optimize], "PANIC": "abort", "CODEGEN_UNITS": "1", "DEBUG": "0"}
        profile["STRIP"] = "debuginfo" if job.names else "symbols"
        flags = [*self.flags, f"--remap-path-prefix={source}/=", f"--remap-path-prefix={folder}/="]
        env = {
            **self.env,
            "PATH": "/usr/bin:/bin" if allowed else "",
            "CARGO_HOME": str(folder / _HOME),
            "CARGO_TARGET_DIR": str(folder / _TARGET),
            "CARGO_INCREMENTAL": "0",
            "RUSTC": str(self.rust.program),
            "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
            "TMPDIR": str(folder),
            **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in profile.items()},
        }
        more = (*map(Path, _HOST), folder / _TARGET) if allowed else ()  # where programs are built, and run
        confinement = replace(
            self.confinement, read=[*self.confinement.read, self.program, *more], output=OUTPUT
        )
        manifest = f"--manifest-path={source / MANIFEST}"
        head, *tail = arguments
        return await process.run([str(self.program), head, manifest, *tail], confinement, env)


def _programs(metadata: bytes) -> Iterator[Diagnostic]:
    """Yield an error for each package that would run a program while it is compiled."""
    for package in msgspec.json.decode(metadata, type=_Metadata).packages:
        for target in package.targets:
            for kind in target.kind:
                if kind in _KINDS:
                    what = f"{package.name} {package.version} {_KINDS[kind]}"
                    advice = f"if you trust it, allow that with the option {PROGRAMS}=on"
                    yield Diagnostic(0, 0, "error", f"{what}: {advice}", MANIFEST)


def _texts(project: Project) -> dict[str, str]:
    """Return the crate's own sources, at which diagnostics point."""
    own = [name for name in project.files if name.endswith(".rs") and not name.startswith(f"{VENDOR}/")]
    return {name: (project.folder / name).read_text("utf-8", "replace") for name in own}


def _read(output: bytes, job: Job, source: Path) -> tuple[list[Diagnostic], Path | None]:
    """Return what the compiler said of the crate's own files, and where the module is."""
    said: list[str] = []
    module: Path | None = None
    for line in output.splitlines():
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            continue
        if found.reason == "compiler-message":
            said.append(msgspec.json.encode(found.message).decode().replace(f"{source}{os.sep}", ""))
        elif found.reason == "compiler-artifact" and "cdylib" in found.target.get("crate_types", ()):
            made = [Path(name) for name in found.filenames if name.endswith(".wasm")]
            module = made[0] if made else module
    return messages.diagnose("\n".join(said), job), module


def _said(done: Finished, source: Path) -> Iterable[Diagnostic]:
    """Read what cargo itself says on standard error."""
    if done.stopped:
        return [Diagnostic(0, 0, "error", f"cargo was stopped: {done.stopped}")]
    text = done.stderr.decode("utf-8", "replace").replace(f"{source}{os.sep}", "").replace(str(source), ".")
    found = []
    for match in _ERROR.finditer(text):
        message = " ".join(line.strip() for line in match["message"].splitlines() if line.strip(" |^"))
        place = _PLACE.search(message)
        line = int(place["line"] or place["l"]) if place else 0
        column = int(place["column"] or place["c"]) if place else 0
        found.append(Diagnostic(line, column, "error", message[: command.MAX_MESSAGE], MANIFEST))
    return found or [Diagnostic(0, 0, "error", f"cargo ended with status {done.status}", MANIFEST)]
