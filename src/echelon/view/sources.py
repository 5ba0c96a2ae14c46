"""The files that pages are made of: those named, and what they import by relative paths.

Only these reach the bundler. Packages come from the toolchain, or from `node_modules` beside the pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from echelon.errors import ConfigError

CODE: Final = (".tsx", ".ts", ".jsx", ".js", ".mjs")
TEXT: Final = (*CODE, ".css", ".json")
ASSETS: Final = (".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".woff", ".woff2", ".ttf")
"""Files that are served as they are; importing one gives its address."""
ISLANDS: Final = "islands"
MAX_FILES: Final = 4000
MAX_BYTES: Final = 64 << 20
_IMPORT: Final = re.compile(
    r"""(?:\bfrom|\bimport|\burl)\s*\(?\s*(?:"(\.[^"\n]+)"|'(\.[^'\n]+)'|(\.[^"'()\s]+)(?=\)))"""
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Files by their path below `base`, the folder that holds them all."""

    base: Path
    files: dict[str, bytes] = field(repr=False)
    stamps: dict[Path, tuple[int, int]] = field(repr=False)
    """Time and size of each file, and of each that was looked for, by which a change is seen."""

    def name(self, path: Path) -> str:
        """Return how a file is called here."""
        return path.relative_to(self.base).as_posix()

    @property
    def islands(self) -> list[str]:
        """The files whose default export goes on in the browser."""
        return sorted(name for name in self.files if is_island(name))

    def changed(self) -> bool:
        """Tell whether any of them is not what it was."""
        return any(stamp_of(path) != stamp for path, stamp in self.stamps.items())


def is_island(name: str) -> bool:
    """Tell whether a file lies below a folder `islands`."""
    parts = name.split("/")
    return ISLANDS in parts[:-1] and name.endswith(CODE)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return when a file was changed last and its size; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def collect(entries: Iterable[Path]) -> Sources:
    """Read files and all that they import; raises ConfigError for one that is not there, or far too many."""
    contents: dict[Path, bytes] = {}
    stamps: dict[Path, tuple[int, int]] = {}
    waiting = [Path(os.path.abspath(entry)) for entry in entries]
    total = 0
    while waiting:
        path = waiting.pop()
        if path in contents:
            continue
        stamps[path] = stamp_of(path)
        try:
            contents[path] = path.read_bytes()
        except OSError as exc:
            raise ConfigError(f"{path}: a page cannot be read: {exc.strerror}") from exc
        total += len(contents[path])
        if len(contents) > MAX_FILES or total > MAX_BYTES:
            raise ConfigError(
                f"{path}: pages import more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB"
                " by relative paths; put what is large into a package"
            )
        if path.suffix in TEXT and path.suffix != ".json":
            waiting += _imports(path, contents[path], stamps)
    base = Path(os.path.commonpath([path.parent for path in contents])) if contents else Path.cwd()
    return Sources(base, {path.relative_to(base).as_posix(): text for path, text in contents.items()}, stamps)


def _imports(path: Path, content: bytes, stamps: dict[Path, tuple[int, int]]) -> Iterator[Path]:
    for found in _IMPORT.finditer(content.decode("utf-8", "replace")):
        name = next(group for group in found.groups() if group)
        target = Path(os.path.normpath(path.parent / name.partition("?")[0]))
        for candidate in _candidates(target):
            if candidate.is_file():
                if candidate.suffix in (*TEXT, *ASSETS):
                    yield candidate
                break
            stamps[candidate] = stamp_of(candidate)


def _candidates(target: Path) -> Iterator[Path]:
    """Yield the files that an import may mean, in the order in which they are tried."""
    yield target
    if target.suffix in (".js", ".jsx"):  # what TypeScript calls its own files after
        yield target.with_suffix(".ts" if target.suffix == ".js" else ".tsx")
        yield target.with_suffix(".tsx")
    for suffix in (*CODE, ".json", ".css"):
        yield target.with_name(target.name + suffix)
    for suffix in CODE:
        yield target / f"index{suffix}"
