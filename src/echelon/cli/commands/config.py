"""`echelon config`: every setting, what it is, and where that came from."""

from __future__ import annotations

from typing import Any

from echelon.cli import values
from echelon.cli.parser import Arguments, Command
from echelon.cli.status import OK
from echelon.cli.terminal import Terminal, clean, table
from echelon.config import Config, Secret


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    config = Config.load(arguments.config)
    if arguments.json:
        terminal.result(values.to_json(_as_data(config, arguments.show_secrets), indent=2))
        return OK
    rows = [
        (clean(f"{row.key} = {row.value}"), clean(f"# {row.source}"))
        for row in config.render(arguments.show_secrets)
    ]
    terminal.page("\n".join(_dimmed(line, terminal) for line in table(rows)))
    return OK


def _dimmed(line: str, terminal: Terminal) -> str:
    """Put the source, the last thing on a line, into the background; what is not a default stands out."""
    setting, mark, source = line.rpartition("  # ")
    if source == "default":
        return terminal.paint(line, "dim", out=True)
    return setting + terminal.paint(mark + source, "cyan", out=True)


def _as_data(config: Config, show_secrets: bool) -> dict[str, Any]:
    return {
        key: {"value": _plain(origin.value, show_secrets), "source": origin.source}
        for key, origin in config.origins().items()
    }


def _plain(value: Any, show_secrets: bool) -> Any:
    if isinstance(value, Secret):
        return value.reveal() if show_secrets else str(value)
    return values.plain(value)
