"""The application that a command is about, and the configuration that it finds when it is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from echelon.cli.parser import Usage
from echelon.config import Config, settings
from echelon.config.layers import to_environment
from echelon.http.loading import split_target

DEFAULT_TARGETS: Final = ("main.py", "app.py")


def find_target(given: str | None, command: str) -> str:
    """Return which application is meant; raises Usage when it is not there.

    `command` is what to type, with {} for the file: "echelon run {}".
    """
    if given is None:
        found = next((name for name in DEFAULT_TARGETS if Path(name).is_file()), None)
        if found is None:
            typed = command.format("FILE")
            raise Usage(f"there is no main.py or app.py here; name the application: {typed}")
        return found
    place, _ = split_target(given)
    if place.endswith(".py") or "/" in place:
        if Path(place).is_dir():
            typed = command.format(f"{place.rstrip('/')}/main.py")
            raise Usage(f"{place} is a folder; name a file in it: {typed}")
        if not Path(place).is_file():
            raise Usage(f"there is no file {place}")
    elif not _is_module(place):
        raise Usage(f"there is no file or module {place}; name a file such as main.py, or module:app")
    return given


def _is_module(name: str) -> bool:
    """Tell whether the first part of a dotted name can be imported from the working directory."""
    first = name.partition(".")[0]
    if (Path(first) / "__init__.py").is_file() or Path(f"{first}.py").is_file() or Path(first).is_dir():
        return True
    try:
        return importlib.util.find_spec(first) is not None
    except (ImportError, ValueError):
        return False


def environment(config: Config, file: str | None) -> Mapping[str, str]:
    """Return the variables by which the worker processes find the same configuration.

    They read ./echelon.toml themselves, so what another file says is handed over whole.
    """
    if file is None:
        return config.environ()
    known: dict[str, Any] = {
        key: origin for key, origin in config.origins().items() if origin.value is not None
    }
    absent = {key for key in settings() if key not in known and key.startswith("server.tls_")}
    return to_environment(known) | {f"ECHELON_{key.upper().replace('.', '_')}": "" for key in absent}
