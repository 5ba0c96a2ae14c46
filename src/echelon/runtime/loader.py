"""A module in memory: what it declares, how each export is called, and its native code in each engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echelon.errors import InvalidModule
from echelon.runtime import binary, exports, linking
from echelon.runtime.binary import Edit, ModuleInfo
from echelon.runtime.engine import Engine, Profile
from echelon.runtime.host import Call, HostFunction, HostModule
from echelon.runtime.instance import Instance, Site
from echelon.runtime.limits import PAGE, Limits
from echelon.runtime.linking import Linked
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.signature import Function, Signature

if TYPE_CHECKING:
    from echelon.runtime.component.types import ComponentType

INITIALIZE = "_initialize"
"""The export of a WASI reactor that is called once before any other (WASI application ABI)."""

COMMAND = "_start"
"""The export of a WASI command that is its main program."""


@dataclass(slots=True)
class Loaded:
    """A checked module. `sites` holds one entry for each engine that has run it; `close()` frees them.

    `users` counts the modules and live instances that need it; the runtime frees it when there are none.
    """

    wasm: bytes
    digest: str
    info: ModuleInfo
    signature: Signature
    plans: dict[str, FunctionPlan]
    functions: list[HostFunction]
    sites: dict[Profile, Site] = field(default_factory=dict)
    users: int = 0
    linking: asyncio.Lock = field(default_factory=asyncio.Lock)

    component_type: ComponentType | None = field(init=False, default=None)
    """The types of a component, once it was compiled."""
    minimum_memory: int = field(init=False)
    """Bytes of memory that an instance begins with."""
    initialize: FunctionPlan | None = field(init=False)
    runs_at_start: bool = field(init=False)

    def __post_init__(self) -> None:
        self.minimum_memory = self.info.memories[0].minimum * PAGE if self.info.memories else 0
        plan = self.plans.get(INITIALIZE)
        if plan is not None and (plan.arity or plan.returns):
            raise InvalidModule(
                f"the export {INITIALIZE} takes {plan.arity} parameters and returns {plan.returns} results;"
                " that of a WASI reactor has none"
            )
        self.initialize = plan
        self.runs_at_start = self.info.start is not None or self.initialize is not None

    @property
    def is_component(self) -> bool:
        return False

    @property
    def forms(self) -> tuple[tuple[Edit, ...], ...]:
        """How it may be changed before it is compiled, in the order in which that is tried."""
        return ()

    def instantiate(self, site: Site, call: Call | None, limits: Limits, *, kept: bool = False) -> Instance:
        """Return an instance that is to be started."""
        return Instance(site, call, limits, kept=kept)

    def exports(self) -> list[Function]:
        """Return the functions a caller may call."""
        return exports.public_functions(self.plans, self.signature)

    def link(self, engine: Engine, code: bytes, calls: dict[int, Instance]) -> Linked:
        """Map native code into an engine and connect the module's imports; raises LinkError or InvalidModule."""
        native = engine.native
        out = native.ffi.new("wasmtime_module_t **")
        error = native.lib.wasmtime_module_deserialize(engine.handle, code, len(code), out)
        if error != native.null:
            causes = [line.strip() for line in native.take_error(error).splitlines()]
            message = ": ".join(line for line in causes if line and line != "Caused by:")
            raise InvalidModule(f"its native code cannot be used: {message}")
        return linking.link(engine, out[0], self.functions, calls)

    def close(self) -> None:
        """Free the native code in every engine; no instance may be left."""
        while self.sites:
            self.sites.popitem()[1].linked.close()


def read_module(wasm: bytes, digest: str, providers: Sequence[HostModule]) -> Loaded:
    """Check a module's bytes; raises InvalidModule or LinkError. Nothing of the module runs."""
    info = binary.parse(wasm)
    signature, found = exports.read(wasm, info)
    return Loaded(wasm, digest, info, signature, found, linking.resolve(info, providers))
