"""The compilers that [compilers.NAME] in `echelon.toml` describes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from echelon.config.compilers import TABLE, CompilerConfig
from echelon.plugin.compiler import Job
from echelon.plugin.compilers import command
from echelon.plugin.compilers.command import CommandCompiler, Missing, Program, Tool

_VERSION_SECONDS: Final = 20.0
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+\S*")


def make(tables: Mapping[str, CompilerConfig]) -> list[CommandCompiler]:
    """Return the compilers that tables describe."""
    return [CommandCompiler(_program(name, table)) for name, table in tables.items()]


def _program(name: str, table: CompilerConfig) -> Program:
    pattern = re.compile(table.diagnostics, re.MULTILINE) if table.diagnostics else command.GNU
    return Program(
        name=name,
        suffixes=tuple(table.suffixes),
        find=_finder(name, table),
        commands=_commands(table),
        diagnose=lambda text, job: command.read_messages(pattern, text, job),
        seconds=table.seconds,
        memory=table.memory_mib << 20,
        processes=table.processes,
        options=table.options,
    )


def _commands(table: CompilerConfig) -> command.Commands:
    def make(tool: Tool, job: Job, folder: Path) -> list[list[str]]:
        values = {
            "entry": str(folder / command.SOURCES / job.entry),
            "output": str(folder / command.MODULE),
            "folder": str(folder),
            **{name: job.options.get(name, accepted[0]) for name, accepted in table.options.items()},
        }
        return [[str(tool.program), *(_filled(argument, values) for argument in table.command[1:])]]

    return make


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace(f"{{{name}}}", value)
    return argument


def _finder(name: str, found: CompilerConfig) -> Callable[[], Tool | Missing]:
    def find() -> Tool | Missing:
        path = shutil.which(found.command[0])
        install = found.install or f"see {TABLE}.{name} in echelon.toml"
        if path is None:
            return Missing(f"{found.command[0]} is not on the PATH", install)
        program = Path(path).resolve()
        version = _version(found.version)
        if version is None:
            return Missing(f"{found.version[0]} does not tell its version", install)
        folders = [program.parent, *(Path(folder).expanduser() for folder in found.read)]
        return Tool(
            program, version, folders, found.environment, revision=repr(found.command), detail=str(program)
        )

    return find


def _version(arguments: Sequence[str]) -> str | None:
    """Ask a compiler for its version; without a way to ask it is "unknown"."""
    if not arguments:
        return "unknown"
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout + done.stderr)
    return match[0] if match else (done.stdout.strip().splitlines() or ["unknown"])[0][:80]
