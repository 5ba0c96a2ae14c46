"""Sources that an engine runs: a module that holds the source and names its engine, which alone is native code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from echelon.runtime.loader import Loaded
from echelon.runtime.plans import FunctionPlan

if TYPE_CHECKING:
    from echelon.runtime.host import Call
    from echelon.runtime.instance import Instance, Site
    from echelon.runtime.limits import Limits
    from echelon.runtime.signature import Function


@dataclass(slots=True)
class LoadedHosted(Loaded):
    """A source and the engine that runs it. Its sites are those of the engine, with what is its own.

    The runtime counts it as one user of the engine, and gives that back when the last user of the source is gone.
    """

    engine: Loaded = field(kw_only=True)

    def __post_init__(self) -> None:
        self.minimum_memory = self.engine.minimum_memory
        self.initialize, self.runs_at_start = self.engine.initialize, self.engine.runs_at_start

    @property
    def is_component(self) -> bool:
        return self.engine.is_component

    def instantiate(self, site: Site, call: Call | None, limits: Limits, *, kept: bool = False) -> Instance:
        """Return an instance of the engine that is to be started."""
        return self.engine.instantiate(site, call, limits, kept=kept)

    async def get_ready(self, open_instance: Callable[[Limits], Awaitable[Instance]]) -> None:
        """Do once what every call would do anew; `open_instance` opens an instance that is granted nothing."""

    def adopt(self, site: Site, release: Callable[[], None]) -> Site:
        """Return the engine's place in a pool as the source's own."""
        return replace(site, release=release)

    def exports(self) -> list[Function]:
        return [plan.function for plan in self.plans.values()]

    def close(self) -> None:
        """Forget the engine's sites; they stay the engine's."""
        self.sites.clear()


class HostedPlan(FunctionPlan):
    """How to call one function of a source."""

    __slots__ = ()

    @abstractmethod
    async def exchange(self, instance: Instance, request: bytes) -> bytes:
        """Answer an HTTP request: a request buffer in, a response buffer out (see http_guest.py)."""
