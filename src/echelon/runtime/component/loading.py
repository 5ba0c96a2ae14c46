"""A component in memory: what it declares, how each export is called, and its native code in each engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echelon.errors import InvalidModule
from echelon.runtime.binary import Edit, FuncType, Import, ModuleInfo
from echelon.runtime.component import appendix, layout, linking
from echelon.runtime.component.appendix import Appendix
from echelon.runtime.component.instance import ComponentInstance
from echelon.runtime.component.introspect import read_type
from echelon.runtime.component.plans import ComponentPlan, command_of, plan_exports, with_short_names
from echelon.runtime.component.second_form import plan_second
from echelon.runtime.component.second_types import as_imported
from echelon.runtime.engine import COMPONENT_MEMORIES, Engine
from echelon.runtime.loader import COMMAND, Loaded
from echelon.runtime.signature import Function, Signature

if TYPE_CHECKING:
    from echelon.runtime.component.host_import import ImportProvider
    from echelon.runtime.component.types import ComponentType
    from echelon.runtime.host import Call
    from echelon.runtime.instance import Instance, Site
    from echelon.runtime.limits import Limits
    from echelon.runtime.linking import Linked


@dataclass(slots=True)
class LoadedComponent(Loaded):
    """A checked component. Its types, and so its plans, are known when it has been compiled for the first time."""

    providers: Sequence[ImportProvider] = ()
    appendix: Appendix = field(default_factory=Appendix)
    own_plans: dict[str, ComponentPlan] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        Loaded.__post_init__(self)
        self.runs_at_start = True  # the engine offers nothing that could be prepared further than this

    @property
    def is_component(self) -> bool:
        return True

    @property
    def forms(self) -> tuple[tuple[Edit, ...], ...]:
        return self.appendix.forms

    def exports(self) -> list[Function]:
        return [plan.function for plan in self.own_plans.values()]

    def instantiate(self, site: Site, call: Call | None, limits: Limits, *, kept: bool = False) -> Instance:
        return ComponentInstance(site, call, limits, kept=kept)

    def link(self, engine: Engine, code: bytes, calls: dict[int, Instance]) -> Linked:
        """Map native code into an engine and connect the imports; raises LinkError or InvalidModule."""
        native = engine.native
        out = native.ffi.new("wasmtime_component_t **")
        error = native.lib.wasmtime_component_deserialize(engine.handle, code, len(code), out)
        if error != native.null:
            raise InvalidModule(f"its native code cannot be used: {native.take_error(error)}")
        try:
            if self.component_type is None:
                self._learn(read_type(native, engine.handle, out[0], self.appendix.prefix))
        except BaseException:
            native.lib.wasmtime_component_delete(out[0])
            raise
        if self.component_type is None:
            raise InvalidModule("its types cannot be read")
        return linking.link(engine, out[0], self.component_type, self.providers, calls, self.appendix)

    def _learn(self, type_: ComponentType) -> None:
        if self.appendix.imports_mark in type_.reserved:
            type_ = as_imported(type_, self.appendix.imports)
        self.own_plans = plan_exports(type_)
        for name, form in self.appendix.functions.items():
            if name in self.own_plans:
                self.own_plans[name].second = plan_second(self.own_plans[name], form, type_)
        self.plans.update(with_short_names(self.own_plans))
        command = command_of(self.own_plans)
        if command is not None:
            self.plans.setdefault(COMMAND, command)
        for interface in type_.imports:
            for name, function in interface.functions:
                params = tuple(str(item) for _, item in function.params)
                results = () if function.result is None else (str(function.result),)
                self.info.imports.append(Import(interface.name, name, "func", FuncType(params, results)))
        self.component_type = type_


def read_component(wasm: bytes, digest: str, providers: Sequence[ImportProvider]) -> LoadedComponent:
    """Check a component's bytes; raises InvalidModule. Nothing of the component runs."""
    modules: dict[int, ModuleInfo] = {}
    info = layout.read(wasm, COMPONENT_MEMORIES, modules)
    added = appendix.write(wasm, digest, modules)
    signature = Signature(language="component")
    return LoadedComponent(wasm, digest, info, signature, {}, [], providers=providers, appendix=added)
