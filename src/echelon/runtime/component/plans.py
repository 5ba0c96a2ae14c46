"""How to call each export of a component, made once when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import ComponentError, GuestError, GuestExit
from echelon.runtime.component.arena import SLOT, Arena
from echelon.runtime.component.instance import ComponentInstance
from echelon.runtime.component.lift import Reading, compile_lift
from echelon.runtime.component.linking import qualified
from echelon.runtime.component.lower import compile_lower
from echelon.runtime.component.lower_plain import Mismatch
from echelon.runtime.component.types import ComponentType, FunctionType, ResultType
from echelon.runtime.component.values import Err, Ok
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.signature import Function, Value

if TYPE_CHECKING:
    from echelon.runtime.component.second_form import SecondPlan
    from echelon.runtime.instance import Instance
    from echelon.runtime.memory import Memory

_RUN: Final = re.compile(r"wasi:cli/run@0\.2\.\d+#run")
_RESOURCE_PART: Final = re.compile(r"\[(?:constructor|method|static)\]")
_VERSION: Final = re.compile(r"@[^#]*")


class ComponentPlan(FunctionPlan):
    """How to call one export of a component; `command` marks the main program of a WASI command.

    `second` is how to call it with its lists in the guest's memory, where that is possible. `shown` is the name that
    errors give it, if that is not the export's.
    """

    __slots__ = ("_lift", "_lowers", "_shown", "_wraps", "command", "second", "type")

    def __init__(
        self, name: str, type_: FunctionType, *, command: bool = False, shown: str | None = None
    ) -> None:
        params = tuple(Value(str(item), param) for param, item in type_.params)
        results = () if type_.result is None else (Value(str(type_.result)),)
        self.function, self.name, self.encoded = Function(name, params, results), name, name.encode()
        self.arity, self.returns = len(params), len(results)
        self.simple, self.slow, self.fits = False, False, True
        self._lowers = [(param, compile_lower(item)) for param, item in type_.params]
        self._lift = None if type_.result is None else compile_lift(type_.result)
        self._wraps = isinstance(type_.result, ResultType)
        self.command, self.type, self._shown = command, type_, shown or name
        self.second: SecondPlan | None = None

    def check_callable(self) -> None:
        """Every function of a component can be called."""

    def takes_pointers(self, count: int) -> bool:
        return False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        """Call the export; raises ComponentError when its result is the error case."""
        if not isinstance(instance, ComponentInstance):
            raise GuestError("the instance is none of a component")
        self.check_count(arguments)
        if self.second is not None and self.second.is_in(instance):
            value = await self.second.make(instance, self, arguments)
        else:
            value = await self.make(instance, self.lower(instance, arguments))
        return self._unwrap(value) if self._wraps else value

    async def make(
        self, instance: ComponentInstance, arena: Arena | None, memory: Memory | None = None
    ) -> Any:
        """Make the call with arguments that are laid out, and return its result; `memory` is where its lists are."""
        instance.arena = arena
        try:
            await instance.invoke(self)
        finally:
            instance.arena = None
            instance.end_loans()
        for handle in () if arena is None else arena.given:
            handle.give_away()
        if self._lift is None:
            return None
        try:
            return self._lift(Reading(instance, memory), instance.take_result(), 0)
        finally:
            instance.free_result()

    def lower(self, instance: ComponentInstance, arguments: Sequence[Any]) -> Arena | None:
        """Lay the arguments out; raises TypeError or ValueError that names the first bad one and the place in it."""
        if not arguments:
            return None
        arena = Arena(instance.site.engine.native, instance)
        block, start = arena.take_arguments(self.arity)
        for position, ((name, lower), value) in enumerate(zip(self._lowers, arguments, strict=True)):
            where = f"{self._shown}() argument {position + 1} ({name})"
            try:
                lower(arena, value, block, start + SLOT * position)
            except Mismatch as exc:
                raise exc.error(where) from None
            except (ValueError, RecursionError) as exc:
                raise ValueError(f"{where}: {exc}") from None
        return arena

    def _unwrap(self, value: Ok | Err) -> Any:
        if isinstance(value, Ok):
            return value.value
        if self.command:
            raise GuestExit("the command ended with an error (status 1)", code=1)
        raise ComponentError(value.error)


def plan_exports(type_: ComponentType) -> dict[str, ComponentPlan]:
    """Return a plan for each exported function by its full name."""
    found = {}
    for interface in type_.exports:
        for name, function in interface.functions:
            full = qualified(interface.name, name)
            found[full] = ComponentPlan(full, function, command=_RUN.fullmatch(full) is not None)
    return found


def with_short_names(plans: Mapping[str, ComponentPlan]) -> dict[str, FunctionPlan]:
    """Add the shorter names that mean one function only: without version, package or interface, with underscores."""
    short: dict[str, set[str]] = {}
    for full in plans:
        interface, _, name = full.rpartition("#")
        for form in {name, _RESOURCE_PART.sub("", name)}:
            bare = _VERSION.sub("", interface)
            scopes = {interface, bare, bare.rpartition("/")[2]} - {""}
            for candidate in {form, *(f"{scope}#{form}" for scope in scopes)}:
                short.setdefault(candidate, set()).add(full)
                short.setdefault(candidate.replace("-", "_"), set()).add(full)
    named: dict[str, FunctionPlan] = dict(plans)
    for candidate, meant in short.items():
        if len(meant) == 1:
            named.setdefault(candidate, plans[next(iter(meant))])
    return named


def command_of(plans: Mapping[str, ComponentPlan]) -> ComponentPlan | None:
    """Return the main program of a WASI command, if the component is one."""
    return next((plan for plan in plans.values() if plan.command), None)
