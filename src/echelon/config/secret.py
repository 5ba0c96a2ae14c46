"""A text that must not be shown."""

from __future__ import annotations

import hmac

HIDDEN = "********"


class Secret:
    """A text that hides itself when printed, formatted or logged; `reveal()` returns it.

    Not a `str`, so that no encoder, join or concatenation shows it by accident. Empty is false.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def matches(self, given: str) -> bool:
        """Compare in constant time; an empty secret matches nothing."""
        mine, other = self._text.encode("utf-8", "replace"), given.encode("utf-8", "replace")
        return bool(mine) and hmac.compare_digest(mine, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            other = other._text
        if not isinstance(other, str):
            return NotImplemented
        return hmac.compare_digest(self._text.encode("utf-8", "replace"), other.encode("utf-8", "replace"))

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __len__(self) -> int:
        return len(self._text)

    def __str__(self) -> str:
        return HIDDEN if self._text else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"
