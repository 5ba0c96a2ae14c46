"""Pages from a folder: where each file is found, and which layouts are around it.

`index.tsx` is the folder itself, `about.tsx` is `/about`, `[id].tsx` takes one segment, `[...rest].tsx` all others.
Folders named `islands`, and names that begin with an underscore, are no pages: `_layout.tsx` is around every page of
its folder and below, `_404.tsx` and `_error.tsx` answer what went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from echelon.errors import ConfigError
from echelon.view.sources import CODE, ISLANDS

LAYOUT, NOT_FOUND, FAILED = "_layout", "_404", "_error"
PAGES: Final = "pages"
_SEGMENT: Final = re.compile(r"\[(?P<rest>\.\.\.)?(?P<name>[a-zA-Z_]\w*)\]")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that is a page, and the path it answers."""

    path: str
    file: Path


def page_files(folder: Path) -> list[PageFile]:
    """Return every page of a folder; raises ConfigError when it is none, or a name in it cannot be a path."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder of pages")
    found = [PageFile(_path_of(file.relative_to(folder)), file) for file in sorted(_walk(folder))]
    if not found:
        raise ConfigError(f"{folder}: there is no page in it; write one such as {folder / 'index.tsx'}")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(("_", ".")):
            continue
        if path.is_dir():
            if path.name != ISLANDS:
                yield from _walk(path)
        elif path.suffix in CODE and not path.name.endswith(".d.ts"):
            yield path


def _path_of(file: Path) -> str:
    *folders, last = file.with_suffix("").parts
    parts = folders if last == "index" else [*folders, last]
    segments = []
    for number, part in enumerate(parts):
        match = _SEGMENT.fullmatch(part)
        if match is None and ("[" in part or "]" in part or "{" in part or "}" in part):
            raise ConfigError(f"{file}: {part!r} cannot be a path; write [name] or [...name]")
        if match is not None and match["rest"] and number < len(parts) - 1:
            raise ConfigError(f"{file}: {part} takes all that remains, so nothing can follow it")
        segments.append(part if match is None else f"{{{match['name']}{':path' if match['rest'] else ''}}}")
    return "/" + "/".join(segments)


def root_of(file: Path) -> Path:
    """Return the folder whose layouts a page has: the nearest named `pages`, else the page's own."""
    return next((folder for folder in file.parents if folder.name == PAGES), file.parent)


def beside(folder: Path, name: str) -> Path | None:
    """Return the file of that name in a folder, whatever its suffix."""
    return next((path for path in (folder / f"{name}{suffix}" for suffix in CODE) if path.is_file()), None)


def layouts_of(file: Path, root: Path) -> list[Path]:
    """Return the layouts around a page, the outermost first."""
    folders = [
        root,
        *(
            root.joinpath(*file.relative_to(root).parts[:end])
            for end in range(1, len(file.relative_to(root).parts))
        ),
    ]
    found = (beside(folder, LAYOUT) for folder in folders)
    return [path for path in found if path is not None]
