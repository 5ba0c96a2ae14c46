"""Read what a component defines, at its own level; what is inside the components in it is not looked at.

Source: component model, design/mvp/Binary.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from echelon.runtime.binary import ModuleInfo, Reader
from echelon.runtime.component.spaces import (
    CoreInstance,
    Imported,
    Instance,
    Lift,
    Spaces,
    pass_over_type,
    read_sort,
    sections,
)
from echelon.runtime.component.type_nodes import (
    FUNC,
    INSTANCE,
    RESOURCE,
    TYPE,
    UNKNOWN,
    Entry,
    FunctionNode,
    Node,
    TypeReader,
    Unfamiliar,
    external_name,
)

T = TypeVar("T")
Options = tuple[int, int | None, int | None, int | None]
"""Encoding, memory, realloc and post-return."""

_COMPONENT: Final = 0x04
_CORE_FUNC, _CORE_MEMORY, _CORE_MODULE = 0x00, 0x02, 0x11
_UTF8, _LATIN1, _MEMORY, _REALLOC, _POST_RETURN = 0x00, 0x02, 0x03, 0x04, 0x05
_LIFT, _LOWER = 0x00, 0x01
_RESOURCE_FUNCTIONS: Final = (0x02, 0x03, 0x04)


def read(data: bytes, modules: Mapping[int, ModuleInfo]) -> Spaces:
    """Return what a component defines; `modules` holds its core modules by where they stand.

    Raises Unfamiliar, or InvalidModule for what is broken.
    """
    return _SpaceReader(data, modules).read()


class _SpaceReader:
    def __init__(self, data: bytes, modules: Mapping[int, ModuleInfo]) -> None:
        self._data, self._modules = data, modules
        self._types = TypeReader(data)
        self._spaces = Spaces()
        self._readers: dict[int, Callable[[Reader], None]] = {
            2: self._core_instance,
            5: self._instance,
            6: self._alias,
            8: self._canonical,
            10: self._import,
            11: self._export,
        }

    def read(self) -> Spaces:
        begin = 8
        for section, reader in sections(self._data, 0, len(self._data)):
            if section == 1:
                self._spaces.modules.append(self._modules.get(reader.pos))
            elif section == 4:
                self._spaces.components.append((reader.pos, reader.end))
            elif section == 7:
                self._type_section(reader, begin)
            elif section in self._readers:
                for _ in range(self._types.count(reader)):
                    self._readers[section](reader)
            begin = reader.end
        return self._spaces

    def _type_section(self, reader: Reader, begin: int) -> None:
        spaces = self._spaces
        spaces.sections[begin] = (reader.pos, reader.end)
        for _ in range(self._types.count(reader)):
            start, index = reader.pos, len(spaces.types)
            self._add_type(self._types.definition(reader, spaces))
            spaces.definitions[index] = (begin, start, reader.pos)

    def _use(self, used: dict[str, tuple[int, int]]) -> None:
        """Note that functions and instances are used for something that needs their types as they are."""
        for sort, index in used.values():
            if sort == FUNC:
                function = _at(self._spaces.functions, index)
                if isinstance(function, Imported):
                    function.spoiled = True
            elif sort == INSTANCE and index in self._spaces.imports:
                self._spaces.spoiled.add(index)

    def _pairs(self, reader: Reader, sort: Callable[[Reader], int]) -> dict[str, tuple[int, int]]:
        """Read names, each with the sort and index of what it stands for."""
        return {reader.name(): (sort(reader), reader.u32()) for _ in range(self._types.count(reader))}

    def _core_instance(self, reader: Reader) -> None:
        spaces = self._spaces
        if reader.byte():
            made = CoreInstance(None, False, exports=self._pairs(reader, Reader.byte))
        else:
            module = _at(spaces.modules, reader.u32())
            given = self._pairs(reader, Reader.byte)
            made = CoreInstance(module, True, {name: index for name, (_, index) in given.items()})
        spaces.core_instances.append(made)

    def _instance(self, reader: Reader) -> None:
        if reader.byte():
            made = Instance()
            for _ in range(self._types.count(reader)):
                name = external_name(reader)
                made.exports[name] = (read_sort(reader), reader.u32())
        else:
            component = _at(self._spaces.components, reader.u32())
            made = Instance(component, self._pairs(reader, read_sort))
        self._use(made.arguments)
        self._use(made.exports)
        self._add_instance(made)

    def _add_instance(self, made: Instance | None) -> None:
        self._spaces.own_instances.append(made)
        self._spaces.instances.append({})

    def _alias(self, reader: Reader) -> None:
        spaces, sort = self._spaces, reader.byte()
        core = reader.byte() if sort == 0x00 else -1
        target, first = reader.byte(), reader.u32()
        name = reader.name() if target != 0x02 else ""
        if target == 0x02:
            index = reader.u32()  # the component's own level is the outermost: there is nothing to reach
            if first:
                raise Unfamiliar("an alias of what is outside")
        if sort == TYPE:
            self._add_type(spaces.type_at(index) if target == 0x02 else self._exported_type(first, name))
        elif sort == FUNC:
            spaces.functions.append(self._imported(first, name))
        elif sort == INSTANCE:
            self._add_instance(None)
        elif sort == _COMPONENT:
            spaces.components.append(None)
        elif core == _CORE_FUNC:
            spaces.core_functions += 1
        elif core == _CORE_MEMORY:
            spaces.memories.append((first, name))
        elif core == _CORE_MODULE:
            spaces.modules.append(None)

    def _imported(self, instance: int, name: str) -> Imported | None:
        """Return a function of an imported instance, the same one for each alias of it."""
        if instance not in self._spaces.imports:
            return None
        return self._spaces.imported.setdefault((instance, name), Imported(instance, name))

    def _exported_type(self, instance: int, name: str) -> Entry:
        found = _at(self._spaces.instances, instance).get(name)
        return Node(UNKNOWN) if found is None or isinstance(found[1], dict) else found[1]

    def _add_type(self, entry: Entry) -> None:
        """Give a type the next index, and a resource that has none yet that one."""
        spaces = self._spaces
        if isinstance(entry, Node) and entry.code == RESOURCE and entry.index < 0:
            entry.index = len(spaces.types)
        spaces.types.append(entry)

    def _canonical(self, reader: Reader) -> None:
        spaces, kind = self._spaces, reader.byte()
        if kind in (_LIFT, _LOWER):
            if reader.byte():
                raise Unfamiliar("a canonical function of a later version")
            core, options = reader.u32(), self._options(reader)
            if kind == _LOWER:
                self._lower(core, options)
                return
            type_ = spaces.type_at(reader.u32())
            lifted = None
            if options is not None and isinstance(type_, FunctionNode):
                lifted = Lift(core, *options, type_)
            spaces.functions.append(lifted)
        elif kind in _RESOURCE_FUNCTIONS:
            reader.u32()
            spaces.core_functions += 1
        else:
            raise Unfamiliar("a canonical function of a later version")

    def _lower(self, index: int, options: Options | None) -> None:
        self._spaces.core_functions += 1
        function = _at(self._spaces.functions, index)
        if isinstance(function, Imported):
            memory = None if options is None else options[1]
            function.memories.add(-1 if memory is None else memory)
        else:
            self._spaces.lowers_own = True

    def _options(self, reader: Reader) -> Options | None:
        """Read encoding, memory, realloc and post-return; None when there is more than these."""
        encoding, found, known = _UTF8, dict[int, int](), True
        for _ in range(self._types.count(reader)):
            option = reader.byte()
            if option <= _LATIN1:
                encoding = option
            elif option <= _POST_RETURN:
                found[option] = reader.u32()
            elif option == 0x06:
                known = False
            elif option == 0x07:
                known = False
                reader.u32()
            else:
                raise Unfamiliar("an option of a later version")
        return (encoding, found.get(_MEMORY), found.get(_REALLOC), found.get(_POST_RETURN)) if known else None

    def _import(self, reader: Reader) -> None:
        spaces = self._spaces
        name, start = external_name(reader), reader.pos
        self._types.external(reader, spaces)
        again = Reader(reader.data, start, reader.end)
        sort = again.byte()
        if sort == TYPE:
            self._add_type(spaces.types.pop())
        elif sort == INSTANCE:
            spaces.imports[len(spaces.own_instances)] = (name, again.u32())
            spaces.own_instances.append(None)
        elif sort == FUNC:
            spaces.functions.append(Imported(-1, name))
        elif sort == _COMPONENT:
            spaces.components.append(None)
        else:
            spaces.modules.append(None)

    def _export(self, reader: Reader) -> None:
        spaces = self._spaces
        name, sort, index = external_name(reader), read_sort(reader), reader.u32()
        if reader.byte():
            pass_over_type(reader)
        spaces.exports.append((name, sort, index))
        self._use({name: (sort, index)})
        if sort == FUNC:
            spaces.functions.append(_at(spaces.functions, index))
        elif sort == TYPE:
            spaces.types.append(spaces.type_at(index))
        elif sort == INSTANCE:
            spaces.own_instances.append(_at(spaces.own_instances, index))
            spaces.instances.append(_at(spaces.instances, index))
        elif sort == _COMPONENT:
            spaces.components.append(_at(spaces.components, index))
        elif sort == 0x00:
            spaces.modules.append(_at(spaces.modules, index))


def _at(items: list[T], index: int) -> T:
    if index >= len(items):
        raise Unfamiliar("something that does not exist")
    return items[index]
