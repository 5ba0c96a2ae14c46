"""Make what Zig writes for debuggers the same wherever it was compiled.

Clang is told what to call the folders of this machine, Zig cannot be. So the names of files in its line table (DWARF 4)
are written anew: those of the source relative to it, those of the library as `zig/…`, those of the kit by their own
name. For a debugger all the rest stays, too, but for the name of the working folder.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from echelon.errors import InvalidModule
from echelon.runtime import binary, stripping
from echelon.runtime.binary import Reader
from echelon.runtime.dwarf import SECTION

_VERSION: Final = 4
_TABLES: Final = 16
"""Bytes of a unit before the lengths of its instructions, of which the last counts these."""

MAX_FILES: Final = 10_000

Named = Callable[[str], str]


def portable(wasm: bytes, folder: Path, named: Named, *, debug: bool) -> bytes:
    """Return a module whose line table has other names of files; `named` tells them.

    Without `debug` nothing else of what debuggers read stays. With it, `folder`, where the compiler worked, gets
    another name of the same length. A table that cannot be read is left out. Raises InvalidModule for what is none.
    """
    table = binary.custom_section(wasm, binary.parse(wasm), SECTION) or b""
    made = _renamed(table, named)
    wasm = stripping.without(
        wasm, lambda name: name == SECTION or (name.startswith(".debug_") and not debug)
    ).replace(str(folder).encode(), _hidden(folder))
    return binary.add_custom_section(wasm, SECTION, made) if made else wasm


def _hidden(folder: Path) -> bytes:
    """Return a path as long as the folder's, without what is random in it."""
    parent, _, name = str(folder).rpartition("/")
    kept = name.rpartition("-")[0]
    return f"{parent}/{kept.ljust(len(name), '-')}".encode()


def _renamed(table: bytes, named: Named) -> bytes:
    """Return a line table with other names of files, empty when there is one among its units that is not understood."""
    made, pos = [], 0
    while pos < len(table):
        try:
            end = pos + 4 + int.from_bytes(table[pos : pos + 4], "little")
            if end > len(table) or int.from_bytes(table[pos + 4 : pos + 6], "little") != _VERSION:
                return b""
            made.append(_unit(table[pos:end], named))
        except (InvalidModule, IndexError):
            return b""
        pos = end
    return b"".join(made)


def _unit(unit: bytes, named: Named) -> bytes:
    program = 10 + int.from_bytes(unit[6:10], "little")
    tables = _TABLES + unit[_TABLES - 1] - 1
    if not tables <= program <= len(unit):
        raise InvalidModule("the head of a line table ends somewhere else")
    files = b"".join(_text(named(path)) + b"\0\0\0" for path in _files(unit[tables:program]))
    # no directories, then the files, each with none, and neither time nor length
    head = unit[10:tables] + b"\0" + files + b"\0"
    rest = struct.pack("<HI", _VERSION, len(head)) + head + unit[program:]
    return struct.pack("<I", len(rest)) + rest


def _text(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape").replace(b"\0", b"") + b"\0"


def _files(tables: bytes) -> Iterator[str]:
    """Give the path of each file of a unit: the one that the compiler was given, or a relative one of unknown base."""
    reader = Reader(tables, 0, len(tables))
    directories = [""]
    while (text := _zero_ended(reader)) is not None:
        directories.append(text)
    for _ in range(MAX_FILES):
        name = _zero_ended(reader)
        if name is None:
            return
        directory, _time, _length = reader.u32(), reader.u32(), reader.u32()
        yield posixpath.normpath(posixpath.join(directories[directory], name))
    raise InvalidModule(f"a line table has more than {MAX_FILES} files")


def _zero_ended(reader: Reader) -> str | None:
    end = reader.data.find(0, reader.pos, reader.end)
    if end < 0:
        raise InvalidModule("a text of a line table does not end")
    text = reader.data[reader.pos : end]
    reader.pos = end + 1
    return text.decode("utf-8", "surrogateescape") if text else None
