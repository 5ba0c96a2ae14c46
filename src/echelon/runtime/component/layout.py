"""Read the outline of a component before the engine sees it: its core modules, and how many memories it makes.

Every core module inside is held to the limits of modules of their own. The memories are counted because the cap on
memory is for all of them together; where the count depends on what cannot be known here, the largest is assumed.

Source: component model, design/mvp/Binary.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from echelon.errors import InvalidModule
from echelon.runtime import binary
from echelon.runtime.binary import COMPONENT_MAGIC, Bounds, ModuleInfo

MAX_PARTS: Final = 500
"""Core modules and components inside a component, on all levels."""

MAX_DEPTH: Final = 16
MAX_ENTRIES: Final = 100_000
"""Sections on all levels and entries in them."""

_UNKNOWN: Final = -1

_CUSTOM, _MODULE, _CORE_INSTANCE, _COMPONENT, _INSTANCE, _ALIAS, _IMPORT = 0, 1, 2, 4, 5, 6, 10
_CORE_MODULE: Final = (0x00, 0x11)
_COMPONENT_SORT: Final = (0x04, 0x00)


@dataclass
class _Outline:
    """One level: the memories of each module and component by index, and those that its instances make."""

    modules: list[int] = field(default_factory=list)
    components: list[int] = field(default_factory=list)
    memories: int = 0

    def add(self, made: int) -> None:
        self.memories = _UNKNOWN if made < 0 or self.memories < 0 else self.memories + made


def read(data: bytes, most: int, modules: dict[int, ModuleInfo] | None = None) -> ModuleInfo:
    """Return size and memories of a component; raises InvalidModule. `most` memories are assumed at worst.

    What the core modules at its own level declare is put into `modules`, by where they stand.
    """
    if len(data) > binary.MAX_MODULE:
        raise InvalidModule(f"the component has {len(data)} bytes, at most {binary.MAX_MODULE} are accepted")
    reader = _Parts(data, {} if modules is None else modules)
    count = reader.component(0, len(data), 0)
    if count > most:
        raise InvalidModule(f"the component makes {count} memories, at most {most} are accepted")
    info = ModuleInfo(size=len(data), custom=reader.custom, cores=reader.cores)
    pages = reader.smallest if count >= 0 else 0
    info.memories = [Bounds(pages if n == 0 else 0, None) for n in range(most if count < 0 else count)]
    return info


class _Parts:
    def __init__(self, data: bytes, modules: dict[int, ModuleInfo]) -> None:
        self._data, self._modules = data, modules
        self._parts = self._entries = 0
        self.smallest = 0
        self.custom: dict[str, tuple[int, int]] = {}
        self.cores: list[tuple[int, int]] = []

    def component(self, start: int, end: int, depth: int) -> int:
        """Return how many memories an instance of the component at these bytes makes, or _UNKNOWN."""
        data, outline = self._data, _Outline()
        if data[start : start + 8] != COMPONENT_MAGIC:
            raise InvalidModule(f"there is no component of a known version at byte {start}")
        if depth > MAX_DEPTH:
            raise InvalidModule(f"components are nested more than {MAX_DEPTH} levels deep")
        cursor = binary.Reader(data, start + 8, end)
        while cursor.pos < end:
            section, size = cursor.byte(), cursor.u32()
            begin = cursor.pos
            cursor.skip(size)
            self._add(1)
            self._section(section, begin, cursor.pos, outline, depth)
        return outline.memories

    def _section(self, section: int, begin: int, end: int, outline: _Outline, depth: int) -> None:
        if section in (_MODULE, _COMPONENT):
            self._parts += 1
            if self._parts > MAX_PARTS:
                raise InvalidModule(f"the component has more than {MAX_PARTS} modules and components inside")
            if section == _COMPONENT:
                outline.components.append(self.component(begin, end, depth + 1))
                return
            info = binary.parse(self._data[begin:end])
            if not depth:
                self._modules[begin] = info
            own = len(info.memories) - sum(item.kind == "memory" for item in info.imports)
            if own:
                self.smallest = max(self.smallest, info.memories[-1].minimum)
            outline.modules.append(own)
            self.cores.append((begin, end))
            return
        reader = binary.Reader(self._data, begin, end)
        if section == _CUSTOM and depth == 0:
            name = reader.name()
            if len(self.custom) < binary.MAX_CUSTOM:
                self.custom.setdefault(name, (reader.pos, end))
        read = {
            _CORE_INSTANCE: self._core_instance, _INSTANCE: self._instance, _ALIAS: self._alias, _IMPORT: self._import
        }.get(section)  # fmt: skip
        if read is not None:
            for _ in range(self._count(reader)):
                read(reader, outline)

    def _count(self, reader: binary.Reader) -> int:
        count = reader.u32()
        self._add(count)
        return count

    def _add(self, count: int) -> None:
        self._entries += count
        if self._entries > MAX_ENTRIES:
            raise InvalidModule(f"the component has more than {MAX_ENTRIES} sections and entries in them")

    def _core_instance(self, reader: binary.Reader, outline: _Outline) -> None:
        if reader.byte() == 0x00:
            index = reader.u32()
            outline.add(outline.modules[index] if index < len(outline.modules) else _UNKNOWN)
            for _ in range(self._count(reader)):
                reader.name(), reader.byte(), reader.u32()
            return
        for _ in range(self._count(reader)):
            reader.name(), reader.byte(), reader.u32()

    def _instance(self, reader: binary.Reader, outline: _Outline) -> None:
        if reader.byte() == 0x00:
            index = reader.u32()
            outline.add(outline.components[index] if index < len(outline.components) else _UNKNOWN)
            for _ in range(self._count(reader)):
                reader.name(), self._sort(reader), reader.u32()
            return
        for _ in range(self._count(reader)):
            reader.byte(), reader.name(), self._sort(reader), reader.u32()

    def _sort(self, reader: binary.Reader) -> tuple[int, int]:
        sort = reader.byte()
        return sort, reader.byte() if sort == 0x00 else 0x00

    def _alias(self, reader: binary.Reader, outline: _Outline) -> None:
        sort, target = self._sort(reader), reader.byte()
        reader.u32()
        if target == 0x02:
            reader.u32()
        else:
            reader.name()
        self._foreign(sort, outline)

    def _import(self, reader: binary.Reader, outline: _Outline) -> None:
        reader.byte(), reader.name()
        kind = reader.byte()
        sort = (kind, reader.byte() if kind in (0x00, 0x02, 0x03) else 0x00)
        if kind != 0x03 or sort[1] == 0x00:
            reader.u32()
        self._foreign(sort, outline)

    def _foreign(self, sort: tuple[int, int], outline: _Outline) -> None:
        """Count a module or component that is defined elsewhere."""
        if sort == _CORE_MODULE:
            outline.modules.append(_UNKNOWN)
        elif sort == _COMPONENT_SORT:
            outline.components.append(_UNKNOWN)
