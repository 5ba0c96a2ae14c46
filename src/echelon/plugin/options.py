"""The options of one language: what a compiler takes, and what a caller gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from echelon.errors import ConfigError
from echelon.plugin.compiler import Compiler, Configurable

MAX_VALUE: Final = 200
_KEY: Final = "options"


def check(compiler: Compiler, given: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the options a caller gave, by name in order; raises ConfigError for what the compiler does not take."""
    if not given:
        return {}
    known = compiler.options if isinstance(compiler, Configurable) else {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(_unknown(compiler.name, name, list(known)), key=_KEY)
        _check_value(f"options.{name}", value, known[name])
    return {name: given[name] for name in sorted(given)}


def _unknown(language: str, name: object, known: list[str]) -> str:
    if not known:
        return f"options: {language} takes none, so not {str(name)[:80]!r}"
    return f"options: {language} has no option {str(name)[:80]!r}; known are {', '.join(known)}"


def _check_value(key: str, value: object, accepted: Sequence[str]) -> None:
    if not isinstance(value, str) or len(value) > MAX_VALUE or not value.isprintable():
        raise ConfigError(
            f"{key}: {str(value)[:80]!r} is not accepted; write text of at most {MAX_VALUE} characters in one line",
            key=_KEY,
        )
    if accepted and value not in accepted:
        raise ConfigError(f'{key}: "{value}" is not known; use {", ".join(accepted)}', key=_KEY)
