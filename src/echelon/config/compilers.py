"""Compilers that `echelon.toml` describes: a table [compilers.NAME] is a command-line compiler.

[compilers.forth]
suffixes = [".fth"]
command = ["forthc", "{entry}", "-o", "{output}"]
version = ["forthc", "--version"]
install = "apt install forthc"
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from echelon.errors import ConfigError

TABLE: Final = "compilers"
_PLACES: Final = ("entry", "output", "folder")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


class CompilerConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One table. `{entry}` in the command is the first source file, `{output}` where the module goes.

    `{folder}` is the working folder, and the files lie below its `src`. `diagnostics` is a regular expression with
    the groups file, line, column, severity and message, tried on every line. `read` names folders the compiler
    needs besides its own and the system's libraries, `processes` how many it may have at once. `options` are what a
    caller may choose: the accepted values by name, the first being the default; `{name}` in the command is the choice.
    """

    suffixes: list[str]
    command: list[str]
    version: list[str] = []
    install: str = ""
    diagnostics: str = ""
    read: list[str] = []
    environment: dict[str, str] = {}
    options: dict[str, list[str]] = {}
    processes: int = 1
    seconds: float = 30.0
    memory_mib: int = 2048

    def to_dict(self) -> dict[str, Any]:
        """Return what the table says, as plain data."""
        return {
            name: value for name, value in msgspec.structs.asdict(self).items() if value not in ("", [], {})
        }


def check(values: Any, key: str) -> CompilerConfig:
    """Return one table, checked; raises ConfigError that begins with its key."""
    if isinstance(values, CompilerConfig):
        return values
    if not _NAME.fullmatch(key.removeprefix(f"{TABLE}.")):
        raise ConfigError(f"{key}: a language's name is lower-case letters, digits and dashes", key=key)
    try:
        found = msgspec.convert(values, CompilerConfig)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{key}: {exc}", key=key) from None
    if not found.command or "{output}" not in " ".join(found.command):
        example = '["prog", "{entry}", "-o", "{output}"]'
        raise ConfigError(f"{key}.command: name the program and where its module goes: {example}", key=key)
    for name in ("processes", "seconds", "memory_mib"):
        if getattr(found, name) <= 0:
            raise ConfigError(f"{key}.{name}: must be more than 0", key=key)
    for name, accepted in found.options.items():
        if not _NAME.fullmatch(name) or name in _PLACES or not accepted:
            text = "an option has a name of its own, in lower-case letters, and at least one value"
            raise ConfigError(f"{key}.options.{name}: {text}", key=key)
    _check_pattern(found.diagnostics, f"{key}.diagnostics")
    return found


def _check_pattern(text: str, key: str) -> None:
    try:
        pattern = re.compile(text)
    except re.error as exc:
        raise ConfigError(f"{key}: it is not a regular expression: {exc}", key=key) from None
    if text and "message" not in pattern.groupindex:
        raise ConfigError(f"{key}: it has no group (?P<message>…)", key=key)
