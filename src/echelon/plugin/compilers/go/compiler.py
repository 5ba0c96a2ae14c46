"""Go by its own compiler and linker, which a driver of ours calls; see toolchain/go.py for what is built of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.command import (
    MODULE,
    SOURCES,
    CommandCompiler,
    Missing,
    Program,
    Tool,
    read_messages,
)
from echelon.plugin.sandbox.process import Isolation
from echelon.plugin.toolchain import go, places

PROCESSES: Final = 64
"""Programs in Go have threads, which count; the driver starts the compiler and the linker."""

MODULE_FILE: Final = "go.mod"
_MESSAGE: Final = re.compile(
    r"^(?:(?P<file>[^\n:]+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? )?(?P<message>\S.*)$", re.MULTILINE
)
_IMPORT: Final = re.compile(r'^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([\w./-]+)"', re.MULTILINE)


class Go(CommandCompiler):
    """Compiles the package in the entry's folder, and those of its source that it imports."""

    def __init__(self, home: Path | None = None, *, isolation: Isolation = "required") -> None:
        def find() -> Tool | Missing:
            return _find(home)

        program = Program("go", (".go",), find, _commands, _diagnose, processes=PROCESSES, libraries=False)
        super().__init__(program, isolation=isolation)

    def imports(self, path: str, text: str) -> Iterable[str]:
        """Return what holds the packages of the source that a file imports; the module's folder is the entry's."""
        yield MODULE_FILE
        for name in _IMPORT.findall(text):
            first, *folders = PurePosixPath(name).parts
            if ".." in folders or not folders:
                continue
            if first == "guest":
                yield f"{'/'.join(folders)}/*.go"
            elif "." in first:  # the module's name may be any part of it
                yield from (f"{'/'.join(folders[start:])}/*.go" for start in range(len(folders)))


def _find(home: Path | None) -> Tool | Missing:
    base = home or places.home()
    if not go.GO.installed(base):
        return Missing("the compiler and its library are not here", go.GO.command)
    root = go.GO.directory(base)
    environment = {"GOMAXPROCS": "2", "GOGC": "200", "TMPDIR": "."}  # relative to the private folder
    return Tool(root / go.DRIVER, go.VERSION, (root,), environment, go.revision(), str(root))


def _commands(tool: Tool, job: Job, folder: Path) -> Iterator[Sequence[str]]:
    work = folder / "work"
    work.mkdir()
    yield [
        str(tool.program),
        *("-root", str(tool.program.parents[1])),
        *("-src", str(folder / SOURCES)),
        *("-work", str(work)),
        *("-entry", job.entry),
        *("-optimize", job.optimize),
        f"-names={'true' if job.names or job.debug else 'false'}",
        *("-o", str(folder / MODULE)),
    ]


def _diagnose(text: str, job: Job) -> list[Diagnostic]:
    return read_messages(_MESSAGE, text, job)
