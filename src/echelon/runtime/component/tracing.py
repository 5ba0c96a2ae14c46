"""Trace each export to the core function that it lifts, and each memory to the core instance that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from echelon.runtime.binary import Reader
from echelon.runtime.component.linking import qualified
from echelon.runtime.component.spaces import Instance, Lift, Spaces, pass_over_type, read_sort, sections
from echelon.runtime.component.type_nodes import FUNC, INSTANCE, external_name

MAX_EXPORTS: Final = 20_000
"""Exported functions that are looked at."""

MAX_INSTANCES: Final = 500
"""Core instances that are looked at; no component with many more can be used."""


def exported_lifts(data: bytes, spaces: Spaces) -> Iterator[tuple[str, Lift]]:
    """Yield the full name of each exported function that is lifted at the component's own level, and its lift."""
    namers, left = _Namers(data), MAX_EXPORTS
    for name, sort, index in spaces.exports:
        found: Iterable[tuple[str, int]] = ()
        if sort == FUNC:
            found = (("", index),)
        elif sort == INSTANCE:
            instance = spaces.own_instances[index]
            found = () if instance is None else namers.functions_of(instance)
        for inner, place in found:
            left -= 1
            if left < 0:
                return
            lift = spaces.functions[place] if place < len(spaces.functions) else None
            if lift is not None:
                yield qualified(name, inner) if inner else name, lift


class _Namers:
    """The components inside that only name what they are given; each is read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._read: dict[tuple[int, int], dict[str, str]] = {}

    def functions_of(self, instance: Instance) -> Iterator[tuple[str, int]]:
        """Yield the functions that an instance exports by their index outside, as far as they come from there."""
        if instance.component is None:
            yield from ((name, index) for name, (sort, index) in instance.exports.items() if sort == FUNC)
            return
        passed = self._read.get(instance.component)
        if passed is None:
            passed = self._read[instance.component] = self._passed_on(*instance.component)
        for name, imported in passed.items():
            sort, index = instance.arguments.get(imported, (-1, 0))
            if sort == FUNC:
                yield name, index

    def _passed_on(self, start: int, end: int) -> dict[str, str]:
        """Return which import each exported function of a component is; none if the component does more than that."""
        functions: list[str] = []
        found: dict[str, str] = {}
        for section, reader in sections(self._data, start, end):
            if section not in (0, 3, 5, 7, 10, 11):
                return {}
            if section not in (10, 11):
                continue
            for _ in range(reader.u32()):
                if section == 10:
                    _read_import(reader, functions)
                else:
                    _read_export(reader, functions, found)
        return found


def _read_import(reader: Reader, functions: list[str]) -> None:
    name = external_name(reader)
    if reader.data[reader.pos : reader.pos + 1] == bytes([FUNC]):
        functions.append(name)
    pass_over_type(reader)


def _read_export(reader: Reader, functions: list[str], found: dict[str, str]) -> None:
    name, sort, index = external_name(reader), read_sort(reader), reader.u32()
    if reader.byte():
        pass_over_type(reader)
    if sort == FUNC and index < len(functions):
        found[name] = functions[index]
        functions.append(functions[index])


def memories(spaces: Spaces) -> dict[int, tuple[int, str]]:
    """Return each memory that can be reached: by the core instance that makes it, one that exports it and its name."""
    found: dict[int, tuple[int, str]] = {}
    for index, instance in enumerate(spaces.core_instances[:MAX_INSTANCES]):
        name = None if instance.module is None else instance.module.exported_memory()
        maker = None if name is None else _maker_of(spaces, index, name)
        if name is not None and maker is not None:
            found.setdefault(maker, (index, name))
    return found


def maker_of_memory(spaces: Spaces, memory: int) -> int | None:
    """Return the core instance that makes a memory; None when that cannot be told."""
    return _maker_of(spaces, *spaces.memories[memory]) if memory < len(spaces.memories) else None


def _maker_of(spaces: Spaces, index: int, name: str) -> int | None:
    for _ in range(MAX_INSTANCES):  # each step goes to an instance that was made before
        if index >= len(spaces.core_instances):
            return None
        instance = spaces.core_instances[index]
        if instance.module is None:
            sort, place = instance.exports.get(name, (-1, 0))
            if sort != 0x02 or place >= len(spaces.memories):
                return None
            step, name = spaces.memories[place]
        else:
            kind, place = instance.module.exports.get(name, ("", 0))
            imported = [item for item in instance.module.imports if item.kind == "memory"]
            if kind != "memory":
                return None
            if place >= len(imported):
                return index
            step, name = instance.arguments.get(imported[place].module, index), imported[place].name
        if step >= index:
            return None
        index = step
    return None
