"""The number that sum, min and max work on."""

from __future__ import annotations

from echelon.errors import KvValueError
from echelon.kv import limits


class U64(int):
    """An unsigned 64-bit integer: the only kind of value that sum, min and max work on."""

    __slots__ = ()

    def __new__(cls, value: int) -> U64:
        if isinstance(value, bool) or not isinstance(value, int):
            raise KvValueError(f"U64 takes an int, got {type(value).__name__}")
        if not 0 <= value <= limits.MAX_U64:
            raise KvValueError(f"U64 takes 0 to 2**64-1, got {shorten(value)}")
        return super().__new__(cls, value)

    @property
    def value(self) -> int:
        """The plain int."""
        return int(self)

    def __repr__(self) -> str:
        return f"U64({int(self)})"


def shorten(value: object) -> str:
    """Return `value` as text that fits an error message."""
    try:
        text = repr(value)
    except Exception:  # a broken __repr__ must not hide the real mistake; huge ints cannot be printed either
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
