"""What `echelon build` writes: a folder that is there whole or not at all.

<folder>/artifacts/      compiled modules and engines, found by their sources (see artifacts.py)
<folder>/views/          the pages (see view/ahead.py)
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from echelon.errors import ConfigError

ARTIFACTS: Final = "artifacts"
VIEWS: Final = "views"


@dataclass(frozen=True, slots=True)
class Built:
    """What was written ahead: where, and how many pages and declared modules are in it."""

    folder: Path
    pages: int
    modules: int


def trusted(folder: Path) -> bool:
    """Tell whether something was written there; raises ConfigError when others could have written it."""
    for path in (folder, folder / ARTIFACTS, folder / VIEWS):
        try:
            found = path.stat()
        except FileNotFoundError:
            if path == folder:
                return False
            continue
        except OSError as exc:
            raise ConfigError(f"build: {path} cannot be read: {exc.strerror}", key="build") from exc
        if os.name == "posix" and (
            found.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(found.st_mode) & 0o022
        ):
            raise ConfigError(
                f"build: others may write to {path}, so nothing in it can be trusted; let it belong to root, or to who"
                f" serves the application, and type: chmod 755 {path}",
                key="build",
            )
    return True


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` in the end, unless an exception passes.

    Raises ConfigError where that cannot be, and for a folder that holds anything else.
    """
    foreign = sorted({item.name for item in folder.iterdir()} - {ARTIFACTS, VIEWS}) if folder.is_dir() else []
    if foreign or (folder.exists() and not folder.is_dir()):
        what = f"holds {foreign[0]}, which `echelon build` did not write" if foreign else "is no folder"
        raise ConfigError(f"build: {folder} {what}; name another one", key="build")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as exc:
        raise ConfigError(f"build: cannot write to {folder.parent}: {exc.strerror}", key="build") from exc
    try:
        new = work / "new"
        new.mkdir()
        yield new
        _share(new)
        if folder.exists():
            os.replace(folder, work / "old")
        os.replace(new, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _share(folder: Path) -> None:
    """Let everybody read it whom new folders of this process can be read by, and nobody else write to it."""
    mode = folder.stat().st_mode & 0o755
    for place, _, files in os.walk(folder):
        os.chmod(place, mode)
        for name in files:
            os.chmod(Path(place, name), mode & 0o644)
