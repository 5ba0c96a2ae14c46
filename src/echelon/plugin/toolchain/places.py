"""Where Echelon keeps what it fetches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return Echelon's own directory, the same for every application of this user; it may not exist yet."""
    if chosen := environ.get("ECHELON_HOME"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "echelon"


def tree_digest(directory: Path) -> str:
    """Return the SHA-256 over the paths and contents of every file below a directory."""
    total = hashlib.sha256()
    for path in sorted(directory.rglob("*"), key=lambda path: path.relative_to(directory).as_posix()):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(directory).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
