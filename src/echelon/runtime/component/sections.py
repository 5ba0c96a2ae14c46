"""Write sections that are appended to a component, and count the indexes that they add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from echelon.runtime.binary import MAGIC, leb
from echelon.runtime.component.spaces import Spaces

FUNC, TYPE = b"\x01", b"\x03"
CORE_FUNC, CORE_MEMORY = 0x00, 0x02


def text(name: str) -> bytes:
    """Return a name as it is written: its size, then its UTF-8."""
    data = name.encode()
    return leb(len(data)) + data


def vector(items: Sequence[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def type_index(index: int) -> bytes:
    """Return a type's index where a primitive type could stand: it is a signed number there."""
    data = bytearray(leb(index))
    if data[-1] & 0x40:
        data[-1] |= 0x80
        data.append(0)
    return bytes(data)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def core_module(*parts: tuple[int, Sequence[bytes]]) -> bytes:
    """Return a core module of these sections."""
    return MAGIC + b"".join(section(number, vector(items)) for number, items in parts if items)


class Sections:
    """Sections behind those of a component. Every `add` returns the index of what was added."""

    def __init__(self, spaces: Spaces, prefix: str) -> None:
        self._data = bytearray()
        self._prefix, self._names = prefix, 0
        self._types = len(spaces.types)
        self._functions = len(spaces.functions)
        self._core_functions, self._memories = spaces.core_functions, len(spaces.memories)
        self._modules, self._core_instances = len(spaces.modules), len(spaces.core_instances)

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def _add(self, number: int, item: bytes) -> None:
        self._data += section(number, vector([item]))

    def add_type(self, definition: bytes) -> int:
        self._add(7, definition)
        self._types += 1
        return self._types - 1

    def name_type(self, index: int) -> int:
        """Export a type under a reserved name; the index that is returned stands for it by that name."""
        self._names += 1
        self._add(11, b"\0" + text(f"{self._prefix}-t{self._names}") + TYPE + leb(index) + b"\0")
        self._types += 1
        return self._types - 1

    def export_function(self, name: str, index: int) -> None:
        self._add(11, b"\0" + text(name) + FUNC + leb(index) + b"\0")
        self._functions += 1

    def add_lift(self, core: int, options: Iterable[bytes], type_: int) -> int:
        self._add(8, b"\0\0" + leb(core) + vector(list(options)) + leb(type_))
        self._functions += 1
        return self._functions - 1

    def add_core_alias(self, sort: int, instance: int, name: str) -> int:
        """Give an index to a function or memory that a core instance exports."""
        self._add(6, bytes([0, sort, 1]) + leb(instance) + text(name))
        if sort == CORE_FUNC:
            self._core_functions += 1
            return self._core_functions - 1
        self._memories += 1
        return self._memories - 1

    def add_core_instance(self, module: bytes, given: dict[str, tuple[int, int]]) -> int:
        """Add a core module and one instance of it, whose imports from "" are given by sort and index."""
        self._data += section(1, module)
        self._modules += 1
        exports = [text(name) + bytes([sort]) + leb(index) for name, (sort, index) in given.items()]
        self._add(2, b"\x01" + vector(exports))
        self._add(
            2, b"\0" + leb(self._modules - 1) + vector([text("") + b"\x12" + leb(self._core_instances)])
        )
        self._core_instances += 2
        return self._core_instances - 1
