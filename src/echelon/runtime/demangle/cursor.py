"""A position in a mangled name, with the bounds that every scheme keeps to."""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 64
MAX_WORK: Final = 60_000
"""Parts that are read and characters that are put together for one name; names can refer to their own parts."""


class Malformed(Exception):
    """The name does not follow its scheme, or goes beyond a bound."""


class Cursor:
    """Reads a name from left to right; everything raises Malformed where it does not fit."""

    __slots__ = ("_depth", "_work", "pos", "text")

    def __init__(self, text: str, pos: int) -> None:
        self.text, self.pos = text, pos
        self._depth = self._work = 0

    def peek(self, ahead: int = 0) -> str:
        """Return the next character, "" at the end."""
        return self.text[self.pos + ahead : self.pos + ahead + 1]

    def take(self, prefix: str) -> bool:
        """Pass over a prefix if it comes next."""
        if not self.text.startswith(prefix, self.pos):
            return False
        self.pos += len(prefix)
        return True

    def expect(self, prefix: str) -> None:
        """Pass over what has to come next."""
        if not self.take(prefix):
            raise Malformed

    def next(self) -> str:
        """Pass over the next character and return it."""
        found = self.peek()
        if not found:
            raise Malformed
        self.pos += 1
        return found

    def run(self, alphabet: str) -> str:
        """Pass over as many characters of an alphabet as there are."""
        start = self.pos
        while self.pos < len(self.text) and self.text[self.pos] in alphabet:
            self.pos += 1
        return self.text[start : self.pos]

    def decimal(self) -> int:
        """Read a number of at most nine digits."""
        digits = self.run("0123456789")
        if not 0 < len(digits) <= 9:
            raise Malformed
        return int(digits)

    def characters(self, count: int) -> str:
        """Read that many characters."""
        if not count or count > len(self.text) - self.pos:
            raise Malformed
        self.pos += count
        return self.text[self.pos - count : self.pos]

    def made(self, text: str) -> str:
        """Count the characters of a text that was put together."""
        self._work += len(text) + 1
        if self._work > MAX_WORK:
            raise Malformed
        return text

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
