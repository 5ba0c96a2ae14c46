"""Trace each export to the core function that it lifts, and each memory to the core instance that makes it.

A toolchain lifts its functions at the component's own level and hands them to a small component inside, whose only
purpose is to give them the names of an interface; such a one is looked through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from echelon.runtime.binary import Import, ModuleInfo, Reader
from echelon.runtime.component.linking import qualified
from echelon.runtime.component.spaces import Instance, Lift, Spaces, pass_over_type, read_sort, sections
from echelon.runtime.component.type_nodes import FUNC, INSTANCE, external_name

MAX_EXPORTS: Final = 20_000
"""Exported functions that are looked at."""

MAX_INSTANCES: Final = 500
"""Core instances that are looked at; no component with many more can be used."""

_MOST_NAMES: Final = 8
"""Exported memories of a module that are looked at."""

_NAMING: Final = frozenset((0, 3, 7, 10, 11))
"""Sections of a component that only gives names: custom ones, types, imports and exports."""


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
            if isinstance(lift, Lift):
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
            if section not in _NAMING:
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


class Memories:
    """The memories that can be reached, and which core instance makes each."""

    def __init__(self, data: bytes, spaces: Spaces) -> None:
        self._data, self._spaces = data, spaces
        self._makers: dict[tuple[int, str], int | None] = {}
        self._of_modules: dict[int, tuple[list[str], list[Import]]] = {}
        self._makes_some: dict[tuple[int, int], bool] = {}

    def reachable(self) -> dict[int, tuple[int, str]]:
        """Return each memory by the core instance that makes it: one that exports it, and under which name."""
        found: dict[int, tuple[int, str]] = {}
        for index, instance in enumerate(self._spaces.core_instances[:MAX_INSTANCES]):
            for name in () if instance.module is None else self._of(instance.module)[0]:
                maker = self._maker(index, name)
                if maker is not None:
                    found.setdefault(maker, (index, name))
        return found

    def maker_of(self, memory: int) -> int | None:
        """Return the core instance that makes a core memory, by its index; None when that cannot be told."""
        return self._maker(*self._spaces.memories[memory])

    def number_of(self, index: int) -> int | None:
        """Return how many core instances are made up to one, itself included.

        None when that cannot be told, because a component inside, or the engine for its own use, may make some, too.
        """
        spaces = self._spaces
        if spaces.lowers_own or any(
            instance is not None and self._may_make_some(instance) for instance in spaces.own_instances
        ):
            return None
        return sum(instance.is_made for instance in spaces.core_instances[: index + 1])

    def _may_make_some(self, instance: Instance) -> bool:
        if instance.component is None:
            return bool(instance.arguments) or not instance.exports
        if instance.component not in self._makes_some:
            inside = sections(self._data, *instance.component)
            self._makes_some[instance.component] = any(number not in _NAMING for number, _ in inside)
        return self._makes_some[instance.component]

    def _maker(self, index: int, name: str) -> int | None:
        """Follow a memory to where it is made; each step goes to an instance that was made before."""
        path, maker = [], None
        while True:
            if (index, name) in self._makers:
                maker = self._makers[index, name]
                break
            path.append((index, name))
            step = self._step(index, name)
            if not isinstance(step, tuple):
                maker = step
                break
            index, name = step
        self._makers.update(dict.fromkeys(path, maker))
        return maker

    def _step(self, index: int, name: str) -> tuple[int, str] | int | None:
        """Return where a memory that an instance exports is from: another one, itself, or nowhere that is known."""
        spaces = self._spaces
        if index >= len(spaces.core_instances):
            return None
        instance = spaces.core_instances[index]
        if instance.module is None:
            sort, place = instance.exports.get(name, (-1, 0))
            if sort != 0x02 or place >= len(spaces.memories):
                return None
            step = spaces.memories[place]
        else:
            kind, place = instance.module.exports.get(name, ("", 0))
            imported = self._of(instance.module)[1]
            if kind != "memory":
                return None
            if place >= len(imported):
                return index
            step = (instance.arguments.get(imported[place].module, index), imported[place].name)
        return step if step[0] < index else None

    def _of(self, module: ModuleInfo) -> tuple[list[str], list[Import]]:
        """Return the names of the memories that a module exports, and the memories that it imports."""
        if id(module) not in self._of_modules:
            exported = (name for name, (kind, _) in module.exports.items() if kind == "memory")
            imported = [item for item in module.imports if item.kind == "memory"]
            self._of_modules[id(module)] = (list(islice(exported, _MOST_NAMES)), imported)
        return self._of_modules[id(module)]
