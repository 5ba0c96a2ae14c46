"""The types of a signature, as `Function` writes them, taken apart: those of modules and those of components."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 64
_MARKS: Final = frozenset("<>{}(),:")
_BRACED: Final = ("record", "variant", "enum", "flags")
_TOKEN: Final = re.compile(r"[^\s<>{}(),:]+(?::(?!\s)[^\s<>{}(),:]+)*|[<>{}(),:]")


@dataclass(frozen=True, slots=True)
class Shape:
    """A type: what kind it is, and of what.

    `parts` are the types within; None stands for nothing, as in a case of a variant without a value. `names` are those
    of fields, cases, flags, or of a handle's resource.
    """

    kind: str
    parts: tuple[Shape | None, ...] = ()
    names: tuple[str, ...] = ()


def parse(text: str) -> Shape:
    """Read a type such as "list<option<str>>" or "record{x: s32}"; raises ValueError for what is none."""
    reader = _Reader(text)
    shape = reader.shape(0)
    if shape is None or reader.peek():
        raise ValueError(f"{text[:80]!r} is no type")
    return shape


class _Reader:
    """Reads tokens one after another."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def shape(self, depth: int) -> Shape | None:
        """Return the next type, None for "_"."""
        kind = self._name()
        if depth > MAX_DEPTH:
            raise ValueError(f"a type has more than {MAX_DEPTH} levels")
        if kind == "_":
            return None
        if kind in _BRACED and self._skip("{"):
            return self._braced(kind, depth)
        if not self._skip("<"):
            return Shape(kind)
        if kind in ("own", "borrow"):
            made = Shape(kind, names=(self._name(),))
            self._expect(">")
            return made
        parts = []
        while not self._skip(">"):
            parts.append(self.shape(depth + 1))
            if self.peek() != ">":
                self._expect(",")
        return Shape(kind, tuple(parts))

    def _braced(self, kind: str, depth: int) -> Shape:
        names, parts = [], []
        while not self._skip("}"):
            names.append(self._name())
            part = None
            if kind == "record":
                self._expect(":")
                part = self.shape(depth + 1)
            elif kind == "variant" and self._skip("("):
                part = self.shape(depth + 1)
                self._expect(")")
            parts.append(part)
            if self.peek() != "}":
                self._expect(",")
        return Shape(kind, tuple(parts) if kind in ("record", "variant") else (), tuple(names))

    def _name(self) -> str:
        token = self.peek()
        if not token or token in _MARKS:
            raise ValueError(f"{self._text[:80]!r} is no type")
        self._at += 1
        return token

    def _skip(self, token: str) -> bool:
        found = self.peek() == token
        self._at += found
        return found

    def _expect(self, token: str) -> None:
        if not self._skip(token):
            raise ValueError(f"{self._text[:80]!r} is no type")
