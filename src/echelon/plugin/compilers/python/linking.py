"""From functions to a module: what exports reach, numbered, placed in memory and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python.checking.raw import HOSTS
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.encoding import Code
from echelon.plugin.compilers.python.layout import BASE, CHARACTERS, CHARACTERS_END, LIMIT, STATIC, TOP
from echelon.plugin.compilers.python.tree import Function
from echelon.runtime import lines as line_tables

_PAGE: Final = 1 << 16
_SPARE: Final = 1 << 14
"""Bytes behind the constants that the first page has to have, or there is one more."""

_MAX_STATIC: Final = 8 << 20
_FUNCTION, _MEMORY = 0, 2
_NAMES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Linked:
    wasm: bytes
    lines: bytes


class Linker:
    """Puts one module together. `emit` gives the code of a function, `library` that of one of the library."""

    def __init__(
        self, emit: Callable[[Function], Code], library: Callable[[str], Code], kinds: Sequence[str]
    ) -> None:
        self._emit, self._library, self._kinds = emit, library, kinds
        self._codes: dict[object, Code] = {}
        self._numbers: dict[int, int] = {}
        """The number of each code among those of the module."""
        self._order: list[Code] = []
        self._hosts: dict[str, int] = {}
        self._types: dict[bytes, int] = {}
        self._table: dict[int, int] = {}
        self._indirect = False
        """Whether there are calls through the table, which may be empty."""
        self._static = bytearray()
        self._places: dict[tuple[str, object], int] = {}
        self._characters = False

    def link(self, exports: Mapping[str, Function | str], file: str) -> Linked:
        """Return a module that exports functions of the program and of the library."""
        roots = {name: self._add(target) for name, target in exports.items()}
        position = 0
        while position < len(self._order):
            for relocation in self._order[position].relocations:
                self._reach(relocation.kind, relocation.key)
            position += 1
        return self._write(roots, file)

    def _add(self, target: object) -> Code:
        code = self._codes.get(target)
        if code is None:
            code = self._library(target) if isinstance(target, str) else self._emit(target)  # type: ignore[arg-type]  # a Function else
            self._codes[target] = code
            if id(code) not in self._numbers:
                self._numbers[id(code)] = len(self._order)
                self._order.append(code)
        return code

    def _reach(self, kind: str, key: Any) -> None:
        """See to it that what code refers to is there."""
        if kind in ("function", "library"):
            self._add(key)
        elif kind == "table":
            self._table.setdefault(self._numbers[id(self._add(key))], len(self._table))
        elif kind == "host":
            self._hosts.setdefault(key, len(self._hosts))
        elif kind == "type":
            self._indirect = True
            self._type(*key)
        elif kind == "characters":
            self._characters = True
        elif (kind, key) not in self._places:
            self._place(kind, key)

    def _type(self, params: Sequence[int], results: Sequence[int]) -> int:
        return self._types.setdefault(e.function_type(params, results), len(self._types))

    # Constants

    def _place(self, kind: str, key: Any) -> None:
        """Put a constant into memory."""
        if kind == "text" and len(key) == 1 and ord(key) < 0x100:
            self._characters = True
            at = CHARACTERS + 16 * ord(key)
        elif kind == "text":
            content = _characters(key)
            at = self._reserve(_header(STATIC + len(self._static) + 16, len(key), _width(key)) + content)
        elif kind == "octets":
            at = self._reserve(_header(STATIC + len(self._static) + 16, len(key), 0) + key)
        elif kind == "static":
            at = self._reserve(key)
        elif kind == "kinds":
            at = self._reserve(b"".join(bytes([len(name)]) + name.encode() for name in self._kinds))
        else:
            raise AssertionError(kind)
        self._places[kind, key] = at

    def _reserve(self, content: bytes) -> int:
        at = STATIC + len(self._static)
        self._static += content
        self._static += bytes(-len(self._static) % 8)
        if len(self._static) > _MAX_STATIC:
            refuse(
                None,
                "the constants of the program take too much memory",
                f"at most {_MAX_STATIC} bytes are accepted",
            )
        return at

    def _resolve(self, kind: str, key: Any) -> int:
        if kind in ("function", "library"):
            return len(self._hosts) + self._numbers[id(self._codes[key])]
        if kind == "table":
            return self._table[self._numbers[id(self._codes[key])]]
        if kind == "host":
            return self._hosts[key]
        if kind == "type":
            return self._type(*key)
        if kind == "characters":
            return CHARACTERS
        return self._places[kind, key]

    # The module

    def _write(self, roots: Mapping[str, Code], file: str) -> Linked:
        host_types = [self._type(*HOSTS[name][2:]) for name in self._hosts]
        types = [self._type(code.params, code.results) for code in self._order]
        end = STATIC + len(self._static)
        pages = (end + _SPARE + _PAGE - 1) // _PAGE
        imports = [
            e.name(HOSTS[name][0]) + e.name(HOSTS[name][1]) + b"\0" + e.unsigned(kind)
            for name, kind in zip(self._hosts, host_types, strict=True)
        ]
        exports = [e.name("memory") + bytes([_MEMORY, 0])]
        for name, root in roots.items():
            number = len(self._hosts) + self._numbers[id(root)]
            exports.append(e.name(name) + bytes([_FUNCTION]) + e.unsigned(number))
        head = e.MAGIC + e.section(1, e.vector(list(self._types)))
        if imports:
            head += e.section(2, e.vector(imports))
        head += e.section(3, e.vector([e.unsigned(number) for number in types]))
        if self._indirect or self._table:
            head += e.section(4, b"\x01\x70\x01" + 2 * e.unsigned(len(self._table)))
        head += e.section(5, b"\x01\x00" + e.unsigned(pages))
        head += e.section(7, e.vector(exports))
        if self._table:
            members = [e.unsigned(len(self._hosts) + number) for number in self._table]
            head += e.section(9, b"\x01\x00\x41\x00\x0b" + e.vector(members))
        code, places = self._code(len(head))
        return Linked(
            head + code + self._data(end, pages) + self._names(),
            line_tables.encode([file], _differences(places)),
        )

    def _code(self, start: int) -> tuple[bytes, list[tuple[int, int, int]]]:
        """Return the section of code, with addresses filled in, and where lines of the source begin."""
        bodies = []
        for code in self._order:
            body = bytearray(code.body)
            for relocation in code.relocations:
                body[relocation.at : relocation.at + 5] = e.padded(
                    self._resolve(relocation.kind, relocation.key)
                )
            header = code.header()
            bodies.append((e.unsigned(len(header) + len(body)) + header, body))
        size = sum(len(prefix) + len(content) for prefix, content in bodies)
        count = e.unsigned(len(bodies))
        out = bytearray(b"\x0a" + e.unsigned(size + len(count)) + count)
        places = []
        for code, (prefix, content) in zip(self._order, bodies, strict=True):
            begin = start + len(out) + len(prefix)
            if code.file < 0 or not code.places:
                places.append((begin, -1, 0))
            else:
                places += [(begin + offset, code.file, line) for offset, line in code.places]
            out += prefix
            out += content
        return bytes(out), places

    def _data(self, end: int, pages: int) -> bytes:
        words = [(TOP, end), (LIMIT, pages * _PAGE), (BASE, end)]
        first = min(at for at, _ in words)
        state = bytearray(max(at for at, _ in words) + 4 - first)
        for at, value in words:
            state[at - first : at - first + 4] = value.to_bytes(4, "little")
        segments = [_segment(first, bytes(state))]
        if self._characters:
            segments.append(_segment(CHARACTERS, character_table()))
        if self._static:
            segments.append(_segment(STATIC, bytes(self._static)))
        return e.section(11, e.vector(segments))

    def _names(self) -> bytes:
        named = [*self._hosts, *(code.name for code in self._order)]
        entries = [e.unsigned(number) + e.name(name[:200]) for number, name in enumerate(named)]
        content = e.vector(entries)
        if len(content) > _NAMES:
            return b""
        return e.section(0, e.name("name") + b"\x01" + e.unsigned(len(content)) + content)


def _segment(at: int, content: bytes) -> bytes:
    return b"\x00\x41" + e.signed(at) + b"\x0b" + e.unsigned(len(content)) + content


def _width(text: str) -> int:
    widest = max(map(ord, text), default=0)
    return 0 if widest < 0x100 else 1 if widest < 0x10000 else 2


def _characters(text: str) -> bytes:
    return text.encode(("latin-1", "utf-16-le", "utf-32-le")[_width(text)])


def _header(content: int, length: int, width: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in (content, length, width, 0))


def character_table() -> bytes:
    """Return the strings of one character up to U+00FF: headers, then bytes."""
    bodies = CHARACTERS + 256 * 16
    headers = b"".join(_header(bodies + code, 1, 0) for code in range(256))
    return (headers + bytes(range(256)))[: CHARACTERS_END - CHARACTERS]


def _differences(places: Sequence[tuple[int, int, int]]) -> list[int]:
    found: list[int] = []
    last = (0, 0, 0)
    for place in places:
        if place[1:] == last[1:] and last[0]:
            continue
        found += [new - old for new, old in zip(place, last, strict=True)]
        last = place
    return found
