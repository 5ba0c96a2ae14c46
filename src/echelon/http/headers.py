"""Multi-valued mappings: headers (case-insensitive), query strings and forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar, overload

V = TypeVar("V")
T = TypeVar("T")

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token (RFC 9110, 5.6.2): what the name of a method, header or cookie is made of."""
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_header(name: str, value: str) -> None:
    """Raise ValueError unless the pair can be sent; a line break here would let a value add headers."""
    if not isinstance(name, str) or TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a header name")
    if not isinstance(value, str):
        raise ValueError(f"header {name}: the value must be a str, not {type(value).__name__}")
    if _FORBIDDEN_IN_VALUE.search(value):
        raise ValueError(f"header {name}: the value contains a control character")


class Headers(Mapping[str, str]):
    """Read-only headers; names are matched without case, `[]` gives the first value."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    @classmethod
    def adopt(cls, pairs: list[tuple[str, str]]) -> Headers:
        """Wrap a list of pairs whose names are lower case already, without copying it."""
        headers = cls.__new__(cls)
        headers._pairs = pairs
        return headers

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for key, value in self._pairs:
            if key == wanted:
                return value
        raise KeyError(name)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: T) -> str | T: ...
    def get(self, name: str, default: object = None) -> object:
        """Return the first value of `name`."""
        wanted = name.lower()
        for key, value in self._pairs:
            if key == wanted:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Return every value of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._pairs if key == wanted]

    def pairs(self) -> list[tuple[str, str]]:
        """Return every header in order, repeated names included."""
        return list(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name for name, _ in self._pairs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class MutableHeaders(Headers):
    """Headers of a response. Raises ValueError for a name or value that cannot be sent."""

    __slots__ = ()

    def __setitem__(self, name: str, value: str) -> None:
        """Replace every value of `name`."""
        check_header(name, value)
        self._discard(name)
        self._pairs.append((name.lower(), value))

    def __delitem__(self, name: str) -> None:
        if not self._discard(name):
            raise KeyError(name)

    def add(self, name: str, value: str) -> None:
        """Add a value and keep those that are there."""
        check_header(name, value)
        self._pairs.append((name.lower(), value))

    def setdefault(self, name: str, value: str) -> str:
        """Set `name` unless it has a value; return the value it has then."""
        current = self.get(name)
        if current is None:
            self.add(name, value)
            return value
        return current

    def update(self, values: Mapping[str, str]) -> None:
        """Replace the values of every name in `values`."""
        for name, value in values.items():
            self[name] = value

    def vary(self, name: str) -> None:
        """Add `name` to Vary unless it is listed."""
        listed = [item.strip().lower() for item in ",".join(self.get_all("vary")).split(",")]
        if name.lower() not in listed and "*" not in listed:
            self.add("vary", name)

    def _discard(self, name: str) -> bool:
        wanted = name.lower()
        kept = [pair for pair in self._pairs if pair[0] != wanted]
        changed = len(kept) != len(self._pairs)
        self._pairs[:] = kept  # in place: the response shares this list
        return changed


class MultiDict(Mapping[str, V], Generic[V]):
    """A read-only mapping whose keys may repeat; `[]` gives the first value."""

    __slots__ = ("_lists", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, V]] = ()) -> None:
        self._pairs = list(pairs)
        self._lists: dict[str, list[V]] = {}
        for name, value in self._pairs:
            self._lists.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> V:
        return self._lists[name][0]

    @overload
    def get(self, name: str) -> V | None: ...
    @overload
    def get(self, name: str, default: V) -> V: ...
    @overload
    def get(self, name: str, default: T) -> V | T: ...
    def get(self, name: str, default: object = None) -> object:
        """Return the first value of `name`."""
        found = self._lists.get(name)
        return default if found is None else found[0]

    def get_all(self, name: str) -> list[V]:
        """Return every value of `name`, in order."""
        return list(self._lists.get(name, ()))

    def pairs(self) -> list[tuple[str, V]]:
        """Return every pair in order, repeated names included."""
        return list(self._pairs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"
