"""A project of one language as a folder: the files that are compiled, known by what they hold.

Only a path on this machine is a project. What strangers send is a handful of texts (see sources.py).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from echelon.errors import CompileError

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 << 20
LEFT_OUT: Final = frozenset({".git", "target", "node_modules"})
"""Folders, at the top, that hold no source."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Project:
    """The plain files below a folder, by relative path, and the SHA-256 of all of them."""

    folder: Path
    files: tuple[str, ...]
    digest: str

    def copy(self, to: Path) -> None:
        """Put the files below another folder; links were never among them."""
        for name in self.files:
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, target)


def read(folder: Path) -> Project:
    """Read a project; raises CompileError when it cannot be read, or is larger than a project may be."""
    root = folder.resolve()
    total = hashlib.sha256()
    files: list[str] = []
    left = MAX_BYTES
    try:
        for path in _files(root, top=True):
            name = path.relative_to(root).as_posix()
            files.append(name)
            if len(files) > MAX_FILES:
                raise CompileError(
                    f"{folder}: a project has at most {MAX_FILES} files, and this one has more"
                )
            size = path.stat().st_size
            left -= size
            if left < 0:
                raise CompileError(
                    f"{folder}: the files of a project have at most {MAX_BYTES >> 20} MiB together"
                )
            total.update(f"\n{len(name)} {size} {name}\n".encode("utf-8", "surrogateescape"))
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
    except OSError as exc:
        raise CompileError(f"{exc.filename or folder}: {exc.strerror or exc}") from exc
    return Project(root, tuple(files), total.hexdigest())


def _files(folder: Path, *, top: bool = False) -> Iterator[Path]:
    """Yield plain files in the order of their names."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if not (top and entry.name in LEFT_OUT):
                yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
