"""`echelon toolchain`: the compilers that do not come with Python."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from echelon.cli import values
from echelon.cli.parser import Arguments, Command
from echelon.cli.status import OK
from echelon.cli.terminal import Terminal, clean, table
from echelon.config import Config
from echelon.errors import ToolchainMissing
from echelon.plugin import languages, toolchain
from echelon.plugin.generator import Generator, Language


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    if command.name == "toolchain install":
        return asyncio.run(_install(arguments.language, terminal))
    found = asyncio.run(Generator(languages.compilers(Config.load())).languages())
    if arguments.json:
        terminal.result(values.to_json([describe(language) for language in found], indent=2))
    else:
        terminal.page("\n".join(_lines(found, terminal)))
    return OK


async def _install(name: str, terminal: Terminal) -> int:
    """Fetch a toolchain. One that only its own tools can install says what to type.

    Raises ToolchainMissing with that, ConfigError for a name that is neither a toolchain's nor a language's.
    """
    if name not in toolchain.RECIPES:
        found = await Generator(languages.compilers(Config.load())).languages()
        for probe in (language.probe for language in found if language.name == name):
            if probe.found:
                terminal.note(f"{name} is here already: {probe.detail or probe.version}")
                return OK
            message = f"Echelon does not install {name} itself; type: {probe.install}"
            raise ToolchainMissing(message, install=probe.install)
    path = await toolchain.install(name, progress=terminal.note)
    terminal.result(str(path))
    return OK


def describe(language: Language) -> dict[str, object]:
    """Return a language and the state of its compiler as data."""
    probe = language.probe
    return {
        "language": language.name,
        "suffixes": list(language.suffixes),
        "found": probe.found,
        "version": probe.version,
        "detail": probe.detail,
        "install": "" if probe.found else probe.install,
    }


def _lines(found: Sequence[Language], terminal: Terminal) -> list[str]:
    rows = [("language", "files", "compiler", "state")]
    for language in found:
        probe = language.probe
        detail = f" ({probe.detail})" if probe.detail else ""
        state = f"ready{detail}" if probe.found else f"missing{detail}; type: {probe.install}"
        rows.append((language.name, " ".join(language.suffixes), probe.version, clean(state)))
    first, *rest = table(rows)
    return [terminal.paint(first, "bold", out=True), *rest]
