"""What is appended to a component before it is compiled, so that the host reaches its memories.

The engine's C API gives no access to a component's memories, and moves a list as 32 bytes for each element, one by
one. So sections are appended to the component, and no index of it moves:

- for each memory, a core module that does nothing but export it again, under a name by which the host finds it;
- each exported function that takes or returns lists of numbers once more: the same core function, lifted with the
  same options, but with `tuple<u32, u32>` for each list. That is how a list crosses anyway: as its place and its
  length. The host reads and writes the content itself, where the guest's own allocator wants it;
- that allocator as a function, and the guest's clean-up after results (`post-return`), which has to wait until the
  host has read them: the lift is given another one, which only notes what the guest's will be called with.

The lists that imported functions take are made places, too, by other types for these functions (`import_types`).

All of it is exported under names that hold the component's digest, which no component can hold itself. A function
with something unfamiliar in it gets no second form. The engine validates the whole like any component; when it
refuses that, less is appended, and at last nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from echelon.errors import InvalidModule
from echelon.runtime.binary import Edit, leb
from echelon.runtime.component import import_types, space_reader, tracing
from echelon.runtime.component.import_types import Changed
from echelon.runtime.component.sections import CORE_FUNC, CORE_MEMORY, Sections, core_module, text
from echelon.runtime.component.type_nodes import FunctionNode, Unfamiliar
from echelon.runtime.component.type_writer import TypeWriter

if TYPE_CHECKING:
    from echelon.runtime.binary import ModuleInfo
    from echelon.runtime.component.spaces import Lift, Spaces

MAX_MEMORIES: Final = 4
"""Memories that are made reachable; no instance can have more."""

MAX_FUNCTIONS: Final = 1_000
_MAX_ALIASES: Final = 20_000
"""Core memories by index, of which many may be the same, that are looked at."""

_MAX_SIZE: Final = 1 << 20
_I32 = b"\x7f"
_TAKES_I32: Final = b"\x60\x01" + _I32 + b"\0"
_TAKES_NOTHING: Final = b"\x60\0\0"
_REALLOC_TYPE: Final = b"\x40\x04" + b"".join(text(name) + b"\x79" for name in "abcd") + b"\0\x79"
_NOTHING_TYPE: Final = b"\x40\0\x01\0"


@dataclass(frozen=True, slots=True)
class SecondForm:
    """The exports by which a function is called with its lists as places in the memory of that number.

    `results` is the form that only returns them so, for a function that takes some, too.
    """

    whole: str
    results: str | None
    memory: int
    realloc: str | None
    post_return: str | None


@dataclass(frozen=True, slots=True)
class ReachedMemory:
    """A memory by the reserved name of an added core instance's export, and by where it comes from.

    That is the name of the export of a core instance of the component, and its number among those that are made, if
    that can be told.
    """

    reserved: str
    exported: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Appendix:
    """What may be done to a component, the most first, and what is in it.

    `mark` is exported if anything of it was accepted, `imports_mark` if imports were changed.
    """

    forms: tuple[tuple[Edit, ...], ...] = ()
    memories: tuple[ReachedMemory, ...] = ()
    functions: Mapping[str, SecondForm] = field(default_factory=dict)
    imports: Changed = field(default_factory=dict)
    prefix: str = ""

    @property
    def mark(self) -> str:
        return f"{self.prefix}-on"

    @property
    def imports_mark(self) -> str:
        return f"{self.prefix}-in"


def write(data: bytes, digest: str, modules: Mapping[int, ModuleInfo]) -> Appendix:
    """Return what to append to a component; `modules` holds its core modules by where they stand. Never raises."""
    try:
        spaces = space_reader.read(data, modules)
        return _Writer(data, spaces, f"echelon-x{digest.rpartition(':')[2][:32]}").write()
    except (InvalidModule, Unfamiliar, RecursionError):
        return Appendix()


class _Writer:
    def __init__(self, data: bytes, spaces: Spaces, prefix: str) -> None:
        self._data, self._spaces, self._prefix = data, spaces, prefix
        self._sections = Sections(spaces, prefix)
        self._types = TypeWriter(self._sections, {})
        self._memories: dict[int, int] = {}
        """The number of each core memory that is reached."""
        self._reallocs: dict[int, str] = {}
        self._post_returns: dict[int, str] = {}
        self._note = self._mark = 0

    def write(self) -> Appendix:
        memories = self._write_memories()
        if not memories:
            return Appendix()
        forms = [self._form()]
        functions = self._write_functions()
        if functions:
            forms.insert(0, self._form())
        edits, changed = import_types.change(
            self._data,
            self._spaces,
            {c: n for c, n in self._memories.items() if memories[n].number is not None},
        )
        if changed:
            self._sections.export_function(f"{self._prefix}-in", self._mark)
            forms.insert(0, (*edits, *self._form()))
        return Appendix(tuple(forms), memories, functions, changed, self._prefix)

    def _form(self) -> tuple[Edit, ...]:
        return ((len(self._data), len(self._data), bytes(self._sections)),)

    def _write_memories(self) -> tuple[ReachedMemory, ...]:
        sections, spaces, reached = self._sections, self._spaces, []
        makers: dict[int, int] = {}
        memories = tracing.Memories(self._data, spaces)
        for maker, (instance, exported) in list(memories.reachable().items())[:MAX_MEMORIES]:
            number = makers[maker] = len(makers)
            name = f"{self._prefix}-m{number}"
            memory = sections.add_core_alias(CORE_MEMORY, instance, exported)
            added = sections.add_core_instance(_memory_module(name), {"m": (CORE_MEMORY, memory)})
            if not number:
                mark = sections.add_core_alias(CORE_FUNC, added, "on")
                self._mark = sections.add_lift(mark, (), sections.add_type(_NOTHING_TYPE))
                sections.export_function(f"{self._prefix}-on", self._mark)
            reached.append(ReachedMemory(name, exported, memories.number_of(instance)))
        for index in range(min(len(spaces.memories), _MAX_ALIASES)):
            found = memories.maker_of(index)
            if found is not None and found in makers:
                self._memories[index] = makers[found]
        return tuple(reached)

    def _write_functions(self) -> dict[str, SecondForm]:
        usable: list[tuple[str, Lift, int]] = []
        for name, lift in tracing.exported_lifts(self._data, self._spaces):
            memory = self._memory_of(lift)
            if memory is not None:
                usable.append((name, lift, memory))
            if len(usable) == MAX_FUNCTIONS:
                break
        self._write_post_returns([lift for _, lift, _ in usable])
        written: dict[str, SecondForm] = {}
        for name, lift, memory in usable:
            if len(self._sections) > _MAX_SIZE:
                break
            try:
                written[name] = self._write_function(len(written), lift, memory)
            except Unfamiliar:
                continue
        return written

    def _memory_of(self, lift: Lift) -> int | None:
        """Return the number of the memory that a function's lists are in; None if it has none, or none is reached."""
        takes, gives = _numbers_in(lift.type)
        if not (takes or gives) or lift.memory is None or (takes and lift.realloc is None):
            return None
        return self._memories.get(lift.memory)

    def _write_post_returns(self, lifts: list[Lift]) -> None:
        """Add the core module that notes what a guest's clean-up is called with, and calls it when told to."""
        sections = self._sections
        cores = list(
            dict.fromkeys(
                lift.post_return
                for lift in lifts
                if lift.post_return is not None and _numbers_in(lift.type)[1]
            )
        )
        if not cores:
            return
        given = {f"p{place}": (CORE_FUNC, core) for place, core in enumerate(cores)}
        added = sections.add_core_instance(_post_return_module(len(cores)), given)
        self._note = sections.add_core_alias(CORE_FUNC, added, "note")
        type_ = sections.add_type(_NOTHING_TYPE)
        for place, core in enumerate(cores):
            name = self._post_returns[core] = f"{self._prefix}-p{place}"
            call = sections.add_core_alias(CORE_FUNC, added, f"q{place}")
            sections.export_function(name, sections.add_lift(call, (), type_))

    def _write_function(self, number: int, lift: Lift, memory: int) -> SecondForm:
        takes, gives = _numbers_in(lift.type)
        later = gives and lift.post_return is not None
        options = [bytes([lift.encoding])]
        options.append(b"\x03" + leb(lift.memory or 0))
        if lift.realloc is not None:
            options.append(b"\x04" + leb(lift.realloc))
        if lift.post_return is not None:
            options.append(b"\x05" + leb(self._note if later else lift.post_return))
        whole, results = f"{self._prefix}-f{number}", None
        self._lift(whole, lift, options, params=True)
        if takes and gives:
            results = f"{self._prefix}-g{number}"
            self._lift(results, lift, options, params=False)
        return SecondForm(
            whole,
            results,
            memory,
            self._realloc(lift.realloc) if takes and lift.realloc is not None else None,
            self._post_returns[lift.post_return] if later and lift.post_return is not None else None,
        )

    def _lift(self, name: str, lift: Lift, options: list[bytes], *, params: bool) -> None:
        type_ = self._types.function(lift.type, params=params, result=True)
        self._sections.export_function(name, self._sections.add_lift(lift.core, options, type_))

    def _realloc(self, core: int) -> str:
        name = self._reallocs.get(core)
        if name is None:
            name = self._reallocs[core] = f"{self._prefix}-r{len(self._reallocs)}"
            type_ = self._sections.add_type(_REALLOC_TYPE)
            self._sections.export_function(name, self._sections.add_lift(core, (), type_))
        return name


def _numbers_in(type_: FunctionNode) -> tuple[bool, bool]:
    """Tell whether a function takes, and whether it returns, lists of numbers."""
    gives = type_.result is not None and type_.result.holds_numbers
    return any(node.holds_numbers for _, node in type_.params), gives


def _memory_module(name: str) -> bytes:
    """Return a core module that exports a memory which it is given, and a function that does nothing."""
    return core_module(
        (1, [_TAKES_NOTHING]),
        (2, [text("") + text("m") + b"\x02\0\0"]),
        (3, [b"\0"]),
        (7, [text(name) + b"\x02\0", text("on") + b"\0\0"]),
        (10, [b"\x02\0\x0b"]),
    )


def _post_return_module(count: int) -> bytes:
    """Return a core module that notes a number, and gives it to one of `count` functions when told to."""
    calls = [b"\0\x23\0\x10" + leb(place) + b"\x0b" for place in range(count)]
    bodies = [b"\0\x20\0\x24\0\x0b", *calls]
    return core_module(
        (1, [_TAKES_I32, _TAKES_NOTHING]),
        (2, [text("") + text(f"p{place}") + b"\0\0" for place in range(count)]),
        (3, [b"\0"] + [b"\1"] * count),
        (6, [_I32 + b"\x01\x41\0\x0b"]),
        (7, [text("note") + b"\0" + leb(count)]
         + [text(f"q{place}") + b"\0" + leb(count + 1 + place) for place in range(count)]),
        (10, [leb(len(body)) + body for body in bodies]),
    )  # fmt: skip
