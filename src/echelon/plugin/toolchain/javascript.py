"""A JavaScript runtime to run compilers with: Deno, or a Node that can withhold things."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from echelon.errors import ConfigError

JavascriptChoice = Literal["auto", "deno", "node"]

INSTALL_JAVASCRIPT: Final = 'pip install "echelon[typescript]"'
NODE_MINIMUM: Final = (20, 0)
"""The first Node with a permission model; older ones are not trusted with strangers' source."""


@dataclass(frozen=True, slots=True)
class Javascript:
    """A JavaScript runtime that can run a compiler."""

    kind: Literal["deno", "node"]
    path: Path
    version: str


def find_javascript(choice: JavascriptChoice = "auto") -> Javascript | None:
    """Find a JavaScript runtime: the `deno` package first, then one on the PATH. Starts processes."""
    if choice not in ("auto", "deno", "node"):
        raise ConfigError(f'javascript: "{choice}" is not known; use auto, deno or node', key="javascript")
    found = _find_deno() if choice in ("auto", "deno") else None
    return found if found is not None or choice == "deno" else _find_node()


def _find_deno() -> Javascript | None:
    path = _packaged_deno() or shutil.which("deno")
    version = _version([path, "--version"]) if path else None
    return Javascript("deno", Path(path), version) if path and version else None


def _packaged_deno() -> str | None:
    """Return the program of the `deno` package. Its own finder fails now and then when threads call it."""
    try:
        package = importlib.metadata.distribution("deno")
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in package.files or () if file.stem == "deno" and file.suffix in ("", ".exe")]
    programs = [Path(str(package.locate_file(file))).resolve() for file in found]
    return next((str(path) for path in programs if path.is_file()), None)


def _find_node() -> Javascript | None:
    path = shutil.which("node")
    version = _version([path, "--version"]) if path else None
    if path is None or version is None or version_tuple(version) < NODE_MINIMUM:
        return None
    return Javascript("node", Path(path), version)


def _version(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return match[0] if match and done.returncode == 0 else None


def version_tuple(version: str) -> tuple[int, ...]:
    """Return "20.1.3" as (20, 1, 3)."""
    return tuple(int(part) for part in version.split(".")[:3])
