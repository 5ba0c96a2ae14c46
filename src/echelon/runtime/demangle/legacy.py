"""Rust's first scheme: the names of a path with their lengths, as C++ has it, and a hash at the end."""

from __future__ import annotations

import re
from typing import Final

from echelon.runtime.demangle.cursor import Cursor, Malformed

_SYMBOL: Final = re.compile(r"_ZN(.+)17h[0-9a-f]{16}E(?:\.[\w.@$]*)?", re.ASCII)
_HASH: Final = re.compile(r"::h[0-9a-f]{16}(?:\.[\w.@$]*)?\Z", re.ASCII)
_ESCAPE: Final = re.compile(r"\$(\w{1,7})\$|\.\.", re.ASCII)
_NAMED: Final = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}


def read(name: str) -> str:
    """Return the path without its hash."""
    symbol = _SYMBOL.fullmatch(name)
    if symbol is None:
        raise Malformed
    cursor = Cursor(symbol[1], 0)
    parts = []
    while cursor.pos < len(cursor.text):
        parts.append(_plain(cursor.characters(cursor.decimal())))
    return "::".join(parts)


def without_hash(name: str) -> str:
    """Return a name without Rust's hash, if a linker that knows only C++ has put it together already."""
    found = _HASH.search(name)
    return name if found is None else "::".join(map(_plain, name[: found.start()].split("::")))


def _plain(part: str) -> str:
    return _ESCAPE.sub(_character, part[1:] if part.startswith("_$") else part)


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code is None:
        return "::"
    if code[0] == "u" and re.fullmatch("[0-9a-f]{1,6}", code[1:]):
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 and chr(number).isprintable() else match[0]
    return _NAMED.get(code, match[0])
